"""The frames around both ends of an appearance, in no more px than telling when it is there needs."""

from __future__ import annotations

from collections import deque
from itertools import product

import cv2
import numpy as np

from .. import planes
from ..planes import Layout

MOST_PIXELS = 60_000  # of a larger box a smaller picture does
MOVED = 4  # kept px by which the scene may have moved between two frames, each way
PATCH = 9  # kept px, odd: by so much around a px it is found again
SAME = 0.15  # share of a patch's contrast by which it may differ where it is found again
STRUCTURE = 16  # levels of contrast from which a patch is found nowhere by chance


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
        change = _most(cv2.absdiff(self.picture(one), self.picture(other)))
        return change if shape == self.shape else cv2.resize(change, shape[::-1], interpolation=cv2.INTER_LINEAR)

    def common(self, one: int, other: int, shape: tuple[int, int]) -> np.ndarray:
        """What one frame shows as another does, there or a few px off, as a moving scene does: `shape` (H, W) bool.

        Only where there is structure: a plain patch is found wherever its colour is.
        """
        picture = self.picture(one)
        room = cv2.copyMakeBorder(self.picture(other), *(MOVED,) * 4, cv2.BORDER_REPLICATE)
        high, wide = self.shape
        least = np.full(self.shape, 255, np.uint8)
        for y, x in product(range(2 * MOVED + 1), repeat=2):
            off = _most(cv2.absdiff(picture, room[y : y + high, x : x + wide]))
            # a hair-thin line is little of a patch, but not of what is next to it
            np.minimum(least, np.maximum(cv2.blur(off, (PATCH, PATCH)), cv2.blur(off, (3, 3))), out=least)
        window = np.ones((PATCH, PATCH), np.uint8)
        contrast = cv2.subtract(cv2.dilate(picture[..., 0], window), cv2.erode(picture[..., 0], window))
        found = ((contrast >= STRUCTURE) & (least <= SAME * contrast)).astype(np.uint8)
        return cv2.resize(found, shape[::-1], interpolation=cv2.INTER_NEAREST) > 0

    def picture(self, frame: int) -> np.ndarray:
        """(h, w, 3) uint8: luma and chroma of a frame that is kept."""
        luma, chroma = next((luma, chroma) for at, luma, chroma in (*self._early, *self._late) if at == frame)
        return cv2.merge([luma, cv2.resize(chroma, self.shape[::-1], interpolation=cv2.INTER_LINEAR)])


def _most(difference: np.ndarray) -> np.ndarray:
    """The largest of a picture's three channels, (h, w)."""
    return np.maximum(np.maximum(difference[..., 0], difference[..., 1]), difference[..., 2])
