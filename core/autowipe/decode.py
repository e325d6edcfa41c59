"""Opens a clip, says what it is, and gives its frames by source frame number, each with its exact pts.

Frames are counted by reading the packets, not by decoding them, and are told apart by their pts. A frame number is
the rank of the frame's pts, so long GOPs, B-frames, variable rates and start offsets all come out exact.
"""

from __future__ import annotations

import bisect
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Literal

import av
import numpy as np

from . import planes
from .errors import MediaError
from .planes import Layout
from .timing import FrameRange


@dataclass(frozen=True)
class ColourTags:
    """What the stream says about its colours, as the numbers of ITU-T H.273; 2 is unspecified."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    range: int = 0  # FFmpeg's numbers: 0 unspecified, 1 limited, 2 full


@dataclass(frozen=True)
class OtherStream:
    """A stream of the file besides the one that is cleaned."""

    index: int
    type: str  # audio, subtitle, data, attachment, video
    codec: str


@dataclass(frozen=True)
class ClipInfo:
    """A clip as the container and the first frame describe it."""

    path: str
    layout: Layout
    rate: Fraction  # frames per second, nominal where the rate varies
    time_base: Fraction  # seconds for one unit of pts
    frames: int  # that the clip has; of a file that was cut short, that it once had
    pts: np.ndarray = field(compare=False, repr=False)  # (held,) int64, in order: one for each frame that is there
    is_variable_rate: bool
    container: str  # FFmpeg's name of the demuxer
    codec: str
    profile: str | None
    bit_rate: int | None  # of the video stream, bits a second
    is_intra_only: bool  # every frame can be decoded by itself
    sample_aspect: Fraction | None
    rotation: int  # degrees counterclockwise that a player turns the picture by
    field_order: Literal["progressive", "top", "bottom"]  # the field that is shown first
    timecode: str | None  # of the first frame
    tags: ColourTags
    matrix: Literal["bt601", "bt709", "bt2020", "rgb"]  # to compute with
    full_range: bool  # to compute with
    siting: Literal["left", "center", "topleft"]  # of the chroma samples, to compute with
    stream: int  # index of the video stream in the file
    streams: tuple[OtherStream, ...]  # all the others
    is_image_sequence: bool

    @property
    def whole(self) -> FrameRange:
        return FrameRange(0, self.frames)

    @property
    def held(self) -> int:
        """Frames that are there; fewer than `frames` where the file was cut short."""
        return len(self.pts)


@dataclass
class Frame:
    """One decoded picture. It is the reader's own: what is written into it reaches no other frame."""

    index: int  # source frame
    pts: int
    time_base: Fraction
    av: av.VideoFrame
    layout: Layout
    is_corrupt: bool  # the decoder had to guess parts of it

    @cached_property
    def views(self) -> list[np.ndarray]:
        """Writeable views of the samples: colour planes first, then alpha."""
        self.av.make_writable()  # the decoder still predicts from this picture
        return planes.views(self.av, self.layout)


