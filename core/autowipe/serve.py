"""Serves plates to plug-ins in other programs, frame by frame, until nobody has asked for a while.

A frame's plates come, best first, from a plan of the clip's file (`planplates`), from a plan of the host's frames
(`hostplan.analyse`, `hostplates`), or from what was learned of the frames rendered so far (`hostplan.Learner`).
"""

from __future__ import annotations

import json
import logging
import secrets
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from filelock import FileLock, Timeout

from . import hostfit, hostplan, ledger
from .errors import AutoWipeError
from .hostplates import HostPlates
from .job import KINDS
from .link import (
    ANALYSE,
    DONE,
    NOT_YET,
    RENDER,
    STATUS,
    WRONG,
    Caller,
    Gone,
    Line,
    Listener,
    Request,
    Served,
    Wish,
    link_folder,
)
from .planfile import write_plan
from .planplates import Finished, Frame, PlanPlates, load_plan

log = logging.getLogger(__name__)

MOST_PLANS = 4  # open at a time: each holds a clip and finished frames
MOST_LEARNERS = 8
LOWER = 1  # a request's field
LISTENS_S = 0.5  # s after which it looks whether it is to stop


def serve(
    version: str, *, transport: str, idle_minutes: float, ready: Callable[[str], None], stopped: threading.Event
) -> None:
    """Serves until nobody has asked for so long, or it is `stopped`; `ready` gets the address.

    Raises EngineLinkError when it cannot. Returns at once, without `ready`, where another engine of this user serves
    already.
    """
    folder = link_folder()
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return
    with lock, TemporaryDirectory(prefix="autowipe-") as scratch:
        for left in folder.glob("pixels-*"):  # of plug-ins that were killed while they said hello
            left.unlink(missing_ok=True)
        listener = Listener(folder, transport)
        try:
            ready(listener.address)
            _Server(version, Path(scratch)).run(listener, idle_minutes * 60, stopped)
        finally:
            listener.close()


