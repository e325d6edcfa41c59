"""Tickers and scrolls: text that passes through a lane, looked at piece by piece and told page by page.

What passes may be longer than the picture. Its strip is cut into short pieces, each of which is followed while its
middle is in the lane; together they decide whether it is drawn. The plan is told in pages as long as the lane: two of
them show at a time, so that every second one belongs to one of two overlays, and each has one way at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ..job import Box
from ..planes import Layout
from ..timing import FrameRange
from . import Found, FoundEvent
from ._effect import Effect, Settled
from ._showing import Sighting, peak
from ._travelling import Travelling
from ._ways import keys_of, smooth

STRIPES = (8, 16)  # px of half the analysis picture: thickness of the stripes that lie, and of those that stand
RADIUS = 12  # px of it that a stripe may pass from look to look
FITS = 0.5  # correlation of two looks at a stripe from which that is told
LEAST_SPEED, OWN_SPEED = 0.4, 0.6  # px a look: of what passes; against the rest of the picture
SAME_SPEED = 0.5  # px a look by which the speed of what passes wavers
SAME_WAY = 0.1  # of its way, by which two lanes of one strip differ
MISSES = 4  # looks in a row that do not show it, from which it is over
LEAST_LOOKS, LEAST_SHARE = 16, 0.2  # that show it; of the lane's length, that it goes
MOST_THICK = (0.3, 0.7)  # of the picture, of a lane that lies, and of one that stands
PIECE, LEAST_PIECE = 1.5, 32  # times the lane's height, and analysis px, that a piece is long
LEAST_FRAMES = 8  # in which a piece is seen
LEAST_PIECES = 3
SHARP, LOCKED = 0.55, 0.7  # of drawn pieces, the middle one: 0.77 and 0.87 up; of the scene 0.3 to 0.6, and to 0.65
ONE_WAY = 0.6  # concentration of the directions of edges
EVIDENCE = ("edge sharpness", "edge lock", "one direction")
SURE_READ = 0.8  # how sure it is of a page that it is text


@dataclass
class Lane:
    """Where something passes through all of the picture's width or height, in px of the analysis picture."""

    box: Box
    axis: int  # along which it passes: 0 is x, 1 is y
    start: int  # first frame
    stop: int  # one past the last
    path: np.ndarray  # (stop - start, 2) float32: how far the strip has gone since `start`


@dataclass(eq=False)
class _Run:
    """Neighbouring stripes that pass at one speed."""

    axis: int
    votes: np.ndarray  # (n,) of each stripe: looks in which it took part
    frames: list[int]
    gone: list[float]  # px of half the picture, by each of `frames`
    speed: float
    misses: int = 0


