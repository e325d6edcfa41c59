"""Finished frames of a plan, made from the plan's own clip a window at a time and kept: what `wipe --plan` writes."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from . import planes
from .areas import AreaMask
from .boxes import widened
from .composite import composite
from .decode import Clip, open_clip
from .errors import AutoWipeError, JobError
from .job import Box
from .masks import supersampled
from .matte import Mattes
from .plan import Plan
from .planfile import read_plan
from .plate import UNBLENDED, UNTOUCHED, Plate
from .seams import Tail
from .shotplates import ShotPlates
from .timing import FrameRange
from .windows import plates_of, ring_of, windows_of

log = logging.getLogger(__name__)

MOST_BYTES = 600 << 20  # of finished frames held by one plan: some windows of them
MOST_TAILS = 2  # of windows: playing on needs one
SAMPLE_PX = 160  # columns, at most, of the coarse picture by which a frame is known again
AROUND_PX = 4  # chroma that is brought to luma size looks so far


@dataclass
class Finished:
    """One region of one frame as it looks wiped."""

    box: Box  # aligned, source px
    planes: list[np.ndarray]  # colour planes over the box, native integers: plate and what is around it
    labels: np.ndarray  # (h, w) uint8: provenance of every pixel that the wipe changes, 0 elsewhere

    @property
    def size_bytes(self) -> int:
        return self.labels.nbytes + sum(plane.nbytes for plane in self.planes)


@dataclass
class Frame:
    """A frame of the plan's clip."""

    regions: list[Finished]
    samples: np.ndarray  # (2, h, w, 3) uint8 RGB: every `PlanPlates.step`-th px of the source; the px below those
    is_clear: np.ndarray  # (h, w) bool: where no overlay lies over the samples


