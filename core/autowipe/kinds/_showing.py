"""One appearance of something that comes and goes or moves: its crops are gathered at native size, along its path."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .. import planes
from ..job import Box
from ..planes import Layout
from ._cover import Look, LookSum

SAMPLES = 24  # frames of an appearance that are looked at closely
KEPT = 8  # of these are kept for the fit of its opacity
AROUND_S, MOST_AROUND = 0.6, 16  # s and frames before and after in which it may grow, fade, or lose a part
MARGIN = 0.03  # of the picture's height: clean surroundings that the fill starts from
REGISTER = 2.0  # analysis px by which two appearances may be placed wrongly against each other


@dataclass
class Sighting:
    """What the survey saw of one appearance, in px of the analysis picture."""

    box: Box
    start: int  # first frame
    stop: int  # one past the last
    edges: np.ndarray  # (h, w) bool over the box: edges that belong to it
    path: np.ndarray | None = None  # (stop - start, 2) float32: how far it has moved since `start`; None: not at all


class Showing:
    """Gathers one appearance. Boxes in source px; all crops of it have one size."""

    def __init__(self, sighting: Sighting, layout: Layout, scale: float, rate: float) -> None:
        self.sighting = sighting
        x, y, w, h = sighting.box
        self.margin = max(12, round(MARGIN * layout.height), 2 * round(REGISTER * scale))
        left, top = int(x * scale) - self.margin, int(y * scale) - self.margin
        right, bottom = int((x + w) * scale) + self.margin, int((y + h) * scale) + self.margin
        step = 1 << max(max(p.shift_x, p.shift_y) for p in layout.colour)
        left, top = left // step * step, top // step * step
        self.box: Box = (left, top, -(-(right - left) // step) * step, -(-(bottom - top) // step) * step)
        self.start, self.stop = sighting.start, sighting.stop
        around = min(MOST_AROUND, max(6, round(AROUND_S * rate)))
        self.first, self.last = self.start - around, self.stop + around
        self._picture, self._scale = layout, scale
        self.layout = replace(layout, width=self.box[2], height=self.box[3])
        self._step = max(1, (self.stop - self.start) // SAMPLES)
        self._sum = LookSum(self.layout)
        self.kept: list[list[np.ndarray]] = []
        self.early: list[tuple[int, np.ndarray]] = []  # frame, (H, W, 3) uint8: at the beginning, and before it
        self.late: deque[tuple[int, np.ndarray]] = deque(maxlen=2 * around)
        self._around = around
        move = np.array([[scale, 0, x * scale - left], [0, scale, y * scale - top]], np.float32)
        edges = cv2.warpAffine(sighting.edges.astype(np.float32), move, self.box[2:], flags=cv2.INTER_LINEAR)
        self.seeds = edges > 0.4

    def place(self, frame: int) -> tuple[float, float]:
        """x and y of its crop's top left corner."""
        path = self.sighting.path
        if path is None:
            return float(self.box[0]), float(self.box[1])
        n = len(path)
        at = frame - self.start
        if 0 <= at < n:
            dx, dy = path[at]
        else:  # straight on
            ahead = min(8, n - 1)
            speed = (path[ahead] - path[0]) / ahead if at < 0 else (path[-1] - path[-1 - ahead]) / ahead
            dx, dy = path[0] + speed * at if at < 0 else path[-1] + speed * (at - n + 1)
        return self.box[0] + float(dx) * self._scale, self.box[1] + float(dy) * self._scale

    def reach(self) -> Box:
        """Box around all places that it wants crops from, cut to the picture."""
        spots = np.array([self.place(t) for t in range(self.first, self.last)])
        (x0, y0), (x1, y1) = np.floor(spots.min(0)).astype(int) - 2, np.ceil(spots.max(0)).astype(int) + 4
        x0, y0 = max(0, x0), max(0, y0)
        return (
            int(x0),
            int(y0),
            int(min(self._picture.width, x1 + self.box[2]) - x0),
            int(min(self._picture.height, y1 + self.box[3]) - y0),
        )

    def add(self, frame: int, crop: list[np.ndarray], place: Box) -> None:
        """`crop`: planes over `place`."""
        if not self.first <= frame < self.last:
            return
        part = self._cut(frame, crop, place)
        if part is None:
            return
        is_core = self.start <= frame < self.stop
        picture = None
        if frame < self.start + self._around or frame >= self.stop - self._around:
            picture = np.dstack(planes.small(part, self.layout, self.box[2]))
        if picture is not None and frame < self.start + self._around:
            self.early.append((frame, picture))
        elif picture is not None:
            self.late.append((frame, picture))
        if is_core and (frame - self.start) % self._step == 0:
            if self._sum.count % max(1, SAMPLES // KEPT) == 0 and len(self.kept) < KEPT:
                self.kept.append(part)
            self._sum.add(part)

    @property
    def count(self) -> int:
        return self._sum.count

    def look(self) -> Look:
        return self._sum.look()

    def _cut(self, frame: int, crop: list[np.ndarray], place: Box) -> list[np.ndarray] | None:
        """Its own part of a larger crop, repeated beyond the picture's edge; None where too little of it is inside."""
        x, y = self.place(frame)
        w, h = self.box[2:]
        if not (-w / 2 < x < self._picture.width - w / 2 and -h / 2 < y < self._picture.height - h / 2):
            return None
        out = []
        for part, plane in zip(crop, self._picture.colour, strict=True):
            sx, sy = 1 << plane.shift_x, 1 << plane.shift_y
            px, py = (x - place[0]) / sx, (y - place[1]) / sy
            out.append(cut_out(part, px, py, (w // sx, h // sy)))
        return out


def cut_out(part: np.ndarray, x: float, y: float, size: tuple[int, int]) -> np.ndarray:
    """The window of `size` (w, h) whose top left px is at (x, y) of `part`, which goes on beyond its edge."""
    w, h = size
    left, top = int(np.floor(x)), int(np.floor(y))
    rows = np.clip(np.arange(top, top + h + 1), 0, part.shape[0] - 1)
    columns = np.clip(np.arange(left, left + w + 1), 0, part.shape[1] - 1)
    window = part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if window.shape != (h + 1, w + 1):
        window = part[rows[:, None], columns[None]]
    if x == left and y == top:
        return np.ascontiguousarray(window[:h, :w])
    move = np.array([[1, 0, left - x], [0, 1, top - y]], np.float32)
    return cv2.warpAffine(window, move, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
