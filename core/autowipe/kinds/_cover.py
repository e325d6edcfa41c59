"""What a static mark covers: its lines, the areas between them, and how far the picture beneath shines through."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import cv2
import numpy as np

from .. import planes
from ..job import Box
from ..maps import Unblend
from ..masks import connected, disc, grown, subsampled
from ..planes import Layout
from ..timing import FrameRange
from ..unblend import BlendFit, BlendMaps, predict

SAMPLES, LEAST_SAMPLES = 24, 8  # crops kept where a mark is judged by its look alone
SHARP_PX = 15  # over which an edge's contrast is measured
SHARP = 0.42  # of that contrast crossed within 2 px: graphics 0.45 to 0.95, lens-made edges 0.1 to 0.35
STEADY_SHARE = 0.75  # of the seeds' lock that the mark's other lines have
SKIRT_PX = 2  # of the codec's ringing around what is covered
STILL_SHARE = 0.8  # of a hole's px
TRUSTED_FIT = 0.5  # quality of the fit of its opacity from which that says what the mark covers
TRUSTED_MOVING = 0.4  # the same of what moves or comes and goes: so the scene has passed beneath it
SHAKES, SHAKES_LEAST = 0.6, 6.0  # share of the surroundings' change over time, and levels, that are the scene's own
SEAMLESS = 2.0  # levels of the mean look from one px to the next: less is no edge of a mark
MISSED = 0.05  # share of the lines beyond the fit's cover from which the fit has missed a part
MOSTLY = 0.8  # hidden share from which a mark is as good as opaque
RIM_PX = 6  # of what is looked at, by which the scene is told
CALM = 0.2  # share of its surroundings' change by which what passes over these and is opaque changes at most
FLAT_PART = 4  # one in so many px, those on the least edges
AROUND_PX = (2, 6)  # analysis px from a thing, between which its surroundings are looked at


@dataclass(frozen=True)
class Look:
    """What the second look saw, per luma px of a mark's box, over the sampled frames in which it was there."""

    mean: np.ndarray  # (H, W, 3) float32 levels: luma and chroma
    spread: np.ndarray  # (H, W) float32: standard deviation of luma over time
    slope: np.ndarray  # (2, H, W) float32: mean gradient of the luma
    edge: np.ndarray  # (H, W) float32: length of the mean gradient, all channels, levels a px
    lock: np.ndarray  # (H, W) float32: 1 where the gradient never changes, 0 where it averages out
    count: int  # sampled frames


class LookSum:
    """Adds up the crops of one box."""

    def __init__(self, layout: Layout, precision: type[np.floating] = np.float64) -> None:
        """`layout`: of the source, but as wide and high as the box; `precision`: float32 does for a few dozen crops."""
        self._layout, self._precision = layout, precision
        self.count = 0
        self._sums: list[np.ndarray] = []
        self._closed: Look | None = None

    def add(self, crop: list[np.ndarray]) -> None:
        luma, chroma = planes.small(crop, self._layout, self._layout.width)
        channels = (luma, *cv2.split(chroma))
        if not self.count:
            self._sums = [np.zeros(luma.shape, self._precision) for _ in range(len(channels) + 2)]
        self.count += 1
        for total, channel in zip(self._sums, channels, strict=False):
            cv2.accumulate(channel, total)
        cv2.accumulateSquare(luma, self._sums[3])
        for slope in _slopes(channels):
            cv2.accumulateSquare(slope, self._sums[4])

    def close(self) -> None:
        """No more crops will come: keeps only the look, and that at half precision."""
        if self.count:
            self._closed, self._sums = _as_type(self.look(), np.float16), []

    @property
    def nbytes(self) -> int:
        closed = 0 if self._closed is None else sum(part.nbytes for part in _arrays(self._closed))
        return closed + sum(part.nbytes for part in self._sums)

    def look(self) -> Look:
        if self._closed is not None:
            return _as_type(self._closed, np.float32)
        means = [total / self.count for total in self._sums]
        spread = np.sqrt(np.maximum(means[3] - means[0] ** 2, 0)).astype(np.float32)
        mean = [part.astype(np.float32) for part in means[:3]]
        slopes = list(_slopes(mean))  # the mean of gradients is the gradient of the mean
        power = np.zeros_like(mean[0])
        for slope in slopes:
            cv2.accumulateSquare(slope, power)
        lock = (power / np.maximum(means[4], 1e-6)).astype(np.float32)
        return Look(cv2.merge(mean), spread, np.stack(slopes[:2]), cv2.sqrt(power), lock, self.count)


