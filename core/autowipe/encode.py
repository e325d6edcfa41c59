"""Frames in, finished file out: segments that survive a kill, joined without loss, renamed when complete.

`open_output` writes the cleaned clip, `VideoWriter` a video of pictures beside it, `copy_untouched` gives a clip
back as it was.
"""

from __future__ import annotations

import os
import tempfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from . import mux
from .decode import ClipInfo, Frame, fingerprint
from .encoders import Notice, choose, muxer_of
from .errors import JobError, MediaError
from .planes import layout_of, views
from .segments import Encoder, Segments, disk_fault
from .timing import FrameRange


class Output:
    """The cleaned clip while it is written. Use it as a context manager and call `finish` at the end.

    `warnings` holds (code, text) of everything that the output cannot keep as the source has it.
    """

    def __init__(
        self, path: Path, like: ClipInfo, source_range: FrameRange, encoder: Encoder, work: Path, warnings: list[Notice]
    ) -> None:
        self.warnings = warnings
        self._path, self._like, self._range, self._encoder = path, like, source_range, encoder
        self._others = mux.others_for(like, muxer_of(path))
        warnings += self._others.notices
        self._change = _Converter(like, encoder)
        self._segments = Segments(work, encoder, key=_key(like, source_range), first=source_range.start)
        self._due = self._segments.next_frame

    @property
    def next_frame(self) -> int:
        """The first source frame that is not yet safely stored."""
        return self._segments.next_frame

    def write(self, frame: Frame, *, changed: bool) -> None:
        """Takes the next frame of the range; its picture belongs to the output from here on."""
        assert frame.index == self._due, f"frame {self._due} is due, not {frame.index}"
        self._segments.write(self._change(frame.av), frame.pts - mux.shift_of(self._like, self._range))
        self._due += 1

    def cut(self) -> None:
        """Ends the segment: everything written so far survives a kill."""
        self._segments.cut()

    def finish(self) -> None:
        """Joins the segments, adds the source's other streams, and lets the file appear."""
        self.cut()
        if self._due != self._range.stop:
            raise MediaError(
                f"{self._path}: frames {self._due} to {self._range.stop} are missing",
                code="short",
                hint="Run it again.",
            )
        mux.join(
            self._path,
            self._segments.pieces(step=_step(self._like)),
            self._encoder,
            time_base=self._like.time_base,
            like=self._like,
            source_range=self._range,
            others=self._others,
        )
        self._segments.remove()

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._segments.close()


def open_output(
    path: str | Path,
    like: ClipInfo,
    *,
    source_range: FrameRange,
    codec: str,
    hardware: bool,
    quality: str,
    work: Path,
) -> Output:
    """Begins, or goes on with, the cleaned clip of the frames `source_range` of `like`.

    `work`: folder for the segments, used by this output alone. Raises JobError when the request cannot be met,
    MediaError when the place cannot be written to.
    """
    path = Path(path)
    check_place(path, like)
    encoder, warnings = choose(like, path, codec=codec, hardware=hardware, quality=quality)
    return Output(path, like, source_range, encoder, work, warnings)


class VideoWriter:
    """A video of numpy pictures beside the clip: lossless in .mkv, H.264 in .mp4, ProRes in .mov.

    Pictures are (H, W) uint8 where `grey`, else (H, W, 3) uint8 RGB; `size` is their width and height. There is one
    for each frame of `source_range` of `like`, shown when the output shows that frame. Segments are kept in `work`,
    which belongs to this video alone.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        *,
        like: ClipInfo,
        source_range: FrameRange,
        grey: bool,
        work: Path,
    ) -> None:
        self._path, self._like, self._range = Path(path), like, source_range
        self._format = "gray" if grey else "rgb24"
        check_place(self._path, like)
        self._encoder = _picture_encoder(self._path, size, like.rate, self._format)
        self._segments = Segments(work, self._encoder, key=_key(like, source_range), first=source_range.start)

    @property
    def next_frame(self) -> int:
        """The first frame that is not yet safely stored."""
        return self._segments.next_frame

    def write(self, picture: np.ndarray, frame: Frame) -> None:
        """Takes the picture that belongs to the next frame of the range."""
        made = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=self._format)
        if self._encoder.pix_fmt != self._format:
            is_rgb = self._encoder.pix_fmt == "bgr0"
            made = made.reformat(format=self._encoder.pix_fmt, dst_colorspace=None if is_rgb else "ITU709")
        self._segments.write(made, frame.pts - mux.shift_of(self._like, self._range))

    def cut(self) -> None:
        """Ends the segment: everything written so far survives a kill."""
        self._segments.cut()

    def finish(self) -> None:
        """Joins the segments and lets the file appear."""
        self.cut()
        pieces = self._segments.pieces(step=_step(self._like))
        mux.join(self._path, pieces, self._encoder, time_base=self._like.time_base)
        self._segments.remove()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._segments.close()


def copy_untouched(path: str | Path, like: ClipInfo, source_range: FrameRange) -> bool:
    """Gives the clip back as it was, without encoding. False where that cannot be done: then encode it."""
    path = Path(path)
    check_place(path, like)
    if source_range != like.whole or path.suffix.lower() != Path(like.path).suffix.lower() or like.is_image_sequence:
        return False
    mux.copy_file(Path(like.path), path)
    return True


def check_place(path: Path, like: ClipInfo | None) -> None:
    """Raises before any work is done when `path` cannot become the output of `like`."""
    if like is not None and path.exists() and os.path.exists(like.path) and os.path.samefile(path, like.path):
        raise JobError(
            f"the output {path} is the source itself",
            code="output-is-source",
            hint="AutoWipe never writes over its source; choose another name.",
        )
    if path.is_dir():
        raise MediaError(f"{path} is a folder", code="output-is-folder", hint="Name a file.")
    if not path.parent.is_dir():
        raise MediaError(f"the folder {path.parent} does not exist", code="no-folder", hint="Make it first.")
    try:
        handle, name = tempfile.mkstemp(prefix=".autowipe-", dir=path.parent)
        os.close(handle)
        os.unlink(name)
    except OSError as err:
        raise disk_fault(err, path) from err


def _key(like: ClipInfo, source_range: FrameRange) -> str:
    return f"{fingerprint(like.path)} {source_range.start}:{source_range.stop}"


def _step(like: ClipInfo) -> int:
    """Nominal distance of two frames in units of the clip's time base."""
    return max(1, round(1 / (like.rate * like.time_base)))


