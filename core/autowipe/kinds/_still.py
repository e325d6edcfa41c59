"""Marks over a shot in which nothing moves: told by their look alone, and only where that is beyond doubt.

Where the camera is locked off, every edge of the scene stays put as a mark's does. Three things still tell a drawn
mark: its edges are sharper than what the lens leaves of the scene's; they run in all directions, as letters do and
furniture does not; and the noise of the camera stops at them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .. import planes
from ..boxes import corners
from ..job import Box
from ..masks import disc, extent
from ..planes import Layout
from ..timing import FrameRange
from . import Found, FoundEvent
from ._cover import Look, Samples, find_cover, one_way, peaks, settle, with_ringing
from ._plate import beneath

# Of the picture's height: a mark's surroundings, and those in which what it stands on is looked for.
MARGIN, PLATE_MARGIN = 0.03, 0.06
BAND = 0.3  # of the picture's height, at the top and at the bottom: where marks are put
CONTRAST = 25.0  # levels over which edges are judged
DRAWN = 0.7  # share of the contrast crossed within 2 px from which an edge may be drawn
SHARPEST = 0.85  # of a mark's edges (median); the scene's reached 0.79 where they were many
AHEAD = 0.06  # by which they exceed 97 % of the scene's edges
DRAWN_SHARE = 0.6  # of a mark's edges; of what belongs to one (panels over a picture), BESIDE_SHARE
BESIDE_SHARE = 0.35
CALM = 0.5  # of the scene's noise; needs noise of at least a level to tell
LEAST_NOISE = 1.0
ONE_WAY = 0.35  # concentration of directions: letters 0.05 to 0.2, furniture 0.55 to 1
PLAINLY_DRAWN, PLAINLY_EDGE, MOST_NOISE = 0.85, 0.5, 4.0  # what stands in for calm: share, widths, levels
LEAST_EDGE = 0.2  # edge pixels, in picture widths


@dataclass(frozen=True, eq=False)
class Group:
    """Drawn edges that lie together in a band."""

    box: Box  # px of the band
    edges: np.ndarray  # (h, w) bool over the box
    sharp: float  # median share of the contrast crossed within 2 px
    drawn: float  # share of the edges that look drawn
    noise: float  # levels
    one_way: float  # concentration of directions


class StillBand:
    """One band of a locked-off clip: gets its crops, and decides at the end."""

    def __init__(self, top: int, layout: Layout, whole: FrameRange) -> None:
        self.box = layout.align((0, top, layout.width, round(BAND * layout.height)))
        self._picture, self._whole = layout, whole
        self._samples = Samples(layout, self.box, whole)

    def add(self, frame: int, crop: list[np.ndarray]) -> None:
        self._samples.add(frame, crop)

    def finish(self) -> list[Found]:
        look = self._samples.look()
        if look is None:
            return []
        ridges, ratio = peaks(look, np.ones(look.edge.shape, bool), CONTRAST)
        ridges &= _is_step(look.mean[..., 0])
        groups = _group(look, ridges, ratio, self._picture.width)
        marks = [g for g in groups if _is_drawn(g, self._picture.width)]
        if not marks:
            return []
        scene = ridges.copy()
        for group in marks:
            x, y, w, h = _wider(group.box, 5)
            scene[y : y + h, x : x + w] = False
        if scene.sum() < 200:
            return []
        usual, noise = float(np.quantile(ratio[scene], 0.97)), float(np.median(look.spread[scene]))
        marks = [g for g in marks if _stands_out(g, usual, noise, self._picture.width)]
        reach = round(0.015 * self._picture.width)
        joined = _join(marks, groups, reach, max(MOST_NOISE, CALM * noise), look.edge.shape)
        return [self._found(look, seeds, own, usual, noise) for seeds, own in joined]

    def _found(self, look: Look, seeds: np.ndarray, marks: list[Group], usual: float, noise: float) -> Found:
        """The find whose drawn edges are `seeds` (H, W) bool over the band."""
        box, part, inner = self._around(look, seeds, PLATE_MARGIN)
        plate = beneath(inner, seeds[part])
        if plate is None:
            box, part, inner = self._around(look, seeds, MARGIN)
        lines, covered = find_cover(inner, seeds[part], max(3, round(0.012 * self._picture.width)), 1.0)
        crops = [planes.cut(crop, self._picture, self.box, box) for crop in self._samples.crops]
        if plate is None:
            covered, unblend, figures = settle(lines, covered, crops, self._picture, box)
        else:
            covered, unblend, figures = covered | plate, None, {"hidden share": 1.0}
        sharp = min(g.sharp for g in marks)
        evidence: dict[str, float | str] = {
            "edge sharpness": sharp,
            "sharpest of the scene": usual,
            "noise in it, levels": max(g.noise for g in marks),
            "noise of the scene, levels": noise,
            "one direction": max(g.one_way for g in marks),
            **figures,
        }
        confidence = float(np.clip(0.5 + 1.5 * (sharp - usual - AHEAD), 0.5, 0.8))
        return Found("logo", box, [FoundEvent(self._whole)], confidence, with_ringing(covered), unblend, evidence)

    def _around(self, look: Look, seeds: np.ndarray, share: float) -> tuple[Box, tuple[slice, slice], Look]:
        """A box in the picture around drawn edges (H, W) bool, that part of the band, and its look.

        `share`: of the picture's height, around them.
        """
        left, top, right, bottom = corners(extent(seeds, self.box[:2]))
        margin = max(12, round(share * self._picture.height))
        left, top = max(self.box[0], left - margin), max(self.box[1], top - margin)
        right = min(right - 1 + margin, self.box[0] + self.box[2])
        bottom = min(bottom - 1 + margin, self.box[1] + self.box[3])
        box = self._picture.align((left, top, right - left, bottom - top))
        box = (box[0], box[1], box[2], min(box[3], self.box[1] + self.box[3] - box[1]))
        x, y, w, h = box[0] - self.box[0], box[1] - self.box[1], box[2], box[3]
        part = np.s_[y : y + h, x : x + w]
        maps = look.mean[part], look.spread[part], look.slope[:, part[0], part[1]], look.edge[part], look.lock[part]
        return box, part, Look(*maps, look.count)


def bands(layout: Layout, whole: FrameRange) -> list[StillBand]:
    return [StillBand(0, layout, whole), StillBand(layout.height - round(BAND * layout.height), layout, whole)]


def _is_step(luma: np.ndarray) -> np.ndarray:
    """(H, W) bool: most of the wider neighbourhood's contrast is crossed close by; False at the picture's border."""
    close, wide = (
        cv2.dilate(luma, window) - cv2.erode(luma, window) for window in (np.ones((7, 7)), np.ones((15, 15)))
    )
    out = close > 0.5 * wide
    out[:3] = out[-3:] = out[:, :3] = out[:, -3:] = False
    return out


def _group(look: Look, ridges: np.ndarray, ratio: np.ndarray, width: int) -> list[Group]:
    drawn = ridges & (ratio >= DRAWN)
    window = (15, 15)
    tried = cv2.boxFilter(ridges.astype(np.float32), -1, window, normalize=False)
    held = cv2.boxFilter(drawn.astype(np.float32), -1, window, normalize=False)
    drawn &= (held >= 4) & (held >= 0.65 * tried)
    reach = max(3, round(0.014 * width))
    near = cv2.dilate(drawn.astype(np.uint8), np.ones((reach, reach), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    groups = []
    for i in range(1, count):
        x, y, w, h = (int(v) for v in stats[i, :4])
        part = np.s_[y : y + h, x : x + w]
        edges = drawn[part] & (labels[part] == i)
        if edges.sum() < 0.03 * width or w * h > 0.1 * look.edge.size / BAND:
            continue
        around = ridges[part] & (labels[part] == i)
        beside = cv2.dilate(edges.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        groups.append(
            Group(
                (x, y, w, h),
                edges,
                float(np.median(ratio[part][around])),
                float(edges.sum() / max(1, around.sum())),
                float(np.median(look.spread[part][beside])),
                one_way(look.slope[:, y : y + h, x : x + w][:, edges]),
            )
        )
    return groups


def _is_drawn(group: Group, width: int) -> bool:
    return (
        group.sharp >= SHARPEST
        and group.drawn >= DRAWN_SHARE
        and group.one_way <= ONE_WAY
        and group.edges.sum() >= LEAST_EDGE * width
    )


def _stands_out(group: Group, usual: float, noise: float, width: int) -> bool:
    """Sharper than the scene, and calmer than it or drawn beyond doubt: around strong edges the codec is never calm."""
    is_calm = noise >= LEAST_NOISE and group.noise <= CALM * noise
    is_plain = (
        group.sharp >= usual + 1.5 * AHEAD
        and group.drawn >= PLAINLY_DRAWN
        and group.edges.sum() >= PLAINLY_EDGE * width
        and group.noise <= MOST_NOISE
    )
    return group.sharp >= usual + AHEAD and (is_calm or is_plain)


def _join(
    marks: list[Group], groups: list[Group], reach: int, most_noise: float, shape: tuple[int, ...]
) -> list[tuple[np.ndarray, list[Group]]]:
    """The drawn edges (H, W) bool of each mark, with those of a panel or smaller parts beside it, and its groups."""
    parts = [g for g in groups if g in marks or (g.drawn >= BESIDE_SHARE and g.noise <= most_noise)]
    near = np.zeros(shape, np.uint8)
    for group in parts:
        x, y, w, h = group.box
        near[y : y + h, x : x + w] |= group.edges
    edges = near > 0
    near = cv2.dilate(near, disc(reach))
    _, labels = cv2.connectedComponents(near, connectivity=8)
    out = []
    own = [labels[g.box[1] : g.box[1] + g.box[3], g.box[0] : g.box[0] + g.box[2]][g.edges][0] for g in marks]
    for label in sorted(set(own)):
        out.append((edges & (labels == label), [g for g, of in zip(marks, own, strict=True) if of == label]))
    return out


def _wider(box: Box, px: int) -> Box:
    x, y, w, h = box
    return (max(0, x - px), max(0, y - px), w + 2 * px + min(0, x - px), h + 2 * px + min(0, y - px))
