"""The finders of pass A at work in processes: all of them see every frame, and say at the end what they have found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from . import heap, kinds, text
from .exchange import Line
from .job import Box
from .kinds import Found, Small
from .planes import Layout
from .processes import Process, ask, usable_cores
from .timing import FrameRange

WAITING = 24  # analysis pictures that wait for a process at most: more than pass while the text detector looks at one
WAITING_CROPS = 3  # frames' crops that wait for one
WORK = {"dynamic": 3, "logo": 2, "subtitle": 1.5}  # of finders that have more of it than others


class Finders:
    """Those of one section of a clip; to be used in a `with`, which starts the processes, and ends them.

    As of a `kinds.Finder`, `survey` comes first, then `propose`, `measure` and `finish`.
    """

    def __init__(self, layout: Layout, section: FrameRange, rate: float, seen: kinds.Look) -> None:
        """`seen`: the network, asked in this process."""
        self._given = layout, section, rate
        self._services: dict[str, Callable[..., Any]] = {"seen": seen, "text": text.run}
        self._processes: list[tuple[Process, list[int]]] = []  # with the numbers of the finders that it has

    def __enter__(self) -> Finders:
        names = kinds.names()
        for numbers in _shared(names, usable_cores()):
            process = Process(serve, [names[k] for k in numbers], *self._given, services=self._services)
            self._processes.append((process, numbers))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process, _ in self._processes:
            process.end(at_once=error is not None)

    def survey(self, small: Small) -> None:
        """Takes the next frame at analysis size."""
        for process, _ in self._processes:
            process.send(small, WAITING)

    def propose(self, shots: Sequence[FrameRange]) -> tuple[list[list[Box]], list[list[bool]]]:
        """Of each finder the boxes, and which of the section's frames it wants to measure."""
        answers = self._ask(tuple(shots))
        return [boxes for boxes, _ in answers], [wanted for _, wanted in answers]

    def measure(self, frame: int, crops: Sequence[list[list[np.ndarray]] | None]) -> None:
        """Takes the crops of a frame, of each finder that wants it."""
        for process, numbers in self._processes:
            own = [crops[k] for k in numbers]
            if any(one is not None for one in own):
                process.send((frame, own), WAITING_CROPS)

    def finish(self) -> list[list[Found]]:
        return self._ask(None)

    def _ask(self, thing: object) -> list[Any]:
        """What the processes answer to a thing, finder by finder."""
        for process, _ in self._processes:
            process.send(thing, WAITING)
        answers = {
            k: answer
            for process, numbers in self._processes
            for k, answer in zip(numbers, process.receive(), strict=True)
        }
        return [answers[k] for k in sorted(answers)]


def _shared(names: Sequence[str], count: int) -> list[list[int]]:
    """The names' numbers in as many groups at most: those with the most work first, each to whom has the least."""
    groups: list[list[int]] = [[] for _ in range(min(count, len(names)))]
    for k in sorted(range(len(names)), key=lambda k: -WORK.get(names[k], 1)):
        min(groups, key=lambda group: sum(WORK.get(names[one], 1) for one in group)).append(k)
    return [sorted(group) for group in groups]


def serve(line: Line, names: Sequence[str], layout: Layout, section: FrameRange, rate: float) -> None:
    """What one of the processes does."""
    finders = [kinds.load(name, layout, section, rate) for name in names]
    while isinstance(thing := line.recv(), Small):
        for finder in finders:
            finder.survey(thing)
    line.send([_proposed(finder, thing, section) for finder in finders])
    heap.give_back()
    while (thing := line.recv()) is not None:
        frame, crops = thing
        for finder, own in zip(finders, crops, strict=True):
            if own is not None:
                finder.measure(frame, own)
    line.send([finder.finish() for finder in finders])


def _proposed(finder: kinds.Finder, shots: tuple[FrameRange, ...], section: FrameRange) -> tuple[list[Box], list[bool]]:
    boxes = finder.propose(shots, lambda: ask("seen"))
    return boxes, [bool(boxes) and finder.wants(t) for t in section]
