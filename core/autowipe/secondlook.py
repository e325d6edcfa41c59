"""The second look: what is still seen of an overlay in a finished frame, and whether it reaches beyond its matte.

What is left is told as in residue.py, by the edges of what the overlay does to the picture, but place by place, so that
too much here and too little there do not cancel. Beyond the matte the source tells: across the border of a matte that
covers its overlay the picture changes as it does a little further out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from . import planes
from .areas import AreaMask
from .boxes import around, widened
from .job import Box
from .maps import Unblend
from .masks import nearest
from .matte import VISIBLE, Mattes
from .opacity import LEAST_TRANSMISSION
from .plan import Overlay
from .planes import Layout
from .residue import BESIDE, SMOOTH_PX, slopes
from .sidecars import places
from .text import find_text
from .unblend import told

AROUND_PX = 32  # of picture around an overlay that a look takes in
MOST_PX = 500_000  # of a region; a larger one is looked at in half its size
CELL_PX = 24  # a place: wide enough to hold some edges, narrow enough for one sign
FEWEST = 60  # px of edges, or of border, that tell
STRONG = 0.3  # of the overlay's strongest edges: those that are looked for
FAINTEST = 0.5  # levels a px: a weaker edge is nobody's
RIM_PX = 3  # of an opaque matte
OUT_PX = 8  # beyond the border: what is there is the scene
BEYOND_PX = 6  # how far an overlay is followed beyond its matte
REACH = max(max(map(abs, shift)) for shift in BESIDE) + 1  # px from a region's edge in which all of BESIDE is there
CHANCE = 0.05  # of an overlay, that is seen where it is gone
GOES_ON = 0.3  # of an overlay's contrast: so much of it is still the overlay and not the codec's ringing


@dataclass(frozen=True)
class Sight:
    """An overlay in one frame; sums and squares, so that the mean over frames is meant to be taken."""

    left: float  # squared share of its edges that the result still has, less what chance makes; below 0 by chance
    beyond: tuple[float, ...]  # product of contrasts at the border and 0, 1 ... BEYOND_PX px out, less the scene's own
    contrast: float  # squared contrast of overlay and surroundings, levels
    text: float = 0.0  # share of a line's letters in whose place text is found again


@dataclass(frozen=True)
class Verdict:
    """What looks at several frames come to."""

    left: float  # share of the overlay's edges that is still there, 0..1
    rim: float  # share of its contrast that is found just beyond its matte, 0..1
    reach: int  # px by which it reaches beyond
    text: float  # share of a line's letters in whose place text is found again, 0..1

    @property
    def confidence(self) -> float:
        """How sure it is that the overlay is gone, 0..1: 1 where no more is seen than chance makes."""
        return min(1.0, 1 + CHANCE - max(self.left, self.rim, self.text))


@dataclass(frozen=True)
class Part:
    """What an overlay lies over in a frame, before it is wiped."""

    overlay: str  # id
    frame: int
    box: Box
    before: np.ndarray  # (H, W) float32 levels of the leading plane
    matte: np.ndarray
    maps: Unblend | None
    other: np.ndarray  # (H, W) bool: what other overlays cover, or is to stay


class Looker:
    """Looks at the overlays of a plan in single frames, before and after their plates go over them."""

    def __init__(self, overlays: Sequence[Overlay], folder: Path, layout: Layout, hold_outs: AreaMask) -> None:
        """`folder`: where the plan's map files are."""
        self._layout, self._hold_outs = layout, hold_outs
        self._overlays = [(overlay, Mattes((overlay,), folder, layout, hold_outs)) for overlay in overlays]

    def before(self, frame: int, views: list[np.ndarray]) -> list[Part]:
        """The parts of a frame that overlays lie over; `views`: its planes as they came."""
        parts = []
        for overlay, mattes in self._overlays:
            box = self._around(places(overlay, frame))
            cover = mattes.at(frame, box) if box else None
            if box is None or cover is None or cover.matte is None:
                continue
            x, y, w, h = box
            other = self._hold_outs.at(frame)[y : y + h, x : x + w].copy()
            for one, own in self._overlays:
                beside = own.at(frame, box).matte if one is not overlay else None
                if beside is not None:
                    other |= (beside > VISIBLE) & (cover.matte <= VISIBLE)
            parts.append(Part(overlay.id, frame, box, self._lead(views, box), cover.matte, cover.unblend, other))
        return parts

    def after(self, parts: Sequence[Part], views: list[np.ndarray]) -> list[np.ndarray]:
        """(H, W) float32 levels of the same parts once the frame is wiped."""
        return [self._lead(views, part.box) for part in parts]

    def _around(self, boxes: Sequence[Box]) -> Box | None:
        boxes = [box for box in boxes if box[2] and box[3]]
        box = self._layout.align(widened(around(*boxes), AROUND_PX)) if boxes else (0, 0, 0, 0)
        return box if box[2] and box[3] else None

    def _lead(self, views: list[np.ndarray], box: Box) -> np.ndarray:
        return planes.to_levels(planes.crop(views[:1], self._layout, box), self._layout)[0]


