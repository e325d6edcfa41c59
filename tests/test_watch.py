"""autowipe watch: a timeline that is exported into a folder comes back clean, whatever else lies or happens there."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import media
import opentimelineio as otio
import pytest
from autowipe import cli
from autowipe.batch import watch as watching
from autowipe.batch.request import Request
from autowipe.batch.run import Outcome
from autowipe.errors import Cancelled, JobError
from autowipe.protocol import BatchItem
from opentimelineio.opentime import RationalTime, TimeRange


def export(path: Path, clip: Path) -> Path:
    """What an editing program writes: one clip, frames 2 to 9."""
    reference = otio.schema.ExternalReference(str(clip), TimeRange(RationalTime(0, 25), RationalTime(12, 25)))
    shown = otio.schema.Clip("shot", reference, TimeRange(RationalTime(2, 25), RationalTime(8, 25)))
    timeline = otio.schema.Timeline("reel")
    timeline.tracks.append(otio.schema.Track("V1", [shown], kind="Video"))
    otio.adapters.write_to_file(timeline, str(path))
    return path


@pytest.fixture
def drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "Übergabe 映画"
    folder.mkdir()
    media.write_clip(tmp_path / "shot.mkv", frames=12)
    export(folder / "reel.otio", tmp_path / "shot.mkv")
    (folder / "notes.txt").write_text("not a timeline")
    return folder


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the timelines that a batch was started for; nothing is cleaned."""
    started: list[str] = []

    def run(request: Request, send, cancelled) -> Outcome:
        started.append(Path(request.inputs[0]).name)
        send(BatchItem("a", "a", "running", "", 0.5, 8))
        Path(request.output).mkdir(exist_ok=True)
        return Outcome()

    monkeypatch.setattr(watching, "run", run)
    return started


def look(folder: Path, told: list[str] | None = None, **options) -> int:
    said = [] if told is None else told
    request = Request((), "")
    options = {"is_once": True, "poll_s": 0.05, **options}
    return watching.watch(str(folder), request, lambda _: None, said.append, threading.Event(), **options)


def test_an_exported_timeline_comes_back_on_cleaned_media(drop: Path) -> None:
    told: list[str] = []

    assert look(drop, told) == 1

    twin = otio.adapters.read_from_file(str(drop / "reel_clean" / "reel_clean.otio"))
    clip = next(iter(twin.find_clips()))
    assert Path(otio.url_utils.filepath_from_url(clip.media_reference.target_url)).parent.parent == drop / "reel_clean"
    assert clip.source_range.duration.value == 8
    status = (drop / "reel_clean" / "status.txt").read_text("utf-8")
    assert status == "reel.otio\n1 of 1 clips are clean.\nImport reel_clean.otio into your editing program.\n"
    assert told == ["reel.otio: taken up", "reel.otio: 1 of 1 clips are clean."]
    assert look(drop, told) == 0 and len(told) == 2  # done is done, in another watch too


def test_a_timeline_that_is_exported_again_is_cleaned_again(drop: Path, batches: list[str], tmp_path: Path) -> None:
    look(drop)
    look(drop)
    assert batches == ["reel.otio"]

    export(drop / "reel.otio", tmp_path / "another.mkv")
    look(drop)

    assert batches == ["reel.otio", "reel.otio"]


def test_a_file_that_still_grows_is_left_until_it_is_whole(drop: Path, batches: list[str], monkeypatch) -> None:
    growing = drop / "reel.otio"
    whole = growing.read_text()
    growing.write_text(whole[: len(whole) // 2])
    looks = 0
    timelines = watching._timelines

    def look_and_grow(folder: Path):
        nonlocal looks
        looks += 1
        if looks == 2:
            growing.write_text(whole)
        return timelines(folder)

    monkeypatch.setattr(watching, "_timelines", look_and_grow)
    look(drop)

    assert looks >= 3 and batches == ["reel.otio"]


def test_a_broken_timeline_is_told_and_the_next_one_is_cleaned(drop: Path, batches: list[str], monkeypatch) -> None:
    run = watching.run

    def breaks(request: Request, send, cancelled) -> Outcome:
        if "bad" in request.inputs[0]:
            raise JobError("the timeline bad.otio cannot be read", hint="Export it again.")
        return run(request, send, cancelled)

    monkeypatch.setattr(watching, "run", breaks)
    (drop / "bad.otio").write_text((drop / "reel.otio").read_text())
    told: list[str] = []

    look(drop, told)

    assert batches == ["reel.otio"]
    assert "bad.otio: the timeline bad.otio cannot be read. Export it again." in told
    assert "Export it again." in (drop / "bad_clean" / "status.txt").read_text("utf-8")
    look(drop)
    assert batches == ["reel.otio"]  # what failed is tried again by another watch, what is done is not


def test_a_stopped_watch_says_that_it_goes_on(drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(*_: object) -> Outcome:
        raise Cancelled

    monkeypatch.setattr(watching, "run", stops)
    with pytest.raises(Cancelled):
        look(drop)

    assert "It goes on when the folder is watched again." in (drop / "reel_clean" / "status.txt").read_text("utf-8")


def test_a_status_file_of_the_users_is_left_alone(drop: Path, batches: list[str]) -> None:
    (drop / "reel_clean").mkdir()
    mine = drop / "reel_clean" / "status.txt"
    mine.write_text("mine")

    look(drop)

    assert batches == ["reel.otio"] and mine.read_text() == "mine"


def test_twins_that_are_put_back_are_not_cleaned_again(drop: Path, batches: list[str]) -> None:
    os.rename(drop / "reel.otio", drop / "reel_clean.otio")
    look(drop)
    assert batches == []


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="is not a folder"):
        look(tmp_path / "nowhere")


def test_a_wrong_option_is_told_before_anything_is_watched(drop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["watch", str(drop), "--once", "--kinds", "ghost"]) == 2
    assert "kind 'ghost' is not known" in capsys.readouterr().err


def test_what_is_done_is_kept_in_a_file(drop: Path, batches: list[str]) -> None:
    look(drop)
    stamp = json.loads((drop / "reel_clean" / watching.STAMP).read_text())
    assert stamp == [[(drop / "reel.otio").stat().st_size, (drop / "reel.otio").stat().st_mtime_ns]]
