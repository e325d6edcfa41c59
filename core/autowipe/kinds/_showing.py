"""One appearance of something that comes and goes or moves: its crops are gathered at native size, along its path."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from ..job import Box
from ..planes import Layout
from ._cover import Look, LookSum, graphic_edges, sharpness
from ._plate import room
from ._views import Views

SAMPLES = 24  # frames of an appearance that are looked at closely
GROWING = 3  # frames in which it may still grow or fade after it was seen first, and half as many before it is gone
AROUND_S, MOST_AROUND = 0.6, 16  # s and frames before and after in which it may grow, fade, or lose a part
MARGIN = 0.03  # of the picture's height: clean surroundings that the fill starts from
TRIED = 6  # samples from which it is no longer on trial
HOPELESS = {3: 0.36, TRIED: 0.4, 12: 0.45}  # by samples, sharpness below which it is the scene's: marks have 0.6 and up
CUBIC = -0.75  # bend of the cubic that samples in between are told by
REGISTER = 2.0  # analysis px by which two appearances may be placed wrongly against each other


@dataclass
class Sighting:
    """What the survey saw of one appearance, in px of the analysis picture."""

    box: Box
    start: int  # first frame
    stop: int  # one past the last
    edges: np.ndarray  # (h, w) bool over the box: edges that belong to it
    path: np.ndarray | None = None  # (stop - start, 2) float32: how far it has moved since `start`; None: not at all
    poses: np.ndarray | None = None  # (stop - start, 2) float32: size and turn, degrees clockwise; None: 1 and 0
    own: np.ndarray | None = None  # (h, w) float32 over the box, 0..1: how surely each px is its own; None: not known
    is_exact: bool = False  # followed by its picture in every frame
    is_plain: bool = False  # followed by a few corners only


class Showing:
    """Gathers one appearance. Boxes in source px; all crops of it have one size."""

    KEPT = 8  # of its samples are kept, to be looked at together with those of its other appearances

    def __init__(self, sighting: Sighting, layout: Layout, scale: float, rate: float) -> None:
        self.sighting = sighting
        x, y, w, h = sighting.box
        self.margin = max(12, round(MARGIN * layout.height), 2 * round(REGISTER * scale))
        self.room = room((round(w * scale), round(h * scale)), layout.height) if sighting.path is None else 0
        self.margin += self.room
        step = 1 << max(max(p.shift_x, p.shift_y) for p in layout.colour)
        left, top = ((round(v * scale) - self.margin) // step * step for v in (x, y))
        wide, high = (-(-(round(v * scale) + 2 * self.margin + step) // step) * step for v in (w, h))
        self.box: Box = (left, top, wide, high)
        self.start, self.stop = sighting.start, sighting.stop
        around = min(MOST_AROUND, max(6, round(AROUND_S * rate)))
        self.first, self.last = self.start - around, self.stop + around
        self._picture, self._scale = layout, scale
        self.layout = replace(layout, width=self.box[2], height=self.box[3])
        ends = min(GROWING, (self.stop - self.start) // 3)
        self._settled = range(self.start + ends, self.stop - ends // 2)
        self._step = max(1, len(self._settled) // SAMPLES)
        self._sum = LookSum(self.layout, np.float32)
        self.kept: list[list[np.ndarray]] = []
        self.views = Views(self.layout, 2 * around)
        self._around = around
        self.is_hopeless = self.is_over = False

    @cached_property
    def seeds(self) -> np.ndarray:
        """(H, W) bool over the box: the survey's edges."""
        (x, y), scale = self.sighting.box[:2], self._scale
        move = np.array([[scale, 0, x * scale - self.box[0]], [0, scale, y * scale - self.box[1]]], np.float32)
        edges = cv2.warpAffine(self.sighting.edges.astype(np.float32), move, self.box[2:], flags=cv2.INTER_LINEAR)
        return edges > 0.4

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

    def pose(self, frame: int) -> tuple[float, float]:
        """Its size, 1 as at its start, and its turn, degrees clockwise, both about the middle of its crop."""
        poses = self.sighting.poses
        if poses is None:
            return 1.0, 0.0
        size, turn = poses[min(max(frame - self.start, 0), len(poses) - 1)]
        return float(size), float(turn)

    def reach(self) -> Box:
        """Box around all places that it wants crops from, cut to the picture."""
        frames = range(self.first, self.last if self.sighting.path is not None else self.first + 1)
        spots = np.array([self.place(t) for t in frames])
        (x0, y0), (x1, y1) = np.floor(spots.min(0)).astype(int) - 2, np.ceil(spots.max(0)).astype(int) + 4
        w, h = self.box[2:]
        more = 0 if self.sighting.poses is None else round(np.hypot(w, h) * self.sighting.poses[:, 0].max() / 2)
        x0, y0 = max(0, x0 - max(0, more - w // 2)), max(0, y0 - max(0, more - h // 2))
        x1, y1 = x1 + max(w, w // 2 + more), y1 + max(h, h // 2 + more)
        return (int(x0), int(y0), int(min(self._picture.width, x1) - x0), int(min(self._picture.height, y1) - y0))

    def add(self, frame: int, crop: list[np.ndarray], place: Box) -> None:
        """`crop`: planes over `place`."""
        if self.is_hopeless or not self.first <= frame < self.last:
            return
        if not self.start + self._around <= frame < self.stop - self._around:
            seen = self._view(frame, crop, place)
            if seen is not None:
                self.views.add(frame, seen, frame < self.start + self._around)
        if self._is_sample(frame):
            part = self._cut(frame, crop, place)
            if part is not None:
                self._take(part)

    def _is_sample(self, frame: int) -> bool:
        """Whether a frame is looked at closely."""
        return frame in self._settled[:: self._step]

    def _view(self, frame: int, crop: list[np.ndarray], place: Box) -> list[np.ndarray] | None:
        """What its views keep of a frame near an end."""
        return self._cut(frame, crop, place)

    def _take(self, part: list[np.ndarray]) -> None:
        """`part`: planes over its box in a frame that is looked at closely."""
        if self._sum.count % max(1, SAMPLES // self.KEPT) == 0 and len(self.kept) < self.KEPT:
            self.kept.append(part)
        self._sum.add(part)
        if self._sum.count in HOPELESS:
            self._judge(HOPELESS[self._sum.count])

    def _judge(self, least: float) -> None:
        """Where most of what the survey saw belongs to the scene nothing more is gathered. `least`: sharpness."""
        look = self._sum.look()
        if sharpness(look, graphic_edges(look, self.seeds)) < least:
            self.is_hopeless = True
            self.kept = []
            self.views.clear()

    def shrink(self) -> None:
        """It is over, others of its group are not: until then it takes little memory."""
        self.is_over = True
        self._sum.close()

    @property
    def slack(self) -> int:
        """Px of its views by which it may lie elsewhere before and after the survey saw it."""
        return 1

    @property
    def held(self) -> int:
        """Bytes."""
        return self._sum.nbytes + self.views.nbytes + sum(part.nbytes for crop in self.kept for part in crop)

    @property
    def count(self) -> int:
        return self._sum.count

    def look(self) -> Look:
        return self._sum.look()

    def corner(self, frame: int) -> tuple[float, float]:
        """Where the crop's top left corner was found to be in a frame: for what is told in the end."""
        return self.place(frame)

    def _cut(
        self,
        frame: int,
        crop: list[np.ndarray],
        place: Box,
        most: int | None = None,
        at: tuple[float, float] | None = None,
    ) -> list[np.ndarray] | None:
        """Its own part of a larger crop, repeated beyond the picture's edge; None where too little of it is inside.

        `most`: of the first planes alone; `at`: its corner, if not where it is known to be.
        """
        x, y = self.place(frame) if at is None else at
        w, h = self.box[2:]
        if not (-w / 2 < x < self._picture.width - w / 2 and -h / 2 < y < self._picture.height - h / 2):
            return None
        size, turn = self.pose(frame)
        out = []
        for part, plane in zip(crop[:most], self._picture.colour[:most], strict=True):
            sx, sy = 1 << plane.shift_x, 1 << plane.shift_y
            px, py = (x - place[0]) / sx, (y - place[1]) / sy
            if size == 1 and not turn:
                out.append(cut_out(part, px, py, (w // sx, h // sy)))
            else:
                out.append(upright(part, px, py, (w // sx, h // sy), size, turn))
        return out


def slopes(luma: np.ndarray) -> np.ndarray:
    """(2, H, W) float32 levels a px: the gradient of a picture (H, W) uint8."""
    return np.stack([cv2.Sobel(luma, cv2.CV_32F, *axis, ksize=3, scale=1 / 8) for axis in ((1, 0), (0, 1))])


def register(
    slope: np.ndarray, lines: np.ndarray, other: np.ndarray, radius: int, fine: bool = False
) -> tuple[float, float, float, float]:
    """(dx, dy, correlation, strength) of the shift within `radius` px at which `other`'s gradients fit best.

    slope, other: (2, H, W) float32; lines: (H, W) bool, where `slope` counts; `fine`: to a fraction of a px.
    """
    rows, columns = np.flatnonzero(lines.any(1)), np.flatnonzero(lines.any(0))
    if not len(rows):
        return 0, 0, 0.0, 0.0
    y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    mask = lines[y0:y1, x0:x1].astype(np.float32)
    part = slope[:, y0:y1, x0:x1] * mask
    room = [cv2.copyMakeBorder(o, radius, radius, radius, radius, cv2.BORDER_CONSTANT) for o in other]
    window = np.stack([o[y0 : y1 + 2 * radius, x0 : x1 + 2 * radius] for o in room])
    along = np.sum([cv2.matchTemplate(w, p, cv2.TM_CCORR) for w, p in zip(window, part, strict=True)], axis=0)
    power = _sums((window**2).sum(0), mask)
    own = float((part**2).sum())
    score = along / np.sqrt(np.maximum(power * own, 1e-6))
    y, x = divmod(int(score.argmax()), score.shape[1])
    dx, dy = float(x - radius), float(y - radius)
    if fine:
        dx += peak(score[y], x)
        dy += peak(score[:, x], y)
    return dx, dy, float(score[y, x]), float(along[y, x]) / max(own, 1e-6)


def _sums(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The sum of the values under a mask, wherever it lies within them; float32 both."""
    if not mask.all():
        return cv2.matchTemplate(values, mask, cv2.TM_CCORR)
    h, w = mask.shape
    sums = cv2.boxFilter(values, -1, (w, h), anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(sums[: values.shape[0] - h + 1, : values.shape[1] - w + 1])


def peak(row: np.ndarray, at: int) -> float:
    """How far the peak of the parabola through a maximum and its neighbours is from it, -0.5..0.5."""
    if not 0 < at < len(row) - 1:
        return 0.0
    left, middle, right = (float(v) for v in row[at - 1 : at + 2])
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else float(np.clip((left - right) / (2 * bend), -0.5, 0.5))


def cut_out(part: np.ndarray, x: float, y: float, size: tuple[int, int]) -> np.ndarray:
    """The window of `size` (w, h) whose top left px is at (x, y) of `part`, which goes on beyond its edge."""
    w, h = size
    left, top = int(np.floor(x)), int(np.floor(y))
    if x == left and y == top:
        return np.ascontiguousarray(_window(part, left, top, w, h))
    window = _window(part, left, top, w + 1, h + 1)
    across, down = _cubic(x - left), _cubic(y - top)
    return cv2.sepFilter2D(window, -1, across, down, anchor=(1, 1), borderType=cv2.BORDER_REPLICATE)[:h, :w]


def _window(part: np.ndarray, left: int, top: int, w: int, h: int) -> np.ndarray:
    """The window of w x h px at (left, top) of `part`, whose last px is repeated beyond its edge."""
    (y0, y1), (x0, x1) = (
        (min(max(0, first), most - 1), min(max(0, first + size - 1), most - 1) + 1)
        for first, size, most in ((top, h, part.shape[0]), (left, w, part.shape[1]))
    )
    inner = part[y0:y1, x0:x1]
    above, before = min(max(0, -top), h - 1), min(max(0, -left), w - 1)
    below, behind = h - (y1 - y0) - above, w - (x1 - x0) - before
    if not (above or before or below or behind):
        return inner
    return cv2.copyMakeBorder(inner, above, below, before, behind, cv2.BORDER_REPLICATE | cv2.BORDER_ISOLATED)


def _cubic(part: float) -> np.ndarray:
    """(4,) weights of the samples at -1, 0, 1 and 2 for what lies at `part`, 0..1: OpenCV's own, by a filter for rows
    and one for columns four times as fast as its `warpAffine`."""
    far = np.array([1 + part, 2 - part])
    near = np.array([part, 1 - part])
    outer, inner = CUBIC * (((far - 5) * far + 8) * far - 4), ((CUBIC + 2) * near - CUBIC - 3) * near**2 + 1
    return np.array([outer[0], inner[0], inner[1], outer[1]], np.float32)


def upright(part: np.ndarray, x: float, y: float, size: tuple[int, int], grown: float, turn: float) -> np.ndarray:
    """As `cut_out`, of something `grown` times as large and turned by `turn` degrees about the window's middle."""
    w, h = size
    middle = ((w - 1) / 2, (h - 1) / 2)
    move = cv2.getRotationMatrix2D(middle, -turn, grown)  # from the window to where it lies
    move[:, 2] += x, y
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(part, move, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
