"""Plans made of a host's frames: all of them read for an analysis, or learned from those that are rendered."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from . import pipeline
from .errors import AutoWipeError
from .hostclip import RATE, HostClip, shallow, to_planes
from .hostplates import HostPlates
from .job import Job
from .link import Line, Request, Wish
from .plan import Overlay, Plan
from .protocol import Message, Progress
from .timing import FrameRange

log = logging.getLogger(__name__)

LEARN_FRAMES = 48  # consecutive: fewer tell too little about what stays in place
MOST_LEARNED = 768 << 20  # bytes of frames held to learn from
BEYOND = 1 << 24  # frames: what is there at an end of what was seen is taken to go on


def analyse(line: Line, request: Request, kinds: tuple[str, ...], folder: Path) -> Plan:
    """The plan of all frames that the host has, asked for one by one; frame 0 is the first. Maps go to `folder`."""
    size = (request.width, request.height)
    layout = shallow(size)
    first, count = request.first, round(request.last - request.first) + 1
    stages = pipeline.looks(FrameRange(0, count), RATE)
    state = {"done": 0.0}

    def fetch(number: int) -> list[np.ndarray]:
        ((picture, _),) = line.want([Wish(first + number, (0, 0, *size))], state["done"], "AutoWipe looks for overlays")
        return to_planes(np.zeros((size[1], size[0], 3)) if picture is None else picture, layout)

    def send(message: Message) -> None:
        if isinstance(message, Progress):
            share = message.done / max(1, message.total)
            state["done"] = (stages.index(message.stage) + share) / len(stages)

    return _make(HostClip(layout, count, fetch), FrameRange(0, count), kinds, folder, send)


class Learner:
    """Collects the frames of one effect as they are rendered, and makes a plan of them beside the rendering."""

    def __init__(self, size: tuple[int, int], kinds: tuple[str, ...], folder: Path) -> None:
        self.size, self.kinds, self.folder = size, kinds, folder
        self.plates: HostPlates | None = None  # once learned, they stay: a frame is wiped alike from then on
        self.first = 0  # time of their frame 0
        self._frames: dict[int, list[np.ndarray]] = {}  # by time
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._tried = 0  # frames from which nothing was learned

    @property
    def seen(self) -> int:
        """Frames in a row so far."""
        with self._lock:
            return len(_longest_run(self._frames))

    @property
    def wanted(self) -> int:
        return max(LEARN_FRAMES, 2 * self._tried)

    def add(self, line: Line, time: float) -> None:
        """Takes in the frame of a render. Times between frames say nothing new."""
        number = round(time)
        with self._lock:
            size = 3 * self.size[0] * self.size[1]
            if number in self._frames or number != time or len(self._frames) * size > MOST_LEARNED:
                return
        ((picture, _),) = line.want([Wish(time, (0, 0, *self.size))])
        if picture is None:
            return
        planes = to_planes(picture, shallow(self.size))
        with self._lock:
            self._frames[number] = planes
            is_busy = self._thread is not None and self._thread.is_alive()
            run = _longest_run(self._frames)
            if self.plates is None and not is_busy and len(run) >= self.wanted:
                frames = {n: self._frames[n] for n in run}
                self._thread = threading.Thread(target=self._learn, args=(frames,), name="learn", daemon=True)
                self._thread.start()

    def _learn(self, frames: dict[int, list[np.ndarray]]) -> None:
        first, count = min(frames), len(frames)
        clip = HostClip(shallow(self.size), count, lambda number: frames[first + number])
        try:
            plan = _make(clip, FrameRange(0, count), self.kinds, self.folder, lambda _: None)
            plates = HostPlates(_prolonged(plan, count), self.folder, self.kinds) if plan.overlays else None
        except AutoWipeError as err:
            log.warning("nothing can be learned from the frames: %s", err)
            plates = None
        except Exception:  # a mistake of ours: rendering goes on, the log gets the rest
            log.exception("nothing can be learned from the frames")
            plates = None
        with self._lock:
            self._tried = count
            if plates is not None:
                self.first, self.plates = first - BEYOND, plates
                self._frames.clear()


def _make(
    clip: HostClip, whole: FrameRange, kinds: tuple[str, ...], folder: Path, send: Callable[[Message], None]
) -> Plan:
    job = Job(source=str(folder / "host"), task="perceive", kinds=kinds, save_plan=str(folder / "plan.json"))
    for old in folder.glob("section-*.json"):  # of other frames
        old.unlink()
    run = pipeline.Run(send, threading.Event())
    run.stages(pipeline.looks(whole, RATE), len(whole), None)
    plan = pipeline.make_plan(job, clip, whole, "", folder, run)  # type: ignore[arg-type]
    return replace(plan, source=replace(plan.source, path=""))


def _prolonged(plan: Plan, count: int) -> Plan:
    """The plan with frame 0 at `BEYOND`, and what shows at an end of what was seen going on for ever."""
    last = 2 * BEYOND + count

    def moved(overlay: Overlay) -> Overlay:
        events = []
        for event in overlay.events:
            start = 0 if event.range.start == 0 else event.range.start + BEYOND
            stop = last if event.range.stop == count else event.range.stop + BEYOND
            events.append(replace(event, range=FrameRange(start, stop)))
        keys = tuple((key[0] + BEYOND, *key[1:]) for key in overlay.trajectory)
        return replace(overlay, events=tuple(events), trajectory=keys)

    source = replace(plan.source, frames=last)
    whole = FrameRange(0, last)
    return Plan(source, whole, (whole,), tuple(moved(overlay) for overlay in plan.overlays))


def _longest_run(frames: dict[int, list[np.ndarray]]) -> range:
    best, start = range(0), None
    last = None
    for number in sorted(frames):
        if last is None or number != last + 1:
            start = number
        last = number
        assert start is not None
        if number + 1 - start > len(best):
            best = range(start, number + 1)
    return best
