"""One place where a static mark may be: when it is there, what it covers, and what speaks for it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np

from .. import planes
from ..boxes import corners, widened
from ..evidence import Still, gradients
from ..job import Box
from ..masks import disc, extent
from ..planes import Layout
from ..timing import FrameRange
from . import Found, FoundEvent
from ._cover import SHARP, Look, LookSum, find_cover, graphic_edges, one_way, settle, sharpness, with_ringing

MARGIN = 0.03  # of the picture's height: clean surroundings that the fill starts from
PRESENT = 0.5  # share of the template's gradient from which the mark is there
CLEAR = 0.6  # share that should be seen, so that its missing says that the mark is gone
ABSENT = 0.35  # of what should be seen
FAINT, FULL, WAVER = 0.06, 0.9, 0.05  # of what should be seen: ends of a fade, and how far it may go back
PART_PIXELS, MOST_PARTS = 30, 6  # edge pixels of the analysis picture in a part of a mark
LEAST_SAY = 0.05  # of a part that should not be seen
LONGEST_FADE_S = 2.0
SHORTEST_FADE = 4  # frames; the codec smears a cut over two or three
LEAST_SAMPLES = 4
SURE_NATS = 8.0  # of an edge; with less, the mark has to be there all the time and very steady
LEAST_NATS = 3.0  # the chance of an edge of the scene to do as well is exp(-3)
STEADY = 0.1  # deviation of the presence: marks 0.001 to 0.09, scene 0.05 to 0.4
PROVEN_NATS, PROVEN_SHARP, PROVEN_WAY = 24.0, 0.6, 0.5  # of a mark beyond doubt; the scene's edges reach 16 nats
WAVERING = 2.0  # times STEADY that such a one may be unsteady: what shines through makes it so
LOCKED = 0.65
KEPT_FRAMES, KEPT_SAMPLES = 48, 4_000_000  # of the crops, for the fit of its opacity at the end
TIMED_S = 15.0  # a line that is there for less and comes and goes by itself is text to be read, not a mark
TIMED_SHARE, CENTRED_SHARE = 0.6, 0.9  # of the range; lines in the middle of the picture are subtitles sooner
EDGE_PX = 5  # of the analysis picture
ONE_WAY, FEW_WAYS = 0.85, 0.6  # concentration of directions from which it is a line, not a mark; from which it may be
STOOD = 0.5  # a far shore, unless it has so much of what stands all the time while all else moves


class Mark:
    """Gets the crops of its box frame by frame, and decides at the end."""

    def __init__(
        self, place: Box, seeds: np.ndarray, nats: float, still: Still, layout: Layout, scale: float, rate: float
    ) -> None:
        """`place` and `seeds` in the analysis picture, of which one px is `scale` source px."""
        self.box = with_margin(place, layout, scale)
        self._layout = replace(layout, width=self.box[2], height=self.box[3])
        self._reach = max(3, round(0.012 * layout.width))
        self._picture = layout
        self._nats, self._most, self._scale, self._rate = nats, still.moved, scale, rate
        self._step = max(1, round(rate / 8))
        self._width = max(1, round(self.box[2] / scale))
        template, self._seeds = self._place_template(still, place, seeds)
        power = (template**2).sum(0)
        self._at = np.flatnonzero(power > 0.3 * np.median(power[power > 0]))
        self._near = cv2.dilate((power > 0).astype(np.uint8), disc(4)) > 0
        self._weights = (template.reshape(6, -1)[:, self._at] / power.reshape(-1)[self._at]) / 8
        self._parts, self._around = side_by_side(self._at, self._near)
        self._kept: list[list[np.ndarray]] = []
        self._most_kept = int(np.clip(KEPT_SAMPLES // (self.box[2] * self.box[3]), 8, KEPT_FRAMES))
        self._stride = 1
        self._presence: list[list[float]] = []  # a frame: of each part
        self._light: list[list[float]] = []
        self._start = 0
        self._sum = LookSum(self._layout)

    def _place_template(self, still: Still, place: Box, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The seeds' edges on the grid of this box at analysis size, and the seeds at source size."""
        x, y, w, h = place
        whole = np.zeros(still.score.shape, np.float32)
        whole[y : y + h, x : x + w] = seeds
        wide, high = self.box[2:]
        small = (self._width, max(1, round(high * self._width / wide)))
        edges = np.stack([resampled(part * whole, self.box, self._scale, small) for part in still.edges])
        return edges, resampled(whole, self.box, self._scale, (wide, high)) > 0.5

    def add(self, frame: int, crop: list[np.ndarray]) -> None:
        if not self._presence:
            self._start = frame
        luma, chroma = planes.small(crop, self._layout, self._width)
        field = gradients(luma, chroma).reshape(6, -1)[:, self._at]
        shares = np.einsum("ij,ij->j", field, self._weights)
        self._presence.append([float(np.median(shares[part])) for part in self._parts])
        self._light.append([float(luma.ravel()[part].mean()) for part in self._around])
        share = float(np.median(shares))
        if share >= PRESENT and (frame - self._start) % self._step == 0:
            self._keep(crop)
            self._sum.add(crop)

    def _keep(self, crop: list[np.ndarray]) -> None:
        """Keeps crops evenly over the whole clip: every n-th sample, n doubling when there are too many."""
        if self._sum.count % self._stride == 0 and len(self._kept) == self._most_kept:
            self._kept, self._stride = self._kept[::2], self._stride * 2
        if self._sum.count % self._stride == 0:
            self._kept.append(crop)

    def finish(self, whole: FrameRange, shots: tuple[FrameRange, ...]) -> Found | None:
        if self._sum.count < LEAST_SAMPLES:
            return None
        look = self._sum.look()
        seeds = graphic_edges(look, self._seeds)
        presence, expected = joined(np.array(self._presence), np.array(self._light))
        events = appearances(presence, expected, self._start, self._rate)
        ranges = [event.range for event in events]
        evidence = self._evidence(look, seeds, presence, expected, events)
        if not ranges or not _is_mark(evidence) or self._is_timed(ranges, seeds, whole, shots):
            return None
        lines, covered = find_cover(look, seeds, self._reach, self._scale)
        covered, unblend, figures = settle(lines, covered, self._kept, self._picture, self.box)
        self._kept = []
        return Found(
            "logo",
            self.box,
            events,
            _confidence(evidence),
            with_ringing(covered),
            unblend,
            {**evidence, **figures},
        )

    def _is_timed(
        self, ranges: list[FrameRange], seeds: np.ndarray, whole: FrameRange, shots: tuple[FrameRange, ...]
    ) -> bool:
        """Text that comes and goes by itself within seconds; what comes and goes with the shots is none."""
        cuts = {whole.start, whole.stop, *(shot.start for shot in shots)}
        alone = [r for r in ranges if min(abs(r.start - c) for c in cuts) > 2 or min(abs(r.stop - c) for c in cuts) > 2]
        if not alone or max(len(r) for r in ranges) >= TIMED_S * self._rate:
            return False
        columns = np.flatnonzero(seeds.any(0))
        middle = self.box[0] + (int(columns[0]) + int(columns[-1])) / 2
        is_centred = abs(middle - self._picture.width / 2) < 0.08 * self._picture.width
        share = sum(len(r) for r in ranges) / max(1, len(whole))
        return share < (CENTRED_SHARE if is_centred else TIMED_SHARE)

    def _evidence(
        self, look: Look, seeds: np.ndarray, presence: np.ndarray, expected: np.ndarray, events: list[FoundEvent]
    ) -> dict[str, float | str]:
        lines = seeds & (look.edge > 1.5)
        there = presence > PRESENT
        enough = lines.sum() >= 12
        return {
            "stays while the scene moves, nats": self._nats,
            "share of what is possible": self._nats / max(self._most, 1e-3),
            "edge pixels": float(lines.sum() / self._scale**2),
            "frames with it": float(there.mean()),
            "reaches the picture's edge": float(self._reaches_edge(lines)),
            "unsteadiness": self._unsteadiness(presence, expected, events),
            "edge lock": float(np.median(look.lock[lines])) if enough else 0.0,
            "edge sharpness": sharpness(look, lines),
            "one direction": one_way(look.slope[:, lines]) if enough else 1.0,
            "edge strength, levels": float(np.median(look.edge[lines])) if enough else 0.0,
        }

    def _reaches_edge(self, lines: np.ndarray) -> bool:
        if not lines.any():
            return False
        x0, y0, x1, y1 = corners(extent(lines, self.box[:2]))
        return min(x0, y0, self._picture.width - x1, self._picture.height - y1) <= EDGE_PX * self._scale

    def _unsteadiness(self, presence: np.ndarray, expected: np.ndarray, events: list[FoundEvent]) -> float:
        """Robust standard deviation of the presence about what the light lets expect, while it is fully there."""
        full = np.zeros(len(presence), bool)
        for event in events:
            full[event.range.start + event.fade_in - self._start : event.range.stop - event.fade_out - self._start] = (
                True
            )
        full &= presence > PRESENT
        if not full.any():
            return 1.0
        rest = (presence - expected)[full]
        low, high = np.quantile(rest, [0.16, 0.84])
        return float(high - low) / 2


