"""A window as completing works on it: its overlays un-blended where they can be, and what is still hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .completers import borrow
from .completers.plate import Far
from .faint import Faint
from .hole import Hole, hole_of
from .maps import NOISE, Unblend
from .masks import subsampled
from .match import spread
from .planes import to_levels
from .plate import Crops
from .unblend import invert

COVERED = 0.02  # a matte below this changes 8-bit samples by less than their rounding and the codec's noise
SHINES = 2.0  # un-blended samples up to this many times the noise are as good as any that could be borrowed


@dataclass
class Scene:
    """A window with its overlays un-blended where they can be, and what is still hidden."""

    volumes: list[np.ndarray]  # a plane: (T, h, w) float32 levels; where hidden, spread from around
    shifts: list[tuple[int, int]]  # a plane: log2 of its subsampling, x and y
    covers: list[np.ndarray | None]  # (H, W) bool: to be written; None where nothing is
    masks: list[list[np.ndarray] | None]  # the same in the samples of each plane
    holes: list[Hole | None]  # of it, what is to be borrowed: opaque, or un-blended with much noise; None: none
    opaque: list[np.ndarray | None]  # (H, W) bool: of it, what nothing is known of; None where nothing is
    seen: np.ndarray  # (T, H, W) bool: may be borrowed
    steep: list[np.ndarray | None]  # of each frame with a hole the luma's slopes around it
    far: Far | None = None  # frames beyond the window, where they were asked for

    @property
    def shape(self) -> tuple[int, int]:
        return self.seen.shape[1:]

    def kin(self) -> dict[tuple[int, int], list[int]]:
        """The planes of each subsampling."""
        out: dict[tuple[int, int], list[int]] = {}
        for i, shift in enumerate(self.shifts):
            out.setdefault(shift, []).append(i)
        return out


def unblended(crops: Crops) -> Scene:
    """The window with what shines through an overlay un-blended, and what is hidden spread over from around."""
    colour = crops.layout.colour
    count, shape = len(crops.frames), crops.planes[0][0].shape
    volumes = [np.empty((count, *plane.shape), np.float32) for plane in crops.planes[0]]
    scene = Scene(volumes, [p.shift for p in colour], [], [], [], [], np.ones((count, *shape), bool), [])
    noisy: dict[int, np.ndarray] = {}  # by what un-blends it: what is as noisy in any frame is borrowed in all
    changed: dict[int, list[np.ndarray]] = {}  # samples of each plane
    last, faint = None, None
    lost: list[np.ndarray | None] = []
    for t, matte in enumerate(crops.mattes):
        for volume, levels in zip(volumes, to_levels(crops.planes[t], crops.layout), strict=True):
            volume[t] = levels
        cover = None if matte is None else matte > COVERED
        maps, gone = None if crops.fading[t] else crops.unblends[t], None
        if cover is not None and maps is not None:
            if faint is None or maps is not last:
                last, faint = maps, Faint(maps)
            cover = cover & faint.shown([volume[t] for volume in volumes])
        cover = cover if cover is not None and cover.any() else None
        scene.covers.append(scene.covers[-1] if t and cover is not None and _equal(cover, scene.covers[-1]) else cover)
        if cover is not None and maps is not None:
            key = id(maps)
            if key not in noisy:
                noisy[key] = np.zeros(shape, bool)
                changed[key] = [
                    np.flatnonzero((a != 1) | (b != 0))
                    for a, b in zip(maps.transmission, maps.contribution, strict=True)
                ]
            gone = np.zeros(shape, bool)
            for i, at in enumerate(changed[key]):
                at = at[np.take(subsampled(cover, scene.shifts[i]), at)]  # else what is not written may be borrowed
                estimate, deviation = beneath_at(crops, t, i, at)
                volumes[i][t].ravel()[at] = estimate
                if i == 0:
                    noisy[key].ravel()[at] |= deviation > SHINES * NOISE
                    gone.ravel()[at] = np.isinf(deviation)
        lost.append(gone)
    for t, (cover, gone) in enumerate(zip(scene.covers, lost, strict=True)):
        is_same = t > 0 and cover is not None and cover is scene.covers[t - 1]
        masks = None if cover is None else [subsampled(cover, shift) for shift in scene.shifts]
        scene.masks.append(scene.masks[-1] if is_same else masks)
        hidden = opaque = cover
        if cover is not None and gone is not None:
            hidden = cover & noisy[id(crops.unblends[t])]
            opaque = cover & gone
            hidden, opaque = (mask if mask.any() else None for mask in (hidden, opaque))
        hole = scene.holes[-1] if t else None
        if hidden is None:
            hole = None
        elif hole is None or not np.array_equal(hidden, hole.hidden):
            hole = hole_of(hidden, scene.shifts)
        scene.holes.append(hole)
        scene.opaque.append(opaque)
        if hole is not None:
            scene.seen[t].ravel()[hole.spots] = False
    for t in range(count):
        _spread_over(scene, t)
    scene.steep = [borrow.slopes(luma, hole) for luma, hole in zip(volumes[0], scene.holes, strict=True)]
    return scene


def _spread_over(scene: Scene, t: int) -> None:
    """Spreads the surroundings over what nothing is known of; in place."""
    hole, opaque = scene.holes[t], scene.opaque[t]
    if hole is not None and opaque is not None:
        for volume, shift in zip(scene.volumes, scene.shifts, strict=True):
            at = hole.parts[shift].box
            (volume[t][at],) = spread([volume[t][at]], ~subsampled(opaque, shift)[at])


def _equal(mask: np.ndarray, other: np.ndarray | None) -> bool:
    return other is not None and np.array_equal(mask, other)


def beneath_at(crops: Crops, t: int, i: int, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate and deviation of the picture beneath, of some samples (N,) of plane `i`: (N,) float32 levels."""
    maps = crops.unblends[t]
    assert maps is not None
    seen = to_levels([np.take(plane, at if k == i else []) for k, plane in enumerate(crops.planes[t])], crops.layout)
    a, b = np.take(maps.transmission[i], at), np.take(maps.contribution[i], at)
    doubt = maps.doubt and [np.take(maps.doubt[i], at)]
    (estimate,), (deviation,) = invert([seen[i]], Unblend([a], [b], doubt), maps.noise)
    return estimate, deviation
