"""Words that travel: text lines followed as a whole, where their corners are lost to the scene that passes beneath.

Between the frames in which the detector names it (`_lines`) each line is fitted, from frame to frame, by the edges
that it has kept so far, in which those of the scene average out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from ..text import TextLine
from . import Small
from ._lines import LEAST_LOOKS, MISSES, MOSTLY, OWN_SHARE, PAD, REST, RESTING, SMALLEST, Followed, TravelFinder
from ._showing import register, slopes
from ._tracks import Travel
from ._ways import between, smooth

RADIUS = 4  # analysis px by which a word's way may bend from step to step
FIRST_STEP = 24  # analysis px that a word goes in a step of which nothing is known yet
LIKE = 0.4  # correlation of its edges from which a word is still there
SURELY_LIKE = 0.6  # the same where it is looked for further away: at its first step, and where it has turned round
MEMORY = 24  # steps over which its edges are averaged
OWN_WAY = 10.0  # analysis px by which a word has left the scene around it, to be no part of it


@dataclass(eq=False, kw_only=True)
class _Word(Followed):
    """A line that goes its way as it is, upright and of one size."""

    size: tuple[int, int]
    edges: np.ndarray  # (2, h, w): their mean so far
    frames: list[int]
    spots: list[tuple[float, float]]  # top left corner in each of `frames`
    scene: np.ndarray = field(
        default_factory=lambda: np.zeros(2)
    )  # how far the scene around it has gone by the last of them
    drifted: np.ndarray = field(default_factory=lambda: np.zeros(2))  # the same up to now, the word being missed or not
    steps: int = 1
    turned: int = 0  # the first of `spots` since it last turned round

    @property
    def box(self) -> tuple[float, float, float, float]:
        return (*self.spots[-1], *self.size)

    @property
    def ahead(self) -> tuple[float, float]:
        """Where it is expected next."""
        k = min(4, len(self.spots) - 1 - self.turned)
        (x, y), (x0, y0) = self.spots[-1], self.spots[-1 - k]
        return (x + (x - x0) / k, y + (y - y0) / k) if k else (x, y)

    @property
    def bounce(self) -> int:
        """Px by which it may be elsewhere than expected, where it turns round within a step or has only begun."""
        steps = np.abs(np.diff(self.spots[-5:], axis=0))
        return int(np.ceil(2 * steps.max())) if len(steps) else FIRST_STEP

    def follow(self, small: Small) -> None:
        seen = self._fit(small.luma, RADIUS + 1)
        if seen is not None and seen[2] < LIKE and self.bounce:
            seen = self._fit(small.luma, RADIUS + 1 + self.bounce)
            if seen is not None and seen[2] >= SURELY_LIKE:
                if len(self.spots) - 1 > self.turned:  # else its way has only begun
                    self.turned = len(self.spots)
            elif seen is not None:
                seen = (*seen[:2], 0.0, seen[3])
        if seen is None:
            self.misses = MISSES
            return
        x, y, like, now = seen
        if like < LIKE:
            self.misses += 1
            return
        self.misses = 0
        self.scene = self.drifted.copy()
        self.frames.append(small.frame)
        self.spots.append((x, y))
        self.steps += 1
        self.edges += (now - self.edges) / min(self.steps, MEMORY)

    def _fit(self, luma: np.ndarray, radius: int) -> tuple[float, float, float, np.ndarray] | None:
        """Where it is within so many px of where it is expected, how like itself, and its edges (2, h, w) there."""
        (x, y), (w, h) = self.ahead, self.size
        room = radius + RADIUS - 1
        left, top = int(np.floor(x)) - room, int(np.floor(y)) - room
        window = _cut(luma, left, top, w + 2 * room, h + 2 * room)
        if window is None:
            return None
        edges = slopes(window)
        inner = np.zeros(edges.shape[1:], bool)
        inner[room : room + h, room : room + w] = True
        model = np.zeros_like(edges)
        model[:, room : room + h, room : room + w] = self.edges
        dx, dy, like, _ = register(model, inner, edges, radius, fine=True)
        move = np.array([[1, 0, -room - dx], [0, 1, -room - dy]], np.float32)
        now = np.stack([cv2.warpAffine(e, move, (w, h), flags=cv2.INTER_LINEAR) for e in edges])
        return left + room + dx, top + room + dy, like, now

    def settle(self) -> None:
        if not self.rests and len(self.spots) <= REST:
            return
        (x, y), (x0, y0) = self.spots[-1], self.spots[0 if self.rests else -1 - REST]
        self.rests = bool(np.hypot(x - x0, y - y0) < RESTING)
        if self.rests:
            self.frames, self.spots, self.known, self.turned = self.frames[-1:], [(x0, y0)], 0, 0
            self.scene, self.drifted = np.zeros(2), np.zeros(2)

    def drift(self, before: np.ndarray, after: np.ndarray) -> None:
        self.drifted += np.median(after - before, axis=0)

    def travel(self) -> Travel | None:
        spots = np.array(self.spots)
        way = spots[-1] - spots[0]
        own = float(np.hypot(*(way - self.scene)))
        if (
            self.seen < LEAST_LOOKS
            or self.known < MOSTLY * (len(self.spots) - 1)
            or own < max(OWN_WAY, OWN_SHARE * float(np.hypot(*way)))
        ):
            return None
        every = np.arange(self.frames[0], self.frames[-1] + 1)
        path = np.stack([between(every, np.array(self.frames), spots[:, k]) for k in (0, 1)], 1)
        path = smooth(path - path[0]).astype(np.float32)
        pad = round(PAD * min(self.size)) + 2
        (x, y), (w, h) = np.floor(spots[0]).astype(int).tolist(), self.size
        box = (x - pad, y - pad, w + 2 * pad, h + 2 * pad)
        return Travel(box, self.frames[0], self.frames[-1] + 1, path, self.steps)


class WordFinder(TravelFinder[_Word]):
    """Finds words that go somewhere."""

    def _begun(self, line: TextLine, small: Small) -> _Word | None:
        height, width = small.luma.shape
        x0, y0, x1, y1 = line.bounds
        x, y = max(0, int(x0)), max(0, int(y0))
        w, h = min(width, int(np.ceil(x1))) - x, min(height, int(np.ceil(y1))) - y
        if min(w, h) < SMALLEST:
            return None
        edges = slopes(small.luma[y : y + h, x : x + w])
        spots = [(float(x), float(y))]
        return _Word(size=(w, h), score=line.score, edges=edges, frames=[small.frame], spots=spots)


def _cut(luma: np.ndarray, left: int, top: int, w: int, h: int) -> np.ndarray | None:
    """A part of the picture, repeated beyond its edge; None where the middle of it is outside."""
    height, width = luma.shape
    if not (0 <= left + w // 2 < width and 0 <= top + h // 2 < height):
        return None
    if left >= 0 and top >= 0 and left + w <= width and top + h <= height:
        return luma[top : top + h, left : left + w]
    rows = np.clip(np.arange(top, top + h), 0, height - 1)
    return np.ascontiguousarray(luma[rows[:, None], np.clip(np.arange(left, left + w), 0, width - 1)])
