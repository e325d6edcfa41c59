"""Tickers and scrolls: text that passes through a lane, looked at piece by piece and told page by page.

What passes may be longer than the picture. Its strip is cut into short pieces, each of which is followed while its
middle is in the lane; together they decide whether it is drawn. The plan is told in pages as long as the lane: two of
them show at a time, so that every second one belongs to one of two overlays, and each has one way at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import cv2
import numpy as np

from ..job import Box
from ..planes import Layout
from ..timing import FrameRange
from . import Found, FoundEvent
from ._bar import BarFinder
from ._effect import Effect, Settled
from ._judged import SURE_READ
from ._lanes import Lane, cut
from ._showing import Sighting
from ._travelling import Travelling
from ._ways import keys_of

FOLLOWED = 12  # frames from which a piece is surely followed by its own picture
LEAST_PIECES = 3
DRAWN = 0.34  # share of the pieces that are surely drawn; of a scroll others lie between lines
THICK = 0.25  # of the picture's height: no ticker is as high, but what is read is text however high it is
OWN_PIECE = 0.8  # of these figures, that a piece of such a strip has
SHARP, LOCKED = 0.55, 0.7  # of drawn pieces: most 0.77 and 0.87 up; of the scene 0.3 to 0.6, and to 0.65
SURE = (0.75, 0.5)  # so sharp is nothing of the scene: before what is as bright the lock of letters is lost
AROUND_S = 4.0  # s before and after, in which the bar that it passes through may be there without it
LITTLE = 0.35  # of the most that shows at once
TEXT_ROW = 0.2  # of the fullest row of a text, that others of it have
ONE_WAY = 0.6  # concentration of the directions of edges
EVIDENCE = ("edge sharpness", "edge lock", "one direction")


class Passing(Travelling):
    """Gathers one piece; its neighbours belong to the same strip, so that all of its crop counts."""

    SURVEY_OFF, LEAST_RADIUS = 1.0, 1  # all of the strip was followed at once

    def __init__(
        self,
        sighting: Sighting,
        lane: Lane,
        layout: Layout,
        scale: float,
        rate: float,
        strip: dict[int, list[tuple[float, float]]],
    ) -> None:
        """`strip`: by frame, by how much more than the survey has it the strip has gone since the last one, as each
        piece says that is followed for long, and how sure that is; kept in common by all pieces."""
        super().__init__(sighting, layout, scale, rate)
        self._axis, self._strip = lane.axis, strip
        comes_or_goes = sighting.start == lane.start or sighting.stop == lane.stop
        if not comes_or_goes:  # it enters and leaves at the lane's ends: nothing around that is kept
            self.first, self.last, self._around = self.start, self.stop, 0

    def _settled_at(self, frame: int, spot: tuple[float, float]) -> tuple[float, float]:
        """Along the lane alone, for the scene may go another way; at first with the pieces before it, for it may go
        as fast."""
        place = self.place(frame)
        off = spot[self._axis] - place[self._axis]
        told = self._strip.setdefault(frame, [])
        if self._fitted >= FOLLOWED:  # the stronger its mean edges are, the surer: the scene's average out
            told.append((off, float((self._field[self._axis] ** 2).mean())))
        elif told:
            offs, weights = np.transpose(told)
            off = float(np.average(offs, weights=weights + 1e-6))
        return (place[0] + off, place[1]) if self._axis == 0 else (place[0], place[1] + off)

    def pace(self) -> tuple[float, float]:
        return 0.0, 0.0  # by its way it was taken up: that tells no more of what lies between its letters

    @cached_property
    def seeds(self) -> np.ndarray:
        return np.ones(self.box[:1:-1], bool)


class Band:
    """All that passes through one lane."""

    def __init__(
        self,
        lane: Lane,
        layout: Layout,
        whole: FrameRange,
        scale: float,
        rate: float,
        shots: tuple[FrameRange, ...],
    ) -> None:
        self._lane, self._layout, self._whole, self._scale = lane, layout, whole, scale
        self._axis = lane.axis
        self.place = _place(lane.box, layout, scale)
        strip: dict[int, list[tuple[float, float]]] = {}
        pieces = [Passing(piece, lane, layout, scale, rate, strip) for piece in cut(lane)]
        # A ticker is small; in what is larger letters are opaque, or it is of the scene, and a fit takes 10 s.
        fits = _is_piece if self._axis == 0 and not self._is_thick else lambda _: False
        self.effects = [Effect([piece], layout, scale, shots, is_overlay=fits) for piece in pieces]  # more may come
        self._count = len(self.effects)
        self._settled: list[Settled] = []
        passes, around = FrameRange(lane.start, lane.stop).meet(whole), round(AROUND_S * rate)
        self.watched = FrameRange(max(0, passes.start - around), passes.stop + around).meet(whole)
        x, y, w, h = self.place
        self.reach = layout.align((x, y - h, w, 3 * h)) if lane.axis == 0 else self.place
        self._bar = BarFinder(self.reach, layout, passes) if lane.axis == 0 else None

    def look(self, frame: int, crop: list[np.ndarray], place: Box) -> None:
        """`crop`: planes over `place`."""
        if self._bar is not None and frame in self.watched:
            self._bar.add(frame, crop, place)

    def add(self, effect: Effect, settled: list[Settled]) -> None:
        """Takes in what an effect of its own has shown, of which no more than that is kept."""
        self._settled += settled
        self.effects.remove(effect)

    def is_over(self, frame: int) -> bool:
        """Whether nothing of it comes after a frame."""
        return not self.effects and frame + 1 >= self.watched.stop

    @property
    def is_hopeless(self) -> bool:
        """Whether too few of its pieces are drawn ones, whatever those to come are."""
        seen = [[float(one.evidence[n]) for n in EVIDENCE] for one in self._settled]
        fails = [
            sum(values) for values in zip(*((s < SHARP, k < SURE[1], w > ONE_WAY) for s, k, w in seen), strict=True)
        ]
        return max(fails, default=0) > (1 - DRAWN) * self._count

    @property
    def _is_thick(self) -> bool:
        return self._axis == 0 and self.place[3] > THICK * self._layout.height

    @cached_property
    def _drawn(self) -> list[Settled]:
        """The pieces with something drawn in them; the others went with the scene."""
        return [one for one in self._settled if _is_piece(one)]

    def _way(self, start: int, stop: int) -> dict[int, np.ndarray]:
        """(2,) source px that the strip has gone by each frame, from 0 in the first: as most of its pieces go."""
        told = np.diff(self._lane.path, axis=0, prepend=self._lane.path[:1]) * self._scale
        told[0] = told[1]
        steps: dict[int, list[np.ndarray]] = {}
        for corners in (one.appearances[0].corners for one in self._drawn):
            for t in (t for t in corners if t - 1 in corners):
                steps.setdefault(t, []).append(np.subtract(corners[t], corners[t - 1]))
        out = {start: np.zeros(2)}
        for t in range(start + 1, stop):
            of_lane = told[np.clip(t - self._lane.start, 0, len(told) - 1)]
            step = np.median(steps[t], axis=0) if t in steps else of_lane
            out[t] = out[t - 1] + step * np.eye(2)[self._axis]
        return out

    def finish(self, read: Callable[[np.ndarray], tuple[str, float]]) -> list[Found]:
        """Up to two overlays, of every second page each. `read`: gives a picture's text, and how sure it is text."""
        evidence = self._evidence()
        if evidence is None or not self._drawn:
            return []
        start = max(self._whole.start, min(s.appearances[0].range.start for s in self._drawn))
        stop = min(self._whole.stop, max(s.appearances[0].range.stop for s in self._drawn))
        way = self._way(start, stop)
        pages = self._pages(way)
        if not pages:
            return []
        self._go_on(way, pages)
        said = {p: read(picture) for p, (_, picture) in pages.items()}
        if max(sure for _, sure in said.values()) < SURE_READ:
            return []
        texts = {p: text for p, (text, _) in said.items()}
        if self._is_thick and not any(texts.values()):  # shelves and hedges that pass look like lines, too
            return []
        order = sorted(pages, key=lambda p: -p * np.sign(self._lane.path[-1][self._axis]))
        bar = None if self._bar is None else self._bar.find(_rows(pages, self.place))
        if bar is not None:
            whole = FoundEvent(bar.range, text=" ".join(texts[p] for p in order if texts[p]))
            evidence["bar, px"] = float(bar.box[3])
            matte = np.ones((bar.box[3], bar.box[2]), np.float32)
            return [Found("dynamic", bar.box, [whole], _confidence(evidence), matte, evidence=evidence)]
        long = self.place[2 + self._axis]
        out = []
        for half in (0, 1):
            events: list[FoundEvent] = []
            keys: dict[int, tuple[float, ...]] = {}
            for p in (p for p in order if p % 2 == half):
                ways = {t: way[t] + p * long * np.eye(2)[self._axis] for t in way}
                frames = [t for t, gone in sorted(ways.items()) if abs(gone[self._axis]) < long]
                if not frames:
                    continue
                keys |= keys_of({t: (float(t), *(float(v) for v in ways[t]), 1.0, 0.0) for t in frames})
                event = FoundEvent(FrameRange(frames[0], frames[-1] + 1), text=texts[p])
                event.box, event.matte = self.place, pages[p][0]
                events.append(event)
            if events:
                events.sort(key=lambda e: e.range.start)
                trajectory = tuple(keys[t] for t in sorted(keys))
                sure = _confidence(evidence)
                out.append(Found("dynamic", self.place, events, sure, evidence=dict(evidence), trajectory=trajectory))
        return out

    def _go_on(self, way: dict[int, np.ndarray], pages: dict[int, tuple[np.ndarray, np.ndarray]]) -> None:
        """Adds the frames in which so little of it has come into the lane, or is left there, that it was not told."""
        axis, long = self._axis, self.place[2 + self._axis]
        first = min(pages)
        strip = np.zeros((max(pages) - first + 1) * long)
        for p, (matte, _) in pages.items():
            strip[(p - first) * long : (p - first + 1) * long] = matte.sum(axis)
        sums = np.concatenate([[0.0], np.cumsum(strip)])

        def shows(t: int) -> float:
            low = -round(float(way[t][axis])) - first * long
            return float(np.diff(sums[np.clip([low, low + long], 0, len(strip))])[0])

        little = LITTLE * max(map(shows, way))
        for ahead, edge in ((-1, min(way)), (1, max(way))):
            t, step = edge, way[edge] - way[edge - ahead]
            while 0 < shows(t) <= little and t + ahead in self._whole:
                way[t + ahead] = way[t] + step
                t += ahead

    def _evidence(self) -> dict[str, float | str] | None:
        """What speaks for something drawn, figures that a third of its pieces reach; None where they are too low."""
        if len(self._settled) < LEAST_PIECES:
            return None
        seen = np.array([[float(one.evidence[n]) for n in EVIDENCE] for one in self._settled])
        sharp, lock, one_way = (float(np.quantile(seen[:, k], q)) for k, q in enumerate((1 - DRAWN, 1 - DRAWN, DRAWN)))
        if not _is_drawn(sharp, lock, one_way):
            return None
        far = float(np.abs(self._lane.path[-1][self._axis])) * self._scale
        return {
            "edge sharpness": sharp,
            "edge lock": lock,
            "one direction": one_way,
            "pieces": float(len(self._settled)),
            "passes, px": far,
        }

    def _pages(self, way: dict[int, np.ndarray]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """The matte (H, W) float32 and the picture (H, W, 3) uint8 of each page, over the lane's place."""
        high, wide = self.place[3], self.place[2]
        long = self.place[2 + self._axis]
        out: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for settled in self._drawn:
            corners = settled.appearances[0].corners
            spot = np.median([np.subtract(corner, way[t]) for t, corner in corners.items() if t in way], axis=0)
            x, y = (round(float(v)) - self.place[k] for k, v in enumerate(spot))
            along = (x, y)[self._axis]
            size = settled.matte.shape[1 - self._axis]
            for p in range(along // long, (along + size - 1) // long + 1):
                if p not in out:
                    out[p] = np.zeros((high, wide), np.float32), np.zeros((high, wide, 3), np.uint8)
                corner = (x - p * long, y) if self._axis == 0 else (x, y - p * long)
                for page, part in zip(out[p], (settled.matte, settled.picture), strict=True):
                    _paste(page, part, corner)
        return {p: page for p, page in out.items() if (page[0] > 0).any()}


def _is_drawn(sharp: float, lock: float, one_way: float) -> bool:
    return one_way <= ONE_WAY and any(sharp >= least and lock >= held for least, held in ((SHARP, LOCKED), SURE))


def _is_piece(settled: Settled) -> bool:
    """Whether a piece has something drawn in it, if the strip has."""
    sharp, lock, one_way = (float(settled.evidence[name]) for name in EVIDENCE)
    return _is_drawn(sharp / OWN_PIECE, lock / OWN_PIECE, one_way * OWN_PIECE)


def _rows(pages: dict[int, tuple[np.ndarray, np.ndarray]], place: Box) -> tuple[int, int]:
    """The first row of the text on some pages, and one past the last; source px."""
    filled = np.sum([matte.sum(1) for matte, _ in pages.values()], axis=0)
    rows = np.flatnonzero(filled >= TEXT_ROW * filled.max())
    return place[1] + int(rows[0]), place[1] + int(rows[-1]) + 1


def _confidence(evidence: dict[str, float | str]) -> float:
    return float(1 / (1 + np.exp(-1 - 4 * min(0.6, float(evidence["edge sharpness"]) / SHARP - 1))))


def _place(lane: Box, layout: Layout, scale: float) -> Box:
    """A lane in source px, aligned, cut to the picture."""
    x0, y0 = (max(0, int(np.floor(v * scale))) for v in lane[:2])
    x1 = min(layout.width, int(np.ceil((lane[0] + lane[2]) * scale)))
    y1 = min(layout.height, int(np.ceil((lane[1] + lane[3]) * scale)))
    return layout.align((x0, y0, x1 - x0, y1 - y0))


def _paste(page: np.ndarray, part: np.ndarray, corner: tuple[int, int]) -> None:
    """Puts a part on a page where it is brighter; what lies beyond the page is left out."""
    x, y = corner
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(page.shape[1], x + part.shape[1]), min(page.shape[0], y + part.shape[0])
    if x1 > x0 and y1 > y0:
        view = page[y0:y1, x0:x1]
        cv2.max(view, part[y0 - y : y1 - y, x0 - x : x1 - x], dst=view)
