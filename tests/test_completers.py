"""The methods that complete a picture, each by itself: places along the motion, fills, spreading, fusing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from autowipe.completers import borrow
from autowipe.completers.fill import fill
from autowipe.flow import follow
from autowipe.match import Candidate, fuse, match, spread


def texture(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(3).standard_normal((height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return 120 + 30 * smooth / smooth.std()


def moving(count: int, px: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """(T, H, W) float32 of a texture that moves left by `px` a frame, and a hidden box that rests."""
    wide = texture(80, 120 + count * px)
    lumas = np.stack([wide[:, t * px : t * px + 120] for t in range(count)]).copy()
    hidden = np.zeros((80, 120), bool)
    hidden[30:44, 50:70] = True
    for luma in lumas:
        (luma[:],) = spread([luma], (~hidden).astype(np.float32))
    return lumas, [hidden] * count


def test_flow_under_the_overlay_is_that_of_its_surroundings() -> None:
    lumas, hidden = moving(2, 3)

    motion = follow([np.rint(luma).astype(np.uint8) for luma in lumas], hidden)

    assert np.abs(motion.between(0, 1)[hidden[0]] - (-3, 0)).max() < 0.5
    assert np.abs(motion.between(1, 0)[hidden[0]] - (3, 0)).max() < 0.5


def test_places_keep_their_aim_over_many_frames() -> None:
    lumas, hidden = moving(12, 3)
    motion = follow([np.rint(luma).astype(np.uint8) for luma in lumas], hidden)
    around = [borrow.surround(mask) for mask in hidden]

    places = borrow.carry(lumas, [~mask for mask in hidden], around, motion, onwards=False)[-1]

    there = hidden[0] & (places.frame != borrow.NOWHERE)
    y, x = np.nonzero(there)
    assert there.sum() > 0.9 * hidden[0].sum()
    assert np.median(np.abs(places.x[there] - (x + 3 * (11 - places.frame[there])))) < 0.3
    assert np.median(np.abs(places.y[there] - y)) < 0.3


def test_nothing_is_seen_before_the_first_or_after_the_last_frame() -> None:
    lumas, hidden = moving(3, 2)
    motion = follow([np.rint(luma).astype(np.uint8) for luma in lumas], hidden)
    around = [borrow.surround(mask) for mask in hidden]
    seen = [~mask for mask in hidden]

    before = borrow.carry(lumas, seen, around, motion, onwards=False)
    after = borrow.carry(lumas, seen, around, motion, onwards=True)

    assert (before[0].frame == borrow.NOWHERE).all()
    assert (after[-1].frame == borrow.NOWHERE).all()


def test_samples_are_taken_at_their_source() -> None:
    volume = np.stack([texture(20, 30), texture(20, 30) + 50])
    part = np.zeros((20, 30), bool)
    part[5, 7:10] = True
    places = borrow.Places(np.full((20, 30), 1, np.int16), *np.meshgrid(np.arange(30.0), np.arange(20.0)))
    places.frame[5, 9] = borrow.NOWHERE
    places.x[5, 8] = 20

    value = borrow.take(volume, (0, 0), places, part)

    assert np.isclose(value[5, 7], volume[1, 5, 7])
    assert np.isclose(value[5, 8], volume[1, 5, 20])
    assert np.isnan(value[5, 9]) and np.isnan(value[0, 0])


def test_spreading_keeps_a_constant_and_what_is_known() -> None:
    picture = texture(33, 47)
    known = np.ones((33, 47), np.float32)
    known[10:20, 10:40] = 0

    flat, filled = spread([np.full_like(picture, 7), picture], known)

    assert np.allclose(flat, 7, atol=1e-3)
    assert np.allclose(filled[known > 0], picture[known > 0], atol=1e-3)
    assert picture.min() - 1 <= filled.min() and filled.max() <= picture.max() + 1


def test_spreading_from_nowhere_gives_zero() -> None:
    (nothing,) = spread([np.ones((9, 12), np.float32)], np.zeros((9, 12), np.float32))

    assert (nothing == 0).all()


def test_a_fill_keeps_a_constant_and_all_outside_the_hole() -> None:
    hole = np.zeros((40, 50), bool)
    hole[10:25, 10:30] = True
    luma, chroma = np.full((40, 50), 90.25, np.float32), np.full((20, 25), 120.5, np.float32)
    small = hole[::2, ::2]
    given = [np.where(hole, 0, luma).astype(np.float32), np.where(small, 0, chroma).astype(np.float32)]

    filled = fill(given, [hole, small])

    assert np.allclose(filled[0], 90.25, atol=0.02)
    assert np.allclose(filled[1], 120.5, atol=0.02)


def test_a_fill_brings_the_texture_of_the_surround_into_a_deep_hole() -> None:
    stripes = np.tile(100 + 30 * np.sin(np.arange(160) * 1.2), (120, 1)).astype(np.float32)
    hole = np.zeros(stripes.shape, bool)
    hole[40:80, 60:100] = True

    (filled,) = fill([np.where(hole, 0, stripes).astype(np.float32)], [hole])

    assert (filled[~hole] == stripes[~hole]).all()
    assert filled[50:70, 70:90].std() > 0.5 * stripes.std()
    assert np.corrcoef(filled[50:70, 70:90].ravel(), stripes[50:70, 70:90].ravel())[0, 1] > 0.8


def test_a_fill_comes_out_the_same_each_time() -> None:
    picture = texture(60, 80)
    hole = np.zeros(picture.shape, bool)
    hole[20:40, 30:55] = True

    assert np.array_equal(fill([picture], [hole])[0], fill([picture], [hole])[0])


def test_a_match_takes_on_the_light_around_the_hole() -> None:
    picture = texture(40, 40)
    value, ring = np.full((40, 40), np.nan, np.float32), np.full((40, 40), np.nan, np.float32)
    value[15:25, 15:25] = picture[15:25, 15:25] - 12
    ring[12:28, 12:28] = picture[12:28, 12:28] - 12
    ring[14:26, 14:26] = np.nan

    matched = match(value, picture, ring)

    assert np.abs(matched.value - picture)[15:25, 15:25].max() < 1.5
    assert np.isinf(matched.variance[0, 0])


def test_the_better_known_candidate_weighs_more() -> None:
    one = Candidate(np.full((2, 2), 10.0, np.float32), np.full((2, 2), 1.0, np.float32))
    other = Candidate(np.full((2, 2), 20.0, np.float32), np.full((2, 2), 9.0, np.float32))
    other.variance[0, 0] = np.inf

    value, heaviest = fuse([one, other])

    assert value[0, 0] == 10 and np.isclose(value[1, 1], 11)
    assert (heaviest == 0).all()


@pytest.mark.parametrize("shape", [(24, 80), (31, 300), (12, 512), (300, 20)])
def test_motion_is_measured_in_flat_and_in_narrow_regions(shape):
    wide = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (shape[0], shape[1] + 40), np.uint8), (0, 0), 3)
    lumas = [np.ascontiguousarray(wide[:, 2 * t : 2 * t + shape[1]]) for t in range(6)]

    motion = follow(lumas, [np.zeros(shape, bool)] * 6)

    assert abs(np.median(motion.between(2, 3)[..., 0]) + 2) < 0.3
