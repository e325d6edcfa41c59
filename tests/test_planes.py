"""Tests that the planes of every pixel format are seen and written in place, and converted truly."""

import av
import numpy as np
import pytest
from autowipe import planes
from autowipe.errors import MediaError

SIZE = (38, 22)  # even, but no multiple of any line alignment
DEPTHS = [
    f"{family}{bits}{order}"
    for family in ("yuv420p", "yuv422p", "yuv444p", "gbrp", "gray")
    for bits in (10, 12)
    for order in ("le", "be")
]
FORMATS = [
    "yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "yuvj420p", "yuvj444p",
    "yuva420p", "yuva444p12le", "yuv420p9le", "yuv444p14le", "yuv420p16be", "yuva444p16le",
    "gray", "gray16le", "ya8", "ya16le", "gbrp", "gbrap", "gbrap12le", "gbrp16be",
    "nv12", "nv21", "nv16", "nv24", "p010le", "p012le", "p016le", "p210le", "p410le", "p010be",
    "yuyv422", "uyvy422", "yvyu422", "rgb24", "bgr24", "rgba", "bgra", "argb", "abgr",
    "rgb0", "bgr0", "0rgb", "0bgr", "rgb48le", "bgr48le", "rgba64le", "bgra64le", "rgb48be",
    *DEPTHS,
]  # fmt: skip
HALF_LEVEL = 0.5 / 219  # of the 0..1 that RGB runs over


def frame_of(pix_fmt: str, size: tuple[int, int] = SIZE) -> tuple[av.VideoFrame, planes.Layout]:
    frame = av.VideoFrame(*size, pix_fmt)
    for plane in frame.planes:
        np.frombuffer(plane, np.uint8)[:] = 0
    return frame, planes.layout_of(pix_fmt, *size)


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_writing_through_a_view_changes_just_that_sample(pix_fmt):
    frame, layout = frame_of(pix_fmt)
    views = planes.views(frame, layout)
    for number, plane in enumerate(layout.planes):
        assert views[number].shape == (-(-SIZE[1] >> plane.shift_y), -(-SIZE[0] >> plane.shift_x))
        views[number][-1, -1] = 1 << plane.low

        again = planes.views(frame, layout)
        assert [int(view.astype(np.int64).sum() >> p.low) for view, p in zip(again, layout.planes, strict=True)] == [
            int(k == number) for k in range(len(layout.planes))
        ]
        raw = b"".join(bytes(p) for p in frame.planes)
        assert sum(bin(byte).count("1") for byte in raw) == 1
        views[number][-1, -1] = 0


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_the_layout_agrees_with_ffmpeg(pix_fmt):
    layout = planes.layout_of(pix_fmt, *SIZE)
    theirs = av.VideoFormat(pix_fmt, *SIZE).components

    assert len(theirs) == len(layout.planes)
    for ours, component in zip(layout.planes, theirs, strict=True):
        assert ours.bits == component.bits
        assert (ours.role == "A") == component.is_alpha
        assert -(-SIZE[0] >> ours.shift_x) == component.width


@pytest.mark.parametrize("pix_fmt", ["bgr24", "argb", "0bgr", "gbrp", "rgb48le", "bgra64le", "gbrp10le", "gbrp12be"])
def test_rgb_is_red_green_blue_whatever_the_memory_order(pix_fmt):
    source = av.VideoFrame.from_ndarray(np.full((22, 38, 3), (200, 100, 50), np.uint8), "rgb24")
    frame = source.reformat(format=pix_fmt)
    layout = planes.layout_of(pix_fmt, *SIZE)

    rgb = planes.to_rgb(planes.crop(planes.views(frame, layout), layout, (0, 0, *SIZE)), layout, "rgb", True)

    assert np.allclose(rgb * 255, (200, 100, 50), atol=1.5)  # swscale widens 8 bits by a shift


@pytest.mark.parametrize("pix_fmt", ["pal8", "monob", "rgb565le", "gbrpf32le", "bayer_rggb8", "yuv420p10msble"])
def test_a_format_that_cannot_be_patched_is_refused(pix_fmt):
    with pytest.raises(MediaError) as caught:
        planes.layout_of(pix_fmt, 16, 16)

    assert caught.value.code == "pixel-format" and pix_fmt in caught.value.text and caught.value.hint


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "p010le", "yuv444p12be", "gbrp", "rgba64le", "nv21"])
def test_levels_come_back_as_the_same_integers(pix_fmt):
    frame, layout = frame_of(pix_fmt)
    rng = np.random.default_rng(1)
    for view, plane in zip(planes.views(frame, layout), layout.planes, strict=True):
        view[...] = rng.integers(0, 1 << plane.bits, view.shape) << plane.low
    crop = planes.crop(planes.views(frame, layout), layout, (4, 4, 30, 14))

    levels = planes.to_levels(crop, layout)
    back = planes.from_levels(levels, layout)

    assert all(part.min() >= 0 and part.max() < 256 for part in levels)
    for before, after in zip(crop, back, strict=True):
        assert before.dtype == after.dtype and np.array_equal(before, after)


def test_odd_sizes_have_a_last_chroma_sample():
    frame, layout = frame_of("yuv420p", (35, 21))
    views = planes.views(frame, layout)

    assert [view.shape for view in views] == [(21, 35), (11, 18), (11, 18)]
    assert layout.align((33, 19, 2, 2)) == (32, 18, 3, 3)
    assert [part.shape for part in planes.crop(views, layout, (32, 18, 3, 3))] == [(3, 3), (2, 2), (2, 2)]


