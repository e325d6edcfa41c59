"""Fits borrowed and invented samples to the frame around them, and fuses them by the errors to be expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from .hole import Part

TINY = 1e-6
NOISE = 3.0  # levels squared: no sample of a lossy file is better known
RING_WEIGHT = 0.3  # of one sample around the hole: about three of them outvote the codec's ringing on one
OUTLIER = 20.0  # levels: a difference on the ring beyond this is another surface, not another light
REACH_PX = 8.0  # a texture is known no further from the hole's edge
WINDOW_PX = 25  # of the statistics around a hole
UNKNOWN = 400.0  # levels squared: expected where nothing tells
SMOOTHING = 3.0  # spreading errs by more than the variety around: what it misses is edges
TOLERANCE = 2.5  # times a witness's variance: its own bias, at soft edges, is of that size
WITNESS_PX = 5  # over which a candidate is held against another one
RIVAL = 0.08  # of all that a motion can be doubted: so much better must a rival of the first one be
PAIR_PX = 7  # over which two candidates are held together
DISAGREED = 1500.0  # levels squared: of a motion whose two sides share nothing, where another's share all
SMOOTHED = 2  # times at each size of what is spread


@dataclass
class Candidate:
    """One way to complete the hidden samples of a plane: what it says, and the error to be expected of it."""

    value: np.ndarray  # (M,) float32 levels
    variance: np.ndarray  # (M,) float32 levels squared; inf where it says nothing


def spatial(picture: np.ndarray, part: Part) -> Candidate:
    """The surroundings spread inwards, as `picture` (h, w), a whole plane, holds them: good where they are smooth."""
    here = picture[part.box]
    seen = np.where(part.mask, np.float32(0), here)
    size = (WINDOW_PX, WINDOW_PX)
    mean, square = (
        np.take(cv2.blur(term, size, borderType=cv2.BORDER_REFLECT), part.inside) for term in (seen, seen * seen)
    )
    total = np.maximum(part.share, TINY)
    variety = np.where(part.share > 0.01, np.maximum(square / total - (mean / total) ** 2, 0), np.float32(UNKNOWN))
    return Candidate(np.take(here, part.inside), NOISE + SMOOTHING * variety * np.minimum(part.depth / REACH_PX, 1))


def match(value: np.ndarray, seen: np.ndarray, ring: np.ndarray, part: Part) -> Candidate:
    """Borrowed samples `value` (M,), NaN where there are none, brought to the light of their frame.

    `seen`: (R,) the frame's own samples around the hole; `ring`: (R,) the same borrowing carried on there, NaN where
    unknown. Their difference is spread inwards as an offset (a membrane, as in Poisson blending); what the offset
    leaves is the error to be expected.
    """
    there = ~np.isnan(ring)
    says = ~np.isnan(value)
    if not there.any():
        return Candidate(np.where(says, value, 0), np.where(says, np.float32(UNKNOWN / 4), np.float32(np.inf)))
    difference = np.where(there, seen - ring, 0)
    weight = np.where(there, RING_WEIGHT / (1 + (difference / OUTLIER) ** 2), 0)
    offset, square = part.inwards([difference, difference**2], weight)
    # A light that changed everywhere alike is known inside too; what departs from it is half a guess there.
    uneven = offset - np.median(difference[there])
    variance = NOISE + np.maximum(square - offset**2, 0) + uneven**2 / 2
    return Candidate(np.where(says, value + offset, 0), np.where(says, variance, np.float32(np.inf)))


def hold_against(candidate: Candidate, witness: Candidate, part: Part) -> None:
    """Raises a candidate's variance by what it differs from a noisy but unbiased `witness`, beyond the noise; in place.

    The noise averages out over a small window; an edge in the wrong place does not.
    """
    both = np.isfinite(candidate.variance) & np.isfinite(witness.variance)
    if not both.any():
        return
    square = (candidate.value - witness.value) ** 2
    difference = np.where(both, square - TOLERANCE * witness.variance, 0)
    excess = part.mean(difference, WITNESS_PX) / np.maximum(part.mean(both, WITNESS_PX), TINY)
    candidate.variance = np.where(both, candidate.variance + np.maximum(excess, 0), candidate.variance)


def compete(pairs: Sequence[tuple[Candidate, Candidate]], part: Part) -> None:
    """Raises the variances of candidates of the wrong motions; in place.

    `pairs`: for each motion what it brings from before and from after; the first one has to be outdone clearly. The
    wrong motion brings different things from either side. That it brings the same says little where there is nothing
    but a smooth surface, and much where there is structure.
    """
    doubts = [_doubt(*pair, part) + (RIVAL if k else 0) for k, pair in enumerate(pairs)]
    least = np.nanmin([np.where(np.isnan(d), np.inf, d) for d in doubts], axis=0)
    for pair, doubt in zip(pairs, doubts, strict=True):
        more = np.nan_to_num((doubt - least) * DISAGREED, nan=0.0, posinf=0.0)
        for candidate in pair:
            candidate.variance = candidate.variance + more


def _doubt(one: Candidate, other: Candidate, part: Part) -> np.ndarray:
    """How much two candidates differ as a share of the structure they hold, 0..1; NaN where one says nothing."""
    both = np.isfinite(one.variance) & np.isfinite(other.variance)
    share = np.maximum(part.mean(both, PAIR_PX), TINY)

    def mean(values: np.ndarray) -> np.ndarray:
        return part.mean(np.where(both, values, 0), PAIR_PX) / share

    middle = (one.value + other.value) / 2
    structure = np.maximum(mean(middle**2) - mean(middle) ** 2, 0)
    differs = mean((one.value - other.value) ** 2)
    return np.where(both, (differs + NOISE) / (structure + differs + 2 * NOISE), np.nan)


def fuse(candidates: Sequence[Candidate]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Their mean, weighted by the inverse of their variances, its variance and the one that weighs most.

    The variance, in levels squared, is that of independent errors.
    """
    weights = np.stack([1 / candidate.variance for candidate in candidates])
    variance = 1 / np.maximum(weights.sum(0), TINY)
    value = sum(weight * candidate.value for weight, candidate in zip(weights, candidates, strict=True)) * variance
    return value, variance, weights.argmax(0)


