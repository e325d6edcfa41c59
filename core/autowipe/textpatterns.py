"""What a line of text looks like, by its stroke edges: told again in other frames, and where it comes and goes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

FULL = 0.85  # of its usual strength from which a line is fully there; the codec makes it waver by .05
STRONG = 24.0  # gradient in levels per px (Sobel / 4) from which an edge counts as a stroke's
SPREAD = 0.5  # share of a line's length over which its strokes are spread, at least
NEAR = 0.6  # of a line's height: so far around it may be a box behind the text

Corners = tuple[int, int, int, int]  # x0, y0, x1, y1 in analysis px
Picture = tuple[np.ndarray, np.ndarray, np.ndarray]  # luma and the two chroma components, (h, w) uint8 each


@dataclass
class Pattern:
    """Stroke edges of a line in one frame, and the texture around it."""

    component: int  # 0 luma, 1 and 2 chroma
    contrast: float  # mean edge of its strokes over that of the surroundings
    window: Corners  # of the surroundings
    strokes: np.ndarray  # (n,) flat indices in the window
    sx: np.ndarray  # (n,) gradient there
    sy: np.ndarray
    energy: float
    ring: np.ndarray  # (h, w) bool: the surroundings, without any text
    blocks: list[tuple[np.ndarray, np.ndarray, np.ndarray]]  # indices and gradients of textured blocks around it


def gradient(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=0.25), cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=0.25)


def pattern_of(picture: Picture, box: Corners, texts: list[Corners]) -> Pattern | None:
    """The pattern in the component in which the strokes stand out most; None where the box holds no strokes.

    `texts`: all lines of the frame; they are no surroundings.
    """
    patterns = [p for p in (_pattern_in(picture, k, box, texts) for k in range(3)) if p is not None]
    return max(patterns, key=lambda p: p.contrast * (1 if p.component else 2), default=None)


def _pattern_in(picture: Picture, component: int, box: Corners, texts: list[Corners]) -> Pattern | None:
    luma = picture[component]
    height, width = luma.shape
    x0, y0, x1, y1 = box
    reach = max(10, round(1.3 * min(x1 - x0, y1 - y0)))
    wx0, wy0, wx1, wy1 = max(0, x0 - reach), max(0, y0 - reach), min(width, x1 + reach), min(height, y1 + reach)
    gx, gy = gradient(luma[wy0:wy1, wx0:wx1])
    size = np.hypot(gx, gy)
    within = np.zeros(size.shape, bool)
    within[y0 - wy0 : y1 - wy0, x0 - wx0 : x1 - wx0] = True
    level = max(STRONG, 0.35 * float(np.percentile(size[within], 95)))
    strokes = np.flatnonzero(within & (size > level))
    along = strokes % size.shape[1] if x1 - x0 >= y1 - y0 else strokes // size.shape[1]
    if len(strokes) < 24 or len(np.unique(along)) < SPREAD * max(x1 - x0, y1 - y0):
        return None  # nothing there, or an edge in a corner of the box
    flat = gx.ravel(), gy.ravel()
    sx, sy = flat[0][strokes], flat[1][strokes]
    near = round(NEAR * min(x1 - x0, y1 - y0))
    ring = np.ones(size.shape, bool)
    for tx0, ty0, tx1, ty1 in (box, *texts):
        rows = slice(max(0, ty0 - wy0 - near), max(0, ty1 - wy0 + near))
        ring[rows, max(0, tx0 - wx0 - near) : max(0, tx1 - wx0 + near)] = False
    around = ring & (size > STRONG / 3)
    blocks = []
    for down in np.array_split(np.arange(size.shape[0]), 3):
        for across in np.array_split(np.arange(size.shape[1]), 4):
            part = np.zeros(size.shape, bool)
            part[down[0] : down[-1] + 1, across[0] : across[-1] + 1] = True
            chosen = np.flatnonzero(part & around)
            if len(chosen) >= 16:
                blocks.append((chosen, flat[0][chosen], flat[1][chosen]))
    contrast = float(np.sqrt((sx**2 + sy**2).mean())) / (4 + float(size[ring].mean()) if ring.any() else 4)
    energy = float((sx**2 + sy**2).sum())
    return Pattern(component, contrast, (wx0, wy0, wx1, wy1), strokes, sx, sy, energy, ring, blocks)


def compare(picture: Picture, pattern: Pattern) -> tuple[float, float, float]:
    """Of a frame with a pattern: how strong the strokes are (1 = as then), how alike, and which share of the
    surroundings is no longer alike (nan where they have no texture)."""
    x0, y0, x1, y1 = pattern.window
    gx, gy = (g.ravel() for g in gradient(picture[pattern.component][y0:y1, x0:x1]))
    nx, ny = gx[pattern.strokes], gy[pattern.strokes]
    both = float((nx * pattern.sx + ny * pattern.sy).sum())
    own = float((nx**2 + ny**2).sum())
    alike = both / max(1e-6, np.sqrt(own * pattern.energy))
    gone = [
        float((gx[i] * bx + gy[i] * by).sum())
        < 0.5 * np.sqrt(float((gx[i] ** 2 + gy[i] ** 2).sum()) * float((bx**2 + by**2).sum()))
        for i, bx, by in pattern.blocks
    ]
    return both / pattern.energy, alike, float(np.mean(gone)) if len(gone) >= 2 else float("nan")


def edge_of(levels: list[float]) -> tuple[int, int, float]:
    """Where a line ends, going outwards from where it is at full strength.

    `levels`: strength of its strokes, frame by frame, outwards. Returns how many of the frames show it, over how
    many it fades, and what strength is left without it (its background's share).
    """
    rest = levels[-3:]
    floor = float(np.median(rest))
    if floor - min(levels) > 0.15:
        floor = min(levels)  # another text came to its place
    gone = floor + 0.1 * max(0.2, 1 - floor)
    seen = next((k for k, level in enumerate(levels) if level <= gone), len(levels))
    for k, (inner, outer) in enumerate(pairwise(levels)):
        if at_one_stroke(inner, outer):
            seen = min(seen, k + 1)
    return seen, fading(levels[:seen], floor), floor


def fading(levels: list[float], floor: float = 0.0) -> int:
    """Over how many frames of an end, given outwards, the strength is below the full one."""
    full = floor + FULL * (max(levels[:4], default=0.0) - floor)
    return next((k for k, level in enumerate(reversed(levels)) if level >= full), len(levels))


def at_one_stroke(inner: float, outer: float) -> bool:
    """Whether a line went at one stroke between two frames of these strengths: what is left then is the scene's."""
    return inner - outer >= 0.5 and outer < 0.45
