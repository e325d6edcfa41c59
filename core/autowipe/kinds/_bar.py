"""The plain bar that a ticker runs in: above and below the text its rows keep one colour each, and it ends sharply.

What lies beneath it is hidden all the while, so that it goes as one with its text: nothing of the text's way is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..job import Box
from ..planes import Layout, cut, to_levels
from ..timing import FrameRange
from ._cover import SKIRT_PX

SAMPLES, TRIED = 24, 8  # frames in which every px is looked at, and from which on there may be no bar in what was seen
PLAIN, MOSTLY = 8.0, 0.5  # levels off its row's colour, and share of the frames, of a px beside the text
ROWS, COLUMNS = 0.8, 0.5  # share of a row, and of a column beside the text, that is plain
LEAST_LONG = 0.6  # of the picture's width
LEAST_HIGH = 0.6  # of the text's height
STEP, EDGE = 10.0, 0.5  # levels from the bar to what lies beyond, and share of an edge that has them
ALIKE = 24.0  # levels by which it differs above and below the text
SPLITS = 12.0  # levels from row to row that end it, though what lies beyond is plain as well
STAYS = 6.0  # levels by which a row's colour wavers
SEEN = 0.5  # share of its rows, from which it is there
GAP = 2  # frames in which something may hide it
ACROSS = 64  # px of a row that tell its colour
BLACK, GREY = 26.0, 6.0  # levels of luma and chroma, of what is but the edge of a letterboxed picture


@dataclass
class Bar:
    """Where it lies, source px, and when."""

    box: Box
    range: FrameRange


class BarFinder:
    """Gets the frames in which something passes through a lane, and some around; of each it keeps a row's colours."""

    def __init__(self, place: Box, layout: Layout, passes: FrameRange) -> None:
        """`place`: the lane and what lies beside it, aligned; `passes`: when something does."""
        self._place, self._layout = place, layout
        self._step, self._passes = max(1, len(passes) // SAMPLES), passes
        self._colours: dict[int, np.ndarray] = {}  # by frame: (rows, planes) float16 levels
        self._plain = np.zeros(place[:1:-1], np.uint16)
        self._steps = np.zeros(place[3], np.float32)
        self._count = 0
        self._is_hopeless = False  # no row is plain, not even half as often as those of a bar

    def add(self, frame: int, crop: list[np.ndarray], place: Box) -> None:
        """`crop`: planes over a `place` that holds its own."""
        if self._is_hopeless:
            return
        parts = cut(crop, self._layout, place, self._place)
        some = [_medians(part[:, :: max(2, part.shape[1] // ACROSS)]) for part in parts]
        rows = to_levels(some, self._layout)
        high = self._place[3]
        colours = [np.repeat(row, -(-high // len(row)))[:high] for row in rows]
        self._colours[frame] = np.stack(colours, 1).astype(np.float16)
        if frame in self._passes and (frame - self._passes.start) % self._step == 0:
            self._look(parts, some)
            self._is_hopeless = self._count >= TRIED and not self._rows(MOSTLY / 2).any()

    def _look(self, parts: list[np.ndarray], rows: list[np.ndarray]) -> None:
        """`parts`: planes in their own integers; `rows`: the medians of their rows."""
        size = self._place[2:]
        off, step = np.zeros(size[::-1], np.uint8), np.zeros((size[1] - 3, size[0]), np.uint8)
        for part, row, plane in zip(parts, rows, self._layout.colour, strict=True):
            unit = 2.0 ** (plane.bits + plane.low - 8)
            own = np.repeat(np.rint(row).astype(part.dtype)[:, None], part.shape[1], 1)
            is_off = (cv2.absdiff(part, own) > PLAIN * unit).view(np.uint8)
            off |= cv2.resize(is_off, size, interpolation=cv2.INTER_NEAREST)
            whole = cv2.resize(part, size, interpolation=cv2.INTER_NEAREST)
            step |= (cv2.absdiff(whole[3:], whole[:-3]) >= STEP * unit).view(np.uint8)  # of rows 3 apart
        self._plain += off == 0
        self._steps[1:-2] += cv2.reduce(step, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F)[:, 0] / size[0]
        self._count += 1

    def find(self, text: tuple[int, int]) -> Bar | None:
        """The bar behind a text; None where there is none. `text`: its first row and one past the last, source px."""
        if self._count < TRIED or self._is_hopeless:
            return None
        top, bottom = (row - self._place[1] for row in text)
        seen = [t for t in self._colours if t in self._passes]
        colours = np.median([self._colours[t] for t in seen], axis=0)
        wavers = np.median([np.abs(self._colours[t] - colours).max(1) for t in seen], axis=0)
        plain = self._plain >= MOSTLY * self._count
        good = self._rows(MOSTLY) & (wavers <= STAYS)
        good[1:-1] &= np.abs(colours[2:] - colours[:-2]).max(1) < SPLITS
        middle = (top + bottom) // 2
        above = _run(good[:middle][::-1])
        below = _run(good[middle:])
        if above is None or below is None:
            return None
        rows = np.r_[middle - above[1] : middle - above[0], middle + below[0] : middle + below[1]]
        low, high = int(rows[0]), int(rows[-1]) + 1
        one, other = (np.median(colours[part], axis=0) for part in np.split(rows, [above[1] - above[0]]))
        if high - low < LEAST_HIGH * (bottom - top) or np.abs(one - other).max() > ALIKE:
            return None
        columns = np.flatnonzero(plain[rows].mean(0) >= COLUMNS)
        if len(columns) < LEAST_LONG * self._layout.width or not self._ends_sharply(low, high):
            return None
        if self._is_letterbox(one, low, high):
            return None
        skirt = SKIRT_PX + 2  # rows of its rim are not of its colour
        left, wide = self._place[0] + int(columns[0]), int(np.ptp(columns)) + 1
        box = (left, self._place[1] + low - skirt, wide, high - low + 2 * skirt)
        return Bar(self._layout.align(box), self._stays(colours, rows))

    def _rows(self, often: float) -> np.ndarray:
        """(h,) bool: the rows of which as much is plain in that share of the frames as of those of a bar."""
        return (self._plain >= often * self._count).mean(1) >= ROWS * LEAST_LONG

    def _ends_sharply(self, low: int, high: int) -> bool:
        """Whether its upper and its lower edge are sharp all along, or one is and the other is the picture's."""
        steps = self._steps / self._count
        above, below = (float(steps[max(0, k - 4) : k + 4].max(initial=0.0)) >= EDGE for k in (low, high))
        at_top, at_bottom = self._place[1] + low <= 2, self._place[1] + high >= self._layout.height - 2
        return (above or below) and (above or at_top) and (below or at_bottom)

    def _is_letterbox(self, colour: np.ndarray, low: int, high: int) -> bool:
        at_edge = self._place[1] + low <= 2 or self._place[1] + high >= self._layout.height - 2
        luma, *chroma = colour
        return at_edge and not self._layout.is_rgb and luma <= BLACK and all(abs(c - 128) <= GREY for c in chroma)

    def _stays(self, colours: np.ndarray, rows: np.ndarray) -> FrameRange:
        """The frames in which `rows` have their colours, from the passing on back and forth."""
        off = {t: np.abs(seen[rows] - colours[rows]).max(1) for t, seen in self._colours.items()}
        there = {t for t, levels in off.items() if (levels <= STAYS).mean() >= SEEN}
        ends = []
        for way, edge in ((-1, self._passes.start), (1, self._passes.stop - 1)):
            t, missed = edge, 0
            while t in self._colours and missed <= GAP:
                edge, missed = (t, 0) if t in there else (edge, missed + 1)
                t += way
            ends.append(edge)
        return FrameRange(ends[0], ends[1] + 1)


def _medians(rows: np.ndarray) -> np.ndarray:
    """(n,) float32 medians of the rows of (n, k) integers: floats are sorted by what every processor has units for."""
    ranked = np.sort(rows.astype(np.float32), axis=1)
    low, high = (ranked[:, k // 2] for k in (rows.shape[1] - 1, rows.shape[1]))
    return (low + high) / 2


def _run(good: np.ndarray) -> tuple[int, int] | None:
    """The first run of rows that are good: its first and one past its last; None where none is."""
    at = np.flatnonzero(good)
    if not len(at):
        return None
    gaps = np.flatnonzero(np.diff(at) > 1)
    return int(at[0]), int(at[gaps[0] if len(gaps) else -1]) + 1
