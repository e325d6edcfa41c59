"""What an output takes over from its source besides the frames: streams, times, tags, timecode, HDR, fields."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import media
import numpy as np
import pytest
from autowipe.decode import ClipInfo, open_clip
from autowipe.encode import copy_untouched, open_output
from autowipe.matroska import put_aspect
from autowipe.mux import shift_timecode
from autowipe.timing import FrameRange

NTSC = Fraction(30000, 1001)
QUIET = {"x265-params": "log-level=error"}


def rewrite(
    source: Path, output: Path, *, codec: str = "auto", span: FrameRange | None = None
) -> tuple[ClipInfo, ClipInfo, list[tuple[str, str]]]:
    """Sends a clip through an output as it is; gives both clips and the warnings."""
    with open_clip(source) as clip:
        whole = span or clip.info.whole
        with open_output(
            output, clip.info, source_range=whole, codec=codec, hardware=False, quality="draft",
            work=output.parent / "work",
        ) as out:  # fmt: skip
            for frame in clip.frames(whole):
                _ = frame.views
                out.write(frame, changed=True)
                if frame.index % 9 == 8:
                    out.cut()
            out.finish()
        with open_clip(output) as made:
            return clip.info, made.info, out.warnings


def times(info: ClipInfo) -> list[Fraction]:
    return [int(pts) * info.time_base for pts in info.pts]


def packets(path: Path, kind: str) -> list[list[tuple[Fraction | None, bytes]]]:
    """Time and bytes of every packet of the streams of one kind."""
    found: dict[int, list[tuple[Fraction | None, bytes]]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size and packet.stream.type == kind:
                found.setdefault(packet.stream.index, []).append((packet.pts * packet.time_base, bytes(packet)))
    return list(found.values())


def chapters(container: Any) -> list[tuple[Fraction, Fraction, str]]:
    """Start and end in seconds, and title."""
    return [
        (found["start"] * found["time_base"], found["end"] * found["time_base"], found["metadata"]["title"])
        for found in container.chapters()
    ]


def rich_clip(path: Path, *, frames: int = 50, subtitles: str = "", data: bool = False, codec: str = "libx264") -> Path:
    """Two sound streams in different languages, subtitles, chapters, tags; sound is a ramp that tells its time."""
    with av.open(str(path), "w") as out:
        out.metadata.update({"title": "Probe", "comment": "two voices"})
        out.set_chapters(
            [
                {"id": k, "start": 1000 * k, "end": 1000 * (k + 1), "time_base": Fraction(1, 1000),
                 "metadata": {"title": f"part {k}"}}
                for k in range(2)
            ]
        )  # fmt: skip
        video = out.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        voices = []
        for language in ("deu", "fra"):
            voice = out.add_stream("aac" if path.suffix == ".mp4" else "pcm_s16le", rate=48000, layout="mono")
            voice.metadata["language"] = language
            voices.append(voice)
        text = None
        if subtitles:
            text = out.add_mux_stream(subtitles)
            text.time_base = Fraction(1, 1000)
        if path.suffix == ".mkv":
            out.add_attachment("font.ttf", "font/ttf", b"not a font")
        for k in range(frames):
            frame = av.VideoFrame(96, 64, "yuv420p")
            media.draw(frame, k)
            frame.pts, frame.time_base = k, Fraction(1, 25)
            out.mux(video.encode(frame))
            for voice in voices:
                samples = np.full((1, 1920), k * 100, np.int16)
                sound = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
                sound.sample_rate, sound.pts = 48000, k * 1920
                out.mux(voice.encode(sound))
        for stream in (video, *voices):
            out.mux(stream.encode())
        if text is not None:
            for start in (0, 800, 1600):
                body = b"line" if subtitles == "subrip" else b"\0\4line"
                packet = av.Packet(body)
                packet.stream, packet.time_base = text, Fraction(1, 1000)
                packet.pts = packet.dts = start
                packet.duration, packet.is_keyframe = 500, True
                out.mux(packet)
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_other_streams_chapters_and_tags_are_copied_untouched(tmp_path: Path, suffix: str) -> None:
    subtitles = "mov_text" if suffix == "mp4" else "subrip"
    source = rich_clip(tmp_path / f"in.{suffix}", subtitles=subtitles)
    output = tmp_path / f"out.{suffix}"

    before, after, warnings = rewrite(source, output)

    assert warnings == []
    assert [s.type for s in after.streams] == [s.type for s in before.streams]
    assert packets(output, "audio") == packets(source, "audio")
    assert packets(output, "subtitle") == packets(source, "subtitle")
    with av.open(str(source)) as one, av.open(str(output)) as two:
        assert [s.metadata.get("language") for s in two.streams.audio] == ["deu", "fra"]
        assert [s.disposition for s in two.streams] == [s.disposition for s in one.streams]
        assert chapters(two) == chapters(one) == [(0, 1, "part 0"), (1, 2, "part 1")]
        assert set(two.metadata.values()) >= {"Probe", "two voices"}
        assert two.start_time == one.start_time and abs(two.duration - one.duration) < 1000
        if suffix == "mkv":
            assert [s.data for s in two.streams if s.type == "attachment"] == [b"not a font"]


def test_sound_stays_in_mxf_which_takes_it_only_beside_a_picture(tmp_path: Path) -> None:
    source, output = tmp_path / "in.mxf", tmp_path / "out.mxf"
    media.write_clip(source, codec="mpeg2video", frames=12, audio=2)

    _, _, warnings = rewrite(source, output)

    assert warnings == []
    assert packets(output, "audio") == packets(source, "audio") and len(packets(output, "audio")) == 2


@pytest.mark.skipif("libzvbi_teletextdec" in av.codecs_available, reason="this build of FFmpeg decodes teletext")
def test_a_text_that_nothing_decodes_stops_nothing(tmp_path: Path) -> None:
    source = tmp_path / "in.ts"
    with av.open(str(source), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        teletext = out.add_mux_stream("dvb_teletext")
        teletext.time_base = Fraction(1, 25)
        for k in range(5):
            frame = av.VideoFrame(96, 64, "yuv420p")
            media.draw(frame, k)
            frame.pts, frame.time_base = k, Fraction(1, 25)
            out.mux(video.encode(frame))
            page = av.Packet(b"\x10" + bytes(45))
            page.stream, page.pts, page.dts, page.time_base = teletext, k, k, Fraction(1, 25)
            out.mux(page)
        out.mux(video.encode())

    before, after, warnings = rewrite(source, tmp_path / "out.ts")

    assert after.frames == before.frames == 5
    assert [code for code, _ in warnings] == ["stream-dropped"] and "subtitle" in warnings[0][1]


def test_a_clip_from_before_the_clock_of_a_transport_stream_runs_around_loses_no_sound(tmp_path: Path) -> None:
    source, output = tmp_path / "in.ts", tmp_path / "out.ts"
    lap = Fraction(2**33, 90000)  # s
    with av.open(str(source), "w", options={"output_ts_offset": str(float(lap - 2))}) as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        voice = out.add_stream("mp2", rate=48000, layout="mono")
        for k in range(50):
            frame = av.VideoFrame(96, 64, "yuv420p")
            media.draw(frame, k)
            frame.pts, frame.time_base = k, Fraction(1, 25)
            sound = av.AudioFrame.from_ndarray(np.full((1, 1920), k * 100, np.int16), format="s16", layout="mono")
            sound.sample_rate, sound.pts = 48000, k * 1920
            for stream, part in ((video, frame), (voice, sound)):
                out.mux(stream.encode(part))
        for stream in (video, voice):
            out.mux(stream.encode())

    before, after, _ = rewrite(source, output)

    assert times(before)[0] < 0 and times(after) == times(before)
    assert packets(output, "audio") == packets(source, "audio")


@pytest.mark.parametrize("suffix", ["mkv", "mov"])
def test_sound_that_begins_before_the_picture_moves_nothing(tmp_path: Path, suffix: str) -> None:
    source, output = rich_clip(tmp_path / "in.mp4"), tmp_path / f"out.{suffix}"

    before, after, _ = rewrite(source, output)

    first = packets(source, "audio")[0]
    assert first[0][0] == Fraction(-1024, 48000)  # what an AAC decoder warms up with
    assert times(after) == times(before)
    made = packets(output, "audio")[0]
    assert [body for _, body in made] == [body for _, body in first]
    assert max(abs(a - b) for (a, _), (b, _) in zip(made, first, strict=True)) < Fraction(1, 900)


def cut_clip(folder: Path, kind: str) -> Path:
    """A clip whose edit list passes over the first second of a stream, as a cut without encoding leaves it."""
    whole, cut = rich_clip(folder / "whole.mp4"), folder / "in.mp4"
    with av.open(str(whole)) as given, av.open(str(cut), "w") as made:
        pair = (given.streams.video[0], given.streams.audio[0])
        streams = {stream.index: made.add_stream_from_template(stream, opaque=True) for stream in pair}
        for packet in given.demux(pair):
            if packet.size:
                early = round(1 / packet.time_base) if packet.stream.type == kind else 0
                packet.pts, packet.dts = packet.pts - early, packet.dts - early
                packet.stream = streams[packet.stream.index]
                made.mux(packet)
    return cut


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_sound_that_an_edit_list_passes_over_is_not_heard_elsewhere(tmp_path: Path, suffix: str) -> None:
    source, output = cut_clip(tmp_path, "audio"), tmp_path / f"out.{suffix}"

    before, after, _ = rewrite(source, output)

    assert times(after) == times(before)
    (given_sound,), (made_sound,) = packets(source, "audio"), packets(output, "audio")
    assert given_sound[0][0] <= -1
    heard = given_sound if suffix == "mp4" else [packet for packet in given_sound if packet[0] > Fraction(-1, 8)]
    assert [body for _, body in made_sound] == [body for _, body in heard]


def test_pictures_that_an_edit_list_passes_over_stay_or_the_clip_is_encoded(tmp_path: Path) -> None:
    source = cut_clip(tmp_path, "video")
    with open_clip(source) as clip:
        pictures = [frame.av.to_ndarray() for frame in clip.frames()]

        assert copy_untouched(tmp_path / "out.mov", clip.info, clip.info.whole) == []
        assert copy_untouched(tmp_path / "out.mkv", clip.info, clip.info.whole) is None

    assert not (tmp_path / "out.mkv").exists()
    with open_clip(tmp_path / "out.mov") as made:
        copied = [frame.av.to_ndarray() for frame in made.frames()]
    assert len(copied) == len(pictures) and all(map(np.array_equal, copied, pictures))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_a_range_starts_where_the_clip_started_with_sound_in_step(tmp_path: Path, suffix: str) -> None:
    source = rich_clip(tmp_path / "in.mkv", codec="ffv1", subtitles="subrip")
    output = tmp_path / f"out.{suffix}"
    span = FrameRange(10, 40)  # seconds 0.4 to 1.6

    before, after, warnings = rewrite(source, output, codec="ffv1" if suffix == "mkv" else "h264", span=span)

    assert times(after) == [t - Fraction(2, 5) for t in times(before)[10:40]]
    expected = []
    for pts, body in packets(source, "audio")[0]:
        end = pts + Fraction(len(body) // 2, 48000)
        if end > Fraction(2, 5) and pts < Fraction(8, 5):
            expected.append((pts - Fraction(2, 5), body))
    if suffix == "mkv":
        assert [pts for pts, _ in packets(output, "subtitle")[0]] == [0, Fraction(2, 5)]
    else:
        assert [code for code, _ in warnings] == ["stream-dropped"] * 2
    got = packets(output, "audio")[0]
    assert b"".join(body for _, body in got) == b"".join(body for _, body in expected)
    assert abs(got[0][0] - expected[0][0]) < Fraction(1, 900)


def test_streams_that_the_container_cannot_hold_are_said(tmp_path: Path) -> None:
    source = rich_clip(tmp_path / "in.mkv", subtitles="subrip")

    _, after, warnings = rewrite(source, tmp_path / "out.mp4")

    assert [code for code, _ in warnings] == ["stream-dropped"] * 2
    assert "subrip" in warnings[0][1] and "attachment" in warnings[1][1]
    assert [s.type for s in after.streams if s.type != "data"] == ["audio", "audio"]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "ts"])
def test_irregular_times_and_a_late_start_are_kept(tmp_path: Path, suffix: str) -> None:
    pts = [90000 + 90 * (40 * k + 11 * (k % 3) + 500 * (k > 12)) for k in range(24)]
    source, output = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    media.write_clip(source, codec="libx264", pts=pts, time_base=Fraction(1, 90000),
                     container_options={"video_track_timescale": "90000", "movie_timescale": "90000"}
                     if suffix in ("mp4", "mov") else None)  # fmt: skip

    before, after, warnings = rewrite(source, output)

    assert before.is_variable_rate and after.is_variable_rate
    assert times(after) == times(before)
    assert warnings == []


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), NTSC, Fraction(60000, 1001), Fraction(50), Fraction(12)])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_rates_are_kept(tmp_path: Path, rate: Fraction, suffix: str) -> None:
    source, output = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    media.write_clip(source, codec="libx264", rate=rate, frames=31)

    before, after, _ = rewrite(source, output)

    assert (after.rate, after.time_base) == (rate, before.time_base)
    assert times(after) == times(before)


@pytest.mark.parametrize(("suffix", "codec"), [("mov", "libx264"), ("mp4", "libx264"), ("mkv", "libx264"),
                                               ("mxf", "mpeg2video"), ("mov", "prores_ks")])  # fmt: skip
def test_drop_frame_timecode_is_kept_and_moves_with_a_range(tmp_path: Path, suffix: str, codec: str) -> None:
    source = tmp_path / f"in.{suffix}"
    pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"

    def stamp(stream: Any) -> None:
        (stream.container if suffix == "mxf" else stream).metadata["timecode"] = "00:59:59;20"

    media.write_clip(source, codec=codec, pix_fmt=pix_fmt, rate=NTSC, frames=24, prepare=stamp)

    before, whole, _ = rewrite(source, tmp_path / f"whole.{suffix}")
    _, part, _ = rewrite(source, tmp_path / f"part.{suffix}", span=FrameRange(11, 20))

    assert before.timecode == whole.timecode == "00:59:59;20"
    assert part.timecode == "01:00:00;01"
    if suffix in ("mov", "mp4"):
        assert sum(s.type == "data" for s in whole.streams) == 1


@pytest.mark.parametrize(
    ("text", "frames", "rate", "wanted"),
    [
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),
        ("00:00:59;29", 17982, NTSC, "00:10:59;29"),
        ("01:00:59:29", 1, NTSC, "01:01:00:00"),
        ("10:59:59;59", 1, Fraction(60000, 1001), "11:00:00;00"),
        ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
        ("23:59:59:24", 1, Fraction(25), "00:00:00:00"),
        ("10:00:00:00", 240, Fraction(24000, 1001), "10:00:10:00"),
        ("09:58:00:05", 0, Fraction(25), "09:58:00:05"),
    ],
)
def test_timecode_moves_as_the_standard_counts(text: str, frames: int, rate: Fraction, wanted: str) -> None:
    assert shift_timecode(text, frames, rate) == wanted


def test_drop_frame_counting_agrees_with_a_clock_that_counts_one_by_one() -> None:
    hours, minutes, seconds, number = 9, 10, 0, 0
    for step in range(20000):
        assert shift_timecode("09:10:00;00", step, NTSC) == f"{hours:02d}:{minutes:02d}:{seconds:02d};{number:02d}"
        number += 1
        if number == 30:
            number, seconds = 0, seconds + 1
        if seconds == 60:
            seconds, minutes = 0, minutes + 1
            if minutes % 10:
                number = 2
        if minutes == 60:
            minutes, hours = 0, hours + 1


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_rotation_is_kept(tmp_path: Path, degrees: int, suffix: str) -> None:
    source = tmp_path / "in.mp4"
    media.write_clip(source, codec="libx264", prepare=lambda s: s.set_display_rotation(degrees), frames=5)

    before, after, _ = rewrite(source, tmp_path / f"out.{suffix}")

    assert before.rotation == after.rotation and (after.rotation - degrees) % 360 == 0


@pytest.mark.parametrize("aspect", [Fraction(16, 11), Fraction(8, 9), Fraction(10, 11)])
@pytest.mark.parametrize(("codec", "suffix"), [
    ("auto", "mp4"), ("auto", "mkv"), ("ffv1", "mkv"), ("prores", "mov"), ("prores", "mkv"), ("hevc", "mp4"),
    ("dnxhr", "mov"),
])  # fmt: skip
def test_sample_aspect_is_kept(tmp_path: Path, codec: str, suffix: str, aspect: Fraction) -> None:
    source = tmp_path / "in.mp4"

    def squeeze(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = aspect

    media.write_clip(source, codec="libx264", prepare=squeeze, frames=5, size=(352, 288))

    before, after, _ = rewrite(source, tmp_path / f"out.{suffix}", codec=codec)

    assert (before.sample_aspect, after.sample_aspect) == (aspect, aspect)


@pytest.mark.parametrize(
    ("name", "pts", "said"),
    [
        ("in.avi", [0, 1, 3, 4, 5], ""),  # a frame is left out
        ("in.mkv", [0, 40, 90, 121, 200], "vary in length"),
        ("in.mkv", [400, 440, 480, 520, 560], "begins at 0"),
    ],
)
def test_times_that_avi_cannot_keep_are_told(tmp_path: Path, name: str, pts: list[int], said: str) -> None:
    source = tmp_path / name
    media.write_clip(source, frames=5, pts=pts, time_base=Fraction(1, 25 if name == "in.avi" else 1000))

    before, after, warnings = rewrite(source, tmp_path / "out.avi")

    assert [code for code, _ in warnings] == (["timing"] if said else [])
    assert all(said in text for _, text in warnings)
    assert said or times(after) == times(before)


def test_a_copy_in_another_kind_of_file_keeps_the_sample_aspect(tmp_path: Path) -> None:
    def squeeze(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)

    media.write_clip(tmp_path / "in.mov", codec="prores", pix_fmt="yuv422p10le", prepare=squeeze, frames=3)

    with open_clip(tmp_path / "in.mov") as clip:
        assert copy_untouched(tmp_path / "out.mkv", clip.info, clip.info.whole) == []

    with open_clip(tmp_path / "out.mkv") as made:
        assert clip.info.sample_aspect == made.info.sample_aspect == Fraction(16, 11)


def test_a_copy_in_another_kind_of_file_tells_what_it_leaves_out(tmp_path: Path) -> None:
    source = rich_clip(tmp_path / "in.mkv", subtitles="subrip")
    with open_clip(source) as clip:
        lost = copy_untouched(tmp_path / "out.mp4", clip.info, clip.info.whole)

    assert lost is not None
    assert [code for code, _ in lost] == ["stream-dropped", "stream-dropped"]
    assert "subtitle" in lost[0][1] and "attachment" in lost[1][1]


# Of 96x64 px these are shown 128 px wide, 48 px high, in no whole number of either, and far wider than 16 bits tell.
@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(4, 5), Fraction(64, 45), Fraction(65535)])
@pytest.mark.parametrize("codec", ["ffv1", "libx264", "prores"])
def test_a_sample_aspect_in_matroska_leaves_the_rest_of_the_file_as_it_is(
    tmp_path: Path, codec: str, aspect: Fraction
) -> None:
    path = tmp_path / "a.mkv"
    pix_fmt = "yuv422p10le" if codec == "prores" else "yuv420p"
    media.write_clip(path, frames=4, codec=codec, pix_fmt=pix_fmt, metadata={"title": "ä"})
    with av.open(str(path)) as box:
        packets = [bytes(packet) for packet in box.demux()]
    length = path.stat().st_size

    assert put_aspect(path, aspect)

    assert path.stat().st_size == length
    with av.open(str(path)) as box:
        assert box.streams.video[0].sample_aspect_ratio == aspect
        assert [bytes(packet) for packet in box.demux()] == packets


TAGS = {
    "601": (6, 6, 6, 1),
    "709": (1, 1, 1, 1),
    "709 full": (1, 1, 1, 2),
    "PQ": (9, 16, 9, 1),
    "HLG": (9, 18, 9, 1),
    "untagged": (2, 2, 2, 0),
}


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
@pytest.mark.parametrize(("codec", "pix_fmt", "suffix"), [
    ("libx264", "yuv420p", "mp4"), ("libx265", "yuv420p10le", "mp4"), ("ffv1", "yuv422p10le", "mkv"),
    ("prores_ks", "yuv422p10le", "mov"), ("dnxhd", "yuv422p10le", "mov"), ("libsvtav1", "yuv420p10le", "mp4"),
    ("libvpx-vp9", "yuv420p", "webm"), ("mpeg2video", "yuv420p", "mkv"),
])  # fmt: skip
def test_colour_tags_are_kept(
    tmp_path: Path, codec: str, pix_fmt: str, suffix: str, tags: tuple[int, int, int, int]
) -> None:
    source = tmp_path / f"in.{suffix}"

    def tag(stream: Any) -> None:
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = tags

    options = {"libx265": QUIET, "dnxhd": {"profile": "dnxhr_hqx"}, "libsvtav1": {"preset": "12"},
               "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"}}.get(codec)  # fmt: skip
    media.write_clip(source, codec=codec, pix_fmt=pix_fmt, prepare=tag, frames=8, size=(256, 128), options=options)

    before, after, _ = rewrite(source, tmp_path / f"out.{suffix}")

    assert (after.tags, after.matrix, after.full_range) == (before.tags, before.matrix, before.full_range)


@pytest.mark.parametrize("siting", ["center", "topleft"])
@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mp4"), ("libx265", "mkv")])
def test_chroma_siting_is_kept(tmp_path: Path, codec: str, suffix: str, siting: str) -> None:
    source = tmp_path / f"in.{suffix}"
    options = (QUIET if codec == "libx265" else {}) | {"chroma_sample_location": siting}
    media.write_clip(source, codec=codec, options=options, frames=3)

    before, after, _ = rewrite(source, tmp_path / f"out.{suffix}")

    assert before.siting == after.siting == siting


@pytest.mark.parametrize("order", ["top", "bottom"])
@pytest.mark.parametrize(("codec", "pix_fmt", "suffix", "flags"), [
    ("libx264", "yuv420p", "mp4", "+ildct+ilme"), ("mpeg2video", "yuv420p", "mpg", "+ildct+ilme"),
    ("mpeg2video", "yuv422p", "mxf", "+ildct+ilme"), ("prores_ks", "yuv422p10le", "mov", "+ildct"),
    ("ffv1", "yuv422p", "mkv", ""), ("dnxhd", "yuv422p", "mov", "+ildct"),
])  # fmt: skip
def test_fields_stay_fields(tmp_path: Path, codec: str, pix_fmt: str, suffix: str, flags: str, order: str) -> None:
    source, output = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    number = {"top": 2, "bottom": 3}[order]
    options = {"flags": flags} if flags else {}
    size = (96, 64)
    if codec == "libx264" and order == "bottom":
        options["x264-params"] = "bff=1"
    if codec == "dnxhd":
        options, size = options | {"b": "120M"}, (1920, 1080)

    def interlace(stream: Any) -> None:
        stream.codec_context.field_order = number

    media.write_clip(source, codec=codec, pix_fmt=pix_fmt, prepare=interlace, options=options, frames=4, size=size)

    before, after, _ = rewrite(source, output)

    if before.field_order == "progressive":
        pytest.skip("this encoder does not mark what the test asks for")
    assert (after.field_order, after.field_code) == (before.field_order, before.field_code)
    with open_clip(source) as one, open_clip(output) as two:
        for a, b in zip(one.frames(), two.frames(), strict=True):
            assert a.av.interlaced_frame == b.av.interlaced_frame


@pytest.mark.parametrize(("code", "order"), [(4, "top"), (5, "bottom")])
def test_a_mov_keeps_how_it_stores_its_fields(tmp_path: Path, code: int, order: str) -> None:
    source = tmp_path / "in.mov"

    def interlace(stream: Any) -> None:
        stream.codec_context.field_order = code

    media.write_clip(source, codec="prores_ks", pix_fmt="yuv422p10le", prepare=interlace, frames=3)

    before, after, _ = rewrite(source, tmp_path / "out.mov")

    assert (before.field_order, before.field_code) == (after.field_order, after.field_code) == (order, code)


HDR = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"


@pytest.mark.parametrize(("codec", "suffix", "kept"), [
    ("auto", "mp4", True), ("auto", "mkv", True), ("h264", "mp4", True), ("prores", "mov", True),
    ("dnxhr", "mov", True), ("ffv1", "mkv", False),
])  # fmt: skip
def test_hdr_metadata_is_kept_or_said_to_be_lost(tmp_path: Path, codec: str, suffix: str, kept: bool) -> None:
    source, output = tmp_path / "in.mp4", tmp_path / f"out.{suffix}"

    def tag(stream: Any) -> None:
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, 16, 9, 1

    media.write_clip(source, codec="libx265", pix_fmt="yuv420p10le", frames=3, size=(256, 128), prepare=tag,
                     options={"x265-params": f"log-level=error:{HDR}"})  # fmt: skip

    _, _, warnings = rewrite(source, output, codec=codec)

    assert any(code == "hdr-metadata" for code, _ in warnings) != kept
    assert (_hdr_of(output) == _hdr_of(source)) == kept


def _hdr_of(path: Path) -> dict[str, bytes]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        wanted = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
        found = {data.type.name: np.frombuffer(bytes(data), np.int32) for data in frame.side_data
                 if data.type.name in wanted}  # fmt: skip
        return {name: _values(name, data) for name, data in found.items()}


def _values(name: str, data: np.ndarray) -> bytes:
    if name == "CONTENT_LIGHT_LEVEL":
        return data.tobytes()
    return np.round(data[:20:2] / data[1:20:2], 4).tobytes()


def test_av1_keeps_hdr_metadata(tmp_path: Path) -> None:
    source, output = tmp_path / "in.mp4", tmp_path / "out.mp4"
    display = "G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000.0,0.0001)"
    options = {"preset": "12", "svtav1-params": f"mastering-display={display}:content-light=1000,400"}
    media.write_clip(source, codec="libsvtav1", pix_fmt="yuv420p10le", frames=3, options=options)

    rewrite(source, output)

    assert len(_hdr_of(source)) == 2
    with av.open(str(output)) as container:
        names = {data.type.name for data in next(container.decode(video=0)).side_data}
    assert {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} <= names


def covered_clip(folder: Path, suffix: str) -> tuple[Path, bytes]:
    """A clip with a cover picture as its kind of file has them, and the picture."""
    cover, plain, source = folder / "cover.png", folder / f"plain.{suffix}", folder / f"in.{suffix}"
    media.write_clip(cover, codec="png", pix_fmt="rgb24", frames=1, container="image2")
    media.write_clip(plain, codec="libx264", frames=12)
    with av.open(str(plain)) as one, av.open(str(cover)) as two, av.open(str(source), "w") as out:
        video = out.add_stream_from_template(one.streams.video[0], opaque=True)
        parts = [(one, video)]
        if suffix == "mkv":
            out.add_attachment("front.png", "image/png", cover.read_bytes())
        else:
            picture = out.add_stream_from_template(two.streams.video[0], opaque=True)
            picture.disposition = av.stream.Disposition.attached_pic
            parts.insert(0, (two, picture))
        for container, target in parts:
            for packet in container.demux(video=0):
                if packet.size:
                    packet.stream = target
                    out.mux(packet)
    return source, cover.read_bytes()


@pytest.mark.parametrize("source_suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_cover_picture_comes_along(tmp_path: Path, source_suffix: str, suffix: str) -> None:
    (source, picture), output = covered_clip(tmp_path, source_suffix), tmp_path / f"out.{suffix}"

    before, after, warnings = rewrite(source, output)

    assert warnings == []
    assert [s.codec for s in before.streams] == [s.codec for s in after.streams] == ["png"]
    with av.open(str(output)) as container:
        stream = container.streams[after.streams[0].index]
        assert stream.disposition & av.stream.Disposition.attached_pic
        assert [bytes(packet) for packet in container.demux(stream) if packet.size] == [picture]
        if (source_suffix, suffix) == ("mkv", "mkv"):
            assert stream.metadata["filename"] == "front.png"


@pytest.mark.parametrize("suffix", ["mov", "mp4"])
def test_tags_of_a_camera_come_along(tmp_path: Path, suffix: str) -> None:
    source, output = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    media.write_clip(source, codec="libx264", frames=5, metadata={"com.apple.quicktime.make": "Camera"},
                     container_options={"movflags": "use_metadata_tags"})  # fmt: skip

    rewrite(source, output)

    with av.open(str(output)) as container:
        assert container.metadata["com.apple.quicktime.make"] == "Camera"


def test_alpha_that_is_not_read_is_said_to_be_lost(tmp_path: Path) -> None:
    source = media.write_clip(tmp_path / "in.webm", codec="libvpx-vp9", options={"cpu-used": "8"}, frames=3)
    marked = tmp_path / "alpha.webm"
    with av.open(str(source)) as one, av.open(str(marked), "w") as out:
        stream = out.add_stream_from_template(one.streams.video[0])
        stream.metadata["alpha_mode"] = "1"
        for packet in one.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)

    assert not any(code == "alpha" for code, _ in rewrite(source, tmp_path / "a.webm")[2])
    assert any(code == "alpha" for code, _ in rewrite(marked, tmp_path / "b.webm")[2])
