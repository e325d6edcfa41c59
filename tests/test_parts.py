"""A long clip in parts: cut where segments end, wiped apart, joined to the very file of one run."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import synth
from autowipe import parts, pipeline
from autowipe.errors import JobError
from autowipe.job import Job
from autowipe.protocol import Result
from autowipe.timing import FrameRange
from filelock import FileLock

RATE, FRAMES = 2, 108  # few frames a second, so that a short clip has several segments


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long")
    mark = synth.Burnt(synth.badge((40, 24)), (112, 6), 0, FRAMES, 0.7)
    return synth.make(
        folder / "long.mp4", [mark], count=FRAMES, size=(160, 90), rate=RATE, keep=False, pan=1, cuts=(30, 72)
    ).path


def run(job: Job) -> Result:
    return pipeline.run(job, lambda message: None, threading.Event(), "test")


@pytest.fixture(scope="module")
def job(clip: Path) -> Job:
    """A job with a plan, its output in a folder of its own."""
    plan = clip.parent / "plan.json"
    found = run(Job(source=str(clip), task="perceive", save_plan=str(plan)))
    assert found.overlays
    (clip.parent / "one").mkdir()
    one = clip.parent / "one"
    return Job(
        source=str(clip), output=str(one / "clean.mkv"), plan=str(plan), codec="ffv1", report=str(one / "r.html")
    )


@pytest.mark.parametrize("codec, suffix", [("ffv1", ".mkv"), ("h264", ".mp4")])
def test_joined_parts_are_the_very_file_of_one_run(job: Job, tmp_path: Path, codec: str, suffix: str) -> None:
    whole = replace(
        job, output=str(tmp_path / f"whole{suffix}"), report=None, codec=codec, matte=str(tmp_path / "m.mkv")
    )
    joined = replace(whole, output=str(tmp_path / f"joined{suffix}"), matte=str(tmp_path / "n.mkv"))
    shares = parts.share_out(joined, most=3, least_s=12)

    one = run(whole)
    for part in reversed(shares):
        of_part = run(replace(joined, part=part))
        assert of_part.output is None
        assert not Path(str(joined.output)).exists()
    all_together = run(replace(joined, join=shares, resume=True))

    assert len(shares) == 3
    assert Path(str(joined.output)).read_bytes() == Path(str(whole.output)).read_bytes()
    assert Path(str(joined.matte)).read_bytes() == Path(str(whole.matte)).read_bytes()
    assert (all_together.changed_frames, all_together.provenance) == (one.changed_frames, one.provenance)
    assert not list(tmp_path.glob(".*autowipe"))


def test_parts_follow_each_other_and_prefer_cuts(job: Job) -> None:
    shares = parts.share_out(job, most=3, least_s=15)

    assert shares[0].start == 0 and shares[-1].stop == FRAMES
    assert all(a.stop == b.start for a, b in itertools.pairwise(shares))
    assert [share.start for share in shares] == [0, 30, 72]


def test_a_short_clip_is_not_parted(job: Job) -> None:
    assert parts.share_out(job, most=8, least_s=40) == ()


def test_a_part_that_cuts_a_window_is_refused(job: Job, tmp_path: Path) -> None:
    with pytest.raises(JobError, match="does not begin and end between segments"):
        run(replace(job, output=str(tmp_path / "c.mkv"), report=None, part=FrameRange(0, 7)))


def test_a_part_that_nobody_wiped_is_wiped_by_the_run_that_joins(job: Job, tmp_path: Path) -> None:
    whole = replace(job, output=str(tmp_path / "whole.mkv"), report=None)
    joined = replace(job, output=str(tmp_path / "joined.mkv"), report=None)
    shares = parts.share_out(joined, most=3, least_s=12)

    run(whole)
    run(replace(joined, part=shares[0]))
    run(replace(joined, join=shares, resume=True))

    assert Path(str(joined.output)).read_bytes() == Path(str(whole.output)).read_bytes()


def test_what_an_earlier_way_to_cut_left_goes_as_well_unless_somebody_works_on_it(job: Job, tmp_path: Path) -> None:
    joined = replace(job, output=str(tmp_path / "joined.mkv"), report=None)
    shares = parts.share_out(joined, most=3, least_s=12)
    run(replace(joined, part=FrameRange(shares[0].start, shares[1].stop)))
    held, others = tmp_path / ".joined.mkv.0-9.autowipe", tmp_path / ".joined.mkv.old.autowipe"
    held.mkdir()
    others.mkdir()

    with FileLock(held / "lock"):
        run(replace(joined, join=shares, resume=True))

    assert set(tmp_path.glob(".*.autowipe")) == {held, others}
