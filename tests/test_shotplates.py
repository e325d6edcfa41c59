"""What lies beyond a window: borrowed where it surely shows the same place, and left alone everywhere else."""

from __future__ import annotations

import itertools
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth
from autowipe import matte, shotplates
from autowipe.areas import AreaMask
from autowipe.completers import network
from autowipe.decode import open_clip
from autowipe.hostclip import info_of
from autowipe.matte import Mattes
from autowipe.plan import Event, Overlay
from autowipe.planes import layout_of
from autowipe.plate import BORROWED, Plate
from autowipe.pool import Pool
from autowipe.shotplates import ShotPlates
from autowipe.timing import FrameRange, Window
from autowipe.windows import ahead, plates_of, ring_of

SIZE = (320, 180)
LOGO = (24, 16, 64, 40)
LINE = (60, 132, 200, 30)


def slab(box: tuple[int, int, int, int]) -> np.ndarray:
    rgba = np.ones((box[3], box[2], 4), np.float32)
    rgba[..., :3] = (0.1, 0.2, 0.6)
    return rgba


def burnt(box: tuple[int, int, int, int], frames: FrameRange) -> synth.Burnt:
    return synth.Burnt(slab(box), box[:2], frames.start, frames.stop)


def wiped(
    path: Path, box: tuple[int, int, int, int], when: FrameRange, todo: list[Window], shots: tuple[FrameRange, ...]
) -> list[Plate]:
    """Plates of the windows for one opaque overlay."""
    with open_clip(path) as clip:
        overlay = Overlay("a", "logo", box, (Event(when),))
        mattes = Mattes((overlay,), path.parent, clip.info.layout, AreaMask((), clip.info, "hold-out"))
        beyond = ShotPlates(clip, mattes, shots, ring_of(clip.info))
        return [plate for made in plates_of(todo, mattes, clip, "normal", beyond=beyond) for plate in made]


def error(plates: list[Plate], clean: list[np.ndarray], box: tuple[int, int, int, int]) -> float:
    """Root mean square error of their lumas where the overlay is, levels."""
    x, y, w, h = box
    square = []
    for plate in plates:
        luma = clean[plate.frame] @ (65.481, 128.553, 24.966) / 255 + 16
        made = plate.planes[0][y - plate.box[1] :, x - plate.box[0] :][:h, :w]
        square.append(((made - luma[y : y + h, x : x + w]) ** 2).mean())
    return float(np.sqrt(np.mean(square)))


def borrowed(plates: list[Plate]) -> float:
    """Share of the changed pixels."""
    return float(np.mean([(plate.provenance[plate.masks[0]] == BORROWED).mean() for plate in plates]))


def same(one: list[Plate], other: list[Plate]) -> bool:
    return all(
        a.frame == b.frame and all(map(np.array_equal, a.planes, b.planes)) for a, b in zip(one, other, strict=True)
    )


WHOLE = FrameRange(0, 240)
NARROW = Window(FrameRange(110, 118), FrameRange(96, 132))


@pytest.fixture(scope="module")
def pan(tmp_path_factory) -> synth.Synthetic:
    """A slow pan, half a px a frame, under a logo that stays: no window of 36 frames sees what it hides."""
    path = tmp_path_factory.mktemp("pan") / "pan.mp4"
    return synth.make(path, [burnt(LOGO, WHOLE)], count=len(WHOLE), size=SIZE, pan=0.5)


def test_what_a_slow_pan_shows_far_off_is_borrowed(pan):
    without = wiped(pan.path, LOGO, WHOLE, [NARROW], ())
    with_plate = wiped(pan.path, LOGO, WHOLE, [NARROW], (WHOLE,))

    assert borrowed(with_plate) > 0.8 > 0.4 > borrowed(without)
    assert error(with_plate, pan.clean, LOGO) < 0.6 * error(without, pan.clean, LOGO)


def test_a_window_gets_the_same_whatever_was_wiped_before_it(pan):
    before = Window(FrameRange(60, 62), FrameRange(48, 84))

    alone = wiped(pan.path, LOGO, WHOLE, [NARROW], (WHOLE,))
    after = wiped(pan.path, LOGO, WHOLE, [before, NARROW], (WHOLE,))

    assert same(alone, [plate for plate in after if plate.frame in NARROW.core])


def a_b_a(room: np.ndarray, later: np.ndarray, path: Path) -> synth.Synthetic:
    """A shot of `room`, another shot, then `later`, with a box over its line all the time."""
    other = itertools.islice(synth.scene(40, SIZE, seed=7), 40)
    pictures = [*[room] * 40, *other, *[later] * 40]
    noise = np.random.default_rng(4)
    noisy = [np.clip(p + noise.normal(0, 1.5, p.shape), 0, 255).astype(np.uint8) for p in pictures]
    return synth.make(path, [burnt(LINE, LAST)], pictures=noisy, size=SIZE)


LAST = FrameRange(80, 120)
SHOTS = (FrameRange(0, 40), FrameRange(40, 80), LAST)
TALK = Window(FrameRange(96, 100), LAST)


def test_the_same_set_up_in_an_earlier_shot_shows_what_a_subtitle_hides(tmp_path):
    room = next(synth.scene(1, SIZE, seed=3))
    clip = a_b_a(room, np.roll(room, (2, -5), (0, 1)), tmp_path / "aba.mp4")  # not quite the same framing

    without = wiped(clip.path, LINE, LAST, [TALK], ())
    with_plate = wiped(clip.path, LINE, LAST, [TALK], SHOTS)

    assert borrowed(without) == 0 and borrowed(with_plate) > 0.8
    assert error(with_plate, clip.clean, LINE) < 0.5 * error(without, clip.clean, LINE)


