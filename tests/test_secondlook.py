"""The second look: a plan that is wrong in a way is put right by a trial, and what is left in the file is told."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import synth
from autowipe import __version__
from autowipe.decode import open_clip
from autowipe.job import Job
from autowipe.maps import Unblend, read_matte, read_unblend, write_matte, write_unblend
from autowipe.pipeline import run
from autowipe.plan import Event, Overlay, Plan, Source
from autowipe.planfile import write_plan
from autowipe.timing import FrameRange
from autowipe.trial import settled

SIZE, COUNT = (320, 180), 60
BOX = (30, 20, 112, 56)  # of the badge's maps; its own corner is 6 px further in
SHOWN = FrameRange(8, 52)
GREY = 235


def badge() -> np.ndarray:
    return synth.badge((100, 44), (GREY, GREY, GREY))


@pytest.fixture(scope="module", params=[1.0, 0.5], ids=["opaque", "translucent"])
def clip(request, tmp_path_factory) -> tuple[Path, float]:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    mark = synth.Burnt(badge(), (BOX[0] + 6, BOX[1] + 6), SHOWN.start, SHOWN.stop, request.param)
    synth.make(path, [mark], count=COUNT, size=SIZE, keep=False, pan=3.0)
    return path, request.param


def opacity(alpha: float) -> np.ndarray:
    """(H, W) float32 over BOX: the truth."""
    return np.pad(badge()[..., 3], 6) * np.float32(alpha)


def maps_of(alpha: np.ndarray) -> Unblend:
    """Limited-range 4:2:0 maps of a grey overlay."""
    half = cv2.resize(alpha, (alpha.shape[1] // 2, alpha.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return Unblend([1 - alpha, 1 - half, 1 - half], [alpha * (16 + 219 / 255 * GREY), half * 128, half * 128])


def plan_of(path: Path, folder: Path, alpha: np.ndarray, *, is_opaque: bool, reach: int = 3) -> Plan:
    """A plan with the badge's maps; `reach`: px by which the matte exceeds it."""
    drawn = (alpha > 0.01).astype(np.uint8)
    kernel = np.ones((2 * abs(reach) + 1,) * 2, np.uint8)
    matte = cv2.dilate(drawn, kernel) if reach >= 0 else cv2.erode(drawn, kernel)
    write_matte(folder / "matte.png", matte.astype(np.float32))
    if not is_opaque:
        maps = maps_of(np.where(matte > 0, alpha, np.float32(0)))
        write_unblend(folder / "unblend.npz", maps)
    overlay = Overlay(
        "logo-1", "logo", BOX, (Event(SHOWN),), matte="matte.png", unblend=None if is_opaque else "unblend.npz"
    )
    whole = FrameRange(0, COUNT)
    with open_clip(path) as opened:
        source = Source(str(path), SIZE, Fraction(25), COUNT, "")
        assert opened.info.frames == COUNT
    return Plan(source, whole, (whole,), (overlay,))


def mended(path: Path, folder: Path, plan: Plan) -> Overlay:
    with open_clip(path) as opened:
        (overlay,) = settled(plan, folder, "new.", opened).overlays
    return overlay


def test_a_plan_that_is_right_is_left_as_it_is(clip, tmp_path):
    path, alpha = clip
    plan = plan_of(path, tmp_path, opacity(alpha), is_opaque=alpha == 1)

    overlay = mended(path, tmp_path, plan)

    assert replace(overlay, evidence={}, confidence=1) == plan.overlays[0]
    assert overlay.confidence > 0.9


def test_a_matte_that_is_too_small_is_widened(clip, tmp_path):
    path, alpha = clip
    plan = plan_of(path, tmp_path, opacity(alpha), is_opaque=alpha == 1, reach=-2)

    overlay = mended(path, tmp_path, plan)

    matte = read_matte(tmp_path / overlay.matte, overlay.box)
    (x, y, w, h), (left, top, _, _) = overlay.box, BOX
    assert x <= left and y <= top and x + w >= left + BOX[2] and y + h >= top + BOX[3]
    there = matte[top - y : top - y + BOX[3], left - x : left - x + BOX[2]] > 0.5
    assert there[opacity(alpha) > 0.05].mean() > 0.99
    assert there.mean() < 0.8  # and yet not all
    assert overlay.evidence["beyond its matte"] < 0.1 and overlay.confidence > 0.95


@pytest.mark.parametrize("clip", [0.5], indirect=True)
def test_opacities_that_are_wrong_in_places_are_put_right(clip, tmp_path):
    path, alpha = clip
    wrong = opacity(alpha) * np.where(np.arange(BOX[2]) < 60, 0.65, 1.1).astype(np.float32)
    plan = plan_of(path, tmp_path, wrong, is_opaque=False)

    overlay = mended(path, tmp_path, plan)

    maps = read_unblend(tmp_path / overlay.unblend, [m.shape for m in maps_of(wrong).transmission])
    inside = opacity(alpha) > 0.3
    was, now = (np.abs(a - opacity(alpha))[inside].mean() for a in (wrong, 1 - maps.transmission[0]))
    assert now < was / 2
    assert overlay.evidence["left in a trial"] < 0.1


@pytest.mark.parametrize("known", [FrameRange(8, 30), FrameRange(33, 52)], ids=["late", "early"])
def test_an_appearance_that_was_cut_short_is_lengthened(clip, tmp_path, known):
    path, alpha = clip
    plan = plan_of(path, tmp_path, opacity(alpha), is_opaque=alpha == 1)
    short = replace(plan.overlays[0], events=(Event(known),))

    overlay = mended(path, tmp_path, replace(plan, overlays=(short,)))

    (event,) = overlay.events
    assert abs(event.range.start - SHOWN.start) <= 1 and abs(event.range.stop - SHOWN.stop) <= 1


def wiped(path: Path, folder: Path, plan: Plan) -> tuple[list, str]:
    """Warnings and the report of a wipe that is given a plan."""
    write_plan(plan, folder, folder / "given.json")
    job = Job(
        source=str(path),
        output=str(folder / "out.mkv"),
        plan=str(folder / "given.json"),
        codec="ffv1",
        report=str(folder / "report.html"),
    )
    sent: list = []
    run(job, sent.append, threading.Event(), __version__)
    warnings = [message for message in sent if getattr(message, "code", "") == "seen"]
    return warnings, (folder / "report.html").read_text("utf-8")


def confidence(report: str) -> float:
    (percent,) = re.findall(r"<dt>Confidence</dt><dd>([\d.]+)\s*%", report)
    return float(percent) / 100


@pytest.mark.parametrize("clip", [0.5], indirect=True)
def test_what_is_left_in_the_file_is_told(clip, tmp_path):
    path, alpha = clip
    plan = plan_of(path, tmp_path, opacity(alpha), is_opaque=alpha == 1, reach=-2)

    warnings, report = wiped(path, tmp_path, plan)

    (warning,) = warnings
    assert warning.text.startswith("logo-1 is not gone between 00:00:00:0")
    assert "beyond its matte" in warning.text
    assert warning.text in report and "looks 12" in report and confidence(report) < 0.8


@pytest.mark.parametrize("clip", [1.0], indirect=True)
def test_nothing_is_told_of_what_is_gone(clip, tmp_path):
    path, alpha = clip
    plan = plan_of(path, tmp_path, opacity(alpha), is_opaque=alpha == 1)

    warnings, report = wiped(path, tmp_path, plan)

    assert not warnings
    assert confidence(report) > 0.9
