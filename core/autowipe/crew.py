"""Work side by side in threads: for large arrays, on which NumPy and OpenCV work without the interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")
MOST_AT_ONCE = 4  # items worked on: each holds the interpreter for a part of its time


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
