"""Completing a region: what comes back for pans, rests, fades, translucent marks and odd layouts."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import cv2
import numpy as np
import pytest
from autowipe.complete import complete
from autowipe.maps import Unblend
from autowipe.planes import Layout, Plane
from autowipe.plate import BORROWED, INVENTED, UNBLENDED, UNTOUCHED, Crops, Plate
from autowipe.timing import FrameRange

SIZE = (96, 160)  # of the region, height and width
BOX = (slice(36, 52), slice(60, 90))  # of the overlay in it
YUV420 = Layout("yuv420p", 320, 240, (Plane("Y", 0, 0, 8), Plane("U", 1, 1, 8), Plane("V", 1, 1, 8)))


def scenery(height: int, width: int, seed: int = 1) -> np.ndarray:
    """Smooth texture with a contrast of about 25 levels, (H, W) float32 around 110."""
    noise = np.random.default_rng(seed).standard_normal((height, width)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return 110 + 25 * texture / texture.std()


def pan(count: int, px: float, layout: Layout = YUV420, size: tuple[int, int] = SIZE) -> list[list[np.ndarray]]:
    """A camera that moves `px` a frame over a texture: planes of each frame, clean."""
    wide = scenery(size[0], size[1] + int(count * abs(px)) + 8)
    frames = []
    for t in range(count):
        shift = np.float32([[1, 0, -t * px - 2], [0, 1, 0]])
        luma = cv2.warpAffine(wide, shift, size[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        planes = []
        for plane in layout.colour:
            shape = (-(-size[0] // (1 << plane.shift_y)), -(-size[1] // (1 << plane.shift_x)))
            part = cv2.resize(luma, shape[::-1], interpolation=cv2.INTER_AREA)
            codes = np.rint(part * 2 ** (plane.bits - 8)).clip(0, 2**plane.bits - 1)
            planes.append(codes.astype(np.uint8 if plane.bits == 8 else np.uint16))
        frames.append(planes)
    return frames


def covered(
    clean: list[list[np.ndarray]], when: list[int], layout: Layout = YUV420, size: tuple[int, int] = SIZE
) -> Crops:
    """The frames with an opaque bright box over BOX in the frames `when`."""
    matte = np.zeros(size, np.float32)
    matte[BOX] = 1
    frames = deepcopy(clean)
    for t in when:
        for part, plane in zip(frames[t], layout.colour, strict=True):
            rows, columns = (
                slice(s.start >> k, s.stop >> k) for s, k in zip(BOX, (plane.shift_y, plane.shift_x), strict=True)
            )
            part[rows, columns] = 235 << (plane.bits - 8)
    count = len(clean)
    mattes = [matte if t in when else None for t in range(count)]
    box = (0, 0, size[1], size[0])
    return Crops(layout, box, list(range(count)), frames, mattes, [None] * count, [False] * count)


def error(plate: Plate, clean: list[np.ndarray], plane: int = 0) -> float:
    """Root mean square error of a plate on its mask, in codes."""
    mask = plate.masks[plane]
    difference = plate.planes[plane][mask].astype(np.float64) - clean[plane][mask]
    return float(np.sqrt((difference**2).mean()))


@pytest.mark.parametrize("px", [3.0, 2.3])
def test_what_a_pan_uncovers_is_borrowed(px: float) -> None:
    clean = pan(30, px)

    plates = list(complete(covered(clean, list(range(30))), FrameRange(0, 30), quality="normal"))

    assert [plate.frame for plate in plates] == list(range(30))
    middle = plates[15]
    assert error(middle, clean[15]) < 5 and error(middle, clean[15], 1) < 5  # the texture's contrast is 25
    assert (middle.provenance[BOX] == BORROWED).mean() > 0.9


def test_a_locked_off_shot_gives_back_the_pixels_of_other_frames() -> None:
    clean = pan(20, 0)
    when = list(range(6, 14))

    plates = list(complete(covered(clean, when), FrameRange(0, 20), quality="normal"))

    assert [plate.frame for plate in plates] == when
    assert all(error(plate, clean[plate.frame]) < 1 for plate in plates)


def test_of_two_pictures_of_a_place_the_one_nearer_in_time_counts_more() -> None:
    clean = pan(18, 0)
    later = scenery(*SIZE, seed=2)[BOX].clip(0, 255).astype(np.uint8)  # it changes while the overlay is there
    clean[17][0][BOX] = later
    crops = covered(clean, list(range(1, 17)))

    plates = {plate.frame: plate for plate in complete(crops, FrameRange(0, 18), quality="normal")}

    def differs(t: int, picture: np.ndarray) -> float:
        return float(np.abs(plates[t].planes[0][BOX].astype(int) - picture).mean())

    assert differs(16, later) < 0.6 * differs(16, clean[0][0][BOX])
    assert differs(1, clean[0][0][BOX]) < 0.6 * differs(1, later)


def test_what_was_never_visible_is_invented_once_and_rests() -> None:
    plates = list(complete(covered(pan(12, 0), list(range(12))), FrameRange(0, 12), quality="normal"))

    assert all((plate.provenance[BOX] == INVENTED).all() for plate in plates)
    assert max(np.ptp(np.stack([plate.planes[0][BOX] for plate in plates]).astype(int), axis=0).ravel()) <= 1


@pytest.mark.parametrize(("ways", "label"), [(("borrow", "invent"), BORROWED), (("unblend", "invent"), INVENTED)])
def test_only_the_ways_that_are_asked_for_are_used(ways: tuple[str, ...], label: int) -> None:
    clean = pan(20, 3)

    plates = list(complete(covered(clean, list(range(20))), FrameRange(0, 20), quality="normal", completers=ways))

    assert (plates[10].provenance[BOX] == label).mean() > 0.9


def test_without_any_way_the_surroundings_are_spread_over() -> None:
    clean = [[np.full_like(part, 90) for part in frame] for frame in pan(4, 0)]

    plates = list(complete(covered(clean, [1, 2]), FrameRange(0, 4), quality="normal", completers=()))

    assert all(error(plate, clean[plate.frame]) < 1 for plate in plates)


@pytest.mark.parametrize("missed", [0, 2])
def test_frames_at_the_ends_in_which_a_perceived_overlay_still_shows_are_taken_in(missed: int) -> None:
    clean = pan(30, 3)
    crops = covered(clean, list(range(8, 20)))
    word = np.zeros(SIZE, np.uint8)
    cv2.putText(word, "WORD", (62, 50), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 90, 2)
    for t in range(8, 20):
        crops.planes[t][0] -= word
    when = range(8 + missed, 20 - missed)
    crops.mattes = [matte if t in when else None for t, matte in enumerate(crops.mattes)]

    perceived = list(complete(crops, FrameRange(0, 30), quality="normal", as_perceived=True))
    wished = list(complete(crops, FrameRange(0, 30), quality="normal"))

    assert [plate.frame for plate in perceived] == list(range(8, 20))
    assert [plate.frame for plate in wished] == list(when)


def test_who_walks_by_below_does_not_drag_along_what_rests_behind_an_overlay() -> None:
    clean = pan(24, 0)
    man = scenery(36, 44, seed=5).clip(0, 255).astype(np.uint8) // 2
    for t, planes in enumerate(clean):
        planes[0][54:90, 20 + 4 * t : 64 + 4 * t] = man
    crops = covered(clean, list(range(4, 20)))

    def errors(crops: Crops) -> float:
        plates = complete(crops, FrameRange(0, 24), quality="normal")
        return float(np.mean([error(plate, clean[plate.frame]) for plate in plates]))

    assert errors(replace(crops, camera=[np.eye(2, 3)] * 23)) < min(4, 0.75 * errors(crops))


def test_a_change_of_light_is_carried_into_what_is_borrowed() -> None:
    clean = pan(16, 0)
    for t in range(8, 16):
        clean[t][0] = clean[t][0] + np.uint8(20)

    plates = list(complete(covered(clean, list(range(8, 16))), FrameRange(0, 16), quality="normal"))

    assert all(error(plate, clean[plate.frame]) < 3 for plate in plates)


def test_a_translucent_mark_is_un_blended() -> None:
    clean = pan(6, 0)
    crops = covered(clean, [])
    matte = np.zeros(SIZE, np.float32)
    matte[BOX] = 0.4
    maps = []
    for plane in YUV420.colour:
        opacity = matte[:: 1 << plane.shift_y, :: 1 << plane.shift_x]
        maps.append((1 - opacity, opacity * 200))
    for frame in crops.planes:
        for i, (transmission, contribution) in enumerate(maps):
            frame[i] = np.rint(frame[i] * transmission + contribution).astype(np.uint8)
    crops.mattes = [matte] * 6
    crops.unblends = [Unblend([m[0] for m in maps], [m[1] for m in maps])] * 6

    plates = list(complete(crops, FrameRange(0, 6), quality="normal"))

    assert all(error(plate, clean[plate.frame], plane) < 1 for plate in plates for plane in range(3))
    assert all((plate.provenance[BOX] == UNBLENDED).all() for plate in plates)


def test_where_a_translucent_mark_shows_nothing_the_source_stays_as_it_is() -> None:
    """White over white: what the codec added to the mark where it showed would be taken out where it added nothing."""
    white, matte = 200, np.zeros(SIZE, np.float32)
    matte[BOX] = 0.4
    crops, left = covered(pan(6, 0), []), slice(0, 75)
    ringing = np.random.default_rng(0).normal(0, 2, SIZE).astype(np.float32)
    maps = Unblend([], [])
    for i, plane in enumerate(YUV420.colour):
        step = np.s_[:: 1 << plane.shift_y, :: 1 << plane.shift_x]
        opacity, colour = matte[step], white if i == 0 else 128
        maps.transmission.append(1 - opacity)
        maps.contribution.append(np.where(opacity > 0, opacity * colour + ringing[step], 0).astype(np.float32))
        for frame in crops.planes:
            frame[i][:, left.start >> plane.shift_x : left.stop >> plane.shift_x] = colour
            frame[i] = np.rint(frame[i] * (1 - opacity) + opacity * colour).astype(np.uint8)
    crops.mattes, crops.unblends = [matte] * 6, [maps] * 6

    plates = list(complete(crops, FrameRange(0, 6), quality="normal"))

    for plate in plates:
        luma = plate.masks[0][BOX]
        assert not luma[:, :10].any()
        assert luma[:, 16:].all()


def test_unblend_maps_are_not_believed_in_a_fade() -> None:
    clean = pan(9, 0)
    crops = covered(clean, [4])
    ones = [np.full_like(part, 0.5, np.float32) for part in crops.planes[0]]
    crops.unblends[4] = Unblend(ones, [np.zeros_like(part) for part in ones])
    crops.fading[4] = True

    (plate,) = complete(crops, FrameRange(0, 9), quality="normal")

    assert error(plate, clean[4]) < 1


def test_only_covered_frames_of_the_core_come_back_and_the_crops_stay_as_they_were() -> None:
    crops = covered(pan(12, 1.5), list(range(3, 9)))
    before = deepcopy(crops.planes)

    plates = list(complete(crops, FrameRange(5, 12), quality="normal"))

    assert [plate.frame for plate in plates] == [5, 6, 7, 8]
    for old, new in zip(before, crops.planes, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(old, new, strict=True))


def test_masks_cover_the_matte_and_the_chroma_beneath_it() -> None:
    crops = covered(pan(4, 1), [1])
    crops.mattes[1] = np.zeros(SIZE, np.float32)
    crops.mattes[1][41, 61] = 0.5

    (plate,) = complete(crops, FrameRange(0, 4), quality="normal")

    assert [int(mask.sum()) for mask in plate.masks] == [1, 1, 1]
    assert plate.masks[1][20, 30]
    assert (plate.provenance != UNTOUCHED).sum() == 1


def test_an_empty_matte_gives_no_plate() -> None:
    crops = covered(pan(3, 1), [1])
    crops.mattes = [np.zeros(SIZE, np.float32), None, None]

    assert list(complete(crops, FrameRange(0, 3), quality="normal")) == []


@pytest.mark.parametrize("quality", ["draft", "normal", "best"])
@pytest.mark.parametrize("count", [1, 2])
def test_short_windows_are_completed_at_every_quality(count: int, quality: str) -> None:
    clean = pan(count, 1)

    plates = list(complete(covered(clean, list(range(count))), FrameRange(0, count), quality=quality))

    assert len(plates) == count
    assert all(error(plate, clean[plate.frame]) < 50 for plate in plates)


@pytest.mark.parametrize(
    "layout",
    [
        Layout("gray", 320, 240, (Plane("Y", 0, 0, 8),)),
        Layout("gbrp", 320, 240, (Plane("G", 0, 0, 8), Plane("B", 0, 0, 8), Plane("R", 0, 0, 8))),
        Layout("yuv422p10le", 320, 240, (Plane("Y", 0, 0, 10), Plane("U", 1, 0, 10), Plane("V", 1, 0, 10))),
        Layout("yuv444p16le", 320, 240, (Plane("Y", 0, 0, 16), Plane("U", 0, 0, 16), Plane("V", 0, 0, 16))),
    ],
    ids=lambda layout: layout.pix_fmt,
)
def test_every_layout_is_completed_in_its_own_integers(layout: Layout) -> None:
    clean = pan(12, 2, layout)
    when = list(range(4, 9))

    plates = list(complete(covered(clean, when, layout), FrameRange(0, 12), quality="normal"))

    assert len(plates) == len(when)
    for plate in plates:
        for i, plane in enumerate(layout.colour):
            assert plate.planes[i].dtype == clean[0][i].dtype
            assert error(plate, clean[plate.frame], i) < 5 * 2 ** (plane.bits - 8)


def test_an_odd_region_with_the_overlay_at_its_border_is_completed() -> None:
    size = (61, 99)
    layout = Layout("yuv420p", 99, 61, YUV420.planes)
    clean = pan(10, 2, layout, size)
    crops = covered(clean, [], layout, size)
    matte = np.zeros(size, np.float32)
    matte[45:, 70:] = 1
    crops.mattes = [matte] * 10

    plates = list(complete(crops, FrameRange(0, 10), quality="normal"))

    assert len(plates) == 10
    assert [part.shape for part in plates[0].planes] == [(61, 99), (31, 50), (31, 50)]


def test_a_region_that_is_covered_whole_does_not_fail() -> None:
    crops = covered(pan(4, 1), list(range(4)))
    crops.mattes = [np.ones(SIZE, np.float32)] * 4

    assert len(list(complete(crops, FrameRange(0, 4), quality="normal"))) == 4


def test_the_same_crops_give_the_same_plates() -> None:
    first, second = (
        list(complete(covered(pan(8, 1.7), list(range(8))), FrameRange(0, 8), quality="normal")) for _ in "ab"
    )

    for one, other in zip(first, second, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one.planes, other.planes, strict=True))
