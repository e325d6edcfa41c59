"""How the camera moves from frame to frame: what an overlay hides moves with it unless something near tells otherwise.

Corners all over the small picture are followed, and the affine motion that most of them share is the camera's. It rests
on the frames given alone, so that the same window of a clip has the same motion whoever asks.
"""

from __future__ import annotations

import cv2
import numpy as np

from . import planes
from .job import Box
from .planes import Layout

WIDTH = 480  # px: the picture in which corners are followed
MOST_POINTS, APART, QUALITY = 240, 8, 0.003  # corners, px between them, and strength of one against the best one's
FEWEST_LEFT = 120  # corners, below which new ones are looked for
PATCH, RIM_PX = 15, 4  # px: corners are followed by so much around them, and lost so near to the picture's edge
MOVES_PX, RESTS_PX = 0.5, 0.15  # where most corners move by more than the one, those that rest are overlays'
SAME_PX = 0.5  # by which a corner's way departs from the camera's
FEWEST, LEAST_SHARE = 16, 0.3  # corners that go the camera's way, and share of those that were followed
LEAST_SIZE, MOST_SIZE = 0.5, 2.0  # of a frame's area in the next one: beyond, it is no camera's way


class Camera:
    """Follows the camera over consecutive frames of one shot."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._last: np.ndarray | None = None
        self._spots: np.ndarray | None = None  # (n, 1, 2) float32 px, in the last frame; None: to be looked for
        self._usual = np.eye(2, 3)  # the last way, from where the search starts
        self._ways: list[np.ndarray | None] = []

    @staticmethod
    def look(views: list[np.ndarray], layout: Layout) -> np.ndarray:
        """(h, w) uint8: a frame as it is looked at."""
        return planes.small(views if layout.is_rgb else views[:1], layout, WIDTH)[0]

    def add(self, luma: np.ndarray) -> None:
        """Takes the next frame, as `look` gives it."""
        if self._last is not None:
            way = self._follow(self._last, luma)
            self._usual = np.eye(2, 3) if way is None else way
            self._ways.append(way)
        self._last = luma

    def ways(self, box: Box) -> list[np.ndarray | None]:
        """For each frame but the last (2, 3): where px of the box lie in the next frame's; None where nobody knows."""
        if self._last is None:
            return []
        x, y, _, _ = box
        sides = zip((self._layout.width, self._layout.height), self._last.shape[::-1], strict=True)
        scale = np.array([whole / small for whole, small in sides])
        place = (np.array([x, y]) + 0.5) / scale - 0.5  # of the box's first px, in the small picture
        return [None if way is None else _elsewhere(way, place, scale) for way in self._ways]

    def _follow(self, last: np.ndarray, luma: np.ndarray) -> np.ndarray | None:
        if self._spots is None or len(self._spots) < FEWEST_LEFT:
            self._spots = cv2.goodFeaturesToTrack(last, MOST_POINTS, QUALITY, APART, blockSize=3)
        spots, self._spots = self._spots, None
        if spots is None or len(spots) < FEWEST:
            return None
        guess = cv2.transform(spots, self._usual).astype(np.float32)
        setting = {"winSize": (PATCH, PATCH), "maxLevel": 3, "flags": cv2.OPTFLOW_USE_INITIAL_FLOW}
        # Which corners were lost is told by the motion of the rest; following them back would cost as much again.
        ahead, found, _ = cv2.calcOpticalFlowPyrLK(last, luma, spots, guess, **setting)
        one, other = spots.reshape(-1, 2), ahead.reshape(-1, 2)
        size = np.array(luma.shape[::-1])
        good = (found.ravel() > 0) & ((other >= RIM_PX) & (other < size - RIM_PX)).all(1)
        one, other = one[good], other[good]
        moved = np.hypot(*(other - one).T)
        if len(moved) and np.median(moved) > MOVES_PX:
            one, other = one[moved > RESTS_PX], other[moved > RESTS_PX]
        if len(one) < FEWEST:
            return None
        way, kept = cv2.estimateAffine2D(one, other, method=cv2.RANSAC, ransacReprojThreshold=SAME_PX)
        if way is None or kept.sum() < max(FEWEST, LEAST_SHARE * len(one)):
            return None
        if not LEAST_SIZE < np.linalg.det(way[:, :2]) < MOST_SIZE:
            return None
        self._spots = other[kept.ravel() > 0].reshape(-1, 1, 2)
        return way


def _elsewhere(way: np.ndarray, place: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """A way of the small picture as one of px that are `scale` (x, y) times smaller, from `place` on."""
    turn = way[:, :2] * scale[:, None] / scale[None]
    return np.column_stack([turn, (way[:, :2] @ place + way[:, 2] - place) * scale])
