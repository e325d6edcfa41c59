"""Subtitles: found to the frame, covered stroke by stroke, and told apart from text that the scene carries."""

import cv2
import numpy as np
import pytest
from autowipe import kinds, planes
from autowipe.faint import Faint
from autowipe.kinds import Found, Small
from autowipe.kinds._captions import is_text
from autowipe.planes import Layout, Plane
from autowipe.textsearch import TextSearch
from autowipe.timing import FrameRange

WIDTH, HEIGHT, FRAMES = 640, 360, 48
LAYOUT = Layout("yuv420p", WIDTH, HEIGHT, (Plane("Y", 0, 0, 8), Plane("U", 1, 1, 8), Plane("V", 1, 1, 8)))
WORDS = "I know what you mean"


def scene(seed: int = 3) -> np.ndarray:
    """A textured world that a camera can pan over, (HEIGHT, WIDTH + 200) uint8."""
    noise = np.random.default_rng(seed).normal(0, 1, (HEIGHT, WIDTH + 200)).astype(np.float32)
    fine, coarse = cv2.GaussianBlur(noise, (0, 0), 3), cv2.GaussianBlur(noise, (0, 0), 25)
    return np.clip(110 + 60 * fine / fine.std() / 2 + 30 * coarse / coarse.std(), 20, 220).astype(np.uint8)


def lettering(words: str = WORDS, at: tuple[int, int] = (150, 330)) -> tuple[np.ndarray, np.ndarray]:
    """Luma and opacity of white letters with a black outline, (HEIGHT, WIDTH) each."""
    fill, edge = np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.putText(edge, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.9, 255, 6, cv2.LINE_AA)
    cv2.putText(fill, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.9, 255, 2, cv2.LINE_AA)
    return 16 + fill.astype(np.float32) * (219 / 255), np.maximum(fill, edge).astype(np.float32) / 255


