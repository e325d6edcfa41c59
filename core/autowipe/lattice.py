"""Lattices: by which shifts a picture repeats itself, as tiled watermarks do and scenes hardly ever."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .job import Box

SOFT = 1.5  # levels a px: gradients are taken as directions from here on, so that strong edges do not rule
SHORTEST = 0.06  # of the picture's width: finer patterns are fabric, brick and fences
FARTHEST = 0.62  # of the picture; beyond, too little overlaps
LEAST_PEAK, LEAST_RATIO = 0.06, 12.0  # of the correlation; over its usual unrest. Scenes: .02 to .15, 4 to 14
LOCAL = 6.0  # px: a tile's strokes correlate over less, smooth shading over more
CLOSED = 0.55  # share of the best peak that every sum of two shifts must reach
MOST_PEAKS = 12
SNAP = 0.12  # px: shifts this near to whole px are whole


@dataclass(frozen=True)
class Lattice:
    """Two shifts (x, y), in px, by which the pattern repeats itself, and how clearly it does."""

    one: tuple[float, float]
    two: tuple[float, float]
    peak: float  # correlation at its shifts, above that around them
    ratio: float  # that, over the usual unrest of the correlation

    @property
    def area(self) -> float:
        return abs(self.one[0] * self.two[1] - self.one[1] * self.two[0])

    def shifts(self, width: float, height: float) -> list[tuple[float, float]]:
        """All sums of the two shifts up to (width, height) in either direction, the zero shift first."""
        reach = int(np.hypot(width, height) / min(np.hypot(*self.one), np.hypot(*self.two)) * 2) + 2
        found = []
        for i in range(-reach, reach + 1):
            for j in range(-reach, reach + 1):
                x, y = i * self.one[0] + j * self.two[0], i * self.one[1] + j * self.two[1]
                if abs(x) < width and abs(y) < height:
                    found.append((x, y))
        return sorted(found, key=lambda s: abs(s[0]) + abs(s[1]))

    def scaled(self, factor: float) -> Lattice:
        one, two = ((x * factor, y * factor) for x, y in (self.one, self.two))
        return Lattice(one, two, self.peak, self.ratio)

    def cell(self, box: Box) -> Box:
        """A box within `box`, near its middle, in which the whole pattern occurs; cut to `box`."""
        wide, high = (int(np.ceil(abs(a) + abs(b))) + 2 for a, b in zip(self.one, self.two, strict=True))
        x, y, w, h = box
        wide, high = min(w, wide), min(h, high)
        return (x + (w - wide) // 2, y + (h - high) // 2, wide, high)


def find_lattice(field: np.ndarray, clear: np.ndarray) -> Lattice | None:
    """The lattice of a gradient field (2, h, w), levels a px, looked for where `clear` (h, w) bool."""
    height, width = clear.shape
    reach = (int(FARTHEST * height), int(FARTHEST * width))
    raw = _correlation(field, clear, reach)
    sharp = raw - cv2.GaussianBlur(raw, (0, 0), LOCAL)
    unrest = 1.4826 * float(np.median(np.abs(sharp)))
    shifts = _peaks(raw, sharp, reach, SHORTEST * width)
    if not shifts:
        return None
    best = _at(sharp, reach, shifts[0])
    if best < LEAST_PEAK or best < LEAST_RATIO * unrest:
        return None
    shifts = [s for s in shifts if _at(sharp, reach, s) >= CLOSED * best]
    basis = _basis(sharp, reach, shifts, CLOSED * best)
    if basis is None:
        return None
    return _tuned(Lattice(*basis, best, best / max(unrest, 1e-6)), sharp, reach)


def refine(lattice: Lattice, field: np.ndarray, clear: np.ndarray) -> Lattice:
    """The lattice to a fraction of a px, from a gradient field of the size that its shifts are in."""
    height, width = clear.shape
    reach = (int(FARTHEST * height), int(FARTHEST * width))
    raw = _correlation(field, clear, reach)
    tuned = _tuned(lattice, raw - cv2.GaussianBlur(raw, (0, 0), LOCAL * 2), reach)
    shifts = [tuned.one, tuned.two]
    whole = [(float(round(x)), float(round(y))) for x, y in shifts]
    if all(abs(a - b) <= SNAP for s, r in zip(shifts, whole, strict=True) for a, b in zip(s, r, strict=True)):
        shifts = whole
    return Lattice(shifts[0], shifts[1], tuned.peak, tuned.ratio)


def moved(picture: np.ndarray, shift: tuple[float, float], box: Box) -> np.ndarray:
    """`picture` (H, W[, n]) at the px of `box` plus a shift; NaN outside the picture."""
    x, y, w, h = box
    dx, dy = shift
    if dx == int(dx) and dy == int(dy):
        out = np.full((h, w, *picture.shape[2:]), np.nan, np.float32)
        left, top = x + int(dx), y + int(dy)
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(picture.shape[1], left + w), min(picture.shape[0], top + h)
        if x1 > x0 and y1 > y0:
            out[y0 - top : y1 - top, x0 - left : x1 - left] = picture[y0:y1, x0:x1]
        return out
    move = np.array([[1, 0, x + dx], [0, 1, y + dy]], np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    parts = picture if picture.ndim == 3 else picture[..., None]
    out = np.dstack(
        [
            cv2.warpAffine(np.ascontiguousarray(part), move, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE)
            for part in np.moveaxis(parts, -1, 0)
        ]
    ).reshape(h, w, *picture.shape[2:])
    columns, rows = np.arange(w) + x + dx, np.arange(h) + y + dy
    out[(rows < 0) | (rows > picture.shape[0] - 1)] = np.nan
    out[:, (columns < 0) | (columns > picture.shape[1] - 1)] = np.nan
    return out


def _correlation(field: np.ndarray, clear: np.ndarray, reach: tuple[int, int]) -> np.ndarray:
    """(2 ry + 1, 2 rx + 1): how alike the field is to itself shifted, -1..1, the zero shift in the middle."""
    height, width = clear.shape
    size = (cv2.getOptimalDFTSize(height + reach[0] + 1), cv2.getOptimalDFTSize(width + reach[1] + 1))
    length = np.hypot(field[0], field[1])
    ways = (field[0] + 1j * field[1]) / (length + SOFT) * clear
    power = np.fft.fft2(np.abs(ways) ** 2, size)
    there = np.fft.fft2(clear.astype(np.float32), size)
    spot = np.ix_(np.arange(-reach[0], reach[0] + 1) % size[0], np.arange(-reach[1], reach[1] + 1) % size[1])
    alike = np.fft.ifft2(np.abs(np.fft.fft2(ways, size)) ** 2).real[spot]
    ahead = np.fft.ifft2(power * np.conj(there)).real[spot]
    behind = np.fft.ifft2(there * np.conj(power)).real[spot]
    return (alike / np.sqrt(np.maximum(ahead * behind, 1e-6))).astype(np.float32)


def _peaks(raw: np.ndarray, sharp: np.ndarray, reach: tuple[int, int], shortest: float) -> list[tuple[int, int]]:
    """Shifts (x, y) of the strongest peaks, the strongest first; of each shift and its opposite only one."""
    top = sharp >= cv2.dilate(sharp, np.ones((9, 9), np.uint8))
    rows, columns = np.nonzero(top & (raw > 0))
    y, x = rows - reach[0], columns - reach[1]
    half = (np.hypot(x, y) >= shortest) & ((y > 0) | ((y == 0) & (x > 0)))
    order = np.argsort(-sharp[rows, columns][half])[:MOST_PEAKS]
    return [(int(a), int(b)) for a, b in zip(x[half][order], y[half][order], strict=True)]


def _basis(
    sharp: np.ndarray, reach: tuple[int, int], shifts: list[tuple[int, int]], least: float
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """The two shifts of the smallest cell all of whose sums within reach are peaks too."""
    best = None
    for i, one in enumerate(shifts):
        for two in shifts[i + 1 :]:
            area = abs(one[0] * two[1] - one[1] * two[0])
            if area < 0.35 * np.hypot(*one) * np.hypot(*two) or (best and area >= best[0]):
                continue
            sums = [(a * one[0] + b * two[0], a * one[1] + b * two[1]) for a, b in ((1, 1), (1, -1), (2, 0), (0, 2))]
            near = [s for s in sums if abs(s[0]) < reach[1] - 2 and abs(s[1]) < reach[0] - 2]
            if all(_at(sharp, reach, s) >= least for s in near):
                best = (area, (float(one[0]), float(one[1])), (float(two[0]), float(two[1])))
    return best[1:] if best else None


def _at(sharp: np.ndarray, reach: tuple[int, int], shift: tuple[float, float]) -> float:
    """The best value within 2 px of a shift."""
    y, x = reach[0] + round(shift[1]), reach[1] + round(shift[0])
    part = sharp[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
    return float(part.max()) if part.size else 0.0


def _tuned(lattice: Lattice, sharp: np.ndarray, reach: tuple[int, int]) -> Lattice:
    """The shifts by least squares over the peaks at all sums within reach, each to a fraction of a px."""
    rows, targets, weights = [], [], []
    one, two = np.array(lattice.one), np.array(lattice.two)
    for i in range(-3, 4):
        for j in range(-3, 4):
            guess = i * one + j * two
            y, x = reach[0] + round(guess[1]), reach[1] + round(guess[0])
            if (i, j) == (0, 0) or not (3 < y < sharp.shape[0] - 4 and 3 < x < sharp.shape[1] - 4):
                continue
            part = sharp[y - 2 : y + 3, x - 2 : x + 3]
            dy, dx = (int(n) - 2 for n in np.unravel_index(int(part.argmax()), part.shape))
            near = sharp[y + dy - 1 : y + dy + 2, x + dx - 1 : x + dx + 2]
            rows.append((i, j))
            targets.append((x + dx - reach[1] + _vertex(near[1]), y + dy - reach[0] + _vertex(near[:, 1])))
            weights.append(max(0.0, float(near[1, 1])))
    if len(rows) < 4:
        return lattice
    root = np.sqrt(np.array(weights))[:, None]
    found, *_ = np.linalg.lstsq(np.array(rows) * root, np.array(targets) * root, rcond=None)
    first, second = _shortest(found[0], found[1])
    return Lattice(first, second, lattice.peak, lattice.ratio)


def _shortest(one: np.ndarray, two: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """The shortest basis of the same lattice (Lagrange and Gauss)."""
    for _ in range(20):
        if one @ one > two @ two:
            one, two = two, one
        times = round(float(one @ two / (one @ one)))
        if not times:
            break
        two = two - times * one
    return (float(one[0]), float(one[1])), (float(two[0]), float(two[1]))


def _vertex(three: np.ndarray) -> float:
    """Where the parabola through three equidistant values has its top, -0.5..0.5."""
    bend = float(three[0] - 2 * three[1] + three[2])
    return float(np.clip(0.5 * (three[0] - three[2]) / bend, -0.5, 0.5)) if bend < 0 else 0.0
