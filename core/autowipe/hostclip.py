"""A clip whose frames a host has: what `decode.Clip` is for a file, for frames that come over the line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from .clipinfo import ClipInfo, ColourTags
from .planes import Layout, layout_of
from .timing import FrameRange

RATE = Fraction(25)  # a host tells none that would matter
LEVELS = 65280  # codes of 1.0: so 16-bit samples have the levels of 8-bit ones, 255 for white


@dataclass
class HostFrame:
    """One frame."""

    index: int
    views: list[np.ndarray]  # R, G, B: (H, W) uint8 or uint16
    is_corrupt: bool = False

    @property
    def samples(self) -> list[np.ndarray]:
        """As `views`, to be read only."""
        return self.views


class HostClip:
    """Frames `0` to `count` of a host's clip, as far as `fetch` gives them."""

    def __init__(self, layout: Layout, count: int, fetch: Callable[[int], list[np.ndarray]]) -> None:
        """`fetch`: colour planes of a frame."""
        self.info = info_of(layout, count)
        self._fetch = fetch

    def frames(self, source_range: FrameRange | None = None) -> Iterator[HostFrame]:
        for index in source_range or self.info.whole:
            yield HostFrame(index, self._fetch(index))

    def picked(self, wanted: Iterable[int]) -> Iterator[HostFrame]:
        for index in sorted(set(wanted)):
            yield HostFrame(index, self._fetch(index))


def info_of(layout: Layout, count: int) -> ClipInfo:
    """What stages ask of a clip; a host tells neither rate nor tags that would matter to them."""
    return ClipInfo(
        path="the host's frames",
        layout=layout,
        rate=RATE,
        time_base=1 / RATE,
        frames=count,
        pts=np.arange(count),
        is_variable_rate=False,
        container="host",
        codec="rawvideo",
        profile=None,
        bit_rate=None,
        is_intra_only=True,
        sample_aspect=None,
        rotation=0,
        field_order="progressive",
        field_code=1,
        timecode=None,
        tags=ColourTags(),
        matrix="rgb",
        full_range=True,
        siting="left",
        stream=0,
        streams=(),
        is_image_sequence=False,
    )


def shallow(size: tuple[int, int]) -> Layout:
    """To look for overlays in."""
    return layout_of("gbrp", *size)


def deep(size: tuple[int, int]) -> Layout:
    """To make plates in."""
    return layout_of("gbrp16le", *size)


def to_planes(rgb: np.ndarray, layout: Layout) -> list[np.ndarray]:
    """(h, w, 3) float RGB as codes; what lies beyond 0..1, or is no number, becomes the nearest that a code can say."""
    white, most, kind = (255, 255, np.uint8) if layout.colour[0].bits == 8 else (LEVELS, 65535, np.uint16)
    codes = np.rint(np.nan_to_num(rgb, nan=0.0) * np.float32(white)).clip(0, most)
    return [np.ascontiguousarray(codes[..., c].astype(kind)) for c in range(3)]


def to_float(planes: Sequence[np.ndarray]) -> np.ndarray:
    """(h, w, 3) float32 RGB of a plate's 16-bit planes."""
    return np.dstack(planes).astype(np.float32) / np.float32(LEVELS)
