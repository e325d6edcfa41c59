"""Cuts the range into shots: runs of frames without a cut, found from the frames at analysis size."""

from __future__ import annotations

import itertools

import cv2
import numpy as np

from .kinds import Small
from .timing import FrameRange

THUMB = (64, 36)  # width, height: coarse enough that motion inside a shot changes little
LEAST_LEVELS = 9.0  # mean change of the thumbnail below which nothing is a cut; film grain and pans stay below
OVER_NEIGHBOURS = 2.6  # times the usual change around it: fast motion changes every frame, a cut just one
NEIGHBOURS = 6  # frames on each side that say what is usual
LEAST_SHOT = 3  # frames; two "cuts" closer than this are a flash or damaged frames

WINDOW = cv2.createHanningWindow(THUMB, cv2.CV_32F)


class ShotFinder:
    """Collects one change a frame (8 bytes), decides at the end.

    A cut is a frame that differs from the one before far more than its neighbours do from theirs, and after
    which the picture does not return to what it was (that would be a flash).
    """

    def __init__(self) -> None:
        self._start = 0
        self._last: list[np.ndarray] = []
        self._step: list[float] = []  # mean change against the frame before, levels
        self._skip: list[float] = []  # against the frame two before

    def add(self, small: Small) -> None:
        thumb = np.dstack(
            [
                cv2.resize(small.luma, THUMB, interpolation=cv2.INTER_AREA),
                cv2.resize(small.chroma, THUMB, interpolation=cv2.INTER_AREA),
            ]
        ).astype(np.float32)
        if not self._last:
            self._start = small.frame
        self._step.append(_change(thumb, self._last[-1]) if self._last else 0.0)
        self._skip.append(_change(thumb, self._last[-2]) if len(self._last) > 1 else 0.0)
        self._last = [*self._last[-1:], thumb]

    def finish(self) -> tuple[FrameRange, ...]:
        """The shots, which cover every frame added without gaps; empty when there was none."""
        count = len(self._step)
        if not count:
            return ()
        step, skip = np.array(self._step, np.float32), np.array(self._skip, np.float32)
        cuts = [0]
        for t in np.flatnonzero(step >= LEAST_LEVELS):
            around = np.r_[step[max(1, t - NEIGHBOURS) : t], step[t + 1 : t + 1 + NEIGHBOURS]]
            usual = float(np.median(around)) if around.size else 0.0
            is_flash = t + 1 < count and step[t + 1] > 0.6 * step[t] and skip[t + 1] < 0.4 * step[t]
            flash_ends = t - 1 >= 1 and step[t - 1] > 0.6 * step[t] and skip[t] < 0.4 * step[t]
            if step[t] > OVER_NEIGHBOURS * usual + 2 and not is_flash and not flash_ends and t - cuts[-1] >= LEAST_SHOT:
                cuts.append(int(t))
        edges = [*cuts, count]
        return tuple(FrameRange(self._start + a, self._start + b) for a, b in itertools.pairwise(edges))


def _change(a: np.ndarray, b: np.ndarray) -> float:
    """Mean over the thumbnail of the largest channel's change, camera motion and brightness steps taken out."""
    changes = [_mean_change(a, b)]
    if changes[0] < LEAST_LEVELS:
        return changes[0]
    (dx, dy), _ = cv2.phaseCorrelate(b[..., 0], a[..., 0], WINDOW)
    x, y = round(dx), round(dy)
    if (x or y) and abs(x) <= THUMB[0] // 4 and abs(y) <= THUMB[1] // 4:
        high, wide = THUMB[1], THUMB[0]
        moved = a[max(0, y) : high + min(0, y), max(0, x) : wide + min(0, x)]
        still = b[max(0, -y) : high + min(0, -y), max(0, -x) : wide + min(0, -x)]
        changes.append(_mean_change(moved, still))
    return min(changes)


def _mean_change(a: np.ndarray, b: np.ndarray) -> float:
    change = a - b
    change[..., 0] -= 0.5 * change[..., 0].mean()  # a fade or a lamp moves all alike; half of it still counts
    return float(np.abs(change).max(2).mean())
