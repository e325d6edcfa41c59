"""The OpenFX plug-in with the engine: a frame shows what `wipe --plan` writes, however the host asks for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import minihost
import numpy as np
import pytest
import synth
from autowipe import planes
from autowipe.decode import open_clip
from autowipe.sidecars import PROVENANCE_COLOURS
from minihost import FAILED, GENERAL, OK, Effect, Host, How, Library, render_many

pytestmark = pytest.mark.skipif(
    os.name == "nt" or minihost.compiler() is None, reason="no C compiler at hand (cc, gcc or clang) to build the host"
)

COUNT, SIZE = 30, (320, 180)
ROUNDING = 1e-6  # of float32 samples


def autowipe(*words: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "autowipe", *map(str, words)], check=True, capture_output=True)


def shown(path: Path) -> np.ndarray:
    """(T, H, W, 4) float32: the clip as a host without colour management shows it."""
    with open_clip(path) as clip:
        info = clip.info
        whole = (0, 0, info.layout.width, info.layout.height)
        frames = [
            planes.to_rgb(
                planes.crop(frame.views, info.layout, whole), info.layout, info.matrix, info.full_range, info.siting
            )
            for frame in clip.frames()
        ]
    return np.concatenate([np.stack(frames), np.ones((len(frames), *frames[0].shape[:2], 1), np.float32)], axis=3)


class Made:
    """One clip, its plan, and what the command line makes of it."""

    def __init__(self, folder: Path) -> None:
        self.clip, self.plan, self.clean = folder / "clip.mp4", folder / "plan.json", folder / "clean.mkv"
        overlays = [
            synth.Burnt(synth.badge((60, 30)), (240, 10), 0, COUNT),
            synth.Burnt(synth.text("hello there", 16, outline=2), (90, 140), 8, 22),
        ]
        synth.make(self.clip, overlays, count=COUNT, size=SIZE)
        with open_clip(self.clip) as clip:
            source = {"path": str(self.clip), "size": SIZE, "rate": "25", "frames": COUNT, "fingerprint": ""}
            assert clip.info.frames == COUNT
        h, w = overlays[1].rgba.shape[:2]
        logo = {"id": "logo-1", "kind": "logo", "box": [238, 8, 64, 34], "events": [{"range": [0, COUNT]}]}
        line = {"id": "subtitle-1", "kind": "subtitle", "box": [88, 138, w + 4, h + 4], "events": [{"range": [8, 22]}]}
        body = {"autowipe_plan": 1, "source": source, "range": [0, COUNT], "shots": [[0, COUNT]]}
        self.plan.write_text(json.dumps({**body, "overlays": [logo, line]}), "utf-8")
        autowipe("wipe", self.clip, "--plan", self.plan, "-o", self.clean, "--codec", "ffv1")
        self.source, self.wanted = shown(self.clip), shown(self.clean)


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with minihost.meeting_place(tmp_path_factory) as folder:
        yield folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, link: Path) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(minihost.build_host(tmp_path_factory.mktemp("host")))


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return minihost.binary(minihost.build_bundle(tmp_path_factory.mktemp("ofx")))


@pytest.fixture
def open_host(library: Library, plugin: Path, link: Path) -> Iterator[Callable[..., Host]]:
    with minihost.hosts(library, plugin) as make:
        yield make


@pytest.fixture
def effect(open_host: Callable[..., Host], made: Made) -> Effect:
    """In a host that shows the clip as it is."""
    effect = open_host().effect()
    effect.pictures(made.source)
    effect.set(planFile=str(made.plan))
    return effect


def changed(made: Made, t: int) -> np.ndarray:
    return (made.wanted[t] != made.source[t]).any(2)


@pytest.mark.parametrize("profile", minihost.PROFILES)
def test_every_host_gets_what_the_command_line_writes(open_host, made, profile):
    effect = open_host(profile).effect()
    effect.pictures(made.source)
    effect.set(planFile=str(made.plan))

    for t in (29, 0, 12):
        status, out = effect.render(t)

        assert status == OK
        assert effect.message == ""
        assert changed(made, t).sum() > 500
        assert np.abs(out - made.wanted[t]).max() <= ROUNDING
        assert np.array_equal(out[~changed(made, t)], made.source[t][~changed(made, t)])


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("is_top_down", [0, 1])
def test_integer_pictures_get_the_nearest_code(effect, made, depth, is_top_down):
    status, out = effect.render(12, How(depth, is_top_down=is_top_down, left=-31, bottom=17))

    step = 1 / {1: 255, 2: 65535}[depth]
    assert status == OK
    assert np.abs(out - made.wanted[12]).max() <= 0.51 * step


def test_overbright_pixels_outside_the_matte_keep_their_bits(effect, made):
    source = made.source.copy()
    source[12, 60:90, 40:90, :3] = np.random.default_rng(2).random((30, 50, 3), np.float32) * 40 - 3
    effect.pictures(source)

    status, out = effect.render(12)

    same = ~changed(made, 12)
    assert status == OK
    assert not np.array_equal(out, source[12])
    assert np.array_equal(out[same].view(np.uint32), source[12][same].view(np.uint32))


def test_a_trimmed_clip_is_wiped_by_its_frame_offset(open_host, made):
    effect = open_host().effect()
    effect.pictures(made.source[10:], first=0)
    effect.set(planFile=str(made.plan), frameOffset=10)

    _, out = effect.render(5)

    assert np.abs(out - made.wanted[15]).max() <= ROUNDING


def test_a_wrong_offset_wipes_nothing_and_tells_the_right_one(open_host, made):
    effect = open_host().effect()
    effect.pictures(made.source)
    effect.set(planFile=str(made.plan), frameOffset=4)

    status, out = effect.render(10)

    assert status == OK
    assert np.array_equal(out, made.source[10])
    assert "change the frame offset by -4" in effect.message


def test_a_frame_outside_of_the_plan_passes_with_a_message(effect, made):
    effect.set(frameOffset=1000)

    status, out = effect.render(3)

    assert status == OK
    assert np.array_equal(out, made.source[3])
    assert "covers frames 0 to 29" in effect.message


def test_kinds_that_are_switched_off_stay(effect, made):
    effect.set(logo=0)

    _, out = effect.render(12)

    assert np.array_equal(out[:60], made.source[12][:60])
    assert not np.array_equal(out[140:], made.source[12][140:])


def test_half_the_opacity_is_half_the_way(effect, made):
    effect.set(opacity=0.5)

    _, out = effect.render(12)

    assert np.abs(out - (made.source[12] + made.wanted[12]) / 2).max() < 1e-6


def test_the_mask_holds_out_only_when_it_is_asked_to(open_host, made):
    effect = open_host("resolve", GENERAL).effect()
    effect.pictures(made.source)
    mask = np.zeros_like(made.source)
    mask[:, :, :270] = 1
    effect.pictures(mask, clip="Mask")
    effect.set(planFile=str(made.plan))

    _, without = effect.render(12)
    effect.set(holdOut=1)
    _, held = effect.render(12)

    assert np.abs(without - made.wanted[12]).max() <= ROUNDING
    assert np.array_equal(held[:, :270], made.source[12][:, :270])
    assert np.abs(held[:, 270:] - made.wanted[12][:, 270:]).max() <= ROUNDING


def test_a_mask_without_pictures_holds_nothing_out(open_host, made):
    effect = open_host("resolve", GENERAL).effect()
    effect.pictures(made.source)
    effect.set(planFile=str(made.plan), holdOut=1)

    assert np.abs(effect.render(12)[1] - made.wanted[12]).max() <= ROUNDING


def test_the_matte_and_the_provenance_are_shown(effect, made):
    effect.set(showMatte=1)
    _, matte = effect.render(12)
    effect.set(showProvenance=1)
    _, provenance = effect.render(12)

    white = matte[..., 0] == 1
    assert set(np.unique(matte[..., :3])) == {0, 1}
    assert (matte[..., 3] == 1).all()
    assert not (changed(made, 12) & ~white).any()
    assert white.sum() < 1.5 * changed(made, 12).sum()
    colours = {tuple(np.rint(c * 255).astype(int)) for c in provenance[white][:, :3]}
    assert colours <= set(PROVENANCE_COLOURS.values())
    assert not provenance[~white][:, :3].any()


def test_premultiplied_pictures_stay_premultiplied(effect, made):
    source = made.source.copy()
    source[..., 3] = 0.5
    source[..., :3] *= 0.5
    effect.pictures(source)

    _, out = effect.render(12, How(is_premultiplied=1))

    assert np.abs(out[..., :3] - made.wanted[12][..., :3] * 0.5).max() <= ROUNDING
    assert (out[..., 3] == 0.5).all()


@pytest.mark.parametrize("field", [1, 2])
def test_pictures_of_a_single_field_get_its_rows(effect, made, field):
    own = slice(1, None, 2) if field == 1 else slice(0, None, 2)

    status, out = effect.render(12, How(field=field, has_field_rows=1))

    assert status == OK
    assert effect.message == ""
    assert np.abs(out - made.wanted[12][own]).max() <= 2 * ROUNDING


@pytest.mark.parametrize("size", [(160, 90), (640, 360), (213, 120)])
def test_a_scaled_picture_is_wiped_in_its_own_size(open_host, made, size):
    def scaled(frames: np.ndarray) -> np.ndarray:
        return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])

    effect = open_host().effect()
    source, wanted = scaled(made.source), scaled(made.wanted)
    effect.pictures(source)
    effect.set(planFile=str(made.plan))

    _, out = effect.render(12)

    assert effect.message == ""
    before, after = np.abs(source[12] - wanted[12]).mean(), np.abs(out - wanted[12]).mean()
    assert after < before / 10


def test_bars_beside_a_clip_of_another_shape_are_allowed_for(open_host, made):
    def boxed(frames: np.ndarray) -> np.ndarray:
        return np.pad(frames, ((0, 0), (30, 30), (0, 0), (0, 0)))

    effect = open_host().effect()
    effect.pictures(boxed(made.source))
    effect.set(planFile=str(made.plan))

    _, out = effect.render(12)

    assert effect.message == ""
    assert np.abs(out - boxed(made.wanted)[12]).mean() < np.abs(boxed(made.source) - boxed(made.wanted))[12].mean() / 10


def test_a_colour_managed_picture_gets_plates_in_its_own_colours(open_host, made):
    def graded(frames: np.ndarray) -> np.ndarray:
        rgb = np.maximum(frames[..., :3], 0) ** 2.4 @ np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
        return np.concatenate([rgb, frames[..., 3:]], axis=3).astype(np.float32)

    effect = open_host().effect()
    source, wanted = graded(made.source), graded(made.wanted)
    effect.pictures(source)
    effect.set(planFile=str(made.plan))

    _, out = effect.render(12)

    assert effect.message == ""
    where = changed(made, 12)
    assert np.abs(out - wanted[12])[where].mean() < np.abs(source[12] - wanted[12])[where].mean() / 10
    effect.set(showMatte=1)
    same = effect.render(12)[1][..., 0] == 0
    assert np.array_equal(out[same], source[12][same])


def test_order_and_threads_change_nothing(open_host, made):
    host = open_host("nuke")
    effects = [host.effect() for _ in range(3)]
    for effect in effects:
        effect.pictures(made.source)
        effect.set(planFile=str(made.plan))
    times = list(np.random.default_rng(3).integers(0, COUNT, 60))

    failed, out = render_many(effects, times, 4)

    assert failed == 0
    assert max(np.abs(picture - made.wanted[t]).max() for picture, t in zip(out, times, strict=True)) <= ROUNDING


def test_effects_made_for_every_frame_are_served(open_host, made):
    host = open_host("mlt")
    for t in range(12):
        effect = host.effect()
        effect.pictures(made.source)
        effect.set(planFile=str(made.plan))
        assert np.abs(effect.render(t)[1] - made.wanted[t]).max() <= ROUNDING
        effect.close()


def test_an_edited_plan_is_carried_out_from_the_next_frame_on(open_host, made, tmp_path):
    plan = tmp_path / "plan.json"
    body = json.loads(made.plan.read_text("utf-8"))
    plan.write_text(json.dumps(body), "utf-8")
    effect = open_host().effect()
    effect.pictures(made.source)
    effect.set(planFile=str(plan))
    assert not np.array_equal(effect.render(3)[1], made.source[3])

    body["overlays"][0]["enabled"] = False
    plan.write_text(json.dumps(body), "utf-8")

    assert np.array_equal(effect.render(3)[1], made.source[3])


def test_a_project_on_another_machine_finds_the_clip_beside_the_plan(open_host, made, tmp_path):
    body = json.loads(made.plan.read_text("utf-8"))
    body["source"]["path"] = "D:\\Footage\\clip.mp4"
    (tmp_path / "plan.json").write_text(json.dumps(body), "utf-8")
    effect = open_host().effect()
    effect.pictures(made.source)
    effect.set(planFile=str(tmp_path / "plan.json"))

    effect.render(3)
    assert "clip.mp4" in effect.message
    shutil.copy(made.clip, tmp_path / "clip.mp4")
    (tmp_path / "plan.json").touch()

    assert np.abs(effect.render(3)[1] - made.wanted[3]).max() <= ROUNDING


@pytest.mark.parametrize("text", [None, "{", '{"autowipe_plan": 99}'])
def test_a_plan_that_cannot_be_read_passes_the_source_with_the_reason(open_host, made, tmp_path, text):
    plan = tmp_path / "Plän 1.json"
    if text is not None:
        plan.write_text(text, "utf-8")
    effect = open_host().effect()
    effect.pictures(made.source)
    effect.set(planFile=str(plan))

    status, out = effect.render(0)

    assert status == OK
    assert np.array_equal(out, made.source[0])
    assert "Plän 1.json" in effect.message
    effect.set(failWithoutEngine=1)
    assert effect.render(0, How(is_final=1))[0] == FAILED


def test_analyse_makes_a_plan_of_the_clip_and_keeps_it_in_the_project(open_host, made):
    effect = open_host().effect()
    effect.pictures(made.source)
    effect.set(mediaFile=str(made.clip))

    assert effect.edited("analyse") == OK
    plan = Path(effect.text("planFile"))
    assert "analysing" in effect.text("status")
    end = time.monotonic() + 120
    while not plan.exists() and time.monotonic() < end:
        shown, told = effect.render(0)[1], effect.message
        if plan.exists():  # it was finished while the frame was rendered
            break
        assert np.array_equal(shown, made.source[0])
        assert "analys" in told
        time.sleep(0.2)

    assert json.loads(plan.read_text("utf-8"))["source"]["path"] == str(made.clip)
    effect.edited("startEngine")
    assert "The plan wipes" in effect.text("status")


def test_analyse_says_at_once_that_a_file_is_no_clip(open_host, made, tmp_path):
    (tmp_path / "notes.mp4").write_text("no picture in here")
    effect = open_host().effect()
    effect.pictures(made.source)
    effect.set(mediaFile=str(tmp_path / "notes.mp4"))

    effect.edited("analyse")

    assert "notes.mp4" in effect.text("status")
    assert effect.text("planFile") == ""


@pytest.mark.parametrize("sign", [9, 15])
def test_an_engine_that_ends_is_started_again_for_the_next_frame(open_host, made, link, sign):
    effect = open_host().effect()
    effect.pictures(made.source)
    effect.set(planFile=str(made.plan))
    assert np.abs(effect.render(2)[1] - made.wanted[2]).max() <= ROUNDING

    before = minihost.engine_pid(link)
    minihost.stop_engine(link, sign)
    end = time.monotonic() + 60
    while np.array_equal(effect.render(2)[1], made.source[2]) and time.monotonic() < end:
        time.sleep(0.1)

    assert np.abs(effect.render(2)[1] - made.wanted[2]).max() <= ROUNDING
    assert minihost.engine_pid(link) != before
