"""Training the completer from scratch on almost nothing: its samples are sound, and the weight works."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from autowipe import cli, weightfiles
from autowipe.complete import complete
from autowipe.completers import network
from autowipe.plate import INVENTED
from autowipe.timing import FrameRange
from autowipe.train import fills
from autowipe.train.fills import Layers
from media import write_clip
from test_complete import BOX, covered, pan

RECIPE = """
steps: 120
rate: 0.003
warm_up: 5
log_every: 10
check_every: 120
save_every: 120
task:
  footage: {footage}
  cache: {cache}
  held_out: ["held*"]
  shards: 1
  held_out_shards: 1
  shard: 6
  batch: 4
  crop: 64
  widths: [8, 8, 16, 16]
"""


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    folder = tmp_path / "footage"
    folder.mkdir()
    for name in ("one.mkv", "held.mkv"):
        write_clip(folder / name, frames=6, size=(256, 224))
    return folder


def test_training_from_scratch_ends_with_a_weight_that_the_engine_uses(
    footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "out"
    recipe.write_text(RECIPE.format(footage=footage, cache=tmp_path / "cache"), "utf-8")

    assert cli.main(["train", "completer", "--config", str(recipe), "--out", str(out)]) == 0

    losses = [entry["loss"] for entry in map(json.loads, (out / "history.jsonl").open()) if "loss" in entry]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert weightfiles.entries(out)["completer"]["data"] == ["one.mkv: unknown (unknown)"]
    clean = covered(pan(2, 0), [0, 1])
    before = list(complete(clean, FrameRange(0, 2), quality="normal"))
    monkeypatch.setattr(weightfiles, "shipped", lambda: out)
    network.loaded.cache_clear()
    after = list(complete(clean, FrameRange(0, 2), quality="normal"))
    network.loaded.cache_clear()
    assert (after[0].provenance[BOX] == INVENTED).all()
    assert (before[0].planes[0][BOX] != after[0].planes[0][BOX]).any()
    assert max(np.ptp(np.stack([plate.planes[0][BOX] for plate in after]).astype(int), axis=0).ravel()) <= 1


def test_a_sample_is_seen_outside_its_hole_and_known_inside_as_it_says(footage: Path, tmp_path: Path) -> None:
    fills.make(tmp_path, fills.clips(footage, ["held*"], "train"), [], 1, "train", 3)

    for sample in fills.read(tmp_path, set()):
        truth, picture = (sample[part].numpy().astype(float) for part in (Layers.truth, Layers.picture))
        hole, trust = sample[Layers.hole][0].numpy() > 0, sample[Layers.trust][0].numpy()
        assert (trust[~hole] == 255).all() and (trust[hole] < 255).all()
        assert np.abs(truth - picture)[:, ~hole].mean() < 12  # the codec's error, no more


def test_pictures_give_samples_as_clips_do(tmp_path: Path) -> None:
    noise = np.random.default_rng(2).standard_normal((150, 260, 3)).astype(np.float32)
    picture = np.clip(128 + 400 * cv2.GaussianBlur(noise, (0, 0), 4), 0, 255)
    cv2.imwrite(str(tmp_path / "one.png"), picture)  # smaller than a sample's surroundings

    fills.make(tmp_path / "made", fills.clips(tmp_path, ["held*"], "train"), [], 1, "train", 3)

    samples = fills.read(tmp_path / "made", set())
    assert len(samples) == 3
    assert all(np.ptp(sample[Layers.truth].numpy()[0]) > 50 for sample in samples)


def test_a_hole_s_tiles_hold_all_of_it_once() -> None:
    hole = np.zeros((700, 900), bool)
    hole[10:650, 100:880] = np.random.default_rng(1).random((640, 780)) < 0.01
    count = np.zeros(hole.shape, int)

    for outer, inner in network.tiles(hole):
        count[inner] += 1
        assert all(o.start <= i.start and o.stop >= i.stop for o, i in zip(outer, inner, strict=True))

    assert (count[hole] == 1).all()
