"""Opens a clip, says what it is, and gives its frames by source frame number, with exact pts.

Frames are counted by reading the packets, not by decoding them, and are told apart by their pts: a
frame's number is the rank of its pts. So long GOPs, B-frames, variable rates and start offsets all
come out exact.
"""

from __future__ import annotations

import bisect
import itertools
import logging
import os
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import av
import numpy as np
from av.stream import Discard, Disposition

from . import planes
from .clipfiles import Place, boxes, is_cut, locate
from .clipfiles import fingerprint as fingerprint
from .clipinfo import (
    FIELD_ORDERS,
    SEQUENCE_RATE,
    ColourTags,
    OtherStream,
    field_code_of,
    is_full_range,
    matrix_of,
    rate_of,
    siting_of,
)
from .clipinfo import ClipInfo as ClipInfo
from .errors import MediaError
from .planes import Layout
from .siting import siting_said
from .timing import FrameRange

_log = logging.getLogger(__name__)

Wants = Callable[[int], bool]  # of a pts
SOONER = 12  # frames that are sooner passed over than a file is opened anew


@dataclass
class Frame:
    """One decoded picture, the reader's own: what is written into it reaches no other frame."""

    index: int  # source frame
    pts: int
    time_base: Fraction
    av: av.VideoFrame
    layout: Layout
    is_corrupt: bool  # the decoder had to guess parts of it

    @property
    def samples(self) -> list[np.ndarray]:
        """Views to read, as `views` but without the copy that a picture in the decoder's use costs."""
        out = planes.views(self.av, self.layout)
        for view in out:
            view.flags.writeable = False
        return out

    @cached_property
    def views(self) -> list[np.ndarray]:
        """Writeable views of the samples: colour planes first, then alpha."""
        self.av.make_writable()  # the decoder may still predict from this picture
        return planes.views(self.av, self.layout)


