"""The motions of two surfaces behind an overlay: told apart where there are two, and not where there is one."""

import cv2
import numpy as np
import pytest
from autowipe.flow import Motion
from autowipe.layers import layers, scenery

SIZE = (240, 90)


def film(ways, frames=12):
    """Bars before a textured wall, each going its way, px a frame; and the hidden band across both."""
    rng = np.random.default_rng(3)
    wall = cv2.GaussianBlur(rng.uniform(0, 255, (90, 600)).astype(np.float32), (0, 0), 2) * 4 - 380
    bars = cv2.GaussianBlur(rng.uniform(0, 255, (90, 600)).astype(np.float32), (0, 0), 1.5) * 3 - 150
    front = np.zeros((90, 600), np.float32)
    for x in range(0, 600, 30):
        front[:, x : x + 12] = 1
    hidden = np.zeros((90, 240), bool)
    hidden[36:54, 30:210] = True
    lumas = []
    for t in range(frames):
        back, cover, alpha = (
            cv2.warpAffine(p, np.array([[1, 0, -150 + way * t], [0, 1, 0]], float), SIZE, borderMode=cv2.BORDER_REFLECT)
            for p, way in zip((wall, bars, front), (ways[0], ways[1], ways[1]), strict=True)
        )
        picture = np.clip(back + alpha * (cover - back), 0, 255)
        lumas.append(np.where(hidden, 128, picture).astype(np.uint8))
    return lumas, [hidden] * frames


@pytest.mark.parametrize("ways", [(-1.0, -3.0), (0.0, 2.0)])
def test_two_surfaces_are_told_apart(ways):
    found = layers(*film(ways))

    assert len(found) == 2
    y, x = (part.ravel().astype(np.float32) for part in np.mgrid[36:54, 30:210])
    told = sorted(float(motion.at(5, 6, x, y)[0].mean()) for motion in found)
    assert told == pytest.approx(sorted(ways), abs=0.15)
    back = sorted(float(motion.at(6, 5, x, y)[0].mean()) for motion in found)
    assert back == pytest.approx(sorted(-way for way in ways), abs=0.15)


def test_one_surface_is_one():
    assert layers(*film((-2.0, -2.0))) == []


def test_the_camera_tells_another_motion_only_where_the_flow_departs_from_it():
    turn = np.array([[1.01, 0, -3], [0, 0.99, 2]])
    hidden = np.zeros((90, 240), bool)
    hidden[36:54, 30:210] = True
    y, x = (part.ravel().astype(np.float32) for part in np.nonzero(hidden))

    def flow(right, down):
        return Motion([np.dstack([right, down, 0 * right]).astype(np.float32)], [None], hidden.shape)

    rows, columns = np.mgrid[:90, :240].astype(np.float32)
    same = flow(0.01 * columns - 3, 2 - 0.01 * rows)
    (told,) = scenery(flow(np.full((90, 240), 1.0), np.zeros((90, 240))), [hidden], [turn])

    assert scenery(same, [hidden], [turn]) == []
    assert scenery(same, [hidden], [None]) == []
    right, down, _ = told.at(0, 1, x, y)
    assert np.abs(right - (0.01 * x - 3)).max() < 0.02 and np.abs(down - (2 - 0.01 * y)).max() < 0.02
    back_right, back_down, _ = told.at(1, 0, x + right, y + down)
    assert np.abs(back_right + right).max() < 0.02 and np.abs(back_down + down).max() < 0.02
