"""The telling frames of a run: which they are, and their pictures before and after, kept as files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .job import KINDS, Box
from .plan import Event, Overlay, Plan
from .sidecars import places

STILL_WIDTH = 1120  # px, somewhat more than the page shows; wider frames have close-ups at full size
CLOSE_UP_MOST = (1920, 1080)  # px, width and height
CLOSE_UP_LEAST = 320  # px of width, so that a small mark is seen in its surroundings
CLOSE_UP_MARGIN = 0.15  # of the overlay's box, on every side
CLOSE_UP_SHAPE = 2.4  # width to height at most, so that a line of text is seen in its surroundings
THUMB_WIDTH = 240  # px
# JPEG, because WebP takes 30 times as long for a quarter less: over a second for each still.
FRAME_QUALITY, CLOSE_UP_QUALITY = 82, 90  # close-ups keep their chroma at full size too
LUMA = (0.2126, 0.7152, 0.0722)  # of R, G, B, for pictures to look at


def pick_stills(plan: Plan, kinds: tuple[str, ...] = KINDS, most: int = 16) -> dict[int, list[str]]:
    """Telling frames, in order, each with the ids of the overlays visible there; from the plan alone.

    The overlays take turns: first each one's longest event in the middle, then its first event when
    it is fully there, its last event in the middle, its first frame at all, then events spread over
    the rest. Frames less than half a second from a chosen one that shows the same are passed over.
    """
    active = plan.active(kinds)
    near = max(1, round(plan.source.rate / 2))
    chosen: dict[int, list[str]] = {}
    queues = [_telling_frames(overlay) for overlay in active]
    for turn in range(max(map(len, queues), default=0)):
        for queue in queues:
            if turn < len(queue) and len(chosen) < most:
                frame = queue[turn]
                shown = [overlay.id for overlay in active if places(overlay, frame)]
                alike = (f for f, ids in chosen.items() if set(shown) <= set(ids))
                if all(abs(frame - other) >= near for other in alike):
                    chosen[frame] = shown
    return dict(sorted(chosen.items()))


@dataclass(frozen=True)
class View:
    """One picture of a still: the whole frame, or a close-up at full size."""

    name: str  # "" for the whole frame, else the overlay's id
    size: tuple[int, int]  # width, height in source px
    before: Path
    after: Path
    provenance: Path | None
    thumb: Path  # of the source


@dataclass(frozen=True)
class Still:
    """One frame of the report."""

    frame: int
    overlays: tuple[str, ...]  # ids of those visible
    views: tuple[View, ...]  # the whole frame first


class Stills:
    """Keeps the report's frames as files in a folder of the run's state, so that a resumed run has them.

    `frame in stills` tells whether a frame is wanted; then `save` it. `read` gives those that are there.
    """

    def __init__(self, folder: Path, plan: Plan, kinds: tuple[str, ...] = KINDS, most: int = 16) -> None:
        self._folder = folder
        self._numbers = {overlay.id: i for i, overlay in enumerate(plan.overlays)}
        self._overlays = {overlay.id: overlay for overlay in plan.active(kinds)}
        self._size = plan.source.size
        self.wanted = pick_stills(plan, kinds, most)

    def __contains__(self, frame: int) -> bool:
        return frame in self.wanted

    def save(
        self,
        frame: int,
        before: np.ndarray,
        after: np.ndarray,
        provenance: np.ndarray | None = None,
    ) -> None:
        """Keeps a wanted frame; all (H, W, 3) uint8 RGB, `provenance` as `provenance_picture` gives it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, (x, y, w, h) in self._close_ups(frame).items():
            rows, columns = slice(y, y + h), slice(x, x + w)
            self._save_view(frame, name, before[rows, columns], after[rows, columns], CLOSE_UP_QUALITY)
            if provenance is not None:
                self._save_how(frame, name, after[rows, columns], provenance[rows, columns])
        before, after = _fit(before, STILL_WIDTH), _fit(after, STILL_WIDTH)
        self._save_view(frame, "", before, after, FRAME_QUALITY)
        if provenance is not None:
            self._save_how(frame, "", after, _fit(provenance, STILL_WIDTH))

    def read(self) -> list[Still]:
        """The frames that were saved, in order."""
        stills = []
        for frame, names in self.wanted.items():
            boxes = {"": (0, 0, *self._size)} | self._close_ups(frame)
            views = []
            for name, box in boxes.items():
                paths = [self._path(frame, name, v) for v in ("before", "after", "how", "thumb")]
                if all(path.exists() for i, path in enumerate(paths) if i != 2):
                    how = paths[2] if paths[2].exists() else None
                    views.append(View(name, box[2:], paths[0], paths[1], how, paths[3]))
            if views and views[0].name == "":
                stills.append(Still(frame, tuple(names), tuple(views)))
        return stills

    def _close_ups(self, frame: int) -> dict[str, Box]:
        """One box at full size for each overlay visible in the frame."""
        boxes = {}
        for name in self.wanted[frame]:
            found = places(self._overlays[name], frame)
            x0, y0 = min(b[0] for b in found), min(b[1] for b in found)
            x1, y1 = max(b[0] + b[2] for b in found), max(b[1] + b[3] for b in found)
            boxes[name] = _close_up((x0, y0, x1 - x0, y1 - y0), self._size)
        return boxes

    def _path(self, frame: int, name: str, view: str) -> Path:
        # A number instead of the id, which a person may have changed to what no file can be called.
        number = f"-{self._numbers[name]:03d}" if name else ""
        return self._folder / f"{frame:08d}{number}.{view}.jpg"

    def _save_view(self, frame: int, name: str, before: np.ndarray, after: np.ndarray, quality: int) -> None:
        _write(self._path(frame, name, "before"), before, quality)
        _write(self._path(frame, name, "after"), after, quality)
        _write(self._path(frame, name, "thumb"), _fit(before, THUMB_WIDTH), FRAME_QUALITY)

    def _save_how(self, frame: int, name: str, after: np.ndarray, provenance: np.ndarray) -> None:
        _write(self._path(frame, name, "how"), _over(after, provenance), FRAME_QUALITY)


