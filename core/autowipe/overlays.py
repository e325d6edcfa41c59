"""Decides, per overlay, what the finders found: one thing found twice is kept once, and the plan gets its entries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from .areas import AreaMask
from .job import Box
from .kinds import Found, FoundEvent
from .maps import write_matte, write_unblend
from .plan import Event, Overlay
from .planes import Layout
from .timing import FrameRange

SAME_AREA = 0.5  # share of the smaller matte from which two finds are the same thing
STAYS_S = 20.0  # timed text that stays longer than this is a mark, not a line somebody reads
STAYS_SHARE = 0.9  # so is text that stays for this share of the range


def resolve(found: list[Found], whole: FrameRange, rate: float) -> list[Found]:
    """Settles finds of two kinds in one place.

    Text that comes and goes within seconds is a subtitle, whatever else it looks like; text that stays is a logo.
    What both finders saw is kept once, with the matte of the finder whose kind it is.
    """
    logos = [find for find in found if find.kind == "logo"]
    lines = [find for find in found if find.kind == "subtitle"]
    rest = [find for find in found if find.kind not in ("logo", "subtitle")]
    stays = min(STAYS_S * rate, STAYS_SHARE * len(whole))
    for line in lines:
        line.events = [e for e in line.events if not _is_logo_text(line, e, logos, stays)]
    lines = [line for line in lines if line.events]
    events = [(line, event) for line in lines for event in line.events]
    logos = [logo for logo in logos if not _is_timed_text(logo, events, stays)]
    return [*logos, *rest, *lines]


def to_plan(
    found: list[Found],
    kinds: tuple[str, ...],
    search: AreaMask,
    layout: Layout,
    whole: FrameRange,
    folder: Path,
    maps: str,
) -> tuple[Overlay, ...]:
    """Writes the finds' maps to `folder`/`maps` and gives their plan entries.

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
                    matte=_save_matte(folder, f"{maps}/{part}.matte.png", event.matte),
                    unblend=_save_unblend(folder, f"{maps}/{part}.unblend.npz", event.unblend),
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
                matte=_save_matte(folder, f"{maps}/{name}.matte.png", find.matte),
                unblend=_save_unblend(folder, f"{maps}/{name}.unblend.npz", find.unblend),
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


def _is_logo_text(line: Found, event: FoundEvent, logos: list[Found], stays: float) -> bool:
    """True when a text event is the lettering of a mark that a logo find covers for as long."""
    for logo in logos:
        together = sum(len(event.range.meet(e.range)) for e in logo.events)
        if together < 0.7 * len(event.range):
            continue
        present = sum(len(e.range) for e in logo.events)
        outlasts = len(event.range) >= stays or present >= 2 * len(event.range)
        if outlasts and _same_area(event.box or line.box, _matte(line, event), logo.box, logo.matte) >= SAME_AREA:
            return True
    return False


def _is_timed_text(logo: Found, events: list[tuple[Found, FoundEvent]], stays: float) -> bool:
    """True when a logo find is really one line, or several lines in one place, that come and go."""
    total = sum(len(e.range) for e in logo.events)
    shared = 0
    area = 0.0
    for line, event in events:
        overlap = _same_area(event.box or line.box, _matte(line, event), logo.box, logo.matte)
        if overlap >= SAME_AREA:
            shared += sum(len(event.range.meet(e.range)) for e in logo.events)
            area = max(area, overlap)
    return area > 0 and (shared >= 0.5 * total or (total < stays and shared >= 0.3 * total))


def _matte(find: Found, event: FoundEvent) -> np.ndarray | None:
    return event.matte if event.matte is not None else find.matte


def _same_area(box_a: Box, a: np.ndarray | None, box_b: Box, b: np.ndarray | None) -> float:
    """Share of the smaller of two mattes that lies in the other's neighbourhood."""
    x0, y0 = max(box_a[0], box_b[0]), max(box_a[1], box_b[1])
    x1 = min(box_a[0] + box_a[2], box_b[0] + box_b[2])
    y1 = min(box_a[1] + box_a[3], box_b[1] + box_b[3])
    if x1 <= x0 or y1 <= y0:
        return 0.0
    parts, sizes = [], []
    for box, matte in ((box_a, a), (box_b, b)):
        if matte is None:
            matte = np.ones((box[3], box[2]), np.float32)
        rows, columns = np.asarray((matte > 0.5).any(1)), np.asarray((matte > 0.5).any(0))
        # strokes of one text seldom meet those of another find exactly: their bounding areas are compared
        solid = rows[:, None] & columns[None]
        sizes.append(int(solid.sum()))
        parts.append(solid[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]])
    return float((parts[0] & parts[1]).sum() / max(1, min(sizes)))


def _cut_to(find: Found, inside: np.ndarray) -> bool:
    """Cuts a find to the search area; False when less than half of it lies there."""

    def cut(box: Box, matte: np.ndarray | None) -> tuple[np.ndarray, float]:
        x, y, w, h = box
        part = inside[y : y + h, x : x + w]
        matte = np.ones((h, w), np.float32) if matte is None else matte
        return np.where(part, matte, np.float32(0)), float(matte[part].sum() / max(1e-6, matte.sum()))

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
