"""Letterbox bars: black rows or columns at the picture's edge that stay so, whatever is written on them.

Nothing of the picture beside them says what lies beneath an overlay there: neither its motion nor its light.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .masks import subsampled
from .plate import Crops
from .scene import Scene

FRAMES, EVERY = 12, 3  # of a window, and samples along a row, that are looked at
BLACK, GREY = 24.0, 6.0  # levels up to which luma is black, and from 128 up to which chroma is grey
PLAIN = 3.0  # levels by which nearly all samples of a bar differ from its own at most
OUTLIERS = 0.02  # share of a row that may differ by more: the codec's ringing
SEEN = 0.1  # share of a row, below which it tells nothing
CLEAR_PX = 4  # from an overlay: its ringing


@dataclass
class Bars:
    """What of a region are bars, plane by plane, and what they show."""

    masks: list[np.ndarray]  # (h, w) bool
    levels: list[float]


def bars(scene: Scene, crops: Crops) -> Bars | None:
    """The bars in a region; None without any."""
    layout = crops.layout
    luma = scene.volumes[0]
    edges = (luma[0, 0], luma[0, -1], luma[0, :, 0], luma[0, :, -1])
    if layout.is_rgb or all(float(np.median(edge)) > BLACK for edge in edges):
        return None
    frames = range(0, len(luma), max(1, -(-len(luma) // FRAMES)))
    near = np.ones((2 * CLEAR_PX + 1,) * 2, np.uint8)
    covers = [scene.covers[t] for t in frames]
    hidden = [np.zeros(scene.shape, bool) if c is None else cv2.dilate(c.astype(np.uint8), near) > 0 for c in covers]
    values = np.stack([np.where(cover, np.nan, luma[t]) for t, cover in zip(frames, hidden, strict=True)])
    mask = np.zeros(scene.shape, bool)
    x, y, w, h = crops.box
    for axis, (start, size, whole) in enumerate(((y, h, layout.height), (x, w, layout.width))):
        rows = np.moveaxis(values, axis + 1, 0)[..., ::EVERY].reshape(size, -1)
        first, last = _runs(rows)
        along = np.moveaxis(mask, axis, 0)  # a view
        along[: first * (start == 0)] = True
        along[size - last * (start + size >= whole) :] = True
    if not mask.any():
        return None
    masks = [~subsampled(~mask, shift) for shift in scene.shifts]
    seen = np.logical_and.reduce([~cover for cover in hidden])
    levels = []
    for shift, own, volume in zip(scene.shifts, masks, scene.volumes, strict=True):
        clear = own & ~subsampled(~seen, shift)
        if not clear.any():
            return None
        levels.append(float(np.median(volume[0][clear])))
    if any(abs(level - 128) > GREY for level in levels[1:]):
        return None
    return Bars(masks, levels)


def _runs(rows: np.ndarray) -> tuple[int, int]:
    """How many of the first and of the last of (n, k) rows, NaN where hidden, are black and plain as far as is seen."""
    plain = np.array([_is_plain(row[~np.isnan(row)], row.size) for row in rows])
    ends = np.flatnonzero(~plain)
    return (len(rows), len(rows)) if not len(ends) else (int(ends[0]), len(rows) - 1 - int(ends[-1]))


def _is_plain(seen: np.ndarray, count: int) -> bool:
    """Of what is seen of a row of `count` samples; one that is hidden is taken for one of its neighbours."""
    if len(seen) < SEEN * count:
        return True
    level = float(np.median(seen))
    return level <= BLACK and float((np.abs(seen - level) > PLAIN).mean()) <= OUTLIERS
