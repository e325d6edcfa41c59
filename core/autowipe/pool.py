"""Completes the regions of pass B in processes, several at a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any

from . import heap, planes
from .complete import Better, complete
from .exchange import Line
from .masks import extent
from .planes import Layout
from .plate import Beyond, Crops, Plate
from .processes import Process, ask, usable_cores
from .timing import FrameRange

MOST = 4  # processes: each holds a window


class Pool:
    """To be used in a `with`, which starts the processes, and ends them."""

    def __init__(self, better: Better) -> None:
        """`better`: the network, asked in this process."""
        self._better = better
        self._all: list[_Completer] = []
        self._free: queue.SimpleQueue[_Completer] = queue.SimpleQueue()

    def __enter__(self) -> Pool:
        for _ in range(max(1, min(MOST, usable_cores()))):
            completer = _Completer(self._better)
            self._all.append(completer)
            self._free.put(completer)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for completer in self._all:
            completer.process.end(at_once=error is not None)

    def complete(self, crops: Crops, core: FrameRange, **options: Any) -> Iterator[Plate]:
        """As complete.complete, without `better`: waits for a process that is free, which begins at once.

        The crops are not held here: they are large, and the process has its own.
        """
        completer = self._free.get()
        completer.begin(crops, core, options)
        made: queue.SimpleQueue[Plate | BaseException | None] = queue.SimpleQueue()

        def tend() -> None:
            try:
                for plate in completer.plates():
                    made.put(plate)
                made.put(None)
            except BaseException as err:  # raised where the plates are taken
                made.put(err)
            finally:
                self._free.put(completer)

        threading.Thread(target=tend, name="completing", daemon=True).start()
        return _taken(made)


def _taken(made: queue.SimpleQueue[Plate | BaseException | None]) -> Iterator[Plate]:
    while (one := made.get()) is not None:
        if isinstance(one, BaseException):
            raise one
        yield one


class _Completer:
    """One process; it completes one region at a time."""

    def __init__(self, better: Better) -> None:
        self._services: dict[str, Callable[..., Any]] = {"better": better}
        self.process = Process(serve, services=self._services)

    def begin(self, crops: Crops, core: FrameRange, options: dict[str, Any]) -> None:
        beyond = crops.beyond
        if beyond is not None:
            self._services["find"] = beyond.find
        self.process.send((replace(crops, beyond=None), beyond and beyond.step, core, options))

    def plates(self) -> Iterator[Plate]:
        """Those of what was begun."""
        masks: list[Any] = []
        while (plate := self.process.receive()) is not None:
            masks = plate.masks = plate.masks or masks
            yield plate


def serve(line: Line) -> None:
    """What one of the processes does."""
    heap.keep()
    while True:
        crops, step, core, options = line.recv()
        crops.beyond = None if step is None else Beyond(step, lambda frame, wanted: ask("find", frame, wanted))
        masks: list[Any] = []
        plate = sent = None
        for plate in complete(crops, core, better=lambda known, is_rgb: ask("better", known, is_rgb), **options):
            same, masks = plate.masks is masks, plate.masks
            sent = _trimmed(plate, crops.layout)
            line.send(replace(sent, masks=[]) if same else sent)  # the same ones need not go over every time
        line.send(None)
        del crops, plate, sent


def _trimmed(plate: Plate, layout: Layout) -> Plate:
    """What is to be written of a plate: plates wait in the parent until their frames are due."""
    x, y, w, h = box = layout.align(extent(plate.masks[0], plate.box[:2]))
    left, top = plate.box[:2]
    provenance = plate.provenance[y - top : y - top + h, x - left : x - left + w]
    parts, masks = (
        [part.copy() for part in planes.cut(k, layout, plate.box, box)] for k in (plate.planes, plate.masks)
    )
    return Plate(plate.frame, box, parts, masks, provenance.copy())
