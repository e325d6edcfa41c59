"""Pass B window by window: reads each region's crops once, ahead of the output, and completes them into plates."""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import numpy as np

from . import planes
from .camera import Camera
from .complete import complete
from .decode import Clip, ClipInfo
from .job import COMPLETERS, Box
from .maps import Unblend
from .matte import Mattes
from .plan import Plan
from .plate import Beyond, Crops, Plate
from .seams import Tail, faded_in, parted, tail_of
from .shotplates import ShotPlates
from .timing import FrameRange, Window, windows

MOST_SAMPLES = 36_000_000  # of one region in one window: what each process holds that completes one grows with it
FEWEST_FRAMES, MOST_FRAMES = 8, 160  # of a window: enough to see one end of nearly every subtitle
HANDLE_SHARE = 8  # of a window, on each side: frames worked on twice, so that both sides of a seam borrow alike

T = TypeVar("T")


def plates_of(
    todo: list[Window],
    mattes: Mattes,
    clip: Clip,
    quality: str,
    completers: tuple[str, ...] = COMPLETERS,
    as_perceived: bool = False,
    beyond: ShotPlates | None = None,
    complete: Callable[..., Iterator[Plate]] = complete,
    before: Window | None = None,
    tails: dict[int, Tail] | None = None,
) -> Iterator[Iterator[Plate]]:
    """The plates of each window, frame by frame. The fields of interlaced material are completed apart, never blended.

    They are to be taken in order. `beyond`: where what no frame of a window shows is looked for; `complete`: as
    complete.complete, which it is by default, or elsewhere meanwhile; `before`: the window before the first one of
    `todo`, if any; `tails`: by the frame after its core what a window made beyond it, for who asks for single windows.
    """
    is_apart, tails = tails is not None, {} if tails is None else tails
    is_led = before is not None and before.core.stop not in tails and _lead_is_wanted(before, todo, mattes)
    every = [before, *todo] if before is not None and is_led else todo

    def completed(crops: Crops, core: FrameRange) -> Iterator[Plate]:
        return complete(crops, core, quality=quality, completers=completers, as_perceived=as_perceived)

    def begun(crops: Crops, window: Window, core: FrameRange) -> Iterable[Plate]:
        if clip.info.field_order != "progressive":
            top, bottom = (completed(field, core) for field in _fields(crops))
            return _weave(top, bottom, crops)
        if beyond is not None:
            find = partial(beyond.find, window.span, crops.box)
            crops.beyond = Beyond(beyond.step(window.core.start), find)
        return completed(crops, core)

    reader = _CropReader(every, mattes, clip)
    lead: Iterator[Plate] = iter(())
    for number, window in enumerate(every):
        is_last, tail = number + 1 == len(every), tail_of(window)
        core = FrameRange(
            tail.start if window is before else window.core.start,
            tail.start if is_last and not is_apart else tail.stop,
        )
        made = [begun(crops, window, core) for crops in reader.read(number)]
        plates = parted(heapq.merge(*made, key=lambda plate: plate.frame), window, tails)
        if window is before:
            lead = plates
            continue
        earlier = every[number - 1] if number else before
        if earlier is not None and window.core.start in tail_of(earlier):
            plates = chain(lead, faded_in(plates, earlier, tails, clip.info.layout))
        lead = iter(())
        yield plates


def _lead_is_wanted(before: Window, todo: Sequence[Window], mattes: Mattes) -> bool:
    """Whether the window before those of `todo` goes on into the first one where something shows."""
    over = tail_of(before)
    return bool(todo) and todo[0].core.start in over and bool(mattes.visible(over))


class _CropReader:
    """Decodes once, ahead, and keeps of each frame only the regions of the windows that want it."""

    def __init__(self, todo: list[Window], mattes: Mattes, clip: Clip) -> None:
        self._todo, self._mattes, self._clip, self._info = todo, mattes, clip, clip.info
        ring = ring_of(clip.info)
        self._regions = [mattes.regions(window.core, ring) for window in todo]
        if clip.info.field_order != "progressive":
            self._regions = [[_even_rows(box, clip.info) for box in boxes] for boxes in self._regions]
        self._held: dict[int, list[tuple[int, list[list[np.ndarray]]]]] = {}  # window: (frame, planes per region)
        self._cameras: dict[int, Camera] = {}  # of each window its own, so that it does not depend on where one began
        self._frames: Iterator[Any] | None = None
        self._next = 0

    def read(self, number: int) -> Iterator[Crops]:
        """Crops of window `number`, one a region; numbers rise from call to call."""
        if not self._regions[number]:
            return
        span = self._todo[number].span
        if self._frames is None or self._next < span.start:
            self._frames, self._next = self._clip.frames(FrameRange(span.start, self._todo[-1].span.stop)), span.start
        while self._next < span.stop:
            frame = next(self._frames)
            self._keep(frame, number)
            self._next = frame.index + 1
        held, camera = self._held.pop(number), self._cameras.pop(number)
        for box in self._regions[number]:
            frames = [index for index, _ in held]
            covers = [self._mattes.at(index, box) for index in frames]
            yield Crops(
                self._info.layout,
                box,
                frames,
                [regions.pop(0) for _, regions in held],  # who takes them has them for himself
                [cover.matte for cover in covers],
                [cover.unblend for cover in covers],
                [cover.is_fading for cover in covers],
                camera.ways(box),
            )

    def _keep(self, frame: Any, first: int) -> None:
        luma, samples = None, frame.samples
        for number in range(first, len(self._todo)):
            span = self._todo[number].span
            if span.start > frame.index:
                break
            if frame.index < span.stop and self._regions[number]:
                parts = [planes.crop(samples, self._info.layout, box) for box in self._regions[number]]
                self._held.setdefault(number, []).append((frame.index, parts))
                luma = Camera.look(samples, self._info.layout) if luma is None else luma
                self._cameras.setdefault(number, Camera(self._info.layout)).add(luma)


