"""Decides, per overlay, what the finders found: one thing found twice is kept once, and the plan gets its entries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from .areas import AreaMask
from .boxes import common, corners
from .job import Box
from .kinds import Found, FoundEvent, appears
from .maps import write_matte, write_unblend
from .masks import extent
from .matte import bounds, pose_of
from .plan import Event, Overlay
from .planes import Layout
from .timing import FrameRange

SAME_TIME = 0.5  # share of the shorter of two events in which both are there, from which they are the same thing
SAME_AREA = 0.5  # share of the smaller matte from which two finds are the same thing
COVERED = 0.75  # of a line or logo, that what moves must cover to take its place: less leaves the rest of it
PART, ALL = 0.5, 0.9  # of what comes and goes, that text in it may be for both to stay; of the text, that it then holds
OF_ALL = 0.8  # of a dynamic find's frames, in which larger lines are there, from which it is nothing but these
STAYS_S = 20.0  # timed text that stays longer than this is a mark, not a line somebody reads
STAYS_SHARE = 0.9  # so is text that stays for this share of the range
OUTLASTS = 1.25  # a mark that is there this much longer than its text was read is there without it
STROKES = 0.45  # share of a find's matte on the strokes of a watermark, from which it is the watermark
MOVED = np.array([1.5, 1.5, 0.03, 1.0])  # px, px, scale, degrees: less is what a fit errs by
BAR = "bar, px"  # in the evidence of a ticker that goes as one with its bar
LARGER = 3.0  # times the text's area from which a mark is a panel that the text stands on


def resolve(found: list[Found], whole: FrameRange, rate: float) -> list[Found]:
    """Settles finds of two kinds in one place, so that every overlay is kept once, by the finder whose kind it is.

    What comes back as it was, in another place or after a while, and what grows or moves, is dynamic. Other text that
    comes and goes within seconds is a subtitle, whatever else it looks like. Text that stays, that is there before or
    after the reading of it, or that stands on a larger mark, is part of a logo. What lies on the strokes of a watermark
    is the watermark.
    """
    found = _without_strokes(found)
    found = _without_bars(found)
    found = _settle_dynamic(found)
    lines = [(find, event) for find in found if find.kind == "subtitle" for event in find.events]
    stays = min(STAYS_S * rate, STAYS_SHARE * len(whole))
    kept: list[Found] = []
    lettering: list[int] = []  # ids of events that belong to logos
    for logo in (find for find in found if find.kind == "logo"):
        here = [(line, event) for line, event in lines if _overlap_of(logo, line, event) >= SAME_AREA]
        here = [(line, event) for line, event in here if _together(event, logo) >= 0.7 * len(event.range)]
        if here and _is_timed_text(logo, here, stays):
            continue
        kept.append(logo)
        lettering += [id(event) for line, event in here if not _goes_beyond(line, event, logo)]
    for find in found:
        if find.kind == "subtitle":
            find.events = [event for event in find.events if id(event) not in lettering]
    return [*kept, *(find for find in found if find.kind != "logo" and find.events)]


def _without_strokes(found: list[Found]) -> list[Found]:
    """The finds without those, and those events, that are but the strokes of a watermark."""
    marks = [find for find in found if find.kind == "watermark"]
    kept = []
    for find in found:
        if find.kind != "watermark" and marks:
            events = [e for e in find.events if not any(_lies_on(find, e, mark) for mark in marks)]
            if not events:
                continue
            find.events = events
        kept.append(find)
    return kept


def _without_bars(found: list[Found]) -> list[Found]:
    """The finds without those events that lie in the bar of a ticker: its edge, what stands in it, its text."""
    bars = [find for find in found if BAR in find.evidence]
    for find in found:
        if find.kind != "watermark" and not find.trajectory and BAR not in find.evidence:
            find.events = [e for e in find.events if not any(_lies_in(find, e, bar) for bar in bars)]
    return [find for find in found if find.events]


def _lies_in(find: Found, event: FoundEvent, bar: Found) -> bool:
    share, _ = _shares(event.box or find.box, _matte(find, event), bar.box, bar.matte)
    return share >= SAME_AREA and _together(event, bar) >= SAME_TIME * len(event.range)


def _lies_on(find: Found, event: FoundEvent, mark: Found) -> bool:
    """Whether an event covers little but strokes of a watermark that is there at the time."""
    x, y, w, h = event.box or find.box
    matte = _matte(find, event)
    own = np.ones((h, w), bool) if matte is None else matte > 0.5
    both = common((x, y, w, h), mark.box)
    if both is None or mark.matte is None or _together(event, mark) < 0.5 * len(event.range):
        return False
    x0, y0, x1, y1 = corners(both)
    strokes = mark.matte[y0 - mark.box[1] : y1 - mark.box[1], x0 - mark.box[0] : x1 - mark.box[0]] > 0.5
    near = cv2.dilate(strokes.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return bool((own[y0 - y : y1 - y, x0 - x : x1 - x] & near).sum() >= STROKES * max(1, own.sum()))


def _settle_dynamic(found: list[Found]) -> list[Found]:
    """Takes out what dynamic finds explain better, and the events of dynamic finds that others explain as well."""
    rivalries = _rivalries(found)
    told: dict[int, dict[int, float]] = {}  # of each rival, how much of it every find explains that moves or comes back
    for one in (one for one in rivalries if one.is_stronger):
        shares = told.setdefault(id(one.rival), {})
        shares[id(one.find)] = max(one.of_rival, shares.get(id(one.find), 0.0))
    outdone = {key for key, shares in told.items() if sum(shares.values()) >= COVERED}
    taken = {id(one.event) for one in rivalries if not (one.is_stronger or one.passes or one.has_more)}
    within: dict[int, int] = {}  # of each event, frames in which larger ones are there that it does not outdo
    for one in (one for one in rivalries if one.is_stronger and not one.passes and id(one.rival) not in outdone):
        within[id(one.event)] = within.get(id(one.event), 0) + len(one.event.range.meet(one.rival.range))
        if within[id(one.event)] >= OF_ALL * len(one.event.range):
            taken.add(id(one.event))  # else each shows what the other does not
    gone = {id(one.rival) for one in rivalries if id(one.rival) in outdone and id(one.event) not in taken}
    for find in found:
        find.events = [event for event in find.events if id(event) not in taken | gone]
    return [find for find in found if find.events]


@dataclass(frozen=True)
class _Rivalry:
    """An event of a dynamic find, and one of another kind that is there at the time, in its place."""

    find: Found
    event: FoundEvent
    rival: FoundEvent
    is_stronger: bool  # the dynamic one moves or comes back, and the rival is not there for much longer
    of_rival: float  # share of the rival's area that it takes
    passes: bool  # it is but a small part of the rival, and was or will be elsewhere
    has_more: bool  # it holds all of the rival, and more besides: the word of a mark that has a symbol as well


def _rivalries(found: list[Found]) -> list[_Rivalry]:
    out = []
    for find in (find for find in found if find.kind == "dynamic" and BAR not in find.evidence):
        others = [other for other in found if other.kind in ("logo", "subtitle")]
        if "passes, px" in find.evidence:  # what stands in a lane does not explain what passes through it
            others = [other for other in others if other.kind == "subtitle"]
        again = find.matte is not None and appears(find) > 1
        if again and not _moves(find) and _is_one_of_many(find, others):
            again = False
        pairs = [(other, rival) for other in others for rival in other.events]
        for event in find.events:
            changes = again or _moves(find, event)
            for other, rival in pairs:
                both = event.range.meet(rival.range)
                if not len(both) or len(both) < SAME_TIME * min(len(event.range), len(rival.range)):
                    continue
                grown = _grown_to(rival, other)
                own, its = _shares_at((both.start + both.stop) // 2, find, event, other, grown)
                if max(own, its) < SAME_AREA:
                    continue
                is_stronger = changes and (other.kind == "subtitle" or len(rival.range) <= OUTLASTS * len(event.range))
                ends = [_shares_at(t, find, event, other, grown)[0] for t in (both.start, both.stop - 1)]
                passes = changes and its < COVERED and min(ends) < SAME_AREA
                has_more = other.kind == "subtitle" and own < PART and its >= ALL
                out.append(_Rivalry(find, event, rival, is_stronger, its, passes, has_more))
    return out


def _moves(find: Found, event: FoundEvent | None = None) -> bool:
    """True where a find changes its place or size, in one event or at all."""
    keys = [key[1:] for key in find.trajectory if event is None or int(key[0]) in event.range]
    if len(keys) < 2:
        return False
    spans = np.ptp(np.array([[*key, 1.0, 0.0][:4] for key in keys], np.float64), axis=0)
    return bool((spans > MOVED).any())


def _is_one_of_many(find: Found, others: list[Found]) -> bool:
    """True for a line that is said twice, among the lines of a subtitle that are not."""
    for other in others:
        if other.kind == "subtitle":
            same = [e for e in other.events if any(len(e.range.meet(d.range)) for d in find.events)]
            if same and 2 * len(same) < len(other.events):
                return _meet_at(find, find.events[0], other, same[0]) >= SAME_AREA
    return False


def _grown_to(event: FoundEvent, lines: Found) -> FoundEvent:
    """The event whose text grows in in another one; any other is its own."""
    return next((e for e in lines.events if not event.text and e.range.start == event.range.stop), event)


def _meet_at(find: Found, event: FoundEvent, other: Found, rival: FoundEvent) -> float:
    """Share of the smaller of two events' mattes that lies in the other's neighbourhood, in a frame of both."""
    both = event.range.meet(rival.range)
    return max(_shares_at((both.start + both.stop) // 2, find, event, other, rival)) if len(both) else 0.0


def _shares_at(frame: int, find: Found, event: FoundEvent, other: Found, rival: FoundEvent) -> tuple[float, float]:
    """Share of an event's matte, and of its rival's, that lies in the other's neighbourhood in a frame of both."""
    pose, box, matte = pose_of(find.trajectory, frame), event.box or find.box, _matte(find, event)
    if pose.scale != 1 or pose.turn:
        box, matte = bounds(box, pose), None
    else:
        box = (box[0] + round(pose.dx), box[1] + round(pose.dy), *box[2:])
    return _shares(box, matte, rival.box or other.box, _matte(other, rival))


