"""What can be said of the picture behind an overlay: its prediction from the surroundings, and how far that errs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import cv2
import numpy as np

from .fill import predict
from .masks import depth_in, grown

BAND_PX = 8  # width of the band around a hole in which the prediction's error is measured
STILL_NOISE = 1.5  # levels; the codec's error around a mark that stands still stands still too
MOVING_NOISE = 2.0  # levels; the error of H.264 at crf 18 to 20 in moving texture
FAR = 9.0  # chi squared from which a pixel's say in a fit falls off
LEAST_CHANGE = 2.0  # levels; less is not seen
FRAMES_PER_SAMPLE, MOST_WEIGHT = 4, 8.0  # neighbouring frames are alike

# depth in px -> variance of the error that stays over time, of what changes, and kappa
Error = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass
class View:
    """Statistics over time of one plane's pixels in a hole, (N,): observed against predicted."""

    rows: np.ndarray
    cols: np.ndarray
    depth: np.ndarray  # px to the clean surroundings
    mean: np.ndarray  # observed, mean over time
    fill: np.ndarray  # predicted, mean over time
    slope: np.ndarray  # of observed on predicted over time
    spread: np.ndarray  # variance of predicted over time
    rest: np.ndarray  # variance of observed that the slope leaves
    still: np.ndarray  # variance of the prediction's error that stays over time
    moving: np.ndarray  # variance of the prediction's error that changes
    weight: float  # effective number of frames
    error: Error

    def part(self, pick: np.ndarray) -> View:
        values = (getattr(self, field.name) for field in fields(self))
        return View(*(value[pick] if isinstance(value, np.ndarray) else value for value in values))


def look(stack: np.ndarray, hole: np.ndarray) -> View:
    rows, cols = np.nonzero(hole)
    depth = depth_in(hole)[rows, cols]
    seen, fill = stack[rows, cols], predict(stack, hole)[rows, cols]
    mean, level = seen.mean(1), fill.mean(1)
    seen -= mean[:, None]
    fill -= level[:, None]
    error = fill_error(stack, hole)
    still, moving, kappa = error(depth)
    both, spread = (seen * fill).mean(1), np.maximum((fill * fill).mean(1), 1e-3)
    rest = np.maximum((seen * seen).mean(1) - both * both / spread, 0)
    centre = level.mean()
    return View(
        rows=rows,
        cols=cols,
        depth=depth,
        mean=mean,
        fill=centre + kappa * (level - centre),
        slope=both / spread / kappa,
        spread=spread * kappa * kappa,
        rest=rest,
        still=still,
        moving=moving,
        weight=min(stack.shape[2] / FRAMES_PER_SAMPLE, MOST_WEIGHT),
        error=error,
    )


def changed(view: View, shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose mean over time departs most from what their surroundings let expect."""
    change = np.abs(view.mean - view.fill)
    surprise = change / np.sqrt(view.still + STILL_NOISE**2)
    grid = np.zeros(shape, np.uint8)
    # Where the prediction is poor no pixel by itself is sure; the overlay fills a good part of its support.
    grid[view.rows, view.cols] = (surprise > min(3.0, float(np.quantile(surprise, 0.7)))) & (change > LEAST_CHANGE)
    return cv2.morphologyEx(grid, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0


def fill_error(stack: np.ndarray, hole: np.ndarray) -> Error:
    """Measures the prediction in a band around the hole: its error's variances and its slope, by depth.

    The band is filled together with the hole, so that its own inside is seen from one side as the hole's is.
    """
    wide = grown(hole, BAND_PX)
    band = wide & ~hole
    truth, depth = stack[band], depth_in(wide)[band]
    guess = predict(stack, wide)[band]
    error = truth - guess
    still = error.mean(1) ** 2
    moving = error.var(1)
    table = []
    for start in range(0, BAND_PX, 2):
        part = (depth > start) & (depth <= start + 2)
        if part.sum() < 12:
            continue
        kappa = calibration(guess[part], error[part])
        table.append((start + 1, still[part].mean(), moving[part].mean(), np.clip(kappa, 0.95, 1.3)))
    xs, *columns = (np.array(c) for c in zip(*(table or [(1, 100.0, 100.0, 1.0)]), strict=True))
    columns[:2] = [np.maximum.accumulate(c) for c in columns[:2]]

    def at(where: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        beyond = np.maximum(1, where / xs[-1])
        still, moving, kappa = (np.interp(where, xs, c).astype(np.float32) for c in columns)
        return still * beyond, moving * beyond, 1 + (kappa - 1) * np.minimum(beyond, 2)

    return at


def calibration(guess: np.ndarray, error: np.ndarray) -> float:
    """Of the truth on its guess, fitted as robustly as the levels are; towards 1 where the guess hardly varies."""
    scale = FAR * ((error * error).mean() + STILL_NOISE**2)
    slope = offset = 0.0
    for _ in range(5):
        weight = 1 / (1 + (error - slope * guess - offset) ** 2 / scale)
        total = weight.sum()
        middle, offset = float((weight * guess).sum() / total), 0.0
        off = guess - middle
        slope = float((weight * off * error).sum() / ((weight * off * off).sum() + total * MOVING_NOISE**2))
        offset = float((weight * (error - slope * guess)).sum() / total)
    return 1 + slope
