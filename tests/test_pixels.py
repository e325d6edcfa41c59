"""The pixel format that an encoder gets: nothing lost where it can be helped, samples exact."""

from __future__ import annotations

import av
import media
import numpy as np
import pytest
from autowipe import planes
from autowipe.pixels import Converter, losses, nearest

X264 = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray"]
PRORES = ["yuv422p10le", "yuv444p10le", "yuva444p10le"]
PNG = ["rgb24", "rgba", "rgb48be", "rgba64be", "pal8", "gray", "gray16be"]
FFV1 = ["yuv420p", "yuva420p", "yuv440p", "yuv422p", "yuv420p10le", "bgr0", "bgra", "gbrp10le", "gray", "ya8"]


@pytest.mark.parametrize(
    ("source", "formats", "wanted"),
    [
        ("yuv420p", X264, "yuv420p"),
        ("p010le", X264, "yuv420p10le"),
        ("yuyv422", FFV1, "yuv422p"),
        ("yuv420p", PRORES, "yuv422p10le"),
        ("yuva420p", PRORES, "yuva444p10le"),
        ("yuv444p12le", PRORES, "yuv444p10le"),
        ("yuva444p12le", X264, "yuv444p10le"),
        ("yuv411p", PRORES, "yuv422p10le"),
        ("rgb24", FFV1, "bgr0"),
        ("gbrap", FFV1, "bgra"),
        ("yuv420p", PNG, "rgb24"),
        ("yuv420p10le", PNG, "rgb48be"),
        ("gray", PRORES, "yuv422p10le"),
        ("gray10le", X264, "yuv420p10le"),
    ],
)
def test_the_nearest_format_loses_least_and_carries_least_along(source: str, formats: list[str], wanted: str) -> None:
    assert nearest(planes.layout_of(source, 96, 64), formats) == wanted


@pytest.mark.parametrize(
    ("source", "target"),
    [("p010le", "yuv420p10le"), ("nv12", "yuv420p"), ("uyvy422", "yuv422p10le"), ("yuvj420p", "yuv420p"),
     ("rgb24", "bgr0"), ("gbrap", "bgra"), ("rgb48le", "gbrp16le"), ("gray", "yuv444p10le"), ("gray", "bgr0"),
     ("yuv422p", "yuva422p")],
)  # fmt: skip
def test_samples_arrive_exactly(source: str, target: str) -> None:
    picture = av.VideoFrame(96, 64, source)
    media.draw(picture, 5)
    before, after = planes.layout_of(source, 96, 64), planes.layout_of(target, 96, 64)
    assert losses(before, after) == []

    made = Converter(before, target, matrix="bt709", is_full="j" in source)(picture)

    given = dict(zip((p.role for p in before.planes), planes.views(picture, before), strict=True))
    for plane, view in zip(after.planes, planes.views(made, after), strict=True):
        role = plane.role if plane.role in given else "Y" if plane.role in "RGB" else None
        if role is None:
            level = 2**plane.bits - 1 if plane.role == "A" else 2 ** (plane.bits - 1)
            assert np.all(view == level)
            continue
        old = next(p for p in before.planes if p.role == role)
        assert np.array_equal(view.astype(int), (given[role].astype(int) >> old.low) << plane.bits - old.bits)


@pytest.mark.parametrize("is_full", [False, True])
def test_finer_chroma_keeps_the_levels_of_either_range(is_full: bool) -> None:
    source, target = planes.layout_of("yuv420p", 96, 64), planes.layout_of("yuv422p10le", 96, 64)
    picture = av.VideoFrame(96, 64, "yuv420p")
    for view, level in zip(planes.views(picture, source), (235, 90, 200), strict=True):
        view[...] = level

    made = planes.views(Converter(source, "yuv422p10le", matrix="bt709", is_full=is_full)(picture), target)

    for view, level in zip(made, (235, 90, 200), strict=True):
        assert np.abs(view.astype(float) / 4 - level).max() <= (1 if is_full else 0)