class Samples:
    """Some of the crops of one box, evenly spread over the clip, and what they look like together."""

    def __init__(self, layout: Layout, box: Box, whole: FrameRange) -> None:
        """`layout`: of the source; `box` is aligned."""
        self._sum = LookSum(replace(layout, width=box[2], height=box[3]))
        self._start, self._step = whole.start, max(1, len(whole) // SAMPLES)
        self.crops: list[list[np.ndarray]] = []

    def add(self, frame: int, crop: list[np.ndarray]) -> None:
        if (frame - self._start) % self._step == self._step // 2 and len(self.crops) < SAMPLES:
            self.crops.append(crop)
            self._sum.add(crop)

    def look(self) -> Look | None:
        """None where they are too few to judge by."""
        return self._sum.look() if len(self.crops) >= LEAST_SAMPLES else None


def _slopes(channels: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """(H, W) float32 levels a px: the gradient of each channel, x and then y."""
    for channel, axis in product(channels, ((1, 0), (0, 1))):
        yield cv2.Sobel(channel, cv2.CV_32F, *axis, ksize=3, scale=1 / 8)


def _as_type(look: Look, kind: type[np.floating]) -> Look:
    mean, spread, slope, edge, lock = (part.astype(kind) for part in _arrays(look))
    return Look(mean, spread, slope, edge, lock, look.count)


def _arrays(look: Look) -> tuple[np.ndarray, ...]:
    return look.mean, look.spread, look.slope, look.edge, look.lock


def graphic_edges(look: Look, seeds: np.ndarray) -> np.ndarray:
    """The seeds around which edges are as sharp and as constant as drawn ones."""
    ridges, ratio = peaks(look, seeds)
    good = ridges & (ratio >= 0.8 * SHARP) & (look.lock >= 0.5)
    window = (SHARP_PX // 2 * 2 + 1,) * 2
    tried = cv2.boxFilter(ridges.astype(np.float32), -1, window, normalize=False)
    held = cv2.boxFilter(good.astype(np.float32), -1, window, normalize=False)
    return seeds & (held >= 3) & (held >= 0.5 * tried)


def changes(look: Look, covered: np.ndarray, scale: float) -> tuple[float, float]:
    """Levels by which what is covered (H, W) changes in itself, and by which the picture close around all of it does.

    Gaps within it tell nothing: they may be the scene's or, in an opaque mark whose middle is plain, its own.
    """
    outlines, _ = cv2.findContours(covered.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    whole = cv2.drawContours(np.zeros(covered.shape, np.uint8), outlines, -1, 1, cv2.FILLED)
    near, far = (cv2.dilate(whole, disc(round(px * scale))) > 0 for px in AROUND_PX)
    inner = cv2.erode(covered.astype(np.uint8), disc(1)) > 0
    if not inner.any() or not (far & ~near).any():
        return 0.0, 0.0
    return float(np.median(look.spread[inner])), float(np.median(look.spread[far & ~near]))


def flat_changes(look: Look, covered: np.ndarray) -> float:
    """Levels by which the flattest part of what is covered (H, W) changes: what is turned upright keeps no edges."""
    slopes, spread = look.edge[covered], look.spread[covered]
    count = len(slopes) // FLAT_PART
    return float(np.median(spread[np.argpartition(slopes, count)[:count]])) if count else 0.0


def with_calm(look: Look, covered: np.ndarray, most: float, reach: int = 0) -> np.ndarray:
    """What is covered (H, W) and what changes by less than so many levels beside that.

    `reach`: px that it may be from that, and half of its width, where these levels are less than sure.

    The outline of a thing that passes over a scene has this on its other side, so parts of it may be no lines.
    """
    calm = cv2.morphologyEx((look.spread < most).astype(np.uint8), cv2.MORPH_OPEN, disc(max(2, reach))) > 0
    return covered | connected(calm, grown(covered, reach))


def with_disc(look: Look, covered: np.ndarray) -> np.ndarray:
    """What is covered (H, W) with an even piece that it lies on, around which the scene changes: all of an icon.

    A piece that runs on to the edge of what is looked at is that of a thing in the scene on which it is printed.
    """
    rim = np.ones_like(covered)
    rim[RIM_PX:-RIM_PX, RIM_PX:-RIM_PX] = False
    whole = with_calm(look, covered, CALM * float(np.median(look.spread[rim])))
    return covered if (whole & rim).any() else whole


def one_way(slopes: np.ndarray) -> float:
    """Concentration of the directions of (2, N) slopes, 0..1: 1 where all edges lie one way, whichever side is dark."""
    return float(np.abs(np.exp(2j * np.arctan2(slopes[1], slopes[0])).mean()))


def sharpness(look: Look, lines: np.ndarray) -> float:
    ridges, ratio = peaks(look, lines)
    return float(np.median(ratio[ridges])) if ridges.sum() >= 10 else 0.0


def find_cover(look: Look, seeds: np.ndarray, reach: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The mark's lines, and all that it covers: (H, W) bool each."""
    hull = _find_hull(seeds, reach, _pad(scale))
    offset = np.abs(look.mean - predict(look.mean, hull)).max(2)
    usual = predict(look.spread[..., None], hull)[..., 0]
    noise = np.sqrt(np.maximum(1 / np.maximum(look.lock, 1e-3) - 1, 0)) * look.edge / np.sqrt(look.count)
    lock = max(0.3, STEADY_SHARE * float(np.median(look.lock[seeds]))) if seeds.any() else 0.3
    weak = hull & (look.edge > np.maximum(1.5, 3 * noise)) & (look.lock > lock)
    lines = connected(weak, seeds & weak)
    broad = cv2.morphologyEx(lines.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    lines &= broad | seeds  # edges of the scene that run into the mark are hair-thin: much of them moves
    lines = cv2.morphologyEx(lines.astype(np.uint8), cv2.MORPH_CLOSE, disc(1)) > 0
    error = _fill_error(look.mean, hull, reach)
    calm = (look.spread < 0.5 * usual - 1) & (usual > 6)
    areas = hull & (calm & (offset > 6) | (offset > max(12.0, 2.5 * error)))
    areas &= ~_running_on(look.mean, hull, lines, _pad(scale) + math.ceil(scale))
    areas = cv2.morphologyEx(areas.astype(np.uint8), cv2.MORPH_OPEN, disc(1)) > 0
    covered = lines | connected(areas, cv2.dilate(lines.astype(np.uint8), disc(1)) > 0)
    return lines, covered | _still_holes(covered, calm)


def _running_on(mean: np.ndarray, hull: np.ndarray, lines: np.ndarray, depth: int) -> np.ndarray:
    """(H, W) bool: what goes on beyond the hull without an edge, as the scene does and nothing drawn.

    It is followed from there for `depth` px, no further: within, a mark may have the colour of the scene beside it.
    """
    rim = hull & (cv2.erode(hull.astype(np.uint8), disc(depth)) == 0) & ~lines
    across, down = (np.abs(np.diff(mean, axis=axis)).max(2) < SEAMLESS for axis in (1, 0))
    clean, size = ~hull, -1
    while size < (size := int(clean.sum())):
        before = clean.copy()
        clean[:, 1:] |= before[:, :-1] & across & rim[:, 1:]
        clean[:, :-1] |= before[:, 1:] & across & rim[:, :-1]
        clean[1:] |= before[:-1] & down & rim[1:]
        clean[:-1] |= before[1:] & down & rim[:-1]
    return clean & hull


def _still_holes(covered: np.ndarray, calm: np.ndarray) -> np.ndarray:
    """(H, W) bool: holes that stay while the scene moves: no picture shows there, but the scene's colour."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~covered).astype(np.uint8), connectivity=4)
    high, wide = covered.shape
    left, top, width, height = stats[:, : cv2.CC_STAT_AREA].T
    inside = (left > 0) & (top > 0) & (left + width < wide) & (top + height < high)
    inside[0] = False
    still = np.bincount(labels.ravel(), calm.ravel(), count) > STILL_SHARE * stats[:, cv2.CC_STAT_AREA]
    return np.asarray((inside & still)[labels])


def moves(look: Look, seeds: np.ndarray, reach: int, scale: float) -> np.ndarray:
    """(H, W) bool: what changes over time nearly as the surroundings do, as nothing opaque does."""
    usual = predict(look.spread[..., None], _find_hull(seeds, reach, _pad(scale)))[..., 0]
    least = cv2.erode(look.spread, np.ones((3, 3), np.uint8))  # edges of what shakes or grows a little change too
    return np.asarray((least > SHAKES_LEAST) & (look.spread > SHAKES * usual))


def settle(
    lines: np.ndarray,
    covered: np.ndarray,
    crops: list[list[np.ndarray]],
    layout: Layout,
    box: Box,
    maps: BlendMaps | None = None,
    trusted: float = TRUSTED_FIT,
) -> tuple[np.ndarray, Unblend | None, dict[str, float]]:
    """What is covered to the pixel, how to un-blend it, and figures on that.

    `crops`: frames that show the mark, colour planes over `box`; `maps`: how it blends, where that is known; `trusted`:
    quality from which a fit counts. The fit tells to the pixel what a mark changes, but it may miss a part of another
    opacity: where it misses lines that are surely the mark's, both count, and what only the statistics know is hidden
    (transmission 0).
    """
    if maps is None:
        maps = blend(covered, crops, layout, box)
    hidden = None
    if maps.unblend is not None and maps.quality >= trusted:
        covered, hidden = _joint(lines, covered, maps)
    share = 1.0 if hidden is None else float(hidden.sum() / max(1, covered.sum()))
    figures = {"hidden share": share, "un-blend quality": maps.quality}
    if hidden is None or maps.unblend is None or share > MOSTLY:
        return covered, None, figures
    # What the fit explains is not hidden by what it misses beside it.
    hidden = grown(maps.opaque, SKIRT_PX) | grown(hidden & ~maps.covered, SKIRT_PX) & ~maps.covered
    transmission, contribution = [], []
    for plane, a, b in zip(layout.colour, maps.unblend.transmission, maps.unblend.contribution, strict=True):
        under = subsampled(hidden, plane.shift)
        transmission.append(np.where(under, np.float32(0), a))
        contribution.append(np.where(under, np.float32(0), b))
    return covered, Unblend(transmission, contribution, maps.unblend.doubt), figures


def blend(
    covered: np.ndarray, crops: list[list[np.ndarray]], layout: Layout, box: Box, shape: np.ndarray | None = None
) -> BlendMaps:
    """How what is `covered` (H, W) bool blends, as its surroundings in the crops tell; `shape` as in BlendFit."""
    fit = BlendFit(layout, box, cv2.dilate(covered.astype(np.uint8), disc(SKIRT_PX + 3)) > 0, shape)
    for crop in crops:
        fit.add(crop)
    return fit.finish()


def _joint(lines: np.ndarray, covered: np.ndarray, maps: BlendMaps) -> tuple[np.ndarray, np.ndarray]:
    """What is covered, and which of it is hidden, from the statistics and the fit."""
    near = cv2.dilate(maps.covered.astype(np.uint8), disc(2)) > 0
    if (lines & ~near).sum() <= MISSED * lines.sum():
        return maps.covered, maps.opaque
    close = cv2.dilate(maps.covered.astype(np.uint8), disc(1)) > 0
    return covered | maps.covered, maps.opaque | covered & ~close


def with_ringing(covered: np.ndarray) -> np.ndarray:
    """The matte (H, W) float32 of what is covered, with the codec's ringing around it."""
    return cv2.dilate(covered.astype(np.uint8), disc(SKIRT_PX)).astype(np.float32)


def _pad(scale: float) -> int:
    return round(1.5 * scale) + 2


def _find_hull(seeds: np.ndarray, reach: int, pad: int) -> np.ndarray:
    """(H, W) bool: the convex hulls of the seeds that lie within `reach` px of each other, grown by `pad`."""
    near = cv2.dilate(seeds.astype(np.uint8), disc(reach))
    count, labels = cv2.connectedComponents(near, connectivity=8)
    out = np.zeros_like(near)
    for i in range(1, count):
        rows, columns = np.nonzero(seeds & (labels == i))
        outline = cv2.convexHull(np.column_stack([columns, rows]).astype(np.int32))
        cv2.fillConvexPoly(out, outline, 1)
    return np.asarray(cv2.dilate(out, disc(pad)) > 0)


def _fill_error(mean: np.ndarray, hull: np.ndarray, reach: int) -> float:
    """How far a fill from `reach` px around is off in the clean surroundings, levels (90 % of it)."""
    clean = (~hull).astype(np.float32)
    if not clean.any():
        return 255.0
    size = (2 * reach + 1,) * 2
    weight = cv2.blur(clean, size)
    around = cv2.blur(mean * clean[..., None], size) / np.maximum(weight, 1e-3)[..., None]
    return float(np.quantile(np.abs(mean - around).max(2)[~hull], 0.9))


def peaks(look: Look, where: np.ndarray, least: float = 10.0, reach: int = SHARP_PX) -> tuple[np.ndarray, np.ndarray]:
    """Ridges of the gradient (H, W) bool in `where`, and the share of the local contrast crossed within 2 px.

    `least`: contrast, levels; `reach`: px over which it is measured, odd.
    """
    luma = look.mean[..., 0]
    window = np.ones((reach, reach), np.uint8)
    contrast = cv2.dilate(luma, window) - cv2.erode(luma, window)
    slope = np.hypot(look.slope[0], look.slope[1])
    ridge = slope >= 0.95 * cv2.dilate(slope, np.ones((3, 3), np.uint8))
    return where & ridge & (contrast > least), 2 * slope / np.maximum(contrast, 8)
