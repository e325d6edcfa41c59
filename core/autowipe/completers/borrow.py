"""Borrows: for every hidden pixel, where in the window its scene point is seen, found by going along the motion.

What is carried is never a colour but a place, (frame, x, y), so that the colour is sampled once, at its source.
The places are followed from frame to frame and at each frame put right against what is seen around the hole, so that
the small errors of the flow do not add up over a long way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..flow import Motion
from ..hole import CELL, Hole, Part, points

NOWHERE = -1
MOST_STEPS = 65535  # over the picture, in which packed places are told
NARROW, WIDE = 1.0, 4.0  # cells: windows of the fit; the wide one speaks where the narrow one holds no texture
WIDE_SHARE = 0.05
STIFF = 0.05  # levels squared a pixel: texture weaker than this moves nothing
HALO_PX = 3.0  # next to the overlay the codec's ringing rests with it
OTHER = 9.0  # levels: a difference beyond this is another surface, not a shift of the same
MOST_ROWS = 32_000  # that cv2.remap can take
STRAYED_PX, STRAYED = 8.0, 30  # px by which a way may have strayed, and its frames, from which it leads nowhere
SLACK = 0.05  # px squared, by which the places of any motion have to be put right
FEWEST = 50  # pixels of the band to put a hole right by
EVERY = 8  # pixels of the band that tell the light's change


@dataclass
class Places:
    """Where each spot of a frame's hole is seen: in the nearest frame that shows it, in one direction of time."""

    frame: np.ndarray  # (N,) int16, index in the window; NOWHERE where the point is not seen
    x: np.ndarray  # (N,) float32 px there
    y: np.ndarray  # (N,) float32
    moved: float = 0.0  # px squared, their mean, by which they were put right on the way there


class Packed:
    """Places at 6 bytes a spot instead of 10: a window holds those of all its frames, and little takes more memory.

    In a region of 1,000 px they are rounded to 1/32 px; whole pixels stay what they are.
    """

    def __init__(self, places: Places, shape: tuple[int, int]) -> None:
        """`shape`: of the picture in which they lie, or at most 1 px beside it."""
        self.frame, self.moved = places.frame, places.moved
        self._steps = np.float32(2 ** int(np.log2(MOST_STEPS / (max(shape) + 1))))  # a px
        self._x, self._y = (
            np.rint((at + 1) * self._steps).clip(0, MOST_STEPS).astype(np.uint16) for at in (places.x, places.y)
        )

    def unpacked(self) -> Places:
        x, y = (at / self._steps - 1 for at in (self._x, self._y))
        return Places(self.frame, x, y, self.moved)


def nowhere(hole: Hole) -> Places:
    count = len(hole.spots)
    return Places(np.full(count, NOWHERE, np.int16), *np.zeros((2, count), np.float32))


def carry(
    lumas: np.ndarray,
    steep: Sequence[np.ndarray | None],
    seen: np.ndarray,
    holes: Sequence[Hole | None],
    motion: Motion,
    *,
    onwards: bool,
    invented: Sequence[int] = (),
) -> list[Places | None]:
    """For each frame its places in earlier frames, or, `onwards`, in later ones; None where nothing is hidden.

    What would be found only after a long way along a motion that differs around there is taken for not found: between
    two surfaces the way drifts from one to the other. `invented`: frames of which any place is as good.

    `lumas`: (T, H, W) float32 levels; `steep`: of each frame with a hole its `slopes`; `seen`: (T, H, W) bool, what
    may be borrowed: all but the spots of the holes.
    """
    count = len(seen)
    out: list[Places | None] = [None if hole is None else nowhere(hole) for hole in holes]
    doubts = [np.zeros(0 if hole is None else len(hole.spots), np.float32) for hole in holes]  # px, by which ways stray
    order = range(count - 2, -1, -1) if onwards else range(1, count)
    for t in order:
        hole, slope = holes[t], steep[t]
        if hole is None or slope is None:
            continue
        s = t + 1 if onwards else t - 1
        right, down, doubts[t] = motion.at(t, s, hole.x, hole.y)
        places, further, through = step(out[s], holes[s], s, seen[s], hole.x + right, hole.y + down)
        doubts[t][further] += np.take(doubts[s], through)
        places.moved = (before.moved if (before := out[s]) is not None else 0.0) * len(further) / len(hole.x)
        out[t] = places
        put_right(places, lumas, seen, lumas[t], slope, hole)
    for t, (found, doubt) in enumerate(zip(out, doubts, strict=True)):
        if found is not None:
            gone = np.abs(found.frame - np.int16(t))
            found.frame[(doubt > STRAYED_PX) & (gone > STRAYED) & ~np.isin(found.frame, invented)] = NOWHERE
    return out


