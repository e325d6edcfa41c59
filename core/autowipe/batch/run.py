"""A batch from its request to its summary: run() does it, preview() tells what it would do.

A person's way through it in two steps: with `plan_only` every plan is written to OUTPUT/plans; the next run carries
out the plans that lie there, edited or not.
"""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

from .. import ledger
from ..errors import AutoWipeError, Cancelled
from ..job import Job
from ..protocol import BatchItem, Send, Warned
from ..resume import json_of
from ..segments import disk_fault
from ..timelines import Cleaned
from . import machine
from .gather import Cut, Gathered, Item, Lost, cleaned, gather
from .keeper import Keeper, Task
from .local import Local, Runner
from .queue import FOLDER, Queue, State, is_done, key_of, plan_print, read_state
from .request import Request
from .summary import write_summary

PLANS, REPORTS = "plans", "reports"
# Wall time of an engine for a megapixel of one frame, s, on one core of 2024: of a clip with a
# logo and subtitles. An estimate takes the mean of what this batch has measured as soon as there is something.
WIPED_S = 0.15


@dataclass(frozen=True)
class Row:
    """An item and what became of it."""

    item: Item
    state: State
    plan: str  # paths; they need not be there
    report: str


@dataclass(frozen=True)
class Outcome:
    """What a batch did."""

    rows: tuple[Row, ...] = ()
    lost: tuple[Lost, ...] = ()
    timelines: tuple[str, ...] = ()  # that were written
    summary: str | None = None  # the page
    unwritten: tuple[tuple[str, str], ...] = ()  # timelines that could not be written: path and why

    def count(self, *states: str) -> int:
        return sum(row.state.state in states for row in self.rows)

    @property
    def is_whole(self) -> bool:
        """Whether every clip is done."""
        return not self.lost and not self.unwritten and self.count("done", "planned") == len(self.rows)


@dataclass(frozen=True)
class Step:
    """What would be done with an item."""

    item: Item
    action: str  # wipe, plan, nothing (it is done), leave (it failed before)
    seconds: float  # estimated, of one engine


@dataclass(frozen=True)
class Preview:
    """What a batch would do."""

    steps: tuple[Step, ...]
    lost: tuple[Lost, ...]
    timelines: tuple[str, ...]
    seconds: float  # with the engines that would run side by side
    jobs: int


@dataclass
class _Work:
    """The items of a batch, sorted by what is to be done with them."""

    todo: list[Task] = field(default_factory=list)
    done: list[Item] = field(default_factory=list)
    left: list[Item] = field(default_factory=list)  # failed before


def run(request: Request, send: Send, cancelled: threading.Event) -> Outcome:
    """Carries out a batch; what failed or is missing is in the outcome. Raises AutoWipeError where nothing can be done.

    `send` gets a `BatchItem` whenever the state of a clip changes. Raises Cancelled after `cancelled` was set, when
    all engines have stopped; the next run goes on there.
    """
    gathered = gather(request)
    for lost in gathered.lost:
        send(BatchItem("", lost.name, "missing" if lost.code == "missing" else "failed", _why(lost), 0.0, 0))
    runner = _runner(request)
    with Queue(request.output) as queue:
        work = _sort(request, gathered, queue.folder)
        for task in work.todo:
            _make_room(task)
        runner.work(work.todo, Keeper(queue, send, request.attempts), cancelled)
        if cancelled.is_set():
            raise Cancelled(hint="Run the same batch again to go on.")
        rows = tuple(_row(request, item, queue.read(item)) for item in gathered.items)
        written, unwritten = (
            ([], [])
            if request.plan_only
            else _write_timelines(gathered, rows, bool(request.options.get("overwrite")), send)
        )
        outcome = Outcome(rows, tuple(gathered.lost), tuple(written), None, tuple(unwritten))
        page = write_summary(request, outcome)
        return Outcome(rows, outcome.lost, outcome.timelines, page, outcome.unwritten)


def hand_out(request: Request, send: Send) -> list[Task]:
    """Writes the jobs of a batch into its queue for a render farm to run, and gives their tasks.

    Each is done by `autowipe farm item OUTPUT ID`; the next `run` takes up what they made.
    """
    gathered = gather(request)
    with Queue(request.output) as queue:
        keeper = Keeper(queue, send, request.attempts)
        handed = []
        for task in _sort(request, gathered, queue.folder).todo:
            _make_room(task)
            if keeper.hand_out(task):
                handed.append(task)
    return handed


def preview(request: Request) -> Preview:
    """What `run` would do, and how long it would take. Nothing is written."""
    gathered = gather(request)
    folder = Path(request.output) / FOLDER
    work = _sort(request, gathered, folder)
    pace = _pace(folder, gathered.items)
    action = "plan" if request.plan_only else "wipe"
    steps = [Step(task.item, action, task.item.megapixels * pace) for task in work.todo]
    steps += [Step(item, "nothing", 0.0) for item in work.done] + [Step(item, "leave", 0.0) for item in work.left]
    jobs = machine.limits(request).jobs
    longest = max((step.seconds for step in steps), default=0.0)
    seconds = max(longest, sum(step.seconds for step in steps) / jobs)
    cuts = () if request.plan_only else tuple(cut.output for cut in gathered.cuts)
    return Preview(tuple(steps), tuple(gathered.lost), cuts, seconds, jobs)


