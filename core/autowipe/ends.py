"""Ends of appearances beyond which the overlay still shows: the events are lengthened to where it is gone.

missed.py takes in the few frames that a window of pass B sees; this is for an appearance that was cut short, at a cut
between shots or for want of contrast.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from .areas import AreaMask
from .decode import Clip, Frame
from .plan import Overlay, Plan
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
        if _room(overlay, k, way, whole) > BEYOND
    ]
    ends.sort(key=lambda end: -len(end[0].events[end[1]].range))
    todo: dict[int, list[_Shows]] = {}  # by frame
    for end in ends[: max(2, len(whole) // FRAMES_AN_END)]:
        shows = _Shows(*end, folder, clip)
        for number in shows.frames:
            todo.setdefault(number, []).append(shows)
    changed: dict[str, Overlay] = {}
    for frame in clip.picked(todo):
        for shows in todo.pop(frame.index):
            if not shows.add(frame):
                continue
            k, way, now = shows.k, shows.way, changed.get(shows.overlay.id, shows.overlay)
            more = _more(shows, min(round(MOST_S * rate), _room(now, k, way, whole)))
            if more:
                span = now.events[k].range
                span = FrameRange(span.start - more * (way < 0), span.stop + more * (way > 0))
                events = (*now.events[:k], replace(now.events[k], range=span), *now.events[k + 1 :])
                changed[now.id] = replace(now, events=events)
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
    """Tells whether an overlay shows in the n-th frame beyond an end of an event, by how it looks near that end."""

    def __init__(self, overlay: Overlay, k: int, way: int, folder: Path, clip: Clip) -> None:
        self.overlay, self.k, self.way = overlay, k, way
        self._folder, self._clip = folder, clip
        event = overlay.events[k]
        self._edge = event.range.stop - 1 if way > 0 else event.range.start
        steady = min(INSIDE + (event.fade_out if way > 0 else event.fade_in), len(event.range) - 1)
        self.frames = self._edge - way * steady, self._edge + way * (BEYOND + 1)  # that tell, to be added
        self._parts: dict[int, Part | None] = {}

    def add(self, frame: Frame) -> bool:
        """Whether that was the last of `frames`."""
        self._parts[frame.index] = self._part(frame)
        return len(self._parts) == len(self.frames)

    @cached_property
    def _looker(self) -> Looker:
        always = replace(self.overlay.events[self.k], range=self._clip.info.whole, fade_in=0, fade_out=0)
        free = AreaMask((), self._clip.info, "hold-out")
        return Looker([replace(self.overlay, events=(always,))], self._folder, self._clip.info.layout, free)

    def __call__(self, number: int) -> bool:
        own, at = self._parts[self.frames[0]], self._edge + self.way * number
        if at in self._parts:
            there = self._parts[at]
        else:
            (there,) = (self._part(frame) for frame in self._clip.picked([at]))
        if own is None or there is None:
            return False
        if own.maps is not None:
            strength = strength_in([there.before], own.maps, THERE)
            return strength is not None and strength > THERE
        a, b = (np.stack(slopes(part.before))[:, own.matte > 0.5] for part in (own, there))
        return float((a * b).sum()) > LIKE * max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-6)

    def _part(self, frame: Frame) -> Part | None:
        return next(iter(self._looker.before(frame.index, frame.samples)), None)
