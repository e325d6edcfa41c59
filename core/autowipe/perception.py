"""The perceiver network in a run: a few looks are kept, and seen by the network only where statistics cannot decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import weightfiles
from .inference import Inference
from .kinds import Small
from .sight import Sight, stretches
from .timing import FrameRange

WEIGHT = "perceiver"


class Perception:
    """Gets every frame at analysis size, in order; `seen` asks the network, once.

    Keeps eight looks whatever the length of the clip, about 3 MB each. Without a weight it keeps none, and has seen
    nothing.
    """

    def __init__(self, whole: FrameRange, rate: float, device: str, warn: Callable[[str, str], None]) -> None:
        """`device`: one of job.DEVICES; `warn` gets the code and the text of a warning."""
        self._device, self._warn = device, warn
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
            inference = Inference(weightfiles.load(WEIGHT), self._device, self._warn)
            self._seen = np.mean(list(inference.each(self._looks, _still)), axis=0)
            self._looks = []
        return self._seen


def _still(network: Any, maps: Any) -> Any:
    """(B, H, W) probability of a still mark, given (B, maps, H, W)."""
    return network(maps).classes[:, 0].float().sigmoid()
