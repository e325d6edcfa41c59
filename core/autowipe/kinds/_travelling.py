"""One appearance of something that moves: gathered along its way, which is told to a fraction of a px."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np

from .. import planes
from ..job import Box
from ..planes import Layout
from ._showing import SAMPLES, Showing, Sighting, cut_out, register, slopes
from ._ways import even_way, smooth, time_on_way

FITTED_PX = 60_000  # of a crop at the size at which it is fitted: a larger one tells its place as well when smaller
EVENLY = 0.75  # analysis px by which what goes evenly is elsewhere, which may be drawn to whole px


class Travelling(Showing):
    """Gathers something on its way: each frame is fitted to the mean of those before, in which the scene blurs."""

    KEPT = SAMPLES
    SURVEY_OFF = 2.5  # analysis px by which the survey's way may be wrong from frame to frame
    LEAST_RADIUS = 3  # px in which it is looked for

    def __init__(self, sighting: Sighting, layout: Layout, scale: float, rate: float) -> None:
        super().__init__(sighting, layout, scale, rate)
        self._settled = range(self.start, self.stop)
        self._step = 1 if len(self._settled) < 2 * SAMPLES else self._step
        self._found: dict[int, tuple[float, float]] = {}
        self._told: tuple[np.ndarray, np.ndarray] | None = None  # its way and that cleaned of jitter, till it goes on
        self._field = np.zeros((2, 0, 0), np.float32)
        self._fitted = 0
        self._fit_by = None if layout.is_rgb else 1  # planes
        self._reduced = max(1, round(np.sqrt(self.box[2] * self.box[3] / FITTED_PX)))  # times smaller

    @property
    def slack(self) -> int:
        return round(Travelling.SURVEY_OFF * self._scale / self.views.step)

    def place(self, frame: int) -> tuple[float, float]:
        if frame in self._found:
            return self._found[frame]
        x, y = super().place(frame)
        if self._found and frame > self.start:
            last = next(reversed(self._found))  # frames come in order
            before = super().place(last)
            x, y = x + self._found[last][0] - before[0], y + self._found[last][1] - before[1]
        return x, y

    def add(self, frame: int, crop: list[np.ndarray], place: Box) -> None:
        if self.start <= frame < self.stop and not self.is_hopeless:
            self._fit(frame, crop, place)
        super().add(frame, crop, place)

    def _view(self, frame: int, crop: list[np.ndarray], place: Box) -> list[np.ndarray] | None:
        x, y = self.place(frame)
        at = (float(round(x)), float(round(y))) if self.views.step > 1 else (x, y)
        return self._cut(frame, crop, place, self._fit_by, at)

    def _fit(self, frame: int, crop: list[np.ndarray], place: Box) -> None:
        """Finds where it is in a frame."""
        near = self.place(frame)
        if self._fitted and self._reduced > 1:
            near = (float(round(near[0])), float(round(near[1])))  # a whole px is little there, and cut at once
        only = self._cut(frame, crop, place, self._fit_by, near)
        if only is None:
            return
        field = self._slopes(only)
        dx = dy = 0.0
        if self._fitted:
            off = self.SURVEY_OFF * self._scale / self._reduced
            radius = max(self.LEAST_RADIUS, round(off / (1 if self._fitted < 4 else 2)))
            dx, dy, *_ = register(self._field, self._inner, field, radius, fine=True)
        else:
            self._field = np.zeros_like(field)
        x, y = self._settled_at(frame, (near[0] + dx * self._reduced, near[1] + dy * self._reduced))
        dx, dy = (x - near[0]) / self._reduced, (y - near[1]) / self._reduced
        self._found[frame], self._told = (x, y), None
        field = _shifted(field, dx, dy)
        self._fitted += 1
        self._field += (field - self._field) / min(self._fitted, 2 * SAMPLES)

    def _settled_at(self, frame: int, spot: tuple[float, float]) -> tuple[float, float]:
        """Where it is taken to be, of a frame in which it fits best at `spot`."""
        return spot

    def _slopes(self, part: list[np.ndarray]) -> np.ndarray:
        return slopes(planes.small(part, self.layout, self.box[2] // self._reduced)[0])

    @cached_property
    def _inner(self) -> np.ndarray:
        """(H, W) bool: the box without the outer half of its margin, of which no more than is known to be its own."""
        inner, m = np.zeros(self._field.shape[1:], bool), max(1, self.margin // 2 // self._reduced)
        inner[m:-m, m:-m] = True
        return inner if self.sighting.own is None else inner & (self._own(inner.shape[::-1]) > 0)

    def _own(self, size: tuple[int, int]) -> np.ndarray:
        """(h, w) float32: how surely each px of its box is its own, at the size (w, h) at which it is fitted."""
        sighting = self.sighting
        own = np.ones(sighting.edges.shape, np.float32) if sighting.own is None else sighting.own
        step = self._reduced / self._scale  # analysis px for one of these
        x, y = (at / self._scale - its for at, its in zip(self.box[:2], sighting.box[:2], strict=True))
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(own, np.array([[step, 0, x], [0, step, y]]), size, flags=how)

    def _way(self) -> tuple[np.ndarray, np.ndarray]:
        """(T, 2) px: where it was found to be in each frame from the first to the last, and that cleaned of jitter."""
        if self._told is None:
            frames, spots = np.array(list(self._found)), np.array(list(self._found.values()))
            every = np.arange(frames[0], frames[-1] + 1)
            way = np.stack([np.interp(every, frames, spots[:, k]) for k in (0, 1)], 1)
            self._told = way, smooth(way)
        return self._told

    def pace(self) -> tuple[float, float]:
        """Analysis px that it goes straight on and evenly, and share of its time in which it is on its way."""
        way = self._way()[0] / self._scale if self._found else np.zeros((0, 2))
        return even_way(way, EVENLY), time_on_way(way)

    def corner(self, frame: int) -> tuple[float, float]:
        if not self._found:
            return self.place(frame)
        way, first, last = self._way()[1], next(iter(self._found)), next(reversed(self._found))
        if first <= frame <= last:
            x, y = way[frame - first]
            return float(x), float(y)
        ahead = min(8, len(way) - 1)
        if not ahead:
            return float(way[0, 0]), float(way[0, 1])
        one, other, origin = (0, ahead, 0) if frame < first else (-1 - ahead, -1, -1)
        speed = (way[other] - way[one]) / ahead
        x, y = way[origin] + speed * (frame - (first, last)[origin])
        return float(x), float(y)


def _shifted(field: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Slopes (2, H, W) as they are (dx, dy) px further on."""
    return np.stack([cut_out(part, dx, dy, part.shape[::-1]) for part in field])
