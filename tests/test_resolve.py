"""The Resolve adapter on the fake Resolve, under each of its manners: pixels, positions, and what must not change.

No test here has seen a real Resolve. The fake takes its calls from the public stubs, and its manners from public notes.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from fake_resolve import Manners
from fake_resolve_api import Thing, documented
from fake_resolve_state import state_of
from fake_resolve_timeline import Item, Timeline, Track
from marking_engine import mark
from resolve_film import ROOT, Film, Marking, begin, expected, feature, run_all, session, worst

from autowipe_resolve import check, clips, host, pick, records, restore  # isort: skip

ADAPTER = ROOT / "plugin" / "resolve" / "autowipe_resolve"
CLOSE = 1.0  # mean levels by which ProRes and 10 bits may differ; the mark alone makes 1.2 and more
ALL = ("plain", "other rate", "on top", "graded", "mirrored", "retimed", "fusion", "compound")

MANNERS = {
    "Studio 21.0.4": Manners(),
    "Studio 21.1": Manners(version=(21, 1, 0)),
    "Studio 20.2": Manners(version=(20, 2, 2)),
    "Studio 19.1": Manners(version=(19, 1, 3)),
    "Studio 18.6, which counts ends in": Manners(version=(18, 6, 6), end_frame="inclusive"),
    "free 21.0": Manners(version=(21, 0, 3), is_studio=False),
    "ends counted in": Manners(end_frame="inclusive"),
    "relative marks": Manners(marks="relative"),
    "out marks not counted in": Manners(mark_out="exclusive"),
    "relative marks, out not counted in": Manners(marks="relative", mark_out="exclusive"),
    "source ends always counted in": Manners(source_end="inclusive"),
    "source starts one off": Manners(is_start_off_by_one=True),
    "appends that return nothing": Manners(returns_items=False),
    "disabling reaches the sound": Manners(disables_links=True),
    "a deletion that fails at first": Manners(first_delete_fails=True),
    "presets that clear the queue": Manners(version=(20, 1, 0), preset_clears_queue=True),
}


@pytest.fixture(params=MANNERS, ids=list(MANNERS))
def manners(request: pytest.FixtureRequest) -> Manners:
    return replace(MANNERS[request.param])


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """A small one: two clips side by side, with sound."""
    film = Film(tmp_path, rate="24")
    film.put("first", 0, 12, 8, has_sound=True)
    film.put("second", 12, 10, 4, has_sound=True)
    return film


def ours(item: Item) -> bool:
    return item.media is not None and item.media.path.endswith(("_clean.mov", "_clean_2.mov"))


def results(film: Film) -> list[Item]:
    return [item for track in film.timeline.video for item in track.items if ours(item)]


def place_of(item: Item) -> tuple[int, int]:
    return item.start, item.duration


def fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on there is no room for the record of a placed clip."""
    write = records.write

    def full(record: dict) -> None:
        if record["is_placed"]:
            raise OSError(28, "No space left on device", record["output"])
        write(record)

    monkeypatch.setattr(records, "write", full)


# What comes back


def test_every_frame_is_the_cleaned_version_of_what_was_shown(tmp_path: Path, manners: Manners) -> None:
    film = feature(tmp_path, manners)
    film.studio.project.queue.append({"JobId": "the user's", "TargetDir": "/films"})
    film.timeline.marks = {"in": 3, "out": 90} if manners.version >= (20,) else {}
    before, was = film.shown(), state_of(film.studio)
    sound = [(item.start, item.is_enabled) for item in film.timeline.audio[0].items]

    run = run_all(film)

    assert sorted(run.done) == sorted(ALL)
    assert run.problems == ["offline was left out: its media is offline; relink it and run again."]
    differences = worst(film.shown(), expected(before, film, *ALL))
    assert max(differences) < CLOSE, [round(value, 2) for value in differences]
    assert sorted(place_of(item) for item in results(film)) == sorted(place_of(film.items[name]) for name in ALL)
    assert [film.items[name].is_enabled for name in ALL] == [False] * len(ALL)
    assert film.items["offline"].is_enabled
    assert [(item.start, item.is_enabled) for item in film.timeline.audio[0].items] == sound
    now = state_of(film.studio)
    untouched = ("page", "current", "folder", "queue", "deliver")
    # Some builds of 20 clear the queue with each preset: then settings go back one by one, and stay as a preset too.
    assert (set(was["presets"]) < set(now["presets"])) == (manners.version[0] == 20)
    assert {key: now[key] for key in untouched} == {key: was[key] for key in untouched}
    assert now["timelines"][0]["marks"] == was["timelines"][0]["marks"]
    assert film.studio.door.misuse == []


