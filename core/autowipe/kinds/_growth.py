"""Frames just before an event in which its text grows in: letter by letter, or as a whole that pops up to its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..boxes import around
from ..job import Box
from ..masks import extent
from ..planes import Layout

CHANGED = 24  # levels of change that are strokes
HALO_PX = 9  # side of what is covered around one
HIGH = 32  # px, to which letters are reduced before they are looked for at other sizes
SIZES = tuple(float(size) for size in np.geomspace(0.4, 1.4, 51))  # of a text that pops up, in its own
OTHER = 0.03  # by which its size then differs: at its own it would have been followed
LIKE = 0.75  # correlation of its strokes with those at another size: .86 to .97, of two short words up to .65
ASIDE = 0.25  # of its height, by which the middle of it may be elsewhere
STRONG = 12.0  # levels of deviation of its picture: a fainter one is as much the scene's
PAD = 0.15  # of its height: outline and shadow around its box
AROUND_PX = 3


@dataclass
class Growth:
    """Frames before an event in which its text grows in, and what they cover together."""

    frames: int
    box: Box
    matte: np.ndarray  # (H, W) uint8


def popped_up(first: np.ndarray, earlier: Sequence[np.ndarray], box: Box) -> list[Box]:
    """Where an event's text lies, at another size, in each of the frames before its first, going back from it.

    `first`, and the `earlier` ones, the nearest first: (h, w) uint8; `box`: of the text in them.
    """
    x, y, w, h = box
    scale = min(1.0, HIGH / min(w, h))
    reach = round(max(0.0, SIZES[-1] - 1) / 2 * max(w, h) + ASIDE * min(w, h))
    left, top = max(0, x - reach), max(0, y - reach)
    window = np.s_[top : y + h + reach, left : x + w + reach]
    text = _reduced(first[y : y + h, x : x + w], scale)
    if text.std() < STRONG * (1 if first.dtype == np.uint8 else 4):
        return []
    out: list[Box] = []
    for picture in earlier:
        found = _found(_reduced(picture[window], scale), text, ((x - left) * scale, (y - top) * scale))
        if found is None:
            break
        spot_x, spot_y, size = found
        out.append((round(left + spot_x / scale), round(top + spot_y / scale), round(w * size), round(h * size)))
    return out


def _found(area: np.ndarray, text: np.ndarray, spot: tuple[float, float]) -> tuple[float, float, float] | None:
    """Left, top and size at which a text, once at `spot`, fits best; None where it does not, or does as it is."""
    height, width = text.shape
    middle = spot[0] + width / 2, spot[1] + height / 2
    best = (LIKE, 0.0, 0.0, 1.0)
    for size in SIZES:
        w, h = round(width * size), round(height * size)
        if w > area.shape[1] or h > area.shape[0] or min(w, h) < 6:
            continue
        fits = cv2.matchTemplate(area, cv2.resize(text, (w, h), interpolation=cv2.INTER_AREA), cv2.TM_CCOEFF_NORMED)
        far = ASIDE * min(height, width)
        x0, y0 = (max(0, round(m - side / 2 - far)) for m, side in zip(middle, (w, h), strict=True))
        x1, y1 = (round(m - side / 2 + far) + 1 for m, side in zip(middle, (w, h), strict=True))
        near = fits[y0:y1, x0:x1]
        if near.size:
            _, like, _, (x, y) = cv2.minMaxLoc(near)
            best = max(best, (like, float(x0 + x), float(y0 + y), size))
    return best[1:] if abs(best[3] - 1) > OTHER else None


def covering(boxes: Sequence[Box], layout: Layout, spot: tuple[int, int]) -> Growth:
    """What covers `boxes` in as many frames; they are given from `spot` on."""
    pads = [round(PAD * min(w, h)) + AROUND_PX for _, _, w, h in boxes]
    wide = [
        (x + spot[0] - pad, y + spot[1] - pad, w + 2 * pad, h + 2 * pad)
        for (x, y, w, h), pad in zip(boxes, pads, strict=True)
    ]
    box = layout.align(around(*wide))
    matte = np.zeros((box[3], box[2]), np.uint8)
    for x, y, w, h in wide:
        matte[max(0, y - box[1]) : y - box[1] + h, max(0, x - box[0]) : x - box[0] + w] = 255
    return Growth(len(boxes), box, matte)


def changed(
    shown: Sequence[np.ndarray], clean: np.ndarray, boxes: Sequence[Box], layout: Layout, spot: tuple[int, int]
) -> Growth | None:
    """What the frames just before an event show of it, against the last one without it.

    (h, w) luma in its own integers; `boxes`: of the lines, given as `spot` is, where the pictures begin.
    """
    mask = np.zeros(clean.shape, np.uint8)
    scale = 1 if clean.dtype == np.uint8 else 2 ** (layout.colour[0].bits - 8)
    for part in shown:
        strokes = cv2.absdiff(part, clean) > CHANGED * scale
        mask |= cv2.morphologyEx(strokes.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    inside = np.zeros(mask.shape, np.uint8)
    for x, y, w, h in boxes:
        inside[y - spot[1] : y - spot[1] + h, x - spot[0] : x - spot[0] + w] = 1
    mask &= inside
    if not 0.02 < mask.sum() / inside.sum() < 0.7:
        return None
    grown = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (HALO_PX, HALO_PX)))
    box = layout.align(extent(grown, spot))
    part = grown[box[1] - spot[1] : box[1] - spot[1] + box[3], box[0] - spot[0] : box[0] - spot[0] + box[2]]
    return Growth(len(shown), box, part * np.uint8(255))


def _reduced(picture: np.ndarray, scale: float) -> np.ndarray:
    """Its strokes at another size, without the light and shade of the scene behind them."""
    levels = picture.astype(np.float32)
    if scale != 1:
        levels = cv2.resize(levels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return levels - cv2.blur(levels, (HIGH // 2 + 1, HIGH // 2 + 1))
