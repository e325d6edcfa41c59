"""Frames beyond a window that show what it hides: far off in its shot, or in another shot from the same set-up.

Both kinds are found with the whole picture at a small size. Within a shot the camera's motion is followed from one
sampled frame to the next, which says where in the picture a hidden place lay then; the frames that show most of what
is wanted are registered against the window's own frame directly, so that nothing adds up. Other shots are compared by
one frame each. What a frame has to say for itself near the overlay is tested in completers/plate.py.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from . import planes
from .boxes import around, widened
from .decode import Clip
from .job import Box
from .matte import VISIBLE, Mattes
from .plate import FarFrame
from .register import Picture, register
from .timing import FrameRange

STEP = 12  # frames: one in so many is looked at, counted from the source's first, or fewer
REACH = 480  # frames before and after a window that are looked at: a slow camera passes its overlay in that time
MOST_STEP = 72  # frames: the camera is followed no further at once
MOST_BYTES = 32 << 20  # of crops that are held of a shot; of large regions fewer frames are sampled
MOST_FAR, MOST_SAMPLES = 6, 8_000_000  # frames that are tried for one of a window, and px of them
WANTED = 2  # frames that should show a place, so that one can witness for the other
SMALL_WIDTH = 480  # px: the size of the pictures that are registered
WIDER = 2  # times a region's ring of clean picture, by which more is taken of a far frame
AROUND_PX = 2  # of an overlay, that are not clear of it
SPARSE = 4  # px: grid of the hidden places that are looked for
LEAST_NEW, ABOUT = 0.02, 0.9  # of them, that a further frame shows; of the most, that is about as many
GUARD = 6  # frames around an appearance of an overlay in which some of it may show unknown to the plan
SHOTS_AROUND = 16  # before and after, that are looked at for the same set-up
MOST_SHOTS = 2  # from the same set-up, that are borrowed from
PROBE = 3  # frames after a cut: what a shot is compared by
PROBES = 64  # shots whose frame is held
SAMPLINGS = 8  # shots of which it is held how they are sampled
ALIKE, COARSE = 0.3, (48, 27)  # correlation of two coarse pictures from which they are registered, and their size
SOONER = 60  # frames that are sooner decoded on the way than sought anew


@dataclass
class Sampled:
    """A frame of a shot that is held."""

    picture: Picture
    crops: list[list[np.ndarray]]  # planes over each of the shot's regions
    step: np.ndarray | None = None  # (3, 3) px of the small picture: from the sampled frame before; None: not found
    is_followed: bool = False  # it was looked for


class ShotPlates:
    """Finds such frames for one clip, window after window; what is held is bounded whatever the clip's length.

    Any thread may ask.
    """

    def __init__(self, clip: Clip, mattes: Mattes, shots: Sequence[FrameRange], ring: int) -> None:
        """`ring`: px of clean picture that a window's regions hold around an overlay."""
        self._clip, self._mattes, self._shots, self._ring = clip, mattes, tuple(shots), ring
        layout = clip.info.layout
        self._small = layout.width / min(SMALL_WIDTH, layout.width)
        self.held: dict[int, Sampled] = {}  # by frame, rising, all of one shot
        self._shot: FrameRange | None = None
        self._step, self._regions = STEP, list[Box]()
        self._samplings: OrderedDict[FrameRange, tuple[int, list[Box]]] = OrderedDict()
        self._lock = threading.Lock()
        self._frames: Iterator[Any] = iter(())
        self._first = self._next = 0  # from where to where they were sampled
        self._probes: OrderedDict[int, Picture] = OrderedDict()  # by number of the shot
        self._fetched: OrderedDict[tuple[int, Box], tuple[Picture, list[np.ndarray]]] = OrderedDict()  # of other shots

    def find(self, span: FrameRange, box: Box, frame: int, wanted: np.ndarray) -> list[FarFrame]:
        """Frames that show what is wanted, (H, W) bool, of a window's region in one of its frames.

        `span`: the frames that the window holds itself. What is found does not depend on what was asked before; in
        the order of the windows it is found with least work.
        """
        number = next((n for n, shot in enumerate(self._shots) if frame in shot), None)
        if number is None or not wanted.any():
            return []
        y, x = np.nonzero(wanted[::SPARSE, ::SPARSE])
        spots = np.stack([x, y], 1) * float(SPARSE)
        with self._lock:
            return [*self._along(number, span, box, frame, spots), *self._again(number, span, box, frame, spots)]

    def step(self, frame: int) -> int:
        """What numbers of frames, of the shot that `frame` is of, are to be multiples of to be asked for."""
        with self._lock:
            shot = next((shot for shot in self._shots if frame in shot), None)
            return STEP if shot is None else self._sampling(shot)[0]

    def _sampling(self, shot: FrameRange) -> tuple[int, list[Box]]:
        """The step of a shot, and the regions of which crops are held."""
        if shot not in self._samplings:
            regions = self._mattes.regions(shot, (1 + WIDER) * self._ring)
            layout = self._clip.info.layout
            samples = sum(h * w for box in regions for h, w in layout.shapes(box))
            size = samples * (1 if layout.colour[0].bits <= 8 else 2)
            step = STEP * max(1, int(np.ceil(size * min(len(shot), 3 * REACH) / STEP / MOST_BYTES)))
            self._samplings[shot] = step, regions
            while len(self._samplings) > SAMPLINGS:
                self._samplings.popitem(last=False)
        return self._samplings[shot]

    def _along(self, number: int, span: FrameRange, box: Box, frame: int, spots: np.ndarray) -> list[FarFrame]:
        """Frames of the same shot."""
        shot = self._shots[number]
        reach = span.grown(REACH, shot)
        if reach == span or self._sampling(shot)[0] > MOST_STEP:
            return []
        self._read(shot, reach)
        here, wide = self.held.get(frame), self._wide(box)
        region = next((k for k, other in enumerate(self._regions) if around(other, wide) == other), None)
        if here is None or region is None:
            return []
        ways = {f: way for f, way in self._ways(frame).items() if f in reach and f not in span}
        out = []
        for f in self._best(ways, box, spots):
            way = register(here.picture, self.held[f].picture, ways[f])
            if way is not None:
                crop = planes.cut(self.held[f].crops[region], self._clip.info.layout, self._regions[region], wide)
                out.append(FarFrame(f, crop, self._hidden(f, wide), self._between(way, box, wide)))
        return out

    def _read(self, shot: FrameRange, reach: FrameRange) -> None:
        """Has the sampled frames of `reach` held, and no others before it."""
        if shot != self._shot:
            self._shot, self.held, self._first, self._next = shot, {}, 0, -SOONER - 1
            self._step, self._regions = self._sampling(shot)
        if reach.start < self._first or self._next < reach.start - SOONER:
            self.held.clear()
            self._next = reach.start
            self._frames = self._clip.frames(FrameRange(reach.start, shot.stop))
        self._first = reach.start
        for old in [f for f in self.held if f < reach.start]:
            del self.held[old]
        while self._next < reach.stop:
            frame = next(self._frames)
            self._next = frame.index + 1
            if frame.index % self._step == 0:
                crops = [planes.crop(frame.samples, self._clip.info.layout, box) for box in self._regions]
                self.held[frame.index] = Sampled(self._picture(frame), crops)

    def _ways(self, frame: int) -> dict[int, np.ndarray]:
        """(3, 3) from the small picture of a held frame to that of each other one to which the camera was followed."""
        frames = sorted(self.held)
        at = frames.index(frame)
        out = {frame: np.eye(3)}
        for order, back in ((range(at + 1, len(frames)), 1), (range(at - 1, -1, -1), -1)):
            for k in order:
                later = frames[k] if back > 0 else frames[k + 1]
                earlier = frames[k - 1] if back > 0 else frames[k]
                if later - earlier != self._step:
                    break
                sampled = self.held[later]
                if not sampled.is_followed:
                    sampled.step = register(self.held[earlier].picture, sampled.picture)
                    sampled.is_followed = True
                if sampled.step is None:
                    break
                step = sampled.step if back > 0 else np.linalg.inv(sampled.step)
                out[frames[k]] = step @ out[frames[k - back]]
        return out

    def _again(self, number: int, span: FrameRange, box: Box, frame: int, spots: np.ndarray) -> list[FarFrame]:
        """Frames of other shots from the same set-up."""
        near = [n for n in range(number - SHOTS_AROUND, number + SHOTS_AROUND + 1) if 0 <= n < len(self._shots)]
        near = sorted((n for n in near if n != number), key=lambda n: abs(n - number))
        if not near:
            return []
        if frame not in self.held:
            self._read(self._shots[number], FrameRange(span.start, frame + 1))
        if frame not in self.held:
            return []
        here = self.held[frame].picture
        out: list[FarFrame] = []
        shots = 0
        for n in near:
            probe = self._probe(n)
            if _alike(here, probe) < ALIKE or (way := register(here, probe)) is None:
                continue
            shot = self._shots[n]
            ways = {f: way for f in range(-(-shot.start // STEP) * STEP, min(shot.stop, shot.start + REACH), STEP)}
            found = self._fetch(self._best(ways, box, spots), here, way, box)
            out += found
            shots += bool(found)
            if shots == MOST_SHOTS:
                break
        return out

    def _fetch(self, frames: list[int], here: Picture, way: np.ndarray, box: Box) -> list[FarFrame]:
        """Those of some frames of another shot that show the same place as `here`; `way`: roughly, to all of them."""
        out: list[FarFrame] = []
        wide = self._wide(box)
        absent = [f for f in frames if (f, wide) not in self._fetched]
        if absent:
            for frame in self._clip.frames(FrameRange(min(absent), max(absent) + 1)):
                if frame.index in absent:
                    crop = planes.crop(frame.samples, self._clip.info.layout, wide)
                    self._fetched[frame.index, wide] = self._picture(frame), crop
        for f in frames:
            picture, crop = self._fetched[f, wide]
            direct = register(here, picture, way)
            if direct is not None:
                out.append(FarFrame(f, crop, self._hidden(f, wide), self._between(direct, box, wide)))
        while len(self._fetched) > MOST_SHOTS * MOST_FAR:
            self._fetched.popitem(last=False)
        return out

    def _probe(self, number: int) -> Picture:
        if number not in self._probes:
            shot = self._shots[number]
            frame = min(shot.start + PROBE, shot.stop - 1)
            self._probes[number] = self._picture(next(self._clip.frames(FrameRange(frame, frame + 1))))
            while len(self._probes) > PROBES:
                self._probes.popitem(last=False)
        self._probes.move_to_end(number)
        return self._probes[number]

    def _best(self, ways: dict[int, np.ndarray], box: Box, spots: np.ndarray) -> list[int]:
        """Frames that show the most of the wanted spots, (N, 2) px of the region, WANTED times each."""
        shown: dict[int, np.ndarray] = {}
        wide = self._wide(box)
        for f, way in ways.items():
            x, y = np.rint(through(self._between(way, box, wide), spots)).T
            inside = (x >= 2) & (y >= 2) & (x < wide[2] - 2) & (y < wide[3] - 2)
            if inside.any():
                hidden = self._hidden(f, wide)
                inside[inside] = ~hidden[y[inside].astype(int), x[inside].astype(int)]
                shown[f] = inside
        chosen: list[int] = []
        times = np.zeros(len(spots))
        most = min(MOST_FAR, MOST_SAMPLES // (wide[2] * wide[3]))
        while len(chosen) < most and shown:
            gains = {f: (seen & (times < WANTED)).mean() for f, seen in shown.items()}
            best = max(gains.values())
            if best < LEAST_NEW:
                break
            # Far from each other in time, so that who stands still in one does not witness for himself.
            near = [f for f, gain in gains.items() if gain >= ABOUT * best]
            f = max(near, key=lambda f: min((abs(f - other) for other in chosen), default=0))
            times += shown.pop(f)
            chosen.append(f)
        return chosen

    def _hidden(self, frame: int, box: Box) -> np.ndarray:
        """(H, W) bool: what overlays may cover, in a frame and those around it, and what the codec spread of it."""
        out = np.zeros(box[:1:-1], bool)
        for near in (frame - GUARD, frame, frame + GUARD):
            matte = self._mattes.at(max(0, near), box).matte
            if matte is not None:
                out |= matte > VISIBLE
        return cv2.dilate(out.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0

    def _picture(self, frame: Any) -> Picture:
        luma, _ = planes.small(frame.samples, self._clip.info.layout, SMALL_WIDTH)
        covered = np.zeros(luma.shape, np.uint8)
        h, w = luma.shape
        for box in self._mattes.regions(FrameRange(frame.index, frame.index + 1), AROUND_PX):
            matte = self._mattes.at(frame.index, box).matte
            if matte is not None:
                places = (np.argwhere(matte > VISIBLE) + np.array([box[1], box[0]])) / self._small
                y, x = np.minimum(places, (h - 1, w - 1)).astype(int).T
                covered[y, x] = 1
        clear = cv2.dilate(covered, np.ones((2 * AROUND_PX + 1,) * 2, np.uint8)) == 0
        return Picture(luma, clear)

    def _wide(self, box: Box) -> Box:
        """What is taken of a far frame for a region: the camera may have carried what it hides beyond its box."""
        return self._clip.info.layout.align(widened(box, WIDER * self._ring))

    def _between(self, way: np.ndarray, box: Box, other: Box) -> np.ndarray:
        """A homography of small pictures as one from px of a box to px of another."""
        s = 1 / self._small

        def small(corner: Box) -> np.ndarray:
            x, y = corner[:2]
            return np.array([[s, 0, (x + 0.5) * s - 0.5], [0, s, (y + 0.5) * s - 0.5], [0, 0, 1]])

        return np.linalg.inv(small(other)) @ way @ small(box)


def through(way: np.ndarray, spots: np.ndarray) -> np.ndarray:
    """Points (N, 2) px taken through a homography (3, 3)."""
    moved = spots @ way[:, :2].T + way[:, 2]
    return moved[:, :2] / moved[:, 2:]


def _alike(one: Picture, other: Picture) -> float:
    """Correlation of two pictures at a coarse size where both are clear."""
    lumas = [cv2.resize(p.luma, COARSE, interpolation=cv2.INTER_AREA).astype(np.float32) for p in (one, other)]
    both = [cv2.resize(p.clear.astype(np.float32), COARSE, interpolation=cv2.INTER_AREA) > 0.9 for p in (one, other)]
    clear = both[0] & both[1]
    if clear.sum() < clear.size // 4:
        return 0.0
    a, b = (luma[clear] - luma[clear].mean() for luma in lumas)
    return float((a * b).sum() / max(1e-6, np.sqrt((a * a).sum() * (b * b).sum())))
