"""Mattes: the plan's overlays drawn frame by frame, and the regions to work on."""

import numpy as np
import pytest
from autowipe.maps import CODED_NOISE, NOISE, Unblend, write_matte, write_unblend
from autowipe.masks import subsampled
from autowipe.matte import Mattes
from autowipe.plan import Event, Overlay
from autowipe.planes import layout_of
from autowipe.timing import FrameRange

LAYOUT = layout_of("yuv420p", 320, 180)


class HoldOut:
    """A hold-out over the left half, or none."""

    def __init__(self, is_empty=True):
        self.is_empty = is_empty

    def at(self, frame):
        mask = np.zeros((180, 320), bool)
        mask[:, :160] = True
        return mask


def overlay(name, box, *events, **more):
    return Overlay(id=name, kind="logo", box=box, events=events or (Event(FrameRange(0, 50)),), **more)


def mattes(*overlays, folder=None, hold_out=None):
    return Mattes(overlays, folder, LAYOUT, hold_out or HoldOut())


def test_an_overlay_shows_from_its_onset_to_its_offset_only():
    drawn = mattes(overlay("a", (10, 10, 20, 10), Event(FrameRange(5, 9))))

    shows = [drawn.at(t, (0, 0, 64, 64)).matte is not None for t in range(12)]

    assert shows == [5 <= t < 9 for t in range(12)]


def test_without_a_matte_the_whole_box_is_covered():
    matte = mattes(overlay("a", (10, 12, 20, 8))).at(0, (0, 0, 64, 64)).matte

    assert matte.sum() == 20 * 8
    assert matte[12:20, 10:30].min() == 1


def test_two_overlays_are_drawn_together_and_fades_are_told(tmp_path):
    write_matte(tmp_path / "m.png", np.full((8, 20), 0.5, np.float32))
    drawn = mattes(
        overlay("a", (10, 12, 20, 8), Event(FrameRange(0, 50), fade_in=3, fade_out=2), matte="m.png"),
        overlay("b", (20, 12, 20, 8), Event(FrameRange(10, 20))),
        folder=tmp_path,
    )

    matte = drawn.at(12, (0, 0, 64, 64)).matte

    assert matte[14, 12] == pytest.approx(0.5, abs=0.01)
    assert matte[14, 24] == 1
    fading = [t for t in (0, 2, 3, 47, 48, 49) if drawn.at(t, (0, 0, 64, 64)).is_fading]
    assert fading == [0, 2, 48, 49]


def test_a_hold_out_wins_over_every_matte():
    matte = mattes(overlay("a", (150, 10, 20, 10)), hold_out=HoldOut(False)).at(0, (128, 0, 64, 64)).matte

    assert matte[:, :32].max() == 0
    assert matte[10:20, 32:42].min() == 1


def test_a_trajectory_moves_the_matte_between_its_keys():
    drawn = mattes(overlay("a", (10, 10, 4, 4), trajectory=((0, 0, 0), (10, 20, 5))))

    middle = drawn.at(4, (0, 0, 64, 64)).matte
    rows, columns = np.nonzero(middle > 0.5)

    assert (columns.min(), rows.min()) == (18, 12)
    assert drawn.regions(FrameRange(0, 11), 2) == [(8, 8, 28, 14)]


def test_a_trajectory_scales_and_turns_about_the_middle_of_the_box():
    keys = ((0, 0, 0, 0.5, 0), (10, 0, 0, 1, 0), (20, 0, 0, 1, 90))
    drawn = mattes(overlay("a", (20, 30, 24, 8), trajectory=keys))

    def extent(frame):
        rows, columns = np.nonzero(drawn.at(frame, (0, 0, 64, 64)).matte > 0.5)
        return (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1)

    assert extent(10) == (20, 44, 30, 38)
    assert extent(20) == (28, 36, 22, 46)
    left, right, top, bottom = extent(0)  # half the size, but with the codec's ringing all around
    assert 21 <= left <= 25 and 39 <= right <= 43 and 29 <= top <= 31 and 37 <= bottom <= 39


def test_regions_that_touch_become_one_and_distant_ones_stay_apart():
    drawn = mattes(overlay("a", (20, 20, 20, 10)), overlay("b", (50, 20, 20, 10)), overlay("c", (250, 150, 20, 10)))

    assert drawn.regions(FrameRange(0, 1), 8) == [(12, 12, 66, 26), (242, 142, 36, 26)]
    assert drawn.regions(FrameRange(60, 61), 8) == []


def test_regions_stop_at_the_edge_of_the_picture():
    assert mattes(overlay("a", (300, 170, 20, 10))).regions(FrameRange(0, 1), 30) == [(270, 140, 50, 40)]


