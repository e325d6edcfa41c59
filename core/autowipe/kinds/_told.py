"""Marks over a shot in which nothing moves, seen by the perceiver network and confirmed by their look.

There statistics cannot tell a mark from the scene. The network proposes places; what is found in them must have the
sharp edges of something drawn, in more than one direction, and be calmer than the scene around.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..job import Box
from ..masks import disc
from ..planes import Layout
from ..timing import FrameRange
from . import Found, FoundEvent
from ._cover import Look, Samples, find_cover, one_way, peaks, settle, with_ringing
from ._mark import resampled, with_margin

TOLD = 0.5  # probability from which a px is part of a mark
SURE = 0.9  # of a mark: its px in the mean; places in clean clips that stand still measure up to 0.93
LEAST_PX = 30  # of the analysis picture
MOST_SHARE = 0.06  # of the picture
MOST_PLACES = 6
ROOM = 0.004  # of the picture's width: how far a mark may reach beyond what the network saw of it
JOIN = 0.012  # of the picture's width: parts nearer than this are one mark
CONTRAST = 25.0  # levels over which edges are judged
STRONG = 0.3  # of a place's strongest edges: weaker ones are the codec's
SHARP = (
    0.7  # share of the contrast that strong edges cross within 2 px: marks 0.84 to 0.95, signs in a scene 0.4 to 0.8
)
ONE_WAY = 0.8  # concentration of directions: letters 0.05 to 0.3, bars 0.75, furniture and the lines of a court near 1
CALM = 0.5  # of the noise at the scene's edges; a mark's own is next to none
SURER, SHARPER, MANY_WAYS = 0.95, 0.8, 0.5  # of a mark that need not be so calm: over a noisy shot it is coded with it
NOISELESS = 0.25  # levels, below which it is calm whatever the scene is
LEAST_SCENE = 50  # px of the scene's edges that tell its noise
LEAST_EDGES = 0.03  # edge px, in picture widths


class ToldMark:
    """One place that the network takes for a mark: gets its crops, and decides at the end."""

    def __init__(self, place: Box, told: np.ndarray, scale: float, layout: Layout, whole: FrameRange) -> None:
        """`place` in px of the analysis picture, of which one is `scale` source px; `told`: (h, w) its whole map."""
        x, y, w, h = place
        self.box = with_margin(place, layout, scale)
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
        near = cv2.dilate((self._told > TOLD).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        ridges, ratio = peaks(look, np.ones(near.shape, bool), CONTRAST)
        edges, scene = _strong(look, ridges & near), _strong(look, ridges & ~near)
        if edges.sum() < LEAST_EDGES * self._picture.width:
            return None
        evidence = self._evidence(look, ratio, edges, scene)
        if not _is_mark(evidence):
            return None
        lines, covered = find_cover(look, edges, max(3, round(0.012 * self._picture.width)), self._scale)
        # edges of the scene that run into the mark stay as well as it does
        room = cv2.dilate(near.astype(np.uint8), disc(max(1, round(ROOM * self._picture.width)))) > 0
        covered, unblend, figures = settle(
            lines & room, covered & room | near, self._samples.crops, self._picture, self.box
        )
        confidence = float(np.clip(0.5 + evidence["network, of its pixels"] - SURE, 0.5, 0.7))
        whole = [FoundEvent(self._whole)]
        return Found("logo", self.box, whole, confidence, with_ringing(covered), unblend, {**evidence, **figures})

    def _evidence(self, look: Look, ratio: np.ndarray, edges: np.ndarray, scene: np.ndarray) -> dict[str, float]:
        return {
            "network, of its pixels": float(self._told[self._told > TOLD].mean()),
            "edge sharpness": float(np.median(ratio[edges])),
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


def told_marks(told: np.ndarray, layout: Layout, whole: FrameRange) -> list[ToldMark]:
    """The places that the network takes for marks, the surest first. `told`: (h, w) probability, analysis size."""
    height, width = told.shape
    reach = max(3, round(JOIN * width))
    near = cv2.dilate((told > TOLD).astype(np.uint8), np.ones((reach, reach), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    places = []
    for i in range(1, count):
        own = (labels == i) & (told > TOLD)
        if own.sum() < LEAST_PX or told[own].mean() < SURE:
            continue
        x, y, w, h = (int(v) for v in stats[i, :4])
        if w * h <= MOST_SHARE * height * width:
            places.append((float(told[own].mean()), (x, y, w, h), np.where(own, told, np.float32(0))))
    places.sort(key=lambda place: -place[0])
    return [ToldMark(box, own, layout.width / width, layout, whole) for _, box, own in places[:MOST_PLACES]]


def _is_mark(evidence: dict[str, float]) -> bool:
    e = evidence
    noise, scene = e["noise in it, levels"], e["noise of the scene, levels"]
    is_clear = e["network, of its pixels"] >= SURER and e["edge sharpness"] >= SHARPER
    is_clear &= e["one direction"] <= MANY_WAYS and (noise <= scene or scene == 0)  # 0: not known
    is_calm = noise <= max(NOISELESS, CALM * scene)
    return e["edge sharpness"] >= SHARP and e["one direction"] <= ONE_WAY and (is_calm or is_clear)
