"""Surfaces that move differently behind an overlay, such as a fence before a meadow: the motion of each.

The flow under an overlay is completed from around it, where it is smooth; between two surfaces it is neither's. So
corners around the hidden part are followed from frame to frame, and where they fall into two groups with an affine
motion each, both motions are offered; elsewhere the camera's is beside the flow. Which one a hidden pixel belongs to is
told by what they bring (complete.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .flow import Motion, grid
from .register import followed

MOST_POINTS, APART = 300, 4.0  # corners a frame, and px between them
PATCH = 9  # px: corners are followed by so much around them
CLEAR_PX = 6.0  # px from what is hidden: nearer, a corner's surroundings are made up
LOST_PX = 0.5  # by which a corner is missed when it is followed back
SAME_PX = 0.5  # by which a corner's way departs from the motion of its own surface
FEWEST, LEAST_SHARE = 12, 0.12  # corners, and share of them, that a surface has
APART_PX = 0.5  # a frame, by which two surfaces' motions differ where it matters: else one will do
MOST_TIMES = 0.6  # share of the frames in which both are seen
SAMPLED, LEAST_STARTS = 5, 0.2  # one in so many frames is looked at first; share of these in which there are two
LEAST_APART = 0.15  # of what is hidden: so much of it moves otherwise by the flow than by the camera
THINNED = 4  # one in so many rows and columns tells how far two motions are apart where the picture is hidden
STARTS = 60  # corners that a fit may start from
RIDGE = np.diag([1e-6, 1e-2, 1e-2])  # without corners on one side, rather a plain shift
SCALES = (1.0, 1.0, 0.7, 0.7, SAME_PX, SAME_PX)  # px, round by round, from which a corner does not count


@dataclass
class _Pair:
    """Corners of a frame and their ways to the next one, px."""

    spots: np.ndarray  # (n, 2) float32
    ways: np.ndarray  # (n, 2) float32


def layers(lumas: Sequence[np.ndarray], hidden: Sequence[np.ndarray]) -> list[Motion]:
    """The motions of two surfaces, or none where there is only one.

    `lumas`: (H, W) uint8 each; `hidden`: (H, W) bool each.
    """
    shape, count = lumas[0].shape, len(lumas) - 1

    def pair(k: int) -> _Pair:
        return _ways(lumas[k], lumas[k + 1], hidden[k])

    sampled = range(0, count, SAMPLED)
    pairs = {k: pair(k) for k in sampled}
    starts = {k: split for k in sampled if (split := _split(pairs[k], shape)) is not None}
    if len(starts) < max(1, LEAST_STARTS * len(sampled)):
        return []

    def apart(ways: dict[int, np.ndarray]) -> float:
        """Px a frame by which the two motions differ where the picture is hidden."""
        differences = [
            np.hypot(*(_terms(spots, shape) @ (one - other)).T).mean()
            for k, (one, other) in ways.items()
            if len(spots := THINNED * np.argwhere(hidden[k][::THINNED, ::THINNED])[:, ::-1])
        ]
        return float(np.mean(differences)) if differences else 0.0

    if apart({k: ways for k, (ways, _) in starts.items()}) < APART_PX:
        return []
    first = max(starts, key=lambda k: starts[k][1])
    ways = {first: starts[first][0]}
    missed = 0
    for order, back in ((range(first + 1, count), -1), (range(first - 1, -1, -1), 1)):
        for k in order:
            ways[k], both = _follow(ways[k + back], pairs[k] if k in pairs else pair(k), shape)
            missed += not both
            if count - missed < MOST_TIMES * count:
                return []
    if apart(ways) < APART_PX:
        return []
    return [_motion([ways[k][i] for k in range(count)], shape) for i in (0, 1)]


def scenery(motion: Motion, hidden: Sequence[np.ndarray], camera: Sequence[np.ndarray | None]) -> list[Motion]:
    """The motion of what rests in the scene, or none where the flow says the same of what is hidden.

    Who walks by drags the flow under an overlay along with him; what is behind him moves as the camera does.

    `motion`: the flow; `camera`: as flow.follow takes it. Where that is not known, the flow speaks.
    """
    forward, backward = list(motion.forward), list(motion.backward)
    apart = count = 0
    for k, way in enumerate(camera):
        flow = motion.forward[k]
        if way is None or flow is None:
            continue
        there, back = (_flow_of(one, flow.shape[:2], motion.shape) for one in (way, cv2.invertAffineTransform(way)))
        covered = cv2.resize(hidden[k].astype(np.uint8), flow.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
        differs = np.hypot(*cv2.split(flow - there)[:2])[covered] > APART_PX
        apart, count = apart + int(np.count_nonzero(differs)), count + differs.size
        forward[k], backward[k] = there, back
    return [Motion(forward, backward, motion.shape)] if apart > LEAST_APART * count else []


def _flow_of(way: np.ndarray, size: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) float32 as in a Motion over `shape`, of `size`, of a way (2, 3) that is beyond doubt."""
    (h, w), (x, y) = shape, grid(size)
    spots = np.stack([(x + 0.5) * w / size[1] - 0.5, (y + 0.5) * h / size[0] - 0.5])
    moved = np.tensordot(way[:, :2] - np.eye(2), spots, 1) + way[:, 2, None, None]
    return np.dstack([*moved, np.zeros(size)]).astype(np.float32)


