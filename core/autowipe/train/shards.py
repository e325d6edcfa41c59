"""Synthetic clips as training samples on disk: the maps that a run would see, and the truth, a file a clip.

A shard is an .npy of (looks, maps + truth, h, w) uint8: the maps of `sight.MAPS`, then coverage by the classes of
`synthesis.CLASSES` and the hidden share, 0..255, and, for stage 2, the clean picture as luma and colour differences.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .. import planes
from ..decode import open_clip
from ..errors import JobError
from ..kinds import Small
from ..sight import MAPS, Sight, stretches
from ..timing import FrameRange
from .material import Material
from .synthesis import CLASSES, Synthetic

ANALYSIS_WIDTH = 640  # px, as in a run
TRUTH = (*CLASSES, "alpha")
TRAIN, CHECK = "train", "check"  # folders of shards
MATERIAL = "material.txt"  # what they are made from, a line each


def make(seed: int, material: Material, *, clean: bool = False, **how) -> np.ndarray:
    """(looks, maps + truth, h, w) uint8 of the synthetic clip of a seed; `how` as `Synthetic` takes it.

    `clean`: with the clean picture behind them, three planes.
    """
    synthetic = Synthetic(seed, material, **how)
    parts = stretches(FrameRange(0, synthetic.count), synthetic.rate)
    looks = {t for part in parts for t in part.looks}
    truth = {}
    out = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mkv"
        for t, made in enumerate(synthetic.encode(path)):
            if t in looks:
                truth[t] = np.rint(255 * np.concatenate([made.classes, made.alpha[None]])).clip(0, 255)
                if clean:
                    truth[t] = np.concatenate([truth[t], _studio(made.clean)])
        with open_clip(path) as clip:
            for part in parts:
                sight = Sight(part)
                for frame in clip.frames(part.range):
                    luma, chroma = planes.small(frame.views, clip.info.layout, ANALYSIS_WIDTH)
                    sight.add(Small(frame.index, luma, chroma, clip.info.layout.width / luma.shape[1]))
                out += [np.concatenate([maps, truth[t].astype(np.uint8)]) for t, maps in sight.looks()]
    return np.stack(out)


def fill(folder: Path, material: Material, *, count: int, checks: int, first: int = 0, **how) -> Iterator[str]:
    """Makes shards of seeds `first` on until `folder` holds `count` of what is trained on and `checks` held out.

    What is there already is kept. Yields the name of each shard made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MATERIAL).write_text("".join(line + "\n" for line in material.lines()), "utf-8")
    for name, wanted, is_held_out in ((TRAIN, count, False), (CHECK, checks, True)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        part = material.half(is_held_out)
        for number in range(first, first + wanted):
            path = folder / name / f"{number:06d}.npy"
            if not path.exists():
                seed = 2 * number + is_held_out
                whole = path.with_suffix(".part")
                with whole.open("wb") as file:
                    np.save(file, make(seed, part, **how))
                whole.replace(path)
                yield f"{name}/{path.name}"


def listed(folder: Path, name: str) -> list[np.ndarray]:
    """The shards of a folder, mapped from disk. Raises JobError where there is none."""
    files = sorted((folder / name).glob("*.npy"))
    if not files:
        hint = "Make them with `autowipe train synth`."
        raise JobError(f"there are no training samples in {folder / name}", code="shards", hint=hint)
    return [np.load(file, mmap_mode="r") for file in files]


def maps_of(shard: np.ndarray) -> np.ndarray:
    """(looks, maps, h, w)."""
    return shard[:, : len(MAPS)]


def truth_of(shard: np.ndarray) -> np.ndarray:
    """(looks, classes and alpha, h, w)."""
    return shard[:, len(MAPS) :]


def _studio(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 as the encoder turns it into luma and colour differences: (3, H, W) float32 levels (BT.601)."""
    matrix = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], np.float32)
    levels = rgb.astype(np.float32) @ (matrix.T / 255) + np.array([16, 128, 128], np.float32)
    return np.rint(levels).transpose(2, 0, 1)  # (H, W, C) -> (C, H, W)
