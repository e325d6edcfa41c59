"""Scheduler and workers of a cluster, each a process that stays until it is stopped; `up` starts one for trying it.

A worker whose scheduler goes away ends its engines and comes back when a scheduler answers again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import certificate, machine, worker
from .farm import security_for
from .paths import VARIABLE
from .request import Request

PORT = 8786
DASHBOARD = 8787
BACK_S = 2.0  # between two tries to reach a scheduler


@dataclass(frozen=True)
class WorkerWish:
    """What a worker offers."""

    scheduler: str
    certificate: str | None = None
    name: str | None = None
    jobs: int = 0  # engines at a time, 0 is as many as the machine carries
    gpu_slots: int | None = None  # engines on its GPUs at a time, None is as many as share one well
    memory_mb: int | None = None
    paths: tuple[tuple[str, str], ...] = ()


def scheduler(host: str, port: int, pem: str | None, dashboard: int, tell: Callable[[str], None]) -> None:
    """Runs a scheduler until it is stopped; encrypted. The dashboard is seen on this machine alone."""
    path = pem or certificate.default()
    if not os.path.exists(path):
        certificate.make(path)
        tell(f"A new certificate: {path}. Copy it to every machine of the cluster, and keep it to yourselves.")
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_scheduler(host, port, certificate.security(path), dashboard, tell))


async def _scheduler(host: str, port: int, security: Any, dashboard: int, tell: Callable[[str], None]) -> None:
    from distributed import Scheduler

    _quiet()
    async with Scheduler(
        host=host, port=port, protocol="tls", security=security, dashboard_address=f"127.0.0.1:{dashboard}"
    ) as running:
        tell(f"Scheduler at {running.address}, dashboard at http://127.0.0.1:{dashboard}/status")
        _stop_on_signal(running)
        await running.finished()


def run_worker(wish: WorkerWish, tell: Callable[[str], None]) -> None:
    """Runs a worker until it is stopped; it comes back whenever its scheduler does."""
    security = security_for(wish.scheduler, wish.certificate)
    if wish.paths:
        os.environ[VARIABLE] = "\n".join(f"{old}={new}" for old, new in wish.paths)
    stopped = threading.Event()
    with contextlib.suppress(KeyboardInterrupt):
        while not stopped.is_set():
            try:
                asyncio.run(_worker(wish, security, stopped, tell))
            except (OSError, TimeoutError, RuntimeError) as err:
                tell(f"No scheduler at {wish.scheduler} ({err}); trying again")
            except asyncio.CancelledError:
                pass
            worker.stop(None)
            stopped.wait(BACK_S)


async def _worker(wish: WorkerWish, security: Any, stopped: threading.Event, tell: Callable[[str], None]) -> None:
    from distributed import Worker

    _quiet()
    found = machine.limits(Request((), "", jobs=wish.jobs, memory_mb=wish.memory_mb, gpu_slots=wish.gpu_slots))
    slots = found.gpu_slots if found.gpus else 0
    resources = {"MEMORY": float(found.memory_mb)} | ({"GPU": float(slots)} if slots else {})
    offer = Worker(
        wish.scheduler,
        nthreads=found.jobs,
        name=wish.name,
        resources=resources,
        security=security,
        memory_limit=0,  # its engines are processes of their own
        death_timeout=30,
    )
    async with offer as running:
        tell(
            f"Worker {running.name} at {running.address}: {found.jobs} engines, {found.memory_mb} MB, {found.gpus} GPUs"
        )
        _stop_on_signal(running, stopped)
        await running.finished()


def _quiet() -> None:
    """Dask tells every connection that comes and goes; here that is everyday life."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)


def _stop_on_signal(server: Any, stopped: threading.Event | None = None) -> None:
    """Closes a server when the process is asked to end."""

    loop = asyncio.get_running_loop()
    kept = []  # the loop itself holds no reference to its tasks

    def close() -> None:
        if stopped is not None:
            stopped.set()
        worker.stop(None)
        kept.append(loop.create_task(server.close()))

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has Ctrl-C as KeyboardInterrupt alone
            loop.add_signal_handler(number, close)


@dataclass
class _Child:
    words: list[str]
    process: Any = field(default=None)


def up(workers: int, port: int, dashboard: int, jobs: int, pem: str | None, tell: Callable[[str], None]) -> None:
    """Runs a scheduler and workers on this machine until it is stopped; what dies is started again."""
    path = pem or certificate.default()
    if not os.path.exists(path):
        certificate.make(path)
    address = f"tls://127.0.0.1:{port}"
    shared = ["--certificate", path]
    children = [
        _Child(["scheduler", "--host", "127.0.0.1", "--port", str(port), "--dashboard", str(dashboard), *shared])
    ]
    memory_gb = machine.free_memory_mb() / 1024 / workers
    for number in range(1, workers + 1):
        words = ["worker", address, "--name", f"worker-{number}", "--jobs", str(jobs), "--memory", f"{memory_gb:.2f}"]
        children.append(_Child([*words, *shared]))
    named = f" --certificate {shlex.quote(path)}" if pem else ""
    tell(f"Use it with: autowipe batch TIMELINE -o FOLDER --scheduler {address}{named}")
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        while not stopped.is_set():
            for child in children:
                if child.process is None or child.process.poll() is not None:
                    child.process = subprocess.Popen([sys.executable, "-m", "autowipe", "farm", *child.words])
            stopped.wait(1.0)
    finally:
        for child in reversed(children):
            if child.process is not None:
                child.process.terminate()
        end = time.monotonic() + 40
        for child in children:
            if child.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.process.wait(max(0.1, end - time.monotonic()))
                child.process.kill()
