"""Keeps the books of a running batch: what a task's beginning, news and end mean for the queue and for who watches."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..job import Job
from ..protocol import BatchItem, Send
from .engines import RETRIED
from .gather import Item
from .queue import Queue, State, clear, found_result, hashed, plan_print

BUSY_S = 300.0  # how long an engine that somebody else left running is waited for
BUSY_STEP_S = 1.0
JOIN = "-join"  # tag of the task that puts an item's parts together


@dataclass
class Task:
    """An item that is to be done in this run."""

    item: Item
    job: Job  # resumes what an earlier run left
    key: str
    plan: str | None  # where its plan lies, or will lie
    memory_mb: int
    needs_gpu: bool
    failures: int = 0  # in this run
    not_before: float = 0.0  # on the monotonic clock
    waited_s: float = 0.0


class Keeper:
    """Writes every change of a task's state to the queue before it goes on."""

    def __init__(self, queue: Queue, send: Send, attempts: int) -> None:
        self._queue, self._send, self._attempts = queue, send, attempts

    def place(self, task: Task) -> Path:
        return self._queue.place(task.item)

    def hand_out(self, task: Task) -> bool:
        """Writes the task's job for somebody else to run. False where it is done already after all."""
        attempt = self.begin(task)
        if attempt is None:
            return False
        self._queue.write(task.item, replace(self._queue.read(task.item), state="waiting", where=""))
        (self.place(task) / f"job-{attempt}.json").write_text(task.job.to_json(), "utf-8")
        return True

    def begin(self, task: Task) -> int | None:
        """Notes that an engine is about to start; the attempt's number. None where it is done already after all."""
        state = self._queue.read(task.item)
        if state.key != task.key or state.state not in ("running", "waiting"):
            clear(self.place(task))
            state = State(files=state.files)
        elif self.settle(task, state):
            return None
        attempt = state.attempts + 1
        begun = State("running", task.key, attempt, files=state.files, seconds=state.seconds, where=platform.node())
        self._queue.write(task.item, begun)
        self._tell(task, "running")
        return attempt

    def settle(self, task: Task, state: State) -> bool:
        """Whether an engine finished the task after the batch that started it was killed."""
        place, made = self.place(task), task.job.output or task.job.save_plan or ""
        said = found_result(place, "", made) or found_result(place, JOIN, made)
        if said is None and _is_newer(made, place / f"job-{state.attempts}.json"):
            said = {"type": "result", "output": task.job.output, "text": "Done after the batch was stopped."}
        if said is not None:
            self._done(task, state, said, 0.0)
        return said is not None

    def say(self, message: BatchItem) -> None:
        self._send(message)

    def heard(self, task: Task, share: float) -> None:
        """Tells how far a running task is, 0..1."""
        self._tell(task, "running", done=share)

    def ended(self, task: Task, message: dict[str, Any], seconds: float) -> bool:
        """Notes how an attempt ended. True where the task has to be done again."""
        state = self._queue.read(task.item)
        state = replace(state, where=message.get("where", state.where))
        if message["type"] == "result":
            self._done(task, state, message, seconds)
            return False
        code = message.get("code", "")
        spent = state.seconds + seconds
        if code == "cancelled":
            self._queue.write(task.item, replace(state, state="waiting", seconds=spent))
            self._tell(task, "waiting", "stopped")
            return False
        if code == "busy" and task.waited_s < BUSY_S:  # the engine of a killed batch is still stopping
            task.waited_s += BUSY_STEP_S
            task.not_before = time.monotonic() + BUSY_STEP_S
            # Nothing was begun: it does not count, and what that engine makes is newer than the last job that did.
            self._queue.write(task.item, replace(state, state="waiting", attempts=state.attempts - 1, seconds=spent))
            return True
        task.failures += 1
        if code in RETRIED and task.failures < self._attempts:
            self._queue.write(task.item, replace(state, state="waiting", error=message, seconds=spent))
            self._tell(task, "waiting", f"{message['text']}; it is tried again")
            return True
        self._queue.write(task.item, replace(state, state="failed", error=message, seconds=spent))
        self._tell(task, "failed", message["text"])
        return False

    def _done(self, task: Task, state: State, message: dict[str, Any], seconds: float) -> None:
        job = task.job
        paths = [path for path in (job.output, job.report) if path]
        if job.output and "%" in os.path.basename(job.output):
            paths = [str(path) for path in sorted(Path(job.output).parent.iterdir())] + [job.report or ""]
        done = replace(
            state,
            state="planned" if job.task == "perceive" else "done",
            plan=plan_print(task.plan),
            files=hashed([path for path in paths if path]),
            result=message,
            error=None,
            seconds=state.seconds + seconds,
        )
        self._queue.write(task.item, done)
        self._tell(task, done.state, message.get("text", ""), done=1.0)

    def _tell(self, task: Task, state: str, text: str = "", done: float = 0.0) -> None:
        self._send(BatchItem(task.item.id, task.item.name, state, text, round(done, 4), len(task.item.range)))


STAGES = {"look": (0.0, 0.15), "measure": (0.15, 0.25), "wipe": (0.25, 1.0)}  # where each begins and ends


def share_of(message: dict[str, Any]) -> float | None:
    """How far an engine is by a message of it, 0..1; None where that says nothing of it."""
    if message.get("type") != "progress":
        return None
    low, high = STAGES.get(message.get("stage", ""), (0.0, 1.0))
    return low + (high - low) * message.get("done", 0) / max(1, message.get("total", 1))


def _is_newer(path: str, other: Path) -> bool:
    try:
        return os.stat(path).st_mtime_ns >= os.stat(other).st_mtime_ns
    except OSError:
        return False
