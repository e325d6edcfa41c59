"""Invents: the network's bettering of a filled hole; only where its weight ships, else the filling stays as it is.

It sees the picture in YUV at luma size, in tiles around the hole, so that memory does not grow with the region.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np

from .. import weightfiles
from ..inference import Inference

NAME = "completer"  # of the weight
TILE, MARGIN = 320, 64  # px; the margin is what the network looks over
SIDE = 64  # px: sides of what it sees are made up to multiples of this, since torch keeps memory for every new size
TRUSTED = 36.0  # levels squared: an expected error of this counts half
DEEP_PX = (8.0, 20.0)  # into what nothing is known of: up to there the network counts, from there on no more
GREY = 128  # level of no colour, and of what is not known


@dataclass
class Known:
    """What is known of one picture in which a hole is filled; planes are float32 levels, masks bool at luma size."""

    planes: list[np.ndarray]  # (h, w), completed by computation
    variance: np.ndarray  # (H, W) levels squared: expected error of it in `hidden`, inf where it is filled
    hidden: np.ndarray  # (H, W): what the overlay hides; elsewhere the picture is seen
    beneath: tuple[list[np.ndarray], np.ndarray] | None  # planes that un-blending gives, (H, W) deviation; None: opaque
    before: tuple[list[np.ndarray], np.ndarray] | None  # planes invented before and carried here, (H, W) mask where


@cache
def loaded(device: str) -> Inference | None:
    """The network, ready on a device; None if its weight does not ship. Raises WeightsError if it is damaged."""
    if NAME not in weightfiles.entries():
        return None
    return Inference(weightfiles.load(NAME), device, lambda code, text: None)  # it gets one picture at a time


def better(known: Known, is_rgb: bool, device: str) -> list[np.ndarray]:
    """The planes with the network's picture where the overlay hides it; as they are where there is no network."""
    inference = loaded(device)
    if inference is None:
        return known.planes
    layers = layers_of(known, is_rgb)
    done = run(inference, layers, known.hidden)
    return _planes(_by_depth(layers[:3] * np.float32(255), done, np.isinf(known.variance)), known.planes, is_rgb)


def _by_depth(filled: np.ndarray, done: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """The network's picture, (3, H, W), near the edge of what nothing is known of, (H, W); deep in it the computed one.

    Deeper than in most holes that it was trained on it darkens the middle, however even the surroundings are.
    """
    depth = cv2.distanceTransform(unknown.astype(np.uint8), cv2.DIST_L2, 5)
    share = np.clip((DEEP_PX[1] - depth) / (DEEP_PX[1] - DEEP_PX[0]), 0, 1).astype(np.float32)
    return filled + share * (done - filled)


def layers_of(known: Known, is_rgb: bool) -> np.ndarray:
    """(13, H, W) float32 0..1 in the order of the network's `Known`."""
    shape = known.hidden.shape
    nothing = np.full((3, *shape), GREY, np.float32), np.zeros(shape, np.float32)
    beneath, beneath_trust = nothing
    if known.beneath is not None:
        deviation = np.where(known.hidden, known.beneath[1], np.inf)
        beneath_trust = trust_of(deviation**2)
        beneath = np.where(beneath_trust > 0, yuv(known.beneath[0], is_rgb), GREY)
    before, there = nothing
    if known.before is not None:
        there = known.before[1].astype(np.float32)
        before = yuv(known.before[0], is_rgb) * there
    trust = np.where(known.hidden, trust_of(known.variance), 1)
    maps = (trust, beneath_trust, known.hidden, there)
    trust, beneath_trust, hole, there = (one.astype(np.float32)[None] for one in maps)
    pictures = [yuv(known.planes, is_rgb), trust * 255, beneath, beneath_trust * 255, hole * 255, before, there * 255]
    return np.concatenate(pictures).astype(np.float32) / 255


def run(inference: Inference, layers: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The network's picture, (3, H, W) float32 levels of YUV."""
    done = layers[:3].copy()
    for outer, inner in tiles(hole):
        part = layers[:, outer[0], outer[1]]
        room = [(0, -size % SIDE) for size in part.shape[1:]]
        (picture,) = inference.each([np.pad(part, [(0, 0), *room], mode="edge")], _picture)
        rows, columns = (slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True))
        done[:, inner[0], inner[1]] = picture[:, rows, columns]
    return done * np.float32(255)


def _picture(network: Any, layers: Any) -> Any:
    from ..networks.completer import Known as Input

    return network(Input(*layers.split((3, 1, 3, 1, 1, 3, 1), 1))).picture


def tiles(hole: np.ndarray) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Boxes (rows, columns) to look at, and the parts of them to write, that together hold all of the hole."""
    rows, columns = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
    if not len(rows):
        return
    for y in range(rows[0], rows[-1] + 1, TILE):
        for x in range(columns[0], columns[-1] + 1, TILE):
            inner = (slice(y, min(y + TILE, rows[-1] + 1)), slice(x, min(x + TILE, columns[-1] + 1)))
            if hole[inner].any():
                outer = tuple(
                    slice(max(0, part.start - MARGIN), min(size, part.stop + MARGIN))
                    for part, size in zip(inner, hole.shape, strict=True)
                )
                yield (outer[0], outer[1]), inner


def trust_of(variance: np.ndarray) -> np.ndarray:
    """How well a sample is known, 0..1, given the error to be expected of it in levels squared."""
    return TRUSTED / (TRUSTED + variance)


def yuv(planes: list[np.ndarray], is_rgb: bool) -> np.ndarray:
    """(3, H, W) float32 levels at luma size; RGB planes come as green, blue, red."""
    size = planes[0].shape[::-1]
    full = [p if p.shape == planes[0].shape else cv2.resize(p, size, interpolation=cv2.INTER_LINEAR) for p in planes]
    if len(full) == 1:
        full += [np.full_like(full[0], GREY)] * 2
    if not is_rgb:
        return np.stack(full)
    green, blue, red = full
    return np.moveaxis(rgb_to_yuv(np.dstack([red, green, blue])), 2, 0)


def rgb_to_yuv(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32 levels, to luma and colour differences around 128 (BT.601, full range)."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
    return rgb @ matrix.T + np.array([0, GREY, GREY], np.float32)


def yuv_to_rgb(yuv: np.ndarray) -> np.ndarray:
    """The way back."""
    matrix = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32)
    return (yuv - np.array([0, GREY, GREY], np.float32)) @ matrix.T


def _planes(done: np.ndarray, planes: list[np.ndarray], is_rgb: bool) -> list[np.ndarray]:
    """YUV at luma size as planes like `planes`."""
    parts = list(done)
    if is_rgb:
        red, green, blue = np.moveaxis(yuv_to_rgb(np.moveaxis(done, 0, 2)), 2, 0)
        parts = [green, blue, red]
    return [
        np.ascontiguousarray(part)
        if part.shape == plane.shape
        else cv2.resize(part, plane.shape[::-1], interpolation=cv2.INTER_AREA)
        for part, plane in zip(parts, planes, strict=False)
    ]
