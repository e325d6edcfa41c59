"""Un-blending makes the codec's noise larger: what was un-blended is smoothed until it has what its surroundings have.

A local Wiener filter (Lee, Digital image enhancement and noise filtering by use of local statistics, 1980): of what a
sample departs from the mean around it so much is kept as the departures around it are more than noise. How strong the
noise is, is measured: by how much more the un-blended samples of a window depart than those around the overlay do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .masks import subsampled
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

    there: np.ndarray  # (h, w) bool
    power: np.ndarray  # (h, w) float32 levels squared: the noise that is told of it; of the others that of the source
    measured: np.ndarray  # (h, w) bool: of it, what tells how strong that is
    around: np.ndarray  # (h, w) bool: what it is held against


class Quiet:
    """The noise of what is un-blended in one window."""

    def __init__(self, scene: Scene, crops: Crops) -> None:
        self._scene, self._crops = scene, crops
        self._last: tuple[object, object, list[_Shone]] | None = None
        frames = [t for t in range(len(crops.frames)) if self._is_unblended(t)]
        some = frames[:: max(1, -(-len(frames) // FRAMES))]
        planes = range(len(scene.volumes))
        self._strength = [self._measured(i, some) for i in planes]

    def over(self, parts: Sequence[np.ndarray], t: int, fused: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """A frame's planes (h, w) float32 levels, smoothed where they are un-blended.

        `fused`: for each the variance (h, w) expected where several ways were fused, 0 elsewhere; None: nowhere.
        """
        out = list(parts)
        if not self._is_unblended(t):
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
                near, far = (_grown(covered, px) for px in (NEAR_PX, FAR_PX))
                shone.append(_Shone(there, power, there & ~_grown(hidden, CLEAR_PX), far & ~near))
            self._last = maps, cover, shone
        return self._last[2]

    def _measured(self, plane: int, frames: Sequence[int]) -> float:
        """How strong the noise is in a plane, by what is told of it; 0 where nothing tells."""
        sums = np.zeros(5)
        for t in frames:
            shone = self._shone(t)[plane]
            part = self._scene.volumes[plane][t]
            off = np.square(part - cv2.GaussianBlur(part, (0, 0), FINE_PX))
            sums += [
                float(off[shone.measured].sum()),
                float(shone.power[shone.measured].sum()),
                float(np.count_nonzero(shone.measured)),
                float(off[shone.around].sum()),
                float(np.count_nonzero(shone.around)),
            ]
        within, told, count, around, beside = sums
        if min(count, beside) < FEWEST:
            return 0.0
        return float(np.clip((within / count - AS_MUCH * around / beside) / (told / count), 0, MOST))


def _smoothed(part: np.ndarray, shone: _Shone, strength: float, fused: np.ndarray | None) -> np.ndarray:
    power = shone.power if fused is None else np.where(fused > 0, fused, shone.power)
    weight = 1 / power
    mean = cv2.GaussianBlur(part * weight, (0, 0), FINE_PX) / cv2.GaussianBlur(weight, (0, 0), FINE_PX)
    off = part - mean
    noise = np.where(shone.there, power * np.float32(strength), np.float32(0))
    around, noise = (cv2.blur(one, (WINDOW_PX, WINDOW_PX)) for one in (off * off, noise))
    kept = np.maximum(around - noise, 0) / np.maximum(around, np.float32(1e-6))
    return np.where(shone.there, mean + kept * off, part)


def _grown(mask: np.ndarray, px: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * px + 1,) * 2, np.uint8)) > 0