def _fields(crops: Crops) -> Iterator[Crops]:
    """The top and the bottom field of a region, each as a picture of its own, both of the same size.

    A region that ends where the picture does may have a last row without its pair: fields are then a row taller.
    """
    layout = crops.layout
    x, y, w, h = crops.box
    step = _field_step(layout)
    h = -(-h // step) * step
    tall = (x, y, w, h)
    shapes = [layout.plane_box(tall, plane)[3] for plane in layout.planes]
    maps_once = {id(maps): maps for maps in crops.unblends if maps is not None}
    for first in (0, 1):
        rows = slice(first, None, 2)

        def part(plane: np.ndarray, height: int, edge: float | None = None, rows: slice = rows) -> np.ndarray:
            return _taller(plane, height, edge)[rows]

        halves = {
            key: Unblend(
                [part(a, k, 1) for a, k in zip(maps.transmission, shapes, strict=False)],
                [part(b, k, 0) for b, k in zip(maps.contribution, shapes, strict=False)],
                maps.doubt and [part(d, k, 0) for d, k in zip(maps.doubt, shapes, strict=False)],
                maps.noise,
            )
            for key, maps in maps_once.items()
        }
        yield Crops(
            layout.field,
            (x, y // 2, w, h // 2),
            crops.frames,
            [[part(plane, k) for plane, k in zip(frame, shapes, strict=False)] for frame in crops.planes],
            [None if matte is None else part(matte, h, 0) for matte in crops.mattes],
            [None if maps is None else halves[id(maps)] for maps in crops.unblends],
            crops.fading,
            [None if way is None else way * [[1, 2, 1], [0.5, 1, 0.5]] for way in crops.camera],
        )


def _taller(plane: np.ndarray, height: int, edge: float | None) -> np.ndarray:
    """A plane of `height` rows: the new ones hold `edge`, or repeat the last row of their own field."""
    missing = height - len(plane)
    if not missing:
        return plane
    new = np.empty((missing, *plane.shape[1:]), plane.dtype)
    for k in range(missing):
        new[k] = edge if edge is not None else plane[max(0, len(plane) - 2 + (k % 2))]
    return np.concatenate((plane, new))


def _weave(top: Iterable[Plate], bottom: Iterable[Plate], crops: Crops) -> list[Plate]:
    """Plates of whole frames from those of the fields."""
    shapes = crops.layout.shapes(crops.box)
    x, y, w, h = crops.box
    field, box = crops.layout.field, (x, y // 2, w, -(-h // 2))
    woven = {}
    for first, plates in enumerate((top, bottom)):
        rows = slice(first, None, 2)
        for plate in plates:
            if plate.frame not in woven:
                woven[plate.frame] = Plate(
                    plate.frame,
                    crops.box,
                    [np.zeros(shape, part.dtype) for shape, part in zip(shapes, plate.planes, strict=True)],
                    [np.zeros(shape, bool) for shape in shapes],
                    np.zeros(crops.box[:1:-1], np.uint8),
                )
            whole = woven[plate.frame]
            for kept, new in ((whole.planes, plate.planes), (whole.masks, plate.masks)):
                for into, part in zip(planes.cut([k[rows] for k in kept], field, box, plate.box), new, strict=True):
                    into[:] = part[: len(into)]
            x, y, w, h = plate.box
            inner = whole.provenance[rows][y - box[1] : y - box[1] + h, x - box[0] : x - box[0] + w]
            inner[:] = plate.provenance[: len(inner)]
    return [woven[frame] for frame in sorted(woven)]


def _even_rows(box: Box, info: ClipInfo) -> Box:
    """A box whose rows divide evenly between the fields, chroma included."""
    step = _field_step(info.layout)
    y0 = box[1] // step * step
    y1 = min(info.layout.height, -(-(box[1] + box[3]) // step) * step)
    return (box[0], y0, box[2], y1 - y0)


def _field_step(layout: planes.Layout) -> int:
    """Rows of luma that hold a whole row of every plane in both fields."""
    return 2 << max(plane.shift_y for plane in layout.planes)


def windows_of(plan: Plan, mattes: Mattes, info: ClipInfo) -> list[Window]:
    """The windows that pass B works in; they depend on plan and clip alone, so a resumed run has the same."""
    boxes = mattes.regions(plan.range, ring_of(info))
    samples = max((sum(h * w for h, w in info.layout.shapes(box)) for box in boxes), default=1)
    most = max(FEWEST_FRAMES, min(MOST_FRAMES, MOST_SAMPLES // samples))
    cut = []
    for shot in plan.shots:
        shot = shot.meet(plan.range)
        if len(shot):
            cut.append(shot)
    return list(windows(tuple(cut), most=most, handle=most // HANDLE_SHARE))


def ring_of(info: ClipInfo) -> int:
    """Px of clean picture wanted around an overlay: what flow and seam matching stand on."""
    return max(24, round(0.06 * min(info.layout.height, info.layout.width)))


def ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Works one item ahead in a thread, so that completing and encoding overlap; ends with the iterator."""
    box: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=1)
    stop = threading.Event()

    def put(entry: tuple[str, Any]) -> bool:
        while not stop.is_set():
            try:
                box.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(("item", item)):
                    return
            put(("end", None))
        except BaseException as err:  # handed to the consumer, which raises it
            put(("error", err))

    thread = threading.Thread(target=work, name="plates", daemon=True)
    thread.start()
    try:
        while True:
            what, value = box.get()
            if what == "end":
                return
            if what == "error":
                raise value
            yield value
    finally:
        stop.set()
        thread.join()
