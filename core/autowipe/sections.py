"""Pass A of a long clip in sections, each analysed as a clip of its own: where they end, and their plans as one.

What an overlay is tells itself within minutes, so a section is long enough to decide for all of it. Sections depend on
the clip alone: one machine analyses them one after the other, a cluster side by side, and the plan is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from .boxes import alike, around, corners
from .kinds import Small
from .plan import Event, Overlay, Plan
from .shots import NEIGHBOURS, ShotFinder
from .timing import FrameRange

SECTION_S = 180.0  # at least: less tells too little of a mark on a still scene, more keeps one machine busy
NEAR_S = 10.0  # how far on a section may end, so that it ends at a cut
LEAD = NEIGHBOURS + 2  # frames before, against which a cut is told
SAME_PLACE = 0.3  # intersection over union of the boxes from which two overlays are one: marks 0.7 to 1, lines 0.4 to 1


def sections_of(whole: FrameRange, rate: Fraction) -> tuple[FrameRange, ...]:
    """Sections of about the same length, as they are named: `edge` says where each really ends."""
    count = max(1, int(len(whole) / (SECTION_S * rate)))
    edges = [whole.start + len(whole) * k // count for k in range(count + 1)]
    return tuple(FrameRange(a, b) for a, b in pairwise(edges))


def near(at: int, whole: FrameRange, rate: Fraction) -> FrameRange:
    """The frames that `edge` is told from."""
    return FrameRange(at - LEAD, at + round(NEAR_S * rate)).meet(whole)


def edge(smalls: Iterable[Small], at: int, rate: Fraction) -> int:
    """The first cut from frame `at` on; `at` itself where there is none. `smalls`: frames `near` it, read as needed."""
    finder = ShotFinder()
    for count, small in enumerate(smalls, 1):
        finder.add(small)
        if count % max(1, round(rate)) == 0 and (cut := _cut(finder, at, small.frame - NEIGHBOURS)) is not None:
            return cut
    cut = _cut(finder, at, None)
    return at if cut is None else cut


def joined(plans: Sequence[Plan], whole: FrameRange) -> Plan:
    """The plans of sections, in order, as that of the whole. What is in one place in several sections is one overlay.

    Its events keep the maps that their section found. What moves belongs to its section.
    """
    overlays: list[Overlay] = []
    for plan in plans:
        earlier = list(overlays)
        for overlay in plan.overlays:
            before = max(earlier, key=lambda o: _alike(o, overlay), default=None)
            if before is None or _alike(before, overlay) < SAME_PLACE:
                overlays.append(overlay)
                continue
            earlier.remove(before)
            overlays[overlays.index(before)] = _continued(before, overlay)
    overlays.sort(key=lambda o: (o.kind, o.events[0].range.start, o.box[1], o.box[0]))
    numbers: dict[str, int] = {}
    named = []
    for overlay in overlays:
        numbers[overlay.kind] = numbers.get(overlay.kind, 0) + 1
        named.append(replace(overlay, id=f"{overlay.kind}-{numbers[overlay.kind]}"))
    return Plan(plans[0].source, whole, tuple(shot for plan in plans for shot in plan.shots), tuple(named))


def _cut(finder: ShotFinder, at: int, last: int | None) -> int | None:
    """The first cut from `at` on, up to the frame `last` where what follows is still to come."""
    starts = [shot.start for shot in finder.finish()[1:] if shot.start >= at]
    return starts[0] if starts and (last is None or starts[0] <= last) else None


def _alike(one: Overlay, other: Overlay) -> float:
    """How much of one place two overlays of one kind take that stand still, 0..1; 0 for all others."""
    if one.kind != other.kind or one.trajectory or other.trajectory:
        return 0.0
    return alike(corners(one.box), corners(other.box))


def _continued(overlay: Overlay, more: Overlay) -> Overlay:
    """An overlay with the events of another, and the evidence of the surer one."""
    surer = max(overlay, more, key=lambda o: o.confidence)
    return replace(
        overlay,
        box=around(overlay.box, more.box),
        matte=None,
        unblend=None,
        events=tuple(_own(event, o) for o in (overlay, more) for event in o.events),
        confidence=surer.confidence,
        evidence=surer.evidence,
    )


def _own(event: Event, overlay: Overlay) -> Event:
    """The event with the box and the maps that it had of its overlay."""
    if event.matte is not None or event.box is not None:
        return replace(event, box=event.box or overlay.box)
    return replace(event, box=overlay.box, matte=overlay.matte, unblend=event.unblend or overlay.unblend)
