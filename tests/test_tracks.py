"""Points that travel together: where they were at each moment, and what is too little to be told."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from autowipe.kinds import Small, Text
from autowipe.kinds._tracks import TrackFinder, Travel
from autowipe.kinds._ways import between, even_way, smooth, time_on_way
from autowipe.kinds._words import WordFinder
from autowipe.text import TextLine

FRAMES = 64


def texture(size: tuple[int, int], seed: int, low: int = 10, high: int = 240) -> np.ndarray:
    """(h, w) float32 levels: soft spots."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).random(size[::-1]).astype(np.float32), (0, 0), 2)
    return low + (high - low) * (noise - noise.min()) / np.ptp(noise)


def bounced(start: float, speed: float, length: float) -> np.ndarray:
    """(FRAMES,) px: to and fro between 0 and `length`."""
    return np.abs((start + speed * np.arange(FRAMES) + length) % (2 * length) - length)


def travels(mark: np.ndarray, x: np.ndarray, y: np.ndarray, pan: float, detail: int) -> list[Travel]:
    """What is followed where a mark (h, w) lies at px x and y of a scene that pans; `detail`: px high at its top."""
    finder, scene = TrackFinder(), texture((420 + int(FRAMES * pan), 240), 1)
    scene[detail:] = 125
    h, w = mark.shape
    for t in range(FRAMES):
        luma = scene[:, int(t * pan) : int(t * pan) + 420].copy()
        spot = luma[int(y[t]) : int(y[t]) + h, int(x[t]) : int(x[t]) + w]
        spot[:] = mark
        finder.add(t, luma.round().astype(np.uint8))
    finder.close()
    return finder.travels


def assert_followed(
    mark: np.ndarray, x: np.ndarray, y: np.ndarray, *, least: int, pan: float = 0.5, detail: int = 240
) -> None:
    """The longest travel of the mark takes so many frames, and is where the mark is in each of them."""
    travel = max(travels(mark, x, y, pan, detail), key=lambda t: t.stop - t.start)
    assert travel.stop - travel.start >= least
    ways = np.stack([x, y], 1)[travel.start : travel.stop]
    assert np.abs(travel.path - (ways - ways[0])).max() < 0.5


def test_a_mark_is_where_it_was_followed_to_at_every_moment_also_where_it_turns_at_the_edge():
    mark = np.full((40, 60), 70, np.uint8)
    cv2.putText(mark, "Ab", (2, 34), cv2.FONT_HERSHEY_SIMPLEX, 1.3, 150, 4)
    x, y = bounced(200, 5, 340).round(), bounced(60, 3, 190).round()
    assert_followed(mark, x, y, least=60)


@pytest.mark.parametrize("speed", [1, 4])
def test_three_corners_that_go_one_way_for_long_are_a_mark(speed: int):
    """Also where it goes further from look to look than the patches are wide, by which corners are followed."""
    mark = np.full((48, 48), 120, np.uint8)
    cv2.fillPoly(mark, [np.array([[15, 12], [15, 36], [36, 24]])], 190)
    x, y = bounced(200, 5 * speed, 340).round(), bounced(60, 3 * speed, 180).round()
    assert_followed(mark, x, y, least=40)


@pytest.mark.parametrize(("pan", "detail"), [(0.5, 12), (20.0, 240)])
def test_a_mark_is_told_from_a_scene_with_fewer_corners_that_last(pan: float, detail: int):
    """The scene is even but for a strip, or pans so fast that none of its corners is in sight for a window."""
    mark = np.full((40, 100), 70, np.uint8)
    cv2.putText(mark, "Abcd", (2, 34), cv2.FONT_HERSHEY_SIMPLEX, 1.3, 150, 4)
    x, y = bounced(200, 5, 300).round(), bounced(60, 3, 160).round() + 30
    assert_followed(mark, x, y, least=60, pan=pan, detail=detail)


@pytest.mark.parametrize("speed", [1, 3])
def test_a_word_is_followed_on_where_it_bounces_off_the_edge(speed: int):
    scene, mark = texture((460, 240), 1), np.full((30, 90), 60, np.uint8)
    cv2.putText(mark, "Abcd", (4, 24), cv2.FONT_HERSHEY_SIMPLEX, 1, 230, 3)
    x, y = bounced(200, 4 * speed, 310), bounced(60, 3 * speed, 190)
    finder, chroma = WordFinder(1), np.full((240, 420, 2), 128, np.uint8)
    for t in range(FRAMES):
        luma = scene[:, t // 2 : t // 2 + 420].copy()
        left, top = int(x[t]), int(y[t])
        luma[top : top + 30, left : left + 90] = mark
        quad = np.array([[0, 0], [90, 0], [90, 30], [0, 30]], np.float32) + np.array([left, top], np.float32)
        text = Text([TextLine(quad, 0.9)], True) if t < 4 else None
        finder.add(Small(t, luma.round().astype(np.uint8), chroma, 1.0, text))
    finder.close()
    (travel,) = finder.travels
    ways = np.stack([x, y], 1)[travel.start : travel.stop]
    assert travel.stop - travel.start == FRAMES
    assert np.abs(travel.path - (ways - ways[0])).max() < 0.6


def test_what_bounces_between_two_looks_goes_straight_to_the_edge_and_back():
    way, looks = bounced(50, 2.5, 90), np.arange(0, FRAMES, 3)
    every = np.arange(looks[-1] + 1)
    assert np.allclose(between(every, looks, way[looks]), way[every], atol=0.01)


def test_a_straight_way_is_told_from_one_that_is_walked_or_made_by_hand():
    drawn, t = np.stack([bounced(20, 4, 150), bounced(50, 2.5, 120)], 1), np.arange(FRAMES)
    walked = np.stack([3.0 * t, 40 + 2 * np.sin(t / 3)], 1)
    moved = np.stack([20 + np.clip(12.0 * (t - 30), 0, 60), np.full(FRAMES, 40.0)], 1)
    noise = np.random.default_rng(1).normal(0, 0.1, drawn.shape)
    assert even_way(drawn + noise, 0.5) > 100
    assert even_way(walked + noise, 0.5) < 20
    assert even_way(moved + noise, 0.5) < 20
    assert time_on_way(drawn) > 0.4 and time_on_way(moved) < 0.1


def test_a_way_is_cleaned_of_its_jitter_but_not_of_its_turns():
    true = np.stack([bounced(20, 4, 90), bounced(50, 2.5, 60)], 1)
    jittery = true + np.random.default_rng(1).normal(0, 0.15, true.shape)
    even = smooth(jittery)
    assert np.abs(even - true).max() < 0.6
    calm = np.abs(np.diff(true, 2, axis=0)).max(1) == 0
    assert np.abs(even - true)[1:-1][calm].std() < 0.8 * 0.15