def _telling_frames(overlay: Overlay) -> list[int]:
    """An active overlay's frames in the order in which they are worth a look."""
    first, last = overlay.events[0], overlay.events[-1]
    longest = max(overlay.events, key=lambda event: len(event.range))
    full = min(first.range.start + first.fade_in, first.range.stop - 1)
    frames = [_middle(longest), full, _middle(last), first.range.start, longest.range.stop - 1]
    spread = max(1, len(overlay.events) // 12)
    frames += [_middle(event) for event in overlay.events[::spread]]
    return list(dict.fromkeys(frames))


def _middle(event: Event) -> int:
    return (event.range.start + event.range.stop - 1) // 2


def _close_up(box: Box, size: tuple[int, int]) -> Box:
    """A box around an overlay's, with margin, inside the picture and neither tiny nor a thin strip."""
    w = max(CLOSE_UP_LEAST, round(box[2] * (1 + 2 * CLOSE_UP_MARGIN)))
    h = max(round(w / CLOSE_UP_SHAPE), round(box[3] * (1 + 2 * CLOSE_UP_MARGIN)))
    w, h = min(w, CLOSE_UP_MOST[0], size[0]), min(h, CLOSE_UP_MOST[1], size[1])
    x = min(max(0, box[0] + (box[2] - w) // 2), size[0] - w)
    y = min(max(0, box[1] + (box[3] - h) // 2), size[1] - h)
    return (x, y, w, h)


def _fit(picture: np.ndarray, width: int) -> np.ndarray:
    """The picture made smaller to at most `width` px."""
    high, wide = picture.shape[:2]
    if wide <= width:
        return picture
    return cv2.resize(picture, (width, max(1, round(high * width / wide))), interpolation=cv2.INTER_AREA)


def _over(picture: np.ndarray, provenance: np.ndarray) -> np.ndarray:
    """Provenance colours over a dimmed grey picture, so that one sees where they are."""
    grey = cv2.transform(picture, np.array([LUMA], np.float32))
    wiped = (provenance[..., 0] | provenance[..., 1] | provenance[..., 2]) > 0
    shown = np.repeat((grey * np.float32(0.45)).astype(np.uint8)[..., None], 3, axis=2)
    shown[wiped] = (0.85 * provenance[wiped] + 0.15 * grey[wiped][:, None]).astype(np.uint8)
    return shown


def _write(path: Path, picture: np.ndarray, quality: int) -> None:
    full = quality >= CLOSE_UP_QUALITY
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), options)
    assert done
    working = path.with_suffix(".part")  # a killed run leaves no half picture
    working.write_bytes(data.tobytes())
    os.replace(working, path)
