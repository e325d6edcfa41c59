"""How a translucent overlay that is spread over the picture blends: its opacity and colour, px by px, from many frames.

Model, per sample: observed = (1 - A) * beneath + A * colour, the opacity A smooth or flat from px to px, the colours
few. The picture beneath is not known; a fill from between the strokes stands in for it (see unblend.py on its error).
Two things tell A: how far the mean over time departs from the fill's, and how much less the picture under a stroke
changes than the fill does. Where the overlay repeats itself every tile is a look at the same A, before another
background; what one of them leaves open the others tell. Everything is weighted by how far the fill errs there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from .behind import calibration
from .evidence import clipped
from .fill import predict
from .job import Box
from .lattice import Lattice, moved, refine
from .maps import Unblend
from .planes import Layout, to_levels

MOST_SAMPLES, MOST_FRAMES, FEWEST_FRAMES = 48_000_000, 32, 6  # of luma kept for the fit; frames kept
CHUNK = 4_000_000  # samples filled at once
RIM_PX = 3  # around what is covered: the codec smears strokes over them
ROUNDS = 3  # each narrows the hole to what the overlay covers, which betters the fill
PROBES = (-0.5, -0.35, -0.2, 0.0, 0.2, 0.35, 0.5)  # of the pattern: shifts tried to find clean picture
LEAST_PROBED = 200  # px
CALIBRATION = (0.7, 1.2)  # what is believed of it
NOISE = 1.5  # levels; what the codec leaves, and most of it stands still
ALIKE = 2.0  # frames that tell as much as one
FAR = 9.0  # chi squared from which a tile's say falls off
MOST_COLOURS = 3
CAP = 25.0  # chi squared that a px of no colour costs
LEAST_SHARE = 0.06  # of the strokes that a further colour explains
LEAST_OPACITY = 0.012  # a change by less than this of the way to the overlay's colour is not seen
MOST_OPACITY = 0.9  # above, the codec's noise grows so much that a fill is better
MOST_ERROR, MOST_EXTRA = 16.0, 8.0  # variance of the codec's own error; levels by which it corrects the model
SURE = 3.0  # standard deviations
CORE, OUTSIDE = 0.4, 0.15  # of a shape's usual height: surely in its strokes; beside them
PLATEAU_PX = 6.0  # deviation of the blur over which that height is taken
AROUND_PX = 16.0  # the same for the change of the surroundings
EVEN = 0.03  # by which a mark's opacity differs from its usual one
FLAT = 0.012  # opacities that belong to one flat level differ by less


@dataclass
class Veil:
    """What a fit found, over its box."""

    unblend: Unblend
    opacity: np.ndarray  # (H, W) float32, 0..1
    error: np.ndarray  # (H, W) float32: standard deviation of the opacity
    levels: tuple[tuple[float, float], ...]  # (flat opacity, colour in the leading plane)
    lattice: Lattice | None  # to a fraction of a px
    explained: float  # 0..1: share of the strokes' departure from the fill that the model accounts for


@dataclass
class _Moments:
    """(H, W) each, over time: what is observed and what the fill expects; 0 weight outside the hole."""

    mean: np.ndarray
    fill: np.ndarray
    both: np.ndarray  # covariance of the two
    spread: np.ndarray  # variance of the fill
    still: np.ndarray  # variance of the fill's error that stays
    moving: np.ndarray  # that changes
    inside: np.ndarray  # 1 in the hole

    def stack(self) -> np.ndarray:
        parts = (self.mean, self.fill, self.both, self.spread, self.still, self.moving, self.inside)
        return np.dstack(parts).astype(np.float32)


class VeilFit:
    """Collects frames that show the overlay in full, then fits it."""

    def __init__(self, layout: Layout, box: Box, strokes: np.ndarray, lattice: Lattice | None) -> None:
        """`box` is aligned; `strokes` (H, W) bool over it hold all that the overlay covers; `lattice` in px."""
        self._layout, self._box, self._hole, self._lattice = layout, box, strokes, lattice
        self._limit = int(np.clip(MOST_SAMPLES // strokes.size, FEWEST_FRAMES, MOST_FRAMES))
        self._kept: list[list[np.ndarray]] = []
        self._sums = [np.zeros(shape) for shape in layout.shapes(box)]
        self._count = 0
        self._stride = 1
        self._shape: np.ndarray | None = None
        self._lead = next((i for i, plane in enumerate(layout.colour) if plane.role in "YG"), 0)

    def add(self, crop: list[np.ndarray]) -> None:
        """`crop`: one frame's colour planes over the box, native integers. Keeps every n-th, n growing."""
        for total, part in zip(self._sums, crop, strict=True):
            cv2.accumulate(part, total)
        if self._count % self._stride == 0 and len(self._kept) == self._limit:
            self._kept, self._stride = self._kept[::2], self._stride * 2
        if self._count % self._stride == 0:
            self._kept.append(crop)
        self._count += 1

    def trace(self, edges: np.ndarray) -> None:
        """Narrows what a single mark covers to the shape that its `edges` (H, W) bool enclose."""
        if len(self._kept) >= FEWEST_FRAMES:
            self._shape = shape_of(self._usual_slopes(), edges, self._hole)
            self._hole = _grown(self._shape > OUTSIDE, RIM_PX)

    def finish(self) -> Veil | None:
        """None where too few frames came, or no opacity and colour explains them. The frames are let go."""
        if len(self._kept) < FEWEST_FRAMES or not self._hole.any() or self._hole.all():
            return None
        if self._lattice is not None:
            self._lattice = refine(self._lattice, self._field(), np.ones_like(self._hole))
        hole = self._hole
        for _ in range(ROUNDS):
            moments = self._moments(hole)
            fitted = _fit(moments, self._lattice, len(self._kept))
            if fitted is None:
                return None
            opacity, error, colours, choice = fitted
            if self._shape is not None:
                opacity, error = _shaped(opacity, error, choice, len(colours), self._shape)
            covered = (opacity > np.maximum(LEAST_OPACITY, SURE * error)) & self._hole
            if not covered.any():
                return None
            hole = _grown(covered, RIM_PX)
        if self._shape is not None:
            opacity, colours = self._balanced(moments, opacity, colours, choice)
        veil = self._maps(moments, opacity, error, colours, choice, covered)
        self._kept = []
        return veil

    def _frames(self, plane: int) -> Iterator[np.ndarray]:
        """Stacks (h, w, t) float32 levels of the kept frames of one plane, a few at a time."""
        size = self._kept[0][plane].size
        step = max(1, CHUNK // size)
        for i in range(0, len(self._kept), step):
            levels = [to_levels(crop, self._layout)[plane] for crop in self._kept[i : i + step]]
            yield np.stack(levels, -1)

    def _field(self) -> np.ndarray:
        """(2, H, W) float32: mean gradient of the leading plane, strong edges clipped, levels a px."""
        total = np.zeros((2, *self._hole.shape), np.float32)
        for stack in self._frames(self._lead):
            for frame in np.moveaxis(stack, -1, 0):
                total += clipped(np.rint(frame).clip(0, 255).astype(np.uint8))
        return total / len(self._kept)

    def _usual_slopes(self) -> np.ndarray:
        """(2, H, W) float32: median over time of the leading plane's gradient, levels a px, a few rows at a time."""
        height, width = self._hole.shape
        rows = max(8, CHUNK // (len(self._kept) * width))
        out = np.empty((2, height, width), np.float32)
        for y in range(0, height, rows):
            top, stop = max(0, y - 1), min(height, y + rows + 1)
            plane = self._layout.colour[self._lead]
            unit = np.float32(2.0 ** (8 - plane.bits - plane.low))
            lumas = [crop[self._lead][top:stop].astype(np.float32) * unit for crop in self._kept]
            for k, axis in enumerate(((1, 0), (0, 1))):
                slopes = np.stack([cv2.Sobel(luma, cv2.CV_32F, *axis, scale=1 / 8) for luma in lumas])
                out[k, y : y + rows] = np.median(slopes, 0)[y - top :][:rows]
        return out

    def _balanced(
        self, moments: _Moments, opacity: np.ndarray, colours: list[float], choice: np.ndarray
    ) -> tuple[np.ndarray, list[float]]:
        """Opacity (H, W) and colours of a single mark, weighed against how much less the picture changes under it.

        An error of the fill makes a mark look more opaque than it is, noise of the codec and the like less opaque:
        the truth lies between. With the opacity goes the colour, so that the mean picture stays explained.
        """
        assert self._shape is not None
        changes = self._variance()
        around = (~_grown(self._shape > OUTSIDE, RIM_PX)).astype(np.float32)
        usual = cv2.GaussianBlur(changes * around, (0, 0), AROUND_PX)
        usual /= np.maximum(cv2.GaussianBlur(around, (0, 0), AROUND_PX), 1e-3)
        opacity, tuned = opacity.copy(), list(colours)
        for k in range(len(colours)):
            core = (choice == k) & (self._shape > 0.8) & (usual > FAR * NOISE**2)
            if core.sum() < LEAST_PROBED:
                continue
            level = float(np.median(opacity[core]))
            through = float(np.exp(np.log((changes[core] + 1) / (usual[core] + 1)).mean() / 2))
            better = 1 - float(np.sqrt((1 - min(level, MOST_OPACITY)) * np.clip(through, 0.1, 1)))
            away = (moments.mean - moments.fill)[core]
            colour = float(np.clip(np.median(moments.fill[core] + away / max(better, 0.02)), 16, 235))
            room = float(np.median(colour - moments.fill[core]))
            better = max(better, float(np.median(away)) / room if room else better)
            opacity[choice == k] *= better / max(level, 0.02)
            tuned[k] = colour
        return np.minimum(opacity, 1), tuned

    def _variance(self) -> np.ndarray:
        """(H, W) float32: how much the leading plane changes over time, levels squared."""
        total, square = np.zeros((2, *self._hole.shape), np.float64)
        for stack in self._frames(self._lead):
            total += stack.sum(-1)
            square += (stack * stack).sum(-1)
        count = len(self._kept)
        return np.maximum(square / count - (total / count) ** 2, 0).astype(np.float32)

    def _moments(self, hole: np.ndarray) -> _Moments:
        count = len(self._kept)
        clean = (~hole).astype(np.float32)
        sigma = 1 + float(np.quantile(_depth(hole)[hole], 0.9))
        sums = {name: np.zeros(hole.shape, np.float32) for name in ("mean", "fill", "both", "spread", "rough")}
        shift: np.ndarray | None = None
        kappa, middle = self._calibration(hole)
        for stack in self._frames(self._lead):
            guess = middle + kappa * (predict(stack, hole) - middle)
            np.copyto(guess, stack, where=~hole[..., None])
            shift = guess[..., 0].copy() if shift is None else shift  # keeps the sums of squares small
            seen, guess = stack - shift[..., None], guess - shift[..., None]
            one = np.ones(seen.shape[-1], np.float32)
            sums["mean"] += seen @ one
            sums["fill"] += guess @ one
            sums["both"] += np.einsum("ijk,ijk->ij", seen, guess)
            sums["spread"] += np.einsum("ijk,ijk->ij", guess, guess)
            for frame in np.moveaxis(stack, -1, 0):
                sums["rough"] += _roughness(frame, clean, sigma)
        assert shift is not None
        mean, fill, both, spread, rough = (part / count for part in sums.values())
        still = _roughness(mean + shift, clean, sigma)
        return _Moments(
            mean + shift,
            fill + shift,
            both - mean * fill,
            np.maximum(spread - fill * fill, 0),
            still,
            np.maximum(rough - still, 0),
            hole.astype(np.float32),
        )

    def _calibration(self, hole: np.ndarray) -> tuple[float, float]:
        """By how much a fill understates the picture's contrast (about 1.02 to 1.1), and the level that it pivots on.

        Measured where the picture is seen: the same strokes, shifted to between them.
        """
        reach = self._lattice.cell((0, 0, *hole.shape[::-1]))[2:] if self._lattice else hole.shape[::-1]
        clean = ~_grown(hole, RIM_PX)
        best = np.zeros_like(hole)
        for dy in PROBES:
            for dx in PROBES:
                other = np.roll(hole, (round(dy * reach[1]), round(dx * reach[0])), (0, 1)) & clean
                best = other if other.sum() > best.sum() else best
        stack = next(self._frames(self._lead))
        if best.sum() < LEAST_PROBED:
            return 1.0, 0.0
        guess = predict(stack, hole | best)[best]
        middle = float(guess.mean())
        kappa = calibration(guess, stack[best] - guess)
        return float(np.clip(kappa, *CALIBRATION)), middle

    def _maps(
        self,
        moments: _Moments,
        opacity: np.ndarray,
        error: np.ndarray,
        colours: list[float],
        choice: np.ndarray,
        covered: np.ndarray,
    ) -> Veil | None:
        opacity = np.where(_grown(covered, 1), np.maximum(opacity, 0), 0).astype(np.float32)
        levels = []
        for k in range(len(colours)):
            own = covered & (choice == k)
            level = _flat_level(opacity[own]) if own.any() else 0.0
            levels.append((level, colours[k]))
        shares = [np.where(choice == k, opacity, 0).astype(np.float32) for k in range(len(colours))]
        transmission, contribution = [], []
        explained = 0.0
        for i, total in enumerate(self._sums):
            plane = self._layout.colour[i]
            mean = (total * 2.0 ** (8 - plane.bits - plane.low) / self._count).astype(np.float32)
            parts = [_to_plane(share, mean.shape) for share in shares]
            through = 1 - np.sum(parts, 0)
            hole = _grown(through < 1 - LEAST_OPACITY / 2, RIM_PX)
            fill = predict(mean[..., None], hole)[..., 0]
            own = colours if i == self._lead else _plane_colours(mean - through * fill, parts, through < 1)
            flat = np.sum([c * p for c, p in zip(own, parts, strict=True)], 0)
            left = mean - through * fill - flat
            if i == self._lead:
                changed = (mean - fill)[covered]
                explained = 1 - float((left[covered] ** 2).sum() / max(1e-6, (changed**2).sum()))
            sigma = 1 + float(np.quantile(_depth(hole)[hole], 0.9))
            extra = _own_error(left, through**2 * _roughness(mean, (~hole).astype(np.float32), sigma), hole)
            transmission.append(through.astype(np.float32))
            contribution.append((flat + extra).astype(np.float32))
        maps = Unblend(transmission, contribution)
        return Veil(maps, opacity, error, tuple(levels), self._lattice, explained)


def _fit(
    moments: _Moments, lattice: Lattice | None, frames: int
) -> tuple[np.ndarray, np.ndarray, list[float], np.ndarray] | None:
    """Opacity and its deviation (H, W), the colours, and which of them each px (H, W) has."""
    height, width = moments.mean.shape
    stack = moments.stack()
    cell = (0, 0, width, height)
    shifts = [(0.0, 0.0)]
    if lattice is not None:
        cell = lattice.cell(cell)
        shifts = lattice.shifts(width, height)
    tiles = []
    for shift in shifts:
        part = moved(stack, shift, cell)
        if not np.isnan(part[..., 0]).all():
            tiles.append(part)
    seen = np.stack(tiles)  # (tiles, h, w, 7)
    del tiles
    there = np.nan_to_num(seen[..., 6]) > 0.5
    seen = np.nan_to_num(seen)
    opacity = np.full(there.shape[1:], 0.3, np.float32)
    colours: list[float] = []
    doubt = np.ones(there.shape, np.float32)
    for turn in range(3):
        rows = _equations(seen, there, doubt, opacity, frames)
        if turn == 0:
            colours, choice = _find_colours(rows)
            if not colours:
                return None
        opacity, error = _solve(rows, np.array(colours, np.float32)[choice])
        colours, choice = _tune_colours(rows, colours)
        opacity, error = _solve(rows, np.array(colours, np.float32)[choice])
        doubt = _doubt(seen, there, opacity, np.array(colours, np.float32)[choice], frames)
    opacity = _snapped(opacity, error, choice, len(colours))
    whole = np.zeros((height, width), np.float32)
    wide = np.full((height, width), 9.0, np.float32)
    which = np.zeros((height, width), np.int8)
    for shift in shifts:  # the opacity of each tile is the pattern's
        _put(whole, wide, which, opacity, error, choice, cell, shift)
    return whole, wide, colours, which


def shape_of(slopes: np.ndarray, edges: np.ndarray, within: np.ndarray) -> np.ndarray:
    """A mark's shape, (H, W) float32: 1 in its strokes, 0 beside them, between at soft edges.

    Of the gradients at its edges, (2, H, W), a picture is made that has them and is flat elsewhere (Poisson's equation,
    as in Dekel et al., On the Effectiveness of Visible Watermarks, 2017): what is not flat in it is the mark.
    """
    near = _grown(edges, 1)
    height, width = edges.shape
    size = (2 * height, 2 * width)
    turn_x, turn_y = 2j * np.pi * np.fft.rfftfreq(size[1])[None], 2j * np.pi * np.fft.fftfreq(size[0])[:, None]
    gx, gy = (np.fft.rfft2(np.where(near, part, 0), size) for part in slopes)
    spectrum = -(turn_x * gx + turn_y * gy) / (np.abs(turn_x) ** 2 + np.abs(turn_y) ** 2 + 1e-3)
    picture = np.fft.irfft2(spectrum, size)[:height, :width].astype(np.float32)
    picture -= np.median(picture[~_grown(within, RIM_PX)]) if not within.all() else 0
    picture *= np.sign((picture[within] ** 3).sum())
    core = within & (picture > CORE * float(np.quantile(picture[within], 0.9)))
    weight = cv2.GaussianBlur(core.astype(np.float32), (0, 0), PLATEAU_PX)
    plateau = cv2.GaussianBlur(np.where(core, picture, 0), (0, 0), PLATEAU_PX) / np.maximum(weight, 1e-3)
    shape = np.clip(picture / np.maximum(plateau, 1), 0, 1)
    return np.where(_grown(core, 1) & within, shape, 0).astype(np.float32)


def _shaped(
    opacity: np.ndarray, error: np.ndarray, choice: np.ndarray, colours: int, shape: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Opacity and its deviation; where they are not known by themselves, drawn to the mark's usual one in its shape."""
    expected = np.zeros_like(opacity)
    for k in range(colours):
        sure = (choice == k) & (shape > 0.8) & (error < 0.05)
        if sure.sum() > 30:
            expected = np.where(choice == k, _flat_level(opacity[sure]) * shape, expected)
    pull = error**2 / (error**2 + EVEN**2)
    return opacity + (expected - opacity) * pull, error * EVEN / np.hypot(error, EVEN)


def _put(whole, wide, which, opacity, error, choice, cell: Box, shift: tuple[float, float]) -> None:
    """Lays the pattern over the picture where a tile's is better known than what lies there."""
    height, width = whole.shape
    x, y, w, h = cell
    left, top = x + int(np.floor(shift[0])), y + int(np.floor(shift[1]))
    x0, y0, x1, y1 = max(0, left), max(0, top), min(width, left + w + 1), min(height, top + h + 1)
    if x1 <= x0 or y1 <= y0:
        return
    box = (x0 - x, y0 - y, x1 - x0, y1 - y0)
    back = (-shift[0], -shift[1])
    part, deviation, colour = (
        moved(m.astype(np.float32), back, box) for m in (opacity, error, choice.astype(np.float32))
    )
    better = ~np.isnan(part) & (np.nan_to_num(deviation, nan=99) < wide[y0:y1, x0:x1])
    whole[y0:y1, x0:x1][better] = part[better]
    wide[y0:y1, x0:x1][better] = deviation[better]
    which[y0:y1, x0:x1][better] = np.rint(colour[better]).astype(np.int8)


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


def _equations(seen: np.ndarray, there: np.ndarray, doubt: np.ndarray, opacity: np.ndarray, frames: int) -> _Rows:
    mean, fill, both, spread, still, moving, _ = np.moveaxis(seen, -1, 0)
    a2 = (1 - opacity) ** 2
    looks = max(1.0, frames / ALIKE)
    weight = there * doubt / (a2 * (still + moving / looks) + NOISE**2)
    time_weight = there * doubt * looks / (a2 * moving + NOISE**2)
    spread = np.maximum(spread - NOISE**2, 0)
    y = mean - fill
    less = np.maximum(spread, both * 0) - both
    slope_less = less / np.maximum(spread, 1e-3)
    known = spread > NOISE**2
    time_weight = time_weight * known
    return _Rows(
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
    mean, fill, _, _, still, moving, _ = np.moveaxis(seen, -1, 0)
    off = mean - fill - opacity * (colour - fill)
    variance = (1 - opacity) ** 2 * (still + moving * ALIKE / frames) + NOISE**2
    return there / (1 + off * off / (FAR * variance))


def _find_colours(rows: _Rows) -> tuple[list[float], np.ndarray]:
    """The fewest colours that explain the strokes, and which each px has."""
    here = rows.yy > FAR  # px that depart from the fill
    if not here.any():
        return [], np.zeros(rows.one.shape, np.int8)
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
    colours = [float(grid[k]) for k in found]
    return colours, _choose(rows, colours)


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
    return tuned, _choose(rows, tuned)


def _choose(rows: _Rows, colours: list[float]) -> np.ndarray:
    if len(colours) == 1:
        return np.zeros(rows.one.shape, np.int8)
    costs = np.stack([rows.costs(c)[0] for c in colours])
    costs -= costs.min(0)
    smooth = np.stack([cv2.blur(np.minimum(part, CAP), (5, 5)) for part in costs])
    return (np.minimum(costs, CAP) + smooth).argmin(0).astype(np.int8)


def _solve(rows: _Rows, colour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Opacity (h, w) of each px for its colour, and its standard deviation."""
    xx = colour * colour * rows.one - 2 * colour * rows.u + rows.uu + rows.by_time
    xy = colour * rows.y - rows.yu + rows.less
    opacity = np.clip(xy / np.maximum(xx, 1e-9), 0, 1)
    return opacity.astype(np.float32), (1 / np.sqrt(np.maximum(xx, 1e-2))).astype(np.float32)


def _flat_level(opacity: np.ndarray) -> float:
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
        sure = inner & (error < 0.03)
        level = _flat_level(opacity[sure]) if sure.sum() > 30 else 0.0
        if level <= 0:
            continue
        near = own & (np.abs(opacity - level) < SURE * np.hypot(error, FLAT))
        pull = error**2 / (error**2 + (FLAT / 2) ** 2)
        out[near] += ((level - opacity) * pull)[near]
    return out


def _plane_colours(offset: np.ndarray, parts: list[np.ndarray], where: np.ndarray) -> list[float]:
    """Each colour in a further plane, by least squares of what is seen less what shines through."""
    basis = np.stack([part[where] for part in parts], 1)
    target = offset[where]
    weight = np.ones_like(target)
    start = np.full(len(parts), 128.0)
    for _ in range(4):
        weighted = basis * weight[:, None]
        add = np.linalg.solve(weighted.T @ basis + 1e-3 * np.eye(len(parts)), weighted.T @ (target - basis @ start))
        start = np.clip(start + add, 0, 255)
        weight = 1 / (1 + (target - basis @ start) ** 2 / (4 * NOISE) ** 2)
    return [float(c) for c in start]


def _own_error(left: np.ndarray, fill_error: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """What the codec adds to the overlay's contribution and never changes, as far as it is known.

    left: (h, w) what the model leaves of the mean; fill_error: (h, w) how much of that the fill may have to do with.
    """
    calm = hole & (fill_error <= np.quantile(fill_error[hole], 0.5))
    own = float(np.clip(np.median(left[calm] ** 2 - fill_error[calm]) / 0.45, 0.2, MOST_ERROR))
    extra = left * own / (own + fill_error + 0.05)
    return np.where(hole, np.clip(extra, -MOST_EXTRA, MOST_EXTRA), 0)


def _roughness(picture: np.ndarray, clean: np.ndarray, sigma: float) -> np.ndarray:
    """Local variance about the local mean, from the clean px alone: how far a fill across a stroke errs."""
    size = int(2 * sigma) * 2 + 1
    weight = np.maximum(cv2.blur(clean, (size, size)), 1e-3)
    mean = cv2.blur(picture * clean, (size, size)) / weight
    off = (picture - mean) * clean
    wide = (2 * size + 1, 2 * size + 1)
    return cv2.blur(off * off, wide) / np.maximum(cv2.blur(clean, wide), 1e-3)


def _to_plane(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A luma-size map at a plane's size: the mean over the luma px of each sample."""
    if values.shape == size:
        return values
    fy, fx = -(-values.shape[0] // size[0]), -(-values.shape[1] // size[1])
    padded = np.pad(values, ((0, size[0] * fy - values.shape[0]), (0, size[1] * fx - values.shape[1])), "edge")
    return padded.reshape(size[0], fy, size[1], fx).mean((1, 3))


def _depth(hole: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)


def _grown(mask: np.ndarray, px: int) -> np.ndarray:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * px + 1, 2 * px + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0