def _runner(request: Request) -> Runner:
    if request.scheduler is None:
        return Local(machine.limits(request))
    from .farm import Farm  # an extra of the installation

    return Farm(request)


def _sort(request: Request, gathered: Gathered, folder: Path) -> _Work:
    """What is to be done, what is done, and what is left because it failed before."""
    work = _Work()
    has_gpu = machine.gpus() > 0 if request.options.get("device", "auto") == "auto" else False
    for item in gathered.items:
        state = read_state(folder, item.id)
        task = _task(request, item, state, has_gpu or request.options.get("device") == "cuda")
        plan = task.plan or ""
        if request.plan_only:
            is_through = os.path.isfile(plan) and not _is_outdated(plan, item, state)
        else:
            is_through = is_done(state, task.key, plan_print(plan))
        if is_through:
            work.done.append(item)
        elif state.state == "failed" and state.key == task.key and not request.retry_failed:
            work.left.append(item)
        else:
            work.todo.append(task)
    return work


def _task(request: Request, item: Item, state: State, needs_gpu: bool) -> Task:
    plan, report = _beside(request, item, PLANS, ".json"), _beside(request, item, REPORTS, ".html")
    source_range = None if item.is_whole else item.range
    shared = {**request.options, "source": item.medium.path, "range": source_range, "resume": True}
    has_plan = os.path.isfile(plan) and not _is_outdated(plan, item, state)
    if request.plan_only:
        wanted = ("kinds", "search_areas", "hold_outs", "device", "overwrite")
        job = Job(
            **{name: value for name, value in shared.items() if name in (*wanted, "source", "range", "resume")},
            task="perceive",
            save_plan=plan,
        )
    else:
        # Files that this batch wrote may be replaced, whichever machine wrote them.
        is_ours = all(not os.path.exists(path) or path in state.files for path in (item.output, report))
        job = Job(
            **{**shared, "overwrite": shared.get("overwrite", False) or (is_ours and bool(state.files))},
            output=item.output,
            report=report,
            plan=plan if has_plan else None,
            save_plan=None if has_plan else plan,
        )
    return Task(item, job, key_of(job, item), plan, machine.needs_mb(item), needs_gpu)


def _is_outdated(plan: str, item: Item, state: State) -> bool:
    """Whether a plan was made for an earlier content of the source, and nobody has changed it since."""
    made_for = (json_of(Path(plan)) or {}).get("source", {}).get("fingerprint")
    return made_for != item.fingerprint and state.plan == plan_print(plan)


def _beside(request: Request, item: Item, folder: str, suffix: str) -> str:
    """The path of something that belongs to an item, named like its output."""
    inside = Path(item.output).relative_to(request.output)
    is_sequence = "%" in inside.name or "#" in inside.name  # numbered pictures lie in a folder of their own
    inside = inside.parent if is_sequence else inside.with_suffix("")
    return str(Path(request.output) / folder / inside.parent / (inside.name + suffix))


def _make_room(task: Task) -> None:
    for path in (task.job.output, task.job.report, task.plan):
        if path:
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
            except OSError as err:
                raise disk_fault(err, Path(path)) from err


def _row(request: Request, item: Item, state: State) -> Row:
    return Row(item, state, _beside(request, item, PLANS, ".json"), _beside(request, item, REPORTS, ".html"))


def _write_timelines(
    gathered: Gathered, rows: tuple[Row, ...], overwrite: bool, send: Send
) -> tuple[list[str], list[tuple[str, str]]]:
    """Writes every timeline again with what is clean; what is not keeps its medium."""
    done = {row.item.id: cleaned(row.item) for row in rows if row.state.state == "done"}
    written, unwritten = [], []
    for cut in gathered.cuts:
        ready = {number: done[item] for number, item in cut.items.items() if item in done}
        try:
            _write(cut, {number: ready[number] for number in sorted(ready)}, overwrite)
        except (AutoWipeError, OSError, ValueError) as err:
            unwritten.append((cut.output, str(err)))
            send(Warned("timeline", f"{cut.output} is not written: {err}"))
        else:
            written.append(cut.output)
    return written, unwritten


def _write(cut: Cut, ready: dict[int, Cleaned], overwrite: bool) -> None:
    """The timeline appears under its name when it is complete."""
    target = Path(cut.output)
    part = ledger.working_name(target)
    try:
        cut.document.write(part, ready)
        pairs = [(part, target)]
        if part.is_dir():  # a bundle
            pairs = [(file, target / file.relative_to(part)) for file in part.rglob("*") if file.is_file()]
        ledger.check_free([str(new) for _, new in pairs], overwrite=overwrite)
        for _, new in pairs:
            new.parent.mkdir(parents=True, exist_ok=True)
        ledger.appear(pairs)
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _pace(folder: Path, items: list[Item]) -> float:
    """Wall time of one engine for a megapixel of a frame, s: measured where this batch has done something."""
    states = [(item, read_state(folder, item.id)) for item in items]
    done = [(item.megapixels, state.seconds) for item, state in states if state.state == "done" and state.seconds > 0]
    return sum(s for _, s in done) / sum(m for m, _ in done) if done else WIPED_S


def _why(lost: Lost) -> str:
    return f"{lost.media or lost.name}: {lost.text}" + (f" ({lost.where})" if lost.where else "")
