"""The clean picture of a region: un-blend what shines through, borrow what was seen, invent the rest, match it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np

from .completers import borrow, network
from .completers.borrow import NOWHERE, Places, Surround
from .completers.fill import fill
from .flow import Motion, follow, grid
from .job import COMPLETERS
from .layers import layers
from .match import Candidate, compete, expected, fuse, hold_against, match, spatial, spread
from .missed import take_in
from .planes import from_levels, to_levels
from .plate import BORROWED, INVENTED, UNBLENDED, UNTOUCHED, Crops, Plate
from .residue import settle_strength
from .timing import FrameRange
from .unblend import invert

COVERED = 0.02  # a matte below this changes 8-bit samples by less than their rounding and the codec's noise
NOISE = 1.7  # levels: what H.264 at crf 20 leaves on seen samples
SHINES = 2.0  # un-blended samples up to this many times the noise are as good as any that could be borrowed
WORKERS = 2  # frames matched at a time: more gain little, as each holds the interpreter for a good part
AROUND_PX, ALIGN_PX = 32, 32  # of what is hidden: more of the picture says nothing of it; where spreading halves alike
KEYFRAMES = {"draft": 1, "normal": 3, "best": 6}  # times that the never-seen is invented in one window


def complete(
    crops: Crops,
    core: FrameRange,
    *,
    quality: str,
    completers: Sequence[str] = COMPLETERS,
    as_perceived: bool = False,
    device: str = "auto",
) -> list[Plate]:
    """Plates for those frames of `core` that an overlay covers.

    `crops` is one region over consecutive frames of one shot; frames outside `core` only serve to borrow from.
    `completers`: the ways that may be used, of job.COMPLETERS; the surroundings are spread over what none reaches.
    `as_perceived`: the mattes are what was perceived and nobody's wish, so that frames that they miss are taken in.
    `device`: where the network runs, one of job.DEVICES.
    """
    if as_perceived:
        crops = take_in(crops)
    crops = settle_strength(crops) if "unblend" in completers else replace(crops, unblends=[None] * len(crops.frames))
    scene = _unblend(crops)
    if not any(hole is not None for hole in scene.holes):
        return []
    keyframes = KEYFRAMES[quality] if "invent" in completers else 0
    seen, invented = _places(scene, crops, keyframes, device, borrows="borrow" in completers)
    todo = [t for t, frame in enumerate(crops.frames) if frame in core and scene.holes[t] is not None]

    def matched(t: int) -> Plate:
        return _match(scene, crops, t, [one[t] for one in seen], [one[t] for one in invented])

    return list(_workers().map(matched, todo))


@cache
def _workers() -> ThreadPoolExecutor:
    """Kept for all windows: every new thread would take its own share of memory."""
    return ThreadPoolExecutor(WORKERS, "complete")


@dataclass
class _Scene:
    """A window with its overlays un-blended where they can be, and what is still hidden."""

    volumes: list[np.ndarray]  # a plane: (T, h, w) float32 levels; where hidden, spread from around
    shifts: list[tuple[int, int]]  # a plane: log2 of its subsampling, x and y
    holes: list[np.ndarray | None]  # (H, W) bool: covered, to be written; None where nothing is
    hidden: list[np.ndarray | None]  # (H, W) bool: to be borrowed: opaque, or un-blended with much noise; None: none
    opaque: list[np.ndarray | None]  # (H, W) bool: of it, what nothing is known of; None where nothing is
    seen: list[np.ndarray]  # (H, W) bool: may be borrowed
    surrounds: list[Surround | None]  # of what is hidden

    @property
    def shape(self) -> tuple[int, int]:
        return self.seen[0].shape

    def part(self, mask: np.ndarray, plane: int) -> np.ndarray:
        """A mask at luma size in the samples of a plane: True where any sample beneath is."""
        return _shrink(mask, self.shifts[plane], self.volumes[plane].shape[1:])


def _unblend(crops: Crops) -> _Scene:
    """The window with what shines through an overlay un-blended, and what is hidden spread over from around."""
    colour = crops.layout.colour
    volumes = [
        np.stack(frames) for frames in zip(*(to_levels(planes, crops.layout) for planes in crops.planes), strict=True)
    ]
    scene = _Scene(volumes, [(p.shift_x, p.shift_y) for p in colour], [], [], [], [], [])
    for t, matte in enumerate(crops.mattes):
        hole = None if matte is None else matte > COVERED
        hidden = opaque = hole = hole if hole is not None and hole.any() else None
        beneath = None if hole is None else _beneath(crops, t)
        if hole is not None and beneath is not None:
            estimates, deviations = beneath
            hidden = hole & (deviations[0] > SHINES * NOISE)
            opaque = hidden & np.isinf(deviations[0])
            hidden, opaque = (mask if mask.any() else None for mask in (hidden, opaque))
            for volume, estimate in zip(volumes, estimates, strict=True):
                volume[t] = estimate
        scene.holes.append(hole)
        scene.hidden.append(hidden)
        scene.opaque.append(opaque)
        scene.seen.append(_clear_of(hidden, crops.planes[0][0].shape, scene.shifts))
        scene.surrounds.append(_surround(scene, t))
        if opaque is not None:
            for i, volume in enumerate(volumes):
                (volume[t],) = spread([volume[t]], (~scene.part(opaque, i)).astype(np.float32))
    return scene


def _beneath(crops: Crops, t: int) -> tuple[list[np.ndarray], list[np.ndarray]] | None:
    """Estimates and deviations of the picture beneath; None where the overlay is opaque, or is coming or going."""
    maps = crops.unblends[t]
    if maps is None or crops.fading[t]:
        return None
    return invert(to_levels(crops.planes[t], crops.layout), maps, NOISE)


def _clear_of(hidden: np.ndarray | None, shape: tuple[int, int], shifts: Sequence[tuple[int, int]]) -> np.ndarray:
    """What may be borrowed: a sample's neighbours, which the interpolation takes in, and its chroma are seen too."""
    if hidden is None:
        return np.ones(shape, bool)
    sx, sy = 1 << max(s[0] for s in shifts), 1 << max(s[1] for s in shifts)
    coarse = _shrink(hidden, (sx.bit_length() - 1, sy.bit_length() - 1), (-(-shape[0] // sy), -(-shape[1] // sx)))
    whole = coarse.repeat(sy, 0).repeat(sx, 1)[: shape[0], : shape[1]]
    return cv2.dilate(whole.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0


def _shrink(mask: np.ndarray, shift: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    if shift == (0, 0):
        return mask
    sx, sy = 1 << shift[0], 1 << shift[1]
    out = np.zeros(shape, bool)
    for y in range(sy):
        for x in range(sx):
            part = mask[y::sy, x::sx]
            out[: part.shape[0], : part.shape[1]] |= part
    return out


def _surround(scene: _Scene, t: int) -> Surround | None:
    hidden = scene.hidden[t]
    if hidden is None:
        return None
    last = scene.hidden[t - 1] if t else None
    if last is not None and np.array_equal(hidden, last):
        return scene.surrounds[t - 1]
    return borrow.surround(hidden)


def _places(
    scene: _Scene, crops: Crops, keyframes: int, device: str, *, borrows: bool
) -> tuple[list[list[Places]], list[list[Places]]]:
    """Places to take each hidden pixel from: where it is seen, and where it is invented; each before and after.

    Where two surfaces move differently, the motion of each tells where a pixel is seen.
    """
    if not any(hidden is not None for hidden in scene.hidden):
        return [], []
    nowhere = [borrow.nowhere(scene.shape)] * len(crops.frames)
    if not borrows and not keyframes:
        return [nowhere, nowhere], []
    nothing = np.zeros(scene.shape, bool)
    lumas = [np.rint(luma).clip(0, 255).astype(np.uint8) for luma in scene.volumes[0]]
    opaque = [nothing if mask is None else mask for mask in scene.opaque]
    motion = follow(lumas, opaque)
    seen = [nowhere, nowhere]
    if borrows:
        seen = [one for way in (motion, *layers(lumas, opaque)) for one in _both_ways(scene, scene.seen, way)]
    return seen, _invent(scene, crops, motion, seen, keyframes, device)


def _both_ways(scene: _Scene, seen: list[np.ndarray], motion: Motion) -> list[list[Places]]:
    """For each frame its places in earlier frames, and in later ones."""

    def carry(onwards: bool) -> list[Places]:
        return borrow.carry(scene.volumes[0], seen, scene.surrounds, motion, onwards=onwards)

    return list(_workers().map(carry, (False, True)))


def _invent(
    scene: _Scene, crops: Crops, motion: Motion, places: list[list[Places]], keyframes: int, device: str
) -> list[list[Places]]:
    """Fills what was never seen in a few keyframes, which the others then borrow from: a filling that moves along."""
    nothing = np.zeros(scene.shape, bool)
    missing = [
        nothing if opaque is None else _nowhere(opaque, [one[t] for one in places])
        for t, opaque in enumerate(scene.opaque)
    ]
    seen = list(scene.seen)
    invented: list[list[Places]] = []
    for _ in range(keyframes):
        left = np.array([m.sum() for m in missing])
        if not left.any():
            break
        key = _keyframe(left)
        _fill(scene, crops, key, missing[key], [one[key] for one in places], [one[key] for one in invented], device)
        seen[key] = np.ones(scene.shape, bool)
        invented = _both_ways(scene, seen, motion)
        x, y = grid(scene.shape)
        here = Places(np.full(scene.shape, key, np.int16), x, y)
        for direction in invented:
            direction[key] = here
        missing = [_nowhere(m, [one[t] for one in invented]) for t, m in enumerate(missing)]
    return invented


def _nowhere(mask: np.ndarray, places: Sequence[Places]) -> np.ndarray:
    """(H, W) bool: of `mask` what has a place in none of `places`."""
    return mask & np.logical_and.reduce([one.frame == NOWHERE for one in places])


def _keyframe(left: np.ndarray) -> int:
    """The frame with the fewest missing pixels; among equals the middle one, from where the way is short."""
    need = np.flatnonzero(left)
    fewest = need[left[need] <= left[need].min() * 1.05]
    return int(fewest[len(fewest) // 2])


def _fill(
    scene: _Scene,
    crops: Crops,
    t: int,
    missing: np.ndarray,
    seen: list[Places],
    invented: list[Places],
    device: str,
) -> None:
    """Completes a frame in the scene itself: borrows what it can, keeps what was invented before, fills `missing`."""
    hidden, opaque, beneath = scene.hidden[t], scene.opaque[t], _beneath(crops, t)
    assert hidden is not None and opaque is not None
    kept = _nowhere(opaque & ~missing, seen)
    values, variance = [], np.zeros(hidden.shape, np.float32)
    for i, (at, offers) in enumerate(_offers(scene, t, seen, invented, beneath)):
        for offer in offers[1 + len(seen) : 1 + len(seen) + len(invented)]:
            offer.variance[~scene.part(kept, i)[at]] = np.inf
        values.append(scene.volumes[i][t].copy())
        np.copyto(values[i][at], fuse(offers)[0], where=scene.part(hidden, i)[at])
        if i == 0:
            variance[at] = expected(offers)
            variance[missing] = np.inf
    filled = fill(values, [scene.part(missing, i) for i in range(len(values))])
    known = network.Known(
        filled,
        variance,
        hidden,
        beneath and (beneath[0], beneath[1][0]),
        (values, kept) if kept.any() else None,
    )
    better = network.better(known, is_rgb=crops.layout.is_rgb, device=device)
    for i, (volume, value) in enumerate(zip(scene.volumes, filled, strict=True)):
        volume[t] = np.where(scene.part(missing, i), better[i], value)


def _offers(
    scene: _Scene,
    t: int,
    seen: list[Places],
    invented: list[Places],
    beneath: tuple[list[np.ndarray], list[np.ndarray]] | None,
) -> Iterator[tuple[tuple[slice, slice], list[Candidate]]]:
    """For each plane the part of it that holds all hidden samples of a frame, and all ways to complete them there.

    Spread from around; borrowed from each of the places, matched to what is around them; un-blended.
    """
    places = [*seen, *invented]
    hidden, around = scene.hidden[t], scene.surrounds[t]
    assert hidden is not None and around is not None
    beyond = [borrow.beside(one, around, scene.seen) for one in places]
    for i, (volume, shift) in enumerate(zip(scene.volumes, scene.shifts, strict=True)):
        whole = scene.part(hidden, i)
        at = _near(hidden, shift)
        part, picture = whole[at], volume[t][at]
        smooth = picture
        if beneath is not None:  # the picture itself holds what was un-blended
            (smooth,) = spread([picture], (~part).astype(np.float32))
        offers = [spatial(smooth, part)]
        for one, ring_of in zip(places, beyond, strict=True):
            value = borrow.take(volume, shift, one, whole)[at]
            offers.append(match(value, picture, borrow.ring(volume, shift, around, ring_of, hidden.shape[1])[at]))
        if len(seen) > 2:
            borrowed = offers[1 : 1 + len(seen)]
            compete(list(zip(borrowed[::2], borrowed[1::2], strict=True)))
        if beneath is not None:
            estimates, deviations = beneath
            witness = Candidate(estimates[i][at], deviations[i][at] ** 2)
            for offer in offers:
                hold_against(offer, witness)
            offers.append(witness)
        yield at, offers


def _near(hidden: np.ndarray, shift: tuple[int, int]) -> tuple[slice, slice]:
    """The part of a plane around all that is hidden; `shift`: log2 of its subsampling, x and y."""
    out = []
    for axis, by in ((1, shift[1]), (0, shift[0])):
        filled = np.flatnonzero(hidden.any(axis))
        first = max(0, int(filled[0]) - AROUND_PX) // ALIGN_PX * ALIGN_PX
        out.append(slice(first >> by, (int(filled[-1]) + 1 + AROUND_PX) >> by))
    return out[0], out[1]


def _match(scene: _Scene, crops: Crops, t: int, seen: list[Places], invented: list[Places]) -> Plate:
    """The plate of a frame: of what each way offers, as much as its expected error allows."""
    hole, hidden = scene.holes[t], scene.hidden[t]
    assert hole is not None
    provenance = np.where(hole, np.uint8(UNBLENDED), np.uint8(UNTOUCHED))
    parts = [volume[t] for volume in scene.volumes]
    if hidden is not None:
        parts = [part.copy() for part in parts]
        opaque = scene.opaque[t]
        missing = np.zeros_like(hidden) if opaque is None else _nowhere(opaque, seen)
        invented = invented if missing.any() else []
        labels = [INVENTED, *[BORROWED] * len(seen), *[INVENTED] * len(invented), UNBLENDED]
        for i, (at, candidates) in enumerate(_offers(scene, t, seen, invented, _beneath(crops, t))):
            for offer in candidates[1 + len(seen) : 1 + len(seen) + len(invented)]:
                offer.variance[~scene.part(missing, i)[at]] = np.inf
            value, heaviest = fuse(candidates)
            np.copyto(parts[i][at], value, where=scene.part(hidden, i)[at])
            if i == 0:
                provenance[hidden] = np.array(labels, np.uint8)[heaviest[hidden[at]]]
    masks = [scene.part(hole, i) for i in range(len(parts))]
    return Plate(crops.frames[t], crops.box, from_levels(parts, crops.layout), masks, provenance)
