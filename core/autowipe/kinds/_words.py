"""Words that travel: text lines followed as a whole, where their corners are lost to the scene that passes beneath.

The detector names the lines in sampled frames; in between each is fitted, from frame to frame, by the edges that it
has kept so far, in which those of the scene average out. What the scene around it does meanwhile is followed too:
a sign goes with the wall that it hangs on, a mark goes its own way.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from ..boxes import alike, corners
from ..text import TextLine
from . import Small
from ._showing import register, slopes
from ._tracks import Travel, smooth

MOST = 16  # words that are followed at once, the surest first
RADIUS = 4  # analysis px by which a word's way may bend from step to step
LIKE = 0.4  # correlation of its edges from which a word is still there
MISSES = 3  # steps in a row without it, from which it is gone
UNSEEN = 3  # looks in a row in which the detector does not see again what it saw once, from which it is no word
SAME = 0.35  # overlap from which the detector's line is the word that is followed
MEMORY = 24  # steps over which its edges are averaged
FEWEST = 6  # corners by which the scene is followed
RING = 0.9  # of a word's height: so far around it the scene is followed
OWN_WAY = 10.0  # analysis px by which a word has left the scene around it, to be no part of it
OWN_SHARE = 0.5  # the same as a share of its way
MOSTLY = 0.8  # share of the steps in which the scene around it can be followed, for this to be known
REST, RESTING = 5, 0.5  # steps within which a word has gone no further than so many px: until it does, looks will do
LEAST_LOOKS = 2  # in which the detector has seen it
PAD = 0.8  # of a word's height: an icon beside it, its outline and shadow


@dataclass(eq=False)
class _Word:
    """A line that is followed; lengths in px of the analysis picture."""

    size: tuple[int, int]
    score: float
    edges: np.ndarray  # (2, h, w): their mean so far
    frames: list[int]
    spots: list[tuple[float, float]]  # top left corner in each of `frames`
    scene: np.ndarray = field(
        default_factory=lambda: np.zeros(2)
    )  # how far the scene around it has gone by the last of them
    drift: np.ndarray = field(default_factory=lambda: np.zeros(2))  # the same up to now, the word being missed or not
    known: int = 0  # steps in which that could be told
    steps: int = 1
    misses: int = 0
    seen: int = 1
    unseen: int = 0
    rests: bool = False  # stands still; then it is followed from look to look only

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 where it is now."""
        return corners((*self.spots[-1], *self.size))

    @property
    def ahead(self) -> tuple[float, float]:
        """Where it is expected next."""
        k = min(4, len(self.spots) - 1)
        (x, y), (x0, y0) = self.spots[-1], self.spots[-1 - k]
        return (x + (x - x0) / k, y + (y - y0) / k) if k else (x, y)

    def settle(self) -> None:
        """Rests where it has not gone on, and begins its way anew there: of what the scene did, nothing is known."""
        if not self.rests and len(self.spots) <= REST:
            return
        (x, y), (x0, y0) = self.spots[-1], self.spots[0 if self.rests else -1 - REST]
        self.rests = bool(np.hypot(x - x0, y - y0) < RESTING)
        if self.rests:
            self.frames, self.spots, self.known = self.frames[-1:], [(x0, y0)], 0
            self.scene, self.drift = np.zeros(2), np.zeros(2)


