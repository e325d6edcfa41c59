"""Batches on one machine: what is done stays done through kills, failures are told and do not spread."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import media
import opentimelineio as otio
import pytest
import synth
from autowipe.batch.gather import gather
from autowipe.batch.machine import Limits
from autowipe.batch.relink import Finder
from autowipe.batch.request import Request
from autowipe.batch.run import preview
from autowipe.decode import open_clip
from autowipe.errors import JobError
from filelock import FileLock
from opentimelineio.opentime import RationalTime, TimeRange

KILLS = 10


def batch(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "autowipe", "batch", *map(str, words)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run(*words: object, code: int = 0) -> str:
    """Runs a batch to its end; what it said."""
    started = batch(*words)
    out, said = started.communicate(timeout=250)
    assert started.returncode == code, said
    return out + said


def states(output: Path) -> dict[str, dict]:
    """States by the name of the source."""
    clips = json.loads((output / "batch.json").read_text("utf-8"))["clips"]
    return {Path(clip["source"]).name: clip for clip in clips}


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*_clean*.mkv")}


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four short clips with a mark."""
    folder = tmp_path_factory.mktemp("marked")
    for number in range(4):
        burnt = [synth.Burnt(synth.badge((40, 24)), (112, 6), 0, 30, 0.7)]
        clip = folder / f"m{number}.mp4"
        synth.make(clip, burnt, count=30, size=(160, 90), pan=3, keep=False, seed=number + 1)
    return folder


