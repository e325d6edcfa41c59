"""Lines of which a part changes at one stroke now and then, as the last digits of a clock do, while all else stays."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .masks import grown
from .textpatterns import Corners

CHANGED, SOME = 40, 0.12  # levels, and share of a column's px, that change with a letter
MOST_SHARE = 0.35  # of a line's length that changes
QUIET = 2  # frames before and after in which none does
REST = 3.0  # levels by which the rest of it, and what is around it, changes at most

SPREAD, SKIRT_PX = 8.0, 3  # levels over time of what changes; px around that, the codec's ringing included


class Ticker:
    """Counts them for one line; gets each of its frames with the one before."""

    def __init__(self) -> None:
        self._count = self._quiet = 0
        self._own = self._coming = np.zeros(0, bool)  # columns that changed, of all times and of the last one

    def add(self, before: np.ndarray, luma: np.ndarray, box: Corners) -> int:
        """How many there were. `before`, `luma`: (h, w) uint8, whole pictures."""
        x0, y0, x1, y1 = box
        margin = (y1 - y0) // 2
        part = np.s_[max(0, y0 - margin) : y1 + margin, x0:x1]
        change = cv2.absdiff(luma[part], before[part])
        inner = change[y0 - max(0, y0 - margin) :][: y1 - y0]
        columns = (inner > CHANGED).mean(0) >= SOME
        if not columns.any():
            self._quiet += 1
            if self._quiet == QUIET and self._coming.any():
                self._count += not self._count or bool((self._own & self._coming).any())
                self._own = self._own | self._coming if self._count > 1 else self._coming
                self._coming = np.zeros(0, bool)
            return self._count
        span = np.flatnonzero(columns)
        near = np.zeros(columns.shape, bool)
        near[max(0, span[0] - 3) : span[-1] + 4] = True
        is_part = np.ptp(span) + 1 <= MOST_SHARE * len(columns) and not near.all()
        is_tick = self._quiet >= QUIET and is_part and float(change[:, ~near].mean()) <= REST
        self._coming = columns if is_tick else np.zeros(0, bool)
        self._quiet = 0
        return self._count


def changing(spread: np.ndarray, lines: Sequence[Corners]) -> np.ndarray:
    """(h, w) bool: what changes on lines, with what is next to it: of digits that take turns a mean shows little.

    `spread`: (h, w) float32 levels, deviation over time.
    """
    out = np.zeros(spread.shape, bool)
    for x0, y0, x1, y1 in lines:
        part = np.s_[max(0, y0) : y1, max(0, x0) : x1]
        out[part] = spread[part] > SPREAD
    return grown(out, SKIRT_PX)
