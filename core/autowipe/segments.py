"""Encoding in segments that survive a kill: each is an encoder run of its own, kept as plain packets and an index.

A run writes `<frame>.packets` (the packets' bytes, one after the other) and, when a segment is cut, the index
`<frame>.json`. A segment exists once its index does; whatever else a killed run left is thrown away. Frames go
into the encoder with their number as time stamp, so that any rate control and any irregular timing works; the
true time stamps are kept in the index and put on when the segments are joined.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
from av.video.codeccontext import VideoCodecContext

from .errors import AutoWipeError, MediaError, said

_INDEX_VERSION = 1
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Encoder:
    """Everything that an encoder is opened with; equal values give equal packets."""

    name: str  # FFmpeg's encoder, such as libx264
    pix_fmt: str
    size: tuple[int, int]  # width, height in px
    rate: Fraction  # nominal, frames per second
    options: tuple[tuple[str, str], ...] = ()
    primaries: int = 2  # the four tags by their numbers in ITU-T H.273, 2 = not said
    transfer: int = 2
    matrix: int = 2
    colour_range: int = 0  # 0 not said, 1 limited, 2 full
    sample_aspect: Fraction | None = None
    field_order: int = 0  # FFmpeg's AVFieldOrder: 0 not said, 1 progressive, 2 top first, 3 bottom first
    is_intra: bool = False  # every packet stands alone

    def open(self) -> VideoCodecContext:
        """A fresh encoder. Raises av.error.FFmpegError when the encoder refuses."""
        context = av.CodecContext.create(self.name, "w")
        assert isinstance(context, VideoCodecContext)
        self._set_up(context)
        context.open()
        return context

    def add_to(self, container: av.container.OutputContainer) -> av.VideoStream:
        """A stream in `container` with what this encoder says of its packets."""
        stream = container.add_stream(self.name, rate=self.rate)
        assert isinstance(stream, av.VideoStream)
        self._set_up(stream.codec_context)
        return stream

    def _set_up(self, context: VideoCodecContext) -> None:
        context.width, context.height = self.size
        context.pix_fmt = self.pix_fmt
        context.framerate = self.rate
        context.time_base = 1 / self.rate
        context.color_primaries, context.color_trc = self.primaries, self.transfer
        context.colorspace, context.color_range = self.matrix, self.colour_range
        if self.sample_aspect:
            context.sample_aspect_ratio = self.sample_aspect
        context.field_order = self.field_order
        context.options = dict(self.options)
        context.thread_type = "AUTO"  # whole frames where it can: slices wait for each other


@dataclass(frozen=True)
class Piece:
    """One packet of a joined stream."""

    data: bytes
    pts: int
    dts: int
    duration: int
    is_key: bool


class Segments:
    """The segments of one stream in a folder, in order from frame `first` on.

    `key` says what the packets depend on; segments made under another key are discarded.
    """

    def __init__(self, folder: Path, encoder: Encoder, *, key: str, first: int) -> None:
        self.encoder, self._folder, self._first = encoder, folder, first
        self._key = _full_key(encoder, key)
        self._context: VideoCodecContext | None = None
        self._payload: IO[bytes] | None = None
        self._entries: list[tuple[int, int, int, int]] = []  # frame in the segment, offset, bytes, key
        self._pts: list[int] = []
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._starts, self._stop = self._take_up()

    @property
    def next_frame(self) -> int:
        """The first frame that is not in a finished segment."""
        return self._stop

    def write(self, frame: av.VideoFrame, pts: int) -> None:
        """Encodes the next frame; the frame belongs to the encoder from here on."""
        frame.pts, frame.time_base = len(self._pts), 1 / self.encoder.rate
        frame.pict_type = 0
        self._pts.append(pts)
        try:
            if self._context is None:
                self._context = self.encoder.open()
            self._keep(self._context.encode(frame))
        except av.error.FFmpegError as err:
            raise self._failed(err) from err

    def copy(self, data: bytes, pts: int) -> None:
        """Takes a finished packet of an intra-only stream as the next frame."""
        assert self.encoder.is_intra
        self._pts.append(pts)
        self._store(len(self._pts) - 1, data, True)

    def cut(self) -> None:
        """Ends the segment: when this returns, everything written so far survives a kill."""
        if not self._pts:
            return
        if self._context is not None:
            try:
                self._keep(self._context.encode(None))
            except av.error.FFmpegError as err:
                raise self._failed(err) from err
            self._context = None
        if sorted(entry[0] for entry in self._entries) != list(range(len(self._pts))):
            raise MediaError(
                f"the encoder {self.encoder.name} gave {len(self._entries)} packets for {len(self._pts)} frames",
                code="encoder",
                hint="Choose another codec with --codec.",
            )
        if self.encoder.is_intra:
            self._entries.sort()
        assert self._payload is not None
        start, stop = self._stop, self._stop + len(self._pts)
        body = {"stop": stop, "pts": self._pts, "packets": self._entries}
        with _writing(self._folder):
            _close_safely(self._payload)
            _write_safely(self._folder / f"{start:08d}.json", json.dumps(body, separators=(",", ":")))
        self._payload, self._entries, self._pts = None, [], []
        self._starts.append(start)
        self._stop = stop

    def close(self) -> None:
        """Gives up the segment begun, keeps the finished ones."""
        self._context = None
        if self._payload is not None:
            with contextlib.suppress(OSError):
                self._payload.close()
            self._payload = None

    def remove(self) -> None:
        """Deletes all segments and the folder."""
        self.close()
        _sweep(self._folder, keep=set())
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def pieces(self, *, step: int) -> Iterator[Piece]:
        """The packets of all finished segments in decoding order, with the time stamps of one whole stream.

        A packet's dts is the pts of the frame shown `depth` frames before its place, `depth` being the deepest
        reordering in any segment: the smallest delay with which no frame is shown before it is decoded.
        `step` is the nominal distance of two frames.
        """
        pts, depth = array("q"), 0
        for start in self._starts:
            body = self._index(start)
            pts.extend(body["pts"])
            depth = max([depth, *(place - entry[0] for place, entry in enumerate(body["packets"]))])
        for start in self._starts:
            base = start - self._first
            with _writing(self._folder), (self._folder / f"{start:08d}.packets").open("rb") as payload:
                for place, (frame, offset, size, key) in enumerate(self._index(start)["packets"], base):
                    payload.seek(offset)
                    data = payload.read(size)
                    if len(data) != size:
                        raise MediaError(
                            f"{payload.name} is shorter than its index says",
                            code="segments",
                            hint="Run it again without --resume.",
                        )
                    shown, decoded = base + frame, place - depth
                    dts = pts[decoded] if decoded >= 0 else pts[0] + decoded * step
                    after = pts[shown + 1] - pts[shown] if shown + 1 < len(pts) else step
                    yield Piece(data, pts[shown], dts, after, bool(key))

    def _take_up(self) -> tuple[list[int], int]:
        """Finds the finished segments that fit and where they end; deletes everything else."""
        starts: list[int] = []
        stop = self._first
        settings = self._folder / "settings.json"
        try:
            fits = settings.read_text(encoding="utf-8") == self._key
        except (OSError, UnicodeDecodeError):
            fits = False
        while fits:
            try:
                body = self._index(stop)
                whole = (self._folder / f"{stop:08d}.packets").stat().st_size
            except (OSError, ValueError):
                break
            if whole != sum(entry[2] for entry in body["packets"]) or body["stop"] <= stop:
                break
            starts.append(stop)
            stop = body["stop"]
        kept = {f"{start:08d}{end}" for start in starts for end in (".json", ".packets")}
        _sweep(self._folder, keep=kept | {settings.name})
        if not fits:
            _write_safely(settings, self._key)
        return starts, stop

    def _index(self, start: int) -> dict[str, Any]:
        body: dict[str, Any] = json.loads((self._folder / f"{start:08d}.json").read_text(encoding="utf-8"))
        return body

    def _keep(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            assert packet.pts is not None
            self._store(packet.pts, bytes(packet), packet.is_keyframe)

    def _store(self, frame: int, data: bytes, is_key: bool) -> None:
        with _writing(self._folder):
            if self._payload is None:
                self._payload = (self._folder / f"{self._stop:08d}.packets").open("wb")
            self._entries.append((frame, self._payload.tell(), len(data), int(is_key)))
            self._payload.write(data)

    def _failed(self, err: av.error.FFmpegError) -> MediaError:
        frame = self._stop + len(self._pts) - 1
        return MediaError(
            f"the encoder {self.encoder.name} failed at frame {frame}: {said(err)}",
            code="encoder",
            hint="Choose another codec with --codec, or leave out --encoder hardware.",
        )


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turns the system's complaints about `path` into MediaError with what to do; av's own errors too."""
    try:
        yield
    except AutoWipeError:
        raise
    except OSError as err:
        raise disk_fault(err, path) from err


