"""Puts a finished file together: joined video packets, and every other stream, tag and chapter of the source.

Nothing is encoded here. The file is made under a working name beside the output and renamed when it is complete.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from .decode import ClipInfo
from .encoders import Notice, muxer_of
from .errors import MediaError
from .segments import Encoder, Piece, disk_fault, sync_folder
from .timing import FrameRange

log = logging.getLogger(__name__)

# Tags that describe the old file's container or packets, not the clip.
STALE_TAGS = re.compile(
    r"encoder|major_brand|minor_version|compatible_brands|duration|timecode|bps(-.*)?|vendor_id|"
    r"number_of_(frames|bytes)(-.*)?|_statistics_.*|operational_pattern_ul|.*_uid|.*_umid.*",
    re.IGNORECASE,
)
PLAIN_TAGS = {
    "title", "artist", "album", "comment", "copyright", "date", "genre", "description", "synopsis", "show",
    "album_artist", "composer", "grouping", "lyrics", "creation_time", "episode_id", "network", "season_number",
    "episode_sort", "track", "disc", "keywords", "location", "location-eng", "make", "model", "author",
}  # fmt: skip
ROOM_S = Fraction(60)  # how far before a range its subtitles and late-coming packets are looked for
TICKS = 2**31 - 1  # largest time scale of a mov file


@dataclass
class Others:
    """The source's streams besides the one that was cleaned, as far as the output can hold them."""

    kept: list[int] = field(default_factory=list)  # stream indices in the source
    notices: list[Notice] = field(default_factory=list)


def others_for(like: ClipInfo, muxer: str) -> Others:
    """Which of the other streams a container can hold; each is tried by itself."""
    found = Others()
    if like.is_image_sequence:
        return found
    with _source(like) as source:
        for stream in source.streams:
            if stream.index == like.stream or _is_made_anew(stream):
                continue
            if _can_hold(muxer, stream):
                found.kept.append(stream.index)
                continue
            name = getattr(stream.codec_context, "name", None) or getattr(stream, "name", None) or "unknown"
            found.notices.append(
                ("stream-dropped", f"stream {stream.index} ({stream.type}, {name}) does not fit into this kind of file")
            )
    return found


def join(
    path: Path,
    pieces: Iterable[Piece],
    encoder: Encoder,
    *,
    time_base: Fraction,
    like: ClipInfo | None = None,
    source_range: FrameRange | None = None,
    others: Others | None = None,
) -> None:
    """Writes the joined packets to `path`, which appears only when it is complete.

    `like`: the source whose other streams, tags, timecode and rotation go into the file too; those streams are cut
    to `source_range`. Raises MediaError; `path` is then as it was.
    """
    muxer = muxer_of(path)
    with _appearing(path) as part, contextlib.ExitStack() as stack:
        options = _muxer_options(muxer, time_base, like)
        out = stack.enter_context(_closing(av.open("file:" + str(part), "w", format=muxer, options=options)))
        video = encoder.add_to(out)
        video.time_base = time_base
        if encoder.name == "libx265" and muxer in ("mp4", "mov"):
            video.codec_context.codec_tag = "hvc1"
        rest: Iterator[Any] = iter(())
        if like is not None:
            assert source_range is not None
            source = stack.enter_context(_source(like))
            _copy_tags(like, source, out, video, source_range)
            streams = _add_others(source, out, others or Others())
            rest = _other_packets(source, streams, like, source_range, muxer)
        out.start_encoding()
        _interleave(out, video, _video_packets(pieces, video, time_base), rest)


def _video_packets(pieces: Iterable[Piece], video: Any, time_base: Fraction) -> Iterator[Any]:
    for piece in pieces:
        packet = av.Packet(piece.data)
        packet.pts, packet.dts, packet.duration = piece.pts, piece.dts, piece.duration
        packet.time_base = time_base
        packet.is_keyframe = piece.is_key
        packet.stream = video
        yield packet


def _interleave(out: Any, video: Any, packets: Iterator[Any], rest: Iterator[Any]) -> None:
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


def _add_others(source: Any, out: Any, others: Others) -> dict[int, Any]:
    """Output streams by the source's stream index."""
    made = {}
    for index in others.kept:
        stream = source.streams[index]
        if stream.type == "attachment":
            out.add_attachment(stream.name or "attachment", stream.mimetype or "application/octet-stream", stream.data)
            continue
        made[index] = _like_stream(out, stream)
    return made


def _like_stream(out: Any, stream: Any) -> Any:
    # A video stream is a cover picture or a second view: `opaque` takes it as packets, without an encoder.
    new = out.add_stream_from_template(stream, opaque=True)
    new.metadata.update(_fresh(stream.metadata))
    new.disposition = stream.disposition
    return new


