"""Static marks: station logos, score bars, glass boxes and corner bugs that stand still while the picture lives.

First look: which edges stay put although the scene moves or is cut away (`evidence.StillEdges`). Second look, at
native size and in the boxes around them only: when each mark is there, and what exactly it covers (`_mark.Mark`).
A clip in which nothing moves tells nothing that way; there only the look of a mark counts: what is drawn beyond doubt
(`_still.StillBand`), and what the network takes for a mark (`_told.ToldMark`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..evidence import Still, StillEdges, frame_lines
from ..job import Box
from ..masks import connected, extent
from ..planes import Layout
from ..timing import FrameRange
from . import Found, Look, Small
from ._mark import LEAST_NATS, Mark
from ._still import StillBand, bands
from ._told import ToldMark, told_marks

SAMPLES_A_SECOND = 6
LEAST_SAMPLES = 24  # of a short clip
SHARE_OF_MOST = 0.3  # of what a mark that is there all the time would collect in this clip
JOIN = 0.014  # of the picture's width: edges nearer than this belong to one mark
LEAST_PIXELS = 14  # of the analysis picture
MOST_PLACES = 8
MOST_AREA = 0.3  # of the picture


@dataclass(frozen=True)
class Place:
    """Where a mark may be, in px of the analysis picture."""

    box: Box
    seeds: np.ndarray  # (h, w) bool over the box: the edges that stay
    nats: float  # median over the seeds


class Finder:
    """Finds the overlays that stand still for most of the clip, or of several shots."""

    def __init__(self, layout: Layout, whole: FrameRange, rate: float) -> None:
        self._layout, self._whole, self._rate = layout, whole, rate
        self._step = max(1, min(round(rate / SAMPLES_A_SECOND), len(whole) // LEAST_SAMPLES))
        self._edges = StillEdges()
        self._scale = 1.0
        self._marks: list[Mark] = []
        self._told: list[ToldMark] = []
        self._bands: list[StillBand] = []
        self._shots: tuple[FrameRange, ...] = ()

    def survey(self, small: Small) -> None:
        self._scale = small.scale
        if (small.frame - self._whole.start) % self._step == 0:
            self._edges.add(small.frame, small.luma, small.chroma)

    def propose(self, shots: tuple[FrameRange, ...], seen: Look) -> list[Box]:
        self._shots = shots
        still = self._edges.result()
        del self._edges
        if still is None:
            return []
        boxes = []
        for place in find_places(still):
            mark = Mark(place.box, place.seeds, place.nats, still, self._layout, self._scale, self._rate)
            self._marks.append(mark)
            boxes.append(mark.box)
        if still.moved < LEAST_NATS:
            if (told := seen()) is not None:
                self._told = told_marks(told, self._layout, self._whole)
            self._bands = bands(self._layout, self._whole)
            boxes += [mark.box for mark in self._told] + [band.box for band in self._bands]
        return boxes

    def wants(self, frame: int) -> bool:
        return True

    def measure(self, frame: int, crops: list[list[np.ndarray]]) -> None:
        places: list[Mark | ToldMark | StillBand] = [*self._marks, *self._told, *self._bands]
        for place, crop in zip(places, crops, strict=True):
            place.add(frame, crop)

    def finish(self) -> list[Found]:
        found = [mark.finish(self._whole, self._shots) for mark in self._marks]
        told = [find for mark in self._told if (find := mark.finish()) is not None]
        drawn = [find for band in self._bands for find in band.finish()]
        told = [one for one in told if not any(_tells_more(other, one) for other in drawn)]
        drawn = [find for find in drawn if not any(_meet(find.box, other.box) for other in told)]
        return [find for find in found if find is not None] + told + drawn


def _tells_more(drawn: Found, told: Found) -> bool:
    """Whether what is drawn beyond doubt shows more of a mark that the network saw as well, and is not un-blended."""
    if told.unblend is not None or drawn.matte is None or told.matte is None or not _meet(drawn.box, told.box):
        return False
    return bool(np.count_nonzero(drawn.matte) > np.count_nonzero(told.matte))


def _meet(one: Box, other: Box) -> bool:
    """Whether the middle of one box lies in the other."""
    x, y = one[0] + one[2] / 2, one[1] + one[3] / 2
    a, b = other[0] + other[2] / 2, other[1] + other[3] / 2
    is_in = other[0] <= x < other[0] + other[2] and other[1] <= y < other[1] + other[3]
    return is_in or (one[0] <= a < one[0] + one[2] and one[1] <= b < one[1] + one[3])


def find_places(still: Still) -> list[Place]:
    """Groups the edges that stay to places worth a second look, the surest first."""
    enough = max(LEAST_NATS, SHARE_OF_MOST * still.moved)
    score = np.where(frame_lines(still.light), np.float32(0), still.score)
    seeds = connected(score >= 0.6 * enough, score >= enough, 3, 0.25)
    height, width = seeds.shape
    reach = max(3, round(JOIN * width))
    near = cv2.dilate(seeds.astype(np.uint8), np.ones((reach, reach), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    places = []
    for i in range(1, count):
        x, y, w, h = (int(v) for v in stats[i, :4])
        part = seeds[y : y + h, x : x + w] & (labels[y : y + h, x : x + w] == i)
        left, top, wide, high = extent(part)
        if part.sum() < LEAST_PIXELS or min(high, wide) < 4 or high * wide > MOST_AREA * height * width:
            continue
        part, box = part[top : top + high, left : left + wide], (x + left, y + top, wide, high)
        inside = score[box[1] : box[1] + high, box[0] : box[0] + wide][part]
        places.append(Place(box, part, float(np.median(inside))))
    places.sort(key=lambda p: -p.nats * np.sqrt(p.seeds.sum()))
    return places[:MOST_PLACES]
