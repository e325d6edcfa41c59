"""What single formats hold beyond plain cuts: speed, transitions, attached clips, odd clocks; all of it stays."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as Tree

import aaf2
import opentimelineio as otio
import pytest
from autowipe import timelines
from autowipe.errors import MediaError
from autowipe.timelines import Cleaned, Medium, Use, _urls, exact_rate, frames_of
from autowipe.timing import FrameRange, read_timecode, timecode
from opentimelineio.opentime import RationalTime, TimeRange


def medium(path: str = "/media/a.mov", rate: object = 25, frames: int = 500, code: str | None = None) -> Medium:
    return Medium(path, Fraction(rate), frames, code, False)


def written(document: timelines.Document, path: Path, cleaned: dict[int, Cleaned]) -> str:
    document.write(path, cleaned)
    return path.read_text("utf-8")


def part(of: Medium, start: int, stop: int) -> Cleaned:
    return Cleaned("/out/media/clean one.mov", of, FrameRange(start, stop))


FCP7 = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE xmeml>
<xmeml version="5"><sequence id="s"><name>cut</name><rate><timebase>30</timebase><ntsc>TRUE</ntsc></rate>
<media><video><track>
<clipitem id="c1"><name>One</name><masterclipid>m1</masterclipid><duration>500</duration>
 <rate><timebase>30</timebase><ntsc>TRUE</ntsc></rate><start>-1</start><end>90</end><in>100</in><out>160</out>
 <file id="f1"><name>a.mov</name><pathurl>file://localhost/media/a%20b.mov</pathurl>
  <rate><timebase>30</timebase><ntsc>TRUE</ntsc></rate><duration>500</duration>
  <timecode><rate><timebase>30</timebase><ntsc>TRUE</ntsc></rate><string>01:00:00;00</string><frame>107892</frame>
   <displayformat>DF</displayformat></timecode></file>
 <filter><effect><name>Blur</name><effectid>Gaussian</effectid></effect></filter></clipitem>
<clipitem id="c2"><name>Fast</name><duration>250</duration><rate><timebase>30</timebase><ntsc>TRUE</ntsc></rate>
 <start>90</start><end>120</end><in>50</in><out>80</out><file id="f1"/>
 <filter><effect><effectid>timeremap</effectid><parameter><parameterid>variablespeed</parameterid><value>0</value>
 </parameter><parameter><parameterid>speed</parameterid><value>200</value></parameter></effect></filter></clipitem>
</track></video><audio><track><clipitem id="c3"><start>0</start><end>90</end><in>100</in><out>160</out>
 <file id="f1"/></clipitem></track></audio></media></sequence></xmeml>
"""


@pytest.fixture
def fcp7(tmp_path: Path) -> timelines.Document:
    (tmp_path / "cut.xml").write_text(FCP7)
    return timelines.read(tmp_path / "cut.xml")


def test_fcp7_speed_and_transitions_are_reckoned_with(fcp7: timelines.Document) -> None:
    source = medium("/media/a b.mov", "30000/1001", code="01:00:00;00")

    one, fast = fcp7.uses

    assert one.media == "/media/a b.mov"
    assert (one.record, one.length, frames_of(one, source)) == (30, 60, FrameRange(100, 160))
    assert frames_of(fast, source).stop == 160  # frame 80 of the clip at twice the speed
    assert fast.is_fixed and not one.is_fixed


def test_fcp7_media_of_a_slowed_clip_begin_at_their_first_frame(tmp_path: Path) -> None:
    (tmp_path / "slow.xml").write_text(FCP7.replace("<value>200</value>", "<value>50</value>"))

    slow = timelines.read(tmp_path / "slow.xml").uses[1]

    assert slow.is_fixed
    assert frames_of(slow, medium(rate="30000/1001")).stop == 80


def test_fcp7_keeps_its_effects_its_sound_and_its_document_type(fcp7: timelines.Document, tmp_path: Path) -> None:
    source = medium("/media/a b.mov", "30000/1001", code="01:00:00;00")

    text = written(fcp7, tmp_path / "new.xml", {0: part(source, 88, 172)})

    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE xmeml>\n<xmeml version="5">')
    one, fast, sound = Tree.fromstring(text).iter("clipitem")
    assert (one.findtext("in"), one.findtext("out"), one.findtext("start")) == ("12", "72", "-1")
    assert one.findtext("file/pathurl") == "file://localhost/out/media/clean%20one.mov"
    assert one.findtext("file/timecode/string") == timecode(107892 + 88, Fraction(30000, 1001))
    assert one.findtext("filter/effect/effectid") == "Gaussian"
    assert fast.findtext("file/pathurl") == "file://localhost/media/a%20b.mov"  # described where it now comes first
    assert fast.findtext("filter/effect/effectid") == "timeremap"
    assert sound.find("file").get("id") == "f1" and not len(sound.find("file"))


