"""How a mark of roughly known shape blends: its border tells its opacity, that tells where the border is, in turns.

Where nothing moves, edges of the scene stay as those of a mark do. But across the border of a translucent mark the
same picture goes on, with less contrast and shifted towards one colour: what is seen inside is a line of what is seen
just beyond. Across the outline of a thing in the scene there is another picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .behind import View, look
from .masks import filled, grown, shrunk
from .opacity import LEAST_TRANSMISSION, MOST_TRANSMISSION, RIM_PX, Level, Side, across_border, find_levels
from .regions import CLEAN, label_pixels

ROUNDS = 4
GOES_ON = 0.35  # correlation of both sides from which their ratio is the next opacity to try
SAME = 0.84  # correlation from which it is one picture: marks 0.85 to 1, things in a scene to 0.81
AGREE = 0.1  # between the opacity that the shape was found with and the one that the shape tells
LEAST_STEP = 8.0  # levels
KEPT = 0.33  # of the shape that was expected
LEAST_PX = 150
EDGES, MOST_REMAINS = 0.3, 0.35  # of the strongest slopes; of them beneath: marks 0.1 to 0.3, of many colours from 0.5
BORDER_ERROR = 0.03  # of an opacity that a border of one picture tells


@dataclass
class Shaped:
    """A mark of one opacity and colour."""

    view: View
    level: Level
    label: np.ndarray  # (H, W) as of `regions.label_pixels`
    a: np.ndarray  # (H, W) transmission
    alike: float  # correlation of what is seen on both sides of its border, 0..1


def shaped(lead: np.ndarray, shape: np.ndarray, support: np.ndarray, legal: tuple[float, float]) -> Shaped | None:
    """None where the picture does not plainly go on beneath it.

    lead: (H, W, T) levels of the leading plane; shape: (H, W) bool, about what the mark covers; support: (H, W) bool,
    holds all of it; legal: least and most level.
    """
    mean, view, label, a = lead.mean(-1), look(lead, support), shape.astype(np.int8), None
    side = _clearest(across_border(lead, shape), across_border(lead, shrunk(shape)))
    level = None
    for _ in range(ROUNDS):
        level = _next_level(side, view, label != CLEAN, legal)
        if level is None:
            return None
        label, a = label_pixels(mean, view, [level], legal)
        if (label != CLEAN).sum() < LEAST_PX:
            return None
        view = look(lead, filled(grown(label != CLEAN, RIM_PX)) & support)
        side = across_border(lead, label != CLEAN)
    if side is None or level is None or a is None:
        return None
    kept = ((label != CLEAN) & shape).sum() / max(1, shape.sum())
    is_one = SAME <= side.alike <= 1 / SAME and abs(side.ratio - level.a) <= AGREE
    is_one &= LEAST_TRANSMISSION <= level.a <= MOST_TRANSMISSION and abs(side.inner - side.outer) >= LEAST_STEP
    if not is_one or kept < KEPT or _remains(mean, label != CLEAN, a, level.colour) > MOST_REMAINS:
        return None
    return Shaped(view, level, label, a, min(1.0, side.alike))


def _remains(mean: np.ndarray, covered: np.ndarray, a: np.ndarray, colour: float) -> float:
    """Share of the slopes across the border of what is covered that are still there beneath it; 1 where it has none."""
    seen = np.where(a > LEAST_TRANSMISSION, a, 1)
    before, after = (_slope(picture) for picture in (mean, (mean - (1 - seen) * np.float32(colour)) / seen))
    near = grown(covered, 1) & ~shrunk(covered)
    ridges = near & (before >= 0.95 * cv2.dilate(before, np.ones((3, 3), np.uint8)))
    ridges &= before >= EDGES * np.quantile(before[near], 0.97)
    return float(np.minimum(after[ridges] / before[ridges], 4).mean()) if before[ridges].any() else 1.0


def _slope(picture: np.ndarray) -> np.ndarray:
    return np.hypot(*(cv2.Sobel(picture, cv2.CV_32F, *way, ksize=3, scale=1 / 8) for way in ((1, 0), (0, 1))))


def _clearest(*sides: Side | None) -> Side | None:
    """That across which the picture goes on most plainly: a shape that is seen badly is mostly too large."""
    known = [side for side in sides if side is not None and side.ratio < MOST_TRANSMISSION]
    return max(known, key=lambda side: side.alike, default=None)


def _next_level(side: Side | None, view: View, covered: np.ndarray, legal: tuple[float, float]) -> Level | None:
    """By the border where the picture seems to go on across it, else by what its surroundings foretell."""
    if side is not None and side.alike > GOES_ON and LEAST_TRANSMISSION < side.ratio < MOST_TRANSMISSION:
        colour = (side.inner - side.ratio * side.outer) / (1 - side.ratio)
        return Level(side.ratio, float(np.clip(colour, *legal)), BORDER_ERROR)
    return next(iter(find_levels(view, covered, np.zeros_like(covered), legal)), None)
