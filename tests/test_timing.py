"""Ranges, rates, timecode and windows."""

from fractions import Fraction
from itertools import pairwise

import pytest
from autowipe.timing import FrameRange, parse_range, parse_rate, timecode, windows
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("frame", "rate", "text"),
    [
        (0, "25", "00:00:00:00"),
        (90000, "25", "01:00:00:00"),
        (1799, "30000/1001", "00:00:59;29"),
        (1800, "30000/1001", "00:01:00;02"),  # numbers 0 and 1 are skipped
        (17982, "30000/1001", "00:10:00;00"),  # but not in the tenth minute
        (107892, "30000/1001", "01:00:00;00"),
        (3600, "60000/1001", "00:01:00;04"),
        (24, "24000/1001", "00:00:01:00"),
    ],
)
def test_timecode_agrees_with_the_smpte_table(frame, rate, text):
    assert timecode(frame, Fraction(rate)) == text


@given(st.lists(st.integers(1, 700), min_size=1, max_size=6), st.integers(4, 200), st.integers(0, 60))
def test_windows_cover_every_frame_once_and_stay_in_their_shot(lengths, most, handle):
    if most <= 2 * handle:
        handle = (most - 1) // 2
    edges = [sum(lengths[:i]) for i in range(len(lengths) + 1)]
    shots = tuple(FrameRange(a, b) for a, b in pairwise(edges))

    cut = list(windows(shots, most=most, handle=handle))

    assert [f for window in cut for f in window.core] == list(range(edges[-1]))
    for window in cut:
        shot = next(s for s in shots if window.core.start in s)
        assert shot.start <= window.span.start <= window.core.start
        assert window.core.stop <= window.span.stop <= shot.stop
        assert len(window.span) <= most + 1


def test_the_windows_of_a_shot_do_not_depend_on_where_a_run_begins():
    shots = (FrameRange(0, 900), FrameRange(900, 1000))

    assert list(windows(shots, most=160, handle=40))[-1].core == FrameRange(900, 1000)
    assert list(windows(shots[:1], most=160, handle=40)) == list(windows(shots, most=160, handle=40))[:-1]


@pytest.mark.parametrize("text", ["", "5", "9:3", "3:3", "-1:4", "a:b", "1:2:3"])
def test_a_wrong_range_is_refused_with_its_text(text):
    with pytest.raises(ValueError, match="range"):
        parse_range(text)


@pytest.mark.parametrize("text", ["0", "-25", "30000/0", "fast"])
def test_a_wrong_rate_is_refused(text):
    with pytest.raises(ValueError, match="rate"):
        parse_rate(text)


def test_ranges_meet_where_both_have_frames():
    assert FrameRange(3, 9).meet(FrameRange(5, 20)) == FrameRange(5, 9)
    assert len(FrameRange(3, 9).meet(FrameRange(20, 30))) == 0
    assert len(FrameRange(20, 30).meet(FrameRange(3, 9))) == 0
