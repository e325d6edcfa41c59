"""Points that travel together, unlike the scene: corners followed in time, grouped by the way that they go.

A mark that drifts moves as one: all of its corners go the very same way, to a fraction of a pixel, for as long as it
is there. Where it turns or grows as well they follow one similarity, z -> a z + b of complex numbers x + i y, in which
clockwise turns are positive. Corners of the scene follow the camera; things in it turn away, bend and change.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from ..job import Box
from ..register import followed, sought
from ._ways import between, smooth

MOST_POINTS = 350
APART = 5.0  # px between points
PATCH = 9  # px: corners are followed by so much around them
WINDOW, LEAST_WINDOW = 10, 4  # looks over which ways are compared; at the end of the clip
LEFT = 0.4  # of the points, of which fewer are left from one look to the next where the scene changes
SAME_WAY = 0.3  # px by which the ways of two corners of one mark differ (root mean square)
NEAR = 0.08  # of the picture's width: corners of one mark are not further apart
LEAST_POINTS, LEAST_TURNED = 6, 9  # of a group; of one that turns or grows, which fits more by chance
FEW, FEW_WINDOWS, FEW_WAY = 3, 2, 0.25  # as many points times looks: of a group seen for more windows, more alike
TURNED_WAY, ASTRAY = 0.9, 0.06  # px, and share of their arc, by which corners that turn stray as their patches change
LEAST_TURN, LEAST_GROWTH = 0.05, 0.04  # radians and share within a window, from which a group turns or grows
TRIES = 12  # points around which a group that turns or grows is looked for
CELL, IN_CELL = 40, 2  # px, and corners in so much of the picture, that tell the way of the scene
LEAST_OWN = 0.25  # px a look by which a mark's way differs from that of the scene around it
LOST = 0.7  # px by which a corner is missed when it is followed back
FAR, OWN_FAR = 24, 4.0  # px that a corner goes from look to look at most; unlike the scene, to be missed for that
PAD, PAD_SHARE = 10, 0.5  # px, and of its size, around a group's points: not all of a mark has corners


@dataclass
class Travel:
    """A group of points on its way, in px of the analysis picture."""

    box: Box  # around the points in the first frame
    start: int  # first frame
    stop: int  # one past the last
    path: np.ndarray  # (stop - start, 2) float32: how far the middle of its box has gone since `start`
    support: int  # points that went this way; of a line of text, frames in which it was found: how sure it is
    poses: np.ndarray | None = None  # (stop - start, 2) float32: size, 1 at `start` or as usual, and turn, degrees
    own: np.ndarray | None = None  # (h, w) float32 over the box, 0..1: how surely each px is its own; None: not known
    is_exact: bool = False  # followed by its picture in every frame, not by its corners in some
    is_plain: bool = False  # followed by a few corners only, which proves little


@dataclass(eq=False)
class _Group:
    """Points of one window that go the same way."""

    looks: list[int]
    turn: np.ndarray  # (n,) complex: a of the group, in each look, from its first
    way: np.ndarray  # (n,) complex: b
    ids: set[int]
    spots: np.ndarray  # (k,) complex: the points as they were in its first look
    most: int  # points in one window

    def follows(self, before: _Group) -> bool:
        """Whether it is what another group was; a few corners that turn, and did not before, prove nothing."""
        few = min(self.most, before.most) < LEAST_POINTS
        return (
            before.looks[-1] == self.looks[0]
            and len(before.ids & self.ids) >= FEW
            and not (few and self.stands != before.stands)
        )

    @property
    def stands(self) -> bool:
        """Whether it neither turns nor grows."""
        return bool((self.turn == 1).all())


class TrackFinder:
    """Gets looks at the picture in order; its memory is the points of a window, and what it found."""

    def __init__(self) -> None:
        self.travels: list[Travel] = []
        self._frames: list[int] = []
        self._last: np.ndarray | None = None
        self._spots = np.zeros((0, 2), np.float32)
        self._ids = np.zeros(0, np.int64)
        self._next = 0
        self._trails: list[tuple[np.ndarray, np.ndarray]] = []  # of each look since the window's first: ids, spots
        self._open: list[_Group] = []

    def add(self, frame: int, luma: np.ndarray) -> None:
        now = len(self._frames)
        self._frames.append(frame)
        if self._last is not None and len(self._spots):
            before = len(self._spots)
            self._follow(luma)
            if len(self._spots) < LEFT * before:
                self._part(now)
        self._last = luma
        self._trails.append((self._ids, self._spots))
        if len(self._trails) == WINDOW:
            self._compare(now - WINDOW + 1)
            self._trails = self._trails[-1:]  # the next window begins with this look
        if len(self._trails) == 1:  # within a window new corners could not be compared
            self._refill(luma)
            self._trails = [(self._ids, self._spots)]

    def close(self) -> None:
        """No more looks: what still travels ends here."""
        self._part(len(self._frames))
        for group in self._open:
            self._finish(group)
        self._open = []

    def _part(self, now: int) -> None:
        """Ends the window before a look."""
        if len(self._trails) >= LEAST_WINDOW:
            self._compare(now - len(self._trails))
        self._trails = []

    def _follow(self, luma: np.ndarray) -> None:
        assert self._last is not None
        ahead, good = followed(self._last, luma, self._spots, patch=PATCH, lost=LOST)
        for expected in (self._straight_on, self._anywhere):
            lost, first = expected(np.flatnonzero(~good), luma)
            if len(lost):
                ahead[lost], good[lost] = followed(
                    self._last, luma, self._spots[lost], patch=PATCH, lost=LOST, first=first, levels=0
                )
        h, w = luma.shape
        good &= (ahead > 2).all(1) & (ahead[:, 0] < w - 3) & (ahead[:, 1] < h - 3)
        self._spots, self._ids = ahead[good], self._ids[good]

    def _straight_on(self, lost: np.ndarray, luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of corners that were lost those that have come from somewhere, and where they are if they go on so."""
        if len(self._trails) < 2:
            return lost[:0], self._spots[:0]
        return lost, self._spots[lost] + self._steps()[lost]

    def _anywhere(self, lost: np.ndarray, luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of corners that were lost those that may go their own way, and where the picture is most like them."""
        assert self._last is not None
        if len(self._trails) >= 2:
            steps = self._steps()
            lost = lost[np.abs(steps[lost] - np.median(steps, axis=0)).max(1) > OWN_FAR]
        return lost, sought(self._last, luma, self._spots[lost], patch=PATCH, reach=FAR)

    def _steps(self) -> np.ndarray:
        """(n, 2) px: how far each corner has come since the look before."""
        ids, before = self._trails[-2]
        return self._spots - before[np.searchsorted(ids, self._ids)]

    def _refill(self, luma: np.ndarray) -> None:
        """New corners where none is followed."""
        free = np.full(luma.shape, 255, np.uint8)
        for x, y in self._spots.astype(int):
            cv2.circle(free, (int(x), int(y)), int(APART), 0, -1)
        most = MOST_POINTS - len(self._spots)
        if most <= 0:
            return
        fresh = cv2.goodFeaturesToTrack(luma, most, 0.02, APART, mask=free, blockSize=3)
        if fresh is None:
            return
        fresh = fresh.reshape(-1, 2)
        self._spots = np.concatenate([self._spots, fresh]).astype(np.float32)
        self._ids = np.concatenate([self._ids, np.arange(self._next, self._next + len(fresh))])
        self._next += len(fresh)

    def _compare(self, first: int) -> None:
        """Groups the points that were followed through the whole window by their ways."""
        ids = self._trails[-1][0]
        for other, _ in self._trails:
            ids = ids[np.isin(ids, other)]
        if len(ids) < LEAST_POINTS:
            self._go_on([])
            return
        spots = np.stack([s[np.searchsorted(i, ids)] for i, s in self._trails])  # (looks, k, 2)
        ways = spots - spots[:1]
        scene = _scene_way(spots[0], self._trails)
        own_way = np.sqrt(((ways - scene) ** 2).sum(2).mean(0)) / len(ways) * 2
        odd = np.flatnonzero(own_way > LEAST_OWN)
        reach = NEAR * (self._last.shape[1] if self._last is not None else 1)
        members = _straight(ways, spots[0], odd, LEAST_POINTS, SAME_WAY, reach)
        left = np.setdiff1d(odd, np.concatenate([odd[:0], *members]))
        turning = _turning(_complex(spots), left, reach)  # which may take in by chance the few corners of a mark
        members += _straight(ways, spots[0], left, FEW, FEW_WAY, reach)
        straight = ((chosen, _complex(np.median(ways[:, chosen], 1))) for chosen in members)
        looks = list(range(first, first + len(ways)))
        groups = [
            _Group(looks, turn, way, set(ids[chosen].tolist()), _complex(spots[0, chosen]), len(chosen))
            for chosen, turn, way in [(chosen, np.ones_like(way), way) for chosen, way in straight] + turning
        ]
        self._go_on(groups)

    def _go_on(self, groups: list[_Group]) -> None:
        """Ties the groups of this window to those of the last, which share points with them."""
        still = []
        for group in groups:
            same = [one for one in self._open if group.follows(one)]
            before = max(same, key=lambda one: len(one.ids & group.ids), default=None)
            if before is not None:
                self._open.remove(before)
                a, b = before.turn[-1], before.way[-1]
                spots = np.concatenate([before.spots, (group.spots - b) / a])
                looks = before.looks + group.looks[1:]
                turn = np.concatenate([before.turn, group.turn[1:] * a])
                way = np.concatenate([before.way, group.turn[1:] * b + group.way[1:]])
                group = _Group(looks, turn, way, group.ids, spots[-1000:], max(before.most, group.most))
            still.append(group)
        for group in self._open:
            self._finish(group)
        self._open = still

    def _finish(self, group: _Group) -> None:
        if group.most < LEAST_POINTS and len(group.looks) <= FEW_WINDOWS * (WINDOW - 1):
            return
        frames = np.array([self._frames[i] for i in group.looks])
        every = np.arange(frames[0], frames[-1] + 1)
        spots = np.stack([group.spots.real, group.spots.imag], 1)
        low, high = np.quantile(spots, 0.02, axis=0), np.quantile(spots, 0.98, axis=0)
        pad = PAD + PAD_SHARE * (high - low)
        (x0, y0), (x1, y1) = np.floor(low - pad).astype(int).tolist(), np.ceil(high + pad).astype(int).tolist()
        middle = (x0 + x1) / 2 + (y0 + y1) / 2 * 1j
        way = group.turn * middle + group.way - middle
        path = np.stack([between(every, frames, part) for part in (way.real, way.imag)], 1)
        sizes, turns = np.abs(group.turn), np.degrees(np.unwrap(np.angle(group.turn)))
        poses = np.stack([np.interp(every, frames, part) for part in (sizes, turns)], 1)
        stands = np.ptp(sizes) == 0 and np.ptp(turns) == 0
        self.travels.append(
            Travel(
                (x0, y0, x1 - x0, y1 - y0),
                int(frames[0]),
                int(frames[-1]) + 1,
                smooth(path).astype(np.float32),
                len(group.ids),
                None if stands else poses.astype(np.float32),
                _hull(spots - [x0, y0], (x1 - x0, y1 - y0)),
                is_plain=group.most < LEAST_POINTS,
            )
        )


def _hull(spots: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) float32: 1 around and between points (n, 2) px, over a box of `size` (w, h)."""
    out = np.zeros(size[::-1], np.float32)
    cv2.fillConvexPoly(out, cv2.convexHull(np.rint(spots).astype(np.int32)), 1.0)
    return cv2.dilate(out, np.ones((2 * PAD + 1,) * 2, np.uint8))


def prolonged(travel: Travel, other: Travel) -> Travel:
    """A travel that goes on, before and after, as another one does that shows the same thing."""
    start, stop = min(travel.start, other.start), max(travel.stop, other.stop)
    (turn, middle), (its_turn, its) = motion(travel), motion(other)
    turns, way = np.zeros(stop - start, complex), np.zeros(stop - start, complex)
    turns[travel.start - start : travel.stop - start], way[travel.start - start : travel.stop - start] = turn, middle
    for t in (*range(travel.start - 1, start - 1, -1), *range(travel.stop, stop)):
        edge = travel.start if t < travel.start else travel.stop - 1
        grown = its_turn[t - other.start] / its_turn[edge - other.start]
        turns[t - start] = grown * turn[edge - travel.start]
        way[t - start] = grown * (middle[edge - travel.start] - its[edge - other.start]) + its[t - other.start]
    first = turns[0]
    sizes, angles = np.abs(turns / first), np.degrees(np.unwrap(np.angle(turns / first)))
    path = np.stack([(way - way[0]).real, (way - way[0]).imag], 1).astype(np.float32)
    moved = way[0] - middle[0]
    box = (travel.box[0] + round(moved.real), travel.box[1] + round(moved.imag), *travel.box[2:])
    return Travel(box, start, stop, path, travel.support, np.stack([sizes, angles], 1).astype(np.float32), travel.own)


def motion(travel: Travel) -> tuple[np.ndarray, np.ndarray]:
    """(n,) complex each: how a travel is turned and grown in each frame, and where the middle of its box is."""
    x, y, w, h = travel.box
    middle = x + w / 2 + travel.path[:, 0] + 1j * (y + h / 2 + travel.path[:, 1])
    if travel.poses is None:
        return np.ones(len(middle), complex), middle
    return travel.poses[:, 0] * np.exp(1j * np.radians(travel.poses[:, 1])), middle


def _straight(
    ways: np.ndarray, spots: np.ndarray, left: np.ndarray, least: int, apart: float, reach: float
) -> list[np.ndarray]:
    """Groups of at least so many of the points `left` that go one way, to within `apart` px, and lie together.

    `ways`: (looks, k, 2) px; `spots`: (k, 2) px, where they are in the first look.
    """
    out = []
    while len(left) >= least:
        off = np.sqrt(((ways[:, left, None] - ways[:, None, left]) ** 2).sum(3).mean(0))
        gap = np.abs(spots[left, None] - spots[None, left]).max(2)
        alike = (off < apart) & (gap < 3 * reach)
        best = int(alike.sum(1).argmax())
        members = left[alike[best]]
        if len(members) < least:
            break
        chosen = members[_joined(spots[members], reach, members == left[best])]
        out += [chosen] if len(chosen) >= least else []
        left = np.setdiff1d(left, chosen if len(chosen) >= least else members)
    return out


def _turning(spots: np.ndarray, left: np.ndarray, reach: float) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Groups among the points `left` that turn or grow as one: the points, and a and b of each look.

    `spots`: (looks, k) complex px.
    """
    out = []
    while len(left) >= LEAST_TURNED:
        best: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        for seed in left[:: max(1, len(left) // TRIES)]:
            chosen = left[np.abs(spots[0, left] - spots[0, seed]) < 2 * reach]
            for slack in (4, 2, 1, 1):  # all around it first, then those that go along
                if len(chosen) < LEAST_TURNED:
                    break
                a, b = similarity(spots[:, chosen])
                middle = spots[0, chosen].mean()
                off = np.sqrt((np.abs(a[:, None] * spots[:1, left] + b[:, None] - spots[:, left]) ** 2).mean(0))
                arc = np.abs(a - 1).max() * np.abs(spots[0, left] - middle)
                chosen = left[
                    (off < slack * (TURNED_WAY + ASTRAY * arc)) & (np.abs(spots[0, left] - middle) < 4 * reach)
                ]
            if len(chosen) < LEAST_TURNED or (best is not None and len(chosen) <= len(best[0])):
                continue
            if np.abs(np.abs(a) - 1).max() > LEAST_GROWTH or np.abs(np.angle(a)).max() > LEAST_TURN:
                best = chosen, a, b
        if best is None:
            break
        out.append(best)
        left = np.setdiff1d(left, best[0])
    return out


def similarity(spots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a and b, (looks,) complex, of the similarities from the first look of some points to each; robust."""
    weight = np.ones(spots.shape[1])
    for _ in range(5):
        mean = (spots * weight).sum(1) / weight.sum()
        rest = spots - mean[:, None]
        a = (weight * rest * rest[0].conj()).sum(1) / max((weight * np.abs(rest[0]) ** 2).sum(), 1e-6)
        b = mean - a * mean[0]
        off = (np.abs(a[:, None] * spots[:1] + b[:, None] - spots) ** 2).mean(0)
        weight = 1 / (1 + off / max(0.05, float(np.median(off))))
    return a, b


def _complex(spots: np.ndarray) -> np.ndarray:
    return spots[..., 0] + 1j * spots[..., 1]


def _scene_way(spots: np.ndarray, trails: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """(looks, k, 2): how far points, (k, 2) px, would have gone with the scene from the first look on.

    From each look to the next by all corners that were followed there, of which few last as a camera pans.
    """
    way = [spots.astype(float)]
    for (ids, before), (its, after) in pairwise(trails):
        _, one, other = np.intersect1d(ids, its, assume_unique=True, return_indices=True)
        some = _spread(before[one])
        way.append(_terms(way[-1]) @ _affine(before[one[some]], after[other[some]]))
    return np.stack(way) - spots


def _affine(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(3, 2): the affine motion that most points (n, 2) follow, of [x, y, 1]."""
    terms = _terms(before)
    off = after - before - np.median(after - before, axis=0)
    for _ in range(6):
        error = (off**2).mean(1)
        weight = (1 / (1 + error / max(0.01, float(np.median(error)))))[:, None]
        scaled = terms * weight
        move = np.linalg.solve(scaled.T @ terms + 1e-6 * np.eye(3), scaled.T @ after)
        off = terms @ move - after
    return move


def _spread(spots: np.ndarray) -> np.ndarray:
    """Indices of points (n, 2) px of which a few lie in any place: a mark may have more corners than a calm scene."""
    cells = (spots // CELL).astype(int) @ [1, 10_000]
    order = np.argsort(cells, kind="stable")
    first = np.searchsorted(cells[order], cells[order])  # of its cell, in that order
    return order[np.arange(len(order)) - first < IN_CELL]


def _terms(spots: np.ndarray) -> np.ndarray:
    return np.concatenate([spots, np.ones((len(spots), 1))], 1).astype(float)


def _joined(spots: np.ndarray, reach: float, taken: np.ndarray) -> np.ndarray:
    """(k,) bool: the points that hang together with those `taken` over gaps of at most `reach` px."""
    near = np.abs(spots[:, None] - spots[None]).max(2) <= reach
    while True:
        more = taken | near[taken].any(0)
        if (more == taken).all():
            return more
        taken = more
