"""Edges with a common fate: groups that appear together, stand still together, and are gone together.

What is burnt in for a while comes and goes all at once, while an edge of the scene lives as long as its own bit of
the scene stands still. So every pixel only keeps the gradient that it shows and since when, and where many pixels
that lie together lose theirs at the same time, having had it since the same time, something stayed there.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..job import Box

EDGE = 28.0  # least gradient of an edge, in 1/8 level a px
UNREST = 20.0  # of a gradient that is still the same: the codec's noise
TURNED = 0.4  # how far a gradient may turn (its sine) and still be the same, whatever its strength: a fade
WEAKEST = 0.35  # of its usual strength
MISSES = 2  # looks in a row without it, from which an edge is gone
SYNC_S = 0.12  # within which edges of one overlay come or go, fades and the codec's smear included
LEAST_SYNC, MOST_SYNC = 2, 3  # looks in that time
LEAST_RUN = 4  # looks
LONGEST = 4000  # looks that a stay is told apart by; older is older
LEAST_EDGES = 24  # px
REACH = 0.016  # of the picture's width: the neighbourhood of an edge
JOIN = 0.035  # of the picture's width: edges with one fate that are nearer than this belong together
MOST_SHARE = 0.25  # of the picture that the edges' box may take
DENSE = 0.1  # least share of its box that a group's edges fill: letters 0.2 to 0.5
THIN = 0.05  # the same of an outline with little within: a disc of 60 px
CROWD = 0.2  # the same, close around each edge
SPARSE = 0.25  # share below which a group may hold edges of the scene as well, which are weaker
STRONGER, DENSER = 1.5, 1.5  # times the median strength that strokes have then, and times its density that theirs is
MOSTLY = 0.6  # share of the strong edges that the strokes hold then
WORTH = 4  # times the least edges from which that is looked into
NEVER = -1000
LEAST_PART = 0.25  # of the box of a thing that a stay shows
ALIKE = 0.6  # correlation of the edges of two stays from which they show the same thing
SLOP = 3  # px by which the boxes of two stays of one thing differ


@dataclass
class Stay:
    """A group of edges that stood in one place for a while, in px of the analysis picture."""

    box: Box
    start: int  # first frame; the clip's own start where it was there already
    stop: int  # one past the last
    edges: np.ndarray  # (h, w) bool over the box
    slope: np.ndarray  # (2, n) float16 levels a px: the luma's gradient at the edges
    alone: float  # share of all edges with this fate that belong to it

    @property
    def field(self) -> np.ndarray:
        """(2, h, w) float32 levels a px: the luma's gradient; 0 off the edges."""
        out = np.zeros((2, *self.edges.shape), np.float32)
        out[:, self.edges] = self.slope
        return out


