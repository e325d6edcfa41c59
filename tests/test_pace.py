"""The time that a run will still take: told from this run's own work."""

import pytest
from autowipe.pace import STAGE_COST, Pace

STAGES = ("look", "measure", "wipe")


def test_nothing_is_told_before_there_is_anything_to_go_by():
    pace = Pace(0.0)

    assert pace.left(STAGES, 1.0) is None

    pace.add("look", 1, 1000, 1.0)

    assert pace.left(STAGES, 1.0) is None


def test_a_steady_run_is_foretold():
    pace, now = Pace(0.0), 0.0
    whole = 100 * sum(STAGE_COST.values())
    for stage in STAGES:
        for done in range(1, 101):
            now += STAGE_COST[stage]
            pace.add(stage, done, 100, now)
            left = pace.left(STAGES, now)
            if left is not None and now > 0.1 * whole:
                assert left == pytest.approx(whole - now, abs=0.1 * whole)

    assert pace.left(STAGES, now) == 0


def test_what_an_earlier_run_did_makes_no_hurry():
    pace = Pace(0.0)
    for k in range(20):
        pace.add("wipe", 800 + k, 1000, 5.0 + k)

    assert pace.left(STAGES, 24.0) == pytest.approx(181 * 24 / 19, rel=0.1)


def test_a_stage_that_is_passed_over_takes_no_time():
    pace = Pace(0.0)
    for done in range(1, 101):
        pace.add("look", done, 100, done * 0.1)
    before = pace.left(STAGES, 10.0)
    pace.add("wipe", 1, 100, 10.5)

    assert pace.left(STAGES, 10.5) < before
