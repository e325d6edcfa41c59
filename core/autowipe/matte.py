"""The plan's overlays as mattes and un-blend maps of any box in any frame, and the regions to work on."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from .areas import AreaMask
from .boxes import joined, meet
from .job import Box
from .maps import CODED_NOISE, NOISE, Unblend, read_matte, read_unblend
from .masks import subsampled, supersampled
from .plan import Event, Overlay
from .planes import Layout
from .timing import FrameRange

VISIBLE = 0.02  # matte from which a sample belongs to an overlay; below is rounding of its 8-bit file
RINGING = 3.0  # px around what is covered
MOST_HELD = 4 << 20  # bytes of maps as read, and as drawn: a subtitle's are wanted for its seconds only


class Pose(NamedTuple):
    """Where a template is, relative to its box, and how large and how far turned, about its middle."""

    dx: float  # px
    dy: float
    scale: float  # 1 is as in its maps
    turn: float  # degrees, clockwise


STILL = Pose(0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class Cover:
    """What lies over one box in one frame."""

    matte: np.ndarray | None  # (H, W) float32 0..1; None where nothing is visible
    unblend: Unblend | None  # over the box, transmission 1 away from overlays; None where all is opaque
    is_fading: bool  # an overlay is coming or going, so `unblend` does not hold


NOTHING = Cover(None, None, False)


_Maps = tuple[np.ndarray, Unblend | None]  # the matte, (H, W) float32 0..1; None where all is opaque


class _Held:
    """The maps that were wanted last, as many as fit, and the very last ones always."""

    def __init__(self) -> None:
        self._all: OrderedDict[Any, _Maps] = OrderedDict()
        self._bytes = 0

    def get(self, key: Any, make: Callable[[], _Maps]) -> _Maps:
        if key not in self._all:
            self._all[key] = made = make()
            self._bytes += _size(*made)
            while self._bytes > MOST_HELD and len(self._all) > 1:
                self._bytes -= _size(*self._all.popitem(last=False)[1])
        self._all.move_to_end(key)
        return self._all[key]


def _size(matte: np.ndarray, maps: Unblend | None) -> int:
    arrays = [] if maps is None else [*maps.transmission, *maps.contribution, *(maps.doubt or ())]
    return sum(array.nbytes for array in (matte, *arrays))


class Mattes:
    """Draws the mattes of a plan's active overlays, for the frames of one clip. Any thread may ask."""

    def __init__(self, overlays: tuple[Overlay, ...], folder: Path, layout: Layout, hold_outs: AreaMask) -> None:
        """`folder`: where the plan's map files are. Raises JobError when one of them does not fit."""
        self._layout, self._folder, self._hold_outs = layout, folder, hold_outs
        self._items = [(overlay, event) for overlay in overlays for event in overlay.events]
        self._loaded, self._drawn = _Held(), _Held()
        self._drawing = threading.Lock()

    def check(self) -> None:
        """Reads every map once, so that a wrong one is told before any work."""
        for item in range(len(self._items)):
            self._maps(item)

    def visible(self, frames: FrameRange) -> list[int]:
        """Numbers of the events that show in a range."""
        return [i for i, (_, event) in enumerate(self._items) if len(event.range.meet(frames))]

    def regions(self, core: FrameRange, ring: int) -> list[Box]:
        """Boxes, apart from each other, around everything visible in `core` and `ring` px of clean picture."""
        boxes = []
        for i in self.visible(core):
            x, y, w, h = self._places(i, core)
            x0, y0 = max(0, x - ring), max(0, y - ring)
            x1, y1 = min(self._layout.width, x + w + ring), min(self._layout.height, y + h + ring)
            if x0 < x1 and y0 < y1:  # it may have moved out of the picture
                boxes.append((x0, y0, x1 - x0, y1 - y0))
        return [self._layout.align(box) for box in sorted(joined(boxes, meet), key=lambda b: (b[1], b[0]))]

    def at(self, frame: int, box: Box) -> Cover:
        """What lies over an aligned box in a frame, hold-outs taken out."""
        here = []
        is_fading = moves = False
        for i in self.visible(FrameRange(frame, frame + 1)):
            overlay, event = self._items[i]
            pose = pose_at(overlay, frame)
            if meet(bounds(self._box(i), pose), box):
                here.append((i, pose))
                is_fading |= frame < event.range.start + event.fade_in or frame >= event.range.stop - event.fade_out
                moves |= all(pose_at(overlay, near) != pose for near in (frame - 1, frame + 1))
        if not here:
            return NOTHING
        key = (box, tuple(here), moves)
        with self._drawing:
            matte, maps = self._drawn.get(key, lambda: self._draw(*key))
            if not self._hold_outs.is_empty:
                x, y, w, h = box
                matte = np.where(self._hold_outs.at(frame)[y : y + h, x : x + w], np.float32(0), matte)
        if not (matte > VISIBLE).any():
            return NOTHING
        return Cover(matte, maps, is_fading)

    def place(self, overlay: Overlay, event: Event, frame: int) -> Box:
        """The px box of an overlay's event in one frame, cut to the picture."""
        x, y, w, h = bounds(event.box or overlay.box, pose_at(overlay, frame))
        x0, y0 = max(0, x), max(0, y)
        x1, y1 = min(self._layout.width, x + w), min(self._layout.height, y + h)
        return (x0, y0, max(0, x1 - x0), max(0, y1 - y0))

    def _box(self, item: int) -> Box:
        overlay, event = self._items[item]
        return event.box or overlay.box

    def _places(self, item: int, core: FrameRange) -> Box:
        """Union of an event's places over the frames of `core`."""
        overlay, event = self._items[item]
        own = self._box(item)
        if not overlay.trajectory:
            return own
        places = [bounds(own, pose_at(overlay, t)) for t in event.range.meet(core)]
        left, top = min(p[0] for p in places), min(p[1] for p in places)
        right, bottom = max(p[0] + p[2] for p in places), max(p[1] + p[3] for p in places)
        return (left, top, right - left, bottom - top)

    def _maps(self, item: int) -> _Maps:
        return self._loaded.get(item, lambda: self._load(item))

    def _load(self, item: int) -> _Maps:
        overlay, event = self._items[item]
        box = self._box(item)
        own = event.matte is not None or event.box is not None
        matte_file = event.matte if own else overlay.matte
        unblend_file = event.unblend or (None if own else overlay.unblend)
        matte = read_matte(self._folder / matte_file, box) if matte_file else np.ones((box[3], box[2]), np.float32)
        return matte, read_unblend(self._folder / unblend_file, self._layout.shapes(box)) if unblend_file else None

    def _draw(self, box: Box, here: Sequence[tuple[int, Pose]], moves: bool) -> _Maps:
        matte = np.zeros((box[3], box[2]), np.float32)
        loaded = [(self._box(i), pose, *self._maps(i)) for i, pose in here]
        maps = None
        if any(item[3] is not None for item in loaded):
            shapes = self._layout.shapes(box)
            zeros = [np.zeros(s, np.float32) for s in shapes]
            doubt, noise = [part.copy() for part in zeros], CODED_NOISE if moves else NOISE
            maps = Unblend([np.ones(s, np.float32) for s in shapes], zeros, doubt, noise)
        for own, pose, part, unblend in loaded:
            moved = _paste(part, _onto(own, pose, box), matte.shape, 0.0)
            if pose.scale < 1:  # the codec's ringing, which the matte takes in, does not shrink with the overlay
                reach = int(np.ceil(RINGING * (1 - pose.scale)))
                moved = cv2.dilate(moved, np.ones((2 * reach + 1,) * 2, np.uint8))
            np.maximum(matte, moved, out=matte)
            if maps is not None:
                self._draw_maps(maps, box, own, pose, moved, unblend)
        return matte, maps

    def _draw_maps(
        self, maps: Unblend, box: Box, own: Box, pose: Pose, matte: np.ndarray, unblend: Unblend | None
    ) -> None:
        """Puts one more overlay over those that `maps` holds: J = a2 (a1 I + b1) + b2."""
        planes = list(zip(self._layout.colour, self._over(box, own, pose, matte, unblend), strict=True))
        hidden = np.zeros(matte.shape, bool)
        for plane, (_, _, _, away) in planes:  # a sample of chroma may be hidden of which no luma is
            hidden |= supersampled(away & ~subsampled(hidden, plane.shift), plane.shift, hidden.shape)
        for k, (plane, (over, add, doubt, _)) in enumerate(planes):
            away = subsampled(hidden, plane.shift)
            over, add = np.where(away, np.float32(0), over), np.where(away, np.float32(0), add)
            assert maps.doubt is not None
            maps.doubt[k] = maps.doubt[k] * over
            if doubt is not None:
                maps.doubt[k] = np.hypot(maps.doubt[k], doubt * maps.transmission[k])
            maps.contribution[k] = maps.contribution[k] * over + add
            maps.transmission[k] = maps.transmission[k] * over

    def _over(
        self, box: Box, own: Box, pose: Pose, matte: np.ndarray, unblend: Unblend | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]]:
        """Of each plane over `box` an overlay's transmission, contribution and doubt, and where it is hidden."""
        for k, plane in enumerate(self._layout.colour):
            if unblend is None:
                away = subsampled(matte > VISIBLE, plane.shift)
                yield 1 - away.astype(np.float32), np.zeros(away.shape, np.float32), None, away
                continue
            own_part, part = self._layout.plane_box(own, plane), self._layout.plane_box(box, plane)
            shift = Pose(pose.dx / (1 << plane.shift_x), pose.dy / (1 << plane.shift_y), pose.scale, pose.turn)
            move, shape = _onto(own_part, shift, part), part[:1:-1]
            over = _paste(unblend.transmission[k], move, shape, 1.0)
            add = _paste(unblend.contribution[k], move, shape, 0.0)
            # between a hidden sample and another nothing is known: what the two would mix to is of neither
            away = _paste((unblend.transmission[k] <= 0).astype(np.float32), move, shape, 0.0) > 0
            doubt = None if unblend.doubt is None else _paste(unblend.doubt[k], move, shape, 0.0)
            yield over, add, doubt, away


