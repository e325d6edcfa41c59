"""Overlays that come and go or move: blinking, jumping and drifting marks, effect text, captions word by word.

First look: groups of edges with a common fate (`_stays`). Second look, at native size: what each of them is, whether
it is drawn over the picture rather than part of it, and the frames in which it grows in or fades (`_effect`). What
comes, goes or moves shows at other times what is behind it, which is borrowed; where the picture shines through, what
is un-blended tells as well.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..boxes import around
from ..job import Box
from ..masks import extent, grown
from ..planes import Layout
from ..textsearch import LOOKS_A_SECOND, look_step
from ..timing import FrameRange
from . import Found, FoundEvent, Look, Small
from ._effect import Appearance, Effect, Settled
from ._finds import goes_along, join_styles, without_pieces
from ._growing import GrowingBars
from ._judged import confidence, is_overlay, may_be_drawn, read
from ._lanes import LaneFinder
from ._showing import Showing, Sighting
from ._stays import Stay, StayFinder, link
from ._strips import Band
from ._tracks import TrackFinder, Travel
from ._travelling import Travelling
from ._travels import all_travels, changes, choose_travels
from ._turning import Turning
from ._ways import keys_of
from ._wobbles import WobbleFinder
from ._words import WordFinder

STEPS_A_SECOND = 15  # of what travels
LARGEST = 0.5  # of the picture that the box around what travels takes, which is wider than it: parallax takes more
LARGEST_TURNING = 0.25  # the same of what turns or grows by its corners
STAYS_A_SECOND = 2.0  # appearances worth a second look, the likeliest first
NEAR = 0.35  # of the height of what was followed, around it, that may be a part of the same thing
STAYS_KEPT, KEPT_TIMES = 200, 4  # stays of the first look, at least, and for each one worth a second look
DENSE, ALONE = 0.14, 0.5  # least share of a stay's box that edges fill; of the edges with its fate, to be an outline
LINKED_S = 120  # s of a long clip over which appearances are linked
HELD, HELD_PER_PX = 16e6, 24  # bytes, and bytes a px of the picture, of appearances that wait for others


class Finder:
    """Finds the overlays that are there for a while only, or move."""

    def __init__(self, layout: Layout, whole: FrameRange, rate: float) -> None:
        self._layout, self._whole, self._rate = layout, whole, rate
        self._step = max(1, round(rate / LOOKS_A_SECOND))
        self._stride = max(1, round(rate / STEPS_A_SECOND))
        self._stays, self._tracks, self._lanes = StayFinder(rate / self._step), TrackFinder(), LaneFinder()
        self._words, self._wobbles = (finder(look_step(rate) // self._step) for finder in (WordFinder, WobbleFinder))
        self._bars, self._grown = GrowingBars(rate), list[Found]()
        self._scale = 1.0
        self._coming: list[Effect] = []  # the next one last
        self._spans: list[FrameRange] = []  # in which there is something to measure
        self._effects: list[Effect] = []  # those that have begun
        self._most_held = HELD + HELD_PER_PX * layout.width * layout.height
        self._bands: list[Band] = []  # that are not over
        self._found: list[Found] = []
        self._passing: list[Found] = []
        self._place: Box = (0, 0, 0, 0)

    def survey(self, small: Small) -> None:
        self._scale = small.scale
        if (small.frame - self._whole.start) % self._step == 0:
            self._stays.add(small.frame, small.luma)
            self._words.add(small)
            self._wobbles.add(small)
            most = max(STAYS_KEPT, round(KEPT_TIMES * STAYS_A_SECOND * (small.frame - self._whole.start) / self._rate))
            if len(self._stays.stays) > 2 * most:
                self._stays.stays = likeliest(self._stays.stays)[:most]
        if (small.frame - self._whole.start) % self._stride == 0:
            self._tracks.add(small.frame, small.luma)
            self._lanes.add(small.frame, small.luma)
        self._bars.add(small)

    def propose(self, shots: tuple[FrameRange, ...], seen: Look) -> list[Box]:
        self._stays.close()
        self._tracks.close()
        self._lanes.close()
        self._words.close()
        self._wobbles.close()
        self._grown = self._bars.finds(self._layout, self._whole)
        stays = choose(self._stays.stays, shots, self._whole, self._rate)
        effects = []
        for group in link(stays, round(LINKED_S * self._rate)):
            showings = [
                Showing(Sighting(stay.box, stay.start, stay.stop, stay.edges), self._layout, self._scale, self._rate)
                for stay in group
            ]
            effects.append(Effect(showings, self._layout, self._scale, shots, may_be_drawn, is_overlay))
        plain = [replace(t, poses=None) for t in self._tracks.travels if not changes(t) and self._is_small(t, LARGEST)]
        turning = [t for t in self._tracks.travels if changes(t) and self._is_small(t, LARGEST_TURNING)]
        lists = (
            choose_travels(travels, self._whole, self._rate)
            for travels in (plain, self._words.travels, turning, self._wobbles.travels)
        )
        for travel in all_travels(*lists):
            edges = (
                np.ones(travel.box[:1:-1], bool) if travel.own is None or travel.poses is None else _near(travel.own)
            )
            known = (travel.path, travel.poses, travel.own, travel.is_exact, travel.is_plain)
            sighting = Sighting(travel.box, travel.start, travel.stop, edges, *known)
            gather = Travelling if travel.poses is None else Turning
            showing = gather(sighting, self._layout, self._scale, self._rate)
            effects.append(Effect([showing], self._layout, self._scale, shots, may_be_drawn, is_overlay))
        for lane in self._lanes.lanes:
            band = Band(lane, self._layout, self._whole, self._scale, self._rate, shots)
            self._bands.append(band)
            effects += band.effects
        del self._stays, self._tracks, self._words, self._wobbles, self._lanes, self._bars
        if not effects:
            return []
        reach = [one.reach() for effect in effects for one in effect.showings]
        self._place = self._layout.align(around(*reach, *(band.reach for band in self._bands)))
        self._coming = sorted(effects, key=lambda effect: -effect.first)
        self._spans = [FrameRange(max(0, effect.first), effect.last) for effect in effects]
        self._spans += [band.watched for band in self._bands]
        return [self._place]

    def _is_small(self, travel: Travel, share: float) -> bool:
        """Whether its box takes no more than such a share of the picture."""
        return travel.box[2] * travel.box[3] * self._scale**2 <= share * self._layout.width * self._layout.height

    def wants(self, frame: int) -> bool:
        return any(frame in span for span in self._spans)

    def measure(self, frame: int, crops: list[list[np.ndarray]]) -> None:
        while self._coming and self._coming[-1].first <= frame:
            self._effects.append(self._coming.pop())
        for effect in self._effects:
            effect.add(frame, crops[0], self._place)
        over = [effect for effect in self._effects if effect.last <= frame + 1]
        self._effects = [effect for effect in self._effects if effect.last > frame + 1]
        for band in self._bands:
            band.look(frame, crops[0], self._place)
        self._settle(over)
        self._close([band for band in self._bands if band.is_over(frame)])
        for band in [band for band in self._bands if band.is_hopeless]:
            self._drop(band)
        while sum(effect.held for effect in self._effects) > self._most_held:
            self._settle([max(self._effects, key=lambda effect: effect.held).part()])

    def finish(self) -> list[Found]:
        self._settle(self._effects)
        self._effects = []
        self._close(self._bands)
        found = [find for find in self._found if not any(goes_along(find, band) for band in self._passing)]
        return join_styles(without_pieces(found)) + self._passing + self._grown

    def _settle(self, effects: list[Effect]) -> None:
        """Decides on what has been gathered of some effects, of which no more will come."""
        for effect in effects:
            seen = effect.settle()
            band = next((band for band in self._bands if effect in band.effects), None)
            if band is not None:
                band.add(effect, seen)
                continue
            for settled in seen:
                find = to_found(settled, self._layout, self._whole) if is_overlay(settled) else None
                if find is not None:
                    self._found.append(find)

    def _close(self, bands: list[Band]) -> None:
        """Decides on bands of which all is seen."""
        for band in bands:
            self._passing += band.finish(read)
        self._bands = [band for band in self._bands if band not in bands]

    def _drop(self, band: Band) -> None:
        """What passes through a lane has turned out to be of the scene."""
        self._effects = [effect for effect in self._effects if effect not in band.effects]
        self._coming = [effect for effect in self._coming if effect not in band.effects]
        self._bands.remove(band)


def _near(own: np.ndarray) -> np.ndarray:
    """(h, w) bool: what may belong to a thing that lies so, (h, w) 0..1."""
    seen = own > 0
    high = seen.sum() / max(1, seen.any(0).sum())
    return grown(seen, max(3, round(NEAR * high)))


def choose(stays: list[Stay], shots: tuple[FrameRange, ...], whole: FrameRange, rate: float) -> list[Stay]:
    """The stays worth a second look: those that come or go within a shot, the densest and largest."""
    cuts = {whole.start, whole.stop, *(shot.start for shot in shots)}
    near = {frame + k for frame in cuts for k in range(-2, 3)}
    inner = [s for s in stays if s.start not in near or s.stop not in near]
    most = max(20, round(STAYS_A_SECOND * len(whole) / rate))
    dense = [s for s in inner if s.edges.mean() >= DENSE]
    inner = [s for s in inner if s.edges.mean() >= DENSE or not any(_is_left_of(s, other) for other in dense)]
    return sorted(likeliest(inner)[:most], key=lambda s: s.start)


def _is_left_of(stay: Stay, other: Stay) -> bool:
    """Whether a stay is what the look took for edges of another fate of a thing that stays there meanwhile."""
    (x, y, w, h), (left, top, wide, high) = stay.box, other.box
    is_beside = x >= left + wide or left >= x + w or y >= top + high or top >= y + h
    return not is_beside and stay.start < other.stop and other.start < stay.stop and other.alone >= stay.alone / 2


def likeliest(stays: list[Stay]) -> list[Stay]:
    """Those that may be something drawn, the densest and largest first."""
    good = [s for s in stays if s.edges.sum() >= 40 and _density(s) >= DENSE]
    return sorted(good, key=lambda s: -(_density(s) ** 1.5) * np.sqrt(s.edges.sum()) * s.alone**0.25)


def _density(stay: Stay) -> float:
    """Share of its box that a stay's edges fill; an outline fills little, and nothing else has its fate."""
    share = float(stay.edges.mean())
    return max(share, DENSE) if stay.alone >= ALONE else share


