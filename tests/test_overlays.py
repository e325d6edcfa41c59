"""One decision per overlay: what two finders saw is kept once, as what it is."""

import json

import numpy as np
import pytest
from autowipe.areas import AreaMask
from autowipe.kinds import Found, FoundEvent
from autowipe.overlays import resolve, to_plan
from autowipe.planes import layout_of
from autowipe.timing import FrameRange

WHOLE = FrameRange(0, 1000)
BOX = (40, 140, 120, 20)


def logo(*ranges, box=BOX):
    return Found("logo", box, [FoundEvent(FrameRange(*r)) for r in ranges], 0.9, np.ones((box[3], box[2]), np.float32))


def lines(*ranges, box=BOX, text=""):
    matte = np.ones((box[3], box[2]), np.float32)
    events = [FoundEvent(FrameRange(*r), text=text, box=box, matte=matte) for r in ranges]
    return Found("subtitle", box, events, 0.9)


def kinds_of(found):
    return sorted(find.kind for find in resolve(found, WHOLE, 25.0))


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        ([logo((100, 180)), lines((100, 180))], ["subtitle"]),  # one line, seen twice
        ([logo((100, 260)), lines((100, 170), (180, 260))], ["subtitle"]),  # lines in one place
        ([logo((0, 1000)), lines((40, 900))], ["logo"]),  # lettering that stays
        ([logo((0, 1000)), lines((300, 700))], ["logo"]),  # there before and after it was read
        ([logo((100, 180), box=(20, 100, 260, 70)), lines((100, 180))], ["logo"]),  # a panel with text on it
        ([logo((0, 1000), box=(240, 10, 40, 20)), lines((100, 180))], ["logo", "subtitle"]),  # two things
        ([logo((0, 1000)), lines((0, 400), (480, 1000), text="Nova")], ["logo"]),  # one text, read with a gap
        ([lines((100, 180))], ["subtitle"]),
    ],
)
def test_what_both_finders_saw_is_kept_once_as_what_it_is(found, kinds):
    assert kinds_of(found) == kinds


def moving(*ranges, box, far=0, small=1.0):
    """A dynamic find that goes `far` px to the right in each of its ranges, and grows from `small` within 3 frames."""
    keys = [key for r in ranges for key in ((r[0], 0, 0, small, 0), (r[0] + 3, 0, 0, 1, 0), (r[1] - 1, far, 0, 1, 0))]
    events = [FoundEvent(FrameRange(*r)) for r in ranges]
    matte = np.ones((box[3], box[2]), np.float32)
    return Found("dynamic", box, events, 0.8, matte, None, {}, tuple(keys))


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        # one letter of a line that seems to grow does not take the line away
        ([lines((100, 180)), moving((110, 150), box=(60, 142, 20, 16), small=0.4)], ["subtitle"]),
        # a line that grows is dynamic, in one piece or word by word
        ([lines((100, 180)), moving((100, 180), box=BOX, small=0.4)], ["dynamic"]),
        (
            [lines((100, 180)), *(moving((100, 180), box=(x, 140, 55, 20), small=0.4) for x in (40, 105))],
            ["dynamic", "dynamic"],
        ),
        # a mark that passes over a line, or over a logo, is one more overlay
        ([lines((100, 180)), moving((100, 180), box=(-40, 140, 30, 20), far=280)], ["dynamic", "subtitle"]),
        ([logo((0, 1000)), moving((100, 180), box=(-40, 140, 30, 20), far=280)], ["dynamic", "logo"]),
    ],
)
def test_what_moves_takes_away_only_what_it_explains(found, kinds):
    assert kinds_of(found) == kinds


def test_only_the_lettering_goes_with_the_logo_other_lines_stay():
    far = (60, 30, 90, 16)
    text = lines((0, 1000))
    text.events += lines((100, 160), box=far).events

    left = resolve([logo((0, 1000)), text], WHOLE, 25.0)

    assert [(f.kind, [e.range for e in f.events]) for f in left] == [
        ("logo", [FrameRange(0, 1000)]),
        ("subtitle", [FrameRange(100, 160)]),
    ]


@pytest.mark.parametrize(("counters", "kinds"), [(0.0, ["logo"]), (1.0, ["logo", "subtitle"])])
def test_a_clock_stays_beside_a_logo_that_is_but_a_part_of_it(counters, kinds):
    part = (BOX[0], BOX[1], BOX[2] * 7 // 10, BOX[3])
    clock = lines((0, 1000), text="19:04:42")
    clock.evidence["counters"] = counters

    assert kinds_of([logo((0, 1000), box=part), clock]) == kinds


class Info:
    layout = layout_of("yuv420p", 320, 180)
    frames = 1000


def test_kinds_not_asked_for_stay_in_the_plan_switched_off(tmp_path):
    search = AreaMask((), Info, "search area")

    overlays = to_plan([logo((0, 9)), lines((3, 9))], ("subtitle",), search, Info.layout, WHOLE, tmp_path, "p.maps/")

    assert [(o.id, o.enabled) for o in overlays] == [("logo-1", False), ("subtitle-1", True)]
    assert all((tmp_path / e.matte).exists() for e in overlays[1].events)
    assert json.dumps(overlays[0].evidence) == "{}"


def test_what_lies_outside_the_search_area_is_dropped_and_the_rest_cut_to_it(tmp_path):
    search = AreaMask(((0, 0, 150, 180),), Info, "search area")
    inside, across, outside = (
        logo((0, 9), box=(10, 10, 20, 20)),
        logo((0, 9), box=(120, 60, 40, 20)),
        logo((0, 9), box=(260, 10, 20, 20)),
    )

    overlays = to_plan([inside, across, outside], ("logo",), search, Info.layout, WHOLE, tmp_path, "p.maps/")

    assert [o.box for o in overlays] == [(10, 10, 20, 20), (120, 60, 40, 20)]
    assert across.matte[:, :30].min() == 1
    assert across.matte[:, 30:].max() == 0


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ((100, 140, 60, 20), ["dynamic"]),  # what grows covers it
        ((80, 140, 200, 20), ["dynamic", "subtitle"]),  # two ends of the line reach beyond it
    ],
)
def test_what_grows_takes_no_line_that_it_does_not_cover(line, kinds):
    matte = np.ones((20, 80), np.float32)
    keys = ((10, 90.0, 140.0, 0.6, 0.0), (12, 90.0, 140.0, 1.0, 0.0))
    box = (0, 0, 80, 20)
    grows = Found("dynamic", box, [FoundEvent(FrameRange(10, 40))], 0.9, matte, trajectory=keys)

    assert kinds_of([grows, lines((20, 28), box=line, text="winter")]) == kinds
