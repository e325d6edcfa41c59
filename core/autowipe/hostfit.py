"""Brings what was made from a clip's file into the picture that a host shows of it: size, place and colours.

A host may have scaled the clip, put bars beside it, or taken it into its own colour space. How it did so is measured
on the picture around the overlays; a picture that cannot be explained is another frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

SAME = 1.5 / 255  # median difference: the host shows the file's own values, but for rounding
EXPLAINED = 0.02  # of the host's contrast: the median that a colour transform leaves; another frame leaves 0.1 and more
FLAT = 0.01  # contrast of a picture that says nothing
COARSE = 32  # px across, of pictures that are compared after scaling


@dataclass(frozen=True)
class Fit:
    """How a host shows the clip: host px = px * scale + shift, RGB by `colour`."""

    scale: tuple[float, float]
    shift: tuple[float, float]  # px
    colour: np.ndarray | None  # (terms, 3) of `_terms`; None: as the file has it
    low: np.ndarray  # (3,) what the host's picture holds at least and at most, so that no colour is extrapolated
    high: np.ndarray

    def colours(self, rgb: np.ndarray) -> np.ndarray:
        """(..., 3) float32 as the host has them."""
        if self.colour is None:
            return rgb
        flat = _terms(rgb.reshape(-1, 3)) @ self.colour
        room = 0.25 * (self.high - self.low)
        return np.clip(flat, self.low - room, self.high + room).reshape(rgb.shape).astype(np.float32)


def places(size: tuple[int, int], host: tuple[int, int]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Ways in which a picture of `size` may lie in one of `host` px: scale and shift; the likeliest first."""
    sx, sy = host[0] / size[0], host[1] / size[1]
    found = [((sx, sy), (0.0, 0.0))]
    if abs(sx / sy - 1) > 0.01:  # bars, cropped, or stretched
        for scale in (min(sx, sy), max(sx, sy)):
            shift = ((host[0] - scale * size[0]) / 2, (host[1] - scale * size[1]) / 2)
            found.insert(len(found) - 1, ((scale, scale), shift))
    return found


def fit_same(ours: np.ndarray, theirs: np.ndarray, is_clear: np.ndarray) -> Fit | None:
    """The fit of pictures of the same size, sampled at the same px. None where they show different frames.

    ours: (h, w, 3) uint8 RGB; theirs: (h, w, 3) float32; is_clear: (h, w) bool, where no overlay lies.
    """
    return _fit(ours[is_clear] / np.float32(255), theirs[is_clear], (1.0, 1.0), (0.0, 0.0), EXPLAINED)


def fit_scaled(
    ours: np.ndarray, step: int, theirs: np.ndarray, their_step: int, is_clear: np.ndarray, host: tuple[int, int]
) -> Fit | None:
    """The same for pictures of different size, compared coarsely.

    `step`, `their_step`: px between two samples; `host`: width and height of the host's picture, px.
    """
    size = (ours.shape[1] * step, ours.shape[0] * step)
    across = COARSE, max(2, round(COARSE * size[1] / size[0]))
    middle = [(np.arange(n, dtype=np.float32) + 0.5) * length / n for n, length in zip(across, size, strict=True)]
    cell = size[0] / across[0]  # px
    a, _ = _at(ours.astype(np.float32) / 255, step, cell, middle)
    clear = _at(is_clear.astype(np.float32), step, cell, middle)[0] > 0.9
    best: tuple[float, Fit] | None = None
    for scale, shift in places(size, host):
        there = [m * s + t for m, s, t in zip(middle, scale, shift, strict=True)]
        b, inside = _at(np.ascontiguousarray(theirs), their_step, cell * scale[0], there)
        use = clear & inside
        if use.sum() < 0.2 * use.size:
            continue
        fit = _fit(a[use], b[use], scale, shift, 4 * EXPLAINED)
        if fit is not None:
            error = float(np.median(np.abs(fit.colours(a[use]) - b[use])))
            if best is None or error < 0.8 * best[0]:
                best = (error, fit)
    return None if best is None else best[1]


