"""The commands `batch` and `farm`: their options, and what they tell a person."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from .batch.request import ATTEMPTS, HANDLES
from .errors import AutoWipeError, BatchError, Cancelled
from .job import CODECS, DEVICES, ENCODERS, KINDS, QUALITIES, parse_area
from .protocol import BatchItem, Failed, Message, Send, Warned
from .timing import parse_rate

AGAIN = "Run the same batch again to go on."
SAID = ("wipe", "plan", "nothing", "leave")  # actions of a preview, in this order
ACTIONS = {"wipe": "to wipe", "plan": "to plan", "nothing": "done already", "leave": "failed before (--retry-failed)"}


def add_commands(commands: Any, json_sender: Callable[[], Send], stopper: Callable[..., Any]) -> None:
    """Adds the commands to the parser's. `json_sender` makes the function that writes messages to stdout, `stopper`
    a signal's handler that sets an event."""

    batch = commands.add_parser("batch", help="clean everything that a timeline or a list of clips uses")
    batch.set_defaults(command=lambda args: _batch(args, json_sender, stopper))
    batch.add_argument("inputs", nargs="+", metavar="TIMELINE_OR_CLIP", help="timelines, clips, folders, patterns")
    batch.add_argument("-o", "--output", required=True, metavar="FOLDER", help="everything is written into it")
    batch.add_argument(
        "--handles",
        type=_count,
        default=HANDLES,
        metavar="FRAMES",
        help=f"cleaned on both sides of what a timeline uses (default {HANDLES})",
    )
    batch.add_argument("--rate", type=parse_rate, help="frame rate of an EDL, such as 25 or 24000/1001")
    batch.add_argument(
        "--search",
        action="append",
        default=[],
        metavar="FOLDER",
        help="look for media there, by name (may be given several times)",
    )
    batch.add_argument(
        "--moved",
        action="append",
        default=[],
        type=_pair,
        metavar="OLD=NEW",
        help="media whose paths begin with OLD are at NEW (may be given several times)",
    )
    batch.add_argument("--plan-only", action="store_true", help="write the plans and stop, for a person to look at")
    batch.add_argument(
        "--list-jobs",
        action="store_true",
        help="write the jobs for another render farm and print their commands as JSON; see plugin/farm",
    )
    batch.add_argument("--dry-run", action="store_true", help="tell what would be done and how long it would take")
    batch.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only clips of such names (may be given several times)",
    )
    batch.add_argument("--retry-failed", action="store_true", help="do what failed in an earlier run again")
    batch.add_argument(
        "--attempts", type=_positive, default=ATTEMPTS, help=f"for a clip whose engine dies (default {ATTEMPTS})"
    )
    batch.add_argument("--jobs", type=_positive, default=0, help="engines side by side (default: as many as fit)")
    batch.add_argument("--gpu-slots", type=_positive, help="engines on GPUs at a time (default: 4 a GPU)")
    batch.add_argument("--memory", type=float, metavar="GB", help="for all engines together (default: what is free)")
    batch.add_argument("--scheduler", metavar="ADDRESS", help="share the work among a cluster, such as tls://host:8786")
    batch.add_argument("--certificate", metavar="FILE.pem", help="of the cluster (see autowipe farm --help)")
    add_finding(batch)
    batch.add_argument("--codec", choices=CODECS, help="auto stays in each source's family at no lower quality")
    batch.add_argument("--encoder", choices=ENCODERS, help="hardware uses the machine's encoder where it has one")
    batch.add_argument("--quality", choices=QUALITIES, help="care taken over each frame")
    batch.add_argument("--device", choices=DEVICES, help="where networks run (default auto)")
    batch.add_argument("--overwrite", action="store_true", help="replace files that AutoWipe did not write")
    batch.add_argument("--json", action="store_true", help="messages on stdout, one JSON object a line")

    _add_farm(commands)


def add_finding(parser: argparse.ArgumentParser) -> None:
    """The options that say which overlays are looked for, and where; the same for a clip and for a batch."""
    parser.add_argument("--kinds", metavar="LIST", help=f"kinds to wipe, by commas: {','.join(KINDS)} (default all)")
    parser.add_argument(
        "--search-area",
        dest="search_areas",
        action="append",
        default=[],
        metavar="X,Y,W,H|FILE",
        help="look for overlays only here (may be given several times)",
    )
    parser.add_argument(
        "--hold-out",
        dest="hold_outs",
        action="append",
        default=[],
        metavar="X,Y,W,H|FILE",
        help="never change this area (may be given several times)",
    )


