"""The box that marks the spoken word of a line: it jumps from word to word, so an event shows it now here, now there.

A jump is told from what moves in the scene by how sudden it is, and by that little else changes with it. Between two
jumps a box came with the first, went with the second, stays as it is, and fills its rectangle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..maps import Unblend
from ..masks import disc, extent, grown, subsampled
from ..planes import Layout, to_levels
from ..textpatterns import Corners
from ..timing import FrameRange
from . import FoundEvent
from ._cover import SKIRT_PX

BLOCK = 0.25  # of a line's height: side of the blocks whose means are watched
SUDDEN, USUAL, FADING = 10.0, 2.0, 0.9  # levels, and times the largest of late, by which a block jumps; a frame
LEAST = 0.5  # of a line's squared height: area that jumps, and that a box has
MOST_AWAY = 0.2  # share of the blocks away from the lines that jump as well; in a cut or a flash they do
HELD = 3  # frames between two jumps, at least; else they are one, in which a box slides on
FEWEST, MARKED = 2, 0.5  # phases with a box, and share of them all: of what happens in the scene there is but one
MOST = 60  # jumps of an event; in what flickers there are more
REACH = 0.75  # of a line's height, by which a box is larger
CHANGED = 10.0  # levels of change that count, and up to which a box stays as it is
JOIN = 0.25  # of a line's height: gaps that letters leave in a box
BEHIND = 0.6  # of a line's height, that a box takes
FILLS = 0.75  # share of the rectangle that a box is

Planes = list[np.ndarray]
End = tuple[Planes, Planes | None]  # a frame, and the one beyond it, which does not show the same


@dataclass
class Phase:
    """Frames of an event, and the boxes that they show beside its strokes."""

    range: FrameRange
    boxes: np.ndarray  # (h, w) bool over the event's window


@dataclass
class _Jump:
    start: int  # first frame that is not as before
    stop: int  # first one that is as after
    before: Planes
    after: Planes


class Marks:
    """Watches the window of one event while its text is there in full."""

    def __init__(self, lines: Sequence[Corners], layout: Layout, picture: Callable[[Planes], np.ndarray]) -> None:
        """`lines`: in the window; `picture`: gives planes as (h, w, 3) float32 levels."""
        self._lines, self._layout, self._picture = lines, layout, picture
        self._high = max(6, int(np.median([min(x1 - x0, y1 - y0) for x0, y0, x1, y1 in lines])))
        self._jumps: list[_Jump] = []
        self._last: Planes = []
        self._means = self._usual = np.zeros((0, 0, 0), np.float32)
        self._count = 0

    def add(self, frame: int, part: Planes) -> None:
        """`part`: the planes of the window, native integers."""
        means, area = self._blocks(part)
        if self._count:
            change = np.abs(means - self._means).max(0)
            sudden = change > SUDDEN + USUAL * self._usual if self._count > 1 else np.zeros(change.shape, bool)
            near = cv2.resize(self._near(part[0].shape).astype(np.float32), change.shape[::-1]) > 0.5
            is_calm = near.all() or sudden[~near].mean() <= MOST_AWAY
            if is_calm and sudden[near].sum() * area >= LEAST * self._high**2:
                self._jump(frame, part)
            else:
                self._usual = np.maximum(change, FADING * self._usual) if self._count > 1 else change
        self._means, self._last = means, part
        self._count += 1

    def _jump(self, frame: int, part: Planes) -> None:
        after = [plane.copy() for plane in part]
        if self._jumps and frame - self._jumps[-1].stop < HELD:
            self._jumps[-1].stop, self._jumps[-1].after = frame, after
        elif len(self._jumps) <= MOST:
            self._jumps.append(_Jump(frame, frame, [plane.copy() for plane in self._last], after))

    def _blocks(self, part: Planes) -> tuple[np.ndarray, float]:
        """(planes, rows, columns) float32 levels: the means of the blocks; and the px of each."""
        height, width = part[0].shape
        side = max(4.0, BLOCK * self._high)
        grid = max(1, round(width / side)), max(1, round(height / side))
        means = [cv2.resize(plane, grid, interpolation=cv2.INTER_AREA) for plane in part]
        return np.stack(to_levels(means, self._layout)), width * height / (grid[0] * grid[1])

    def _near(self, shape: tuple[int, ...]) -> np.ndarray:
        """(h, w) bool: where a box may be."""
        out, more = np.zeros(shape, bool), round(REACH * self._high)
        for x0, y0, x1, y1 in self._lines:
            out[max(0, y0 - more) : y1 + more, max(0, x0 - more) : x1 + more] = True
        return out

    def phases(self, whole: FrameRange, matte: np.ndarray, ends: tuple[End, End]) -> list[Phase]:
        """The phases of an event, in order; none where no box marks its words.

        `matte`: (h, w) uint8, of its strokes; `ends`: its own first and last.
        """
        if not 0 < len(self._jumps) <= MOST:
            return []
        jumps = self._jumps
        first = [ends[0], *((jump.after, jump.before) for jump in jumps)]
        last = [*((jump.before, jump.after) for jump in jumps), ends[1]]
        inner = range(1, len(jumps))
        boxes = {k: self._boxes(first[k], last[k], matte > 0) for k in inner}
        for k, other in ((0, 1), (len(jumps), len(jumps) - 1)):
            boxes[k] = self._boxes(first[k], last[k], matte > 0, boxes.get(other))
        marked = sum(bool(box.any()) for box in boxes.values())
        if marked < max(FEWEST, MARKED * len(boxes)):
            return []
        starts, stops = [whole.start, *(j.stop for j in jumps)], [*(j.start for j in jumps), whole.stop]
        out = []
        for k, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            out.append(Phase(FrameRange(start, stop), boxes[k]))
            if k < len(jumps) and jumps[k].start < jumps[k].stop:
                between = _rectangle(boxes[k] | boxes[k + 1], np.zeros(matte.shape, bool))
                out.append(Phase(FrameRange(jumps[k].start, jumps[k].stop), between))
        return out

    def _boxes(self, first: End, last: End, strokes: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        """(h, w) bool: the boxes that came with a phase's first frame and went with its last.

        `other`: those of the phase beside it; of one end that is not seen nothing else tells whose a box is.
        """
        near = self._near(strokes.shape)
        out = np.zeros(strokes.shape, bool)
        one, two = self._picture(first[0]), self._picture(last[0])
        moves = [here - self._picture(end[1]) for here, end in ((one, first), (two, last)) if end[1] is not None]
        if not moves or (len(moves) == 1 and other is None):
            return out
        sizes = [cv2.blur(np.abs(move).max(2), (3, 3)) for move in moves]
        rest = 0.0 if near.all() else max(float(np.median(size[~near])) for size in sizes)
        came = np.minimum.reduce(sizes) - rest >= CHANGED
        if len(moves) == 2:
            came &= (moves[0] * moves[1]).sum(2) > 0
        elif other is not None:
            came &= ~other
        came &= near & (cv2.blur(np.abs(one - two).max(2), (3, 3)) < CHANGED + rest)
        came = cv2.morphologyEx(came.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
        joined = cv2.morphologyEx(came.astype(np.uint8), cv2.MORPH_CLOSE, disc(round(JOIN * self._high)))
        count, labels = cv2.connectedComponents(joined)
        for i in range(1, count):
            box = _rectangle((labels == i) & came, strokes)
            more = box & ~strokes
            if self._is_behind(box) and more.any() and came[more].mean() >= FILLS:
                out |= box
        return grown(out, SKIRT_PX) if out.any() else out

    def _is_behind(self, box: np.ndarray) -> bool:
        """Whether a rectangle (h, w) bool is large enough for a word, and lies behind a line."""
        if box.sum() < LEAST * self._high**2:
            return False
        _, y, _, h = extent(box)
        return any(min(y + h, y1) - max(y, y0) >= BEHIND * (y1 - y0) for _, y0, _, y1 in self._lines)


def in_phases(event: FoundEvent, phases: list[Phase], layout: Layout) -> list[FoundEvent]:
    """An event, cut where the boxes change that mark its words; these are opaque."""
    out = []
    for phase in phases:
        maps = event.unblend
        if maps is not None and phase.boxes.any():
            under = [subsampled(phase.boxes, plane.shift) for plane in layout.colour]
            hidden = [np.where(of, np.float32(0), a) for of, a in zip(under, maps.transmission, strict=True)]
            added = [np.where(of, np.float32(0), b) for of, b in zip(under, maps.contribution, strict=True)]
            maps = Unblend(hidden, added, maps.doubt)
        strokes = phase.boxes if event.matte is None else event.matte
        matte = np.maximum(strokes, phase.boxes).astype(np.float32)
        fade_in = event.fade_in if phase is phases[0] else 0
        fade_out = event.fade_out if phase is phases[-1] else 0
        out.append(FoundEvent(phase.range, fade_in, fade_out, event.text, event.box, matte, maps))
    return out or [event]


def _rectangle(mask: np.ndarray, strokes: np.ndarray) -> np.ndarray:
    """(h, w) bool: the rectangle around a mask, from the first row and column on whose px it mostly holds.

    `strokes`: what lies upon it; where they are nothing is told.
    """
    out = np.zeros(mask.shape, bool)
    if not mask.any():
        return out
    x, y, w, h = extent(mask)
    part, free = mask[y : y + h, x : x + w], ~strokes[y : y + h, x : x + w]
    rows, columns = (np.flatnonzero(part.any(k) & (part.sum(k) >= 0.5 * free.sum(k))) for k in (1, 0))
    if len(rows) and len(columns):
        out[y + rows[0] : y + rows[-1] + 1, x + columns[0] : x + columns[-1] + 1] = True
    return out
