"""What a network learns from and what for: the interface between the loop and the tasks, one file each beside this."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from ..errors import JobError

Batch = dict[str, torch.Tensor]


class Task(Protocol):
    """One network's training. The constructor takes the recipe's `task` part as keywords and is cheap to call twice."""

    name: str  # of the weight
    kinds: tuple[str, ...]  # of overlay that the network is for

    def network(self) -> nn.Module:
        """A new network, with `arguments` (those of its constructor, plain numbers) and `VERSION`.

        Or a ModuleDict of several, by the names of their weights.
        """

    def samples(self, seed: int) -> Iterator[Batch]:
        """Batches without end, the same for the same seed. Worker processes call it, too."""

    def loss(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """What is to fall, and its named parts. `batch` is on the network's device; called under autocast."""

    def check(self, network: nn.Module) -> dict[str, float]:
        """Held-out figures, the same samples each time."""

    def sheet(self, network: nn.Module) -> np.ndarray:
        """A picture of held-out samples, (H, W, 3) uint8 RGB: what goes in, what comes out, what is true."""

    def material(self) -> list[str]:
        """What it is trained on, for the weight's manifest: names and licences."""


def load(name: str, options: dict[str, Any]) -> Task:
    """The task of that name. Raises JobError for an option that it does not have."""
    make = import_module(f".{name}", __package__).Task
    known = inspect.signature(make).parameters
    for option in options:
        if option not in known:
            raise JobError(
                f"the recipe's task has an option {option!r} that `train {name}` does not know",
                hint=f"Known options: {', '.join(known)}.",
            )
    return make(**options)
