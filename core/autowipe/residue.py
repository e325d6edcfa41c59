"""What the un-blended picture still holds of an overlay; by it the maps are put right, and fades are un-blended.

The residue is the share of the overlay that is left: the projection of the result's gradient on that of the overlay's
effect, along its edges (a ghost is positive, an overlay taken out twice negative). Edges of the scene correlate with it
by chance; how much is told by the same measure a little beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .maps import Unblend
from .planes import to_levels
from .plate import Crops
from .unblend import LEAST_TRANSMISSION, faded, invert, told

LOOKS, MOST_SAMPLES = 8, 4_000_000  # frames of a window that tell how strong a resting overlay is; their samples
MOST_EDGES = 20_000  # samples of edges that are measured
ROUNDS = 4  # of Newton's method: the effect that a residue is measured by depends on the picture beneath
SMOOTH_PX = 4.0  # deviation of the blur that stands in for the picture beneath
LEAST_EDGE = 0.3  # of the overlay's strongest edges: those that are measured
FEWEST = 150  # samples of them
BESIDE = ((7, 4), (-6, 5), (5, -7), (-4, -6))  # px, from where chance is told
MOST_DOUBT = 0.1  # of a strength, to be believed
LEAST = 0.03  # a residue below is not seen
SURE = 3.0  # times its doubt
WEAKEST, STRONGEST = 0.02, 1.5  # strengths that are believed
NOISE = 1.0  # only the edges count, not how noisy they are


@dataclass(frozen=True)
class Residue:
    share: float  # of the overlay that is left; 0 nothing, 1 all of it, below 0 too much was taken
    doubt: float  # standard deviation that chance gives it


def settle_strength(crops: Crops) -> Crops:
    """The crops with their un-blend maps as strong as the overlay is in each frame.

    Where it rests, one strength for all frames, and only if a residue is surely there; where it comes or goes, one a
    frame. A fading frame in which that cannot be told goes on as such.
    """
    unblends, fading = list(crops.unblends), list(crops.fading)
    groups: dict[int, list[int]] = {}
    for t, maps in enumerate(unblends):
        if maps is not None and not fading[t]:
            groups.setdefault(id(maps), []).append(t)
    for frames in groups.values():
        maps = unblends[frames[0]]
        assert maps is not None
        looks = int(np.clip(MOST_SAMPLES // maps.transmission[0].size, 2, LOOKS))
        some = [frames[int(k)] for k in np.linspace(0, len(frames) - 1, min(looks, len(frames)))]
        strength = strength_in([_lead(crops, t) for t in some], maps, 1.0)
        if strength is not None and abs(strength - 1) > LEAST:
            for t in frames:
                unblends[t] = faded(maps, strength)
    for t, maps in enumerate(unblends):
        if maps is not None and fading[t]:
            strength = strength_in([_lead(crops, t)], maps, 0.5)
            if strength is not None:
                unblends[t], fading[t] = faded(maps, strength), False
    return replace(crops, unblends=unblends, fading=fading)


def strength_in(lumas: Sequence[np.ndarray], maps: Unblend, start: float) -> float | None:
    """How strong the overlay is in these frames, 1 as in the maps; None where chance could make it look so.

    `lumas`: (H, W) float32 levels each, as seen; `start`: strength to begin with.
    """
    edges = _Edges.of(maps)
    if edges is None:
        return None
    strength = start
    for turn in range(ROUNDS):
        left = residue(lumas, maps, strength, edges)
        if left.doubt > MOST_DOUBT or (turn == 0 and start == 1 and abs(left.share) < max(LEAST, SURE * left.doubt)):
            return None
        strength = float(np.clip(strength + left.share, WEAKEST, STRONGEST))
        if abs(left.share) < LEAST / 3:
            break
    return strength


def residue(lumas: Sequence[np.ndarray], maps: Unblend, strength: float, edges: _Edges | None = None) -> Residue:
    """What is left of an overlay in frames that were un-blended at a strength; see `strength_in`."""
    edges = edges or _Edges.of(maps)
    if edges is None:
        return Residue(0.0, np.inf)
    share, *beside = edges.shares(lumas, maps, strength)
    return Residue(share, float(np.sqrt(np.mean(np.square(beside)))))


@dataclass
class _Edges:
    """The edges of an overlay in the leading plane."""

    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def of(cls, maps: Unblend) -> _Edges | None:
        a = maps.transmission[0]
        step = np.hypot(*slopes(a))
        untold = cv2.dilate((~told(maps)).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        step[untold] = 0
        reach = max(max(map(abs, shift)) for shift in BESIDE) + 1
        step[:reach], step[-reach:], step[:, :reach], step[:, -reach:] = 0, 0, 0, 0
        rows, columns = np.nonzero(step > max(0.005, LEAST_EDGE * float(step.max(initial=0))))
        every = max(1, len(rows) // MOST_EDGES)
        rows, columns = rows[::every], columns[::every]
        return cls(rows, columns) if len(rows) >= FEWEST else None

    def shares(self, lumas: Sequence[np.ndarray], maps: Unblend, strength: float) -> list[float]:
        """The residue in the overlay's place, and in the places beside it."""
        now = faded(maps, strength)
        part = Unblend(now.transmission[:1], now.contribution[:1])
        a, b = maps.transmission[0], maps.contribution[0]
        made, seen = [], []
        for luma in lumas:
            (clean,), _ = invert([luma], part, NOISE)
            smooth = cv2.GaussianBlur(clean, (0, 0), SMOOTH_PX)
            effect = (b - (1 - a) * smooth) / np.maximum(part.transmission[0], LEAST_TRANSMISSION)
            made.append([slope[self.rows, self.columns] for slope in slopes(effect)])
            spots = [(self.rows + dy, self.columns + dx) for dy, dx in ((0, 0), *BESIDE)]
            seen.append([[slope[spot] for slope in slopes(clean)] for spot in spots])
        own = np.ravel(made)
        return [_share(own, np.ravel(there)) for there in np.swapaxes(seen, 0, 1)]


def _share(effect: np.ndarray, seen: np.ndarray) -> float:
    """Of the effect that is in what is seen, (N,) each, by robust least squares: edges of the scene are strong."""
    weight, share = np.ones_like(effect), 0.0
    for _ in range(5):
        share = float((weight * effect * seen).sum() / ((weight * effect * effect).sum() + 1e-6))
        off = seen - share * effect
        weight = 1 / (1 + (off / max(0.5, 1.5 * float(np.median(np.abs(off))))) ** 2)
    return share


def slopes(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return cv2.Sobel(picture, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(picture, cv2.CV_32F, 0, 1, scale=1 / 8)


def _lead(crops: Crops, t: int) -> np.ndarray:
    return to_levels(crops.planes[t], crops.layout)[0].astype(np.float32)
