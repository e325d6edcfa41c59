"""Watermarks: translucent marks that repeat all over the picture.

First look: the mean gradient of the whole picture, in which what moves averages out, and by which shifts it repeats
itself (`lattice`). Second look, at native size: when the pattern is there, and how it blends (`veil.VeilFit`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .. import planes
from ..evidence import Steady, SteadyField, clipped, frame_lines
from ..job import Box
from ..lattice import Lattice, find_lattice, moved
from ..planes import Layout
from ..timing import FrameRange
from ..veil import Veil, VeilFit
from . import Found, Small
from ._cover import disc
from ._mark import PRESENT, appearances

SAMPLES_A_SECOND = 6
LEAST_SAMPLES = 24  # of a short clip
FITTED = 48  # frames that the fit is offered, over the whole clip
LEAST_STEP = 0.4  # levels a px of a stroke's edge, averaged over the tiles
SURE = 4.0  # times the doubt of that average
CORE = 0.35  # of the strongest edges: those that presence is told by
LEAST_STROKES = 0.001  # of the picture
MOST_STROKES = 0.5
ALIKE, ALIKE_AREA = 0.25, 0.6  # correlation of a tile with the others; share of the tiles that reach it
EXPLAINED = 0.7  # of what the strokes change
LEAST_OPACITY = 0.03
MOST_CORE = 20_000  # px that presence is told by


@dataclass(frozen=True)
class Pattern:
    """What the first look found, in px of the analysis picture."""

    edges: np.ndarray  # (2, h, w) float32: the overlay's own gradient, levels a px; 0 away from it
    strokes: np.ndarray  # (h, w) bool: holds all that it covers
    lattice: Lattice | None
    evidence: dict[str, float | str]


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

    def propose(self, shots: tuple[FrameRange, ...]) -> list[Box]:
        steady = self._steady.result()
        pattern = None if steady is None else find_tiles(steady)
        if pattern is None:
            return []
        self._second = _SecondLook(pattern, self._layout, self._whole, self._rate, self._scale)
        return [self._second.box]

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
    shifts = lattice.shifts(width, height)
    tiles = np.stack([moved(field, shift, cell) for shift in shifts])
    count = (~np.isnan(tiles[..., 0])).sum(0)
    mean = np.nan_to_num(np.nanmean(tiles, 0)) if count.any() else np.zeros(tiles.shape[1:])
    doubt = np.sqrt(np.nanmean(((tiles - mean) ** 2).sum(-1), 0) / np.maximum(count - 1, 1))
    length = np.hypot(mean[..., 0], mean[..., 1])
    part = (length > LEAST_STEP) & (length > SURE * np.nan_to_num(doubt, nan=9)) & (count >= 2)
    part = cv2.morphologyEx(part.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0
    alike = _alike(tiles, mean, part)
    whole = np.zeros((height, width, 3), np.float32)
    pattern = np.dstack([mean, np.ones(part.shape)]) * part[..., None]
    for shift in shifts:
        _lay(whole, pattern, cell, shift)
    edges = whole[..., 2] > 0.5
    evidence: dict[str, float | str] = {
        "repeats, times its unrest": lattice.ratio,
        "tiles in the picture": height * width / lattice.area,
        "tiles alike": alike,
        "strokes, share of the picture": float(edges.mean()),
    }
    if not LEAST_STROKES < edges.mean() < MOST_STROKES or alike < ALIKE_AREA:
        return None
    return Pattern(np.moveaxis(whole[..., :2] * edges[..., None], -1, 0), cover_of(edges), lattice, evidence)


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


def _lay(whole: np.ndarray, pattern: np.ndarray, cell: Box, shift: tuple[float, float]) -> None:
    """Lays the pattern of a cell over the picture, a shift away, where nothing lies yet."""
    height, width = whole.shape[:2]
    x, y, w, h = cell
    left, top = x + int(np.floor(shift[0])), y + int(np.floor(shift[1]))
    x0, y0, x1, y1 = max(0, left), max(0, top), min(width, left + w + 1), min(height, top + h + 1)
    if x1 <= x0 or y1 <= y0:
        return
    part = np.nan_to_num(moved(pattern, (-shift[0], -shift[1]), (x0 - x, y0 - y, x1 - x0, y1 - y0)))
    over = part[..., 2] > whole[y0:y1, x0:x1, 2]
    whole[y0:y1, x0:x1][over] = part[over]


def cover_of(edges: np.ndarray) -> np.ndarray:
    """(h, w) bool: all that strokes with these edges (h, w) bool may cover, a little more rather than less."""
    near = cv2.morphologyEx(edges.astype(np.uint8), cv2.MORPH_CLOSE, disc(3))
    room = np.pad(near, 1)
    cv2.floodFill(room, None, (0, 0), 2)
    return cv2.dilate((room[1:-1, 1:-1] != 2).astype(np.uint8), disc(2)) > 0


class _SecondLook:
    """Follows the pattern through the clip at native size, and fits it at the end."""

    def __init__(self, pattern: Pattern, layout: Layout, whole: FrameRange, rate: float, scale: float) -> None:
        self.box = layout.align((0, 0, layout.width, layout.height))
        self._pattern, self._layout, self._whole, self._rate = pattern, layout, whole, rate
        power = (pattern.edges**2).sum(0)
        least = CORE**2 * float(np.quantile(power[power > 0], 0.98))
        self._at = np.flatnonzero(power > least)
        self._at = self._at[:: max(1, len(self._at) // MOST_CORE)]
        self._weights = pattern.edges.reshape(2, -1)[:, self._at] / power.reshape(-1)[self._at]
        self._near = cv2.dilate((power > least).astype(np.uint8), disc(4)) > 0
        size = (layout.width, layout.height)
        strokes = cv2.resize(pattern.strokes.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        lattice = pattern.lattice and pattern.lattice.scaled(scale)
        self._fit = VeilFit(layout, self.box, strokes, lattice)
        self._step = max(1, len(whole) // FITTED)
        self._presence: list[float] = []
        self._light: list[float] = []
        self._start = 0

    def add(self, frame: int, crop: list[np.ndarray]) -> None:
        if not self._presence:
            self._start = frame
        luma, _ = planes.small(crop, self._layout, self._pattern.strokes.shape[1])
        edges = clipped(luma).reshape(2, -1)[:, self._at]
        share = float(np.median(np.einsum("ij,ij->j", edges, self._weights)))
        self._presence.append(share)
        self._light.append(float(luma[self._near].mean()))
        if share >= PRESENT and (frame - self._start) % self._step == 0:
            self._fit.add(crop)

    def finish(self) -> Found | None:
        presence = np.array(self._presence)
        events = appearances(presence, np.array(self._light), self._start, self._rate)
        veil = self._fit.finish() if events else None
        if veil is None:
            return None
        level = max((opacity for opacity, _ in veil.levels), default=0.0)
        evidence = {
            **self._pattern.evidence,
            "frames with it": float((presence > PRESENT).mean()),
            "opacity": level,
            "colour, level": veil.levels[0][1],
            "explained": veil.explained,
        }
        if veil.explained < EXPLAINED or level < LEAST_OPACITY:
            return None
        confidence = float(np.clip(0.5 + (veil.explained - EXPLAINED) / (1 - EXPLAINED) / 2, 0.5, 0.98))
        return Found("watermark", self.box, events, confidence, matte_of(veil), veil.unblend, evidence)


def matte_of(veil: Veil) -> np.ndarray:
    """(H, W) float32, 1 wherever the overlay changes the picture, with the codec's ringing around it."""
    return cv2.dilate((veil.opacity > 0.01).astype(np.uint8), disc(2)).astype(np.float32)
