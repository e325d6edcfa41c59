"""What a batch is asked to do: immutable, the same from the command line and from a watched folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

HANDLES = 12  # frames: enough to trim a cut by half a second
ATTEMPTS = 2  # of a clip whose engine died or ran out of memory


@dataclass(frozen=True)
class Request:
    """One batch. Paths are absolute."""

    inputs: tuple[str, ...]  # timelines, clips, folders, patterns
    output: str  # folder; everything that the batch writes lies in it
    options: dict[str, Any] = field(default_factory=dict)  # fields of the clips' jobs: kinds, codec, quality, ...
    handles: int = HANDLES  # frames cleaned before and after what a timeline uses
    rate: Fraction | None = None  # of timelines that do not say theirs
    search: tuple[str, ...] = ()  # folders in which media are looked for
    moved: tuple[tuple[str, str], ...] = ()  # (old, new) beginnings of media paths
    plan_only: bool = False  # writes the plans and stops
    only: tuple[str, ...] = ()  # patterns of names; empty is all
    retry_failed: bool = False
    attempts: int = ATTEMPTS
    jobs: int = 0  # engines side by side, 0 is as many as the machine carries
    gpu_slots: int | None = None  # engines that use a GPU at a time; None is as many as share one well
    memory_mb: int | None = None  # for all engines; None is what the machine has free
    scheduler: str | None = None  # address of a cluster; None is this machine alone
    certificate: str | None = None  # PEM file of a cluster
