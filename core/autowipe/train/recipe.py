"""How a network is trained: one YAML file, read over the recipe that ships for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ..errors import JobError


@dataclass(frozen=True)
class Recipe:
    """All numbers of one training; what only the task knows is in `task`."""

    steps: int = 25_000  # of the optimiser
    start: str = ""  # folder with the weight to begin from, "shipped" for what comes with AutoWipe; empty: from nothing
    seed: int = 1
    rate: float = 1e-3  # learning rate at its peak
    last_rate: float = 2e-5  # at the end of the cosine
    warm_up: int = 500  # steps from 0 to the peak
    weight_decay: float = 1e-2
    clip: float = 1.0  # norm that gradients are cut to
    ema: float = 0.999  # decay of the averaged weights, which are those that ship
    precision: str = "bfloat16"  # of the convolutions: bfloat16 or float32
    compile: str = ""  # a mode of torch.compile, such as "default"; empty: not compiled, which suits a CPU
    device: str = "auto"
    threads: int = 0  # of one process; 0: torch's own choice
    workers: int = 0  # processes that make samples; 0: the training process itself
    log_every: int = 50  # steps
    check_every: int = 1000
    save_every: int = 500
    task: dict[str, Any] = field(default_factory=dict)  # keywords of the task


def read(name: str, path: Path | None = None, settings: Sequence[str] = (), *, steps: int | None = None) -> Recipe:
    """The shipped recipe of that task, changed by the file `path`, by `settings` ("KEY=VALUE") and by `steps`.

    Raises JobError for a file that is no recipe and for keys and values that make no sense.
    """
    shipped = resources.files(__package__).joinpath(f"recipes/{name}.yaml")
    recipe = _changed(Recipe(), yaml.safe_load(shipped.read_text("utf-8")), f"the shipped recipe {name}.yaml")
    if path is not None:
        try:
            said = yaml.safe_load(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as err:
            raise JobError(f"the recipe {path} cannot be read: {err}", hint="Check the path and the YAML.") from err
        recipe = _changed(recipe, said or {}, f"the recipe {path}")
    for setting in settings:
        recipe = _changed(recipe, _parsed(setting), f"--set {setting}")
    recipe = recipe if steps is None else replace(recipe, steps=steps)
    if recipe.steps < 1 or recipe.precision not in ("bfloat16", "float32"):
        raise JobError(
            f"the recipe says {recipe.steps} steps at {recipe.precision}",
            hint="Give at least one step, and bfloat16 or float32 as precision.",
        )
    return recipe


def _parsed(setting: str) -> dict[str, Any]:
    """ "task.batch=4" as {"task": {"batch": 4}}; the value is YAML."""
    key, _, value = setting.partition("=")
    said = yaml.safe_load(value)
    return {"task": {key.removeprefix("task."): said}} if key.startswith("task.") else {key: said}


def _changed(recipe: Recipe, said: Any, where: str) -> Recipe:
    known = {entry.name: type(getattr(recipe, entry.name)) for entry in fields(Recipe)}
    if not isinstance(said, dict):
        raise JobError(f"{where} holds no keys", hint=f"Known keys: {', '.join(known)}.")
    values: dict[str, Any] = {}
    for key, value in said.items():
        if key not in known:
            raise JobError(f"{where} has an unknown key {key!r}", hint=f"Known keys: {', '.join(known)}.")
        try:
            # YAML reads 1e-3 as text, since it has no dot
            values[key] = _merged(recipe.task, value) if key == "task" else known[key](value)
        except (TypeError, ValueError) as err:
            raise JobError(f"{where} has {value!r} for {key}", hint=f"Give a {known[key].__name__}.") from err
    return replace(recipe, **values)


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """`old` with what `new` says, also inside of what is a dictionary in both."""
    out = dict(old)
    for key, value in new.items():
        known = out.get(key)
        out[key] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return out
