"""Text lines that are followed: from where the detector names them in sampled frames, and what the scene does there.

A sign goes with the wall that it hangs on, a mark goes its own way: so what the scene close around each line does is
followed as well. How a line itself is followed is its own matter (`_words`, `_wobbles`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np

from ..boxes import alike, corners
from ..register import followed
from ..text import TextLine
from . import Small
from ._tracks import PATCH, Travel

MOST = 16  # lines that are followed at once, the surest first
SMALLEST = 6  # analysis px that a line is long and high
MISSES = 3  # steps in a row without it, from which it is gone
UNSEEN = 3  # looks in a row in which the detector does not see again what it saw once, from which it is no line
LEAST_LOOKS = 2  # in which the detector has seen it, to be followed for longer
SAME = 0.35  # overlap from which the detector's line is the one that is followed
FEWEST = 6  # corners by which the scene is followed
RING = 0.9  # of a line's height: so far around it the scene is followed
LOST = 1.0  # px by which a corner of the scene is missed when it is followed back
OWN_SHARE = 0.5  # of its way by which a line has left the scene around it, to be no part of it
MOSTLY = 0.8  # share of the steps in which the scene around it can be followed, for this to be known
REST, RESTING = 5, 0.5  # steps within which a line has gone no further than so many px: until it does, looks will do
PAD = 0.8  # of a line's height: an icon beside it, its outline and shadow


@dataclass(eq=False, kw_only=True)
class Followed(ABC):
    """A line that is followed; lengths in px of the analysis picture."""

    score: float
    known: int = 0  # steps in which could be told what the scene around it did
    misses: int = 0
    seen: int = 1
    unseen: int = 0
    rests: bool = False  # stands still; then it is followed from look to look only

    @property
    @abstractmethod
    def box(self) -> tuple[float, float, float, float]:
        """x, y, width and height where it is now."""

    @abstractmethod
    def follow(self, small: Small) -> None:
        """To where it is in the next picture, or counts a miss."""

    @abstractmethod
    def settle(self) -> None:
        """Rests where it has not gone on, and begins its way anew there: of what the scene did, nothing is known."""

    @abstractmethod
    def drift(self, before: np.ndarray, after: np.ndarray) -> None:
        """Adds what the scene around it does in a step. (n, 2) px each: its corners."""

    @abstractmethod
    def travel(self) -> Travel | None:
        """Its way so far, if it is one of its own."""


Word = TypeVar("Word", bound=Followed)


class TravelFinder(ABC, Generic[Word]):
    """Gets pictures in order, some of them searched for text; its memory is the last one and what is on its way."""

    def __init__(self, every: int) -> None:
        """`every`: pictures from one at which lines at rest are followed to the next."""
        self.travels: list[Travel] = []
        self._every, self._count = every, 0
        self._last: np.ndarray | None = None
        self._open: list[Word] = []

    @abstractmethod
    def _begun(self, line: TextLine, small: Small) -> Word | None:
        """A line as the detector has seen it first; None where it is too small."""

    def add(self, small: Small) -> None:
        moving = [line for line in self._open if self._count % self._every == 0 or not line.rests]
        self._follow_scenes(moving, small.luma)
        for line in moving:
            self._follow(line, small)
        self._last = small.luma
        if small.text is not None and small.text.moving:
            self._look(small, small.text.lines)
        for line in [one for one in self._open if one.misses >= MISSES or _is_none(one)]:
            self._end(line)
        self._count += 1

    def close(self) -> None:
        """No more looks: what still travels ends here."""
        for line in list(self._open):
            self._end(line)

    def _follow(self, line: Word, small: Small) -> None:
        line.follow(small)
        line.settle()

    def _look(self, small: Small, lines: list[TextLine]) -> None:
        fresh = []
        for line in lines:
            known = max(self._open, key=lambda one: alike(corners(one.box), line.bounds), default=None)
            if known is not None and alike(corners(known.box), line.bounds) >= SAME:
                known.seen, known.unseen = known.seen + 1, -1
            elif (begun := self._begun(line, small)) is not None:
                fresh.append(begun)
        for one in self._open:
            one.unseen += 1
        fresh.sort(key=lambda one: -one.score)
        self._open += fresh[: max(0, MOST - len(self._open))]

    def _follow_scenes(self, lines: list[Word], luma: np.ndarray) -> None:
        """Adds what the scene close around each of the lines does from the last picture to this one."""
        if self._last is None:
            return
        around = [_around(line.box, self._last) for line in lines]
        spots = np.concatenate([np.zeros((0, 2), np.float32), *around])
        if not len(spots):
            return
        ahead, good = followed(self._last, luma, spots, patch=PATCH, lost=LOST)
        ends = np.cumsum([len(part) for part in around])
        for line, end, count in zip(lines, ends, map(len, around), strict=True):
            part = np.flatnonzero(good[end - count : end]) + end - count
            if len(part) >= FEWEST:
                line.drift(spots[part], ahead[part])
                line.known += 1

    def _end(self, line: Word) -> None:
        self._open.remove(line)
        travel = line.travel()
        if travel is not None:
            self.travels.append(travel)


def _is_none(line: Followed) -> bool:
    return line.seen < LEAST_LOOKS and line.unseen >= UNSEEN


def _around(box: tuple[float, float, float, float], luma: np.ndarray) -> np.ndarray:
    """(n, 2) float32 px: corners of the picture close around a box, by which the scene is followed."""
    x, y, w, h = box
    reach = max(6, round(RING * min(w, h)))
    left, top = max(0, int(x) - reach), max(0, int(y) - reach)
    part = luma[top : max(0, int(y + h) + reach), left : max(0, int(x + w) + reach)]
    ring = np.full(part.shape, 255, np.uint8)
    rows, columns = (
        slice(max(0, int(start) - 2 - first), max(0, int(start + size) + 3 - first))
        for start, size, first in ((y, h, top), (x, w, left))
    )
    ring[rows, columns] = 0
    spots = cv2.goodFeaturesToTrack(part, 40, 0.02, 4, mask=ring, blockSize=3) if part.size else None
    if spots is None:
        return np.zeros((0, 2), np.float32)
    return spots.reshape(-1, 2) + np.array([left, top], np.float32)
