"""What pass B works on and gives back: a region's crops over a window, and the plates that go over the frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .job import Box
from .maps import Unblend
from .planes import Layout

# Provenance: how a pixel was recovered. One small integer a pixel, from complete.py to the sidecars.
UNTOUCHED, UNBLENDED, BORROWED, INVENTED = 0, 1, 2, 3
PROVENANCE_NAMES = {UNBLENDED: "unblended", BORROWED: "borrowed", INVENTED: "invented"}


@dataclass
class Crops:
    """One region over consecutive frames of one shot, as they came from the decoder, and what lies over them.

    All lists have one entry a frame. Nothing in here is changed by who reads it.
    """

    layout: Layout  # of the picture that the crops were taken from (of the field, where fields are apart)
    box: Box  # of the region in that picture, aligned
    frames: list[int]  # source frames, consecutive
    planes: list[list[np.ndarray]]  # colour planes over the box, native integers
    mattes: list[np.ndarray | None]  # (H, W) float32 0..1 over the box at luma size; None where no overlay is visible
    unblends: list[Unblend | None]  # over the whole box; transmission 1 away from overlays; None where all is opaque
    fading: list[bool]  # True where an overlay is coming or going, so that `unblends` does not hold
    camera: Sequence[np.ndarray | None] = ()  # of each frame but the last (2, 3): px of it in the next; () unknown
    beyond: Beyond | None = None  # where to look for what none of these frames shows


@dataclass
class Beyond:
    """The way from some crops to frames beyond them."""

    step: int  # frames whose numbers are multiples of it may be asked for
    find: Callable[[int, np.ndarray], list[FarFrame]]  # frames that show what is wanted, (H, W) bool, of a frame


@dataclass
class FarFrame:
    """A frame beyond those of some crops, cut to the same box."""

    frame: int  # source frame
    planes: list[np.ndarray]  # colour planes over the box, native integers
    hidden: np.ndarray  # (H, W) bool: may not be borrowed
    way: np.ndarray  # (3, 3) homography: from px of the box in the frame that it was asked for to px here


@dataclass
class Plate:
    """The clean picture of one region in one frame: only samples where `masks` is True may be written."""

    frame: int  # source frame
    box: Box  # aligned
    planes: list[np.ndarray]  # colour planes over the box, native integers
    masks: list[np.ndarray]  # bool, one a plane, at the plane's own size
    provenance: np.ndarray  # (H, W) uint8 at luma size; UNTOUCHED outside the luma mask
