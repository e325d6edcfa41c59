"""The OpenFX plug-in where only the host has the frames: analysed, learned as they pass, or one by one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import minihost
import numpy as np
import pytest
import synth
from minihost import OK, Effect, Host, Library, render_many

pytestmark = pytest.mark.skipif(
    os.name == "nt" or minihost.compiler() is None, reason="no C compiler at hand (cc, gcc or clang) to build the host"
)

COUNT, SIZE, FIRST = 60, (320, 180), 100  # the host's times begin at FIRST
GAIN_DB = 8.0  # an opaque logo over a moving scene: what single frames give is well above, what no wipe gives is 0


class Shown:
    """A clip as the host has it, and the truth about it."""

    def __init__(self) -> None:
        logo = synth.Burnt(synth.badge((60, 30)), (240, 10), 0, COUNT)
        self.clean = np.stack(list(synth.scene(COUNT, SIZE)))
        burnt = [synth.burn(picture, [logo], t) for t, picture in enumerate(self.clean)]
        rgb = np.stack([picture for picture, _ in burnt]).astype(np.float32) / 255
        self.frames = np.concatenate([rgb, np.ones((*rgb.shape[:3], 1), np.float32)], axis=3)
        self.masks = [mask for _, mask in burnt]

    def psnr(self, picture: np.ndarray, t: int) -> float:
        mask = self.masks[t]
        error = (picture[..., :3][mask] - self.clean[t][mask] / np.float32(255)) ** 2
        return -10 * float(np.log10(error.mean()))

    def gain(self, picture: np.ndarray, t: int) -> float:
        return self.psnr(picture, t) - self.psnr(self.frames[t], t)

    def spill(self, picture: np.ndarray, t: int) -> int:
        """Changed pixels further than a few px from the logo."""
        near = np.zeros(self.masks[t].shape, bool)
        near[2:48, 232:308] = True
        return int((picture != self.frames[t]).any(2)[~near].sum())


@pytest.fixture(scope="module")
def shown() -> Shown:
    return Shown()


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with minihost.meeting_place(tmp_path_factory) as folder:
        yield folder


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(minihost.build_host(tmp_path_factory.mktemp("host")))


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return minihost.binary(minihost.build_bundle(tmp_path_factory.mktemp("ofx")))


@pytest.fixture
def open_host(library: Library, plugin: Path, link: Path) -> Iterator[Callable[[str], Host]]:
    with minihost.hosts(library, plugin) as make:
        yield make


@pytest.fixture
def analysed(open_host: Callable[[str], Host], shown: Shown) -> Effect:
    effect = open_host("nuke").effect()
    effect.pictures(shown.frames, first=FIRST)
    assert effect.edited("analyse", FIRST) == OK
    return effect


def test_analyse_reads_the_hosts_frames_and_wipes_by_them(analysed, shown):
    assert "logo-1" in analysed.text("status")
    assert analysed.text("planFile").endswith(".frames.json")
    assert analysed.number("frameOffset") == -FIRST

    for t in (0, 30, COUNT - 1):  # windows are cut at the clip's ends
        status, out = analysed.render(FIRST + t)

        assert status == OK
        assert analysed.message == ""
        assert shown.gain(out, t) > GAIN_DB
        assert shown.spill(out, t) == 0
    assert analysed.frames_needed(FIRST + 30) == (OK, (FIRST + 26, FIRST + 34))


def test_order_and_threads_change_nothing_about_frames_plates(analysed, open_host, shown):
    others = [open_host("nuke").effect() for _ in range(2)]
    for other in others:
        other.pictures(shown.frames, first=FIRST)
        other.set(planFile=analysed.text("planFile"), frameOffset=-FIRST, fromFrames=1)
    times = [FIRST + t for t in (40, 7, 8, 9, 40, 3, 55, 7, 8, 40)]

    failed, out = render_many(others, times, 3)

    assert failed == 0
    for time_, picture in zip(times, out, strict=True):
        assert np.array_equal(picture, analysed.render(time_)[1])


def test_a_host_without_other_frames_gets_single_pictures(analysed, open_host, shown):
    effect = open_host("mlt").effect()
    effect.pictures(shown.frames, first=FIRST)
    effect.set(planFile=analysed.text("planFile"), frameOffset=-FIRST)

    status, out = effect.render(FIRST + 30)

    assert status == OK
    assert shown.gain(out, 30) > GAIN_DB
    assert shown.spill(out, 30) == 0


def test_a_host_that_gives_one_frame_for_all_times_is_not_believed(analysed, open_host, shown):
    """It says that it has temporal access, and shows the same picture whatever the time."""
    still = np.repeat(shown.frames[30:31], 20, axis=0)
    effect = open_host("nuke").effect()
    effect.pictures(still, first=FIRST)
    effect.set(planFile=analysed.text("planFile"), frameOffset=-FIRST, fromFrames=1)

    status, out = effect.render(FIRST + 10)

    assert status == OK
    assert shown.gain(out, 30) > GAIN_DB


def test_a_stopped_analysis_leaves_everything_as_it_was(open_host, shown):
    effect = open_host("nuke").effect()
    effect.pictures(shown.frames, first=FIRST)
    effect.abort_in(0)

    assert effect.edited("analyse", FIRST) == OK

    assert effect.text("planFile") == ""
    assert "Stopped" in effect.text("status")


def test_what_stays_in_place_is_learned_as_frames_pass(open_host, shown):
    effect = open_host("resolve").effect()
    other = open_host("nuke").effect()
    for one in (effect, other):
        one.pictures(shown.frames, first=FIRST)

    for t in range(COUNT):
        status, out = other.render(FIRST + t)
        assert status == OK
    end = time.monotonic() + 60
    while other.message and time.monotonic() < end:
        assert "learning" in other.message
        time.sleep(0.2)
        out = other.render(FIRST + 30)[1]

    for t in (2, 30, COUNT - 1):
        out = other.render(FIRST + t)[1]
        assert shown.gain(out, t) > GAIN_DB
        assert shown.spill(out, t) == 0
    assert np.array_equal(effect.render(FIRST)[1], shown.frames[0]), "another effect has learned nothing"


def test_a_proxy_of_a_frames_plan_passes_with_the_reason(analysed, open_host, shown):
    effect = open_host("nuke").effect()
    effect.pictures(shown.frames[:, ::2, ::2], first=FIRST)
    effect.set(planFile=analysed.text("planFile"), frameOffset=-FIRST)

    status, out = effect.render(FIRST)

    assert status == OK
    assert np.array_equal(out, shown.frames[0, ::2, ::2])
    assert "another size" in effect.message
