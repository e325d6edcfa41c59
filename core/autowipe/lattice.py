"""Lattices: by which shifts a picture repeats itself, as tiled watermarks do and scenes hardly ever."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .job import Box

SOFT = 1.5  # levels a px: gradients are taken as directions from here on, so that strong edges do not rule
CROWD, EVEN = 25, 0.1  # px; share of edges
SHORTEST = 0.08  # of the picture's width: finer patterns are fabric, brick and fences
FARTHEST = 0.62  # of the picture; beyond, too little overlaps
LOCAL = 6.0  # px: a tile's strokes correlate over less, smooth shading over more
LEAST_PEAK, MOST_PEAKS = 4.0, 16  # of the correlation's unrest, from which a shift is tried; how many are
LEAST_RATIO = 12.0  # standard deviations that all sums of two shifts together must stand out by
CLOSED = 0.8  # share of the sums of two shifts that must stand out
FEWEST_SUMS = 4
SMALLEST = 1.2  # root of the cell's area, in shortest shifts
SLIMMEST = 0.35  # sine of the angle between the two shifts
SNAP = 0.12  # px: shifts this near to whole px are whole


Shift = tuple[float, float]  # x, y in px


@dataclass(frozen=True)
class Lattice:
    """Two shifts (x, y), in px, by which the pattern repeats itself, and how clearly it does."""

    one: tuple[float, float]
    two: tuple[float, float]
    ratio: float  # correlation over all of its shifts, in standard deviations of chance

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
        return Lattice(one, two, self.ratio)

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
    sharp, unrest = _sharp_correlation(field, clear, reach)
    near = cv2.dilate(sharp, np.ones((3, 3), np.uint8))
    near -= np.median(near)
    shifts = _peaks(sharp, reach, SHORTEST * width, LEAST_PEAK * unrest)
    best = _basis(near, reach, shifts, SHORTEST * width, unrest)
    if best is None or best[0] < LEAST_RATIO:
        return None
    return _tuned(Lattice(best[1], best[2], best[0]), sharp, reach)


def refine(lattice: Lattice, field: np.ndarray, clear: np.ndarray) -> Lattice:
    """The lattice to a fraction of a px, from a gradient field of the size that its shifts are in.

    Where every other row or column is off by half a px, as rounding leaves them, only every other one counts.
    """
    height, width = clear.shape
    reach = (int(FARTHEST * height), int(FARTHEST * width))
    sharp = _sharp_correlation(field, clear, reach)[0]
    (ax, ay), (bx, by) = lattice.one, lattice.two
    coarser = (
        ((ax, ay), (2 * bx, 2 * by)),
        ((2 * ax, 2 * ay), (bx, by)),
        ((ax + bx, ay + by), (ax - bx, ay - by)),
    )
    best = _tuned(lattice, sharp, reach)
    if (whole := _whole(best)) is not None:
        return whole
    for one, two in coarser:
        if (whole := _whole(_tuned(Lattice(one, two, lattice.ratio), sharp, reach))) is not None:
            return whole
    return best


def _whole(lattice: Lattice) -> Lattice | None:
    """The lattice with shifts of whole px, if it is that near to one."""
    one, two = ((float(round(x)), float(round(y))) for x, y in (lattice.one, lattice.two))
    off = [abs(a - b) for s, r in ((lattice.one, one), (lattice.two, two)) for a, b in zip(s, r, strict=True)]
    return Lattice(one, two, lattice.ratio) if max(off) <= SNAP else None


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
    left, top = max(0, int(np.floor(x + dx)) - 4), max(0, int(np.floor(y + dy)) - 4)
    near = picture[top : max(top + 1, int(y + dy) + h + 6), left : max(left + 1, int(x + dx) + w + 6)]
    if not near.size:
        return np.full((h, w, *picture.shape[2:]), np.nan, np.float32)
    move = np.array([[1, 0, x + dx - left], [0, 1, y + dy - top]], np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    parts = [near] if picture.ndim == 2 else [np.ascontiguousarray(near[..., k]) for k in range(picture.shape[2])]
    parts = [cv2.warpAffine(part, move, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE) for part in parts]
    out = parts[0] if picture.ndim == 2 else np.dstack(parts)
    columns, rows = np.arange(w) + x + dx, np.arange(h) + y + dy
    out[(rows < 0) | (rows > picture.shape[0] - 1)] = np.nan
    out[:, (columns < 0) | (columns > picture.shape[1] - 1)] = np.nan
    return out


def _sharp_correlation(field: np.ndarray, clear: np.ndarray, reach: tuple[int, int]) -> tuple[np.ndarray, float]:
    """How alike the field is to itself shifted, above that around each shift, and the usual unrest of that.

    (2 ry + 1, 2 rx + 1), the zero shift in the middle.
    """
    height, width = clear.shape
    size = (cv2.getOptimalDFTSize(height + reach[0] + 1), cv2.getOptimalDFTSize(width + reach[1] + 1))
    length = np.hypot(field[0], field[1])
    edges = length / (length + SOFT) * clear
    even = 1 / (cv2.blur(edges.astype(np.float32), (CROWD, CROWD)) + EVEN)  # rough texture must not rule either
    ways = (field[0] + 1j * field[1]) / (length + SOFT) * clear * even
    power = np.fft.fft2(np.abs(ways) ** 2, size)
    there = np.fft.fft2(clear.astype(np.float32), size)
    spot = np.ix_(np.arange(-reach[0], reach[0] + 1) % size[0], np.arange(-reach[1], reach[1] + 1) % size[1])
    alike = np.fft.ifft2(np.abs(np.fft.fft2(ways, size)) ** 2).real[spot]
    ahead = np.fft.ifft2(power * np.conj(there)).real[spot]
    behind = np.fft.ifft2(there * np.conj(power)).real[spot]
    raw = (alike / np.sqrt(np.maximum(ahead * behind, 1e-6))).astype(np.float32)
    sharp = raw - cv2.GaussianBlur(raw, (0, 0), LOCAL)
    return sharp, max(1e-6, 1.4826 * float(np.median(np.abs(sharp))))


def _peaks(sharp: np.ndarray, reach: tuple[int, int], shortest: float, least: float) -> list[tuple[int, int]]:
    """Shifts (x, y) of the strongest peaks, the strongest first; of each shift and its opposite only one."""
    top = sharp >= cv2.dilate(sharp, np.ones((9, 9), np.uint8))
    rows, columns = np.nonzero(top & (sharp > least))
    y, x = rows - reach[0], columns - reach[1]
    half = (np.hypot(x, y) >= shortest) & ((y > 0) | ((y == 0) & (x > 0)))
    order = np.argsort(-sharp[rows, columns][half])[:MOST_PEAKS]
    return [(int(a), int(b)) for a, b in zip(x[half][order], y[half][order], strict=True)]


def _basis(
    near: np.ndarray, reach: tuple[int, int], peaks: list[tuple[int, int]], shortest: float, unrest: float
) -> tuple[float, Shift, Shift] | None:
    """The pair of shifts whose sums all together stand out most, and by how many standard deviations.

    near: the correlation about its median, the best within a px. Halves and thirds of the peaks are tried as well:
    a scene may hide the shorter shifts of a lattice.
    """
    tries = [(x / n, y / n) for n in (1, 2, 3) for x, y in peaks if np.hypot(x, y) / n >= shortest]
    steps = [(i, j) for i in range(-4, 5) for j in range(-4, 5) if i > 0 or (i == 0 and j > 0)]
    sums = np.array(steps, np.float32)
    best = None
    for k, one in enumerate(tries):
        for two in tries[k + 1 :]:
            area = abs(one[0] * two[1] - one[1] * two[0])
            if area < SLIMMEST * np.hypot(*one) * np.hypot(*two) or area < (SMALLEST * shortest) ** 2:
                continue
            shifts = np.rint(sums @ np.array([one, two], np.float32)).astype(int)
            inside = (np.abs(shifts[:, 0]) <= reach[1]) & (np.abs(shifts[:, 1]) <= reach[0])
            shifts, both = shifts[inside], sums[inside] != 0
            values = near[reach[0] + shifts[:, 1], reach[1] + shifts[:, 0]]
            if len(values) < FEWEST_SUMS or (values > unrest).mean() < CLOSED or not both.any(0).all():
                continue
            # each of the two has to show: lines and rows of windows repeat in one direction alone
            clear = min(float(values[m].mean() * np.sqrt(m.sum())) for m in both.T) / unrest
            if best is None or clear > best[0]:
                best = (clear, one, two)
    return best


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
            if near[1, 1] <= 0:
                continue
            rows.append((i, j))
            targets.append((x + dx - reach[1] + _vertex(near[1]), y + dy - reach[0] + _vertex(near[:, 1])))
            weights.append(float(near[1, 1]))
    if np.linalg.matrix_rank(np.array(rows)) < 2 or len(rows) < FEWEST_SUMS:
        return lattice
    root = np.sqrt(np.array(weights))[:, None]
    found, *_ = np.linalg.lstsq(np.array(rows) * root, np.array(targets) * root, rcond=None)
    first, second = _shortest(found[0], found[1])
    return Lattice(first, second, lattice.ratio)


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
