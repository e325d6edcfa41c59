"""Thin bars along the picture's upper or lower edge that grow evenly from the left, as those that tell the time do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..job import Box
from ..planes import Layout
from ..timing import FrameRange
from . import Found, FoundEvent, Small

BAND = 0.08  # of the picture's height, at the top and at the bottom, in which they lie
SAMPLES_A_SECOND = 6
ALIKE = 14  # levels by which px of one bar differ
LEAST_SAMPLES = 12
LEAST_GROWTH, LEAST_FILLED = 0.1, 0.08  # of the picture's width, by which it grows, and from which it is seen
OFF_PX, MOSTLY = 2.0, 0.85  # analysis px from an even growth, and share of the frames that are no further off
STEADY = 8.0  # levels by which its colour wavers
MOST_HIGH = 0.03  # of the picture's height
STANDS_OUT, PLAINLY = 12, 0.7  # levels from what lies beyond its long edge, and share of its length
BESIDE_PX = 2  # analysis px beyond it, where that is
TRACK = 5  # levels by which what a bar runs in differs from what lies beyond it, all the same way
EVENTS = 40  # parts of the range, in each of which it is covered as far as it comes
SURE = 0.9  # confidence: nothing in a scene grows so
SKIRT_PX = 2  # of the codec's ringing


@dataclass(frozen=True)
class Bar:
    """Where it will be in the end, source px, and how it grows."""

    box: Box
    pace: float  # px a frame
    start: float  # where it ends in frame 0
    has_track: bool  # what it runs in is drawn as well

    def end(self, frame: int) -> float:
        """Where it ends in a frame, source px."""
        return self.start + self.pace * frame


class GrowingBars:
    """Gets every frame at analysis size; keeps a few figures of some rows."""

    def __init__(self, rate: float) -> None:
        self._step = max(1, round(rate / SAMPLES_A_SECOND))
        self._frames: list[int] = []
        self._ends: list[np.ndarray] = []  # of each row: where the colour that it begins with ends
        self._colours: list[np.ndarray] = []  # (rows, 3)
        self._plain: list[np.ndarray] = []  # of each row: share of that length that differs from the row beyond
        self._tracks: list[np.ndarray] = []  # of each row: the same of what is right of it, which may be all one way
        self._shape = (0, 0)
        self._scale = 1.0

    def add(self, small: Small) -> None:
        if small.frame % self._step:
            return
        self._shape, self._scale = small.luma.shape, small.scale
        rows = self._rows()
        part = _picture(small, rows)
        first = np.median(part[:, 1:6], axis=1)
        off = _most(part - first[:, None].astype(np.int16)) > ALIKE
        off[:, :6] = False
        ends = np.where(off.any(1), off.argmax(1), part.shape[1])
        inward = np.where(rows < self._shape[0] // 2, BESIDE_PX, -BESIDE_PX)
        beyond = _picture(small, np.clip(rows + inward, 0, self._shape[0] - 1))
        within = np.arange(part.shape[1])[None] < ends[:, None]
        differs = (_most(part - beyond) > STANDS_OUT) & within
        step = (part - beyond)[..., 0]
        rest = [((step > TRACK) & ~within).sum(1), ((step < -TRACK) & ~within).sum(1)]
        self._tracks.append((np.max(rest, axis=0) / np.maximum((~within).sum(1), 1)).astype(np.float16))
        self._frames.append(small.frame)
        self._ends.append(ends.astype(np.int16))
        self._colours.append(first.astype(np.float16))
        self._plain.append((differs.sum(1) / np.maximum(ends, 1)).astype(np.float16))

    def _rows(self) -> np.ndarray:
        high = self._shape[0]
        band = max(4, round(BAND * high))
        return np.r_[np.arange(band), np.arange(high - band, high)]

    def finds(self, layout: Layout, whole: FrameRange) -> list[Found]:
        """The bars as finds: from the first frame on, of which they are too short to be told."""
        found = []
        for bar in self.bars():
            box, events = layout.align(bar.box), []
            step = max(1, len(whole) // EVENTS)
            for start in range(whole.start, whole.stop, step):
                span = FrameRange(start, min(start + step, whole.stop))
                wide = bar.box[2] if bar.has_track else min(bar.box[2], round(bar.end(span.stop)) + SKIRT_PX)
                if wide > 0:
                    own = layout.align((0, box[1], wide, box[3]))
                    events.append(FoundEvent(span, box=own, matte=np.ones((own[3], own[2]), np.float32)))
            found.append(Found("dynamic", box, events, SURE, None, None, {"bar, px": float(box[3])}))
        return found

    def bars(self) -> list[Bar]:
        if len(self._frames) < LEAST_SAMPLES:
            return []
        rows, width = self._rows(), self._shape[1]
        times = np.array(self._frames, np.float64)
        lists = self._ends, self._colours, self._plain, self._tracks
        ends, colours, plain, tracks = (np.array(part, np.float64) for part in lists)
        paces = [self._grows(times, ends[:, k], colours[:, k], width) for k in range(len(rows))]
        good = [pace is not None for pace in paces]
        out: list[Bar] = []
        for group in np.split(np.arange(len(rows)), np.flatnonzero((np.diff(rows) > 1) | (np.diff(good) != 0)) + 1):
            if not good[group[0]] or len(group) > max(2, MOST_HIGH * self._shape[0]):
                continue
            inner = group[-1] if rows[group[0]] < self._shape[0] // 2 else group[0]
            seen = ends[:, inner] >= LEAST_FILLED * width
            if seen.any() and np.median(plain[seen, inner]) >= PLAINLY:
                top, bottom = rows[group[0]] * self._scale, (rows[group[-1]] + 1) * self._scale
                skirt = SKIRT_PX + round(self._scale)
                low, high = round(top) - skirt, round(bottom) + skirt
                low, high = max(0, low), min(round(self._shape[0] * self._scale), high)
                box = (0, low, round(width * self._scale), high - low)
                pace, start = (np.array(paces[inner]) * self._scale).tolist()
                has_track = bool(np.median(tracks[:, inner]) >= PLAINLY)
                out.append(Bar(box, pace, start, has_track))
        return out

    def _grows(
        self, times: np.ndarray, ends: np.ndarray, colours: np.ndarray, width: int
    ) -> tuple[float, float] | None:
        """Px a frame by which a row's bar grows, and where it ends in frame 0; None where it is not of one."""
        seen = (ends >= LEAST_FILLED * width) & (ends < width)
        if seen.sum() < LEAST_SAMPLES or np.ptp(ends[seen]) < LEAST_GROWTH * width:
            return None
        pace, start = np.polyfit(times[seen], ends[seen], 1)
        for _ in range(2):
            near = np.abs(pace * times + start - ends) <= 2 * OFF_PX
            if (near & seen).sum() < LEAST_SAMPLES:
                return None
            pace, start = np.polyfit(times[near & seen], ends[near & seen], 1)
        expected = pace * times + start
        told = (expected >= LEAST_FILLED * width) & (expected < width)
        if pace <= 0 or not told.any() or (np.abs(expected - ends)[told] <= OFF_PX).mean() < MOSTLY:
            return None
        off = np.abs(colours[told] - np.median(colours[told], axis=0)).max(1)
        return (float(pace), float(start)) if np.quantile(off, 0.9) <= STEADY else None


def _picture(small: Small, rows: np.ndarray) -> np.ndarray:
    """(rows, width, 3) int16: luma and chroma."""
    return np.dstack([small.luma[rows], small.chroma[rows]]).astype(np.int16)


def _most(difference: np.ndarray) -> np.ndarray:
    """The largest of three channels, whatever its sign."""
    off = np.abs(difference)
    return np.maximum(np.maximum(off[..., 0], off[..., 1]), off[..., 2])
