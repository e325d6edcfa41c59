"""Frames in, finished file out: segments that survive a kill, joined without loss, renamed when complete.

`open_output` writes the cleaned clip, `VideoWriter` a video of pictures beside it, `copy_untouched` gives a clip
back as it was.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from . import images, mux, streams
from .decode import ClipInfo, Frame, fingerprint
from .encoders import Notice, Wish, choose, muxer_of
from .errors import JobError, MediaError
from .hdr import DYNAMIC, Hdr, hdr_of
from .pixels import LIMITED, Converter
from .segments import Encoder, Segments, check_writable
from .timing import FrameRange

COPYABLE = ("prores", "dnxhd")  # in a .mov, untouched packets and new ones make one stream


class Output:
    """The cleaned clip while it is written. Use it as a context manager and call `finish` at the end.

    `warnings` holds (code, text) of everything that the output cannot keep as the source has it.
    """

    def __init__(self, wish: Wish, source_range: FrameRange, work: Path, first: int) -> None:
        like = wish.like
        encoder, self.warnings = choose(wish)
        self._path, self._like, self._range, self._encoder, self._hdr = wish.path, like, source_range, encoder, wish.hdr
        self.warnings += mux.alpha_notices(like)
        if wish.muxer is None:
            self._files = images.names(wish.path, like, source_range)
        else:
            self._others = streams.others_for(like, wish.muxer, encoder.add_to)
            self.warnings += (
                self._others.notices + mux.timing_notices(like, wish.muxer) + mux.aspect_notices(like, wish.muxer)
            )
            if wish.hdr and not _keeps_hdr(encoder, wish.muxer):
                self.warnings.append(("hdr-metadata", f"{encoder.name} in {wish.path.suffix} keeps no HDR metadata"))
        self._change = Converter(
            like.layout,
            encoder.pix_fmt,
            matrix=like.matrix,
            is_full=like.full_range,
            to_limited=encoder.colour_range == LIMITED,
        )
        self._segments = Segments(work, encoder, key=_key(like, source_range), first=first)
        self._due = self._segments.next_frame
        self._shift = mux.shift_of(like, source_range, wish.muxer)
        self._originals: mux.Originals | None = None
        if _copies_packets(wish, encoder):
            self._originals = mux.Originals(like, self._due)

    @property
    def next_frame(self) -> int:
        """The first source frame that is not yet safely stored."""
        return self._segments.next_frame

    def write(self, frame: Frame, *, changed: bool) -> None:
        """Takes the next frame of the range; its picture belongs to the output from here on.

        `changed`: the frame was patched. If not, the source's own packet may go into the output.
        """
        assert frame.index == self._due, f"frame {self._due} is due, not {frame.index}"
        pts = frame.pts - self._shift
        if self._originals is not None and not changed:
            self._segments.copy(self._originals(frame.pts), pts)
        else:
            self._segments.write(self._change(frame.av), pts)
        self._due += 1

    def cut(self) -> None:
        """Ends the segment: everything written so far survives a kill."""
        self._segments.cut()

    def finish(self) -> None:
        """Joins the segments, adds the source's other streams, and lets the file appear."""
        self.cut()
        assert self._due == self._range.stop, f"frames {self._due} to {self._range.stop} are missing"
        pieces = self._segments.pieces(step=_step(self._like))
        if images.is_pictures(self._path):
            images.write(self._files, (piece.data for piece in pieces))
        else:
            mux.join(
                self._path,
                pieces,
                self._encoder,
                time_base=self._like.time_base,
                source=mux.Source(self._like, self._range, self._others, self._hdr),
            )
        self._segments.remove()

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._segments.close()
        if self._originals is not None:
            self._originals.close()


def open_output(
    path: str | Path,
    like: ClipInfo,
    *,
    source_range: FrameRange,
    codec: str,
    hardware: bool,
    quality: str,
    work: Path,
    first: int | None = None,
) -> Output:
    """Begins, or goes on with, the cleaned clip of the frames `source_range` of `like`.

    `first`: the frame to begin at where another run writes what is before it. `work`: folder for the segments, used by
    this output alone. Raises JobError when the request cannot be met, MediaError when the place cannot be written to.
    """
    path = Path(path)
    check_place(path, like)
    hdr, notices = _hdr(like, source_range)
    wish = Wish(like, path, codec, quality, hardware, hdr)
    output = Output(wish, source_range, work, source_range.start if first is None else first)
    output.warnings += notices
    return output


