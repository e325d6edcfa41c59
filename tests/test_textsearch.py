"""The text detector sees what is new and may be text, all of it, and little else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from autowipe import textsearch
from autowipe.kinds import Small
from autowipe.text import TextLine
from autowipe.textsearch import LOOKS_A_SECOND, TextSearch, look_step

WIDTH, HEIGHT, RATE = 640, 360, 25.0
BOX = (240, 296, 400, 330)  # around the lettering


def world() -> np.ndarray:
    noise = np.random.default_rng(3).normal(0, 1, (HEIGHT, WIDTH + 400)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip(110 + 40 * soft / soft.std(), 20, 220).astype(np.uint8)


def picture(t: int, *, pan: float, text: bool) -> np.ndarray:
    shift = np.array([[1, 0, -pan * t], [0, 1, 0]], np.float32)
    out = cv2.warpAffine(world(), shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    if text:
        for colour, thick in ((16, 6), (235, 2)):
            cv2.putText(out, "At dawn", (246, 324), cv2.FONT_HERSHEY_SIMPLEX, 0.9, colour, thick, cv2.LINE_AA)
    return out


class Detector:
    """Finds the lettering wherever all of it is shown, by its white, and keeps what it was shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.areas: list[int] = []
        monkeypatch.setattr(textsearch, "find_text", self)

    def __call__(self, part: np.ndarray, longer: int = 0) -> list[TextLine]:
        self.areas.append(part.shape[0] * part.shape[1])
        rows, columns = np.nonzero(part.max(2) > 228)
        if len(rows) < 100:
            return []
        x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        return [TextLine(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32), 0.9)]


def search(frames: int, pan: float, shown: range) -> dict[int, list[TextLine]]:
    """The lines told in each frame that was looked at."""
    looker, told = TextSearch(RATE), {}
    chroma = np.full((HEIGHT, WIDTH, 2), 128, np.uint8)
    for t in range(frames):
        small = Small(t, picture(t, pan=pan, text=t in shown), chroma, 1.0)
        looker.look(small)
        if small.text is not None:
            told[t] = small.text.lines
    return told


def test_a_picture_that_stays_is_looked_at_once(monkeypatch):
    detector = Detector(monkeypatch)

    search(60, 0.0, range(0))

    assert detector.areas == [WIDTH * HEIGHT]


@pytest.mark.parametrize("pan", [0.0, 1.5])
def test_a_line_that_comes_is_told_within_a_look_and_as_long_as_it_stays(monkeypatch, pan):
    Detector(monkeypatch)

    told = search(75, pan, range(20, 60))

    step = look_step(RATE)
    for t, lines in told.items():
        if 20 + step + step // 2 <= t < 60:
            assert len(lines) == 1 and BOX[0] < lines[0].bounds[0] and lines[0].bounds[2] < BOX[2]
        elif t < 20 or t >= 60 + step:
            assert lines == []


def test_where_only_a_line_comes_only_its_place_is_looked_at(monkeypatch):
    detector = Detector(monkeypatch)

    search(60, 0.0, range(20, 60))

    assert len(detector.areas) > 1 and max(detector.areas[1:]) < 0.15 * WIDTH * HEIGHT


def test_a_scene_that_moves_without_text_is_looked_at_less_and_less_often(monkeypatch):
    detector = Detector(monkeypatch)

    search(150, 1.5, range(0))

    looks = 150 / look_step(RATE)
    assert sum(detector.areas) < 0.6 * looks * WIDTH * HEIGHT
    assert detector.areas.count(WIDTH * HEIGHT) >= 4


@pytest.mark.parametrize("rate", [10.0, 23.976, 25.0, 29.97, 50.0, 59.94, 90.0, 120.0])
def test_looks_fall_on_frames_that_every_finder_looks_at(rate):
    step = look_step(rate)

    assert step % (2 * max(1, round(rate / LOOKS_A_SECOND))) == 0
    assert 0.1 < step / rate < 0.7
