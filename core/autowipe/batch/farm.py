"""A batch on a cluster (Dask distributed): clips side by side on its machines, long ones in parts.

Every task is one engine process on a worker. Machines share the output folder and the media, under names that each
worker maps to its own (`paths`). A worker that dies has its tasks done by another, which goes on where the dead
one's engine stopped. When the scheduler is restarted, what is not done is handed in again.
"""

from __future__ import annotations

import contextlib
import ipaddress
import threading
import time
import uuid
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from ..errors import AutoWipeError, DeviceError, JobError
from ..job import Job
from ..parts import share_out
from ..protocol import BatchItem
from ..sections import sections_of
from . import certificate
from .engines import Messages
from .keeper import JOIN, Keeper, Task
from .request import Request
from .worker import carry_out, stop

TICK_S = 0.2
PART_S = 20.0  # of footage: a part is at least this long
AGAIN_S = 600.0  # how long a scheduler that is gone is waited for
PERCEIVING = ("source", "range", "kinds", "search_areas", "hold_outs", "device", "resume", "overwrite")


@dataclass(eq=False)
class _Call:
    """One engine for one task of an item."""

    tag: str
    job: Job
    share: float  # of the item's work
    messages: Messages | None = None
    future: Any = None
    said: dict[str, Any] | None = None  # its last message
    done: float = 0.0


Steps = Generator[list[_Call], None, dict[str, Any]]


@dataclass(eq=False)
class _Clip:
    """An item in work."""

    task: Task
    attempt: int
    steps: Steps
    calls: list[_Call] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    finished: float = 0.0  # share of the steps that are behind
    engine_s: float = 0.0


