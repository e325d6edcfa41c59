"""Side files: the pictures of what was wiped and how, the counts, and the subtitles' text."""

import json
from fractions import Fraction

import numpy as np
import pytest
from autowipe.plan import Event, Overlay, Plan, Source
from autowipe.plate import BORROWED, INVENTED, UNBLENDED, Plate
from autowipe.sidecars import (
    DIVIDER_PX,
    PROVENANCE_COLOURS,
    UNREAD,
    Tally,
    compare_picture,
    matte_picture,
    places,
    provenance_picture,
    shares,
    srt,
)
from autowipe.timing import FrameRange


def plate(box=(4, 2, 4, 4), frame=0):
    """One whose upper left luma quarter was wiped, a pixel in each way, and whose lower right chroma sample was."""
    w, h = box[2:]
    provenance = np.zeros((h, w), np.uint8)
    provenance[:2, :2] = [[UNBLENDED, BORROWED], [INVENTED, INVENTED]]
    chroma = np.zeros((-(-h // 2), -(-w // 2)), bool)
    chroma[-1, -1] = True
    return Plate(frame, box, [], [provenance > 0, chroma, np.zeros_like(chroma)], provenance)


def overlay(*events, name="subtitle-1", kind="subtitle", box=(0, 0, 8, 8), **more):
    return Overlay(id=name, kind=kind, box=box, events=events, **more)


def event(start, stop, text="", **more):
    return Event(FrameRange(start, stop), text=text, **more)


def plan(*overlays, rate=Fraction(25), frames=200):
    return Plan(Source("clip.mp4", (64, 36), rate, frames, ""), FrameRange(0, frames), (), overlays)


def test_a_line_that_goes_on_in_the_next_section_is_one_cue():
    text = srt(plan(overlay(event(0, 25, "on"), event(25, 50, "on"), event(50, 75, "off"))))

    assert text == "1\n00:00:00,000 --> 00:00:02,000\non\n\n2\n00:00:02,000 --> 00:00:03,000\noff\n"


def test_the_matte_marks_every_pixel_of_a_written_sample():
    picture = matte_picture((16, 8), [plate()])

    expected = np.zeros((8, 16), np.uint8)
    expected[2:4, 4:6] = 255
    expected[4:6, 6:8] = 255  # the chroma sample covers four pixels
    assert np.array_equal(picture, expected)


def test_the_matte_fits_a_plate_at_an_odd_edge():
    picture = matte_picture((7, 5), [plate((4, 2, 3, 3))])

    assert picture.shape == (5, 7)
    assert picture[4, 6] == 255
    assert picture[4, 5] == 0


def test_a_frame_without_plates_has_a_black_matte_and_provenance():
    assert not matte_picture((16, 8), []).any()
    assert not provenance_picture((16, 8), []).any()


def test_provenance_has_one_colour_for_each_way_and_black_elsewhere():
    picture = provenance_picture((16, 8), [plate()])

    assert tuple(picture[2, 4]) == PROVENANCE_COLOURS[UNBLENDED]
    assert tuple(picture[2, 5]) == PROVENANCE_COLOURS[BORROWED]
    assert tuple(picture[3, 4]) == PROVENANCE_COLOURS[INVENTED]
    assert picture.any(axis=2).sum() == 4


def test_provenance_colours_differ_in_lightness_too():
    light = sorted(np.dot(rgb, (0.2126, 0.7152, 0.0722)) for rgb in PROVENANCE_COLOURS.values())

    assert min(np.diff(light)) > 12  # 8-bit levels: seen side by side without any colour vision


def test_compare_keeps_both_pictures_as_they_are():
    before = np.random.default_rng(1).integers(0, 256, (6, 9, 3), np.uint8)
    after = 255 - before

    picture = compare_picture(before, after)

    assert picture.shape == (6, 18 + DIVIDER_PX, 3)
    assert np.array_equal(picture[:, :9], before)
    assert np.array_equal(picture[:, -9:], after)


def test_an_overlay_is_placed_along_its_trajectory():
    moving = overlay(event(0, 10), box=(10, 10, 4, 4), trajectory=((0, 0, 0), (10, 20, -5)))

    assert places(moving, 0) == [(10, 10, 4, 4)]
    assert places(moving, 5) == [(20, 7, 4, 5)]  # half a px: the box holds both rows
    assert places(moving, 10) == []


def test_pixels_are_counted_for_the_overlay_whose_box_they_are_in():
    here = overlay(event(0, 5), name="here", box=(4, 2, 1, 2))
    away = overlay(event(0, 5), name="away", box=(12, 0, 4, 4))
    later = overlay(event(5, 9), name="later", box=(4, 2, 4, 4))
    tally = Tally([here, away, later])

    tally.add(0, [plate()])
    tally.add(1, [])

    assert tally.whole == {"unblended": 1, "borrowed": 1, "invented": 2}
    assert tally.overlays["here"] == {"unblended": 1, "borrowed": 0, "invented": 1}
    assert not any(tally.overlays["away"].values())
    assert not any(tally.overlays["later"].values())
    assert tally.changed_frames == 1


def test_a_tally_goes_on_where_a_killed_run_stopped():
    overlays = [overlay(event(0, 5))]
    whole, first = Tally(overlays), Tally(overlays)
    for frame in range(4):
        whole.add(frame, [plate()])
    first.add(0, [plate()])
    first.add(1, [plate()])

    second = Tally(overlays, json.loads(json.dumps(first.as_dict())))
    second.add(2, [plate()])
    second.add(3, [plate()])

    assert second.as_dict() == whole.as_dict()


def test_shares_add_up_and_nothing_has_none():
    assert shares({"unblended": 1, "borrowed": 3}) == {"unblended": 0.25, "borrowed": 0.75}
    assert shares({"unblended": 0, "borrowed": 0}) == {}


def test_subtitles_are_sorted_and_numbered():
    text = srt(plan(overlay(event(100, 150, "Two."), event(25, 50, "One\nand a half."))))

    assert text == ("1\n00:00:01,000 --> 00:00:02,000\nOne\nand a half.\n\n2\n00:00:04,000 --> 00:00:06,000\nTwo.\n")


def test_lines_that_come_and_go_together_are_one_cue_from_the_top_down():
    lower = overlay(event(0, 25, "lower"), name="a", box=(0, 20, 8, 8))
    upper = overlay(event(0, 25, "upper"), name="b", box=(0, 10, 8, 8))

    assert srt(plan(lower, upper)) == "1\n00:00:00,000 --> 00:00:01,000\nupper\nlower\n"


@pytest.mark.parametrize("text", ["", " \n "])
def test_an_unread_line_keeps_its_times(text):
    assert srt(plan(overlay(event(0, 25, text)))) == f"1\n00:00:00,000 --> 00:00:01,000\n{UNREAD}\n"


def test_no_text_can_break_the_subtitle_file():
    text = srt(plan(overlay(event(0, 25, "one\r\n\n\n2\n00:00 --> 00:01\n"))))

    assert text.count("-->") == 1
    assert "\n\n" not in text


def test_only_wiped_subtitles_are_written():
    off = overlay(event(0, 25, "off"), name="a", enabled=False)
    half = overlay(event(0, 25, "kept", enabled=False), event(25, 50, "wiped"), name="b")
    logo = overlay(event(0, 25, "logo"), name="c", kind="logo")

    assert srt(plan(off, half, logo)) == "1\n00:00:01,000 --> 00:00:02,000\nwiped\n"
    assert srt(plan()) == ""


def test_no_cue_shows_on_the_frame_after_it():
    rate = Fraction(24000, 1001)

    text = srt(plan(overlay(event(1, 2, "flash")), rate=rate))

    start, stop = (float(stamp[6:].replace(",", ".")) for stamp in text.splitlines()[1].split(" --> "))
    assert 1 / rate - Fraction(1, 1000) < start <= 1 / rate
    assert stop <= 2 / rate


@pytest.mark.parametrize("as_function", [False, True])
def test_a_varying_rate_gives_its_own_times(as_function):
    times = [0.0, 0.1, 0.5, 0.6]
    given = (lambda frame: [*times, 0.64][frame]) if as_function else times

    text = srt(plan(overlay(event(1, 4, "x")), frames=4), times=given)

    assert "00:00:00,100 --> 00:00:00,640" in text
