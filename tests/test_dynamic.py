"""Overlays that come, go and move: found with their place, size and times, and nothing found in what only moves."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import synth
from autowipe.areas import AreaMask
from autowipe.kinds import Found, dynamic
from autowipe.kinds._appears import Appearance, is_own
from autowipe.kinds._cover import Look, moves
from autowipe.kinds._follow import Place, sway, wobbles
from autowipe.kinds._plate import find_plate
from autowipe.kinds._showing import cut_out
from autowipe.kinds._stays import StayFinder, link
from autowipe.kinds._tracks import Travel
from autowipe.kinds._travels import all_travels
from autowipe.kinds._views import Views
from autowipe.matte import Mattes
from autowipe.overlays import resolve, to_plan
from autowipe.planes import layout_of
from autowipe.timing import FrameRange
from autowipe.unblend import invert
from finding import perceive
from synth import Burnt

SIZE = (480, 270)
LAYOUT = layout_of("yuv420p", *SIZE)
SAMPLE = Path(__file__).parent.parent / "sample" / "village.mp4"
LEAST_RECALL = 0.95  # of the changed pixels; the rest is the faintest rim of the antialiasing
MOST_AWAY = 0.004  # share of the picture that the matte may cover more than 8 px from any overlay


class Drawn:
    """What the finder found in a clip, drawn as pass B draws it."""

    def __init__(self, folder: Path, overlays: list[Burnt], **how) -> None:
        self.clip = synth.make(folder / "clip.mp4", overlays, size=SIZE, **how)
        self.found: list[Found] = perceive("dynamic", self.clip.path)
        self.whole = FrameRange(0, len(self.clip.masks))
        nothing = AreaMask((), _info(), "search area")
        self.plan = to_plan(self.found, ("dynamic",), nothing, LAYOUT, self.whole, folder, "maps/")
        self.mattes = Mattes(self.plan, folder, LAYOUT, AreaMask((), _info(), "hold-out"))

    def matte(self, frame: int) -> np.ndarray:
        matte = self.mattes.at(frame, (0, 0, *SIZE)).matte
        return np.zeros(SIZE[::-1], bool) if matte is None else matte > 0.5

    def events(self) -> list[tuple[int, int]]:
        return [(e.range.start, e.range.stop) for find in self.found for e in find.events]

    def recall(self, frame: int) -> float:
        mask = self.clip.masks[frame]
        return float(self.matte(frame)[mask].mean()) if mask.any() else 1.0

    def away(self, frame: int) -> float:
        near = synth.grown(self.clip.masks[frame], 8)
        return float((self.matte(frame) & ~near).mean())


def _info():
    class Info:
        layout = LAYOUT

    return Info()


def covers(drawn: Drawn, frames) -> None:
    for t in frames:
        assert drawn.recall(t) >= LEAST_RECALL, f"frame {t}: {drawn.recall(t):.3f} covered"
        assert drawn.away(t) <= MOST_AWAY, f"frame {t}: {drawn.away(t):.4f} of the picture wiped for nothing"


def near(events, truth, frames=1) -> bool:
    return len(events) == len(truth) and all(
        abs(a - c) <= frames and abs(b - d) <= frames for (a, b), (c, d) in zip(events, truth, strict=True)
    )


def icon(high: int, colour: tuple[int, int, int]) -> np.ndarray:
    """A white triangle on a disc: (high, high, 4) float32 0..1."""
    parts = np.zeros((2, high, high), np.uint8)
    cv2.circle(parts[0], (high // 2, high // 2), high // 2 - 2, 255, -1, cv2.LINE_AA)
    corners = np.array([[0.4, 0.28], [0.4, 0.72], [0.75, 0.5]]) * high
    cv2.fillPoly(parts[1], [corners.astype(np.int32)], 255, cv2.LINE_AA)
    own, symbol = parts[..., None].astype(np.float32) / 255
    return np.dstack([np.array(colour, np.float32) / 255 * (1 - symbol) + symbol, own])


def look_of(rgba: np.ndarray) -> tuple[Look, np.ndarray]:
    """The look of something that never changes while all around it does, and the edges of its brightness."""
    ground = np.full((*rgba.shape[:2], 3), 128.0)
    picture = cv2.copyMakeBorder(
        rgba[..., :3] * 255 * rgba[..., 3:] + ground * (1 - rgba[..., 3:]), *(20,) * 4, cv2.BORDER_REPLICATE
    )
    mean = cv2.cvtColor((picture / 255).astype(np.float32), cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]] * 255
    own = cv2.copyMakeBorder(rgba[..., 3], *(20,) * 4, cv2.BORDER_CONSTANT) > 0
    slope = np.stack([cv2.Sobel(mean[..., 0], cv2.CV_32F, *axis, ksize=3, scale=1 / 8) for axis in ((1, 0), (0, 1))])
    edge = np.hypot(*slope)
    lock = np.where(own, np.float32(1), np.float32(0))
    return Look(mean, np.where(own, np.float32(0), np.float32(20)), slope, edge, lock, 24), edge > 8


def test_a_mark_that_blinks_before_a_fixed_camera_is_one_overlay_with_its_times(tmp_path):
    times = [(8, 24), (34, 50), (60, 72)]
    mark = synth.text("KTV 4", 26)
    drawn = Drawn(tmp_path, [Burnt(mark, (40, 200), *t) for t in times], pan=0.0)

    assert len(drawn.found) == 1
    assert near(drawn.events(), times)
    covers(drawn, (8, 23, 40, 71))


def test_appearances_that_cannot_all_be_held_are_settled_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(dynamic, "HELD", 0)
    monkeypatch.setattr(dynamic, "HELD_PER_PX", 0)
    times = [(8, 24), (34, 50), (60, 72)]
    drawn = Drawn(tmp_path, [Burnt(synth.text("KTV 4", 26), (40, 200), *t) for t in times], pan=0.0)

    assert len(drawn.found) == 1
    assert near(drawn.events(), times)
    covers(drawn, (8, 23, 40, 71))


def test_a_translucent_mark_that_jumps_is_one_overlay_with_one_template(tmp_path):
    places = [((30, 20), 0, 24), ((291, 31), 24, 48), ((160, 200), 48, 72)]
    mark = synth.text("@clips", 24)
    drawn = Drawn(tmp_path, [Burnt(mark, corner, a, b, alpha=0.7) for corner, a, b in places])

    assert len(drawn.found) == 1
    assert near(drawn.events(), [(0, 24), (24, 48), (48, 72)])
    covers(drawn, (2, 22, 26, 46, 50, 70))


def test_text_that_grows_in_is_covered_from_its_first_frames(tmp_path):
    def grows(t):
        return 0.0, 0.0, min(1.0, 0.25 * (t - 9))

    words = synth.text("NO WAY", 40, colour=(255, 60, 140), outline=3)
    drawn = Drawn(tmp_path, [Burnt(words, (150, 120), 10, 44, way=grows)], pan=1.0)

    assert len(drawn.found) == 1
    assert near(drawn.events(), [(10, 44)])
    covers(drawn, (11, 12, 14, 30, 43))


@pytest.mark.parametrize("colour", [(70, 130, 235), (15, 15, 15)])
def test_a_symbol_is_covered_with_the_disc_that_it_lies_on(tmp_path, colour):
    """Whether the disc is as bright as the scene, so that the survey sees no edge of it, or an edge and little more."""
    drawn = Drawn(tmp_path, [Burnt(icon(90, colour), (300, 25), 24, 66)], pan=1.0)

    assert len(drawn.found) == 1
    assert drawn.events() == [(24, 66)]
    covers(drawn, (24, 40, 65))


def test_a_triangle_of_the_scene_is_no_appearance_of_an_icon_with_such_a_symbol(tmp_path):
    """Shows in one place as an icon, later in another without its disc."""
    plate = find_plate(*look_of(icon(60, (70, 130, 235))))
    assert plate is not None
    same, other = (look_of(icon(60, colour))[0].mean for colour in ((70, 130, 235), (120, 120, 120)))

    assert plate.size(same) == 1
    assert plate.size(other) == 0


def test_a_drifting_mark_is_followed_along_its_way(tmp_path):
    def drifts(t):
        return 1.7 * t, 0.9 * t, 1.0

    mark = synth.text("@daily.clips", 24)
    drawn = Drawn(tmp_path, [Burnt(mark, (40, 40), 0, 72, alpha=0.8, way=drifts)], pan=-1.0)

    assert len(drawn.found) == 1
    assert near(drawn.events(), [(0, 72)], frames=2)
    first, last = drawn.found[0].trajectory[0], drawn.found[0].trajectory[-1]
    speed = (np.array(last[1:3]) - first[1:3]) / (last[0] - first[0])
    assert np.allclose(speed, (1.7, 0.9), atol=0.03)
    covers(drawn, (4, 20, 40, 60, 68))


def test_what_shines_through_a_mark_that_drifts_is_un_blended(tmp_path):
    mark = synth.text("@daily.clips", 24)
    drift = Burnt(mark, (40, 40), 0, 72, alpha=0.75, way=lambda t: (1.7 * t, 0.9 * t, 1.0))
    drawn = Drawn(tmp_path, [drift], pan=-1.0)

    (find,) = drawn.found
    assert find.unblend is not None
    inner = cv2.erode((find.unblend.transmission[0] < 0.9).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert np.median(find.unblend.transmission[0][inner]) == pytest.approx(0.25, abs=0.05)
    before, after = [], []
    for t, seen in enumerate(synth.read_rgb(drawn.clip.path)):
        maps = drawn.mattes.at(t, (0, 0, *SIZE)).unblend
        luma, clean = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (seen, drawn.clip.clean[t]))
        levels = [16 + luma * (219 / 255), *(np.zeros((SIZE[1] // 2, SIZE[0] // 2)) for _ in "uv")]
        beneath, deviation = invert(levels, maps, 1.5)
        known = drawn.clip.masks[t] & (deviation[0] < 10)
        assert known.sum() >= 0.1 * drawn.clip.masks[t].sum()
        before.append(np.abs(luma - clean.astype(float))[known].mean())
        after.append(np.abs((beneath[0] - 16) * (255 / 219) - clean)[known].mean())
    assert np.mean(after) < 0.15 * np.mean(before)


@pytest.mark.parametrize("speed", [1.0, 2.5])
def test_a_plain_opaque_mark_that_bounces_off_the_edge_is_covered_whole(tmp_path, speed):
    def bounces(t):
        x, y = 3.0 * speed * t + 260, 2.0 * speed * t + 90
        return abs(x % 800 - 400) - 140.0, abs(y % 360 - 180) - 90.0, 1.0

    disc = np.zeros((56, 56, 4), np.float32)
    cv2.circle(disc, (28, 28), 26, (0.95, 0.45, 0.1, 1.0), -1, cv2.LINE_AA)
    cv2.fillPoly(disc, [np.array([[20, 14], [20, 42], [44, 28]])], (1.0, 1.0, 1.0, 1.0), cv2.LINE_AA)
    drawn = Drawn(tmp_path, [Burnt(disc, (150, 100), 0, 72, way=bounces)], pan=1.5)

    assert near(drawn.events(), [(0, 72)], frames=2)
    covers(drawn, (4, 20, 36, 46, 50, 66))


def test_a_mark_that_swings_in_its_place_is_followed(tmp_path):
    def swings(t):
        return 0.0, 0.0, 1.0, 15 * np.sin(t / 8)

    drawn = Drawn(tmp_path, [Burnt(synth.text("KTV 24", 34), (150, 100), 0, 72, way=swings)], pan=1.0)

    assert len(drawn.found) == 1
    assert near(drawn.events(), [(0, 72)], frames=2)
    turns = [key[4] for key in drawn.found[0].trajectory]
    assert abs(np.ptp(turns) - 30) < 2
    covers(drawn, (4, 20, 40, 60, 68))


@pytest.mark.parametrize("pan", [0.0, 1.0])
def test_a_word_that_wobbles_is_found_whole_with_one_trajectory(tmp_path, pan):
    def wobbles(t):
        return 0.0, 0.3 * t, 1 + 0.05 * np.sin(t / 2), 6 * np.sin(t / 4)

    words = synth.text("HURRY UP", 38, colour=(255, 60, 140), outline=3)
    drawn = Drawn(tmp_path, [Burnt(words, (120, 60), 6, 66, way=wobbles)], pan=pan)

    assert len(drawn.found) == 1
    assert near(drawn.events(), [(6, 66)], frames=2)
    keys = np.array(drawn.found[0].trajectory)
    assert abs(np.ptp(keys[:, 3]) / np.median(keys[:, 3]) - 0.1) < 0.02
    assert abs(np.ptp(keys[:, 4]) - 12) < 1
    covers(drawn, (8, 20, 35, 50, 64))


def test_a_word_that_shakes_in_no_order_is_found_whole(tmp_path):
    def shakes(t):
        return 9 * np.sin(t / 3), 6 * np.cos(t / 2.3), 1 + 0.05 * np.sin(t / 4), 7 * np.sin(t / 5)

    words = synth.text("HURRY UP", 38, colour=(255, 60, 140), outline=3)
    drawn = Drawn(tmp_path, [Burnt(words, (120, 80), 6, 66, way=shakes)], pan=1.0)

    assert len(drawn.found) == 1
    assert near(drawn.events(), [(6, 66)], frames=2)
    covers(drawn, (8, 20, 35, 50, 64))


def test_a_track_that_shares_but_a_moment_does_not_hide_what_turns():
    def travel(start, stop, turn):
        count = stop - start
        poses = np.stack([np.ones(count), np.linspace(0, turn, count)], 1) if turn else None
        return Travel((100, 100, 120, 40), start, stop, np.zeros((count, 2)), 9, poses)

    other, turning = travel(0, 20, 0), travel(18, 74, 9)

    assert any(kept is turning for kept in all_travels([other], [], [turning], []))


def test_what_wobbles_about_a_point_of_its_own_is_told_from_what_is_held_in_a_hand():
    frames = np.arange(50)
    turns, pin = np.exp(1j * np.radians(5 * np.sin(frames / 4))), 20 + 10j
    drawn = 100 + 0.4 * frames - turns * pin
    shaken = drawn + np.cumsum(np.random.default_rng(1).normal(0, 0.6, (50, 2)) @ [1, 1j])

    assert wobbles(*sway(frames, [Place(*place) for place in zip(turns, drawn, strict=True)], 80))
    assert not wobbles(*sway(frames, [Place(*place) for place in zip(turns, shaken, strict=True)], 80))


def test_a_mark_that_drifts_grows_and_turns_steadily_is_followed(tmp_path):
    def comes_nearer(t):
        return 0.8 * t, 0.0, 1 + 0.006 * t, 1.2 * t

    words = synth.text("SPINNER", 34, outline=2)
    drawn = Drawn(tmp_path, [Burnt(words, (120, 100), 0, 72, way=comes_nearer)], pan=1.0)

    assert len(drawn.found) == 1
    assert near(drawn.events(), [(0, 72)], frames=2)
    first, last = drawn.found[0].trajectory[0], drawn.found[0].trajectory[-1]
    assert abs(last[3] / first[3] - (1 + 0.006 * last[0]) / (1 + 0.006 * first[0])) < 0.02
    assert abs(last[4] - first[4] - 1.2 * (last[0] - first[0])) < 2
    covers(drawn, (4, 20, 40, 60, 68))


def test_a_word_whose_corners_are_lost_to_a_busy_scene_is_followed_as_a_whole():
    """The sample's word: across .55 of the picture's width, along a wave of .06 of its height."""
    every = perceive("dynamic", SAMPLE)
    found = [find for find in every if any("village" in e.text for e in find.events)]

    assert all(e.text for find in every for e in find.events)  # none of its houses
    assert len(found) == 1
    assert near([(e.range.start, e.range.stop) for e in found[0].events], [(0, 120)])
    keys = np.array(found[0].trajectory)
    t = keys[:, 0] / 120
    way = np.stack([0.55 * 640 * t, 0.06 * 360 * np.sin(2 * np.pi * t)], 1)
    assert np.abs(keys[:, 1:3] - keys[0, 1:3] - (way - way[0])).max() < 1.5


def passes(speed: float, axis: int):
    return lambda t: (-speed * t, 0.0, 1.0) if axis == 0 else (0.0, -speed * t, 1.0)


@pytest.mark.parametrize("is_readable", [True, False])
def test_a_ticker_is_covered_on_its_whole_way_through_the_picture(tmp_path, is_readable):
    news = synth.text("RAIN IN THE NORTH, SUN IN THE SOUTH, WIND FROM THE WEST BY NIGHT", 20)
    if not is_readable:  # in a mirror the letters are of no script that the recogniser knows
        news = np.ascontiguousarray(news[:, ::-1])
    drawn = Drawn(tmp_path, [Burnt(news, (300, 232), 0, 72, way=passes(3.0, 0))], pan=1.0)

    assert 1 <= len(drawn.found) <= 2
    covers(drawn, (6, 20, 40, 60, 68))


def test_a_scroll_is_covered_line_by_line(tmp_path):
    names = ["Ada Lovelace", "Alan Turing", "Grace Hopper", "John Backus", "Edsger Dijkstra", "Barbara Liskov"]
    lines = [synth.text(name, 20) for name in names * 2]
    overlays = [Burnt(line, (150, 200 + 44 * i), 0, 72, way=passes(2.0, 1)) for i, line in enumerate(lines)]
    drawn = Drawn(tmp_path, overlays, pan=1.0)

    assert 1 <= len(drawn.found) <= 2
    assert min(drawn.recall(t) for t in (10, 24, 40, 60)) >= LEAST_RECALL
    assert max(drawn.away(t) for t in (10, 24, 40, 60)) <= 0.01  # lines half in the picture are told less well


def test_words_in_one_place_are_events_of_one_overlay(tmp_path):
    words = [("one", 4, 16), ("after", 18, 32), ("another", 34, 52), ("comes", 54, 70)]
    sprites = [(synth.text(word, 36, outline=3), a, b) for word, a, b in words]
    overlays = [Burnt(s, (240 - s.shape[1] // 2, 120), a, b) for s, a, b in sprites]
    drawn = Drawn(tmp_path, overlays)

    assert len(drawn.found) == 1
    assert near(drawn.events(), [(a, b) for _, a, b in words])


def test_two_words_that_share_most_of_their_letters_have_a_template_each(tmp_path):
    words = [("BAKERY 1", 6, 30), ("BAKERY 8", 36, 66)]
    overlays = [Burnt(synth.text(word, 36, outline=3), (130, 120), a, b) for word, a, b in words]
    drawn = Drawn(tmp_path, overlays)

    assert near(drawn.events(), [(a, b) for _, a, b in words])
    covers(drawn, (8, 28, 38, 64))


def test_a_mark_that_loses_a_part_first_is_covered_part_by_part(tmp_path):
    icon, word = synth.badge((44, 44)), synth.text("clip.ly", 30)
    drawn = Drawn(tmp_path, [Burnt(icon, (60, 100), 14, 52), Burnt(word, (110, 104), 14, 50)])
    over_word = np.s_[104 : 104 + word.shape[0], 120 : 110 + word.shape[1]]

    assert min(drawn.recall(t) for t in (14, 30, 49, 50, 51)) >= 0.9  # its strokes are thin: more of them is rim
    assert not drawn.matte(50)[over_word].any()


def test_what_stays_is_told_from_edges_of_the_scene_that_come_and_go_with_it():
    stays, word = StayFinder(), synth.text("one", 60, outline=3)
    scenes = list(synth.scene(4, (640, 360), pan=40.0))
    for t in range(40):
        picture = scenes[t // 10]
        if 10 <= t < 20:
            picture, _ = synth.burn(picture, [Burnt(word, (260, 150), 10, 20)], t)
        stays.add(t, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    stays.close()

    x, y, w, h = 260, 150, word.shape[1], word.shape[0]
    own = [s for s in stays.stays if abs(s.start - 10) <= 2 and abs(s.stop - 20) <= 2 and s.edges.mean() >= 0.15]
    boxes = [s.box for s in own if x - 8 <= s.box[0] and s.box[0] + s.box[2] <= x + w + 8]
    assert any(y - 8 <= b[1] and b[1] + b[3] <= y + h + 8 and b[2] > 0.7 * w for b in boxes)


def test_a_thin_outline_stays_though_its_edges_crowd_nowhere():
    """A disc of which the survey sees the rim alone; one among edges of the same fate all over the picture does not."""
    rng = np.random.default_rng(2)
    for others in (0, 60):
        finder = StayFinder()
        for look in range(30):
            luma = rng.integers(100, 104, SIZE[::-1], np.uint8)
            if 8 <= look < 20:
                cv2.circle(luma, (240, 120), 40, 30, -1, cv2.LINE_AA)
                for x, y in np.random.default_rng(3).integers(20, 250, (others, 2)) * (1.8, 1):
                    cv2.circle(luma, (int(x), int(y)), 14, 160, 1, cv2.LINE_AA)
            finder.add(look, luma)
        finder.close()
        alone = [stay for stay in finder.stays if stay.alone > 0.9]
        assert len(alone) == (not others)
        assert all(abs(w - 81) < 8 and abs(h - 81) < 8 for _, _, w, h in (stay.box for stay in alone))


def test_a_part_of_a_mark_is_linked_to_all_of_it():
    stays, mark = StayFinder(), synth.badge((60, 40))
    for t in range(60):
        picture = np.full((360, 640, 3), 90, np.uint8)
        part = np.where((np.arange(60) < 30)[None, :, None] | (t < 30), mark, np.float32(0))
        corner = (100, 80) if t < 30 else (400, 200)
        if t % 30 < 20:
            picture, _ = synth.burn(picture, [Burnt(part, corner, 0, 60)], t)
        stays.add(t, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    stays.close()

    assert max(len(group) for group in link(stays.stays, 1000)) == 2


@pytest.mark.parametrize("pan", [0.0, 2.0])
def test_nothing_is_found_where_only_the_scene_moves(tmp_path, pan):
    assert Drawn(tmp_path, [], pan=pan, cuts=(40,)).found == []


def test_letters_that_a_hand_uncovers_and_covers_are_no_overlay(tmp_path):
    board = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
    for x in range(-SIZE[1], SIZE[0], 12):
        cv2.line(board, (x, 0), (x + 60, SIZE[1]), (200, 205, 215), 1, cv2.LINE_AA)
        cv2.line(board, (0, x), (SIZE[0], x + 20), (200, 205, 215), 1, cv2.LINE_AA)
    for k, letter in enumerate("SAMPLE"):
        cv2.rectangle(board, (60 + 62 * k, 100), (104 + 62 * k, 150), (200, 60 + 30 * k, 50), -1)
        cv2.putText(board, letter, (68 + 62 * k, 140), cv2.FONT_HERSHEY_DUPLEX, 1.3, (250, 250, 240), 3, cv2.LINE_AA)

    def pictures():
        for t in range(80):
            picture = board.copy()
            at = (round(240 + 260 * np.sin(t / 9)), round(60 + 90 * abs(np.sin(t / 13))))  # to and fro
            cv2.ellipse(picture, at, (90, 120), 20, 0, 360, (120, 150, 205), -1, cv2.LINE_AA)
            yield picture

    assert Drawn(tmp_path, [], count=80, pictures=pictures()).found == []


def found(kind, *ranges, box=(40, 140, 120, 20), trajectory=(), text=""):
    from autowipe.kinds import FoundEvent

    matte = np.ones((box[3], box[2]), np.float32)
    events = [FoundEvent(FrameRange(*r), text=text) for r in ranges]
    if kind == "subtitle":
        for event in events:
            event.box, event.matte = box, matte
        return Found(kind, box, events, 0.9)
    return Found(kind, box, events, 0.9, matte, trajectory=trajectory)


JUMP = ((0.0, 0.0, 0.0), (99.0, 0.0, 0.0), (100.0, 200.0, 0.0), (199.0, 200.0, 0.0))
GROWTH = ((100.0, 0.0, 0.0, 0.5, 0.0), (104.0, 0.0, 0.0, 1.0, 0.0), (179.0, 0.0, 0.0, 1.0, 0.0))


@pytest.mark.parametrize(
    ("finds", "kinds"),
    [
        ([("dynamic", [(100, 180)]), ("subtitle", [(100, 180)])], ["subtitle"]),  # a line of text, seen twice
        ([("dynamic", [(100, 140), (300, 340)]), ("subtitle", [(100, 140), (300, 340)])], ["dynamic"]),  # blinks
        ([("dynamic", [(100, 140), (300, 340)]), ("subtitle", [(i, i + 40) for i in range(0, 900, 50)])], ["subtitle"]),
        ([("dynamic", [(0, 100), (100, 200)], JUMP), ("subtitle", [(0, 100)])], ["dynamic"]),
        ([("dynamic", [(100, 180)], GROWTH), ("subtitle", [(104, 180)])], ["dynamic"]),
        ([("dynamic", [(300, 700)]), ("logo", [(0, 1000)])], ["logo"]),
        ([("dynamic", [(0, 100), (100, 200)], JUMP), ("logo", [(0, 100)])], ["dynamic"]),
    ],
)
def test_what_moves_blinks_or_grows_is_dynamic_and_other_text_is_not(finds, kinds):
    made = [found(kind, *ranges, trajectory=rest[0] if rest else ()) for kind, ranges, *rest in finds]

    assert [find.kind for find in resolve(made, FrameRange(0, 1000), 25.0)] == kinds


def test_a_mark_with_a_symbol_stays_whole_where_its_word_is_taken_for_a_line():
    mark = found("dynamic", (100, 180), box=(0, 120, 240, 60))
    word = found("subtitle", (100, 180))

    assert {find.kind for find in resolve([mark, word], FrameRange(0, 1000), 25.0)} == {"dynamic", "subtitle"}


def test_a_part_that_moves_with_the_scene_is_no_part_of_an_opaque_overlay():
    size = (90, 160)
    seeds, hair = np.zeros(size, bool), np.zeros(size, bool)
    seeds[30:60, 30:100] = True
    hair[30:60, 104:120] = True  # beside the overlay, of another mean colour than the surroundings
    spread = np.where(seeds, 1.0, np.where(hair, 18.0, 20.0)).astype(np.float32)
    still = np.zeros(size, np.float32)
    look = Look(np.zeros((*size, 3), np.float32), spread, np.stack([still, still]), still, still, 24)

    scene = moves(look, seeds, 5, 1.0)

    assert scene[hair].all()
    assert not scene[seeds].any()


def test_an_edge_of_the_scene_that_moved_as_an_overlay_came_and_went_is_no_part_of_it():
    width, height = size = (160, 90)
    scene = next(synth.scene(1, (180, 110)))
    words = [Burnt(synth.text("I am", 30, outline=2, colour=(250, 80, 150)), (20, 20), 1, 2)]
    words += [Burnt(np.ones((1, 20, 4), np.float32), (20, 75), 1, 2)]  # a hair-thin line
    views, mask = Views(layout_of("yuv420p", *size), 3), np.zeros((height, width), bool)
    for t, way in enumerate((0, 3, 1)):  # px that the scene has moved by
        picture, drawn = synth.burn(scene[10:100, 10 - way : 170 - way], words, t)
        planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
        views.add(t, [planes[:height], *planes[height:].reshape(2, height // 2, width // 2)], is_early=True)
        mask |= drawn
    changes, scenes = ([look(1, t, mask.shape) for t in (0, 2)] for look in (views.change, views.common))

    own, _ = is_own(synth.grown(mask, 3), [Appearance(FrameRange(1, 2), 0, 0, {}, changes=changes, scenes=scenes)])

    assert own[mask].mean() > 0.98
    assert all(scene[mask].mean() < 0.02 for scene in scenes)
    assert own[~synth.grown(mask, 8)].mean() < 0.01


def test_lines_that_the_next_word_has_as_well_are_its_own():
    near = np.zeros((60, 120), bool)
    near[20:40, 20:100] = True
    change = np.full(near.shape, 60, np.uint8)
    shown = np.zeros_like(near)
    shown[30:, 50:60] = True  # found in the frame without it: a stroke of the next word, and the scene beneath

    own, _ = is_own(near, [Appearance(FrameRange(1, 2), 0, 0, {}, changes=[change] * 2, scenes=[shown] * 2)])

    assert own[near].all()
    assert not own[45:55, 52:58].any()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_a_window_between_pixels_shows_what_lies_there(kind):
    y, x = np.mgrid[0:60, 0:90].astype(float)

    def wave(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 120 + 50 * np.sin(x / 6) + 40 * np.cos(y / 5)

    window = cut_out(np.rint(wave(x, y)).astype(kind), 10.3, 20.75, (40, 30))

    assert window.dtype == kind
    assert np.abs(window - wave(x[:30, :40] + 10.3, y[:30, :40] + 20.75)).max() < 1.6


def test_a_window_goes_on_beyond_the_edge():
    ramp = np.arange(50, dtype=np.uint8)[None].repeat(20, 0)

    window = cut_out(ramp, -4.5, -3, (12, 8))

    assert (window[:, :3] == 0).all() and np.abs(window[:, 6:].astype(int) - np.arange(1, 7)).max() <= 1


def test_an_appearance_at_few_frames_a_second_is_told_from_a_cut_just_before_it():
    stays, word = StayFinder(8.0), synth.text("@user12345", 26)
    scenes = [next(iter(synth.scene(seed, (640, 360), pan=0.0))) for seed in (4, 9)]
    for t in range(40):
        picture = scenes[t >= 21]
        picture, _ = synth.burn(picture, [Burnt(word, (90, 290), 12, 24), Burnt(word, (400, 280), 24, 36)], t)
        stays.add(t, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    stays.close()

    assert any(abs(s.start - 24) <= 1 and abs(s.stop - 36) <= 1 for s in stays.stays)