def _add_farm(commands: Any) -> None:
    farm = commands.add_parser("farm", help="share the work of batches between machines")
    parts = farm.add_subparsers(required=True, metavar="PART")

    up = parts.add_parser("up", help="start a cluster on this machine, to try it")
    up.set_defaults(command=_farm_up)
    up.add_argument("--workers", type=_positive, default=2)
    up.add_argument("--jobs", type=_positive, default=1, help="engines side by side on each worker (default 1)")

    scheduler = parts.add_parser("scheduler", help="run the scheduler of a cluster, encrypted")
    scheduler.set_defaults(command=_farm_scheduler)
    scheduler.add_argument("--host", required=True, help="address of this machine in the network")
    for part in (up, scheduler):
        part.add_argument("--port", type=_positive, default=8786)
        part.add_argument(
            "--dashboard", type=_positive, default=8787, metavar="PORT", help="of the page for this machine"
        )

    worker = parts.add_parser("worker", help="lend this machine to a cluster")
    worker.set_defaults(command=_farm_worker)
    worker.add_argument("scheduler", metavar="ADDRESS", help="of the scheduler, such as tls://host:8786")
    worker.add_argument("--name", help="as the dashboard shows it")
    worker.add_argument("--jobs", type=_positive, default=0, help="engines side by side (default: as many as fit)")
    worker.add_argument("--gpu-slots", type=_count, help="engines on its GPUs at a time (default: 4 a GPU)")
    worker.add_argument("--memory", type=float, metavar="GB", help="that it lends (default: what is free)")
    worker.add_argument(
        "--path",
        dest="paths",
        action="append",
        default=[],
        type=_pair,
        metavar="OLD=NEW",
        help="paths that begin with OLD elsewhere begin with NEW here (may be given several times)",
    )
    item = parts.add_parser("item", help="run one job of a batch that was written with --list-jobs")
    item.set_defaults(command=_farm_item)
    item.add_argument("output", metavar="FOLDER", help="of the batch")
    item.add_argument("id", help="of the job")
    for part in (up, scheduler, worker):
        part.add_argument("--certificate", metavar="FILE.pem", help="shared by all machines of the cluster")


def _farm_up(args: argparse.Namespace) -> int:
    from .batch import cluster

    cluster.up(args.workers, args.port, args.dashboard, args.jobs, args.certificate, say)
    return 0


def _farm_scheduler(args: argparse.Namespace) -> int:
    from .batch import cluster

    cluster.scheduler(args.host, args.port, args.certificate, args.dashboard, say)
    return 0


def _farm_worker(args: argparse.Namespace) -> int:
    from .batch import cluster

    memory = round(args.memory * 1024) if args.memory else None
    wish = cluster.WorkerWish(
        args.scheduler, args.certificate, args.name, args.jobs, args.gpu_slots, memory, tuple(args.paths)
    )
    cluster.run_worker(wish, say)
    return 0


def _farm_item(args: argparse.Namespace) -> int:
    from .batch.worker import carry_out_item

    said = carry_out_item(os.path.abspath(args.output), args.id)
    say(said["text"])
    return 0 if said["type"] == "result" else 1