def _ways(luma: np.ndarray, after: np.ndarray, hidden: np.ndarray) -> _Pair:
    clear = cv2.distanceTransform((~hidden).astype(np.uint8), cv2.DIST_L2, 3) > CLEAR_PX
    spots = cv2.goodFeaturesToTrack(luma, MOST_POINTS, 0.01, APART, mask=clear.astype(np.uint8), blockSize=3)
    if spots is None:
        return _Pair(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32))
    spots = spots.reshape(-1, 2)
    ahead, good = followed(luma, after, spots, patch=PATCH, lost=LOST_PX)
    return _Pair(spots[good], (ahead - spots)[good])


def _terms(spots: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    h, w = shape
    return np.stack([np.ones(len(spots)), (spots[:, 0] - w / 2) / 64, (spots[:, 1] - h / 2) / 64], 1)


def _fit(pair: _Pair, weight: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(3, 2): the affine motion that most of the weighted corners follow (iteratively reweighted least squares).

    It starts from the corner whose way most others share: between two surfaces' motions there is nothing to find.
    """
    terms = _terms(pair.spots, shape)
    told = np.flatnonzero(weight > 0)
    some = pair.ways[told[:: -(-len(told) // STARTS)]]
    dx, dy = (some[:, k, None] - pair.ways[None, told, k] for k in (0, 1))
    shared = (1 / (1 + ((dx * dx + dy * dy) / SAME_PX**2) ** 2)) @ weight[told]
    fit = np.stack([some[shared.argmax()], np.zeros(2), np.zeros(2)])
    for scale in SCALES:
        off = terms @ fit - pair.ways
        w = weight / (1 + (np.einsum("nk,nk->n", off, off) / scale**2) ** 2)
        weighted = terms.T * w
        fit = np.linalg.solve(weighted @ terms + RIDGE * w.sum(), weighted @ pair.ways)
    return fit


def _off(models: Sequence[np.ndarray] | np.ndarray, pair: _Pair, shape: tuple[int, int]) -> np.ndarray:
    """(models, n) px: how far each corner's way departs from each motion."""
    terms = _terms(pair.spots, shape)
    return np.stack([np.hypot(*(terms @ model - pair.ways).T) for model in models])


def _enough(count: int, of: int) -> bool:
    return count >= max(FEWEST, LEAST_SHARE * of)


def _split(pair: _Pair, shape: tuple[int, int]) -> tuple[np.ndarray, int] | None:
    """The two motions, (2, 3, 2), that most corners follow, and how many follow the lesser one; None: there is one."""
    n = len(pair.spots)
    if n < 2 * FEWEST:
        return None
    one = _fit(pair, np.ones(n), shape)
    rest = _off([one], pair, shape)[0] > 2 * SAME_PX
    if not _enough(int(rest.sum()), n):
        return None
    other = _fit(pair, rest.astype(float), shape)
    models, both = _follow(np.stack([one, other]), pair, shape)
    off = _off(models, pair, shape)
    counts = [int(((off[i] < SAME_PX) & (off[i] < off[1 - i])).sum()) for i in (0, 1)]
    return (models, min(counts)) if both else None


def _follow(models: np.ndarray, pair: _Pair, shape: tuple[int, int]) -> tuple[np.ndarray, bool]:
    """The motions in the next pair of frames, and whether corners of both surfaces are seen there."""
    if len(pair.spots) < FEWEST:
        return models, False
    new, seen = [], []
    off = _off(models, pair, shape)
    for i in (0, 1):
        mine = (off[i] < off[1 - i]) & (off[i] < 4 * SAME_PX)
        fit = _fit(pair, mine.astype(float), shape) if mine.sum() >= FEWEST else models[i]
        close = mine & (_off([fit], pair, shape)[0] < SAME_PX)
        enough = _enough(int(close.sum()), len(pair.spots))
        new.append(fit if enough else models[i])
        seen.append(enough)
    return np.stack(new), all(seen)


def _motion(models: Sequence[np.ndarray], shape: tuple[int, int]) -> Motion:
    """Flow of one surface, there and back."""
    h, w = max(2, shape[0] // 8), max(2, shape[1] // 8)
    x, y = grid((h, w))
    spots = np.stack([(x.ravel() + 0.5) * shape[1] / w - 0.5, (y.ravel() + 0.5) * shape[0] / h - 0.5], 1)

    def sure(ways: np.ndarray) -> np.ndarray:
        return np.dstack([ways.reshape(h, w, 2), np.zeros((h, w))]).astype(np.float32)

    forward: list[np.ndarray | None] = []
    backward: list[np.ndarray | None] = []
    for model in models:
        ahead = _terms(spots, shape) @ model
        back = -_terms(spots - ahead, shape) @ model
        forward.append(sure(ahead))
        backward.append(sure(back))
    return Motion(forward, backward, shape)
