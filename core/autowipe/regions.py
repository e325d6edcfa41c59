"""Which pixels an overlay covers, and with which of its opacities: regions first, then their soft edges."""

from __future__ import annotations

import cv2
import numpy as np

from .behind import MOVING_NOISE, STILL_NOISE, View
from .fill import predict
from .masks import depth_in, filled, grown, shrunk
from .opacity import LEAST_TRANSMISSION, RIM_PX, TRUSTED_PX, Level, own_transmission, time_weight

CLEAN, ALIEN = 0, -1  # labels; levels count from 1. Alien: opaque, or explained by no level
NEVER = 1e4  # a cost that rules a label out
SOFT_PRICE, ALIEN_PRICE = 8.0, 16.0  # of labels, in units of twice a log likelihood
NEIGHBOUR_COST = 4.0  # for a label that no neighbour has
STEP_PX = 3  # over which steps of the picture are judged: a soft edge is narrower
STEPS = ((0, STEP_PX), (STEP_PX, 0), (0, -STEP_PX), (-STEP_PX, 0))
STEP_COST = 4.0  # of a step that nothing explains
SEAM_COST = 0.7  # of two neighbours with different labels
UNARY_WEIGHT = 0.4  # of a pixel's own evidence: its neighbours have much the same
DAMPING = 0.6
STRIP_SAMPLES, STRIP_MARGIN = 400_000, 24  # so much of a large overlay is labelled at once
BOX_SHARE, LINE_SHARE = 0.4, 0.3  # of its rectangle that a level fills to be taken for a box; of the fullest line
LEAST_PAIRS = 10
GAP_SLACK = 0.3  # gaps in boxes measure -.6 to 2 a pair, the room between letters -.6 to -3
ISLAND_STEP, ISLAND_SURPRISE = 16.0, 2.5  # levels; text on boxes measures 30 to 150, and 3 to 9


