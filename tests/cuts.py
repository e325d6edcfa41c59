"""A timeline of 40 clips on two tracks, as OpenTimelineIO and as every format that its adapters write."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import media
import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange

RATE = 25
FRAMES = 160  # of every medium
MEDIA = {  # rate and start timecode
    "a cam é.mov": (Fraction(25), "01:00:00:00"),
    "b.mov": (Fraction(24), None),
    "c.mp4": (Fraction(30000, 1001), None),
    "d.mkv": (Fraction(50), None),
    "e.mov": (Fraction(25), "10:00:00:00"),
}
MISSING, BROKEN = "gone.mov", "broken.mov"
ADAPTERS = {".otio": "otio_json", ".xml": "fcp_xml", ".fcpxml": "fcpx_xml", ".edl": "cmx_3600", ".aaf": "AAF"}


def make_media(folder: Path) -> None:
    """Writes the media, each frame with its number stamped in, and a broken one."""
    for name, (rate, code) in MEDIA.items():

        def prepare(stream, code=code) -> None:
            if code:
                stream.metadata["timecode"] = code

        media.write_clip(
            folder / name,
            frames=FRAMES,
            codec="libx264",
            options={"crf": "12", "preset": "ultrafast"},
            rate=rate,
            prepare=prepare,
        )
    (folder / BROKEN).write_bytes(b"no picture at all" * 50)


def reference(folder: Path, name: str) -> otio.schema.ExternalReference:
    rate, code = MEDIA.get(name, (Fraction(25), None))
    begin = otio.opentime.from_timecode(code, float(rate)).value if code else 0
    url = (folder / name).as_uri()
    return otio.schema.ExternalReference(
        url, TimeRange(RationalTime(begin, float(rate)), RationalTime(FRAMES, float(rate)))
    )


def timeline(folder: Path, *, tracks: int = 2, clips: int = 40, names: list[str] | None = None) -> otio.schema.Timeline:
    """`clips` clips over the tracks, with gaps; some show the same part of the same medium."""
    rng = random.Random(7)
    cut = otio.schema.Timeline("forty")
    cut.global_start_time = RationalTime(90000, RATE)
    order = [*(names or MEDIA), MISSING, BROKEN]
    for track_number in range(tracks):
        track = otio.schema.Track(f"V{track_number + 1}", kind=otio.schema.TrackKind.Video)
        cut.tracks.append(track)
        for number in range(clips * (3 - 2 * track_number) // 4 if tracks > 1 else clips):
            name = order[number] if number < len(order) and not track_number else rng.choice(order[:-2])
            ref = reference(folder, name)
            rate = ref.available_range.start_time.rate
            length = rng.randrange(5, 9) * (2 if rate == 50 else 1)
            start = (
                ref.available_range.start_time.value
                + rng.choice((0, 4, 10, 14, 100, 105, 110)) * (2 if rate == 50 else 1) * 0.5 // 1
            )
            if number and number % 4 == 0:
                track.append(otio.schema.Gap(duration=RationalTime(rng.randrange(3, 9), RATE)))
            track.append(
                otio.schema.Clip(
                    f"clip {track_number}-{number}",
                    media_reference=ref,
                    source_range=TimeRange(RationalTime(start, rate), RationalTime(length, rate)),
                )
            )
    return cut


def write(cut: otio.schema.Timeline, path: Path) -> Path:
    """Writes a timeline in the format of the path's suffix."""
    adapter = ADAPTERS[path.suffix]
    more = {"AAF": {"use_empty_mob_ids": True}, "cmx_3600": {"rate": RATE, "style": "nucoda"}}.get(adapter, {})
    otio.adapters.write_to_file(cut, str(path), adapter_name=adapter, **more)
    return path


def read(path: Path) -> otio.schema.Timeline:
    adapter = ADAPTERS[path.suffix]
    more = {"rate": RATE} if adapter == "cmx_3600" else {}
    found = otio.adapters.read_from_file(str(path), adapter_name=adapter, **more)
    if isinstance(found, otio.schema.SerializableCollection):
        found = next(iter(found.find_children(otio.schema.Timeline)))
    return found
