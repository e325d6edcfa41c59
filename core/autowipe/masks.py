"""Masks, (H, W) bool: grown, shrunk and filled, what is nearest in them, and what they are in a plane's samples."""

from __future__ import annotations

import cv2
import numpy as np

from .job import Box


def disc(radius: int) -> np.ndarray:
    """A round kernel: (2 `radius` + 1, the same) uint8."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def grown(mask: np.ndarray, px: int) -> np.ndarray:
    """The mask with all within `px` of it."""
    return cv2.dilate(mask.astype(np.uint8), disc(px)) > 0


def shrunk(mask: np.ndarray) -> np.ndarray:
    """The mask without its outermost px."""
    return cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def filled(mask: np.ndarray) -> np.ndarray:
    """The mask with all that it encloses."""
    room = np.pad(mask.astype(np.uint8), 1)
    cv2.floodFill(room, None, (0, 0), 2)
    return room[1:-1, 1:-1] != 2


def connected(weak: np.ndarray, strong: np.ndarray, least: int = 1, share: float = 0.0) -> np.ndarray:
    """Hysteresis: the patches of `weak` of which at least so many px, and such a share, are of `strong` as well."""
    count, labels = cv2.connectedComponents(weak.astype(np.uint8), connectivity=8)
    sizes, hits = (np.bincount(labels[part], minlength=count) for part in (weak, strong & weak))
    good = (hits >= least) & (hits >= share * sizes)
    good[0] = False
    return good[labels]


def extent(mask: np.ndarray, corner: tuple[int, int] = (0, 0)) -> Box:
    """The smallest box (x, y, width, height) around the mask, which is not empty and begins at `corner`."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (corner[0] + int(columns[0]), corner[1] + int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)


def depth_in(mask: np.ndarray) -> np.ndarray:
    """(H, W) float32: px from each px of the mask to the nearest one that is not of it; 0 outside."""
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)


def nearest(mask: np.ndarray, window: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """The nearest px of the mask, which is not empty: (H, W) float32 px to it, and (H, W) int32 its place, flattened.

    `window`: of the chamfer metric by which this is told; 3 is quicker, 5 errs less.
    """
    distance, label = cv2.distanceTransformWithLabels(
        (~mask).astype(np.uint8), cv2.DIST_L2, window, labelType=cv2.DIST_LABEL_PIXEL
    )
    own = np.flatnonzero(mask)
    place = np.zeros(int(label.max()) + 1, np.int32)
    place[label.ravel()[own]] = own
    return distance, place[label]


def subsampled(mask: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    """A mask at luma size in the samples of a plane: True where any px beneath a sample is.

    `shift`: log2 of the plane's subsampling, x and y.
    """
    if shift == (0, 0):
        return mask
    sx, sy = 1 << shift[0], 1 << shift[1]
    out = np.zeros((-(-mask.shape[0] // sy), -(-mask.shape[1] // sx)), bool)
    for y in range(sy):
        for x in range(sx):
            part = mask[y::sy, x::sx]
            out[: part.shape[0], : part.shape[1]] |= part
    return out


def supersampled(mask: np.ndarray, shift: tuple[int, int], shape: tuple[int, ...]) -> np.ndarray:
    """A mask in the samples of a plane at luma size, `shape` (H, W): True where the sample over a px is."""
    return mask.repeat(1 << shift[1], 0).repeat(1 << shift[0], 1)[: shape[0], : shape[1]]


def averaged(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map at luma size in the samples of a plane of such a (height, width): the mean over the px of each sample."""
    if values.shape == size:
        return values
    fy, fx = -(-values.shape[0] // size[0]), -(-values.shape[1] // size[1])
    padded = np.pad(values, ((0, size[0] * fy - values.shape[0]), (0, size[1] * fx - values.shape[1])), "edge")
    return padded.reshape(size[0], fy, size[1], fx).mean((1, 3))
