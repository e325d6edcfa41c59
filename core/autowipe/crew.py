"""Work side by side: each worker gets its items in order, in a thread of its own, a few behind who hands them out."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from types import TracebackType
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")
MOST_AT_ONCE = 4  # items worked on: each holds the interpreter for a part of its time


class Crew:
    """Workers that share nothing: what each of them makes depends on its items alone, never on the others' pace.

    To be used in a `with`, which ends when all is done. The first error of a worker is raised by `give`, or there.
    """

    def __init__(self, works: Sequence[Callable[[Any], object]], most: int) -> None:
        """`most`: items that wait for a worker; who hands out more has to wait."""
        self._stop = threading.Event()
        self._workers = [_Worker(work, most, self._stop) for work in works]

    def __enter__(self) -> Crew:
        for worker in self._workers:
            worker.start()
        return self

    def give(self, items: Iterable[Any]) -> None:
        """One item for each worker; None is nothing to do."""
        for worker, item in zip(self._workers, items, strict=True):
            if worker.error is not None:
                raise worker.error
            if item is not None:
                worker.items.put(item)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            self._stop.set()
        for worker in self._workers:
            worker.items.put(None)
        for worker in self._workers:
            worker.join()
        for worker in self._workers:
            if error is None and worker.error is not None:
                raise worker.error


class _Worker(threading.Thread):
    def __init__(self, work: Callable[[Any], object], most: int, stop: threading.Event) -> None:
        super().__init__(name="crew", daemon=True)
        self._work, self._stop_now = work, stop
        self.items: queue.Queue[Any] = queue.Queue(maxsize=most)
        self.error: BaseException | None = None

    def run(self) -> None:
        while (item := self.items.get()) is not None:
            if self.error is None and not self._stop_now.is_set():  # else only so that nobody waits for room
                try:
                    self._work(item)
                except BaseException as err:  # raised where the items come from
                    self.error = err


def together(works: Sequence[Callable[[], T]]) -> list[T]:
    """What each of some functions returns, all of them called at once."""
    with ThreadPoolExecutor(max(1, len(works)), "crew") as pool:
        return [call.result() for call in [pool.submit(work) for work in works]]


def each(work: Callable[[S], T], items: Iterable[S]) -> list[T]:
    """What `work` returns for each of some items, in their order; several are worked on at a time, here and elsewhere.

    It may be called in any thread, but not by a `work`.
    """
    rows = list(enumerate(items))
    out: dict[int, T] = {}
    left = iter(rows)  # of a list: each row goes to one of those who ask

    def take() -> None:
        for k, item in left:
            out[k] = work(item)

    at_once = min(MOST_AT_ONCE, os.cpu_count() or 1, len(rows))
    others = [_workers().submit(take) for _ in range(at_once - 1)]
    try:
        take()
    finally:
        for _ in left:  # after an error nobody goes on
            pass
        busy = [other for other in others if not other.cancel()]
        wait(busy)
    for other in busy:
        other.result()
    return [out[k] for k, _ in rows]


@cache
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_AT_ONCE, "each")
