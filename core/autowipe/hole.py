"""What is hidden of a frame, as lists of samples: work grows with what is hidden, not with the region around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .masks import nearest, subsampled, supersampled
from .match import WINDOW_PX, diffuse

AROUND_PX, ALIGN_PX = 32, 32  # of what is hidden: more of the picture says nothing of it; where spreading halves alike
BAND_PX = 12  # around what is hidden: there the places are put right
CELL = 8  # px: grid on which they are
RING_PX = 4  # around what is hidden: there light and expected error are measured
COARSE = 4  # samples: grid on which what is measured around a hole is carried into it
SMOOTHED = 3  # times at each size of it: the more, the closer to a membrane
LINE = 1024  # points a line of a map: cv2.remap takes at most 32767


@dataclass
class Part:
    """The hidden samples of a plane, listed, and those around them; planes of one subsampling share it."""

    box: tuple[slice, slice]  # of the plane, around all hidden samples and what tells of them
    mask: np.ndarray  # (h, w) bool over the box
    at: np.ndarray  # (M,) hidden samples, in the flattened plane
    inside: np.ndarray  # (M,) the same in the flattened box
    spot: np.ndarray  # (M,) the spot of the hole whose place a sample has
    x: np.ndarray  # (M,) float32 px in the plane
    y: np.ndarray
    step: tuple[int, int]  # px of luma that a sample stands for, x and y
    offset: tuple[np.ndarray, np.ndarray]  # (M,) float32 px of luma, x and y, of the spot
    depth: np.ndarray  # (M,) float32 px from the hole's edge
    share: np.ndarray  # (M,) float32: of the window around a sample what is seen
    ring: np.ndarray  # (R,) samples around the hole, in the flattened plane, cell by cell of the coarse grid
    of_band: np.ndarray  # (R,) the same in the hole's band
    ring_at: np.ndarray  # (4, R) float32: x and y px in the plane, x and y px of luma
    starts: np.ndarray  # (F,) of the ring, where the next cell begins
    filled: np.ndarray  # (F,) these cells, of the flattened grid
    coarse: tuple[int, int]  # its shape
    maps: np.ndarray  # (2, M) float32: where the hidden samples lie on it

    def over(self, values: np.ndarray) -> np.ndarray:
        """(h, w) float32 of the box with `values` (M,) where samples are hidden, 0 elsewhere."""
        out = np.zeros(self.mask.shape, np.float32)
        out.ravel()[self.inside] = values
        return out

    def mean(self, values: np.ndarray, window: int) -> np.ndarray:
        """(M,): of `values` (M,) over a window, 0 where nothing is hidden."""
        return np.take(cv2.blur(self.over(values), (window, window)), self.inside)

    def inwards(self, values: Sequence[np.ndarray], weights: np.ndarray) -> list[np.ndarray]:
        """Each of `values` (K, R) of the ring, with `weights` (K, R), spread into the hole: (K, M)."""
        count = len(weights)
        sums, mass = (np.zeros((*self.coarse, len(values) * count), np.float32) for _ in range(2))
        if len(self.ring):
            for grid, terms in ((sums, [value * weights for value in values]), (mass, [weights] * len(values))):
                grid.reshape(-1, grid.shape[2])[self.filled] = np.add.reduceat(np.concatenate(terms), self.starts, 1).T
        spread = diffuse(sums, mass, SMOOTHED)
        x, y = self.maps
        parts = [points(spread[..., k : k + 4], x, y, cv2.INTER_LINEAR) for k in range(0, spread.shape[2], 4)]
        inside = np.concatenate([part.reshape(len(x), -1).T for part in parts])
        return [inside[k : k + count] for k in range(0, len(inside), count)]


@dataclass
class Hole:
    """What may not be borrowed of a frame: its spots; and the band around it, each pixel tied to the next spot."""

    hidden: np.ndarray  # (H, W) bool: to be completed
    spots: np.ndarray  # (N,) int64: what is hidden and its rim, in the flattened region
    number: np.ndarray  # (H * W,) int32: of each spot
    x: np.ndarray  # (N,) float32 px
    y: np.ndarray
    band: np.ndarray  # (B,) int64, in the flattened region, cell by cell of a grid
    nearest: np.ndarray  # (B,) the spot next to it
    distance: np.ndarray  # (B,) float32 px from what is hidden
    right: np.ndarray  # (B,) float32 px from the spot
    down: np.ndarray
    starts: np.ndarray  # (F,) of the band, where the next cell begins
    filled: np.ndarray  # (F,) these cells, of the flattened grid
    cells: tuple[int, int]  # its shape
    on_cells: np.ndarray  # (2, N) float32: where the spots lie on it, x and y
    parts: dict[tuple[int, int], Part]  # by log2 of a plane's subsampling, x and y


def hole_of(hidden: np.ndarray, shifts: Sequence[tuple[int, int]]) -> Hole:
    """`hidden`: (H, W) bool, not empty; `shifts`: log2 of the planes' subsampling, x and y."""
    h, w = hidden.shape
    spots = np.flatnonzero(_rimmed(hidden, shifts))
    number = np.zeros(h * w, np.int32)
    number[spots] = np.arange(len(spots), dtype=np.int32)
    y, x = (one.astype(np.float32) for one in np.divmod(spots, w))
    y0, x0 = (max(0, int(one.min()) - BAND_PX) for one in (y, x))
    near = hidden[y0 : int(y.max()) + BAND_PX + 1, x0 : int(x.max()) + BAND_PX + 1]
    distance, next_to = (one.ravel() for one in nearest(near, 3))
    at = np.flatnonzero((distance > 1) & (distance <= BAND_PX))  # the next pixel still holds some of the overlay
    (band_y, band_x), (next_y, next_x) = (np.divmod(one, near.shape[1]) for one in (at, next_to[at]))
    band_y, band_x, away = band_y + y0, band_x + x0, distance[at]
    spot = number[(next_y + y0) * w + next_x + x0]
    top, left = (int(min(one.min(), other.min(initial=one.min()))) // CELL for one, other in ((y, band_y), (x, band_x)))
    row, column = band_y // CELL - top, band_x // CELL - left
    rows, columns = (int(one.max(initial=0)) + 1 for one in (row, column))
    order, filled, starts = _gathered(row * columns + column)
    band_y, band_x, away, spot = (one[order] for one in (band_y, band_x, away, spot))
    band = band_y * w + band_x
    return Hole(
        hidden=hidden,
        spots=spots,
        number=number,
        x=x,
        y=y,
        band=band,
        nearest=spot,
        distance=away,
        right=band_x.astype(np.float32) - x[spot],
        down=band_y.astype(np.float32) - y[spot],
        starts=starts,
        filled=filled,
        cells=(rows, columns),
        on_cells=np.stack([(x + 0.5) / CELL - 0.5 - left, (y + 0.5) / CELL - 0.5 - top]),
        parts={shift: _part(hidden, number, band, away, shift) for shift in set(shifts)},
    )


def points(picture: np.ndarray, x: np.ndarray, y: np.ndarray, how: int) -> np.ndarray:
    """`picture` (h, w) or (h, w, C) at places (N,) px, its edge repeated: (N,) or (N, C)."""
    maps = np.zeros((2, -(-max(1, len(x)) // LINE) * LINE), np.float32)
    maps[0, : len(x)], maps[1, : len(x)] = x, y
    out = cv2.remap(picture, *maps.reshape(2, -1, LINE), how, borderMode=cv2.BORDER_REPLICATE)
    return out.reshape(-1, *picture.shape[2:])[: len(x)]


def _rimmed(hidden: np.ndarray, shifts: Sequence[tuple[int, int]]) -> np.ndarray:
    """What may not be borrowed: only what has its chroma and its neighbours, which the interpolation takes in, seen."""
    most = max(s[0] for s in shifts), max(s[1] for s in shifts)
    whole = supersampled(subsampled(hidden, most), most, hidden.shape)
    return cv2.dilate(whole.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _part(
    hidden: np.ndarray,
    number: np.ndarray,
    band: np.ndarray,
    distance: np.ndarray,
    shift: tuple[int, int],
) -> Part:
    height, width = hidden.shape
    sx, sy = 1 << shift[0], 1 << shift[1]
    whole = subsampled(hidden, shift)
    w = whole.shape[1]
    box = _near(hidden, shift)
    mask = whole[box]
    top, left = box[0].start, box[1].start
    at = np.flatnonzero(whole)
    y, x = np.divmod(at, w)
    ly, lx = np.minimum(y * sy, height - 1), np.minimum(x * sx, width - 1)
    inside = (y - top) * mask.shape[1] + x - left
    share = cv2.blur((~mask).astype(np.float32), (WINDOW_PX, WINDOW_PX), borderType=cv2.BORDER_REFLECT)
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    ring_y, ring_x = np.divmod(band, width)
    of_band = np.flatnonzero((ring_y % sy == 0) & (ring_x % sx == 0) & (distance <= RING_PX * max(sx, sy)))
    ring_y, ring_x = ring_y[of_band], ring_x[of_band]
    ry, rx = ring_y // sy, ring_x // sx
    ends = [
        (min(a.min(), b.min(initial=h)), max(a.max(), b.max(initial=0)))
        for a, b, h in ((y, ry, height), (x, rx, width))
    ]
    (first, last), (left_most, right_most) = ends
    coarse = ((last - first) // COARSE + 1, (right_most - left_most) // COARSE + 1)
    cells = (ry - first) // COARSE * coarse[1] + (rx - left_most) // COARSE
    order, filled, starts = _gathered(cells)
    of_band, ring_y, ring_x, ry, rx = (one[order] for one in (of_band, ring_y, ring_x, ry, rx))
    return Part(
        box=box,
        mask=mask,
        at=at,
        inside=inside,
        spot=number[ly * width + lx],
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        step=(sx, sy),
        offset=(lx.astype(np.float32), ly.astype(np.float32)),
        depth=depth.ravel()[inside],
        share=share.ravel()[inside],
        ring=ry * w + rx,
        of_band=of_band,
        ring_at=np.stack([rx, ry, ring_x, ring_y]).astype(np.float32),
        starts=starts,
        filled=filled,
        coarse=coarse,
        maps=np.stack([(x - left_most + 0.5) / COARSE - 0.5, (y - first + 0.5) / COARSE - 0.5]).astype(np.float32),
    )


def _gathered(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An order that brings those of one cell together, the cells in it, and where each of them begins."""
    order = np.argsort(cells, kind="stable")
    filled, starts = np.unique(cells[order], return_index=True)
    return order, filled, starts


def _near(hidden: np.ndarray, shift: tuple[int, int]) -> tuple[slice, slice]:
    """The part of a plane around all that is hidden."""
    out = []
    for axis, by in ((1, shift[1]), (0, shift[0])):
        filled = np.flatnonzero(hidden.any(axis))
        first = max(0, int(filled[0]) - AROUND_PX) // ALIGN_PX * ALIGN_PX
        out.append(slice(first >> by, (int(filled[-1]) + 1 + AROUND_PX) >> by))
    return out[0], out[1]
