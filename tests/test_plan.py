"""Plans: written, read, edited by people, and refused with the entry's name when they are wrong."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from autowipe.errors import JobError
from autowipe.maps import Unblend, read_matte, read_unblend, write_matte, write_unblend
from autowipe.plan import Event, Overlay, Plan, Source
from autowipe.timing import FrameRange


@pytest.fixture
def plan():
    source = Source("clip ä.mp4", (320, 180), Fraction(30000, 1001), 100, "abc")
    logo = Overlay(
        id="logo-1",
        kind="logo",
        box=(10, 10, 40, 20),
        events=(Event(FrameRange(0, 100)),),
        confidence=0.9,
        matte="clip.maps/logo-1.matte.png",
        evidence={"votes": 0.5, "why": "four shots"},
    )
    lines = Overlay(
        id="subtitle-1",
        kind="subtitle",
        box=(60, 140, 200, 30),
        events=(
            Event(FrameRange(5, 40), fade_in=3, text="ab", box=(60, 140, 90, 30), matte="clip.maps/s.png"),
            Event(FrameRange(50, 90), enabled=False, box=(60, 140, 200, 30)),
        ),
        trajectory=((5.0, 0.0, 0.0), (40.0, 2.5, -1.0)),
    )
    return Plan(source, FrameRange(0, 100), (FrameRange(0, 60), FrameRange(60, 100)), (logo, lines))


def test_a_plan_comes_back_from_its_file_as_it_was(plan):
    assert Plan.from_json(plan.to_json()) == plan


def test_only_enabled_events_of_enabled_overlays_of_the_asked_kinds_are_active(plan):
    assert [o.id for o in plan.active()] == ["logo-1", "subtitle-1"]
    assert [len(o.events) for o in plan.active(("subtitle",))] == [1]

    off = replace(plan, overlays=(replace(plan.overlays[0], enabled=False), plan.overlays[1]))

    assert [o.id for o in off.active()] == ["subtitle-1"]


def test_a_narrower_range_cuts_the_events(plan):
    narrow = replace(plan, range=FrameRange(30, 45))

    assert [e.range for o in narrow.active() for e in o.events] == [FrameRange(30, 45), FrameRange(30, 40)]


def edit(plan, path, value):
    body = json.loads(plan.to_json())
    place = body
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(body)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("overlays", 0, "kind"), "banner", "overlays.0..kind"),
        (("overlays", 0, "enabeld"), True, "enabeld"),
        (("overlays", 0, "enabled"), "no", "true or false"),
        (("overlays", 0, "box"), [300, 0, 40, 10], "inside the picture"),
        (("overlays", 0, "box"), [0, 0, 40], "whole numbers"),
        (("overlays", 0, "events", 0, "range"), [0, 101], "events.0..range"),
        (("overlays", 0, "events", 0, "range"), [9, 9], "range"),
        (("overlays", 0, "events"), None, "events"),
        (("overlays", 1, "id"), "logo-1", "unique"),
        (("overlays", 1, "trajectory"), [[5, 0], [4, 1]], "frame, dx, dy"),
        (("overlays", 1, "trajectory"), [[5, float("nan"), 0]], "frame, dx, dy"),
        (("overlays", 1, "events"), [], "events is empty"),
        (("overlays", 1, "evidence"), {"votes": [1]}, "evidence.votes"),
        (("overlays", 1, "confidence"), 7, "confidence"),
        (("overlays", 1, "events", 0, "fade_in"), 99, "fade_in"),
        (("shots",), [[0, 50], [60, 100]], "follow"),
        (("source", "rate"), "fast", "rate"),
        (("autowipe_plan",), 9, "autowipe_plan"),
    ],
)
def test_a_wrong_entry_is_named(plan, path, value, words):
    with pytest.raises(JobError, match=words) as caught:
        Plan.from_json(edit(plan, path, value), "clip.plan.json")

    assert "clip.plan.json" in caught.value.text
    assert caught.value.hint


def test_an_overlay_added_by_hand_needs_a_kind_a_box_and_events(plan):
    body = json.loads(plan.to_json())
    body["overlays"] += [{"kind": "logo", "box": [x, 5, 20, 10], "events": [{"range": [3, 9]}]} for x in (100, 200)]

    read = Plan.from_json(json.dumps(body))

    assert [o.id for o in read.overlays] == ["logo-1", "subtitle-1", "logo-2", "logo-3"]
    assert read.overlays[2].events == (Event(FrameRange(3, 9)),)


def test_a_byte_order_mark_as_windows_editors_write_it_is_passed_over(plan):
    assert Plan.from_json("\ufeff" + plan.to_json()) == plan


def test_endless_nesting_is_told(plan):
    with pytest.raises(JobError, match="not valid JSON"):
        Plan.from_json("[" * 100_000)


def test_maps_come_back_from_their_files(tmp_path):
    rng = np.random.default_rng(1)
    matte = rng.random((20, 40)).astype(np.float32)
    maps = Unblend(
        [rng.random(s).astype(np.float32) for s in ((20, 40), (10, 20), (10, 20))],
        [rng.random(s).astype(np.float32) * 255 for s in ((20, 40), (10, 20), (10, 20))],
    )

    write_matte(tmp_path / "ä b" / "m.png", matte)
    write_unblend(tmp_path / "ä b" / "u.npz", maps)
    again = read_unblend(tmp_path / "ä b" / "u.npz", [(20, 40), (10, 20), (10, 20)])

    assert np.abs(read_matte(tmp_path / "ä b" / "m.png", (0, 0, 40, 20)) - matte).max() <= 0.5 / 255 + 1e-6
    assert all(np.array_equal(a, b) for a, b in zip(again.contribution, maps.contribution, strict=True))


def test_a_map_that_is_missing_or_does_not_fit_is_told(tmp_path):
    write_matte(tmp_path / "m.png", np.ones((5, 5), np.float32))
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    np.savez(tmp_path / "u.npz", transmission0=np.ones((5, 5)))

    with pytest.raises(JobError, match="cannot be read"):
        read_matte(tmp_path / "gone.png", (0, 0, 5, 5))
    with pytest.raises(JobError, match="not a picture"):
        read_matte(tmp_path / "text.png", (0, 0, 5, 5))
    with pytest.raises(JobError, match="not a picture"):
        read_matte(tmp_path / "empty.png", (0, 0, 5, 5))
    with pytest.raises(JobError, match="5x5"):
        read_matte(tmp_path / "m.png", (0, 0, 6, 5))
    with pytest.raises(JobError, match="un-blend map"):
        read_unblend(tmp_path / "u.npz", [(5, 5)])
    with pytest.raises(JobError, match="un-blend map"):
        read_unblend(tmp_path / "text.png", [(5, 5)])
