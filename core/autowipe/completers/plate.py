"""Borrows from beyond the window: what it never sees and a far frame of the same place does.

A far frame was laid over one of the window's by its whole picture (shotplates.py). Here it is put right against what is
seen around the hole, at full size, and held against it: where it does not show the same, nothing is taken from it. From
the frames for which this was done, the others of the window go along the motion, as in borrow.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..flow import Motion
from ..hole import Hole, Part, points
from ..planes import Layout, to_levels
from ..plate import FarFrame
from . import borrow
from .borrow import NOWHERE, Places

ROUNDS = 4  # of putting right
MOST_MOVED = 4.0  # px by which a place may be put right: the whole pictures fit better
SETTLED = 0.5  # px, of the last round of it
NOISE = 14.0  # levels squared: of the difference of two lossy frames that show the same
ALIKE = 0.15  # of the variety around, that the difference may add to it
LIGHT = 12.0  # levels by which the light of a place may depart from that of the whole hole
FEWEST = 40  # pixels around the hole that tell
NEAR_PX = 5.0  # from what is seen around: no more needs a witness
WITNESS = 8.0  # levels by which two frames that show the same place differ at most
WITNESS_PX = 5  # window of it
DOUBTED, REFUSED = 1e6, 1e3  # levels squared
CELL = 4  # px: grid of the statistics around a hole
NARROW, WIDE, WIDE_SHARE = 3.0, 12.0, 0.02  # cells: their windows; the wide one speaks deep in a hole
LEAST_MASS = 1e-3  # pixels a cell
TINY = 1e-6


@dataclass
class Far:
    """Frames beyond the window over its region, as the window's own."""

    volumes: list[np.ndarray]  # a plane: (K, h, w) float32 levels; over a box of their own, as `seen`
    seen: np.ndarray  # (K, H, W) bool: may be borrowed
    frames: list[int]  # K source frames


def far_of(frames: Sequence[FarFrame], layout: Layout) -> Far:
    """`frames`: at least one, all over the same box."""
    levels = [to_levels(frame.planes, layout) for frame in frames]
    volumes = [np.stack(planes) for planes in zip(*levels, strict=True)]
    return Far(volumes, np.stack([~frame.hidden for frame in frames]), [frame.frame for frame in frames])


def joined(one: Far | None, other: Far, places: Places) -> tuple[Far, Places]:
    """Both sets of far frames as one, of `other` those that `places` lead to; and these places in it."""
    used = [int(k) for k in np.unique(places.frame[places.frame != NOWHERE])]
    frames = [] if one is None else list(one.frames)
    new = [k for k in used if other.frames[k] not in frames]
    frames += [other.frames[k] for k in new]
    number = np.full(len(other.frames) + 1, NOWHERE, np.int16)  # the last one is NOWHERE's
    number[used] = [frames.index(other.frames[k]) for k in used]
    volumes, seen = [v[new] for v in other.volumes], other.seen[new]
    if one is not None:
        volumes = [np.concatenate(both) for both in zip(one.volumes, volumes, strict=True)]
        seen = np.concatenate([one.seen, seen])
    return Far(volumes, seen, frames), Places(number[places.frame], places.x, places.y)


def find(luma: np.ndarray, hole: Hole, part: Part, wanted: np.ndarray, far: Far, ways: Sequence[np.ndarray]) -> Places:
    """The places, in far frames, of what is wanted of a frame's hole; NOWHERE where there is any doubt.

    `luma`: (H, W) float32 levels; `part`: the hole in luma; `wanted`: (H, W) bool; `ways`: to each far frame a
    homography (3, 3), from px of this one to px there.
    """
    slope = borrow.slopes(luma, hole)
    assert slope is not None
    every = [_laid(k, way, luma, slope, hole, far) for k, way in enumerate(ways)]
    told, errors = [], []
    for places in every:
        light, doubt = _held_against(luma, places, hole, part, far)
        (value,) = borrow.take(far.volumes[:1], places, part)
        told.append(np.nan_to_num(value + light))
        errors.append(np.where(np.isnan(value), np.inf, doubt))
    doubts = np.stack(errors)
    speaks = np.isfinite(doubts)
    for k in range(len(every)):
        witnessed = part.depth <= NEAR_PX
        for j in set(range(len(every))) - {k}:
            witnessed = witnessed | _agree(told[k], told[j], speaks[k] & speaks[j], part)
        doubts[k][~witnessed] = np.inf
    best, least = doubts.argmin(0), doubts.min(0)
    known = np.flatnonzero(np.isfinite(least) & np.take(np.take(wanted, hole.spots), part.spot))
    out, spot = borrow.nowhere(hole), part.spot[known]
    for name in ("frame", "x", "y"):
        getattr(out, name)[spot] = np.stack([getattr(places, name) for places in every])[best[known], spot]
    return out


