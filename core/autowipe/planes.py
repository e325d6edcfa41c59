"""A frame's own sample planes: layout, writeable views, crops, and conversions to look at them.

Values outside this file are the stream's own integers, or float32 "levels": code / 2**(bits - 8),
so that 8-bit material keeps its numbers (limited-range black 16, white 235) and deeper material
gains decimals.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from .errors import MediaError
from .job import Box

if TYPE_CHECKING:
    import av

Matrix = Literal["bt601", "bt709", "bt2020", "rgb"]
Siting = Literal["left", "center", "topleft"]  # of a chroma sample in the luma samples it stands for

# Weights of red and blue in Y; those of RGB material are BT.709's, for an analysis picture only.
_RED_BLUE = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
    "rgb": (0.2126, 0.0722),
}


@dataclass(frozen=True)
class Plane:
    """One component of a pixel format."""

    role: str  # Y U V, R G B, or A
    shift_x: int  # log2 of its horizontal subsampling
    shift_y: int
    bits: int  # significant bits of a sample
    low: int = 0  # unused bits below them: p010 keeps its 10 bits at the top of 16

    @property
    def shift(self) -> tuple[int, int]:
        """Log2 of its subsampling, x and y."""
        return self.shift_x, self.shift_y


@dataclass(frozen=True)
class Layout:
    """Pixel format and size of a clip; `planes` holds the colour components first, then alpha."""

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
        """The smallest box around `box` on the chroma grid, cut to the picture.

        The picture's own right and bottom edge may be odd.
        """
        gx, gy = 1 << max(p.shift_x for p in self.planes), 1 << max(p.shift_y for p in self.planes)
        x0, y0 = max(0, box[0] // gx * gx), max(0, box[1] // gy * gy)
        x1 = min(self.width, -(-(box[0] + box[2]) // gx) * gx)
        y1 = min(self.height, -(-(box[1] + box[3]) // gy) * gy)
        return (x0, y0, max(0, x1 - x0), max(0, y1 - y0))

    def plane_box(self, box: Box, plane: Plane) -> Box:
        """An aligned box in the samples of `plane`."""
        x0, y0 = box[0] >> plane.shift_x, box[1] >> plane.shift_y
        x1 = -((-(box[0] + box[2])) >> plane.shift_x)
        y1 = -((-(box[1] + box[3])) >> plane.shift_y)
        return (x0, y0, x1 - x0, y1 - y0)

    def shapes(self, box: Box) -> list[tuple[int, int]]:
        """(h, w) of each colour plane over an aligned box."""
        return [self.plane_box(box, plane)[:1:-1] for plane in self.colour]


def layout_of(pix_fmt: str, width: int, height: int) -> Layout:
    """The layout of a pixel format by FFmpeg's name.

    Raises MediaError for a format whose samples cannot be patched in place.
    """
    memory = _memory(pix_fmt)
    if memory is None:
        raise MediaError(
            f"the pixel format {pix_fmt} is not supported",
            code="pixel-format",
            hint="Render the clip to ProRes, DNxHR, FFV1 or H.264 first.",
        )
    return Layout(pix_fmt, width, height, memory.planes)


def views(frame: av.VideoFrame, layout: Layout) -> list[np.ndarray]:
    """Views, no copies, of the frame's samples: colour planes first (R, G, B in this order), then alpha.

    Writing into a view writes into the frame. A view keeps the frame alive.
    """
    memory = _memory(layout.pix_fmt)
    assert memory is not None
    rows = [_rows(plane, memory.dtype) for plane in frame.planes]
    out = []
    for plane, (index, first, step) in zip(memory.planes, memory.places, strict=True):
        height, width = -(-layout.height >> plane.shift_y), -(-layout.width >> plane.shift_x)
        out.append(rows[index][:height, first : first + (width - 1) * step + 1 : step])
    return out


def _rows(plane: Any, dtype: np.dtype) -> np.ndarray:
    """A memory plane's lines with their padding, top line first."""
    data = np.frombuffer(plane, np.uint8).reshape(-1, abs(plane.line_size))
    if plane.line_size < 0:  # stored bottom up
        data = data[::-1]
    return data[:, : data.shape[1] // dtype.itemsize * dtype.itemsize].view(dtype)


def fields(views: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Views of the top and of the bottom field; `Layout.field` describes them."""
    return [view[0::2] for view in views], [view[1::2] for view in views]


def crop(views: list[np.ndarray], layout: Layout, box: Box) -> list[np.ndarray]:
    """Copies of the colour planes over an aligned box, in the stream's own integers."""
    out = []
    for view, plane in zip(views, layout.colour, strict=False):
        x, y, w, h = layout.plane_box(box, plane)
        part = view[y : y + h, x : x + w]
        out.append(part.astype(part.dtype.newbyteorder("="), order="C"))
    return out


def cut(crop: Sequence[np.ndarray], layout: Layout, box: Box, inner: Box) -> list[np.ndarray]:
    """Views of the part of colour planes over a box that lies over an aligned box in it."""
    out = []
    for part, plane in zip(crop, layout.colour, strict=False):
        left, top, _, _ = layout.plane_box(box, plane)
        x, y, w, h = layout.plane_box(inner, plane)
        out.append(part[y - top : y - top + h, x - left : x - left + w])
    return out


def to_levels(crop: list[np.ndarray], layout: Layout) -> list[np.ndarray]:
    """Integers as float32 levels, plane by plane."""
    out = []
    for part, plane in zip(crop, layout.colour, strict=False):
        levels = part.astype(np.float32)
        if plane.bits + plane.low != 8:
            levels *= np.float32(2.0 ** (8 - plane.bits - plane.low))
        out.append(levels)
    return out


def from_levels(parts: list[np.ndarray], layout: Layout) -> list[np.ndarray]:
    """Float levels as the stream's integers, rounded and clipped to what the sample can hold."""
    out = []
    for part, plane in zip(parts, layout.colour, strict=False):
        codes = np.rint(part * np.float32(2.0 ** (plane.bits - 8))).clip(0, 2**plane.bits - 1)
        whole = codes.astype(np.uint8 if plane.bits <= 8 else np.uint16)
        out.append(np.left_shift(whole, plane.low) if plane.low else whole)
    return out


def luma(crop: list[np.ndarray], layout: Layout, matrix: Matrix) -> np.ndarray:
    """Y of a crop as float32 levels, weighted from R, G, B where the stream has those."""
    levels = to_levels(crop[: 3 if layout.is_rgb else 1], layout)
    if not layout.is_rgb:
        return levels[0]
    red, blue = _RED_BLUE[matrix]
    return red * levels[0] + (1 - red - blue) * levels[1] + blue * levels[2]


def to_rgb(
    crop: list[np.ndarray],
    layout: Layout,
    matrix: Matrix,
    full_range: bool,
    siting: Siting = "left",
) -> np.ndarray:
    """A crop as (H, W, 3) float32 RGB, 0..1, still with the stream's own transfer curve.

    ITU-T H.273, equations 20 to 45. Chroma is brought to luma size linearly, by its siting.
    Values beyond 0..1 are clipped.
    """
    levels = to_levels(crop, layout)
    for number, plane in enumerate(layout.colour):
        levels[number] = _upsampled(levels[number], levels[0].shape, plane, siting)
    seen = cv2.merge(levels if len(levels) == 3 else levels * 3)
    rgb = cv2.transform(seen, _to_rgb_matrix(layout, matrix, full_range))
    return np.clip(rgb, 0, 1, out=rgb)


def from_rgb(
    rgb: np.ndarray,
    layout: Layout,
    matrix: Matrix,
    full_range: bool,
    siting: Siting = "left",
) -> list[np.ndarray]:
    """The inverse of `to_rgb` as float32 levels, plane by plane; `from_levels` makes them integers.

    `rgb`: (H, W, 3) float32, 0..1, over an aligned box.
    """
    turn = _to_rgb_matrix(layout, matrix, full_range)
    if len(layout.colour) == 1:
        red, blue = _RED_BLUE[matrix]
        rgb = cv2.merge([cv2.transform(rgb, np.array([[red, 1 - red - blue, blue]]))] * 3)
    back = np.linalg.inv(turn[:, :3])
    levels = cv2.split(cv2.transform(rgb, np.column_stack([back, -back @ turn[:, 3]])))
    return [_downsampled(part, plane, siting) for part, plane in zip(levels, layout.colour, strict=False)]


def _to_rgb_matrix(layout: Layout, matrix: Matrix, full_range: bool) -> np.ndarray:
    """(3, 4) that turns levels of three colour planes, or of grey three times over, into RGB 0..1."""
    colour = layout.colour if len(layout.colour) == 3 else layout.colour * 3
    scales, offsets = np.array([_scale(plane, full_range) for plane in colour]).T
    turn = np.eye(3)
    if layout.planes[0].role == "Y" and len(layout.colour) == 3:
        kr, kb = _RED_BLUE[matrix]
        red, blue, kg = 2 - 2 * kr, 2 - 2 * kb, 1 - kr - kb
        turn = np.array([[1, 0, red], [1, -kb * blue / kg, -kr * red / kg], [1, blue, 0]])
    turn = turn / scales
    return np.column_stack([turn, -turn @ offsets])


def _scale(plane: Plane, full_range: bool) -> tuple[float, float]:
    """Levels in one unit of the signal, and the level of its zero. RGB is taken as full range."""
    if full_range or plane.role in "RGB":
        return (2**plane.bits - 1) * 2.0 ** (8 - plane.bits), 128.0 if plane.role in "UV" else 0.0
    return (224.0, 128.0) if plane.role in "UV" else (219.0, 16.0)


def _upsampled(part: np.ndarray, shape: tuple[int, ...], plane: Plane, siting: Siting) -> np.ndarray:
    """A plane at luma size (H, W), linear between samples."""
    for axis, shift in ((0, plane.shift_y), (1, plane.shift_x)):
        for step in range(shift, 0, -1):
            size = -(-shape[axis] >> (step - 1))
            if axis == 0:
                part = _doubled(part, size, _is_cosited(axis, siting))
            else:
                part = _doubled(cv2.transpose(part), size, _is_cosited(axis, siting))
                part = cv2.transpose(part)
    return part


def _doubled(lines: np.ndarray, size: int, is_cosited: bool) -> np.ndarray:
    """Lines at twice their number, or one less."""
    out = np.empty((size, lines.shape[1]), np.float32)
    after = np.concatenate([lines[1:], lines[-1:]])
    if is_cosited:
        out[0::2] = lines
        out[1::2] = cv2.addWeighted(lines, 0.5, after, 0.5, 0)[: size // 2]
    else:
        before = np.concatenate([lines[:1], lines[:-1]])
        out[0::2] = cv2.addWeighted(lines, 0.75, before, 0.25, 0)
        out[1::2] = cv2.addWeighted(lines, 0.75, after, 0.25, 0)[: size // 2]
    return out


def _downsampled(part: np.ndarray, plane: Plane, siting: Siting) -> np.ndarray:
    """A picture at a plane's size: the mean of two samples, or 1-2-1 around the one sited upon."""
    for axis, shift in ((0, plane.shift_y), (1, plane.shift_x)):
        for _ in range(shift):
            lines = np.moveaxis(part, axis, 0)
            even, odd = lines[0::2], lines[1::2]
            if len(odd) < len(even):
                odd = np.concatenate([odd, even[-1:]])
            if _is_cosited(axis, siting):
                before = np.concatenate([odd[:1], odd[:-1]])
                part = np.moveaxis(even * 0.5 + (before + odd) * 0.25, 0, axis)
            else:
                part = np.moveaxis((even + odd) * 0.5, 0, axis)
    return part


def _is_cosited(axis: int, siting: Siting) -> bool:
    return siting == "topleft" or (siting == "left" and axis == 1)


def small(views: list[np.ndarray], layout: Layout, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The analysis picture, at most `width` px wide: each px the mean of the samples it covers.

    Returns luma (h, w) uint8 levels and chroma (h, w, 2) uint8, the two colour differences,
    128 = none. Those of RGB material are BT.709's.
    """
    w = min(width, layout.width)
    h = max(1, round(layout.height * w / layout.width))
    parts = [_shrunk(view, plane, w, h) for view, plane in zip(views, layout.colour, strict=False)]
    if len(parts) == 1:
        return parts[0], np.full((h, w, 2), 128, np.uint8)
    if layout.is_rgb:
        parts = _as_differences(parts)
    return parts[0], cv2.merge(parts[1:3])


def _shrunk(view: np.ndarray, plane: Plane, w: int, h: int) -> np.ndarray:
    """One plane at analysis size, uint8 levels.

    Halving is many times faster than other factors in OpenCV. Planes that matter less may be
    interpolated over the rest, which is less than a factor of two.
    """
    part = np.ascontiguousarray(view, dtype=view.dtype.newbyteorder("="))
    while (half := _halved(part.shape, (h, w))) != part.shape:
        if half[1] == part.shape[1]:  # 4:2:2 chroma; resize takes ten times as long for this
            part = cv2.addWeighted(part[0::2], 0.5, part[1::2], 0.5, 0)
        else:
            part = cv2.resize(part, half[::-1], interpolation=cv2.INTER_AREA)
    if part.shape != (h, w):
        is_near = plane.role not in "YG" and part.shape[0] < 2 * h and part.shape[1] < 2 * w
        how = cv2.INTER_LINEAR if is_near else cv2.INTER_AREA
        part = cv2.resize(part, (w, h), interpolation=how)
    over = plane.bits + plane.low - 8
    return cv2.convertScaleAbs(part, alpha=2.0**-over) if over else part


def _halved(shape: tuple[int, ...], least: tuple[int, int]) -> tuple[int, ...]:
    return tuple(n // 2 if n % 2 == 0 and n >= 2 * m else n for n, m in zip(shape, least, strict=True))


def _as_differences(rgb: list[np.ndarray]) -> list[np.ndarray]:
    """Y and the two colour differences around 128 of R, G, B; all uint8 levels."""
    red, green, blue = (part.astype(np.float32) for part in rgb)
    kr, kb = _RED_BLUE["rgb"]
    y = kr * red + (1 - kr - kb) * green + kb * blue
    both = (y, 128 + (blue - y) / (2 - 2 * kb), 128 + (red - y) / (2 - 2 * kr))
    return [np.rint(part).clip(0, 255).astype(np.uint8) for part in both]


@dataclass(frozen=True)
class _Memory:
    """Where the samples of a pixel format lie."""

    planes: tuple[Plane, ...]
    places: tuple[tuple[int, int, int], ...]  # a plane's memory plane, first sample, step in samples
    dtype: np.dtype


_SUBSAMPLING = {
    "444": (0, 0),
    "422": (1, 0),
    "420": (1, 1),
    "440": (0, 1),
    "411": (2, 0),
    "410": (2, 2),
}
_SEMIPLANAR = {  # subsampling, and whether V comes first
    "nv12": ("420", False),
    "nv21": ("420", True),
    "nv16": ("422", False),
    "nv24": ("444", False),
    "nv42": ("444", True),
}
_SEMIPLANAR_DEEP = {"0": "420", "2": "422", "4": "444"}  # p010, p210, p410
_PACKED_422 = {"yuyv422": "YUYV", "uyvy422": "UYVY", "yvyu422": "YVYU"}


@lru_cache(maxsize=64)
def _memory(pix_fmt: str) -> _Memory | None:
    """FFmpeg's pixdesc table, as far as formats of whole 8- or 16-bit samples go; else None."""
    if match := re.fullmatch(r"yuv([aj]?)(4\d\d)p(\d*)(le|be)?", pix_fmt):
        roles = "YUVA" if match[1] == "a" else "YUV"
        return _planar(roles, _SUBSAMPLING[match[2]], match[3], match[4], (0, 1, 2, 3))
    if match := re.fullmatch(r"gb(r|ra)p(\d*)(le|be)?", pix_fmt):
        roles = "RGBA" if match[1] == "ra" else "RGB"
        return _planar(roles, (0, 0), match[2], match[3], (2, 0, 1, 3))
    if match := re.fullmatch(r"gray(\d*)(le|be)?", pix_fmt):
        return _planar("Y", (0, 0), match[1], match[2], (0,))
    if match := re.fullmatch(r"ya(8|16)(le|be)?", pix_fmt):
        return _packed("YA", int(match[1]), match[2])
    if match := re.fullmatch(r"([rgba0]{3,4})(24|32|48|64)?(le|be)?", pix_fmt):
        bits = 16 if match[2] in ("48", "64") else 8
        return _packed(match[1].upper(), bits, match[3]) if set("rgb") <= set(match[1]) else None
    if pix_fmt in _SEMIPLANAR:
        subsampling, is_swapped = _SEMIPLANAR[pix_fmt]
        return _semiplanar(_SUBSAMPLING[subsampling], 8, 0, None, is_swapped)
    if match := re.fullmatch(r"p([024])(10|12|16)(le|be)?", pix_fmt):
        shift = _SUBSAMPLING[_SEMIPLANAR_DEEP[match[1]]]
        return _semiplanar(shift, int(match[2]), 16 - int(match[2]), match[3], False)
    if pix_fmt in _PACKED_422:
        text = _PACKED_422[pix_fmt]
        steps = {"Y": 2, "U": 4, "V": 4}
        colour = tuple(Plane(role, int(role != "Y"), 0, 8) for role in steps)
        places = tuple((0, text.index(role), step) for role, step in steps.items())
        return _Memory(colour, places, np.dtype(np.uint8))
    return None


def _dtype(bits: int, order: str | None) -> np.dtype:
    if bits <= 8:
        return np.dtype(np.uint8)
    return np.dtype(">u2" if order == "be" else "<u2")


def _planar(roles: str, shift: tuple[int, int], depth: str, order: str | None, where: tuple[int, ...]) -> _Memory:
    bits = int(depth or 8)
    made = tuple(Plane(role, *(shift if role in "UV" else (0, 0)), bits) for role in roles)
    return _Memory(made, tuple((where[i], 0, 1) for i in range(len(roles))), _dtype(bits, order))


def _semiplanar(shift: tuple[int, int], bits: int, low: int, order: str | None, is_swapped: bool) -> _Memory:
    made = tuple(Plane(role, *(shift if role in "UV" else (0, 0)), bits, low) for role in "YUV")
    u, v = (1, 0) if is_swapped else (0, 1)
    return _Memory(made, ((0, 0, 1), (1, u, 2), (1, v, 2)), _dtype(bits + low, order))


def _packed(text: str, bits: int, order: str | None) -> _Memory:
    """`text`: the roles in the order of memory, 0 for a sample that means nothing."""
    roles = [role for role in "YRGBA" if role in text]
    made = tuple(Plane(role, 0, 0, bits) for role in roles)
    places = tuple((0, text.index(role), len(text)) for role in roles)
    return _Memory(made, places, _dtype(bits, order))
