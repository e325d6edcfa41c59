"""Ends of appearances beyond which the overlay still shows: the events are lengthened to where it is gone.

missed.py takes in the few frames that a window of pass B sees; this is for an appearance that was cut short, at a cut
between shots or for want of contrast.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from .areas import AreaMask
from .decode import Clip, Frame
from .plan import Event, Overlay, Plan
from .residue import slopes, strength_in
from .secondlook import Looker, Part
from .timing import FrameRange

FRAMES_AN_END = 60  # of the plan's range: so many frames have to be decoded to come to one
INSIDE, BEYOND = 1, 1  # frames from an end, of those compared: the very last and first may be mixed by the codec
LIKE = 0.75  # correlation of an opaque overlay's edges with those where it shows: gone 0 to .3, there .8 to 1
THERE = 0.5  # of its strength, from which a translucent one is there
MOST_S = 20.0  # that an appearance is lengthened by


def lengthened(plan: Plan, folder: Path, clip: Clip) -> Plan:
    """The plan with events as long as their overlays show. Of many ends those of the longest events are looked at."""
    whole, rate = plan.range, float(clip.info.rate)
    ends = [
        (overlay, k, way)
        for overlay in plan.active()
        if not overlay.trajectory
        for k, event in enumerate(overlay.events)
        for way in (-1, 1)
        if (event.range.start if way < 0 else event.range.stop) not in (whole.start, whole.stop)
    ]
    ends.sort(key=lambda end: -len(end[0].events[end[1]].range))
    changed: dict[str, Overlay] = {}
    for overlay, k, way in ends[: max(2, len(whole) // FRAMES_AN_END)]:
        now = changed.get(overlay.id, overlay)
        event = now.events[k]
        most = min(round(MOST_S * rate), _room(now, k, way, whole))
        more = 0 if most <= BEYOND else _more(_Shows(now, event, way, folder, clip), most)
        if more:
            start, stop = event.range.start - more * (way < 0), event.range.stop + more * (way > 0)
            events = (*now.events[:k], replace(event, range=FrameRange(start, stop)), *now.events[k + 1 :])
            changed[overlay.id] = replace(now, events=events)
    return replace(plan, overlays=tuple(changed.get(overlay.id, overlay) for overlay in plan.overlays))


def _room(overlay: Overlay, k: int, way: int, whole: FrameRange) -> int:
    """Frames between an event's end and the overlay's next event, or the end of the plan."""
    here, others = overlay.events[k].range, [e.range for i, e in enumerate(overlay.events) if i != k]
    if way < 0:
        return here.start - max([whole.start, *(span.stop for span in others if span.stop <= here.start)])
    return min([whole.stop, *(span.start for span in others if span.start >= here.stop)]) - here.stop


def _more(shows: Callable[[int], bool], most: int) -> int:
    """Frames beyond an end in which the overlay shows, `most` at most; `shows`: whether it does in the n-th of them."""
    if not shows(BEYOND + 1):
        return 0
    there, gone, step = BEYOND + 1, most + 1, 4
    while there < most:
        trial = min(there + step, most)
        if not shows(trial):
            gone = trial
            break
        there, step = trial, 2 * step
    while gone - there > 1:
        middle = (there + gone) // 2
        there, gone = (middle, gone) if shows(middle) else (there, middle)
    return there


class _Shows:
    """Tells whether an event's overlay shows in the n-th frame beyond an end, by how it looks near that end."""

    def __init__(self, overlay: Overlay, event: Event, way: int, folder: Path, clip: Clip) -> None:
        self._clip, self._way = clip, way
        self._edge = event.range.stop - 1 if way > 0 else event.range.start
        always = replace(event, range=clip.info.whole, fade_in=0, fade_out=0)
        free = AreaMask((), clip.info, "hold-out")
        self._looker = Looker([replace(overlay, events=(always,))], folder, clip.info.layout, free)
        steady = min(INSIDE + (event.fade_out if way > 0 else event.fade_in), len(event.range) - 1)
        one, other = self._edge - way * steady, self._edge + way * (BEYOND + 1)
        ends = [self._part(frame) for frame in clip.frames(FrameRange(min(one, other), max(one, other) + 1))][::way]
        self._own, self._next = ends[0], ends[-1]

    def __call__(self, number: int) -> bool:
        own = self._own
        if number == BEYOND + 1:
            there = self._next
        else:
            at = self._edge + self._way * number
            (there,) = (self._part(frame) for frame in self._clip.frames(FrameRange(at, at + 1)))
        if own is None or there is None:
            return False
        if own.maps is not None:
            strength = strength_in([there.before], own.maps, THERE)
            return strength is not None and strength > THERE
        a, b = (np.stack(slopes(part.before))[:, own.matte > 0.5] for part in (own, there))
        return float((a * b).sum()) > LIKE * max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-6)

    def _part(self, frame: Frame) -> Part | None:
        return next(iter(self._looker.before(frame.index, frame.views)), None)
