"""What this machine can carry: cores, free memory, GPUs; and what an item needs of it."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ..processes import usable_cores
from .gather import Item
from .request import Request

CORES_AN_ENGINE = 4  # more cores gain one engine little: decoding, completing and encoding overlap, not more
ENGINES_A_GPU = 4  # each spends most of its time decoding, completing and encoding on the CPU
# Peak memory of an engine: `python -m tests.bench` gave 1,656 MB at 1920x1080 with two processes that complete;
# this is for as many as there may be (pool.py).
BASE_MB, MB_A_MEGAPIXEL = 800, 750


@dataclass(frozen=True)
class Limits:
    """What engines side by side may take together."""

    jobs: int
    memory_mb: int
    gpus: int  # of the machine
    gpu_slots: int  # engines at a time that use one

    @property
    def threads(self) -> int:
        """For each engine; 0 leaves it to the engine."""
        return max(1, usable_cores() // self.jobs) if self.jobs > 1 else 0


def limits(request: Request) -> Limits:
    """The request's limits, what it leaves open filled in by what the machine has."""
    found = gpus() if request.options.get("device", "auto") in ("auto", "cuda") else 0
    slots = request.gpu_slots if request.gpu_slots is not None else found * ENGINES_A_GPU
    jobs = request.jobs or max(1, usable_cores() // CORES_AN_ENGINE)
    return Limits(jobs, request.memory_mb or free_memory_mb(), found, slots)


def needs_mb(item: Item) -> int:
    """Memory that an engine takes for an item, MB; it does not grow with the item's length."""
    return round(BASE_MB + MB_A_MEGAPIXEL * item.size[0] * item.size[1] / 1e6)


def free_memory_mb() -> int:
    """Memory that is free or can be freed at once; half of all where the system does not say."""
    try:
        said = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text("ascii"))
        if said:
            return int(said[1]) // 1024
    except OSError:
        pass
    if sys.platform == "win32":
        return _windows_memory_mb()
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 // 2


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of the Windows API."""

    _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
        (name, ctypes.c_ulonglong)
        for name in ("total", "free", "total_page", "free_page", "total_virtual", "free_virtual", "free_extended")
    ]


def _windows_memory_mb() -> int:
    status = _MemoryStatus()
    status.length = ctypes.sizeof(status)
    getattr(ctypes, "windll").kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # noqa: B009
    return status.free // 2**20


def gpus() -> int:
    """NVIDIA GPUs whose driver answers."""
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines()) if done.returncode == 0 else 0
