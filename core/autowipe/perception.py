"""The perceiver network in a run: a few looks are kept, and seen by the network only where statistics cannot decide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import weightfiles
from .device import choose
from .kinds import Seen, Small
from .sight import Sight, stretches
from .timing import FrameRange

WEIGHT = "perceiver"


@dataclass(frozen=True)
class _Look:
    frame: int
    maps: np.ndarray  # (maps, h, w) uint8


class Perception:
    """Gets every frame at analysis size, in order; `seen` asks the network, once.

    Keeps eight looks whatever the length of the clip, about 3 MB each. Without a weight it keeps none, and has seen
    nothing.
    """

    def __init__(self, whole: FrameRange, rate: float, device: str) -> None:
        self._device = device
        self._stretches = stretches(whole, rate) if WEIGHT in weightfiles.entries() else []
        self._sight: Sight | None = None
        self._looks: list[_Look] = []
        self._seen: Seen | None = None

    def add(self, small: Small) -> None:
        if not self._stretches or small.frame < self._stretches[0].range.start:
            return
        if self._sight is None:
            self._sight = Sight(self._stretches[0])
        self._sight.add(small)
        if small.frame == self._stretches[0].range.stop - 1:
            self._looks += [_Look(frame, maps) for frame, maps in self._sight.looks()]
            self._stretches, self._sight = self._stretches[1:], None

    def seen(self) -> Seen | None:
        """What the network makes of the looks; None without a weight. Raises WeightsError for a damaged one."""
        if self._looks:
            self._seen = _perceive(self._looks, self._device)
            self._looks = []
        return self._seen


def _perceive(looks: list[_Look], device: str) -> Seen:
    import torch  # seconds to import: only where it is needed

    kind = choose(device)
    network = weightfiles.load(WEIGHT).to(kind, memory_format=torch.channels_last)
    total = None
    with torch.inference_mode(), torch.autocast(kind, torch.bfloat16):
        for look in looks:
            maps = torch.from_numpy(look.maps)[None].to(kind).float() / 255
            found = network(maps.contiguous(memory_format=torch.channels_last))
            share = torch.sigmoid(found.classes[0].float()).cpu().numpy()
            total = share if total is None else total + share
    assert total is not None
    mark, stroke, around, moving = total / len(looks)
    return Seen(mark, np.maximum(stroke, around), moving, len(looks))
