"""The command `watch`: a folder into which timelines are exported, and from which they are imported clean."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from .batchcli import add_finding, say
from .errors import Cancelled
from .job import CODECS, DEVICES, QUALITIES, Job, parse_area
from .protocol import Message
from .timing import parse_rate


def add_command(commands: Any, stopper: Callable[..., Any]) -> None:
    """Adds the command to the parser's. `stopper` makes a signal's handler that sets an event."""
    parser = commands.add_parser("watch", help="clean every timeline that is exported into a folder")
    parser.set_defaults(command=lambda args: _watch(args, stopper))
    parser.add_argument("folder", metavar="FOLDER", help="NAME comes back as NAME_clean, a folder with its twin")
    parser.add_argument("--once", action="store_true", help="stop when all that lies there is done")
    add_finding(parser)
    parser.add_argument("--codec", choices=CODECS, help="auto stays in each source's family at no lower quality")
    parser.add_argument("--quality", choices=QUALITIES, help="care taken over each frame")
    parser.add_argument("--device", choices=DEVICES, help="where networks run (default auto)")
    parser.add_argument("--rate", type=parse_rate, help="frame rate of EDLs, such as 25 or 24000/1001")
    parser.add_argument("--search", action="append", default=[], metavar="FOLDER", help="look for media there, by name")


def _watch(args: argparse.Namespace, stopper: Callable[..., Any]) -> int:
    from .batch.request import Request
    from .batch.watch import watch

    options: dict[str, Any] = {
        name: getattr(args, name) for name in ("codec", "quality", "device") if getattr(args, name)
    }
    if args.kinds:
        options["kinds"] = tuple(part.strip() for part in args.kinds.split(","))
    for name in ("search_areas", "hold_outs"):
        if getattr(args, name):
            options[name] = tuple(parse_area(text) for text in getattr(args, name))
    folder = os.path.abspath(args.folder)
    Job(os.path.join(folder, "any.mov"), os.path.join(folder, "clean.mov"), **options)  # a wrong option is told now
    search = tuple(os.path.abspath(folder) for folder in args.search)
    request = Request((), "", options, rate=args.rate, search=search)
    cancelled = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopper(cancelled))
    say(f"Watching {folder}; stop with Ctrl-C.")
    with contextlib.suppress(Cancelled):  # stopping is how a watch ends
        watch(folder, request, _nobody, say, cancelled, is_once=args.once)
    return 0


def _nobody(_: Message) -> None:
    """Each timeline's status lies in a file of its own."""
