"""The clean picture of a region: un-blend what shines through, borrow what was seen, invent the rest, match it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from .bars import Black, bars, blank
from .completers import borrow, network, plate
from .completers.borrow import NOWHERE, Packed, Places
from .completers.fill import fill
from .flow import Motion, follow
from .grain import Grain, measured
from .hole import Hole, Part
from .job import COMPLETERS
from .layers import MOST_TIMES, layers, scenery
from .masks import subsampled
from .match import Candidate, compete, fuse, hold_against, match, spatial, spread, surest
from .missed import take_in
from .planes import from_levels, to_levels
from .plate import BORROWED, INVENTED, UNBLENDED, UNTOUCHED, Crops, Plate
from .quiet import Quiet
from .residue import settle_strength
from .scene import Scene, beneath_at, unblended
from .timing import FrameRange
from .unblend import invert

FEWEST_MISSING, LEAST_MISSING = 64, 0.03  # pixels of a frame that are never seen, and their share of what is hidden,
# from which they are looked for beyond the window, and asked of the network: fewer are filled as well by spreading
ASKED = 6  # frames of a window for which that is done
MISSES = 1  # of them, for which nothing is found, before it is given up
ASTRAY = 3.5  # times as much as the flow has another motion to be put right, that is wrong: one that helps mostly has
# to be 1 to 2.4 times as much, a camera's that was mistaken 5 to 27 times
MOST_FAR = 8_000_000  # px of frames beyond the window that are held
KEYFRAMES = {"draft": 1, "normal": 3, "best": 6}  # times that the never-seen is invented in one window

Better = Callable[[network.Known, bool], list[np.ndarray]]  # as network.better, on a device
_BETTER: Better = partial(network.better, device="auto")


def complete(
    crops: Crops,
    core: FrameRange,
    *,
    quality: str,
    completers: Sequence[str] = COMPLETERS,
    as_perceived: bool = False,
    better: Better = _BETTER,
) -> Iterator[Plate]:
    """Plates for those frames of `core` that an overlay covers, in order.

    `crops` is one region over consecutive frames of one shot; frames outside `core` only serve to borrow from.
    `completers`: the ways that may be used, of job.COMPLETERS; the surroundings are spread over what none reaches.
    `as_perceived`: the mattes are what was perceived and nobody's wish, so that frames that they miss are taken in.
    `better`: the network's part in it.
    """
    if as_perceived:
        crops = take_in(crops)
    crops = settle_strength(crops) if "unblend" in completers else replace(crops, unblends=[None] * len(crops.frames))
    scene = unblended(crops)
    if not any(cover is not None for cover in scene.covers):
        return iter(())
    keyframes = KEYFRAMES[quality] if "invent" in completers else 0
    seen, beyond, invented, grain = _places(scene, crops, keyframes, better, borrows="borrow" in completers)
    quiet, black = Quiet(scene, crops), bars(scene, crops)
    todo = [t for t, frame in enumerate(crops.frames) if frame in core and scene.covers[t] is not None]

    def matched(t: int) -> Plate:
        return _match(scene, crops, t, (seen[t], beyond[t], invented[t]), grain, quiet, black)

    return map(matched, todo)


def _places(
    scene: Scene, crops: Crops, keyframes: int, better: Better, *, borrows: bool
) -> tuple[list[list[Packed]], list[list[Packed]], list[list[Packed]], Grain | None]:
    """Of each frame the places to take its hidden pixels from: where they are seen, in the window and then beyond it,
    and where they are invented; and the grain for what is.

    Each before and after. Where two surfaces move differently, the motion of each tells where a pixel is seen; else the
    camera's does beside the flow, where they differ.
    """
    none: list[list[Packed]] = [[] for _ in crops.frames]
    if not any(hole is not None for hole in scene.holes):
        return none, none, none, None
    if not borrows and not keyframes:
        return none, none, none, None
    nothing = np.zeros(scene.shape, bool)
    lumas = [cv2.convertScaleAbs(luma) for luma in scene.volumes[0]]
    opaque = [nothing if mask is None else mask for mask in scene.opaque]
    motion = follow(lumas, opaque, [hole is not None for hole in scene.holes], crops.camera)
    others: list[Motion] = []
    if borrows:
        others = layers(lumas, opaque) if motion.led <= 1 - MOST_TIMES else []
        others = others or scenery(motion, opaque, crops.camera)
    del lumas, opaque
    seen = beyond = none
    if borrows:
        way, *rivals = (_both_ways(scene, scene.seen, way) for way in (motion, *others))
        ways = [way, *(rival for rival in rivals if _put_right(rival) < ASTRAY * _put_right(way))]
        seen = [[one for way in frame for one in way] for frame in zip(*ways, strict=True)]
        beyond = _beyond(scene, crops, motion, seen)
    missing = _missing(scene, seen, beyond) if keyframes else []
    bare = [t for t, mask in enumerate(missing) if mask.any()]
    if not bare:
        return seen, beyond, none, None
    grain = measured(scene, motion, bare)
    return seen, beyond, _invent(scene, crops, motion, seen, beyond, missing, keyframes, better), grain


def _both_ways(scene: Scene, seen: np.ndarray, motion: Motion, invented: Sequence[int] = ()) -> list[list[Packed]]:
    """For each frame its places in earlier frames, and in later ones."""

    def carry(onwards: bool) -> list[Places | None]:
        volume, holes = scene.volumes[0], scene.holes
        return borrow.carry(volume, scene.steep, seen, holes, motion, onwards=onwards, invented=invented)

    return _packed(carry, scene.shape)


def _put_right(way: list[list[Packed]]) -> float:
    """Px squared, all in all, by which the places of a motion had to be put right."""
    return sum(one.moved + borrow.SLACK for frame in way for one in frame)


def _packed(carry: Callable[[bool], list[Places | None]], shape: tuple[int, int]) -> list[list[Packed]]:
    """For each frame what is carried to it from before, and from after."""
    out: list[list[Packed]] = []
    for onwards in (False, True):
        found = carry(onwards)
        out = out or [[] for _ in found]
        for frame in reversed(out):
            places = found.pop()
            if places is not None:
                frame.append(Packed(places, shape))
    return out


def _beyond(scene: Scene, crops: Crops, motion: Motion, seen: list[list[Packed]]) -> list[list[Packed]]:
    """For each frame the places beyond the window of what is never seen in it."""
    none: list[list[Packed]] = [[] for _ in seen]
    if crops.beyond is None:
        return none
    missing = _missing(scene, seen)
    most = max(int(mask.sum()) for mask in missing)
    hidden = max((int(mask.sum()) for mask in scene.opaque if mask is not None), default=0)
    if not _are_many(most, hidden):
        return none
    step = crops.beyond.step
    asked = [t for t, frame in enumerate(crops.frames) if frame % step == 0 and missing[t].sum() > most / 2]
    known: dict[int, Places] = {}
    misses = 0
    for t in asked[len(asked) // (2 * ASKED) :: max(1, len(asked) // ASKED)][:ASKED]:
        frames, hole = crops.beyond.find(crops.frames[t], missing[t]), scene.holes[t]
        misses += not frames
        if frames and hole is not None:
            far, ways = plate.far_of(frames, crops.layout), [frame.way for frame in frames]
            places = plate.find(scene.volumes[0][t], hole, hole.parts[0, 0], missing[t], far, ways)
            if (places.frame != NOWHERE).any():
                scene.far, known[t] = plate.joined(scene.far, far, places)
        if misses > MISSES or (scene.far is not None and scene.far.seen.size > MOST_FAR):
            break
    if scene.far is None:
        return none

    def carry(onwards: bool) -> list[Places | None]:
        assert scene.far is not None
        lumas = scene.volumes[0]
        return plate.carry(known, lumas, scene.steep, scene.seen, scene.holes, motion, scene.far, onwards=onwards)

    return _packed(carry, scene.far.seen.shape[1:])


def _are_many(missing: int, hidden: int) -> bool:
    """Whether so many pixels of a frame that are never seen, of those that are hidden, are worth an effort."""
    return missing >= max(FEWEST_MISSING, LEAST_MISSING * hidden)


def _missing(scene: Scene, *places: list[list[Packed]]) -> list[np.ndarray]:
    """Of each frame, (H, W) bool, what nothing is known of and none of `places` leads to."""
    nothing = np.zeros(scene.shape, bool)
    return [
        nothing if hole is None or opaque is None else _nowhere(opaque, hole, [one for way in offers for one in way])
        for hole, opaque, *offers in zip(scene.holes, scene.opaque, *places, strict=True)
    ]


def _invent(
    scene: Scene,
    crops: Crops,
    motion: Motion,
    places: list[list[Packed]],
    beyond: list[list[Packed]],
    missing: list[np.ndarray],
    keyframes: int,
    better: Better,
) -> list[list[Packed]]:
    """Fills what was never seen in a few keyframes, which the others then borrow from: a filling that moves along.

    `missing`: of each frame, (H, W) bool, what none of `places` and `beyond` leads to.
    """
    missing, seen = list(missing), scene.seen.copy()
    invented: list[list[Packed]] = [[] for _ in places]
    keys: list[int] = []
    for _ in range(keyframes):
        left = np.array([m.sum() for m in missing])
        if not left.any():
            break
        key = _keyframe(left)
        _fill(scene, crops, key, missing[key], (places[key], beyond[key], invented[key]), better)
        seen[key] = True
        keys.append(key)
        invented.clear()  # before there are new ones: they are large
        invented = _both_ways(scene, seen, motion, keys)
        hole = scene.holes[key]
        assert hole is not None
        invented[key] = [Packed(Places(np.full(len(hole.x), key, np.int16), hole.x, hole.y), scene.shape)] * 2
        for t, hole in enumerate(scene.holes):
            if hole is not None and missing[t].any():
                missing[t] = _nowhere(missing[t], hole, invented[t])
    return invented


def _nowhere(mask: np.ndarray, hole: Hole, places: Sequence[Packed]) -> np.ndarray:
    """(H, W) bool: of `mask`, part of what is hidden, that which has a place in none of `places`."""
    lost = hole.spots
    if places:
        lost = lost[np.max([one.frame for one in places], 0) == NOWHERE]
    out = np.zeros(mask.shape, bool)
    out.ravel()[lost] = np.take(mask, lost)
    return out


def _keyframe(left: np.ndarray) -> int:
    """The frame with the fewest missing pixels; among equals the middle one, from where the way is short."""
    need = np.flatnonzero(left)
    fewest = need[left[need] <= left[need].min() * 1.05]
    return int(fewest[len(fewest) // 2])


def _fill(
    scene: Scene,
    crops: Crops,
    t: int,
    missing: np.ndarray,
    places: tuple[list[Packed], list[Packed], list[Packed]],
    better: Better,
) -> None:
    """Completes a frame in the scene itself: borrows what it can, keeps what was invented before, fills `missing`."""
    hole, opaque, maps = scene.holes[t], scene.opaque[t], None if crops.fading[t] else crops.unblends[t]
    beneath = invert(to_levels(crops.planes[t], crops.layout), maps, maps.noise) if maps else None
    assert hole is not None and opaque is not None
    seen, beyond, _ = places
    unseen = _nowhere(opaque, hole, seen)
    kept = _nowhere(unseen & ~missing, hole, beyond)
    values, variance = [volume[t].copy() for volume in scene.volumes], np.zeros(scene.shape, np.float32)
    for i, part, offers in _offers(scene, crops, t, *places):
        _only_there(offers, places, (unseen, kept), scene.shifts[i], part)
        value, expected = fuse(offers)
        values[i].ravel()[part.at] = value
        if i == 0:
            variance.ravel()[part.at] = expected
            variance[missing] = np.inf
    parts = [subsampled(missing, shift) for shift in scene.shifts]
    filled = fill(values, parts)
    bettered = filled
    if _are_many(int(missing.sum()), int(opaque.sum())):
        known = network.Known(
            filled,
            variance,
            hole.hidden,
            beneath and (beneath[0], beneath[1][0]),
            (values, kept) if kept.any() else None,
        )
        bettered = better(known, crops.layout.is_rgb)
    for volume, part_of, new, value in zip(scene.volumes, parts, bettered, filled, strict=True):
        volume[t] = np.where(part_of, new, value)


def _only_there(
    offers: list[Candidate],
    places: tuple[list[Packed], list[Packed], list[Packed]],
    masks: tuple[np.ndarray, np.ndarray],
    shift: tuple[int, int],
    part: Part,
) -> None:
    """Lets what lies beyond the window, and what was invented, say something in the masks (H, W) only; in place."""
    first = 1 + len(places[0])
    for group, mask in zip(places[1:], masks, strict=True):
        _only(offers[first : first + len(group)], mask, shift, part)
        first += len(group)


def _only(offers: Sequence[Candidate], mask: np.ndarray, shift: tuple[int, int], part: Part) -> None:
    """Lets candidates say something only where the mask (H, W) at luma size is True; in place."""
    if offers:
        silent = ~np.take(subsampled(mask, shift), part.at)
        for offer in offers:
            offer.variance[silent] = np.inf


def _offers(
    scene: Scene, crops: Crops, t: int, seen: list[Packed], beyond: list[Packed], invented: list[Packed]
) -> Iterator[tuple[int, Part, list[Candidate]]]:
    """For each plane its hidden samples in a frame, and all ways to complete them.

    Spread from around; borrowed from each of the places, matched to what is around them; un-blended.
    """
    hole, maps = scene.holes[t], None if crops.fading[t] else crops.unblends[t]
    assert hole is not None
    own, others = ([one.unpacked() for one in places] for places in ((*seen, *invented), beyond))
    for shift, planes in scene.kin().items():
        part, volumes = hole.parts[shift], [scene.volumes[i] for i in planes]
        pictures = [volume[t] for volume in volumes]
        taken = [borrow.take(volumes, one, part) for one in own]
        rings = [borrow.ring(volumes, one, hole, part, scene.seen) for one in own]
        if beyond and scene.far is not None:
            far = [scene.far.volumes[i] for i in planes]
            taken[len(seen) : len(seen)] = [borrow.take(far, one, part) for one in others]
            rings[len(seen) : len(seen)] = [borrow.ring(far, one, hole, part, scene.far.seen) for one in others]
        around = [one for picture in pictures for one in [np.take(picture, part.ring)] * len(taken)]
        matched = match(_by_plane(taken), around, _by_plane(rings), part)
        aged = [borrow.age(one, t, part) * borrow.strayed(one, seen[k % 2]) for k, one in enumerate(seen)]
        for k, (i, picture) in enumerate(zip(planes, pictures, strict=True)):
            smooth, witness, alone = picture, None, np.ones(len(part.at), bool)
            if maps is not None:
                smooth = picture.copy()  # the picture itself holds what was un-blended
                (smooth[part.box],) = spread([picture[part.box]], ~part.mask)
                estimate, deviation = beneath_at(crops, t, i, part.at)
                witness, alone = Candidate(estimate, deviation**2), np.isinf(deviation)
            offers = [spatial(smooth, part, alone), *matched[k * len(taken) : (k + 1) * len(taken)]]
            for offer, age in zip(offers[1:], aged, strict=False):
                offer.variance = offer.variance * np.where(alone, age, np.float32(1))
            if len(seen) > 2:
                borrowed = offers[1 : 1 + len(seen)]
                compete(list(zip(borrowed[::2], borrowed[1::2], strict=True)), part)
            if witness is not None:
                for offer in offers:
                    hold_against(offer, witness, part)
                offers.append(witness)
            yield i, part, offers


def _by_plane(borrowed: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """What is borrowed from each of some places of each plane, plane by plane."""
    return [one for plane in zip(*borrowed, strict=True) for one in plane]


def _match(
    scene: Scene,
    crops: Crops,
    t: int,
    places: tuple[list[Packed], list[Packed], list[Packed]],
    grain: Grain | None,
    quiet: Quiet,
    black: Black | None,
) -> Plate:
    """The plate of a frame: of what each way offers, as much as its expected error allows."""
    seen, beyond, invented = places
    cover, masks, hole, opaque = scene.covers[t], scene.masks[t], scene.holes[t], scene.opaque[t]
    assert cover is not None and masks is not None
    provenance = np.where(cover, np.uint8(UNBLENDED), np.uint8(UNTOUCHED))
    parts = [volume[t] for volume in scene.volumes]
    variances: list[np.ndarray | None] = [None] * len(parts)
    if hole is not None:
        parts = [part.copy() for part in parts]
        unseen = np.zeros_like(cover) if opaque is None else _nowhere(opaque, hole, seen)
        beyond = beyond if unseen.any() else []
        missing = _nowhere(unseen, hole, beyond)
        invented = invented if missing.any() else []
        labels = np.array(
            [INVENTED, *[BORROWED] * (len(seen) + len(beyond)), *[INVENTED] * len(invented), UNBLENDED], np.uint8
        )
        places = seen, beyond, invented
        for i, part, offers in _offers(scene, crops, t, *places):
            _only_there(offers, places, (unseen, missing), scene.shifts[i], part)
            value, expected = fuse(offers)
            if crops.unblends[t] is not None:
                variance = variances[i] = np.zeros(parts[i].shape, np.float32)
                variance.ravel()[part.at] = expected
            if grain is not None and missing.any():
                noise = grain.over(i, crops.frames[t], crops.layout, crops.box)
                if noise is not None:
                    value += np.take(noise * subsampled(missing, scene.shifts[i]), part.at)
            parts[i].ravel()[part.at] = value
            if i == 0:
                provenance.ravel()[part.at] = labels[surest(offers)]
    parts = quiet.over(parts, t, variances)
    if opaque is not None:  # what shines through tells itself of a light in a dark scene
        for one in (black, blank(scene, crops, t)):
            if one is not None:
                parts = one.over(parts, [subsampled(opaque, shift) for shift in scene.shifts])
                provenance[one.masks[0] & opaque] = BORROWED
    return Plate(crops.frames[t], crops.box, from_levels(parts, crops.layout), masks, provenance)
