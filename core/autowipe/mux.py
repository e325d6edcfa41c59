"""Puts a finished file together: joined video packets, and every other stream, tag and chapter of the source.

Nothing is encoded here. The file is made under a working name beside the output and renamed when it is complete.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from . import ledger
from .decode import ClipInfo
from .encoders import Notice, muxer_of
from .errors import MediaError, said
from .hdr import Hdr, put_into_mov
from .matroska import put_aspect
from .segments import Encoder, Piece, disk_fault, sync_folder
from .streams import Others, add_others, can_hold, fresh, is_cover, like_stream, open_source, others_for
from .timing import FrameRange

log = logging.getLogger(__name__)

PLAIN_TAGS = {
    "title", "artist", "album", "comment", "copyright", "date", "genre", "description", "synopsis", "show",
    "album_artist", "composer", "grouping", "lyrics", "creation_time", "episode_id", "network", "season_number",
    "episode_sort", "track", "disc", "keywords", "location", "location-eng", "make", "model", "author",
}  # fmt: skip
NO_TEXT = b"\0\0"
ROOM_S = Fraction(60)  # how far before a range its subtitles and late-coming packets are looked for
WARM_UP_S = Fraction(1, 10)  # of sound before the first that is heard
EDITS = ("mp4", "mov")  # muxers that write an edit list
STARTS_AT_0 = ("avi", "mxf")  # muxers
STARTS_BEFORE_0 = ("mp4", "mov", "matroska", "webm")  # muxers
RUNS_AROUND, RUNS_AT, LAP = ("mpegts", "mpeg", "vob"), Fraction(1, 90000), 2**33  # muxers, s, and ticks
HVC1 = ("libx265", "hevc_nvenc", "hevc_videotoolbox", "hevc_qsv", "hevc_amf", "hevc_mf", "hevc_vaapi")
TICKS = 2**31 - 1  # largest time scale of a mov file


@dataclass(frozen=True)
class Source:
    """What an output takes over from its source besides the frames."""

    like: ClipInfo
    range: FrameRange
    others: Others
    hdr: Hdr


def join(
    path: Path, pieces: Iterable[Piece], encoder: Encoder, *, time_base: Fraction, source: Source | None = None
) -> None:
    """Writes the joined packets to `path`, which appears only when it is complete.

    `source`: the clip whose other streams, tags, timecode and rotation go into the file too, cut to its range.
    Raises MediaError; `path` is then as it was.
    """
    muxer = muxer_of(path)
    has_file = source is not None and not source.like.is_image_sequence
    with _appearing(path) as part:
        with contextlib.ExitStack() as stack:
            given = stack.enter_context(open_source(source.like)) if source and has_file else None
            out = stack.enter_context(_writing(part, muxer, time_base, given))
            video = encoder.add_to(out)
            video.time_base = time_base
            if encoder.name in HVC1 and muxer in ("mp4", "mov"):
                video.codec_context.codec_tag = "hvc1"
            rest: Iterator[Any] = iter(())
            if source is not None:
                _copy_clip_tags(source, out, video)
                if given is not None:
                    _copy_tags(source, given, out, video)
                    rest = _other_packets(source, given, add_others(given, out, source.others), muxer)
            out.start_encoding()
            _interleave(out, _video_packets(pieces, video, time_base), rest)
        if source is not None and source.hdr and muxer in ("mp4", "mov"):
            put_into_mov(part, source.hdr)
        _keep_aspect(part, muxer, encoder.sample_aspect)


def remux(path: Path, like: ClipInfo) -> list[Notice] | None:
    """The same packets of all streams in another kind of file: what it loses, or None where it cannot hold the picture.

    Nor can it without an edit list where one passes over pictures: others may be made from these, so they must stay.
    """
    muxer = muxer_of(path)
    with open_source(like) as given:
        picture = given.streams[like.stream]
        if muxer not in EDITS and any(entry.is_discard for entry in picture.index_entries):
            return None
        if not can_hold(muxer, lambda out: like_stream(out, picture)):
            return None
        others = others_for(like, muxer, lambda out: like_stream(out, picture))
        with _appearing(path) as part:
            with _writing(part, muxer, like.time_base, given) as out:
                video = like_stream(out, picture)
                source = Source(like, like.whole, others, Hdr())
                _copy_clip_tags(source, out, video)
                _copy_tags(source, given, out, video)
                streams = {like.stream: video} | add_others(given, out, others)
                out.start_encoding()
                for packet in _other_packets(source, given, streams, muxer):
                    out.mux(packet)
            _keep_aspect(part, muxer, like.sample_aspect)
    return others.notices + timing_notices(like, muxer) + aspect_notices(like, muxer)


def _keep_aspect(part: Path, muxer: str, aspect: Fraction | None) -> None:
    if muxer == "matroska" and aspect and aspect != 1 and not put_aspect(part, aspect):
        log.warning("%s has no room for the sample aspect ratio %s", part, aspect)


def copy_file(source: Path, path: Path) -> None:
    """Copies a file byte for byte; `path` appears only when it is complete."""
    with _appearing(path) as part:
        shutil.copyfile(source, part)


class Originals:
    """The source's own packets of an intra-only stream, by the pts of their frame; asked for in rising order."""

    def __init__(self, like: ClipInfo, first: int) -> None:
        self._stack = contextlib.ExitStack()
        container = self._stack.enter_context(open_source(like))
        stream = container.streams[like.stream]
        if 0 < first < like.held:
            container.seek(int(like.pts[first]), stream=stream, backward=True)
        self._packets = container.demux(stream)

    def __call__(self, pts: int) -> bytes:
        for packet in self._packets:
            if packet.pts == pts and packet.size:
                return bytes(packet)
        raise MediaError(
            f"the packet of the frame at pts {pts} is not found", code="corrupt", hint="Get a sound copy of the file."
        )

    def close(self) -> None:
        self._stack.close()


