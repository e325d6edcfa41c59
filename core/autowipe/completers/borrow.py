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


def carry(seen: Sequence[np.ndarray], motion: Motion, *, onwards: bool) -> list[Places]:
    """For each frame its places in earlier frames (`onwards`: in later frames). `seen`: (H, W) bool a frame."""
    count, shape = len(seen), seen[0].shape
    order = range(count - 1, -1, -1) if onwards else range(count)
    step = 1 if onwards else -1
    out: list[Places] = [nowhere(shape)] * count
    x, y = grid(shape)
    for t in order:
        s = t + step
        if not 0 <= s < count:
            continue
        flow = motion.ahead(t) if onwards else motion.back(t)
        out[t] = _step(out[s], s, seen[s], x + flow[..., 0], y + flow[..., 1])
    return out


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


def sample(volume: np.ndarray, frame: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
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
        got = cv2.remap(picture.astype(np.float32, copy=False), *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        out[chosen] = got.reshape(-1)[: len(chosen)]
    return out
