"""Evidence from the whole picture at analysis size: which edges stay put while everything else moves or is cut away.

Every pixel with an edge carries a reference gradient (luma and both chroma) and asks each sampled frame whether it is
still there. How much a "yes" is worth is measured on the clip itself: in a pan or across a cut few edges of the scene
survive, in a locked-off shot all do. The log likelihood ratio of "burnt in" against "scene" runs as a one-sided CUSUM
(Page 1954), so that a mark that is there for a part of the clip collects its evidence over just that part.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

EDGE = 20  # least gradient, in 1/8 level a px: a step of 5 levels, twice what H.264 leaves of noise
BUSIEST = 5  # at most about one pixel in so many takes on a new reference in a frame
DIRECTIONS = 8  # bins over 180 degrees: edges along the motion survive it and must not count
CELLS = 8  # across the picture
LEAST_IN_CELL = 40  # edge pixels from which a cell's survival is a figure
STILL_QUANTILE = 0.7  # of the cells' survival: overlays fill few cells, a still scene most
KEPT = 0.8  # probability that an overlay's edge is found again in the next sample (translucent ones miss some)
MOST = 60.0  # nats; a longer presence adds nothing, and its end must show within seconds
MEMORY = 12  # samples over which the reference is averaged
CLIP = 8.0  # levels a px: strong edges of the scene must not outvote the faint ones of an overlay
BAR_LEVEL = 24  # mean luma below which a row is a black bar, whatever text stands in a part of it
BAR_PX = 3
BORDER = 2  # analysis px: edges of the frame itself, of letterboxes and of rescaling lie there
PRIOR = 20.0  # edge pixels with which a direction's rate is shrunk to a half


@dataclass
class Still:
    """Per pixel of the analysis picture: the best case for "burnt in" that any stretch of the clip makes."""

    score: np.ndarray  # (h, w) float32, nats
    first: np.ndarray  # (h, w) int32, frame from which the edge stood there
    last: np.ndarray  # (h, w) int32, last sampled frame of it
    edges: np.ndarray  # (6, h, w) float32, the edge's gradient: x, y of luma and the two chroma, levels a px
    light: np.ndarray  # (h, w) float32, mean luma over time
    moved: float  # nats that an overlay's edge has collected if it was there all the time


def gradients(luma: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """(6, h, w) int16, in 1/8 level a px: x and y of luma (h, w) uint8 and of chroma (h, w, 2) uint8."""
    out = np.empty((6, *luma.shape), np.int16)
    for i, part in enumerate((luma, *cv2.split(chroma))):
        cv2.Sobel(part, cv2.CV_16S, 1, 0, dst=out[2 * i], ksize=3)
        cv2.Sobel(part, cv2.CV_16S, 0, 1, dst=out[2 * i + 1], ksize=3)
    return out


@dataclass
class Steady:
    """Per pixel of the analysis picture: its mean gradient, in which what moves averages out."""

    field: np.ndarray  # (2, h, w) float32, x and y of luma, levels a px; each frame's clipped at CLIP
    usual: np.ndarray  # (h, w) float32: root of the mean square of the gradient's length
    light: np.ndarray  # (h, w) float32: mean luma
    count: int  # sampled frames


class SteadyField:
    """Collects sampled frames of one size; its memory is four pictures."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, luma: np.ndarray) -> None:
        if not self._count:
            self._light, self._power = np.zeros(luma.shape), np.zeros(luma.shape, np.float32)
            self._field = np.zeros((2, *luma.shape), np.float32)
        self._count += 1
        cv2.accumulate(luma, self._light)
        self._field += (part := clipped(luma))
        self._power += part[0] * part[0]
        self._power += part[1] * part[1]

    def result(self) -> Steady | None:
        """None when no frame came."""
        if not self._count:
            return None
        light = (self._light / self._count).astype(np.float32)
        return Steady(self._field / self._count, np.sqrt(self._power / self._count), light, self._count)


def clipped(luma: np.ndarray) -> np.ndarray:
    """(2, h, w) float32 gradient of a picture (h, w) uint8, x and y, clipped at CLIP levels a px either way."""
    out = np.stack([cv2.Sobel(luma, cv2.CV_32F, *way, ksize=3, scale=1 / 8) for way in ((1, 0), (0, 1))])
    return np.clip(out, -CLIP, CLIP, out=out)