FCPXML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE fcpxml>
<fcpxml version="1.10"><resources><format id="r1" frameDuration="1/25s"/>
<asset id="r2" name="a" start="3600s" duration="20s" hasVideo="1" format="r1" uid="ABC">
 <media-rep kind="original-media" sig="ABC" src="file:///media/a.mov"><bookmark>Ym9vaw==</bookmark></media-rep></asset>
<asset id="r3" name="b" start="0s" duration="20s" hasVideo="1" format="r1">
 <media-rep kind="original-media" src="file:///media/b.mov"/></asset></resources>
<library><event><asset-clip ref="r3" name="browser" duration="20s"/><project>
<sequence format="r1" tcStart="3600s"><spine>
<asset-clip ref="r2" name="A" offset="3600s" start="3604s" duration="2s"><adjust-volume amount="-6dB"/>
 <asset-clip ref="r3" lane="1" offset="3605s" start="8s" duration="1s"/></asset-clip>
<transition offset="3601.5s" duration="1s"/>
<asset-clip ref="r3" name="B" offset="3602s" start="4s" duration="2s">
 <marker start="5s" duration="1/25s" value="m"/></asset-clip>
<clip name="C" offset="3604s" start="2s" duration="1s"><video ref="r3" offset="0s" duration="20s"/></clip>
<asset-clip ref="r3" name="D" offset="3605s" start="4s" duration="1s">
 <timeMap><timept time="0s" value="0s"/></timeMap></asset-clip>
</spine></sequence></project></event></library></fcpxml>
"""


@pytest.fixture
def fcpxml(tmp_path: Path) -> timelines.Document:
    (tmp_path / "cut.fcpxmld").mkdir()
    (tmp_path / "cut.fcpxmld" / "Info.fcpxml").write_text(FCPXML)
    return timelines.read(tmp_path / "cut.fcpxmld")


def test_fcpxml_places_clocks_and_transitions_are_reckoned_with(fcpxml: timelines.Document) -> None:
    a, b = medium(code="01:00:00:00"), medium("/media/b.mov")

    first, attached, second, held, warped = fcpxml.uses

    assert [use.record for use in fcpxml.uses] == [0, 25, 50, 100, 125]
    assert (first.track, attached.track) == (1, 2)
    assert frames_of(first, a) == FrameRange(100, 175)  # a second of transition beyond its end
    assert frames_of(attached, b) == FrameRange(200, 225)
    assert frames_of(second, b) == FrameRange(75, 150)
    assert frames_of(held, b) == FrameRange(50, 75)
    assert second.is_fixed and not first.is_whole and warped.is_whole and warped.is_fixed


def test_fcpxml_moves_only_what_does_not_count_by_timecode(fcpxml: timelines.Document, tmp_path: Path) -> None:
    a, b = medium(code="01:00:00:00"), medium("/media/b.mov")
    cleaned = {0: part(a, 90, 190), 1: Cleaned("/out/b1.mov", b, FrameRange(190, 240))}
    cleaned |= {3: Cleaned("/out/b2.mov", b, FrameRange(40, 90))}

    fcpxml.write(tmp_path / "new.fcpxmld", cleaned)

    root = Tree.parse(tmp_path / "new.fcpxmld" / "Info.fcpxml").getroot()
    assets = {asset.find("media-rep").get("src"): asset for asset in root.iter("asset")}
    clips = {e.get("name"): e for e in root.iter() if e.tag in ("asset-clip", "clip")}
    new = assets["file:///out/media/clean%20one.mov"]
    assert (new.get("start"), new.get("duration"), new.get("uid")) == ("18018/5s", "4s", None)
    assert new.find("media-rep/bookmark") is None and clips["A"].get("ref") == new.get("id")
    assert (clips["A"].get("start"), clips["A"].get("offset")) == ("3604s", "3600s")
    attached = clips["A"].find("asset-clip")
    assert (attached.get("start"), attached.get("offset")) == ("2/5s", "3605s")  # 8 s, 190 frames earlier
    inner = clips["C"].find("video")
    assert (clips["C"].get("start"), inner.get("offset"), inner.get("start")) == ("2s", "8/5s", "0s")
    assert clips["A"].find("adjust-volume") is not None and clips["browser"].get("ref") == "r3"


def test_fcpxml_media_of_other_rates_are_reckoned_with(tmp_path: Path) -> None:
    text = FCPXML.replace('start="8s" duration="1s"/>', 'start="8s" duration="1s"><conform-rate/></asset-clip>')
    (tmp_path / "mixed.fcpxml").write_text(text)
    a, b = medium(rate=Fraction(30000, 1001)), medium("/media/b.mov", rate=24)
    found = timelines.read(tmp_path / "mixed.fcpxml")
    cleaned = {1: part(b, 0, b.frames), 3: part(b, 24, 96)}

    found.write(tmp_path / "new.fcpxml", cleaned)

    first, conformed, _, held, _ = found.uses
    assert frames_of(first, a) == FrameRange(119, 210) and not first.is_whole
    assert conformed.is_whole and frames_of(conformed, b) == FrameRange(0, 500)
    assert frames_of(held, b) == FrameRange(48, 72)
    clips = list(Tree.parse(tmp_path / "new.fcpxml").getroot().iter())
    attached = next(e for e in clips if e.get("lane") == "1")
    assert (attached.get("start"), attached.get("duration")) == ("8s", "1s")  # of the whole medium, as before
    inner = next(e for e in clips if e.tag == "clip").find("video")
    assert (inner.get("offset"), inner.get("duration")) == ("1s", "3s")


EDL = """TITLE: cut
FCM: NON-DROP FRAME