def test_what_has_moved_out_of_the_picture_has_no_region():
    away = overlay("a", (20, 20, 20, 10), trajectory=((0, 0.0, 0.0), (1, 5000.0, -5000.0)))

    assert mattes(away).regions(FrameRange(1, 2), 8) == []
    assert mattes(away, overlay("b", (50, 20, 20, 10))).regions(FrameRange(1, 2), 8) == [(42, 12, 36, 26)]


def test_un_blend_maps_of_two_overlays_follow_each_other(tmp_path):
    def constant(a, b):
        shapes = LAYOUT.shapes((20, 20, 20, 10))
        return Unblend([np.full(s, a, np.float32) for s in shapes], [np.full(s, b, np.float32) for s in shapes])

    write_unblend(tmp_path / "u.npz", constant(0.5, 60))
    write_unblend(tmp_path / "v.npz", constant(0.25, 100))
    one = overlay("a", (20, 20, 20, 10), unblend="u.npz")
    two = overlay("b", (20, 20, 20, 10), unblend="v.npz")
    solid = overlay("c", (50, 20, 20, 10))

    maps = mattes(one, two, solid, folder=tmp_path).at(0, (0, 0, 96, 64)).unblend

    assert maps.transmission[0][25, 25] == pytest.approx(0.125)
    assert maps.contribution[0][25, 25] == pytest.approx(0.25 * 60 + 100)
    assert maps.transmission[1][12, 12] == pytest.approx(0.125)
    assert maps.transmission[0][25, 55] == 0
    assert maps.transmission[0][5, 5] == 1
    assert mattes(solid, folder=tmp_path).at(0, (0, 0, 96, 64)).unblend is None


def test_what_moves_by_parts_of_a_pixel_hides_no_chroma_without_luma(tmp_path):
    maps = Unblend(*([np.full(s, value, np.float32) for s in LAYOUT.shapes((20, 20, 24, 12))] for value in (0.5, 60)))
    maps.transmission[0][4:9, 5:12] = 0  # ends in the middle of chroma samples
    maps.transmission[1][2:5, 2:6] = maps.transmission[2][2:5, 2:6] = 0
    write_unblend(tmp_path / "u.npz", maps)
    drawn = mattes(overlay("a", (20, 20, 24, 12), unblend="u.npz", trajectory=((0, 0, 0), (8, 4, 4))), folder=tmp_path)

    for frame in range(9):
        hidden = [part == 0 for part in drawn.at(frame, (0, 0, 96, 64)).unblend.transmission]
        assert hidden[0].any()
        assert np.array_equal(hidden[1], subsampled(hidden[0], (1, 1)))


def test_what_moves_has_more_noise_than_the_same_at_rest_in_the_same_place(tmp_path):
    write_unblend(
        tmp_path / "u.npz", Unblend(*([np.full(s, 0.5, np.float32) for s in LAYOUT.shapes((20, 20, 24, 12))],) * 2)
    )
    keys = ((0, 0, 0), (4, 0, 0), (8, 8, 8), (12, 0, 0), (16, 0, 0))
    drawn = mattes(overlay("a", (20, 20, 24, 12), unblend="u.npz", trajectory=keys), folder=tmp_path)

    noise = {t: drawn.at(t, (0, 0, 96, 64)).unblend.noise for t in (2, 6, 8, 10, 14)}

    assert noise == {2: NOISE, 6: CODED_NOISE, 8: CODED_NOISE, 10: CODED_NOISE, 14: NOISE}


def test_a_part_of_maps_lies_where_it_lay_and_keeps_all_that_is_known():
    shapes = LAYOUT.shapes((20, 20, 24, 12))
    arrays = [[np.random.default_rng(k).random(s, np.float32) for s in shapes] for k in range(3)]

    part = Unblend(*arrays, CODED_NOISE).part(LAYOUT, (20, 20, 24, 12), (24, 22, 8, 6))

    assert part.noise == CODED_NOISE
    for own, whole in zip((part.transmission, part.contribution, part.doubt), arrays, strict=True):
        assert np.array_equal(own[0], whole[0][2:8, 4:12])
        assert all(np.array_equal(own[k], whole[k][1:4, 2:6]) for k in (1, 2))


def test_a_chroma_sample_is_covered_when_any_of_its_pixels_is():
    mask = np.zeros((5, 7), bool)
    mask[4, 6] = mask[0, 1] = True

    got = subsampled(mask, LAYOUT.planes[1].shift)

    assert got.shape == (3, 4)
    assert np.argwhere(got).tolist() == [[0, 0], [2, 3]]
