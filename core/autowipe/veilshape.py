"""The shape of a single large mark, told by the gradients at its edges, and what it says of the mark's opacity."""

from __future__ import annotations

import cv2
import numpy as np

from .masks import grown
from .veiltiles import FAR, NOISE, Moments, flat_level

RIM_PX = 3  # around what is covered: the codec smears strokes over them
CORE, OUTSIDE = 0.4, 0.15  # of a shape's usual height: surely in its strokes; beside them
PLATEAU_PX = 6.0  # deviation of the blur over which that height is taken
AROUND_PX = 16.0  # the same for the change of the surroundings
EVEN = 0.03  # by which a mark's opacity differs from its usual one
LEAST_TOLD = 200  # px of a colour from which the surroundings tell its opacity
MOST_OPACITY = 0.9  # above, the codec's noise grows so much that a fill is better


def shape_of(slopes: np.ndarray, edges: np.ndarray, within: np.ndarray) -> np.ndarray:
    """A mark's shape, (H, W) float32: 1 in its strokes, 0 beside them, between at soft edges.

    Of the gradients at its edges, (2, H, W), a picture is made that has them and is flat elsewhere (Poisson's equation,
    as in Dekel et al., On the Effectiveness of Visible Watermarks, 2017): what is not flat in it is the mark.
    """
    near = grown(edges, 1)
    height, width = edges.shape
    size = (2 * height, 2 * width)
    turn_x, turn_y = 2j * np.pi * np.fft.rfftfreq(size[1])[None], 2j * np.pi * np.fft.fftfreq(size[0])[:, None]
    gx, gy = (np.fft.rfft2(np.where(near, part, 0), size) for part in slopes)
    spectrum = -(turn_x * gx + turn_y * gy) / (np.abs(turn_x) ** 2 + np.abs(turn_y) ** 2 + 1e-3)
    picture = np.fft.irfft2(spectrum, size)[:height, :width].astype(np.float32)
    picture -= np.median(picture[~grown(within, RIM_PX)]) if not within.all() else 0
    picture *= np.sign((picture[within] ** 3).sum())
    core = within & (picture > CORE * float(np.quantile(picture[within], 0.9)))
    weight = cv2.GaussianBlur(core.astype(np.float32), (0, 0), PLATEAU_PX)
    plateau = cv2.GaussianBlur(np.where(core, picture, 0), (0, 0), PLATEAU_PX) / np.maximum(weight, 1e-3)
    shape = np.clip(picture / np.maximum(plateau, 1), 0, 1)
    return np.where(grown(core, 1) & within, shape, 0).astype(np.float32)


def shaped(
    opacity: np.ndarray,
    error: np.ndarray,
    choice: np.ndarray,
    colours: int,
    shape: np.ndarray,
    known: np.ndarray | float,
) -> tuple[np.ndarray, np.ndarray]:
    """Opacity and its deviation; where they are not known by themselves, drawn to the mark's usual one in its shape.

    `known`: deviation up to which they are.
    """
    expected = np.zeros_like(opacity)
    for k in range(colours):
        sure = (choice == k) & (shape > 0.8) & (error < 0.05)
        if sure.sum() > 30:
            expected = np.where(choice == k, flat_level(opacity[sure]) * shape, expected)
    doubt = np.sqrt(np.maximum(error**2 - known**2, 0))
    pull = doubt**2 / (doubt**2 + EVEN**2)
    return opacity + (expected - opacity) * pull, np.minimum(error, np.hypot(known, EVEN * np.sqrt(pull)))


def balanced(
    moments: Moments,
    changes: np.ndarray,
    opacity: np.ndarray,
    colours: list[float],
    choice: np.ndarray,
    shape: np.ndarray,
) -> tuple[np.ndarray, list[float]]:
    """Opacity (H, W) and colours of a mark, weighed against how much less the picture changes under it.

    `changes` (H, W): variance over time, levels squared. An error of the fill makes a mark look more opaque than it is,
    noise of the codec and the like less opaque: the truth lies between. With the opacity goes the colour, so that the
    mean picture stays explained.
    """
    around = (~grown(shape > OUTSIDE, RIM_PX)).astype(np.float32)
    usual = cv2.GaussianBlur(changes * around, (0, 0), AROUND_PX)
    usual /= np.maximum(cv2.GaussianBlur(around, (0, 0), AROUND_PX), 1e-3)
    opacity, tuned = opacity.copy(), list(colours)
    for k in range(len(colours)):
        core = (choice == k) & (shape > 0.8) & (usual > FAR * NOISE**2)
        if core.sum() < LEAST_TOLD:
            continue
        level = float(np.median(opacity[core]))
        through = float(np.exp(np.log((changes[core] + 1) / (usual[core] + 1)).mean() / 2))
        better = 1 - float(np.sqrt((1 - min(level, MOST_OPACITY)) * np.clip(through, 0.1, 1)))
        away = (moments.mean - moments.fill)[core]
        colour = float(np.clip(np.median(moments.fill[core] + away / max(better, 0.02)), 16, 235))
        room = float(np.median(colour - moments.fill[core]))
        better = max(better, float(np.median(away)) / room if room else better)
        opacity[choice == k] *= better / max(level, 0.02)
        tuned[k] = colour
    return np.minimum(opacity, 1), tuned
