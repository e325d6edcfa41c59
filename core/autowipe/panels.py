"""Panels in pictures: the rectangle that an overlay stands on, and what of it is seen on its way.

The sides of a panel are straight edges around the overlay that are there all the while, and are not there without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .boxes import corners
from .job import Box
from .timing import FrameRange

MISSED = 3  # a side may be unseen in one of so many more frames: before a scene of the panel's colour
ACROSS, DOWN = 2.0, 0.6  # of the overlay's height, to which a panel may reach beyond it
WITHIN = 0.25  # of its width and height, that its matte may reach beyond the panel
STEP, NEW = 8.0, 0.5  # levels across a side; share of that, that is there without the overlay at most
RUN, OF_LENGTH = 0.4, 0.3  # of the overlay's height, and of its width at most: letters have no edges so long
SIDE, OF_MOST = 0.55, 0.8  # share of a side that is seen, and of what is seen of the best one
CHANGED, MOSTLY = 8, 0.7  # levels, and share of a panel that changes by so many as it comes or goes
WITHIN_PX, UNEVEN = 2, 0.3  # px from its upper and lower side, and share of the lines there that is uneven: letters .5
LEAST_PX = 8  # of a panel
REACHES = 9  # px, in a run, of both sides that show a part of a panel; and gaps in one
FILLED = 0.5  # share of such a run without its gaps
TO_EDGE = 16  # px from the picture's edge, to which a run goes on that ends there: a panel's end has other colours
SHADE = 12.0  # levels by which a panel's colours differ from those that it has in its place
GAP = 1  # frames in which that is not seen
MORE = 2  # frames further out, in which the part is too short to be told


def find_panel(
    inside: Sequence[np.ndarray],
    outside: Sequence[np.ndarray],
    core: Box,
    room: tuple[int, int],
    corner: tuple[int, int],
    beside: Sequence[Box] = (),
) -> Box | None:
    """The rectangle that an overlay stands on; None where none is seen.

    `inside`, `outside`: (H, W, 3) float32, of frames with it and without; `core`: what of it is known, in these;
    `room`: how far the picture reaches, and `corner`: where in it these begin; `beside`: what other overlays take, so
    that nothing tells where it ends there.
    """
    rows, columns = (_new_steps(inside, outside, axis) for axis in (0, 1))
    other = np.zeros(rows.shape, bool)
    for x0, y0, x1, y1 in map(corners, beside):
        other[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = True
    rows[other] = columns[other] = 1
    (x, y), (wide, high) = core[:2], core[2:]
    run = np.ones((1, max(3, round(min(RUN * high, OF_LENGTH * wide)))), np.uint8)
    rows = cv2.morphologyEx(cv2.morphologyEx(rows, cv2.MORPH_CLOSE, run[:, :3]), cv2.MORPH_OPEN, run)

    def sides(new: np.ndarray, at: int, size: int, reach: float, ends: tuple[int, int]) -> tuple[int, int] | None:
        one = _side(new, at, -1, reach, WITHIN * size, ends[0])
        other = _side(new, at + size, 1, reach, WITHIN * size, ends[1])
        return None if one is None or other is None or other - one < LEAST_PX else (max(0, one), other)

    across: tuple[int, int] | None = (max(0, x), x + wide)
    down = None
    for _ in range(2):  # the upper and lower sides are told better once it is known how long they are
        down = across and sides(rows[:, slice(*across)], y, high, DOWN * high, (-corner[1], room[1]))
        across = down and sides(columns[slice(*down)].T, x, wide, ACROSS * high, (-corner[0], room[0]))
    if across is None or down is None:
        return None
    within = np.mean(inside, axis=0)[slice(*down), slice(*across)]
    if max(_uneven(within[k]) for k in (WITHIN_PX, -1 - WITHIN_PX)) > UNEVEN:
        return None
    part = np.s_[slice(*down), slice(*across)]
    changes = (np.abs(inside[end] - outside[end])[part].max(2)[~other[part]] >= CHANGED for end in (0, -1))
    if other[part].all() or max(change.mean() for change in changes) < MOSTLY:
        return None
    return (across[0], down[0], across[1] - across[0], down[1] - down[0])


def _uneven(row: np.ndarray) -> float:
    """Share of a row (places, 3) in which it changes from place to place, as where letters are cut."""
    return float((np.abs(row[4:] - row[:-4]).max(1) > STEP).mean()) if len(row) > 4 else 0.0


def _new_steps(inside: Sequence[np.ndarray], outside: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """(H, W) uint8, 1 where there is an edge across `axis` in nearly all of the frames with the overlay, and in none of
    those without it."""
    there = np.sort([_steps(picture, axis) for picture in inside], axis=0)[(len(inside) - 1) // MISSED]
    away = np.maximum.reduce([_steps(picture, axis) for picture in outside])
    new = ((there >= STEP) & (away <= NEW * there)).astype(np.uint8)
    return cv2.dilate(new, np.ones((3, 1) if axis == 0 else (1, 3), np.uint8))  # one px before or after does as well


def _steps(picture: np.ndarray, axis: int) -> np.ndarray:
    """(H, W) float32 levels: by how much the px before each and those after it differ."""
    out = np.zeros(picture.shape[:2], np.float32)
    first, second = (picture[:-2], picture[2:]) if axis == 0 else (picture[:, :-2], picture[:, 2:])
    step = np.abs(second - first).max(2)
    if axis == 0:
        out[1:-1] = step
    else:
        out[:, 1:-1] = step
    return out


def _side(new: np.ndarray, edge: int, way: int, reach: float, within: float, end: int) -> int | None:
    """The outermost row in which a side lies; None where there is none.

    new: (rows, places along it), 1 where an edge is; `edge`: the outermost row of what is known, `way`: outwards from
    there; `end`: the picture's own, beyond which a side is not seen.
    """
    first, last = sorted((edge - way * round(within), edge + way * round(reach)))
    first, last = max(0, first), min(len(new), last + 1)
    if last <= first:
        return None
    share = new[first:last].mean(1)
    good = np.flatnonzero((share >= SIDE) & (share >= OF_MOST * share.max()))
    if len(good):
        return first + int(good[0] if way < 0 else good[-1])
    return end if abs(end - edge) <= reach else None


def passing(
    frames: dict[int, np.ndarray], way: int, clean: np.ndarray, inside: Sequence[np.ndarray], panel: Box
) -> tuple[FrameRange, Box] | None:
    """The frames before a panel, or after it, that show a part of it on its way, and what that lies over.

    `way`: -1 before, 1 after; `clean`: a frame without it; `inside`: those with all of it.
    """
    edge = max(frames) if way < 0 else min(frames)
    best: tuple[FrameRange, Box] | None = None
    for axis in (0, 1):
        x0, y0, x1, y1 = corners(panel)
        (first, second), near = ((y0, y1), (x0, x1)) if axis == 0 else ((x0, x1), (y0, y1))
        sides = [
            _Side.of(inside, axis, at, inner, near) for at, inner in ((first, WITHIN_PX), (second, -1 - WITHIN_PX))
        ]
        t, missed, last = edge, 0, edge - way
        while t in frames and missed <= GAP:
            lies = [side.lies(frames[t].astype(np.float32), clean) for side in sides]
            run = _run(lies[0] & lies[1], near)
            if run is None:
                missed += 1
            else:
                near, missed, last = (min(*run, near[0]), max(*run, near[1])), 0, t
            t += way
        if last == edge - way or (best is not None and abs(last - edge) < len(best[0])):
            continue
        (low, high), end = near, clean.shape[1 - axis]
        low, high = 0 if low < TO_EDGE else low, end if high > end - TO_EDGE else high
        box = (low, first, high - low, second - first) if axis == 0 else (first, low, second - first, high - low)
        outer = min(max(last + way * MORE, min(frames)), max(frames))
        best = FrameRange(min(edge, outer), max(edge, outer) + 1), box
    return best


@dataclass(frozen=True)
class _Side:
    """One of the sides along which a panel comes: where it lies across `axis`, and the colours within."""

    axis: int
    at: int
    inner: int  # px from it to where the panel has these
    low: np.ndarray  # (3,) float32 levels
    high: np.ndarray

    @classmethod
    def of(cls, inside: Sequence[np.ndarray], axis: int, at: int, inner: int, along: tuple[int, int]) -> _Side:
        rows = [np.take(picture, np.clip(at + inner, 0, picture.shape[axis] - 1), axis) for picture in inside]
        low, high = np.quantile(np.concatenate([row[slice(*along)] for row in rows]), (0.05, 0.95), axis=0)
        return cls(axis, at, inner, low - SHADE, high + SHADE)

    def lies(self, picture: np.ndarray, clean: np.ndarray) -> np.ndarray:
        """(places along it,) bool: where it lies in one picture and not in another; at their edge, its colours."""
        size = picture.shape[self.axis]
        row = np.take(picture, np.clip(self.at + self.inner, 0, size - 1), self.axis)
        good = ((row >= self.low) & (row <= self.high)).all(-1)
        if 1 < self.at < size - 2:
            near = np.s_[self.at - 2 : self.at + 3] if self.axis == 0 else np.s_[:, self.at - 2 : self.at + 3]
            there, away = (_steps(part[near], self.axis).max(self.axis) for part in (picture, clean))
            good &= (there >= STEP) & (away <= NEW * there)
        return np.asarray(good)


def _run(good: np.ndarray, near: tuple[int, int]) -> tuple[int, int] | None:
    """First and last + 1 of the longest run that meets what is `near`, gaps closed; None where there is none."""
    whole = cv2.morphologyEx(good.astype(np.uint8)[None], cv2.MORPH_CLOSE, np.ones((1, REACHES), np.uint8))[0]
    edges = np.flatnonzero(np.diff(np.r_[0, whole, 0].astype(int)))
    runs = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= REACHES]
    runs = [run for run in runs if run[0] < near[1] and near[0] < run[1] and good[slice(*run)].mean() >= FILLED]
    return max(runs, key=lambda run: run[1] - run[0], default=None)