class Clip:
    """An open clip. Any number of `frames` iterators may run at a time: each reads by itself."""

    def __init__(self, info: ClipInfo, place: Place, packets: _Packets) -> None:
        self.info = info
        self._place, self._packets = place, packets

    def frames(self, source_range: FrameRange | None = None) -> Iterator[Frame]:
        """The frames of the range, each exactly once and in order; all by default.

        Raises MediaError: "range" for frames beyond the clip, "truncated" where the file ends before
        the range does, "corrupt" at a frame that cannot be decoded, "changes" where the size or pixel
        format changes.
        """
        wanted = self.info.whole if source_range is None else source_range
        if wanted.stop > self.info.frames:
            raise MediaError(
                f"frames {wanted.start}:{wanted.stop} of {self.info.path} are asked for, but it has {self.info.frames}",
                code="range",
                hint="Shorten the range.",
            )
        return self._frames(wanted)

    def picked(self, wanted: Iterable[int]) -> Iterator[Frame]:
        """Single frames of the clip, each once and in order. Of all others no more is decoded than leads to them.

        Raises as `frames`.
        """
        todo = sorted(set(wanted))
        for first, last in _runs(todo, self.entry):
            yield from self._picked(todo[first:last])

    def entry(self, frame: int) -> int:
        """The frame that decoding begins with to reach `frame`."""
        first = next(self._packets.entries(frame))
        return 0 if first is None else bisect.bisect_left(self._packets.pts, first)

    def _frames(self, wanted: FrameRange) -> Iterator[Frame]:
        due = wanted.start
        if not wanted:
            return
        for index, picture in self._from(due):
            if index > due:
                raise self._undecodable(due)
            yield self._frame(index, picture)
            due += 1
            if due == wanted.stop:
                return
        raise self._ended(due)

    def _picked(self, wanted: list[int]) -> Iterator[Frame]:
        """Those frames, decoded on one way."""
        due = deque(wanted)
        pts = frozenset(self._packets.pts[frame] for frame in wanted if frame < len(self._packets.pts))
        for index, picture in self._from(due[0], pts.__contains__):
            if index > due[0]:
                break
            if index == due[0]:
                yield self._frame(index, picture)
                due.popleft()
                if not due:
                    return
        for frame in due:  # where the file is damaged, it is told there
            yield from self.frames(FrameRange(frame, frame + 1))

    def _from(self, start: int, wants: Wants | None = None) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decoded pictures from frame `start` on, entering at the nearest key frame that leads there.

        `wants`: which of them, by pts; others may be missing.
        """
        if wants is None and start < len(self._packets.pts):
            wants = self._packets.pts[start].__le__
        for entry in self._packets.entries(start):
            decoded = self._decode(entry, None if self._packets.is_counted else wants)
            for index, picture in decoded:
                if index < start:
                    continue
                if index > start and entry is not None:
                    break  # this key frame does not lead there: enter earlier
                yield index, picture
                yield from decoded
                return

    def _decode(self, entry: int | None, wants: Wants | None) -> Iterator[tuple[int, av.VideoFrame]]:
        """Pictures and their frame numbers from the key frame of pts `entry` on, or from the start."""
        pts, due = self._packets.pts, 0
        with _open(self._place) as (container, stream):
            if entry is not None:
                container.seek(entry, stream=stream, backward=True)
            for picture in _pictures(container, stream, self._packets.partial, entry is not None, wants):
                if self._packets.is_counted:
                    index = due
                elif picture.pts is None:
                    continue
                else:
                    index = max(due, bisect.bisect_left(pts, picture.pts))
                    if index == len(pts) or pts[index] != picture.pts:
                        continue  # led in to by an open GOP, and not shown
                due = index + 1
                if index < len(pts):
                    yield index, picture

    def _frame(self, index: int, picture: av.VideoFrame) -> Frame:
        layout = self.info.layout
        now = (picture.format.name, picture.width, picture.height)
        if now != (layout.pix_fmt, layout.width, layout.height):
            raise MediaError(
                f"{self.info.path} changes at frame {index} from {layout.width}x{layout.height}"
                f" {layout.pix_fmt} to {picture.width}x{picture.height} {picture.format.name}",
                code="changes",
                hint=f"Clean what comes before it with --range 0:{index}, or render the clip anew.",
            )
        picture.pts, picture.time_base = self._packets.pts[index], self.info.time_base
        return Frame(index, picture.pts, self.info.time_base, picture, layout, picture.is_corrupt)

    def _undecodable(self, frame: int) -> MediaError:
        return MediaError(
            f"frame {frame} of {self.info.path} cannot be decoded: the file is damaged there",
            code="corrupt",
            hint="Get a sound copy of the file, or leave that frame out with --range.",
        )

    def _ended(self, due: int) -> MediaError:
        info = self.info
        return MediaError(
            f"{info.path} is cut short: only {due} of its {info.frames} frames can be read",
            code="truncated",
            hint=f"Get the whole file, or clean what is there with --range 0:{due}." if due else "Get the whole file.",
        )


@contextmanager
def open_clip(path: str | os.PathLike[str]) -> Iterator[Clip]:
    """Opens a media file, an image, or a numbered sequence such as shot_%04d.png or shot_####.png.

    Raises MediaError: "missing", "directory", "empty", "permission", "not-video", "no-video",
    "truncated" where the index at the end of the file is gone, "codec", "pixel-format", "sequence"
    for a numbered sequence with a gap, "corrupt" where no frame at all can be decoded.
    """
    yield _probe(locate(os.fspath(path)))


# What may be opened: real containers and pictures. Others play text as pictures or fetch other files.
_DEMUXERS = (
    "mov,matroska,webm,avi,mxf,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,obu,av1,ivf,flv,live_flv,asf,"
    "nut,ogg,dv,gxf,wtv,rm,mjpeg,vc1,yuv4mpegpipe,image2,apng,gif,"
    "bmp_pipe,dpx_pipe,exr_pipe,j2k_pipe,jpeg_pipe,jpegls_pipe,jpegxl_pipe,pam_pipe,pbm_pipe,"
    "pgm_pipe,png_pipe,ppm_pipe,qoi_pipe,sgi_pipe,tiff_pipe,webp_pipe,"
    "aac,aiff,flac,mp3,wav"  # so as to say that they hold no picture
)
_CAMERA_RAW = {".braw": "Blackmagic RAW", ".r3d": "REDCODE RAW", ".crm": "Canon RAW", ".ari": "ARRIRAW"}


@contextmanager
def _open(place: Place) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """The container, reading nothing but the stream that holds the picture."""
    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}
    name = None
    if place.first is not None:
        name = "image2"
        options |= {"start_number": str(place.first), "framerate": str(SEQUENCE_RATE)}
    try:
        container = av.open(place.url, format=name, options=options, metadata_errors="replace")
    except (av.FFmpegError, OSError) as err:
        raise _cannot_open(place.path) from err
    with container:
        shown = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not shown:
            raise MediaError(f"{place.path} holds no video", code="no-video", hint="Name a file with a picture.")
        if shown[0].codec_context is None or shown[0].codec_context.name in ("", "none"):
            raise _unknown_codec(place.path)
        shown[0].thread_type = "AUTO"
        for other in container.streams:
            if other is not shown[0]:
                other.discard = Discard.all
        yield container, shown[0]


def _cannot_open(path: str) -> MediaError:
    if os.path.splitext(path)[1].lower() in _CAMERA_RAW:
        return _unknown_codec(path)
    parts = boxes(path)
    if parts and parts[0][0] in (b"ftyp", b"wide", b"mdat") and b"moov" not in dict(parts):
        return MediaError(
            f"{path} is cut short: the index that belongs at its end is missing",
            code="truncated",
            hint="Copy or render the file again.",
        )
    return MediaError(
        f"{path} is not a video file that can be read",
        code="not-video",
        hint="Check that it plays elsewhere, or render it to MOV, MP4, MXF or MKV.",
    )


def _unknown_codec(path: str) -> MediaError:
    name = _CAMERA_RAW.get(os.path.splitext(path)[1].lower(), "its codec")
    return MediaError(
        f"{path} cannot be decoded: {name} is not supported",
        code="codec",
        hint="Render a ProRes, DNxHR or H.264 copy in the editing program and clean that.",
    )


@dataclass
class _Packets:
    """What the packets tell without being decoded."""

    pts: array[int]  # of the shown frames, in order
    keys: array[int]  # pts of the key frames, in order
    size_bytes: int
    is_counted: bool = False  # their pts cannot be trusted: frames are counted from the file's start
    partial: int | None = None  # place in the file of a last packet that is not all there
    last: int = 0  # place in the file of the last packet

    def entries(self, start: int) -> Iterator[int | None]:
        """Where to enter the stream to reach frame `start`, best first; None is the file's start."""
        if not self.is_counted and start < len(self.pts):
            before = bisect.bisect_right(self.keys, self.pts[start])
            yield from self.keys[max(1, before - 2) : before][::-1]
        yield None


