"""The matte of a text event, from made looks whose overlay is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from autowipe.strokes import EventLook, find_strokes

HEIGHT, WIDTH = 160, 560
LINE = (100, 50, 460, 100)  # x0, y0, x1, y1


def scene(seed: int, contrast: float = 20) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) float32 levels: luma with texture, chroma even."""
    noise = np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 6)
    luma = 120 + contrast * texture / texture.std()
    return np.dstack([luma, np.full_like(luma, 128), np.full_like(luma, 128)])


def letters(thickness: int, shift: tuple[int, int] = (0, 0)) -> np.ndarray:
    """(HEIGHT, WIDTH) float32 0..1: a line of letters."""
    out = np.zeros((HEIGHT, WIDTH), np.uint8)
    at = (105 + shift[0], 92 + shift[1])
    cv2.putText(out, "Burnt in WORDS", at, cv2.FONT_HERSHEY_SIMPLEX, 1.45, 255, thickness, cv2.LINE_AA)
    return out.astype(np.float32) / 255


def look(
    layers: list[tuple[np.ndarray, float]],
    drift: float = 0.0,
    count: int = 8,
    walker: Callable[[int], tuple[int, int, int, int] | None] = lambda _: None,
) -> EventLook:
    """Of a text made of layers (alpha, luma), over a scene that differs by `drift` levels before and after it.

    `count`: frames that show it; `walker`: frame, 0 the one before it: x0, y0, x1, y1 of a dark thing in the scene.
    """
    rng = np.random.default_rng(5)
    pictures = []
    for k in range(count + 2):
        picture = scene(1) + drift * scene(7 + k, 1) - drift * 120
        picture[..., 0] += rng.normal(0, 1, (HEIGHT, WIDTH))
        if place := walker(k):
            x0, y0, x1, y1 = place
            picture[y0:y1, x0:x1, 0] = 16
        pictures.append(picture.astype(np.float32))
    before, *inside, after = pictures
    for picture in inside:
        for alpha, luma in layers:
            picture[..., 0] += alpha * (luma - picture[..., 0])
    stack = np.stack(inside)
    return EventLook(stack.mean(0), stack[..., 0].std(0), inside[0], inside[-1], before, after, len(inside), [LINE])


def beyond(matte: np.ndarray, layers: list[tuple[np.ndarray, float]]) -> float:
    """How far the matte reaches beyond what the layers cover, px."""
    covered = np.max([alpha for alpha, _ in layers], 0) > 0.02
    return float(cv2.distanceTransform((~covered).astype(np.uint8), cv2.DIST_L2, 5)[matte > 0].max())


@pytest.mark.parametrize("drift", [0.0, 4.0])
def test_an_outline_is_covered_and_little_beyond_it(drift: float) -> None:
    layers = [(letters(11), 16.0), (letters(4), 235.0)]

    matte = find_strokes(look(layers, drift)).matte

    assert (matte[np.maximum(layers[0][0], layers[1][0]) > 0.1] == 1).all()
    assert beyond(matte, layers) <= 6


def test_a_shadow_is_covered_where_it_falls_and_nothing_on_the_other_side() -> None:
    shadow = cv2.GaussianBlur(letters(4, (5, 5)), (0, 0), 1.5) * 0.6
    layers = [(shadow, 16.0), (letters(4), 235.0)]

    matte = find_strokes(look(layers)).matte

    assert (matte[shadow > 0.2] == 1).all()
    outside = np.cumsum(np.cumsum(letters(4) > 0.02, 0), 1) == 0  # nothing of the letters up and left of it
    assert beyond(matte * outside, [(letters(4), 0.0)]) <= 7


def test_a_soft_glow_is_covered() -> None:
    glow = np.clip(cv2.GaussianBlur(letters(9), (0, 0), 4) * 1.2, 0, 1)
    layers = [(glow, 16.0), (letters(4), 235.0)]

    matte = find_strokes(look(layers)).matte

    assert (matte[glow > 0.15] == 1).all()


def test_a_dark_still_place_beyond_the_line_is_not_taken_for_its_outline() -> None:
    layers = [(letters(11), 16.0), (letters(4), 235.0)]
    seen = look(layers, drift=8.0)
    place = np.zeros((HEIGHT, WIDTH), bool)
    place[12:72, 220:330] = True
    place &= layers[0][0] == 0
    for picture in (seen.mean, seen.first, seen.last, seen.before, seen.after):
        assert picture is not None
        picture[place, 0] = 17
    seen.spread[place] = 0.5

    matte = find_strokes(seen).matte

    assert (matte[layers[0][0] > 0.5] == 1).all()
    assert not matte[:50, 220:330].any()


@pytest.mark.parametrize("low", [56, 60])
def test_who_steps_in_beside_a_short_text_as_it_comes_is_not_taken_for_its_outline(low: int) -> None:
    layers = [(letters(11), 16.0), (letters(4), 235.0)]

    def foot(k: int) -> tuple[int, int, int, int] | None:
        return (300 + 12 * k, 20, 324 + 12 * k, low) if k else None

    seen = replace(look(layers, count=4, walker=foot), after=None)

    matte = find_strokes(seen).matte

    assert (matte[layers[0][0] > 0.5] == 1).all()
    assert beyond(matte, layers) <= 6


def test_letters_that_take_another_colour_word_by_word_are_all_covered() -> None:
    seen = look([(letters(4), 235.0)], count=12)
    sung = letters(4).copy()
    sung[:, 300:] = 0
    later = look([(letters(4), 235.0), (sung, 60.0)], count=12)
    seen = replace(seen, mean=(seen.mean + later.mean) / 2, spread=seen.spread + 87 * sung, last=later.last, after=None)

    matte = find_strokes(seen).matte

    assert (matte[letters(4) > 0.5] == 1).all()


def test_letters_that_fade_are_covered_all_the_while() -> None:
    seen = look([(letters(4), 235.0)], count=4)
    faded = look([(0.7 * letters(4), 235.0)], count=4)
    short = replace(seen, first=faded.first, spread=np.maximum(seen.spread, 12 * letters(4)), after=None)

    matte = find_strokes(short).matte

    assert (matte[letters(4) > 0.5] == 1).all()


def test_what_shines_through_a_box_is_told_of_a_scene_that_has_gone_on() -> None:
    box = np.zeros((HEIGHT, WIDTH), np.float32)
    box[30:120, 60:500] = 0.5
    seen = look([(box, 20.0), (letters(4), 235.0)])
    assert seen.before is not None
    moved = replace(seen, before=np.roll(seen.before, 3, axis=1), after=None)

    panel = find_strokes(moved).panel

    assert panel is not None
    assert panel.transmission == pytest.approx(0.5, abs=0.02)


def test_a_box_is_not_measured_by_a_frame_that_shows_another_text() -> None:
    box = np.zeros((HEIGHT, WIDTH), np.float32)
    box[40:110, 80:480] = 0.8
    seen = look([(box, 60.0), (letters(4), 235.0)])
    assert seen.before is not None
    another = letters(8, shift=(14, -6))[..., None]
    seen.before = seen.before * (1 - another) + np.float32([235, 128, 128]) * another
    seen = replace(seen, after=None)

    assert find_strokes(seen).panel is not None
    assert find_strokes(replace(seen, bare=(False, True))).panel is None
