"""The finders in processes: what they find is what they find here, and an error in one is told."""

from __future__ import annotations

from pathlib import Path

import finding
import numpy as np
import pytest
import synth
from autowipe import finders, kinds, planes
from autowipe.decode import open_clip
from autowipe.finders import Finders
from autowipe.kinds import Found, Small


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera that pans, a logo that stays, a line of text that comes and goes."""
    path = tmp_path_factory.mktemp("finders") / "clip.mp4"
    logo = synth.Burnt(synth.badge((84, 42)), (360, 20), 0, 72)
    line = synth.Burnt(synth.text("nobody here", 30, outline=2), (120, 210), 20, 52)
    synth.make(path, [logo, line], keep=False)
    return path


@pytest.fixture(scope="module")
def here(clip: Path) -> list[list[Found]]:
    """What each finder finds in this process."""
    return [finding.perceive(name, clip) for name in kinds.names()]


def perceived(path: Path) -> list[list[Found]]:
    with open_clip(path) as clip:
        info = clip.info
        with Finders(info.layout, info.whole, float(info.rate), lambda: None) as found:
            boxes, wanted = found.propose(finding.survey(clip, found.survey))
            for frame in clip.frames():
                crops = [
                    [planes.crop(frame.views, info.layout, box) for box in places] if wants[frame.index] else None
                    for places, wants in zip(boxes, wanted, strict=True)
                ]
                found.measure(frame.index, crops)
            return found.finish()


@pytest.mark.parametrize("cores", ["1", "3"])
def test_they_find_what_they_find_here_in_however_many_processes(
    clip: Path, here: list[list[Found]], cores: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", cores)

    found = perceived(clip)

    assert sum(map(len, found)) >= 2
    for those, these in zip(found, here, strict=True):
        assert [one.box for one in those] == [one.box for one in these]
        assert [one.events[0].range for one in those] == [one.events[0].range for one in these]
        for one, other in zip(those, these, strict=True):
            assert np.array_equal(one.matte, other.matte)


def test_an_error_in_one_of_them_is_told(clip: Path) -> None:
    with open_clip(clip) as opened:
        info = opened.info
        with (
            pytest.raises(RuntimeError, match="in survey"),
            Finders(info.layout, info.whole, float(info.rate), lambda: None) as found,
        ):
            for frame in range(200):
                found.survey(Small(frame, np.zeros((0, 0), np.uint8), np.zeros((0, 0, 2), np.uint8), 1.0))
            found.propose((info.whole,))


def test_work_is_shared_evenly_among_the_processes() -> None:
    names = ["dynamic", "logo", "subtitle", "watermark"]
    assert finders._shared(names, 1) == [[0, 1, 2, 3]]
    assert finders._shared(names, 2) == [[0, 3], [1, 2]]
    assert finders._shared(names, 3) == [[0], [1], [2, 3]]
    assert finders._shared(names, 9) == [[0], [1], [2], [3]]
