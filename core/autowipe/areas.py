"""The user's areas, boxes or image or video mattes: where to look for overlays, and what must never change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from . import planes
from .decode import ClipInfo, open_clip
from .errors import JobError
from .job import Area
from .maps import write_matte
from .masks import extent
from .plan import Event, Overlay
from .timing import FrameRange

ON = 128  # 8-bit level from which a matte counts as on
EDGE = 8  # level from which a sample of a given matte is wiped: below is a codec's noise on black


class AreaMask:
    """Union of some areas over the frames of a clip; asked for frame by frame, in order."""

    def __init__(self, areas: tuple[Area, ...], like: ClipInfo, name: str) -> None:
        self._size = (like.layout.width, like.layout.height)
        self._still = np.zeros(self._size[::-1], bool)
        self._videos: list[_MatteVideo] = []
        for area in areas:
            if isinstance(area, str):
                video = _MatteVideo(area, like, name)
                if video.frames == 1:
                    self._still |= video.at(0) >= ON
                else:
                    self._videos.append(video)
            else:
                x, y, w, h = area
                if x >= self._size[0] or y >= self._size[1] or x + w <= 0 or y + h <= 0:
                    raise JobError(
                        f"{name}: the box {x},{y},{w},{h} lies outside the {self._size[0]}x{self._size[1]} picture",
                        hint="Boxes are x,y,width,height in source px from the top left.",
                    )
                self._still[max(0, y) : y + h, max(0, x) : x + w] = True
        self.is_empty = not areas

    def at(self, frame: int) -> np.ndarray:
        """(H, W) bool, True inside the areas. Not to be changed by the caller."""
        if not self._videos:
            return self._still
        mask = self._still.copy()
        for video in self._videos:
            mask |= video.at(frame) >= ON
        return mask

    def ever(self, within: FrameRange) -> np.ndarray:
        """(H, W) bool, True where any frame of the range has an area."""
        if not self._videos:
            return self._still
        mask = self._still.copy()
        for frame in within:
            for video in self._videos:
                mask |= video.at(frame) >= ON
        return mask


def matte_overlays(path: str, like: ClipInfo, whole: FrameRange, folder: Path, maps: str) -> tuple[Overlay, ...]:
    """A user's matte as a plan's one overlay: an event for every run of frames with the same matte.

    Writes the maps to `folder`/`maps`. Where the matte is empty there is no event.
    """
    video = _MatteVideo(path, like, "matte")
    events: list[Event] = []
    last: np.ndarray | None = None
    step = len(whole) if video.frames == 1 else 1
    for frame in range(whole.start, whole.stop, step):
        matte = video.at(frame)
        span = FrameRange(frame, frame + step)
        if last is not None and np.array_equal(matte, last) and events and events[-1].range.stop == frame:
            events[-1] = replace(events[-1], range=FrameRange(events[-1].range.start, span.stop))
            continue
        last = matte.copy()
        if not (matte >= EDGE).any():
            continue
        box = like.layout.align(extent(matte >= EDGE))
        x, y, w, h = box
        name = f"{maps}/matte-1.{len(events) + 1}.matte.png"
        part = matte[y : y + h, x : x + w].astype(np.float32) / 255
        write_matte(folder / name, np.where(part * 255 >= EDGE, part, np.float32(0)))
        events.append(Event(range=span, box=box, matte=name))
    if not events:
        return ()
    boxes = np.array([event.box for event in events])
    x0, y0 = boxes[:, 0].min(), boxes[:, 1].min()
    x1, y1 = (boxes[:, 0] + boxes[:, 2]).max(), (boxes[:, 1] + boxes[:, 3]).max()
    whole_box = (int(x0), int(y0), int(x1 - x0), int(y1 - y0))
    evidence: dict[str, float | str] = {"given": "matte"}
    return (Overlay(id="matte-1", kind="logo", box=whole_box, events=tuple(events), evidence=evidence),)


class _MatteVideo:
    """A matte file's frames as 8-bit levels at the clip's size: frame 0 of a still, frame t of a video."""

    def __init__(self, path: str, like: ClipInfo, name: str) -> None:
        self._path, self._name = path, name
        self._size = (like.layout.width, like.layout.height)
        with open_clip(path) as clip:
            self._clip = clip
        info = self._clip.info
        self._low, self._span = (0, 255) if info.full_range else (16, 219)
        self.frames = info.frames
        if self.frames not in (1, like.frames):
            raise JobError(
                f"{name}: the matte {path} has {self.frames} frames, the clip {like.frames}",
                hint="Give a still, or a video with a frame for every frame of the clip.",
            )
        if info.layout.width * like.layout.height != info.layout.height * like.layout.width:
            raise JobError(
                f"{name}: the matte {path} is {info.layout.width}x{info.layout.height} px, not the clip's shape",
                hint=f"Save it as {self._size[0]}x{self._size[1]} px.",
            )
        self._reader: Iterator | None = None
        self._now: tuple[int, np.ndarray] | None = None

    def at(self, frame: int) -> np.ndarray:
        """(H, W) uint8 levels, 255 = on."""
        if self.frames == 1:
            frame = 0
        if self._now is None or frame != self._now[0]:
            if self._reader is None or self._now is None or not self._now[0] < frame <= self._now[0] + 50:
                self._reader = self._clip.frames(FrameRange(frame, self.frames))
            for read in self._reader:
                if read.index == frame:
                    luma = planes.luma(read.views, self._clip.info.layout, self._clip.info.matrix)
                    luma = ((luma - self._low) * (255 / self._span)).clip(0, 255).astype(np.uint8)
                    if luma.shape[::-1] != self._size:
                        luma = cv2.resize(luma, self._size, interpolation=cv2.INTER_LINEAR)
                    self._now = (frame, luma)
                    break
        assert self._now is not None
        return self._now[1]
