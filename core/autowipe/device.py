"""Which device networks run on, and what to say when it is not there."""

from __future__ import annotations

import os

from .errors import DeviceError

# what Apple's GPUs cannot do is then done on the CPU; torch reads it when it is imported
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


def check(name: str) -> None:
    """Raises DeviceError when a device that was asked for by name cannot be used; "auto" and "cpu" always can."""
    if name in ("auto", "cpu"):
        return
    import torch  # 3 s to import: only when a GPU is asked for

    backend = torch.cuda if name == "cuda" else torch.backends.mps
    if not backend.is_available():
        raise DeviceError(
            f"the device {name} is not available on this machine",
            code="device-missing",
            hint="Use --device auto, or let `autowipe doctor` say what is missing.",
        )


def choose(name: str) -> str:
    """The device to use: `name` itself, or for "auto" the fastest that is there. Raises as `check`."""
    if name != "auto":
        check(name)
        return name
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
