"""Borrows: for every pixel, where in the window its scene point was seen, found by going along the motion.

What is carried is never a colour but a place, (frame, x, y), so that the colour is sampled once, at its source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..flow import Motion, grid

NOWHERE = -1


@dataclass
class Places:
    """Where each pixel of one frame is seen in another: the nearest such frame in one direction of time."""

    frame: np.ndarray  # (H, W) int16, index in the window; NOWHERE where the point is not seen
    x: np.ndarray  # (H, W) float32 px there
    y: np.ndarray  # (H, W) float32
    doubt: np.ndarray  # (H, W) float32, px squared: expected squared error of (x, y)


def carry(lumas, seen, surrounds, motion: Motion, *, onwards: bool) -> list[Places]:
    """For each frame its places in earlier frames (`onwards`: in later frames). `seen`: (H, W) bool a frame."""
    count, shape = len(seen), seen[0].shape
    order = range(count - 1, -1, -1) if onwards else range(count)
    step = 1 if onwards else -1
    out: list[Places] = [nowhere(shape)] * count
    x, y = grid(shape)
    for t in order:
        s = t + step
        if not 0 <= s < count or surrounds[t] is None:
            continue
        flow = motion.ahead(t) if onwards else motion.back(t)
        out[t] = _step(out[s], s, seen[s], x + flow[..., 0], y + flow[..., 1])
        for _ in range(ROUNDS):
            _register(out[t], lumas, seen, t, surrounds[t])
    return out

ROUNDS = 1
BAND_PX = 12
CELL = 4
NEAR, FAR, WIDE = 2.0, 8.0, 0.05
STIFF = 0.05
SPAN = 3.0


@dataclass
class Surround:
    """The pixels around a hole, each tied to the hole's pixel next to it."""

    hole: np.ndarray  # (N,) flat
    band: np.ndarray  # (M,) flat
    nearest: np.ndarray  # (M,) flat
    distance: np.ndarray


