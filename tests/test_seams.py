"""Where two windows of a shot meet: what is invented does not jump there, wherever a run begins."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from autowipe import complete, windows
from autowipe.areas import AreaMask
from autowipe.decode import Clip, open_clip
from autowipe.matte import Mattes
from autowipe.plan import Event, Overlay, Plan, Source
from autowipe.plate import INVENTED, Plate
from autowipe.timing import FrameRange
from autowipe.windows import plates_of, windows_of
from test_complete import scenery

FRAMES, SEAM, HANDLE = 48, 24, 4
LOGO = (60, 36, 30, 16)


@pytest.fixture(params=["progressive", "interlaced"])
def clip(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clip]:
    """One shot of two windows: the camera rests, but each frame has a noise of its own, so no fill is as another."""
    monkeypatch.setattr(windows, "MOST_FRAMES", HANDLE * windows.HANDLE_SHARE)
    texture, rng = scenery(96, 160), np.random.default_rng(5)
    with av.open(str(tmp_path / "a.mkv"), "w") as box:
        stream = box.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        if request.param == "interlaced":
            stream.codec_context.field_order = 2
        for t in range(FRAMES):
            luma = np.rint(texture + rng.normal(0, 12, texture.shape)).clip(0, 255).astype(np.uint8)
            luma[LOGO[1] : LOGO[1] + LOGO[3], LOGO[0] : LOGO[0] + LOGO[2]] = 235
            planes = np.vstack([luma, np.full((48, 160), 128, np.uint8)])
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = t, Fraction(1, 25)
            box.mux(stream.encode(frame))
        box.mux(stream.encode())
    with open_clip(tmp_path / "a.mkv") as opened:
        yield opened


def cut(clip: Clip) -> tuple[list[windows.Window], Mattes]:
    info, logo = clip.info, Overlay("a", "logo", LOGO, (Event(FrameRange(0, FRAMES)),))
    plan = Plan(Source("x", (160, 96), info.rate, info.frames, ""), info.whole, (info.whole,), (logo,))
    mattes = Mattes((logo,), Path(), info.layout, AreaMask((), info, "hold-out"))
    return windows_of(plan, mattes, info), mattes


def inner(plate: Plate) -> np.ndarray:
    """What the plate shows where the logo was."""
    x, y = LOGO[0] - plate.box[0], LOGO[1] - plate.box[1]
    assert (plate.provenance[y : y + LOGO[3], x : x + LOGO[2]] == INVENTED).all()
    return plate.planes[0][y + 2 : y + LOGO[3] - 2, x + 2 : x + LOGO[2] - 2].astype(float)


def test_what_is_invented_does_not_jump_where_windows_meet(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complete, "measured", lambda *_: None)  # grain, beneath which it would not be seen
    two, mattes = cut(clip)

    shown = [inner(plate) for made in plates_of(two, mattes, clip, "normal") for plate in made]

    steps = np.array([np.abs(b - a).mean() for a, b in pairwise(shown)])
    assert [window.core.start for window in two] == [0, SEAM] and len(shown) == FRAMES
    assert np.abs(shown[SEAM + HANDLE] - shown[SEAM - 1]).mean() > 4.5 * np.median(steps)  # two inventions
    assert steps.max() < 3 * np.median(steps)


def test_a_window_made_alone_is_as_in_a_run_over_all(clip: Clip) -> None:
    two, mattes = cut(clip)
    _, whole = [list(made) for made in plates_of(two, mattes, clip, "normal")]

    (alone,) = [list(made) for made in plates_of(two[1:], mattes, clip, "normal", before=two[0])]
    tails: dict[int, windows.Tail] = {}
    (first,) = [list(made) for made in plates_of(two[:1], mattes, clip, "normal", tails=tails)]
    (after,) = [list(made) for made in plates_of(two[1:], mattes, clip, "normal", before=two[0], tails=tails)]

    assert [plate.frame for plate in first] == list(two[0].core)
    for plates in (alone, after):
        for plate, other in zip(plates, whole, strict=True):
            assert plate.frame == other.frame
            assert all(np.array_equal(a, b) for a, b in zip(plate.planes, other.planes, strict=True))
            assert np.array_equal(plate.provenance, other.provenance)
