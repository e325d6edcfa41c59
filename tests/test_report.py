"""The report: which frames it shows, and a page that is whole, safe and usable by itself."""

import re
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser

import chromium
import numpy as np
import pytest
from autowipe.errors import MediaError
from autowipe.job import Job
from autowipe.plan import Event, Overlay, Plan, Source
from autowipe.plate import BORROWED, INVENTED, Plate
from autowipe.protocol import Warned
from autowipe.report import write_report
from autowipe.sidecars import Tally, provenance_picture
from autowipe.stills import Stills, pick_stills
from autowipe.timing import FrameRange

SIZE = (320, 180)
EVIL = '<script>alert("x")</script>'
VOID = {"meta", "link", "img", "input", "br"}


def overlay(name="logo-1", kind="logo", *events, box=(20, 10, 60, 30), **more):
    return Overlay(id=name, kind=kind, box=box, events=events or (Event(FrameRange(0, 250)),), **more)


def lines(count, **more):
    events = [Event(FrameRange(40 * i + 5, 40 * i + 35), text=f"Line {i}") for i in range(count)]
    return overlay("subtitle-1", "subtitle", *events, box=(60, 140, 200, 24), **more)


def plan(*overlays, frames=250):
    source = Source("/footage/A & B <1>.mp4", SIZE, Fraction(25), frames, "")
    return Plan(source, FrameRange(0, frames), (FrameRange(0, 100), FrameRange(100, frames)), overlays)


def job(**more):
    return Job(source="/footage/A & B <1>.mp4", output="/footage/it's clean.mp4", **more)


def wiped(frame, box=(20, 10, 60, 30)):
    provenance = np.full((box[3], box[2]), BORROWED, np.uint8)
    provenance[:, :15] = INVENTED
    return Plate(frame, box, [], [provenance > 0], provenance)


