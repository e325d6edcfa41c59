"""Un-blending: measures how a translucent overlay changes the picture beneath it, and undoes that.

Model, per sample of every colour plane: observed = a * beneath + (1 - a) * colour. The picture beneath is not known
while fitting; a smooth fill P from the clean surroundings stands in for it. Its error is of Berkson's kind (beneath =
P + error, the error not correlated with P), so that a line fitted through (P, observed) has the slope a, up to a factor
kappa that is measured where the picture is seen. Both the change over time and the change from place to place count
as evidence: a locked-off shot with a structured background tells a as well as a moving one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .behind import MOVING_NOISE, STILL_NOISE, View, changed, fill_error, look
from .fill import predict
from .job import Box
from .maps import Unblend
from .masks import averaged, depth_in, filled, grown
from .opacity import LEAST_TRANSMISSION, MOST_TRANSMISSION, RIM_PX, TRUSTED_PX, Level, find_levels, tightened
from .planes import Layout, to_levels
from .regions import ALIEN, CLEAN, STEPS, label_pixels, roughness, shifted, step_costs
from .shaped import shaped

__all__ = ["BlendFit", "BlendMaps", "faded", "invert", "predict"]

MOST_FRAMES, FEWEST_KEPT = 48, 12  # kept for the fit; 60 frames of one moving shot are near the result of 1,200
MOST_SAMPLES = 4_000_000  # of luma kept for the fit, however large the box
LEAST_FRAMES = 6
ROUNDS = 3  # each narrows the hole to what the overlay covers, which betters the prediction
LEAST_SPREAD = 3.0  # levels; a background that varies less tells nothing, and a fill does as well
WORST_ERROR = 10.0  # levels; a fit that errs more through its transmission is not used
ENOUGH_EXPLAINED = 0.6  # good fits explain .6 to .85 of the steps along their border
ROUGH, ROUGH_PX = 15.0, 3.0  # levels by which a fill errs so many px deep; good fits 1 to 12, bad ones 13 to 35
LEAST_QUALITY = 0.25
MOST_EXTRA = 8.0  # levels by which a contribution may depart from its level's
MOST_DOUBT = 0.5  # of a transmission; from here it may be any
EDGE_DOUBT = 0.25  # of a step in transmission: what a soft edge is off by
SWING, MOST_NOISE = 1.2, 16.0  # of the range of the surroundings; levels: the codec's ringing at a hard edge
WILD = 4.0  # times the variance that is expected
FINEST = 2.2  # codec error for the amplitude of the finest texture, see _noise
OPAQUE = "it is opaque"


@dataclass
class BlendMaps:
    """What a fit found, over its box. Where `unblend` is None the overlay can only be borrowed or invented."""

    unblend: Unblend | None  # (1, 0) wherever the overlay changes nothing; transmission 0 where it is opaque
    opaque: np.ndarray  # (H, W) bool: overlay that cannot be undone (opaque, or its transmission cannot be trusted)
    covered: np.ndarray  # (H, W) bool: all that the overlay changes, opaque or not
    noise: float  # standard deviation of the codec's error, levels
    quality: float  # 0..1: how well transmission and colour are told apart
    reasons: tuple[str, ...]  # plain sentences on what limits the fit


class BlendFit:
    """Collects frames of one overlay that stands still and is fully there, then fits how it blends."""

    def __init__(self, layout: Layout, box: Box, support: np.ndarray, shape: np.ndarray | None = None) -> None:
        """`box` is aligned; `support` (H, W) bool over it holds the whole overlay, the rest of the box is clean.

        `shape` (H, W) bool: about what it covers, if that is known. Then the fit is of one opacity and colour, and
        refuses wherever the picture does not plainly go on beneath.
        """
        self._layout, self._support, self._shape = layout, support.astype(bool), shape
        self._limit = int(np.clip(MOST_SAMPLES // max(1, support.size), FEWEST_KEPT, MOST_FRAMES))
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
        if self._shape is not None:
            return _fit_shape(stacks, means, self._support, lead, self._shape)
        return _fit(stacks, means, self._support, lead)


def _refuse(support: np.ndarray, *reasons: str) -> BlendMaps:
    return BlendMaps(None, support.copy(), support.copy(), MOVING_NOISE, 0.0, reasons)


def _fit(stacks: list[np.ndarray], means: list[np.ndarray], support: np.ndarray, lead_plane: int) -> BlendMaps:
    """`stacks`: per plane (h, w, T) levels; `means`: per plane (h, w), over all frames; `support`: (H, W) bool."""
    lead = stacks[lead_plane]
    legal = (min(16.0, float(lead.min())), max(235.0, float(lead.max())))
    view = look(lead, support)
    covered, alien = changed(view, support.shape), np.zeros_like(support)
    for turn in range(ROUNDS):
        if turn:
            view = look(lead, filled(grown(covered, RIM_PX)) & support)
        levels = find_levels(view, covered, alien, legal)
        if not levels:
            return _refuse(covered if covered.any() else support, "no common opacity and colour explain it")
        label, a = label_pixels(lead.mean(-1), view, levels, legal)
        covered, alien = label != CLEAN, label == ALIEN
    levels = tightened(lead, label, levels, legal)
    label, a = label_pixels(lead.mean(-1), view, levels, legal)
    covered = label != CLEAN
    redrawn = _redrawn(lead, view, support, a) & (label != ALIEN)
    label[grown(redrawn, 1) & filled(label > CLEAN)] = ALIEN
    reason, quality = _verdict(lead.mean(-1), view, levels, label)
    if reason:
        return _refuse(covered if reason == OPAQUE else support, reason)
    return _maps(stacks, means, lead_plane, levels, label, a, quality, _noise(lead, support))


def _fit_shape(
    stacks: list[np.ndarray], means: list[np.ndarray], support: np.ndarray, lead_plane: int, shape: np.ndarray
) -> BlendMaps:
    """As `_fit`, of an overlay that covers about `shape` (H, W) bool."""
    lead = stacks[lead_plane]
    legal = (min(16.0, float(lead.min())), max(235.0, float(lead.max())))
    found = shaped(lead, shape & support, support, legal)
    if found is None:
        return _refuse(support, "the picture does not plainly go on beneath it")
    return _maps(stacks, means, lead_plane, [found.level], found.label, found.a, found.alike, _noise(lead, support))


def _redrawn(lead: np.ndarray, view: View, support: np.ndarray, a: np.ndarray) -> np.ndarray:
    """(H, W) bool: what changes over time by more than the picture beneath can account for: digits that count on.

    Under transmission `a` (H, W) no more is seen than that share of the range of the surroundings; and all that the
    surroundings do not foretell is WILD times what they fail to foretell of themselves. `lead`: (H, W, T) levels.
    """
    low, high = np.percentile(lead[~support], (1, 99))
    redrawn = np.ptp(lead, -1) > a * (SWING * (high - low)) + MOST_NOISE
    redrawn[view.rows, view.cols] |= view.rest > WILD * (view.moving + MOVING_NOISE**2)
    return cv2.morphologyEx(redrawn.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0


def _verdict(mean: np.ndarray, view: View, levels: list[Level], label: np.ndarray) -> tuple[str, float]:
    """Why the levels cannot be used, if so, and how good they are, 0..1."""
    seen = label[view.rows, view.cols]
    if view.fill.var() + view.spread.mean() < LEAST_SPREAD**2:
        return "the picture behind it hardly varies, so its opacity cannot be told", 0.0
    worst = steps = left = 0.0
    scale = roughness(mean)
    for i, level in enumerate(levels, 1):
        here = seen == i
        if level.a < LEAST_TRANSMISSION or not here.any():
            continue
        spread = float(np.sqrt(view.fill[here].var() + view.spread[here].mean()))
        worst = max(worst, level.error * spread / level.a)
        for dy, dx in STEPS:
            border = (label == CLEAN) & (shifted(label, dy, dx) == i)
            plain, crossed, _ = step_costs(mean, level, scale, dy, dx)
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


def _maps(
    stacks: list[np.ndarray],
    means: list[np.ndarray],
    lead_plane: int,
    levels: list[Level],
    label: np.ndarray,
    a: np.ndarray,
    quality: float,
    noise: float,
) -> BlendMaps:
    colours = np.array([level.colour for level in levels], np.float32)
    covered = label != CLEAN
    opaque = covered & ((label == ALIEN) | (a < LEAST_TRANSMISSION))
    opaque = grown(opaque, 1) & covered if opaque.any() else opaque
    translucent = covered & ~opaque
    if not translucent.any():
        return _refuse(covered, OPAQUE)
    transmission, contribution = [], []
    hole = grown(covered, RIM_PX)
    edge = grown(cv2.morphologyEx((label + 1).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0, 1)
    shares = [np.where(translucent & (label == k), 1 - a, 0).astype(np.float32) for k in range(1, len(levels) + 1)]
    for i, mean in enumerate(means):
        size = mean.shape
        parts = np.stack([averaged(share, size) for share in shares])
        if size != label.shape:  # chroma is filtered on its way down, and smoothed again by the codec
            parts = np.stack([cv2.GaussianBlur(part, (3, 3), 0) for part in parts])
        own_a, own_hole, own_opaque = 1 - parts.sum(0), _pool(hole, size), _pool(opaque, size)
        fill = predict(mean[..., None], own_hole)[..., 0]
        depth = depth_in(own_hole)
        still = fill_error(stacks[i], own_hole)(depth)[0]
        own_colours = colours
        if i != lead_plane:
            own_colours = _plane_colours(mean, fill, own_a, parts, still, own_hole & ~own_opaque)
        flat = np.tensordot(own_colours, parts, 1)
        # What is seen less what is modelled, as far as it is surer than the prediction: the codec's still error.
        doubt = np.where(_pool(edge, size), 2 * STILL_NOISE, STILL_NOISE) ** 2
        extra = (mean - own_a * fill - flat) * (doubt / (doubt + own_a**2 * still))
        extra *= np.minimum(1, TRUSTED_PX / np.maximum(depth, 1)) ** 2  # deep inside it would be the scene's own
        extra = np.where(own_hole, np.clip(extra, -MOST_EXTRA, MOST_EXTRA), 0)
        transmission.append(np.where(own_opaque, 0, own_a).astype(np.float32))
        contribution.append(np.where(own_opaque, mean, flat + extra).astype(np.float32))
    unblend = Unblend(transmission, contribution, [edge_doubt(part) for part in transmission])
    return BlendMaps(unblend, opaque, covered, noise, quality, ())


def _noise(lead: np.ndarray, support: np.ndarray) -> float:
    """The codec's error, from the finest texture around the overlay: a coder spends its error where texture is.

    The error itself cannot be seen. FINEST times the amplitude of the texture's diagonal second difference is within
    a factor 1.6 of it from crf 16 to 28 (x264, four clips).
    """
    kernel = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32) / 6
    few = lead[..., :: max(1, lead.shape[-1] // 8)]
    around = ~grown(support, 1)
    if not around.any():
        return MOVING_NOISE
    fine = [cv2.filter2D(np.ascontiguousarray(frame), -1, kernel)[around] for frame in np.moveaxis(few, -1, 0)]
    return float(np.clip(FINEST * np.sqrt(np.mean(np.square(fine))), 0.7, 4.0))


def _pool(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A luma-size mask at a plane's size: True where any luma pixel of a sample is."""
    return averaged(mask.astype(np.float32), size) > 0