def slopes(luma: np.ndarray, hole: Hole | None) -> np.ndarray | None:
    """(2, B) float32: the gradient in the hole's band, levels a px, to the right and down; None without a hole."""
    if hole is None:
        return None
    if not len(hole.band):
        return np.zeros((2, 0), np.float32)
    first, last = (int(one) // luma.shape[1] for one in (hole.band.min(), hole.band.max()))
    top = max(0, first - 1)
    part = luma[top : last + 2]
    at = hole.band - top * luma.shape[1]
    return np.stack(
        [np.take(cv2.Sobel(part, cv2.CV_32F, *axis, ksize=3, scale=1 / 8), at) for axis in ((1, 0), (0, 1))]
    )


def take(volumes: Sequence[np.ndarray], places: Places, part: Part) -> list[np.ndarray]:
    """What lies at the places of the hidden samples of each of some planes: (M,) float32, NaN where nothing is seen.

    `volumes`: (T, h, w) float32 each, of the subsampling that `part` is for.
    """
    frame = np.take(places.frame, part.spot)
    x, y = (
        own + (np.take(place, part.spot) - luma) / step
        for own, place, luma, step in zip(
            (part.x, part.y), (places.x, places.y), part.offset, map(np.float32, part.step), strict=True
        )
    )
    return sample(volumes, frame, x, y, cv2.INTER_CUBIC)


def age(places: Places | Packed, t: int, part: Part) -> np.ndarray:
    """(M,) float32: the times by which the squared error of what is borrowed for a frame has grown on the way to it.

    Found on burnt-in film: as the root of the frames gone, beyond what the surroundings tell.
    """
    gone = np.abs(np.take(places.frame, part.spot) - np.int16(t))
    return np.sqrt(np.maximum(gone, 1).astype(np.float32))


def strayed(places: Places | Packed, others: Places | Packed) -> float:
    """The times by which the squared error of what is borrowed by one motion is expected to exceed that of another's.

    A motion that has to be put right more around a hole errs more in it.
    """
    return max(1.0, (places.moved + SLACK) / (others.moved + SLACK))


def ring(volumes: Sequence[np.ndarray], places: Places, hole: Hole, part: Part, seen: np.ndarray) -> list[np.ndarray]:
    """The same pictures carried on around the hole, to be held against what is seen there: (R,), NaN where unknown."""
    frame, x, y = beside(places, hole, seen, part.of_band)
    own_x, own_y, luma_x, luma_y = part.ring_at
    sx, sy = map(np.float32, part.step)
    return sample(volumes, frame, own_x + (x - luma_x) / sx, own_y + (y - luma_y) / sy, cv2.INTER_LINEAR)


def beside(
    places: Places, hole: Hole, seen: np.ndarray, which: np.ndarray | slice = slice(None)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame, x and y of the band's places if the source of the next spot went on there; NOWHERE where that is hidden.

    `which`: of the band.
    """
    _, h, w = seen.shape
    nearest = hole.nearest[which]
    frame = np.take(places.frame, nearest)
    x, y = np.take(places.x, nearest) + hole.right[which], np.take(places.y, nearest) + hole.down[which]
    ix, iy = np.rint(x).astype(np.int32), np.rint(y).astype(np.int32)
    usable = (frame != NOWHERE) & (ix >= 0) & (iy >= 0) & (ix < w) & (iy < h)
    at = (frame.astype(np.int64) * h + iy) * w + ix
    usable &= np.take(seen, at, mode="clip")
    return np.where(usable, frame, np.int16(NOWHERE)), x, y


def step(
    beyond: Places | None,
    there: Hole | None,
    s: int,
    seen: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
) -> tuple[Places, np.ndarray, np.ndarray]:
    """Places of spots that are at (x, y) in the neighbour `s`, given its hole and own places.

    And which of the spots, (K,), lead further from there, and through which of the neighbour's, (K,).

    `seen`: (H, W) bool, what may be borrowed of the neighbour; it is not named where `s` is NOWHERE.
    """
    h, w = seen.shape
    # The neighbour's places are taken at its nearest pixel, with the rest of the way added: no mixing of sources.
    ix, iy = np.rint(x), np.rint(y)
    inside = (ix >= 0) & (iy >= 0) & (ix < w) & (iy < h)
    at = (np.clip(iy, 0, h - 1) * w + np.clip(ix, 0, w - 1)).astype(np.int32)
    here = np.take(seen, at)
    out = Places(np.full(len(x), s, np.int16), x, y)
    rest = spot = np.zeros(0, np.int64)
    if beyond is not None and there is not None:
        rest = np.flatnonzero(~here)
        spot = np.take(there.number, at[rest])
        out.frame[rest] = np.take(beyond.frame, spot)
        out.x[rest] += np.take(beyond.x, spot) - ix[rest]
        out.y[rest] += np.take(beyond.y, spot) - iy[rest]
    out.frame[~inside] = NOWHERE
    return out, rest, spot


def put_right(
    places: Places, lumas: np.ndarray, seen: np.ndarray, luma: np.ndarray, slope: np.ndarray, hole: Hole
) -> None:
    """Moves the places so that their sources, in `lumas`, fit what is seen around the hole in `luma` (H, W).

    One Gauss-Newton step of a windowed least-squares match (Lucas and Kanade, 1981) over the band's pixels; `slope`:
    the `slopes` of `luma` there.
    """
    frame, x, y = beside(places, hole, seen)
    there = frame != NOWHERE
    if np.count_nonzero(there) < FEWEST:
        return
    (difference,) = sample([lumas], frame, x, y, cv2.INTER_LINEAR)
    difference -= np.take(luma, hole.band)
    difference -= np.median(difference[there][::EVERY])  # a change of light is no shift
    difference[~there] = 0
    weight = np.minimum(hole.distance / HALO_PX, 1) / (1 + (difference / OTHER) ** 2) * there
    gx, gy = slope
    wx, wy = weight * gx, weight * gy
    terms = np.stack([wx * gx, wy * gy, wx * gy, wx * difference, wy * difference])
    xx, yy, xy, xd, yd = _windowed(terms, hole)
    xx, yy = xx + STIFF, yy + STIFF
    scale = 1 / (xx * yy - xy * xy)
    step = np.dstack([(xy * yd - yy * xd) * scale, (xy * xd - xx * yd) * scale]).clip(-1, 1)
    step = points(step, hole.on_cells[0], hole.on_cells[1], cv2.INTER_LINEAR)
    places.x += step[:, 0]
    places.y += step[:, 1]
    places.moved += float(np.square(step).sum(1).mean())


def _windowed(terms: np.ndarray, hole: Hole) -> Sequence[np.ndarray]:
    """Means of each of `terms` (K, B), given for the band, over the windows around each cell."""
    rows, columns = hole.cells
    sums = np.zeros((rows, columns, len(terms)), np.float32)
    sums.reshape(rows * columns, -1)[hole.filled] = np.add.reduceat(terms, hole.starts, 1).T / CELL**2
    narrow, wide = (cv2.GaussianBlur(sums, (0, 0), size) for size in (NARROW, WIDE))
    return cv2.split(narrow + WIDE_SHARE * wide)


def sample(
    volumes: Sequence[np.ndarray], frame: np.ndarray, x: np.ndarray, y: np.ndarray, how: int
) -> list[np.ndarray]:
    """Values of each of `volumes` (T, h, w) float32 at (frame, x, y), each (N,): (N,) float32, NaN where NOWHERE."""
    count, height, width = volumes[0].shape
    known = frame != NOWHERE
    # Frames under each other are sampled at once, wherever the interpolation does not reach into the next one.
    inner = known & (y >= 1) & (y <= height - 3)
    together = max(1, MOST_ROWS // height)
    outs = [np.full(len(frame), np.nan, np.float32) for _ in volumes]
    for first in range(0, count, together):
        chosen = inner if count <= together else inner & (frame >= first) & (frame < first + together)
        chosen = np.flatnonzero(chosen)
        if len(chosen):
            rows = y[chosen] + (frame[chosen] - first) * np.float32(height)
            for out, volume in zip(outs, volumes, strict=True):
                tall = volume[first : first + together].reshape(-1, width)
                out[chosen] = points(tall, x[chosen], rows, how)
    rest = np.flatnonzero(known & ~inner)
    for s in np.unique(frame[rest]):
        chosen = rest[frame[rest] == s]
        for out, volume in zip(outs, volumes, strict=True):
            out[chosen] = points(volume[s], x[chosen], y[chosen], how)
    return outs
