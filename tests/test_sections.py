"""A long clip's sections: they end at cuts, may be analysed apart, and make one plan, the same however it was made."""

from __future__ import annotations

import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import synth
from autowipe import pipeline
from autowipe.decode import open_clip
from autowipe.errors import JobError
from autowipe.job import Job
from autowipe.kinds import Small
from autowipe.plan import Plan
from autowipe.protocol import Result
from autowipe.sections import edge, near, sections_of
from autowipe.timing import FrameRange

RATE, FRAMES = Fraction(1, 2), 190  # few frames a second, so that a short clip is long
CUT = 97  # the first after the middle
SIZE = (160, 90)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    marks = [
        synth.Burnt(synth.badge((40, 24)), (112, 6), 0, FRAMES, 0.7),
        synth.Burnt(synth.badge((30, 20)), (8, 8), 110, FRAMES, 1.0),
    ]
    file = tmp_path_factory.mktemp("long") / "long.mp4"
    cuts = (16, 31, 47, 62, 78, CUT, 113, 125, 142, 160, 177)
    return synth.make(file, marks, count=FRAMES, size=SIZE, rate=RATE, keep=False, pan=2, cuts=cuts).path


def run(job: Job) -> Result:
    return pipeline.run(job, lambda message: None, threading.Event(), "test")


def made(plan: Path) -> dict[str, bytes]:
    """A plan and its maps as files of one name."""
    maps = {file.name: file.read_bytes() for file in plan.with_suffix(".maps").iterdir()}
    return {"plan": plan.read_bytes().replace(plan.stem.encode(), b""), **maps}


@pytest.fixture(scope="module")
def whole(clip: Path) -> Path:
    """The plan that one run makes."""
    plan = clip.parent / "whole.json"
    run(Job(source=str(clip), task="perceive", save_plan=str(plan)))
    return plan


def test_a_mark_of_several_sections_is_one_overlay_without_a_gap(clip: Path, whole: Path) -> None:
    plan = Plan.from_json(whole.read_text("utf-8"))

    always = max(plan.overlays, key=lambda o: sum(len(e.range) for e in o.events))
    assert [event.range for event in always.events] == [FrameRange(0, CUT), FrameRange(CUT, FRAMES)]
    assert CUT in [shot.start for shot in plan.shots]
    assert [shot.stop for shot in plan.shots[:-1]] == [shot.start for shot in plan.shots[1:]]
    assert len({overlay.id for overlay in plan.overlays}) == len(plan.overlays)


def test_sections_analysed_apart_make_the_very_plan_of_one_run(clip: Path, whole: Path, tmp_path: Path) -> None:
    job = Job(source=str(clip), task="perceive", save_plan=str(tmp_path / "apart.json"))
    sections = sections_of(FrameRange(0, FRAMES), RATE)

    for part in reversed(sections):
        of_part = run(replace(job, part=part))
        assert of_part.plan is None
    assert not Path(str(job.save_plan)).exists()
    run(replace(job, join=sections, resume=True))

    assert len(sections) == 2
    assert made(tmp_path / "apart.json") == made(whole)
    assert not list(tmp_path.glob(".*autowipe"))


def test_a_part_that_is_no_section_is_refused(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(JobError, match="no section"):
        run(Job(source=str(clip), task="perceive", save_plan=str(tmp_path / "p.json"), part=FrameRange(0, 100)))


def test_the_joined_plan_is_carried_out_with_the_maps_of_each_section(clip: Path, whole: Path, tmp_path: Path) -> None:
    plan = Plan.from_json(whole.read_text("utf-8"))
    out = tmp_path / "clean.mkv"

    run(Job(source=str(clip), output=str(out), plan=str(whole), codec="ffv1"))

    x, y, w, h = max(plan.overlays, key=lambda o: sum(len(e.range) for e in o.events)).box
    with open_clip(str(clip)) as before, open_clip(str(out)) as after:
        for span in (FrameRange(25, 27), FrameRange(130, 132)):
            for old, new in zip(before.frames(span), after.frames(span), strict=True):
                assert np.any(old.views[0][y : y + h, x : x + w] != new.views[0][y : y + h, x : x + w])


@pytest.mark.parametrize("cuts, expected", [((), 100), ((107, 115), 107), ((97, 140), 140), ((100,), 100)])
def test_a_section_ends_at_the_next_cut_or_where_it_was_to(cuts: tuple[int, ...], expected: int) -> None:
    whole, rate = FrameRange(0, 1000), Fraction(25)

    def small(frame: int) -> Small:
        luma = np.random.default_rng(sum(cut <= frame for cut in cuts)).integers(0, 255, (9, 16)).astype(np.uint8)
        luma = np.kron(luma, np.ones((10, 10), np.uint8))
        return Small(frame, luma, np.full((*luma.shape, 2), 128, np.uint8), 1.0)

    assert edge(map(small, near(100, whole, rate)), 100, rate) == expected
