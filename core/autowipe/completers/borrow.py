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

from ..flow import Motion, grid

NOWHERE = -1
BAND_PX = 12  # around what is hidden: there the places are put right
RING_PX = 4  # around what is hidden: there light and expected error are measured
CELL = 4  # px: grid on which the places are put right
NARROW, WIDE = 2.0, 8.0  # cells: windows of the fit; the wide one speaks where the narrow one holds no texture
WIDE_SHARE = 0.05
STIFF = 0.05  # levels squared a pixel: texture weaker than this moves nothing
HALO_PX = 3.0  # next to the overlay the codec's ringing rests with it
OTHER = 9.0  # levels: a difference beyond this is another surface, not a shift of the same
MOST_ROWS = 32_000  # that cv2.remap can take
FEWEST = 50  # pixels of the band to put a hole right by


@dataclass
class Places:
    """Where each pixel of one frame is seen: in the nearest frame that shows it, in one direction of time."""

    frame: np.ndarray  # (H, W) int16, index in the window; NOWHERE where the point is not seen
    x: np.ndarray  # (H, W) float32 px there
    y: np.ndarray  # (H, W) float32


def nowhere(shape: tuple[int, int]) -> Places:
    return Places(np.full(shape, NOWHERE, np.int16), np.zeros(shape, np.float32), np.zeros(shape, np.float32))


@dataclass
class Surround:
    """The pixels around a hole, each tied to the hole's pixel next to it; indices into the flattened region."""

    band: np.ndarray  # (N,) int64
    nearest: np.ndarray  # (N,) int32: the hole's pixel
    distance: np.ndarray  # (N,) float32 px from the hole
    right: np.ndarray  # (N,) float32 px from the hole's pixel
    down: np.ndarray  # (N,) float32


def surround(hidden: np.ndarray) -> Surround:
    """`hidden`: (H, W) bool, not empty."""
    free = (~hidden).astype(np.uint8)
    distance, label = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    inside = np.flatnonzero(hidden)
    pixel_of = np.zeros(int(label.max()) + 1, np.int32)
    pixel_of[label.ravel()[inside]] = inside
    band = np.flatnonzero((distance > 1) & (distance <= BAND_PX))  # the next pixel still holds some of the overlay
    nearest, w = pixel_of[label.ravel()[band]], hidden.shape[1]
    right, down = band % w - nearest % w, band // w - nearest // w
    return Surround(band, nearest, distance.ravel()[band], right.astype(np.float32), down.astype(np.float32))


def carry(
    lumas: np.ndarray,
    seen: Sequence[np.ndarray],
    surrounds: Sequence[Surround | None],
    motion: Motion,
    *,
    onwards: bool,
) -> list[Places]:
    """For each frame its places in earlier frames, or, `onwards`, in later ones.

    `lumas`: (T, H, W) float32 levels; `seen`: (H, W) bool a frame, what may be borrowed; `surrounds`: of each
    frame's hidden part, None where nothing is.
    """
    count, shape = len(seen), seen[0].shape
    out = [nowhere(shape)] * count
    x, y = grid(shape)
    order = range(count - 2, -1, -1) if onwards else range(1, count)
    for t in order:
        around = surrounds[t]
        if around is None:
            continue
        s = t + 1 if onwards else t - 1
        flow = motion.between(t, s)
        out[t] = _step(out[s], s, seen[s], x + flow[..., 0], y + flow[..., 1])
        _put_right(out[t], lumas, seen, t, around)
    return out


def take(volume: np.ndarray, shift: tuple[int, int], places: Places, part: np.ndarray) -> np.ndarray:
    """What lies at the places of one plane's samples: (h, w) float32, NaN where `part` is False or nothing is seen.

    `volume`: (T, h, w) float32; `shift`: log2 of the plane's subsampling, x and y.
    """
    height, width = places.frame.shape
    sy, sx = 1 << shift[1], 1 << shift[0]
    py, px = np.nonzero(part)
    ly, lx = np.minimum(py * sy, height - 1), np.minimum(px * sx, width - 1)
    frame = places.frame[ly, lx]
    value = np.full(part.shape, np.nan, np.float32)
    got = _sample(volume, frame, px + (places.x[ly, lx] - lx) / sx, py + (places.y[ly, lx] - ly) / sy)
    value[py, px] = np.where(frame == NOWHERE, np.nan, got)
    return value


def ring(
    volume: np.ndarray, shift: tuple[int, int], around: Surround, beyond: tuple[np.ndarray, ...], width: int
) -> np.ndarray:
    """The same picture carried on around the hole, to be held against what is seen there; NaN elsewhere.

    `beyond`: what `beside` says of the places; `width`: of the region, px.
    """
    sy, sx = 1 << shift[1], 1 << shift[0]
    which, frame, x, y = beyond
    ly, lx = np.divmod(around.band[which], width)
    keep = (ly % sy == 0) & (lx % sx == 0) & (around.distance[which] <= RING_PX * max(sx, sy))
    ly, lx, frame, x, y = (part[keep] for part in (ly, lx, frame, x, y))
    py, px = ly // sy, lx // sx
    value = np.full(volume.shape[1:], np.nan, np.float32)
    value[py, px] = _sample(volume, frame, px + (x - lx) / sx, py + (y - ly) / sy)
    return value


