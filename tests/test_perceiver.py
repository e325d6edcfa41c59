"""The perceiver: trained from nothing on a few clips, loaded by the engine, asked where statistics cannot decide."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import synth
from autowipe import weightfiles
from autowipe.kinds import Small
from autowipe.kinds._told import _is_drawn, enclosing
from autowipe.maps import Unblend
from autowipe.perception import Perception
from autowipe.planes import layout_of
from autowipe.sight import MAPS, Sight, stretches
from autowipe.timing import FrameRange
from autowipe.train import loop, material, shards
from autowipe.train.perceiver import Task
from autowipe.train.recipe import Recipe
from autowipe.unblend import BlendMaps
from finding import perceive

RECIPE = Recipe(steps=60, rate=3e-3, warm_up=5, log_every=10, check_every=60, save_every=60, threads=1)
SIZE, FRAMES = (320, 180), 40


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a training from nothing: seconds of it, on clips of drawn scenes."""
    folder = tmp_path_factory.mktemp("perceiver")
    found = material.assemble()
    list(shards.fill(folder / "shards", found, count=4, checks=1, sizes=(160,)))
    task = Task(shards=str(folder / "shards"), crop=64, batch=4)
    out = folder / "out"
    loop.train(
        task, RECIPE, out, resume=False, weights=out, command="t", say=lambda text: None, cancelled=threading.Event()
    )
    return out


def warned(code: str, text: str) -> None:
    pytest.fail(f"{code}: {text}")


def smalls(count: int) -> list[Small]:
    out = []
    for t, picture in enumerate(synth.scene(count, SIZE)):
        luma, red, blue = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb))
        out.append(Small(t, luma, np.dstack([blue, red]), 1.0))
    return out


def test_a_training_from_nothing_ends_with_a_lower_loss_and_a_weight_that_the_engine_loads(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weightfiles, "shipped", lambda: trained)
    perception = Perception(FrameRange(0, FRAMES), 25.0, "cpu", warned)

    for small in smalls(FRAMES):
        perception.add(small)
    seen = perception.seen()

    losses = [json.loads(line) for line in (trained / "history.jsonl").read_text("utf-8").splitlines()]
    losses = [entry["loss"] for entry in losses if "loss" in entry]
    assert losses[-1] < 0.8 * losses[0]
    assert seen is not None and seen.shape == SIZE[::-1] and 0 <= seen.min() <= seen.max() <= 1
    assert weightfiles.entries(trained)["perceiver"]["data"][0] == "4 synthetic clips"


def test_without_a_weight_nothing_is_kept_and_nothing_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "manifest.json").write_text('{"autowipe_weights": 1, "weights": {}}')
    monkeypatch.setattr(weightfiles, "shipped", lambda: tmp_path)
    perception = Perception(FrameRange(0, FRAMES), 25.0, "cpu", warned)

    for small in smalls(FRAMES):
        perception.add(small)

    assert perception.seen() is None


@pytest.mark.parametrize("count", [1, 7, 60, 100, 5000])
def test_looks_are_spread_over_any_range(count: int) -> None:
    whole = FrameRange(100, 100 + count)

    parts = stretches(whole, 25.0)

    assert parts[0].range.start == whole.start and parts[-1].range.stop <= whole.stop
    assert all(one.range.stop <= other.range.start for one, other in pairwise(parts))
    assert all(frame in part.range for part in parts for frame in part.looks)
    assert sum(len(part.looks) for part in parts) >= min(8, count)
    assert len(parts) == 1 or parts[-1].range.stop > whole.stop - 25


def test_the_maps_tell_what_stands_from_what_passes() -> None:
    part = stretches(FrameRange(0, FRAMES), 25.0)[0]
    sight = Sight(part)
    for small in smalls(FRAMES):
        small.luma[20:40, 30:33] = 235  # a bar that stays

        sight.add(small)
    maps = {name: plane for name, plane in zip(MAPS, sight.looks()[0][1], strict=True)}

    assert maps["coherence"][25:35, 29:34].max() > 200 > 2 * np.median(maps["coherence"])
    assert maps["spread"][25:35, 31].max() < 10 < np.median(maps["spread"])
    assert (maps["least luma"] <= maps["most luma"]).all()


