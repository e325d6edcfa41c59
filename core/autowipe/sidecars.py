"""What is written beside the cleaned clip: matte, provenance and compare pictures, text, counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from .job import Box
from .matte import bounds, pose_at
from .plan import Event, Overlay, Plan
from .plate import BORROWED, INVENTED, PROVENANCE_NAMES, UNBLENDED, UNTOUCHED, Plate

# RGB on black. The blues are pixels that the camera saw, vermilion is made up. Three of the palette
# of Okabe and Ito ("Color Universal Design") that also differ in lightness: told apart with any
# colour vision.
PROVENANCE_COLOURS = {UNBLENDED: (0, 114, 178), BORROWED: (86, 180, 233), INVENTED: (213, 94, 0)}

DIVIDER_PX = 4  # even, so that two pictures of any width fit 4:2:0
DIVIDER_GREY = 128

UNREAD = "[…]"  # stands for a line whose text was not read: its times are still worth having

Times = Sequence[float] | Callable[[int], float]  # source frame -> seconds from the output's first


def matte_picture(size: tuple[int, int], plates: Iterable[Plate]) -> np.ndarray:
    """What was wiped in one frame: (H, W) uint8, 255 where a sample of any plane was written.

    `size`: width and height in px of the picture that the plates belong to. A written chroma
    sample marks every pixel that shares it.
    """
    picture = np.zeros(size[::-1], np.uint8)
    for plate in plates:
        x, y, w, h = plate.box
        part = picture[y : y + h, x : x + w]
        for mask in plate.masks:
            part[_at_size(mask, (h, w))] = 255
    return picture


def provenance_picture(size: tuple[int, int], plates: Iterable[Plate]) -> np.ndarray:
    """How each pixel of one frame was recovered: (H, W, 3) uint8 RGB, black where it was not wiped.

    `size`: width and height in px of the picture that the plates belong to. A pixel of which only
    the chroma was written stays black: provenance belongs to the luma mask.
    """
    table = np.zeros((256, 3), np.uint8)
    for label, colour in PROVENANCE_COLOURS.items():
        table[label] = colour
    picture = np.zeros((*size[::-1], 3), np.uint8)
    for plate in plates:
        x, y, w, h = plate.box
        wiped = plate.provenance != UNTOUCHED
        picture[y : y + h, x : x + w][wiped] = table[plate.provenance[wiped]]
    return picture


def compare_picture(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Source at the left, result at the right, nothing scaled: (H, 2 W + DIVIDER_PX, 3) uint8."""
    divider = np.full((before.shape[0], DIVIDER_PX, 3), DIVIDER_GREY, np.uint8)
    return np.concatenate((before, divider, after), axis=1)


def places(overlay: Overlay, frame: int) -> list[Box]:
    """Where an overlay's enabled events show in `frame`: px boxes, moved along the trajectory."""
    pose = pose_at(overlay, frame)
    return [bounds(e.box or overlay.box, pose) for e in overlay.events if e.enabled and frame in e.range]


class Tally:
    """Counts the wiped pixels of a run by provenance, in all and for each overlay.

    Where the boxes of two overlays meet, the pixels there count for both. `as_dict` can be kept
    with a run's state as JSON, and given back as `start`.
    """

    def __init__(self, overlays: Sequence[Overlay], start: dict[str, Any] | None = None) -> None:
        """`overlays`: those to wipe, as `Plan.active` gives them."""
        self._overlays = tuple(overlays)
        self._spans = [np.array([e.range.as_list() for e in o.events]) for o in overlays]
        self.changed_frames = 0  # frames in which at least one sample was wiped
        self.whole = dict.fromkeys(PROVENANCE_NAMES.values(), 0)  # wiped pixels of all frames
        self.overlays = {o.id: dict.fromkeys(PROVENANCE_NAMES.values(), 0) for o in overlays}
        if start:
            self.changed_frames = start["changed_frames"]
            self.whole |= start["whole"]
            self.overlays |= {name: dict(counts) for name, counts in start["overlays"].items()}

    def add(self, frame: int, plates: Sequence[Plate]) -> None:
        """Counts one frame; `plates`: all that go over it, with boxes in source px."""
        wiped = [plate for plate in plates if any(mask.any() for mask in plate.masks)]
        if not wiped:
            return
        self.changed_frames += 1
        for plate in wiped:
            _count(self.whole, plate.provenance)
        for overlay, spans in zip(self._overlays, self._spans, strict=True):
            if ((spans[:, 0] <= frame) & (frame < spans[:, 1])).any():
                for box in places(overlay, frame):
                    for plate in wiped:
                        _count(self.overlays[overlay.id], _inside(plate, box))

    def as_dict(self) -> dict[str, Any]:
        return {
            "changed_frames": self.changed_frames,
            "whole": self.whole,
            "overlays": self.overlays,
        }


