"""Marks over a shot in which nothing moves, seen by the perceiver network and confirmed by their look.

There statistics cannot tell a mark from the scene. The network proposes places; what is found in them must have the
sharp edges of something drawn, in more than one direction, and must never change.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ..job import Box
from ..planes import Layout
from ..timing import FrameRange
from . import Found, FoundEvent
from ._cover import Look, LookSum, disc, find_cover, grown, peaks, settle, sharpness
from ._mark import resampled

TOLD = 0.5  # probability from which a px is part of a mark
SURE = 0.8  # of a mark: its px in the mean
LEAST_PX = 30  # of the analysis picture
MOST_SHARE = 0.06  # of the picture
MOST_PLACES = 6
ROOM = 0.004  # of the picture's width: how far a mark may reach beyond what the network saw of it
JOIN = 0.012  # of the picture's width: parts nearer than this are one mark
SAMPLES, LEAST_SAMPLES = 24, 8
SHARP = 0.42  # share of the contrast that edges cross within 2 px: graphics 0.45 to 0.95, the lens leaves 0.1 to 0.35
LOCKED = 0.8  # 1 where the gradient never changes; edges of a still scene do as well, but not behind what moves
ONE_WAY = 0.85  # concentration of directions: furniture and lines of a court come near 1
LEAST_EDGES = 0.03  # edge px, in picture widths


class ToldMark:
    """One place that the network takes for a mark: gets its crops, and decides at the end."""

    def __init__(self, place: Box, told: np.ndarray, scale: float, layout: Layout, whole: FrameRange) -> None:
        """`place` in px of the analysis picture, of which one is `scale` source px; `told`: (h, w) its whole map."""
        x, y, w, h = place
        margin = max(12, round(0.03 * layout.height))
        left, top = max(0, int(x * scale) - margin), max(0, int(y * scale) - margin)
        right, bottom = int((x + w) * scale) + margin, int((y + h) * scale) + margin
        self.box = layout.align((left, top, min(layout.width, right) - left, min(layout.height, bottom) - top))
        own = np.zeros_like(told)
        own[y : y + h, x : x + w] = told[y : y + h, x : x + w]
        self._told = resampled(own, self.box, scale, self.box[2:])
        self._scale, self._picture, self._whole = scale, layout, whole
        self._sum = LookSum(replace(layout, width=self.box[2], height=self.box[3]))
        self._step = max(1, len(whole) // SAMPLES)
        self._kept: list[list[np.ndarray]] = []

    def add(self, frame: int, crop: list[np.ndarray]) -> None:
        if (frame - self._whole.start) % self._step == self._step // 2 and len(self._kept) < SAMPLES:
            self._kept.append(crop)
            self._sum.add(crop)

    def finish(self) -> Found | None:
        if len(self._kept) < LEAST_SAMPLES:
            return None
        look = self._sum.look()
        near = cv2.dilate((self._told > TOLD).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        edges, _ = peaks(look, near)
        edges &= look.edge > 1.5
        if edges.sum() < LEAST_EDGES * self._picture.width:
            return None
        evidence = self._evidence(look, near, edges)
        if not _is_mark(evidence):
            return None
        lines, covered = find_cover(look, edges, max(3, round(0.012 * self._picture.width)), self._scale)
        # edges of the scene that run into the mark stay as well as it does
        room = cv2.dilate(near.astype(np.uint8), disc(max(1, round(ROOM * self._picture.width)))) > 0
        covered, unblend, figures = settle(lines & room, covered & room | near, self._kept, self._picture, self.box)
        self._kept = []
        confidence = float(np.clip(0.5 + evidence["network, of its pixels"] - SURE, 0.5, 0.7))
        whole = [FoundEvent(self._whole)]
        return Found("logo", self.box, whole, confidence, grown(covered), unblend, {**evidence, **figures})

    def _evidence(self, look: Look, near: np.ndarray, edges: np.ndarray) -> dict[str, float]:
        turn = np.exp(2j * np.arctan2(look.slope[1][edges], look.slope[0][edges]))
        return {
            "network, of its pixels": float(self._told[self._told > TOLD].mean()),
            "edge sharpness": sharpness(look, near),
            "edge lock": float(np.median(look.lock[edges])),
            "one direction": float(np.abs(turn.mean())),
            "edge pixels": float(edges.sum() / self._scale**2),
        }


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
    return e["edge sharpness"] >= SHARP and e["edge lock"] >= LOCKED and e["one direction"] <= ONE_WAY