def to_found(settled: Settled, layout: Layout, whole: FrameRange) -> Found | None:
    """The find of one template, with a trajectory where its appearances differ in place or size."""
    covered = settled.matte > 0
    if not covered.any():
        return None
    x, y = settled.box[:2]
    box = layout.align(extent(covered, (x, y)))
    part = np.s_[box[1] - y : box[1] - y + box[3], box[0] - x : box[0] - x + box[2]]
    appearances = [a for a in sorted(settled.appearances, key=lambda a: a.range.start) if len(a.range.meet(whole))]
    keys: dict[int, tuple[float, ...]] = {}
    events = []
    for a in appearances:
        keys |= _keys(a, settled.box, box, whole)
        for own in (p.range for p in a.parts):
            events.append(FoundEvent(own.meet(whole), matte=np.ascontiguousarray(settled.part_mattes[own][part])))
        full = a.full.meet(whole)
        fade_in = min(a.fade_in, len(full))
        events.append(FoundEvent(full, fade_in, min(a.fade_out, len(full) - fade_in)))
    events = sorted((e for e in events if len(e.range)), key=lambda e: e.range.start)
    moves = any(key[1:] != (0.0, 0.0, 1.0, 0.0) for key in keys.values())
    text, _ = read(settled.picture)
    for event in events:
        event.text = text
    return Found(
        "dynamic",
        box,
        events,
        confidence(settled),
        np.ascontiguousarray(settled.matte[part]),
        settled.unblend and settled.unblend.part(layout, settled.box, box),
        settled.evidence,
        tuple(keys[t] for t in sorted(keys)) if moves else (),
    )


def _keys(a: Appearance, crop: Box, box: Box, whole: FrameRange) -> dict[int, tuple[float, ...]]:
    """Trajectory keys of one appearance, by frame: as few as tell its way, size and turn.

    Its corners, sizes and turns are those of `crop`, the keys are for `box`, the middle of which lies elsewhere.
    """
    off = complex(box[0] + box[2] / 2 - crop[0] - crop[2] / 2, box[1] + box[3] / 2 - crop[1] - crop[3] / 2)
    every = {}
    for t in a.range.meet(whole):
        size, turn = a.scales.get(t, 1.0), a.turns.get(t, 0.0)
        more = off * (size * np.exp(1j * np.radians(turn)) - 1)
        (x, y) = a.corners[t]
        every[t] = (float(t), x - crop[0] + more.real, y - crop[1] + more.imag, size, turn)
    return keys_of(every)
