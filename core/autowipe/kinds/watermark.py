"""Watermarks: translucent marks that repeat all over the picture, or one large one across it.

First look: the mean gradient of the whole picture, in which what moves averages out. Tiles show by the shifts by which
it repeats itself (`lattice`), whether the scene moves or not; a large mark by the edges that are left when the scene
does move. Second look, at native size: when the pattern is there, and how it blends (`veil.VeilFit`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from .. import planes
from ..evidence import Steady, SteadyField, clipped, frame_lines
from ..job import Box
from ..lattice import Lattice, find_lattice, moved
from ..masks import connected, disc, extent, grown
from ..motif import LEAST_STEP, find_motif, laid
from ..planes import Layout
from ..timing import FrameRange
from ..veil import Veil, VeilFit
from . import Found, Look, Small
from ._cover import LookSum, graphic_edges, one_way, peaks, sharpness
from ._mark import PRESENT, appearances, resampled

SAMPLES_A_SECOND = 6
LEAST_SAMPLES = 24  # of a short clip
FITTED = 48  # frames that the fit is offered, over the whole clip
CORE = 0.35  # of the strongest edges: those that presence is told by
LEAST_STROKES = 0.001  # of the picture
MOST_STROKES = 0.5
ALIKE, ALIKE_AREA = 0.25, 0.6  # correlation of a tile with the others; share of the tiles that reach it
LEFT_OUT = 0.25  # of a motif's edges: what shows less of them is not there
EXPLAINED, EXPLAINED_TILES = 0.5, 0.1  # of what strokes change; tiles are sure already, and a fill errs in textures
LEAST_OPACITY, MOST_OPACITY = 0.03, 0.85
BUSY, MOST_STILL = 3.0, 0.35  # levels a px of an edge; share of it that is left in the mean when the scene stands still
STAYS = 0.5  # share of a mark's edge that is left in the mean
DIRECTIONS = 8  # bins over 180 degrees
TOGETHER = 0.014  # of the picture's width: edges nearer than this belong to one mark
LEAST_EDGES = 0.4  # edge px, in picture widths
LARGE, CENTRAL = 0.35, 0.25  # of the picture: least length; farthest from the middle
ONE_WAY = 0.75  # concentration of directions from which it is a line of the scene
EDGE_PX = 5  # of the analysis picture
MARGIN = 0.06  # of the picture's height: clean surroundings of a large mark
LEAST_PRESENCE = 0.9  # of the frames, of a large mark; what comes and goes is of another kind
LEAST_DRAWN, LEAST_SHARP, UNSTEADY = 0.35, 0.5, 0.1
PLAINLY_DRAWN = 0.8  # share of drawn edges from which it may reach the picture's edge, where scenes come in
MOST_CORE = 20_000  # px that presence is told by


@dataclass(frozen=True)
class Pattern:
    """What the first look found, in px of the analysis picture."""

    edges: np.ndarray  # (2, h, w) float32: the overlay's own gradient, levels a px; 0 away from it
    strokes: np.ndarray  # (h, w) bool: holds all that it covers
    lattice: Lattice | None
    evidence: dict[str, float | str]

    @property
    def box(self) -> Box:
        """Around all strokes, (x, y, w, h); the whole picture where they repeat."""
        height, width = self.strokes.shape
        if self.lattice is not None:
            return (0, 0, width, height)
        return extent(self.strokes)


class Finder:
    """Finds one pattern of translucent strokes that is spread over the picture."""

    def __init__(self, layout: Layout, whole: FrameRange, rate: float) -> None:
        self._layout, self._whole, self._rate = layout, whole, rate
        self._step = max(1, min(round(rate / SAMPLES_A_SECOND), len(whole) // LEAST_SAMPLES))
        self._steady = SteadyField()
        self._scale = 1.0
        self._second: _SecondLook | None = None

    def survey(self, small: Small) -> None:
        self._scale = small.scale
        if (small.frame - self._whole.start) % self._step == 0:
            self._steady.add(small.luma)

    def propose(self, shots: tuple[FrameRange, ...], seen: Look) -> list[Box]:
        steady = self._steady.result()
        del self._steady
        pattern = None if steady is None else find_tiles(steady) or find_large(steady)
        if pattern is None:
            return []
        self._second = _SecondLook(pattern, self._layout, self._whole, self._rate, self._scale)
        return [self._second.box]

    def wants(self, frame: int) -> bool:
        return True

    def measure(self, frame: int, crops: list[list[np.ndarray]]) -> None:
        if self._second is not None:
            self._second.add(frame, crops[0])

    def finish(self) -> list[Found]:
        found = None if self._second is None else self._second.finish()
        return [] if found is None else [found]


def find_tiles(steady: Steady) -> Pattern | None:
    """The pattern that the picture's mean gradient repeats, if it does."""
    clear = ~frame_lines(steady.light)
    lattice = find_lattice(steady.field, clear)
    if lattice is None:
        return None
    height, width = clear.shape
    field = np.moveaxis(np.where(clear, steady.field, np.nan), 0, -1)
    cell = lattice.cell((0, 0, width, height))
    margin = round(2 * TOGETHER * width)
    shifts = lattice.shifts(width + margin, height + margin)
    looks = (moved(field, shift, cell) for shift in shifts)
    tiles = np.stack([look for look in looks if not np.isnan(look[..., 0]).all()])
    motif = find_motif(tiles)
    alike = _alike(tiles, motif.edges, motif.is_edge)
    whole = laid(motif, cell, shifts, (width, height), margin)
    edges = _drawn_tiles(whole, steady.field, margin)
    evidence: dict[str, float | str] = {
        "repeats, times its unrest": lattice.ratio,
        "tiles in the picture": height * width / lattice.area,
        "tiles alike": alike,
        "strokes, share of the picture": float(edges.mean()),
    }
    if not LEAST_STROKES < edges.mean() < MOST_STROKES or alike < ALIKE_AREA:
        return None
    inside = whole[margin : margin + height, margin : margin + width]
    return Pattern(np.moveaxis(inside * edges[..., None], -1, 0), cover_of(edges), lattice, evidence)


