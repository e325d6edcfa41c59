"""The flat opacities that an overlay is made of, found as lines through (predicted, observed)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .behind import FAR, MOVING_NOISE, STILL_NOISE, View
from .fill import predict
from .masks import grown, nearest, shrunk

LEAST_TRANSMISSION = 0.12  # below, the codec's noise grows so much that a fill is better: treated as opaque
MOST_TRANSMISSION = 0.93  # above, a level cannot be told from a clean picture
MOST_LEVELS = 3
FEWEST_VOTERS, MOST_VOTERS = 300, 3000  # pixels that vote on a level
LEAST_SHARE, LEAST_PIXELS = 0.04, 8  # of the voters that a level explains
HYPOTHESES = 400
TRUSTED_PX = 5.0  # depth to which a prediction is good enough to fit on
INDEPENDENT = 0.1  # share of a pixel's evidence that its neighbours do not give already
SOFT_COST, ALIEN_COST = 7.0, 25.0  # prior costs of a pixel that is soft or fits nothing, in units of chi squared
RIM_PX = 2  # around opaque parts: soft edges, and the codec's ringing
BORDER_PX, SOFT_PX = 3, 1  # px inside a level's border that are compared with what is beyond, and what is between
FEWEST_PAIRS, MOST_PAIRS = 60, 2000  # of pixels on both sides
CELL_PX, PARTS = 12, 10  # of the border that counts as one place; parts by which a ratio's error is told
BORDER_NOISE = 1.2  # levels; the codec's share of the spread on both sides
SHADE_PX = 6.0  # deviation of the blur that keeps what changes slowly across a border
LEAST_ALIKE = 0.35  # correlation of both sides; without it they are not one picture
LINE_DOUBT, BORDER_DOUBT = (3.0, 0.01), (1.0, 0.02)  # times its error, and of the value, by which each estimate is off
DRAWN_IN = (235.0, 16.0)  # levels: white and black, which most marks are drawn in
SURE_COLOUR, NEAR_COLOUR, MOST_OFF = 15.0, 2.5, 12.0  # levels; deviations, and levels, within which it is one of them
TELLING = 30.0  # levels from a colour, from which the picture tells how much of the colour is added


@dataclass
class Level:
    """A flat opacity of one colour in the leading plane."""

    a: float  # transmission
    colour: float  # levels
    error: float  # standard deviation of a


def find_levels(view: View, covered: np.ndarray, alien: np.ndarray, legal: tuple[float, float]) -> list[Level]:
    """The overlay's flat opacities, by lines through (predicted, observed) that many pixels agree on."""
    rng = np.random.default_rng(0)
    foreign = misfit(view, 1.0, 0.0) > SOFT_COST  # a clean pixel on an even ground looks like any opaque level
    inner = shrunk(covered)[view.rows, view.cols] & foreign
    if inner.sum() < FEWEST_VOTERS:
        inner = covered[view.rows, view.cols] & foreign
    if not inner.any():
        return []
    enough = np.sort(view.depth[inner])[:FEWEST_VOTERS][-1]
    voters = np.flatnonzero(inner & (view.depth <= max(TRUSTED_PX, enough)))
    if len(voters) > MOST_VOTERS:
        voters = rng.choice(voters, MOST_VOTERS, replace=False)
    left, levels = view.part(voters), []
    for _ in range(MOST_LEVELS):
        if len(left.mean) < max(LEAST_PIXELS, LEAST_SHARE * len(voters)):
            break
        start = _propose(left, rng, legal)
        if start is None:
            break
        level, explained = _tune(left, *start, legal)
        if explained.sum() < max(LEAST_PIXELS, LEAST_SHARE * len(voters)):
            break
        if level.a < MOST_TRANSMISSION:
            levels.append(level)
        left = left.part(~explained)
    return levels + _solid_level(view, alien)


def _propose(view: View, rng: np.random.Generator, legal: tuple[float, float]) -> tuple[float, float] | None:
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
        costs.append(np.minimum(misfit(view, *values) + width, ALIEN_COST).sum())
    best = tries[int(np.argmin(costs))]
    return float(best[0]), float(np.clip(best[1], *legal))


