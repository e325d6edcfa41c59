"""Un-blending: measures how a translucent overlay changes the picture beneath it, and undoes that.

Model, per sample of every colour plane: observed = a * beneath + (1 - a) * colour. The picture beneath is not known
while fitting; a smooth fill P from the clean surroundings stands in for it. Its error is of Berkson's kind (beneath =
P + error, the error not correlated with P), so that a line fitted through (P, observed) has the slope a, up to a factor
kappa that is measured where the picture is seen. Both the change over time and the change from place to place count
as evidence: a locked-off shot with a structured background tells a as well as a moving one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import cv2
import numpy as np

from .job import Box
from .maps import Unblend
from .planes import Layout, to_levels

LEAST_TRANSMISSION = 0.12  # below, the codec's noise grows so much that a fill is better: treated as opaque
MOST_TRANSMISSION = 0.93  # above, a level cannot be told from a clean picture
MOST_FRAMES = 48  # kept for the fit; 60 frames of one moving shot are near the result of 1,200
MOST_SAMPLES = 4_000_000  # of luma kept for the fit, however large the box
LEAST_FRAMES = 6
ROUNDS = 3  # each narrows the hole to what the overlay covers, which betters the prediction
MOST_LEVELS = 3
FEWEST_VOTERS, MOST_VOTERS = 300, 3000  # pixels that vote on a level
HYPOTHESES = 400
BAND_PX = 8  # width of the band around a hole in which the prediction's error is measured
TRUSTED_PX = 5.0  # depth to which a prediction is good enough to fit on
STILL_NOISE = 1.5  # levels; the codec's error around a mark that stands still stands still too
MOVING_NOISE = 2.0  # levels; the error of H.264 at crf 18 to 20 in moving texture
INDEPENDENT = 0.1  # share of a pixel's evidence that its neighbours do not give already
WORST_ERROR = 10.0  # levels; a fit that errs more through its transmission is not used
ENOUGH_EXPLAINED = 0.6  # good fits explain .6 to .85 of the steps along their border
ROUGH, ROUGH_PX = 15.0, 3.0  # levels by which a fill errs so many px deep; good fits 1 to 12, bad ones 13 to 35
LEAST_QUALITY = 0.25
OPAQUE = "it is opaque"
LEAST_CHANGE = 2.0  # levels; less is not seen
LEAST_SPREAD = 3.0  # levels; a background that varies less tells nothing, and a fill does as well
SOFT_COST, ALIEN_COST = 7.0, 25.0  # prior costs in units of chi squared
NEIGHBOUR_COST = 4.0
SOFT_PRICE, ALIEN_PRICE = 8.0, 16.0  # of labels, in units of twice a log likelihood
STEP_PX = 3  # over which steps of the picture are judged: a soft edge is narrower
STEPS = ((0, STEP_PX), (STEP_PX, 0), (0, -STEP_PX), (-STEP_PX, 0))
STEP_COST, SEAM_COST, UNARY_WEIGHT = 4.0, 0.7, 0.4
NEVER = 1e4  # cost
EDGE_PX = 2
ISLAND_STEP, ISLAND_SURPRISE = 16.0, 2.5
BOX_SHARE = 0.4  # of its rectangle that a level fills to be taken for a box
FEWEST_TELLING = 10
GAP_SLACK = 0.3
FAR = 9.0  # chi squared from which a pixel's say in a fit falls off
CLEAN, ALIEN = 0, -1  # labels of pixels; levels count from 1


@dataclass
class BlendMaps:
    """What a fit found, over its box. Where `unblend` is None the overlay can only be borrowed or invented."""

    unblend: Unblend | None  # (1, 0) wherever the overlay changes nothing, and where it is opaque
    opaque: np.ndarray  # (H, W) bool: overlay that cannot be undone (opaque, or its transmission cannot be trusted)
    covered: np.ndarray  # (H, W) bool: all that the overlay changes, opaque or not
    noise: float  # standard deviation of the codec's error, levels
    quality: float  # 0..1: how well transmission and colour are told apart
    reasons: tuple[str, ...]  # plain sentences on what limits the fit


def predict(stack: np.ndarray, hole: np.ndarray, sweeps: int = 8) -> np.ndarray:
    """Fills `hole` (H, W) of `stack` (H, W, T) float32 smoothly from around it (Laplace's equation, coarse to fine).

    Linear in `stack`: the prediction of a mean is the mean of the predictions.
    """
    height, width = hole.shape
    if not hole.any():
        return stack.copy()
    if hole.all():
        return np.broadcast_to(stack.mean((0, 1)), stack.shape).copy()
    out = stack.copy()
    rows, cols = np.nonzero(hole)
    known = np.pad(~hole, ((0, height % 2), (0, width % 2)))
    half = known.reshape(known.shape[0] // 2, 2, known.shape[1] // 2, 2)
    count = half.sum((1, 3))
    padded = np.pad(np.where(hole[..., None], 0, stack), ((0, height % 2), (0, width % 2), (0, 0)))
    total = padded[0::2, 0::2] + padded[1::2, 0::2] + padded[0::2, 1::2] + padded[1::2, 1::2]
    coarse = predict(total / np.maximum(count, 1)[..., None].astype(np.float32), count == 0, sweeps)
    out[rows, cols] = _sample_half(coarse, rows, cols)
    _relax(out, rows, cols, sweeps)
    return out


def _sample_half(coarse: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Bilinear values of a picture of half the size at the full-size pixels (rows, cols)."""
    near_y, near_x = rows // 2, cols // 2
    far_y = np.clip(near_y + (rows % 2) * 2 - 1, 0, coarse.shape[0] - 1)
    far_x = np.clip(near_x + (cols % 2) * 2 - 1, 0, coarse.shape[1] - 1)
    return (
        coarse[near_y, near_x] * np.float32(9 / 16)
        + (coarse[far_y, near_x] + coarse[near_y, far_x]) * np.float32(3 / 16)
        + coarse[far_y, far_x] * np.float32(1 / 16)
    )


def _relax(out: np.ndarray, rows: np.ndarray, cols: np.ndarray, sweeps: int) -> None:
    """Red-black Gauss-Seidel sweeps of Laplace's equation over the given pixels of (H, W, T), in place."""
    height, width = out.shape[:2]
    flat = out.reshape(height * width, -1)
    halves = []
    for colour in (0, 1):
        part = (rows + cols) % 2 == colour
        y, x = rows[part], cols[part]
        around = (
            np.maximum(y - 1, 0) * width + x,
            np.minimum(y + 1, height - 1) * width + x,
            y * width + np.maximum(x - 1, 0),
            y * width + np.minimum(x + 1, width - 1),
        )
        halves.append((y * width + x, around))
    for _ in range(sweeps):
        for at, (up, down, left, right) in halves:
            total = flat[up]
            total += flat[down]
            total += flat[left]
            total += flat[right]
            total *= np.float32(0.25)
            flat[at] = total


class BlendFit:
    """Collects frames of one overlay that stands still and is fully there, then fits how it blends."""

    def __init__(self, layout: Layout, box: Box, support: np.ndarray) -> None:
        """`box` is aligned; `support` (H, W) bool over it holds the whole overlay, the rest of the box is clean."""
        self._layout, self._support = layout, support.astype(bool)
        self._limit = int(np.clip(MOST_SAMPLES // max(1, support.size), 16, MOST_FRAMES))
        self._kept: list[list[np.ndarray]] = []
        self._sums = [np.zeros(shape) for shape in layout.shapes(box)]
        self._count = 0
        self._stride = 1

    def add(self, crop: list[np.ndarray]) -> None:
        """`crop`: one frame's colour planes over the box, native integers. Keeps every n-th frame, n growing."""
        for total, part in zip(self._sums, crop, strict=True):
            cv2.accumulate(part, total)
        if self._count % self._stride == 0 and len(self._kept) == self._limit:
            self._kept = self._kept[::2]
            self._stride *= 2
        if self._count % self._stride == 0:
            self._kept.append([part.copy() for part in crop])
        self._count += 1

    def finish(self) -> BlendMaps:
        """Fits what was added. Takes about a second for a logo; the frames are let go."""
        if len(self._kept) < LEAST_FRAMES:
            return _refuse(self._support, f"only {self._count} frames show it, too few to tell how translucent it is")
        if not self._support.any() or self._support.all():
            return _refuse(self._support, "no clean picture around it to compare with")
        levels = [to_levels(crop, self._layout) for crop in self._kept]
        self._kept = []
        stacks = [np.stack([frame[i] for frame in levels], -1) for i in range(len(levels[0]))]
        scales = [2.0 ** (8 - plane.bits - plane.low) / self._count for plane in self._layout.colour]
        means = [(total * scale).astype(np.float32) for total, scale in zip(self._sums, scales, strict=True)]
        lead = next((i for i, plane in enumerate(self._layout.colour) if plane.role in "YG"), 0)
        return _fit(stacks, means, self._support, lead)


def _refuse(support: np.ndarray, *reasons: str) -> BlendMaps:
    return BlendMaps(None, support.copy(), support.copy(), MOVING_NOISE, 0.0, reasons)


# depth -> still variance, moving variance, kappa
Error = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass
class _Level:
    """A flat opacity of one colour in the leading plane."""

    a: float  # transmission
    colour: float  # levels
    error: float  # standard deviation of a


@dataclass
class _View:
    """Statistics over time of one plane's pixels in a hole, (N,): observed against predicted."""

    rows: np.ndarray
    cols: np.ndarray
    depth: np.ndarray  # px to the clean surroundings
    mean: np.ndarray  # observed, mean over time
    fill: np.ndarray  # predicted, mean over time
    slope: np.ndarray  # of observed on predicted over time
    spread: np.ndarray  # variance of predicted over time
    rest: np.ndarray  # variance of observed that the slope leaves
    still: np.ndarray  # variance of the prediction's error that stays over time
    moving: np.ndarray  # variance of the prediction's error that changes
    weight: float  # effective number of frames
    error: Error

    def part(self, pick: np.ndarray) -> _View:
        values = (getattr(self, field.name) for field in fields(self))
        return _View(*(value[pick] if isinstance(value, np.ndarray) else value for value in values))


def _fit(stacks: list[np.ndarray], means: list[np.ndarray], support: np.ndarray, lead_plane: int) -> BlendMaps:
    """`stacks`: per plane (h, w, T) levels; `means`: per plane (h, w), over all frames; `support`: (H, W) bool."""
    lead = stacks[lead_plane]
    legal = (min(16.0, float(lead.min())), max(235.0, float(lead.max())))
    hole, covered, alien = support, None, np.zeros_like(support)
    for _ in range(ROUNDS):
        view = _look(lead, hole)
        if covered is None:
            covered = _changed(view, support.shape)
        levels = _find_levels(view, covered, alien, legal)
        if not levels:
            return _refuse(covered if covered.any() else support, "no common opacity and colour explain it")
        label, a = _label(lead.mean(-1), view, hole, levels, legal)
        covered, alien = label != CLEAN, label == ALIEN
        hole = _filled(_grow(covered, 2)) & support
    reason, quality = _verdict(lead.mean(-1), view, levels, label)
    if reason:
        return _refuse(covered if reason == OPAQUE else support, reason)
    return _maps(stacks, means, lead_plane, levels, label, a, quality, _noise(lead, support))


def _verdict(mean: np.ndarray, view: _View, levels: list[_Level], label: np.ndarray) -> tuple[str, float]:
    """Why the levels cannot be used, if so, and how good they are, 0..1."""
    seen = label[view.rows, view.cols]
    if view.fill.var() + view.spread.mean() < LEAST_SPREAD**2:
        return "the picture behind it hardly varies, so its opacity cannot be told", 0.0
    worst = steps = left = 0.0
    scale = _roughness(mean)
    for i, level in enumerate(levels, 1):
        here = seen == i
        if level.a < LEAST_TRANSMISSION or not here.any():
            continue
        spread = float(np.sqrt(view.fill[here].var() + view.spread[here].mean()))
        worst = max(worst, level.error * spread / level.a)
        for dy, dx in STEPS:
            border = (label == CLEAN) & (_shift(label, dy, dx) == i)
            plain, crossed, _ = _step_costs(mean, level, scale, dy, dx)
            steps, left = steps + float(plain[border].sum()), left + float(crossed[border].sum())
    if steps == 0:
        return OPAQUE, 0.0
    if worst > WORST_ERROR:
        return f"the picture behind it does not tell its opacity well: un-blending would err by {worst:.0f} levels", 0.0
    precision = 1 / (1 + (worst / MOVING_NOISE) ** 2)
    explained = min(1.0, (1 - left / steps) / ENOUGH_EXPLAINED)  # of the steps along the overlay's border
    rough = float(view.error(np.array(ROUGH_PX))[0]) / ROUGH**2  # in what stands still overlay and scene look alike
    quality = max(0.0, precision * explained / (1 + rough))
    if quality < LEAST_QUALITY:
        return "the picture behind it is too rough or too still to tell it from the overlay", 0.0
    return "", quality


def _look(stack: np.ndarray, hole: np.ndarray) -> _View:
    rows, cols = np.nonzero(hole)
    depth = _depth(hole)[rows, cols]
    seen, fill = stack[rows, cols], predict(stack, hole)[rows, cols]
    mean, level = seen.mean(1), fill.mean(1)
    seen -= mean[:, None]
    fill -= level[:, None]
    error = _fill_error(stack, hole)
    still, moving, kappa = error(depth)
    both, spread = (seen * fill).mean(1), np.maximum((fill * fill).mean(1), 1e-3)
    rest = np.maximum((seen * seen).mean(1) - both * both / spread, 0)
    centre = level.mean()
    return _View(
        rows, cols, depth, mean, centre + kappa * (level - centre), both / spread / kappa, spread * kappa * kappa,
        rest, still, moving, min(stack.shape[2] / 4, 8.0), error,
    )


def _depth(hole: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)


def _grow(mask: np.ndarray, px: int) -> np.ndarray:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * px + 1, 2 * px + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def _shrink(mask: np.ndarray) -> np.ndarray:
    return cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _filled(mask: np.ndarray) -> np.ndarray:
    """The mask with all that it encloses."""
    room = np.pad(mask.astype(np.uint8), 1)
    cv2.floodFill(room, None, (0, 0), 2)
    return room[1:-1, 1:-1] != 2


def _fill_error(stack: np.ndarray, hole: np.ndarray) -> Error:
    """Measures the prediction in a band around the hole: its error's variances and its slope, by depth.

    The band is filled together with the hole, so that its own inside is seen from one side as the hole's is.
    """
    grown = _grow(hole, BAND_PX)
    band = grown & ~hole
    truth, depth = stack[band], _depth(grown)[band]
    guess = predict(stack, grown)[band]
    error = truth - guess
    still = error.mean(1) ** 2
    moving = error.var(1)
    table = []
    for start in range(0, BAND_PX, 2):
        part = (depth > start) & (depth <= start + 2)
        if part.sum() < 12:
            continue
        kappa = _slope(guess[part], error[part])
        table.append((start + 1, still[part].mean(), moving[part].mean(), np.clip(kappa, 0.95, 1.3)))
    xs, *columns = (np.array(c) for c in zip(*(table or [(1, 100.0, 100.0, 1.0)]), strict=True))
    columns[:2] = [np.maximum.accumulate(c) for c in columns[:2]]

    def at(where: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        beyond = np.maximum(1, where / xs[-1])
        still, moving, kappa = (np.interp(where, xs, c).astype(np.float32) for c in columns)
        return still * beyond, moving * beyond, 1 + (kappa - 1) * np.minimum(beyond, 2)

    return at


def _slope(guess: np.ndarray, error: np.ndarray) -> float:
    """Of the truth on its guess, fitted as robustly as the levels are; towards 1 where the guess hardly varies."""
    scale = FAR * ((error * error).mean() + STILL_NOISE**2)
    slope = offset = 0.0
    for _ in range(5):
        weight = 1 / (1 + (error - slope * guess - offset) ** 2 / scale)
        total = weight.sum()
        middle, offset = float((weight * guess).sum() / total), 0.0
        off = guess - middle
        slope = float((weight * off * error).sum() / ((weight * off * off).sum() + total * MOVING_NOISE**2))
        offset = float((weight * (error - slope * guess)).sum() / total)
    return 1 + slope


def _changed(view: _View, shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose mean over time departs most from what their surroundings let expect."""
    change = np.abs(view.mean - view.fill)
    surprise = change / np.sqrt(view.still + STILL_NOISE**2)
    grid = np.zeros(shape, np.uint8)
    # Where the prediction is poor no pixel by itself is sure; the overlay fills a good part of its support.
    grid[view.rows, view.cols] = (surprise > min(3.0, float(np.quantile(surprise, 0.7)))) & (change > LEAST_CHANGE)
    return cv2.morphologyEx(grid, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0


def _trust(view: _View, a: np.ndarray | float) -> np.ndarray:
    """(N,) weight of the slopes over time: what the codec's own unrest adds to the prediction does not count."""
    spread = np.maximum(view.spread - MOVING_NOISE**2, 0)
    return view.weight * spread / np.maximum(a * a * view.moving + MOVING_NOISE**2, view.rest)


def _misfit(view: _View, a: np.ndarray | float, colour: float) -> np.ndarray:
    """(N,) chi squared of transmission `a` and a colour: by the means, and by the slope over time."""
    off = view.mean - a * view.fill - (1 - a) * colour
    trust = _trust(view, a)
    return off * off / (a * a * view.still + STILL_NOISE**2) + trust * (view.slope - a) ** 2


def _own_transmission(view: _View, colour: float) -> np.ndarray:
    """(N,) best transmission of every pixel by itself, for an overlay of a known colour."""
    a = np.full(len(view.mean), 0.5, np.float32)
    for _ in range(3):
        by_mean = 1 / (a * a * view.still + STILL_NOISE**2)
        trust = _trust(view, a)
        top = (view.mean - colour) * (view.fill - colour) * by_mean + view.slope * trust
        a = np.clip(top / np.maximum((view.fill - colour) ** 2 * by_mean + trust, 1e-6), 0, 1)
    return a


def _find_levels(
    view: _View, covered: np.ndarray, alien: np.ndarray, legal: tuple[float, float]
) -> list[_Level]:
    """The overlay's flat opacities, by lines through (predicted, observed) that many pixels agree on."""
    rng = np.random.default_rng(0)
    foreign = _misfit(view, 1.0, 0.0) > SOFT_COST  # a clean pixel on an even ground looks like any opaque level
    inner = _shrink(covered)[view.rows, view.cols] & foreign
    if inner.sum() < FEWEST_VOTERS:
        inner = covered[view.rows, view.cols] & foreign
    if not inner.any():
        return []
    enough = np.sort(view.depth[inner])[: max(FEWEST_VOTERS, 1)][-1]
    voters = np.flatnonzero(inner & (view.depth <= max(TRUSTED_PX, enough)))
    if len(voters) > MOST_VOTERS:
        voters = rng.choice(voters, MOST_VOTERS, replace=False)
    left, levels = view.part(voters), []
    for _ in range(MOST_LEVELS):
        if len(left.mean) < max(8, 0.04 * len(voters)):
            break
        start = _propose(left, rng, legal)
        if start is None:
            break
        level, explained = _tune(left, *start, legal)
        if explained.sum() < max(8, 0.04 * len(voters)):
            break
        if level.a < MOST_TRANSMISSION:
            levels.append(level)
        left = left.part(~explained)
    return levels + _solid_level(view, alien)


def _solid_level(view: _View, alien: np.ndarray) -> list[_Level]:
    """The colour of the opaque parts, where they have one."""
    for _ in range(EDGE_PX + 1):  # without the rim that was added to them
        alien = _shrink(alien)
    inner = view.mean[alien[view.rows, view.cols]]
    if len(inner) < FEWEST_TELLING:
        return []
    counts, edges = np.histogram(inner, 64, (0, 256))
    colour = float(edges[counts.argmax()] + 2)
    same = np.abs(inner - colour) < 4 * STILL_NOISE
    return [_Level(0.0, float(inner[same].mean()), 0.0)] if same.mean() > 0.3 else []


def _propose(view: _View, rng: np.random.Generator, legal: tuple[float, float]) -> tuple[float, float] | None:
    """The line that most pixels agree on, among those through pairs of pixels."""
    one, two = rng.integers(0, len(view.mean), (2, HYPOTHESES))
    across = view.fill[one] - view.fill[two]
    over_time = 0.25 * view.weight * np.maximum(view.spread - MOVING_NOISE**2, 0)
    top = across * (view.mean[one] - view.mean[two]) + (over_time * view.slope)[one] + (over_time * view.slope)[two]
    base = across**2 + over_time[one] + over_time[two]
    a = top / np.maximum(base, 1e-3)
    a[::6], base[::6] = 0, np.inf  # opaque ones
    colour = (view.mean[one] - a * view.fill[one]) / np.maximum(1 - a, 0.05)
    good = (a >= 0) & (a < MOST_TRANSMISSION) & (colour > legal[0] - 8) & (colour < legal[1] + 8) & (base > 30)
    if not good.any():
        return None
    tries = list(zip(a[good], colour[good], strict=True))
    costs = []
    for values in tries:
        width = np.log1p(values[0] ** 2 * view.still / STILL_NOISE**2)  # else a wide line would explain all
        costs.append(np.minimum(_misfit(view, *values) + width, ALIEN_COST).sum())
    best = tries[int(np.argmin(costs))]
    return float(best[0]), float(np.clip(best[1], *legal))


def _tune(view: _View, a: float, colour: float, legal: tuple[float, float]) -> tuple[_Level, np.ndarray]:
    """Refines a level by a weighted line fit; gives it and which pixels it or its soft edges explain."""
    for _ in range(12):
        before = a
        # Cauchy's weights: what is of another level, or soft, has little say
        weight = 1 / (1 + _misfit(view, a, colour) / FAR)
        by_mean = weight / (a * a * view.still + STILL_NOISE**2)
        by_time = weight * _trust(view, a)
        total, along = by_mean.sum(), float((by_time * view.slope).sum())
        fill, mean = float((by_mean * view.fill).sum() / total), float((by_mean * view.mean).sum() / total)
        certainty = float((by_mean * (view.fill - fill) ** 2).sum() + by_time.sum())
        a = (float((by_mean * (view.fill - fill) * (view.mean - mean)).sum()) + along) / max(certainty, 1e-6)
        a = float(np.clip(a, 0, 0.97))
        colour = (mean - a * fill) / (1 - a)
        if not legal[0] <= colour <= legal[1]:  # no such colour: the line goes through the nearest one that there is
            colour = float(np.clip(colour, *legal))
            off = view.fill - colour
            certainty = float((by_mean * off**2).sum() + by_time.sum())
            a = (float((by_mean * off * (view.mean - colour)).sum()) + along) / max(certainty, 1e-6)
            a = float(np.clip(a, 0, 0.97))
        if abs(a - before) < 1e-4:
            break
    level = _Level(a, colour, 1 / float(np.sqrt(max(certainty, 1e-6) * INDEPENDENT)))
    own = _own_transmission(view, colour)
    explained = np.minimum(_misfit(view, a, colour), _misfit(view, own, colour) + SOFT_COST) < ALIEN_COST
    if explained.any() and _never_changes(view.part(explained), level):
        level = _Level(0.0, float(np.median(view.mean[explained])), 0.0)
    return level, explained


def _never_changes(view: _View, level: _Level) -> bool:
    """Whether what lies under a seemingly translucent level moves and it does not: then it is opaque."""
    trust = _trust(view, level.a)
    total = float(trust.sum())
    if level.a < LEAST_TRANSMISSION or total * INDEPENDENT < FEWEST_TELLING:
        return level.a - 2 * level.error < LEAST_TRANSMISSION
    return float((trust * view.slope).sum()) / total + 2 / np.sqrt(total * INDEPENDENT) < LEAST_TRANSMISSION


def _label(
    mean: np.ndarray, view: _View, hole: np.ndarray, levels: list[_Level], legal: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Labels every pixel of the hole and gives its transmission: whole regions first, then their soft edges."""
    costs, _ = _costs(view, levels, legal)
    count = len(levels)
    unary = np.zeros((count + 2, *hole.shape), np.float32)
    unary[:, view.rows, view.cols] = np.minimum(costs[[*range(count + 1), -1]], 2 * ALIEN_PRICE)
    unary[1:, ~hole] = NEVER
    region = _regions(mean, unary, levels)
    alien = cv2.morphologyEx((region == count + 1).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    region = np.where(alien, ALIEN, np.where(region == count + 1, CLEAN, region)).astype(np.int8)
    fixed = np.zeros(hole.shape, bool)  # does not change over time and is far from what is clean: may be opaque
    change = view.rest + view.slope**2 * view.spread
    fixed[view.rows, view.cols] = (change < (2 * MOVING_NOISE) ** 2) & (view.depth > TRUSTED_PX)
    _join_gaps(mean, region, unary, fixed, levels)
    _doubt_islands(mean, region, unary[0], fixed, levels)
    a = np.ones(hole.shape, np.float32)
    for i, level in enumerate(levels):
        a[region == i + 1] = level.a
    a[region == ALIEN] = 0
    return _soften(mean, view, hole, levels, legal, region, a)


def _regions(mean: np.ndarray, unary: np.ndarray, levels: list[_Level]) -> np.ndarray:
    """The labelling under which the un-blended picture has the fewest unexplained steps, by belief propagation.

    `unary`: (K + 2, H, W) costs of clean, each level, alien. Steps are looked at over STEP_PX, which spans a soft
    edge. A step within a label costs the same whatever the label, so that no label is favoured by its contrast.
    """
    size = len(unary)
    a = [1.0, *(level.a for level in levels), 0.0]
    pictures = [mean] + [(mean - (1 - v.a) * v.colour) / max(v.a, LEAST_TRANSMISSION) for v in levels] + [mean]
    solid = [v < LEAST_TRANSMISSION for v in a]
    scale = _roughness(mean)
    links = []  # (dy, dx, costs (from, to, H, W)); the value at p is of the pair (p, p + d)
    for dy, dx in ((0, STEP_PX), (STEP_PX, 0), (0, 1), (1, 0)):
        cost = np.full((size, size, *mean.shape), 0.0, np.float32)
        both = np.minimum(scale, _shift(scale, dy, dx))
        for i in range(size):
            for j in range(size):
                if dy + dx == 1:
                    cost[i, j] = SEAM_COST * (i != j)
                elif i == j:
                    cost[i, j] = np.minimum(np.abs(_shift(mean, dy, dx) - mean) / both, STEP_COST)
                elif solid[i] or solid[j]:
                    cost[i, j] = STEP_COST / 2
                else:
                    step = np.abs(_shift(pictures[j], dy, dx) - pictures[i]) * np.sqrt(a[i] * a[j])
                    cost[i, j] = np.minimum(step / both, STEP_COST)
        links.append((dy, dx, cost))
    reach = _depth(unary[1] < NEVER).max() / STEP_PX
    return _propagate(unary * UNARY_WEIGHT, links, 10 + int(1.5 * reach))


def _join_gaps(
    mean: np.ndarray, region: np.ndarray, unary: np.ndarray, fixed: np.ndarray, levels: list[_Level]
) -> None:
    """Joins gaps in a level that fills much of a rectangle, taken as clean for want of contrast; in place.

    A gap is joined where that leaves fewer unexplained steps along its border. What the level cannot explain in it,
    and never changes, is an opaque part, such as the text on a box.
    """
    scale = _roughness(mean)
    for i, level in enumerate(levels, 1):
        patch = region == i
        if level.a < LEAST_TRANSMISSION or not patch.any():
            continue
        (top, bottom), (left, right) = (_extent(patch.sum(axis)) for axis in (1, 0))
        box = np.zeros(region.shape, bool)
        box[top:bottom, left:right] = True
        if (patch & box).sum() < BOX_SHARE * box.sum():
            continue
        count, parts = cv2.connectedComponents((box & (region == CLEAN)).astype(np.uint8), connectivity=4)
        gain, pairs = np.zeros(count), np.zeros(count)
        foreign = unary[i] >= ALIEN_PRICE
        telling = (parts > 0) & ~_grow(foreign, EDGE_PX)  # the rims of opaque parts fit nothing
        for dy, dx in STEPS:
            plain, to_level, to_clean = _step_costs(mean, level, scale, dy, dx)
            there = _shift(region, dy, dx)
            inner = telling & (there == i)
            outer = telling & (there == CLEAN) & (_shift(parts, dy, dx) != parts)
            pairs += np.bincount(parts[inner | outer], minlength=count)
            for where, change in ((inner, to_level - plain), (outer, plain - to_clean)):
                gain += np.bincount(parts[where], change[where], minlength=count)
        gap = ((pairs >= FEWEST_TELLING) & (gain > -GAP_SLACK * pairs))[parts] & (parts > 0)
        solid = gap & foreign & _shrink(box) & fixed
        region[gap] = i
        region[solid] = ALIEN


def _step_costs(
    mean: np.ndarray, level: _Level, scale: np.ndarray, dy: int, dx: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(H, W) costs of the step from p to p + d: within one label, from clean to the level, from the level to clean."""
    both = np.minimum(scale, _shift(scale, dy, dx))
    beneath = (mean - (1 - level.a) * level.colour) / level.a
    root = np.sqrt(level.a) / both
    return (
        np.minimum(np.abs(_shift(mean, dy, dx) - mean) / both, STEP_COST),
        np.minimum(np.abs(_shift(beneath, dy, dx) - mean) * root, STEP_COST),
        np.minimum(np.abs(_shift(mean, dy, dx) - beneath) * root, STEP_COST),
    )


def _extent(counts: np.ndarray) -> tuple[int, int]:
    """First and one past the last line that is well filled."""
    lines = np.flatnonzero(counts >= 0.3 * counts.max())
    return int(lines[0]), int(lines[-1]) + 1


def _doubt_islands(
    mean: np.ndarray, region: np.ndarray, unary: np.ndarray, fixed: np.ndarray, levels: list[_Level]
) -> None:
    """What a level encloses and is not continuous with the picture beneath it is opaque, not clean; in place."""
    for i, level in enumerate(levels):
        patch = region == i + 1
        if level.a < LEAST_TRANSMISSION or not patch.any():
            continue
        islands = _filled(patch) & (region == CLEAN)
        count, parts = cv2.connectedComponents(islands.astype(np.uint8), connectivity=8)
        patch = _shrink(patch)
        beneath = (mean - (1 - level.a) * level.colour) / level.a
        inside, off = [], []
        for dy, dx in ((0, STEP_PX + 1), (STEP_PX + 1, 0), (0, -STEP_PX - 1), (-STEP_PX - 1, 0)):
            pair = islands & _shift(patch, dy, dx)
            inside.append(parts[pair])
            off.append(np.abs(mean - _shift(beneath, dy, dx))[pair])
        inside, off = np.concatenate(inside), np.concatenate(off)
        total = np.bincount(inside, off, minlength=count)
        pairs = np.bincount(inside, minlength=count)
        opaque = total > ISLAND_STEP * np.maximum(pairs, 1)
        surprise = np.bincount(parts.ravel(), unary.ravel(), minlength=count)
        opaque &= surprise > ISLAND_SURPRISE * np.bincount(parts.ravel(), minlength=count)
        opaque &= 2 * np.bincount(parts[fixed], minlength=count) > np.bincount(parts.ravel(), minlength=count)
        region[opaque[parts] & islands] = ALIEN


def _shift(values: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """values[..., y + dy, x + dx] at (y, x), the border repeated."""
    height, width = values.shape[-2:]
    rows = np.clip(np.arange(height) + dy, 0, height - 1)
    cols = np.clip(np.arange(width) + dx, 0, width - 1)
    return values[..., rows, :][..., cols]


def _roughness(mean: np.ndarray) -> np.ndarray:
    """What the picture changes by, level to level, wherever it is: the unit that its steps are judged in."""
    rough = np.abs(mean - cv2.GaussianBlur(mean, (0, 0), 2.0))
    # The median passes over edges and strokes: only texture makes a place rough.
    return STILL_NOISE + 1.5 * cv2.medianBlur(np.minimum(rough * 8, 255).astype(np.uint8), 15).astype(np.float32) / 8


def _propagate(unary: np.ndarray, links: list[tuple[int, int, np.ndarray]], rounds: int) -> np.ndarray:
    """Min-sum belief propagation; (H, W) labels."""
    ahead = [np.zeros_like(unary) for _ in links]  # from p - d to p
    back = [np.zeros_like(unary) for _ in links]  # from p + d to p
    for _ in range(rounds):
        belief = unary + sum(ahead) + sum(back)
        for i, (dy, dx, cost) in enumerate(links):
            sent = (belief - back[i])[:, None] + cost
            message = sent.min(0)
            message -= message.min(0)
            new_ahead = _shift(message, -dy, -dx)
            there = _shift(belief - ahead[i], dy, dx)
            message = (there[None] + cost).min(1)
            message -= message.min(0)
            ahead[i] += 0.6 * (new_ahead - ahead[i])
            back[i] += 0.6 * (message - back[i])
    return (unary + sum(ahead) + sum(back)).argmin(0)


def _soften(
    mean: np.ndarray,
    view: _View,
    hole: np.ndarray,
    levels: list[_Level],
    legal: tuple[float, float],
    region: np.ndarray,
    a: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Decides again along the regions' borders, pixel by pixel, with transmissions in between."""
    solid = _grow(region == ALIEN, EDGE_PX)
    for i, level in enumerate(levels):
        if level.a < LEAST_TRANSMISSION:
            solid |= _grow(region == i + 1, EDGE_PX)
    near = cv2.morphologyEx((region + 1).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    edge = _grow(near, EDGE_PX - 1) & hole & ~solid
    colour = np.array([0.0] + [level.colour for level in levels] + [0.0], np.float32)[region]
    picture = np.where(solid, mean, (mean - (1 - a) * colour) / np.maximum(a, LEAST_TRANSMISSION))
    unknown = edge | solid
    rows, cols = np.nonzero(edge)
    at = np.zeros(hole.shape, np.int32)
    at[view.rows, view.cols] = np.arange(len(view.rows))
    here = view.part(at[rows, cols])
    here.fill = predict(picture[..., None], unknown)[rows, cols, 0]
    here.still = view.error(_depth(unknown)[rows, cols])[0]
    costs, values = _costs(here, levels, legal)
    count = len(levels)
    for i in range(count + 1):
        costs[i] += NEIGHBOUR_COST * (1 - cv2.blur((region == i).astype(np.float32), (5, 5))[rows, cols])
    best = costs[:-1].argmin(0)
    label = np.where(solid & hole, ALIEN, region).astype(np.int8)
    a = np.where(solid & hole, 0, a)
    label[rows, cols] = np.where(best > count, best - count, best)
    a[rows, cols] = values[best, np.arange(len(best))]
    return label, a


def _surprise(view: _View, a: np.ndarray | float, colour: float) -> np.ndarray:
    """As _misfit, but for labelling: an edge of the scene must not look like an edge of the overlay."""
    off = view.mean - a * view.fill - (1 - a) * colour
    trust = _trust(view, a)
    return 2 * np.log1p(off * off / (a * a * view.still + STILL_NOISE**2)) + 2 * np.log1p(trust * (view.slope - a) ** 2)


def _costs(view: _View, levels: list[_Level], legal: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Cost and transmission (2 K + 2, N) of: clean, each level flat, each level's colour soft, alien."""
    count = len(view.mean)
    costs, values = [_surprise(view, 1.0, 0.0)], [np.ones(count, np.float32)]
    for level in levels:
        beneath = (view.mean - (1 - level.a) * level.colour) / max(level.a, 0.05)
        beyond = np.maximum(np.maximum(legal[0] - beneath, beneath - legal[1]), 0) * level.a
        costs.append(_surprise(view, level.a, level.colour) + (beyond / STILL_NOISE) ** 2)
        values.append(np.full(count, level.a, np.float32))
    for level in levels:
        own = _own_transmission(view, level.colour)
        costs.append(_surprise(view, own, level.colour) + SOFT_PRICE)
        values.append(own)
    costs.append(np.full(count, ALIEN_PRICE))
    values.append(np.zeros(count, np.float32))
    return np.stack(costs), np.stack(values)


def _maps(
    stacks: list[np.ndarray],
    means: list[np.ndarray],
    lead_plane: int,
    levels: list[_Level],
    label: np.ndarray,
    a: np.ndarray,
    quality: float,
    noise: float,
) -> BlendMaps:
    colours = np.array([0.0] + [level.colour for level in levels], np.float32)
    covered = label != CLEAN
    opaque = covered & ((label == ALIEN) | (a < LEAST_TRANSMISSION))
    opaque = _grow(opaque, 1) & covered if opaque.any() else opaque
    translucent = covered & ~opaque
    if not translucent.any():
        return _refuse(covered, OPAQUE)
    transmission, contribution = [], []
    hole = _grow(covered, 2)
    edge = _grow(cv2.morphologyEx((label + 1).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0, 1)
    shares = [np.where(translucent & (label == k), 1 - a, 0).astype(np.float32) for k in range(1, len(levels) + 1)]
    for i, mean in enumerate(means):
        size = mean.shape
        parts = [_to_plane(share, size) for share in shares]
        if size != label.shape:  # chroma is filtered on its way down, and smoothed again by the codec
            parts = [cv2.GaussianBlur(part, (3, 3), 0) for part in parts]
        own_a = 1 - sum(parts)
        own_hole = _pool(hole, size)
        fill = predict(mean[..., None], own_hole)[..., 0]
        still = _fill_error(stacks[i], own_hole)(_depth(own_hole))[0]
        if i == lead_plane:
            own_colours = colours[1:]
        else:
            own_colours = _plane_colours(mean, fill, own_a, parts, still, own_hole & ~_pool(opaque, size))
        flat = sum(part * colour for part, colour in zip(parts, own_colours, strict=True))
        # What is seen minus what is modelled, as far as it is surer than the prediction: the codec's still error
        doubt = np.where(_pool(edge, size), 2 * STILL_NOISE, STILL_NOISE) ** 2
        extra = (mean - own_a * fill - flat) * (doubt / (doubt + own_a**2 * still))
        extra = np.where(own_hole & ~_pool(opaque, size), np.clip(extra, -8, 8), 0)
        transmission.append(own_a.astype(np.float32))
        contribution.append((flat + extra).astype(np.float32))
    return BlendMaps(Unblend(transmission, contribution), opaque, covered, noise, quality, ())


def _noise(lead: np.ndarray, support: np.ndarray) -> float:
    """The codec's error, from the finest texture around the overlay: a coder spends its error where texture is.

    The error itself cannot be seen. 2.2 times the amplitude of the texture's diagonal second difference is within
    1.6 of it from crf 16 to 28 (x264, four clips).
    """
    kernel = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32) / 6
    few = lead[..., :: max(1, lead.shape[-1] // 8)]
    around = ~_grow(support, 1)
    if not around.any():
        return MOVING_NOISE
    fine = [cv2.filter2D(np.ascontiguousarray(frame), -1, kernel)[around] for frame in np.moveaxis(few, -1, 0)]
    return float(np.clip(2.2 * np.sqrt(np.mean(np.square(fine))), 0.7, 4.0))


def _to_plane(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A luma-size map at a plane's size: the mean over the luma pixels of each sample."""
    if values.shape == size:
        return values
    fy, fx = -(-values.shape[0] // size[0]), -(-values.shape[1] // size[1])
    padded = np.pad(values, ((0, size[0] * fy - values.shape[0]), (0, size[1] * fx - values.shape[1])), "edge")
    return padded.reshape(size[0], fy, size[1], fx).mean((1, 3))


def _pool(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A luma-size mask at a plane's size: True where any luma pixel of a sample is."""
    return _to_plane(mask.astype(np.float32), size) > 0


def _plane_colours(mean, fill, a, parts, still, where):
    """The levels' colours in a further plane, by least squares over the mean pictures."""
    weight = (where / (a * a * still + STILL_NOISE**2)).ravel()
    basis = np.stack([part.ravel() for part in parts], -1)
    target = (mean - a * fill).ravel() - 128 * basis.sum(1)
    ridge = np.eye(basis.shape[1]) * 1e-3
    return 128 + np.linalg.solve((basis * weight[:, None]).T @ basis + ridge, (basis * weight[:, None]).T @ target)


def invert(
    planes: list[np.ndarray], maps: Unblend, noise: float, limits: list[tuple[float, float]] | None = None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The picture beneath and its standard deviation, plane by plane, in levels.

    `limits`: lowest and highest level that each plane can hold (16..235 and 16..240 in limited range); by default
    0..255. Where the overlay may have pushed the picture beyond them and the sample lies at one, it only bounds the
    picture beneath: the estimate is that bound and its deviation infinite. So it is where the transmission is below
    LEAST_TRANSMISSION; there the estimate means nothing.
    """
    estimates, deviations = [], []
    for i, (seen, a, b) in enumerate(zip(planes, maps.transmission, maps.contribution, strict=True)):
        low, high = limits[i] if limits else (0.0, 255.0)
        weak = a < LEAST_TRANSMISSION
        gain = 1 / np.where(weak, np.float32(1), a)
        estimate = (seen - b) * gain
        deviation = noise * gain
        clipped = ((seen >= high) & (a * high + b > high + 1)) | ((seen <= low) & (a * low + b < low - 1))
        deviation[weak | clipped] = np.inf
        estimates.append(np.clip(estimate, 0, 255).astype(np.float32))
        deviations.append(deviation.astype(np.float32))
    return estimates, deviations


def faded(maps: Unblend, strength: float) -> Unblend:
    """The maps of the overlay at a strength of 0 (gone) to 1 (fully there)."""
    return Unblend(
        [1 - np.float32(strength) * (1 - a) for a in maps.transmission],
        [np.float32(strength) * b for b in maps.contribution],
    )


def strength(crop: list[np.ndarray], maps: Unblend, predicted: list[np.ndarray]) -> float:
    """How far a fading overlay is there in one frame, 0..1, by least squares over all planes.

    `crop` and `predicted` (the picture without it, such as a fill) are planes in levels, over the maps' box.
    """
    top = base = 0.0
    for seen, a, b, clean in zip(crop, maps.transmission, maps.contribution, predicted, strict=True):
        effect = b - (1 - a) * clean
        top += float(((seen - clean) * effect).sum())
        base += float((effect * effect).sum())
    return float(np.clip(top / base, 0, 1)) if base > 0 else 0.0
