"""Bars along the picture's edge that grow with the time are found, and what a camera uncovers is none."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import synth
from autowipe.kinds import Small
from autowipe.kinds._growing import Bar, GrowingBars

SIZE, COUNT, RATE = (320, 180), 75, 25


def pictures(draw) -> Iterator[np.ndarray]:
    for t, picture in enumerate(synth.scene(COUNT, SIZE, pan=2.0)):
        done = picture.copy()
        draw(done, t)
        yield done


def bars(path, draw) -> list[Bar]:
    """Those that are found in a clip; read back as the engine reads it."""
    synth.make(path, [], count=COUNT, size=SIZE, keep=False, pictures=pictures(draw))
    finder = GrowingBars(RATE)
    for t, rgb in enumerate(synth.read_rgb(path)):
        luma, red, blue = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))
        finder.add(Small(t, luma, np.dstack([blue, red]), 1.0))
    return finder.bars()


@pytest.mark.parametrize("top", [176, 0], ids=["bottom", "top"])
def test_a_bar_that_tells_the_time_is_found_with_all_its_way(top, tmp_path):
    def draw(picture: np.ndarray, t: int) -> None:
        picture[top : top + 4, : round(SIZE[0] * (t + 1) / COUNT)] = (235, 40, 40)

    (bar,) = bars(tmp_path / "clip.mp4", draw)

    x, y, w, h = bar.box
    assert (x, w) == (0, SIZE[0]) and not bar.has_track
    assert all(abs(bar.end(t) - SIZE[0] * (t + 1) / COUNT) < 3 for t in range(COUNT))
    assert y <= top and y + h >= top + 4 and h <= 12


def test_the_track_of_a_bar_is_told(tmp_path):
    def draw(picture: np.ndarray, t: int) -> None:
        picture[176:] = picture[176:] // 2
        picture[176:, : round(SIZE[0] * (t + 1) / COUNT)] = (235, 40, 40)

    (bar,) = bars(tmp_path / "clip.mp4", draw)

    assert bar.has_track


def test_a_wall_that_a_camera_uncovers_is_no_bar(tmp_path):
    def draw(picture: np.ndarray, t: int) -> None:
        picture[100:, : 3 * t] = (90, 80, 70)

    assert not bars(tmp_path / "clip.mp4", draw)


def test_a_bar_that_stays_as_it_is_does_not_grow(tmp_path):
    def draw(picture: np.ndarray, t: int) -> None:
        picture[176:, :150] = (235, 40, 40)

    assert not bars(tmp_path / "clip.mp4", draw)