class StillEdges:
    """Collects sampled frames of one size; its memory is a fixed number of pictures."""

    def __init__(self) -> None:
        self._count = 0
        self._moved = 0.0

    def add(self, frame: int, luma: np.ndarray, chroma: np.ndarray) -> None:
        field = gradients(luma, chroma)
        if not self._count:
            self._start(luma.shape)
        self._count += 1
        cv2.accumulate(luma, self._light)
        flat = field.reshape(6, -1)
        seen = self._is_edge(field).reshape(-1)
        at = np.flatnonzero(self._live)
        if at.size:
            self._vote(frame, at, flat)
        fresh = np.flatnonzero(seen & ~self._live)
        self._restart(frame, fresh, flat[:, fresh].astype(np.float32))

    def result(self) -> Still | None:
        """None when no frame came."""
        if not self._count:
            return None
        shape = self._shape
        return Still(
            self._best.reshape(shape).copy(),
            self._best_first.reshape(shape).copy(),
            self._best_last.reshape(shape).copy(),
            self._best_edge.reshape(6, *shape) / 8,
            (self._light / self._count).astype(np.float32),
            min(self._moved, MOST),
        )

    def _start(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._light = np.zeros(shape)
        size = shape[0] * shape[1]
        self._live = np.zeros(size, bool)
        self._edge = np.zeros((6, size), np.float32)
        self._best_edge = np.zeros((6, size), np.float32)
        self._hits, self._score, self._best = (np.zeros(size, np.float32) for _ in range(3))
        self._first, self._best_first, self._best_last = (np.zeros(size, np.int32) for _ in range(3))
        side = max(8, -(-shape[1] // CELLS))
        rows, columns = np.arange(shape[0]) // side, np.arange(shape[1]) // side
        self._cell = (rows[:, None] * CELLS + columns[None]).astype(np.int16).reshape(-1)
        self._cells = int(self._cell.max()) + 1

    def _is_edge(self, field: np.ndarray) -> np.ndarray:
        most = np.abs(field[0])
        for part in field[1:]:
            np.maximum(most, np.abs(part), out=most)
        # in rough texture only the stronger edges: they are many enough, and each costs time
        sample = most[::4, ::4].reshape(-1)
        rough = np.partition(sample, -(sample.size // BUSIEST))[-(sample.size // BUSIEST)]
        return most >= max(EDGE, int(rough))

    def _vote(self, frame: int, at: np.ndarray, flat: np.ndarray) -> None:
        """Asks the new frame at the pixels `at`, and moves their references, scores and records on."""
        now, then = flat.take(at, axis=1).astype(np.float32), self._edge.take(at, axis=1)
        power = np.einsum("ij,ij->j", then, then)
        along = np.einsum("ij,ij->j", now, then)
        apart = np.einsum("ij,ij->j", now, now) - 2 * along + power
        hit = (along > 0.6 * power) & (apart < 0.5 * power + 2 * EDGE)
        direction = (np.arctan2(then[1], then[0]) * (DIRECTIONS / np.pi)).astype(np.int32) % DIRECTIONS
        chance = self._chance(hit, direction, self._cell[at])
        gain, loss = np.log(KEPT / chance), np.log((1 - KEPT) / (1 - chance))
        self._moved += float(gain.mean())
        score = np.minimum(self._score[at] + np.where(hit, gain[direction], loss[direction]), MOST).astype(np.float32)

        gone = ~hit & (score <= 0)
        hits = self._hits[at] + hit
        weight = np.where(hit, 1 / np.minimum(hits, MEMORY), 0).astype(np.float32)
        self._edge[:, at] = then + (now - then) * weight
        self._score[at], self._hits[at] = np.maximum(score, 0), hits
        self._live[at[gone]] = False
        best = score >= np.maximum(self._best[at], 1e-3)
        won = at[best]
        self._best[won], self._best_last[won] = score[best], frame
        self._best_first[won] = self._first[won]
        self._best_edge[:, won] = self._edge[:, won]

    def _chance(self, hit: np.ndarray, direction: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """Probability, per direction, that an edge of the scene is found again in this frame."""
        tried = np.bincount(direction, minlength=DIRECTIONS)
        kept = np.bincount(direction[hit], minlength=DIRECTIONS)
        rate = (kept + PRIOR / 2) / (tried + PRIOR)
        in_cell = np.bincount(cell, minlength=self._cells)
        held = np.bincount(cell[hit], minlength=self._cells)
        known = in_cell >= LEAST_IN_CELL
        still = float(np.quantile(held[known] / in_cell[known], STILL_QUANTILE)) if known.any() else 1.0
        return np.clip(np.maximum(rate, still), 0.04, KEPT)

    def _restart(self, frame: int, at: np.ndarray, edge: np.ndarray) -> None:
        self._live[at] = True
        self._edge[:, at] = edge
        self._hits[at], self._score[at], self._first[at] = 1, 0, frame


def frame_lines(light: np.ndarray) -> np.ndarray:
    """(h, w) bool: the picture's border, and the edges of letterbox and pillarbox bars. light: (h, w) mean luma."""
    out = np.zeros(light.shape, bool)
    for mask, rows in ((out, light), (out.T, light.T)):
        dark = np.quantile(rows, 0.6, axis=1) < BAR_LEVEL
        first = int(np.argmin(dark)) if not dark.all() else 0
        last = int(np.argmin(dark[::-1])) if not dark.all() else 0
        mask[max(0, first - BAR_PX) : first + BAR_PX] = True
        mask[len(dark) - last - BAR_PX : len(dark) - last + BAR_PX] = True
        mask[:BORDER] = mask[-BORDER:] = True
    return out
