"""Static marks: found with their extent and times, and nothing found where nothing was burnt in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import synth
from autowipe.kinds import Found
from autowipe.kinds._cover import Look, find_cover
from autowipe.kinds._mark import side_by_side
from autowipe.kinds._plate import beneath
from autowipe.timing import FrameRange
from finding import perceive
from synth import Burnt

SIZE = (320, 180)
FRAMES = 40
LEAST_RECALL = 0.95  # of the changed pixels; the rest is the faintest rim of the antialiasing
MOST_AWAY = 0.01  # share of the picture that the matte may cover more than 8 px from any overlay


@dataclass
class Seen:
    found: list[Found]
    clip: synth.Synthetic


def see(folder: Path, overlays: list[Burnt], **how) -> Seen:
    clip = synth.make(folder / "clip.mp4", overlays, count=FRAMES, size=SIZE, **how)
    return Seen(perceive("logo", clip.path), clip)


def matte_at(found: list[Found], frame: int) -> np.ndarray:
    out = np.zeros(SIZE[::-1], bool)
    for find in found:
        x, y, w, h = find.box
        if find.matte is not None and any(frame in event.range for event in find.events):
            out[y : y + h, x : x + w] |= find.matte > 0.5
    return out


def recall(seen: Seen, frame: int) -> float:
    mask = seen.clip.masks[frame]
    return float((matte_at(seen.found, frame) & mask).sum() / max(1, mask.sum()))


def away(seen: Seen, frame: int) -> float:
    near = cv2.dilate(seen.clip.masks[frame].astype(np.uint8), np.ones((17, 17), np.uint8)) > 0
    return float((matte_at(seen.found, frame) & ~near).mean())


def score_bar(points: str) -> np.ndarray:
    bar = np.zeros((24, 96, 4), np.float32)
    bar[..., 3] = 1
    bar[..., :3] = (0.08, 0.1, 0.3)
    bar[:, 64:, :3] = 0.92
    for words, x, colour in (("ABC-XY", 4, (1, 1, 1)), (points, 70, (0.05, 0.05, 0.05))):
        letters = np.zeros(bar.shape[:2], np.uint8)
        cv2.putText(letters, words, (x, 17), cv2.FONT_HERSHEY_DUPLEX, 0.42, 255, 1, cv2.LINE_AA)
        share = letters[..., None] / np.float32(255)
        bar[..., :3] = bar[..., :3] * (1 - share) + np.array(colour, np.float32) * share
    return bar


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_a_logo_over_a_pan_is_found_with_its_extent(tmp_path, alpha):
    seen = see(tmp_path, [Burnt(synth.text("NEWS7", 20), (212, 14), 0, FRAMES, alpha=alpha)])

    assert len(seen.found) == 1
    assert seen.found[0].kind == "logo" and seen.found[0].confidence > 0.5
    assert [e.range for e in seen.found[0].events] == [FrameRange(0, FRAMES)]
    assert recall(seen, 20) >= LEAST_RECALL
    assert away(seen, 20) <= MOST_AWAY


def test_a_score_bar_is_covered_whole_while_its_digits_change(tmp_path):
    bars = [Burnt(score_bar(f"{n}:{n + 1}"), (16, 12), 10 * n, 10 * n + 10) for n in range(4)]

    seen = see(tmp_path, bars)

    for frame in (4, 20, 36):
        assert recall(seen, frame) >= LEAST_RECALL
        assert away(seen, frame) <= MOST_AWAY


def test_a_logo_that_comes_later_starts_on_its_frame(tmp_path):
    seen = see(tmp_path, [Burnt(synth.text("NEWS7", 20), (212, 14), 10, FRAMES)], pan=4.0)

    assert len(seen.found) == 1
    assert abs(seen.found[0].events[0].range.start - 10) <= 1
    assert seen.found[0].events[0].range.stop == FRAMES


def test_a_logo_stays_one_event_across_cuts(tmp_path):
    logo = Burnt(synth.text("NEWS7", 20), (212, 14), 0, FRAMES)

    seen = see(tmp_path, [logo], cuts=(10, 20, 30), pan=0.0)

    assert len(seen.found) == 1
    assert [e.range for e in seen.found[0].events] == [FrameRange(0, FRAMES)]
    assert recall(seen, 30) >= LEAST_RECALL


@pytest.mark.parametrize("how", [{"pan": 2.0}, {"pan": 0.0}, {"pan": 0.0, "cuts": (14, 28)}])
def test_nothing_is_found_where_nothing_was_burnt_in(tmp_path, how):
    assert see(tmp_path, [], **how).found == []


def test_a_line_of_text_that_comes_and_goes_is_no_logo(tmp_path):
    line = Burnt(synth.text("Where were you?", 16, outline=2), (70, 138), 9, 27)

    assert see(tmp_path, [line]).found == []


def test_every_part_of_an_upright_bar_has_a_surround():
    near = np.zeros((200, 40), bool)
    near[:, 8:13] = True
    at = np.flatnonzero(near)[2::5]  # all of them in one column

    parts, around = side_by_side(at, near)

    assert len(parts) > 1
    assert all(len(part) and len(surround) for part, surround in zip(parts, around, strict=True))


@pytest.mark.parametrize(("shows_the_scene", "covered"), [(False, True), (True, False)])
def test_a_part_of_the_scene_s_colour_is_covered_where_it_stays(shows_the_scene, covered):
    """A bar with a patch in it that is as light as the scene on average: painted, or a hole."""
    bar, patch = np.zeros((80, 140), bool), np.zeros((80, 140), bool)
    bar[25:55, 30:110] = patch[35:45, 60:75] = True
    luma = np.where(bar & ~patch, np.float32(170), np.float32(120))
    mean = np.dstack([luma, np.full_like(luma, 128), np.full_like(luma, 128)])
    spread = np.where(bar & ~(patch & shows_the_scene), np.float32(1), np.float32(25))
    slope = np.stack([cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=1 / 8)])
    edge = np.hypot(*slope)
    look = Look(mean, spread, slope, edge, np.where(edge > 0, np.float32(1), np.float32(0.05)), 24)

    _, cover = find_cover(look, edge > 0, reach=6, scale=1.0)

    assert cover[bar & ~patch].all()
    assert cover[38:42, 64:71].all() == covered and cover[38:42, 64:71].any() == covered


def test_a_wall_that_begins_behind_a_mark_is_not_covered():
    """Half of the picture moves; beside it there is a lighter wall that does not, and the bar lies over both."""
    bar, wall = np.zeros((80, 140), bool), np.zeros((80, 140), bool)
    bar[25:55, 30:110] = wall[:, 70:] = True
    luma = np.where(bar, np.float32(40), np.where(wall, np.float32(160), np.float32(120)))
    mean = np.dstack([luma, np.full_like(luma, 128), np.full_like(luma, 128)])
    spread = np.where(bar, np.float32(1), np.where(wall, np.float32(3), np.float32(40)))
    slope = np.stack([cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=1 / 8)])
    edge = np.hypot(*slope)
    rim = cv2.morphologyEx(bar.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    look = Look(mean, spread, slope, edge, np.where(rim, np.float32(1), np.float32(0.05)), 24)

    _, cover = find_cover(look, rim & (edge > 0), reach=6, scale=2.0)

    assert cover[bar].all()
    assert not cover[:23].any() and not cover[57:].any()


@pytest.mark.parametrize("blur", [0.8, 6.0], ids=["drawn", "filmed"])
def test_the_plate_that_still_letters_stand_on_is_told_by_how_sharply_it_ends(blur):
    rng = np.random.default_rng(3)
    plate, letters = np.zeros((80, 160), bool), np.zeros((80, 160), bool)
    plate[20:60, 25:135] = True
    letters[32:48, 40:120] = np.arange(80) % 16 < 5
    wall = cv2.GaussianBlur(rng.uniform(40, 220, (80, 160)).astype(np.float32), (0, 0), 2)
    soft = cv2.GaussianBlur(plate.astype(np.float32), (0, 0), blur)
    luma = np.where(letters, np.float32(235), 60 * soft + wall * (1 - soft))
    mean = np.dstack([luma, 128 - 20 * soft, 128 + 60 * soft]).astype(np.float32)
    slope = np.stack([cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=1 / 8)])
    edge = np.hypot(*slope)
    gleams = np.where(plate, np.float32(20), np.float32(1))  # a light that runs over it now and then
    look = Look(mean, gleams, slope, edge, np.ones(edge.shape, np.float32), 24)

    found = beneath(look, cv2.dilate(letters.astype(np.uint8), np.ones((3, 3))) > 0)

    if blur > 1:
        assert found is None
    else:
        assert found is not None and found[plate].mean() > 0.98 and not found[~synth.grown(plate, 6)].any()
