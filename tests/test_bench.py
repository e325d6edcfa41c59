"""The benchmark's own parts: clips, clocks and tables say what they are asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from autowipe.decode import open_clip
from conftest import ROOT

sys.path.insert(0, str(ROOT))
from tests.bench import __main__ as bench
from tests.bench import clips, table


def test_a_row_holds_every_stage_with_its_time_and_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    clip = clips.write(tmp_path / "c.mp4", "none", clips.size_of(90), 12)

    row = bench.of_clip(clip, "none", 90, 12, ["telea", "delogo"])

    stages = row["wipe"]["stages"]
    assert {"decode", "analysis picture", "search for text", "dynamic: survey", "logo: propose"} <= set(stages)
    assert all(wall >= 0 and cpu >= 0 for wall, cpu, _ in stages.values())
    assert stages["decode"][2] >= 12 * 160 * 90 * 1.5
    assert not {"telea", "delogo"} & set(row), "nothing is told of where nothing is"
    text = table.markdown({"machine": "M", "cores": 2, "rows": [row], "growth": [row], "networks": {}})
    assert "| 90p | none | 12 |" in text and "| decode |" in text
    assert "90p none" in table.plot({"machine": "M", "rows": [row], "networks": {}})


def test_packets_that_are_repeated_make_a_longer_clip_without_a_gap(tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "c.mp4", "tiled", clips.size_of(90), 10)

    clips.repeat(clip, tmp_path / "long.mp4", 3)

    with open_clip(tmp_path / "long.mp4") as long:
        assert long.info.frames == 30 and not long.info.gaps
        assert len(list(long.frames())) == 30


@pytest.mark.parametrize("job", clips.JOBS)
def test_what_a_method_is_told_covers_the_overlay(job: str) -> None:
    size = clips.size_of(180)

    told, overlays = clips.covers(job, size, 100), clips.overlays_of(job, size, 100)

    assert len(told) == len(overlays)
    for cover, item in zip(told, overlays, strict=True):
        (x, y), (h, w) = cover.corner, cover.mask.shape
        assert x >= 0 and y >= 0 and x + w <= size[0] and y + h <= size[1]
        assert (cover.start, cover.stop) == (item.start, item.stop)
        assert cover.mask.sum() > (item.rgba[..., 3] > 0.02).sum()