class Clip:
    """An open clip. Any number of `frames` iterators may run at a time: each reads the file by itself."""

    def __init__(self, info: ClipInfo, packets: _Packets) -> None:
        self.info = info
        self._packets = packets

    def frames(self, source_range: FrameRange | None = None) -> Iterator[Frame]:
        """The frames of the range, each exactly once and in order; all by default.

        Raises MediaError: "truncated" where the file ends before the range does, "corrupt" at a frame that cannot
        be decoded, "changes" where the size or pixel format changes.
        """
        wanted = self.info.whole if source_range is None else source_range
        if wanted.stop > self.info.frames:
            raise MediaError(
                f"{self.info.path}: frames {wanted.start}:{wanted.stop} are asked for, but it has {self.info.frames}",
                code="range",
                hint="Shorten the range.",
            )
        due = wanted.start
        if not wanted:
            return
        for index, picture in self._from(due):
            if index > due:
                raise self._missing(due)
            yield self._frame(index, picture)
            due += 1
            if due == wanted.stop:
                return
        raise self._missing(due)

    def _from(self, start: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decoded pictures from frame `start` on, entering at the nearest key frame that leads there."""
        for entry in self._packets.entries(start):
            decoded = self._decode(entry)
            for index, picture in decoded:
                if index < start:
                    continue
                if index > start and entry is not None:
                    break  # this key frame does not lead there: enter earlier
                yield index, picture
                yield from decoded
                return

    def _decode(self, entry: int | None) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decoded pictures with their frame numbers from the key frame of pts `entry` on; None is the file's start."""
        pts, due = self._packets.pts, 0
        with _open(self.info.path) as (container, stream):
            if entry is not None:
                container.seek(entry, stream=stream, backward=True)
            for picture in _pictures(container, stream, from_key=entry is not None):
                if self._packets.is_counted:
                    index = due
                else:
                    if picture.pts is None:
                        continue
                    index = max(due, bisect.bisect_left(pts, picture.pts))
                    if index == len(pts) or pts[index] != picture.pts:
                        continue
                due = index + 1
                if index < len(pts):
                    yield index, picture

    def _frame(self, index: int, picture: av.VideoFrame) -> Frame:
        layout = self.info.layout
        if (picture.format.name, picture.width, picture.height) != (layout.pix_fmt, layout.width, layout.height):
            raise MediaError(
                f"{self.info.path} changes at frame {index} from {layout.width}x{layout.height} {layout.pix_fmt}"
                f" to {picture.width}x{picture.height} {picture.format.name}",
                code="changes",
                hint=f"Clean the parts one by one: --range 0:{index}, or render the clip anew.",
            )
        pts = int(self.info.pts[index])
        return Frame(index, pts, self.info.time_base, picture, layout, picture.is_corrupt)

    def _missing(self, due: int) -> MediaError:
        info = self.info
        if due >= info.held:
            return MediaError(
                f"{info.path} is cut short: it holds {info.held} of its {info.frames} frames",
                code="truncated",
                hint=f"Get the whole file, or clean what is there with --range 0:{info.held}.",
            )
        return MediaError(
            f"{info.path}: frame {due} cannot be decoded, the file is damaged there",
            code="corrupt",
            hint="Get a sound copy of the file, or leave that frame out with --range.",
        )


@contextmanager
def open_clip(path: str | os.PathLike[str]) -> Iterator[Clip]:
    """Opens a media file, an image, or a numbered sequence such as shot_%04d.png or shot_####.png."""
    yield _probe(os.fspath(path))


def fingerprint(path: str | os.PathLike[str]) -> str:
    """A fingerprint of the file's content: SHA-256 over its size and a MiB each of its head, middle and tail."""
    part = 1 << 20
    size = os.path.getsize(path)
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        for place in sorted({0, max(0, size // 2 - part // 2), max(0, size - part)}):
            file.seek(place)
            digest.update(file.read(part))
    return digest.hexdigest()


@dataclass
class _Packets:
    """What the packets tell without being decoded."""

    pts: list[int]  # of the shown frames, in order
    keys: list[int]  # pts of the key frames, in order
    size_bytes: int
    is_counted: bool  # the packets bear no pts: frames are told apart by counting from the file's start

    def entries(self, start: int) -> Iterator[int | None]:
        """Where to enter the stream so as to reach frame `start`, best first; None is the file's start."""
        if not self.is_counted and start < len(self.pts):
            before = bisect.bisect_right(self.keys, self.pts[start])
            yield from self.keys[max(1, before - 2) : before][::-1]
        yield None


@contextmanager
def _open(path: str) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    with av.open("file:" + path, metadata_errors="replace") as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for other in container.streams:
            if other is not stream:
                other.discard = "all"
        yield container, stream


def _pictures(
    container: av.container.InputContainer, stream: av.VideoStream, *, from_key: bool
) -> Iterator[av.VideoFrame]:
    """Every picture that the decoder gives, going on after packets that it refuses."""
    for packet in container.demux(stream):
        if from_key and packet.size and not packet.is_keyframe:
            continue
        from_key = False
        try:
            pictures = packet.decode()
        except av.FFmpegError:
            continue
        yield from pictures


def _probe(path: str) -> Clip:
    with _open(path) as (container, stream):
        context = stream.codec_context
        tags = ColourTags(context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        layout = planes.layout_of(context.pix_fmt or "none", context.width, context.height)
        packets = _read_packets(container, stream)
        pts = np.asarray(packets.pts, np.int64)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        seconds = float(len(pts) / rate)
        matrix = _matrix(tags, layout)
        info = ClipInfo(
            path=path,
            layout=layout,
            rate=Fraction(rate),
            time_base=stream.time_base or Fraction(1, 1000),
            frames=len(pts),
            pts=pts,
            is_variable_rate=False,
            container=container.format.name,
            codec=context.name,
            profile=context.profile,
            bit_rate=round(packets.size_bytes * 8 / seconds) if seconds else None,
            is_intra_only=len(packets.keys) == len(pts),
            sample_aspect=stream.sample_aspect_ratio or None,
            rotation=0,
            field_order="progressive",
            timecode=stream.metadata.get("timecode") or container.metadata.get("timecode"),
            tags=tags,
            matrix=matrix,
            full_range=tags.range == 2 or layout.is_rgb or "j" in layout.pix_fmt,
            siting="left",
            stream=stream.index,
            streams=tuple(
                OtherStream(other.index, other.type, getattr(other.codec_context, "name", "") or "")
                for other in container.streams
                if other is not stream
            ),
            is_image_sequence=False,
        )
    return Clip(info, packets)


def _matrix(tags: ColourTags, layout: Layout) -> Literal["bt601", "bt709", "bt2020", "rgb"]:
    if layout.is_rgb:
        return "rgb"
    if tags.matrix in (9, 10, 14) or (tags.matrix == 2 and tags.primaries == 9):
        return "bt2020"
    if tags.matrix in (4, 5, 6):
        return "bt601"
    if tags.matrix == 2 and layout.height < 720 and layout.width < 1280:
        return "bt601"
    return "bt709"


def _read_packets(container: av.container.InputContainer, stream: av.VideoStream) -> _Packets:
    pts: list[int] = []
    keys: list[int] = []
    size = 0
    for packet in container.demux(stream):
        if not packet.size or packet.is_discard or packet.pts is None:
            continue
        size += packet.size
        pts.append(packet.pts)
        if packet.is_keyframe:
            keys.append(packet.pts)
    return _Packets(sorted(pts), sorted(keys), size, False)
