"""How a translucent overlay that is spread over the picture blends: its opacity and colour, px by px, from many frames.

Model, per sample: observed = (1 - A) * beneath + A * colour, the opacity A smooth or flat from px to px, the colours
few. The picture beneath is not known; a fill from between the strokes stands in for it (see unblend.py on its error).
What A is all tiles tell together (veiltiles.py), and the shape of a mark that does not repeat itself (veilshape.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from .crew import each
from .evidence import clipped
from .fill import predict
from .job import Box
from .lattice import Lattice, moved, refine
from .maps import Unblend
from .masks import averaged, depth_in, grown
from .motif import find_motif, laid
from .planes import Layout, to_levels
from .veilshape import OUTSIDE, RIM_PX, balanced, shape_of, shaped
from .veiltiles import KNOWN, LEAST_OPACITY, NOISE, SURE, Moments, fit, flat_level

MOST_SAMPLES, MOST_FRAMES, FEWEST_FRAMES = 48_000_000, 32, 6  # of luma kept for the fit; frames kept
CHUNK = 4_000_000  # samples filled at once
ROUNDS = 3  # each narrows the hole to what the overlay covers, which betters the fill
PROBES = (-0.5, -0.35, -0.2, 0.0, 0.2, 0.35, 0.5)  # of the pattern: shifts tried to find clean picture
LEAST_PROBED, MOST_PROBED = 200, 4  # px of one shift; shifts taken together
PROBED_EVERY = 4  # of the frames kept
CALIBRATION = (0.7, 1.2)  # what is believed of it
MOST_ERROR, MOST_EXTRA = 16.0, 8.0  # variance of the codec's own error; levels by which it corrects the model


@dataclass
class Veil:
    """What a fit found, over its box."""

    unblend: Unblend
    opacity: np.ndarray  # (H, W) float32, 0..1
    error: np.ndarray  # (H, W) float32: standard deviation of the opacity
    levels: tuple[tuple[float, float], ...]  # (flat opacity, colour in the leading plane), the commonest first
    lattice: Lattice | None  # to a fraction of a px
    explained: float  # 0..1: share of the strokes' departure from the fill that the model accounts for


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
            self._hole = grown(self._shape > OUTSIDE, RIM_PX)

    def finish(self) -> Veil | None:
        """None where too few frames came, or no opacity and colour explains them. The frames are let go."""
        if len(self._kept) < FEWEST_FRAMES or not self._hole.any() or self._hole.all():
            return None
        if self._lattice is not None:
            field = self._field()
            self._lattice = refine(self._lattice, field, np.ones_like(self._hole))
            self._shape = self._shape_of_tiles(field)
        hole = self._hole
        known = self._known()
        for _ in range(ROUNDS):
            moments = self._moments(hole)
            fitted = fit(moments, self._lattice, len(self._kept))
            if fitted is None:
                return None
            opacity, error, colours, mix = fitted
            choice = np.rint(mix).astype(np.int8)
            if self._shape is not None and (self._lattice is None or len(colours) == 1):
                opacity, error = shaped(opacity, error, choice, len(colours), self._shape, known)
            covered = (opacity > np.maximum(LEAST_OPACITY, SURE * error)) & self._hole
            if not covered.any():
                return None
            hole = grown(covered, RIM_PX)
        if self._shape is not None and self._lattice is None:
            opacity, colours = balanced(moments, self._variance(), opacity, colours, choice, self._shape)
        veil = self._maps(moments, opacity, error, colours, mix, covered)
        self._kept = []
        return veil

    def _known(self) -> np.ndarray | float:
        """Up to which deviation an opacity is taken as it is; where no edge of the tiles is near, it always is."""
        if self._lattice is None or self._shape is None:
            return 0.0
        return np.where(grown(self._shape > OUTSIDE, RIM_PX), np.float32(KNOWN), np.float32(np.inf))

    def _shape_of_tiles(self, field: np.ndarray) -> np.ndarray:
        """(H, W) float32: as `shape_of`, from the edges that the tiles of the mean gradient (2, H, W) share."""
        assert self._lattice is not None
        height, width = self._hole.shape
        cell, shifts = self._lattice.cell((0, 0, width, height)), self._lattice.shifts(width, height)
        looks = (moved(np.moveaxis(field, 0, -1), shift, cell) for shift in shifts)
        motif = find_motif(np.stack([look for look in looks if not np.isnan(look[..., 0]).all()]))
        edges = np.moveaxis(laid(motif, cell, shifts, (width, height), 0), -1, 0)
        return shape_of(edges, (edges != 0).any(0) & self._hole, self._hole)

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

    def _variance(self) -> np.ndarray:
        """(H, W) float32: how much the leading plane changes over time, levels squared."""
        total, square = np.zeros((2, *self._hole.shape), np.float64)
        for stack in self._frames(self._lead):
            total += stack.sum(-1)
            square += (stack * stack).sum(-1)
        count = len(self._kept)
        return np.maximum(square / count - (total / count) ** 2, 0).astype(np.float32)

    def _moments(self, hole: np.ndarray) -> Moments:
        count = len(self._kept)
        clean = (~hole).astype(np.float32)
        sigma = 1 + float(np.quantile(depth_in(hole)[hole], 0.9))
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
            for rough in each(lambda frame: _roughness(frame, clean, sigma), np.moveaxis(stack, -1, 0)):
                sums["rough"] += rough
        assert shift is not None
        mean, fill, both, spread, moving = (part / count for part in sums.values())
        still = _roughness(mean + shift, clean, sigma)
        return Moments(
            mean + shift,
            fill + shift,
            both - mean * fill,
            np.maximum(spread - fill * fill, 0),
            still,
            np.maximum(moving - still, 0),
            hole.astype(np.float32),
        )

    def _calibration(self, hole: np.ndarray) -> tuple[float, float]:
        """By how much a fill understates the picture's contrast (about 1.02 to 1.1), and the level that it pivots on.

        Measured where the picture is seen: the same strokes, shifted to between them.
        """
        reach = self._lattice.cell((0, 0, *hole.shape[::-1]))[2:] if self._lattice else hole.shape[::-1]
        clean = ~grown(hole, RIM_PX)
        shifts = [(round(dy * reach[1]), round(dx * reach[0])) for dy in PROBES for dx in PROBES]
        shifts = sorted(shifts, key=lambda shift: np.count_nonzero(np.roll(hole, shift, (0, 1)) & clean))
        stack = next(self._frames(self._lead))[..., ::PROBED_EVERY]
        guesses, truths = [], []
        for shift in shifts[-MOST_PROBED:]:
            probe = np.roll(hole, shift, (0, 1)) & clean
            if np.count_nonzero(probe) >= LEAST_PROBED:
                guesses.append(predict(stack, hole | probe)[probe])
                truths.append(stack[probe])
        if not guesses:
            return 1.0, 0.0
        guess, truth = np.concatenate(guesses), np.concatenate(truths)
        middle = float(guess.mean())
        # By plain least squares, as the slopes over time are: outliers tell of both alike. The robust fit that `behind`
        # takes for its levels costs a single large mark 2 dB here.
        off = guess - middle
        kappa = float((off * truth).sum() / ((off * off).sum() + off.size * NOISE**2))
        return float(np.clip(kappa, *CALIBRATION)), middle

    def _maps(
        self,
        moments: Moments,
        opacity: np.ndarray,
        error: np.ndarray,
        colours: list[float],
        mix: np.ndarray,
        covered: np.ndarray,
    ) -> Veil | None:
        opacity = np.where(grown(covered, 1), np.maximum(opacity, 0), 0).astype(np.float32)
        levels = []
        choice = np.rint(mix).astype(np.int8)
        for k in np.argsort(-np.bincount(choice[covered], minlength=len(colours))):
            own = covered & (choice == k)
            levels.append((flat_level(opacity[own]) if own.any() else 0.0, colours[k]))
        shares = [opacity * np.maximum(1 - np.abs(mix - k), 0) for k in range(len(colours))]
        transmission, contribution = [], []
        explained = 0.0
        for i, total in enumerate(self._sums):
            plane = self._layout.colour[i]
            mean = (total * 2.0 ** (8 - plane.bits - plane.low) / self._count).astype(np.float32)
            parts = [averaged(share, mean.shape) for share in shares]
            through = 1 - np.sum(parts, 0)
            hole = grown(through < 1 - LEAST_OPACITY / 2, RIM_PX)
            fill = predict(mean[..., None], hole)[..., 0]
            own = colours if i == self._lead else _plane_colours(mean - through * fill, parts, through < 1)
            flat = np.sum([c * p for c, p in zip(own, parts, strict=True)], 0)
            left = mean - through * fill - flat
            if i == self._lead:
                changed = (mean - fill)[covered]
                explained = 1 - float((left[covered] ** 2).sum() / max(1e-6, (changed**2).sum()))
            sigma = 1 + float(np.quantile(depth_in(hole)[hole], 0.9))
            extra = _own_error(left, through**2 * _roughness(mean, (~hole).astype(np.float32), sigma), hole)
            transmission.append(through.astype(np.float32))
            contribution.append((flat + extra).astype(np.float32))
        maps = Unblend(transmission, contribution)
        return Veil(maps, opacity, error, tuple(levels), self._lattice, explained)


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
