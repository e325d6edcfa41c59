"""What was un-blended has no more noise than its surroundings, and keeps what they have."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from autowipe.complete import complete
from autowipe.maps import Unblend
from autowipe.planes import Layout, Plane
from autowipe.plate import Crops
from autowipe.timing import FrameRange

SIZE, COUNT = (96, 160), 6
LAYOUT = Layout("yuv420p", 320, 240, (Plane("Y", 0, 0, 8), Plane("U", 1, 1, 8), Plane("V", 1, 1, 8)))
OPACITY, COLOUR = 0.45, 200.0


def scene(coarse: float, contrast: float) -> np.ndarray:
    """(H, W) float32 levels around 110, that vary over `coarse` px."""
    grain = np.random.default_rng(1).standard_normal(SIZE).astype(np.float32)
    texture = cv2.GaussianBlur(grain, (0, 0), coarse)
    return 110 + contrast * texture / texture.std()


def errors(luma: np.ndarray, noise: float) -> tuple[float, float]:
    """RMS errors of a translucent mark's luma, levels: un-blended sample by sample, and in the plates.

    The coder leaves `noise`, levels, in what it is given: the scene with the mark on it.
    """
    rng = np.random.default_rng(2)
    word = cv2.putText(np.zeros(SIZE, np.uint8), "NOVA", (24, 66), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 255, 9)
    matte = word.astype(np.float32) * np.float32(OPACITY / 255)
    clean = [luma, *[np.full((SIZE[0] // 2, SIZE[1] // 2), 128, np.float32)] * 2]
    shares = [matte, *[matte[::2, ::2]] * 2]
    colours = [COLOUR, 128.0, 128.0]
    frames = []
    for _ in range(COUNT):
        coded = [part * (1 - s) + c * s for part, s, c in zip(clean, shares, colours, strict=True)]
        noisy = [part + rng.normal(0, noise, part.shape) for part in coded]
        frames.append([np.rint(part).clip(0, 255).astype(np.uint8) for part in noisy])
    maps = Unblend([1 - s for s in shares], [s * np.float32(c) for s, c in zip(shares, colours, strict=True)])
    crops = Crops(
        LAYOUT, (0, 0, *SIZE[::-1]), list(range(COUNT)), frames, [matte] * COUNT, [maps] * COUNT, [False] * COUNT
    )
    there = matte > 0
    plain, wiped = [], []
    for frame, plate in zip(frames, complete(crops, FrameRange(0, COUNT), quality="normal"), strict=True):
        beneath = (frame[0] - maps.contribution[0]) / maps.transmission[0]
        plain.append(np.square(beneath - luma)[there].mean())
        wiped.append(np.square(plate.planes[0].astype(np.float32) - luma)[there].mean())
    return float(np.sqrt(np.mean(plain))), float(np.sqrt(np.mean(wiped)))


def test_the_coders_noise_that_un_blending_makes_larger_is_smoothed_away() -> None:
    plain, wiped = errors(scene(12, 20), 2.0)

    assert plain > 3
    assert wiped < 0.7 * plain


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_fine_texture_that_goes_on_beneath_is_kept(noise: float) -> None:
    plain, wiped = errors(scene(0.9, 8), noise)

    assert wiped < plain + 0.5