class PlanPlates:
    """One plan's frames. Any thread may ask; one at a time makes."""

    def __init__(self, path: Path, kinds: tuple[str, ...]) -> None:
        """Raises AutoWipeError when the plan, its maps or its clip cannot be used."""
        plan = load_plan(path)
        self._stack = ExitStack()
        self.clip: Clip = self._stack.enter_context(open_clip(_source_of(plan, path)))
        self.info = self.clip.info
        self.plan = read_plan(path, self.info, plan.range)
        self._mattes = Mattes(
            self.plan.active(kinds), path.parent, self.info.layout, AreaMask((), self.info, "hold-out")
        )
        self._mattes.check()
        self.windows = windows_of(self.plan, self._mattes, self.info)
        self._beyond = ShotPlates(self.clip, self._mattes, self.plan.shots, ring_of(self.info))
        self.step = 2 * -(-self.info.layout.width // (2 * SAMPLE_PX))  # even: rows of the upper field
        self._making, self._lock = threading.Lock(), threading.Lock()
        self._held: OrderedDict[int, dict[int, Frame]] = OrderedDict()  # window: frame: what was made
        self._tails: dict[int, Tail] = {}  # by its first frame, until the next window is made
        self._ahead: threading.Thread | None = None

    @property
    def range(self) -> FrameRange:
        return self.plan.range

    def frame(self, number: int, is_wanted: Callable[[], bool]) -> Frame | None:
        """A frame of the range, made with its whole window where need be; None when it is wanted no more."""
        index = next(i for i, window in enumerate(self.windows) if number in window.core)
        made = self._window(index, is_wanted)
        if made is not None:
            self._make_ahead(index + 1)
        return None if made is None else made[number]

    def near(self, number: int) -> dict[int, Frame]:
        """The frames that are held of the window of `number`."""
        with self._lock:
            return next((made for made in self._held.values() if number in made), {})

    def _window(self, index: int, is_wanted: Callable[[], bool]) -> dict[int, Frame] | None:
        made = self._known(index)
        if made is not None:
            return made
        with self._making:
            made = self._known(index)
            if made is None and is_wanted():
                made = self._make(index)
                with self._lock:
                    self._held[index] = made
                    while len(self._held) > 1 and sum(map(_size_bytes, self._held.values())) > MOST_BYTES:
                        self._held.popitem(last=False)
            return made

    def _known(self, index: int) -> dict[int, Frame] | None:
        with self._lock:
            if index in self._held:
                self._held.move_to_end(index)
            return self._held.get(index)

    def _make_ahead(self, index: int) -> None:
        """Makes the next window in the background, since a host that plays will ask for it."""
        with self._lock:
            is_busy = self._ahead is not None and self._ahead.is_alive()
            if is_busy or index >= len(self.windows) or index in self._held:
                return
            self._ahead = threading.Thread(target=self._try, args=(index,), name="plates-ahead", daemon=True)
            self._ahead.start()

    def _try(self, index: int) -> None:
        try:
            self._window(index, lambda: True)
        except AutoWipeError as err:  # told when a frame of that window is asked for
            log.info("the frames from %d on cannot be made: %s", self.windows[index].core.start, err)

    def _make(self, index: int) -> dict[int, Frame]:
        window, earlier = self.windows[index], self.windows[index - 1] if index else None
        by_frame: dict[int, list[Plate]] = {}
        for plates in plates_of(
            [window], self._mattes, self.clip, "normal", beyond=self._beyond, before=earlier, tails=self._tails
        ):
            for plate in plates:
                by_frame.setdefault(plate.frame, []).append(plate)
        for old in list(self._tails)[:-MOST_TAILS]:
            del self._tails[old]
        made = {}
        for frame in self.clip.frames(window.core):
            here = by_frame.get(frame.index, [])
            samples = np.stack([self._sample(frame.views, 0), self._sample(frame.views, 1)])
            before = [planes.crop(frame.views, self.info.layout, plate.box) for plate in here]
            for plate in here:
                composite(frame.views, self.info.layout, plate)
            regions = [self._finished(frame.views, plate, old) for plate, old in zip(here, before, strict=True)]
            is_clear = np.ones(samples.shape[1:3], bool)
            for region in regions:
                self._cover(is_clear, region)
            made[frame.index] = Frame(regions, samples, is_clear)
        return made

    def rgb(self, box: Box, crop: list[np.ndarray]) -> np.ndarray:
        """(h, w, 3) float32 RGB, 0..1, of colour planes over an aligned box."""
        info = self.info
        return planes.to_rgb(crop, info.layout, info.matrix, info.full_range, info.siting)

    def _finished(self, views: list[np.ndarray], plate: Plate, before: list[np.ndarray]) -> Finished:
        """The plate as far as it changes the frame, and what its changed chroma samples reach.

        A host's way from Y'CbCr to RGB is not ours: pixels that would keep their value are left to the host.
        """
        layout = self.info.layout
        x, y, w, h = plate.box
        box = layout.align(widened(plate.box, AROUND_PX))
        labels = np.zeros(box[:1:-1], np.uint8)
        left, top = x - box[0], y - box[1]
        labels[top : top + h, left : left + w] = plate.provenance
        changed = np.zeros(labels.shape, bool)
        for mask, new, old, plane in zip(plate.masks, plate.planes, before, layout.colour, strict=True):
            px, py, pw, ph = layout.plane_box(plate.box, plane)
            bx, by, bw, bh = layout.plane_box(box, plane)
            at = np.zeros((bh, bw), np.uint8)
            at[py - by : py - by + ph, px - bx : px - bx + pw] = mask & (new != old)
            if plane.shift_x or plane.shift_y:  # between two chroma samples both count
                at = cv2.dilate(at, np.ones((3, 3), np.uint8))
            changed |= supersampled(at, plane.shift, changed.shape) != 0
        near = cv2.dilate(labels, np.ones((9, 9), np.uint8))
        labels = np.where(labels == UNTOUCHED, np.maximum(near, UNBLENDED), labels) * changed
        return Finished(box, planes.crop(views, layout, box), labels.astype(np.uint8))

    def _sample(self, views: list[np.ndarray], down: int) -> np.ndarray:
        layout, step = self.info.layout, self.step
        rows = np.minimum(np.arange(0, layout.height, step) + down, layout.height - 1)
        columns = np.arange(0, layout.width, step)
        parts = []
        for view, plane in zip(views, layout.colour, strict=False):
            parts.append(view[np.ix_(rows >> plane.shift_y, columns >> plane.shift_x)])
        flat = planes.Layout(
            layout.pix_fmt,
            len(columns),
            len(rows),
            tuple(planes.Plane(p.role, 0, 0, p.bits, p.low) for p in layout.colour),
        )
        parts = [part.astype(part.dtype.newbyteorder("="), order="C") for part in parts]
        rgb = planes.to_rgb(parts, flat, self.info.matrix, self.info.full_range)
        return np.rint(rgb * 255).astype(np.uint8)

    def _cover(self, is_clear: np.ndarray, region: Finished) -> None:
        x, y, w, h = region.box
        step = self.step
        rows, columns = np.arange(-(-y // step) * step, y + h, step), np.arange(-(-x // step) * step, x + w, step)
        if len(rows) and len(columns):
            is_clear[np.ix_(rows // step, columns // step)] &= region.labels[np.ix_(rows - y, columns - x)] == UNTOUCHED

    def close(self) -> None:
        self._stack.close()


def load_plan(path: Path) -> Plan:
    """Raises JobError when there is no plan or it is wrong."""
    try:
        return Plan.from_json(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as err:
        raise JobError(
            f"the plan {path} cannot be read: {err}", code="plan", hint="Choose the plan file anew."
        ) from err


def _source_of(plan: Plan, path: Path) -> str:
    """The plan's clip; on another machine the one of the same name beside the plan."""
    if os.path.exists(plan.source.path):
        return plan.source.path
    beside = path.parent / Path(plan.source.path.replace("\\", "/")).name
    return str(beside) if beside.exists() else plan.source.path


def _size_bytes(made: dict[int, Frame]) -> int:
    return sum(f.samples.nbytes + f.is_clear.nbytes + sum(r.size_bytes for r in f.regions) for f in made.values())
