"""The clean picture of a region: un-blend what shines through, borrow what was seen, invent the rest, match it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .completers import borrow
from .completers.borrow import NOWHERE, Places
from .completers.fill import fill
from .flow import Motion, follow
from .match import spread
from .planes import from_levels
from .plate import BORROWED, INVENTED, Crops, Plate
from .timing import FrameRange

COVERED = 0.02  # a matte below this changes 8-bit values by less than their rounding and the codec's noise
RING_PX = 4
NOISE = 4.0  # levels squared
MOST_KEYFRAMES = 4


def complete(crops: Crops, core: FrameRange, *, quality: str) -> list[Plate]:
    """Plates for the frames of `core` that an overlay covers."""
    scene = _look(crops)
    if not any(hole is not None for hole in scene.holes):
        return []
    motion = follow(scene.lumas, [scene.hole(t) for t in range(scene.count)])
    before = borrow.carry(scene.volumes[0], scene.seen, scene.surrounds, motion, onwards=False)
    after = borrow.carry(scene.volumes[0], scene.seen, scene.surrounds, motion, onwards=True)
    invented = _invent(scene, motion, before, after)
    return [_plate(scene, crops, t, before[t], after[t], invented) for t in range(scene.count)
            if crops.frames[t] in core and scene.holes[t] is not None]


@dataclass
class Scene:
    count: int
    volumes: list[np.ndarray]  # per plane (T, h, w) float32 levels, prefilled
    lumas: list[np.ndarray]  # uint8
    holes: list[np.ndarray | None]
    seen: list[np.ndarray]
    shifts: list[tuple[int, int]]
    shape: tuple[int, int]
    surrounds: list

    def hole(self, t):
        h = self.holes[t]
        return np.zeros(self.shape, bool) if h is None else h


def _look(crops: Crops) -> Scene:
    colour = crops.layout.colour
    shape = crops.planes[0][0].shape
    holes, seen, lumas = [], [], []
    volumes = [np.stack([p[i] for p in crops.planes]).astype(np.float32) * np.float32(2.0 ** (8 - colour[i].bits)) for i in range(len(colour))]
    shifts = [(p.shift_x, p.shift_y) for p in colour]
    for t, matte in enumerate(crops.mattes):
        hole = None if matte is None else matte > COVERED
        if hole is not None and not hole.any():
            hole = None
        holes.append(hole)
        if hole is None:
            seen.append(np.ones(shape, bool))
        else:
            blocked = cv2.dilate(hole.astype(np.uint8), np.ones((3, 3), np.uint8))
            seen.append(blocked == 0)
            for volume, shift in zip(volumes, shifts):
                part = shrink(hole, shift, volume.shape[1:])
                volume[t] = spread(volume[t], (~part).astype(np.float32))
        lumas.append(np.rint(volumes[0][t]).clip(0, 255).astype(np.uint8))
    surrounds: list = []
    for t, hole in enumerate(holes):
        if hole is None:
            surrounds.append(None)
        elif t and holes[t - 1] is not None and np.array_equal(hole, holes[t - 1]):
            surrounds.append(surrounds[-1])
        else:
            surrounds.append(borrow.surround(hole))
    return Scene(len(crops.frames), volumes, lumas, holes, seen, shifts, shape, surrounds)


def shrink(hole, shift, shape):
    if shift == (0, 0):
        return hole
    sx, sy = 1 << shift[0], 1 << shift[1]
    h, w = shape
    padded = np.zeros((h * sy, w * sx), bool)
    padded[: hole.shape[0], : hole.shape[1]] = hole
    return padded.reshape(h, sy, w, sx).any((1, 3))


@dataclass
class Inventions:
    before: list[Places]
    after: list[Places]
    volumes: list[np.ndarray]


def _missing(scene, t, *pairs):
    m = scene.hole(t).copy()
    for p in pairs:
        m &= p[t].frame == NOWHERE
    return m


def _invent(scene: Scene, motion: Motion, before, after):
    missing = [_missing(scene, t, before, after) for t in range(scene.count)]
    left = np.array([m.sum() for m in missing])
    result = Inventions([borrow.nowhere(scene.shape)] * scene.count, [borrow.nowhere(scene.shape)] * scene.count, scene.volumes)
    if not left.any():
        return result
    seen = [s.copy() for s in scene.seen]
    for n in range(MOST_KEYFRAMES):
        need = [t for t in range(scene.count) if left[t] > 0]
        if not need:
            break
        few = min(left[t] for t in need)
        close = [t for t in need if left[t] <= few * 1.02]
        key = close[len(close) // 2]
        _fill_keyframe(scene, key, missing[key], before[key], after[key], result)
        seen[key] = np.ones(scene.shape, bool)
        result.before = borrow.carry(scene.volumes[0], seen, scene.surrounds, motion, onwards=False)
        result.after = borrow.carry(scene.volumes[0], seen, scene.surrounds, motion, onwards=True)
        # the keyframe itself
        x, y = borrow.grid(scene.shape)
        for s in (result.before, result.after):
            p = s[key]
            p.frame, p.x, p.y, p.doubt = np.full(scene.shape, key, np.int16), x, y, np.zeros(scene.shape, np.float32)
        missing = [m & (result.before[t].frame == NOWHERE) & (result.after[t].frame == NOWHERE) for t, m in enumerate(missing)]
        left = np.array([m.sum() for m in missing])
    return result


def _fill_keyframe(scene, key, missing, before, after, result):
    hole = scene.hole(key)
    done = _borrowed(scene, key, before, after)
    for i, (volume, shift) in enumerate(zip(scene.volumes, scene.shifts)):
        part = shrink(hole, shift, volume.shape[1:])
        gap = shrink(missing, shift, volume.shape[1:]) & part
        picture = volume[key].copy()
        picture[part] = done[i][part]
        volume[key] = fill(picture, gap)


def _borrowed(scene, t, before, after):
    hole = scene.hole(t)
    ring, nearest = _ring(hole)
    out = []
    weights = None
    for i, (volume, shift) in enumerate(zip(scene.volumes, scene.shifts)):
        part = shrink(hole, shift, volume.shape[1:])
        picture = volume[t].copy()
        shared = []
        for p in (before, after):
            shared.append(_one(scene, t, i, volume, shift, part, p, hole, ring, nearest))
        if i == 0:
            weights = [np.where(s[2], 1 / (s[1] + NOISE), 0) for s in shared]
        sub = [w[:: 1 << shift[1], :: 1 << shift[0]] for w in weights]
        # chroma: valid where source exists at the sample's place
        ws = [np.where(s[2], np.maximum(u, 1e-6), 0) for s, u in zip(shared, sub)]
        total = ws[0] + ws[1]
        value = (ws[0] * shared[0][0] + ws[1] * shared[1][0]) / np.maximum(total, 1e-9)
        ok = part & (total > 0)
        picture[ok] = value[ok]
        out.append(picture)
    return out


def _ring(hole):
    distance, label = cv2.distanceTransformWithLabels((~hole).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    ys, xs = np.nonzero(hole)
    # labels number the zero pixels
    table = np.zeros(label.max() + 1, np.int64)
    table[label[ys, xs]] = ys * hole.shape[1] + xs
    ring = (distance > 1) & (distance <= RING_PX)
    ry, rx = np.nonzero(ring)
    return (ry, rx), table[label[ry, rx]]


def _one(scene, t, i, volume, shift, part, p, hole, ring, nearest):
    """value, variance, valid: (h, w) each, of one direction's candidates for plane i, matched to the ring."""
    sx, sy = 1 << shift[0], 1 << shift[1]
    h, w = volume.shape[1:]
    H, W = scene.shape
    py, px = np.nonzero(part)
    ly, lx = np.minimum(py * sy, H - 1), np.minimum(px * sx, W - 1)
    f = p.frame[ly, lx]
    # offset form
    dx, dy = p.x[ly, lx] - lx, p.y[ly, lx] - ly
    value = np.zeros((h, w), np.float32)
    valid = np.zeros((h, w), bool)
    value[py, px] = borrow.sample(volume, f, (px + dx / sx).astype(np.float32), (py + dy / sy).astype(np.float32))
    valid[py, px] = f != NOWHERE
    variance = np.zeros((h, w), np.float32)
    # ring
    ry, rx = ring
    ny, nx = np.divmod(nearest, W)
    keep = (ry % sy == 0) & (rx % sx == 0)
    ry, rx, ny, nx = ry[keep], rx[keep], ny[keep], nx[keep]
    f = p.frame[ny, nx]
    x, y = p.x[ny, nx] + (rx - nx), p.y[ny, nx] + (ry - ny)
    ix, iy = np.rint(x).astype(int), np.rint(y).astype(int)
    good = (f != NOWHERE) & (ix >= 0) & (iy >= 0) & (ix < W) & (iy < H)
    seen = np.zeros(len(f), bool)
    for s in np.unique(f[good]):
        which = good & (f == s)
        seen[which] = scene.seen[s][iy[which], ix[which]]
    ry, rx, f, x, y = (a[seen] for a in (ry, rx, f, x, y))
    cy, cx = ry // sy, rx // sx
    ok = (cy < h) & (cx < w)
    cy, cx, f, x, y, ry, rx = (a[ok] for a in (cy, cx, f, x, y, ry, rx))
    got = borrow.sample(volume, f, (cx + (x - rx) / sx).astype(np.float32), (cy + (y - ry) / sy).astype(np.float32))
    error = np.zeros((h, w), np.float32)
    weight = np.zeros((h, w), np.float32)
    difference = volume[t][cy, cx] - got
    error[cy, cx] = difference
    weight[cy, cx] = 0.3 / (1 + (difference / 20) ** 2)
    if len(cy):
        offset = spread(error, weight)
        residual = np.zeros((h, w), np.float32)
        residual[cy, cx] = (difference - offset[cy, cx] * 0) ** 2
        if i == 0:
            variance = spread(residual, (weight > 0).astype(np.float32) * 0.3)
        value += offset
    return value, variance, valid


def _plate(scene: Scene, crops: Crops, t, before, after, invented) -> Plate:
    hole = scene.hole(t)
    got = _borrowed(scene, t, before, after)
    missing = hole & (before.frame == NOWHERE) & (after.frame == NOWHERE)
    provenance = np.where(hole, BORROWED, 0).astype(np.uint8)
    if missing.any():
        more = _borrowed(scene, t, invented.before[t], invented.after[t])
        rest = missing & (invented.before[t].frame == NOWHERE) & (invented.after[t].frame == NOWHERE)
        provenance[missing] = INVENTED
        for i, shift in enumerate(scene.shifts):
            gap = shrink(missing, shift, got[i].shape)
            got[i][gap] = more[i][gap]
            if rest.any():
                got[i] = fill(got[i], shrink(rest, shift, got[i].shape))
    masks = [shrink(hole, shift, volume.shape[1:]) for shift, volume in zip(scene.shifts, scene.volumes)]
    return Plate(crops.frames[t], crops.box, from_levels(got, crops.layout), masks, provenance)