def save_all(stills):
    rng = np.random.default_rng(5)
    for frame in stills.wanted:
        before = rng.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
        stills.save(frame, before, before // 2, provenance_picture(SIZE, [wiped(frame)]))


def page(tmp_path, a_plan, *, with_stills=True, **more):
    """A whole report's text, as pass B would make it."""
    a_job = more.pop("job", job())
    tally = Tally(a_plan.active())
    for frame in range(3):
        tally.add(frame, [wiped(frame)])
    stills = Stills(tmp_path / "stills", a_plan) if with_stills else None
    if stills:
        save_all(stills)
    write_report(
        tmp_path / "report.html",
        plan=a_plan,
        job=a_job,
        tally=more.pop("tally", tally),
        stills=stills,
        **more,
    )
    return (tmp_path / "report.html").read_text("utf-8")


def words(text):
    """What a reader sees, without tags, scripts and styles."""
    text = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", text)
    return re.sub(r"[ \n]+", " ", re.sub(r"<[^>]*>", " ", text))


class Checker(HTMLParser):
    """Fails on a tag that is closed wrongly or an id that comes twice; keeps addresses and tags."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.addresses, self.tags = [], set(), [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "action", "poster", "srcset", "data"):
                self.addresses.append(value)
            if name == "id":
                assert value not in self.ids, f"the id {value} is given twice"
                self.ids.add(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()} closes nothing"


def check(text):
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    return checker


def test_stills_show_every_overlay_and_depend_on_the_plan_alone():
    a_plan = plan(overlay(), lines(6))

    chosen = pick_stills(a_plan)

    assert chosen == pick_stills(Plan.from_json(a_plan.to_json()))
    assert {name for names in chosen.values() for name in names} == {"logo-1", "subtitle-1"}
    assert list(chosen) == sorted(chosen)
    assert all(frame in a_plan.range for frame in chosen)


def test_stills_are_few_however_many_lines_there_are():
    a_plan = plan(*(replace(lines(500), id=f"s{i}") for i in range(3)), frames=20000)

    assert len(pick_stills(a_plan, most=16)) == 16
    assert pick_stills(plan()) == {}


def test_stills_leave_out_what_is_not_wiped():
    a_plan = plan(overlay(enabled=False), lines(2))

    assert {name for names in pick_stills(a_plan).values() for name in names} == {"subtitle-1"}
    assert pick_stills(a_plan, kinds=("watermark",)) == {}


def test_saved_stills_are_there_for_a_resumed_run(tmp_path):
    a_plan = plan(overlay(), lines(3))
    save_all(Stills(tmp_path / "stills", a_plan))

    again = Stills(tmp_path / "stills", a_plan)

    assert [still.frame for still in again.read()] == list(again.wanted)
    assert not list(tmp_path.rglob("*.part"))


def test_a_still_that_was_not_saved_is_left_out(tmp_path):
    stills = Stills(tmp_path / "stills", plan(overlay()))

    assert stills.read() == []


@pytest.mark.parametrize("box", [(0, 0, 320, 180), (0, 0, 3, 3), (300, 170, 20, 10), (310, 0, 10, 180)])
def test_an_overlay_anywhere_gets_a_close_up(tmp_path, box):
    stills = Stills(tmp_path / "stills", plan(overlay(box=box)))
    save_all(stills)

    assert [view.name for view in stills.read()[0].views] == ["", "logo-1"]


def test_an_overlay_that_moves_out_of_the_picture_does_no_harm(tmp_path):
    stills = Stills(tmp_path / "stills", plan(overlay(trajectory=((0, 0, 0), (250, 4000, 4000)))))

    save_all(stills)

    assert len(stills.read()) == len(stills.wanted)


def test_the_page_is_well_formed_and_needs_nothing_else(tmp_path):
    text = page(tmp_path, plan(overlay(), lines(6)), warnings=[Warned("x", "Look here.")], seconds={"wipe": 3})

    checker = check(text)

    assert checker.tags.count("script") == 1
    assert all(address.startswith("data:") for address in checker.addresses)
    assert not re.search(r"https?://|url\(|@import", text)


def test_every_overlay_is_listed_with_its_times_state_and_recovery(tmp_path):
    kept = overlay("mark-2", "watermark", enabled=False)

    seen = words(page(tmp_path, plan(overlay(), lines(6), kept), start_timecode="01:00:00:00"))

    assert "logo-1" in seen and "subtitle-1" in seen and "mark-2" in seen
    assert "kept: switched off in the plan" in seen
    assert "01:00:00:00 \u2013 01:00:09:24" in seen
    assert "frames 0\u2013249" in seen
    assert "75\u202f% borrowed" in seen and "25\u202f% invented" in seen
    assert "Removed a logo and 6 lines of subtitles." in seen


def test_text_from_outside_cannot_become_markup(tmp_path):
    name = f"x{EVIL}"
    evil = overlay(name, "subtitle", Event(FrameRange(0, 9), text=EVIL), evidence={EVIL: EVIL})

    text = page(
        tmp_path,
        plan(evil),
        warnings=[Warned(EVIL, EVIL)],
        files={"output": f"/{EVIL}.mp4"},
        versions={EVIL: EVIL},
        job=job(hold_outs=(f"/{EVIL}.png",), save_plan=f"/{EVIL}.json"),
    )

    assert EVIL not in text
    assert check(text).tags.count("script") == 1
    assert "A &amp; B &lt;1&gt;.mp4" in text


def test_the_command_keeps_an_overlay_and_the_runs_options(tmp_path):
    text = page(tmp_path, plan(overlay()), job=job(codec="prores", hold_outs=((1, 2, 3, 4),)))

    assert "autowipe perceive" in text
    command = re.search(r"autowipe wipe [^<]*", text)[0]
    assert "--codec prores" in command
    assert "--hold-out 1,2,3,4" in command


def test_a_plan_that_is_there_need_not_be_made_again(tmp_path):
    text = page(tmp_path, plan(overlay()), job=job(save_plan="/footage/a plan.json"))

    assert "autowipe perceive" not in text
    assert "a plan.json" in text


def test_nothing_found_says_that_the_file_is_unchanged(tmp_path):
    text = page(tmp_path, plan(), with_stills=False, tally=None)

    assert "No overlay was found. The file is unchanged." in words(text)
    check(text)


def test_overlays_that_were_all_kept_leave_the_file_unchanged(tmp_path):
    text = page(tmp_path, plan(overlay(enabled=False)), tally=Tally(()))

    assert "kept everything. The file is unchanged." in words(text)


def test_what_was_only_perceived_is_not_called_removed(tmp_path):
    perceived = Job(source="/footage/a.mp4", task="perceive", save_plan="/footage/a.json")

    text = page(tmp_path, plan(overlay(), lines(1)), with_stills=False, tally=None, job=perceived)

    assert "Found a logo and a line of subtitles. Nothing has been changed yet." in words(text)
    check(text)


def test_hundreds_of_lines_are_folded(tmp_path):
    text = page(tmp_path, plan(lines(500), frames=20000))

    assert "<summary>500 lines</summary>" in text
    assert "<details open" not in text


@pytest.mark.parametrize(
    ("rate", "start", "frame", "shown"),
    [
        (Fraction(25), "10:00:00:00", 30, "10:00:01:05"),
        (Fraction(30000, 1001), "00:00:59;28", 2, "00:01:00;02"),  # drop-frame skips 00 and 01
        (Fraction(30000, 1001), "00:00:59:28", 2, "00:01:00:00"),
        (Fraction(30000, 1001), None, 1800, "00:01:00;02"),
        (Fraction(25), "not a timecode", 30, "00:00:01:05"),
    ],
)
def test_times_are_in_the_clips_own_timecode(tmp_path, rate, start, frame, shown):
    a_plan = plan(overlay("logo-1", "logo", Event(FrameRange(frame, frame + 10))), frames=2000)
    a_plan = replace(a_plan, source=replace(a_plan.source, rate=rate))

    text = page(tmp_path, a_plan, with_stills=False, start_timecode=start)

    assert f"{shown} \u2013 " in words(text)


def test_a_report_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()

    with pytest.raises(MediaError):
        write_report(tmp_path / "taken", plan=plan(), job=job())

    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.skipif(not chromium.IS_HERE, reason="Chromium is not on this machine")
def test_the_page_works_in_a_browser(tmp_path):
    page(tmp_path, plan(overlay(), lines(6)))
    cut = "document.querySelector('.still:not([hidden]) .stage').style.getPropertyValue('--cut')"
    box = "Object.values(document.querySelector('.still:not([hidden]) .stage').getBoundingClientRect().toJSON())"

    with chromium.Chromium(tmp_path / "profile") as browser:
        browser.open(tmp_path / "report.html", 1280, 2000)
        assert browser.evaluate("document.querySelectorAll('.still:not([hidden])').length") == 1
        x, y, width, *_ = browser.evaluate(box)
        browser.mouse("mousePressed", x + width / 4, y + 40)
        assert browser.evaluate(cut) == "25%"
        browser.mouse("mouseMoved", x + width * 3 / 4, y + 40)
        browser.mouse("mouseReleased", x + width * 3 / 4, y + 40)
        assert browser.evaluate(cut) == "75%"
        browser.key("ArrowRight", 39)
        assert browser.evaluate(cut) == "75.5%"
        browser.evaluate("document.querySelector('.still:not([hidden]) [data-view=\"1\"]').click()")
        shown = "document.querySelector('.still:not([hidden]) .view:not([hidden]) img').naturalWidth"
        assert browser.evaluate(shown) > 0
        browser.evaluate("[...document.querySelectorAll('.film button')].at(-1).click()")
        assert browser.evaluate("[...document.querySelectorAll('.still')].at(-1).hidden") is False

        requests = [e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"]
        faults = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        assert all(url.startswith(("data:", "file:")) for url in requests)
        assert not [event for event in browser.events if event["method"] in faults]

        browser.open(tmp_path / "report.html", 390, 844)
        browser.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
        assert browser.evaluate("document.documentElement.scrollWidth") == 390
