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
UNSEEN = 1.5  # levels a px from the hole's edge, by which it errs however smooth the picture around is
TOLERANCE = 2.5  # times a witness's variance: its own bias, at soft edges, is of that size
WITNESS_PX = 5  # over which a candidate is held against another one
RIVAL = 0.2  # of all that a motion can be doubted: so much better must a rival of the first one be
PAIR_PX = 7  # over which two candidates are held together
DISAGREED = 1500.0  # levels squared: of a motion whose two sides share nothing, where another's share all
MEDIAN_OF = 500  # samples of the ring tell its usual difference


@dataclass
class Candidate:
    """One way to complete the hidden samples of a plane: what it says, and the error to be expected of it."""

    value: np.ndarray  # (M,) float32 levels
    variance: np.ndarray  # (M,) float32 levels squared; inf where it says nothing


def spatial(picture: np.ndarray, part: Part, alone: np.ndarray) -> Candidate:
    """The surroundings spread inwards, as `picture` (h, w), a whole plane, holds them: good where they are smooth.

    `alone`: (M,) bool, what no witness tells of (see `hold_against`): there it errs more the deeper it lies.
    """
    here = picture[part.box]
    seen = np.where(part.mask, np.float32(0), here)
    size = (WINDOW_PX, WINDOW_PX)
    mean, square = (
        np.take(cv2.blur(term, size, borderType=cv2.BORDER_REFLECT), part.inside) for term in (seen, seen * seen)
    )
    total = np.maximum(part.share, TINY)
    variety = np.where(part.share > 0.01, np.maximum(square / total - (mean / total) ** 2, 0), np.float32(UNKNOWN))
    missed = SMOOTHING * variety * np.minimum(part.depth / REACH_PX, 1)
    unseen = np.where(alone, np.square(UNSEEN * np.minimum(part.depth, WINDOW_PX)), np.float32(0))
    return Candidate(np.take(here, part.inside), NOISE + missed + unseen)


def match(
    values: Sequence[np.ndarray], seen: Sequence[np.ndarray], rings: Sequence[np.ndarray], part: Part
) -> list[Candidate]:
    """Borrowed samples, each of `values` (M,), NaN where there are none, brought to the light of their frame.

    `seen`: for each (R,), the frame's own samples around the hole; `rings`: (R,) each, the same borrowing carried on
    there, NaN where unknown. Their difference is spread inwards as an offset (a membrane, as in Poisson blending); what
    the offset leaves is the error to be expected.
    """
    if not values:
        return []
    difference = np.stack(seen) - np.stack(rings)
    there = ~np.isnan(difference)
    difference[~there] = 0
    weight = np.float32(RING_WEIGHT) / (1 + (difference / np.float32(OUTLIER)) ** 2)
    weight[~there] = 0
    offsets, squares = part.inwards([difference, difference * difference], weight)
    out = []
    for k, value in enumerate(values):
        says, offset, few = ~np.isnan(value), offsets[k], slice(None, None, 1 + there.shape[1] // MEDIAN_OF)
        if not there[k].any():
            variance = np.full_like(value, UNKNOWN / 4)
        else:
            # A light that changed everywhere alike is known inside too; what departs from it is half a guess there.
            usual = difference[k, few][there[k, few]]
            uneven = offset - (np.median(usual) if len(usual) else 0)
            variance = NOISE + np.maximum(squares[k] - offset * offset, 0) + uneven * uneven / 2
        variance[~says] = np.inf
        out.append(Candidate(np.where(says, value + offset, 0), variance))
    return out


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


def fuse(candidates: Sequence[Candidate]) -> tuple[np.ndarray, np.ndarray]:
    """Their mean, weighted by the inverse of their variances, and its variance.

    The variance, in levels squared, is that of independent errors.
    """
    weights = [1 / candidate.variance for candidate in candidates]
    variance = 1 / np.maximum(sum(weights), TINY)
    value = sum(weight * candidate.value for weight, candidate in zip(weights, candidates, strict=True)) * variance
    return value, variance


def surest(candidates: Sequence[Candidate]) -> np.ndarray:
    """Which of the candidates weighs most, the first of equal ones: (M,) uint8."""
    out, least = np.zeros(candidates[0].variance.shape, np.uint8), candidates[0].variance
    for k, candidate in enumerate(candidates[1:], 1):
        out[candidate.variance < least] = k
        least = np.minimum(least, candidate.variance)
    return out


def spread(values: Sequence[np.ndarray], weights: np.ndarray) -> list[np.ndarray]:
    """Each of `values` (H, W) float32, with `weights` (H, W) >= 0, spread to where the weight is 0.

    Where the weight is 1 or more the value stays; below, the surroundings' share comes in.
    """
    mass = weights.astype(np.float32)
    out = diffuse(np.dstack([value * mass for value in values]), mass[..., None])
    return [np.ascontiguousarray(out[..., k]) for k in range(len(values))]


def diffuse(sums: np.ndarray, mass: np.ndarray, turns: int = 2) -> np.ndarray:
    """As `spread`, of values (H, W, C) that are already multiplied by their weights, `mass` (H, W, C or 1); float32.

    Push-pull over a pyramid (Gortler et al., The Lumigraph, 1996): an approximate membrane at a few passes' cost.
    `turns`: times that it is smoothed at each size.
    """
    sizes = [(sums, mass)]
    while max(mass.shape[:2]) > 2 and mass.min() < 1:
        sums, mass = _halved(sums), _halved(mass)
        sizes.append((sums, mass))
    out = np.empty_like(sums)
    out[:] = sums.sum((0, 1)) / np.maximum(mass.sum((0, 1)), TINY)
    for total, mass in sizes[::-1]:
        if out.shape != total.shape:
            out = _resized(out, total.shape[:2], cv2.INTER_LINEAR)
        share = np.minimum(mass, 1)
        own = total * (share / np.maximum(mass, TINY))
        rest = 1 - share
        for _ in range(turns):
            out *= rest
            out += own
            out = cv2.blur(out, (3, 3), borderType=cv2.BORDER_REPLICATE).reshape(total.shape)
        out *= rest
        out += own
    return out


def _halved(picture: np.ndarray) -> np.ndarray:
    """Sums over 2x2 blocks of (H, W, C); an odd edge goes with its neighbour's weight."""
    h, w, count = picture.shape
    if h % 2 or w % 2:
        padded = np.zeros((h + h % 2, w + w % 2, count), np.float32)
        padded[:h, :w] = picture
        picture = padded
    return _resized(picture, (-(-h // 2), -(-w // 2)), cv2.INTER_AREA) * np.float32(4)


def _resized(picture: np.ndarray, size: tuple[int, int], how: int) -> np.ndarray:
    """(H, W, C) at another size; cv2.resize takes no more than four channels at a time."""
    count = picture.shape[2]
    if count <= 4:
        return cv2.resize(picture, size[::-1], interpolation=how).reshape(*size, count)
    return np.concatenate([_resized(picture[..., k : k + 4], size, how) for k in range(0, count, 4)], 2)