def _at(picture: np.ndarray, step: int, cell: float, places: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Means of about `cell` px around places, and whether these lie in the picture; every `step`-th px is there."""
    reach = 2 * int(cell / step / 2) + 1
    smooth = cv2.blur(picture, (reach, reach))
    x, y = ((place - 0.5) / step for place in places)  # a sample is the middle of its px
    inside = ((x > -1) & (x < picture.shape[1]))[None] & ((y > -1) & (y < picture.shape[0]))[:, None]
    return cv2.remap(smooth, *_grid(x, y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), inside


def _grid(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of every px, for cv2.remap."""
    shape = (len(y), len(x))
    return np.broadcast_to(x, shape).copy(), np.broadcast_to(y[:, None], shape).copy()


def _fit(
    ours: np.ndarray, theirs: np.ndarray, scale: tuple[float, float], shift: tuple[float, float], most: float
) -> Fit | None:
    if len(ours) < 64 or not np.isfinite(theirs).all():
        return None
    low, high = theirs.min(0), theirs.max(0)
    if np.median(np.abs(ours - theirs)) <= SAME * (1 if most == EXPLAINED else 3):
        return Fit(scale, shift, None, low, high)
    contrast = np.subtract(*np.percentile(theirs, (95, 5))) / 2
    if contrast < FLAT:
        return None
    use = np.ones(len(ours), bool)
    colour = np.zeros((10, 3))
    for _ in range(3):  # without those that fit worst: edges, and what the host has laid over
        colour, *_ = np.linalg.lstsq(_terms(ours[use]), theirs[use].astype(np.float64), rcond=None)
        error = np.abs(_terms(ours) @ colour - theirs).max(1)
        use = error <= max(1e-6, 3 * float(np.median(error)))
    if np.median(error) > most * contrast:
        return None
    return Fit(scale, shift, colour, low, high)


def _terms(rgb: np.ndarray) -> np.ndarray:
    """(n, 10): a matrix and, for each channel, a curve of third degree."""
    rgb = rgb.astype(np.float64)
    return np.concatenate([np.ones((len(rgb), 1)), rgb, rgb**2, rgb**3], axis=1)


def warp(
    rgb: np.ndarray, labels: np.ndarray, box: tuple[int, int, int, int], fit: Fit, host: tuple[int, int]
) -> tuple[tuple[int, int, int, int], np.ndarray, np.ndarray] | None:
    """A region of the clip, and its labels, in host px: box, (h, w, 3) RGB, (h, w) labels; None outside the picture."""
    (sx, sy), (tx, ty) = fit.scale, fit.shift
    x0, y0 = max(0, int(np.floor(box[0] * sx + tx))), max(0, int(np.floor(box[1] * sy + ty)))
    x1 = min(host[0], int(np.ceil((box[0] + box[2]) * sx + tx)))
    y1 = min(host[1], int(np.ceil((box[1] + box[3]) * sy + ty)))
    if x1 <= x0 or y1 <= y0:
        return None
    # A host px is the mean of the px beneath it.
    nx, ny = (1 if s >= 1 else 2 * int(np.ceil(1 / s)) for s in (sx, sy))
    x = (np.arange(x0 * nx, x1 * nx, dtype=np.float32) + 0.5) / nx
    y = (np.arange(y0 * ny, y1 * ny, dtype=np.float32) + 0.5) / ny
    x, y = (x - tx) / sx - 0.5 - box[0], (y - ty) / sy - 0.5 - box[1]
    picture = cv2.remap(rgb, *_grid(x, y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    picture = picture.reshape(y1 - y0, ny, x1 - x0, nx, 3).mean((1, 3), dtype=np.float32)
    reach = (2 * int(np.ceil(0.5 / min(1, sx))) + 1, 2 * int(np.ceil(0.5 / min(1, sy))) + 1)
    wider = cv2.dilate(labels, np.ones(reach[::-1], np.uint8))
    at = _grid(x[nx // 2 :: nx], y[ny // 2 :: ny])
    moved = cv2.remap(wider, *at, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return (x0, y0, x1 - x0, y1 - y0), picture, moved
