"""The command `train`: makes a network's weight anew, or goes on with a training."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any


def add_command(commands: Any, stopper: Callable[..., Any]) -> None:
    """Adds the command to the parser's. `stopper` makes a signal's handler that sets an event."""
    parser = commands.add_parser("train", help="train a network of AutoWipe's own; see weights/README.md")
    parser.set_defaults(command=lambda args: _train(args, stopper))
    parser.add_argument("task", choices=_tasks(), help="what to train")
    parser.add_argument("--config", type=Path, metavar="FILE.yaml", help="changes to the recipe that ships")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="one change; task.KEY=VALUE, too"
    )
    parser.add_argument("--steps", type=int, metavar="N", help="of the optimiser")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the training is kept (default train/TASK)")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="where the weight is put (default: --out)")
    parser.add_argument("--resume", action="store_true", help="go on with what lies in --out")
    parser.add_argument("--dry-run", action="store_true", help="some steps only: does it work, how long will it take")


def _tasks() -> list[str]:
    """Those with a recipe."""
    folder = resources.files(__package__).joinpath("train/recipes")
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))


def _train(args: argparse.Namespace, stopper: Callable[..., Any]) -> int:
    from .train import loop, recipe, task  # torch takes seconds to import

    cancelled = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopper(cancelled))
    plan = recipe.read(args.task, args.config, args.set, steps=args.steps)
    out = args.out or Path("train") / args.task

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    work = task.load(args.task, plan.task)
    if args.dry_run:
        loop.dry_run(work, plan, out, say)
        return 0
    loop.train(
        work,
        plan,
        out,
        resume=args.resume,
        weights=args.weights or out,
        command=shlex.join(["autowipe", *sys.argv[1:]]),
        say=say,
        cancelled=cancelled,
    )
    return 0