def label_pixels(
    mean: np.ndarray, view: View, levels: list[Level], legal: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) labels and transmissions of the picture whose mean over time is `mean`, of which `view` has the hole."""
    hole = np.zeros(mean.shape, bool)
    hole[view.rows, view.cols] = True
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


def _regions(mean: np.ndarray, unary: np.ndarray, levels: list[Level]) -> np.ndarray:
    """(H, W) labels as of `_strip`, a large picture strip by strip so that memory stays small."""
    height, width = mean.shape
    rows = max(4 * STRIP_MARGIN, STRIP_SAMPLES // width)
    out = np.zeros(mean.shape, np.int64)
    for top in range(0, height, rows):
        first, last = max(0, top - STRIP_MARGIN), min(height, top + rows + STRIP_MARGIN)
        part = _strip(mean[first:last], unary[:, first:last], levels)
        out[top : top + rows] = part[top - first : top - first + rows]
    return out


def _strip(mean: np.ndarray, unary: np.ndarray, levels: list[Level]) -> np.ndarray:
    """The labelling under which the un-blended picture has the fewest unexplained steps, by belief propagation.

    `unary`: (K + 2, H, W) costs of clean, each level, alien. Steps are looked at over STEP_PX, which spans a soft
    edge. A step within a label costs the same whatever the label, so that no label is favoured by its contrast.
    """
    size = len(unary)
    a = [1.0, *(level.a for level in levels), 0.0]
    pictures = [mean] + [(mean - (1 - v.a) * v.colour) / max(v.a, LEAST_TRANSMISSION) for v in levels] + [mean]
    solid = [v < LEAST_TRANSMISSION for v in a]
    scale = roughness(mean)
    links = []  # (dy, dx, costs (from, to, H, W)); the value at p is of the pair (p, p + d)
    for dy, dx in ((0, STEP_PX), (STEP_PX, 0), (0, 1), (1, 0)):
        cost = np.zeros((size, size, *mean.shape), np.float32)
        both = np.minimum(scale, shifted(scale, dy, dx))
        for i in range(size):
            for j in range(size):
                if dy + dx == 1:
                    cost[i, j] = SEAM_COST * (i != j)
                elif i == j:
                    cost[i, j] = np.minimum(np.abs(shifted(mean, dy, dx) - mean) / both, STEP_COST)
                elif solid[i] or solid[j]:
                    cost[i, j] = STEP_COST / 2
                else:
                    step = np.abs(shifted(pictures[j], dy, dx) - pictures[i]) * np.sqrt(a[i] * a[j])
                    cost[i, j] = np.minimum(step / both, STEP_COST)
        links.append((dy, dx, cost))
    reach = depth_in(unary[1] < NEVER).max() / STEP_PX
    return _propagate(unary * UNARY_WEIGHT, links, 10 + int(1.5 * reach))


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
            new_ahead = shifted(message, -dy, -dx)
            there = shifted(belief - ahead[i], dy, dx)
            message = (there[None] + cost).min(1)
            message -= message.min(0)
            ahead[i] += DAMPING * (new_ahead - ahead[i])
            back[i] += DAMPING * (message - back[i])
    return (unary + sum(ahead) + sum(back)).argmin(0)


def _join_gaps(mean: np.ndarray, region: np.ndarray, unary: np.ndarray, fixed: np.ndarray, levels: list[Level]) -> None:
    """Joins gaps in a level that fills much of a rectangle, taken as clean for want of contrast; in place.

    A gap is joined where that leaves fewer unexplained steps along its border. What the level cannot explain in it,
    and never changes, is an opaque part, such as the text on a box.
    """
    scale = roughness(mean)
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
        telling = (parts > 0) & ~grown(foreign, RIM_PX)  # the rims of opaque parts fit nothing
        for dy, dx in STEPS:
            plain, to_level, to_clean = step_costs(mean, level, scale, dy, dx)
            there = shifted(region, dy, dx)
            inner = telling & (there == i)
            outer = telling & (there == CLEAN) & (shifted(parts, dy, dx) != parts)
            pairs += np.bincount(parts[inner | outer], minlength=count)
            for where, change in ((inner, to_level - plain), (outer, plain - to_clean)):
                gain += np.bincount(parts[where], change[where], minlength=count)
        gap = ((pairs >= LEAST_PAIRS) & (gain > -GAP_SLACK * pairs))[parts] & (parts > 0)
        solid = gap & foreign & shrunk(box) & fixed
        region[gap] = i
        region[solid] = ALIEN


def _doubt_islands(
    mean: np.ndarray, region: np.ndarray, unary: np.ndarray, fixed: np.ndarray, levels: list[Level]
) -> None:
    """What a level encloses and is not continuous with the picture beneath it is opaque, not clean; in place."""
    for i, level in enumerate(levels):
        patch = region == i + 1
        if level.a < LEAST_TRANSMISSION or not patch.any():
            continue
        islands = filled(patch) & (region == CLEAN)
        count, parts = cv2.connectedComponents(islands.astype(np.uint8), connectivity=8)
        patch = shrunk(patch)
        beneath = (mean - (1 - level.a) * level.colour) / level.a
        found, steps = [], []
        for dy, dx in ((0, STEP_PX + 1), (STEP_PX + 1, 0), (0, -STEP_PX - 1), (-STEP_PX - 1, 0)):
            pair = islands & shifted(patch, dy, dx)
            found.append(parts[pair])
            steps.append(np.abs(mean - shifted(beneath, dy, dx))[pair])
        inside = np.concatenate(found)
        total = np.bincount(inside, np.concatenate(steps), minlength=count)
        pairs = np.bincount(inside, minlength=count)
        opaque = total > ISLAND_STEP * np.maximum(pairs, 1)
        surprise = np.bincount(parts.ravel(), unary.ravel(), minlength=count)
        opaque &= surprise > ISLAND_SURPRISE * np.bincount(parts.ravel(), minlength=count)
        opaque &= 2 * np.bincount(parts[fixed], minlength=count) > np.bincount(parts.ravel(), minlength=count)
        region[opaque[parts] & islands] = ALIEN


def _extent(counts: np.ndarray) -> tuple[int, int]:
    """First and one past the last line that is well filled."""
    lines = np.flatnonzero(counts >= LINE_SHARE * counts.max())
    return int(lines[0]), int(lines[-1]) + 1


def _soften(
    mean: np.ndarray,
    view: View,
    hole: np.ndarray,
    levels: list[Level],
    legal: tuple[float, float],
    region: np.ndarray,
    a: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Decides again along the regions' borders, pixel by pixel, with transmissions in between."""
    solid = grown(region == ALIEN, RIM_PX)
    for i, level in enumerate(levels):
        if level.a < LEAST_TRANSMISSION:
            solid |= grown(region == i + 1, RIM_PX)
    near = cv2.morphologyEx((region + 1).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    edge = grown(near, RIM_PX - 1) & hole & ~solid
    colour = np.array([0.0] + [level.colour for level in levels] + [0.0], np.float32)[region]
    picture = np.where(solid, mean, (mean - (1 - a) * colour) / np.maximum(a, LEAST_TRANSMISSION))
    unknown = edge | solid
    rows, cols = np.nonzero(edge)
    at = np.zeros(hole.shape, np.int32)
    at[view.rows, view.cols] = np.arange(len(view.rows))
    here = view.part(at[rows, cols])
    here.fill = predict(picture[..., None], unknown)[rows, cols, 0]
    here.still = view.error(depth_in(unknown)[rows, cols])[0]
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


def _costs(view: View, levels: list[Level], legal: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Cost and transmission (2 K + 2, N) of: clean, each level flat, each level's colour soft, alien."""
    count = len(view.mean)
    costs, values = [_surprise(view, 1.0, 0.0)], [np.ones(count, np.float32)]
    for level in levels:
        beneath = (view.mean - (1 - level.a) * level.colour) / max(level.a, 0.05)
        beyond = np.maximum(np.maximum(legal[0] - beneath, beneath - legal[1]), 0) * level.a
        costs.append(_surprise(view, level.a, level.colour) + (beyond / STILL_NOISE) ** 2)
        values.append(np.full(count, level.a, np.float32))
    for level in levels:
        own = own_transmission(view, level.colour)
        costs.append(_surprise(view, own, level.colour) + SOFT_PRICE)
        values.append(own)
    costs.append(np.full(count, ALIEN_PRICE))
    values.append(np.zeros(count, np.float32))
    return np.stack(costs), np.stack(values)


def _surprise(view: View, a: np.ndarray | float, colour: float) -> np.ndarray:
    """As _misfit, but for labelling: an edge of the scene must not look like an edge of the overlay."""
    off = view.mean - a * view.fill - (1 - a) * colour
    by_mean = np.log1p(off * off / (a * a * view.still + STILL_NOISE**2))
    return 2 * by_mean + 2 * np.log1p(time_weight(view, a) * (view.slope - a) ** 2)


def step_costs(
    mean: np.ndarray, level: Level, scale: np.ndarray, dy: int, dx: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(H, W) costs of the step from p to p + d: within one label, from clean to the level, from the level to clean."""
    both = np.minimum(scale, shifted(scale, dy, dx))
    beneath = (mean - (1 - level.a) * level.colour) / level.a
    root = np.sqrt(level.a) / both
    return (
        np.minimum(np.abs(shifted(mean, dy, dx) - mean) / both, STEP_COST),
        np.minimum(np.abs(shifted(beneath, dy, dx) - mean) * root, STEP_COST),
        np.minimum(np.abs(shifted(mean, dy, dx) - beneath) * root, STEP_COST),
    )


def roughness(mean: np.ndarray) -> np.ndarray:
    """What the picture changes by, level to level, wherever it is: the unit that its steps are judged in."""
    rough = np.abs(mean - cv2.GaussianBlur(mean, (0, 0), 2.0))
    # The median passes over edges and strokes: only texture makes a place rough.
    return STILL_NOISE + 1.5 * cv2.medianBlur(np.minimum(rough * 8, 255).astype(np.uint8), 15).astype(np.float32) / 8


def shifted(values: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """values[..., y + dy, x + dx] at (y, x), the border repeated."""
    height, width = values.shape[-2:]
    rows = np.clip(np.arange(height) + dy, 0, height - 1)
    cols = np.clip(np.arange(width) + dx, 0, width - 1)
    return values[..., rows, :][..., cols]