def spots(overlays: Sequence[Overlay], most: int) -> list[int]:
    """Frames in which every overlay is fully there, `most` of each where it has as many, spread over its appearances.

    Overlays that are there at the same time share their frames.
    """
    chosen: list[int] = []
    steady = {
        overlay.id: np.concatenate(
            [np.arange(e.range.start + e.fade_in, e.range.stop - e.fade_out) for e in overlay.events]
        )
        for overlay in overlays
    }
    for overlay in sorted(overlays, key=lambda o: len(steady[o.id])):
        own = steady[overlay.id]
        near = len(own) / (2 * most)
        for k in range(min(most, len(own))):
            place = int((k + 0.5) * len(own) / min(most, len(own)))
            at = [int(np.searchsorted(own, frame)) for frame in chosen]
            taken = [
                n < len(own) and own[n] == frame and abs(n - place) < near for n, frame in zip(at, chosen, strict=True)
            ]
            if not any(taken):
                chosen.append(int(own[place]))
    return sorted(set(chosen))


def verdict(sights: Sequence[Sight]) -> Verdict:
    if not sights:
        return Verdict(0.0, 0.0, 0, 0.0)
    left = float(np.sqrt(np.clip(np.mean([sight.left for sight in sights]), 0, 1)))
    contrast = max(float(np.mean([sight.contrast for sight in sights])), 1e-6)
    share = np.mean([sight.beyond for sight in sights], axis=0) / contrast
    over = share > GOES_ON
    reach = len(over) if over.all() else int(np.argmin(over))
    text = float(np.mean([sight.text for sight in sights]))
    return Verdict(left, float(np.clip(share[1], 0, 1)), reach, text)


def look(part: Part, after: np.ndarray | None) -> Sight:
    """What is seen of an overlay in one frame; `after`: the part's picture as it is wiped, None where it is not yet."""
    while part.before.size > MOST_PX:
        part, after = _halved(part), after if after is None else _half(after)
    beyond, contrast = _beyond(part.before, part.matte > VISIBLE, part.other)
    return Sight(0.0 if after is None else _left(after, effect(part, after), _telling(part)), beyond, contrast)