class _Server:
    def __init__(self, version: str, scratch: Path) -> None:
        self._version, self._scratch = version, scratch
        self._lock = threading.Lock()
        self._plans: OrderedDict[tuple, PlanPlates | HostPlates] = OrderedDict()
        self._learners: OrderedDict[tuple, hostplan.Learner] = OrderedDict()
        self._opening = threading.Lock()
        self._analyses: dict[str, _Analysis] = {}
        self._asked = time.monotonic()
        self._busy = 0

    def run(self, listener: Listener, idle_s: float, stopped: threading.Event) -> None:
        while not stopped.is_set():
            caller = listener.accept(min(LISTENS_S, max(0.1, idle_s / 10)))
            if caller is not None:
                threading.Thread(target=self._attend, args=(listener, caller), daemon=True).start()
            with self._lock:
                works = self._busy or any(a.is_running for a in self._analyses.values())
                if works:
                    self._asked = time.monotonic()
                if time.monotonic() - self._asked > idle_s:
                    return

    def _attend(self, listener: Listener, caller: Caller) -> None:
        """One plug-in's line, to its end."""
        try:
            line = listener.welcome(caller, self._version)
        except Gone as err:
            log.warning("%s", err.text)
            return
        try:
            while True:
                kind, body = line.receive()
                with self._lock:
                    self._busy += 1
                try:
                    self._answer(line, kind, body.request())
                finally:
                    with self._lock:
                        self._busy -= 1
                        self._asked = time.monotonic()
        except Gone as err:
            log.debug("%s", err.text)
        finally:
            line.close()

    def _answer(self, line: Line, kind: int, request: Request) -> None:
        line.wait_s = 60.0  # a host that fetches a frame may take its time
        try:
            if kind == RENDER:
                line.result(*self._render(line, request))
            elif kind == ANALYSE:
                line.result(*self._analyse(line, request))
            elif kind == STATUS:
                line.result(DONE, self._status(request))
            else:
                raise Gone("a plug-in asks for something unknown")
        except Gone:
            raise
        except AutoWipeError as err:
            line.result(WRONG, f"AutoWipe: {err.text}. {err.hint}")
        except Exception as err:  # a mistake of ours: the host gets its frame, the log gets the rest
            log.exception("a request cannot be answered")
            line.result(WRONG, f"Something went wrong inside AutoWipe: {type(err).__name__}: {err}")
        line.wait_s = None

    def _render(self, line: Line, request: Request) -> tuple[int, str, list[Served]]:
        kinds = _kinds(request)
        if not request.plan:
            return self._from_learned(line, request, kinds)
        told = self._told_of_analysis(request.plan)
        if told is not None:
            return told
        plates = self._plan(request.plan, kinds)
        number = round(request.time) + request.frame_offset
        if isinstance(plates, HostPlates):
            if (request.width, request.height) != plates.size or request.field:
                return (
                    NOT_YET,
                    "This plan was made of frames of another size; shown at full size it is carried out.",
                    [],
                )
            return DONE, "", plates.plates(line, request, number)
        return self._from_file(line, request, plates, number)

    def _from_file(
        self, line: Line, request: Request, plates: PlanPlates, number: int
    ) -> tuple[int, str, list[Served]]:
        if number not in plates.range:
            span = plates.range
            text = f"The plan covers frames {span.start} to {span.stop - 1} of its clip; this is frame {number}."
            return WRONG, f"{text} Check the frame offset.", []
        frame = plates.frame(number, lambda: line.is_open)
        if frame is None:
            raise Gone()
        if not frame.regions:
            return DONE, "", []
        seen = _look(line, request, plates)
        fit = _fit(seen, request, plates, frame)
        if fit is None:
            return WRONG, _other_frame(seen, request, plates, number), []
        return DONE, "", [one for region in frame.regions for one in _served(plates, region, fit, request)]

    def _plan(self, path: str, kinds: tuple[str, ...]) -> PlanPlates | HostPlates:
        """The open plan of a file as it is now. Raises AutoWipeError when it cannot be used."""
        file = Path(path)
        try:
            changed = file.stat().st_mtime_ns
        except OSError:
            changed = 0  # told when it is read
        key = (path, changed, kinds)
        with self._opening:
            if key not in self._plans:
                plan = load_plan(file)
                self._plans[key] = PlanPlates(file, kinds) if plan.source.path else HostPlates(plan, file.parent, kinds)
            self._plans.move_to_end(key)
            while len(self._plans) > MOST_PLANS:
                self._plans.popitem(last=False)
            return self._plans[key]

    def _from_learned(self, line: Line, request: Request, kinds: tuple[str, ...]) -> tuple[int, str, list[Served]]:
        if request.field:
            return NOT_YET, "Without a plan AutoWipe does not learn from single fields.", []
        size = (request.width, request.height)
        key = (request.session, size, kinds)
        with self._lock:
            if key not in self._learners:
                folder = self._scratch / secrets.token_hex(8)
                folder.mkdir()
                self._learners[key] = hostplan.Learner(size, kinds, folder)
            self._learners.move_to_end(key)
            learner = self._learners[key]
            while len(self._learners) > MOST_LEARNERS:
                self._learners.popitem(last=False)
        if learner.plates is None:
            learner.add(line, request.time)
        if learner.plates is None:
            text = f"AutoWipe is learning from the frames as they pass: {min(learner.seen, learner.wanted)} of "
            return NOT_YET, f"{text}{learner.wanted}. Analyse and a plan file wipe every frame.", []
        return DONE, "", learner.plates.plates(line, request, round(request.time) - learner.first)

    def _analyse(self, line: Line, request: Request) -> tuple[int, str, list[Served], str]:
        kinds = _kinds(request)
        plans = ledger.state_folder() / "plans"
        plans.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(3)
        if request.media:
            path = plans / f"{Path(request.media).stem}-{stamp}.json"
            analysis = _Analysis(request.media, path, kinds, self._scratch)
            with self._lock:
                self._analyses[str(path)] = analysis
            if not analysis.has_begun(10.0):
                return WRONG, analysis.text, [], ""
            return DONE, f"AutoWipe is analysing {request.media}; frames are wiped when it is done.", [], str(path)
        if request.last < request.first:
            text = "This program does not say which frames the clip has. Name the clip's file and analyse that."
            return WRONG, text, [], ""
        if request.width <= 0 or request.field:
            return WRONG, "This program gives no whole frames here. Name the clip's file and analyse that.", [], ""
        folder = self._scratch / stamp
        folder.mkdir()
        plan = hostplan.analyse(line, request, kinds, folder)
        path = plans / f"{stamp}.frames.json"
        write_plan(plan, folder, path)
        names = ", ".join(f"{overlay.id}" for overlay in plan.overlays) or "nothing"
        return DONE, f"Found {names} in {plan.source.frames} frames. The plan is {path}.", [], str(path)

    def _told_of_analysis(self, path: str) -> tuple[int, str, list[Served]] | None:
        """Where the plan is still being made, or could not be."""
        with self._lock:
            analysis = self._analyses.get(path)
        if analysis is None or Path(path).exists():
            return None
        return (NOT_YET if analysis.is_running else WRONG), analysis.text, []

    def _status(self, request: Request) -> str:
        start = f"AutoWipe {self._version} is running."
        if not request.plan:
            return f"{start} There is no plan yet."
        told = self._told_of_analysis(request.plan)
        if told is not None:
            return f"{start} {told[1]}"
        plates = self._plan(request.plan, _kinds(request))
        plan = load_plan(Path(request.plan))
        found = ", ".join(f"{o.id} ({o.kind})" for o in plan.active(_kinds(request))) or "nothing"
        where = f" of {plates.info.path}" if isinstance(plates, PlanPlates) else ""
        return f"{start} The plan wipes {found} in frames {plan.range.start} to {plan.range.stop - 1}{where}."


