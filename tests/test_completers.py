"""The methods that complete a picture, each by itself: places along the motion, fills, spreading, fusing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from autowipe.completers import borrow, network
from autowipe.completers.fill import fill
from autowipe.flow import Motion, follow
from autowipe.hole import hole_of
from autowipe.match import Candidate, fuse, match, spatial, spread, surest

LUMA = (0, 0)  # log2 of its subsampling


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


def seen_around(holes: list) -> np.ndarray:
    """(T, 80, 120) bool: what may be borrowed."""
    seen = np.ones((len(holes), 80, 120), bool)
    for frame, hole in zip(seen, holes, strict=True):
        if hole is not None:
            frame.ravel()[hole.spots] = False
    return seen


def slopes(lumas: np.ndarray, holes: list) -> list[np.ndarray | None]:
    return [borrow.slopes(luma, hole) for luma, hole in zip(lumas, holes, strict=True)]


def test_flow_under_the_overlay_is_that_of_its_surroundings() -> None:
    lumas, hidden = moving(2, 3)

    motion = follow([np.rint(luma).astype(np.uint8) for luma in lumas], hidden)

    y, x = (part.astype(np.float32) for part in np.nonzero(hidden[0]))
    assert np.abs(np.stack(motion.at(0, 1, x, y)[:2], 1) - (-3, 0)).max() < 0.5
    assert np.abs(np.stack(motion.at(1, 0, x, y)[:2], 1) - (3, 0)).max() < 0.5


def test_places_keep_their_aim_over_many_frames() -> None:
    lumas, hidden = moving(12, 3)
    motion = follow([np.rint(luma).astype(np.uint8) for luma in lumas], hidden)
    holes = [hole := hole_of(hidden[0], [LUMA])] * 12

    places = borrow.carry(lumas, slopes(lumas, holes), seen_around(holes), holes, motion, onwards=False)[-1]

    assert places is not None
    there = places.frame != borrow.NOWHERE
    assert there.sum() > 0.9 * len(hole.spots)
    assert np.median(np.abs(places.x - (hole.x + 3 * (11 - places.frame)))[there]) < 0.3
    assert np.median(np.abs(places.y - hole.y)[there]) < 0.3


def test_a_long_way_between_surfaces_that_move_differently_leads_nowhere() -> None:
    count, hidden = 60, np.zeros((80, 120), bool)
    hidden[30:44, 40:90] = True
    holes = [hole_of(hidden, [LUMA])] * count
    lumas = np.full((count, 80, 120), 120, np.float32)

    def found(doubt: float) -> tuple[np.ndarray, np.ndarray]:
        flow = np.broadcast_to(np.float32([-0.6, 0, doubt]), (40, 60, 3)).copy()
        motion = Motion([-flow] * (count - 1), [flow] * (count - 1), (80, 120))
        places = borrow.carry(lumas, slopes(lumas, holes), seen_around(holes), holes, motion, onwards=False)[-1]
        assert places is not None
        return places.frame != borrow.NOWHERE, count - 1 - places.frame

    among_one, gone = found(0.01)
    between_two, _ = found(0.4)

    assert among_one.mean() > 0.9
    assert (gone[among_one] > 40).any()
    assert np.array_equal(between_two, among_one & (gone <= borrow.STRAYED))


def test_nothing_is_seen_before_the_first_or_after_the_last_frame() -> None:
    lumas, hidden = moving(3, 2)
    motion = follow([np.rint(luma).astype(np.uint8) for luma in lumas], hidden)
    holes = [hole_of(hidden[0], [LUMA])] * 3
    seen = seen_around(holes)

    before = borrow.carry(lumas, slopes(lumas, holes), seen, holes, motion, onwards=False)[0]
    after = borrow.carry(lumas, slopes(lumas, holes), seen, holes, motion, onwards=True)[-1]

    assert before is not None and (before.frame == borrow.NOWHERE).all()
    assert after is not None and (after.frame == borrow.NOWHERE).all()


def test_a_frame_without_a_hole_needs_no_places_and_gives_its_own() -> None:
    lumas, hidden = moving(3, 2)
    motion = follow([np.rint(luma).astype(np.uint8) for luma in lumas], hidden)
    holes = [None, hole_of(hidden[1], [LUMA]), None]

    first, middle, _ = borrow.carry(lumas, slopes(lumas, holes), seen_around(holes), holes, motion, onwards=True)

    assert first is None
    assert middle is not None and (middle.frame == 2).all()


def test_samples_are_taken_at_their_source() -> None:
    volume = np.stack([texture(20, 30), texture(20, 30) + 50])
    hidden = np.zeros((20, 30), bool)
    hidden[5, 7:10] = True
    hole = hole_of(hidden, [LUMA])
    places = borrow.Places(np.full(len(hole.x), 1, np.int16), hole.x.copy(), hole.y.copy())
    which = [int(hole.number[5 * 30 + x]) for x in (8, 9)]
    places.x[which[0]], places.frame[which[1]] = 20, borrow.NOWHERE

    (value,) = borrow.take([volume], places, hole.parts[LUMA])

    assert np.isclose(value[0], volume[1, 5, 7])
    assert np.isclose(value[1], volume[1, 5, 20])
    assert np.isnan(value[2])


@pytest.mark.parametrize(("size", "most"), [(60, 1 / 1024), (1000, 1 / 64), (4096, 1 / 16)])
def test_packed_places_stay_where_they_are_and_whole_pixels_exactly(size: int, most: float) -> None:
    x = np.linspace(-0.9, size - 0.1, 500, dtype=np.float32)
    whole = np.arange(500, dtype=np.float32) % size
    places = borrow.Places(np.arange(500, dtype=np.int16), x, whole)

    packed = borrow.Packed(places, (size // 2, size)).unpacked()

    assert packed.x.dtype == packed.y.dtype == np.float32
    assert np.abs(packed.x - x).max() <= most
    assert np.array_equal(packed.y, whole) and np.array_equal(packed.frame, places.frame)


def test_chroma_is_taken_where_its_luma_is_seen() -> None:
    chroma = np.stack([texture(20, 30), texture(20, 30) + 50])
    hidden = np.zeros((40, 60), bool)
    hidden[11, 15:18] = True
    hole = hole_of(hidden, [LUMA, (1, 1)])
    places = borrow.Places(np.ones(len(hole.x), np.int16), hole.x + 6, hole.y - 4)

    (value,) = borrow.take([chroma], places, hole.parts[1, 1])

    assert np.allclose(value, chroma[1, 3, 10:12], atol=1e-3)


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


def test_grass_is_filled_as_lively_as_it_is_around() -> None:
    """No patch fits another there, so that their mean would be a blur."""
    rough = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 110, (160, 200)).astype(np.float32), (0, 0), 1.6)
    hole = np.zeros(rough.shape, bool)
    hole[50:110, 60:140] = True

    (filled,) = fill([np.where(hole, 0, 120 + rough).astype(np.float32)], [hole])

    share = filled[65:95, 80:120].std() / rough.std()
    assert 0.55 < share < 1.1  # .63; the mean alone has .41


def test_a_hole_whose_surround_has_whole_patches_at_half_the_size_alone_is_filled() -> None:
    y, x = np.mgrid[:96, :128].astype(np.float32)
    plane = 120 + 40 * np.sin(x / 9) + 0.2 * y
    hole = np.zeros(plane.shape, bool)
    hole[::5] = True  # lines so near to each other that no patch fits between them
    hole[30:60, 40:90] = True
    (filled,) = fill([np.where(hole, np.float32(0), plane)], [hole])
    assert np.array_equal(filled[~hole], plane[~hole])
    assert np.abs(filled - plane)[hole].mean() < 10


def test_a_fill_comes_out_the_same_each_time() -> None:
    picture = texture(60, 80)
    hole = np.zeros(picture.shape, bool)
    hole[20:40, 30:55] = True

    assert np.array_equal(fill([picture], [hole])[0], fill([picture], [hole])[0])


def test_a_match_takes_on_the_light_around_the_hole() -> None:
    picture = texture(40, 40)
    hidden = np.zeros((40, 40), bool)
    hidden[15:25, 15:25] = True
    part = hole_of(hidden, [LUMA]).parts[LUMA]
    truth, around = picture.ravel()[part.at], picture.ravel()[part.ring]
    value = truth - 12
    value[0] = np.nan

    (matched,) = match([value], [around], [around - 12], part)

    assert np.abs(matched.value - truth)[1:].max() < 1.5
    assert np.isinf(matched.variance[0]) and np.isfinite(matched.variance[1:]).all()


def test_what_is_spread_is_trusted_less_the_deeper_it_lies_however_smooth_its_surroundings_are() -> None:
    hidden = np.zeros((60, 60), bool)
    hidden[15:45, 15:45] = True
    part = hole_of(hidden, [LUMA]).parts[LUMA]

    picture = np.full(hidden.shape, 90, np.float32)
    deviation, witnessed = (np.sqrt(spatial(picture, part, alone).variance) for alone in (part.at > 0, part.at < 0))

    inner = (part.depth > 9) & (part.depth < 11)  # deeper, nothing is known of the surroundings
    assert deviation[part.depth < 2].max() < 5  # next to what is seen, almost as good as that
    assert deviation[inner].min() > 12
    assert witnessed[inner].max() < 5


def test_what_was_borrowed_from_further_off_in_time_is_trusted_less() -> None:
    part = hole_of(np.pad(np.ones((1, 1), bool), 9), [LUMA]).parts[LUMA]
    frames = np.array([borrow.NOWHERE, 9, 12, 26], np.int16)

    ages = [
        borrow.age(borrow.Places(np.full(9, frame, np.int16), *np.zeros((2, 9), np.float32)), 10, part)
        for frame in frames
    ]

    assert [float(age[0]) for age in ages[1:]] == pytest.approx([1, 2**0.5, 4])
    assert np.isfinite(ages[0]).all()


def test_a_motion_that_has_to_be_put_right_more_is_trusted_less() -> None:
    lumas, hidden = moving(12, 3)
    holes = [hole_of(hidden[0], [LUMA])] * 12
    right = follow([np.rint(luma).astype(np.uint8) for luma in lumas], hidden)
    off = Motion(
        *([flow + np.float32([0.4, 0.3, 0]) for flow in way] for way in (right.forward, right.backward)), (80, 120)
    )

    told, wrong = (
        borrow.carry(lumas, slopes(lumas, holes), seen_around(holes), holes, motion, onwards=False)[9]
        for motion in (right, off)
    )

    assert borrow.strayed(wrong, told) > 2
    assert borrow.strayed(told, wrong) == 1


def test_the_better_known_candidate_weighs_more() -> None:
    one = Candidate(np.full((2, 2), 10.0, np.float32), np.full((2, 2), 1.0, np.float32))
    other = Candidate(np.full((2, 2), 20.0, np.float32), np.full((2, 2), 9.0, np.float32))
    other.variance[0, 0] = np.inf

    value, variance = fuse([one, other])

    assert variance[0, 0] == 1 and np.isclose(variance[1, 1], 0.9)
    assert value[0, 0] == 10 and np.isclose(value[1, 1], 11)
    assert (surest([one, other]) == 0).all()


@pytest.mark.parametrize("shape", [(24, 80), (31, 300), (12, 512), (300, 20)])
def test_motion_is_measured_in_flat_and_in_narrow_regions(shape):
    wide = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (shape[0], shape[1] + 40), np.uint8), (0, 0), 3)
    lumas = [np.ascontiguousarray(wide[:, 2 * t : 2 * t + shape[1]]) for t in range(6)]

    motion = follow(lumas, [np.zeros(shape, bool)] * 6)

    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    assert abs(np.median(motion.at(2, 3, x.ravel(), y.ravel())[0]) + 2) < 0.3


def test_the_network_does_not_darken_the_middle_of_a_large_hole_in_an_even_place() -> None:
    grain = np.random.default_rng(2).normal(0, 12, (260, 480)).astype(np.float32)
    hidden = np.zeros((260, 480), bool)
    hidden[90:190, 100:400] = True
    luma = np.where(hidden, np.float32(150), 150 + 3 * cv2.GaussianBlur(grain, (0, 0), 3))
    variance = np.where(hidden, np.float32(np.inf), np.float32(0))
    chroma = [np.full((130, 240), level, np.float32) for level in (110, 118)]
    known = network.Known([luma, *chroma], variance, hidden, None, None)

    bettered = network.better(known, False, "cpu")[0]

    assert np.abs(bettered - luma)[~hidden].max() < 1e-3
    assert np.abs(bettered[140, 100:400] - 150).max() < 3
