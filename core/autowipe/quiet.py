"""Un-blending makes the codec's noise larger: what was un-blended is smoothed until it has what its surroundings have.

A local Wiener filter (Lee, Digital image enhancement and noise filtering by use of local statistics, 1980): of what a
sample departs from the mean around it so much is kept as the departures around it are more than noise. How strong the
noise is, is measured: by how much more the un-blended samples of a window depart than those around the overlay do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from .masks import grown, subsampled
from .opacity import LEAST_TRANSMISSION, MOST_TRANSMISSION
from .plate import Crops
from .scene import Scene

FRAMES = 12  # of a window, that are measured
FINE_PX = 1.0  # deviation of the mean from which samples depart: what is coarser the picture has as well
WINDOW_PX = 5  # over which departures are averaged
NEAR_PX, FAR_PX = 3, 8  # samples from the overlay, between which the surroundings are measured
CLEAR_PX = 2  # samples from what is hidden, whose filling says nothing
FEWEST = 200  # samples that tell
AS_MUCH = 1.25  # times what the surroundings have, that the picture beneath may have itself
MOST = 2.0  # times the noise that is told of an overlay: beyond, it is texture that its surroundings lack


@dataclass
class _Shone:
    """Where one overlay lets a plane shine through."""

    covered: np.ndarray  # (h, w) bool
    hidden: np.ndarray  # (h, w) bool: of it, where nothing shines through
    there: np.ndarray  # (h, w) bool: of it, what was un-blended
    power: np.ndarray  # (h, w) float32 levels squared: the noise that is told of that; of the others the source's

    @cached_property
    def terms(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `_terms` has them, where nothing is fused."""
        return _terms(self.power, self.there)


class Quiet:
    """The noise of what is un-blended in one window."""

    def __init__(self, scene: Scene, crops: Crops) -> None:
        self._scene, self._crops = scene, crops
        self._last: tuple[object, object, list[_Shone]] | None = None
        frames = [t for t in range(len(crops.frames)) if self._is_unblended(t)]
        self._strength = self._measured(frames[:: max(1, -(-len(frames) // FRAMES))])

    def over(self, parts: Sequence[np.ndarray], t: int, fused: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """A frame's planes (h, w) float32 levels, smoothed where they are un-blended.

        `fused`: for each the variance (h, w) expected where several ways were fused, 0 elsewhere; None: nowhere.
        """
        out = list(parts)
        if not self._is_unblended(t) or not any(self._strength):
            return out
        for i, shone in enumerate(self._shone(t)):
            if self._strength[i] > 0 and shone.there.any():
                out[i] = _smoothed(parts[i], shone, self._strength[i], fused[i])
        return out

    def _is_unblended(self, t: int) -> bool:
        return self._scene.covers[t] is not None and self._crops.unblends[t] is not None and not self._crops.fading[t]

    def _shone(self, t: int) -> list[_Shone]:
        """Plane by plane; of the last frame's overlay and cover they are kept."""
        maps, cover = self._crops.unblends[t], self._scene.covers[t]
        assert maps is not None and cover is not None
        if self._last is None or self._last[0] is not maps or self._last[1] is not cover:
            shone = []
            for shift, a in zip(self._scene.shifts, maps.transmission, strict=True):
                covered = subsampled(cover, shift)
                hidden = covered & (a < LEAST_TRANSMISSION)
                there = covered & ~hidden & (a < MOST_TRANSMISSION)
                power = np.full(a.shape, np.float32(maps.noise**2))
                power[there] /= a[there] ** 2
                shone.append(_Shone(covered, hidden, there, power))
            self._last = maps, cover, shone
        return self._last[2]

    def _measured(self, frames: Sequence[int]) -> list[float]:
        """How strong the noise is, plane by plane, by what is told of it; 0 where nothing tells."""
        sums = np.zeros((len(self._scene.volumes), 5))
        for t in frames:
            for plane, (volume, shone) in enumerate(zip(self._scene.volumes, self._shone(t), strict=True)):
                off = np.square(volume[t] - cv2.GaussianBlur(volume[t], (0, 0), FINE_PX))
                within = shone.there & ~grown(shone.hidden, CLEAR_PX)
                beside = grown(shone.covered, FAR_PX) & ~grown(shone.covered, NEAR_PX)
                told = (off[within], shone.power[within], off[beside])
                sums[plane] += [*(float(one.sum()) for one in told), len(told[0]), len(told[2])]
        return [_of_told(*row) for row in sums]


def _of_told(within: float, power: float, beside: float, count: float, around: float) -> float:
    """From sums over `count` samples, of departures and of what is told of their noise, and over those `around`."""
    if min(count, around) < FEWEST:
        return 0.0
    return float(np.clip((within / count - AS_MUCH * beside / around) / (power / count), 0, MOST))


def _smoothed(part: np.ndarray, shone: _Shone, strength: float, fused: np.ndarray | None) -> np.ndarray:
    terms = shone.terms if fused is None else _terms(np.where(fused > 0, fused, shone.power), shone.there)
    weight, mass, noise = terms
    mean = cv2.GaussianBlur(part * weight, (0, 0), FINE_PX)
    mean /= mass
    off = part - mean
    around = cv2.blur(off * off, (WINDOW_PX, WINDOW_PX))
    off *= np.maximum(around - noise * np.float32(strength), 0) / np.maximum(around, np.float32(1e-6))
    return np.where(shone.there, mean + off, part)


def _terms(power: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each sample's weight in the mean around it, the sum of those there, and the noise in the window; (h, w)."""
    weight = 1 / power
    noise = cv2.blur(np.where(there, power, np.float32(0)), (WINDOW_PX, WINDOW_PX))
    return weight, cv2.GaussianBlur(weight, (0, 0), FINE_PX), noise
