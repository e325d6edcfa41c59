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
TRUST_PX = 6.0  # the patches of the flow reach this far: nearer to a hole it is partly made up
REST_PX = 0.25  # a single flow vector below this may be noise around rest


@dataclass
class Motion:
    """Flow between neighbours, at the region's size divided by `scale`, in px of the region."""

    forward: list[np.ndarray]  # [t]: (h, w, 2) float32, from frame t to t + 1
    backward: list[np.ndarray]  # [t]: from frame t + 1 to t
    shape: tuple[int, int]  # of the region

    def ahead(self, t: int) -> np.ndarray:
        """(H, W, 2) float32 px: where each pixel of frame t is in frame t + 1."""
        return _enlarge(self.forward[t], self.shape)

    def back(self, t: int) -> np.ndarray:
        """(H, W, 2) float32 px: where each pixel of frame t is in frame t - 1."""
        return _enlarge(self.backward[t - 1], self.shape)


def follow(lumas: Sequence[np.ndarray], holes: Sequence[np.ndarray]) -> Motion:
    """Measures the flow where the picture is seen, and completes it from there under the holes."""
    shape = lumas[0].shape
    scale = int(np.ceil(np.sqrt(lumas[0].size / MOST_PIXELS)))
    size = (max(8, -(-shape[1] // scale)), max(8, -(-shape[0] // scale)))
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    small = [cv2.resize(luma, size, interpolation=cv2.INTER_AREA) if scale > 1 else luma for luma in lumas]
    trust = [_trust(hole, size) for hole in holes]
    ratio = np.array([shape[1] / size[0], shape[0] / size[1]], np.float32)
    forward, backward = [], []
    for t in range(len(lumas) - 1):
        ahead, back = dis.calc(small[t], small[t + 1], None), dis.calc(small[t + 1], small[t], None)
        weight_ahead = trust[t] * _agreement(ahead, back)
        weight_back = trust[t + 1] * _agreement(back, ahead)
        forward.append(_under_holes(ahead, weight_ahead) * ratio)
        backward.append(_under_holes(back, weight_back) * ratio)
    return Motion(forward, backward, shape)


def grid(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every pixel, each (H, W) float32."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return x, y


def _trust(hole: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """How far the flow there rests on seen pixels: 1 away from the hole, a little beside it, 0 inside."""
    seen = cv2.resize((~hole).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    distance = cv2.distanceTransform(seen, cv2.DIST_L2, 3)
    return np.where(distance > 0, 0.02 + np.minimum(distance / TRUST_PX, 1) ** 2, 0).astype(np.float32)


def _agreement(flow: np.ndarray, other: np.ndarray) -> np.ndarray:
    """1 where going with `flow` and coming back with `other` ends where it began, towards 0 where not."""
    x, y = grid(flow.shape[:2])
    back = cv2.remap(other, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    error = ((flow + back) ** 2).sum(2)
    return np.exp(-error / (0.5 + 0.02 * (flow**2).sum(2)))


def _under_holes(flow: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The flow, replaced under holes by an affine motion fitted around them plus what is left over, spread inwards."""
    affine = _affine(flow, weight)
    known = weight > 0
    rest = spread(np.where(known[..., None], flow - affine, 0), weight)
    return np.where((weight > 0.5)[..., None], flow, affine + rest).astype(np.float32)


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
    for _ in range(5):
        normal = (part * robust[:, None]).T @ part + np.diag([1e-6, 1e-2, 1e-2]).astype(np.float32) * robust.sum()
        solution = np.linalg.solve(normal, (part * robust[:, None]).T @ target)
        error = ((part @ solution - target) ** 2).sum(1)
        robust = fixed / (1 + error / 0.1)
    return (a @ solution).astype(np.float32)


def _enlarge(flow: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if flow.shape[:2] == shape:
        return flow
    return cv2.resize(flow, shape[::-1], interpolation=cv2.INTER_LINEAR)