class Farm:
    """A runner with the engines on a cluster's workers."""

    def __init__(self, request: Request) -> None:
        """Raises JobError for an address that is refused."""
        assert request.scheduler is not None
        self._address, self._batch = request.scheduler, uuid.uuid4().hex
        self._security = security_for(self._address, request.certificate)
        self._client: Any = None

    def work(self, tasks: list[Task], keeper: Keeper, cancelled: threading.Event) -> None:
        if not tasks:
            return
        self._connect(30.0)
        keeper.say(BatchItem("", "", "cluster", self._about(), 0.0, 0))
        waiting, clips = list(tasks), list[_Clip]()
        try:
            while (waiting or clips) and not cancelled.is_set():
                if self._client.status != "running":
                    self._again(clips, cancelled)
                now = time.monotonic()
                for task in [task for task in waiting if task.not_before <= now]:
                    waiting.remove(task)
                    attempt = keeper.begin(task)
                    if attempt is not None:
                        clips.append(_Clip(task, attempt, self._steps(task)))
                for clip in list(clips):
                    end = self._step(clip, keeper)
                    if end is not None:
                        clips.remove(clip)
                        if keeper.ended(clip.task, end, clip.engine_s):
                            waiting.append(clip.task)
                time.sleep(TICK_S)
        finally:
            self._stop(clips)
            for clip in clips:
                keeper.ended(clip.task, {"type": "error", "code": "cancelled", "text": "Cancelled."}, clip.engine_s)

    def _steps(self, task: Task) -> Steps:
        """What an item takes: lists of calls that run at the same time; returns its last message."""
        job, seconds = task.job, len(task.item.range) / float(task.item.medium.rate)
        if job.task == "perceive":
            return (yield from self._look(task, job, "", 1.0))
        if job.matte_in or seconds < 2 * PART_S:
            whole = _Call("", job, 1.0)
            yield [whole]
            return _of(whole)
        if job.plan is None:
            about = {name: getattr(job, name) for name in PERCEIVING}
            said = yield from self._look(task, Job(**about, task="perceive", save_plan=task.plan), "-plan", 0.25)
            if said["type"] != "result":
                return said
            job = replace(job, plan=task.plan, save_plan=None)
        try:
            shares = share_out(job, 2 * self._slots(), PART_S)
        except AutoWipeError as err:
            return {"type": "error", "code": err.code, "text": err.text, "hint": err.hint}
        calls = [
            _Call(f"-part-{part.start}-{part.stop}", replace(job, part=part), 0.7 * len(part) / len(task.item.range))
            for part in shares
        ]
        yield calls
        for call in calls:
            if _of(call)["type"] != "result":
                return _of(call)
        join = _Call(JOIN if shares else "", replace(job, join=shares), 0.05 if shares else 0.75)
        yield [join]
        return _of(join)

    def _look(self, task: Task, job: Job, tag: str, share: float) -> Steps:
        """Pass A: its sections side by side where there are several, then the plan of them all."""
        sections = sections_of(task.item.range, task.item.medium.rate)
        if len(sections) > 1:
            calls = [
                _Call(f"-look-{part.start}-{part.stop}", replace(job, part=part), 0.9 * share / len(sections))
                for part in sections
            ]
            yield calls
            for call in calls:
                if _of(call)["type"] != "result":
                    return _of(call)
            job, share = replace(job, join=sections), 0.1 * share
        whole = _Call(tag, job, share)
        yield [whole]
        return _of(whole)

    def _step(self, clip: _Clip, keeper: Keeper) -> dict[str, Any] | None:
        """Follows the calls of a clip and starts the next ones; its last message when all are done."""
        for call in clip.calls:
            self._follow(call, clip, keeper)
        if any(call.said is None for call in clip.calls):
            share = clip.finished + sum(call.share * call.done for call in clip.calls)
            keeper.heard(clip.task, min(1.0, share))
            return None
        clip.finished += sum(call.share for call in clip.calls)
        try:
            clip.calls = next(clip.steps)
        except StopIteration as end:
            return end.value
        return None

    def _submit(self, call: _Call, clip: _Clip, keeper: Keeper) -> None:
        task, place = clip.task, keeper.place(clip.task)
        call.messages = call.messages or Messages(place, f"{clip.attempt}{call.tag}")
        # What no worker can give would wait for ever: such a clip has a worker to itself.
        most = max((worker["resources"].get("MEMORY", 0) for worker in self._workers().values()), default=0)
        needs = {"MEMORY": min(task.memory_mb, most)} if most else {}
        needs |= {"GPU": 1} if self._wants_gpu(task.job.device) else {}
        call.future = self._client.submit(
            carry_out,
            self._batch,
            str(place),
            clip.attempt,
            call.tag,
            call.job.to_json(),
            1 if self._slots() > self._machines() else 0,
            "GPU" in needs,
            key=f"{task.item.id}{call.tag}-{uuid.uuid4().hex[:8]}",
            resources=needs,
            pure=False,
        )

    def _follow(self, call: _Call, clip: _Clip, keeper: Keeper) -> None:
        if call.said is not None:
            return
        if call.messages is not None:
            for message in call.messages.news():
                if message.get("type") == "progress":
                    call.done = message["done"] / max(1, message["total"])
        if call.future is None:
            self._submit(call, clip, keeper)
        if not call.future.done():
            return
        from distributed.scheduler import KilledWorker

        try:
            call.said = call.future.result(timeout=10)
            clip.engine_s += float(call.said.get("seconds", 0.0))
        except KilledWorker as err:
            call.said = {"type": "error", "code": "crash", "text": f"it took its worker down: {err}", "hint": ""}
        except AutoWipeError as err:
            call.said = {"type": "error", "code": err.code, "text": err.text, "hint": err.hint}
        except Exception as err:
            if call.future.status == "error":  # raised by the task itself
                call.said = {"type": "error", "code": "internal", "text": f"{type(err).__name__}: {err}", "hint": ""}
            elif self._client.status == "running":  # the scheduler forgot it
                self._submit(call, clip, keeper)

    def _connect(self, patience_s: float) -> None:
        from distributed import Client

        try:
            self._client = Client(
                self._address, security=self._security, timeout=patience_s, set_as_default=False, name="autowipe-batch"
            )
        except (OSError, TimeoutError) as err:
            raise DeviceError(
                f"no scheduler answers at {self._address}: {err}",
                code="cluster",
                hint="Start one with `autowipe farm up`, and check address and certificate.",
            ) from err
        self._client.amm.stop()

    def _again(self, clips: list[_Clip], cancelled: threading.Event) -> None:
        """Connects to a scheduler that was restarted and hands in again what is not done."""
        self._close()
        end = time.monotonic() + AGAIN_S
        while not cancelled.is_set():
            try:
                self._connect(5.0)
                break
            except DeviceError:
                if time.monotonic() > end:
                    raise
                time.sleep(1.0)
        for clip in clips:
            for call in clip.calls:
                call.future = None

    def _stop(self, clips: list[_Clip]) -> None:
        """Takes back what is waiting and ends what is running, on all workers."""
        try:
            if clips and self._client.status == "running":
                futures = [call.future for clip in clips for call in clip.calls if call.future is not None]
                self._client.cancel(futures)
                self._client.run(stop, self._batch, on_error="ignore")
        finally:
            self._close()

    def _close(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            self._client.close(timeout=5)

    def _workers(self) -> dict[str, Any]:
        return self._client.scheduler_info(n_workers=-1)["workers"]

    def _slots(self) -> int:
        """Engines that the cluster runs at a time."""
        return max(1, sum(worker["nthreads"] for worker in self._workers().values()))

    def _machines(self) -> int:
        return max(1, len(self._workers()))

    def _wants_gpu(self, device: str) -> bool:
        """Whether a task has to go where a GPU is: asked for by name, or everywhere to be had."""
        have = [bool(worker["resources"].get("GPU")) for worker in self._workers().values()]
        return any(have) if device == "cuda" else device == "auto" and bool(have) and all(have)

    def _about(self) -> str:
        count = len(self._workers())
        return f"{count or 'still no'} workers for {self._slots()} engines; dashboard: {self._client.dashboard_link}"


def security_for(address: str, pem: str | None) -> Any:
    """How to speak to a scheduler: encrypted, and without only on the machine itself. Raises JobError."""
    parts = urlsplit(address)
    if parts.scheme == "tls":
        return certificate.security(pem or certificate.default())
    if parts.scheme == "tcp" and is_loopback(parts.hostname or ""):
        return None
    raise JobError(
        f"the scheduler's address {address} is refused: other machines are spoken to by tls:// only",
        code="plaintext",
        hint="Start the scheduler with `autowipe farm scheduler` and give its tls:// address.",
    )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _of(call: _Call) -> dict[str, Any]:
    assert call.said is not None
    return call.said