def _other_packets(
    source: Any, streams: dict[int, Any], like: ClipInfo, source_range: FrameRange, muxer: str
) -> Iterator[av.Packet]:
    """The other streams' packets over the time span of the range, on the output's clock, ready to mux.

    A packet belongs to the span when it overlaps it. All packets are taken when the range is the whole clip.
    """
    if not streams:
        return
    start, stop, shift = _span(like, source_range)
    is_whole = source_range == like.whole
    can_be_negative = muxer in ("mp4", "mov", "nut")
    wanted = [source.streams[index] for index in streams]
    if start is not None and not is_whole and start > ROOM_S:
        source.seek(int((start - ROOM_S) * av.time_base), backward=True)
    for packet in source.demux(wanted):
        if packet.pts is None and not packet.size:
            continue
        begins = None if packet.pts is None else packet.pts * packet.time_base
        if begins is not None and not is_whole and not _is_cover(packet.stream):
            ends = begins + max(1, packet.duration or 0) * packet.time_base
            if stop is not None and begins >= stop + ROOM_S:
                return
            if (start is not None and ends <= start) or (stop is not None and begins >= stop):
                continue
        if begins is not None and begins - shift < 0 and not can_be_negative:
            continue
        if shift and packet.pts is not None:
            ticks = round(shift / packet.time_base)
            packet.pts -= ticks
            packet.dts = None if packet.dts is None else packet.dts - ticks
        packet.stream = streams[packet.stream.index]
        yield packet


def shift_of(like: ClipInfo, source_range: FrameRange) -> int:
    """How many units of the time base a range moves forward, so that it starts when the clip started."""
    return int(like.pts[source_range.start]) - int(like.pts[0])


def _span(like: ClipInfo, source_range: FrameRange) -> tuple[Fraction | None, Fraction | None, Fraction]:
    """Begin and end of the range in seconds (None where it is the clip's own), and by how much all moves forward."""
    pts, base = like.pts, like.time_base
    start = None if source_range.start == 0 else int(pts[source_range.start]) * base
    stop = None if source_range.stop >= len(pts) else int(pts[source_range.stop]) * base
    return start, stop, shift_of(like, source_range) * base


def _copy_tags(like: ClipInfo, source: Any, out: Any, video: Any, source_range: FrameRange) -> None:
    start, stop, shift = _span(like, source_range)
    out.metadata.update(_fresh(source.metadata))
    if not like.is_image_sequence:
        stream = source.streams[like.stream]
        video.metadata.update(_fresh(stream.metadata))
        video.disposition = stream.disposition
    if like.timecode:
        shifted = shift_timecode(like.timecode, source_range.start, like.rate)
        (out if out.format.name == "mxf" else video).metadata["timecode"] = shifted
    if like.rotation:
        video.set_display_rotation(like.rotation)
    chapters = []
    for chapter in source.chapters():
        base = chapter["time_base"]
        begin, end = chapter["start"] * base, chapter["end"] * base
        begin, end = max(begin, start or begin), min(end, stop or end)
        if begin < end:
            ticks = round(shift / base)
            chapters.append(chapter | {"start": round(begin / base) - ticks, "end": round(end / base) - ticks})
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


def _muxer_options(muxer: str, time_base: Fraction, like: ClipInfo | None) -> dict[str, str]:
    if muxer not in ("mp4", "mov"):
        return {}
    options = {}
    if time_base.denominator <= TICKS:
        # Edit lists are written in the movie's time scale: with the default of 1/1000 s a start offset gets rounded.
        options = {"video_track_timescale": str(time_base.denominator), "movie_timescale": str(time_base.denominator)}
    if like is not None and not like.is_image_sequence:
        with _source(like) as source:
            if any(key.lower() not in PLAIN_TAGS for key in _fresh(source.metadata)):
                options["movflags"] = "+use_metadata_tags"
    return options


def _fresh(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if not STALE_TAGS.fullmatch(key)}


def _is_made_anew(stream: Any) -> bool:
    """A timecode or chapter track: the muxer writes these itself from what `_copy_tags` says."""
    if stream.type != "data":
        return False
    handler = stream.metadata.get("handler_name", "")
    return "timecode" in stream.metadata or (getattr(stream, "name", None) == "bin_data" and "Text" in handler)


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _can_hold(muxer: str, stream: Any) -> bool:
    if stream.type == "attachment":
        return muxer == "matroska"
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as trial:
            _like_stream(trial, stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError) as err:
        log.debug("%s cannot hold stream %d: %s", muxer, stream.index, err)
        return False
    return True


@contextlib.contextmanager
def _source(like: ClipInfo) -> Iterator[Any]:
    with av.open("file:" + like.path, metadata_errors="replace") as container:
        yield container


@contextlib.contextmanager
def _closing(out: Any) -> Iterator[Any]:
    """Closes an output container; a failure while closing counts, unless one came before it."""
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
    part = path.with_name(f"{path.stem}.unfinished{path.suffix}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except av.FFmpegError as err:
        _discard(part)
        if isinstance(err, OSError) and err.errno and err.errno < 200:
            raise disk_fault(err, path) from err
        raise MediaError(
            f"{path} cannot be put together: {err.strerror or err}",
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


def copy_file(source: Path, path: Path) -> None:
    """Copies a file byte for byte; `path` appears only when it is complete."""
    with _appearing(path) as part:
        shutil.copyfile(source, part)
