"""A frame's own sample planes: their layout, writeable views, crops, and conversions for those who must look.

Values outside this file are the stream's own integers, or float32 "levels": code / 2**(bits - 8), so that 8-bit
material keeps its numbers (limited-range black 16, white 235) and deeper material gains decimals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .errors import MediaError
from .job import Box

if TYPE_CHECKING:
    import av


@dataclass(frozen=True)
class Plane:
    """One component of a pixel format."""

    role: str  # Y U V, R G B, or A
    shift_x: int  # log2 of its horizontal subsampling
    shift_y: int
    bits: int  # significant bits of a sample
    low: int = 0  # unused bits below them: p010 keeps its 10 bits at the top of 16


@dataclass(frozen=True)
class Layout:
    """Pixel format and size of a clip. `planes` holds the colour components first, then alpha if any."""

    pix_fmt: str
    width: int
    height: int
    planes: tuple[Plane, ...]

    @property
    def colour(self) -> tuple[Plane, ...]:
        return tuple(plane for plane in self.planes if plane.role != "A")

    @property
    def is_rgb(self) -> bool:
        return self.planes[0].role == "R"

    @property
    def field(self) -> Layout:
        """The layout of the top field; the bottom field of an odd height is a line shorter."""
        return replace(self, height=(self.height + 1) // 2)

    def align(self, box: Box) -> Box:
        """The smallest box around `box` on the chroma grid, cut to the picture (whose right and bottom edge may be odd)."""
        gx, gy = 1 << max(p.shift_x for p in self.planes), 1 << max(p.shift_y for p in self.planes)
        x0, y0 = max(0, box[0] // gx * gx), max(0, box[1] // gy * gy)
        x1 = min(self.width, -(-(box[0] + box[2]) // gx) * gx)
        y1 = min(self.height, -(-(box[1] + box[3]) // gy) * gy)
        return (x0, y0, max(0, x1 - x0), max(0, y1 - y0))

    def plane_box(self, box: Box, plane: Plane) -> Box:
        """An aligned box in the samples of `plane`."""
        x0, y0 = box[0] >> plane.shift_x, box[1] >> plane.shift_y
        x1, y1 = -((-(box[0] + box[2])) >> plane.shift_x), -((-(box[1] + box[3])) >> plane.shift_y)
        return (x0, y0, x1 - x0, y1 - y0)

    def shapes(self, box: Box) -> list[tuple[int, int]]:
        """(h, w) of each colour plane over an aligned box."""
        return [self.plane_box(box, plane)[:1:-1] for plane in self.colour]


@dataclass(frozen=True)
class _Memory:
    """Where the samples of a pixel format lie."""

    planes: tuple[Plane, ...]
    places: tuple[tuple[int, int, int], ...]  # for each plane: memory plane, first sample, step in samples
    dtype: np.dtype


def layout_of(pix_fmt: str, width: int, height: int) -> Layout:
    """The layout of a pixel format by FFmpeg's name. Raises MediaError for one that cannot be patched in place."""
    memory = _memory(pix_fmt)
    if memory is None:
        raise MediaError(
            f"the pixel format {pix_fmt} is not supported",
            code="pixel-format",
            hint="Render the clip to ProRes, DNxHR, FFV1 or H.264 first.",
        )
    return Layout(pix_fmt, width, height, memory.planes)


def views(frame: av.VideoFrame, layout: Layout) -> list[np.ndarray]:
    """Writeable views, no copies, of the frame's samples: colour planes first, R G B in this order, then alpha."""
    memory = _memory(layout.pix_fmt)
    assert memory is not None
    rows = [_rows(plane, memory.dtype) for plane in frame.planes]
    out = []
    for plane, (index, first, step) in zip(memory.planes, memory.places, strict=True):
        height, width = -(-layout.height >> plane.shift_y), -(-layout.width >> plane.shift_x)
        out.append(rows[index][:height, first : first + (width - 1) * step + 1 : step])
    return out