def carry(
    known: Mapping[int, Places],
    lumas: np.ndarray,
    steep: Sequence[np.ndarray | None],
    seen: np.ndarray,
    holes: Sequence[Hole | None],
    motion: Motion,
    far: Far,
    *,
    onwards: bool,
) -> list[Places | None]:
    """For each frame the places that come to it from the nearest earlier one of `known`, or, `onwards`, a later one.

    `steep`: of each frame with a hole its `borrow.slopes`.
    """
    count = len(holes)
    out: list[Places | None] = [None] * count
    for t in range(count - 1, -1, -1) if onwards else range(count):
        hole, s = holes[t], t + 1 if onwards else t - 1
        if t in known:
            out[t] = known[t]
        elif hole is not None and (slope := steep[t]) is not None and 0 <= s < count and out[s] is not None:
            right, down, _ = motion.at(t, s, hole.x, hole.y)
            places, _, _ = borrow.step(out[s], holes[s], NOWHERE, seen[s], hole.x + right, hole.y + down)
            if (places.frame != NOWHERE).any():
                out[t] = places
                borrow.put_right(places, far.volumes[0], far.seen, lumas[t], slope, hole)
                _only_seen(places, far)
    return out


def _laid(k: int, way: np.ndarray, luma: np.ndarray, slope: np.ndarray, hole: Hole, far: Far) -> Places:
    """Places in one far frame: by the homography, then put right against what is seen around the hole."""
    z = way[2, 0] * hole.x + way[2, 1] * hole.y + way[2, 2]
    x, y = ((way[i, 0] * hole.x + way[i, 1] * hole.y + way[i, 2]) / z for i in (0, 1))
    places = Places(np.full(len(x), k, np.int16), x.astype(np.float32), y.astype(np.float32))
    first = x, y
    for _ in range(ROUNDS):
        before = places.x.copy(), places.y.copy()
        borrow.put_right(places, far.volumes[0], far.seen, luma, slope, hole)
    unsettled = np.hypot(places.x - before[0], places.y - before[1]) > SETTLED
    strayed = np.hypot(places.x - first[0], places.y - first[1]) > MOST_MOVED
    places.frame[unsettled | strayed] = NOWHERE
    _only_seen(places, far)
    return places


def _only_seen(places: Places, far: Far) -> None:
    """Drops places that are hidden, or outside; in place."""
    _, h, w = far.seen.shape
    x, y = np.rint(places.x).astype(np.int32), np.rint(places.y).astype(np.int32)
    usable = (places.frame != NOWHERE) & (x >= 1) & (y >= 1) & (x < w - 2) & (y < h - 2)
    usable[usable] = far.seen[places.frame[usable], y[usable], x[usable]]
    places.frame[~usable] = NOWHERE


def _held_against(luma: np.ndarray, places: Places, hole: Hole, part: Part, far: Far) -> tuple[np.ndarray, np.ndarray]:
    """The change of light from there to here, and the doubt about each hidden sample: (M,) each; inf: refused."""
    nothing = np.zeros(len(part.at), np.float32), np.full(len(part.at), np.inf, np.float32)
    frame, x, y = borrow.beside(places, hole, far.seen)
    which = np.flatnonzero(frame != NOWHERE)
    if len(which) < FEWEST:
        return nothing
    (there,) = borrow.sample(far.volumes[:1], frame[which], x[which], y[which], cv2.INTER_CUBIC)
    here = np.take(luma, hole.band[which])
    difference = here - there
    usual = float(np.median(difference))
    weight = np.minimum(hole.distance[which] / borrow.HALO_PX, 1)
    h, w = luma.shape
    rows, columns = -(-h // CELL), -(-w // CELL)
    cell = hole.band[which] // w // CELL * columns + hole.band[which] % w // CELL

    def windowed(term: np.ndarray) -> np.ndarray:
        sums = np.bincount(cell, term * weight, rows * columns).reshape(rows, columns).astype(np.float32)
        return cv2.GaussianBlur(sums, (0, 0), NARROW) + WIDE_SHARE * cv2.GaussianBlur(sums, (0, 0), WIDE)

    mass = np.maximum(windowed(np.ones_like(here)), TINY)
    mean, square, level, power = (windowed(v) / mass for v in (difference, difference**2, here, here**2))
    rest, variety = np.maximum(square - mean**2, 0), np.maximum(power - level**2, 0)
    refused = (rest > NOISE + ALIKE * variety) | (np.abs(mean - usual) > LIGHT) | (mass < LEAST_MASS)
    doubt = np.where(refused, DOUBTED, rest + (mean - usual) ** 2 / 2).astype(np.float32)
    at = (part.x + 0.5) / CELL - 0.5, (part.y + 0.5) / CELL - 0.5
    light, doubt = (points(one.astype(np.float32), *at, cv2.INTER_LINEAR) for one in (mean, doubt))
    return light, np.where(doubt < REFUSED, doubt, np.inf)


def _agree(one: np.ndarray, other: np.ndarray, both: np.ndarray, part: Part) -> np.ndarray:
    """(M,) bool: whether two frames bring the same."""
    share = part.mean(both.astype(np.float32), WITNESS_PX)
    differs = part.mean(np.where(both, np.abs(one - other), 0), WITNESS_PX) / np.maximum(share, TINY)
    return both & (differs < WITNESS)