def test_restoring_leaves_nothing_behind_on_the_timeline(tmp_path: Path, manners: Manners) -> None:
    film = feature(tmp_path, manners)
    for name in ("mirrored", "retimed", "fusion", "compound"):  # the longer ones are tested above
        film.timeline.video[0].items.remove(film.items.pop(name))
    was = state_of(film.studio)
    run_all(film)

    number = restore.restore(session(film))

    now = state_of(film.studio)
    assert number == 4
    assert now["timelines"] == was["timelines"]
    assert now["page"] == was["page"]
    assert film.studio.door.misuse == []


@pytest.mark.parametrize(
    ("rate", "start"),
    [("24", None), ("25", None), ("29.97 DF", None), ("59.94", None), ("24", 0), ("25", 900000)],
    ids=["24", "25", "29.97 DF", "59.94", "from 00:00:00:00", "from 10:00:00:00"],
)
def test_results_sit_at_their_frames_at_every_rate_and_start(tmp_path: Path, rate: str, start: int | None) -> None:
    film = Film(tmp_path, rate=rate, start=start)
    film.put("plain", 6, 14, 9)
    film.put("other rate", 20, 12, 5, pool=film.clip("other rate", rate=Fraction(24000, 1001), frames=70))
    film.put("mirrored", 32, 8, 3).properties["FlipX"] = True
    film.timeline.playhead = film.start
    before = film.shown()

    run = run_all(film)

    assert len(run.done) == 3, run.problems
    assert max(worst(film.shown(), expected(before, film, "plain", "other rate", "mirrored"))) < CLOSE
    assert film.studio.door.misuse == []


def test_media_with_a_timecode_of_its_own_is_read_from_its_first_frame(tmp_path: Path) -> None:
    film = Film(tmp_path, rate="24")
    film.put("camera", 0, 12, 7).media.start_tc = "04:18:37:20"
    film.put("faster camera", 12, 12, 7, pool=film.clip("faster camera", rate=30)).media.start_tc = "04:18:37:20"
    before = film.shown()

    run_all(film)

    assert max(worst(film.shown(), expected(before, film, "camera", "faster camera"))) == 0


def test_a_clip_at_its_medias_very_end_has_no_room_and_is_rendered_instead(tmp_path: Path) -> None:
    film = Film(tmp_path, rate="24")
    film.put("to the end", 0, 23, 6, pool=film.clip("to the end", rate=25, frames=30))
    before = film.shown()

    run = run_all(film)

    assert run.done == ["to the end"], run.problems
    assert max(worst(film.shown(), expected(before, film, "to the end"))) < CLOSE
    assert results(film)[0].duration == 23


def test_each_clip_says_which_way_it_goes(tmp_path: Path) -> None:
    film = feature(tmp_path)
    now = session(film)
    lines = [clips.look_at(now, span, handles=3).about for span in pick.picks(now, "", is_timeline=True)[0].spans]

    assert lines == [
        "plain: straight from its source",
        "other rate: straight from its source",
        "graded: through Deliver, because it has a grade",
        "mirrored: through Deliver, because it has a transform (FlipX)",
        "retimed: through Deliver, because it is retimed",
        "fusion: through Deliver, because it has a Fusion composition",
        "compound: through Deliver, because it is a nested timeline",
        "offline: left out, its media is offline; relink it and run again",
        "on top: straight from its source",
    ]


@pytest.mark.parametrize("speed", [Fraction(1, 2), Fraction(3, 2), Fraction(-1), Fraction(11, 10)])
@pytest.mark.parametrize("version", [(18, 6, 6), (19, 1, 3), (21, 0, 4), (21, 1, 0)])
def test_every_retime_is_noticed(tmp_path: Path, speed: Fraction, version: tuple[int, ...]) -> None:
    film = Film(tmp_path, Manners(version=version), rate="24")
    film.put("retimed", 0, 20, 40 if speed < 0 else 4, speed=speed)
    now = session(film)

    clip = clips.look_at(now, pick.Span(1, now.items(1)[0]), handles=0)

    unknown = "Resolve does not say its source frames"  # before 19, for any clip
    assert clip.why == ["it is retimed" if version >= (19,) else unknown]


