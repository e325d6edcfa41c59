"""Boxes against each other: whether they meet, how alike they are, what is in both or around them; several as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from .job import Box

Number = TypeVar("Number", int, float)


def meet(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def common(a: Box, b: Box) -> Box | None:
    """What lies in both; None where they do not meet."""
    if not meet(a, b):
        return None
    x0, y0 = max(a[0], b[0]), max(a[1], b[1])
    return (x0, y0, min(a[0] + a[2], b[0] + b[2]) - x0, min(a[1] + a[3], b[1] + b[3]) - y0)


def around(*boxes: Box) -> Box:
    """The smallest box that encloses all of them; at least one is given."""
    x0, y0 = min(b[0] for b in boxes), min(b[1] for b in boxes)
    return (x0, y0, max(b[0] + b[2] for b in boxes) - x0, max(b[1] + b[3] for b in boxes) - y0)


def widened(box: Box, px: int) -> Box:
    """The box with so many px more on every side."""
    x, y, w, h = box
    return (x - px, y - px, w + 2 * px, h + 2 * px)


def joined(boxes: Sequence[Box], together: Callable[[Box, Box], bool]) -> list[Box]:
    """Boxes that belong `together` become one around both, until none do."""
    out: list[Box] = []
    for box in boxes:
        while (other := next((o for o in out if together(o, box)), None)) is not None:
            out.remove(other)
            box = around(box, other)
        out.append(box)
    return out


def corners(box: Sequence[Number]) -> tuple[Number, Number, Number, Number]:
    """Of a box (x, y, width, height): x0, y0, x1, y1."""
    x, y, w, h = box
    return (x, y, x + w, y + h)


def alike(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union, 0..1, of two boxes given by their corners (x0, y0, x1, y1)."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return w * h / (areas - w * h)