def test_fields_are_views_of_every_other_line():
    frame, layout = frame_of("yuv420p", (32, 32))
    views = planes.views(frame, layout)

    top, bottom = planes.fields(views)
    top[0][...], bottom[1][...] = 7, 9

    assert np.array_equal(views[0][:2, 0], (7, 0)) and np.array_equal(views[1][:2, 0], (0, 9))
    assert [part.shape for part in planes.crop(top, layout.field, (0, 0, 32, 16))] == [(16, 32), (8, 16), (8, 16)]


# Codes of pure red by ITU-T H.273 with limited range, 8 bit.
RED = {"bt601": (81, 90, 240), "bt709": (63, 102, 240), "bt2020": (74, 97, 240)}


@pytest.mark.parametrize("matrix", RED)
@pytest.mark.parametrize(("pix_fmt", "bits"), [("yuv420p", 8), ("yuv422p10le", 10)])
def test_red_is_red_in_its_own_matrix(matrix, pix_fmt, bits):
    frame, layout = frame_of(pix_fmt)
    views = planes.views(frame, layout)
    for view, code in zip(views, RED[matrix], strict=True):
        view[...] = code << bits - 8

    rgb = planes.to_rgb(planes.crop(views, layout, (0, 0, *SIZE)), layout, matrix, False)

    assert rgb.shape == (22, 38, 3) and rgb.dtype == np.float32
    assert np.allclose(rgb, (1, 0, 0), atol=3 * HALF_LEVEL)


def test_full_range_uses_every_code():
    frame, layout = frame_of("yuv444p10le")
    views = planes.views(frame, layout)
    for view, code in zip(views, (1023, 512, 512), strict=True):
        view[...] = code

    rgb = planes.to_rgb(planes.crop(views, layout, (0, 0, 8, 8)), layout, "bt709", True)

    assert np.allclose(rgb, 1, atol=1e-4)


@pytest.mark.parametrize("siting", ["left", "center", "topleft"])
@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p10le", "yuv411p", "yuv444p", "gbrp"])
def test_a_colour_ramp_keeps_its_place_through_chroma_siting(pix_fmt, siting):
    layout = planes.layout_of(pix_fmt, 64, 32)
    y, x = np.mgrid[0:32, 0:64].astype(np.float32)
    ramp = np.stack([0.2 + x / 160, 0.4 + y / 160, 0.6 - x / 160], axis=2)

    levels = planes.from_rgb(ramp, layout, "bt709", False, siting)
    codes = planes.from_levels(levels, layout)
    back = planes.to_rgb(codes, layout, "bt709", False, siting)

    inside = (slice(6, -6), slice(6, -6))
    assert np.abs(back - ramp)[inside].max() < 4 * HALF_LEVEL


def test_grey_becomes_grey_and_comes_back():
    layout = planes.layout_of("gray10le", 8, 8)
    codes = np.arange(64, 128, dtype=np.uint16).reshape(8, 8) * 7

    rgb = planes.to_rgb([codes], layout, "bt709", False)
    back = planes.from_levels(planes.from_rgb(rgb, layout, "bt709", False), layout)

    assert np.array_equal(rgb[..., 0], rgb[..., 2]) and rgb.min() >= 0 and rgb.max() <= 1
    assert np.array_equal(back[0], codes)


def test_luma_of_yuv_is_its_first_plane_and_of_rgb_weighted():
    yuv, rgb = planes.layout_of("yuv420p", 8, 8), planes.layout_of("gbrp", 8, 8)
    parts = [np.full((8, 8), value, np.uint8) for value in (200, 100, 50)]

    assert np.all(planes.luma(parts, yuv, "bt709") == 200)
    assert np.allclose(planes.luma(parts, rgb, "rgb"), 0.2126 * 200 + 0.7152 * 100 + 0.0722 * 50)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "nv12", "p010le", "rgb24", "gbrp12be", "yuyv422"])
@pytest.mark.parametrize("width", [80, 60, 96, 1000])
def test_the_analysis_picture_is_the_mean_of_what_it_covers(pix_fmt, width):
    size = (240, 136)
    y, x = np.mgrid[0:136, 0:240].astype(np.float32)
    ramp = np.stack([0.2 + x / 500, 0.3 + y / 300, 0.8 - x / 500], axis=2)
    layout = planes.layout_of(pix_fmt, *size)
    frame, _ = frame_of(pix_fmt, size)
    views = planes.views(frame, layout)
    for view, code, plane in zip(
        views, planes.from_levels(planes.from_rgb(ramp, layout, "bt709", True), layout), layout.planes, strict=True
    ):
        view[...] = code
        assert plane.bits >= 8

    luma, chroma = planes.small(views, layout, width)

    w = min(width, 240)
    h = round(136 * w / 240)
    yuv = planes.layout_of("yuv444p", *size)
    whole = planes.from_rgb(ramp, yuv, "bt709", True)
    assert luma.shape == (h, w) and chroma.shape == (h, w, 2) and luma.dtype == chroma.dtype == np.uint8
    across = (np.arange(w) + 0.5) * 240 / w - 0.5
    down = (np.arange(h) + 0.5) * 136 / h - 0.5
    for ours, true in ((luma, whole[0]), (chroma[..., 0], whole[1]), (chroma[..., 1], whole[2])):
        expected = true[np.rint(down).astype(int)][:, np.rint(across).astype(int)]
        assert np.abs(ours - expected)[1:-1, 1:-1].max() <= 2  # levels: rounding, and half a px of the ramp


def test_grey_has_no_colour_in_the_analysis_picture():
    frame, layout = frame_of("gray")

    _, chroma = planes.small(planes.views(frame, layout), layout, 19)

    assert np.all(chroma == 128)
