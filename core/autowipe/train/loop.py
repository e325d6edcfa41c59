"""The training loop, the same for every task: on one CPU or GPU, or on many under torchrun.

In OUT it keeps: state.safetensors (to go on from), history.jsonl and curves.png (the losses and the held-out figures),
sheet.png (held-out samples), recipe.yaml, and at the end the weight with its manifest.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import deepcopy
from datetime import datetime, timedelta
from math import cos, pi
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import yaml
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from .. import weightfiles
from ..device import choose
from ..errors import Cancelled, JobError
from . import pictures, state
from .recipe import Recipe
from .task import Batch, Task

SETTLE, TIMED = 5, 30  # steps of a dry run: until caches are warm, and then timed
HISTORY = "history.jsonl"


def train(
    task: Task,
    recipe: Recipe,
    out: Path,
    *,
    resume: bool,
    weights: Path,
    command: str,
    say: Callable[[str], None],
    cancelled: threading.Event,
) -> dict[str, float]:
    """Trains to the recipe's end and writes the averaged network as a weight into the folder `weights`.

    The held-out figures of the end. Raises JobError if `out` holds another training and `resume` is not set,
    Cancelled when asked to stop: what was done is then saved.
    """
    trainer = _Trainer(task, recipe, out, say)
    done = trainer.begin(resume)
    figures = trainer.run(done, cancelled)
    if trainer.is_first:
        about = {
            "kinds": list(task.kinds),
            "train": command,
            "commit": _commit(),
            "steps": recipe.steps,
            "recipe": dataclasses.asdict(recipe),
            "data": task.material(),
            "figures": {key: round(value, 4) for key, value in figures.items()},
        }
        for name, network in _parts(task, trainer.mean):
            path = weightfiles.save(weights, name, network, about)
            say(f"The weight is {path}, {path.stat().st_size / 1e6:.1f} MB.")
    trainer.end()
    return figures


def dry_run(task: Task, recipe: Recipe, out: Path, say: Callable[[str], None]) -> float:
    """A few steps to see that all works and how long it will take: says so; steps per second."""
    trainer = _Trainer(task, recipe, out, say)
    trainer.begin(True)
    speed = trainer.try_out()
    trainer.end()
    return speed


class _Trainer:
    """One process of a training: the network, its running mean, the optimiser, and where the samples come from."""

    def __init__(self, task: Task, recipe: Recipe, out: Path, say: Callable[[str], None]) -> None:
        self.task, self.recipe, self.out = task, recipe, out
        self.rank, self.size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.is_first = self.rank == 0
        self.say = say if self.is_first else lambda text: None
        if recipe.threads:
            torch.set_num_threads(recipe.threads)
        kind = choose(recipe.device)
        if self.size > 1:
            dist.init_process_group("nccl" if kind == "cuda" else "gloo")
        if kind == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        self.device = torch.device(kind)
        torch.manual_seed(recipe.seed)  # the same network in every process
        self.network = _begun(task, recipe.start).to(self.device, memory_format=torch.channels_last)
        self.mean = deepcopy(self.network).eval().requires_grad_(False)
        self.runs: Any = torch.compile(self.network, mode=recipe.compile) if recipe.compile else self.network
        torch.backends.cudnn.benchmark = True  # batches have one shape
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), recipe.rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.history: list[dict[str, float]] = []

    def begin(self, resume: bool) -> int:
        """The steps that are done already."""
        self.out.mkdir(parents=True, exist_ok=True)
        if not resume and (self.out / state.FILE).exists():
            raise JobError(
                f"{self.out} holds a training already", hint="Go on with it by --resume, or give another --out."
            )
        done = state.load(self.out, self.network, self.mean, self.optimiser)
        if done:
            with suppress(OSError):
                lines = (self.out / HISTORY).read_text("utf-8").splitlines()
                self.history = [entry for entry in map(json.loads, lines) if entry["step"] <= done]
            self.say(f"Going on after step {done} of {self.recipe.steps}.")
        if self.is_first:
            text = yaml.safe_dump(dataclasses.asdict(self.recipe), sort_keys=False)
            (self.out / "recipe.yaml").write_text(text, "utf-8")
        return done

    def try_out(self) -> float:
        batches = self._batches(0)
        for step in range(SETTLE):
            self._step(next(batches), step)
        started = time.monotonic()
        for step in range(SETTLE, SETTLE + TIMED):
            self._step(next(batches), step)
        speed = TIMED / (time.monotonic() - started)
        checked = time.monotonic()
        self._look(0)
        checks = (time.monotonic() - checked) * (self.recipe.steps // self.recipe.check_every + 1)
        self.say(f"{speed:.2f} steps a second; {self._finish(self.recipe.steps / speed + checks)}.")
        return speed

    def run(self, done: int, cancelled: threading.Event) -> dict[str, float]:
        recipe = self.recipe
        figures = self._look(done)  # what breaks after hours had better break now
        batches, started, first = self._batches(done), time.monotonic(), done
        sums: dict[str, torch.Tensor] = {}
        for step in range(done, recipe.steps):
            for name, value in self._step(next(batches), step).items():
                sums[name] = sums.get(name, 0) + value
            now = step + 1
            if now % recipe.log_every == 0:
                # only here are values fetched: a GPU that is asked each step waits for the CPU
                entry = {name: float(value) / recipe.log_every for name, value in sums.items()}
                sums = {}
                speed = (now - first) / (time.monotonic() - started)
                self._log({"step": now, **entry, "steps a second": speed})
                self.say(
                    f"step {now}  loss {entry['loss']:.4f}  {speed:.2f} steps a second, "
                    + self._finish((recipe.steps - now) / speed)
                )
            if now % recipe.check_every == 0 or now == recipe.steps:
                figures = self._look(now)
            if now % recipe.save_every == 0 or now == recipe.steps or cancelled.is_set():
                self._save(now)
                if cancelled.is_set():
                    self.end()
                    raise Cancelled(f"Stopped after step {now}.")
        return figures

    def end(self) -> None:
        if self.size > 1:
            dist.barrier()
            dist.destroy_process_group()

    def _step(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        """One step of the optimiser; the loss and its parts."""
        recipe = self.recipe
        for group in self.optimiser.param_groups:
            group["lr"] = _rate(step, recipe)
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            loss, parts = self.task.loss(self.runs, self._moved(batch))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._share_gradients()
        nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        self.optimiser.step()
        with torch.no_grad():
            decay = min(recipe.ema, (1 + step) / (10 + step))  # a young mean forgets its beginning
            torch._foreach_lerp_(list(self.mean.parameters()), list(self.network.parameters()), 1 - decay)
            if buffers := list(self.mean.buffers()):
                torch._foreach_copy_(buffers, list(self.network.buffers()))
        return {"loss": loss.detach(), **{name: value.detach() for name, value in parts.items()}}

    def _share_gradients(self) -> None:
        if self.size == 1:
            return
        for parameter in self.network.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def _batches(self, done: int) -> Any:
        # Other samples after a stop than before it, others in each process.
        stream = _Stream(self.task, self.recipe.seed + 1_000 * self.rank + 1_000_000 * (1 + done))
        pinned = self.device.type == "cuda"
        return iter(DataLoader(stream, batch_size=None, num_workers=self.recipe.workers, pin_memory=pinned))

    def _moved(self, batch: Batch) -> Batch:
        return {
            name: value.to(self.device, non_blocking=True).contiguous(
                memory_format=torch.channels_last if value.ndim == 4 else torch.contiguous_format
            )
            for name, value in batch.items()
        }

    @torch.no_grad()
    def _look(self, step: int) -> dict[str, float]:
        """Held-out figures and pictures of the running mean."""
        if not self.is_first:
            return {}
        figures = self.task.check(self.mean)
        self._log({"step": step, **figures})
        pictures.write(str(self.out / "sheet.png"), self.task.sheet(self.mean))
        pictures.write(str(self.out / "curves.png"), pictures.curves(self.history))
        self.say(f"held out, step {step}:  " + "  ".join(f"{name} {value:.4g}" for name, value in figures.items()))
        return figures

    def _log(self, entry: dict[str, float]) -> None:
        self.history.append(entry)

    def _save(self, step: int) -> None:
        if not all(bool(part.isfinite().all()) for part in self.network.parameters()):
            raise JobError(
                f"the network is no longer made of numbers at step {step}",
                hint="Lower the rate, and go on from the last state with --resume.",
            )
        if self.is_first:
            text = "".join(json.dumps(entry) + "\n" for entry in self.history)
            (self.out / HISTORY).write_text(text, "utf-8")
            state.save(self.out, self.network, self.mean, self.optimiser, step)

    def _finish(self, seconds: float) -> str:
        end = datetime.now() + timedelta(seconds=seconds)
        return f"{self.recipe.steps} steps will be done in {seconds / 60:.0f} min, at {end:%H:%M}"


class _Stream(IterableDataset):
    """A task's samples for torch's loader; every worker process draws its own."""

    def __init__(self, task: Task, seed: int) -> None:
        self._task, self._seed = task, seed

    def __iter__(self) -> Any:
        worker = get_worker_info()
        return self._task.samples(self._seed + (worker.id if worker else 0))


def _parts(task: Task, network: nn.Module) -> Iterable[tuple[str, nn.Module]]:
    """A task of several networks trains them as a dictionary, and each is a weight of its own."""
    return network.items() if isinstance(network, nn.ModuleDict) else [(task.name, network)]


def _begun(task: Task, start: str) -> nn.Module:
    """The task's network; with `start`, as it lies in that folder. Raises WeightsError as `weightfiles.load`."""
    network = task.network()
    if not start:
        return network
    folder = None if start == "shipped" else Path(start)
    parts = {name: weightfiles.load(name, folder).requires_grad_(True) for name, _ in _parts(task, network)}
    return nn.ModuleDict(parts) if isinstance(network, nn.ModuleDict) else parts[task.name]


def _rate(step: int, recipe: Recipe) -> float:
    """Up in a line, down in half a cosine."""
    if step < recipe.warm_up:
        return recipe.rate * (step + 1) / recipe.warm_up
    share = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return recipe.last_rate + (recipe.rate - recipe.last_rate) * (1 + cos(pi * share)) / 2


def _commit() -> str:
    """Of the source that trained it; empty where that is no checkout."""
    words = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