def say(text: str) -> None:
    """One line for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def _batch(args: argparse.Namespace, json_sender: Callable[[], Send], stopper: Callable[..., Any]) -> int:
    from .batch.run import preview, run

    request = _request(args)
    if args.dry_run:
        print(_preview_text(preview(request)))
        return 0
    if args.list_jobs:
        return _list_jobs(request)
    cancelled = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopper(cancelled))
    send = json_sender() if args.json else _Table().show
    try:
        outcome = run(request, send, cancelled)
        error = _error_of(outcome)
        _tell_outcome(outcome, with_headline=error is None)
        if error:
            raise error
        return 0
    except KeyboardInterrupt:
        raise Cancelled(hint=AGAIN) from None
    except AutoWipeError as err:
        if args.json:
            send(Failed(err.code, err.text, err.hint))
        raise


def _list_jobs(request: Any) -> int:
    from .batch.run import hand_out

    jobs = [
        {
            "id": task.item.id,
            "name": task.item.name,
            "memory_mb": task.memory_mb,
            "gpu": task.needs_gpu,
            "command": [sys.executable, "-m", "autowipe", "farm", "item", request.output, task.item.id],
        }
        for task in hand_out(request, _Table().show)
    ]
    print(json.dumps(jobs, indent=1))
    return 0


def _request(args: argparse.Namespace) -> Any:
    from .batch.request import Request

    options: dict[str, Any] = {
        name: getattr(args, name)
        for name in ("codec", "encoder", "quality", "device", "overwrite")
        if getattr(args, name)
    }
    if args.kinds:
        options["kinds"] = tuple(part.strip() for part in args.kinds.split(","))
    for name in ("search_areas", "hold_outs"):
        if getattr(args, name):
            options[name] = tuple(parse_area(text) for text in getattr(args, name))
    return Request(
        inputs=tuple(os.path.abspath(text) for text in args.inputs),
        output=os.path.abspath(args.output),
        options=options,
        handles=args.handles,
        rate=args.rate,
        search=tuple(os.path.abspath(folder) for folder in args.search),
        moved=tuple(args.moved),
        plan_only=args.plan_only,
        only=tuple(args.only),
        retry_failed=args.retry_failed,
        attempts=args.attempts,
        jobs=args.jobs,
        gpu_slots=args.gpu_slots,
        memory_mb=round(args.memory * 1024) if args.memory else None,
        scheduler=args.scheduler,
        certificate=os.path.abspath(args.certificate) if args.certificate else None,
    )


class _Table:
    """Shows a batch to a person: a line for every change of a clip, and how far the running ones are."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._shares: dict[str, tuple[str, float]] = {}
        self._last = 0.0

    def show(self, message: Message) -> None:
        if isinstance(message, Warned):
            self._line(f"Warning: {message.text}")
        elif isinstance(message, BatchItem) and not message.id:
            self._line(f"{message.state:>8}  {message.text}")
        elif isinstance(message, BatchItem):
            if self._states.get(message.id) != message.state or message.text:
                self._states[message.id] = message.state
                self._line(f"{message.state:>8}  {message.name}" + (f": {message.text}" if message.text else ""))
            if message.state == "running":
                self._shares[message.id] = (message.name, message.done)
            else:
                self._shares.pop(message.id, None)
            self._draw()

    def _draw(self) -> None:
        if not sys.stderr.isatty() or time.monotonic() - self._last < 0.2:
            return
        self._last = time.monotonic()
        text = "  ".join(f"{name} {100 * share:.0f} %" for name, share in self._shares.values())
        print("\r\033[K" + text[: os.get_terminal_size(2).columns - 1], end="", file=sys.stderr, flush=True)

    def _line(self, text: str) -> None:
        print(("\r\033[K" if sys.stderr.isatty() else "") + text, file=sys.stderr, flush=True)


def _tell_outcome(outcome: Any, *, with_headline: bool) -> None:
    from .batch.summary import headline

    lines = [headline(outcome)] if with_headline else []
    lines += [*(f"  timeline: {path}" for path in outcome.timelines), f"  summary: {outcome.summary}"]
    print("\n".join(lines), file=sys.stderr)


def _error_of(outcome: Any) -> BatchError | None:
    from .batch.summary import headline

    if outcome.is_whole:
        return None
    hint = "The summary says why; when it is mended, run the same batch again"
    return BatchError(headline(outcome), hint=hint + (" with --retry-failed." if outcome.count("failed") else "."))


def _preview_text(preview: Any) -> str:
    lines = []
    for step in sorted(preview.steps, key=lambda step: (SAID.index(step.action), step.item.name)):
        item = step.item
        about = f"frames {item.range.start}-{item.range.stop - 1} of {item.medium.path}"
        spent = f", about {_minutes(step.seconds)}" if step.seconds else ""
        lines.append(f"{ACTIONS[step.action]:>14}  {item.name}  ({about}{spent})")
    lines += [f"{lost.code:>14}  {lost.media or lost.name}: {lost.text} ({lost.where})" for lost in preview.lost]
    lines += [f"{'to write':>14}  {path}" for path in preview.timelines]
    side = f" with {preview.jobs} engines side by side" if preview.jobs > 1 else ""
    lines.append(f"All together about {_minutes(preview.seconds)}{side}. Nothing was written.")
    return "\n".join(lines)


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("is 0 or more")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("is 1 or more")
    return value


def _pair(text: str) -> tuple[str, str]:
    old, sign, new = text.partition("=")
    if not sign or not old or not new:
        raise argparse.ArgumentTypeError("is OLD=NEW, such as D:/Media=/mnt/media")
    return old, new