def test_any_clip_can_be_asked_to_go_through_deliver(film: Film) -> None:
    before = film.shown()

    run_all(film, route="deliver")

    assert max(worst(film.shown(), expected(before, film, "first", "second"))) < CLOSE
    assert not list((film.folder / "clean").glob("autowipe_*"))  # the renders are gone, the cleaned clips stay


def test_what_deliver_rendered_is_read_as_what_it_is(film: Film) -> None:
    film.studio.project.colour["colorScienceMode"] = "davinciYRGBColorManagedv2"
    film.items["first"].properties["FlipX"] = True
    for item in film.items.values():
        item.media.other["Input Color Space"] = "S-Gamut3.Cine/S-Log3"

    run_all(film)

    read = {Path(item.media.path).stem: item.media.properties()["Input Color Space"] for item in results(film)}
    assert read == {"first_clean": "Rec.709 Gamma 2.4", "second_clean": "S-Gamut3.Cine/S-Log3"}


def test_a_grade_on_the_whole_timeline_keeps_clips_from_deliver(film: Film) -> None:
    film.timeline.grade = Fraction(1, 5)
    film.items["first"].properties["FlipX"] = True

    run = run_all(film)

    assert run.done == ["second"] and "the timeline itself has a grade" in run.said()


def test_raw_files_are_read_by_resolve(film: Film) -> None:
    raw = film.folder / "A001.braw"
    raw.write_bytes(b"raw")
    film.items["first"].media.path = str(raw)
    now = session(film)

    assert clips.look_at(now, pick.Span(1, now.items(1)[0]), handles=0).why == ["Resolve alone reads its raw file"]


def test_a_render_of_the_users_is_waited_for(film: Film) -> None:
    film.studio.project.rendering = "the user's"
    film.items["first"].properties["FlipX"] = True
    film.timeline.selected = [film.items["first"]]
    was = state_of(film.studio)

    run = run_all(film, is_timeline=False)

    assert "Resolve is rendering already" in run.said()
    assert state_of(film.studio) == was


def test_a_transition_sends_a_clip_through_deliver(film: Film) -> None:
    transition = Item(film.timeline, None, film.start + 9, 6)
    transition.properties = {}
    film.timeline.video[0].items.append(transition)
    now = session(film)

    clip = clips.look_at(now, pick.Span(1, now.items(1)[0]), handles=0)

    assert clip.why == ["it has a transition"]


def test_handles_reach_as_far_as_the_file(tmp_path: Path) -> None:
    film = Film(tmp_path, rate="24")
    film.put("short", 0, 12, 2, pool=film.clip("short", frames=20))
    now = session(film)

    clip = clips.look_at(now, pick.Span(1, now.items(1)[0]), handles=5)

    assert (clip.first, clip.last) == (0, 20)


def test_what_lies_over_a_clip_stays_over_its_result(film: Film) -> None:
    film.timeline.video.append(Track())
    title = Item(film.timeline, None, film.start + 2, 6)
    film.timeline.video[-1].items.append(title)
    before = film.shown()

    run_all(film)

    kept = [picture[:, :24] for picture in film.shown()]
    assert all((a == b).all() for a, b in zip(kept, [picture[:, :24] for picture in before], strict=True))
    assert film.timeline.video[-1].items == [title]
    assert max(worst(film.shown(), expected(before, film, "first", "second"))) == 0


def test_where_no_track_can_be_put_between_it_is_said_and_nothing_changes(film: Film) -> None:
    film.studio.manners.inserts_tracks = False
    film.timeline.video.append(Track())
    film.timeline.video[-1].items.append(Item(film.timeline, None, film.start, 30))
    was = state_of(film.studio)

    run = run_all(film)

    assert "Move it up one track, or place results as takes." in run.said()
    assert state_of(film.studio) == was


def test_a_result_can_be_a_take_of_its_clip(tmp_path: Path, manners: Manners) -> None:
    film = Film(tmp_path, manners, rate="24")
    film.put("plain", 0, 12, 8)
    was, before = state_of(film.studio), film.shown()

    run_all(film, place="take")

    assert max(worst(film.shown(), expected(before, film, "plain"))) < CLOSE
    assert len(film.timeline.video) == (1 if manners.version >= (19,) else 2)  # 18 does not say enough for a take
    assert place_of(film.items["plain"]) == (film.start, 12)
    assert restore.restore(session(film)) == 1
    assert state_of(film.studio)["timelines"] == was["timelines"]
    assert film.studio.door.misuse == []