def _tune(view: View, a: float, colour: float, legal: tuple[float, float]) -> tuple[Level, np.ndarray]:
    """Refines a level by a weighted line fit; gives it and which pixels it or its soft edges explain."""
    for _ in range(12):
        before = a
        # Cauchy's weights: what is of another level, or soft, has little say
        weight = 1 / (1 + misfit(view, a, colour) / FAR)
        by_mean = weight / (a * a * view.still + STILL_NOISE**2)
        by_time = weight * time_weight(view, a)
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
    level = Level(a, colour, 1 / float(np.sqrt(max(certainty, 1e-6) * INDEPENDENT)))
    own = own_transmission(view, colour)
    explained = np.minimum(misfit(view, a, colour), misfit(view, own, colour) + SOFT_COST) < ALIEN_COST
    if explained.any() and _never_changes(view.part(explained), level):
        level = Level(0.0, float(np.median(view.mean[explained])), 0.0)
    return level, explained


def tightened(stack: np.ndarray, label: np.ndarray, levels: list[Level], legal: tuple[float, float]) -> list[Level]:
    """The levels once more, by what the picture does on both sides of their borders.

    `stack`: (H, W, T) levels of the leading plane; `label`: (H, W), 0 where clean, else 1 + the place in `levels`.

    A line through (predicted, observed) is flat where the prediction errs. Close to a border the picture inside and
    the picture beyond are exchangeable instead: it varies as much on both sides, so that the ratio of what is seen to
    vary is the transmission, however little they have to do with each other (the slope of the reduced major axis).
    Both estimates are taken together, and a colour that comes out close to white or black is taken for it.
    """
    border = _Border.of(stack, label != 0)
    return [
        level if level.a < LEAST_TRANSMISSION else _by_border(level, *border.across(stack, label == k), legal)
        for k, level in enumerate(levels, 1)
    ]


