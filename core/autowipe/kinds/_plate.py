"""What a symbol lies on: an even area around it that ends in an edge, as the disc of an icon does.

The survey sees no edge where a disc is as bright as the scene, whatever its colour, and then only the symbol is told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from ..masks import connected, depth_in, disc, extent, filled, grown
from ._cover import SEAMLESS, SKIRT_PX

ROOM = 0.6  # of a symbol's larger side, around it, that a plate may take: symbols take half of theirs
MOST_ROOM = 0.1  # of the picture's height
COMPACT = 2.0  # times its smaller side that the larger one of a symbol is at most: longer is a word
STEADY = 3.0  # levels by which a plate changes over time: the codec's noise
HELD = 0.9  # of a symbol's lines that lie on its plate or at its rim
LEAST_SHARE = 0.5  # of the px of its symbol's lines, that an even piece of a plate has
CUT_PX = 5  # by so much around them the edges of a symbol that nearly reach the rim cut a plate apart
ALIKE = 24.0  # levels by which the plate's colour differs at most in a frame with it
INSIDE, BEYOND = 0.8, 0.5  # share of a plate that has its colour, at least, and of what lies around it, at most
BESIDE = 3  # px around a plate that are looked at
DRAWN, NEAR_PX, FAR_PX = 0.85, 2, 6  # of the contrast to what lies so far beyond a plate, that is there near it
MOST_AREA = 5.0  # times the box around what stands on it, that a plate takes
LEAST_PX = 12  # of it that tell its colour
SIZES = tuple(float(f) for f in 1.07 ** np.arange(1, -20, -1))  # in which it is looked for


@dataclass(frozen=True)
class Plate:
    """An even area around a symbol."""

    covered: np.ndarray  # (H, W) bool: with its rim and all that lies on it
    even: np.ndarray  # (H, W) bool: where it shows
    colour: np.ndarray  # (3,) float32 levels: luma and chroma

    def size(self, picture: np.ndarray, by: tuple[float, float] = (0, 0)) -> float:
        """How large a picture (h, w, 3) of its box shows it, about the same middle; 1 as usual, 0 where it does not.

        `by`: px of the picture by which it is further on there.
        """
        high, wide = picture.shape[:2]
        is_like = (np.abs(picture - self.colour).max(2) <= ALIKE).astype(np.float32)
        around = grown(self.covered, 2 * BESIDE) & ~grown(self.covered, 1)
        even, around = (
            cv2.resize(part.astype(np.float32), (wide, high), interpolation=cv2.INTER_AREA)
            for part in (self.even, around)
        )
        best, found = 0.0, 0.0
        for size in SIZES:
            move = cv2.getRotationMatrix2D(((wide - 1) / 2, (high - 1) / 2), 0, size)
            move[:, 2] += by
            own, its = (cv2.warpAffine(part, move, (wide, high)) > 0.5 for part in (even, around))
            if own.sum() < LEAST_PX or not its.any():
                continue
            inside, beyond = is_like[own].mean(), is_like[its].mean()
            if inside >= INSIDE and beyond <= BEYOND and inside - beyond > best:
                best, found = inside - beyond, size
        return found


def room(size: tuple[int, int], height: int) -> int:
    """Px around a symbol (w, h) in which its plate is looked for; `height`: of the picture."""
    return round(min(ROOM * max(size), MOST_ROOM * height)) if max(size) <= COMPACT * min(size) else 0


class Seen(Protocol):
    """What something looks like over time: (H, W, 3) and (H, W) float32 levels."""

    @property
    def mean(self) -> np.ndarray: ...

    @property
    def spread(self) -> np.ndarray: ...


def beneath(look: Seen, lines: np.ndarray) -> np.ndarray | None:
    """(H, W) bool: the plate that lines lie on which always stand, told by how sharply it ends; None where none is."""
    plate = find_plate(look, lines, math.inf)  # all is steady there but what gleams
    if plate is None or plate.covered.sum() > MOST_AREA * math.prod(extent(lines)[2:]):
        return None
    off = np.abs(look.mean - plate.colour).max(2)
    away = depth_in(~plate.covered)
    near, far = (float(np.median(off[(away >= low) & (away <= low + 1)])) for low in (NEAR_PX, FAR_PX))
    return grown(plate.covered, 1) if near >= ALIKE / 2 and near >= DRAWN * far else None


def find_plate(look: Seen, lines: np.ndarray, steady: float = STEADY) -> Plate | None:
    """The area without an edge that holds the lines (H, W) bool, and ends within the box.

    `steady`: levels by which it changes over time at most.
    """
    if not lines.any():
        return None
    mean = look.mean
    seams = np.zeros(lines.shape, np.float32)
    seams[:, 1:] = np.abs(np.diff(mean, axis=1)).max(2)
    seams[1:] = np.maximum(seams[1:], np.abs(np.diff(mean, axis=0)).max(2))
    even = ((seams < SEAMLESS) & (look.spread <= steady)).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(even, connectivity=4)
    left, top, wide, high = stats[:, : cv2.CC_STAT_AREA].T
    ends = (left > 0) & (top > 0) & (left + wide < lines.shape[1]) & (top + high < lines.shape[0])
    inner = ends[labels] & (even > 0)
    for i in np.argsort(-stats[:, cv2.CC_STAT_AREA]):
        if not ends[i] or not i:
            continue
        if stats[i, cv2.CC_STAT_AREA] < LEAST_SHARE * lines.sum():
            break
        colour = np.median(mean[labels == i], axis=0)
        own = (inner & (np.abs(mean - colour).max(2) <= ALIKE / 2)).astype(np.uint8)
        whole = cv2.morphologyEx(own, cv2.MORPH_CLOSE, disc(CUT_PX)) > 0
        held = filled(connected(whole, labels == i))
        if grown(held, CUT_PX)[lines].mean() >= HELD:
            return Plate(grown(held, SKIRT_PX), held & (own > 0), colour)
    return None
