"""Frames beside an appearance in which it still shows: a late end or an early start that the plan does not know of.

Left alone they would flash, and the frames beside them, which borrow from the nearest frame that seems free, would take
the overlay from there. An overlay that still shows has the same edges in the same place, which it has not later on.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from .maps import Unblend
from .masks import subsampled
from .matte import VISIBLE
from .planes import Layout, to_levels
from .plate import Crops

MOST = 6  # frames at each end
FAR = 10  # frames away, in which it surely shows no more
NEAR_PX = 5  # parts of a matte that are nearer to each other are one thing
FEWEST = 200  # px of a thing
LIKE = 0.6  # correlation of its edges with those of a frame in which it shows still: gone 0 to .3, there .8 to 1
MORE = 0.3  # by which that exceeds the correlation with a frame far away: what stays is the scene behind it


def take_in(crops: Crops) -> Crops:
    """The crops with the mattes of such frames as well; what is known of un-blending holds there as in a fade."""
    mattes, unblends, fading = list(crops.mattes), list(crops.unblends), list(crops.fading)
    count = len(mattes)
    for t, way in [(t, way) for t in range(count) for way in (1, -1)]:
        own = crops.mattes[t]
        if own is None or not 0 <= t + 2 * way < count:
            continue
        gone = _gone(own, crops.mattes[t + way])
        if gone is None:
            continue
        far = min(max(t + FAR * way, 0), count - 1)
        look = _Look.of(crops, t, gone)
        after = crops.mattes[far]
        if look is None or (after is not None and (after[gone] > VISIBLE).any()):
            continue
        least = max(LIKE, look.likeness(crops, far) + MORE)
        for s in range(t + way, min(max(t + (MOST + 1) * way, -1), count), way):
            if s == far or look.likeness(crops, s) < least:
                break
            unblends[s] = _together(unblends[t], unblends[s], gone, crops.layout)
            under = mattes[s]
            mattes[s] = np.where(gone, own, np.float32(0)) if under is None else np.where(gone, own, under)
            fading[s] = True
    return replace(crops, mattes=mattes, unblends=unblends, fading=fading)


def _gone(own: np.ndarray, beside: np.ndarray | None) -> np.ndarray | None:
    """(H, W) bool: the things of a matte that the frame beside has nothing of; None where there are none."""
    if own is beside:
        return None
    here = own > VISIBLE
    there = np.zeros_like(here) if beside is None else beside > VISIBLE
    if np.count_nonzero(here & ~there) < FEWEST:
        return None
    count, labels = cv2.connectedComponents(cv2.dilate(here.astype(np.uint8), np.ones((NEAR_PX, NEAR_PX), np.uint8)))
    stays = np.zeros(count, bool)
    stays[labels[there]] = True
    left = here & ~stays[labels]
    return left if np.count_nonzero(left) >= FEWEST else None


class _Look:
    """The edges that a thing has in a frame which shows it."""

    def __init__(self, box: tuple[slice, slice], inside: np.ndarray, edges: np.ndarray) -> None:
        self._box, self._inside, self._edges = box, inside, edges

    @classmethod
    def of(cls, crops: Crops, t: int, thing: np.ndarray) -> _Look | None:
        rows, columns = np.flatnonzero(thing.any(1)), np.flatnonzero(thing.any(0))
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        edges = _edges(crops, t, box, thing[box])
        return cls(box, thing[box], edges) if (edges**2).sum() > thing.sum() else None

    def likeness(self, crops: Crops, t: int) -> float:
        other = _edges(crops, t, self._box, self._inside)
        scale = np.sqrt((self._edges**2).sum() * (other**2).sum())
        return float((self._edges * other).sum() / max(scale, 1e-6))


def _edges(crops: Crops, t: int, box: tuple[slice, slice], inside: np.ndarray) -> np.ndarray:
    """(2, N) float32: gradient of the leading plane inside a thing, levels a px."""
    luma = to_levels([crops.planes[t][0][box]], crops.layout)[0]
    return np.stack([cv2.Sobel(luma, cv2.CV_32F, *axis, scale=1 / 8)[inside] for axis in ((1, 0), (0, 1))])


def _together(own: Unblend | None, other: Unblend | None, thing: np.ndarray, layout: Layout) -> Unblend | None:
    """Maps of a frame in which a thing with the maps `own` shows beside what has the maps `other`; None is opaque."""
    some = own or other
    if some is None:
        return None
    parts: list[list[np.ndarray]] = [[], [], []]
    for k, plane in enumerate(layout.colour):
        here = subsampled(thing, plane.shift)
        ones, zeros = np.ones_like(some.transmission[k]), np.zeros_like(some.transmission[k])
        inside = (own.transmission[k], own.contribution[k]) if own else (zeros, zeros)
        outside = (other.transmission[k], other.contribution[k]) if other else (ones, zeros)
        for part, a, b in zip(parts, inside, outside, strict=False):
            part.append(np.where(here, a, b))
        doubts = [maps.doubt[k] if maps is not None and maps.doubt is not None else zeros for maps in (own, other)]
        parts[2].append(np.where(here, *doubts))
    return Unblend(parts[0], parts[1], parts[2], max(maps.noise for maps in (own, other) if maps is not None))
