"""Black: letterbox bars, rows or columns at the picture's edge that stay so, and frames before or after a picture.

No other picture says what lies beneath an overlay there: neither its motion nor its light.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .masks import grown, subsampled
from .plate import Crops
from .scene import Scene

FRAMES = 12  # of a window, that are looked at
EVERY, ENOUGH = 3, 160  # samples along a row, of which one is looked at, but no more than so many
BLACK, GREY = 24.0, 6.0  # levels up to which luma is black, and from 128 up to which chroma is grey
PLAIN = 3.0  # levels by which nearly all samples of a bar differ from its own at most
OUTLIERS = 0.02  # share of a row that may differ by more: the codec's ringing
SEEN = 0.1  # share of a row, below which it tells nothing
CLEAR_PX = 4  # from an overlay: its ringing


@dataclass
class Black:
    """What of a region is black, plane by plane, and the levels of that."""

    masks: list[np.ndarray]  # (h, w) bool
    levels: list[float]

    def over(self, parts: list[np.ndarray], unknown: list[np.ndarray]) -> list[np.ndarray]:
        """Planes (h, w) float32 levels, with what is black where nothing is known, (h, w) bool each."""
        return [
            np.where(mask & lost, np.float32(level), part)
            for mask, lost, level, part in zip(self.masks, unknown, self.levels, parts, strict=True)
        ]


def blank(scene: Scene, crops: Crops, t: int) -> Black | None:
    """All of a frame's region, where all that is seen of it is black; else None."""
    cover = scene.covers[t]
    if crops.layout.is_rgb or cover is None or float(np.median(scene.volumes[0][t, ::EVERY, ::EVERY])) > BLACK:
        return None
    masks = [~subsampled(grown(cover, CLEAR_PX), shift) for shift in scene.shifts]
    seen = [volume[t][mask] for volume, mask in zip(scene.volumes, masks, strict=True)]
    if len(seen[0]) < SEEN * cover.size or not all(len(one) and _is_even(one) for one in seen):
        return None
    return _black([np.ones_like(mask) for mask in masks], [float(np.median(one)) for one in seen])


def bars(scene: Scene, crops: Crops) -> Black | None:
    """The bars in a region; None without any."""
    layout, luma, (x, y, w, h) = crops.layout, scene.volumes[0], crops.box
    axes = ((y, h, layout.height), (x, w, layout.width))
    ends = [(start == 0, start + size >= whole) for start, size, whole in axes]  # of the region that are the picture's
    edges = [np.moveaxis(luma[0], k, 0)[-one] for k, at in enumerate(ends) for one in (0, 1) if at[one]]
    if layout.is_rgb or all(float(np.median(edge)) > BLACK for edge in edges):
        return None
    frames = range(0, len(luma), max(1, -(-len(luma) // FRAMES)))
    covers = [scene.covers[t] for t in frames]
    hidden = [np.zeros(scene.shape, bool) if cover is None else grown(cover, CLEAR_PX) for cover in covers]
    mask = np.zeros(scene.shape, bool)
    for axis, at in enumerate(ends):
        if any(at):
            step = max(EVERY, scene.shape[1 - axis] // ENOUGH)
            some = (np.moveaxis(np.where(c, np.nan, luma[t]), axis, 0) for t, c in zip(frames, hidden, strict=True))
            first, last = _runs(np.concatenate([one[:, ::step] for one in some], 1))
            along = np.moveaxis(mask, axis, 0)  # a view
            along[: first * at[0]] = True
            along[len(along) - last * at[1] :] = True
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
    return _black(masks, levels)


def _black(masks: list[np.ndarray], levels: list[float]) -> Black | None:
    is_black = levels[0] <= BLACK and all(abs(level - 128) <= GREY for level in levels[1:])
    return Black(masks, levels) if is_black else None


def _runs(rows: np.ndarray) -> tuple[int, int]:
    """How many of the first and of the last of (n, k) rows, NaN where hidden, are black and plain as far as is seen.

    One that is hidden is taken for one of its neighbours.
    """
    seen = [row[~np.isnan(row)] for row in rows]
    told = np.array([len(one) >= SEEN * rows.shape[1] for one in seen])
    plain = np.array([not is_told or _is_plain(one) for one, is_told in zip(seen, told, strict=True)])
    ends = np.flatnonzero(~plain)
    first, last = (int(ends[0]), len(rows) - 1 - int(ends[-1])) if len(ends) else (len(rows), len(rows))
    return first * bool(told[:first].any()), last * bool(told[len(rows) - last :].any())


def _is_plain(row: np.ndarray) -> bool:
    return float(np.median(row)) <= BLACK and _is_even(row)


def _is_even(seen: np.ndarray) -> bool:
    return float((np.abs(seen - np.median(seen)) > PLAIN).mean()) <= OUTLIERS
