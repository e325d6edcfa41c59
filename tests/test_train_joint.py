"""Stage 2: both networks trained with the wipe in the loop, on next to nothing."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from autowipe import weightfiles
from autowipe.networks.completer import Completer
from autowipe.networks.perceiver import Perceiver
from autowipe.train import joint, loop, material, shards
from autowipe.train.recipe import Recipe
from media import write_clip

RECIPE = Recipe(steps=20, rate=1e-3, warm_up=2, log_every=5, check_every=20, save_every=20, threads=1)


def test_both_networks_learn_from_the_outcome_and_come_out_as_weights_of_their_own(tmp_path: Path) -> None:
    list(shards.fill(tmp_path / "shards", material.assemble(), count=2, checks=1, clean=True, sizes=(160,)))
    for name in ("one.mkv", "held.mkv"):
        write_clip(tmp_path / name, frames=6, size=(192, 176))
    torch.manual_seed(1)
    small = {"perceiver": Perceiver(widths=(8, 8, 16)), "completer": Completer(widths=(8, 8, 16, 16))}
    for name, network in small.items():
        weightfiles.save(tmp_path / "start", name, network, {})
    fills = {"footage": str(tmp_path), "cache": str(tmp_path / "cache"), "held_out": ["held*"], "crop": 64}
    fills |= {"shards": 1, "held_out_shards": 1, "shard": 4, "batch": 2}
    task = joint.Task(shards=str(tmp_path / "shards"), fills=fills, crop=64, batch=2)
    out = tmp_path / "out"
    begun = replace(RECIPE, start=str(tmp_path / "start"))

    figures = loop.train(
        task, begun, out, resume=False, weights=out, command="t", say=lambda text: None, cancelled=threading.Event()
    )

    losses = [entry["loss"] for entry in map(json.loads, (out / "history.jsonl").open()) if "loss" in entry]
    assert losses[-1] < losses[0]
    assert {"before dB", "after dB", "true matte dB", "ghost", "harm", "event F1"} <= set(figures)
    for name, network in small.items():
        trained = weightfiles.load(name, out).state_dict()
        assert any(not torch.equal(trained[key], value.half().float()) for key, value in network.state_dict().items())


def test_a_wipe_changes_nothing_where_the_matte_is_empty() -> None:
    before = torch.rand(1, 3, 40, 52)
    matte = torch.zeros(1, 1, 40, 52)
    matte[..., 10:20, 15:30] = 1

    after = joint.wipe(Completer(widths=(8, 8, 8, 8)), before, matte)

    changed = (after != before).any(1)[0].numpy()
    assert changed[10:20, 15:30].all()
    assert not np.delete(changed, np.s_[10:20], 0).any() and not changed[10:20, :15].any()