class WordFinder:
    """Gets pictures in order, some of them searched for text; its memory is the last one and what is on its way."""

    def __init__(self, every: int) -> None:
        """`every`: pictures from one at which words at rest are followed to the next."""
        self.travels: list[Travel] = []
        self._every, self._count = every, 0
        self._last: np.ndarray | None = None
        self._open: list[_Word] = []

    def add(self, small: Small) -> None:
        moving = [word for word in self._open if self._count % self._every == 0 or not word.rests]
        self._follow_scenes(moving, small.luma)
        for word in moving:
            self._follow(word, small)
            word.settle()
        if small.text is not None and small.text.moving:
            self._look(small, small.text.lines)
        for word in [w for w in self._open if w.misses >= MISSES or self._is_none(w)]:
            self._end(word)
        self._last = small.luma
        self._count += 1

    def close(self) -> None:
        """No more looks: what still travels ends here."""
        for word in list(self._open):
            self._end(word)

    @staticmethod
    def _is_none(word: _Word) -> bool:
        return word.seen < LEAST_LOOKS and word.unseen >= UNSEEN

    def _look(self, small: Small, lines: list[TextLine]) -> None:
        height, width = small.luma.shape
        fresh = []
        for line in lines:
            x0, y0, x1, y1 = line.bounds
            word = max(self._open, key=lambda w: alike(w.corners, line.bounds), default=None)
            if word is not None and alike(word.corners, line.bounds) >= SAME:
                word.seen, word.unseen = word.seen + 1, -1
                continue
            x, y = max(0, int(x0)), max(0, int(y0))
            w, h = min(width, int(np.ceil(x1))) - x, min(height, int(np.ceil(y1))) - y
            if min(w, h) >= 6:
                edges = slopes(small.luma[y : y + h, x : x + w])
                fresh.append(_Word((w, h), line.score, edges, [small.frame], [(float(x), float(y))]))
        for word in self._open:
            word.unseen += 1
        fresh.sort(key=lambda w: -w.score)
        self._open += fresh[: max(0, MOST - len(self._open))]

    def _follow(self, word: _Word, small: Small) -> None:
        (x, y), (w, h) = word.ahead, word.size
        room = 2 * RADIUS
        left, top = int(np.floor(x)) - room, int(np.floor(y)) - room
        window = _cut(small.luma, left, top, w + 2 * room, h + 2 * room)
        if window is None:
            word.misses = MISSES
            return
        edges = slopes(window)
        inner = np.zeros(edges.shape[1:], bool)
        inner[room : room + h, room : room + w] = True
        model = np.zeros_like(edges)
        model[:, room : room + h, room : room + w] = word.edges
        dx, dy, like, _ = register(model, inner, edges, RADIUS + 1, fine=True)
        if like < LIKE:
            word.misses += 1
            return
        word.misses = 0
        word.scene = word.drift.copy()
        word.frames.append(small.frame)
        word.spots.append((left + room + dx, top + room + dy))
        move = np.array([[1, 0, -room - dx], [0, 1, -room - dy]], np.float32)
        now = np.stack([cv2.warpAffine(e, move, (w, h), flags=cv2.INTER_LINEAR) for e in edges])
        word.steps += 1
        word.edges += (now - word.edges) / min(word.steps, MEMORY)

    def _follow_scenes(self, words: list[_Word], luma: np.ndarray) -> None:
        """Adds how far the scene close around each of the words goes from the last picture to this one."""
        corners = [self._around(word) for word in words]
        spots = np.concatenate([np.zeros((0, 2), np.float32), *corners])
        if not len(spots):
            return
        setting = {"winSize": (9, 9), "maxLevel": 3}
        ahead, found, _ = cv2.calcOpticalFlowPyrLK(self._last, luma, spots, None, **setting)
        back, again, _ = cv2.calcOpticalFlowPyrLK(luma, self._last, ahead, None, **setting)
        good = (found.ravel() > 0) & (again.ravel() > 0) & (np.abs(back - spots).max(1) < 1)
        ends = np.cumsum([len(part) for part in corners])
        for word, end, count in zip(words, ends, map(len, corners), strict=True):
            part = np.s_[end - count : end]
            if good[part].sum() >= FEWEST:
                word.drift += np.median((ahead[part] - spots[part])[good[part]], axis=0)
                word.known += 1

    def _around(self, word: _Word) -> np.ndarray:
        """(n, 2) float32 px: corners of the last picture close around a word, by which the scene is followed."""
        assert self._last is not None
        (x, y), (w, h) = word.spots[-1], word.size
        reach = max(6, round(RING * min(w, h)))
        left, top = max(0, int(x) - reach), max(0, int(y) - reach)
        part = self._last[top : int(y) + h + reach, left : int(x) + w + reach]
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

    def _end(self, word: _Word) -> None:
        self._open.remove(word)
        spots = np.array(word.spots)
        way = spots[-1] - spots[0]
        own = float(np.hypot(*(way - word.scene)))
        if (
            word.seen < LEAST_LOOKS
            or word.known < MOSTLY * (len(word.spots) - 1)
            or own < max(OWN_WAY, OWN_SHARE * float(np.hypot(*way)))
        ):
            return
        every = np.arange(word.frames[0], word.frames[-1] + 1)
        path = np.stack([np.interp(every, word.frames, spots[:, k]) for k in (0, 1)], 1)
        path = smooth(path - path[0]).astype(np.float32)
        pad = round(PAD * min(word.size)) + 2
        (x, y), (w, h) = np.floor(spots[0]).astype(int).tolist(), word.size
        box = (x - pad, y - pad, w + 2 * pad, h + 2 * pad)
        self.travels.append(Travel(box, word.frames[0], word.frames[-1] + 1, path, word.steps))


def _cut(luma: np.ndarray, left: int, top: int, w: int, h: int) -> np.ndarray | None:
    """A part of the picture, repeated beyond its edge; None where the middle of it is outside."""
    height, width = luma.shape
    if not (0 <= left + w // 2 < width and 0 <= top + h // 2 < height):
        return None
    if left >= 0 and top >= 0 and left + w <= width and top + h <= height:
        return luma[top : top + h, left : left + w]
    rows = np.clip(np.arange(top, top + h), 0, height - 1)
    return np.ascontiguousarray(luma[rows[:, None], np.clip(np.arange(left, left + w), 0, width - 1)])