def surround(hole: np.ndarray) -> Surround:
    distance, label = cv2.distanceTransformWithLabels((~hole).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    inside = np.flatnonzero(hole)
    table = np.zeros(int(label.max()) + 1, np.int32)
    table[label.ravel()[inside]] = inside
    band = np.flatnonzero((distance > 1) & (distance <= BAND_PX))
    return Surround(inside, band, table[label.ravel()[band]], distance.ravel()[band])


def beside(places: Places, around: Surround, seen) -> tuple[np.ndarray, ...]:
    """The band's own places, if the source of the hole's next pixel went on there: (which, frame, x, y)."""
    h, w = places.frame.shape
    frame = places.frame.ravel()[around.nearest]
    x = places.x.ravel()[around.nearest] + (around.band % w - around.nearest % w)
    y = places.y.ravel()[around.nearest] + (around.band // w - around.nearest // w)
    ix, iy = np.rint(x), np.rint(y)
    fine = (frame != NOWHERE) & (ix >= 0) & (iy >= 0) & (ix < w) & (iy < h)
    which = np.flatnonzero(fine)
    flat = (iy[which] * w + ix[which]).astype(np.int64)
    good = np.zeros(len(which), bool)
    f = frame[which]
    for s in np.unique(f):
        at = f == s
        good[at] = seen[s].ravel()[flat[at]]
    which = which[good]
    return which, frame[which], x[which].astype(np.float32), y[which].astype(np.float32)


def _register(places: Places, lumas, seen, t, around: Surround) -> None:
    """Moves the places so that what is around the hole fits: what the steps got wrong does not add up."""
    h, w = places.frame.shape
    which, frame, x, y = beside(places, around, seen)
    if len(which) < 50:
        return
    now = lumas[t]
    at = around.band[which]
    got = sample(lumas, frame, x, y, cv2.INTER_LINEAR)
    difference = got - now.ravel()[at]
    gx = cv2.Sobel(now, cv2.CV_32F, 1, 0, ksize=3, scale=0.125).ravel()[at]
    gy = cv2.Sobel(now, cv2.CV_32F, 0, 1, ksize=3, scale=0.125).ravel()[at]
    difference = difference - np.median(difference)
    weight = np.minimum(around.distance[which] / SPAN, 1) / (1 + (difference / 9) ** 2)
    cells = (-(-w // CELL), -(-h // CELL))
    # sums over cells
    cell = (at // w // CELL) * cells[0] + at % w // CELL
    def summed(v):
        m = np.bincount(cell, v * weight, cells[0] * cells[1]).reshape(cells[::-1]).astype(np.float32) / CELL**2
        return cv2.GaussianBlur(m, (0, 0), NEAR) + WIDE * cv2.GaussianBlur(m, (0, 0), FAR)
    xx, xy, yy, xd, yd = (summed(v) for v in (gx * gx, gx * gy, gy * gy, gx * difference, gy * difference))
    xx, yy = xx + STIFF, yy + STIFF
    det = xx * yy - xy * xy
    dx, dy = ((xy * yd - yy * xd) / det).clip(-1, 1), ((xy * xd - xx * yd) / det).clip(-1, 1)
    step = cv2.resize(np.dstack([dx, dy]), (cells[0] * CELL, cells[1] * CELL), interpolation=cv2.INTER_LINEAR)[:h, :w]
    places.x += step[..., 0]
    places.y += step[..., 1]


def nowhere(shape: tuple[int, int]) -> Places:
    zero = np.zeros(shape, np.float32)
    return Places(np.full(shape, NOWHERE, np.int16), zero, zero, zero)


def _step(beyond: Places, s: int, seen: np.ndarray, x: np.ndarray, y: np.ndarray) -> Places:
    """Places of a frame whose pixels are at (x, y) in its neighbour `s`, given the neighbour's own places."""
    h, w = seen.shape
    # The neighbour's places are taken at its nearest pixel, with the rest of the way added: no mixing of sources.
    ix, iy = np.rint(x), np.rint(y)
    inside = (ix >= 0) & (iy >= 0) & (ix < w) & (iy < h)
    at = (np.clip(iy, 0, h - 1) * w + np.clip(ix, 0, w - 1)).astype(np.int32)
    here = seen.ravel()[at] & inside
    frame = np.where(here, np.int16(s), np.where(inside, beyond.frame.ravel()[at], np.int16(NOWHERE)))
    far_x = np.where(here, x, beyond.x.ravel()[at] + (x - ix))
    far_y = np.where(here, y, beyond.y.ravel()[at] + (y - iy))
    doubt = np.where(here, 0, beyond.doubt.ravel()[at]) + np.float32(0.01)
    return Places(frame, far_x, far_y, doubt)


def sample(volume: np.ndarray, frame: np.ndarray, x: np.ndarray, y: np.ndarray, how: int = cv2.INTER_CUBIC) -> np.ndarray:
    """Values of `volume` (T, h, w) at (frame, x, y), each (N,): float32, bicubic within the frame; 0 where NOWHERE."""
    out = np.zeros(len(frame), np.float32)
    if not len(frame):
        return out
    order = np.argsort(frame, kind="stable")
    frames, starts = np.unique(frame[order], return_index=True)
    for f, chosen in zip(frames, np.split(order, starts[1:])):
        if f == NOWHERE:
            continue
        rows = -(-len(chosen) // 1024)  # remap takes pictures of at most 32767 px a side
        pad = rows * 1024 - len(chosen)
        maps = [np.pad(c[chosen], (0, pad)).reshape(rows, 1024) for c in (x, y)]
        picture = volume[f]
        if picture.dtype == np.uint8:
            picture = picture.astype(np.float32)
        got = cv2.remap(picture.astype(np.float32, copy=False), *maps, how, borderMode=cv2.BORDER_REPLICATE)
        out[chosen] = got.reshape(-1)[: len(chosen)]
    return out