def _pictures(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    partial: int | None,
    to_key: bool,
    wants: Wants | None = None,
) -> Iterator[av.VideoFrame]:
    """Every picture that the decoder gives, going on after packets that it refuses.

    `to_key`: packets before the first key frame are passed over. `wants`: which pictures are wanted, by pts: others are
    decoded only if later ones are predicted from them.
    """
    for packet in itertools.chain(_demux(container, stream), [None]):
        if packet is not None:
            if (to_key and not packet.is_keyframe) or (partial is not None and packet.pos == partial):
                continue
            to_key = False
            if wants is not None and stream.codec_context.name in _SKIPPING:
                is_wanted = packet.pts is None or wants(packet.pts)
                stream.codec_context.skip_frame = "DEFAULT" if is_wanted else "NONREF"
        try:
            pictures = stream.codec_context.decode(packet)  # None gives what the decoder still holds
        except av.FFmpegError as err:
            _log.debug("a packet of %s is refused: %s", container.name, err)
            continue
        yield from pictures


def _demux(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    """The stream's packets to the end of the file, or to where it cannot be followed any more."""
    try:
        for packet in container.demux(stream):
            if packet.size:  # an empty one would tell the decoder that the stream is over
                yield packet
    except av.FFmpegError as err:
        _log.debug("%s ends early: %s", container.name, err)


# Decoders that can be told packet by packet to pass over a picture from which no other is predicted.
_SKIPPING = {"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp8", "vp9"}


def _runs(frames: list[int], entry: Callable[[int], int]) -> Iterator[tuple[int, int]]:
    """Parts, from and to, of a list of rising frames, each best decoded on one way; `entry`: as Clip.entry."""
    first = 0
    for k in range(1, len(frames) + 1):
        if k == len(frames) or (frames[k] - frames[k - 1] > SOONER and entry(frames[k]) > frames[k - 1]):
            yield first, k
            first = k


# Codecs whose every packet is a frame of its own, shown in the order in which they are stored.
_INTRA_CODECS = {"prores", "dnxhd", "cfhd", "mjpeg", "v210", "rawvideo", "png", "jpeg2000", "prores_raw"}


def _read_packets(place: Place) -> _Packets:
    """Reads all packets of the clip, or its index where that says the same."""
    if place.first is not None:
        ranks = array("q", range(len(place.files)))
        return _Packets(ranks, ranks[:], sum(map(os.path.getsize, place.files)))
    with _open(place) as (container, stream):
        listed = _read_index(container, stream, os.path.getsize(place.path))
        if listed is not None:
            return listed
        pts, keys, unnamed, size, last, torn = array("q"), array("q"), 0, 0, 0, None
        for packet in _demux(container, stream):
            if packet.is_discard:  # before the start that an edit list sets
                continue
            torn = packet if packet.is_corrupt else None
            size, last = size + packet.size, max(last, packet.pos or 0)
            if packet.pts is None:
                unnamed += 1
                continue
            pts.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
        has_b_frames = bool(stream.codec_context.has_b_frames)
    partial = None
    if torn is not None:
        partial = torn.pos
        pts = pts[:-1] if torn.pts is not None else pts
    if len(pts) < unnamed:  # a raw stream
        return _Packets(array("q", range(len(pts) + unnamed)), array("q"), size, True, partial, last)
    shown = array("q", sorted(pts))
    # AVI holds no pts: FFmpeg makes them up in the order of decoding.
    is_counted = container.format.name == "avi" and has_b_frames and pts == shown
    return _Packets(shown, array("q", sorted(keys)), size, is_counted, partial, last)


def _read_index(container: av.container.InputContainer, stream: av.VideoStream, size: int) -> _Packets | None:
    """What the index of a MOV or MP4 says about intra-only codecs, whose packets may be huge."""
    if "mov" not in container.format.name or stream.codec_context.name not in _INTRA_CODECS:
        return None
    entries = [entry for entry in stream.index_entries if not entry.is_discard]
    first = next(_demux(container, stream), None)
    if first is None or len(entries) != stream.frames or entries[0].timestamp != first.pts:
        return None
    held = [entry for entry in entries if entry.pos + entry.size <= size]
    partial = next((entry.pos for entry in entries if entry.pos + entry.size > size), None)
    pts = array("q", (entry.timestamp for entry in held))
    return _Packets(pts, pts[:], sum(entry.size for entry in held), partial=partial)


def _probe(place: Place) -> Clip:
    packets = _read_packets(place)
    with _open(place) as (container, stream):
        context = stream.codec_context
        # Read before the first decode: a DNxHR frame overrides what the container says.
        tags = ColourTags(context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        picture = next(_pictures(container, stream, packets.partial, False), None)
        if picture is not None and picture.pts is not None and not packets.is_counted:
            # Frames before it hang on a group of pictures that the file no longer holds; no player shows them.
            del packets.pts[: bisect.bisect_left(packets.pts, picture.pts)]
        if picture is None or not packets.pts:
            raise MediaError(
                f"no frame of {place.path} can be decoded", code="corrupt", hint="Get a sound copy of the file."
            )
        time_base = stream.time_base or Fraction(1, 1000)
        said = [Fraction(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
        if packets.keys:
            rate, is_variable = rate_of(packets.pts, time_base, said)
        else:  # a raw stream
            rate, is_variable = rate_of((), time_base, said)
            time_base = 1 / rate
        frames = _promised(place, container, stream, packets, rate, is_variable)
        layout = planes.layout_of(picture.format.name, picture.width, picture.height)
        fields = field_code_of(context.field_order, picture.interlaced_frame, container.format.name)
        seconds = float(len(packets.pts) / rate)
        info = ClipInfo(
            path=place.path,
            layout=layout,
            rate=rate,
            time_base=time_base,
            frames=frames,
            pts=np.asarray(packets.pts, np.int64),
            is_variable_rate=is_variable,
            container=container.format.name,
            codec=context.codec.canonical_name,
            profile=context.profile,
            bit_rate=context.bit_rate or round(packets.size_bytes * 8 / seconds) or None,
            is_intra_only=len(packets.keys) >= len(packets.pts),
            sample_aspect=stream.sample_aspect_ratio or None,
            rotation=picture.rotation,
            field_order=FIELD_ORDERS[fields],
            field_code=fields,
            timecode=_timecode(container, stream),
            tags=tags,
            matrix=matrix_of(tags, layout),
            full_range=is_full_range(tags, layout),
            siting=siting_said(stream) or siting_of(tags, layout, context.name),
            stream=stream.index,
            streams=tuple(
                OtherStream(other.index, other.type, other.codec_context.name if other.codec_context else "")
                for other in container.streams
                if other is not stream
            ),
            is_image_sequence=place.first is not None,
        )
    return Clip(info, place, packets)


def _promised(
    place: Place,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    packets: _Packets,
    rate: Fraction,
    is_variable: bool,
) -> int:
    """Frames that the file says it has; where it was cut short, drops the last ones that stand alone."""
    name, held = container.format.name, len(packets.pts)
    promised = held
    if "mov" in name:
        size = os.path.getsize(place.path)
        promised += sum(e.pos + e.size > size for e in stream.index_entries if not e.is_discard)
    elif name == "mxf" and stream.time_base == 1 / rate:
        promised = max(held, stream.duration or 0)
    elif name == "avi" and is_cut(place.path, name):
        promised = max(held + 1, stream.frames)
    elif "matroska" in name:
        # Of a hole in the middle the demuxer says nothing: it ends there, far from the end of the file.
        is_left = packets.last < 0.95 * os.path.getsize(place.path)
        end = _seconds(stream.metadata.get("DURATION", "")) - packets.pts[0] * (stream.time_base or 0)
        if is_cut(place.path, name):
            promised = max(held + 1, round(end * rate))
        elif is_left and (not is_variable or _is_steady(packets.pts)) and round(end * rate) > held + 1:
            promised = round(end * rate)
    if promised > held:
        # A frame stored before the B-frames that are shown ahead of it.
        steps = np.diff(packets.pts)
        gaps = np.flatnonzero(steps > 1.5 * np.median(steps)) if len(steps) else np.zeros(0, np.intp)
        gaps = gaps[gaps >= len(steps) - _MOST_REORDERED]
        if len(gaps):
            del packets.pts[int(gaps[0]) + 1 :]
    return promised


def _is_steady(pts: array[int]) -> bool:
    """Whether frames follow each other evenly, but for the last, which may have lost those shown between them."""
    steps = np.diff(pts)[:-_MOST_REORDERED]
    return not len(steps) or bool(steps.max() <= 1.5 * np.median(steps))


_MOST_REORDERED = 16  # frames: the largest picture buffer of H.264 and HEVC


def _seconds(text: str) -> Fraction:
    """Seconds of a duration such as 00:01:02.500000000; 0 where it is none."""
    try:
        hours, minutes, seconds = text.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
    except ValueError:
        return Fraction(0)


def _timecode(container: av.container.InputContainer, stream: av.VideoStream) -> str | None:
    """From the video stream, else the container, else a timecode track."""
    for tagged in [stream, container, *container.streams]:
        for key, value in tagged.metadata.items():
            if key.lower() == "timecode":
                return value
    return None
