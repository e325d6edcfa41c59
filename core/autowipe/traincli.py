"""The command `train`: lists material, makes samples, and makes a network's weight anew or goes on with it."""

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

from .batchcli import say


def add_command(commands: Any, stopper: Callable[..., Any]) -> None:
    """Adds the command to the parser's. `stopper` makes a signal's handler that sets an event."""
    parser = commands.add_parser("train", help="train a network of AutoWipe's own; see weights/README.md")
    steps = parser.add_subparsers(metavar="WHAT", required=True)
    _add_material(steps)
    for name in _tasks():
        task = steps.add_parser(name, help=f"train the {name}")
        task.set_defaults(command=lambda args: _train(args, stopper), task=name)
        task.add_argument("--config", type=Path, metavar="FILE.yaml", help="changes to the recipe that ships")
        task.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="one change; task.KEY=VALUE, too"
        )
        task.add_argument("--steps", type=int, metavar="N", help="of the optimiser")
        task.add_argument("--out", type=Path, metavar="FOLDER", help=f"where the training is kept (train/{name})")
        task.add_argument("--weights", type=Path, metavar="FOLDER", help="where the weight is put (default: --out)")
        task.add_argument("--resume", action="store_true", help="go on with what lies in --out")
        task.add_argument("--dry-run", action="store_true", help="some steps only: does it work, how long will it take")


def _add_material(steps: Any) -> None:
    """The two commands that come before a training."""
    material = steps.add_parser("material", help="list what training clips can be made from, with licences")
    material.set_defaults(command=_material)
    material.add_argument("folder", type=Path, metavar="DIR", help="where material.json is put")
    folders: dict[str, Any] = {"type": Path, "action": "append", "default": [], "metavar": "FOLDER"}
    material.add_argument("--clips", **folders, help="clips, pictures, or YouTube-VOS folders (may be given again)")
    material.add_argument("--marks", **folders, help="logos as PNG with transparency")
    material.add_argument("--fonts", **folders, help="fonts besides the system's")
    material.add_argument("--bench", type=Path, metavar="FOLDER", help="a benchmark, of which nothing is taken")
    material.add_argument("--without", action="append", default=[], metavar="NAME", help="a file to leave out")
    synth = steps.add_parser(
        "synth", help="make training samples of synthetic clips, for the perceiver and the joint training"
    )
    synth.set_defaults(command=_synth)
    synth.add_argument("folder", type=Path, metavar="DIR", help="that holds material.json")
    synth.add_argument("--shards", type=Path, default=Path("train/shards"), metavar="FOLDER", help="(train/shards)")
    synth.add_argument("--count", type=int, default=400, metavar="N", help="clips to train on (default 400)")
    synth.add_argument("--checks", type=int, default=48, metavar="N", help="held-out clips (default 48)")
    synth.add_argument("--first", type=int, default=0, metavar="SEED", help="of the clips, to add others (default 0)")
    synth.add_argument("--clean", action="store_true", help="with the clean pictures, which `train joint` needs")


def _material(args: argparse.Namespace) -> int:
    from .train import material

    found = material.assemble(args.clips, args.marks, args.fonts, args.bench, args.without)
    for text in found.missing:
        say(text)
    path = material.write(found, args.folder)
    counts = f"{len(found.clips)} clips, {len(found.pictures)} pictures, {len(found.fonts)} fonts, "
    print(f"{counts}{len(found.marks)} marks: {path}")
    return 0


def _synth(args: argparse.Namespace) -> int:
    from .train import material, shards

    found = material.read(args.folder)
    for name in shards.fill(
        args.shards, found, count=args.count, checks=args.checks, first=args.first, clean=args.clean
    ):
        print(name, flush=True)
    return 0


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
