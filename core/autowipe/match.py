"""Fits borrowed and invented pixels to the frame around them: values known on a ring are spread inwards."""

from __future__ import annotations

import cv2
import numpy as np

TINY = 1e-6


def spread(values: np.ndarray, weights: np.ndarray, *, smooth: int = 2) -> np.ndarray:
    """`values` (H, W) or (H, W, C) float32 with `weights` (H, W) >= 0, spread to where the weight is 0.

    Push-pull over a pyramid (Gortler et al., The Lumigraph, 1996): an approximate membrane at a few passes'
    cost. Where the weight is 1 or more the value stays; below, the surroundings' share comes in.
    """
    flat = values.ndim == 2
    both = np.dstack([values * (weights if flat else weights[..., None]), weights]).astype(np.float32)
    levels = [both]
    while min(levels[-1].shape[:2]) > 1 and max(levels[-1].shape[:2]) > 2:
        last = levels[-1]
        half = (-(-last.shape[1] // 2), -(-last.shape[0] // 2))
        down = cv2.resize(cv2.blur(last, (2, 2), borderType=cv2.BORDER_REPLICATE), half, interpolation=cv2.INTER_AREA)
        levels.append(down * 4)
    top = levels[-1]
    result = top[..., :-1] / np.maximum(top[..., -1:], TINY)
    mean = both[..., :-1].sum((0, 1)) / max(TINY, float(both[..., -1].sum()))
    result = np.where(top[..., -1:] > TINY, result, mean)
    for level in levels[-2::-1]:
        result = cv2.resize(result, level.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        result = result.reshape(*level.shape[:2], -1)
        share = np.minimum(level[..., -1:], 1)
        own = level[..., :-1] / np.maximum(level[..., -1:], TINY)
        for _ in range(smooth):
            result = share * own + (1 - share) * result
            result = cv2.blur(result, (3, 3), borderType=cv2.BORDER_REPLICATE).reshape(result.shape)
        result = share * own + (1 - share) * result
    return result[..., 0] if flat else result
