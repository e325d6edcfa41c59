"""What opacity and colours explain how an overlay changes a picture over time, its tiles taken together.

Every tile of the lattice is a look at the same px of the pattern before another background, and gives two equations
for it: how far the mean departs from the fill's, and how much less the picture changes than the fill does. Each is
weighted by how far the fill errs there. An overlay that does not repeat itself is one tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .crew import each
from .job import Box
from .lattice import Lattice, moved
from .masks import grown

NOISE = 1.5  # levels; what the codec leaves, and most of it stands still
ALIKE = 2.0  # frames that tell as much as one
FAR = 9.0  # chi squared from which a tile's say falls off
MOST_COLOURS = 3
CAP = 25.0  # chi squared that a px of no colour costs
LEAST_SHARE = 0.06  # of the strokes that a further colour explains
MEET_PX = 1  # from the line between two colours: their shades between, with what the codec smears
KNOWN = 0.03  # deviation of an opacity from which its px does not tell the usual one
LEAST_OPACITY = 0.012  # a change by less than this of the way to the overlay's colour is not seen
SURE = 3.0  # standard deviations
AT_ONCE = 100_000  # samples of all tiles: what is made of them on the way stays in the processor's cache
FLAT = 0.012  # opacities that belong to one flat level differ by less


@dataclass
class Moments:
    """(H, W) each, over time: what is observed and what the fill expects; 0 weight outside the hole."""

    mean: np.ndarray
    fill: np.ndarray
    both: np.ndarray  # covariance of the two
    spread: np.ndarray  # variance of the fill
    still: np.ndarray  # variance of the fill's error that stays
    moving: np.ndarray  # that changes
    inside: np.ndarray  # 1 in the hole

    def tiles(self, shifts: Sequence[tuple[float, float]], cell: Box) -> tuple[np.ndarray, np.ndarray]:
        """All but `inside` of each tile that meets the picture, (6, tiles, h, w), and where it shows the hole."""
        inside = [moved(self.inside, shift, cell) for shift in shifts]
        shown = [k for k, part in enumerate(inside) if not np.isnan(part).all()]
        parts = self.mean, self.fill, self.both, self.spread, self.still, self.moving
        seen = np.empty((len(parts), len(shown), *inside[0].shape), np.float32)
        for into, part in zip(seen, parts, strict=True):
            for tile, k in zip(into, shown, strict=True):
                tile[:] = moved(part, shifts[k], cell)
            into[np.isnan(into)] = 0
        return seen, np.stack([inside[k] for k in shown]) > 0.5


def fit(
    moments: Moments, lattice: Lattice | None, frames: int
) -> tuple[np.ndarray, np.ndarray, list[float], np.ndarray] | None:
    """Opacity and its deviation (H, W), the colours, darkest first, and which of them each px has, (H, W) float32:
    0.5 is half way between the first two.
    """
    height, width = moments.mean.shape
    cell = (0, 0, width, height)
    shifts = [(0.0, 0.0)]
    if lattice is not None:
        cell = lattice.cell(cell)
        shifts = lattice.shifts(width, height)
    seen, there = moments.tiles(shifts, cell)
    opacity = np.full(there.shape[1:], 0.3, np.float32)
    colours: list[float] = []
    doubt = np.ones(there.shape, np.float32)
    for turn in range(3):
        rows = _equations(seen, there, doubt, opacity, frames)
        if turn == 0:
            colours = _find_colours(rows)
            if not colours:
                return None
        colours, choice = _tune_colours(rows, colours)
        opacity, error = _solve(rows, np.array(colours, np.float32)[choice])
        mix, opacity = _mixed(rows, colours, choice, opacity, error)
        colour = np.interp(mix, np.arange(len(colours)), colours).astype(np.float32)
        doubt = _doubt(seen, there, opacity, colour, frames)
    opacity = _snapped(opacity, error, np.rint(mix), len(colours))
    whole = np.zeros((height, width), np.float32)
    wide = np.full((height, width), 9.0, np.float32)
    which = np.zeros((height, width), np.float32)
    for shift in shifts:  # the opacity of each tile is the pattern's
        _put(whole, wide, which, opacity, error, mix, cell, shift)
    return whole, wide, colours, np.clip(which, 0, len(colours) - 1)


def _put(whole, wide, which, opacity, error, mix, cell: Box, shift: tuple[float, float]) -> None:
    """Lays the pattern over the picture where a tile's is better known than what lies there."""
    height, width = whole.shape
    x, y, w, h = cell
    left, top = x + int(np.floor(shift[0])), y + int(np.floor(shift[1]))
    x0, y0, x1, y1 = max(0, left), max(0, top), min(width, left + w + 1), min(height, top + h + 1)
    if x1 <= x0 or y1 <= y0:
        return
    box = (x0 - x, y0 - y, x1 - x0, y1 - y0)
    back = (-shift[0], -shift[1])
    part, deviation, colour = (moved(m.astype(np.float32), back, box) for m in (opacity, error, mix))
    better = ~np.isnan(part) & (np.nan_to_num(deviation, nan=99) < wide[y0:y1, x0:x1])
    whole[y0:y1, x0:x1][better] = part[better]
    wide[y0:y1, x0:x1][better] = deviation[better]
    which[y0:y1, x0:x1][better] = colour[better]