def side_data_of(like: ClipInfo) -> list[Any]:
    """What the first decoded frame carries besides its picture."""
    with open_source(like) as container:
        frame = next(container.decode(container.streams[like.stream]), None)
        return list(frame.side_data) if frame is not None else []


def alpha_notices(like: ClipInfo) -> list[Notice]:
    """VP8 and VP9 keep their alpha beside the picture, where it is not read."""
    if like.codec not in ("vp8", "vp9") or like.is_image_sequence:
        return []
    with open_source(like) as source:
        tags = {key.lower(): value for key, value in source.streams[like.stream].metadata.items()}
    return [("alpha", f"the alpha of {like.codec} is not kept")] if tags.get("alpha_mode") == "1" else []


def aspect_notices(like: ClipInfo, muxer: str) -> list[Notice]:
    """WebM's codecs say nothing of a sample aspect ratio, and its files have no room for one (see matroska.py)."""
    if muxer != "webm" or like.sample_aspect in (None, 1):
        return []
    return [("sample-aspect", f"a .webm file does not keep the sample aspect ratio {like.sample_aspect}")]


def timing_notices(like: ClipInfo, muxer: str) -> list[Notice]:
    """What a container cannot keep of the clip's time stamps."""
    keeps_gaps = muxer == "avi" and like.time_base * like.rate == 1  # frames that are left out, and nothing else
    if muxer in ("avi", "mxf") and like.is_variable_rate and not keeps_gaps:
        return [("timing", f"a file of the kind {muxer} has one constant rate; the clip's frames vary in length")]
    if muxer in STARTS_AT_0 and like.pts[0] and like.container != muxer:
        return [("timing", f"a file of the kind {muxer} begins at 0, not where the clip begins")]
    return []


def _video_packets(pieces: Iterable[Piece], video: Any, time_base: Fraction) -> Iterator[Any]:
    for piece in pieces:
        packet = av.Packet(piece.data)
        packet.pts, packet.dts, packet.duration = piece.pts, piece.dts, piece.duration
        packet.time_base = time_base
        packet.is_keyframe = piece.is_key
        packet.stream = video
        yield packet


