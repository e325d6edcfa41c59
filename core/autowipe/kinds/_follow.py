"""One thing followed as it goes, turns and grows: its picture, and how steadily each px of that keeps with it.

Each frame is fitted to the mean of those before by a similarity z -> a z + b of complex numbers x + i y, in steps of
Gauss and Newton (inverse compositional: Baker and Matthews, Lucas-Kanade 20 Years On, 2004). What is drawn keeps its
levels in that mean. The scene that lies in the same window does not, even where it stands still while the
thing turns: so a px counts by one over its variance, and the scene, which may be most of the window, has little say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

POINTS = 500  # px that are compared
NOISE = 4.0  # levels by which what is drawn differs from frame to frame, by its coding
STRAY = 2.0  # times the usual difference, from which a px of one frame counts less
STEPS, ENOUGH_PX = 10, 0.02  # of Gauss and Newton at most; a step that is too small for another one
COARSE_PX = 2.0  # standard deviation of the blur with which it is fitted first, to be found from further away
BLURS = (COARSE_PX, 0.0)
MEMORY = 24  # frames over which its picture is averaged
RENEWED = 3  # frames after which what it is fitted to is made anew, once it is known well
INSIDE = 0.3  # share of the px that lie in the picture, to be fitted at all
DAMPED = 1e-3  # of the normal equations


SMALL = 0.8  # of its usual size, below which how it sways is not looked at: it grows in or goes
LEAST_SWAY = 10  # frames by which that is told
BACK_PX = 1.0  # px by which its end goes back, to have turned back
TURNS_BACK, OFF_ITS_WAY = 2, 0.7  # times, and px: what wobbles about a point of its own


@dataclass(frozen=True)
class Place:
    """Where something lies: `turn` z + `middle`, z in px from the middle of its own picture."""

    turn: complex  # size and, clockwise, turn
    middle: complex  # px of the frame

    def ahead(self, before: Place) -> Place:
        """Where it is next if it goes on as it came from `before`."""
        return Place(self.turn * self.turn / before.turn, 2 * self.middle - before.middle)

    def apart(self, other: Place, reach: float) -> float:
        """Px by which what lies `reach` px from the middle has moved, or the middle itself has, whichever is more."""
        return max(abs(self.turn - other.turn) * reach, abs(self.middle - other.middle))


class Follower:
    """Gets frames in the order in which they are to be followed, forth or back."""

    def __init__(self, own: np.ndarray, points: int = POINTS) -> None:
        """`own`: (h, w) float32, how surely each px of its picture is its own, as far as is known before; 0..1."""
        self.size = own.shape[::-1]
        self._own, self._points = own, points
        self._mean = np.zeros(own.shape, np.float32)
        self._spread = np.full(own.shape, NOISE**2, np.float32)
        self.count = 0
        self._levels: list[tuple[np.ndarray, ...]] | None = None

    @property
    def reach(self) -> float:
        """Px from its middle to its end."""
        return max(self.size) / 2

    @property
    def steadiness(self) -> np.ndarray:
        """(h, w) float32, 0..1: how surely each px is its own, by how steadily it has kept with it."""
        return self._own * (NOISE**2 / (NOISE**2 + self._spread))

    def window(self, luma: np.ndarray, place: Place) -> np.ndarray:
        """(h, w) float32: what lies there."""
        w, h = self.size
        a, c = place.turn, place.middle - place.turn * complex((w - 1) / 2, (h - 1) / 2)
        move = np.array([[a.real, -a.imag, c.real], [a.imag, a.real, c.imag]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(luma, move, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)

    def learn(self, luma: np.ndarray, place: Place) -> None:
        """Takes in what lies at a place."""
        self.count += 1
        share = 1 / min(self.count, MEMORY)
        off = self.window(luma, place) - self._mean
        self._mean += share * off
        if self.count > 1:
            self._spread += share * ((1 - share) * off**2 - self._spread)
        if self.count <= MEMORY // 2 or self.count % RENEWED == 0:
            self._levels = None

    def fit(self, luma: np.ndarray, near: Place) -> tuple[Place, float]:
        """Where it lies in a frame, and how like its picture that is (correlation, -1..1); `near`: where about."""
        if self._levels is None:
            self._levels = [self._level(blur) for blur in BLURS]
        x, y, part = self._part(luma, near)
        if not part.size:
            return near, -1.0
        place = Place(near.turn, near.middle - complex(x, y))
        like = -1.0
        for level, blur in zip(self._levels, BLURS, strict=True):
            picture = cv2.GaussianBlur(part, (0, 0), blur) if blur else part
            place, like = _fitted(level, picture, place, self.reach)
        return Place(place.turn, place.middle + complex(x, y)), like

    def _part(self, luma: np.ndarray, near: Place) -> tuple[int, int, np.ndarray]:
        """The part of a frame in which it is looked for, and where that begins."""
        far = np.hypot(*self.size) / 2 * abs(near.turn) + 4 * COARSE_PX + 4
        x0, y0 = max(0, int(near.middle.real - far)), max(0, int(near.middle.imag - far))
        x1, y1 = max(x0 + 1, int(near.middle.real + far)), max(y0 + 1, int(near.middle.imag + far))
        return x0, y0, luma[y0:y1, x0:x1]

    def _level(self, blur: float) -> tuple[np.ndarray, ...]:
        """Of the px that are compared: where they lie, their levels and gradients, and how much they count."""
        mean = cv2.GaussianBlur(self._mean, (0, 0), blur) if blur else self._mean
        gradient = np.stack([cv2.Sobel(mean, cv2.CV_32F, *axis, ksize=3, scale=1 / 8) for axis in ((1, 0), (0, 1))])
        weight = self.steadiness
        say = (weight * (gradient**2).sum(0)).ravel()
        least = 0.1 * np.partition(say, -max(1, len(say) // 20))[-max(1, len(say) // 20)]
        strong = np.flatnonzero(say > least)
        at = strong[:: max(1, len(strong) // self._points)]
        w, h = self.size
        spots = (at % w - (w - 1) / 2) + 1j * (at // w - (h - 1) / 2)
        gx, gy = (part.ravel()[at] for part in gradient)
        slope = gx - 1j * gy
        jacobian = np.stack([(slope * spots).real, -(slope * spots).imag, gx, gy], 1).astype(np.float64)
        return spots, mean.ravel()[at], jacobian, weight.ravel()[at]


def _fitted(level: tuple[np.ndarray, ...], luma: np.ndarray, place: Place, reach: float) -> tuple[Place, float]:
    """Steps from a place to where the picture fits; as it was, and -1, where too little of it is in the frame."""
    spots, mean, jacobian, weight = level
    a, b = place.turn, place.middle
    h, w = luma.shape
    like = -1.0
    for step in range(STEPS + 1):
        at = a * spots + b
        inside = (at.real >= 0) & (at.imag >= 0) & (at.real <= w - 1) & (at.imag <= h - 1)
        if len(spots) < 8 or np.count_nonzero(inside) < INSIDE * len(spots):
            return place, -1.0
        x, y = (part.astype(np.float32)[None] for part in (at.real, at.imag))
        seen = cv2.remap(luma, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0].astype(np.float32)
        off = seen - mean
        own = weight * inside
        usual = max(NOISE, 1.5 * _median(np.abs(off[inside])))
        trust = own / (1 + (off / (STRAY * usual)) ** 2)
        if step == STEPS:
            break
        scaled = jacobian * trust[:, None]
        normal = scaled.T @ jacobian
        normal.flat[:: len(normal) + 1] += DAMPED * (normal.diagonal() + 1e-6)
        s, t, u, v = np.linalg.solve(normal, scaled.T @ off)
        grown = 1 + complex(s, t)
        a, b = a / grown, b - a * complex(u, v) / grown
        if abs(complex(s, t)) * reach + abs(complex(u, v)) < ENOUGH_PX:
            break
    total = max(float(own.sum()), 1e-6)
    one, two = seen - float((own * seen).sum()) / total, mean - float((own * mean).sum()) / total
    power = float((own * one**2).sum()) * float((own * two**2).sum())
    like = float((own * one * two).sum()) / np.sqrt(max(power, 1e-6))
    return Place(complex(a), complex(b)), like


def _median(values: np.ndarray) -> float:
    """As `np.median`, which takes longer for a few hundred values than all else in a step does."""
    middle = (len(values) - 1) // 2, len(values) // 2
    parted = np.partition(values, middle)
    return float(parted[middle[0]] + parted[middle[1]]) / 2


def sway(frames: np.ndarray, places: Sequence[Place], reach: float) -> tuple[int, float]:
    """How often something turns back, or grows after it shrank, and px by which it leaves an even way.

    What is drawn wobbles about a point of its own, which stands still or goes evenly: m + a c = p + v t, with a the
    turn and m the middle in frame t. What is held in a hand does not. `reach`: px from its middle to its end.
    """
    turns, middles = np.array([place.turn for place in places]), np.array([place.middle for place in places])
    large = np.abs(turns) >= SMALL * np.median(np.abs(turns))
    frames, turns, middles = frames[large], turns[large], middles[large]
    if len(frames) < LEAST_SWAY:
        return 0, np.inf
    terms = np.stack([np.ones(len(frames)), (frames - frames[0]) / np.ptp(frames), turns.mean() - turns], 1)
    fit = np.linalg.lstsq(terms, middles, rcond=None)[0]
    if abs(fit[2]) > reach:  # it turns so little that this could be anywhere
        terms = terms[:, :2]
        fit = np.linalg.lstsq(terms, middles, rcond=None)[0]
    off = np.sqrt((np.abs(terms @ fit - middles) ** 2).mean())
    ways = np.stack([np.unwrap(np.angle(turns)), np.abs(turns)]) * reach
    return max(_reversals(way) for way in ways), float(off)


def wobbles(back: int, off: float) -> bool:
    """Whether what has swayed so wobbles about a point of its own, as nothing in a scene does for long."""
    return back >= TURNS_BACK and off <= OFF_ITS_WAY


def _reversals(way: np.ndarray) -> int:
    """How often a value over time turns back by more than `BACK_PX`."""
    count, low, high, up = 0, way[0], way[0], 0
    for value in way[1:]:
        low, high = min(low, value), max(high, value)
        if up <= 0 and value > low + BACK_PX:
            count, up, high = count + (up < 0), 1, value
        elif up >= 0 and value < high - BACK_PX:
            count, up, low = count + (up > 0), -1, value
    return count
