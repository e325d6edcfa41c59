"""Picks the pixel format in which an encoder holds a clip's samples, and brings pictures into it.

Wherever the format can hold the samples, they arrive exactly: another memory order, more bits, an added plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import av
import numpy as np

from .errors import MediaError
from .planes import Layout, Matrix, layout_of, views

LIMITED, FULL = 1, 2  # AVColorRange
_SWS_MATRICES: dict[Matrix, str | None] = {"bt601": "ITU601", "bt709": "ITU709", "bt2020": "BT2020", "rgb": None}


@dataclass(frozen=True)
class _Traits:
    bits: int
    shifts: tuple[int, int]  # the chroma's subsampling across and down, as log2
    has_alpha: bool
    is_rgb: bool
    is_grey: bool


def nearest(layout: Layout, formats: Sequence[str]) -> str:
    """The pixel format among `formats` that holds a layout's samples with the least loss, then the least excess.

    Raises MediaError when none can be used.
    """
    if layout.pix_fmt in formats:
        return layout.pix_fmt
    known = []
    for name in formats:
        try:
            known.append(layout_of(name, layout.width, layout.height))
        except MediaError:
            continue
    if not known:
        raise MediaError(
            f"the encoder has no pixel format for {layout.pix_fmt} at {layout.width}x{layout.height} px",
            code="pixel-format",
            hint="Choose another codec with --codec, such as ffv1.",
        )
    return min(known, key=lambda other: (len(losses(layout, other)), *_distance(layout, other))).pix_fmt


def losses(source: Layout, target: Layout) -> list[str]:
    """What of `source` does not fit into `target`, in words."""
    has, gets = _traits(source), _traits(target)
    found = []
    if gets.bits < has.bits:
        found.append(f"{has.bits} bits become {gets.bits}")
    if _coarser(has, gets):
        found.append("chroma gets coarser")
    if has.has_alpha and not gets.has_alpha:
        found.append("alpha is left out")
    if has.is_rgb != gets.is_rgb and not (has.is_grey or gets.is_grey):
        found.append("RGB becomes Y'CbCr" if has.is_rgb else "Y'CbCr becomes RGB")
    if gets.is_grey and not has.is_grey:
        found.append("colour is left out")
    return found


def is_same_kind(source: Layout, target: Layout) -> bool:
    """Whether only the memory order differs."""
    return _traits(source) == _traits(target)


class Converter:
    """Brings decoded pictures of a layout into an encoder's pixel format.

    `is_full`: the samples use the whole range of codes. They are scaled to limited range where `to_limited`.
    `matrix`: the source's. RGB becomes Y'CbCr by that of BT.709.
    """

    def __init__(
        self, source: Layout, pix_fmt: str, *, matrix: Matrix, is_full: bool, to_limited: bool = False
    ) -> None:
        self._source, self._target = source, layout_of(pix_fmt, source.width, source.height)
        self._is_full, self._to_limited = is_full, to_limited and is_full and not self._target.is_rgb
        self._from, self._to = _SWS_MATRICES[matrix], _SWS_MATRICES["bt709" if source.is_rgb else matrix]
        # FFmpeg keeps the range of these in the format's name: planes are the same as without the j.
        self._plain = layout_of(source.pix_fmt.replace("yuvj", "yuv"), source.width, source.height)
        self._is_exact = not self._to_limited and _is_exact(source, self._target)

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        if self._source.pix_fmt == self._target.pix_fmt and not self._to_limited:
            return picture
        if self._is_exact:
            return _repack(picture, self._source, self._target)
        if self._plain != self._source:
            picture = _repack(picture, self._source, self._plain)
        levels = FULL if self._is_full else LIMITED
        return picture.reformat(
            format=self._target.pix_fmt,
            src_colorspace=self._from,
            dst_colorspace=self._to,
            src_color_range=levels,
            dst_color_range=LIMITED if self._to_limited else levels,
        )


def _repack(picture: av.VideoFrame, source: Layout, target: Layout) -> av.VideoFrame:
    """The same samples in another memory order, deeper ones shifted up; what was not there is grey or opaque."""
    new = av.VideoFrame(source.width, source.height, target.pix_fmt)
    new.color_range, new.colorspace = picture.color_range, picture.colorspace
    new.color_primaries, new.color_trc = picture.color_primaries, picture.color_trc
    given = dict(zip((plane.role for plane in source.planes), source.planes, strict=True))
    samples = dict(zip(given, views(picture, source), strict=True))
    for plane, view in zip(target.planes, views(new, target), strict=True):
        role = plane.role if plane.role in given else "Y" if plane.role in "RGB" else None
        if role is None:
            view[...] = (2**plane.bits - 1 if plane.role == "A" else 2 ** (plane.bits - 1)) << plane.low
            continue
        codes = samples[role] >> given[role].low if given[role].low else samples[role]
        up = plane.bits - given[role].bits + plane.low
        view[...] = codes.astype(view.dtype, copy=False) << up if up else codes
    return new


def _is_exact(source: Layout, target: Layout) -> bool:
    """Whether every plane of `source` has its place in `target`, with the same number of samples and enough bits."""
    if losses(source, target) or (target.is_rgb and not source.is_rgb and len(source.colour) > 1):
        return False
    given = {plane.role: plane for plane in source.planes}
    return all(
        plane.role not in given
        or (plane.shift_x, plane.shift_y) == (given[plane.role].shift_x, given[plane.role].shift_y)
        for plane in target.planes
    )


def _distance(source: Layout, target: Layout) -> tuple[int, int, int, int]:
    """How much is lost, then how much is carried along for nothing."""
    has, gets = _traits(source), _traits(target)
    lost = max(0, has.bits - gets.bits) + 8 * _coarser(has, gets) + 64 * (gets.is_grey and not has.is_grey)
    finer = 5 - sum(gets.shifts) if has.is_grey and not gets.is_grey else _coarser(gets, has)
    more = abs(gets.bits - has.bits) + 8 * finer + 16 * (gets.is_rgb != has.is_rgb)
    return lost, more, gets.has_alpha - has.has_alpha, sum(plane.low for plane in target.planes)


def _coarser(one: _Traits, two: _Traits) -> int:
    """By how many halvings the chroma of `two` is coarser than that of `one`, where both have any."""
    if one.is_grey or two.is_grey:
        return 0
    return sum(max(0, b - a) for a, b in zip(one.shifts, two.shifts, strict=True))


def _traits(layout: Layout) -> _Traits:
    roles = {plane.role for plane in layout.planes}
    return _Traits(
        max(plane.bits for plane in layout.colour),
        (max(plane.shift_x for plane in layout.planes), max(plane.shift_y for plane in layout.planes)),
        "A" in roles,
        "R" in roles,
        len(layout.colour) == 1,
    )


def comparable_rgb(picture: av.VideoFrame) -> np.ndarray:
    """(H, W, 3) uint8 RGB by one fixed matrix and range for every file, so that a colour tag changes no figure."""
    if picture.format.name.startswith("yuv"):
        picture = picture.reformat(
            format="rgb24",
            src_colorspace="ITU601",
            dst_colorspace="ITU601",
            src_color_range="MPEG",
            dst_color_range="JPEG",
        )
    return picture.to_ndarray(format="rgb24")