def to_plan(
    found: list[Found],
    kinds: tuple[str, ...],
    search: AreaMask,
    layout: Layout,
    whole: FrameRange,
    folder: Path,
    maps: str,
) -> tuple[Overlay, ...]:
    """Writes the finds' maps to `folder`, under names that begin with `maps`, and gives their plan entries.

    What lies outside the search area is dropped; kinds that were not asked for stay in the plan, switched off.
    """
    inside = None if search.is_empty else search.ever(whole)
    overlays = []
    numbers: dict[str, int] = {}
    for find in sorted(found, key=lambda f: (f.kind, f.events[0].range.start, f.box[1], f.box[0])):
        if inside is not None and not _cut_to(find, inside):
            continue
        numbers[find.kind] = numbers.get(find.kind, 0) + 1
        name = f"{find.kind}-{numbers[find.kind]}"
        events = []
        for i, event in enumerate(find.events):
            part = f"{name}.{i + 1}"
            events.append(
                Event(
                    range=event.range,
                    fade_in=event.fade_in,
                    fade_out=event.fade_out,
                    text=event.text,
                    box=event.box,
                    matte=_save_matte(folder, f"{maps}{part}.matte.png", event.matte),
                    unblend=_save_unblend(folder, f"{maps}{part}.unblend.npz", event.unblend),
                )
            )
        overlays.append(
            Overlay(
                id=name,
                kind=find.kind,
                box=find.box,
                events=tuple(events),
                enabled=find.kind in kinds,
                confidence=float(min(1.0, max(0.0, find.confidence))),
                matte=_save_matte(folder, f"{maps}{name}.matte.png", find.matte),
                unblend=_save_unblend(folder, f"{maps}{name}.unblend.npz", find.unblend),
                trajectory=find.trajectory,
                evidence=find.evidence,
            )
        )
    return tuple(overlays)