def _plane_colours(
    mean: np.ndarray, fill: np.ndarray, a: np.ndarray, parts: np.ndarray, still: np.ndarray, where: np.ndarray
) -> np.ndarray:
    """(K,) the levels' colours in a further plane, by least squares over the mean pictures; `parts`: (K, h, w)."""
    weight = (where / (a * a * still + STILL_NOISE**2)).ravel()
    basis = parts.reshape(len(parts), -1).T
    target = (mean - a * fill).ravel() - 128 * basis.sum(1)
    weighted = basis * weight[:, None]
    return 128 + np.linalg.solve(weighted.T @ basis + 1e-3 * np.eye(len(parts)), weighted.T @ target)


def invert(planes: list[np.ndarray], maps: Unblend, noise: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The picture beneath and its standard deviation, plane by plane, in levels.

    Where the transmission is below LEAST_TRANSMISSION or in doubt by MOST_DOUBT and more, the deviation is infinite and
    the estimate means nothing. A sample as bright as there can be is as good as any other: an overlay of a colour that
    can be drawn pushes none beyond that, and what else its contribution holds is the codec's.
    """
    estimates, deviations = [], []
    for i, (seen, a, b) in enumerate(zip(planes, maps.transmission, maps.contribution, strict=True)):
        gain = 1 / np.maximum(a, np.float32(LEAST_TRANSMISSION))
        estimate = (seen - b) * gain
        np.maximum(estimate, 0, out=estimate)
        np.minimum(estimate, 255, out=estimate)
        lost = a < LEAST_TRANSMISSION
        deviation = gain * np.float32(noise)
        if maps.doubt is not None:  # an error of the transmission shows in proportion to the overlay's contrast
            colour = b / np.maximum(1 - a, 1 - np.float32(MOST_TRANSMISSION))
            deviation = np.hypot(deviation, maps.doubt[i] * np.abs(estimate - colour) * gain)
            lost |= maps.doubt[i] >= MOST_DOUBT
        deviation[lost] = np.inf
        estimates.append(estimate)
        deviations.append(deviation)
    return estimates, deviations


def edge_doubt(transmission: np.ndarray) -> np.ndarray:
    """What a measured transmission is off by where it changes from a sample to its neighbours."""
    window = np.ones((3, 3), np.uint8)
    return np.float32(EDGE_DOUBT) * (cv2.dilate(transmission, window) - cv2.erode(transmission, window))


def told(maps: Unblend) -> np.ndarray:
    """(h, w) bool, of the first plane: where the maps tell how the picture beneath shines through."""
    shines = maps.transmission[0] >= LEAST_TRANSMISSION
    return shines if maps.doubt is None else shines & (maps.doubt[0] < MOST_DOUBT)


def faded(maps: Unblend, strength: float) -> Unblend:
    """The maps of the overlay at a strength: 0 is gone, 1 as in the maps. What is hidden or not told stays so."""
    return Unblend(
        [np.where(a > 0, np.maximum(1 - np.float32(strength) * (1 - a), 0), 0) for a in maps.transmission],
        [np.float32(strength) * b for b in maps.contribution],
        maps.doubt and [np.where(doubt < MOST_DOUBT, np.float32(strength) * doubt, doubt) for doubt in maps.doubt],
        maps.noise,
    )