def read_again(part: Part, after: np.ndarray, scale: float) -> float:
    """Share of an overlay's letters in whose place the text detector finds text once they are wiped.

    `scale`: source px for one px of the picture in which text is looked for.
    """
    size = tuple(max(1, round(side / scale)) for side in after.shape[::-1])
    picture = cv2.resize(after.clip(0, 255).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    letters = cv2.resize(part.matte, size, interpolation=cv2.INTER_AREA) > 0.5
    found = np.zeros(letters.shape, bool)
    for line in find_text(picture):
        x0, y0, x1, y1 = (round(value) for value in line.bounds)
        found[y0:y1, x0:x1] = True
    return float((letters & found).sum() / max(1, letters.sum()))


def effect(part: Part, after: np.ndarray) -> np.ndarray:
    """(H, W) float32 levels: what an overlay adds to the picture beneath, of which a blur of `after` stands in."""
    hole = part.matte > VISIBLE
    a, b = (~hole).astype(np.float32), np.where(hole, part.before, np.float32(0))
    if part.maps is not None:
        shines = hole & (part.maps.transmission[0] >= LEAST_TRANSMISSION)
        a, b = np.where(shines, part.maps.transmission[0], a), np.where(shines, part.maps.contribution[0], b)
    return np.where(hole, b - (1 - a) * cv2.GaussianBlur(after, (0, 0), SMOOTH_PX), np.float32(0))


def _telling(part: Part) -> np.ndarray:
    """(H, W) bool: where edges are the overlay's. The rim of an opaque matte holds some of the scene's own as well."""
    rim = np.ones((2 * RIM_PX + 1,) * 2, np.uint8)
    deep = cv2.erode((part.matte > VISIBLE).astype(np.uint8), rim) > 0
    return deep if part.maps is None else deep | told(part.maps)


def _left(after: np.ndarray, effect: np.ndarray, telling: np.ndarray) -> float:
    (ex, ey), (x, y) = slopes(effect), slopes(after)
    step = np.hypot(ex, ey)
    step[~telling] = 0
    step[:REACH], step[-REACH:], step[:, :REACH], step[:, -REACH:] = 0, 0, 0, 0
    strongest = step[step > FAINTEST]
    if len(strongest) < FEWEST:
        return 0.0
    rows, columns = np.nonzero(step > max(FAINTEST, STRONG * float(np.quantile(strongest, 0.95))))
    if len(rows) < FEWEST:
        return 0.0
    _, place = np.unique(rows // CELL_PX * step.shape[1] + columns // CELL_PX, return_inverse=True)
    ex, ey = ex[rows, columns], ey[rows, columns]
    whole = np.bincount(place, ex * ex + ey * ey)
    squares = []
    for dy, dx in ((0, 0), *BESIDE):
        there = rows + dy, columns + dx
        share = np.bincount(place, ex * x[there] + ey * y[there]) / whole
        squares.append(float((whole * share * share).sum() / whole.sum()))
    return squares[0] - float(np.mean(squares[1:]))


def _beyond(before: np.ndarray, hole: np.ndarray, other: np.ndarray) -> tuple[tuple[float, ...], float]:
    """What Sight says of the border: the picture along lines that leave the hole, less the same further out."""
    nothing = (0.0,) * (BEYOND_PX + 1), 0.0
    if not hole.any():
        return nothing
    height, width = hole.shape
    distance, next_to = nearest(hole)
    at = np.argwhere(np.abs(distance - OUT_PX) <= 0.5)
    border = np.stack(np.divmod(next_to[tuple(at.T)], width), -1).astype(np.float32)
    way = (at - border) / OUT_PX
    far = np.rint(border + 2 * OUT_PX * way).astype(int)
    inside = ((far >= 0) & (far < (height, width))).all(1)
    at, border, way, far = at[inside], border[inside], way[inside], far[inside]
    free = ~other[tuple(at.T)] & ~other[tuple(far.T)] & (distance[tuple(far.T)] > 1.5 * OUT_PX)
    if free.sum() < FEWEST:
        return nothing
    border, way = border[free], way[free]

    def out(px: float) -> np.ndarray:
        spot = np.rint(border + px * way).astype(int)
        return before[spot[:, 0].clip(0, height - 1), spot[:, 1].clip(0, width - 1)]

    middle = out(OUT_PX)
    own, scene = out(0) - middle, out(2 * OUT_PX) - middle
    beyond = tuple(
        float((own * (out(px) - middle)).mean() - (scene * (out(2 * OUT_PX - px) - middle)).mean())
        for px in range(BEYOND_PX + 1)
    )
    return beyond, max(float(((out(-px) - middle) ** 2).mean()) for px in (0, 2, 4))


def _halved(part: Part) -> Part:
    maps = part.maps and Unblend([_half(part.maps.transmission[0])], [_half(part.maps.contribution[0])])
    other = _half(part.other.astype(np.float32)) > 0
    return replace(part, before=_half(part.before), matte=_half(part.matte), maps=maps, other=other)


def _half(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