def test_another_set_up_gives_nothing(tmp_path):
    room, other = (next(synth.scene(1, SIZE, seed=seed)) for seed in (3, 5))
    clip = a_b_a(room, other, tmp_path / "other.mp4")

    without, with_plate = (wiped(clip.path, LINE, LAST, [TALK], shots) for shots in ((), SHOTS))

    assert same(without, with_plate)


def test_what_stands_there_now_is_not_replaced_by_what_stood_there_then(tmp_path):
    room = next(synth.scene(1, SIZE, seed=3))
    later = room.copy()  # somebody sat down: around the line nothing is as it was
    later[110:] = next(synth.scene(1, SIZE, seed=5))[110:]
    clip = a_b_a(room, later, tmp_path / "sat.mp4")

    without, with_plate = (wiped(clip.path, LINE, LAST, [TALK], shots) for shots in ((), SHOTS))

    assert same(without, with_plate)


class Endless:
    """A clip that pans on and on, as a host would give it."""

    def __init__(self, count: int) -> None:
        self.info = info_of(layout_of("gray", *SIZE), count)
        self._wall = np.random.default_rng(1).integers(0, 255, (45, 400), np.uint8).repeat(4, 0).repeat(4, 1)

    def frames(self, source_range: FrameRange):
        for index in source_range:
            yield type("Frame", (), {"index": index, "samples": [self._wall[:, index // 4 % 1200 :][:, : SIZE[0]]]})()


def test_memory_is_bounded_however_long_the_shot_is(monkeypatch):
    monkeypatch.setattr(shotplates, "REACH", 60)
    clip = Endless(3000)
    whole = clip.info.whole
    overlay = Overlay("a", "logo", LOGO, (Event(whole),))
    mattes = Mattes((overlay,), Path(), clip.info.layout, AreaMask((), clip.info, "hold-out"))
    plates = ShotPlates(clip, mattes, (whole,), ring_of(clip.info))
    (box,) = mattes.regions(whole, ring_of(clip.info))
    wanted = np.ones(box[:1:-1], bool)
    held = []

    for start in range(0, 2880, 120):
        found = plates.find(FrameRange(start, start + 120), box, start + 60, wanted)
        held.append(len(plates.held))
        assert len(found) <= shotplates.MOST_FAR
        assert all(frame.planes[0].shape == frame.hidden.shape for frame in found)

    assert max(held) <= (120 + 2 * 60) // shotplates.STEP + 1
    assert held[-2] == held[2]


def test_of_large_regions_fewer_frames_are_held(monkeypatch):
    clip = Endless(3000)
    overlay = Overlay("a", "logo", LOGO, (Event(clip.info.whole),))
    mattes = Mattes((overlay,), Path(), clip.info.layout, AreaMask((), clip.info, "hold-out"))
    plates = ShotPlates(clip, mattes, (clip.info.whole,), ring_of(clip.info))
    monkeypatch.setattr(shotplates, "MOST_BYTES", 1 << 20)

    assert plates.step(0) % shotplates.STEP == 0
    assert plates.step(0) > shotplates.STEP


def test_processes_that_ask_at_the_same_time_get_what_one_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of several shots are completed side by side, while the next ones are read."""
    register = shotplates.register
    monkeypatch.setattr(shotplates, "register", lambda *pictures: time.sleep(0.02) or register(*pictures))
    size, count, cuts = (240, 136), 240, (60, 120, 180)
    shots = tuple(FrameRange(a, b) for a, b in itertools.pairwise((0, *cuts, count)))
    box = (20, 16, 60, 40)
    path = tmp_path / "shots.mp4"
    synth.make(path, [burnt(box, FrameRange(0, count))], count=count, size=size, keep=False, cuts=cuts, pan=0.8)
    todo = [Window(FrameRange(a, a + 20), FrameRange(a, a + 20)) for a in range(0, count, 20)]
    asked = []

    def made(**way: Any) -> list[Plate]:
        with open_clip(path) as clip:
            overlay = Overlay("a", "logo", box, (Event(FrameRange(0, count)),))
            mattes = Mattes((overlay,), path.parent, clip.info.layout, AreaMask((), clip.info, "hold-out"))
            beyond = ShotPlates(clip, mattes, shots, ring_of(clip.info))
            find = beyond.find
            beyond.find = lambda *wish: asked.append(wish[2]) or find(*wish)  # type: ignore[method-assign]
            with closing(ahead(plates_of(todo, mattes, clip, "normal", beyond=beyond, **way))) as windows:
                return [plate for made in windows for plate in made]

    here = made()
    times = len(asked)
    with Pool(partial(network.better, device="cpu")) as pool:
        there = made(complete=pool.complete)

    assert times >= 8
    assert sorted(asked[times:]) == sorted(asked[:times])
    for plate, other in zip(there, here, strict=True):
        assert np.array_equal(plate.planes[0][plate.masks[0]], other.planes[0][other.masks[0]])


def test_mattes_may_be_asked_for_by_any_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matte, "MOST_HELD", 0)  # so that what one thread needs is what another lets go
    info = info_of(layout_of("yuv420p", *SIZE), 400)
    events = tuple(Event(FrameRange(t, t + 1), box=(2 * (t % 40), 20, 40, 30)) for t in range(400))
    mattes = Mattes((Overlay("a", "dynamic", (0, 20, 40, 30), events),), tmp_path, info.layout, AreaMask((), info, ""))

    def area(t: int) -> float:
        drawn = mattes.at(t % 400, (0, 0, *SIZE)).matte
        return 0.0 if drawn is None else float(drawn.sum())

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            areas = list(threads.map(area, range(4000)))
    finally:
        sys.setswitchinterval(usual)

    assert areas == [1200.0] * 4000
