"""Finds subtitles and other timed text: lines followed in time at analysis size, their strokes at native size."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from ..boxes import around, corners, joined, meet
from ..job import Box
from ..maps import Unblend
from ..masks import extent
from ..opacity import MOST_TRANSMISSION
from ..planes import Layout, cut, to_levels
from ..strokes import EventLook, Panel, find_strokes
from ..text import read_text
from ..textlines import Line, LineFinder
from ..textpatterns import Corners
from ..textticks import changing
from ..timing import FrameRange
from ..unblend import edge_doubt
from . import Found, FoundEvent, Look, Small
from ._captions import choose, counts, group_lines, is_text, same_style
from ._growth import Growth, changed, covering, popped_up
from ._marked import Marks, Phase, in_phases
from ._plate import beneath

AFTER = 2  # frames after an event in which it is looked at once more
SAME_SHOT = 12.0  # levels: mean difference of two frames of one shot, at most
LEAST_REACH = 0.5  # share of a line's columns in which strokes are seen, of a matte to be trusted
LEAST_TRANSMISSION = 0.12  # of a box behind the text, to be un-blended: below, noise grows too much
SLOW = 6  # frames from which a fade begins and ends below what can be told from noise
WIDE = 6  # times its letters' height, that what is looked at reaches beyond a text's ends
FADES = 3  # frames from which the first ones of a fade show too little of a text to be told by
NUMBER = "0123456789:.,-/ "  # what counts: beneath it there may be a plate that stays when it changes
GROWS = 5  # frames before an event in which its text may grow in


@dataclass
class _Event:
    """Lines that come and go together, and what is gathered of them. Boxes in source px."""

    lines: list[Line]
    boxes: list[Box]
    box: Box  # its window: the lines and what is around them
    range: FrameRange
    place: int = -1  # which proposed box it lies in
    gathered: _Gathered | None = None
    matte: np.ndarray | None = None  # (H, W) uint8 over `box`, cut to what it covers when it is done
    unblend: Unblend | None = None
    growth: Growth | None = None
    phases: list[Phase] = field(default_factory=list)  # where boxes mark its words in turn; over `box`
    text: str = ""
    read: float = 0.0  # how sure the recogniser is
    contrast: float = 0.0

    @property
    def spots(self) -> list[Corners]:
        """The corners of its lines in its window."""
        x, y = self.box[:2]
        return [corners((left - x, top - y, w, h)) for left, top, w, h in self.boxes]

    @property
    def popped(self) -> bool:
        return any(line.pop_in or line.pop_out for line in self.lines)

    @property
    def counts(self) -> bool:
        """Whether nothing but its changing digits tells that it is drawn."""
        return not self.popped and any(counts(line) for line in self.lines)

    @property
    def fade_in(self) -> int:
        return min(int(np.median([line.fade_in + (line.fade_in >= SLOW) for line in self.lines])), len(self.range))

    @property
    def fade_out(self) -> int:
        return min(int(np.median([line.fade_out + (line.fade_out >= SLOW) for line in self.lines])), len(self.range))


@dataclass
class _Gathered:
    """Sums over an event's frames at full strength, in the planes' own integers."""

    total: list[np.ndarray]
    square: np.ndarray  # of the luma
    marks: Marks
    before: list[np.ndarray] | None
    first: list[np.ndarray] | None = None
    last: list[np.ndarray] | None = None
    count: int = 0


class Finder:
    """Subtitles: hard-burnt lines of text that come and go."""

    def __init__(self, layout: Layout, whole: FrameRange, rate: float) -> None:
        self._layout, self._whole, self._rate = layout, whole, rate
        self._lines = LineFinder(rate)
        self._scale = 1.0
        self._events: list[_Event] = []
        self._places: list[Box] = []
        self._recent: list[deque[tuple[int, list[np.ndarray]]]] = []
        self._luma = next((k for k, p in enumerate(layout.colour) if p.role in "YG"), 0)

    def survey(self, small: Small) -> None:
        self._scale = small.scale
        self._lines.feed(small)

    def propose(self, shots: tuple[FrameRange, ...], seen: Look) -> list[Box]:
        self._lines.close()
        lines = choose(self._lines.lines, shots, self._whole)
        del self._lines
        self._events = [self._event(group) for group in group_lines(lines)]
        self._places = joined([event.box for event in self._events], _worth_joining)
        for event in self._events:
            event.place = next(k for k, place in enumerate(self._places) if around(event.box, place) == place)
        self._recent = [deque(maxlen=GROWS) for _ in self._places]
        return self._places

    def _event(self, lines: list[Line]) -> _Event:
        boxes = [_to_source(line.box, self._scale) for line in lines]
        high = max(min(box[2], box[3]) for box in boxes)
        reach = max(12, high)
        x, y, w, h = around(*boxes)
        across = WIDE * reach  # a box behind the text may be much longer than it
        box = self._layout.align((x - across, y - reach, w + 2 * across, h + 2 * reach))
        # a slow fade goes on for a frame more at both ends than can be told from noise
        start = min(line.start - (line.fade_in >= SLOW) for line in lines)
        stop = max(line.stop + (line.fade_out >= SLOW) for line in lines)
        return _Event(lines, boxes, box, FrameRange(max(0, start), stop).meet(self._whole))

    def wants(self, frame: int) -> bool:
        return any(event.range.start - GROWS <= frame <= event.range.stop for event in self._events)

    def measure(self, frame: int, crops: list[list[np.ndarray]]) -> None:
        for event in self._events:
            if event.matte is None and event.range.start <= frame:
                self._gather(event, frame, crops[event.place])
        for recent, crop in zip(self._recent, crops, strict=True):
            recent.append((frame, crop))

    def _gather(self, event: _Event, frame: int, crop: list[np.ndarray]) -> None:
        part = self._cut(event, crop)
        if event.gathered is None:
            before = self._before(event, frame, part)
            luma = part[self._luma].shape
            event.gathered = _Gathered(
                [np.zeros(p.shape, np.float32) for p in part],
                np.zeros(luma, np.float32),
                Marks(event.spots, self._layout, self._picture),
                [p.copy() for p in before] if before else None,
            )
        gathered = event.gathered
        if frame < event.range.stop:
            full = event.range.start + event.fade_in <= frame < event.range.stop - event.fade_out
            if full or (gathered.count == 0 and frame == event.range.stop - event.fade_out - 1):
                for total, plane in zip(gathered.total, part, strict=True):
                    cv2.accumulate(plane, total)
                cv2.accumulateSquare(part[self._luma], gathered.square)
                gathered.marks.add(frame, part)
                gathered.count += 1
                gathered.first = gathered.first or [p.copy() for p in part]
                gathered.last = part
            if frame == self._whole.stop - 1:
                self._settle(event, None)
        else:
            self._settle(event, part)

    def _before(self, event: _Event, frame: int, now: list[np.ndarray]) -> list[np.ndarray] | None:
        """The nearest frame before the event that does not show it: text may grow in over a few frames."""
        recent = [
            self._cut(event, crop) for at, crop in reversed(self._recent[event.place]) if frame - GROWS <= at < frame
        ]
        spot, (x, y, w, h) = event.box[:2], around(*event.boxes)
        box = (x - spot[0], y - spot[1], w, h)
        lumas = [part[self._luma] for part in recent]
        small = popped_up(now[self._luma], lumas, box) if event.fade_in < FADES else []
        if len(small) >= GROWS:
            small = []  # what is like it in all of them is the scene's
        if small:
            event.growth = covering(small, self._layout, spot)
        earlier: list[list[np.ndarray]] = []
        for part in recent[len(small) :]:
            if earlier and _differ(part[self._luma], earlier[-1][self._luma]) > SAME_SHOT:
                break
            earlier.append(part)
        if not earlier or small:
            return earlier[0] if earlier else None
        lumas = lumas[: len(earlier)]
        edges = [self._edges(event, part) for part in earlier]
        clean = 0 if edges[0] <= 1.2 * min(edges) + 1 else int(np.argmin(edges))
        if clean:
            event.growth = changed(lumas[:clean], lumas[clean], event.boxes, self._layout, spot)
        return earlier[clean]

    def _edges(self, event: _Event, crop: list[np.ndarray]) -> float:
        """Mean gradient of the luma where the event's lines are."""
        x, y = event.box[:2]
        luma = crop[self._luma].astype(np.float32)
        parts = [luma[b[1] - y : b[1] - y + b[3], b[0] - x : b[0] - x + b[2]] for b in event.boxes]
        return float(np.mean([np.abs(np.diff(part, axis=1)).mean() for part in parts]))

    def _cut(self, event: _Event, crop: list[np.ndarray]) -> list[np.ndarray]:
        """The event's window out of its place's crop."""
        return cut(crop, self._layout, self._places[event.place], event.box)

    def _settle(self, event: _Event, after: list[np.ndarray] | None) -> None:
        """All of the event was seen: finds its matte and reads it; nothing else of it is kept."""
        gathered = event.gathered
        event.gathered = None
        assert gathered is not None
        if gathered.first is None or gathered.last is None:
            event.matte = np.zeros((event.box[3], event.box[2]), np.uint8)
            return
        mean = [total / gathered.count for total in gathered.total]
        scale = 2.0 ** (8 - self._layout.colour[self._luma].bits)
        spread = gathered.square / gathered.count - mean[self._luma] ** 2
        look = EventLook(
            mean=self._picture(mean),
            spread=np.sqrt(np.maximum(spread, 0)) * np.float32(scale),
            first=self._picture(gathered.first),
            last=self._picture(gathered.last),
            before=self._picture(gathered.before) if gathered.before else None,
            after=self._picture(after) if after else None,
            count=gathered.count,
            lines=event.spots,
            bare=(self._is_bare(event, event.range.start - 1), self._is_bare(event, event.range.stop)),
        )
        strokes = find_strokes(look)
        if strokes.reach < LEAST_REACH and not event.popped:
            event.matte = np.zeros((event.box[3], event.box[2]), np.uint8)
            return
        event.matte = np.rint(strokes.matte * 255).astype(np.uint8)
        if strokes.reach < LEAST_REACH:  # surely text, but its strokes do not show
            for x0, y0, x1, y1 in look.lines:
                event.matte[max(0, y0) : y1, max(0, x0) : x1] = 255
        if event.counts:
            event.matte[changing(look.spread, event.spots)] = 255
        event.contrast = strokes.contrast
        event.text, event.read = self._read(look)
        is_read = is_text(event.text, event.read, event.contrast, event.boxes)
        if not is_read or (event.counts and not any(c.isdigit() for c in event.text)):
            event.matte[:] = 0
            return
        if (
            strokes.panel is None
            and event.text.strip(NUMBER) == ""
            and (plate := beneath(look, event.matte > 0)) is not None
        ):
            event.matte[plate] = 255
        if strokes.panel is not None and strokes.panel.transmission >= LEAST_TRANSMISSION:
            pair = (gathered.last, after) if strokes.panel.late else (gathered.first, gathered.before)
            event.unblend = self._panel_maps(strokes.panel, *pair)
        ends = (gathered.first, gathered.before), (gathered.last, after)
        event.phases = gathered.marks.phases(event.range, event.matte, ends)
        self._tighten(event)

    def _is_bare(self, event: _Event, frame: int) -> bool:
        """Whether no other text is where an event's is, in a frame beside it."""
        others = [other for other in self._events if other is not event and frame in other.range]
        return not any(meet(one, box) for other in others for one in other.boxes for box in event.boxes)

    def _panel_maps(
        self, panel: Panel, inside: list[np.ndarray] | None, outside: list[np.ndarray] | None
    ) -> Unblend | None:
        """How to un-blend the box behind the text; its letters are opaque (transmission 0), its rim is in doubt."""
        if inside is None or outside is None:
            return None
        transmission, contribution, doubt = [], [], []
        x0, y0, x1, y1 = panel.corners
        whole = np.zeros(panel.clear.shape, np.float32)
        whole[y0:y1, x0:x1] = 1
        opacity = np.float32(1 - panel.transmission)
        with_panel, without = (to_levels(list(planes), self._layout) for planes in (inside, outside))
        for one, two in zip(with_panel, without, strict=True):
            size = one.shape[::-1]
            clear, letters, touched, share = (
                cv2.resize(part.astype(np.float32), size, interpolation=cv2.INTER_AREA)
                for part in (panel.clear, panel.letters, cv2.dilate(whole, np.ones((5, 5))), whole)
            )
            rest = one - np.float32(panel.transmission) * two
            offset = float(np.median(rest[clear > 0.99])) if (clear > 0.99).any() else 0.0
            # how much of the rim is the box's is not known: that matters where the picture is not of its colour
            rim = (touched > 0) & (clear <= 0.99)
            through = 1 - share * opacity
            through[rim] = np.minimum(through[rim], max(MOST_TRANSMISSION, panel.transmission))
            through[letters > 0] = 0
            added = offset * (1 - through) / max(opacity, np.float32(1e-3))
            transmission.append(through)
            contribution.append(np.where(letters > 0, np.float32(0), added.astype(np.float32)))
            doubt.append(np.where(rim, np.float32(1), edge_doubt(through)))
        return Unblend(transmission, contribution, doubt)

    def _read(self, look: EventLook) -> tuple[str, float]:
        picture = cv2.cvtColor(np.clip(look.mean[..., [0, 2, 1]], 0, 255).astype(np.uint8), cv2.COLOR_YCrCb2BGR)
        texts, sure = [], []
        for x0, y0, x1, y1 in sorted(look.lines, key=lambda line: (line[1], line[0])):
            part = picture[max(0, y0) : y1, max(0, x0) : x1]
            if min(part.shape[:2]) >= 4:
                text, score = read_text(part)
                texts.append(text)
                sure.append(score)
        return "\n".join(text for text in texts if text), float(np.mean(sure)) if sure else 0.0

    def _picture(self, planes: Sequence[np.ndarray]) -> np.ndarray:
        """Planes as one (h, w, 3) float32 picture in levels: luma and two chroma components."""
        levels = to_levels(list(planes), self._layout)
        height, width = levels[self._luma].shape
        roles = [plane.role for plane in self._layout.colour]
        if "R" in roles:
            red, green, blue = (levels[roles.index(role)] for role in "RGB")
            luma = 0.25 * red + 0.6 * green + 0.15 * blue
            return np.dstack([luma, 128 + 0.6 * (blue - luma), 128 + 0.6 * (red - luma)])
        parts = [levels[0]]
        for plane in levels[1:3]:
            parts.append(plane if plane.shape == (height, width) else cv2.resize(plane, (width, height)))
        while len(parts) < 3:
            parts.append(np.full((height, width), 128, np.float32))
        return np.dstack(parts)

    def _tighten(self, event: _Event) -> None:
        """Cuts an event's box to what its matte covers."""
        assert event.matte is not None
        if not event.matte.any():
            return
        x, y, _, _ = event.box
        covered = np.logical_or.reduce([event.matte > 0, *(phase.boxes for phase in event.phases)])
        box = self._layout.align(extent(covered, (x, y)))
        part = np.s_[box[1] - y : box[1] - y + box[3], box[0] - x : box[0] - x + box[2]]
        event.matte = event.matte[part].copy()
        for phase in event.phases:
            phase.boxes = phase.boxes[part].copy()
        event.unblend = event.unblend and event.unblend.part(self._layout, event.box, box)
        event.box = box

    def finish(self) -> list[Found]:
        events = [event for event in self._events if event.matte is not None and event.matte.any()]
        return [self._overlay(style) for style in _styles(events)]

    def _overlay(self, events: list[_Event]) -> Found:
        """One style's events as one overlay."""
        popped = float(np.mean([event.popped for event in events]))
        read = float(np.mean([event.read for event in events]))
        contrast = float(np.mean([event.contrast for event in events]))
        doubts = [1 - 0.8 * popped, 1 - 0.5 * read, 1 - min(0.5, contrast / 100), 0.7 if len(events) > 1 else 1.0]
        evidence: dict[str, float | str] = {
            "came_or_went": popped,
            "read": read,
            "contrast": contrast,
            "events": float(len(events)),
        }
        if counting := sum(event.counts for event in events):
            evidence["counters"] = float(counting)
        return Found(
            kind="subtitle",
            box=self._layout.align(around(*(event.box for event in events))),
            events=[found for event in events for found in self._found(event)],
            confidence=float(np.clip(1 - 0.5 * np.prod(doubts), 0, 0.99)),
            evidence=evidence,
        )

    def _found(self, event: _Event) -> list[FoundEvent]:
        assert event.matte is not None
        found = []
        growth = event.growth
        if growth is not None and event.range.start >= growth.frames:
            span = FrameRange(event.range.start - growth.frames, event.range.start)
            found.append(FoundEvent(span, text="", box=growth.box, matte=growth.matte.astype(np.float32) / 255))
        matte = event.matte.astype(np.float32) / 255
        whole = FoundEvent(event.range, event.fade_in, event.fade_out, event.text, event.box, matte, event.unblend)
        return found + in_phases(whole, event.phases, self._layout)


def _differ(one: np.ndarray, two: np.ndarray) -> float:
    """Mean difference in levels of 8 bits."""
    return float(cv2.absdiff(one, two).mean()) / (1 if one.dtype == np.uint8 else 4)


def _styles(events: list[_Event]) -> list[list[_Event]]:
    """Events whose lines are of one height and place."""
    groups: list[list[_Event]] = []
    for event in events:
        for group in groups:
            if any(same_style(a, b) for a in event.lines for b in group[0].lines):
                group.append(event)
                break
        else:
            groups.append([event])
    return groups


def _to_source(line: Corners, scale: float) -> Box:
    x0, y0, x1, y1 = (v * scale for v in line)
    return (int(x0), int(y0), int(np.ceil(x1)) - int(x0), int(np.ceil(y1)) - int(y0))


def _worth_joining(a: Box, b: Box) -> bool:
    """Whether boxes share a good part, so that one crop of a frame is better than two."""
    both = around(a, b)
    return both[2] * both[3] <= 1.25 * (a[2] * a[3] + b[2] * b[3]) and meet(a, b)
