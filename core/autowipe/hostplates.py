"""Plates for frames that only the host has: a window around the frame is fetched and completed like a file's."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from .areas import AreaMask
from .complete import complete
from .hostclip import deep, info_of, to_float, to_planes
from .job import Box
from .link import DIGEST, Line, Request, Served, Wish
from .matte import Mattes
from .plan import Plan
from .plate import UNBLENDED, Crops
from .timing import FrameRange
from .windows import ring_of

NEIGHBOURS = 4  # frames before and after that a host is told to keep at hand (ofx_bridge/autowipe_ofx.c)
MOST_CROPS = 256 << 20  # bytes of fetched crops that are kept for the next frames
MOST_PLATES = 256 << 20  # bytes of plates that are kept for the same frames


class HostPlates:
    """The overlays of one plan over a host's frames. Plates depend on what the frames show, not on their order."""

    def __init__(self, plan: Plan, folder: Path, kinds: tuple[str, ...]) -> None:
        """`folder`: where the plan's maps are. Raises JobError when one does not fit."""
        self.size = plan.source.size
        self._layout = deep(self.size)
        info = info_of(self._layout, 1)
        self._mattes = Mattes(plan.active(kinds), folder, self._layout, AreaMask((), info, "hold-out"))
        self._mattes.check()
        self._ring = ring_of(info)
        self._crops, self._plates = _Kept(MOST_CROPS), _Kept(MOST_PLATES)

    def plates(self, line: Line, request: Request, number: int) -> list[Served]:
        """The plates over frame `number` of the plan, which the host has at the request's time."""
        if number < 0:
            return []
        boxes = self._mattes.regions(FrameRange(number, number + 1), self._ring)
        if not boxes:
            return []
        times = _near(request)
        digests = [digest for _, digest in line.want([Wish(t, (0, 0, *self.size), form=DIGEST) for t in times])]
        here = digests[times.index(request.time)]
        # Neighbours that are absent, or all the same because the host ignores the time, say nothing.
        window = [(t, d) for t, d in zip(times, digests, strict=True) if t == request.time or d not in (0, here)]
        key = (number, *(d for _, d in window))
        made: list[Served] | None = self._plates.get(key)
        if made is None:
            made = [plate for box in boxes for plate in self._complete(line, window, box, request.time, number)]
            self._plates.put(key, made, sum(plate.rgb.nbytes + plate.labels.nbytes for plate in made))
        return made

    def _complete(
        self, line: Line, window: list[tuple[float, int]], box: Box, time: float, number: int
    ) -> list[Served]:
        frames = [number + round(t - time) for t, _ in window]
        crops = [self._crop(line, t, digest, box) for t, digest in window]
        covers = [self._mattes.at(n, box) for n in frames]
        region = Crops(
            self._layout,
            box,
            frames,
            crops,
            [cover.matte for cover in covers],
            [cover.unblend for cover in covers],
            [cover.is_fading for cover in covers],
        )
        served = []
        for plate in complete(region, FrameRange(number, number + 1), quality="normal"):
            labels = np.where(plate.masks[0], np.maximum(plate.provenance, UNBLENDED), 0).astype(np.uint8)
            served.append(Served(plate.box, to_float(plate.planes), labels))
        return served

    def _crop(self, line: Line, time: float, digest: int, box: Box) -> list[np.ndarray]:
        crop: list[np.ndarray] | None = self._crops.get((digest, box))
        if crop is None:
            ((picture, _),) = line.want([Wish(time, box)])
            crop = to_planes(np.zeros((box[3], box[2], 3)) if picture is None else picture, self._layout)
            self._crops.put((digest, box), crop, sum(plane.nbytes for plane in crop))
        return crop


def _near(request: Request) -> list[float]:
    """Times of the window around a frame that the host can give."""
    if not request.can_fetch:
        return [request.time]
    times = [request.time + step for step in range(-NEIGHBOURS, NEIGHBOURS + 1)]
    is_known = request.last >= request.first
    return [t for t in times if t == request.time or not is_known or request.first <= t <= request.last]


class _Kept:
    """The last things of up to so many bytes, by key. Any thread may use it."""

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._held: OrderedDict[tuple, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple) -> Any:
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key: tuple, value: Any, size: int) -> None:
        with self._lock:
            if key not in self._held:
                self._held[key] = (value, size)
                self._size += size
            while self._size > self._most and len(self._held) > 1:
                self._size -= self._held.popitem(last=False)[1][1]
