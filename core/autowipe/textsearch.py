"""Where and when the text detector looks: only where there are strokes, and something has changed since its last look.

Burnt-in text stands still, so between two looks at everything it is enough to look at strokes that stand. What moves is
looked at less and less often as long as no text is found there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import cv2
import numpy as np

from .evidence import gradients
from .kinds import Small, Text
from .text import TextLine, find_text

LOOK_S, FEWEST, MOST = 0.32, 5, 20  # from one look to the next: s, and frames at least and at most
LOOKS_A_SECOND = 30  # pictures that finders look at: the detector's are among them
STANDS, CHECKS = 4, 2  # frames over which strokes have to stand still to be burnt in, and how often that is checked
CALM, LATEST = 2, 3  # looks without moving text after which the next one may wait, for as long as so many at most
STROKE = 60  # gradient of a stroke's edge, |x| + |y|, in 1/8 level a px
CHANGES, NOISE = 3, 20  # a gradient is the same that changes by one part in so many, and so many 1/8 levels a px
BLOCK = 8  # px, side of the blocks in which strokes are counted
STROKES = 0.06  # least share of a block
MOSTLY = 0.4  # share of a block's strokes that stand where text does, even before a scene that moves
AROUND, ONE_WAY = (3, 3), 0.85  # blocks, and how much edges there run in one direction where there is no text
CROWD, TOGETHER = (5, 5), 4  # blocks around one, and how many of them hold strokes where there is text
STILL = 0.35  # share of a line's strokes from which it is still there
REACH = (5, 3)  # blocks, across and down, over which strokes belong together
ROOM = 16  # px around them that the detector sees as well
LEAST_SIDE = 64  # px of a part that it sees
CALL = 4096  # px that it could look at in the time that a call takes by itself
ALL = 0.75  # share of the picture from which it sees all of it at once

Window = tuple[int, int, int, int]  # x0, y0, x1, y1 px


def look_step(rate: float) -> int:
    """Frames from one look to the next at what moves; what stands is looked at twice as often."""
    every = 2 * max(1, round(rate / LOOKS_A_SECOND))
    return int(np.clip(round(LOOK_S * rate / every), -(-FEWEST // every), MOST // every)) * every


class TextSearch:
    """Gets every frame at analysis size, in order; its memory is a few of them, and what it knows of the picture."""

    def __init__(self, rate: float) -> None:
        self._step = look_step(rate)
        self._recent: deque[Small] = deque(maxlen=STANDS + 1)
        self._count = 0
        self._calm = 0  # looks in a row at what moves without text there
        self._due = 0  # frame of the next, from the first
        self._seen = np.zeros((0, 0, 0), np.int16)  # gradients of each part of the picture when it was looked at
        self._looked = np.zeros((0, 0), np.int32)  # frame in which each block was, from the first
        self._lines: list[TextLine] = []

    def look(self, small: Small) -> None:
        """Sets `text` of those frames that the detector looks at."""
        self._recent.append(small)
        if self._count % (self._step // 2) == 0:
            small.text = self._text(small, moving=self._count >= self._due)
        self._count += 1

    def _text(self, small: Small, moving: bool) -> Text:
        height, width = small.luma.shape
        now = _slopes(small)
        earlier = [_slopes(self._recent[k * len(self._recent) // CHECKS]) for k in range(CHECKS)]
        strength = _strength(now)
        strokes = strength >= STROKE
        if not self._count:
            self._seen = now.copy()
            self._looked = np.zeros(_grid(small.luma.shape)[::-1], np.int32)
            windows = [(0, 0, width, height)]
        else:
            same = _same(now, strength, self._seen)
            fresh = _textlike(now, strokes & ~same) if moving else standing(now, earlier, self._seen)
            rested = self._count - self._looked >= self._step
            windows = windows_of(fresh & rested, self._lines, (width, height))
            held = _is_stroke(self._seen)
            self._lines = [line for line in self._lines if _share(held & same, line) >= STILL * _share(held, line)]
        found: list[TextLine] = []
        for window in windows:
            found += self._find(small, window)
            x0, y0, x1, y1 = window
            self._seen[:, y0:y1, x0:x1] = now[:, y0:y1, x0:x1]
            self._looked[y0 // BLOCK : y1 // BLOCK, x0 // BLOCK : x1 // BLOCK] = self._count
            self._lines = [line for line in self._lines if not _overlaps(line, window)]
        if moving:
            stays = strokes & _same(now, strength, earlier[-1])
            passes = any(_share(stays, line) < MOSTLY * _share(strokes, line) for line in found)
            self._calm = 0 if passes else self._calm + 1
            self._due = self._count + self._step * int(np.clip(self._calm - CALM + 1, 1, LATEST))
        self._lines = sorted(self._lines + found, key=lambda line: (line.bounds[1], line.bounds[0]))
        return Text(self._lines, moving)

    @staticmethod
    def _find(small: Small, window: Window) -> list[TextLine]:
        x0, y0, x1, y1 = window
        height, width = small.luma.shape
        part = np.dstack([small.luma[y0:y1, x0:x1], small.chroma[y0:y1, x0:x1, ::-1]])
        lines = find_text(cv2.cvtColor(part, cv2.COLOR_YCrCb2BGR), max(width, height))
        lines = [line.moved(x0, y0) for line in lines]
        return [line for line in lines if not _is_cut(line, window, (width, height))]


def _slopes(small: Small) -> np.ndarray:
    return gradients(small.luma, small.chroma)


def standing(now: np.ndarray, earlier: Sequence[np.ndarray], before: np.ndarray | None = None) -> np.ndarray:
    """(rows, columns) bool: the blocks in which strokes stand as text does.

    now, earlier: `gradients` of a picture and of some before it, in which they stood already. `before`: those of
    another, in which they did not.
    """
    strength = _strength(now)
    strokes = strength >= STROKE
    stay = np.logical_and.reduce([strokes, *(_same(now, strength, other) for other in earlier)])
    fresh = stay if before is None else stay & ~_same(now, strength, before)
    return _textlike(now, fresh, _blocks(stay) >= MOSTLY * _blocks(strokes))


def _strength(field: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
    """(h, w) int16: of gradients (2 n, h, w) int16 the |x| + |y| of the component in which it is largest.

    `other`: gradients from which they are taken off before.
    """
    sizes = np.abs(field) if other is None else [cv2.absdiff(*pair) for pair in zip(field, other, strict=True)]
    out = cv2.add(sizes[0], sizes[1])
    for x, y in zip(sizes[2::2], sizes[3::2], strict=True):
        cv2.max(out, cv2.add(x, y), dst=out)
    return out


def _is_stroke(field: np.ndarray) -> np.ndarray:
    return np.asarray(_strength(field) >= STROKE)


def _same(field: np.ndarray, strength: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(h, w) bool: where gradients of such a strength are the same in another picture but for the codec's noise."""
    return np.asarray(CHANGES * (_strength(field, other) - NOISE) <= strength)


