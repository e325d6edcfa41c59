"""Marks over a shot in which nothing moves, seen by the perceiver network and confirmed by their look.

There what stays tells nothing. The network proposes places; what is found in one is a mark where the picture plainly
goes on beneath it (`shaped`), or where it has the sharp edges of something drawn, in more than one direction.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ..job import Box
from ..masks import disc, filled, grown, subsampled
from ..planes import Layout
from ..timing import FrameRange
from ..unblend import BlendMaps
from . import Found, FoundEvent
from ._cover import TRUSTED_FIT, Look, Samples, blend, find_cover, one_way, peaks, settle, with_ringing
from ._mark import MARGIN, resampled, with_margin

TOLD = 0.5  # probability from which a px is part of a mark
TRIED, SURE = 0.72, 0.87  # of a mark, its px in the mean: of one beneath which the picture goes on, of any other
LEAST_PX = 60  # of the analysis picture
MOST_SHARE, MOST_SPAN = 0.08, 0.25  # of the picture: its px, and its box
MOST_PLACES = 8
ROOM = 0.004  # of the picture's width: how far a mark may reach beyond what the network saw of it
JOIN = 0.016  # of the picture's width: parts nearer than this are one mark
CONTRAST, REACH = 12.0, 7  # levels over which edges are judged, and px over which that contrast is measured
STRONG = 0.3  # of a place's strongest edges: weaker ones are the codec's
SHARP = 0.85  # share of the contrast that strong edges cross within 2 px: marks 0.8 to 0.97, signs in a scene to 0.83
TRUST = 0.5  # by so much of what the network is surer of than SURER, edges need be less sharp, and the other way round
SURER = 0.92
SHARPER, AHEAD = 0.7, 0.25  # or where they cross so much, and so much more than the scene's around
AS_SHARP, SURELY = 0.8, 0.95  # edges of the scene, which then tell nothing: signs have .93 of the network, marks .97
ONE_WAY, BARS = 0.6, 0.8  # concentration of directions: letters 0.05 to 0.3, bars 0.75, the lines of a court 0.7 to 1
CALM = 0.5  # of the noise at the scene's edges, which a bar stays below; a mark's own is next to none
MOST_NOISE = 1.5  # levels at a mark's edges: marks have 0 to 1.3 in any scene, signs as much as the scene, 2 and more
NOISELESS = 0.25  # levels, below which it is calm whatever the scene is
DRAWN = 0.7  # from which an edge is taken for one of the mark's own
LEAST_SCENE = 20  # px of the scene's edges that tell their sharpness
GLASS = 0.4  # quality of a fit that is trusted where it shows a glass box
MOSTLY_TOLD, KEPT = 0.6, 0.5  # of a glass box, that the network took for a mark; of that, that a glass box is at least
EDGE_PX = 4  # beside a glass box, that may still be of its edge
LEAST_EDGES = 0.03  # edge px, in picture widths


class ToldMark:
    """One place that the network takes for a mark: gets its crops, and decides at the end."""

    def __init__(self, place: Box, told: np.ndarray, scale: float, layout: Layout, whole: FrameRange) -> None:
        """`place` in px of the analysis picture, of which one is `scale` source px; `told`: (h, w) its whole map."""
        x, y, w, h = place
        self.box = with_margin(place, layout, scale, 2 * MARGIN)
        own = np.zeros_like(told)
        own[y : y + h, x : x + w] = told[y : y + h, x : x + w]
        self._told = resampled(own, self.box, scale, self.box[2:])
        self._scale, self._picture, self._whole = scale, layout, whole
        self._samples = Samples(layout, self.box, whole)

    def add(self, frame: int, crop: list[np.ndarray]) -> None:
        self._samples.add(frame, crop)

    def finish(self) -> Found | None:
        look = self._samples.look()
        if look is None:
            return None
        told = self._told > TOLD
        near = cv2.dilate(told.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        ridges, ratio = peaks(look, np.ones(near.shape, bool), CONTRAST, REACH)
        edges, scene = _strong(look, ridges & near), _strong(look, ridges & ~near)
        if edges.sum() < LEAST_EDGES * self._picture.width:
            return None
        maps = blend(told, self._samples.crops, self._picture, self.box, told)
        evidence = self._evidence(look, ratio, edges, scene)
        if maps.unblend is None and not _is_drawn(evidence):
            return None
        width = self._picture.width
        drawn = edges & (ratio >= DRAWN)
        lines, covered = find_cover(look, drawn, max(3, round(0.012 * width)), self._scale)
        # edges of the scene that run into the mark stay as well as it does
        room = cv2.dilate(told.astype(np.uint8), disc(max(1, round(ROOM * width)))) > 0
        lines, covered, trusted = lines & room, covered & room | told, TRUSTED_FIT
        if maps.unblend is not None:
            lines = drawn & told
        else:
            maps = blend(covered, self._samples.crops, self._picture, self.box)
            if (glass := enclosing(maps, told, self._picture)) is not None:
                maps, lines, covered, trusted = glass, lines & glass.covered, glass.covered, GLASS
        covered, unblend, figures = settle(lines, covered, self._samples.crops, self._picture, self.box, maps, trusted)
        confidence = float(np.clip(0.5 + evidence["network, of its pixels"] - SURE, 0.5, 0.7))
        whole = [FoundEvent(self._whole)]
        return Found("logo", self.box, whole, confidence, with_ringing(covered), unblend, {**evidence, **figures})

    def _evidence(self, look: Look, ratio: np.ndarray, edges: np.ndarray, scene: np.ndarray) -> dict[str, float]:
        return {
            "network, of its pixels": float(self._told[self._told > TOLD].mean()),
            "edge sharpness": float(np.median(ratio[edges])),
            "edge sharpness of the scene": float(np.median(ratio[scene])) if scene.sum() >= LEAST_SCENE else 0.0,
            "one direction": one_way(look.slope[:, edges]),
            "noise in it, levels": float(np.median(look.spread[edges])),
            "noise of the scene, levels": float(np.median(look.spread[scene])) if scene.sum() >= LEAST_SCENE else 0.0,
            "edge pixels": float(edges.sum() / self._scale**2),
        }


def _strong(look: Look, ridges: np.ndarray) -> np.ndarray:
    """Those of the ridges (H, W) bool that are not much weaker than the strongest."""
    if not ridges.any():
        return ridges
    return np.asarray(ridges & (look.edge >= STRONG * np.quantile(look.edge[ridges], 0.95)))


def enclosing(maps: BlendMaps, told: np.ndarray, layout: Layout) -> BlendMaps | None:
    """The maps of a glass box with all that it encloses, without what else the network took for a part of it; None
    where what was fitted is no such box.

    `told`: (H, W) bool, what the network takes for the mark.
    """
    if maps.unblend is None or maps.quality < GLASS:
        return None
    count, labels, stats, _ = cv2.connectedComponentsWithStats((maps.covered & ~maps.opaque).astype(np.uint8))
    if count < 2:
        return None
    glass = labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    box = filled(glass)
    if (box & told).sum() < MOSTLY_TOLD * max(box.sum(), KEPT * told.sum()):
        return None
    missed = box & told & ~maps.covered  # an edge of the scene beneath it
    box |= grown(box, EDGE_PX) & maps.opaque  # where it is taken to go on in the scene, that has its edge
    through, added = [], []
    for plane, a, b in zip(layout.colour, maps.unblend.transmission, maps.unblend.contribution, strict=True):
        inside, own, there = (subsampled(part, plane.shift) for part in (box, missed, glass))
        through.append(np.where(inside, np.where(own, np.median(a[there]), a), np.float32(1)))
        added.append(np.where(inside, np.where(own, np.median(b[there]), b), np.float32(0)))
    unblend = replace(maps.unblend, transmission=through, contribution=added)
    return replace(maps, unblend=unblend, opaque=maps.opaque & box, covered=maps.covered & box | missed)


def told_marks(told: np.ndarray, layout: Layout, whole: FrameRange) -> list[ToldMark]:
    """The places that the network takes for marks, the surest first. `told`: (h, w) probability, analysis size."""
    width = told.shape[1]
    reach = max(3, round(JOIN * width))
    near = cv2.dilate((told > TOLD).astype(np.uint8), np.ones((reach, reach), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    places = []
    for i in range(1, count):
        own = (labels == i) & (told > TOLD)
        if own.sum() < LEAST_PX or told[own].mean() < TRIED:
            continue
        x, y, w, h = (int(v) for v in stats[i, :4])
        if own.sum() <= MOST_SHARE * told.size and w * h <= MOST_SPAN * told.size:
            places.append((float(told[own].mean()), (x, y, w, h), np.where(own, told, np.float32(0))))
    places.sort(key=lambda place: -place[0])
    return [ToldMark(box, own, layout.width / width, layout, whole) for _, box, own in places[:MOST_PLACES]]


def _is_drawn(evidence: dict[str, float]) -> bool:
    e = evidence
    sharp, scene, sure = e["edge sharpness"], e["edge sharpness of the scene"], e["network, of its pixels"]
    noise, usual = e["noise in it, levels"], e["noise of the scene, levels"]
    is_calm = noise <= max(NOISELESS, CALM * usual)
    is_sharp = sharp >= SHARP - TRUST * (sure - SURER) or (sharp >= SHARPER and sharp >= scene + AHEAD)
    is_sure = sure >= (SURE if scene < AS_SHARP else SURELY)
    may_be_bar = is_calm and sure >= SURELY
    return is_sure and is_sharp and noise <= MOST_NOISE and e["one direction"] <= (BARS if may_be_bar else ONE_WAY)