def _interleave(out: Any, packets: Iterator[Any], rest: Iterator[Any]) -> None:
    """Muxes both by decoding time, so that the muxer never has to hold much back."""
    waiting = next(rest, None)
    for packet in packets:
        now = packet.dts * packet.time_base
        while waiting is not None and (waiting.dts is None or waiting.dts * waiting.time_base <= now):
            out.mux(waiting)
            waiting = next(rest, None)
        out.mux(packet)
    while waiting is not None:
        out.mux(waiting)
        waiting = next(rest, None)


def _other_packets(source: Source, given: Any, streams: dict[int, Any], muxer: str) -> Iterator[Any]:
    """The packets of `streams` over the time span of the range, on the output's clock, ready to mux.

    A packet belongs to the span when it overlaps it. All packets are taken when the range is the whole clip.
    """
    if not streams:
        return
    start, stop, shift = _span(source, muxer)
    begin_of_clip = int(source.like.pts[0]) * source.like.time_base
    if start is not None and start > ROOM_S:
        given.seek(int((start - ROOM_S) * av.time_base), backward=True)
    for packet in given.demux([given.streams[index] for index in streams]):
        if not packet.size and packet.pts is None:
            continue
        if packet.size == len(NO_TEXT) and packet.stream.type == "subtitle" and bytes(packet) == NO_TEXT:
            continue  # a pause between two texts of a MOV, which the muxer writes by itself
        if packet.pts is not None:
            begins = packet.pts * packet.time_base
            ends = begins + max(1, packet.duration or 0) * packet.time_base
            if not is_cover(packet.stream):
                if stop is not None and begins >= stop + ROOM_S:
                    return
                if (start is not None and ends <= start) or (stop is not None and begins >= stop):
                    continue
                if start is not None and begins < start and packet.stream.type == "subtitle":
                    _begin_at(packet, start, ends)
                    begins = start
                # What an edit list passes over would be heard where there is none, but for what warms up a decoder.
                if packet.is_discard and muxer not in EDITS and ends < begin_of_clip - WARM_UP_S:
                    continue
                # Other containers would move all streams instead of starting before 0.
                if begins < shift and muxer not in STARTS_BEFORE_0:
                    continue
            ticks = round(shift / packet.time_base)
            packet.pts -= ticks
            packet.dts = None if packet.dts is None else packet.dts - ticks
        packet.stream = streams[packet.stream.index]
        yield packet


def _begin_at(packet: Any, start: Fraction, ends: Fraction) -> None:
    """Shortens a text that was already shown when the range starts."""
    packet.pts = packet.dts = round(start / packet.time_base)
    packet.duration = round(ends / packet.time_base) - packet.pts


def shift_of(like: ClipInfo, source_range: FrameRange, muxer: str | None) -> int:
    """How many units of the time base a range moves forward, so that it starts when the clip started.

    Containers without time stamps begin at 0, and those that cannot begin earlier do no earlier. The clock of transport
    and program streams runs around: there, a clip that is said to begin before 0 begins at the end of a lap.
    """
    begins = int(like.pts[0])
    if begins < 0 and muxer in RUNS_AROUND and like.time_base == RUNS_AT:
        begins += LAP
    if muxer in STARTS_AT_0 or (begins < 0 and muxer not in STARTS_BEFORE_0):
        begins = 0
    return int(like.pts[source_range.start]) - begins


def _span(source: Source, muxer: str) -> tuple[Fraction | None, Fraction | None, Fraction]:
    """Begin and end of the range in seconds (None where it is the clip's own), and by how much all moves forward."""
    pts, base, source_range = source.like.pts, source.like.time_base, source.range
    start = None if source_range.start == 0 else int(pts[source_range.start]) * base
    stop = None if source_range.stop >= len(pts) else int(pts[source_range.stop]) * base
    return start, stop, shift_of(source.like, source_range, muxer) * base


