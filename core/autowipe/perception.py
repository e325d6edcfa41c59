"""The perceiver network in a run: a few looks are kept, and seen by the network only where statistics cannot decide."""

from __future__ import annotations

import numpy as np

from . import weightfiles
from .device import choose
from .kinds import Small
from .sight import Sight, stretches
from .timing import FrameRange

WEIGHT = "perceiver"


class Perception:
    """Gets every frame at analysis size, in order; `seen` asks the network, once.

    Keeps eight looks whatever the length of the clip, about 3 MB each. Without a weight it keeps none, and has seen
    nothing.
    """

    def __init__(self, whole: FrameRange, rate: float, device: str) -> None:
        self._device = device
        self._stretches = stretches(whole, rate) if WEIGHT in weightfiles.entries() else []
        self._sight: Sight | None = None
        self._looks: list[np.ndarray] = []
        self._seen: np.ndarray | None = None

    def add(self, small: Small) -> None:
        if not self._stretches or small.frame < self._stretches[0].range.start:
            return
        if self._sight is None:
            self._sight = Sight(self._stretches[0])
        self._sight.add(small)
        if small.frame == self._stretches[0].range.stop - 1:
            self._looks += [maps for _, maps in self._sight.looks()]
            self._stretches, self._sight = self._stretches[1:], None

    def seen(self) -> np.ndarray | None:
        """As `kinds.Look`. Raises WeightsError for a damaged weight."""
        if self._looks:
            self._seen = _perceive(self._looks, self._device)
            self._looks = []
        return self._seen


def _perceive(looks: list[np.ndarray], device: str) -> np.ndarray:
    """(h, w) probability of a still mark, the mean of the looks (maps, h, w) uint8."""
    import torch  # seconds to import: only where it is needed

    kind = choose(device)
    network = weightfiles.load(WEIGHT).to(kind, memory_format=torch.channels_last)
    total = np.zeros(looks[0].shape[1:], np.float32)
    with torch.inference_mode(), torch.autocast(kind, torch.bfloat16):
        for look in looks:
            maps = torch.from_numpy(look)[None].to(kind).float() / 255
            seen = network(maps.contiguous(memory_format=torch.channels_last))
            total += torch.sigmoid(seen.classes[0, 0].float()).cpu().numpy()
    return total / len(looks)
