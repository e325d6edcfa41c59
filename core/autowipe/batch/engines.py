"""One engine process: told its job by a file, read by the file its messages go to, ended for certain.

Messages go to a file, not a pipe, so that what an engine said outlives whoever started it. Its standard input is a
pipe: when the process that started it dies, the engine sees the end of it and stops by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..job import Job
from .queue import last_message

PATIENCE_S = 30.0  # for an engine that was asked to stop, before it is ended
RETRIED = ("memory", "device", "crash", "internal", "lost")  # codes of failures that another attempt may not meet


class Messages:
    """Reads what an engine says while it says it, here or on another machine that shares the folder."""

    def __init__(self, place: Path, attempt: str) -> None:
        self.file = place / f"messages-{attempt}.jsonl"
        self._read = 0

    def news(self) -> Iterator[dict[str, Any]]:
        """Messages since the last call."""
        try:
            with self.file.open("rb") as file:
                file.seek(self._read)
                lines = file.readlines()
        except OSError:
            return
        for line in lines:
            if not line.endswith(b"\n"):
                break
            self._read += len(line)
            with contextlib.suppress(ValueError):
                yield json.loads(line)


class Engine:
    """A running engine."""

    def __init__(self, place: Path, attempt: str, job: Job, threads: int = 0, gpu: int | None = None) -> None:
        self.attempt, self._place = attempt, place
        file = place / f"job-{attempt}.json"
        file.write_text(job.to_json(), "utf-8")
        environment = dict(os.environ, PYTHONUNBUFFERED="1")
        if threads:
            for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
                environment[name] = str(threads)
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = str(gpu)
        self.messages = Messages(place, attempt)
        with self.messages.file.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "autowipe", "engine", str(file)],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.DEVNULL,  # the engine keeps a log beside its job
                env=environment,
                # Ctrl-C in the terminal reaches whoever started the engine, who then stops it.
                **({"start_new_session": True} if os.name == "posix" else {"creationflags": 0x200}),
            )
        self._began = time.monotonic()
        self._asked: float | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def ended(self) -> dict[str, Any] | None:
        """Its last message, None while it runs. An engine that died without a word gets an error for it."""
        code = self._process.poll()
        if code is None:
            if self._asked is not None and time.monotonic() - self._asked > PATIENCE_S:
                self._process.kill()
            return None
        self._close()
        return last_message(self._place, self.attempt) or died(code)

    def cancel(self) -> None:
        """Asks it to stop after the frame it is at; `ended` ends it when it does not."""
        if self._asked is None:
            self._asked = time.monotonic()
            self._close()

    def kill(self) -> None:
        """Ends it now, and waits until it is gone."""
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        if self._process.stdin and not self._process.stdin.closed:
            with contextlib.suppress(OSError):
                self._process.stdin.close()


def died(code: int) -> dict[str, Any]:
    """The error for an engine that ended without a last message."""
    if code in (-9, 137):
        return _error("crash", "the engine was ended by the system, which often means that memory ran out")
    return _error("crash", f"the engine ended without a word (exit code {code})")


def _error(code: str, text: str) -> dict[str, Any]:
    return {"type": "error", "code": code, "text": text, "hint": "Run the batch again with --retry-failed."}
