"""Panels that an overlay stands on and that come and go with it: the banner of a lower third, whatever its colours.

A finder sees text, or what changed as that came: where a banner was wiped or slid in before, only a part of it. The
sides of a panel are straight edges around the overlay that are there all the while, and are not there without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from . import planes
from .boxes import around, common, corners, widened
from .decode import Clip, Frame
from .job import Box
from .maps import read_matte, write_matte
from .masks import extent
from .plan import Event, Overlay, Plan
from .planes import Layout
from .timing import FrameRange

FRAMES_AN_EVENT = 60  # of the plan's range: so many frames have to be decoded to look at one
HOPELESS = 3  # events of an overlay without a panel, after which the others are not looked at
AWAY_S, LEAST_AWAY = 0.8, 3  # s, and frames, from an end to a frame without the overlay: what slides takes half of it
INSIDE_S = (0.4, 0.65)  # s from an end, of frames that are compared with one without it
LEAST_LONG_S = 0.8  # of an event
MISSED = 3  # a side may be unseen in one of so many more frames: before a scene of the panel's colour
ACROSS, DOWN = 2.0, 0.6  # of the overlay's height, to which a panel may reach beyond it
WITHIN = 0.25  # of its width and height, that its matte may reach beyond the panel
STEP, NEW = 8.0, 0.5  # levels across a side; share of that, that is there without the overlay at most
RUN, OF_LENGTH = 0.4, 0.3  # of the overlay's height, and of its width at most: letters have no edges so long
SIDE, OF_MOST = 0.55, 0.8  # share of a side that is seen, and of what is seen of the best one
CHANGED, MOSTLY = 8, 0.7  # levels, and share of a panel that changes by so many as it comes or goes
WITHIN_PX, UNEVEN = 2, 0.3  # px from its upper and lower side, and share of the lines there that is uneven: letters .5
LEAST_PX = 8  # of a panel
SKIRT_PX = 2  # of the codec's ringing around it
KNOWN = 0.9  # share of a panel, from which it is covered already
LARGER = 0.1  # share of one that is not, beyond the box around what is covered
REACHES = 9  # px, in a run, of both sides that show a part of a panel; and gaps in one
FILLED = 0.5  # share of such a run without its gaps
SHADE = 12.0  # levels by which a panel's colours differ from those that it has in its place
GAP = 1  # frames in which that is not seen
MORE = 2  # frames further out, in which the part is too short to be told


@dataclass(frozen=True)
class _Looks:
    """An event in its window: some of its frames, those around its ends, and one beyond each that is without it."""

    window: Box
    inside: list[np.ndarray]  # (H, W, 3) float32 levels
    outside: list[np.ndarray]
    beside: list[Box]  # in the window, that other overlays take all the while
    arrival: dict[int, np.ndarray]  # by frame, before it: (H, W, 3) uint8
    departure: dict[int, np.ndarray]


def backed(plan: Plan, folder: Path, maps: str, clip: Clip) -> Plan:
    """The plan with the panels of its overlays in their mattes, and with the frames in which these come and go.

    `folder`: where the plan's maps are, and new ones go, under names that begin with `maps`.
    """
    events = [
        (overlay, k)
        for overlay in plan.active()
        if not overlay.trajectory and overlay.kind != "watermark"
        for k, event in enumerate(overlay.events)
        if len(event.range) >= LEAST_LONG_S * float(clip.info.rate)
    ]
    events.sort(key=lambda one: -len(one[0].events[one[1]].range))
    failed: dict[str, int] = {}
    changed: dict[str, dict[int, list[Event]]] = {}
    for overlay, k in events[: max(2, len(plan.range) // FRAMES_AN_EVENT)]:
        if failed.get(overlay.id, 0) >= HOPELESS:
            continue
        new = _with_panel(overlay, k, plan, folder, f"{maps}{overlay.id}.{k + 1}.panel", clip)
        if new is None:
            failed[overlay.id] = failed.get(overlay.id, 0) + 1
        else:
            failed[overlay.id] = -len(overlay.events)
            changed.setdefault(overlay.id, {})[k] = new
    return replace(plan, overlays=tuple(_put(o, changed.get(o.id, {})) for o in plan.overlays))


def _put(overlay: Overlay, changed: dict[int, list[Event]]) -> Overlay:
    if not changed:
        return overlay
    events = tuple(new for k, event in enumerate(overlay.events) for new in changed.get(k, [event]))
    own = [event.box or overlay.box for event in events]
    is_shared = any(event.box is None for event in events)
    return replace(overlay, events=events, box=overlay.box if is_shared else around(*own))


def _with_panel(overlay: Overlay, k: int, plan: Plan, folder: Path, name: str, clip: Clip) -> list[Event] | None:
    """An event with its panel, and events before and after it in which that comes and goes; None without a panel."""
    event, layout = overlay.events[k], clip.info.layout
    box = event.box or overlay.box
    file = event.matte if event.matte is not None or event.box is not None else overlay.matte
    matte = read_matte(folder / file, box) if file else np.ones((box[3], box[2]), np.float32)
    looks = _look(overlay, k, box, plan, clip) if (matte > 0.5).any() else None
    if looks is None:
        return None
    x, y = looks.window[:2]
    core = extent(matte > 0.5, (box[0] - x, box[1] - y))
    room = (layout.width - x, layout.height - y)
    panel = find_panel(looks.inside, looks.outside, core, room, (x, y), looks.beside)
    if panel is None:
        return None
    out = [event]
    unblend = event.unblend or (overlay.unblend if event.box is None and event.matte is None else None)
    whole = (panel[0] + x, panel[1] + y, panel[2], panel[3])
    if not (is_known := _is_known(box, matte, whole)) and _beyond(panel, core) < LARGER:
        return None  # as letters with an outline have edges above and below them
    if unblend is None and not is_known:
        wide = layout.align(around(box, widened(whole, SKIRT_PX)))
        new = np.zeros((wide[3], wide[2]), np.float32)
        left, top = box[0] - wide[0], box[1] - wide[1]
        new[top : top + box[3], left : left + box[2]] = matte
        x0, y0, x1, y1 = corners(widened(whole, SKIRT_PX))
        new[max(0, y0 - wide[1]) : y1 - wide[1], max(0, x0 - wide[0]) : x1 - wide[0]] = 1
        write_matte(folder / f"{name}.matte.png", new)
        out = [replace(event, box=wide, matte=f"{name}.matte.png")]
    for frames, way in ((looks.arrival, -1), (looks.departure, 1)):
        part = _passing(frames, way, looks.outside[0 if way < 0 else -1], looks.inside, panel) if frames else None
        if part is not None:
            span, (px, py, w, h) = part
            passing = Event(span, box=layout.align(widened((px + x, py + y, w, h), SKIRT_PX)), text=event.text)
            out = [passing, *out] if way < 0 else [*out, passing]
    return out


def _is_known(box: Box, matte: np.ndarray, panel: Box) -> bool:
    """Whether a matte (H, W) float32 over `box` covers a panel already."""
    part = common(box, panel)
    if part is None:
        return False
    x0, y0, x1, y1 = corners(part)
    covered = matte[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]] > 0.5
    return bool(covered.sum() >= KNOWN * panel[2] * panel[3])


def _beyond(panel: Box, core: Box) -> float:
    """Share of a panel that lies beyond the box of what is known of its overlay."""
    part = common(panel, core)
    return 1.0 if part is None else 1 - part[2] * part[3] / (panel[2] * panel[3])


def _look(overlay: Overlay, k: int, box: Box, plan: Plan, clip: Clip) -> _Looks | None:
    """None where no frame beyond an end tells what is there without the overlay."""
    span, layout = overlay.events[k].range, clip.info.layout
    shots = [shot for shot in plan.shots if len(shot.meet(span))]
    low = max([shots[0].start if shots else plan.range.start, *_stops(overlay, span)])
    high = min([shots[-1].stop if shots else plan.range.stop, *_starts(overlay, span)])
    away, *inner = (round(s * float(clip.info.rate)) for s in (AWAY_S, *INSIDE_S))
    inner = [min(k, len(span) // 2) for k in inner]
    before, after = max(low, span.start - away), min(high, span.stop + away) - 1
    more = round(DOWN * box[3]) + 12
    top, bottom = max(0, box[1] - more), min(layout.height, box[1] + box[3] + more)
    window = layout.align((0, top, layout.width, bottom - top))

    def seen(frames: FrameRange) -> dict[int, np.ndarray]:
        return {frame.index: _picture(frame, layout, window) for frame in clip.frames(frames)}

    inside: list[np.ndarray] = []
    outside: list[np.ndarray] = []
    arrival: dict[int, np.ndarray] = {}
    departure: dict[int, np.ndarray] = {}
    head = seen(FrameRange(before, span.start + inner[-1] + 1)) if span.start - before >= LEAST_AWAY else None
    tail = seen(FrameRange(span.stop - inner[-1] - 1, after + 1)) if after - span.stop >= LEAST_AWAY else None
    for frames, edge, way, clean in ((head, span.start, 1, before), (tail, span.stop - 1, -1, after)):
        if frames is not None:
            inside += [frames[edge + way * k].astype(np.float32) for k in inner]
            outside.append(frames[clean].astype(np.float32))
            kept = arrival if way > 0 else departure
            kept.update({t: part for t, part in frames.items() if t not in span and t != clean})
    others = [other for other in plan.active() if other.id != overlay.id and not other.trajectory]
    boxes = [e.box or o.box for o in others for e in o.events if len(e.range.meet(span)) == len(span)]
    beside = [(bx - window[0], by - window[1], bw, bh) for bx, by, bw, bh in boxes if common((bx, by, bw, bh), window)]
    return _Looks(window, inside, outside, beside, arrival, departure) if outside else None


def _stops(overlay: Overlay, span: FrameRange) -> list[int]:
    return [e.range.stop for e in overlay.events if e.range.stop <= span.start]


def _starts(overlay: Overlay, span: FrameRange) -> list[int]:
    return [e.range.start for e in overlay.events if e.range.start >= span.stop]


def _picture(frame: Frame, layout: Layout, box: Box) -> np.ndarray:
    own = replace(layout, width=box[2], height=box[3])
    luma, chroma = planes.small(planes.crop(frame.views, layout, box), own, box[2])
    return cv2.merge([luma, *cv2.split(chroma)])


def find_panel(
    inside: Sequence[np.ndarray],
    outside: Sequence[np.ndarray],
    core: Box,
    room: tuple[int, int],
    corner: tuple[int, int],
    beside: Sequence[Box] = (),
) -> Box | None:
    """The rectangle that an overlay stands on; None where none is seen.

    `inside`, `outside`: (H, W, 3) float32, of frames with it and without; `core`: what of it is known, in these;
    `room`: how far the picture reaches, and `corner`: where in it these begin; `beside`: what other overlays take, so
    that nothing tells where it ends there.
    """
    rows, columns = (_new_steps(inside, outside, axis) for axis in (0, 1))
    other = np.zeros(rows.shape, bool)
    for x0, y0, x1, y1 in map(corners, beside):
        other[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = True
    rows[other] = columns[other] = 1
    (x, y), (wide, high) = core[:2], core[2:]
    run = np.ones((1, max(3, round(min(RUN * high, OF_LENGTH * wide)))), np.uint8)
    rows = cv2.morphologyEx(cv2.morphologyEx(rows, cv2.MORPH_CLOSE, run[:, :3]), cv2.MORPH_OPEN, run)

    def sides(new: np.ndarray, at: int, size: int, reach: float, ends: tuple[int, int]) -> tuple[int, int] | None:
        one = _side(new, at, -1, reach, WITHIN * size, ends[0])
        other = _side(new, at + size, 1, reach, WITHIN * size, ends[1])
        return None if one is None or other is None or other - one < LEAST_PX else (max(0, one), other)

    across: tuple[int, int] | None = (max(0, x), x + wide)
    down = None
    for _ in range(2):  # the upper and lower sides are told better once it is known how long they are
        down = across and sides(rows[:, slice(*across)], y, high, DOWN * high, (-corner[1], room[1]))
        across = down and sides(columns[slice(*down)].T, x, wide, ACROSS * high, (-corner[0], room[0]))
    if across is None or down is None:
        return None
    within = np.mean(inside, axis=0)[slice(*down), slice(*across)]
    if max(_uneven(within[k]) for k in (WITHIN_PX, -1 - WITHIN_PX)) > UNEVEN:
        return None
    part = np.s_[slice(*down), slice(*across)]
    changes = (np.abs(inside[end] - outside[end])[part].max(2)[~other[part]] >= CHANGED for end in (0, -1))
    if other[part].all() or max(change.mean() for change in changes) < MOSTLY:
        return None
    return (across[0], down[0], across[1] - across[0], down[1] - down[0])


def _uneven(row: np.ndarray) -> float:
    """Share of a row (places, 3) in which it changes from place to place, as where letters are cut."""
    return float((np.abs(row[4:] - row[:-4]).max(1) > STEP).mean()) if len(row) > 4 else 0.0


def _new_steps(inside: Sequence[np.ndarray], outside: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """(H, W) uint8, 1 where there is an edge across `axis` in nearly all of the frames with the overlay, and in none of
    those without it."""
    there = np.sort([_steps(picture, axis) for picture in inside], axis=0)[(len(inside) - 1) // MISSED]
    away = np.maximum.reduce([_steps(picture, axis) for picture in outside])
    new = ((there >= STEP) & (away <= NEW * there)).astype(np.uint8)
    return cv2.dilate(new, np.ones((3, 1) if axis == 0 else (1, 3), np.uint8))  # one px before or after does as well


def _steps(picture: np.ndarray, axis: int) -> np.ndarray:
    """(H, W) float32 levels: by how much the px before each and those after it differ."""
    out = np.zeros(picture.shape[:2], np.float32)
    first, second = (picture[:-2], picture[2:]) if axis == 0 else (picture[:, :-2], picture[:, 2:])
    step = np.abs(second - first).max(2)
    if axis == 0:
        out[1:-1] = step
    else:
        out[:, 1:-1] = step
    return out


def _side(new: np.ndarray, edge: int, way: int, reach: float, within: float, end: int) -> int | None:
    """The outermost row in which a side lies; None where there is none.

    new: (rows, places along it), 1 where an edge is; `edge`: the outermost row of what is known, `way`: outwards from
    there; `end`: the picture's own, beyond which a side is not seen.
    """
    first, last = sorted((edge - way * round(within), edge + way * round(reach)))
    first, last = max(0, first), min(len(new), last + 1)
    if last <= first:
        return None
    share = new[first:last].mean(1)
    good = np.flatnonzero((share >= SIDE) & (share >= OF_MOST * share.max()))
    if len(good):
        return first + int(good[0] if way < 0 else good[-1])
    return end if abs(end - edge) <= reach else None


def _passing(
    frames: dict[int, np.ndarray], way: int, clean: np.ndarray, inside: Sequence[np.ndarray], panel: Box
) -> tuple[FrameRange, Box] | None:
    """The frames before a panel, or after it, that show a part of it on its way, and what that lies over.

    `way`: -1 before, 1 after; `clean`: a frame without it; `inside`: those with all of it.
    """
    edge = max(frames) if way < 0 else min(frames)
    best: tuple[FrameRange, Box] | None = None
    for axis in (0, 1):
        x0, y0, x1, y1 = corners(panel)
        (first, second), near = ((y0, y1), (x0, x1)) if axis == 0 else ((x0, x1), (y0, y1))
        sides = [
            _Side.of(inside, axis, at, inner, near) for at, inner in ((first, WITHIN_PX), (second, -1 - WITHIN_PX))
        ]
        t, missed, last = edge, 0, edge - way
        while t in frames and missed <= GAP:
            lies = [side.lies(frames[t].astype(np.float32), clean) for side in sides]
            run = _run(lies[0] & lies[1], near)
            if run is None:
                missed += 1
            else:
                near, missed, last = (min(*run, near[0]), max(*run, near[1])), 0, t
            t += way
        if last == edge - way or (best is not None and abs(last - edge) < len(best[0])):
            continue
        (low, high), end = near, clean.shape[1 - axis]
        low, high = 0 if low < REACHES else low, end if high > end - REACHES else high
        box = (low, first, high - low, second - first) if axis == 0 else (first, low, second - first, high - low)
        outer = min(max(last + way * MORE, min(frames)), max(frames))
        best = FrameRange(min(edge, outer), max(edge, outer) + 1), box
    return best


@dataclass(frozen=True)
class _Side:
    """One of the sides along which a panel comes: where it lies across `axis`, and the colours within."""

    axis: int
    at: int
    inner: int  # px from it to where the panel has these
    low: np.ndarray  # (3,) float32 levels
    high: np.ndarray

    @classmethod
    def of(cls, inside: Sequence[np.ndarray], axis: int, at: int, inner: int, along: tuple[int, int]) -> _Side:
        rows = [np.take(picture, np.clip(at + inner, 0, picture.shape[axis] - 1), axis) for picture in inside]
        low, high = np.quantile(np.concatenate([row[slice(*along)] for row in rows]), (0.05, 0.95), axis=0)
        return cls(axis, at, inner, low - SHADE, high + SHADE)

    def lies(self, picture: np.ndarray, clean: np.ndarray) -> np.ndarray:
        """(places along it,) bool: where it lies in one picture and not in another; at their edge, its colours."""
        size = picture.shape[self.axis]
        row = np.take(picture, np.clip(self.at + self.inner, 0, size - 1), self.axis)
        good = ((row >= self.low) & (row <= self.high)).all(-1)
        if 1 < self.at < size - 2:
            near = np.s_[self.at - 2 : self.at + 3] if self.axis == 0 else np.s_[:, self.at - 2 : self.at + 3]
            there, away = (_steps(part[near], self.axis).max(self.axis) for part in (picture, clean))
            good &= (there >= STEP) & (away <= NEW * there)
        return np.asarray(good)


def _run(good: np.ndarray, near: tuple[int, int]) -> tuple[int, int] | None:
    """First and last + 1 of the longest run that meets what is `near`, gaps closed; None where there is none."""
    whole = cv2.morphologyEx(good.astype(np.uint8)[None], cv2.MORPH_CLOSE, np.ones((1, REACHES), np.uint8))[0]
    edges = np.flatnonzero(np.diff(np.r_[0, whole, 0].astype(int)))
    runs = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= REACHES]
    runs = [run for run in runs if run[0] < near[1] and near[0] < run[1] and good[slice(*run)].mean() >= FILLED]
    return max(runs, key=lambda run: run[1] - run[0], default=None)
