"""The frames around both ends of an appearance, in no more px than telling when it is there needs."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from .. import planes
from ..planes import Layout

MOST_PIXELS = 60_000  # of a larger box a smaller picture does


class Views:
    """Keeps the first frames that it gets, and the last ones."""

    def __init__(self, layout: Layout, most_late: int) -> None:
        """`layout`: of the source, but as wide and high as the box; `most_late`: how many of the last frames."""
        self._layout = layout
        self.step = int(np.ceil(np.sqrt(layout.width * layout.height / MOST_PIXELS)))  # px of the box for one kept
        wide = round(layout.width / self.step)
        self.shape = (max(1, round(layout.height * wide / layout.width)), wide)
        self._early: list[tuple[int, np.ndarray, np.ndarray]] = []  # frame, luma, chroma at half the size; uint8
        self._late: deque[tuple[int, np.ndarray, np.ndarray]] = deque(maxlen=most_late)

    def add(self, frame: int, crop: list[np.ndarray], is_early: bool) -> None:
        """`crop`: the box's colour planes."""
        luma, chroma = planes.small(crop, self._layout, self.shape[1])
        half = (max(1, self.shape[1] // 2), max(1, self.shape[0] // 2))
        (self._early if is_early else self._late).append(
            (frame, luma, cv2.resize(chroma, half, interpolation=cv2.INTER_AREA))
        )

    def clear(self) -> None:
        self._early.clear()
        self._late.clear()

    @property
    def lumas(self) -> dict[int, np.ndarray]:
        """(h, w) uint8, by frame."""
        return {frame: luma for frame, luma, _ in (*self._early, *self._late)}

    @property
    def nbytes(self) -> int:
        return sum(luma.nbytes + chroma.nbytes for _, luma, chroma in (*self._early, *self._late))

    def change(self, one: int, other: int, shape: tuple[int, int]) -> np.ndarray:
        """By how much two frames differ, of any channel the most: `shape` (H, W) uint8."""
        pictures = {frame: (luma, chroma) for frame, luma, chroma in (*self._early, *self._late)}
        (luma_a, chroma_a), (luma_b, chroma_b) = pictures[one], pictures[other]
        size = self.shape[::-1]
        chroma_a, chroma_b = (cv2.resize(c, size, interpolation=cv2.INTER_LINEAR) for c in (chroma_a, chroma_b))
        change = np.maximum(cv2.absdiff(luma_a, luma_b), cv2.absdiff(chroma_a, chroma_b).max(2))
        return change if shape == self.shape else cv2.resize(change, shape[::-1], interpolation=cv2.INTER_LINEAR)
