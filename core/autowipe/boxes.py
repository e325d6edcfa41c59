"""Two boxes against each other: whether they meet, how alike they are, what encloses both."""

from __future__ import annotations

from collections.abc import Sequence

from .job import Box


def meet(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def around(a: Box, b: Box) -> Box:
    x0, y0 = min(a[0], b[0]), min(a[1], b[1])
    return (x0, y0, max(a[0] + a[2], b[0] + b[2]) - x0, max(a[1] + a[3], b[1] + b[3]) - y0)


def corners(box: Sequence[float]) -> tuple[float, float, float, float]:
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
