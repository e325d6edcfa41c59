"""A frame's own sample planes: their layout, writeable views, crops, and conversions for those who must look.

Values outside this file are the stream's own integers, or float32 "levels": code / 2**(bits - 8), so that 8-bit
material keeps its numbers (limited-range black 16, white 235) and deeper material gains decimals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .job import Box


@dataclass(frozen=True)
class Plane:
    """One component of a pixel format."""

    role: str  # Y U V, R G B, or A
    shift_x: int  # log2 of its horizontal subsampling
    shift_y: int
    bits: int  # significant bits of a sample


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


def crop(views: list[np.ndarray], layout: Layout, box: Box) -> list[np.ndarray]:
    """Copies of the colour planes over an aligned box, in the stream's own integers."""
    out = []
    for view, plane in zip(views, layout.colour):
        x, y, w, h = layout.plane_box(box, plane)
        out.append(view[y : y + h, x : x + w].copy())
    return out


def to_levels(crop: list[np.ndarray], layout: Layout) -> list[np.ndarray]:
    """Integers as float32 levels, plane by plane."""
    return [
        part.astype(np.float32) if plane.bits == 8 else part.astype(np.float32) * np.float32(2.0 ** (8 - plane.bits))
        for part, plane in zip(crop, layout.colour)
    ]


def from_levels(parts: list[np.ndarray], layout: Layout) -> list[np.ndarray]:
    """Float levels as the stream's integers, rounded and clipped to the codes that the sample can hold."""
    out = []
    for part, plane in zip(parts, layout.colour):
        codes = np.rint(part * np.float32(2.0 ** (plane.bits - 8))).clip(0, 2**plane.bits - 1)
        out.append(codes.astype(np.uint8 if plane.bits <= 8 else np.uint16))
    return out
