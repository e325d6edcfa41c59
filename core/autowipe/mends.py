"""Mends of an overlay's maps, by what the second look saw: a wider matte, opacities put right, maps in doubt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from .boxes import widened
from .job import Box
from .maps import Unblend, read_matte, read_unblend, write_matte, write_unblend
from .masks import disc, subsampled
from .match import spread
from .matte import VISIBLE
from .plan import Event, Overlay
from .planes import Layout
from .residue import BESIDE, slopes
from .secondlook import CELL_PX, REACH, Part, Verdict, effect, look, verdict
from .timing import FrameRange
from .unblend import faded

LEFT = 0.12  # of an overlay, from which its opacities are mended: 0 to .05 where a result is as good as can be
RIM = 0.25  # of its contrast just beyond the matte, from which the matte is widened
SKIRT_PX = 2  # beyond the last px that is seen to be the overlay's
MOST_CHANGE = 0.5  # of an opacity
EVEN = 0.1  # of the most that edges tell anywhere: places that tell less take what their neighbours tell

Mend = Callable[[Overlay, Sequence["View"], str], Overlay | None]
T = TypeVar("T", Overlay, Event)
View = tuple[Part, np.ndarray | None]  # a part of a frame, and (H, W) float32 levels of it as it is wiped


@dataclass(frozen=True)
class _Maps:
    """The maps of an overlay, or of an event that has its own, and when they hold."""

    box: Box
    matte: np.ndarray
    unblend: Unblend | None
    ranges: tuple[FrameRange, ...]


def verdict_of(views: Sequence[View]) -> Verdict:
    return verdict([look(*view) for view in views])


class Mends:
    """Each way to mend an overlay: the overlay with new maps, None where there is no way.

    `views`: by what it is mended; `word`: in the names of the new maps.
    """

    def __init__(self, folder: Path, maps: str, layout: Layout) -> None:
        """Maps are read from `folder`; new ones go there too, under names that begin with `maps`."""
        self._folder, self._maps, self._layout = folder, maps, layout

    def wider(self, overlay: Overlay, views: Sequence[View], word: str) -> Overlay | None:
        """With a matte that takes in what lies beyond it; there nothing shines through."""
        px = verdict_of(views).reach + SKIRT_PX
        return self._changed(overlay, word, partial(_widened, px=px, layout=self._layout))

    def refitted(self, overlay: Overlay, views: Sequence[View], word: str) -> Overlay | None:
        """With opacities that are stronger, place by place, by the share of the overlay that is left there."""
        if overlay.trajectory:
            return None
        return self._changed(overlay, word, partial(_refitted, views=views, layout=self._layout))

    def doubted(self, overlay: Overlay, views: Sequence[View], word: str) -> Overlay | None:
        """With maps that are doubted as much as they leave, so that more is borrowed and filled."""
        return self._changed(overlay, word, partial(_doubted, left=verdict_of(views).left))

    def _changed(self, overlay: Overlay, word: str, change: Callable[[_Maps], _Maps | None]) -> Overlay | None:
        name = f"{self._maps}{overlay.id}"
        owns = [
            event.matte is not None or event.box is not None or event.unblend is not None for event in overlay.events
        ]
        shared = tuple(event.range for event, own in zip(overlay.events, owns, strict=True) if not own)
        new = self._entry(overlay, overlay, shared, f"{name}.{word}", change) if shared else overlay
        events = tuple(
            self._entry(event, overlay, (event.range,), f"{name}.{i}.{word}", change) if own else event
            for i, (event, own) in enumerate(zip(overlay.events, owns, strict=True), 1)
        )
        if new is overlay and all(event is old for event, old in zip(events, overlay.events, strict=True)):
            return None
        boxes = [new.box, *(event.box for event in events if event.box is not None)]
        x0, y0 = min(box[0] for box in boxes), min(box[1] for box in boxes)
        x1, y1 = max(box[0] + box[2] for box in boxes), max(box[1] + box[3] for box in boxes)
        return replace(new, events=events, box=new.box if shared else (x0, y0, x1 - x0, y1 - y0))

    def _entry(
        self,
        entry: T,
        overlay: Overlay,
        ranges: tuple[FrameRange, ...],
        name: str,
        change: Callable[[_Maps], _Maps | None],
    ) -> T:
        """The overlay itself, or an event with maps of its own, with changed ones."""
        box = entry.box or overlay.box
        matte = entry.matte if entry.matte is not None or entry.box is not None else overlay.matte
        old = _Maps(
            box,
            read_matte(self._folder / matte, box) if matte else np.ones((box[3], box[2]), np.float32),
            read_unblend(self._folder / entry.unblend, self._layout.shapes(box)) if entry.unblend else None,
            ranges,
        )
        new = change(old)
        if new is None:
            return entry
        write_matte(self._folder / f"{name}.matte.png", new.matte)
        if new.unblend is not None:
            write_unblend(self._folder / f"{name}.unblend.npz", new.unblend)
        unblend = None if new.unblend is None else f"{name}.unblend.npz"
        return replace(entry, box=new.box, matte=f"{name}.matte.png", unblend=unblend)


def _widened(old: _Maps, *, px: int, layout: Layout) -> _Maps:
    box = layout.align(widened(old.box, px))
    matte = _placed(old.matte, old.box, box, 0.0)
    wide = cv2.dilate(matte, disc(px))
    if old.unblend is None:
        return replace(old, box=box, matte=wide)
    rim = (wide > VISIBLE) & (matte <= VISIBLE)
    planes = []
    for k, plane in enumerate(layout.colour):
        was, now, hidden = layout.plane_box(old.box, plane), layout.plane_box(box, plane), subsampled(rim, plane.shift)
        planes.append(
            [
                np.where(hidden, np.float32(0), _placed(values[k], was, now, away))
                for values, away in (
                    (old.unblend.transmission, 1.0),
                    (old.unblend.contribution, 0.0),
                    (old.unblend.doubt or [np.zeros_like(part) for part in old.unblend.transmission], 0.0),
                )
            ]
        )
    transmission, contribution, doubt = (list(part) for part in zip(*planes, strict=True))
    return replace(old, box=box, matte=wide, unblend=Unblend(transmission, contribution, doubt))


def _placed(part: np.ndarray, was: Box, now: Box, away: float) -> np.ndarray:
    """Values over one box, over a larger one around it: `away` in what is new."""
    left, top = was[0] - now[0], was[1] - now[1]
    right, bottom = now[2] - was[2] - left, now[3] - was[3] - top
    return np.pad(part, ((top, bottom), (left, right)), constant_values=away)


def _refitted(old: _Maps, *, views: Sequence[View], layout: Layout) -> _Maps | None:
    """By the share that is left in each place, as far as it is more than what chance makes of the scene's edges there.

    Chance is told beside the overlay's edges, as in residue.py. Shares that vary by s and chance by c are believed by
    s^2 / (s^2 + c^2).
    """
    x, y, w, h = old.box
    whole, *left = np.zeros((2 + len(BESIDE), h, w), np.float32)
    for part, after in views:
        if part.maps is None or after is None or not any(part.frame in span for span in old.ranges):
            continue
        (ex, ey), (ax, ay) = slopes(effect(part, after)), slopes(after)
        for one in (ex, ey):  # what is beside lies beyond the part there
            one[:REACH], one[-REACH:], one[:, :REACH], one[:, -REACH:] = 0, 0, 0, 0
        at = np.s_[y - part.box[1] : y - part.box[1] + h, x - part.box[0] : x - part.box[0] + w]
        whole += (ex * ex + ey * ey)[at]
        for total, (dy, dx) in zip(left, ((0, 0), *BESIDE), strict=True):
            total += (ex * np.roll(ax, (-dy, -dx), (0, 1)) + ey * np.roll(ay, (-dy, -dx), (0, 1)))[at]
    if old.unblend is None or not whole.any():
        return None
    whole, *left = (cv2.GaussianBlur(total, (0, 0), CELL_PX / 2) for total in (whole, *left))
    told = np.minimum(whole / (EVEN * whole.max()), 1)
    share, *beside = (np.where(told > 0, total / np.maximum(whole, 1e-6), 0) for total in left)
    chance = np.mean(np.square(beside), 0)
    known = float((whole * (share**2 - chance)).sum() / whole.sum())
    if known <= 0:
        return None
    (share,) = spread([share * known / (known + chance)], told)
    strength = 1 + share.clip(-MOST_CHANGE, MOST_CHANGE)
    parts = []
    for k in range(len(layout.colour)):
        there = cv2.resize(strength, old.unblend.transmission[k].shape[::-1], interpolation=cv2.INTER_AREA)
        doubt = old.unblend.doubt and [old.unblend.doubt[k]]
        parts.append(faded(Unblend([old.unblend.transmission[k]], [old.unblend.contribution[k]], doubt), there))
    doubts = old.unblend.doubt and [part.doubt[0] for part in parts if part.doubt]
    return replace(old, unblend=Unblend([p.transmission[0] for p in parts], [p.contribution[0] for p in parts], doubts))


def _doubted(old: _Maps, *, left: float) -> _Maps | None:
    if old.unblend is None:
        return None
    known = old.unblend.doubt or [np.zeros_like(a) for a in old.unblend.transmission]
    doubt = [np.hypot(d, left * (1 - a)) for d, a in zip(known, old.unblend.transmission, strict=True)]
    return replace(old, unblend=replace(old.unblend, doubt=doubt))