@pytest.fixture(scope="module")
def locked_off(tmp_path_factory: pytest.TempPathFactory) -> synth.Synthetic:
    """A camera that never moves, and a mark in the corner that is there all the time."""
    badge = synth.badge((44, 20))
    path = tmp_path_factory.mktemp("still") / "clip.mp4"
    return synth.make(path, [synth.Burnt(badge, (262, 12), 0, FRAMES)], count=FRAMES, size=SIZE, pan=0.0)


def told(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, np.float32(0.97), np.float32(0.01))


def test_a_mark_that_the_network_sees_in_a_locked_off_shot_is_found(locked_off: synth.Synthetic) -> None:
    mask = locked_off.masks[FRAMES // 2]

    found = perceive("logo", locked_off.path, lambda: told(mask))

    matte = np.zeros(SIZE[::-1], bool)
    for find in found:
        x, y, w, h = find.box
        matte[y : y + h, x : x + w] |= find.matte > 0.5
    assert [len(find.events[0].range) for find in found] == [FRAMES]
    assert (matte & mask).sum() >= 0.95 * mask.sum()
    assert (matte & ~synth.grown(mask, 6)).sum() == 0


def test_what_the_network_takes_for_a_mark_but_was_never_drawn_is_none(locked_off: synth.Synthetic) -> None:
    scene = np.zeros(SIZE[::-1], bool)
    scene[60:84, 40:90] = True  # a part of the wall

    found = perceive("logo", locked_off.path, lambda: told(scene))

    assert not any(find.box[0] < 120 for find in found)


def test_of_a_glass_box_what_it_encloses_is_kept_and_its_edge_and_nothing_further_beside_it() -> None:
    layout = layout_of("yuv420p", 120, 60)
    box, text, beside, missed = (np.zeros((60, 120), bool) for _ in range(4))
    box[10:40, 10:80], text[20:30, 30:60], beside[10:40, 77:110], missed[12:18, 64:66] = True, True, True, True
    shapes = layout.shapes((0, 0, 120, 60))
    seen = Unblend(*([np.full(shape, value, np.float32) for shape in shapes] for value in (0.4, 30)))
    for part, step in zip(seen.transmission, (1, 2, 2), strict=True):
        part[missed[::step, ::step]] = 1  # an edge of the scene beneath it, taken for one that is clean
    maps = BlendMaps(seen, text | beside, (box | beside) & ~missed, 2.0, 0.45, ())

    glass = enclosing(maps, box | beside, layout)

    assert glass is not None and glass.unblend is not None
    assert glass.covered[box].all()
    assert not glass.covered[:, 82:].any() and not glass.covered[~(box | beside)].any()
    assert np.array_equal(glass.opaque, text | beside & glass.covered)
    assert (glass.unblend.transmission[0][~glass.covered] == 1).all()
    assert (glass.unblend.transmission[0][missed] == np.float32(0.4)).all()
    assert (glass.unblend.transmission[1][5:20, 5:38] == np.float32(0.4)).all()
    assert enclosing(maps, beside, layout) is None  # the network took something else for a mark


@pytest.mark.parametrize(
    ("sure", "scene", "one_way", "noise", "is_mark"),
    [
        (0.93, 0.4, 0.2, 0.0, True),
        (0.8, 0.4, 0.2, 0.0, False),
        (0.93, 0.84, 0.2, 0.0, False),  # the whole scene is as sharp
        (0.97, 0.84, 0.2, 0.0, True),
        (0.93, 0.4, 0.7, 0.0, False),  # lines of one direction, as on a court
        (0.97, 0.4, 0.7, 0.0, True),
        (0.97, 0.4, 0.2, 2.4, False),  # a sign, which has the camera's noise as all of the scene has
    ],
)
def test_where_its_look_tells_less_the_network_must_be_surer(
    sure: float, scene: float, one_way: float, noise: float, is_mark: bool
) -> None:
    evidence = {
        "network, of its pixels": sure,
        "edge sharpness": 0.93,
        "edge sharpness of the scene": scene,
        "one direction": one_way,
        "noise in it, levels": noise,
        "noise of the scene, levels": noise,
    }
    assert _is_drawn(evidence) == is_mark
