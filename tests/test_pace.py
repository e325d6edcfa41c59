"""The time that a run will still take: told from this run's own work."""

import pytest
from autowipe.pace import STAGE_COST, Pace

STAGES = ("look", "measure", "wipe")


def test_nothing_is_told_before_there_is_anything_to_go_by():
    pace = Pace(0.0)

    assert pace.left(STAGES, 1.0) is None

    pace.enter("look", 0.0)
    pace.add("look", 1, 1000, 1.0)

    assert pace.left(STAGES, 1.0) is None


def test_a_steady_run_is_foretold():
    pace, now = Pace(0.0), 0.0
    whole = 100 * sum(STAGE_COST.values())
    for stage in STAGES:
        pace.enter(stage, now)
        for done in range(1, 101):
            now += STAGE_COST[stage]
            pace.add(stage, done, 100, now)
            left = pace.left(STAGES, now)
            if left is not None and now > 0.1 * whole:
                assert left == pytest.approx(whole - now, abs=0.1 * whole)

    assert pace.left(STAGES, now) == 0


def test_first_frames_that_cost_much_are_soon_forgotten():
    pace, now = Pace(0.0), 10.0
    pace.enter("wipe", 0.0)
    for done in range(1, 101):
        pace.add("wipe", done, 100, now)
        if done == 40:
            assert pace.left(STAGES, now) == pytest.approx(0.1 * 60, rel=0.2)
        now += 0.1


def test_what_an_earlier_run_did_makes_no_hurry():
    pace = Pace(0.0)
    pace.enter("wipe", 4.0)
    for k in range(20):
        pace.add("wipe", 800 + k, 1000, 5.0 + k)

    assert pace.left(STAGES, 24.0) == pytest.approx(181, rel=0.1)


def test_a_stage_that_is_passed_over_takes_no_time():
    pace = Pace(0.0)
    pace.enter("look", 0.0)
    for done in range(1, 101):
        pace.add("look", done, 100, done * 0.1)
    before = pace.left(STAGES, 10.0)
    pace.enter("wipe", 10.0)
    pace.add("wipe", 1, 100, 10.5)

    assert pace.left(STAGES, 10.5) < before


def test_a_stage_takes_what_comes_before_its_first_frame_too():
    pace = Pace(0.0)
    pace.enter("look", 0.0)
    pace.add("look", 9, 9, 3.0)
    pace.enter("wipe", 4.0)
    pace.add("wipe", 1, 9, 10.0)

    assert pace.seconds(12.0) == {"look": 4.0, "wipe": 8.0}
