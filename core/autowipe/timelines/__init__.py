"""Timelines of editing programs: which media they use, and the same timeline written again with cleaned media.

One file per format. Each rewrites the program's own document where reading and writing it through a library would
lose something, and has

    is_mine(path, head)            whether a file is of this format; `head` is its first 4096 bytes
    read(path, rate)               a Document; `rate` is for formats that do not say theirs

Times on a medium's own clock are seconds as exact fractions. The clock starts at the medium's timecode or at 0,
as the timeline has it.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from ..errors import JobError, MediaError
from ..timing import FrameRange, read_timecode


@dataclass(frozen=True)
class Use:
    """One clip on a video track of a timeline."""

    number: int  # place in the document, from 0
    name: str  # as the editor sees it
    track: int  # video track, from 1
    record: Fraction  # first frame on the timeline, counted from the timeline's start
    length: Fraction  # frames on the timeline
    media: str | None  # path, URL or name as the document has it; None where it names none
    start: Fraction = Fraction(0)  # first moment used, s on the medium's clock
    stop: Fraction = Fraction(0)  # end of what is used, s on the medium's clock
    origin: Fraction | None = None  # the medium's first frame on its clock, s; None where the document does not say
    is_timecode: bool = False  # its clock counts whole timecode seconds, not real ones
    is_whole: bool = False  # all of the medium is used
    is_fixed: bool = False  # other times hang on its clock: cleaned media has to begin at the medium's first frame
    grid: Fraction | None = None  # s: cleaned media has to begin at a multiple of it, None is anywhere


@dataclass(frozen=True)
class Medium:
    """What is known of the file behind a use."""

    path: str
    rate: Fraction  # frames per second
    frames: int
    timecode: str | None  # of the first frame
    is_variable_rate: bool

    @property
    def first(self) -> int:
        """The first frame's number by its timecode, 0 where it has none."""
        return read_timecode(self.timecode, self.rate) if self.timecode else 0

    def clock(self, frame: int, *, is_timecode: bool = False) -> Fraction:
        """Seconds from the first frame to `frame`."""
        return Fraction(frame) / (round(self.rate) if is_timecode else self.rate)


@dataclass(frozen=True)
class Cleaned:
    """The file that takes a medium's place: it holds the frames `range` of it."""

    path: str
    medium: Medium
    range: FrameRange

    @property
    def is_whole(self) -> bool:
        return len(self.range) == self.medium.frames


class Document(Protocol):
    """A timeline that was read."""

    path: Path
    uses: tuple[Use, ...]

    def write(self, path: Path, cleaned: dict[int, Cleaned]) -> None:
        """Writes it again with the uses of these numbers on cleaned media; the rest stays as it is."""


def is_timeline(path: Path) -> bool:
    """Whether a path is a timeline in one of the formats."""
    return _module(path) is not None


def read(path: Path, rate: Fraction | None = None) -> Document:
    """Reads a timeline. Raises JobError where its format is unknown or a rate is needed, MediaError where damaged."""
    module = _module(path)
    if module is None:
        raise JobError(
            f"{path} is not a timeline that AutoWipe reads",
            code="timeline",
            hint=f"Export it as one of: {', '.join(names())}.",
        )
    try:
        return module.read(path, rate)
    except ImportError as err:
        raise JobError(
            f"this installation cannot read {path.suffix} timelines: {err.name} is missing",
            code="timeline-missing",
            hint="Run: python3 install.py, or: pip install 'autowipe[timeline]'",
        ) from err
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise MediaError(
            f"the timeline {path} cannot be read: {err}", code="timeline", hint="Export it again, or in another format."
        ) from err


def names() -> list[str]:
    """The formats, by their files here."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_"))


def frames_of(use: Use, medium: Medium) -> FrameRange:
    """The frames of the medium that a use shows, cut to those there are. Raises ValueError where it shows none."""
    if use.is_whole:
        return FrameRange(0, medium.frames)
    rate = Fraction(round(medium.rate)) if use.is_timecode else medium.rate
    slack = Fraction(1, 100)  # of a frame: documents round
    first = (use.start - origin_of(use, medium)) * rate
    last = (use.stop - origin_of(use, medium)) * rate
    start, stop = (first + slack).__floor__(), (last - slack).__ceil__()
    met = FrameRange(min(max(0, start), medium.frames), min(max(0, stop), medium.frames))
    if not met:
        raise ValueError(f"it shows frames {start} to {stop}, but {medium.path} has {medium.frames}")
    return met


def origin_of(use: Use, medium: Medium) -> Fraction:
    """The medium's first frame on the clock of a use, s."""
    if use.origin is not None:
        return use.origin
    begin = medium.clock(medium.first, is_timecode=use.is_timecode)
    return begin if use.start > begin - medium.clock(1) / 2 else Fraction(0)


def keeps_clock(use: Use, medium: Medium) -> bool:
    """Whether the document counts by the file's own timecode, which a cleaned file carries on."""
    begin = medium.clock(medium.first, is_timecode=use.is_timecode)
    return medium.first > 0 and abs(origin_of(use, medium) - begin) < medium.clock(1) / 2


_COMMON = [Fraction(n, 1001) for n in (24000, 30000, 48000, 60000, 120000)]


def exact_rate(rate: float) -> Fraction:
    """The exact rate behind a rounded one such as 23.976, 23.98 or 29.97."""
    for common in _COMMON:
        if abs(rate / float(common) - 1) < 2e-4:
            return common
    return Fraction(rate).limit_denominator(1001)


def _module(path: Path):
    head = b""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(4096)
    for name in names():
        module = importlib.import_module(f".{name}", __name__)
        if module.is_mine(path, head):
            return module
    return None