def test_a_take_keeps_what_resolve_adds_to_its_clip(tmp_path: Path) -> None:
    film = Film(tmp_path, rate="24")
    film.put("graded", 0, 6, 8).grade = Fraction(2, 5)
    film.put("mirrored", 6, 6, 8).properties["FlipX"] = True
    film.put("retimed", 12, 6, 8, speed=2)
    before = film.shown()

    run = run_all(film, place="take")

    mirrored = [mark(picture[:, ::-1])[:, ::-1] for picture in before[6:12]]
    wanted = [*map(mark, before[:6]), *mirrored, *map(mark, before[12:])]
    assert max(worst(film.shown(), wanted)) < CLOSE, run.problems
    assert [item.name for item in film.timeline.video[0].items if item.takes] == ["graded", "mirrored"]
    assert [item.start - film.start for item in film.timeline.video[1].items] == [12]


def test_a_clip_without_overlays_stays_as_it_is(tmp_path: Path) -> None:
    film = Film(tmp_path, rate="24")
    film.put("empty", 0, 12, 8)
    was = state_of(film.studio)

    run = run_all(film)

    assert run.said() == "No overlay was found in empty."
    assert state_of(film.studio) == was
    assert not list((film.folder / "clean").iterdir())


# Running again


def test_a_second_run_replaces_the_first(film: Film) -> None:
    before = film.shown()
    run_all(film)
    first = results(film)

    run_all(film)

    second = results(film)
    assert [place_of(item) for item in second] == [place_of(item) for item in first]
    assert not {item.id for item in first} & {item.id for item in second}
    assert len(film.timeline.video) == 2
    assert max(worst(film.shown(), expected(before, film, "first", "second"))) == 0
    assert len(list((film.folder / "clean").glob("*.mov"))) == 4  # the files of the first run are kept
    assert restore.restore(session(film)) == 2
    assert max(worst(film.shown(), before)) == 0


