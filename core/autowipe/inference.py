"""Runs a network over pictures: on the device asked for, in batches as large as its memory holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from .device import choose
from .errors import DeviceError

if TYPE_CHECKING:  # seconds to import: only where a network runs
    import torch

MOST = 8  # pictures at once on a GPU; a CPU is no faster with more, and needs more memory


class Inference:
    """A network, put on a device, with what makes it fast there.

    On a GPU pictures travel as bytes from pinned memory, several at once. Out of memory, it tries with half as many and
    stays with that. float32 there: at the sizes that run here a GPU takes longer to convert than it saves. On a CPU one
    picture at a time, in bfloat16 where the processor has units for it.
    """

    def __init__(self, network: torch.nn.Module, device: str, warn: Callable[[str, str], Any]) -> None:
        """`device`: one of job.DEVICES; `warn` gets the code and the text of a warning. Raises as device.choose."""
        import torch

        self._kind = choose(device)
        self._network = network.to(self._kind, memory_format=torch.channels_last)
        self._batch = 1 if self._kind == "cpu" else MOST
        self._warn = warn

    def each(
        self, pictures: Sequence[np.ndarray], ask: Callable[[Any, torch.Tensor], torch.Tensor]
    ) -> Iterator[np.ndarray]:
        """What `ask` (network, (B, C, H, W) float32 0..1 on the device) says of each picture, float32, in order.

        `pictures`: (C, H, W) uint8 or float32 0..1, all of one size. Raises DeviceError where not even one fits into
        memory.
        """
        done = 0
        while done < len(pictures):
            part = pictures[done : done + self._batch]
            try:
                yield from self._ask(part, ask)
            except MemoryError:
                self._halve(len(part))
                continue
            done += len(part)

    def _ask(
        self, part: Sequence[np.ndarray], ask: Callable[[Any, torch.Tensor], torch.Tensor]
    ) -> Sequence[np.ndarray]:
        import torch

        stacked = torch.from_numpy(np.stack(part))
        if self._kind == "cuda":
            stacked = stacked.pin_memory()
        try:
            with torch.inference_mode(), self._precision():
                there = stacked.to(self._kind, non_blocking=True)
                there = there.float() / 255 if there.dtype == torch.uint8 else there
                said = ask(self._network, there.contiguous(memory_format=torch.channels_last))
                return list(said.float().cpu().numpy())
        except torch.OutOfMemoryError as err:
            raise MemoryError from err  # outside of this function nothing holds the tensors any more

    def _halve(self, tried: int) -> None:
        import torch

        if self._kind == "cuda":
            torch.cuda.empty_cache()
        if tried == 1:
            raise DeviceError(
                f"the memory of the device {self._kind} is too small for one picture",
                code="device-memory",
                hint="Close what else uses it, or run with --device cpu.",
            )
        self._batch = tried // 2
        self._warn(
            "device-memory", f"the device {self._kind} is short of memory; it gets {self._batch} pictures at once"
        )

    def _precision(self) -> AbstractContextManager[Any]:
        import torch

        # An older torch does not tell what the processor has.
        has: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        if self._kind == "cpu" and (has.get("amx_bf16") or has.get("avx512_bf16")):
            return torch.autocast("cpu", torch.bfloat16)
        return nullcontext()