def _picture_encoder(path: Path, size: tuple[int, int], rate: Fraction, pix_fmt: str) -> Encoder:
    muxer = muxer_of(path)
    if muxer == "mov":
        name, target, options = "prores", "yuv422p10le", {"profile": "3"}
    elif muxer == "mp4":
        name, target = "libx264", "yuv444p" if size[0] % 2 or size[1] % 2 else "yuv420p"
        options = {"preset": "veryfast", "crf": "16", "flags": "+global_header"}
    elif muxer in ("matroska", "nut", "avi"):
        name, target = "ffv1", "gray" if pix_fmt == "gray" else "bgr0"
        options = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}
    else:
        raise JobError(
            f"{path.name}: pictures are not written into a {path.suffix} file",
            code="output-suffix",
            hint="End the name in .mkv (lossless), .mp4 or .mov.",
        )
    tags = (1, 1, 1, 1) if target.startswith("yuv") else (2, 2, 2, 2 if target == "gray" else 0)
    return Encoder(
        name,
        target,
        size,
        rate,
        tuple(sorted(options.items())),
        *tags,
        is_intra=name != "libx264",
    )


class _Converter:
    """Brings decoded pictures into the encoder's pixel format; samples stay exact wherever the format can hold them."""

    def __init__(self, like: ClipInfo, encoder: Encoder) -> None:
        self._source = like.layout
        self._target = layout_of(encoder.pix_fmt, *encoder.size)
        self._full, self._becomes_limited = like.full_range, encoder.colour_range == 1
        shifts = {plane.role: (plane.shift_x, plane.shift_y) for plane in self._source.planes}
        self._is_repack = self._source.is_rgb <= self._target.is_rgb and all(
            shifts.get(plane.role, (plane.shift_x, plane.shift_y)) == (plane.shift_x, plane.shift_y)
            and plane.bits >= min(p.bits for p in self._source.planes)
            for plane in self._target.planes
        )
        self._is_scaled = like.full_range and not self._source.is_rgb and self._becomes_limited

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        if frame.format.name == self._target.pix_fmt and not self._is_scaled:
            return frame
        if self._is_repack and not self._is_scaled:
            return self._repacked(frame)
        if frame.format.name.startswith("yuvj"):
            frame = self._relabelled(frame)
        full, limited = 2, 1
        return frame.reformat(
            format=self._target.pix_fmt,
            src_color_range=full if self._full else limited,
            dst_color_range=full if self._full and not self._is_scaled else limited,
        )

    def _repacked(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The same samples in another memory order, deeper ones shifted up; what was not there is grey or opaque."""
        new = _blank_like(frame, self._target.pix_fmt)
        given = dict(zip((plane.role for plane in self._source.planes), self._source.planes, strict=True))
        pictures = dict(zip(given, views(frame, self._source), strict=True))
        for plane, view in zip(self._target.planes, views(new, self._target), strict=True):
            role = plane.role if plane.role in given else "Y" if plane.role in "RGB" else None
            if role is None:
                view[...] = (2**plane.bits - 1 if plane.role == "A" else 2 ** (plane.bits - 1)) << plane.low
                continue
            codes = pictures[role] >> given[role].low if given[role].low else pictures[role]
            view[...] = codes.astype(view.dtype, copy=False) << (plane.bits - given[role].bits + plane.low)
        return new

    def _relabelled(self, frame: av.VideoFrame) -> av.VideoFrame:
        new = _blank_like(frame, frame.format.name.replace("yuvj", "yuv"))
        for view, old in zip(views(new, self._source), views(frame, self._source), strict=True):
            view[...] = old
        return new


def _blank_like(frame: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    new = av.VideoFrame(frame.width, frame.height, pix_fmt)
    new.color_range, new.colorspace = frame.color_range, frame.colorspace
    new.color_primaries, new.color_trc = frame.color_primaries, frame.color_trc
    return new
