"""The banners that a plan's overlays stand on, and the frames in which these come and go.

A finder sees text, or what changed as that came: where a banner was wiped or slid in before, only a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from . import planes
from .boxes import around, common, corners, widened
from .decode import Clip, Frame
from .job import Box
from .maps import read_matte, write_matte
from .masks import extent
from .panels import DOWN, find_panel, passing
from .plan import Event, Overlay, Plan
from .planes import Layout
from .timing import FrameRange

FRAMES_AN_EVENT = 60  # of the plan's range: so many frames have to be decoded to look at one
HOPELESS = 3  # events of an overlay without a panel, after which the others are not looked at
AWAY_S, LEAST_AWAY = 0.8, 3  # s, and frames, from an end to a frame without the overlay: what slides takes half of it
INSIDE_S = (0.4, 0.65)  # s from an end, of frames that are compared with one without it
LEAST_LONG_S = 0.8  # of an event
SKIRT_PX = 2  # of the codec's ringing around it
KNOWN = 0.9  # share of a panel, from which it is covered already
LARGER = 0.1  # share of one that is not, beyond the box around what is covered


@dataclass
class _Looks:
    """An event in its window: some of its frames, those around its ends, and one beyond each that is without it."""

    overlay: Overlay
    k: int
    window: Box
    inside: list[int]  # frames
    outside: list[int]
    beside: list[Box]  # in the window, that other overlays take all the while
    passages: list[tuple[FrameRange, int]]  # the frames in which it may come (-1) and go (1)
    seen: dict[int, np.ndarray] = field(default_factory=dict)  # of them, by frame, (H, W, 3) uint8

    def add(self, frame: Frame, layout: Layout) -> bool:
        """Whether that was the last one."""
        self.seen[frame.index] = _picture(frame, self.window, layout)
        return self.seen.keys() == {*self.inside, *self.outside}

    def pictures(self, frames: Sequence[int]) -> list[np.ndarray]:
        """(H, W, 3) float32 levels each."""
        return [self.seen[t].astype(np.float32) for t in frames]


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
    looks = [_look(overlay, k, plan, clip) for overlay, k in events[: max(2, len(plan.range) // FRAMES_AN_EVENT)]]
    own: dict[str, list[_Looks]] = {}
    for look in looks:
        if look is not None:
            own.setdefault(look.overlay.id, []).append(look)
    changed: dict[str, dict[int, list[Event]]] = {}
    for part in (slice(HOPELESS), slice(HOPELESS, None)):  # the others where one of the first stands on a panel
        todo: dict[int, list[_Looks]] = {}  # by frame
        for name, every in own.items():
            for look in every[part] if part.start is None or name in changed else []:
                for t in {*look.inside, *look.outside}:
                    todo.setdefault(t, []).append(look)
        for frame in clip.picked(todo):
            for look in todo.pop(frame.index):
                if look.add(frame, clip.info.layout):
                    name = look.overlay.id
                    new = _with_panel(look, folder, f"{maps}{name}.{look.k + 1}.panel", clip)
                    look.seen.clear()
                    if new is not None:
                        changed.setdefault(name, {})[look.k] = new
    return replace(plan, overlays=tuple(_put(o, changed.get(o.id, {})) for o in plan.overlays))


def _put(overlay: Overlay, changed: dict[int, list[Event]]) -> Overlay:
    if not changed:
        return overlay
    events = tuple(new for k, event in enumerate(overlay.events) for new in changed.get(k, [event]))
    own = [event.box or overlay.box for event in events]
    is_shared = any(event.box is None for event in events)
    return replace(overlay, events=events, box=overlay.box if is_shared else around(*own))


def _with_panel(looks: _Looks, folder: Path, name: str, clip: Clip) -> list[Event] | None:
    """An event with its panel, and events before and after it in which that comes and goes; None without a panel."""
    overlay, event, layout = looks.overlay, looks.overlay.events[looks.k], clip.info.layout
    box = event.box or overlay.box
    file = event.matte if event.matte is not None or event.box is not None else overlay.matte
    matte = read_matte(folder / file, box) if file else np.ones((box[3], box[2]), np.float32)
    if not (matte > 0.5).any():
        return None
    x, y = looks.window[:2]
    core = extent(matte > 0.5, (box[0] - x, box[1] - y))
    room = (layout.width - x, layout.height - y)
    inside, outside = looks.pictures(looks.inside), looks.pictures(looks.outside)
    panel = find_panel(inside, outside, core, room, (x, y), looks.beside)
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
    for frames, way in looks.passages:  # decoded again: of few overlays is a panel found
        seen = {frame.index: _picture(frame, looks.window, layout) for frame in clip.frames(frames)}
        part = passing(seen, way, outside[0 if way < 0 else -1], inside, panel) if seen else None
        if part is not None:
            span, (px, py, w, h) = part
            moving = Event(span, box=layout.align(widened((px + x, py + y, w, h), SKIRT_PX)), text=event.text)
            out = [moving, *out] if way < 0 else [*out, moving]
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


def _look(overlay: Overlay, k: int, plan: Plan, clip: Clip) -> _Looks | None:
    """What is to be seen of an event; None where no frame beyond an end tells what is there without the overlay."""
    span, layout = overlay.events[k].range, clip.info.layout
    box = overlay.events[k].box or overlay.box
    shots = [shot for shot in plan.shots if len(shot.meet(span))]
    low = max([shots[0].start if shots else plan.range.start, *_stops(overlay, span)])
    high = min([shots[-1].stop if shots else plan.range.stop, *_starts(overlay, span)])
    away, *inner = (round(s * float(clip.info.rate)) for s in (AWAY_S, *INSIDE_S))
    inner = [min(k, len(span) // 2) for k in inner]
    before, after = max(low, span.start - away), min(high, span.stop + away) - 1
    more = round(DOWN * box[3]) + 12
    top, bottom = max(0, box[1] - more), min(layout.height, box[1] + box[3] + more)
    window = layout.align((0, top, layout.width, bottom - top))

    inside: list[int] = []
    outside: list[int] = []
    passages: list[tuple[FrameRange, int]] = []
    for edge, way, clean in ((span.start, 1, before), (span.stop - 1, -1, after)):
        if way * (edge - clean) >= LEAST_AWAY:
            inside += [edge + way * k for k in inner]
            outside.append(clean)
            passages.append((FrameRange(clean + 1, edge) if way > 0 else FrameRange(edge + 1, clean), -way))
    others = [other for other in plan.active() if other.id != overlay.id and not other.trajectory]
    boxes = [e.box or o.box for o in others for e in o.events if len(e.range.meet(span)) == len(span)]
    beside = [(bx - window[0], by - window[1], bw, bh) for bx, by, bw, bh in boxes if common((bx, by, bw, bh), window)]
    return _Looks(overlay, k, window, inside, outside, beside, passages) if outside else None


def _stops(overlay: Overlay, span: FrameRange) -> list[int]:
    return [e.range.stop for e in overlay.events if e.range.stop <= span.start]


def _starts(overlay: Overlay, span: FrameRange) -> list[int]:
    return [e.range.start for e in overlay.events if e.range.start >= span.stop]


def _picture(frame: Frame, box: Box, layout: Layout) -> np.ndarray:
    """(h, w, 3) uint8 over `box`: luma, and chroma at its size."""
    own = replace(layout, width=box[2], height=box[3])
    luma, chroma = planes.small(planes.crop(frame.samples, layout, box), own, box[2])
    return cv2.merge([luma, *cv2.split(chroma)])
