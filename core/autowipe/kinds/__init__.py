"""The kinds of overlay that are found, one file each: `names()` lists them, `load(name)` gives the kind's Finder."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..job import Box
from ..maps import Unblend
from ..planes import Layout
from ..text import TextLine
from ..timing import FrameRange


@dataclass(frozen=True)
class Text:
    """What a look for text has found."""

    lines: list[TextLine]
    moving: bool  # looked at what moves as well; else all of it that stands still


@dataclass
class Small:
    """One frame at analysis size, the same for all finders."""

    frame: int  # source frame
    luma: np.ndarray  # (h, w) uint8, 8-bit levels
    chroma: np.ndarray  # (h, w, 2) uint8, the two colour differences, 128 = none
    scale: float  # source px for one analysis px
    text: Text | None = None  # of those frames that were searched for it (`textsearch`)


@dataclass
class Found:
    """One overlay as a finder hands it over: what the plan keeps, and its maps."""

    kind: str
    box: Box  # source px, aligned to the chroma grid
    events: list[FoundEvent]
    confidence: float  # 0..1
    matte: np.ndarray | None = None  # (H, W) float32 over `box`; None where every event has its own
    unblend: Unblend | None = None  # over `box`; None is opaque
    evidence: dict[str, float | str] = field(default_factory=dict)
    trajectory: tuple[tuple[float, ...], ...] = ()  # as in the plan; () stands still


@dataclass
class FoundEvent:
    """One appearance; `box`, `matte` and `unblend` only where they differ from the overlay's."""

    range: FrameRange
    fade_in: int = 0
    fade_out: int = 0
    text: str = ""
    box: Box | None = None
    matte: np.ndarray | None = None
    unblend: Unblend | None = None


# Asks the perceiver network, which costs a second: (h, w) float32 probability that a px of the analysis picture is
# part of a mark that stands still, the mean of looks spread over the range; None where there is no weight.
Look = Callable[[], np.ndarray | None]


def appears(find: Found) -> int:
    """How often an overlay with a template appears: its events with a matte of their own show parts of it."""
    return sum(event.matte is None for event in find.events)


class Finder(Protocol):
    """Finds the overlays of one kind in two looks at the clip.

    First look: `survey` gets every frame at analysis size, in order. `propose` then names the places that are
    worth a second look, at native size: there `measure` gets the crops of every frame that it wants, in order. `finish`
    decides.
    No finder keeps frames: memory does not grow with the clip's length, except by a few bytes a frame.
    """

    def survey(self, small: Small) -> None: ...

    def propose(self, shots: tuple[FrameRange, ...], seen: Look) -> list[Box]:
        """Boxes in source px, aligned by `Layout.align`; empty when nothing is worth a look.

        `seen` is for what the statistics of the first look cannot decide.
        """
        ...

    def wants(self, frame: int) -> bool:
        """Whether a frame has to be measured; known from `propose` on, whatever is measured since."""
        ...

    def measure(self, frame: int, crops: list[list[np.ndarray]]) -> None:
        """`crops`: for each proposed box its colour planes, native integers, as `planes.crop` gives them."""
        ...

    def finish(self) -> list[Found]: ...


def names() -> tuple[str, ...]:
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def load(name: str, layout: Layout, whole: FrameRange, rate: float) -> Finder:
    """The Finder of a kind for a clip. Raises ValueError naming the known kinds."""
    if name not in names():
        raise ValueError(f"no finder for {name!r}; known: {', '.join(names())}")
    return importlib.import_module(f".{name}", __name__).Finder(layout, whole, rate)