@pytest.mark.parametrize("way", ["above", "take"])
def test_a_second_run_that_fails_leaves_the_first(film: Film, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    run_all(film, place=way)
    seen, markers = film.shown(), dict(film.timeline.markers)
    fill_the_disk(monkeypatch)
    run = run_all(film, place=way)

    assert len(run.problems) == 2 and not run.done
    assert max(worst(film.shown(), seen)) == 0
    assert [item.is_enabled for item in film.items.values()] == [way == "take"] * 2
    assert film.timeline.markers == markers


def test_a_second_run_over_a_take_works_on_the_source_again(film: Film) -> None:
    before = film.shown()
    run_all(film, place="take")
    film.items["first"].source += 2  # trimmed at its head since
    film.items["first"].start += 2
    film.items["first"].duration -= 2

    run_all(film, place="take")

    assert [len(item.takes) for item in film.items.values()] == [2, 2]
    jobs = [records.read(str(path)) for path in sorted((film.folder / "clean").glob("*_clean_2.mov"))]
    assert [(Path(job["job"]["source"]).name, job["lead"]) for job in jobs] == [("first.mov", 10), ("second.mov", 4)]
    assert max(worst(film.shown()[2:], expected(before, film, "first", "second")[2:])) == 0


def test_a_second_run_on_a_part_replaces_all_of_the_first(film: Film) -> None:
    before = film.shown()
    run_all(film)
    film.timeline.marks = {"in": 2, "out": 5}

    run_all(film, is_timeline=False)

    assert max(worst(film.shown(), expected(before, film, "first", "second"))) == 0
    assert [place_of(item) for item in results(film)] == [(film.start + 12, 10), (film.start, 12)]


def test_results_are_found_on_a_copy_of_the_timeline_too(film: Film) -> None:
    before = film.shown()
    run_all(film)
    for track in film.timeline.video:
        for item in track.items:
            item.id += " copied"
    film.timeline.id += " copied"

    assert restore.restore(session(film)) == 2
    assert max(worst(film.shown(), before)) == 0


def test_only_the_selected_clips_are_restored(film: Film) -> None:
    run_all(film)
    film.timeline.selected = [next(item for item in results(film) if item.start == film.start)]

    chosen = {host.identity_of(film.studio.door.out(item)) for item in film.timeline.selected}
    assert restore.restore(session(film), chosen) == 1

    assert [item.is_enabled for item in film.items.values()] == [True, False]


def test_nothing_to_restore_is_said(film: Film) -> None:
    with pytest.raises(host.Refused, match="nothing to restore"):
        restore.restore(session(film))


def test_cleaned_clips_of_a_stopped_run_are_taken_over(film: Film) -> None:
    _, steps = begin(film)
    for text, _ in steps:
        if text.startswith("Placing"):
            steps.close()
            break
    was = [path.stat().st_mtime_ns for path in sorted((film.folder / "clean").glob("*.mov"))]
    jobs: list[str] = []

    def engine(job: dict, name: str) -> Marking:
        jobs.append(name)
        return Marking(job)

    assert not results(film)
    run_all(film, engine=engine)

    assert jobs == [] and len(was) == 2
    assert len(results(film)) == 2


# Which clips


def test_selected_clips_come_first_then_marks_colour_and_playhead(film: Film) -> None:
    timeline = film.timeline
    timeline.selected = [film.items["second"]]
    timeline.marks = {"in": 4, "out": 7}
    film.items["second"].colour = "Orange"
    film.items["first"].colour, film.items["first"].flags = "Teal", ["Orange"]

    found = pick.picks(session(film), "Orange")

    assert [(one.way, [(span.start - film.start, span.stop - film.start) for span in one.spans]) for one in found] == [
        ("selected", [(12, 22)]),
        ("marked", [(4, 8)]),
        ("colour Orange", [(0, 12), (12, 22)]),
        ("playhead", [(0, 12)]),
        ("colour Teal", [(0, 12)]),
    ]
    assert found[0].text == "1 clip selected"


def test_a_resolve_without_selection_goes_by_marks(film: Film) -> None:
    film.studio.door.version = (20, 2, 2)
    film.timeline.selected = [film.items["second"]]
    film.timeline.marks = {"in": 0, "out": 30}

    assert [one.way for one in pick.picks(session(film), "Orange")] == ["marked", "playhead"]


def test_a_part_between_marks_is_cleaned_and_its_clip_stays_on(film: Film) -> None:
    film.timeline.marks = {"in": 4, "out": 15}
    before = film.shown()

    run_all(film, is_timeline=False)

    wanted = [*before[:4], *expected(before, film, "first", "second")[4:16], *before[16:]]
    assert max(worst(film.shown(), wanted)) == 0
    assert [item.is_enabled for item in film.items.values()] == [True, True]


def test_a_selected_result_stands_for_its_original(film: Film) -> None:
    run_all(film)
    film.timeline.selected = results(film)[:1]

    spans = pick.picks(session(film), "Orange")[0].spans

    assert [host.identity_of(span.item) for span in spans] == [film.items["first"].id]


@pytest.mark.parametrize("what", ["title", "locked track", "missing file", "switched off", "track off"])
def test_what_cannot_be_cleaned_is_left_out_with_its_reason(film: Film, what: str) -> None:
    item = film.items["second"]
    film.timeline.selected = [item]
    if what == "title":
        item.media = None
    elif what == "missing file":
        Path(item.media.path).unlink()
    item.is_enabled = what != "switched off"
    film.timeline.video[0].is_enabled = what != "track off"
    film.timeline.video[0].is_locked = what == "locked track"
    was = state_of(film.studio)

    run = run_all(film, is_timeline=False)

    reasons = {"title": "has no media", "locked track": "V1 is locked; unlock it", "missing file": "relink it"}
    reason = reasons.get(what, "it is switched off")
    assert reason in run.said() and run.said().startswith("second was left out: ")
    assert state_of(film.studio) == was


# Markers and subtitles


def test_markers_stand_where_overlays_were_and_leave_the_users_alone(film: Film) -> None:
    film.timeline.markers[0] = {"color": "Red", "name": "mine", "note": "", "duration": 1.0, "customData": ""}

    run_all(film, handles=0)

    made = {frame: marker for frame, marker in film.timeline.markers.items() if marker["name"] != "mine"}
    assert {frame: (marker["name"], marker["duration"]) for frame, marker in made.items()} == {
        1: ("Removed logo", 5.0),  # frame 0 is taken
        12: ("Removed logo", 5.0),
    }
    assert film.timeline.markers[0]["name"] == "mine"
    restore.restore(session(film))
    assert list(film.timeline.markers) == [0]


def test_the_text_of_subtitles_is_in_the_bin(film: Film) -> None:
    run_all(film)

    bin_ = next(folder for folder in film.studio.project.pool.root.folders if folder.name == "AutoWipe")
    assert sorted(Path(clip.path).name for clip in bin_.clips) == [
        "first_clean.mov",
        "first_clean.srt",
        "second_clean.mov",
        "second_clean.srt",
    ]


# What goes wrong


TROUBLE = {
    "the engine dies": ("dies", {}, "The engine stopped without a result"),
    "the engine fails": ("fails", {}, "cannot be read from frame 7 on. Copy the file again."),
    "the disk is full": ("full", {}, "the disk is full. Free space on that disk, then run it again."),
    "the import fails": ("fine", {"imports": False}, "Resolve would not import"),
    "nothing is placed": ("fine", {"appends": False}, "Resolve did not place the cleaned fine at its frames"),
    "it cannot be switched off": ("fine", {"disables": False}, "Resolve would not switch fine off"),
    "the render fails": ("flipped", {"render": "fails"}, "Resolve could not render flipped"),
    "the render fails at once": ("flipped", {"render": "fails at once"}, "Resolve could not render flipped"),
    "the render is refused": ("flipped", {"render": "refused"}, "did not take the range of flipped"),
    "the render has no picture": ("flipped", {"render": "no picture"}, "has no picture"),
    "the render is too short": ("flipped", {"render": "short"}, ""),
}


@pytest.mark.parametrize("case", TROUBLE)
def test_trouble_ends_in_a_sentence_and_changes_nothing(tmp_path: Path, case: str) -> None:
    name, wrong, sentence = TROUBLE[case]
    film = Film(tmp_path, Manners(**wrong), rate="24")
    film.put(name, 0, 12, 8, has_sound=True).properties["FlipX"] = name == "flipped"
    film.put("beside it", 12, 5, 2)
    film.timeline.selected = [film.items[name]]
    was, before = state_of(film.studio), film.shown()

    run = run_all(film, is_timeline=False)

    if case == "the render is too short":  # one frame more is asked for, and comes
        assert run.done == [name]
        assert max(worst(film.shown(), expected(before, film, name))) < CLOSE
        return
    assert sentence in run.said() and len(run.problems) == 1 and "Traceback" not in run.said()
    now = state_of(film.studio)
    if case == "the render is refused":  # where the queue takes no job at all, these cannot be read
        unread = ("TargetDir", "CustomName", "SelectAllFrames", "MarkIn", "MarkOut")
        now["deliver"].update({key: was["deliver"][key] for key in unread if key in was["deliver"]})
        now["deliver"] = {key: now["deliver"][key] for key in was["deliver"]}
    assert now == was
    assert not list((film.folder / "clean").glob("autowipe_*"))
    assert film.studio.door.misuse == []


def test_a_disk_that_fills_up_while_placing_undoes_it_all(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    was = state_of(film.studio)
    fill_the_disk(monkeypatch)
    run = run_all(film)

    assert len(run.problems) == 2 and "No space left on device" in run.problems[0]
    assert state_of(film.studio) == was


@pytest.mark.parametrize("at", ["Resolve renders it", "working", "Placing"])
def test_a_cancel_changes_nothing(tmp_path: Path, at: str) -> None:
    film = Film(tmp_path, Manners(), rate="24")
    film.put("flipped", 0, 12, 8).properties["FlipX"] = True
    was = state_of(film.studio)

    run, steps = begin(film)
    for text, _ in steps:
        if at in text:
            break
    steps.close()

    assert not run.done
    assert state_of(film.studio) == was
    assert not list((film.folder / "clean").glob("autowipe_*"))
    assert not film.studio.project.rendering


def test_one_clip_in_trouble_does_not_keep_the_others(tmp_path: Path) -> None:
    film = Film(tmp_path, rate="24")
    film.put("fails", 0, 12, 8)
    film.put("fine", 12, 12, 8)

    run = run_all(film)

    assert run.done == ["fine"]
    assert run.said().startswith("1 clip cleaned and placed. fails: ")


def test_a_clip_that_moved_meanwhile_is_followed_and_one_that_was_slipped_is_not(film: Film) -> None:
    run, steps = begin(film)
    for text, _ in steps:
        if text.startswith("Placing first"):
            film.items["first"].start += 40
            film.items["second"].source += 2

    assert [place_of(item) for item in results(film)] == [(film.start + 40, 12)]
    assert run.problems == ["second was cut or deleted in the meantime; run it again on what is there now."]


def test_another_timeline_that_is_opened_meanwhile_is_left_alone(film: Film) -> None:
    other = Timeline(film.studio.project, "Other", "24")
    run, steps = begin(film)
    for text, _ in steps:
        if "working" in text:
            film.studio.project.current = other

    assert len(run.done) == 2 and len(results(film)) == 2
    assert film.studio.project.current is other
    assert not any(track.items for track in other.video)


def test_results_are_taken_away_from_the_fairlight_page_too(film: Film) -> None:
    film.studio.page = "fairlight"
    run_all(film)

    assert restore.restore(session(film)) == 2
    assert film.studio.page == "fairlight"


def test_a_folder_that_cannot_be_made_is_told(film: Film) -> None:
    (film.folder / "clean").write_text("a file, not a folder")
    was = state_of(film.studio)

    with pytest.raises(host.Refused, match="cannot be made"):
        run_all(film)

    assert state_of(film.studio) == was


def test_files_of_the_user_are_never_replaced(film: Film) -> None:
    (film.folder / "clean").mkdir()
    mine = film.folder / "clean" / "first_clean.mov"
    mine.write_text("mine")

    run_all(film)

    assert mine.read_text() == "mine"
    assert (film.folder / "clean" / "first_clean_2.mov").exists()
    assert records.read(str(mine)) is None


# What is asked of Resolve


def test_the_adapter_asks_for_documented_calls_only() -> None:
    known = {name for calls in documented().values() for name in calls}
    asked: set[str] = set()
    for path in ADAPTER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("ask", "did", "has"):
                asked |= {arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant)}

    assert len(asked) > 40
    assert not asked - known


def test_what_the_check_page_reads_is_documented() -> None:
    read = {"Timeline": check.CALLS["timeline"], "Project": check.CALLS["project"]}
    for name, calls in {**read, "TimelineItem": (*check.CALLS["item"], *check.READ)}.items():
        assert set(calls) <= set(documented()[name])


def test_the_fake_has_documented_calls_only() -> None:
    things = Thing.__subclasses__()

    assert {thing.api for thing in things} >= {"Resolve", "Project", "MediaPool", "Timeline", "TimelineItem", "Graph"}
    for thing in things:
        calls = {name for name in dir(thing) if name[0].isupper()}
        assert not calls - set(documented()[thing.api]), thing.api


def test_the_fake_is_as_tight_lipped_as_resolve(film: Film) -> None:
    timeline = film.studio.handle.GetProjectManager().GetCurrentProject().GetCurrentTimeline()
    assert hasattr(timeline, "NoSuchThing") and timeline.NoSuchThing is None
    assert timeline.GetItemListInTrack("video", 0) == [] and timeline.GetTrackName("video", 99) == ""
    assert timeline.GetStartFrame(1, 2) is None
    item = timeline.GetItemListInTrack("video", 1)[0]
    assert item is not timeline.GetItemListInTrack("video", 1)[0]
    timeline.DeleteClips([item], False)
    assert item.GetName() is None
    assert film.studio.door.misuse == [
        "Timeline.NoSuchThing is not in the documented API",
    ] * 2 + ["Timeline.GetStartFrame takes 0 to 0 arguments, got 2"]


def old_python() -> str | None:
    """A Python 3.6 that starts, or None."""
    found = [shutil.which("python3.6"), *sorted(Path.home().glob(".pyenv/versions/3.6*/bin/python"))]
    for python in found:
        if python and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(python)
    return None


def test_the_adapter_loads_in_python_3_6() -> None:
    python = old_python()
    if python is None:
        pytest.skip("no Python 3.6 here")
    folders = [str(ROOT / "plugin"), str(ROOT / "plugin" / "resolve")]
    code = f"import sys; sys.dont_write_bytecode = True; sys.path[:0] = {folders!r}; import autowipe_resolve.main"

    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_every_call_that_was_made_is_one_of_the_fakes(film: Film) -> None:
    run_all(film, route="deliver")

    assert set(film.studio.door.calls) <= {f"{api}.{call}" for api, calls in documented().items() for call in calls}
