"""Lanes through all of the picture in which something passes at its own speed, as tickers and scrolls do."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..job import Box
from ._showing import Sighting, peak
from ._ways import smooth

STRIPES = (8, 16)  # px of half the analysis picture: thickness of the stripes that lie, and of those that stand
BESIDE = (1, 2)  # stripes beside those that pass: a long line's end does not fill one by itself
RADIUS = 12  # px of it that a stripe may pass from look to look
FITS = 0.5  # correlation of two looks at a stripe from which that is told
LEAST_SPEED, OWN_SPEED = 0.4, 0.6  # px a look: of what passes; against the rest of the picture
SAME_SPEED = 0.5  # px a look by which the speed of what passes wavers
SAME_WAY, SAME_PLACE = 0.1, 0.35  # of its way, by which two lanes of one strip differ; in one place
MISSES = 4  # looks in a row that do not show it, from which it is over
LEAST_LOOKS, LEAST_SHARE = 16, 0.2  # that show it; of the lane's length, that it goes
MOST_THICK = (0.3, 0.7)  # of the picture, of a lane that lies, and of one that stands
PIECE, LEAST_PIECE = 1.5, 32  # times the lane's height, and analysis px, that a piece is long
LEAST_FRAMES = 5  # in which a piece is seen


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
            same = told & near & (np.abs(speeds - run.speed) <= SAME_SPEED)
            if same.any():  # also where the scene goes as fast for a while, or is not told at all
                speed = float(np.average(speeds[same], weights=fits[same]))
                run.frames.append(frame)
                run.gone.append(run.gone[-1] + speed * (run.misses + 1))
                run.speed += (speed - run.speed) / min(8, len(run.gone))
                run.votes += same & own
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
        thick, more = 2 * STRIPES[run.axis], BESIDE[run.axis]
        low = max(0, (int(often[0]) - more) * thick)
        high = min(self._shape[run.axis], (int(often[-1]) + 1 + more) * thick)
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
            shared = min(high, across + thick) - max(low, across)
            wavers = SAME_PLACE if 2 * shared >= min(thick, high - low) else SAME_WAY
            if np.hypot(*(one - two)) <= wavers * np.hypot(*two):
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