001  A001C003 V     C        01:00:10:00 01:00:12:00 10:00:00:00 10:00:02:00
* FROM CLIP NAME: a.mov
* A REMARK
002  A001C003 V     C        01:00:20:00 01:00:20:00 10:00:02:00 10:00:02:00
002  B002     V     D    025 00:00:04:00 00:00:06:00 10:00:02:00 10:00:04:00
* FROM CLIP NAME: a.mov
* TO CLIP NAME: b.mov
* SOURCE FILE: /media/b.mov
003  BL       V     C        00:00:00:00 00:00:01:00 10:00:04:00 10:00:05:00
004  A001C003 V     C        01:00:30:00 01:00:32:00 10:00:05:00 10:00:07:00
M2   A001C003       050.0                01:00:30:00
* FROM CLIP NAME: a.mov
005  A001C003 A     C        01:00:30:00 01:00:32:00 10:00:05:00 10:00:07:00
"""


def test_an_edl_keeps_every_line_and_says_where_the_media_are(tmp_path: Path) -> None:
    (tmp_path / "cut.edl").write_text(EDL)
    a, b = medium(frames=2000, code="01:00:00:00"), medium("/media/b.mov")
    found = timelines.read(tmp_path / "cut.edl", Fraction(25))

    spans = [frames_of(use, b if use.media == "/media/b.mov" else a) for use in found.uses]
    text = written(
        found, tmp_path / "new.edl", {0: part(a, 240, 310), 2: Cleaned("/out/b.mov", b, FrameRange(90, 160))}
    )

    assert [use.record for use in found.uses] == [0, 50, 50, 125]
    assert spans == [FrameRange(250, 300), FrameRange(500, 525), FrameRange(100, 150), FrameRange(750, 850)]
    lines = text.splitlines()
    assert lines[3] == EDL.splitlines()[3]  # its timecode is the cleaned file's own
    assert "* FROM CLIP NAME: clean one.mov" in lines and "* SOURCE FILE: /out/media/clean one.mov" in lines
    moved = next(line for line in lines if line.startswith("002  B002"))
    assert moved.split()[5:7] == ["00:00:00:10", "00:00:02:10"]  # 90 frames earlier
    assert moved.split()[7:] == ["10:00:02:00", "10:00:04:00"]
    assert "* A REMARK" in lines and "* ORIGINAL FILE: /media/a.mov" in lines
    assert [line for line in lines if line.startswith("M2")] == [EDL.splitlines()[13]]


def test_an_edl_in_drop_frame_counts_as_the_clock_does(tmp_path: Path) -> None:
    (tmp_path / "cut.edl").write_text(
        "TITLE: x\nFCM: DROP FRAME\n001  AX  V  C  00:01:00;02 00:01:01;02 01:00:00;00 01:00:01;00\n"
        "* FROM CLIP NAME: a.mov\n"
    )

    (use,) = timelines.read(tmp_path / "cut.edl").uses

    assert frames_of(use, medium(rate="30000/1001", frames=9000)) == FrameRange(1800, 1830)


def clip(url: str, start: float, length: float, *effects: object) -> otio.schema.Clip:
    ref = otio.schema.ExternalReference(url, TimeRange(RationalTime(90000, 25), RationalTime(500, 25)))
    span = TimeRange(RationalTime(start, 25), RationalTime(length, 25))
    return otio.schema.Clip(Path(url).stem, ref, span, effects=list(effects))


def test_otio_speed_transitions_nesting_and_foreign_parts_are_kept(tmp_path: Path) -> None:
    track = otio.schema.Track("V1", kind="Video", metadata={"Resolve_OTIO": {"Locked": True}})
    track.append(clip("/media/a.mov", 90100, 50, otio.schema.LinearTimeWarp(time_scalar=2)))
    offset = RationalTime(5, 25)
    track.append(otio.schema.Transition("mix", "SMPTE_Dissolve", offset, offset))
    track.append(clip("/media/a.mov", 90300, 50))
    inner = otio.schema.Stack("compound")
    inner.append(clip("/media/a.mov", 90400, 25))
    track.append(inner)
    cut = otio.schema.Timeline("cut")
    cut.tracks.append(track)
    body = json.loads(cut.to_json_string())
    body["tracks"]["children"][0]["metadata"]["host"] = {"OTIO_SCHEMA": "HostsOwn.7", "secret": 5}
    (tmp_path / "cut.otio").write_text(json.dumps(body))
    a = medium(code="01:00:00:00")

    found = timelines.read(tmp_path / "cut.otio")
    text = written(found, tmp_path / "new.otio", {number: part(a, 50, 500) for number in range(3)})

    spans = [frames_of(use, a) for use in found.uses]
    assert spans[0].start == 100 and spans[0].stop >= 200
    assert spans[1:] == [FrameRange(295, 350), FrameRange(400, 425)]
    assert [use.record for use in found.uses] == [0, 50, 100]
    back = json.loads(text)["tracks"]["children"][0]
    assert back["metadata"] == {
        "Resolve_OTIO": {"Locked": True},
        "host": {"OTIO_SCHEMA": "HostsOwn.7", "secret": 5},
    }
    first = back["children"][0]
    assert first["effects"][0]["time_scalar"] == 2
    assert first["media_references"]["DEFAULT_MEDIA"]["target_url"] == "/out/media/clean one.mov"
    assert first["media_references"]["original"]["target_url"] == "/media/a.mov"


def test_otio_numbered_pictures_stay_numbered_pictures(tmp_path: Path) -> None:
    ref = otio.schema.ImageSequenceReference(
        "file:///media/shot/",
        "s_",
        ".png",
        1001,
        1,
        24,
        4,
        available_range=TimeRange(RationalTime(0, 24), RationalTime(90, 24)),
    )
    track = otio.schema.Track("V1", kind="Video")
    track.append(otio.schema.Clip("shot", ref, TimeRange(RationalTime(20, 24), RationalTime(10, 24))))
    cut = otio.schema.Timeline("cut")
    cut.tracks.append(track)
    otio.adapters.write_to_file(cut, str(tmp_path / "cut.otio"))
    pictures = Medium("/media/shot/s_%04d.png", Fraction(24), 90, None, False)

    found = timelines.read(tmp_path / "cut.otio")
    found.write(tmp_path / "new.otio", {0: Cleaned("/out/s_clean/s_%04d.png", pictures, FrameRange(10, 40))})

    assert found.uses[0].media == "/media/shot/s_%04d.png"
    back = otio.adapters.read_from_file(str(tmp_path / "new.otio"))
    (new,) = back.find_clips()
    assert new.media_reference.target_url_base == "file:///out/s_clean/"
    assert new.media_reference.start_frame == 1011
    assert new.source_range.start_time.value == 10


def test_an_aaf_change_of_speed_takes_the_whole_medium_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "cut.aaf"
    track = otio.schema.Track("V1", kind="Video")
    track.append(clip("/media/a.mov", 90100, 50))
    cut = otio.schema.Timeline("cut")
    cut.tracks.append(track)
    otio.adapters.write_to_file(cut, str(path), use_empty_mob_ids=True)
    with aaf2.open(str(path), "rw") as file:
        (composition,) = file.content.toplevel()
        sequence = composition.slots[0].segment
        plain = sequence.components[0].copy(root=file)
        warp = file.create.OperationDef("9d2ea894-0968-11d3-8a38-0050040ef7d2", "Motion Control")
        warp.media_kind, warp["NumberInputs"].value = "picture", 1
        file.dictionary.register_def(warp)
        group = file.create.OperationGroup(warp, length=25, media_kind="picture")
        group.segments.append(plain)
        sequence["Components"].value = [group]

    found = timelines.read(path)
    found.write(tmp_path / "new.aaf", {0: Cleaned("/out/a.mov", medium(), FrameRange(0, 500))})

    assert found.uses[0].is_whole
    with aaf2.open(str(tmp_path / "new.aaf")) as file:
        (composition,) = file.content.toplevel()
        (group,) = composition.slots[0].segment.components
        assert group.operation.name == "Motion Control" and group.length == 25
        (inner,) = group.segments
        assert inner.start == 100 and inner.length == 50
        assert inner.mob.slots[0].segment.mob.descriptor.locator[0]["URLString"].value.endswith("/out/a.mov")


def test_aaf_media_of_another_rate_are_counted_by_the_clock(tmp_path: Path) -> None:
    track = otio.schema.Track("V1", kind="Video")
    track.append(clip("/media/a.mov", 90100, 50))
    cut = otio.schema.Timeline("cut")
    cut.tracks.append(track)
    otio.adapters.write_to_file(cut, str(tmp_path / "cut.aaf"), use_empty_mob_ids=True)
    found = timelines.read(tmp_path / "cut.aaf")
    slow = medium(rate=24)

    found.write(tmp_path / "new.aaf", {0: Cleaned("/out/a.mov", slow, FrameRange(24, 192))})

    assert frames_of(found.uses[0], slow) == FrameRange(96, 144)
    (use,) = timelines.read(tmp_path / "new.aaf").uses
    assert (use.media, use.start, use.stop) == ("/out/a.mov", 3, 5)  # a second less: the file begins there


def test_a_timeline_that_is_damaged_is_told_as_such(tmp_path: Path) -> None:
    for name, text in (
        ("a.otio", "{"),
        ("b.xml", "<xmeml>"),
        ("c.fcpxml", "<fcpxml"),
        ("d.edl", "TITLE"),
        ("e.aaf", "x"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(MediaError, match="cannot be read"):
            timelines.read(tmp_path / name, Fraction(25))


@pytest.mark.parametrize("rate", ["30000/1001", "60000/1001", "25"])
@pytest.mark.parametrize("code", [0, 1799, 1800, 17982, 107892])
def test_timecode_is_read_as_it_is_written(code: int, rate: str) -> None:
    assert read_timecode(timecode(code, Fraction(rate)), Fraction(rate)) == code


def test_a_use_beyond_its_medium_is_refused() -> None:
    use = Use(0, "x", 1, Fraction(0), Fraction(1), "a", Fraction(30), Fraction(31), origin=Fraction(0))

    with pytest.raises(ValueError, match="shows frames 750 to 775"):
        frames_of(use, medium())


@pytest.mark.parametrize(
    "old, new",
    [
        ("file:///x/a%20b.mov", "file:///out/c%20d.mov"),
        ("file://localhost/x/a.mov", "file://localhost/out/c%20d.mov"),
        ("/x/a.mov", "/out/c d.mov"),
        ("x/a.mov", "../out/c d.mov"),
        ("D:\\x\\a.mov", "/out/c d.mov"),
    ],
)
def test_references_keep_their_way_of_writing(old: str, new: str) -> None:
    assert _urls.like(old, "/out/c d.mov", Path("/cut")) == new


def test_urls_of_any_system_become_paths() -> None:
    assert _urls.path_of("file://localhost/D%3a/a%20b.mov") == "D:/a b.mov"
    assert _urls.path_of("file:///D:/x.mov") == "D:/x.mov"
    assert _urls.path_of("file://server/share/x.mov") == "//server/share/x.mov"
    assert _urls.path_of("/plain/50%.mov") == "/plain/50%.mov"


def test_rounded_rates_are_told_from_exact_ones() -> None:
    rates = [exact_rate(rate) for rate in (23.976, 23.98, 24.0, 29.97, 25.0, 59.94)]

    assert rates == [Fraction(24000, 1001)] * 2 + [24, Fraction(30000, 1001), 25, Fraction(60000, 1001)]
