"""What a machine of a cluster does: one engine for each task, and an end to the engines of a batch that is stopped."""

from __future__ import annotations

import platform
import threading
import time
from pathlib import Path
from typing import Any

from ..errors import JobError
from ..job import Job
from . import machine
from .engines import Engine
from .keeper import BUSY_S, BUSY_STEP_S
from .paths import PathMap
from .queue import FOLDER, found_result, read_state

TICK_S = 0.1

_lock = threading.Lock()
_running: dict[Engine, tuple[str, int | None]] = {}  # batch, GPU
_stopped: set[str] = set()


def carry_out(
    batch: str, place: str, attempt: int, tag: str, job_text: str, threads: int, on_gpu: bool
) -> dict[str, Any]:
    """Runs the engine for one task of an item and gives its last message, with `seconds` and `where`.

    `place`: the item's folder in the queue, `tag`: which of its tasks. What an engine that lost its worker has
    finished counts; one that is still stopping is waited for.
    """
    paths = PathMap.of_environment()
    folder, job = Path(paths.here(place)), paths.job(Job.from_json(job_text))
    made = job.output or job.save_plan or ""
    began = time.monotonic()
    while True:
        said = found_result(folder, tag, str(folder) if job.part else made)
        if said is None:
            said = _run(batch, folder, f"{attempt}{tag}", job, threads, on_gpu)
        if said.get("code") != "busy" or time.monotonic() - began > BUSY_S:
            return {**said, "seconds": time.monotonic() - began, "where": platform.node()}
        time.sleep(BUSY_STEP_S)


def carry_out_item(output: str, item_id: str) -> dict[str, Any]:
    """Runs the job of an item that was handed out, and gives the engine's last message. Raises JobError."""
    output = PathMap.of_environment().here(output)
    attempt = read_state(Path(output) / FOLDER, item_id).attempts
    place = Path(output) / FOLDER / "jobs" / item_id
    try:
        text = (place / f"job-{attempt}.json").read_text("utf-8")
    except OSError as err:
        raise JobError(
            f"{output} has no job {item_id}", code="missing", hint="Write the jobs with autowipe batch --list-jobs."
        ) from err
    return carry_out("", str(place), attempt, "", text, 0, False)


def stop(batch: str | None) -> int:
    """Ends the engines of a batch, or of all; returns how many, when they are gone."""
    with _lock:
        if batch is not None:
            _stopped.add(batch)
        engines = [engine for engine, (of, _) in _running.items() if batch in (None, of)]
    for engine in engines:
        engine.cancel()
    for engine in engines:
        while engine.ended() is None:
            time.sleep(TICK_S)
    return len(engines)


def _run(batch: str, folder: Path, attempt: str, job: Job, threads: int, on_gpu: bool) -> dict[str, Any]:
    with _lock:
        if batch in _stopped:
            return {"type": "error", "code": "cancelled", "text": "Cancelled.", "hint": ""}
        gpu = _free_gpu() if on_gpu else None
        engine = Engine(folder, attempt, job, threads, gpu)
        _running[engine] = (batch, gpu)
    try:
        while (end := engine.ended()) is None:
            time.sleep(TICK_S)
        return end
    finally:
        with _lock:
            del _running[engine]
        engine.kill()


def _free_gpu() -> int:
    """The GPU with the fewest engines of this worker."""
    taken = [gpu for _, gpu in _running.values()]
    return min(range(max(1, machine.gpus())), key=lambda number: (taken.count(number), number))
