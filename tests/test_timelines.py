"""Timelines in every format: what they use is found, and they come back with cleaned media in the same places."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from functools import cache
from pathlib import Path

import cuts
import media
import pytest
from autowipe import timelines
from autowipe.decode import open_clip
from autowipe.timelines import Medium, _urls, frames_of
from autowipe.timing import FrameRange

FORMATS = sorted(cuts.ADAPTERS)
ONE_RATE = ["a cam é.mov", "e.mov"]  # of the media that an FCPXML or AAF of the adapters may mix


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "autowipe", *map(str, words)], capture_output=True, text=True, timeout=280
    )


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, int]:
    """Five timelines of 40 clips and one batch over them: the folder, the output folder, the exit code."""
    folder = tmp_path_factory.mktemp("forty cuts")
    cuts.make_media(folder)
    for suffix in FORMATS:
        mixed = suffix in (".otio", ".xml", ".edl")
        cut = cuts.timeline(folder, tracks=1 if suffix == ".edl" else 2, names=None if mixed else ONE_RATE)
        cuts.write(cut, folder / f"forty{suffix}")
    inputs = [folder / f"forty{suffix}" for suffix in FORMATS]
    done = run("batch", *inputs, "-o", folder / "out", "--rate", cuts.RATE, "--quality", "draft")
    assert done.returncode == 7, done.stderr
    return folder, folder / "out", done.returncode


def clips(path: Path) -> list[dict[str, object]]:
    """Name, file, place on the timeline, and source frame of first and last frame of every clip."""
    if path.suffix == ".edl":
        return edits(path)
    out = []
    cut = cuts.read(path)  # its clips do not outlive it
    for clip in cut.find_clips():
        ref = clip.media_reference
        span, available = clip.trimmed_range(), ref.available_range
        rate = (
            medium_of(_urls.path_of(ref.target_url)).rate if Path(_urls.path_of(ref.target_url)).stem != "gone" else 25
        )
        first = float(rate) * (span.start_time - available.start_time).to_seconds()
        out.append(
            {
                "name": clip.name,
                "file": _urls.path_of(ref.target_url),
                "record": clip.range_in_parent(),
                "first": first,
                "length": span.duration,
            }
        )
    return out


def edits(path: Path) -> list[dict[str, object]]:
    """The same of an EDL, whose source timecodes are the file's own or count from 0."""
    out = []
    for use in timelines.read(path, Fraction(cuts.RATE)).uses:
        out.append({"name": use.name, "file": use.media, "record": (use.record, use.length), "length": use.length})
        path_there = Path(str(use.media))
        if path_there.exists() and path_there.name != cuts.BROKEN:
            medium = medium_of(str(use.media))
            out[-1]["first"] = frames_of(use, medium).start
    return out


@cache
def medium_of(path: str) -> Medium:
    if Path(path).name in (cuts.BROKEN, cuts.MISSING):
        return Medium(path, Fraction(25), 160, None, False)
    with open_clip(path) as clip:
        return Medium(path, clip.info.rate, clip.info.frames, clip.info.timecode, False)


@cache
def number_at(path: str, frame: int) -> int:
    """The number stamped into a frame of a file."""
    with open_clip(path) as clip:
        found = next(clip.frames(FrameRange(frame, frame + 1)))
        return media.number_of(found.views, clip.info.layout)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_rewritten_timeline_has_every_clip_in_its_place_on_the_right_frames(batch, suffix: str) -> None:
    folder, out, _ = batch

    before, after = clips(folder / f"forty{suffix}"), clips(out / f"forty_clean{suffix}")

    assert len(before) == len(after) == 40
    kept = 0
    for old, new in zip(before, after, strict=True):
        assert (old["name"], old["record"], old["length"]) == (new["name"], new["record"], new["length"])
        if Path(str(old["file"])).name in (cuts.MISSING, cuts.BROKEN):
            assert new["file"] == old["file"]
            kept += 1
            continue
        assert Path(str(new["file"])).is_relative_to(out / "media")
        assert number_at(str(new["file"]), int(float(new["first"]) + 0.01)) == int(float(old["first"]) + 0.01)
    assert kept >= 2


def test_every_cleaned_file_holds_the_exact_frames_once_however_often_they_are_used(batch) -> None:
    _, out, _ = batch

    figures = json.loads((out / "batch.json").read_text("utf-8"))

    held: dict[str, list[tuple[int, int]]] = {}
    for clip in figures["clips"]:
        start, stop = clip["range"]
        held.setdefault(clip["source"], []).append((start, stop))
        with open_clip(clip["output"]) as opened:
            numbers = [media.number_of(frame.views, opened.info.layout) for frame in opened.frames()]
        assert clip["state"] == "done"
        assert numbers == list(range(start, stop))
    assert sum(clip["uses"] for clip in figures["clips"]) == 5 * 40 - 5 * 2
    for spans in held.values():
        assert all(a[1] < b[0] for a, b in zip(sorted(spans), sorted(spans)[1:], strict=False))


def test_what_is_missing_or_broken_is_named_with_its_place(batch) -> None:
    _, out, _ = batch

    lost = json.loads((out / "batch.json").read_text("utf-8"))["lost"]

    found = {(Path(entry["media"]).name, entry["code"]) for entry in lost}
    assert found == {(cuts.MISSING, "missing"), (cuts.BROKEN, "not-video")}
    assert all("track 1, frame" in entry["where"] for entry in lost)
    assert "gone.mov" in (out / "batch.html").read_text("utf-8")
