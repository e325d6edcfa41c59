"""Residue: what is left of an un-blended overlay is measured, its maps put right, and its fades undone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from autowipe.complete import complete
from autowipe.maps import Unblend
from autowipe.planes import Layout, Plane
from autowipe.plate import UNBLENDED, Crops
from autowipe.residue import residue, settle_strength, strength_in
from autowipe.timing import FrameRange
from autowipe.unblend import faded

SIZE = (120, 200)
LAYOUT = Layout("gray", 200, 120, (Plane("Y", 0, 0, 8),))
COUNT = 12


def letters() -> np.ndarray:
    """Opacity of a translucent word, (H, W) float32."""
    drawn = np.zeros(SIZE, np.uint8)
    cv2.putText(drawn, "NOVA", (45, 75), cv2.FONT_HERSHEY_DUPLEX, 1.6, 255, 4, cv2.LINE_AA)
    return drawn.astype(np.float32) * np.float32(0.4 / 255)


def maps_of(alpha: np.ndarray) -> Unblend:
    return Unblend([1 - alpha], [alpha * 230])


def pan() -> list[np.ndarray]:
    """A camera that moves over a texture of some 25 levels, (H, W) float32 each."""
    noise = np.random.default_rng(4).standard_normal((SIZE[0], SIZE[1] + 4 * COUNT)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 2.0)
    wide = 100 + 25 * texture / texture.std()
    return [np.ascontiguousarray(wide[:, 4 * t : 4 * t + SIZE[1]]) for t in range(COUNT)]


def crops(clean: list[np.ndarray], strengths: list[float], given: Unblend, fading: list[bool]) -> Crops:
    seen = []
    for picture, strength in zip(clean, strengths, strict=True):
        now = faded(maps_of(letters()), strength)
        seen.append([np.rint(now.transmission[0] * picture + now.contribution[0]).clip(0, 255).astype(np.uint8)])
    matte = cv2.dilate((letters() > 0.01).astype(np.float32), np.ones((5, 5)))
    box = (0, 0, SIZE[1], SIZE[0])
    return Crops(LAYOUT, box, list(range(len(seen))), seen, [matte] * len(seen), [given] * len(seen), fading)


@pytest.mark.parametrize("there", [0.8, 1.0, 1.2])
def test_maps_that_are_too_weak_or_too_strong_are_put_right(there: float):
    clean = pan()
    wrong = faded(maps_of(letters()), 1 / there)
    given = crops(clean, [1.0] * COUNT, wrong, [False] * COUNT)

    settled = settle_strength(given)

    lumas = [part[0].astype(np.float32) for part in given.planes]
    assert abs(residue(lumas, settled.unblends[0], 1.0).share) < 0.03
    assert (settled.unblends[0] is wrong) == (there == 1.0)


def test_a_fade_is_un_blended_frame_by_frame():
    clean = pan()
    strengths = [min(1.0, (t + 1) / 6) for t in range(COUNT)]
    given = crops(clean, strengths, maps_of(letters()), [t < 5 for t in range(COUNT)])

    plates = list(complete(given, FrameRange(0, COUNT), quality="normal"))

    for plate, picture in zip(plates, clean, strict=True):
        inside = letters() > 0.2
        off = plate.planes[0].astype(np.float32) - picture
        assert (plate.provenance[inside] == UNBLENDED).mean() > 0.9
        assert np.sqrt(np.mean(off[inside] ** 2)) < 4


def test_a_strength_that_chance_could_make_is_not_believed():
    busy = cv2.dilate(maps_of(letters()).contribution[0], np.ones((3, 3)))  # a scene of edges like the overlay's
    scene = 60 + np.roll(busy, (7, 4), (0, 1)) + np.roll(busy, (-6, 5), (0, 1))

    assert strength_in([scene.astype(np.float32)], maps_of(letters()), 1.0) is None