class LaneFinder:
    """Gets looks at the picture in order; its memory is the last one at half its size, and what is passing."""

    def __init__(self) -> None:
        self.lanes: list[Lane] = []
        self._last: list[np.ndarray] = []
        self._frame = 0
        self._shape = (0, 0)
        self._open: list[_Run] = []

    def add(self, frame: int, luma: np.ndarray) -> None:
        self._shape = luma.shape
        half = cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        slopes = [cv2.Sobel(half, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(half, cv2.CV_32F, 0, 1, ksize=3).T]
        slopes = [np.ascontiguousarray(slope) for slope in slopes]  # what passes does so along the rows of both
        if self._last:
            for axis, (one, other) in enumerate(zip(self._last, slopes, strict=True)):
                self._look(axis, frame, *_speeds(one, other, STRIPES[axis]))
        self._last, self._frame = slopes, frame

    def close(self) -> None:
        """No more looks: what still passes ends here."""
        for run in self._open:
            self._end(run)
        self._open = []
        self.lanes = _once(self.lanes)

    def _look(self, axis: int, frame: int, speeds: np.ndarray, fits: np.ndarray) -> None:
        told = fits >= FITS
        usual = float(np.median(speeds[told])) if told.any() else 0.0
        own = told & (np.abs(speeds) >= LEAST_SPEED) & (np.abs(speeds - usual) >= OWN_SPEED)
        for run in [run for run in self._open if run.axis == axis]:
            near = cv2.dilate((run.votes >= 1).astype(np.uint8), np.ones((3, 1), np.uint8)).ravel() > 0
            same = own & near & (np.abs(speeds - run.speed) <= SAME_SPEED)
            if same.any():
                speed = float(np.average(speeds[same], weights=fits[same]))
                run.frames.append(frame)
                run.gone.append(run.gone[-1] + speed * (run.misses + 1))
                run.speed += (speed - run.speed) / min(8, len(run.gone))
                run.votes += same
                run.misses = 0
                own &= ~same
                continue
            run.misses += 1
            if run.misses >= MISSES:
                self._end(run)
                self._open.remove(run)
        while own.any():
            first = int(np.flatnonzero(own)[fits[own].argmax()])
            same = own & (np.abs(speeds - speeds[first]) <= SAME_SPEED) & (np.abs(np.arange(len(own)) - first) <= 2)
            own &= ~same
            speed = float(speeds[first])
            self._open.append(_Run(axis, same.astype(float), [self._frame, frame], [0.0, speed], speed))

    def _end(self, run: _Run) -> None:
        long = self._shape[1 - run.axis]
        if len(run.gone) < LEAST_LOOKS or 2 * abs(run.gone[-1]) < LEAST_SHARE * long:
            return
        often = np.flatnonzero(run.votes >= 0.3 * run.votes.max())
        thick = 2 * STRIPES[run.axis]
        low = max(0, (int(often[0]) - 1) * thick)
        high = min(self._shape[run.axis], (int(often[-1]) + 2) * thick)
        if high - low > MOST_THICK[run.axis] * self._shape[run.axis]:
            return
        every = np.arange(run.frames[0], run.frames[-1] + 1)
        way = np.zeros((len(every), 2))
        way[:, run.axis] = 2 * np.interp(every, run.frames, run.gone)
        box = (0, low, long, high - low) if run.axis == 0 else (low, 0, high - low, long)
        path = smooth(way).astype(np.float32)
        self.lanes.append(Lane(box, run.axis, run.frames[0], run.frames[-1] + 1, path))


def _once(lanes: list[Lane]) -> list[Lane]:
    """Lanes beside or over each other in which something passes at one speed as one, as long as the longest."""
    out: list[Lane] = []
    for lane in sorted(lanes, key=lambda lane: lane.start - lane.stop):
        across, thick = lane.box[1 - lane.axis], lane.box[3 - lane.axis]
        for other in out:
            first, last = max(lane.start, other.start), min(lane.stop, other.stop) - 1
            low, high = other.box[1 - lane.axis], other.box[1 - lane.axis] + other.box[3 - lane.axis]
            if other.axis != lane.axis or last - first < 2 or across > high or across + thick < low:
                continue
            one, two = (part.path[last - part.start] - part.path[first - part.start] for part in (lane, other))
            if np.hypot(*(one - two)) <= SAME_WAY * np.hypot(*two):
                low, high = min(low, across), max(high, across + thick)
                x, y, w, h = other.box
                other.box = (x, low, w, high - low) if lane.axis == 0 else (low, y, high - low, h)
                break
        else:
            out.append(lane)
    return out


def _speeds(one: np.ndarray, other: np.ndarray, thick: int) -> tuple[np.ndarray, np.ndarray]:
    """How far each stripe of rows goes from one picture's slopes to the other's along the rows, px, and how sure.

    one, other: (H, W) float32.
    """
    count = one.shape[0] // thick
    speeds, fits = np.zeros(count), np.zeros(count)
    for k in range(count):
        rows = np.s_[k * thick : (k + 1) * thick]
        if not one[rows, RADIUS:-RADIUS].any() or not other[rows].any():
            continue
        score = cv2.matchTemplate(other[rows], one[rows, RADIUS:-RADIUS], cv2.TM_CCORR_NORMED)[0]
        at = int(score.argmax())
        speeds[k], fits[k] = at - RADIUS + peak(score, at), score[at]
    return speeds, fits


class Passing(Travelling):
    """Gathers one piece; its neighbours belong to the same strip, so that all of its crop counts."""

    def __init__(self, sighting: Sighting, layout: Layout, scale: float, rate: float, comes_or_goes: bool) -> None:
        """`comes_or_goes`: within the lane; else it enters and leaves at its ends, and nothing around that is kept."""
        super().__init__(sighting, layout, scale, rate)
        if not comes_or_goes:
            self.first, self.last, self._around = self.start, self.stop, 0

    @cached_property
    def seeds(self) -> np.ndarray:
        return np.ones(self.box[:1:-1], bool)


class Band:
    """All that passes through one lane."""

    def __init__(
        self,
        lane: Lane,
        layout: Layout,
        whole: FrameRange,
        scale: float,
        rate: float,
        shots: tuple[FrameRange, ...],
    ) -> None:
        self._lane, self._layout, self._whole, self._scale = lane, layout, whole, scale
        self._axis = lane.axis
        self.place = _place(lane.box, layout, scale)
        pieces = [
            Passing(piece, layout, scale, rate, piece.start == lane.start or piece.stop == lane.stop)
            for piece in cut(lane)
        ]
        self.effects = [Effect([piece], layout, scale, shots) for piece in pieces]
        self._left = len(self.effects)
        self._settled: list[Settled] = []

    def add(self, settled: list[Settled]) -> bool:
        """Takes in what an effect of its own has shown; True when that was the last."""
        self._settled += settled
        self._left -= 1
        return not self._left

    @property
    def is_hopeless(self) -> bool:
        """Whether most of its pieces are no drawn ones, whatever those to come are."""
        seen = [[float(s.evidence[n]) for n in EVIDENCE] for s in self._settled]
        fails = sum(sharp < SHARP for sharp, _, _ in seen), sum(lock < LOCKED for _, lock, _ in seen)
        return 2 * max(*fails, sum(one_way > ONE_WAY for _, _, one_way in seen)) > len(self.effects)

    def _way(self, start: int, stop: int) -> dict[int, np.ndarray]:
        """(2,) source px that the strip has gone by each frame, from 0 in the first: as most of its pieces go."""
        told = np.diff(self._lane.path, axis=0, prepend=self._lane.path[:1]) * self._scale
        told[0] = told[1]
        out = {start: np.zeros(2)}
        for t in range(start + 1, stop):
            steps = [
                np.subtract(corners[t], corners[t - 1])
                for corners in (settled.appearances[0].corners for settled in self._settled)
                if t in corners and t - 1 in corners
            ]
            step = np.median(steps, axis=0) if steps else told[np.clip(t - self._lane.start, 0, len(told) - 1)]
            out[t] = out[t - 1] + step
        return out

    def finish(self, read: Callable[[np.ndarray], tuple[str, float]]) -> list[Found]:
        """Up to two overlays, of every second page each. `read`: gives a picture's text, and how sure it is text."""
        evidence = self._evidence()
        if evidence is None:
            return []
        start = max(self._whole.start, min(s.appearances[0].range.start for s in self._settled))
        stop = min(self._whole.stop, max(s.appearances[0].range.stop for s in self._settled))
        way = self._way(start, stop)
        pages = self._pages(way)
        said = {p: read(picture) for p, (_, picture) in pages.items()}
        if max(sure for _, sure in said.values()) < SURE_READ:
            return []
        texts = {p: text for p, (text, _) in said.items()}
        long = self.place[2 + self._axis]
        out = []
        for half in (0, 1):
            events: list[FoundEvent] = []
            keys: dict[int, tuple[float, ...]] = {}
            for p in sorted(
                (p for p in pages if p % 2 == half), key=lambda p: -p * np.sign(self._lane.path[-1][self._axis])
            ):
                ways = {t: way[t] + p * long * np.eye(2)[self._axis] for t in way}
                frames = [t for t, gone in ways.items() if abs(gone[self._axis]) < long]
                if not frames:
                    continue
                keys |= keys_of({t: (float(t), *(float(v) for v in ways[t]), 1.0, 0.0) for t in frames})
                event = FoundEvent(FrameRange(frames[0], frames[-1] + 1), text=texts[p])
                event.box, event.matte = self.place, pages[p][0]
                events.append(event)
            if events:
                events.sort(key=lambda e: e.range.start)
                trajectory = tuple(keys[t] for t in sorted(keys))
                confidence = float(1 / (1 + np.exp(-1 - 4 * min(0.6, float(evidence["edge sharpness"]) / SHARP - 1))))
                out.append(
                    Found("dynamic", self.place, events, confidence, evidence=dict(evidence), trajectory=trajectory)
                )
        return out

    def _evidence(self) -> dict[str, float | str] | None:
        """What speaks for something drawn, the middle piece's figures; None where they do not."""
        if len(self._settled) < LEAST_PIECES:
            return None
        sharp, lock, one_way = (float(np.median([float(s.evidence[n]) for s in self._settled])) for n in EVIDENCE)
        if sharp < SHARP or lock < LOCKED or one_way > ONE_WAY:
            return None
        far = float(np.abs(self._lane.path[-1][self._axis])) * self._scale
        return {
            "edge sharpness": sharp,
            "edge lock": lock,
            "one direction": one_way,
            "pieces": float(len(self._settled)),
            "passes, px": far,
        }

    def _pages(self, way: dict[int, np.ndarray]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """The matte (H, W) float32 and the picture (H, W, 3) uint8 of each page, over the lane's place."""
        high, wide = self.place[3], self.place[2]
        long = self.place[2 + self._axis]
        out: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for settled in self._settled:
            corners = settled.appearances[0].corners
            spot = np.median([np.subtract(corner, way[t]) for t, corner in corners.items() if t in way], axis=0)
            x, y = (round(float(v)) - self.place[k] for k, v in enumerate(spot))
            along = (x, y)[self._axis]
            size = settled.matte.shape[1 - self._axis]
            for p in range(along // long, (along + size - 1) // long + 1):
                if p not in out:
                    out[p] = np.zeros((high, wide), np.float32), np.zeros((high, wide, 3), np.uint8)
                corner = (x - p * long, y) if self._axis == 0 else (x, y - p * long)
                for page, part in zip(out[p], (settled.matte, settled.picture), strict=True):
                    _paste(page, part, corner)
        return {p: page for p, page in out.items() if (page[0] > 0).any()}


def cut(lane: Lane) -> list[Sighting]:
    """The pieces of a strip, each for the frames in which its middle is in the lane; lengths in analysis px."""
    axis = lane.axis
    way = lane.path[:, axis]
    low, high = lane.box[axis], lane.box[axis] + lane.box[2 + axis]
    across, thick = lane.box[1 - axis], lane.box[3 - axis]
    length = max(LEAST_PIECE, round(PIECE * thick)) if axis == 0 else LEAST_PIECE
    out = []
    for s in range(int(np.floor(low - way.max())), int(np.ceil(high - way.min())), length):
        middle = s + length / 2 + way
        inside = np.flatnonzero((middle >= low) & (middle < high))
        if len(inside) < LEAST_FRAMES:
            continue
        first, last = int(inside[0]), int(inside[-1])
        along = round(float(s + way[first]))
        box = (along, across, length, thick) if axis == 0 else (across, along, thick, length)
        path = lane.path[first : last + 1] - lane.path[first]
        out.append(Sighting(box, lane.start + first, lane.start + last + 1, np.ones(box[:1:-1], bool), path))
    return out


def _place(lane: Box, layout: Layout, scale: float) -> Box:
    """A lane in source px, aligned, cut to the picture."""
    x0, y0 = (max(0, int(np.floor(v * scale))) for v in lane[:2])
    x1 = min(layout.width, int(np.ceil((lane[0] + lane[2]) * scale)))
    y1 = min(layout.height, int(np.ceil((lane[1] + lane[3]) * scale)))
    return layout.align((x0, y0, x1 - x0, y1 - y0))


def _paste(page: np.ndarray, part: np.ndarray, corner: tuple[int, int]) -> None:
    """Puts a part on a page where it is brighter; what lies beyond the page is left out."""
    x, y = corner
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(page.shape[1], x + part.shape[1]), min(page.shape[0], y + part.shape[0])
    if x1 > x0 and y1 > y0:
        view = page[y0:y1, x0:x1]
        cv2.max(view, part[y0 - y : y1 - y, x0 - x : x1 - x], dst=view)
