"""Grain: what is invented has as much of it as its surroundings, and none where there is none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from autowipe.complete import complete
from autowipe.flow import follow
from autowipe.grain import TILE, Grain, measured
from autowipe.scene import unblended
from autowipe.timing import FrameRange
from test_complete import SIZE, YUV420, covered, pan

COUNT = 20
INNER = (slice(40, 48), slice(64, 86))  # of the overlay, off its edges
AROUND = (slice(8, 28), slice(20, 140))


def grainy(px: float, deviation: float, blur: float) -> list[list[np.ndarray]]:
    """A camera that moves `px` a frame, with grain on luma alone."""
    rng, frames = np.random.default_rng(2), pan(COUNT, px)
    for planes in frames:
        noise = rng.normal(0, 1, SIZE).astype(np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), blur) if blur else noise
        planes[0] = np.rint(planes[0] + deviation * noise / noise.std()).clip(0, 255).astype(np.uint8)
    return frames


def of(frames: list[list[np.ndarray]]) -> Grain:
    scene = unblended(covered(frames, list(range(COUNT))))
    lumas = [cv2.convertScaleAbs(luma) for luma in scene.volumes[0]]
    motion = follow(lumas, [mask for mask in scene.opaque if mask is not None])
    return measured(scene, motion, range(COUNT))


@pytest.mark.parametrize("blur", [0.0, 0.8])
def test_what_is_invented_has_the_grain_of_what_is_around(blur: float) -> None:
    frames = grainy(0, 5, blur)

    plates = list(complete(covered(frames, list(range(COUNT))), FrameRange(0, COUNT), quality="normal"))

    steps = {}
    for name, planes, part in (("in", [p.planes for p in plates], INNER), ("around", frames, AROUND)):
        shown = np.stack([one[0][part] for one in planes]).astype(float)
        steps[name] = np.abs(np.diff(shown, axis=0)).mean()
    assert steps["around"] > 4
    assert 0.75 < steps["in"] / steps["around"] < 1.2


@pytest.mark.parametrize("px", [0.0, 0.4, 1.7, 3.0])
def test_a_picture_without_grain_gets_none_however_it_moves(px: float) -> None:
    assert of(pan(COUNT, px)).tiles == [None] * 3


@pytest.mark.parametrize("px", [0.0, 1.7])
@pytest.mark.parametrize(("blur", "deviation"), [(0.0, 2.5), (0.0, 6.0), (0.8, 6.0)])
def test_grain_is_told_from_what_moves(px: float, blur: float, deviation: float) -> None:
    luma, *chroma = of(grainy(px, deviation, blur)).tiles

    assert luma is not None
    assert 0.75 < luma.std() / deviation < 1.2
    assert chroma == [None, None]


def test_a_place_of_a_frame_has_the_same_grain_in_any_box() -> None:
    tile = np.random.default_rng(0).normal(size=(TILE, TILE)).astype(np.float32)
    grain = Grain([tile, None, None])

    one, other = (grain.over(0, 7, YUV420, box) for box in ((10, 20, 60, 40), (30, 24, 290, 80)))
    later = grain.over(0, 8, YUV420, (10, 20, 60, 40))

    assert one is not None and other is not None and later is not None
    np.testing.assert_array_equal(one[4:, 20:], other[:36, :40])
    assert not np.array_equal(one, later)
    assert grain.over(1, 7, YUV420, (10, 20, 60, 40)) is None
