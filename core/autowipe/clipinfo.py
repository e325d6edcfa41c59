"""What a clip is: the record that every stage reads, and how what a file leaves unsaid is settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import numpy as np

from .planes import Layout, Matrix, Siting
from .timing import FrameRange

FieldOrder = Literal["progressive", "top", "bottom"]  # the field that is shown first

MOST_GAPS = 3  # in a short clip: more of them are how it was made
SEQUENCE_RATE = 25  # frames per second of a numbered sequence, which says nothing about it itself


@dataclass(frozen=True)
class ColourTags:
    """What the stream says about its colours, in the numbers of ITU-T H.273; 2 is unspecified."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    range: int = 0  # FFmpeg's numbers: 0 unspecified, 1 limited, 2 full


@dataclass(frozen=True)
class OtherStream:
    """A stream of the file besides the one that is cleaned."""

    index: int
    type: str  # audio, subtitle, data, attachment, video
    codec: str  # empty where unknown


@dataclass(frozen=True)
class ClipInfo:
    """A clip as the container and the first frame describe it."""

    path: str
    layout: Layout
    rate: Fraction  # frames per second, nominal where the rate varies
    time_base: Fraction  # seconds for one unit of pts
    frames: int  # that the clip has; of a file that was cut short, that it once had
    pts: np.ndarray = field(compare=False, repr=False)  # (held,) int64 in order, of frames there
    is_variable_rate: bool
    container: str  # FFmpeg's name of the demuxer
    codec: str
    profile: str | None
    bit_rate: int | None  # of the video stream, bits a second
    is_intra_only: bool  # every packet can be decoded by itself
    sample_aspect: Fraction | None
    rotation: int  # degrees counterclockwise that a player turns the picture by
    field_order: FieldOrder  # the field that is shown first
    field_code: int  # the same as FFmpeg's AVFieldOrder, which also tells how a file stores the fields
    timecode: str | None  # of the first frame
    tags: ColourTags
    matrix: Matrix  # to compute with
    full_range: bool  # to compute with
    siting: Siting  # of the chroma samples, to compute with
    stream: int  # index of the video stream in the file
    streams: tuple[OtherStream, ...]  # all the others
    is_image_sequence: bool

    @property
    def gaps(self) -> list[int]:
        """Frames after which an otherwise even clip leaves out the time of others, most likely by damage."""
        steps = np.diff(self.pts)
        if not len(steps):
            return []
        usual = float(np.median(steps))
        long = steps > 1.5 * usual
        is_even = bool((np.abs(steps[~long] - usual) <= 1.01 + 0.1 * usual).all())
        few = int(long.sum()) <= max(MOST_GAPS, len(steps) // 100)
        return [int(frame) for frame in np.flatnonzero(long)] if is_even and few else []

    @property
    def whole(self) -> FrameRange:
        return FrameRange(0, self.frames)

    @property
    def held(self) -> int:
        """Frames that are there; fewer than `frames` where the file was cut short."""
        return len(self.pts)


_RATES = tuple(Fraction(n, 1001) for n in (24000, 30000, 48000, 60000, 120000)) + tuple(
    Fraction(n) for n in (24, 25, 30, 48, 50, 60, 100, 120)
)


def rate_of(times: Sequence[int], time_base: Fraction, said: Sequence[Fraction]) -> tuple[Fraction, bool]:
    """Frames per second, nominal where the rate varies, and whether it does.

    `times`: pts in order, `said`: what the container says, best first. A rate is measured from the pts, and takes
    the exact value of what is said, or of a common rate, where these agree.
    """
    pts = np.asarray(times, np.float64)
    if len(pts) < 2:
        return (said or [Fraction(SEQUENCE_RATE)])[0], False
    mean = (pts[-1] - pts[0]) / (len(pts) - 1)
    strays = np.abs(pts - pts[0] - mean * np.arange(len(pts))).max()
    usual = float(np.median(np.diff(pts)))
    # A tick from rounding pts, as in Matroska. Where a frame lasts one tick, nothing is rounded: some are left out.
    rounding = 1.01 if usual > 1 else 0.0
    is_variable = bool(strays > rounding + 0.01 * mean)
    step = usual if is_variable else mean
    if step <= 0:
        return (said or [Fraction(SEQUENCE_RATE)])[0], True
    measured = 1 / (step * float(time_base))
    slack = 1e-6 + rounding / step / (1 if is_variable else len(pts) - 1)
    nearest = min(_RATES, key=lambda rate: abs(rate / measured - 1))
    likely = [near for rate in said for near in (*_RATES, rate) if abs(near / rate - 1) < 2e-4]
    for rate in (*likely, nearest):
        if abs(float(rate) / measured - 1) <= slack:
            return rate, is_variable
    return Fraction(measured).limit_denominator(1001), is_variable


def field_code_of(order: int, is_interlaced: bool, container: str) -> int:
    """AVFieldOrder as MOV and Matroska use it: 1 progressive, 2 and 4 show the top field first, 3 and 5 the bottom.

    4 and 5 are fields stored line by line, as Apple and RFC 9559 define them; FFmpeg's MXF reader means by them
    what its header says, fields that are shown in the other order than they are coded.
    """
    if "mxf" in container:
        order = {4: 3, 5: 2}.get(order, order)
    if order in (2, 3, 4, 5):
        return order
    return 2 if is_interlaced else 1


FIELD_ORDERS: dict[int, FieldOrder] = {1: "progressive", 2: "top", 3: "bottom", 4: "top", 5: "bottom"}


def matrix_of(tags: ColourTags, layout: Layout) -> Matrix:
    """Untagged, material of HD size is BT.709, as editing programs take it."""
    if layout.is_rgb:
        return "rgb"
    if tags.matrix in (9, 10, 14) or (tags.matrix == 2 and tags.primaries == 9):
        return "bt2020"
    if tags.matrix in (4, 5, 6):
        return "bt601"
    if tags.matrix == 2 and layout.height < 720 and layout.width < 1280:
        return "bt601"
    return "bt709"


def is_full_range(tags: ColourTags, layout: Layout) -> bool:
    if layout.is_rgb or layout.pix_fmt.startswith("yuvj"):
        return True
    is_grey = len(layout.colour) == 1
    return tags.range == 2 or (tags.range == 0 and is_grey)


def siting_of(tags: ColourTags, layout: Layout, codec: str) -> Siting:
    """Where chroma samples sit in a stream that does not say it."""
    if codec in ("mjpeg", "mpeg1video") or layout.pix_fmt.startswith("yuvj"):
        return "center"
    is_420 = len(layout.colour) > 1 and layout.planes[1].shift_y > 0
    return "topleft" if is_420 and matrix_of(tags, layout) == "bt2020" else "left"  # BT.2100, table 7