def _step(beyond: Places, s: int, seen: np.ndarray, x: np.ndarray, y: np.ndarray) -> Places:
    """Places of a frame whose pixels are at (x, y) in its neighbour `s`, given the neighbour's own places."""
    h, w = seen.shape
    # The neighbour's places are taken at its nearest pixel, with the rest of the way added: no mixing of sources.
    ix, iy = np.rint(x), np.rint(y)
    inside = (ix >= 0) & (iy >= 0) & (ix < w) & (iy < h)
    at = (np.clip(iy, 0, h - 1) * w + np.clip(ix, 0, w - 1)).astype(np.int32)
    here = np.take(seen, at) & inside
    frame = np.take(beyond.frame, at)
    np.copyto(frame, NOWHERE, where=~inside)
    np.copyto(frame, s, where=here)
    out = Places(frame, np.take(beyond.x, at), np.take(beyond.y, at))
    for place, exact, whole in ((out.x, x, ix), (out.y, y, iy)):
        place += exact - whole
        np.copyto(place, exact, where=here)
    return out


def beside(places: Places, around: Surround, seen: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """The band's places if the source of the hole's next pixel went on there, as (which of the band, frame, x, y)."""
    h, w = places.frame.shape
    frame = np.take(places.frame, around.nearest)
    x, y = np.take(places.x, around.nearest) + around.right, np.take(places.y, around.nearest) + around.down
    ix, iy = np.rint(x).astype(np.int32), np.rint(y).astype(np.int32)
    usable = (frame != NOWHERE) & (ix >= 0) & (iy >= 0) & (ix < w) & (iy < h)
    for s in np.unique(frame[usable]):
        at = np.flatnonzero(usable & (frame == s))
        usable[at] = seen[s][iy[at], ix[at]]
    which = np.flatnonzero(usable)
    return which, frame[which], x[which], y[which]


def _put_right(places: Places, lumas: np.ndarray, seen: Sequence[np.ndarray], t: int, around: Surround) -> None:
    """Moves the places so that the sources fit what is seen around the hole.

    One Gauss-Newton step of a windowed least-squares match (Lucas and Kanade, 1981) over the band's pixels.
    """
    h, w = places.frame.shape
    which, frame, x, y = beside(places, around, seen)
    if len(which) < FEWEST:
        return
    at = around.band[which]
    difference = _sample(lumas, frame, x, y, cv2.INTER_LINEAR) - lumas[t].ravel()[at]
    difference -= np.median(difference)  # a change of light is no shift
    gx, gy = (cv2.Sobel(lumas[t], cv2.CV_32F, *axis, ksize=3, scale=1 / 8).ravel()[at] for axis in ((1, 0), (0, 1)))
    weight = np.minimum(around.distance[which] / HALO_PX, 1) / (1 + (difference / OTHER) ** 2)
    rows, columns = -(-h // CELL), -(-w // CELL)
    cell = at // w // CELL * columns + at % w // CELL

    def windowed(term: np.ndarray) -> np.ndarray:
        sums = np.bincount(cell, term * weight, rows * columns).reshape(rows, columns).astype(np.float32) / CELL**2
        return cv2.GaussianBlur(sums, (0, 0), NARROW) + WIDE_SHARE * cv2.GaussianBlur(sums, (0, 0), WIDE)

    xx, yy, xy = windowed(gx * gx) + STIFF, windowed(gy * gy) + STIFF, windowed(gx * gy)
    xd, yd = windowed(gx * difference), windowed(gy * difference)
    scale = 1 / (xx * yy - xy * xy)
    step = np.dstack([(xy * yd - yy * xd) * scale, (xy * xd - xx * yd) * scale]).clip(-1, 1)
    step = cv2.resize(step, (columns * CELL, rows * CELL), interpolation=cv2.INTER_LINEAR)[:h, :w]
    places.x += step[..., 0]
    places.y += step[..., 1]


def _sample(
    volume: np.ndarray, frame: np.ndarray, x: np.ndarray, y: np.ndarray, how: int = cv2.INTER_CUBIC
) -> np.ndarray:
    """Values of `volume` (T, h, w) float32 at (frame, x, y), each (N,): (N,) float32, 0 where NOWHERE."""
    out = np.zeros(len(frame), np.float32)
    count, height, width = volume.shape
    known = frame != NOWHERE
    # Frames under each other are sampled at once, wherever the interpolation does not reach into the next one.
    inner = known & (y >= 1) & (y <= height - 3)
    together = max(1, MOST_ROWS // height)
    for first in range(0, count, together):
        chosen = np.flatnonzero(inner & (frame >= first) & (frame < first + together))
        if len(chosen):
            tall = volume[first : first + together].reshape(-1, width)
            out[chosen] = _remapped(tall, x[chosen], y[chosen] + (frame[chosen] - first) * np.float32(height), how)
    rest = np.flatnonzero(known & ~inner)
    for s in np.unique(frame[rest]):
        chosen = rest[frame[rest] == s]
        out[chosen] = _remapped(volume[s], x[chosen], y[chosen], how)
    return out


def _remapped(picture: np.ndarray, x: np.ndarray, y: np.ndarray, how: int) -> np.ndarray:
    """`picture` (h, w) at the places (N,): (N,)."""
    maps = np.zeros((2, -(-len(x) // 1024) * 1024), np.float32)  # remap takes at most 32767 px a side
    maps[0, : len(x)], maps[1, : len(x)] = x, y
    return cv2.remap(picture, *maps.reshape(2, -1, 1024), how, borderMode=cv2.BORDER_REPLICATE).ravel()[: len(x)]