class _Analysis:
    """`autowipe engine` at work on a clip's file, in a process of its own."""

    def __init__(self, media: str, plan: Path, kinds: tuple[str, ...], folder: Path) -> None:
        job = folder / f"{plan.stem}.job.json"
        body = {"autowipe_job": 1, "task": "perceive", "source": media, "save_plan": str(plan), "kinds": kinds}
        job.write_text(json.dumps(body), "utf-8")
        self.text = "AutoWipe's analysis is beginning."
        self._failed = False
        self._said = threading.Event()
        words = [sys.executable, "-m", "autowipe", "engine", str(job)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def has_begun(self, wait_s: float) -> bool:
        """False where it failed at once, as for a file that is no clip; `text` says why."""
        return not (self._said.wait(wait_s) and self._failed)

    def _follow(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if message["type"] == "progress":
                share = message["done"] / max(1, message["total"])
                share = share / 2 if message["stage"] == "look" else 0.5 + share / 2
                self.text = f"AutoWipe is analysing the clip: {100 * share:.0f} %. The picture is unchanged."
                self._said.set()
            elif message["type"] == "error":
                self.text, self._failed = f"AutoWipe: {message['text']}. {message['hint']}", True
            elif message["type"] == "result":
                self.text = message["text"]
        self._process.wait()
        self._said.set()


def _kinds(request: Request) -> tuple[str, ...]:
    return tuple(kind for i, kind in enumerate(KINDS) if request.kinds >> i & 1)


def _look(line: Line, request: Request, plates: PlanPlates) -> np.ndarray:
    """(h, w, 3) float32: every so many px of the host's picture; where sizes agree, those of the plan's samples."""
    step = _step(request, plates)
    if request.field:  # of which a row stands for two
        step //= 2
    ((picture, _),) = line.want([Wish(request.time, (0, 0, request.width, request.height), step)])
    if picture is None:
        raise Gone("the host has no picture of the frame that it renders")
    return (picture[:, ::2] if request.field else picture).copy()


def _step(request: Request, plates: PlanPlates) -> int:
    """Px between two samples of the host's picture: even, for fields."""
    return plates.step if _is_same(request, plates) else 2 * max(1, request.width // 960)


def _is_same(request: Request, plates: PlanPlates) -> bool:
    return _host_size(request) == (plates.info.layout.width, plates.info.layout.height)


def _host_size(request: Request) -> tuple[int, int]:
    return (request.width, request.height * 2 if request.field else request.height)


def _fit(seen: np.ndarray, request: Request, plates: PlanPlates, frame: Frame) -> hostfit.Fit | None:
    """How the host shows this frame; None where it shows another one."""
    ours = frame.samples[1 if request.field == LOWER else 0]
    if _is_same(request, plates):
        return hostfit.fit_same(ours, seen, frame.is_clear)
    host = _host_size(request)
    return hostfit.fit_scaled(ours, plates.step, seen, _step(request, plates), frame.is_clear, host)


def _other_frame(seen: np.ndarray, request: Request, plates: PlanPlates, number: int) -> str:
    """What is wrong, and where the host's frame is in the plan's clip as far as that is known."""
    text = f"This does not look like frame {number} of {Path(plates.info.path).name}"
    for other, frame in plates.near(number).items():
        if other != number and _fit(seen, request, plates, frame) is not None:
            return f"{text}, but like frame {other}: change the frame offset by {other - number:+d}."
    return f"{text}. Check plan file and frame offset."


def _served(plates: PlanPlates, region: Finished, fit: hostfit.Fit, request: Request) -> list[Served]:
    """A region as the host shows it."""
    rgb, labels, box = fit.colours(plates.rgb(region.box, region.planes)), region.labels, region.box
    if (fit.scale, fit.shift) != ((1.0, 1.0), (0.0, 0.0)):
        moved = hostfit.warp(rgb, labels, box, fit, _host_size(request))
        if moved is None:
            return []
        box, rgb, labels = moved
    if request.field:  # OpenFX counts the rows of the lower field from the bottom, so it holds the odd ones
        first = (box[1] + (request.field == LOWER)) % 2
        rgb, labels = rgb[first::2], labels[first::2]
        box = (box[0], (box[1] + first) // 2, box[2], len(labels))
        if not len(labels):
            return []
    return [Served(box, rgb, labels)]
