"""Tickers and scrolls with what they pass through: a bar goes with its text, and a scroll is covered to its ends."""

import numpy as np
import pytest
import synth
from autowipe.overlays import resolve
from autowipe.timing import FrameRange
from synth import Burnt
from test_dynamic import LEAST_RECALL, SIZE, Drawn, covers, found, passes

NEWS = "RAIN IN THE NORTH, SUN IN THE SOUTH, WIND FROM THE WEST BY NIGHT"
HIGH = 34  # px of a bar


def plain(high: int, colour: tuple[int, int, int]) -> np.ndarray:
    """A bar as wide as the picture, RGBA float32."""
    return np.dstack(
        [np.broadcast_to(np.array(colour, np.float32) / 255, (high, SIZE[0], 3)), np.ones((high, SIZE[0]))]
    )


@pytest.mark.parametrize("top", [200, SIZE[1] - HIGH], ids=["above the edge", "at the edge"])
def test_a_bar_and_the_text_that_runs_through_it_are_one_overlay(tmp_path, top):
    bar = Burnt(plain(HIGH, (160, 20, 20)), (0, top), 0, 72)
    text = Burnt(synth.text(NEWS, 18), (300, top + 4), 0, 72, way=passes(3.0, 0))
    drawn = Drawn(tmp_path, [bar, text], pan=1.0)

    assert [[event.range for event in one.events] for one in drawn.found] == [[FrameRange(0, 72)]]
    assert not drawn.found[0].trajectory and drawn.found[0].events[0].text
    covers(drawn, (0, 20, 40, 71))


def test_a_bar_is_covered_before_its_text_comes(tmp_path):
    bar = Burnt(plain(HIGH, (20, 40, 160)), (0, 200), 0, 96)
    text = Burnt(synth.text(NEWS, 18), (300, 204), 20, 96, way=lambda t: (-4.0 * (t - 20), 0.0, 1.0))
    drawn = Drawn(tmp_path, [bar, text], count=96, pan=1.0)

    covers(drawn, (0, 10, 40, 95))


def test_the_black_beside_a_letterboxed_picture_is_no_bar(tmp_path):
    black = Burnt(plain(40, (0, 0, 0)), (0, SIZE[1] - 40), 0, 72)
    text = Burnt(synth.text(NEWS, 18), (300, SIZE[1] - 34), 0, 72, way=passes(3.0, 0))
    drawn = Drawn(tmp_path, [black, text], pan=1.0)

    assert 1 <= len(drawn.found) <= 2
    assert all(one.trajectory for one in drawn.found)


def test_a_mark_found_where_a_bar_is_goes_with_it():
    bar = found("dynamic", (0, 100), box=(0, 200, 480, 36))
    bar.evidence |= {"passes, px": 300.0, "bar, px": 36.0}
    edge = found("logo", (0, 100), box=(0, 214, 480, 30))
    other = found("logo", (0, 100), box=(400, 10, 60, 30))

    kept = resolve([bar, edge, other], FrameRange(0, 100), 25.0)

    assert bar in kept and other in kept and edge not in kept


def test_a_scroll_is_covered_to_its_end_though_the_scene_goes_as_fast_for_a_while(tmp_path):
    world = next(iter(synth.scene(1, (SIZE[0], 2 * SIZE[1]), pan=0.0)))
    gone = np.cumsum([2.0 if 40 <= t < 56 else 0.0 for t in range(96)])
    pictures = [np.ascontiguousarray(np.roll(world, -round(y), 0)[: SIZE[1]]) for y in gone]
    names = ["Ada Lovelace", "Alan Turing", "Grace Hopper", "John Backus", "Edsger Dijkstra", "Barbara Liskov"]
    lines = [synth.text(name, 20) for name in names * 2]
    overlays = [Burnt(line, (150, 200 + 44 * i), 0, 96, way=passes(2.0, 1)) for i, line in enumerate(lines)]
    drawn = Drawn(tmp_path, overlays, pictures=pictures)

    assert 1 <= len(drawn.found) <= 2
    assert min(drawn.recall(t) for t in (0, 20, 50, 70, 90, 95)) >= LEAST_RECALL
    assert max(drawn.away(t) for t in (0, 20, 50, 70, 90, 95)) <= 0.02  # some of what went along is taken for text