class VideoWriter:
    """A video of numpy pictures beside the clip: lossless in .mkv, H.264 in .mp4, ProRes in .mov.

    Pictures are (H, W) uint8 where `grey`, else (H, W, 3) uint8 RGB; `size` is their width and height. There is one
    for each frame of `source_range` of `like`, shown when the output shows that frame; from `first` on where another
    run writes what is before it. Segments are kept in `work`, which belongs to this video alone.
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
        first: int | None = None,
    ) -> None:
        self._path, self._like, self._range = Path(path), like, source_range
        self._format = "gray" if grey else "rgb24"
        check_place(self._path, like)
        self._encoder = _picture_encoder(self._path, size, like.rate, self._format)
        self._shift = mux.shift_of(like, source_range, muxer_of(self._path))
        begin = source_range.start if first is None else first
        self._segments = Segments(work, self._encoder, key=_key(like, source_range), first=begin)

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
        self._segments.write(made, frame.pts - self._shift)

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


def copy_untouched(path: str | Path, like: ClipInfo, source_range: FrameRange) -> list[Notice] | None:
    """Gives the clip back as it was, nothing encoded. None where that cannot be done: then encode it.

    The same kind of file is copied byte for byte, another kind gets the same packets: told is what it cannot keep.
    """
    path = Path(path)
    check_place(path, like)
    if like.is_image_sequence:
        if path.suffix.lower() != Path(like.path).suffix.lower():
            return None
        images.copy(images.names(path, like, source_range), like, source_range)
        return []
    if source_range != like.whole or like.held != like.frames:
        return None
    if path.suffix.lower() == Path(like.path).suffix.lower():
        mux.copy_file(Path(like.path), path)
        return []
    return None if images.is_pictures(path) else mux.remux(path, like)


def check_place(path: Path, like: ClipInfo) -> None:
    """Raises before any work is done when `path` cannot become the output of `like`."""
    if path.exists() and os.path.exists(like.path) and os.path.samefile(path, like.path):
        raise JobError(
            f"the output {path} is the source itself",
            code="output-is-source",
            hint="AutoWipe never writes over its source; choose another name.",
        )
    if path.is_dir():
        raise MediaError(f"{path} is a folder", code="output-is-folder", hint="Name a file in it.")
    if not path.parent.is_dir():
        raise MediaError(
            f"the folder {path.parent} does not exist", code="no-folder", hint="Make it, or choose another place."
        )
    check_writable(path)


def _copies_packets(wish: Wish, encoder: Encoder) -> bool:
    return (
        wish.codec == "auto"
        and wish.like.codec in COPYABLE
        and encoder.name == wish.like.codec
        and "mov" in wish.like.container
        and muxer_of(wish.path) == "mov"
    )


def _hdr(like: ClipInfo, source_range: FrameRange) -> tuple[Hdr, list[Notice]]:
    """Static HDR metadata of the source, and a notice where it has dynamic metadata, which is lost."""
    if max(plane.bits for plane in like.layout.planes) < 10 or like.is_image_sequence:
        return Hdr(), []
    side_data = mux.side_data_of(like)
    found = sorted({data.type.name for data in side_data} & set(DYNAMIC))
    lost = f"dynamic HDR metadata ({', '.join(found).lower()}) is not kept"
    return hdr_of(side_data), [("hdr-metadata", lost)] if found else []


def _keeps_hdr(encoder: Encoder, muxer: str) -> bool:
    return muxer in ("mp4", "mov") or encoder.name in ("libx264", "libx265", "libsvtav1")


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
        options = {"preset": "superfast", "crf": "14", "flags": "+global_header"}
    elif muxer in ("matroska", "nut", "avi"):
        name, target = "ffv1", "gray" if pix_fmt == "gray" else "bgr0"
        options = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}
    else:
        raise JobError(
            f"{path.name}: pictures are not written into a {path.suffix} file",
            code="output-suffix",
            hint="End the name in .mkv (lossless), .mp4 or .mov.",
        )
    is_yuv = target.startswith("yuv")
    return Encoder(
        name,
        target,
        size,
        rate,
        tuple(sorted(options.items())),
        primaries=1 if is_yuv else 2,
        transfer=1 if is_yuv else 2,
        matrix=1 if is_yuv else 2,
        colour_range=LIMITED if is_yuv else 0,
        is_intra=name != "libx264",
    )
