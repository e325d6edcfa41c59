"""Processes that share the work: threads of one process wait for each other's interpreter, and gain next to nothing.

What a process cannot have, such as the clip, a network or the text detector's memory, it asks its parent for.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import cv2

from . import heap
from .errors import AutoWipeError, DeviceError
from .exchange import Line, line

Serve = Callable[..., None]  # what a process does: gets its line, and what it was given, and returns at the line's end

_asking = threading.Lock()
_asks: Line | None = None  # in a process: the line on which it asks its parent
_answering = threading.Lock()


class Fault:
    """An error on its way to another process."""

    def __init__(self, error: Exception) -> None:
        # Not every error can be sent, and none with where it came from.
        is_ours = isinstance(error, AutoWipeError)
        self.error = error if is_ours else RuntimeError("".join(traceback.format_exception(error)))


def has_parent() -> bool:
    """Whether this is a process, which may `ask`."""
    return _asks is not None


def ask(service: str, *values: Any) -> Any:
    """What the parent's service of that name says of some values; raises what it raised. Only in a process."""
    assert _asks is not None
    with _asking:
        _asks.send((service, values))
        answer = _asks.recv()
    if isinstance(answer, Fault):
        raise answer.error
    return answer


class Process:
    """A process, and the line to it. What goes over it is copied."""

    def __init__(self, serve: Serve, *given: Any, services: Mapping[str, Callable[..., Any]]) -> None:
        """`services`: by name what it may `ask`, called in another thread, of all processes one call at a time."""
        context = multiprocessing.get_context("spawn")  # a fork would take over locks that other threads hold
        (self._line, own), (self._asks, asks) = line(context), line(context)
        self._process = context.Process(target=_begin, args=(serve, own, asks, given), name="autowipe", daemon=True)
        self._process.start()
        own.close()
        asks.close()
        self._services = services
        self._due: deque[Any] = deque()  # things that wait to be sent
        self._changed = threading.Condition()
        self._is_over = False
        for work in (self._pass_on, self._answer):
            threading.Thread(target=work, name="line", daemon=True).start()

    def send(self, thing: Any, most: int = 1) -> None:
        """Has a thing sent, while its sender goes on; waits first while as many as `most` wait.

        Raises the error that has ended the process, if it has.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._due) < most or self._is_over)
            self._due.append(thing)
            self._changed.notify_all()
        if self._is_over:
            self.receive()  # it may have said why
            raise self._gone()

    def receive(self) -> Any:
        """The next thing that it says. Raises the error that has ended it, if that comes."""
        try:
            thing = self._line.recv()
        except (EOFError, OSError):
            raise self._gone() from None
        if isinstance(thing, Fault):
            raise thing.error
        return thing

    def end(self, *, at_once: bool) -> None:
        """To be called when all that was sent is answered; `at_once`: kills it whatever it does."""
        if at_once:
            self._process.kill()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._line.close()
        self._process.join()

    def _pass_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due or self._is_over)
                if self._is_over:
                    return
                thing = self._due[0]
            try:
                self._line.send(thing)
            except (EOFError, OSError):
                self._is_over = True
            del thing
            with self._changed:
                self._due.popleft()
                self._changed.notify_all()

    def _answer(self) -> None:
        while True:
            try:
                service, values = self._asks.recv()
            except (EOFError, OSError):
                self._asks.close()
                return
            try:
                with _answering:
                    answer = self._services[service](*values)
            except Exception as err:
                answer = Fault(err)
            try:
                self._asks.send(answer)
            except (EOFError, OSError):
                return

    def _gone(self) -> DeviceError:
        self._process.join(1)
        return DeviceError(
            f"a process of AutoWipe has ended unexpectedly (exit code {self._process.exitcode})",
            code="crash",
            hint="Most often memory ran out: close other programs, and run again with --resume.",
        )


def usable_cores() -> int:
    """Cores that this process may use: as many as it was told, as on a farm, or as the system gives it."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdecimal() and int(told):
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin(serve: Serve, own: Line, asks: Line, given: tuple[Any, ...]) -> None:
    global _asks
    _asks = asks
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal's processes; the parent tells
    with suppress(OSError):  # without a terminal Windows has neither
        os.dup2(2, 1)  # what the parent says through the other closes when the parent ends
    heap.keep_small()
    cv2.setNumThreads(1)
    try:
        serve(own, *given)
    except (EOFError, ConnectionError):  # no more is wanted, or nobody is left who does
        return
    except Exception as err:
        own.send(Fault(err))
