"""How a region's picture moves from frame to frame, also under the overlay, where nobody sees it.

*In:* lumas, each (H, W) uint8 without the overlay, and holes, each (H, W) bool. *Out:* `Motion`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .match import spread

MOST_PIXELS = 160_000  # a larger region is looked at in a smaller size
TRUST_PX = 12.0  # the patches of the flow reach this far: nearer to a hole it is partly made up
CELL = 4  # px of the looked-at size: what is left after the first guess is solved on a grid this coarse
NOISE = 3.0  # levels: a difference between frames beyond a few times this is no motion, but another surface


@dataclass
class Motion:
    """Flow between neighbours, at a fraction of the region's size, in px of the region."""

    forward: list[np.ndarray]  # [t]: (h, w, 2) float32, from frame t to t + 1
    backward: list[np.ndarray]  # [t]: from frame t + 1 to t
    shape: tuple[int, int]  # of the region

    def ahead(self, t: int) -> np.ndarray:
        """(H, W, 2) float32 px: where each pixel of frame t is in frame t + 1."""
        return cv2.resize(self.forward[t], self.shape[::-1], interpolation=cv2.INTER_LINEAR)

    def back(self, t: int) -> np.ndarray:
        """(H, W, 2) float32 px: where each pixel of frame t is in frame t - 1."""
        return cv2.resize(self.backward[t - 1], self.shape[::-1], interpolation=cv2.INTER_LINEAR)


@dataclass
class _View:
    """One frame as the search looks at it."""

    luma: np.ndarray  # (h, w) uint8
    hole: np.ndarray
    near: np.ndarray
    trust: np.ndarray  # (h, w) float32, 1 where patches rest on seen pixels


def follow(lumas: Sequence[np.ndarray], holes: Sequence[np.ndarray]) -> Motion:
    """Measures the flow where the picture is seen, and completes it from there under the holes."""
    shape = lumas[0].shape
    scale = int(np.ceil(np.sqrt(lumas[0].size / MOST_PIXELS)))
    size = (max(16, -(-shape[1] // scale)), max(16, -(-shape[0] // scale)))
    ratio = np.array([shape[1] / size[0], shape[0] / size[1]], np.float32)
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    forward, backward = [], []
    last = _view(lumas[0], holes[0], size)
    for luma, hole in zip(lumas[1:], holes[1:]):
        new = _view(luma, hole, size)
        ahead, back = _match(dis, last, new)
        forward.append(_half(ahead * ratio))
        backward.append(_half(back * ratio))
        last = new
    return Motion(forward, backward, shape)


ROUNDS = 1
SPREAD = 0.5


def _match(dis, one, other):
    flows = dis.calc(one.luma, other.luma, None), dis.calc(other.luma, one.luma, None)
    ahead, back = _under_holes(flows[0], one.trust * _agreement(*flows)), _under_holes(flows[1], other.trust * _agreement(*flows[::-1]))
    for _ in range(ROUNDS):
        # What fills the holes must move as the surround does, or it holds the flow around it back.
        first = np.where(one.hole, _carried(other.luma, ahead, ~other.hole, one.luma), one.luma)
        second = np.where(other.hole, _carried(first, back, None, other.luma), other.luma)
        flows = dis.calc(first, second, ahead.copy()), dis.calc(second, first, back.copy())
        ahead = _under_holes(flows[0], one.near * _agreement(*flows))
        back = _under_holes(flows[1], other.near * _agreement(*flows[::-1]))
    return ahead, back


def _carried(luma, flow, seen, otherwise):
    x, y = grid(flow.shape[:2])
    x, y = x + flow[..., 0], y + flow[..., 1]
    there = cv2.remap(luma, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if seen is None:
        return there
    ok = cv2.remap(seen.astype(np.uint8), x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    return np.where(ok > 0, there, otherwise)


def _half(flow):
    return cv2.resize(flow, (flow.shape[1] // 2, flow.shape[0] // 2), interpolation=cv2.INTER_AREA)


def _under_holes(flow, weight):
    affine = _affine(flow, weight)
    rest = spread((flow - affine)[::CELL, ::CELL], weight[::CELL, ::CELL] * SPREAD)
    return affine + cv2.resize(rest, flow.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def grid(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every pixel, each (H, W) float32."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return x, y


def _view(luma: np.ndarray, hole: np.ndarray, size: tuple[int, int]) -> _View:
    if luma.shape != size[::-1]:
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
        hole = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 3)
    return _View(luma, hole, np.minimum(distance / NEAR_PX, 1).astype(np.float32) ** 2, np.minimum(distance / TRUST_PX, 1).astype(np.float32) ** 2)

NEAR_PX = 4

def _agreement(flow: np.ndarray, other: np.ndarray) -> np.ndarray:
    """1 where going with `flow` and coming back with `other` ends where it began, towards 0 where not."""
    x, y = grid(flow.shape[:2])
    back = cv2.remap(other, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    error = ((flow + back) ** 2).sum(2)
    return np.exp(-error / (0.5 + 0.02 * (flow**2).sum(2)))


def _affine(flow: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The affine motion that most of the flow follows (iteratively reweighted least squares), at every pixel."""
    h, w = weight.shape
    step = max(1, int(np.sqrt(weight.size / 4000)))
    x, y = grid((h, w))
    x, y = (x - w / 2) / 64, (y - h / 2) / 64
    a = np.stack([np.ones_like(x), x, y], 2)
    part, target = a[::step, ::step].reshape(-1, 3), flow[::step, ::step].reshape(-1, 2)
    fixed = weight[::step, ::step].reshape(-1)
    if fixed.sum() < 1e-3:
        return np.zeros_like(flow)
    robust = fixed
    for _ in range(8):
        normal = (part * robust[:, None]).T @ part + np.diag([1e-6, 1e-2, 1e-2]).astype(np.float32) * robust.sum()
        solution = np.linalg.solve(normal, (part * robust[:, None]).T @ target)
        error = ((part @ solution - target) ** 2).sum(1)
        robust = fixed / (1 + error / 0.1)
    return (a @ solution).astype(np.float32)
