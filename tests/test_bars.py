"""Overlays in letterbox bars and in black frames: what they hide is black, whatever is seen beside it or later."""

from __future__ import annotations

import numpy as np
from autowipe.complete import complete
from autowipe.maps import Unblend
from autowipe.planes import Layout, Plane
from autowipe.plate import Crops
from autowipe.timing import FrameRange

SIZE, COUNT = (64, 160), 8
TEXT = (slice(38, 58), slice(30, 130))
LAYOUT = Layout("yuv420p", 160, 240, (Plane("Y", 0, 0, 8), Plane("U", 1, 1, 8), Plane("V", 1, 1, 8)))


def frames(bar: slice) -> list[list[np.ndarray]]:
    """A picture of wide bright stripes that move 5 px a frame over the lowest rows of it, black in `bar`."""
    out = []
    for t in range(COUNT):
        stripes = 140 + 70 * np.sin((np.arange(SIZE[1]) + 5 * t) / 9)
        luma = np.tile(stripes, (SIZE[0], 1))
        luma[bar] = 16
        out.append([np.rint(luma).astype(np.uint8), *(np.full((32, 80), 128, np.uint8) for _ in range(2))])
    return out


def wiped(clean: list[list[np.ndarray]]) -> list[np.ndarray]:
    """Lumas of the plates, of a white text that covers TEXT in all frames; the region ends with the picture."""
    matte = np.zeros(SIZE, np.float32)
    matte[TEXT] = 1
    given = [[part.copy() for part in planes] for planes in clean]
    for planes in given:
        planes[0][TEXT] = 235
    box = (0, 240 - SIZE[0], *SIZE[::-1])
    nothing: list[None] = [None] * COUNT
    crops = Crops(LAYOUT, box, list(range(COUNT)), given, [matte] * COUNT, nothing, [False] * COUNT)
    return [plate.planes[0] for plate in complete(crops, FrameRange(0, COUNT), quality="normal")]


def test_what_text_hides_of_a_bar_is_black_however_bright_the_picture_moves_beside_it() -> None:
    clean = frames(np.s_[40:])

    for luma in wiped(clean):
        assert (luma[42:58, TEXT[1]] == 16).all()


def test_the_picture_is_not_taken_for_a_bar_because_both_ends_of_its_rows_are_black() -> None:
    clean = frames(np.s_[64:])
    for planes in clean:
        planes[0][:, :30] = planes[0][:, 130:] = 16

    for luma in wiped(clean):
        assert luma[TEXT].mean() > 60


def test_what_text_hides_of_a_black_frame_is_black_though_there_is_a_picture_after_it() -> None:
    clean = frames(np.s_[64:])
    for planes in clean[:4]:
        planes[0][:] = 16

    for luma in wiped(clean)[:4]:
        assert (luma[TEXT] == 16).all()


def test_a_light_that_shines_through_an_overlay_on_a_dark_scene_is_no_bar_s() -> None:
    clean = frames(np.s_[:])
    for planes in clean:
        planes[0][46:48, 70:72] = 120
    covered = np.zeros(SIZE, bool)
    covered[TEXT] = True
    through = [covered, covered[::2, ::2], covered[::2, ::2]]
    maps = Unblend(
        [np.where(one, np.float32(0.6), np.float32(1)) for one in through],
        [np.where(one, np.float32(0.4 * v), np.float32(0)) for one, v in zip(through, (200, 128, 128), strict=True)],
    )
    given = [
        [np.rint(p * a + b).astype(np.uint8) for p, a, b in zip(one, maps.transmission, maps.contribution, strict=True)]
        for one in clean
    ]
    box = (0, 240 - SIZE[0], *SIZE[::-1])
    crops = Crops(
        LAYOUT, box, list(range(COUNT)), given, [covered.astype(np.float32)] * COUNT, [maps] * COUNT, [False] * COUNT
    )

    for plate in complete(crops, FrameRange(0, COUNT), quality="normal"):
        assert plate.planes[0][46:48, 70:72].mean() > 80