def _is_mark(evidence: dict) -> bool:
    e = evidence
    is_constant = (
        e["frames with it"] >= 0.9 and e["unsteadiness"] <= 0.5 * STEADY and e["edge sharpness"] >= 1.2 * SHARP
    )
    if e["reaches the picture's edge"] and not (is_constant and e["share of what is possible"] >= 0.75):
        return False  # bonnets, rails and lens hoods, which move with the camera, come in from the edge
    return (
        e["edge sharpness"] >= SHARP
        and e["unsteadiness"] <= _steady(e)
        and e["edge lock"] >= LOCKED
        and e["one direction"] <= (ONE_WAY if e["share of what is possible"] >= STOOD else FEW_WAYS)
        and (e["stays while the scene moves, nats"] >= SURE_NATS or is_constant)
    )


def _steady(e: dict) -> float:
    """How unsteady the presence may be."""
    is_proven = e["stays while the scene moves, nats"] >= PROVEN_NATS and e["frames with it"] >= 0.9
    is_proven &= e["edge sharpness"] >= PROVEN_SHARP and e["one direction"] <= PROVEN_WAY
    return STEADY * (WAVERING if is_proven else 1)


def _confidence(evidence: dict) -> float:
    """0..1: how far the weakest of the tests is passed, half way at the threshold itself."""
    e = evidence
    margins = (
        e["edge sharpness"] / SHARP - 1,
        1 - e["unsteadiness"] / _steady(e),
        (e["edge lock"] - LOCKED) / (1 - LOCKED),
        e["stays while the scene moves, nats"] / LEAST_NATS - 1,
        1 - e["one direction"] / ONE_WAY,
    )
    return float(1 / (1 + np.exp(-1 - 4 * min(1.0, *margins))))


