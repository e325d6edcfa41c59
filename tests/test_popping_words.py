"""Captions word by word: each one pops up over a few frames where the last one was, and every frame is covered."""

import cv2
import numpy as np
from autowipe.kinds._appears import Appearance, is_own
from autowipe.kinds._growth import popped_up
from autowipe.textlines import Line, LineFinder, _Track
from autowipe.timing import FrameRange
from test_subtitle import HEIGHT, WIDTH, find, scene

WORDS = ("NEVER", "ABOUT", "WINTER")
SIZES = (0.6, 1.15, 1.05)  # of a word in its first frames
EACH = 10  # frames of a word
FIRST = 8


def burnt(under: np.ndarray, word: str, size: float) -> np.ndarray:
    """`under` with a word in the middle below, white with a black outline."""
    for colour, thick in ((16, 10), (235, 3)):
        (w, h), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, 1.4 * size, thick)
        at = (WIDTH - w) // 2, 300 + h // 2
        cv2.putText(under, word, at, cv2.FONT_HERSHEY_DUPLEX, 1.4 * size, colour, thick, cv2.LINE_AA)
    return under


def test_the_frames_in_which_words_pop_up_are_covered():
    world, grey = scene()[:, :WIDTH], np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    noise, frames = np.random.default_rng(1), []
    for t in range(FIRST + EACH * len(WORDS) + 12):
        word, k = divmod(t - FIRST, EACH)
        luma = world.copy()
        if t >= FIRST and word < len(WORDS):
            luma = burnt(luma, WORDS[word], SIZES[k] if k < len(SIZES) else 1.0)
        luma = luma + noise.normal(0, 1.5, luma.shape)
        frames.append([luma.clip(0, 255).astype(np.uint8), grey, grey])

    events = [event.range for found in find(frames) for event in found.events]

    covered = [t for t in range(len(frames)) if any(t in event for event in events)]
    assert covered[: EACH * len(WORDS)] == list(FrameRange(FIRST, FIRST + EACH * len(WORDS)))


def test_what_was_there_long_before_is_no_text_that_pops_up():
    world, grey = scene()[:, :WIDTH], np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    noise, frames = np.random.default_rng(1), []
    for t in range(FIRST + 30):
        luma = burnt(world.copy(), "WINTER", 0.6 if t < FIRST else 1.0) if t < FIRST + EACH else world
        luma = luma + noise.normal(0, 1.5, luma.shape)
        frames.append([luma.clip(0, 255).astype(np.uint8), grey, grey])

    events = [event for found in find(frames) for event in found.events]

    assert not any(event.text == "" and event.range.stop == FIRST for event in events)


def test_another_word_is_no_text_that_pops_up():
    flat = np.full((HEIGHT, WIDTH), 90, np.uint8)
    word, small, other = (burnt(flat.copy(), *one) for one in (("WINTER", 1.0), ("WINTER", 0.6), ("ABOUT", 0.9)))
    box = (220, 270, 200, 60)

    assert len(popped_up(word, [small, other], box)) == 1
    assert popped_up(word, [word, small], box) == []


def test_a_line_found_in_its_last_frame_is_as_steady_as_it_was_before():
    lines, track = LineFinder(25.0), _Track(Line((0, 0, 40, 12), 0.0, 0.9, 3, 4))
    track.earlier = 0.97

    lines._keep(track, 9)

    assert lines.lines[0].steady == 0.97


def test_what_stirs_a_little_beside_a_word_is_no_part_of_it():
    word, hair, shadow, plate = (np.zeros((200, 300), bool) for _ in range(4))
    word[50:80, 40:160], shadow[80:84, 44:160], hair[10:24, 60:100], plate[84:110, 40:160] = True, True, True, True
    came = (100 * word + 12 * shadow + 9 * hair + 14 * plate).astype(np.uint8)
    went = (100 * word + 12 * shadow + 2 * hair + 14 * plate).astype(np.uint8)

    own, is_all = is_own(word, [Appearance(FrameRange(10, 20), 0, 0, {}, changes=[came, went])])

    assert is_all and own[word | shadow].mean() > 0.98
    assert not own[hair].any()
    assert own[plate].mean() > 0.98  # fainter than the word, but it came and went with it