def spread(values: Sequence[np.ndarray], weights: np.ndarray) -> list[np.ndarray]:
    """Each of `values` (H, W) float32, with `weights` (H, W) >= 0, spread to where the weight is 0.

    Where the weight is 1 or more the value stays; below, the surroundings' share comes in.
    """
    weights = weights.astype(np.float32)
    return diffuse([value * weights for value in values], weights)


def diffuse(sums: Sequence[np.ndarray], mass: np.ndarray) -> list[np.ndarray]:
    """As `spread`, of values that are already multiplied by their weights, `mass`; all (H, W) float32.

    Push-pull over a pyramid (Gortler et al., The Lumigraph, 1996): an approximate membrane at a few passes' cost.
    """
    masses = [mass]
    while max(masses[-1].shape) > 2 and masses[-1].min() < 1:
        masses.append(_halved(masses[-1]))
    shares = [np.minimum(mass, 1) for mass in masses]
    scales = [share / np.maximum(mass, TINY) for share, mass in zip(shares, masses, strict=True)]
    rests = [1 - share for share in shares]
    out = []
    for first in sums:
        levels = [first]
        while len(levels) < len(masses):
            levels.append(_halved(levels[-1]))
        result = np.full(masses[-1].shape, levels[-1].sum() / max(TINY, float(masses[-1].sum())), np.float32)
        for total, scale, rest in zip(levels[::-1], scales[::-1], rests[::-1], strict=True):
            result = cv2.resize(result, total.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(total.shape)
            own = total * scale
            for _ in range(SMOOTHED):
                result *= rest
                result += own
                result = cv2.blur(result, (3, 3), borderType=cv2.BORDER_REPLICATE).reshape(total.shape)
            result *= rest
            result += own
        out.append(result)
    return out


def _halved(plane: np.ndarray) -> np.ndarray:
    """Sums over 2x2 blocks; an odd edge goes with its neighbour's weight."""
    h, w = plane.shape
    if h % 2 or w % 2:
        plane = cv2.copyMakeBorder(plane, 0, h % 2, 0, w % 2, cv2.BORDER_CONSTANT, value=0)
        h, w = plane.shape
    return cv2.resize(plane, (w // 2, h // 2), interpolation=cv2.INTER_AREA).reshape(h // 2, w // 2) * np.float32(4)