def clip(opacity, pan: float = 1.5, words: str = WORDS):
    """Frames of a pan with a line over it whose opacity at frame t is `opacity(t)`."""
    world, (letters, alpha) = scene(), lettering(words)
    noise = np.random.default_rng(1)
    for t in range(FRAMES):
        shift = np.float32([[1, 0, -pan * t], [0, 1, 0]])
        under = cv2.warpAffine(world, shift, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        part = alpha * opacity(t)
        luma = under * (1 - part) + letters * part + noise.normal(0, 1.5, under.shape)
        grey = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
        yield [np.rint(luma).clip(0, 255).astype(np.uint8), grey, grey.copy()]


def find(frames: list[list[np.ndarray]], shots: tuple[FrameRange, ...] | None = None) -> list[Found]:
    whole = FrameRange(0, len(frames))
    finder, text = kinds.load("subtitle", LAYOUT, whole, 25.0), TextSearch(25.0)
    for t, (luma, u, v) in enumerate(frames):
        chroma = np.dstack([cv2.resize(u, (WIDTH, HEIGHT)), cv2.resize(v, (WIDTH, HEIGHT))])
        text.look(small := Small(t, luma, chroma, 1.0))
        finder.survey(small)
    boxes = finder.propose(shots or (whole,), lambda: None)
    for t, frame in ((t, frame) for t, frame in enumerate(frames) if finder.wants(t)):
        finder.measure(t, [planes.crop(frame, LAYOUT, box) for box in boxes])
    return finder.finish()


@pytest.fixture(scope="module")
def hard_cut() -> Found:
    found = find(list(clip(lambda t: float(10 <= t < 36))))
    assert len(found) == 1
    return found[0]


def test_a_line_is_found_to_the_frame(hard_cut):
    assert [event.range for event in hard_cut.events] == [FrameRange(10, 36)]
    assert hard_cut.kind == "subtitle" and hard_cut.confidence > 0.8


def test_a_line_is_read(hard_cut):
    assert hard_cut.events[0].text.replace(" ", "").lower() == WORDS.replace(" ", "").lower()


def test_the_matte_covers_strokes_and_outline_but_not_the_box(hard_cut):
    _, alpha = lettering()
    event = hard_cut.events[0]
    x, y, w, h = event.box
    matte = np.zeros((HEIGHT, WIDTH), np.float32)
    matte[y : y + h, x : x + w] = event.matte
    assert (matte > 0.5)[alpha > 0.1].mean() > 0.99
    assert event.matte.mean() < 0.85
    away = cv2.dilate((alpha > 0.05).astype(np.uint8), np.ones((17, 17), np.uint8)) == 0
    assert not (matte > 0)[away].any()


def test_boxes_lie_on_the_chroma_grid(hard_cut):
    for box in (hard_cut.box, hard_cut.events[0].box):
        assert LAYOUT.align(box) == box


def test_fades_are_part_of_the_event():
    found = find(list(clip(lambda t: float(np.interp(t, [9, 14, 32, 37], [0, 1, 1, 0])))))
    event = found[0].events[0]
    assert event.range.start in (9, 10) and event.range.stop in (37, 38)
    assert event.fade_in >= 3 and event.fade_out >= 3


def test_lines_that_follow_each_other_without_a_gap_are_two_events():
    first, second = clip(lambda t: float(t < 24)), clip(lambda t: 1.0, words="Then go and tell her")
    found = find([a if t < 24 else b for t, (a, b) in enumerate(zip(first, second, strict=True))])
    ranges = sorted(event.range for one in found for event in one.events)
    assert ranges == [FrameRange(0, 24), FrameRange(24, FRAMES)]


def test_a_translucent_box_comes_with_its_unblend_maps():
    world, (letters, alpha) = scene(), lettering()
    box = np.zeros((HEIGHT, WIDTH), np.float32)
    box[296:346, 130:510] = 0.6
    frames = []
    for t in range(FRAMES):
        under = np.roll(world, -t // 2, 1)[:, :WIDTH].astype(np.float32)
        if 10 <= t < 36:
            under = under * (1 - box) + 16 * box
            under = under * (1 - alpha) + letters * alpha
        frames.append([under.clip(0, 255).astype(np.uint8), *(np.full((180, 320), 128, np.uint8) for _ in "uv")])
    event = find(frames)[0].events[0]
    assert event.unblend is not None
    x, y, _, _ = event.box
    transmission, contribution = event.unblend.transmission[0], event.unblend.contribution[0]
    assert transmission[300 - y, 320 - x] == pytest.approx(0.4, abs=0.03)
    assert contribution[300 - y, 320 - x] == pytest.approx(9.6, abs=3)
    assert event.matte[300 - y, 320 - x] == 1
    shows = Faint(event.unblend).shown
    sizes = [part.shape for part in event.unblend.transmission]
    black = [np.full(size, level, np.float32) for size, level in zip(sizes, (16, 128, 128), strict=True)]
    lit = [black[0] + np.float32(60), *black[1:]]
    rim = np.s_[346 - y : 348 - y, 400 - x : 440 - x]
    assert shows(lit)[rim].all() and not shows(black)[rim].any()  # over black a black box shows nowhere


def test_text_that_moves_with_the_scene_is_left_alone():
    world, (letters, alpha) = scene(), lettering(at=(150, 200))
    world = world.astype(np.float32)
    world[:, 100 : 100 + WIDTH] = world[:, 100 : 100 + WIDTH] * (1 - alpha) + letters * alpha
    grey = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    frames = [[world[:, 3 * t : 3 * t + WIDTH].astype(np.uint8), grey, grey] for t in range(FRAMES)]
    assert find(frames) == []


def test_text_that_is_always_there_in_a_still_scene_is_left_alone():
    assert find(list(clip(lambda t: 1.0, pan=0.0))) == []


def still_scene_with(words, pass_by=lambda luma, t: luma) -> list[list[np.ndarray]]:
    """A still scene with `words(t)` over it at frame t, and what passes by before both."""
    noise, under = np.random.default_rng(1), scene()[:, :WIDTH].astype(np.float32)
    grey = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    frames = []
    for t in range(FRAMES):
        letters, alpha = lettering(words(t))
        luma = under * (1 - alpha) + letters * alpha + noise.normal(0, 1.0, under.shape)
        frames.append([np.rint(pass_by(luma, t)).clip(0, 255).astype(np.uint8), grey, grey.copy()])
    return frames


def test_a_clock_in_a_still_scene_is_told_by_its_digits():
    (found,) = find(still_scene_with(lambda t: f"19:04:{51 + t // 8}"))

    (event,) = found.events
    assert (event.range.start, event.range.stop) == (0, FRAMES) and "19" in event.text
    whole = np.zeros((HEIGHT, WIDTH), bool)
    x, y, w, h = event.box
    whole[y : y + h, x : x + w] = event.matte > 0.5
    for t in range(FRAMES):
        drawn = lettering(f"19:04:{51 + t // 8}")[1] > 0.5
        assert whole[drawn].mean() > 0.97


def test_a_countdown_is_covered_with_the_plate_that_stays():
    plate = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(plate, (320, 180), 30, 255, -1)
    noise, grey, frames = np.random.default_rng(1), np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8), []
    for t in range(FRAMES):
        luma = np.where(plate > 0, np.uint8(30), scene()[:, :WIDTH])
        cv2.putText(luma, str(8 - t // 16), (307, 193), cv2.FONT_HERSHEY_DUPLEX, 1.2, 235, 3, cv2.LINE_AA)
        luma = np.rint(luma + noise.normal(0, 1.0, luma.shape)).clip(0, 255).astype(np.uint8)
        frames.append([luma, grey, grey.copy()])

    (found,) = find(frames)

    for t in range(FRAMES):
        whole = np.zeros((HEIGHT, WIDTH), bool)
        for event in (event for event in found.events if t in event.range):
            x, y, w, h = event.box
            whole[y : y + h, x : x + w] |= event.matte > 0.5
        assert whole[plate > 0].mean() > 0.98 and whole.sum() < 1.4 * (plate > 0).sum()


def test_a_sign_that_something_passes_by_is_no_clock():
    def passes(luma: np.ndarray, t: int) -> np.ndarray:
        luma[250:, 100 + 9 * t : 130 + 9 * t] = 60
        return luma

    assert not find(still_scene_with(lambda t: "EXIT 24 B7", passes))


def test_a_box_much_longer_than_its_text_is_covered_whole():
    letters, alpha = lettering("at dawn", (70, 330))
    box = np.zeros((HEIGHT, WIDTH), np.float32)
    box[296:344, 56:330] = 0.5
    bare, frames = list(clip(lambda t: 0.0)), []
    for t, (luma, u, v) in enumerate(bare):
        part = luma * (1 - box) + 20 * box
        part = part * (1 - alpha) + letters * alpha
        frames.append([(part if 10 <= t < 36 else luma).astype(np.uint8), u, v])

    (found,) = find(frames)

    x, y, w, h = found.events[-1].box
    assert x <= 56 and y <= 296 and x + w >= 330 and y + h >= 344


def test_a_clip_without_text_has_no_subtitles():
    assert find(list(clip(lambda t: 0.0))) == []


@pytest.mark.parametrize(
    ("text", "read", "contrast", "box", "expected"),
    [
        ("oo", 0.4, 7.9, (276, 158, 204, 106), False),  # eyes that open: faint and hardly to be read
        ("at dawn", 0.97, 3.9, (20, 20, 90, 30), True),
        ("at dawn", 0.2, 80.0, (20, 20, 200, 30), True),
        ("at dawn", 0.4, 0.0, (20, 20, 200, 30), True),  # its contrast could not be seen
        ("at dawn", 0.4, 80.0, (20, 20, 30, 200), False),
        ("66", 0.61, 32.0, (292, 182, 174, 70), False),  # glasses
        ("66", 0.95, 32.0, (292, 182, 174, 70), True),
        ("S1", 0.3, 80.0, (20, 20, 200, 30), True),  # a whole line of them: what is made of an unknown script
        ("", 0.0, 80.0, (20, 20, 200, 30), True),  # in a script that the recogniser does not know
    ],
)
def test_what_neither_stands_out_nor_can_be_read_is_no_text(text, read, contrast, box, expected):
    assert is_text(text, read, contrast, [box]) == expected