def disk_fault(err: OSError, path: Path) -> MediaError:
    """The MediaError for a failed write below or at `path`."""
    number = err.errno
    if number in _DISK_FULL:
        return MediaError(
            f"no space is left for {path}",
            code="disk-full",
            hint="Free space on that disk, then run it again with --resume.",
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return MediaError(
            f"{path} may not be written here",
            code="no-permission",
            hint="Choose a folder that you may write to.",
        )
    if number in (errno.ENOENT, errno.ENOTDIR):
        return MediaError(
            f"the folder {path.parent} does not exist", code="no-folder", hint="Make it, or choose another name."
        )
    return MediaError(f"{path} cannot be written: {said(err)}", code="write", hint="Choose another place.")


def check_writable(path: Path) -> None:
    """Raises MediaError where no working file can be made for `path`: no right, no room, too long a name."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}.autowipe-part", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        os.unlink(name)
    except OSError as err:
        raise disk_fault(err, path) from err


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder durable, where the system has a way to say so."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _full_key(encoder: Encoder, key: str) -> str:
    libraries = {name: list(version) for name, version in sorted(av.library_versions.items())}
    return json.dumps({"version": _INDEX_VERSION, "encoder": repr(encoder), "libraries": libraries, "key": key})


def _close_safely(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()


def _write_safely(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    sync_folder(path.parent)


def _sweep(folder: Path, keep: set[str]) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in keep and path.suffix in (".json", ".packets", ".part"):
            with contextlib.suppress(OSError):
                path.unlink()
