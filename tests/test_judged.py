"""Whether what comes, goes or moves is an overlay at all: what its evidence says."""

from __future__ import annotations

import numpy as np
import pytest
from autowipe.kinds._appears import Appearance
from autowipe.kinds._cover import Look, flat_changes
from autowipe.kinds._effect import Settled
from autowipe.kinds._judged import is_overlay
from autowipe.timing import FrameRange


@pytest.mark.parametrize(
    ("frames", "apart", "is_one"),
    [(10, 0, True), (33, 6, False), (33, 40, True)],  # again in its place; a slow scene; twice, in two places
)
def test_what_stands_upon_itself_is_a_piece_of_a_slow_scene(frames: int, apart: float, is_one: bool):
    appearances = []
    for k, start in enumerate((8, 37, 50)):
        places = {t: (60.0 + k * apart, 40.0) for t in range(start, start + frames)}
        appearances.append(Appearance(FrameRange(start, start + frames), 0, 0, places))
    evidence: dict[str, float | str] = {
        "edge pixels": 900.0,
        "edge lock": 0.9,
        "edge sharpness": 0.8,
        "one direction": 0.3,
        "pops": 8.0,
    }
    picture = np.zeros((20, 30, 3), np.uint8)
    seen = Settled((60, 40, 30, 20), np.ones((20, 30), np.float32), {}, appearances, evidence, picture)

    assert is_overlay(seen) == is_one


HARDLY: dict[str, float | str] = {
    "edge pixels": 480.0,
    "edge lock": 0.96,
    "edge sharpness": 0.8,
    "one direction": 0.3,
    "changes around, levels": 6.0,
    "uneven frames": 0.0,
    "pops": 3.4,
}


@pytest.mark.parametrize(
    ("changed", "is_one"),
    [
        ({}, True),
        ({"edge sharpness": 0.68}, False),  # a head that comes into view
        ({"edge sharpness": 0.68, "pops": 9.0}, True),
        ({"uneven frames": 3.0, "pops": 9.0}, False),  # uncovered by a hand
        ({"changes around, levels": 2.0}, False),
        ({"changes around, levels": 2.0, "pops": 9.0}, True),
    ],
)
def test_what_hardly_pops_up_may_be_of_the_scene(changed: dict[str, float], is_one: bool):
    appearances = [Appearance(FrameRange(40, 68), 5, 8, {t: (220.0, 0.0) for t in range(40, 68)})]
    picture = np.zeros((60, 120, 3), np.uint8)
    seen = Settled((220, 0, 120, 60), np.ones((60, 120), np.float32), {}, appearances, HARDLY | changed, picture)

    assert is_overlay(seen) == is_one


MOVED: dict[str, float | str] = {
    "edge pixels": 900.0,
    "edge lock": 0.94,
    "edge sharpness": 0.78,
    "one direction": 0.1,
    "changes around, levels": 5.0,
    "changes itself, levels": 1.5,
    "changes beyond it, levels": 6.0,
    "goes evenly, px": 0.0,
    "on its way, share": 0.4,
    "travels, px": 60.0,
    "size, px": 80.0,
}


SHINES_THROUGH = {"changes around, levels": 40.0, "changes itself, levels": 20.0, "changes beyond it, levels": 40.0}


HOUSE = {  # before which a camera drives evenly
    "goes evenly, px": 60.0,
    "edge sharpness": 0.64,
    "edge lock": 0.64,
    "changes around, levels": 8.0,
    "changes itself, levels": 2.8,
    "changes beyond it, levels": 15.4,
    "travels, px": 80.0,
    "size, px": 302.0,
}


TURNED = {"keeps its picture": 1.0, "sways": 0.0, "changes around, levels": 18.0, "changes beyond it, levels": 18.3}


@pytest.mark.parametrize(
    ("changed", "is_one"),
    [
        ({}, True),
        ({"edge lock": 0.5} | SHINES_THROUGH, False),
        ({"edge lock": 0.5, "goes evenly, px": 90.0} | SHINES_THROUGH, True),
        ({"edge lock": 0.5, "goes evenly, px": 90.0} | SHINES_THROUGH | {"changes itself, levels": 45.0}, False),
        (HOUSE, False),
        (HOUSE | {"travels, px": 250.0}, True),
        ({"on its way, share": 0.1}, False),  # a toy that a hand moves on, and lets stand
        ({"changes itself, levels": 4.0, "changes beyond it, levels": 2.0}, False),  # a window, the house goes along
        ({"changes around, levels": 12.0, "edge lock": 0.6, "changes beyond it, levels": 15.0}, False),  # a car
        (TURNED | {"changes where flat, levels": 3.5}, True),
        (TURNED | {"changes where flat, levels": 12.0}, False),  # a page, in another light as it turns
        (TURNED | {"changes around, levels": 5.0}, False),  # or in the same
    ],
)
def test_what_is_moved_in_the_scene_is_no_overlay(changed: dict[str, float], is_one: bool):
    appearances = [Appearance(FrameRange(0, 40), 0, 0, {t: (60.0 + t, 40.0) for t in range(40)})]
    picture = np.zeros((20, 30, 3), np.uint8)
    seen = Settled((60, 40, 30, 20), np.ones((20, 30), np.float32), {}, appearances, MOVED | changed, picture)

    assert is_overlay(seen) == is_one


def test_edges_that_soften_as_something_is_turned_upright_do_not_speak_against_it():
    edge, spread = np.full((20, 30), 40.0, np.float32), np.full((20, 30), 15.0, np.float32)
    covered = np.zeros((20, 30), bool)
    covered[4:16, 5:25] = True
    edge[6:14, 10:20], spread[6:14, 10:20] = 1.0, 2.0  # the flat middle of it
    edge[:3], spread[:3] = 0.0, 60.0  # the scene
    zeros = np.zeros((20, 30), np.float32)
    look = Look(np.dstack([zeros] * 3), spread, np.stack([zeros] * 2), edge, zeros, 8)

    assert flat_changes(look, covered) == 2.0
    assert flat_changes(look, np.zeros_like(covered)) == 0.0
