"""What the perceiver network sees: a few frames of a stretch of time, and statistics of that stretch around them.

The same code makes the maps in a run and in training. A stretch is a few seconds, so that a clip of any length looks
alike to the network, and nothing is kept of a stretch once it has been looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .evidence import CLIP, SteadyField
from .kinds import Small
from .timing import FrameRange

STRETCH_S = 4.0
SAMPLES_A_SECOND = 6  # frames that the statistics are made of
MOST_STRETCHES = 8  # of a range, spread over it
LOOKS = 8  # frames of a range that the network sees; more where the stretches do not divide them
APART = 5  # frames between a look and its neighbours, before and after
MAPS = (
    "luma",
    "blue difference",
    "red difference",
    "luma before",
    "luma after",
    "steady gradient x",
    "steady gradient y",
    "coherence",
    "spread",
    "mean luma",
    "least luma",
    "most luma",
    "distance to the sides",
    "row",
)


@dataclass(frozen=True)
class Stretch:
    """Some seconds of the range, and the frames of them that are looked at."""

    range: FrameRange
    looks: tuple[int, ...]
    step: int  # frames from one sample of the statistics to the next


def stretches(whole: FrameRange, rate: float) -> list[Stretch]:
    """Stretches of equal length, spread evenly over the range: all of it where it is short."""
    every = max(1, round(len(whole) / (STRETCH_S * rate)))
    count = min(every, MOST_STRETCHES)
    length = len(whole) // every
    looks = -(-LOOKS // count)
    out = []
    for k in range(count):
        start = whole.start + (len(whole) - length) * k // max(1, count - 1)
        here = FrameRange(start, start + length)
        step = max(1, min(round(rate / SAMPLES_A_SECOND), length // round(STRETCH_S * SAMPLES_A_SECOND)))
        frames = {start + length * (2 * n + 1) // (2 * looks) for n in range(looks)}
        out.append(Stretch(here, tuple(sorted(frames)), step))
    return out


class Sight:
    """Gets the frames of one stretch in order; its memory is a fixed number of pictures."""

    def __init__(self, stretch: Stretch) -> None:
        self._stretch = stretch
        first, last = stretch.range.start, stretch.range.stop - 1
        self._around = {t: (max(first, t - APART), t, min(last, t + APART)) for t in stretch.looks}
        self._wanted = {t for around in self._around.values() for t in around}
        self._kept: dict[int, Small] = {}
        self._steady = SteadyField()
        self._count = 0

    def add(self, small: Small) -> None:
        if small.frame in self._wanted:
            self._kept[small.frame] = small
        if (small.frame - self._stretch.range.start) % self._stretch.step:
            return
        light = small.luma
        if not self._count:
            self._least, self._most = light.copy(), light.copy()
            self._sum, self._power = np.zeros(light.shape, np.float32), np.zeros(light.shape, np.float32)
        self._count += 1
        self._steady.add(light)
        cv2.min(self._least, light, dst=self._least)
        cv2.max(self._most, light, dst=self._most)
        cv2.accumulate(light, self._sum)
        cv2.accumulateSquare(light, self._power)

    def looks(self) -> list[tuple[int, np.ndarray]]:
        """Frame and (len(MAPS), h, w) uint8 maps of each look whose frames came, in order."""
        steady = self._steady.result()
        if steady is None:
            return []
        mean = self._sum / self._count
        spread = np.sqrt(np.maximum(self._power / self._count - mean**2, 0))
        length = np.sqrt((steady.field**2).sum(0))
        still = [
            128 + steady.field[0] * (127 / CLIP),
            128 + steady.field[1] * (127 / CLIP),
            255 * length / (steady.usual + 1),
            spread * 6,
            mean,
        ]
        height, width = mean.shape
        column = np.minimum(np.arange(width), np.arange(width)[::-1]) * (510 / max(1, width))
        row = np.arange(height) * (255 / max(1, height))
        place = [np.broadcast_to(column, mean.shape), np.broadcast_to(row[:, None], mean.shape)]
        common = [_bytes(part) for part in still], [_bytes(part) for part in place]
        out = []
        for frame, around in self._around.items():
            if all(t in self._kept for t in around):
                before, now, after = (self._kept[t] for t in around)
                blue, red = cv2.split(now.chroma)
                maps = [now.luma, blue, red, before.luma, after.luma, *common[0], self._least, self._most, *common[1]]
                out.append((frame, np.stack(maps)))
        return out


def _bytes(part: np.ndarray) -> np.ndarray:
    return np.rint(part).clip(0, 255).astype(np.uint8)
