"""Lines in which a box jumps from word to word: each box is covered while it is there, and nothing else is."""

import cv2
import numpy as np
import pytest
from autowipe.kinds import Found
from autowipe.timing import FrameRange
from test_subtitle import HEIGHT, WIDTH, find, scene

WORDS = ("every", "word", "in", "turn")
EACH, FIRST, LAST = 12, 8, 56  # frames of a word; of the line
TOP, BOTTOM = 282, 326  # rows of the box
WORLD = scene()


def columns(word: int) -> tuple[int, int]:
    """Of a word, with some room around it."""
    left = 140
    for k, text in enumerate(WORDS):
        wide = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.1, 2)[0][0]
        if k == word:
            return left - 9, left + wide + 9
        left += wide + 26
    raise ValueError(word)


def frame(
    t: int, boxes: list[tuple[int, int]], pan: float, shown: bool, noise: np.random.Generator
) -> list[np.ndarray]:
    """A frame with coloured boxes between some columns, beneath a line of white letters with a black outline."""
    luma = np.ascontiguousarray(np.roll(WORLD, -round(pan * t), 1)[:, :WIDTH])
    u, v = (np.full((HEIGHT // 2, WIDTH // 2), 128, np.float32) for _ in "uv")
    for x0, x1 in boxes:
        luma[TOP:BOTTOM, x0:x1] = 90
        u[TOP // 2 : BOTTOM // 2, x0 // 2 : x1 // 2], v[TOP // 2 : BOTTOM // 2, x0 // 2 : x1 // 2] = 110, 210
    for colour, thick in ((16, 7), (235, 2)) if shown else ():
        for k, text in enumerate(WORDS):
            at = (columns(k)[0] + 9, 314)
            cv2.putText(luma, text, at, cv2.FONT_HERSHEY_DUPLEX, 1.1, colour, thick, cv2.LINE_AA)
    return [np.clip(plane + noise.normal(0, 1.5, plane.shape), 0, 255).astype(np.uint8) for plane in (luma, u, v)]


def marked(t: int) -> list[tuple[int, int]]:
    return [columns((t - FIRST) // EACH)] if FIRST <= t < LAST else []


def covered(found: list[Found], t: int) -> np.ndarray:
    out = np.zeros((HEIGHT, WIDTH), bool)
    for event in (event for one in found for event in one.events if t in event.range):
        x, y, w, h = event.box
        out[y : y + h, x : x + w] |= event.matte > 0.5
    return out


@pytest.mark.parametrize("pan", [0.0, 0.7])
def test_the_box_that_marks_a_word_is_covered_while_it_is_there(pan: float) -> None:
    noise = np.random.default_rng(1)
    frames = [frame(t, marked(t), pan, FIRST <= t < LAST, noise) for t in range(LAST + 10)]

    found = find(frames)

    middle = np.s_[TOP:BOTTOM]
    for t in range(FIRST, LAST):
        ((x0, x1),) = marked(t)
        matte = covered(found, t)
        assert matte[middle, x0:x1].mean() > 0.99
        away = [matte[TOP : TOP + 3, a:b].mean() for a, b in map(columns, range(len(WORDS))) if a != x0]
        assert max(away) < 0.1  # the rim of a box that another word has
    assert not any(covered(found, t).any() for t in (FIRST - 1, LAST))


def test_a_box_that_slides_on_is_covered_on_its_way() -> None:
    noise = np.random.default_rng(1)
    turns = [FIRST + EACH * k for k in range(1, len(WORDS))]

    def boxes(t: int) -> list[tuple[int, int]]:
        k = next((k for k in turns if k <= t < k + 3), None)
        if k is None:
            return marked(t)
        share = (t - k + 1) / 4
        (one,), (other,) = marked(k - 1), marked(k)
        return [tuple(round(a + (b - a) * share) for a, b in zip(one, other, strict=True))]

    frames = [frame(t, boxes(t), 0.0, FIRST <= t < LAST, noise) for t in range(LAST + 10)]

    found = find(frames)

    for t in range(FIRST, LAST):
        ((x0, x1),) = boxes(t)
        assert covered(found, t)[TOP:BOTTOM, x0:x1].mean() > 0.98


def test_a_ball_that_passes_behind_a_line_is_no_box() -> None:
    noise = np.random.default_rng(1)
    frames = []
    for t in range(LAST + 10):
        one = frame(t, [], 0.0, FIRST <= t < LAST, noise)
        if 20 <= t < 40:
            clean = frame(t, [], 0.0, False, noise)[0]
            ball = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (150 + 14 * (t - 20), 306), 24, 1, cv2.FILLED)
            letters = np.abs(one[0].astype(int) - clean) > 12
            one[0][(ball > 0) & ~letters] = 220
        frames.append(one)

    found = find(frames)

    assert len({id(event.matte) for one in found for event in one.events}) == 1


def test_what_shows_above_a_line_in_turn_is_no_box_behind_its_words() -> None:
    noise, frames = np.random.default_rng(1), []
    for t in range(LAST + 10):
        one = frame(t, [], 0.0, FIRST <= t < LAST, noise)
        for x0, x1 in marked(t):
            one[0][262:280, x0:x1] = 40
        frames.append(one)

    found = find(frames)

    assert [event.range for one in found for event in one.events] == [FrameRange(FIRST, LAST)]
