"""Panels: what an overlay's text stands on is covered with it, also in the frames in which it is on its way."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import synth
from autowipe.areas import AreaMask
from autowipe.banners import backed
from autowipe.decode import open_clip
from autowipe.maps import write_matte
from autowipe.matte import Mattes
from autowipe.plan import Event, Overlay, Plan, Source
from autowipe.timing import FrameRange

SIZE, COUNT, RATE = (320, 180), 72, 25
CORNER, WIDE, HIGH = (24, 120), 150, 36  # of the panel
SHOWN, STANDS = (12, 60), (18, 54)  # frames: the panel at all, and in its place
TEXT = (10, 4, 112, 28)  # in the panel


def banner(alpha: float) -> np.ndarray:
    """A panel of two colours with a word on it, RGBA float32."""
    out = np.empty((HIGH, WIDE, 4), np.float32)
    out[..., :3] = np.linspace((0.1, 0.15, 0.45), (0.2, 0.4, 0.8), WIDE)[None]
    out[:, :6, :3] = (0.95, 0.75, 0.1)
    out[..., 3] = alpha
    word = synth.text("HARBOUR", 16)[:HIGH]
    h, w = word.shape[:2]
    part = out[4 : 4 + h, 10 : 10 + w]
    part[...] = np.where(word[..., 3:] > 0.5, word, part)
    return out


def share(t: int) -> float:
    """How far it has come in, 0..1."""
    return min(1.0, (t - SHOWN[0] + 1) / (STANDS[0] - SHOWN[0] + 1), (SHOWN[1] - t) / (SHOWN[1] - STANDS[1] + 1))


def slid(alpha: float) -> list[synth.Burnt]:
    way = lambda t: (round((share(t) - 1) * (WIDE + CORNER[0])), 0, 1.0)  # noqa: E731
    return [synth.Burnt(banner(alpha), CORNER, *SHOWN, way=way)]


def wiped(alpha: float) -> list[synth.Burnt]:
    drawn = banner(alpha)
    return [synth.Burnt(drawn[:, : round(share(t) * WIDE)], CORNER, t, t + 1) for t in range(*SHOWN)]


def popped(alpha: float) -> list[synth.Burnt]:
    return [synth.Burnt(banner(alpha), CORNER, *STANDS)]


def letters(alpha: float) -> list[synth.Burnt]:
    """The word alone, over a box of the scene."""
    drawn = banner(alpha)
    drawn[..., 3] = np.where(drawn[..., :3].min(2) > 0.95, 1, 0)
    return [synth.Burnt(drawn, CORNER, *STANDS)]


def covered(path: Path, folder: Path, *others: Overlay) -> list[np.ndarray]:
    """(H, W) bool, frame by frame: what a plan covers that knew of the word alone, and of others."""
    x, y, w, h = TEXT
    x += 60 * bool(others)
    box = (CORNER[0] + x, CORNER[1] + y, w, h)
    write_matte(folder / "matte.png", np.ones((h, w), np.float32))
    overlay = Overlay("subtitle-1", "subtitle", box, (Event(FrameRange(*STANDS)),), matte="matte.png")
    whole = FrameRange(0, COUNT)
    plan = Plan(Source(str(path), SIZE, Fraction(RATE), COUNT, ""), whole, (whole,), (overlay, *others))
    with open_clip(path) as clip:
        plan = backed(plan, folder, "new.", clip)
        mattes = Mattes(plan.active(), folder, clip.info.layout, AreaMask((), clip.info, "hold-out"))
    covers = [mattes.at(t, (0, 0, *SIZE)).matte for t in range(COUNT)]
    return [np.zeros(SIZE[::-1], bool) if cover is None else cover > 0.5 for cover in covers]


@pytest.mark.parametrize("comes", [slid, wiped, popped])
@pytest.mark.parametrize("alpha", [1.0, 0.85], ids=["opaque", "translucent"])
def test_a_panel_is_covered_as_long_as_any_of_it_shows(comes, alpha, tmp_path):
    truth = synth.make(tmp_path / "clip.mp4", comes(alpha), count=COUNT, size=SIZE, pan=1.0)

    covers = covered(truth.path, tmp_path)

    seen = [(mask & cover).sum() / mask.sum() for mask, cover in zip(truth.masks, covers, strict=True) if mask.any()]
    assert min(seen) > 0.97
    stands = slice(*STANDS)
    beyond = [~synth.grown(mask, 8) for mask in truth.masks[stands]]
    assert not any((cover & part).any() for cover, part in zip(covers[stands], beyond, strict=True))
    assert not any(cover.any() for cover in (*covers[: SHOWN[0] - 3], *covers[SHOWN[1] + 3 :]))


def test_a_panel_that_comes_out_of_another_overlay_is_covered(tmp_path):
    """A bar that becomes longer for a word."""
    stood = np.ones((HIGH, 60, 4), np.float32)
    stood[..., :3] = banner(1.0)[:1, 10:11, :3]
    bar, longer = synth.Burnt(stood, CORNER, 0, COUNT), banner(1.0)
    longer[:, :6] = longer[:1, 6:7]
    at = (CORNER[0] + 60, CORNER[1])
    truth = synth.make(tmp_path / "clip.mp4", [bar, synth.Burnt(longer, at, *STANDS)], count=COUNT, size=SIZE, pan=1.0)
    badge = Overlay("logo-1", "logo", (*CORNER, 60, HIGH), (Event(FrameRange(0, COUNT)),))

    covers = covered(truth.path, tmp_path, badge)

    seen = [(mask & cover).sum() / mask.sum() for mask, cover in zip(truth.masks, covers, strict=True)]
    assert min(seen) > 0.97


def test_what_stays_without_the_text_is_no_panel_of_it(tmp_path):
    def pictures():
        for picture in synth.scene(COUNT, SIZE, pan=0.0):
            (x, y), done = CORNER, picture.copy()
            cv2.rectangle(done, (x, y), (x + WIDE, y + HIGH), (40, 60, 140), -1)
            yield done

    truth = synth.make(tmp_path / "clip.mp4", letters(1.0), count=COUNT, size=SIZE, pictures=pictures())

    covers = covered(truth.path, tmp_path)

    w, h = TEXT[2:]
    assert all(cover.sum() in (0, w * h) for cover in covers)
