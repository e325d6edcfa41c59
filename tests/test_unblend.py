"""Un-blending: what is measured of translucent overlays drawn over known pictures, and how it is undone."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from autowipe import planes
from autowipe.maps import Unblend
from autowipe.unblend import BlendFit, BlendMaps, invert, predict

SIZE = (144, 96)
FRAMES = 40
TRANSMISSION_TOLERANCE = 0.02
CODED_TOLERANCE = 0.05
BAR = (slice(36, 60), slice(42, 102))  # rows and columns of the overlays drawn here


def scene(index: int, *, speed: float = 9.0, contrast: float = 35.0) -> np.ndarray:
    """(H, W, 3) float levels, Y U V: a wall whose structures of all sizes pass by, in light that changes."""
    offset = round(speed * index)
    luma, blue, red = (wall(seed)[: SIZE[1], offset : offset + SIZE[0]] for seed in (3, 4, 5))
    light = 1.6 * speed * np.sin(index / 5)
    return np.stack([(115 + light + contrast * luma).clip(16, 235), 128 + 12 * blue, 128 - 12 * red], -1)


@cache
def wall(seed: int) -> np.ndarray:
    """(H, W) float: noise with as much power at every scale as pictures have, 1/f in amplitude."""
    shape = (128, 512)
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None]
    wave = np.fft.fft2(rng.normal(size=shape)) / np.maximum(np.hypot(fy, fx), 1 / 128) ** 2
    picture = np.fft.ifft2(wave).real
    return ((picture - picture.mean()) / picture.std()).astype(np.float32)


def bar(opacity: float) -> np.ndarray:
    """(H, W) opacity of a bar with soft edges."""
    alpha = np.zeros(SIZE[::-1], np.float32)
    alpha[BAR] = opacity
    alpha[BAR[0].start - 1, BAR[1]] = alpha[BAR[0].stop, BAR[1]] = opacity / 2
    return alpha


def support_of(alpha: np.ndarray, grow: int = 4) -> np.ndarray:
    rows, cols = np.nonzero(alpha)
    support = np.zeros(alpha.shape, bool)
    support[rows.min() - grow : rows.max() + 1 + grow, cols.min() - grow : cols.max() + 1 + grow] = True
    return support


def to_crop(picture: np.ndarray, layout: planes.Layout) -> list[np.ndarray]:
    """Native integers of an (H, W, 3) picture in levels, chroma averaged over the luma pixels of a sample."""
    parts = []
    for i, plane in enumerate(layout.colour):
        part = picture[..., i]
        for axis, shift in ((1, plane.shift_x), (0, plane.shift_y)):
            if shift:
                part = part.reshape(*part.shape[:axis], -1, 2, *part.shape[axis + 1 :]).mean(axis + 1)
        parts.append(part.astype(np.float32))
    return planes.from_levels(parts, layout)


def fit(
    alpha: np.ndarray,
    colour: tuple[float, float, float],
    *,
    pix_fmt: str = "yuv420p",
    frames: int = FRAMES,
    **about: float,
) -> BlendMaps:
    layout = planes.layout_of(pix_fmt, *SIZE)
    blend = BlendFit(layout, (0, 0, *SIZE), support_of(alpha))
    for index in range(frames):
        picture = scene(index, **about) * (1 - alpha[..., None]) + alpha[..., None] * np.array(colour, np.float32)
        blend.add(to_crop(picture, layout))
    return blend.finish()


@pytest.mark.parametrize("opacity", [0.2, 0.45, 0.7])
def test_the_opacity_of_a_moving_scene_s_overlay_is_measured(opacity: float):
    alpha = bar(opacity)

    maps = fit(alpha, (235, 128, 128))

    assert maps.unblend is not None
    assert np.median(maps.unblend.transmission[0][BAR]) == pytest.approx(1 - opacity, abs=TRANSMISSION_TOLERANCE)
    assert maps.covered[BAR].all()
    assert not maps.opaque.any()


def test_away_from_the_overlay_the_maps_change_nothing():
    alpha = bar(0.5)

    maps = fit(alpha, (235, 128, 128))

    assert maps.unblend is not None
    away = ~support_of(alpha)
    assert np.all(maps.unblend.transmission[0][away] == 1)
    assert np.all(maps.unblend.contribution[0][away] == 0)


def test_the_picture_beneath_comes_back():
    alpha = bar(0.5)
    maps = fit(alpha, (200, 90, 160))
    layout = planes.layout_of("yuv420p", *SIZE)
    clean = scene(17)
    seen = clean * (1 - alpha[..., None]) + alpha[..., None] * np.array((200, 90, 160), np.float32)

    assert maps.unblend is not None
    found, _ = invert(planes.to_levels(to_crop(seen, layout), layout), maps.unblend, maps.noise)

    inside = (slice(40, 56), slice(46, 98))
    halves = (slice(20, 28), slice(23, 49))
    for plane, part, truth in zip(found, (inside, halves, halves), to_crop(clean, layout), strict=True):
        error = plane[part] - truth[part]
        assert np.sqrt((error**2).mean()) < 4


@pytest.mark.parametrize("pix_fmt", ["yuv422p10le", "yuv444p", "yuv420p10le"])
def test_other_depths_and_samplings_give_the_same_maps(pix_fmt: str):
    maps = fit(bar(0.45), (235, 128, 128), pix_fmt=pix_fmt)

    assert maps.unblend is not None
    layout = planes.layout_of(pix_fmt, *SIZE)
    assert [plane.shape for plane in maps.unblend.transmission] == layout.shapes((0, 0, *SIZE))
    assert np.median(maps.unblend.transmission[0][BAR]) == pytest.approx(0.55, abs=TRANSMISSION_TOLERANCE)
    inner = maps.unblend.transmission[1]
    centre = inner[inner.shape[0] // 2 - 3 : inner.shape[0] // 2 + 3, inner.shape[1] // 2 - 6 : inner.shape[1] // 2 + 6]
    assert np.median(centre) == pytest.approx(0.55, abs=TRANSMISSION_TOLERANCE)


def test_a_structured_scene_that_stands_still_tells_the_opacity_too():
    maps = fit(bar(0.5), (16, 128, 128), speed=0.0, contrast=15.0)

    assert maps.unblend is not None
    assert np.median(maps.unblend.transmission[0][BAR]) == pytest.approx(0.5, abs=CODED_TOLERANCE)


def fit_about(shape: np.ndarray, paint: Callable[[np.ndarray], np.ndarray]) -> BlendMaps:
    """Of what `paint` makes of a scene that stands still, where the overlay covers about `shape`."""
    layout = planes.layout_of("yuv420p", *SIZE)
    blend = BlendFit(layout, (0, 0, *SIZE), support_of(shape), shape)
    for index in range(FRAMES):
        blend.add(to_crop(paint(scene(index, speed=0.0)), layout))
    return blend.finish()


def about(alpha: np.ndarray) -> np.ndarray:
    """(H, W) bool: what an overlay covers, as one sees it who sees it badly."""
    return np.roll(cv2.dilate((alpha > 0).astype(np.uint8), np.ones((5, 5), np.uint8)), 1, axis=1) > 0


@pytest.mark.parametrize("opacity", [0.3, 0.6])
def test_a_shape_that_is_roughly_known_tells_the_opacity_where_nothing_moves(opacity: float):
    alpha = bar(opacity)

    maps = fit_about(about(alpha), lambda picture: picture * (1 - alpha[..., None]) + alpha[..., None] * 200)

    assert maps.unblend is not None
    assert np.median(maps.unblend.transmission[0][BAR]) == pytest.approx(1 - opacity, abs=CODED_TOLERANCE)
    assert (maps.covered != (alpha > 0)).sum() < 0.6 * (about(alpha) != (alpha > 0)).sum()


def test_a_picture_on_the_wall_is_no_overlay_of_a_known_shape():
    poster = bar(1.0) > 0

    maps = fit_about(about(bar(1.0)), lambda picture: np.where(poster[..., None], 0.7 * picture[::-1, ::-1], picture))

    assert maps.unblend is None


def test_an_even_scene_that_stands_still_is_undecidable():
    maps = fit(bar(0.5), (235, 128, 128), speed=0.0, contrast=0.0)

    assert maps.unblend is None
    assert maps.reasons
    assert maps.covered[BAR].all()
    assert maps.opaque[BAR].all()


def test_an_opaque_overlay_is_reported_opaque():
    maps = fit(bar(1.0), (235, 128, 128))

    assert maps.unblend is None
    assert maps.opaque[BAR].all()
    assert any("opaque" in reason for reason in maps.reasons)


def test_opaque_text_on_a_glass_box_is_told_from_the_box():
    text = np.zeros(SIZE[::-1], bool)
    for left in range(50, 96, 12):
        text[44:53, left : left + 6] = True
    layout = planes.layout_of("yuv420p", *SIZE)
    alpha, white = bar(0.6)[..., None], np.array((235, 128, 128), np.float32)
    blend = BlendFit(layout, (0, 0, *SIZE), support_of(bar(0.6)))
    for index in range(FRAMES):
        mixed = scene(index) * (1 - alpha) + alpha * np.array((30, 128, 128), np.float32)
        blend.add(to_crop(np.where(text[..., None], white, mixed), layout))

    maps = blend.finish()

    assert maps.unblend is not None
    assert maps.opaque[text].all()
    assert np.all(maps.unblend.transmission[0][text] == 0)
    rim = np.s_[38:41, 46:98]
    assert np.median(maps.unblend.transmission[0][rim]) == pytest.approx(0.4, abs=CODED_TOLERANCE)
    assert not maps.opaque[rim].any()


def test_digits_that_change_on_a_glass_panel_are_told_from_it():
    layout = planes.layout_of("yuv420p", *SIZE)
    panel = bar(0.7)
    blend = BlendFit(layout, (0, 0, *SIZE), support_of(panel))
    drawn = np.zeros((3, *SIZE[::-1]), bool)  # three digits, one after the other
    for k, columns in enumerate((slice(60, 66), slice(66, 72), slice(72, 78))):
        drawn[k, 42:54, columns] = True
    for index in range(FRAMES):
        picture = scene(index) * (1 - panel[..., None]) + panel[..., None] * np.array((40, 128, 128), np.float32)
        picture[drawn[index * 3 // FRAMES]] = (225, 128, 128)
        blend.add(to_crop(picture, layout))

    maps = blend.finish()

    assert maps.unblend is not None
    assert maps.opaque[drawn.any(0)].mean() > 0.97, "a digit is left in other frames"
    away = panel == np.float32(0.7)
    away[40:56, 56:82] = False
    assert maps.opaque[away].mean() < 0.05
    assert abs(float(np.median(maps.unblend.transmission[0][away])) - 0.3) < TRANSMISSION_TOLERANCE


def test_too_few_frames_are_refused():
    maps = fit(bar(0.5), (235, 128, 128), frames=3)

    assert maps.unblend is None
    assert "3 frames" in maps.reasons[0]


def test_memory_holds_a_bounded_number_of_frames():
    layout = planes.layout_of("yuv420p", *SIZE)
    blend = BlendFit(layout, (0, 0, *SIZE), support_of(bar(0.5)))
    crop = to_crop(scene(0), layout)

    for _ in range(500):
        blend.add(crop)

    assert len(blend._kept) <= 48


def test_the_opacity_is_measured_through_a_codec(tmp_path: Path):
    alpha = bar(0.5)
    layout = planes.layout_of("yuv420p", *SIZE)
    path = tmp_path / "mixed.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for index in range(FRAMES):
            frame = av.VideoFrame(*SIZE, "yuv420p")
            mixed = scene(index) * (1 - alpha[..., None]) + alpha[..., None] * np.array((235, 128, 128), np.float32)
            for view, part in zip(planes.views(frame, layout), to_crop(mixed, layout), strict=True):
                view[...] = part
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    blend = BlendFit(layout, (0, 0, *SIZE), support_of(alpha))

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            blend.add(planes.crop(planes.views(frame, layout), layout, (0, 0, *SIZE)))
    maps = blend.finish()

    assert maps.unblend is not None
    assert np.median(maps.unblend.transmission[0][BAR]) == pytest.approx(0.5, abs=CODED_TOLERANCE)


def test_inversion_is_exact_without_noise():
    clean = np.random.default_rng(1).uniform(20, 230, (8, 12)).astype(np.float32)
    a, b = np.full_like(clean, 0.4), np.full_like(clean, 90)

    (found,), (deviation,) = invert([a * clean + b], Unblend([a], [b]), 2.0)

    np.testing.assert_allclose(found, clean, atol=1e-3)
    np.testing.assert_allclose(deviation, 5.0, rtol=1e-5)


def test_samples_that_are_hardly_seen_through_are_given_no_trust():
    a, b = np.array([[0.05, 0.5]], np.float32), np.array([[100, 60]], np.float32)

    _, (deviation,) = invert([np.full((1, 2), 105, np.float32)], Unblend([a], [b]), 2.0)

    assert np.isinf(deviation[0, 0])
    assert deviation[0, 1] == pytest.approx(4.0)


def test_samples_whose_transmission_may_be_any_are_given_no_trust():
    a, b, doubt = np.full((1, 2), 0.5, np.float32), np.full((1, 2), 60, np.float32), np.array([[1, 0.01]], np.float32)

    _, (deviation,) = invert([np.full((1, 2), 120, np.float32)], Unblend([a], [b], [doubt]), 2.0)

    assert np.isinf(deviation[0, 0]) and np.isfinite(deviation[0, 1])


@pytest.mark.parametrize("white", [235, 255])
def test_white_under_a_white_overlay_is_un_blended_as_anything_else(white):
    a, b = np.full((1, 1), 0.5, np.float32), np.full((1, 1), white / 2 + 2, np.float32)  # 2: ringing in the map

    (found,), (deviation,) = invert([np.full((1, 1), white, np.float32)], Unblend([a], [b]), 1.0)

    assert found[0, 0] == pytest.approx(white - 4)
    assert deviation[0, 0] == pytest.approx(2.0)


def test_a_fill_keeps_what_is_known_and_continues_a_slope():
    y, x = np.mgrid[0:40, 0:50].astype(np.float32)
    picture = (2 * x + 3 * y)[..., None]
    hole = np.zeros((40, 50), bool)
    hole[12:28, 15:35] = True

    filled = predict(np.where(hole[..., None], 0, picture).astype(np.float32), hole)

    assert np.array_equal(filled[~hole], picture[~hole])
    assert np.abs(filled - picture).max() < 8


def test_a_picture_that_is_all_hole_is_filled_evenly():
    assert np.ptp(predict(np.full((6, 7, 1), 9, np.float32), np.ones((6, 7), bool))) == 0