def _rows(plane: av.video.plane.VideoPlane, dtype: np.dtype) -> np.ndarray:
    line = abs(plane.line_size)
    data = np.frombuffer(plane, np.uint8).reshape(-1, line)
    if plane.line_size < 0:  # stored bottom up
        data = data[::-1]
    return data[:, : line // dtype.itemsize * dtype.itemsize].view(dtype)


def fields(views: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Views of the top and the bottom field."""
    return [view[0::2] for view in views], [view[1::2] for view in views]


def crop(views: list[np.ndarray], layout: Layout, box: Box) -> list[np.ndarray]:
    """Copies of the colour planes over an aligned box, in the stream's own integers."""
    out = []
    for view, plane in zip(views, layout.colour):
        x, y, w, h = layout.plane_box(box, plane)
        part = view[y : y + h, x : x + w]
        out.append(part.astype(part.dtype.newbyteorder("="), order="C"))
    return out


def to_levels(crop: list[np.ndarray], layout: Layout) -> list[np.ndarray]:
    """Integers as float32 levels, plane by plane."""
    return [
        part.astype(np.float32) * np.float32(2.0 ** (8 - plane.bits - plane.low))
        if plane.bits + plane.low != 8
        else part.astype(np.float32)
        for part, plane in zip(crop, layout.colour)
    ]


def from_levels(parts: list[np.ndarray], layout: Layout) -> list[np.ndarray]:
    """Float levels as the stream's integers, rounded and clipped to the codes that the sample can hold."""
    out = []
    for part, plane in zip(parts, layout.colour):
        codes = np.rint(part * np.float32(2.0 ** (plane.bits - 8))).clip(0, 2**plane.bits - 1)
        out.append(codes.astype(np.uint8 if plane.bits <= 8 else np.uint16) << plane.low)
    return out


def small(views: list[np.ndarray], layout: Layout, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The analysis picture, at most `width` px wide, each px the mean of the samples that it covers.

    Returns luma (h, w) uint8 levels and chroma (h, w, 2) uint8, the two colour differences, 128 = none.
    """
    w = min(width, layout.width)
    h = max(1, round(layout.height * w / layout.width))
    parts = [_shrunk(view, plane, w, h) for view, plane in zip(views, layout.colour)]
    if layout.is_rgb:
        parts = [np.rint(part).clip(0, 255).astype(np.uint8) for part in _differences(parts)]
    if len(parts) == 1:
        return parts[0], np.full((h, w, 2), 128, np.uint8)
    return parts[0], cv2.merge(parts[1:3])


def _shrunk(view: np.ndarray, plane: Plane, w: int, h: int) -> np.ndarray:
    """One plane at the analysis size, uint8 levels."""
    source = np.ascontiguousarray(view, dtype=view.dtype.newbyteorder("="))
    part = cv2.resize(source, (w, h), interpolation=cv2.INTER_AREA)
    over = plane.bits + plane.low - 8
    return part if over == 0 else (part >> over).astype(np.uint8)


def _differences(rgb: list[np.ndarray]) -> list[np.ndarray]:
    """Y and the two colour differences (BT.709) of R, G, B levels, as float32 levels."""
    red, green, blue = (part.astype(np.float32) for part in rgb)
    kr, kb = 0.2126, 0.0722
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    return [luma, 128 + (blue - luma) / (2 - 2 * kb), 128 + (red - luma) / (2 - 2 * kr)]


_SUBSAMPLING = {"444": (0, 0), "422": (1, 0), "420": (1, 1), "440": (0, 1), "411": (2, 0), "410": (2, 2)}
_SEMIPLANAR = {"nv12": "420", "nv21": "420", "nv16": "422", "nv24": "444", "nv42": "444"}
_P_SUBSAMPLING = {"0": "420", "2": "422", "4": "444"}  # p010, p210, p410
_PACKED_422 = {"yuyv422": "YUYV", "uyvy422": "UYVY", "yvyu422": "YVYU"}


@lru_cache(maxsize=64)
def _memory(pix_fmt: str) -> _Memory | None:
    """FFmpeg's pixdesc table, as far as formats of whole 8- or 16-bit samples go."""
    if match := re.fullmatch(r"yuv([aj]?)(4\d\d)p(\d*)(le|be)?", pix_fmt):
        if match[2] in _SUBSAMPLING:
            return _planar("YUV" + "A" * (match[1] == "a"), _SUBSAMPLING[match[2]], match[3], match[4])
    elif match := re.fullmatch(r"gb(r|ra)p(\d*)(le|be)?", pix_fmt):
        return _planar("RGB" + "A" * (match[1] == "ra"), (0, 0), match[2], match[3], places=(2, 0, 1, 3))
    elif match := re.fullmatch(r"gray(\d*)(le|be)?", pix_fmt):
        return _planar("Y", (0, 0), match[1], match[2])
    elif match := re.fullmatch(r"ya(8|16)(le|be)?", pix_fmt):
        return _packed("YA", int(match[1]), match[2])
    elif match := re.fullmatch(r"([rgba0]{3,4})(24|32|48|64)?(le|be)?", pix_fmt):
        if set("rgb") <= set(match[1]):
            return _packed(match[1].upper(), 16 if match[2] in ("48", "64") else 8, match[3])
    elif pix_fmt in _SEMIPLANAR:
        swapped = pix_fmt in ("nv21", "nv42")
        return _semiplanar(_SUBSAMPLING[_SEMIPLANAR[pix_fmt]], 8, 0, "le", swapped)
    elif match := re.fullmatch(r"p([024])(10|12|16)(le|be)?", pix_fmt):
        bits = int(match[2])
        return _semiplanar(_SUBSAMPLING[_P_SUBSAMPLING[match[1]]], bits, 16 - bits, match[3], False)
    elif pix_fmt in _PACKED_422:
        text = _PACKED_422[pix_fmt]
        planes = (Plane("Y", 0, 0, 8), Plane("U", 1, 0, 8), Plane("V", 1, 0, 8))
        places = ((0, text.index("Y"), 2), (0, text.index("U"), 4), (0, text.index("V"), 4))
        return _Memory(planes, places, np.dtype(np.uint8))
    return None


def _dtype(bits: int, order: str | None) -> np.dtype:
    return np.dtype(np.uint8) if bits <= 8 else np.dtype(">u2" if order == "be" else "<u2")


def _planar(
    roles: str, shift: tuple[int, int], bits: str, order: str | None, places: tuple[int, ...] = (0, 1, 2, 3)
) -> _Memory:
    depth = int(bits or 8)
    planes = tuple(Plane(role, *(shift if role in "UV" else (0, 0)), depth) for role in roles)
    return _Memory(planes, tuple((places[i], 0, 1) for i in range(len(roles))), _dtype(depth, order))


def _semiplanar(shift: tuple[int, int], bits: int, low: int, order: str | None, swapped: bool) -> _Memory:
    planes = (Plane("Y", 0, 0, bits, low), Plane("U", *shift, bits, low), Plane("V", *shift, bits, low))
    return _Memory(planes, ((0, 0, 1), (1, int(swapped), 2), (1, int(not swapped), 2)), _dtype(bits + low, order))


def _packed(text: str, bits: int, order: str | None) -> _Memory:
    """`text`: the roles in the order of memory, 0 for a sample that means nothing."""
    roles = [role for role in "YRGBA" if role in text]
    planes = tuple(Plane(role, 0, 0, bits) for role in roles)
    return _Memory(planes, tuple((0, text.index(role), len(text)) for role in roles), _dtype(bits, order))