def _grid(shape: tuple[int, ...]) -> tuple[int, int]:
    """Blocks across and down."""
    return max(1, shape[1] // BLOCK), max(1, shape[0] // BLOCK)


def _blocks(mask: np.ndarray) -> np.ndarray:
    """(rows, columns) share of each block that a mask (h, w) bool covers."""
    return cv2.resize(mask.astype(np.float32), _grid(mask.shape), interpolation=cv2.INTER_AREA)


def _textlike(field: np.ndarray, strokes: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
    """(rows, columns) bool: the blocks with enough of the strokes (h, w) bool, in all directions, and others around.

    field: (2 n, h, w) int16, the gradients; `among`: blocks that may be.
    """
    turns = np.zeros((3, *strokes.shape), np.float32)  # sums of x x, y y and x y
    for pair in zip(field[::2], field[1::2], strict=True):
        x, y = ((part * strokes).astype(np.float32) for part in pair)
        cv2.accumulateSquare(x, turns[0])
        cv2.accumulateSquare(y, turns[1])
        cv2.accumulateProduct(x, y, turns[2])
    grid = _grid(strokes.shape)
    xx, yy, xy = (
        cv2.blur(cv2.resize(turn, grid, interpolation=cv2.INTER_AREA), AROUND, borderType=cv2.BORDER_CONSTANT)
        for turn in turns
    )
    is_text = (_blocks(strokes) >= STROKES) & ((xx - yy) ** 2 + 4 * xy**2 <= (ONE_WAY * (xx + yy)) ** 2)
    is_text &= True if among is None else among
    near = cv2.boxFilter(is_text.astype(np.float32), -1, CROWD, normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(is_text & (near >= TOGETHER))


def _share(mask: np.ndarray, line: TextLine) -> float:
    """Which share of a line's box a mask (h, w) bool covers."""
    x0, y0, x1, y1 = (int(v) for v in line.bounds)
    return float(mask[y0 : y1 + 1, x0 : x1 + 1].mean())


def windows_of(wanted: np.ndarray, lines: Sequence[TextLine], size: tuple[int, int], room: int = ROOM) -> list[Window]:
    """The parts of a picture of `size` (w, h) that the detector has to see so as to see all the blocks `wanted`.

    They have `room` px around, and hold all of those `lines`, known already, that they meet, so that none is cut.
    """
    width, height = size
    joined = cv2.dilate(wanted.astype(np.uint8), np.ones(REACH[::-1], np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    across, down = width / wanted.shape[1], height / wanted.shape[0]
    windows = []
    for x, y, w, h in stats[1:count, :4].tolist():
        window = int(x * across), int(y * down), int(np.ceil((x + w) * across)), int(np.ceil((y + h) * down))
        for line in lines:
            if _overlaps(line, window):
                x0, y0, x1, y1 = (int(v) for v in line.bounds)
                window = _union(window, (x0, y0, x1 + 1, y1 + 1))
        windows.append(_roomy(window, size, room))
    merged = True
    while merged:
        merged = False
        for i in range(len(windows)):
            for j in range(i + 1, len(windows)):
                both = _union(windows[i], windows[j])
                if _area(both) <= _area(windows[i]) + _area(windows[j]) + CALL:
                    windows[i] = both
                    del windows[j]
                    merged = True
                    break
            if merged:
                break
    if sum(map(_area, windows)) >= ALL * width * height:
        return [(0, 0, width, height)]
    return windows


def _roomy(window: Window, size: tuple[int, int], room: int) -> Window:
    """A window with `room` px around, inside the picture."""
    out = []
    for low, high, most in ((window[0], window[2], size[0]), (window[1], window[3], size[1])):
        wide = max(room, (LEAST_SIDE - (high - low) + 1) // 2)
        out.append((max(0, low - wide), min(most, high + wide)))
    return (out[0][0], out[1][0], out[0][1], out[1][1])


def _union(one: Window, other: Window) -> Window:
    return (min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3]))


def _area(window: Window) -> int:
    return (window[2] - window[0]) * (window[3] - window[1])


def _overlaps(line: TextLine, window: Window) -> bool:
    x0, y0, x1, y1 = line.bounds
    return min(x1, window[2]) > max(x0, window[0]) and min(y1, window[3]) > max(y0, window[1])


def _is_cut(line: TextLine, window: Window, size: tuple[int, int]) -> bool:
    """Whether a line reaches a border of its window that is none of the picture's."""
    x0, y0, x1, y1 = line.bounds
    return (x0 <= window[0] > 0) or (y0 <= window[1] > 0) or (x1 >= window[2] < size[0]) or (y1 >= window[3] < size[1])