def side_by_side(at: np.ndarray, near: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Indices of the edge pixels of each part of a mark, side by side, and (N,) flat indices of the pixels around each.

    A mark may fade from sight on a background of its own colour in one part and stand out in another. Parts that share
    a column, as those of an upright bar, share what is around them.

    at: flat indices of the edge pixels; near: (h, w) bool, the pixels around the mark.
    """
    x = at % near.shape[1]
    count = int(np.clip(len(x) // PART_PIXELS, 1, MOST_PARTS))
    parts = np.array_split(np.argsort(x, kind="stable"), count)
    around = np.flatnonzero(near)
    of = np.searchsorted([x[part].max() for part in parts[:-1]], around % near.shape[1])
    return parts, [around[of == k] if (of == k).any() else around for k in range(count)]


def joined(presence: np.ndarray, light: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a whole mark (T,) its presence and how much of it should be seen, from those of its parts.

    presence: (T, K) share of the template, 1 = fully there; light: (T, K) mean luma around each part. Parts of which
    more should be seen have more say.
    """
    expected = np.column_stack([_expected(*part) for part in zip(presence.T, light.T, strict=True)])
    weight = np.maximum(expected, LEAST_SAY) ** 2
    weight /= weight.sum(1, keepdims=True)
    return (weight * presence).sum(1), (weight * expected).sum(1)


def appearances(presence: np.ndarray, expected: np.ndarray, start: int, rate: float) -> list[FoundEvent]:
    """The runs of frames in which the mark is there, with their fades.

    presence: (T,) share of the template, 1 = fully there; expected: (T,) how much of it should be seen. A translucent
    or white mark fades from sight on a background of its own colour: where little should be seen, it is taken to be
    there as before.
    """
    seen = presence > PRESENT
    gone = (presence < ABSENT * expected) & (expected > CLEAR)
    state = np.where(seen, 1, np.where(gone, 0, -1))
    known = np.flatnonzero(state >= 0)
    if not known.size:
        return []
    # a frame that tells nothing is as the nearest that does; where those differ, the mark is there
    before = state[known[np.maximum(np.searchsorted(known, np.arange(len(state)), "right") - 1, 0)]]
    after = state[known[np.minimum(np.searchsorted(known, np.arange(len(state))), len(known) - 1)]]
    on = _without_short(_without_short((before | after) > 0, False, 3), True, 3)
    edges = np.flatnonzero(np.diff(np.r_[False, on, False].astype(int)))
    longest = max(SHORTEST_FADE, round(LONGEST_FADE_S * rate))
    share = np.where(expected > CLEAR, presence / np.maximum(expected, CLEAR), 1.0)
    out = []
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        begin, fade_in = _ramp(share, int(a), -1, longest)
        end, fade_out = _ramp(share, int(b) - 1, 1, longest)
        whole = FrameRange(start + begin, start + end + 1)
        out.append(FoundEvent(whole, min(fade_in, len(whole)), min(fade_out, len(whole) - min(fade_in, len(whole)))))
    return out


def _ramp(share: np.ndarray, edge: int, way: int, longest: int) -> tuple[int, int]:
    """The outermost frame of a fade at the end `edge` of an appearance, and how many frames it takes (0: a cut).

    `way`: -1 at the start, 1 at the end. share: (T,) of what should be seen.
    """
    far, near = edge, edge
    while 0 <= far + way < len(share) and FAINT < share[far + way] < share[far] + WAVER:
        far += way
    while 0 <= near - way < len(share) and share[near] < FULL and share[near - way] > share[near] - WAVER:
        near -= way
    frames = min(abs(far - near), longest)
    is_fade = frames >= SHORTEST_FADE and share[far] < ABSENT
    return (far, frames) if is_fade else (edge, 0)


def _expected(presence: np.ndarray, light: np.ndarray) -> np.ndarray:
    """(T,) how much of the mark should be seen in each frame, told from the light around it."""
    seen = presence > PRESENT
    if seen.sum() < 8 or light[seen].std() <= 4:
        return np.full(len(presence), np.median(presence[seen]) if seen.any() else 1.0)
    slope, base = np.polyfit(light[seen], presence[seen], 1)
    return base + slope * light


def _without_short(on: np.ndarray, value: bool, least: int) -> np.ndarray:
    """Turns runs of `value` that are shorter than `least` frames and lie between others."""
    out = on.copy()
    edges = np.r_[0, np.flatnonzero(np.diff(on.astype(int))) + 1, len(on)]
    for a, b in pairwise(edges):
        if on[a] == value and b - a < least and (value or (a > 0 and b < len(on))):
            out[a:b] = not value
    return out


def with_margin(place: Box, layout: Layout, scale: float, share: float = MARGIN) -> Box:
    """A place of the analysis picture, of which one px is `scale` source px, in these, with its surroundings.

    `share`: of the picture's height, on every side.
    """
    x, y, w, h = place
    x0, y0, x1, y1 = (int(v * scale) for v in (x, y, x + w, y + h))
    return layout.align(widened((x0, y0, x1 - x0, y1 - y0), max(12, round(share * layout.height))))


def resampled(part: np.ndarray, box: Box, scale: float, size: tuple[int, int]) -> np.ndarray:
    """A map of the analysis picture on a grid of `size` (w, h) over a box of the source."""
    x, y, w, h = box
    step_x, step_y = w / size[0] / scale, h / size[1] / scale
    move = np.array([[step_x, 0, x / scale + step_x / 2 - 0.5], [0, step_y, y / scale + step_y / 2 - 0.5]], np.float32)
    return cv2.warpAffine(part, move, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
