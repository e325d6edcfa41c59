"""Laying one picture over another by its background: what fits fits closely, and what does not is refused."""

from __future__ import annotations

import cv2
import numpy as np
from autowipe.register import Picture, register

SIZE = (480, 270)


def place(seed: int) -> np.ndarray:
    """(600, 960) uint8: a textured place larger than a picture."""
    noise = np.random.default_rng(seed).standard_normal((600, 960)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.rint(120 + 30 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def seen(whole: np.ndarray, way: np.ndarray) -> Picture:
    """The picture whose px (x, y) shows px `way` (x, y) of the place."""
    luma = cv2.warpPerspective(whole, way, SIZE, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    noisy = luma + np.random.default_rng(0).normal(0, 2, luma.shape)
    return Picture(np.rint(noisy).clip(0, 255).astype(np.uint8), np.ones(luma.shape, bool))


def at(x: float, y: float, zoom: float = 1.0, turn: float = 0.0, lean: float = 0.0) -> np.ndarray:
    c, s = np.cos(np.deg2rad(turn)) / zoom, np.sin(np.deg2rad(turn)) / zoom
    return np.array([[c, -s, x], [s, c, y], [lean, 0, 1.0]])


def off(way: np.ndarray | None, truth: np.ndarray) -> float:
    """Px by which a homography errs in the picture's corners, at the most."""
    assert way is not None
    corners = np.float32([[[0, 0]], [[480, 0]], [[0, 270]], [[480, 270]]])
    return float(np.abs(cv2.perspectiveTransform(corners, way) - cv2.perspectiveTransform(corners, truth)).max())


def test_pan_zoom_turn_and_perspective_are_found():
    whole, first = place(1), at(200, 150)
    for second in (at(214, 146), at(203, 152, zoom=1.06), at(200, 150, turn=1.5), at(195, 150, lean=4e-5)):
        way = register(seen(whole, first), seen(whole, second))

        assert off(way, np.linalg.inv(second) @ first) < 0.5


def test_a_guess_leads_over_a_long_way():
    whole, first, second = place(1), at(150, 150), at(310, 170)
    truth = np.linalg.inv(second) @ first

    assert off(register(seen(whole, first), seen(whole, second), at(-155, -15)), truth) < 0.5


def test_somebody_who_walks_by_does_not_matter():
    whole, first, second = place(1), at(200, 150), at(206, 150)
    one, other = seen(whole, first), seen(whole, second)
    for picture, x in ((one, 60), (other, 85)):
        picture.luma[40:, x : x + 120] = place(2)[40:270, :120]

    assert off(register(one, other), np.linalg.inv(second) @ first) < 0.5


def test_what_an_overlay_covers_does_not_count():
    whole, first, second = place(1), at(200, 150), at(212, 150)
    one, other = seen(whole, first), seen(whole, second)
    for picture in (one, other):  # it rests, whatever the camera does
        picture.luma[150:, :] = place(2)[:120, :480]
        picture.clear[150:, :] = False

    assert off(register(one, other), np.linalg.inv(second) @ first) < 0.5


def test_other_places_and_flat_ones_are_refused():
    one = seen(place(1), at(200, 150))
    flat = Picture(np.full(SIZE[::-1], 90, np.uint8), np.ones(SIZE[::-1], bool))

    assert all(register(one, seen(place(seed), at(200, 150))) is None for seed in range(2, 8))
    assert register(one, flat) is None and register(flat, one) is None
