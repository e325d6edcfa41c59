"""Quality figures: against the clean clip, and against marks made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from autowipe.cli import main
from autowipe.errors import JobError
from autowipe.evaluate import against_clean, against_notes
from media import write_clip

SIZE = (96, 64)
BOX = (30, 20, 24, 16)  # x, y, w, h


def clip(path: Path, *, patch: int = 0, speck: bool = False, frames: int = 6) -> str:
    """A lossless clip, with `patch` levels added to its luma in BOX, and a speck far from it."""

    def change(frame, index):
        from autowipe import planes

        luma = planes.views(frame, planes.layout_of("yuv420p", *SIZE))[0]
        x, y, w, h = BOX
        part = luma[y : y + h, x : x + w]
        part[...] = np.clip(part.astype(int) + patch, 16, 235)
        if speck:
            luma[55:60, 5:10] = 235

    return str(write_clip(path, frames=frames, size=SIZE, change=change))


def grey(path: Path, value: int, frames: int = 6) -> str:
    """A grey video with `value` in BOX."""

    def change(frame, index):
        from autowipe import planes

        (view,) = planes.views(frame, planes.layout_of("gray", *SIZE))
        view[...] = 0
        x, y, w, h = BOX
        view[y : y + h, x : x + w] = value

    return str(write_clip(path, frames=frames, size=SIZE, pix_fmt="gray", change=change))


def test_a_perfect_result_has_perfect_figures(tmp_path: Path) -> None:
    clean, source = clip(tmp_path / "clean.mkv"), clip(tmp_path / "source.mkv", patch=40)
    matte = grey(tmp_path / "matte.mkv", 255)

    figures = against_clean(clean, source, clean, matte=matte)

    assert figures["psnr"] == 99 and figures["psnr_in"] < 25
    assert figures["ghost"] == 0 and figures["flicker"] == 0 and figures["ssim"] == pytest.approx(1, abs=1e-4)
    assert figures["recall"] > 0.8 and figures["spill_pct"] == 0 and figures["away_psnr"] == 99


def test_an_untouched_source_gains_nothing_and_keeps_its_whole_ghost(tmp_path: Path) -> None:
    clean, source = clip(tmp_path / "clean.mkv"), clip(tmp_path / "source.mkv", patch=40)

    figures = against_clean(source, source, clean)

    assert figures["gain"] == 0 and figures["ghost"] == pytest.approx(1) and figures["recall"] == 0
    assert figures["frames"] == 6 and 5 < figures["covered_pct"] < 15


def test_a_change_away_from_the_overlay_is_told(tmp_path: Path) -> None:
    clean, source = clip(tmp_path / "clean.mkv"), clip(tmp_path / "source.mkv", patch=40)
    spilt = clip(tmp_path / "spilt.mkv", speck=True)

    figures = against_clean(spilt, source, clean)

    assert 0.1 < figures["spill_pct"] < 2 and figures["away_psnr"] < 50


def test_an_overlay_of_a_kind_that_was_to_stay_counts_as_harmed(tmp_path: Path) -> None:
    clean, source = clip(tmp_path / "clean.mkv"), clip(tmp_path / "source.mkv", patch=40)
    covered = grey(tmp_path / "covered.mkv", 4)  # bit 2: a subtitle

    figures = against_clean(clean, source, clean, covered=covered, kinds=("logo",))

    assert figures["kept_harm_pct"] > 80 and "psnr" not in figures


def test_clips_of_another_length_are_refused(tmp_path: Path) -> None:
    clean, source = clip(tmp_path / "clean.mkv", frames=5), clip(tmp_path / "source.mkv")

    with pytest.raises(JobError, match="5 frames"):
        against_clean(source, source, clean)


def test_a_matte_is_held_against_marks_made_by_hand(tmp_path: Path) -> None:
    matte = grey(tmp_path / "matte.mkv", 255)
    overlays = [{"box": list(BOX), "in": 0, "out": 6}, {"box": [70, 40, 10, 10], "in": 2, "out": 6}]
    notes = tmp_path / "notes.json"
    notes.write_text(json.dumps({"size": SIZE, "frames": [0, 6], "overlays": overlays}))

    figures = against_notes(matte, str(notes))

    assert figures["frame_recall"] == 0.5 and figures["event_recall"] == 0.5
    assert figures["false_pct"] == 0 and figures["late_frames"] == 0


def test_notes_that_lack_a_box_are_refused(tmp_path: Path) -> None:
    notes = tmp_path / "notes.json"
    notes.write_text(json.dumps({"size": SIZE, "frames": [0, 6], "overlays": [{"in": 0, "out": 6}]}))

    with pytest.raises(JobError, match="lack"):
        against_notes(grey(tmp_path / "matte.mkv", 255), str(notes))


def test_the_command_prints_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    clean, source = clip(tmp_path / "clean.mkv"), clip(tmp_path / "source.mkv", patch=40)

    code = main(["evaluate", source, "--source", source, "--clean", clean, "--json"])

    assert code == 0 and json.loads(capsys.readouterr().out)["gain"] == 0
