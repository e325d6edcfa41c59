"""Pass B's windows: fields stay apart, memory follows the region, faults cross the thread."""

from contextlib import nullcontext
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from autowipe.areas import AreaMask
from autowipe.completers import network
from autowipe.decode import open_clip
from autowipe.matte import Mattes
from autowipe.plan import Event, Overlay, Plan, Source
from autowipe.planes import layout_of
from autowipe.pool import Pool
from autowipe.timing import FrameRange
from autowipe.windows import ahead, plates_of, windows_of


def plan_for(info, *overlays):
    source = Source("x", (info.layout.width, info.layout.height), info.rate, info.frames, "")
    return Plan(source, info.whole, (info.whole,), overlays)


def mattes_for(info, *overlays):
    return Mattes(overlays, Path(), info.layout, AreaMask((), info, "hold-out"))


def interlaced(path, frames=10, height=96):
    """Every top field is a dark picture, every bottom field a bright one: a blend of both would be grey."""
    with av.open(str(path), "w") as box:
        stream = box.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, height, "yuv420p"
        stream.codec_context.field_order = 2
        for t in range(frames):
            luma = np.full((height, 128), 60, np.uint8)
            luma[1::2] = 200
            wave = (10 * np.sin((np.arange(128) + 3 * t) / 6)).astype(np.int16)
            luma = (luma + wave[None]).astype(np.uint8)
            chroma = np.full((height // 2, 128), 128, np.uint8)
            frame = av.VideoFrame.from_ndarray(np.vstack([luma, chroma]), format="yuv420p")
            frame.pts, frame.time_base = t, Fraction(1, 25)
            box.mux(stream.encode(frame))
        box.mux(stream.encode())


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize(("height", "y"), [(96, 31), (98, 31), (98, 77)])
def test_the_fields_of_an_interlaced_clip_are_never_blended(tmp_path, height, y, elsewhere):
    interlaced(tmp_path / "i.mkv", height=height)
    with open_clip(tmp_path / "i.mkv") as clip:
        overlay = Overlay("a", "logo", (41, y, 30, 21), (Event(FrameRange(0, 10)),))
        mattes = mattes_for(clip.info, overlay)
        cut = windows_of(plan_for(clip.info, overlay), mattes, clip.info)

        with Pool(partial(network.better, device="cpu")) if elsewhere else nullcontext() as pool:
            way = {"complete": pool.complete} if elsewhere else {}
            plates = [plate for made in plates_of(cut, mattes, clip, "normal", **way) for plate in made]

    assert clip.info.field_order == "top"
    assert [plate.frame for plate in plates] == list(range(10))
    for plate in plates:
        luma, mask = plate.planes[0], plate.masks[0]
        assert plate.box[1] % 4 == 0
        assert [part.shape for part in plate.planes] == clip.info.layout.shapes(plate.box)
        assert mask[y - plate.box[1] : y + 21 - plate.box[1], 41 - plate.box[0] : 71 - plate.box[0]].all()
        assert luma[0::2][mask[0::2]].max() < 110
        assert luma[1::2][mask[1::2]].min() > 150


def test_large_regions_get_short_windows():
    class Info:
        def __init__(self, scale):
            self.layout = layout_of("yuv420p", 192 * scale, 108 * scale)
            self.rate, self.frames, self.whole = Fraction(25), 500, FrameRange(0, 500)

    def longest(scale):
        info = Info(scale)
        overlay = Overlay("a", "watermark", (0, 0, 192 * scale, 108 * scale), (Event(FrameRange(0, 500)),))
        return max(len(w.span) for w in windows_of(plan_for(info, overlay), mattes_for(info, overlay), info))

    assert longest(20) <= longest(10) < longest(4) <= longest(2)
    assert longest(20) * 3840 * 2160 * 1.5 < 500e6


def test_work_ahead_keeps_order_and_hands_faults_over():
    def items():
        yield 1
        yield 2
        raise OSError("gone")

    got = []
    with pytest.raises(OSError, match="gone"):
        for item in ahead(items()):
            got.append(item)

    assert got == [1, 2]


def test_work_ahead_ends_when_nobody_wants_more():
    made = []

    def items():
        for i in range(1000):
            made.append(i)
            yield i

    for item in (work := ahead(items())):
        if item == 3:
            work.close()
            break

    assert len(made) < 10
