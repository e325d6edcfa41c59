"""Frame ranges, rates and timecode: half-open ranges of source frames, rates as exact fractions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, order=True)
class FrameRange:
    """Source frames `start` up to but not including `stop`."""

    start: int  # first frame, 0-based
    stop: int  # one past the last frame

    def __post_init__(self) -> None:
        if self.start < 0 or self.stop < self.start:
            raise ValueError(f"a frame range runs from 0 upwards, not {self.start}:{self.stop}")

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __contains__(self, frame: int) -> bool:
        return self.start <= frame < self.stop

    def meet(self, other: FrameRange) -> FrameRange:
        """The frames in both; empty (at this range's end or start) where there are none."""
        start = min(max(self.start, other.start), self.stop)
        return FrameRange(start, max(start, min(self.stop, other.stop)))

    def grown(self, frames: int, within: FrameRange) -> FrameRange:
        """This range with `frames` more on both sides, cut to `within`."""
        return FrameRange(max(self.start - frames, within.start), min(self.stop + frames, within.stop))

    def as_list(self) -> list[int]:
        return [self.start, self.stop]


def parse_range(text: str) -> FrameRange:
    """Reads "START:STOP" in source frames, half-open. Raises ValueError with the reason."""
    match = re.fullmatch(r"(\d+):(\d+)", text.strip())
    if not match:
        raise ValueError(f"a range is START:STOP in frames, such as 0:250, not {text!r}")
    start, stop = int(match[1]), int(match[2])
    if stop <= start:
        raise ValueError(f"the range {text} is empty: STOP must be greater than START")
    return FrameRange(start, stop)


def parse_rate(text: str) -> Fraction:
    """Reads a rate such as "25" or "30000/1001". Raises ValueError with the reason."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"a rate is a whole number or a fraction such as 30000/1001, not {text!r}") from None
    if rate <= 0:
        raise ValueError(f"a rate is greater than 0, not {text}")
    return rate


def timecode(frame: int, rate: Fraction) -> str:
    """HH:MM:SS:FF of a frame counted from 0, for display; drop-frame (`;`) at 30000/1001 and 60000/1001.

    Drop-frame numbering is SMPTE ST 12-1: frame numbers 0 and 1 (0 to 3 at 59.94) are skipped every minute
    but the tenth, so that the clock keeps up with real time.
    """
    nominal = max(1, round(rate))
    mark = ":"
    if rate in (Fraction(30000, 1001), Fraction(60000, 1001)):
        drop = nominal // 15
        per_minute, per_ten = nominal * 60 - drop, nominal * 600 - 9 * drop
        tens, rest = divmod(frame, per_ten)
        frame += 9 * drop * tens + (drop * ((rest - drop) // per_minute) if rest >= drop else 0)
        mark = ";"
    seconds, frames = divmod(frame, nominal)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{frames:02d}"


def read_timecode(text: str, rate: Fraction) -> int:
    """The frame that a timecode names, counted from 00:00:00:00; the inverse of `timecode`.

    Drop-frame numbering is told by a `;`, `.` or `,` before the frames. Raises ValueError where it is no timecode.
    """
    match = re.fullmatch(r"(\d+)[:;.,](\d\d)[:;.,](\d\d)([:;.,])(\d+)", text.strip())
    if not match:
        raise ValueError(f"a timecode is HH:MM:SS:FF, not {text!r}")
    hours, minutes, seconds, frames = (int(match[i]) for i in (1, 2, 3, 5))
    nominal = max(1, round(rate))
    total_minutes = 60 * hours + minutes
    number = (60 * total_minutes + seconds) * nominal + frames
    if match[4] != ":" and nominal % 30 == 0:
        number -= nominal // 15 * (total_minutes - total_minutes // 10)
    return number


@dataclass(frozen=True)
class Window:
    """Consecutive frames of one shot worked on together: `core` is written, `span` is read around it."""

    core: FrameRange
    span: FrameRange


def windows(shots: tuple[FrameRange, ...], *, most: int, handle: int) -> Iterator[Window]:
    """Cuts shots into windows that cover every frame once, in order.

    A shot of at most `most` frames is one window. A longer one becomes cores of equal length, with up to
    `handle` frames of the same shot before and after, so that `most` frames are never exceeded by more than
    rounding. The cut depends on the shots alone: a resumed run sees the same windows.
    """
    if most <= 2 * handle:
        raise ValueError(f"a window of {most} frames has no room for handles of {handle}")
    for shot in shots:
        count = 1 if len(shot) <= most else -(-len(shot) // (most - 2 * handle))
        for i in range(count):
            core = FrameRange(shot.start + len(shot) * i // count, shot.start + len(shot) * (i + 1) // count)
            yield Window(core, core.grown(handle, shot))
