"""Fits borrowed and invented samples to the frame around them, and fuses them by the errors to be expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

TINY = 1e-6
NOISE = 3.0  # levels squared: no sample of a lossy file is better known
RING_WEIGHT = 0.3  # of one sample around the hole: about three of them outvote the codec's ringing on one
OUTLIER = 20.0  # levels: a difference on the ring beyond this is another surface, not another light
REACH_PX = 8.0  # a texture is known no further from the hole's edge
UNKNOWN = 400.0  # levels squared: expected where nothing tells
SMOOTHING = 3.0  # spreading errs by more than the variety around: what it misses is edges
TOLERANCE = 2.5  # times a witness's variance: its own bias, at soft edges, is of that size
WITNESS_PX = 5  # over which a candidate is held against another one
RIVAL = 0.08  # of all that a motion can be doubted: so much better must a rival of the first one be
PAIR_PX = 7  # over which two candidates are held together
DISAGREED = 1500.0  # levels squared: of a motion whose two sides share nothing, where another's share all
WINDOW_PX = 25  # of the statistics around a hole


@dataclass
class Candidate:
    """One way to complete a plane: what it says, and the error to be expected of it."""

    value: np.ndarray  # (h, w) float32 levels
    variance: np.ndarray  # (h, w) float32 levels squared; inf where it says nothing


def spatial(picture: np.ndarray, part: np.ndarray) -> Candidate:
    """The surroundings spread inwards, as `picture` holds them where `part`: good where they are smooth."""
    seen = (~part).astype(np.float32)
    size = (WINDOW_PX, WINDOW_PX)
    terms = (seen, picture * seen, picture * picture * seen)
    share, mean, square = (cv2.blur(term, size, borderType=cv2.BORDER_REFLECT) for term in terms)
    total = np.maximum(share, TINY)
    variety = np.where(share > 0.01, np.maximum(square / total - (mean / total) ** 2, 0), UNKNOWN)
    depth = cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 3)
    variance = NOISE + SMOOTHING * variety * np.minimum(depth / REACH_PX, 1)
    return Candidate(picture, np.where(part, variance, np.inf).astype(np.float32))


def match(value: np.ndarray, picture: np.ndarray, ring: np.ndarray) -> Candidate:
    """Borrowed samples brought to the light of `picture`.

    `ring`: the same borrowing carried on around the hole, NaN elsewhere. Its difference from the picture is spread
    inwards as an offset (a membrane, as in Poisson blending); what the offset leaves is the error to be expected.
    """
    there = ~np.isnan(ring)
    difference = np.where(there, picture - ring, 0)
    weight = np.where(there, RING_WEIGHT / (1 + (difference / OUTLIER) ** 2), 0).astype(np.float32)
    says = ~np.isnan(value)
    if not there.any():
        return Candidate(np.where(says, value, 0), np.where(says, np.float32(UNKNOWN / 4), np.float32(np.inf)))
    offset, square = spread([difference, difference**2], weight)
    # A light that changed everywhere alike is known inside too; what departs from it is half a guess there.
    uneven = offset - np.median(difference[there])
    variance = NOISE + np.maximum(square - offset**2, 0) + uneven**2 / 2
    return Candidate(
        np.where(says, value + offset, 0).astype(np.float32), np.where(says, variance, np.inf).astype(np.float32)
    )


def hold_against(candidate: Candidate, witness: Candidate) -> None:
    """Raises a candidate's variance by what it differs from a noisy but unbiased `witness`, beyond the noise; in place.

    The noise averages out over a small window; an edge in the wrong place does not.
    """
    both = np.isfinite(candidate.variance) & np.isfinite(witness.variance)
    if not both.any():
        return
    square = (candidate.value - witness.value) ** 2
    difference = np.where(both, square - TOLERANCE * witness.variance, 0).astype(np.float32)
    size = (WITNESS_PX, WITNESS_PX)
    share = cv2.blur(both.astype(np.float32), size)
    excess = cv2.blur(difference, size) / np.maximum(share, TINY)
    candidate.variance = np.where(both, candidate.variance + np.maximum(excess, 0), candidate.variance)


def compete(pairs: Sequence[tuple[Candidate, Candidate]]) -> None:
    """Raises the variances of candidates of the wrong motions; in place.

    `pairs`: for each motion what it brings from before and from after; the first one has to be outdone clearly. The
    wrong motion brings different things from either side. That it brings the same says little where there is nothing
    but a smooth surface, and much where there is structure.
    """
    doubts = [_doubt(*pair) + (RIVAL if k else 0) for k, pair in enumerate(pairs)]
    least = np.nanmin([np.where(np.isnan(d), np.inf, d) for d in doubts], axis=0)
    for pair, doubt in zip(pairs, doubts, strict=True):
        more = np.nan_to_num((doubt - least) * DISAGREED, nan=0.0, posinf=0.0)
        for candidate in pair:
            candidate.variance = candidate.variance + more


def _doubt(one: Candidate, other: Candidate) -> np.ndarray:
    """How much two candidates differ as a share of the structure they hold, 0..1; NaN where one says nothing."""
    both = np.isfinite(one.variance) & np.isfinite(other.variance)
    size = (PAIR_PX, PAIR_PX)
    share = np.maximum(cv2.blur(both.astype(np.float32), size), TINY)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(np.where(both, values, 0).astype(np.float32), size) / share

    middle = (one.value + other.value) / 2
    structure = np.maximum(mean(middle**2) - mean(middle) ** 2, 0)
    differs = mean((one.value - other.value) ** 2)
    return np.where(both, (differs + NOISE) / (structure + differs + 2 * NOISE), np.nan)


def fuse(candidates: Sequence[Candidate]) -> tuple[np.ndarray, np.ndarray]:
    """Their mean, weighted by the inverse of their variances, and the index of the one that weighs most."""
    weights = np.stack([1 / candidate.variance for candidate in candidates])
    total = np.maximum(weights.sum(0), TINY)
    value = sum(weight * candidate.value for weight, candidate in zip(weights, candidates, strict=True)) / total
    return value, weights.argmax(0)


def expected(candidates: Sequence[Candidate]) -> np.ndarray:
    """The variance of their fused value, levels squared, were their errors independent."""
    return 1 / np.maximum(np.stack([1 / candidate.variance for candidate in candidates]).sum(0), TINY)


def spread(values: Sequence[np.ndarray], weights: np.ndarray, *, smooth: int = 2) -> list[np.ndarray]:
    """Each of `values` (H, W) float32, with `weights` (H, W) >= 0, spread to where the weight is 0.

    Push-pull over a pyramid (Gortler et al., The Lumigraph, 1996): an approximate membrane at a few passes'
    cost. Where the weight is 1 or more the value stays; below, the surroundings' share comes in.
    """
    masses = [weights.astype(np.float32)]
    while max(masses[-1].shape) > 2:
        masses.append(_halved(masses[-1]))
    shares = [np.minimum(mass, 1) for mass in masses]
    scales = [share / np.maximum(mass, TINY) for share, mass in zip(shares, masses, strict=True)]
    out = []
    for value in values:
        sums = [value * masses[0]]
        while len(sums) < len(masses):
            sums.append(_halved(sums[-1]))
        result = np.full(masses[-1].shape, sums[-1].sum() / max(TINY, float(masses[-1].sum())), np.float32)
        for total, share, scale in zip(sums[::-1], shares[::-1], scales[::-1], strict=True):
            result = cv2.resize(result, total.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(total.shape)
            own, rest = total * scale, 1 - share
            for _ in range(smooth):
                result = cv2.blur(own + rest * result, (3, 3), borderType=cv2.BORDER_REPLICATE).reshape(total.shape)
            result = own + rest * result
        out.append(result)
    return out


def _halved(plane: np.ndarray) -> np.ndarray:
    """Sums over 2x2 blocks; an odd edge goes with its neighbour's weight."""
    h, w = plane.shape
    if h % 2 or w % 2:
        plane = cv2.copyMakeBorder(plane, 0, h % 2, 0, w % 2, cv2.BORDER_CONSTANT, value=0)
        h, w = plane.shape
    return cv2.resize(plane, (w // 2, h // 2), interpolation=cv2.INTER_AREA).reshape(h // 2, w // 2) * np.float32(4)
