"""Grain: how strong and how coarse the noise of the frames around a hole is, and the same for what is invented in it.

What is invented rests or moves along, so that it would lie frozen in footage that has grain. Grain is new in each
frame: of three frames brought onto each other along the motion the middle one's departs from the one before and from
the one after alike, r and -r, and their covariance is its variance, whatever grain the other two have. Where the motion
is told a little wrong, both steps depart the same way, which counts against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from .flow import Motion, grid
from .job import Box
from .planes import Layout
from .scene import Scene

TRIPLES = 12  # of frames, that are looked at
FINE_PX = 2.0  # deviation of the blur that parts grain from a change of light
BLOCK = 8  # samples: grain is told block by block
CLEAR = 3  # samples of what is hidden, within which nothing is told
QUIET = 0.25  # of the blocks: what is textured, or moves otherwise, only seems to have more grain
FEWEST = 12  # blocks that tell it
LEAST = 0.8  # levels: a coder's error reaches that, and none would see it
MOST = 12.0  # levels
TILE = 256  # samples: of the grain, which is laid over each frame from another corner
BLURS = (0.0, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.3)  # deviations, samples, that grain is told to be coarse by


@dataclass
class Grain:
    """The grain of one region, plane by plane."""

    tiles: list[np.ndarray | None]  # (TILE, TILE) float32 levels; None: it has none

    def over(self, plane: int, frame: int, layout: Layout, box: Box) -> np.ndarray | None:
        """(h, w) of a source frame's region, the same wherever a window of it begins and whatever box it is cut to."""
        tile = self.tiles[plane]
        if tile is None:
            return None
        x, y, w, h = layout.plane_box(box, layout.colour[plane])
        right, down = np.random.default_rng((frame, plane)).integers(TILE, size=2)
        out: np.ndarray = tile[np.ix_((np.arange(y, y + h) + down) % TILE, (np.arange(x, x + w) + right) % TILE)]
        return out


def measured(scene: Scene, motion: Motion, wanted: Sequence[int]) -> Grain:
    """The grain of what is seen in a window's region; `wanted`: frames with a hole."""
    inner = [t for t in wanted if 0 < t < len(scene.seen) - 1]
    times = inner[:: max(1, -(-len(inner) // TRIPLES))]
    tiles: list[np.ndarray | None] = [None] * len(scene.volumes)
    for shift, planes in scene.kin().items():
        told: dict[int, list[np.ndarray]] = {i: [] for i in planes}
        for t in times:
            ways = [_carried(scene, motion, t, s, shift, planes) for s in (t - 1, t + 1)]
            clear = cv2.erode((ways[0][1] & ways[1][1]).astype(np.uint8), np.ones((2 * CLEAR + 1,) * 2, np.uint8)) > 0
            for k, i in enumerate(planes):
                here = scene.volumes[i][t]
                before, after = (_fine(here - parts[k]) for parts, _ in ways)
                told[i].append(_blocks(before, after, clear))
        for i in planes:
            tiles[i] = _tile_for(told[i], i)
    return Grain(tiles)


def _carried(
    scene: Scene, motion: Motion, t: int, s: int, shift: tuple[int, int], planes: Sequence[int]
) -> tuple[list[np.ndarray], np.ndarray]:
    """What the neighbour `s` shows of frame `t`: (h, w) of each plane, and (h, w) bool where it is seen in both."""
    shape = scene.volumes[planes[0]].shape[1:]
    x, y = grid(shape)
    step = 1 << shift[0], 1 << shift[1]
    luma_x, luma_y = (one * k + (k - 1) / 2 for one, k in zip((x, y), step, strict=True))
    right, down, _ = motion.at(t, s, luma_x.ravel(), luma_y.ravel())
    right, down = right.reshape(shape), down.reshape(shape)
    parts = [cv2.remap(scene.volumes[i][s], x + right / step[0], y + down / step[1], cv2.INTER_CUBIC) for i in planes]
    there = cv2.remap(scene.seen[s].astype(np.uint8), luma_x + right, luma_y + down, cv2.INTER_NEAREST)
    here = cv2.remap(scene.seen[t].astype(np.uint8), luma_x, luma_y, cv2.INTER_NEAREST)
    return parts, (there & here) > 0


def _fine(values: np.ndarray) -> np.ndarray:
    return values - cv2.GaussianBlur(values, (0, 0), FINE_PX)


def _blocks(before: np.ndarray, after: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """(2, n) of each block: the covariance of two departures (h, w), and that with the next sample; NaN: not told."""
    rows, columns = (size // BLOCK * BLOCK for size in clear.shape)
    terms = before * after, before * np.roll(after, -1, 1)
    means = np.stack([_by_block(term[:rows, :columns]) for term in terms])
    means[:, _by_block(clear[:rows, :columns].astype(np.float32)) < 1] = np.nan
    return means


def _by_block(values: np.ndarray) -> np.ndarray:
    h, w = values.shape
    return values.reshape(h // BLOCK, BLOCK, w // BLOCK, BLOCK).mean((1, 3)).ravel()


def _tile_for(told: Sequence[np.ndarray], plane: int) -> np.ndarray | None:
    """The tile of a plane's grain from what the blocks of some frames tell; None where they have none."""
    if not told:
        return None
    stack = np.stack(told)  # (T, 2, n)
    known = (~np.isnan(stack[:, 0])).sum(0) * 2 > len(stack)
    if np.count_nonzero(known) < FEWEST:
        return None
    power, next_to = np.nanmedian(stack[:, :, known], 0)
    variance = float(np.quantile(power, QUIET))
    if variance < LEAST**2:
        return None
    quiet = power <= np.median(power)
    alike = float(next_to[quiet].sum() / max(power[quiet].sum(), 1e-6))
    blur = min(BLURS, key=lambda one: abs(_told_of(one)[1] - alike))
    return _noise(blur, plane) * np.float32(min(MOST, np.sqrt(variance)) / _told_of(blur)[0])


@lru_cache(None)
def _noise(blur: float, plane: int) -> np.ndarray:
    """(TILE, TILE) float32: noise that goes on at its other edge."""
    noise = np.random.default_rng(plane).standard_normal((TILE, TILE)).astype(np.float32)
    if not blur:
        return noise
    return cv2.GaussianBlur(np.tile(noise, (3, 3)), (0, 0), blur)[TILE : 2 * TILE, TILE : 2 * TILE]


@lru_cache(None)
def _told_of(blur: float) -> tuple[float, float]:
    """What would be told of such noise of deviation 1 before the blur: deviation, and likeness of neighbours."""
    fine = _fine(_noise(blur, 0))
    power = float((fine * fine).mean())
    return float(np.sqrt(power)), float((fine * np.roll(fine, -1, 1)).mean()) / power