def unmarked(path: Path, count: int = 12) -> None:
    """A scene in which enough moves that statistics decide, and no engine waits for the network."""
    synth.make(path, [], count=count, size=(160, 90), pan=4, keep=False)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Two clips with nothing to wipe, and a file that is no clip."""
    folder = tmp_path / "plain"
    (folder / "below").mkdir(parents=True)
    unmarked(folder / "a.mkv")
    unmarked(folder / "below" / "b.mkv")
    (folder / "notes.txt").write_text("no clip")
    return folder


def test_killed_ten_times_a_batch_gives_the_same_and_does_nothing_twice(marked: Path, tmp_path: Path) -> None:
    rng = random.Random(11)
    asked = ("--codec", "ffv1", "--jobs", 1)  # one engine at a time, so that a kill costs one attempt at most
    run(marked, "-o", tmp_path / "whole", *asked)

    for _ in range(KILLS):
        killed = batch(marked, "-o", tmp_path / "killed", *asked)
        time.sleep(rng.uniform(0.3, 3.0))
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    run(marked, "-o", tmp_path / "killed", *asked)

    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")
    clips = states(tmp_path / "killed")
    assert len(clips) == 4 and all(clip["state"] == "done" for clip in clips.values())
    jobs = tmp_path / "killed" / ".autowipe-batch" / "jobs"
    finished = [file.parent for file in jobs.rglob("messages-*.jsonl") if b'"type": "result"' in file.read_bytes()]
    assert len(finished) == len(set(finished)) == 4, "a clip was finished twice"
    assert sum(clip["attempts"] for clip in clips.values()) <= 4 + KILLS
    assert not list((tmp_path / "killed").rglob(".*.autowipe")), "a working folder is left"


def test_what_is_done_is_not_done_again_unless_it_is_gone_or_asked_otherwise(plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(plain, "-o", out)
    first = (out / "a_clean.mkv").read_bytes()

    assert "running" not in run(plain, "-o", out)
    (out / "a_clean.mkv").unlink()
    again = run(plain, "-o", out)
    assert "running  a_clean.mkv" in again and "b_clean" not in again
    assert (out / "a_clean.mkv").read_bytes() == first
    assert run(plain, "-o", out, "--hold-out", "0,0,8,8").count("running") == 2


def test_a_changed_source_is_done_again(plain: Path, tmp_path: Path) -> None:
    run(plain, "-o", tmp_path / "out")
    unmarked(plain / "a.mkv", 13)

    said = run(plain, "-o", tmp_path / "out")

    assert "running  a_clean.mkv" in said and "b_clean" not in said
    with open_clip(tmp_path / "out" / "a_clean.mkv") as clip:
        assert clip.info.frames == 13


def test_a_failed_clip_stops_no_other_and_is_tried_again_only_when_asked(plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a_clean.mkv").write_text("somebody's own")

    said = run(plain, "-o", out, code=7)
    assert "failed  a_clean.mkv" in said and "not written by AutoWipe" in said
    assert states(out)["b.mkv"]["state"] == "done"
    assert (out / "a_clean.mkv").read_text() == "somebody's own"
    assert "not written by AutoWipe" in (out / "batch.html").read_text("utf-8")

    (out / "a_clean.mkv").unlink()
    assert "running" not in run(plain, "-o", out, code=7)
    assert "done  a_clean.mkv" in run(plain, "-o", out, "--retry-failed")
    assert states(out)["a.mkv"]["attempts"] == 1, "an attempt at what was not there to be done does not count on"


def test_missing_and_broken_clips_are_told_and_the_rest_is_done(plain: Path, tmp_path: Path) -> None:
    (plain / "broken.mov").write_bytes(b"nothing" * 99)

    said = run(plain, "-o", tmp_path / "out", code=7)

    assert "broken.mov" in said and "is not a video file" in said
    assert [clip["state"] for clip in states(tmp_path / "out").values()] == ["done", "done"]
    run(tmp_path / "nowhere.mov", "-o", tmp_path / "out2", code=2)


def test_a_dry_run_tells_what_would_be_done_and_writes_nothing(plain: Path, tmp_path: Path) -> None:
    said = run(plain, "-o", tmp_path / "out", "--dry-run")

    assert "to wipe  a_clean.mkv  (frames 0-11" in said and "about" in said
    assert not (tmp_path / "out").exists()
    run(plain / "a.mkv", "-o", tmp_path / "out")
    said = run(plain, "-o", tmp_path / "out", "--dry-run")
    assert "done already  a_clean.mkv" in said and "to wipe  b_clean.mkv" in said


def test_plans_are_written_first_and_carried_out_as_they_were_edited(marked: Path, tmp_path: Path) -> None:
    clip, out = marked / "m0.mp4", tmp_path / "out"
    said = run(clip, "-o", out, "--plan-only")
    plan = out / "plans" / "m0_clean.json"
    body = json.loads(plan.read_text("utf-8"))
    assert body["overlays"] and "planned" in said
    assert not list(out.glob("*.mp4"))

    assert "running" not in run(clip, "-o", out, "--plan-only")
    for overlay in body["overlays"]:
        overlay["enabled"] = False
    plan.write_text(json.dumps(body), "utf-8")
    run(clip, "-o", out)

    assert states(out)["m0.mp4"]["result"]["changed_frames"] == 0
    assert (out / "m0_clean.mp4").read_bytes() == clip.read_bytes()
    for overlay in body["overlays"]:
        overlay["enabled"] = True
    plan.write_text(json.dumps(body), "utf-8")
    run(clip, "-o", out)
    assert states(out)["m0.mp4"]["result"]["changed_frames"] == 30
    assert "running" not in run(clip, "-o", out)


def test_the_summary_links_to_the_reports_of_the_clips(marked: Path, tmp_path: Path) -> None:
    run(marked / "m0.mp4", "-o", tmp_path)

    page = (tmp_path / "batch.html").read_text("utf-8")

    assert 'href="reports/m0_clean.html"' in page and 'href="m0_clean.mp4"' in page
    assert (tmp_path / "reports" / "m0_clean.html").is_file()


def test_a_stopped_batch_ends_its_engines_and_goes_on_later(marked: Path, tmp_path: Path) -> None:
    clips = marked / "m0.mp4", marked / "m1.mp4"
    stopped = batch(*clips, "-o", tmp_path / "out", "--codec", "ffv1")
    messages = tmp_path / "out" / ".autowipe-batch" / "jobs"
    end = time.monotonic() + 60
    while not any(b"progress" in file.read_bytes() for file in messages.rglob("messages-1.jsonl")):
        assert time.monotonic() < end
        time.sleep(0.05)
    stopped.send_signal(signal.SIGINT)

    _, said = stopped.communicate(timeout=60)

    assert stopped.returncode == 130 and "Run the same batch again" in said
    ended = [json.loads(file.read_bytes().splitlines()[-1])["type"] for file in messages.rglob("messages-1.jsonl")]
    assert set(ended) <= {"error", "result"}
    run(*clips, "-o", tmp_path / "out", "--codec", "ffv1")


def test_two_batches_do_not_write_into_one_folder(marked: Path, tmp_path: Path) -> None:
    first = batch(marked, "-o", tmp_path / "out")
    lock = tmp_path / "out" / ".autowipe-batch" / "jobs"
    while not list(lock.glob("*/state.json")) and first.poll() is None:
        time.sleep(0.05)

    said = run(marked, "-o", tmp_path / "out", code=2)

    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert "another batch is writing" in said


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_engine_that_is_killed_is_tried_again(marked: Path, tmp_path: Path) -> None:
    started = batch(marked / "m0.mp4", "-o", tmp_path / "out")
    place = tmp_path / "out" / ".autowipe-batch" / "jobs"
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children")
    if not children.exists():
        pytest.skip("the system does not tell children of a process")
    while not any(b"progress" in file.read_bytes() for file in place.rglob("messages-1.jsonl")):
        time.sleep(0.05)
    os.kill(int(children.read_text().split()[0]), signal.SIGKILL)

    _, said = started.communicate(timeout=100)

    assert started.returncode == 0, said
    assert "ended by the system" in said and "tried again" in said
    assert states(tmp_path / "out")["m0.mp4"]["attempts"] == 2


def test_finding_another_at_work_is_no_attempt(plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    other = out / ".a_clean.mkv.autowipe"
    other.mkdir(parents=True)
    with FileLock(other / "lock"):
        started = batch(plain, "-o", out)
        end = time.monotonic() + 60
        while not any(b'"busy"' in file.read_bytes() for file in out.rglob("messages-*.jsonl")):
            assert time.monotonic() < end
            time.sleep(0.05)
    started.communicate(timeout=250)

    assert states(out)["a.mkv"]["state"] == "done" and states(out)["a.mkv"]["attempts"] == 1


def test_folders_patterns_and_numbered_pictures_are_taken(plain: Path, tmp_path: Path) -> None:
    frames = plain / "shot"
    frames.mkdir()
    with open_clip(plain / "a.mkv") as clip:
        for frame in clip.frames():
            frame.av.to_image().save(frames / f"s_{frame.index + 1001:04d}.png")
    out = tmp_path / "out"

    run(plain, "-o", out)
    run(str(plain / "*.mkv"), "-o", tmp_path / "two")

    assert {str(path.relative_to(out)) for path in out.rglob("*_clean.mkv")} == {"a_clean.mkv", "below/b_clean.mkv"}
    made = sorted(path.name for path in (out / "shot" / "s_clean").iterdir())
    assert made == [f"s_{number}.png" for number in range(1001, 1013)]
    assert [path.name for path in (tmp_path / "two").glob("*.mkv")] == ["a_clean.mkv"]
    assert "running" not in run(plain, "-o", out), "what a batch wrote is no input of the next"


def test_only_the_clips_that_are_named_are_done(plain: Path, tmp_path: Path) -> None:
    run(plain, "-o", tmp_path / "out", "--only", "b*")

    assert list(states(tmp_path / "out")) == ["b.mkv"]


def cut_of(folder: Path, *uses: tuple[str, int, int]) -> Path:
    """A timeline of uses: path, first frame, frames, at 25 fps from 0."""
    track = otio.schema.Track("V1", kind="Video")
    for path, start, length in uses:
        ref = otio.schema.ExternalReference(path, TimeRange(RationalTime(0, 25), RationalTime(100, 25)))
        span = TimeRange(RationalTime(start, 25), RationalTime(length, 25))
        track.append(otio.schema.Clip(Path(path).stem, ref, span))
    cut = otio.schema.Timeline("cut")
    cut.tracks.append(track)
    otio.adapters.write_to_file(cut, str(folder / "cut.otio"))
    return folder / "cut.otio"


def test_ranges_with_handles_are_taken_once_where_they_meet(tmp_path: Path) -> None:
    media.write_clip(tmp_path / "a.mkv", frames=100)
    path = str(tmp_path / "a.mkv")
    cut = cut_of(tmp_path, (path, 20, 10), (path, 20, 10), (path, 50, 5), (path, 90, 10))

    found = gather(Request((str(cut),), str(tmp_path / "out"), handles=10))

    assert [(item.range.as_list(), item.uses) for item in found.items] == [([10, 65], 3), ([80, 100], 1)]
    assert [Path(item.output).name for item in found.items] == ["a_clean_10-65.mkv", "a_clean_80-100.mkv"]


def test_two_media_of_one_name_get_two_names(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        media.write_clip(tmp_path / folder / "a.mkv", frames=4)

    found = gather(Request((str(tmp_path / "x" / "a.mkv"), str(tmp_path / "y" / "a.mkv")), str(tmp_path / "out")))

    assert len({item.output for item in found.items}) == 2


def test_media_are_found_by_rule_and_by_name(tmp_path: Path) -> None:
    for folder in ("day1/cam", "day2/cam"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "A001.mov").write_bytes(b"x")
    (tmp_path / "day2" / "only.mov").write_bytes(b"x")
    top = str(tmp_path)

    by_rule = Finder((), (("D:\\Media", top),))
    by_name = Finder((top,), ())

    assert by_rule.find("D:\\Media\\day1\\cam\\A001.mov", tmp_path) == str(tmp_path / "day1/cam/A001.mov")
    assert by_name.find("/old/day2/cam/A001.mov", tmp_path / "x") == str(tmp_path / "day2/cam/A001.mov")
    assert by_name.find("ONLY", tmp_path / "x") == str(tmp_path / "day2/only.mov")
    with pytest.raises(LookupError, match="there are 2 of that name"):
        by_name.find("A001.mov", tmp_path / "x")
    with pytest.raises(LookupError, match="say where with --search"):
        by_rule.find("/old/nothing.mov", tmp_path)


def test_an_estimate_follows_what_this_batch_has_measured(plain: Path, tmp_path: Path) -> None:
    request = Request((str(plain),), str(tmp_path / "out"))
    before = preview(request)
    run(plain / "a.mkv", "-o", tmp_path / "out")

    after = preview(request)

    state = next((tmp_path / "out").rglob("state.json"))
    measured = json.loads(state.read_text("utf-8"))["seconds"]
    assert before.seconds != after.seconds
    assert [step.seconds for step in after.steps if step.action == "wipe"] == [pytest.approx(measured)]


def test_an_edl_asks_for_its_rate(tmp_path: Path) -> None:
    edl = tmp_path / "cut.edl"
    edl.write_text("TITLE: x\n001  AX  V  C  00:00:00:00 00:00:01:00 00:00:00:00 00:00:01:00\n")

    with pytest.raises(JobError, match="does not say its frame rate"):
        gather(Request((str(edl),), str(tmp_path / "out")))


def test_engines_side_by_side_share_the_cores() -> None:
    assert Limits(jobs=1, memory_mb=1, gpus=0, gpu_slots=0).threads == 0
    assert Limits(jobs=1000, memory_mb=1, gpus=0, gpu_slots=0).threads == 1


def test_an_output_folder_that_is_full_of_the_sources_is_no_trap(plain: Path) -> None:
    run(plain, "-o", plain)
    shutil.rmtree(plain / ".autowipe-batch")

    said = run(plain, "-o", plain)

    assert "a_clean_clean" not in said
