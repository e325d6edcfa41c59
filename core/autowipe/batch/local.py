"""Engines side by side on this machine, within its cores, memory and GPUs."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from .engines import Engine
from .keeper import Keeper, Task, share_of
from .machine import Limits

TICK_S = 0.1  # between two looks at the engines


class Runner(Protocol):
    """Does all tasks of a batch: this machine, or a cluster."""

    def work(self, tasks: list[Task], keeper: Keeper, cancelled: threading.Event) -> None:
        """Returns when every task is done or failed, or when all engines have stopped after `cancelled`."""


@dataclass
class Local:
    """A runner with engines on this machine."""

    limits: Limits
    _running: dict[Engine, tuple[Task, int | None]] = field(default_factory=dict)

    def work(self, tasks: list[Task], keeper: Keeper, cancelled: threading.Event) -> None:
        waiting = deque(tasks)
        try:
            while waiting or self._running:
                if cancelled.is_set():
                    waiting.clear()
                    for engine in self._running:
                        engine.cancel()
                self._start(waiting, keeper)
                self._look(waiting, keeper)
                time.sleep(TICK_S)
        finally:
            for engine in self._running:
                engine.kill()

    def _start(self, waiting: deque[Task], keeper: Keeper) -> None:
        """Starts what fits; the order is kept but for tasks that wait for another process."""
        now = time.monotonic()
        for task in list(waiting):
            if task.not_before > now:
                continue
            if not self._fits(task):
                return
            waiting.remove(task)
            attempt = keeper.begin(task)
            if attempt is not None:
                gpu = self._free_gpu() if task.needs_gpu else None
                engine = Engine(keeper.place(task), str(attempt), task.job, self.limits.threads, gpu)
                self._running[engine] = (task, gpu)

    def _look(self, waiting: deque[Task], keeper: Keeper) -> None:
        for engine, (task, _) in list(self._running.items()):
            end = engine.ended()
            for message in engine.messages.news():
                share = share_of(message)
                if share is not None:
                    keeper.heard(task, share)
            if end is not None:
                del self._running[engine]
                if keeper.ended(task, end, engine.seconds):
                    waiting.append(task)

    def _fits(self, task: Task) -> bool:
        if not self._running:
            return True
        limits, others = self.limits, [other for other, _ in self._running.values()]
        memory = task.memory_mb + sum(other.memory_mb for other in others)
        on_gpu = task.needs_gpu + sum(other.needs_gpu for other in others)
        return len(others) < limits.jobs and memory <= limits.memory_mb and on_gpu <= max(1, limits.gpu_slots)

    def _free_gpu(self) -> int:
        """The GPU with the fewest engines."""
        taken = [gpu for _, gpu in self._running.values()]
        return min(range(max(1, self.limits.gpus)), key=lambda number: (taken.count(number), number))
