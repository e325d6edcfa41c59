"""The training loop, on a task that takes no time: what falls, what is kept, how it goes on, what comes out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from autowipe import weightfiles
from autowipe.errors import Cancelled, JobError, WeightsError
from autowipe.networks.completer import Completer, Known
from autowipe.train import loop, recipe
from autowipe.train.recipe import Recipe
from autowipe.train.task import load
from torch import nn

RECIPE = Recipe(steps=40, rate=3e-3, warm_up=5, log_every=10, check_every=20, save_every=20, threads=1)


class Darker:
    """Learns to darken a hole by a tenth."""

    name, kinds = "completer", ("logo",)

    def network(self) -> nn.Module:
        return Completer(widths=(8, 8, 8, 8))

    def samples(self, seed: int) -> Iterator[dict[str, torch.Tensor]]:
        source = torch.Generator().manual_seed(seed)
        while True:
            yield {"picture": torch.rand(2, 3, 32, 32, generator=source)}

    def loss(self, network: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        picture = batch["picture"]
        one = torch.ones_like(picture[:, :1])
        out = network(Known(picture, one, picture, one, one, picture, one))
        off = (out.picture - (picture - 0.1)).abs().mean()
        return off, {"off": off}

    def check(self, network: nn.Module) -> dict[str, float]:
        with torch.no_grad():
            return {"held-out off": float(self.loss(network, next(self.samples(0)))[0])}

    def sheet(self, network: nn.Module) -> np.ndarray:
        return np.full((8, 12, 3), 7, np.uint8)

    def material(self) -> list[str]:
        return ["noise"]


def train(out: Path, how: Recipe = RECIPE, *, resume: bool = False, stop: bool = False) -> dict[str, float]:
    cancelled = threading.Event()
    if stop:
        cancelled.set()
    return loop.train(
        Darker(), how, out, resume=resume, weights=out, command="train", say=lambda text: None, cancelled=cancelled
    )


def history(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "history.jsonl").read_text("utf-8").splitlines()]


def test_a_training_ends_with_a_weight_that_is_better_and_loads(tmp_path: Path) -> None:
    figures = train(tmp_path)

    losses = [entry["loss"] for entry in history(tmp_path) if "loss" in entry]
    assert losses[-1] < losses[0] / 2
    network = weightfiles.load("completer", tmp_path)
    assert Darker().check(network)["held-out off"] == pytest.approx(figures["held-out off"], rel=0.1)
    entry = weightfiles.entries(tmp_path)["completer"]
    assert entry["data"] == ["noise"] and entry["steps"] == 40 and entry["arguments"] == {"widths": [8, 8, 8, 8]}
    assert (
        cv2.imread(str(tmp_path / "curves.png")).shape[0] > 100 and cv2.imread(str(tmp_path / "sheet.png")) is not None
    )


def test_a_stopped_training_goes_on_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        train(tmp_path, stop=True)
    with pytest.raises(JobError, match="already"):
        train(tmp_path)

    figures = train(tmp_path, resume=True)

    assert [entry["step"] for entry in history(tmp_path) if "loss" in entry] == [10, 20, 30, 40]
    assert figures["held-out off"] < 0.05


def test_a_training_begins_with_the_weight_that_is_named(tmp_path: Path) -> None:
    train(tmp_path / "first")

    train(tmp_path / "second", replace(RECIPE, start=str(tmp_path / "first"), steps=10))

    first, second = (history(tmp_path / name)[0]["held-out off"] for name in ("first", "second"))
    assert second < first / 2


def test_another_network_does_not_go_on_with_it(tmp_path: Path) -> None:
    train(tmp_path, replace(RECIPE, steps=1))
    state = tmp_path / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-100])

    with pytest.raises(WeightsError, match="does not fit"):
        train(tmp_path, resume=True)


def test_a_dry_run_says_how_long_it_takes_and_keeps_nothing(tmp_path: Path) -> None:
    said: list[str] = []

    loop.dry_run(Darker(), RECIPE, tmp_path, said.append)

    assert any("steps a second" in text and "done in" in text for text in said)
    assert not (tmp_path / "state.safetensors").exists()


def test_a_weight_is_checked_before_it_is_loaded(tmp_path: Path) -> None:
    weightfiles.save(tmp_path, "completer", Completer(widths=(8, 8, 8, 8)), {})
    file = tmp_path / "completer.safetensors"
    whole = file.read_bytes()

    file.write_bytes(whole[:-1] + b"x")
    with pytest.raises(WeightsError, match="damaged"):
        weightfiles.load("completer", tmp_path)
    file.unlink()
    with pytest.raises(WeightsError, match="missing"):
        weightfiles.load("completer", tmp_path)
    with pytest.raises(WeightsError, match="no weight 'other'"):
        weightfiles.load("other", tmp_path)


def test_a_weight_of_another_shape_is_refused(tmp_path: Path) -> None:
    weightfiles.save(tmp_path, "completer", Completer(widths=(8, 8, 8, 8)), {})
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace("[\n     8,", "[\n     16,"), "utf-8")

    with pytest.raises(WeightsError, match="does not fit"):
        weightfiles.load("completer", tmp_path)


def test_a_recipe_is_changed_key_by_key_and_unknown_keys_are_told() -> None:
    shipped = recipe.read("joint")

    changed = recipe.read("joint", None, ["rate=1e-3", "task.fills={footage: F}"], steps=7)

    assert (changed.steps, changed.rate, changed.clip) == (7, 1e-3, shipped.clip)
    assert changed.task["fills"] == {**shipped.task["fills"], "footage": "F"}
    with pytest.raises(JobError, match="unknown key 'stepz'"):
        recipe.read("joint", None, ["stepz=3"])
    with pytest.raises(JobError, match="option 'cropp'"):
        load("completer", {"cropp": 3})