def pose_at(overlay: Overlay, frame: int) -> Pose:
    """Where an overlay's template is in a frame, how large, and how far turned."""
    return pose_of(overlay.trajectory, frame)


def pose_of(keys: tuple[tuple[float, ...], ...], frame: int) -> Pose:
    """The same by the keys of a trajectory."""
    if not keys:
        return STILL
    frames = [key[0] for key in keys]
    whole = [key if len(key) == 5 else (*key, 1.0, 0.0) for key in keys]
    return Pose(*(float(np.interp(frame, frames, [key[i] for key in whole])) for i in range(1, 5)))


def _onto(own: tuple[int, ...], pose: Pose, box: tuple[int, ...]) -> np.ndarray:
    """(2, 3) matrix from the px of a template over `own` to the px of `box`."""
    cx, cy = (own[2] - 1) / 2, (own[3] - 1) / 2
    move = cv2.getRotationMatrix2D((cx, cy), -pose.turn, pose.scale)
    move[:, 2] += own[0] - box[0] + pose.dx, own[1] - box[1] + pose.dy
    return move


def bounds(own: Box, pose: Pose) -> Box:
    """The px that a template over `own` reaches, some of which may lie outside the picture."""
    x, y, w, h = own
    if pose.scale == 1 and not pose.turn:
        left, top = int(np.floor(x + pose.dx)), int(np.floor(y + pose.dy))
        return (left, top, int(np.ceil(x + pose.dx + w)) - left, int(np.ceil(y + pose.dy + h)) - top)
    corners = np.array([[-0.5, -0.5, 1], [w - 0.5, -0.5, 1], [-0.5, h - 0.5, 1], [w - 0.5, h - 0.5, 1]])
    spots = corners @ _onto(own, pose, (0, 0)).T
    (left, top), (right, bottom) = np.floor(spots.min(0)).astype(int) - 1, np.ceil(spots.max(0)).astype(int) + 2
    return (int(left), int(top), int(right - left), int(bottom - top))


def _paste(part: np.ndarray, move: np.ndarray, shape: tuple[int, ...], away: float) -> np.ndarray:
    """`part` moved by the (2, 3) matrix into an array of `shape`, `away` elsewhere; between samples linear."""
    x, y = move[:, 2]
    if not np.array_equal(move[:, :2], np.eye(2)) or x != int(x) or y != int(y):
        how = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_CONSTANT, "borderValue": away}
        return np.asarray(cv2.warpAffine(part, move, shape[1::-1], **how))
    out = np.full(shape, away, np.float32)
    x, y = int(x), int(y)
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(shape[1], x + part.shape[1]), min(shape[0], y + part.shape[0])
    if x1 > x0 and y1 > y0:
        out[y0:y1, x0:x1] = part[y0 - y : y1 - y, x0 - x : x1 - x]
    return out
