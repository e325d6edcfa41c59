"""The camera's motion, from the whole picture, and what it tells of what is hidden."""

from __future__ import annotations

import cv2
import numpy as np
from autowipe.camera import Camera
from autowipe.flow import follow
from autowipe.match import spread
from autowipe.planes import layout_of

SIZE = (960, 540)  # twice the size in which corners are followed
BOX = (600, 300, 120, 80)
SHIFT = (6.0, -3.0)  # px a frame
ZOOM = 1.01  # a frame, around the picture's first px


def texture(seed: int = 3) -> np.ndarray:
    """Larger than a frame, uint8."""
    noise = np.random.default_rng(seed).standard_normal((700, 1200)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip(120 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def filmed(frames: int) -> list[np.ndarray]:
    """Pictures of a camera that turns and zooms, with a mark over a tenth of them that rests."""
    wide, out = texture(), []
    for t in range(frames):
        move = np.array([[ZOOM**t, 0, SHIFT[0] * t - 60], [0, ZOOM**t, SHIFT[1] * t - 60]], np.float32)
        picture = cv2.warpAffine(wide, move, SIZE)
        picture[20:220, 20:280] = texture(5)[:200, :260]
        out.append(picture)
    return out


def camera_of(pictures: list[np.ndarray]) -> Camera:
    layout = layout_of("gray", *SIZE)
    camera = Camera(layout)
    for picture in pictures:
        camera.add(Camera.look([picture], layout))
    return camera


def test_the_camera_s_motion_is_told_in_px_of_a_box() -> None:
    ways = camera_of(filmed(4)).ways(BOX)

    assert len(ways) == 3
    for t, way in enumerate(ways):
        assert way is not None
        for x, y in ((0, 0), (BOX[2], BOX[3])):
            # A px of the scene at p in frame t lies at (p - shift(t)) * zoom + shift(t + 1) in the next one.
            whole = np.array([BOX[0] + x, BOX[1] + y], float)
            shifts = [np.array(SHIFT) * s - 60 for s in (t, t + 1)]
            there = (whole - shifts[0]) * ZOOM + shifts[1] - BOX[:2]
            assert np.abs(way @ [x, y, 1] - there).max() < 0.15


def test_between_pictures_of_different_things_the_camera_is_not_known() -> None:
    assert camera_of([texture(1)[: SIZE[1], : SIZE[0]], texture(2)[: SIZE[1], : SIZE[0]]]).ways(BOX) == [None]


def under(lumas: list[np.ndarray], way: tuple[float, float]) -> np.ndarray:
    """(2,) px: how far what a box hides moves, where the camera moves by `way`."""
    hidden = np.zeros(lumas[0].shape, bool)
    hidden[30:60, 70:110] = True
    covered = [spread([luma.astype(np.float32)], (~hidden).astype(np.float32))[0] for luma in lumas]
    pictures = [np.rint(luma).astype(np.uint8) for luma in covered]
    motion = follow(pictures, [hidden] * 2, camera=[np.array([[1, 0, way[0]], [0, 1, way[1]]])])
    y, x = (part.astype(np.float32) for part in np.nonzero(hidden))
    return np.mean(motion.at(0, 1, x, y)[:2], axis=1)


def test_a_wire_in_the_sky_moves_as_the_camera_does() -> None:
    def sky(t: int) -> np.ndarray:
        """A slanted line, whose motion along itself nobody can see."""
        picture = np.full((90, 180), 150, np.uint8)
        cv2.line(picture, (-300 + 12 * t, -100), (500 + 12 * t, 166), 60, 1, cv2.LINE_AA)
        return picture

    assert np.abs(under([sky(0), sky(1)], (12, 0)) - (12, 0)).max() < 0.5


def test_what_moves_otherwise_than_the_camera_keeps_its_own_motion() -> None:
    wide = texture()
    assert np.abs(under([wide[40:130, 100:280], wide[37:127, 100:280]], (12, 0)) - (0, 3)).max() < 0.5


def test_nothing_is_searched_for_where_all_that_is_seen_moves_as_the_camera_does() -> None:
    wide, way = texture(), np.array([[1.0, 0, 4], [0, 1.0, -2]])
    lumas = [cv2.warpAffine(wide, np.float32([[1, 0, 4 * t - 80], [0, 1, -2 * t - 80]]), (240, 160)) for t in range(6)]
    hidden = np.zeros((160, 240), bool)
    hidden[60:90, 80:160] = True
    crossed = [luma.copy() for luma in lumas]
    for t, luma in enumerate(crossed):
        luma[10:60, 20 + 9 * t : 60 + 9 * t] = 255 - texture(7)[:50, :40]

    plain, other = (follow(pictures, [hidden] * 6, camera=[way] * 5) for pictures in (lumas, crossed))

    assert plain.led == 1 and other.led == 0
    right, down, _ = plain.at(2, 3, np.float32([120]), np.float32([75]))
    assert abs(right[0] - 4) < 0.01 and abs(down[0] + 2) < 0.01
    right, down, _ = other.at(2, 3, np.float32([20 + 9 * 2 + 20]), np.float32([35]))
    assert right[0] > 6 and abs(down[0]) < 1
