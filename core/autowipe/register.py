"""How one picture's background lies in another: a homography by corners that were followed there and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

MOST_POINTS, APART = 400, 6.0  # corners, and px between them
QUALITY = 0.003  # of the best corner's, that a corner has
PATCH = 15  # px: corners are followed by so much around them
LOST_PX = 0.5  # by which a corner is missed when it is followed back
SAME_PX = 0.8  # by which a corner's way departs from the picture's
FEWEST, LEAST_SHARE = 16, 0.4  # corners that go the picture's way, and share of those that were followed
BETTER = 1.1  # times as many corners follow a model of more freedom that is taken
LEAST_WIDE = 0.25  # of the picture's width and height, over which these corners spread
LEAST_SIZE, MOST_SIZE = 0.5, 2.0  # of the other picture against this one


MODELS = (  # and the corners from which each is tried
    (cv2.estimateAffinePartial2D, FEWEST),
    (cv2.estimateAffine2D, 30),
    (cv2.findHomography, 80),
)


@dataclass
class Picture:
    """A small picture, and where no overlay lies over it."""

    luma: np.ndarray  # (h, w) uint8
    clear: np.ndarray  # (h, w) bool

    @cached_property
    def corners(self) -> np.ndarray:
        """(N, 1, 2) float32 px."""
        clear = self.clear.astype(np.uint8)
        spots = cv2.goodFeaturesToTrack(self.luma, MOST_POINTS, QUALITY, APART, mask=clear, blockSize=3)
        return np.zeros((0, 1, 2), np.float32) if spots is None else spots


def register(one: Picture, other: Picture, guess: np.ndarray | None = None) -> np.ndarray | None:
    """(3, 3) homography from px of `one` to px of `other`; None where they do not surely show the same place.

    `guess`: roughly the same.
    """
    h, w = one.luma.shape
    spots = one.corners
    if len(spots) < FEWEST:
        return None
    start = np.eye(3) if guess is None else guess
    first = cv2.perspectiveTransform(spots, start).astype(np.float32)
    ahead, good = followed(one.luma, other.luma, spots, patch=PATCH, lost=LOST_PX, first=first)
    x, y = np.rint(ahead.reshape(-1, 2)).T.astype(int)
    inside = (x >= 0) & (y >= 0) & (x < w) & (y < h)
    inside[inside] = other.clear[y[inside], x[inside]]
    good &= inside
    if good.sum() < FEWEST:
        return None
    a, b = spots[good].reshape(-1, 2), ahead[good].reshape(-1, 2)
    way, kept = None, np.zeros(len(a), bool)
    for fit, fewest in MODELS:
        if len(a) >= fewest:
            model, mask = fit(a, b, method=cv2.RANSAC, ransacReprojThreshold=SAME_PX)
            if model is not None and mask.sum() > BETTER * kept.sum():
                way, kept = np.vstack([model, [0, 0, 1]])[:3], mask.ravel() > 0
    if way is None or kept.sum() < max(FEWEST, LEAST_SHARE * len(a)):
        return None
    wide = np.ptp(a[kept], axis=0)
    size = np.sqrt(abs(np.linalg.det(way[:2, :2])))
    if wide[0] < LEAST_WIDE * w or wide[1] < LEAST_WIDE * h or not LEAST_SIZE < size < MOST_SIZE:
        return None
    return way


def followed(
    luma: np.ndarray,
    after: np.ndarray,
    spots: np.ndarray,
    *,
    patch: int,
    lost: float,
    first: np.ndarray | None = None,
    levels: int = 3,
) -> tuple[np.ndarray, np.ndarray]:
    """Where corners of one picture lie in another, and (n,) bool: which of them are found.

    `spots`, and `first`, where they may lie: (n, 2) or (n, 1, 2) float32 px. By the pyramidal method of Lucas and
    Kanade over patches of so many px; followed back, a corner comes to within `lost` px of where it was. `levels`: of
    the pyramid, 0 for corners that are no further than half a patch from where they may lie.
    """
    flags = 0 if first is None else cv2.OPTFLOW_USE_INITIAL_FLOW
    setting = {"winSize": (patch, patch), "maxLevel": levels, "flags": flags}
    start, end = (None, None) if first is None else (first.copy(), spots.copy())
    ahead, found, _ = cv2.calcOpticalFlowPyrLK(luma, after, spots, start, **setting)
    back, again, _ = cv2.calcOpticalFlowPyrLK(after, luma, ahead, end, **setting)
    near = np.abs(back - spots).reshape(-1, 2).max(1) < lost
    return ahead, (found.ravel() > 0) & (again.ravel() > 0) & near


def sought(luma: np.ndarray, after: np.ndarray, spots: np.ndarray, *, patch: int, reach: int) -> np.ndarray:
    """(n, 2) float32 px: where the patches around some corners, (n, 2) px, are most like those of another picture.

    Within so many px. What goes against all that is around it is missed by `followed`: where that is far for its size,
    a coarse look at the picture shows its surroundings alone.
    """
    half = patch // 2
    room = cv2.copyMakeBorder(after, *(reach + half,) * 4, cv2.BORDER_REPLICATE)
    own = cv2.copyMakeBorder(luma, *(half,) * 4, cv2.BORDER_REPLICATE)
    out = np.empty_like(spots)
    size = 2 * (reach + half) + 1
    for k, (x, y) in enumerate(np.rint(spots).astype(int).tolist()):
        like = cv2.matchTemplate(
            room[y : y + size, x : x + size], own[y : y + patch, x : x + patch], cv2.TM_CCOEFF_NORMED
        )
        down, across = divmod(int(like.argmax()), like.shape[1])
        out[k] = spots[k] + (across - reach, down - reach)
    return out