@dataclass
class _Rows:
    """Sums (h, w) of the tiles' weighted equations: x = colour - fill, y = mean - fill = A x, and A = 1 - slope."""

    one: np.ndarray
    u: np.ndarray
    uu: np.ndarray
    y: np.ndarray
    yu: np.ndarray
    yy: np.ndarray
    by_time: np.ndarray
    less: np.ndarray
    less_less: np.ndarray

    def costs(self, colour: float) -> tuple[np.ndarray, np.ndarray]:
        """Chi squared and best opacity (h, w) for one colour."""
        xx = colour * colour * self.one - 2 * colour * self.u + self.uu + self.by_time
        xy = colour * self.y - self.yu + self.less
        opacity = np.clip(xy / np.maximum(xx, 1e-9), 0, 1)
        return self.yy + self.less_less - 2 * opacity * xy + opacity**2 * xx, opacity


def _rows(shape: tuple[int, ...]) -> list[slice]:
    """Rows of the pattern, a few at a time; `shape`: tiles, h, w."""
    step = max(1, AT_ONCE // (shape[0] * shape[2]))
    return [slice(y, y + step) for y in range(0, shape[1], step)]


def _equations(seen: np.ndarray, there: np.ndarray, doubt: np.ndarray, opacity: np.ndarray, frames: int) -> _Rows:
    def sums(rows: slice) -> tuple[np.ndarray, ...]:
        return _sums(seen[:, :, rows], there[:, rows] * doubt[:, rows], opacity[rows], frames)

    parts = each(sums, _rows(there.shape))
    return _Rows(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _sums(seen: np.ndarray, doubt: np.ndarray, opacity: np.ndarray, frames: int) -> tuple[np.ndarray, ...]:
    """What `_Rows` holds, of some rows."""
    mean, fill, both, spread, still, moving = seen
    a2 = (1 - opacity) ** 2
    looks = max(1.0, frames / ALIKE)
    weight = doubt / (a2 * (still + moving / looks) + NOISE**2)
    time_weight = doubt * looks / (a2 * moving + NOISE**2)
    spread = np.maximum(spread - NOISE**2, 0)
    y = mean - fill
    less = np.maximum(spread, both * 0) - both
    slope_less = less / np.maximum(spread, 1e-3)
    known = spread > NOISE**2
    time_weight = time_weight * known
    return (
        weight.sum(0),
        (weight * fill).sum(0),
        (weight * fill * fill).sum(0),
        (weight * y).sum(0),
        (weight * y * fill).sum(0),
        (weight * y * y).sum(0),
        (time_weight * spread).sum(0),
        (time_weight * spread * slope_less).sum(0),
        (time_weight * spread * slope_less**2).sum(0),
    )


def _doubt(seen: np.ndarray, there: np.ndarray, opacity: np.ndarray, colour: np.ndarray, frames: int) -> np.ndarray:
    """Weight (tiles, h, w) of each tile's equations, less where they fit badly: an edge passes under the stroke."""

    def weight(rows: slice) -> np.ndarray:
        mean, fill, _, _, still, moving = seen[:, :, rows]
        off = mean - fill - opacity[rows] * (colour[rows] - fill)
        variance = (1 - opacity[rows]) ** 2 * (still + moving * ALIKE / frames) + NOISE**2
        return there[:, rows] / (1 + off * off / (FAR * variance))

    return np.concatenate(each(weight, _rows(there.shape)), axis=1)


def _find_colours(rows: _Rows) -> list[float]:
    """The fewest colours that explain the strokes."""
    here = rows.yy > FAR  # px that depart from the fill
    if not here.any():
        return []
    grid = np.arange(16, 236, 4, dtype=np.float32)
    costs = np.stack([rows.costs(float(c))[0][here] for c in grid])
    best = costs.min(0)
    over = np.minimum(costs - best, CAP)
    found: list[int] = []
    left = np.full(over.shape[1], CAP, np.float32)
    for _ in range(MOST_COLOURS):
        total = np.minimum(over, left).sum(1)
        k = int(total.argmin())
        if found and left.sum() - total[k] < LEAST_SHARE * CAP * left.size:
            break
        found.append(k)
        left = np.minimum(left, over[k])
    return sorted(float(grid[k]) for k in found)


def _tune_colours(rows: _Rows, colours: list[float]) -> tuple[list[float], np.ndarray]:
    choice = _choose(rows, colours)
    tuned = []
    for k, colour in enumerate(colours):
        here = (choice == k) & (rows.yy > FAR)
        grid = np.clip(colour + np.arange(-4, 4.1, 0.5), 16, 235)
        if not here.any():
            tuned.append(colour)
            continue
        costs = np.stack([rows.costs(float(c))[0][here] for c in grid])
        total = np.minimum(costs - costs.min(0), CAP).sum(1)
        tuned.append(float(grid[total.argmin()]))
    tuned.sort()
    return tuned, _choose(rows, tuned)


def _choose(rows: _Rows, colours: list[float]) -> np.ndarray:
    if len(colours) == 1:
        return np.zeros(rows.one.shape, np.int8)
    costs = np.stack([rows.costs(c)[0] for c in colours])
    costs -= costs.min(0)
    smooth = np.stack([cv2.blur(np.minimum(part, CAP), (5, 5)) for part in costs])
    return (np.minimum(costs, CAP) + smooth).argmin(0).astype(np.int8)


def _mixed(
    rows: _Rows, colours: list[float], choice: np.ndarray, opacity: np.ndarray, error: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which of the colours, from darkest to lightest, each px has, or what lies between two; and its opacity.

    Where letters meet their outline is a shade between, which in one of the two colours would seem transparent: letters
    and outline being of one opacity, it is taken to have that as well.
    """
    mix = choice.astype(np.float32)
    own = opacity > LEAST_OPACITY
    level = flat_level(opacity[own & (error < KNOWN)]) if len(colours) > 1 else 0.0
    if level > 0:
        strokes = [grown((choice == k) & (opacity > level / 2), MEET_PX) for k in range(len(colours))]
        meet = np.sum(strokes, 0) > 1
        shade = (rows.y[meet] / level + rows.u[meet]) / np.maximum(rows.one[meet], 1e-9)
        mix[meet] = np.interp(shade, colours, np.arange(len(colours)))
        opacity = np.where(meet, np.float32(level), opacity)
    return mix, opacity


def _solve(rows: _Rows, colour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Opacity (h, w) of each px for its colour, and its standard deviation."""
    xx = colour * colour * rows.one - 2 * colour * rows.u + rows.uu + rows.by_time
    xy = colour * rows.y - rows.yu + rows.less
    opacity = np.clip(xy / np.maximum(xx, 1e-9), 0, 1)
    return opacity.astype(np.float32), (1 / np.sqrt(np.maximum(xx, 1e-2))).astype(np.float32)


def flat_level(opacity: np.ndarray) -> float:
    """The opacity that most px share; 0 where they share none."""
    counts, edges = np.histogram(opacity, 100, (0, 1))
    counts[:3] = 0
    k = int(np.convolve(counts, np.ones(3), "same").argmax())
    near = np.abs(opacity - (edges[k] + 0.005)) < 2 * FLAT
    return float(np.median(opacity[near])) if near.any() else 0.0


def _snapped(opacity: np.ndarray, error: np.ndarray, choice: np.ndarray, colours: int) -> np.ndarray:
    """Draws px inside the strokes to their flat level, as far as they are not known to differ from it."""
    out = opacity.copy()
    for k in range(colours):
        own = (choice == k) & (opacity > LEAST_OPACITY)
        inner = cv2.erode(own.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        sure = inner & (error < KNOWN)
        level = flat_level(opacity[sure]) if sure.sum() > 30 else 0.0
        if level <= 0:
            continue
        near = own & (np.abs(opacity - level) < SURE * np.hypot(error, FLAT))
        pull = error**2 / (error**2 + (FLAT / 2) ** 2)
        out[near] += ((level - opacity) * pull)[near]
    return out