@dataclass
class _Border:
    """What lies beyond an overlay, and next to which of its pixels."""

    far: np.ndarray  # (H, W) px to what is beyond
    next_to: np.ndarray  # (H, W, 2) int: the nearest pixel of that
    shade: np.ndarray  # (H, W, T) what changes slowly, of the picture that is spread over the overlay

    @classmethod
    def of(cls, stack: np.ndarray, covered: np.ndarray) -> _Border:
        beyond = ~grown(covered, SOFT_PX)
        far, next_to = nearest(beyond)
        shade = predict(stack, ~beyond)
        for t in range(shade.shape[2]):
            shade[..., t] = cv2.GaussianBlur(np.ascontiguousarray(shade[..., t]), (0, 0), SHADE_PX)
        return cls(far, np.stack(np.divmod(next_to, beyond.shape[1]), -1), shade)

    def across(self, stack: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixels just inside a level's border: (N,) place along it, (N, T) what is seen there and beyond the border."""
        at = np.argwhere(shrunk(own) & (self.far <= BORDER_PX + SOFT_PX))
        at = at[:: max(1, len(at) // MOST_PAIRS)]
        _, place = np.unique(at // CELL_PX @ (stack.shape[1], 1), return_inverse=True)
        here = tuple(at.T)
        there = tuple(self.next_to[here].T)
        # What is beyond lies farther out, where a slow change has gone on: so much is taken back.
        return place, stack[here], stack[there] + self.shade[here] - self.shade[there]


@dataclass
class Side:
    """What is seen on both sides of a border, robust alike in both."""

    ratio: float  # of the spreads inside and beyond: the transmission where it is one picture
    alike: float  # correlation of both
    inner: float  # mean, levels
    outer: float


def across_border(stack: np.ndarray, covered: np.ndarray) -> Side | None:
    """None where too few pixels lie along the border. `stack`: (H, W, T) levels; `covered`: (H, W) bool."""
    if not covered.any() or covered.all():
        return None
    place, inside, beyond = _Border.of(stack, covered).across(stack, covered)
    return Side(*_spread_ratio(inside, beyond)) if len(place) >= FEWEST_PAIRS else None


def _by_border(
    level: Level, place: np.ndarray, inside: np.ndarray, beyond: np.ndarray, legal: tuple[float, float]
) -> Level:
    parts = min(PARTS, int(place.max(initial=0)) + 1)
    if len(place) < FEWEST_PAIRS or parts < PARTS // 2:
        return level
    ratio, alike, inner, outer = _spread_ratio(inside, beyond)
    if not 0 < ratio < 1 or alike < LEAST_ALIKE:
        return level
    without = [_spread_ratio(inside[place % parts != k], beyond[place % parts != k])[0] for k in range(parts)]
    error = float(np.sqrt((parts - 1) * np.var(without)))  # the jackknife's
    doubts = [
        np.hypot(times * e, share * a)
        for (times, share), e, a in ((LINE_DOUBT, level.error, level.a), (BORDER_DOUBT, error, ratio))
    ]
    weights = [1 / max(doubt, 1e-4) ** 2 for doubt in doubts]
    a = float(np.average((level.a, ratio), weights=weights))
    error = float(1 / np.sqrt(sum(weights)))
    colour = (inner - a * outer) / (1 - a)
    off = error * abs(outer - colour) / (1 - a)
    drawn = _drawn_in(colour, off, legal)
    if drawn is not None and abs(outer - drawn) > TELLING:
        a, colour = (inner - drawn) / (outer - drawn), drawn
    return Level(a, float(np.clip(colour, *legal)), error) if 0 < a < MOST_TRANSMISSION else level


def _drawn_in(colour: float, off: float, legal: tuple[float, float]) -> float | None:
    """The colour that a mark is drawn in, where one that may be `off` so much is but measured wrongly."""
    if not legal[0] <= colour <= legal[1]:
        return float(np.clip(colour, *legal))
    near = min(NEAR_COLOUR * off, MOST_OFF) if off < SURE_COLOUR else 0.0
    return next((drawn for drawn in (*legal, *DRAWN_IN) if abs(colour - drawn) < near), None)


def _spread_ratio(inside: np.ndarray, beyond: np.ndarray) -> tuple[float, float, float, float]:
    """Ratio of the spreads of (N, T) each, how alike both are (correlation), and their means; robust alike in both."""
    weight, ratio = np.ones_like(inside), 0.0
    for _ in range(10):
        total = float(weight.sum())
        inner, outer = float((weight * inside).sum()) / total, float((weight * beyond).sum()) / total
        own, other = inside - inner, beyond - outer
        spreads = [float((weight * off * off).sum()) / total - BORDER_NOISE**2 for off in (own, other)]
        if min(spreads) <= 0:
            return 0.0, 0.0, inner, outer
        ratio, alike = np.sqrt(spreads[0] / spreads[1]), float((weight * own * other).sum()) / total
        left = own - ratio * other
        scale = 2 * (1.5 * float(np.median(np.abs(left))) + BORDER_NOISE)
        weight = 1 / (1 + (left / scale) ** 2)
    return float(ratio), alike / float(np.sqrt(spreads[0] * spreads[1])), inner, outer


def _never_changes(view: View, level: Level) -> bool:
    """Whether what lies under a seemingly translucent level moves and it does not: then it is opaque."""
    weight = time_weight(view, level.a)
    total = float(weight.sum())
    if level.a < LEAST_TRANSMISSION or total * INDEPENDENT < LEAST_PIXELS:
        return level.a - 2 * level.error < LEAST_TRANSMISSION
    return float((weight * view.slope).sum()) / total + 2 / np.sqrt(total * INDEPENDENT) < LEAST_TRANSMISSION


def _solid_level(view: View, alien: np.ndarray) -> list[Level]:
    """The colour of the opaque parts, where they have one."""
    for _ in range(RIM_PX + 1):  # without the rim that was added to them
        alien = shrunk(alien)
    inner = view.mean[alien[view.rows, view.cols]]
    if len(inner) < LEAST_PIXELS:
        return []
    counts, edges = np.histogram(inner, 64, (0, 256))
    colour = float(edges[counts.argmax()] + 2)
    same = np.abs(inner - colour) < 4 * STILL_NOISE
    return [Level(0.0, float(inner[same].mean()), 0.0)] if same.mean() > 0.3 else []


def misfit(view: View, a: np.ndarray | float, colour: float) -> np.ndarray:
    """(N,) chi squared of transmission `a` and a colour: by the means, and by the slope over time."""
    off = view.mean - a * view.fill - (1 - a) * colour
    by_mean = off * off / (a * a * view.still + STILL_NOISE**2)
    return by_mean + time_weight(view, a) * (view.slope - a) ** 2


def own_transmission(view: View, colour: float) -> np.ndarray:
    """(N,) best transmission of every pixel by itself, for an overlay of a known colour."""
    a = np.full(len(view.mean), 0.5, np.float32)
    for _ in range(3):
        by_mean = 1 / (a * a * view.still + STILL_NOISE**2)
        by_time = time_weight(view, a)
        top = (view.mean - colour) * (view.fill - colour) * by_mean + view.slope * by_time
        a = np.clip(top / np.maximum((view.fill - colour) ** 2 * by_mean + by_time, 1e-6), 0, 1)
    return a


def time_weight(view: View, a: np.ndarray | float) -> np.ndarray:
    """(N,) weight of the slopes over time: what the codec's own unrest adds to the prediction does not count."""
    spread = np.maximum(view.spread - MOVING_NOISE**2, 0)
    return view.weight * spread / np.maximum(a * a * view.moving + MOVING_NOISE**2, view.rest)
