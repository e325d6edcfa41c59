"""A training that can be stopped at any step and gone on with: one safetensors file, replaced at once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from ..errors import WeightsError

FILE = "state.safetensors"


def save(folder: Path, network: nn.Module, mean: nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
    """Writes all that the next step depends on; a kill meanwhile leaves the file that was there."""
    tensors = {f"network.{key}": value for key, value in network.state_dict().items()}
    tensors |= {f"mean.{key}": value for key, value in mean.state_dict().items()}
    for number, values in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{key}": value for key, value in values.items()}
    working = folder / (FILE + ".part")
    save_file({key: value.contiguous().cpu() for key, value in tensors.items()}, working, {"step": json.dumps(step)})
    os.replace(working, folder / FILE)


def load(folder: Path, network: nn.Module, mean: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Puts a saved training back into its parts; the steps done. 0 where none is saved.

    Raises WeightsError if what is saved is damaged or of another network.
    """
    path = folder / FILE
    if not path.exists():
        return 0
    try:
        with safe_open(path, "pt") as file:
            step = json.loads(file.metadata()["step"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        network.load_state_dict(_part(tensors, "network."))
        mean.load_state_dict(_part(tensors, "mean."))
        moments: dict[int, dict[str, Any]] = {}
        for key, value in _part(tensors, "optimiser.").items():
            number, name = key.split(".", 1)
            moments.setdefault(int(number), {})[name] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as err:
        raise WeightsError(
            f"the saved training {path} does not fit: {str(err).splitlines()[0]}",
            hint="Train with the recipe and version that it was begun with, or in another --out folder.",
        ) from err
    return step


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