def _alike(tiles: np.ndarray, mean: np.ndarray, part: np.ndarray) -> float:
    """Share of the tiles whose edges at the strokes `part` (h, w) are those of the others.

    tiles: (n, h, w, 2), NaN outside the picture; a tile counts by how much of the strokes it shows.
    """
    total = same = 0.0
    for tile in tiles:
        here = part & ~np.isnan(tile[..., 0])
        if here.sum() < 20:
            continue
        own, others = tile[here], mean[here]
        others = others * 1.0
        likeness = float((own * others).sum() / np.sqrt((own**2).sum() * (others**2).sum() + 1e-6))
        total += here.sum()
        same += here.sum() if likeness >= ALIKE else 0
    return same / max(total, 1)


def _drawn_tiles(whole: np.ndarray, field: np.ndarray, margin: int) -> np.ndarray:
    """(h, w) bool: where edges of the pattern lie in the picture.

    Those who draw tiles often leave out what the picture's edge would cut: of what hangs together with such a cut, the
    parts that do not show are not there.

    whole: (H, W, 2) over the picture and a margin around it; field: (2, h, w) of the picture.
    """
    height, width = field.shape[1:]
    power = (whole**2).sum(-1)
    edges = power > 0
    inside = np.zeros_like(edges)
    inside[margin : margin + height, margin : margin + width] = True
    count, motifs = cv2.connectedComponents(grown(edges, margin // 2).astype(np.uint8), connectivity=8)
    cut = np.bincount(motifs[edges & ~inside], minlength=count) > 0
    _, parts = cv2.connectedComponents(grown(edges, margin // 4).astype(np.uint8), connectivity=8)
    parts = parts[inside]
    alike = (np.moveaxis(field, 0, -1).reshape(-1, 2) * whole[inside]).sum(-1)
    shows = np.bincount(parts, alike) > LEFT_OUT * np.bincount(parts, power[inside])
    there = edges[inside] & (shows[parts] | ~cut[motifs[inside]])
    return there.reshape(height, width)


def find_large(steady: Steady) -> Pattern | None:
    """One large mark across the middle of the picture, told by its edges where the rest of the picture moves."""
    clear = ~frame_lines(steady.light)
    length = np.hypot(*steady.field)
    stays = length / (steady.usual + 1)
    busy = clear & (steady.usual > BUSY)
    usual = float(np.median(stays[busy])) if busy.any() else 1.0
    if usual > MOST_STILL:
        return None
    usual_of = _by_direction(steady, stays, busy)  # edges along the motion survive it
    weak = clear & (stays > np.maximum(0.7 * STAYS, 1.6 * usual_of)) & (length > LEAST_STEP)
    strong = weak & (stays > np.maximum(STAYS, 2.2 * usual_of)) & (length > 2 * LEAST_STEP)
    height, width = clear.shape
    edges = connected(weak, strong, 3, 0.25)
    reach = max(3, round(TOGETHER * width))
    count, labels = cv2.connectedComponents(cv2.dilate(edges.astype(np.uint8), disc(reach)), connectivity=8)
    best = None
    for i in range(1, count):
        rows, columns = np.nonzero(edges & (labels == i))
        if len(rows) < LEAST_EDGES * width:
            continue
        (middle_x, middle_y), (wide, high), _ = cv2.minAreaRect(np.column_stack([columns, rows]).astype(np.float32))
        turned = one_way(steady.field[:, rows, columns])
        is_central = abs(middle_x / width - 0.5) < CENTRAL and abs(middle_y / height - 0.5) < CENTRAL
        if max(wide, high) < LARGE * width or not is_central or turned > ONE_WAY:
            continue
        if best is None or len(rows) > best[0]:
            best = (len(rows), i, max(wide, high) / width, turned)
    if best is None:
        return None
    edges &= labels == best[1]
    evidence: dict[str, float | str] = {
        "stays while the scene moves": float(np.median(stays[edges])),
        "what the scene's edges leave": usual,
        "length, picture widths": float(best[2]),
        "one direction": best[3],
    }
    return Pattern(steady.field * edges, cover_of(edges), None, evidence)


def _by_direction(steady: Steady, stays: np.ndarray, busy: np.ndarray) -> np.ndarray:
    """(h, w): what the scene's edges of each px's direction leave in the mean (median)."""
    turn = np.arctan2(steady.field[1], steady.field[0]) * (DIRECTIONS / np.pi)
    direction = turn.astype(np.int32) % DIRECTIONS
    usual = [
        float(np.median(stays[here])) if (here := busy & (direction == k)).sum() > 50 else 0.0
        for k in range(DIRECTIONS)
    ]
    return np.array(usual, np.float32)[direction]


def cover_of(edges: np.ndarray) -> np.ndarray:
    """(h, w) bool: all that strokes with these edges (h, w) bool may cover, a little more rather than less."""
    near = cv2.morphologyEx(edges.astype(np.uint8), cv2.MORPH_CLOSE, disc(3))
    room = np.pad(near, 1)
    cv2.floodFill(room, None, (0, 0), 2)
    return cv2.dilate((room[1:-1, 1:-1] != 2).astype(np.uint8), disc(2)) > 0


class _SecondLook:
    """Follows the pattern through the clip at native size, and fits it at the end."""

    def __init__(self, pattern: Pattern, layout: Layout, whole: FrameRange, rate: float, scale: float) -> None:
        self.box = _around(pattern.box, pattern.lattice is None, layout, scale)
        self._pattern, self._layout, self._whole, self._rate = pattern, layout, whole, rate
        # of the analysis picture, what lies over the box
        wide = max(1, round(self.box[2] / scale))
        self._size = (wide, max(1, round(self.box[3] * wide / self.box[2])))
        edges = np.stack([resampled(part, self.box, scale, self._size) for part in pattern.edges])
        power = (edges**2).sum(0)
        least = CORE**2 * float(np.quantile(power[power > 0], 0.98))
        self._at = np.flatnonzero(power > least)
        self._at = self._at[:: max(1, len(self._at) // MOST_CORE)]
        self._weights = edges.reshape(2, -1)[:, self._at] / power.reshape(-1)[self._at].sum()
        self._strokes = resampled(pattern.strokes.astype(np.float32), self.box, scale, self.box[2:]) > 0.5
        lattice = pattern.lattice and pattern.lattice.scaled(scale)
        self._fit = VeilFit(layout, self.box, self._strokes, lattice)
        own = (pattern.edges != 0).any(0).astype(np.float32)
        self._edges = resampled(own, self.box, scale, self.box[2:]) > 0.3
        self._scale = scale
        self._crop_layout = replace(layout, width=self.box[2], height=self.box[3])
        self._look = LookSum(self._crop_layout)
        self._step = max(1, len(whole) // FITTED)
        self._presence: list[float] = []
        self._start = 0

    def add(self, frame: int, crop: list[np.ndarray]) -> None:
        if not self._presence:
            self._start = frame
        luma, _ = planes.small(crop, self._crop_layout, self._size[0])
        edges = clipped(luma).reshape(2, -1)[:, self._at]
        share = float((edges * self._weights).sum())
        self._presence.append(share)
        if share >= PRESENT and (frame - self._start) % self._step == 0:
            self._fit.add(crop)
            if self._pattern.lattice is None:
                self._look.add(crop)

    def finish(self) -> Found | None:
        presence = np.array(self._presence)
        seen = presence[presence > PRESENT]
        usual = np.full(len(presence), np.median(seen) if seen.size else 1.0)
        events = appearances(presence, usual, self._start, self._rate)
        there = presence > PRESENT
        evidence = {**self._pattern.evidence, "frames with it": float(there.mean())}
        least = EXPLAINED_TILES
        if self._pattern.lattice is None and events:
            least = EXPLAINED
            evidence |= self._drawn(presence[there])
            if not _is_drawn(evidence):
                return None
            self._fit.trace(self._edges)
        veil = self._fit.finish() if events else None
        if veil is None:
            return None
        level, colour = veil.levels[0]
        evidence |= {"opacity": level, "colour, level": colour, "explained": veil.explained}
        if veil.explained < least or not LEAST_OPACITY <= level <= MOST_OPACITY:
            return None
        confidence = float(np.clip(0.6 + 0.4 * (veil.explained - least) / (1 - least), 0.6, 0.98))
        return Found("watermark", self.box, events, confidence, matte_of(veil), veil.unblend, evidence)

    def _drawn(self, presence: np.ndarray) -> dict[str, float | str]:
        """Figures that tell drawn edges from what moves with the camera."""
        look = self._look.look()
        edges = graphic_edges(look, self._edges)
        ridges, _ = peaks(look, self._edges)
        low, high = np.quantile(presence, [0.16, 0.84])
        x, y, w, h = self._pattern.box
        tall, wide = self._pattern.strokes.shape
        return {
            "reaches the picture's edge": float(min(x, y, wide - x - w, tall - y - h) <= EDGE_PX),
            "drawn edges, share": float((ridges & edges).sum() / max(1, ridges.sum())),
            "edge sharpness": sharpness(look, edges),
            "edge lock": float(np.median(look.lock[edges])) if edges.any() else 0.0,
            "unsteadiness": float(high - low) / 2,
        }


def _around(place: Box, with_margin: bool, layout: Layout, scale: float) -> Box:
    """A place of the analysis picture in px of the source, with clean surroundings, aligned."""
    x, y, w, h = (value * scale for value in place)
    margin = max(12, MARGIN * layout.height) if with_margin else 0
    left, top, right, bottom = int(x - margin), int(y - margin), int(x + w + margin) + 1, int(y + h + margin) + 1
    return layout.align((left, top, right - left, bottom - top))


def _is_drawn(evidence: dict) -> bool:
    return (
        evidence["frames with it"] >= LEAST_PRESENCE
        and evidence["drawn edges, share"] >= (PLAINLY_DRAWN if evidence["reaches the picture's edge"] else LEAST_DRAWN)
        and evidence["edge sharpness"] >= LEAST_SHARP
        and evidence["unsteadiness"] <= UNSTEADY
    )


def matte_of(veil: Veil) -> np.ndarray:
    """(H, W) float32, 1 wherever the overlay changes the picture, with the codec's ringing around it."""
    return cv2.dilate((veil.opacity > 0.01).astype(np.uint8), disc(2)).astype(np.float32)
