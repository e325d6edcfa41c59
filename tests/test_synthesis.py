"""Training material and synthetic clips: what is taken, and that the truth is true."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import synth
from autowipe import sight
from autowipe.kinds import Small
from autowipe.timing import FrameRange
from autowipe.train import burnin, material, scenes, shards, sprites, synthesis, variety
from autowipe.train.burnin import Draw
from autowipe.train.material import Material

SIZE = (160, 96)
FRAMES = 60


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Material of one small clip, one picture, one mark, and the fonts of this machine."""
    folder = tmp_path_factory.mktemp("material")
    (folder / "clips").mkdir()
    (folder / "marks").mkdir()
    synth.make(folder / "clips" / "wall.mp4", [], count=48, size=(320, 180))
    picture = next(iter(synth.scene(1, (400, 300), seed=5)))
    cv2.imwrite(str(folder / "clips" / "still.png"), picture)
    badge = synth.badge((80, 40))
    cv2.imwrite(str(folder / "marks" / "badge.png"), np.rint(badge[..., [2, 1, 0, 3]] * 255))
    (folder / "clips" / "INDEX.tsv").write_text("clip\tlicence\tsource\nwall.mp4\tCC0\tdrawn\n", "utf-8")
    return material.assemble([folder / "clips"], [folder / "marks"])


def test_the_manifest_names_licence_and_source_and_comes_back_as_it_was(found: Material, tmp_path: Path) -> None:
    material.write(found, tmp_path)

    assert material.read(tmp_path) == found
    assert [(item.licence, item.source) for item in found.clips] == [("CC0", "drawn")]
    assert [item.licence for item in found.pictures] == ["unknown"]
    assert found.fonts and all(item.scripts for item in found.fonts)


def test_a_clip_of_the_benchmark_is_left_out_under_any_name(found: Material, tmp_path: Path) -> None:
    clip = Path(found.clips[0].path)
    bench, own = tmp_path / "bench", tmp_path / "own"
    bench.mkdir()
    own.mkdir()
    shutil.copy(clip, bench / "case.mp4")
    shutil.copy(clip, own / "renamed.mp4")

    taken = material.assemble([own], bench=bench)

    assert not taken.clips
    assert any("renamed.mp4 belongs to the benchmark" in text for text in taken.missing)


def test_a_folder_of_numbered_pictures_is_a_clip(tmp_path: Path) -> None:
    frames = tmp_path / "JPEGImages" / "0043f083b5"
    frames.mkdir(parents=True)
    for k, picture in enumerate(synth.scene(3, (320, 180))):
        cv2.imwrite(str(frames / f"{k:05d}.jpg"), picture)

    taken = material.assemble([tmp_path])

    assert [item.path for item in taken.clips] == [str(frames)]


@pytest.mark.parametrize("sort", burnin.SORTS, ids=lambda sort: sort.__name__)
def test_the_truth_is_what_an_overlay_changes(sort, found: Material) -> None:
    clean = np.full((SIZE[1], SIZE[0], 3), (90, 140, 60), np.uint8)
    draw = Draw(np.random.default_rng(3), found, SIZE, FRAMES, 1.0)
    made = sort(draw)

    frames = [synthesis.compose(clean, made, t) for t in range(0, FRAMES, 3)]

    assert any(frame.alpha.max() > 0.05 for frame in frames)
    for frame in frames:
        change = np.abs(frame.picture.astype(int) - clean).max(2)
        blurred = any(layer.sprite(0).glass for layer in made)  # behind glass a flat picture stays as it is
        assert not (change[frame.alpha == 0] > 1).any()
        assert blurred or frame.classes.max(0)[change > 40].min(initial=1) > 0.1
        assert frame.classes.min() >= 0 and frame.classes.max() <= 1


def test_un_blending_with_the_true_alpha_gives_the_clean_picture(found: Material) -> None:
    clean = next(iter(synth.scene(1, SIZE)))
    cover = np.zeros((40, 60), np.float32)
    cover[10:30, 10:50] = 1
    sprite = sprites.flat(cover, np.array([1.0, 0.5, 0.0]), sprites.MARK_BIT)
    layer = burnin.standing("logo", sprite, (80, 48), burnin.fading(0, 10, 0, 0.4))

    frame = synthesis.compose(clean, [layer], 0)

    hidden = frame.alpha[..., None]
    back = (frame.picture - 255 * hidden * np.array([1.0, 0.5, 0.0])) / (1 - hidden)
    assert np.abs(back - clean).max() < 1.5  # half a level of rounding over 1 - 0.4, and a half again


def test_a_shard_is_the_same_for_the_same_seed(found: Material) -> None:
    one, other = (shards.make(11, found, sizes=(160,)) for _ in range(2))

    assert one.dtype == np.uint8 and one.shape[1] == len(shards.MAPS) + len(shards.TRUTH)
    assert np.array_equal(one, other)


def looked_at(change=lambda luma, chroma: (luma, chroma)) -> np.ndarray:
    """The maps of one look at a drawn scene, each frame of it changed before."""
    (stretch,) = sight.stretches(FrameRange(0, 40), 25.0)
    seen = sight.Sight(stretch)
    for t, picture in enumerate(synth.scene(40, (320, 180))):
        luma, red, blue = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb))
        luma, chroma = change(cv2.convertScaleAbs(luma, alpha=0.5, beta=64), np.dstack([blue, red]))
        seen.add(Small(t, np.ascontiguousarray(luma), np.ascontiguousarray(chroma), 1.0))
    return seen.looks()[0][1]


def apart(maps: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """The maps by name that differ by more than noise and rounding, and by how many levels."""
    off = np.abs(maps.astype(float) - others).mean((1, 2))
    return {name: float(value) for name, value in zip(sight.MAPS, off, strict=True) if value > 3}


def test_a_mirrored_look_is_that_of_the_mirrored_clip() -> None:
    mirrored = looked_at(lambda luma, chroma: (luma[:, ::-1], chroma[:, ::-1]))

    assert not apart(variety.mirrored(looked_at()), mirrored)
    assert apart(looked_at(), mirrored)


def test_a_look_in_other_light_and_colours_is_that_of_such_a_clip() -> None:
    def change(luma: np.ndarray, chroma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        blue, red = cv2.split(chroma)
        return cv2.convertScaleAbs(luma, alpha=0.8, beta=0.2 * 128 + 10), np.dstack([255 - red, blue])

    quarter = variety.recoloured(looked_at(), slice(14, 17), 0.8, 10, np.pi / 2, 1.0)

    assert not apart(quarter, looked_at(change))


def test_a_damaged_clip_of_the_material_ends_no_scene(tmp_path: Path, found: Material) -> None:
    clip = tmp_path / "cut.mp4"
    clip.write_bytes(Path(found.clips[0].path).read_bytes()[:3000])
    damaged = Material([replace(found.clips[0], path=str(clip))], found.pictures, found.fonts)

    for seed in range(12):
        seen = list(scenes.scene(np.random.default_rng(seed), damaged, SIZE, 20))
        assert len(seen) == 20 and all(picture.shape == (*SIZE[::-1], 3) for picture in seen)