def _copy_clip_tags(source: Source, out: Any, video: Any) -> None:
    like = source.like
    if like.timecode:
        shifted = shift_timecode(like.timecode, source.range.start, like.rate)
        (out if out.format.name == "mxf" else video).metadata["timecode"] = shifted
    if like.rotation:
        video.set_display_rotation(like.rotation)


def _copy_tags(source: Source, given: Any, out: Any, video: Any) -> None:
    start, stop, shift = _span(source, out.format.name)
    stream = given.streams[source.like.stream]
    out.metadata.update(fresh(given.metadata))
    video.metadata.update(fresh(stream.metadata))
    video.disposition = stream.disposition
    chapters = []
    for chapter in given.chapters():
        base = chapter["time_base"]
        begin, end = chapter["start"] * base, chapter["end"] * base
        begin, end = max(begin, start or begin), min(end, stop or end)
        if begin < end:
            chapters.append(chapter | {"start": round((begin - shift) / base), "end": round((end - shift) / base)})
    if chapters:
        out.set_chapters(chapters)


def shift_timecode(text: str, frames: int, rate: Fraction) -> str:
    """The timecode `frames` later. Drop-frame (a `;`, `.` or `,` before the frames) after SMPTE ST 12-1."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+)([:;.,])(\d+)", text.strip())
    if not match or not frames:
        return text
    hours, minutes, seconds, number = (int(match[k]) for k in (1, 2, 3, 5))
    nominal = max(1, round(rate))
    drop = nominal // 15 if match[4] != ":" and nominal % 30 == 0 else 0
    total_minutes = hours * 60 + minutes
    count = (total_minutes * 60 + seconds) * nominal + number - drop * (total_minutes - total_minutes // 10)
    per_ten = nominal * 600 - 9 * drop
    count = (count + frames) % (per_ten * 6 * 24)
    tens, rest = divmod(count, per_ten)
    if drop:
        count += 9 * drop * tens + drop * max(0, (rest - drop) // (nominal * 60 - drop))
    whole, number = divmod(count, nominal)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{match[4]}{number:02d}"


@contextlib.contextmanager
def _writing(part: Path, muxer: str, time_base: Fraction, given: Any) -> Iterator[Any]:
    """An output container; a failure while closing it counts, unless one came before."""
    options = {"fflags": "+bitexact"}  # no random numbers: a resumed run gives the same file
    if muxer in ("matroska", "webm"):
        options["avoid_negative_ts"] = "disabled"  # a sound packet before 0 would move the picture
    if muxer in ("mp4", "mov"):
        if time_base.denominator <= TICKS:
            # Edit lists are written in the movie's time scale: its default of 1/1000 s would round a start offset.
            ticks = str(time_base.denominator)
            options |= {"video_track_timescale": ticks, "movie_timescale": ticks}
        tags = fresh(given.metadata) if given is not None else {}
        # Tags of one's own and cover pictures exclude each other in FFmpeg's muxer: the picture goes first.
        if any(key.lower() not in PLAIN_TAGS for key in tags) and not any(map(is_cover, given.streams.video)):
            options["movflags"] = "+use_metadata_tags"
    out = av.open("file:" + str(part), "w", format=muxer, options=options)
    try:
        yield out
    except BaseException:
        with contextlib.suppress(av.FFmpegError, OSError):
            out.close()
        raise
    out.close()


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A working name beside `path`; the file is renamed to `path` when the block ends well, else deleted."""
    part = ledger.working_name(path)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        ledger.appear([(part, path)])
        sync_folder(path.parent)
    except av.FFmpegError as err:
        _discard(part)
        if isinstance(err, OSError) and err.errno and err.errno < 200:
            raise disk_fault(err, path) from err
        raise MediaError(
            f"{path} cannot be put together: {said(err)}",
            code="mux",
            hint="Choose another kind of file, such as .mkv.",
        ) from err
    except OSError as err:
        _discard(part)
        raise disk_fault(err, path) from err
    except BaseException:
        _discard(part)
        raise


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
