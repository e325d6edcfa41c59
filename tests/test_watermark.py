"""Watermarks: tiles and large marks, found and un-blended; scenes without any left alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import synth
from autowipe import kinds, planes
from autowipe.decode import open_clip
from autowipe.kinds.watermark import Finder
from autowipe.lattice import find_lattice, moved
from autowipe.motif import find_motif
from autowipe.unblend import invert
from autowipe.veilshape import shape_of

SIZE = (480, 270)


def layer(words: str, step: tuple[int, int], angle: float) -> np.ndarray:
    """A word all over the picture, as RGBA float32."""
    word = synth.text(words, 16)
    high, wide = word.shape[:2]
    turn = cv2.getRotationMatrix2D((wide / 2, high / 2), angle, 1)
    turn[:, 2] += (step[0] - wide) / 2, (step[1] - high) / 2
    alpha = cv2.warpAffine(word[..., 3], turn, step)
    rows, columns = -(-SIZE[1] // step[1]), -(-SIZE[0] // step[0])
    alpha = np.tile(alpha, (rows, columns))[: SIZE[1], : SIZE[0]]
    return np.dstack([np.ones((*alpha.shape, 3), np.float32), alpha])


def find(clip: synth.Synthetic) -> list[kinds.Found]:
    with open_clip(clip.path) as opened:
        layout, whole = opened.info.layout, opened.info.whole
        finder = Finder(layout, whole, float(opened.info.rate))
        for frame in opened.frames():
            luma, chroma = planes.small(frame.views, layout, 640)
            finder.survey(kinds.Small(frame.index, luma, chroma, layout.width / luma.shape[1]))
        if boxes := finder.propose((whole,), lambda: None):
            for frame in opened.frames():
                finder.measure(frame.index, [planes.crop(frame.views, layout, box) for box in boxes])
        return finder.finish()


def unblended_luma(clip: synth.Synthetic, found: kinds.Found) -> tuple[float, float]:
    """PSNR of the luma on what the overlay covers, before and after, dB."""
    before = after = 0.0
    count = 0
    x, y, w, h = found.box
    with open_clip(clip.path) as opened:
        for frame in opened.frames():
            mask = clip.masks[frame.index][y : y + h, x : x + w]
            levels = planes.to_levels(planes.crop(frame.views, opened.info.layout, found.box), opened.info.layout)
            assert found.unblend is not None
            estimate = invert(levels, found.unblend, 1.7)[0][0]
            weights = np.array([0.299, 0.587, 0.114], np.float32) * 219 / 255
            truth = 16 + clip.clean[frame.index][y : y + h, x : x + w].astype(np.float32) @ weights
            before += float(((levels[0] - truth)[mask] ** 2).sum())
            after += float(((estimate - truth)[mask] ** 2).sum())
            count += int(mask.sum())
    return tuple(10 * float(np.log10(255**2 * count / total)) for total in (before, after))


def test_tiles_are_found_and_unblended(tmp_path: Path) -> None:
    tiles = synth.Burnt(layer("PROOF", (110, 78), 25), (0, 0), 0, 36, alpha=0.3)
    clip = synth.make(tmp_path / "tiles.mp4", [tiles], count=36, size=SIZE)

    (found,) = find(clip)

    assert found.kind == "watermark" and [(len(e.range), e.fade_in, e.fade_out) for e in found.events] == [(36, 0, 0)]
    matte = np.zeros(SIZE[::-1], bool)
    x, y, w, h = found.box
    matte[y : y + h, x : x + w] = found.matte > 0.5
    covered = clip.masks[18]
    assert (matte & covered).sum() > 0.97 * covered.sum()
    before, after = unblended_luma(clip, found)
    assert after > before + 4


def test_all_that_repeats_with_the_lattice_is_found_but_not_where_it_was_left_out(tmp_path: Path) -> None:
    """Staggered by less than half, and nothing drawn that the left and upper edges would cut."""
    word = synth.text("PROOF", 16)
    high, wide = word.shape[:2]
    alpha = np.zeros(SIZE[::-1], np.float32)
    for row, y in enumerate(range(12, SIZE[1], 48)):
        for x in range(20 + row % 2 * 35, SIZE[0], 120):
            part = alpha[y : y + high, x : x + wide]
            np.maximum(part, word[: part.shape[0], : part.shape[1], 3], out=part)
    tiles = np.dstack([np.ones((*alpha.shape, 3), np.float32), alpha])
    clip = synth.make(tmp_path / "t.mp4", [synth.Burnt(tiles, (0, 0), 0, 36, alpha=0.3)], count=36, size=SIZE, pan=2.0)

    (found,) = find(clip)

    matte = np.zeros(SIZE[::-1], bool)
    x, y, w, h = found.box
    matte[y : y + h, x : x + w] = found.matte > 0.5
    covered = clip.masks[18]
    assert (matte & covered).sum() > 0.97 * covered.sum()
    assert (matte & ~cv2.dilate(covered.astype(np.uint8), np.ones((15, 15))).astype(bool)).mean() < 0.002


def test_a_motif_in_some_of_the_tiles_is_told_from_the_scene() -> None:
    """Also where every second tile was left out; a line that runs through some of the tiles is no motif."""
    rng = np.random.default_rng(4)
    letter = np.zeros((90, 90), np.float32)
    word = 40 * synth.text("soc", 22)[..., 3]
    letter[8 : 8 + word.shape[0], 10 : 10 + word.shape[1]] = word
    edges = np.dstack([cv2.Sobel(letter, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1))])
    tiles = rng.normal(0, 0.5, (8, 90, 90, 2)).astype(np.float32)
    tiles[::2] += edges
    tiles[:3, 80:82, :, 1] += 5
    drawn = np.hypot(*np.moveaxis(edges, -1, 0)) > 6

    motif = find_motif(tiles)

    assert motif.is_edge[drawn].mean() > 0.95
    assert not motif.is_edge[76:86].any()


def test_one_large_mark_across_a_moving_picture_is_found(tmp_path: Path) -> None:
    word = synth.text("stockshots", 36)
    high, wide = word.shape[:2]
    mark = synth.Burnt(word, ((SIZE[0] - wide) // 2, (SIZE[1] - high) // 2), 0, 40, alpha=0.4)
    clip = synth.make(tmp_path / "large.mp4", [mark], count=40, size=SIZE, pan=3.0)

    (found,) = find(clip)

    before, after = unblended_luma(clip, found)
    assert found.kind == "watermark" and after > before + 5.5


def test_the_shape_of_a_mark_comes_from_its_edges_alone() -> None:
    """Filled in where it is broad, apart where letters are near, whatever the light behind it."""
    mark = np.zeros((80, 160), np.float32)
    mark[20:60, 20:60] = mark[20:60, 66:72] = mark[20:60, 80:140] = 1
    soft = cv2.GaussianBlur(mark, (0, 0), 1.0)
    light = np.linspace(1.0, 2.0, 160, dtype=np.float32)  # contrast from left to right
    slopes = np.stack([cv2.Sobel(-12 * light * soft, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1))])
    edges = np.hypot(*slopes) > 1.5

    shape = shape_of(slopes, edges, cv2.dilate(mark, np.ones((9, 9))) > 0)

    assert (shape[mark > 0] > 0.5).mean() > 0.95
    assert (shape[cv2.dilate(mark, np.ones((3, 3))) == 0] < 0.3).mean() > 0.98


def test_a_scene_without_a_watermark_has_none(tmp_path: Path) -> None:
    assert find(synth.make(tmp_path / "none.mp4", [], count=30, size=SIZE)) == []


def test_a_fence_is_no_lattice_of_tiles() -> None:
    field = np.zeros((2, 180, 320), np.float32)
    field[0, 60:120, ::12] = 6
    field[0, 60:120, 2::12] = -6

    assert find_lattice(field, np.ones((180, 320), bool)) is None


def test_a_lattice_is_found_to_a_fraction_of_a_px() -> None:
    rng = np.random.default_rng(3)
    tile = cv2.GaussianBlur(rng.normal(0, 30, (60, 90)).astype(np.float32), (0, 0), 1.5)
    tile[:, 50:] = 0
    field = np.stack([np.tile(part, (4, 5)) for part in (tile, tile[::-1])])[:, :220, :400]
    field += rng.normal(0, 1, field.shape).astype(np.float32)

    lattice = find_lattice(field, np.ones((220, 400), bool))

    assert lattice is not None and lattice.area == pytest.approx(60 * 90, rel=0.01)


def test_moved_pictures_are_exact_for_whole_px() -> None:
    picture = np.arange(48, dtype=np.float32).reshape(6, 8)

    out = moved(picture, (2.0, -1.0), (0, 1, 8, 5))

    assert np.array_equal(out[:, :6], picture[:5, 2:]) and np.isnan(out[:, 6:]).all()