def _save_matte(folder: Path, name: str, matte: np.ndarray | None) -> str | None:
    if matte is None:
        return None
    write_matte(folder / name, matte)
    return name


def _save_unblend(folder: Path, name: str, maps) -> str | None:
    if maps is None:
        return None
    write_unblend(folder / name, maps)
    return name


def _is_timed_text(logo: Found, lines: list[tuple[Found, FoundEvent]], stays: float) -> bool:
    """True when a logo find is nothing but the lines of text in its place, which come and go."""
    lengths: dict[str, int] = {}  # a text that comes back in its place is one mark, read with gaps
    for number, (_, event) in enumerate(lines):
        words = "".join(event.text.split()).casefold() or f"unread {number}"
        lengths[words] = lengths.get(words, 0) + len(event.range)
    if max(lengths.values()) >= stays:
        return False
    if sum(len(event.range) for event in logo.events) >= OUTLASTS * sum(len(event.range) for _, event in lines):
        return False
    return _area(logo.box, logo.matte) < LARGER * max(_area(e.box or f.box, _matte(f, e)) for f, e in lines)


def _together(event: FoundEvent, logo: Found) -> int:
    return sum(len(event.range.meet(other.range)) for other in logo.events)


def _overlap_of(logo: Found, line: Found, event: FoundEvent) -> float:
    return _same_area(event.box or line.box, _matte(line, event), logo.box, logo.matte)


