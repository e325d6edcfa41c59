"""Where two windows of a shot meet: what each of them invented goes over from the one to the other, frame by frame.

Windows are completed apart, so that they may be made side by side and a run may begin at any of them; so each of them
invents anew what none of its frames shows. Where a window ends it therefore goes on for as long as it looks ahead (its
tail), and there the next one's inventions are faded in over its own. A window thus depends on the one before it alone,
never on where a run began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .boxes import common
from .job import Box
from .masks import subsampled
from .planes import Layout, cut, from_levels, to_levels
from .plate import INVENTED, Plate
from .timing import FrameRange, Window

Tail = dict[int, list[Plate]]  # by frame: plates that a window made beyond its core


def tail_of(window: Window) -> FrameRange:
    """The frames after a window's core into which it goes on; none where it ends with its shot."""
    return FrameRange(window.core.stop, max(window.core.stop, window.span.stop))


def parted(made: Iterator[Plate], window: Window, tails: dict[int, Tail]) -> Iterator[Plate]:
    """Of a window's plates, in order, those of its core; of those after it `tails` gets an entry once all are made."""
    tail: Tail = {}
    for plate in made:
        if plate.frame < window.core.stop:
            yield plate
        else:
            tail.setdefault(plate.frame, []).append(plate)
    tails[window.core.stop] = tail


def faded_in(made: Iterator[Plate], before: Window, tails: dict[int, Tail], layout: Layout) -> Iterator[Plate]:
    """A window's plates, with the tail of the one before it going over into them. Takes it out of `tails`."""
    over = tail_of(before)
    tail = tails.pop(over.start, {})
    for plate in made:
        share = (plate.frame - over.start + 1) / (len(over) + 1)
        yield _faded(plate, tail.get(plate.frame, ()), share, layout) if plate.frame in over else plate


def _faded(plate: Plate, others: Sequence[Plate], share: float, layout: Layout) -> Plate:
    """The plate, of whose values `share` (0..1) counts where it or another plate of its frame is invented."""
    for other in others:
        box = common(plate.box, other.box)
        if box is None:
            continue
        new, old = (
            [_inner(one.provenance, one.box, box), *cut(one.masks, layout, one.box, box)] for one in (plate, other)
        )
        invented = (new[0] == INVENTED) | (old[0] == INVENTED)
        if not invented.any():
            continue
        planes = [part.copy() for part in plate.planes]
        levels = (to_levels(cut(one.planes, layout, one.box, box), layout) for one in (plate, other))
        mixed = from_levels([a * share + b * (1 - share) for a, b in zip(*levels, strict=True)], layout)
        for into, part, plane, own, its in zip(
            cut(planes, layout, plate.box, box), mixed, layout.colour, new[1:], old[1:], strict=True
        ):
            np.copyto(into, part, where=own & its & subsampled(invented, plane.shift))
        provenance = plate.provenance.copy()
        _inner(provenance, plate.box, box)[invented & new[1] & old[1]] = INVENTED
        plate = Plate(plate.frame, plate.box, planes, plate.masks, provenance)
    return plate


def _inner(values: np.ndarray, box: Box, inner: Box) -> np.ndarray:
    """A view of the part of (H, W) values over a box that lies over a box in it."""
    x, y = inner[0] - box[0], inner[1] - box[1]
    return values[y : y + inner[3], x : x + inner[2]]
