"""Of the finds of what comes, goes and moves: pieces of others are dropped, and what belongs together is joined."""

from __future__ import annotations

import cv2
import numpy as np

from ..job import Box
from . import Found, FoundEvent, appears

LEAST_STEP = 4.0  # px that something goes
LOOKS, SPOTS = 5, 300  # frames, and px of a find, in which it is told whether that lies on another
ROUND = 9  # px: as wide a window around what is covered belongs to it
MOST_OF, COVERED = 0.5, 0.6  # of a find's time and px, that lie on another one of which it is a piece


def without_pieces(found: list[Found]) -> list[Found]:
    """Without what is but a part of something that wobbles, where this was all but at rest for a while."""
    whole = sorted((f for f in found if f.evidence.get("sways") == 1.0), key=lambda f: -_extent(f))
    dropped: list[int] = []
    for find in whole:
        for other in found:
            if other is find or id(find) in dropped or id(other) in dropped or _extent(other) > _extent(find):
                continue
            other.events = [event for event in other.events if not _lies_on(other, event, find)]
            dropped += [] if other.events else [id(other)]
    return [find for find in found if id(find) not in dropped]


def _extent(find: Found) -> float:
    """Px times frames."""
    return sum(len(event.range) * _covered(find, event).size for event in find.events)


def _covered(find: Found, event: FoundEvent) -> np.ndarray:
    """(N,) complex: the px that it covers, from the middle of its box."""
    matte, (_, _, w, h) = event.matte if event.matte is not None else find.matte, event.box or find.box
    rows, columns = np.nonzero(np.ones((h, w)) if matte is None else matte > 0.5)
    return columns + 0.5 - w / 2 + 1j * (rows + 0.5 - h / 2)


def _lies_on(find: Found, event: FoundEvent, other: Found) -> bool:
    """Whether an event is there for the most part where and while something else is there as well."""
    frames = np.array([t for t in event.range if any(t in e.range for e in other.events)])
    spots = _covered(find, event)
    if len(frames) < MOST_OF * len(event.range) or not len(spots) or other.matte is None:
        return False
    near = cv2.dilate((other.matte > 0.5).astype(np.uint8), np.ones((ROUND, ROUND), np.uint8)) > 0
    h, w = near.shape
    inside = []
    for t in frames[:: max(1, len(frames) // LOOKS)]:
        turn, middle = _pose(find, event.box or find.box, t)
        its_turn, its = _pose(other, other.box, t)
        at = (turn * spots[:: max(1, len(spots) // SPOTS)] + middle - its) / its_turn
        x, y = (np.floor(part + size / 2).astype(int) for part, size in ((at.real, w), (at.imag, h)))
        within = (x >= 0) & (y >= 0) & (x < w) & (y < h)
        inside.append((within & near[np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)]).mean())
    return bool(np.mean(inside) >= COVERED)


def _pose(find: Found, box: Box, frame: int) -> tuple[complex, complex]:
    """Size and turn of a find in a frame, and where the middle of its box is; source px."""
    middle = complex(box[0] + box[2] / 2, box[1] + box[3] / 2)
    if not find.trajectory:
        return 1 + 0j, middle
    keys = np.array([[*key, 1.0, 0.0][:5] for key in find.trajectory])
    dx, dy, size, turn = (float(np.interp(frame, keys[:, 0], keys[:, k])) for k in range(1, 5))
    return complex(size * np.exp(1j * np.radians(turn))), middle + complex(dx, dy)


def goes_along(find: Found, band: Found) -> bool:
    """Whether something that travels is but a part of what passes through a lane."""
    if not find.trajectory:
        return False
    gone = np.ptp([key[1:3] for key in band.trajectory], axis=0) if band.trajectory else band.box[2:]
    axis = int(gone[1] > gone[0])
    way = np.ptp([key[1:3] for key in find.trajectory], axis=0)
    low, high = find.box[1 - axis], find.box[1 - axis] + find.box[3 - axis]
    inside = min(high, band.box[1 - axis] + band.box[3 - axis]) - max(low, band.box[1 - axis])
    return bool(way[axis] > LEAST_STEP and way[axis] > 5 * way[1 - axis] and inside > 0.5 * (high - low))


def join_styles(found: list[Found]) -> list[Found]:
    """Things that show one after the other in one place and size, such as words, become events of one overlay."""
    out: list[Found] = []
    for find in sorted(found, key=lambda f: f.events[0].range.start):
        model = next((o for o in out if _is_next(o, find)), None)
        if model is None:
            out.append(find)
            continue
        if model.matte is not None:
            _own(model)
        _own(find)
        model.events += find.events
        keys = {key[0]: key for key in (*model.trajectory, *find.trajectory)}
        model.trajectory = tuple(keys[t] for t in sorted(keys))
        x0, y0 = min(model.box[0], find.box[0]), min(model.box[1], find.box[1])
        x1 = max(model.box[0] + model.box[2], find.box[0] + find.box[2])
        y1 = max(model.box[1] + model.box[3], find.box[1] + find.box[3])
        model.box = (x0, y0, x1 - x0, y1 - y0)
        model.confidence = max(model.confidence, find.confidence)
    return out


def _own(find: Found) -> None:
    """Gives the events of a find their maps."""
    for event in find.events:
        if event.matte is None:
            event.matte, event.unblend = find.matte, find.unblend
        event.box = find.box
    find.matte = find.unblend = None
    if not find.trajectory:
        ends = (find.events[0].range.start, find.events[-1].range.stop - 1)
        find.trajectory = tuple((float(t), 0.0, 0.0, 1.0, 0.0) for t in sorted(set(ends)))


def _is_next(model: Found, find: Found) -> bool:
    if appears(find) > 1 or (model.matte is not None and appears(model) > 1):
        return False
    last = max(model.events, key=lambda e: e.range.stop)
    if find.events[0].range.start < last.range.stop:
        return False
    one, other = last.box or model.box, find.box
    high = max(one[3], other[3])
    level = abs(one[1] + one[3] / 2 - other[1] - other[3] / 2) < 0.35 * high and min(one[3], other[3]) > 0.6 * high
    return level and (abs(one[0] + one[2] / 2 - other[0] - other[2] / 2) < high or abs(one[0] - other[0]) < high)