class StayFinder:
    """Gets looks at the picture in order; its memory is a fixed number of pictures and what it found."""

    def __init__(self, looks_a_second: float = MOST_SYNC / SYNC_S) -> None:
        self._sync = min(MOST_SYNC, max(LEAST_SYNC, round(SYNC_S * looks_a_second)))
        self.stays: list[Stay] = []
        self._frames: list[int] = []  # frame of each look
        self._x = self._y = self._power = np.zeros((0, 0), np.float32)  # the gradient of each pixel, and its length
        self._since = np.zeros((0, 0), np.int32)  # look
        self._misses = np.zeros((0, 0), np.uint8)

    def add(self, frame: int, luma: np.ndarray) -> None:
        gx, gy = (cv2.Sobel(luma, cv2.CV_32F, *axis, ksize=3) for axis in ((1, 0), (0, 1)))
        now = len(self._frames)
        self._frames.append(frame)
        if not now:
            self._start(gx, gy)
            return
        same = self._is_same(gx, gy)
        miss = cv2.bitwise_not(same)
        self._misses = cv2.bitwise_and(cv2.add(self._misses, 1), miss)
        gone = cv2.compare(self._misses, MISSES, cv2.CMP_GE)
        self._bury(now - MISSES + 1, cv2.bitwise_and(gone, cv2.compare(self._power, EDGE, cv2.CMP_GE)))
        for old, new in ((self._x, gx), (self._y, gy)):
            cv2.accumulateWeighted(new, old, 0.25, mask=same)
            cv2.copyTo(new, gone, old)
        cv2.copyTo(np.full_like(self._since, now - MISSES + 1), gone, self._since)
        cv2.bitwise_and(self._misses, cv2.bitwise_not(gone), self._misses)
        cv2.magnitude(self._x, self._y, self._power)
        if now % self._sync == 0:
            self._group(now - MISSES - self._sync)

    def _start(self, gx: np.ndarray, gy: np.ndarray) -> None:
        self._x, self._y = gx, gy
        self._power = cv2.magnitude(gx, gy)
        self._since = np.zeros(gx.shape, np.int32)
        self._misses = np.zeros(gx.shape, np.uint8)
        self._died = np.full(gx.shape, NEVER, np.int32)  # look in which an edge was missing first
        self._born = np.zeros(gx.shape, np.int32)
        self._last_x, self._last_y = np.zeros_like(gx), np.zeros_like(gy)
        self._slack = np.full_like(gx, UNREST)

    def _is_same(self, gx: np.ndarray, gy: np.ndarray) -> np.ndarray:
        """(h, w) uint8, 255 where the gradient is what it was, or the same at another strength."""
        allowed = cv2.scaleAdd(self._power, 0.45, self._slack)
        same = cv2.compare(cv2.magnitude(gx - self._x, gy - self._y), allowed, cv2.CMP_LE)
        changed = cv2.bitwise_and(cv2.bitwise_not(same), cv2.compare(self._power, EDGE, cv2.CMP_GE))
        at = np.flatnonzero(changed > 0)  # few, so that only these are asked whether they have faded
        x, y, old_x, old_y, power = (part.ravel()[at] for part in (gx, gy, self._x, self._y, self._power))
        along, across = x * old_x + y * old_y, np.abs(x * old_y - y * old_x)
        faded = (along >= WEAKEST * power**2) & (across <= TURNED * along)
        same.ravel()[at[faded]] = 255
        return same

    def _bury(self, now: int, gone: np.ndarray) -> None:
        """Notes edges that were missing in the look `now` first. `gone`: (h, w) uint8, 255 where one is."""
        gone = cv2.bitwise_and(gone, cv2.compare(self._since, now - LEAST_RUN, cv2.CMP_LE))
        cv2.copyTo(np.full_like(self._died, now), gone, self._died)
        cv2.copyTo(self._since, gone, self._born)
        cv2.copyTo(self._x, gone, self._last_x)
        cv2.copyTo(self._y, gone, self._last_y)

    def close(self) -> None:
        """No more looks: what still stands ends here."""
        now = len(self._frames)
        if now:
            self._bury(now, ((self._power >= EDGE) & (self._since > 0)).astype(np.uint8) * np.uint8(255))
            self._group(now)

    def _group(self, until: int) -> None:
        """Takes groups of edges that were gone by the look `until`, and not much earlier, out of the noted ones."""
        pending = np.flatnonzero((self._died > until - 3 * self._sync) & (self._died <= until + self._sync))
        while len(pending) >= LEAST_EDGES:
            died = self._died.ravel()[pending] - (until - 3 * self._sync)
            born = np.minimum(until - self._born.ravel()[pending], LONGEST)
            wide = 4 * self._sync + 1
            table = np.bincount(born * wide + died).astype(np.float32)
            table = np.pad(table, (0, -len(table) % wide)).reshape(-1, wide)
            near = cv2.boxFilter(table, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
            near[:, 3 * self._sync + 1 :] = 0  # not all of these have come yet
            b, d = divmod(int(near.argmax()), wide)
            if near[b, d] < LEAST_EDGES:
                return
            same = (abs(born - b) <= self._sync) & (abs(died - d) <= self._sync)
            self._take(pending[same], max(0, until - int(b)), until - 3 * self._sync + int(d))
            self._died.ravel()[pending[same]] = NEVER
            pending = pending[~same]

    def _take(self, pixels: np.ndarray, born: int, died: int) -> None:
        """Keeps the groups among edges of one fate; `pixels`: indices into the flattened picture."""
        height, width = self._since.shape
        start = self._frames[born]
        stop = self._frames[died] if died < len(self._frames) else self._frames[-1] + 1
        for edges in self._groups(pixels):
            y, x = np.divmod(edges, width)
            x0, y0 = int(x.min()), int(y.min())
            w, h = int(x.max()) - x0 + 1, int(y.max()) - y0 + 1
            if w * h > MOST_SHARE * height * width or min(w, h) < 4:
                continue
            mask = np.zeros((h, w), bool)
            mask[y - y0, x - x0] = True
            part = np.s_[y0 : y0 + h, x0 : x0 + w]
            slope = np.stack([self._last_x[part][mask], self._last_y[part][mask]]) / np.float32(8)
            alone = float(len(edges) / len(pixels))
            self.stays.append(Stay((x0, y0, w, h), start, stop, mask, slope.astype(np.float16), alone))

    def _groups(self, pixels: np.ndarray) -> list[np.ndarray]:
        """The dense groups among edges of one fate; if there are none, what lies together, if that is most: an outline.

        Groups are indices into the flattened picture.
        """
        width = self._since.shape[1]
        found = [group for cluster in _clusters(pixels, width) for group in self._strokes(cluster)]
        dense = [group for group in found if len(group) >= DENSE * _area(group, width)]
        most = max(WORTH * LEAST_EDGES, MOSTLY * len(pixels))
        if dense or len(pixels) < most:
            return dense
        outlines = [group for group in _clusters(pixels, width, 0.0) if len(group) >= most]
        return [group for group in outlines if len(group) >= THIN * _area(group, width)]

    def _strokes(self, group: np.ndarray) -> list[np.ndarray]:
        """The groups within one that holds edges of the scene as well: the strokes are denser than those, or stronger.

        Groups are indices into the flattened picture.
        """
        height, width = self._since.shape
        area = _area(group, width)
        is_large = area > MOST_SHARE * height * width
        if not is_large and (len(group) >= SPARSE * area or len(group) < WORTH * LEAST_EDGES):
            return [group]
        power = np.hypot(self._last_x.ravel()[group], self._last_y.ravel()[group])
        strong = group[power >= STRONGER * np.median(power)]
        finer = [strokes for cluster in _clusters(strong, width) for strokes in self._strokes(cluster)]
        if is_large:
            return finer
        finer = [g for g in finer if len(g) * area >= DENSER * len(group) * _area(g, width)]
        return finer if sum(map(len, finer)) >= MOSTLY * len(strong) else [group]


def _clusters(pixels: np.ndarray, width: int, crowded: float = CROWD) -> list[np.ndarray]:
    """Groups of at least LEAST_EDGES pixels that lie close together; indices into a flattened picture.

    `crowded`: share of edges close around each.
    """
    if len(pixels) < LEAST_EDGES:
        return []
    y, x = np.divmod(pixels, width)
    join = max(5, round(JOIN * width))
    y, x = y - y.min() + join, x - x.min() + join
    mask = np.zeros((int(y.max()) + join + 1, int(x.max()) + join + 1), np.uint8)
    mask[y, x] = 1
    reach = max(3, round(REACH * width))
    crowd = cv2.boxFilter(mask.astype(np.float32), -1, (reach + 1,) * 2)[y, x] >= crowded
    mask[y[~crowd], x[~crowd]] = 0  # others that happened to share the fate
    pixels, y, x = pixels[crowd], y[crowd], x[crowd]
    _, labels = cv2.connectedComponents(cv2.dilate(mask, np.ones((join, join), np.uint8)), connectivity=8)
    of = labels[y, x]
    return [pixels[of == i] for i in np.flatnonzero(np.bincount(of) >= LEAST_EDGES)]


def _area(pixels: np.ndarray, width: int) -> int:
    """Of the box around pixels, given as indices into a flattened picture."""
    y, x = np.divmod(pixels, width)
    return (int(np.ptp(x)) + 1) * (int(np.ptp(y)) + 1)


def link(stays: list[Stay], span: int) -> list[list[Stay]]:
    """Stays of one look, each group as the appearances of one thing, brought to one size and in order of time.

    Only stays that begin in the same `span` frames are held against each other: of a long clip all would be too many.
    """
    stretches: dict[int, list[Stay]] = {}
    for stay in stays:
        stretches.setdefault(stay.start // span, []).append(stay)
    return [group for stretch in stretches.values() for group in _link(stretch)]


def _link(stays: list[Stay]) -> list[list[Stay]]:
    groups: list[list[Stay]] = []
    for stay in sorted(stays, key=lambda s: -float(s.edges.sum())):
        for group in groups:
            if any(stay.start < other.stop and other.start < stay.stop for other in group):
                continue
            spot = find(group[0], stay)
            if spot is not None:
                x, y = spot
                box = (x, y, *group[0].box[2:])
                group.append(Stay(box, stay.start, stay.stop, group[0].edges, group[0].slope, stay.alone))
                break
        else:
            groups.append([stay])
    for group in groups:
        group.sort(key=lambda s: s.start)
    return groups


def find(model: Stay, stay: Stay) -> tuple[int, int] | None:
    """Where the model's top left lies in the picture if a stay shows the same thing, or a part; None if it does not."""
    (mw, mh), (w, h) = model.box[2:], stay.box[2:]
    if w > mw + SLOP or h > mh + SLOP or w * h < LEAST_PART * mw * mh:
        return None
    mask = stay.edges.astype(np.float32)
    along = power = np.float32(0)
    fields = model.field, stay.field
    for one, other in zip(*fields, strict=True):
        room = cv2.copyMakeBorder(one, SLOP, SLOP, SLOP, SLOP, cv2.BORDER_CONSTANT)
        along = along + cv2.matchTemplate(room, other, cv2.TM_CCORR)
        power = power + cv2.matchTemplate(room * room, mask, cv2.TM_CCORR)
    score = along / np.sqrt(np.maximum(1e-6, power * float((fields[1] ** 2).sum())))
    # a part that fits where the model has little is no fit
    score[power < 0.5 * LEAST_PART * float((fields[0] ** 2).sum())] = 0
    dy, dx = np.unravel_index(int(score.argmax()), score.shape)
    if score[dy, dx] < ALIKE:
        return None
    return stay.box[0] - int(dx) + SLOP, stay.box[1] - int(dy) + SLOP