def _goes_beyond(line: Found, event: FoundEvent, logo: Found) -> bool:
    """Whether a logo takes but a part of a line: of a clock in a still shot, whose digits are no part of what stays."""
    if not line.evidence.get("counters"):
        return False
    own, its = _around(event.box or line.box, _matte(line, event)), _around(logo.box, logo.matte)
    both, way = common(own, its), 2 if own[2] >= own[3] else 3
    return both is None or both[way] < COVERED * own[way]


def _around(box: Box, matte: np.ndarray | None) -> Box:
    """The box around what a matte covers."""
    return box if matte is None or not (matte > 0.5).any() else extent(matte > 0.5, box[:2])


def _area(box: Box, matte: np.ndarray | None) -> float:
    """Area in px of the rows and columns that a matte reaches."""
    return float(box[2] * box[3] if matte is None else _solid(matte).sum())


def _matte(find: Found, event: FoundEvent) -> np.ndarray | None:
    return event.matte if event.matte is not None else find.matte


def _same_area(box_a: Box, a: np.ndarray | None, box_b: Box, b: np.ndarray | None) -> float:
    """Share of the smaller of two mattes that lies in the other's neighbourhood."""
    return max(_shares(box_a, a, box_b, b))


def _shares(box_a: Box, a: np.ndarray | None, box_b: Box, b: np.ndarray | None) -> tuple[float, float]:
    """Share of each of two mattes that lies in the other's neighbourhood."""
    both = common(box_a, box_b)
    if both is None:
        return 0.0, 0.0
    x0, y0, x1, y1 = corners(both)
    parts, sizes = [], []
    for box, matte in ((box_a, a), (box_b, b)):
        if matte is None:
            matte = np.ones((box[3], box[2]), np.float32)
        solid = _solid(matte)
        sizes.append(max(1, int(solid.sum())))
        parts.append(solid[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]])
    meet = int((parts[0] & parts[1]).sum())
    return meet / sizes[0], meet / sizes[1]


def _solid(matte: np.ndarray) -> np.ndarray:
    """Rows and columns that a matte reaches: the strokes of one find seldom meet those of another exactly."""
    rows, columns = np.asarray((matte > 0.5).any(1)), np.asarray((matte > 0.5).any(0))
    return rows[:, None] & columns[None]


def _cut_to(find: Found, inside: np.ndarray) -> bool:
    """Cuts a find to the search area; False when less than half of it lies there."""

    def cut(box: Box, matte: np.ndarray | None) -> tuple[np.ndarray, float]:
        x, y, w, h = box
        part = inside[y : y + h, x : x + w]
        matte = np.ones((h, w), np.float32) if matte is None else matte
        return np.where(part, matte, np.float32(0)), float(matte[part].sum() / max(1e-6, matte.sum()))

    if len({key[1:3] for key in find.trajectory}) > 1:
        return _passes(find, inside)
    events = []
    for event in find.events:
        if event.box is None and event.matte is None:
            events.append(event)
            continue
        matte, share = cut(event.box or find.box, _matte(find, event))
        if share >= 0.5:
            events.append(replace(event, matte=matte))
    find.events = events
    if any(event.matte is None for event in events):
        find.matte, share = cut(find.box, find.matte)
        return share >= 0.5
    return bool(events)


def _passes(find: Found, inside: np.ndarray) -> bool:
    """Whether what moves is in the search area for at least half of its frames; it is wiped whole then."""
    frames = [t for event in find.events for t in event.range]
    keys = [key[0] for key in find.trajectory]
    x, y, w, h = find.box
    columns = np.interp(frames, keys, [key[1] for key in find.trajectory]) + x + w / 2
    rows = np.interp(frames, keys, [key[2] for key in find.trajectory]) + y + h / 2
    height, width = inside.shape
    at = np.clip(rows, 0, height - 1).astype(int), np.clip(columns, 0, width - 1).astype(int)
    return bool(inside[at].mean() >= 0.5)