def shares(counts: dict[str, int]) -> dict[str, float]:
    """Counts by provenance as shares of their sum; empty when nothing was wiped."""
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()} if total else {}


def srt(plan: Plan, rate: Fraction | None = None, times: Times | None = None) -> str:
    """The wiped subtitles as SubRip text with "\\n" line ends; empty when there are none.

    Only enabled events of enabled `subtitle` overlays count. Lines that come and go together (two
    languages, two rows) are one cue, from the top down; a line that was not read is `UNREAD`. What goes on
    over the end of a section of pass A is one cue.
    `rate` is the plan's unless given; `times` is for a varying rate, a list may end with the last
    frame.
    """
    clock = _clock(rate or plan.source.rate, times)
    cues: dict[tuple[int, int], list[tuple[Box, str]]] = {}
    for overlay in plan.active(("subtitle",)):
        for event in overlay.events:
            key = (event.range.start, event.range.stop)
            cues.setdefault(key, []).append((event.box or overlay.box, _cue_text(event)))
    told: list[tuple[int, int, str]] = []
    for (start, stop), lines in sorted(cues.items()):
        lines.sort(key=lambda line: (line[0][1], line[0][0]))
        text = "\n".join(text for _, text in lines)
        before = next((cue for cue in told if cue[1:] == (start, text) and text != UNREAD), None)
        if before:
            told[told.index(before)] = (before[0], stop, text)
        else:
            told.append((start, stop, text))
    blocks = []
    for number, (start, stop, text) in enumerate(told, 1):
        span = f"{_stamp(clock(start))} --> {_stamp(clock(stop))}"
        blocks.append(f"{number}\n{span}\n{text}\n")
    return "\n".join(blocks)


def _at_size(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A plane's mask at luma size `shape`: each sample repeated over the pixels that share it."""
    for axis in (0, 1):
        factor = 1
        while -(-shape[axis] // factor) > mask.shape[axis]:
            factor *= 2
        if factor > 1:
            mask = mask.repeat(factor, axis=axis)
    return mask[: shape[0], : shape[1]]


def _inside(plate: Plate, box: Box) -> np.ndarray:
    """The part of a plate's provenance map that lies in `box`; maybe empty."""
    x0, y0 = max(0, box[0] - plate.box[0]), max(0, box[1] - plate.box[1])
    x1, y1 = box[0] + box[2] - plate.box[0], box[1] + box[3] - plate.box[1]
    return plate.provenance[y0 : max(y0, y1), x0 : max(x0, x1)]


def _count(counts: dict[str, int], provenance: np.ndarray) -> None:
    for label, name in PROVENANCE_NAMES.items():
        counts[name] += int(np.count_nonzero(provenance == label))


def _clock(rate: Fraction, times: Times | None) -> Callable[[int], float]:
    """A function from a source frame (or one past the last) to seconds."""
    if times is None:
        return lambda frame: float(frame / rate)
    if callable(times):
        return times
    last = len(times) - 1
    return lambda frame: times[min(frame, last)] + max(0, frame - last) / float(rate)


def _cue_text(event: Event) -> str:
    """A line as a cue can hold it: an empty row would end the cue, an arrow would begin one."""
    rows = [row.strip() for row in event.text.replace("-->", "→").splitlines()]
    return "\n".join(row for row in rows if row) or UNREAD


def _stamp(seconds: float) -> str:
    """HH:MM:SS,mmm, rounded down: a cue shows on its first frame, not on the first without it."""
    whole = max(0, int(seconds * 1000 + 1e-6))  # 1e-6: float times may lie a hair below their ms
    minutes, ms = divmod(whole, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{ms // 1000:02d},{ms % 1000:03d}"
