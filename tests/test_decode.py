"""Tests that a clip's frames come by number, exactly, from any file, and that every fault is named."""

import os
import shutil
import time
from fractions import Fraction

import av
import media
import numpy as np
import pytest
from autowipe import decode
from autowipe.decode import fingerprint, open_clip
from autowipe.errors import MediaError
from autowipe.timing import FrameRange

LONG_GOP = {"preset": "ultrafast", "g": "12", "bf": "3", "refs": "3"}
OPEN_GOP_H264 = {"preset": "ultrafast", "x264-params": "open-gop=1:bframes=3:keyint=12"}
OPEN_GOP_HEVC = {"preset": "ultrafast", "x265-params": "log-level=none:open-gop=1:bframes=3:keyint=12"}
VP9 = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "12", "auto-alt-ref": "1"}
CLIPS = {
    "h264.mp4": {"codec": "libx264", "options": LONG_GOP},
    "open.mp4": {"codec": "libx264", "options": OPEN_GOP_H264},
    "open.ts": {"codec": "libx264", "options": OPEN_GOP_H264},
    "h264.mkv": {"codec": "libx264", "options": LONG_GOP},
    "h264.avi": {"codec": "libx264", "options": LONG_GOP},
    "h264.264": {"codec": "libx264", "options": LONG_GOP, "container": "h264"},
    "hevc.mp4": {"codec": "libx265", "options": OPEN_GOP_HEVC, "pix_fmt": "yuv420p10le"},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "12"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": VP9},
    "vp8.webm": {"codec": "libvpx", "options": VP9},
    "mpeg2.mxf": {"codec": "mpeg2video", "options": {"bf": "2"}},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"bf": "2"}, "container": "vob"},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "prores.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "prores4444.mov": {"codec": "prores_ks", "pix_fmt": "yuva444p10le"},
    "dnxhr.mxf": {"codec": "dnxhd", "pix_fmt": "yuv422p", "options": {"profile": "dnxhr_hq"}, "size": (256, 128)},
    "ffv1.mkv": {"codec": "ffv1", "pix_fmt": "yuv444p12le"},
    "upside_down.avi": {"codec": "rawvideo", "pix_fmt": "bgr24"},
    "rle.mov": {"codec": "qtrle", "pix_fmt": "argb"},
}
FRAMES = 40


def numbers(clip, source_range=None):
    return [media.number_of(frame.views, frame.layout) for frame in clip.frames(source_range)]


def fault(path):
    """The error that opening or reading the clip ends in."""
    with pytest.raises(MediaError) as caught, open_clip(path) as clip:
        for _ in clip.frames():
            pass
    assert caught.value.text and caught.value.hint
    return caught.value


@pytest.fixture(params=CLIPS, scope="module")
def any_clip(request, tmp_path_factory):
    return media.write_clip(tmp_path_factory.mktemp("clip") / request.param, frames=FRAMES, **CLIPS[request.param])


def test_all_frames_come_in_order_whatever_the_codec(any_clip):
    with open_clip(any_clip) as clip:
        assert numbers(clip) == list(range(FRAMES))
        assert clip.info.frames == clip.info.held == FRAMES
        assert clip.info.rate == 25 and not clip.info.is_variable_rate


def test_any_range_begins_and_ends_at_its_frame(any_clip):
    with open_clip(any_clip) as clip:
        for start, stop in ((0, 1), (1, 4), (11, 14), (23, 25), (26, 27), (38, 40), (7, 7)):
            assert numbers(clip, FrameRange(start, stop)) == list(range(start, stop))


def test_single_frames_are_those_of_the_whole_clip(any_clip):
    wanted = (3, 4, 9, 25, 39)
    with open_clip(any_clip) as clip:
        seen = [(frame.index, [part.tobytes() for part in frame.samples]) for frame in clip.picked(reversed(wanted))]
        whole = [(frame.index, [part.tobytes() for part in frame.samples]) for frame in clip.frames()]
    assert seen == [whole[number] for number in wanted]


def test_what_only_lies_between_single_frames_is_not_decoded(tmp_path, monkeypatch):
    path = media.write_clip(tmp_path / "b.mp4", codec="libx264", options=LONG_GOP, frames=FRAMES)
    decoded = []
    real = decode._pictures
    monkeypatch.setattr(decode, "_pictures", lambda *given: (decoded.append(one) or one for one in real(*given)))
    with open_clip(path) as clip:
        decoded.clear()
        assert [frame.index for frame in clip.picked([11, 23])] == [11, 23]
    assert len(decoded) <= FRAMES // 2


def test_a_single_frame_that_is_not_there_is_told_as_in_a_range(tmp_path):
    path = media.write_clip(tmp_path / "b.mp4", codec="libx264", options=LONG_GOP, frames=FRAMES)
    with open_clip(path) as clip, pytest.raises(MediaError) as caught:
        list(clip.picked([2, FRAMES + 3]))
    assert caught.value.code == "range"


def test_pts_are_those_of_the_file(any_clip):
    with open_clip(any_clip) as clip:
        times = [(frame.pts, frame.av.pts, frame.time_base) for frame in clip.frames()]
        steps = np.diff([float(pts * clip.info.time_base) for pts, _, _ in times])

        assert times == [(int(pts), int(pts), clip.info.time_base) for pts in clip.info.pts]
        assert np.allclose(steps, 1 / 25, atol=0.0011)  # Matroska rounds to a millisecond


def test_several_readers_of_one_clip_do_not_disturb_each_other(tmp_path):
    path = media.write_clip(tmp_path / "a.mp4", codec="libx264", options=LONG_GOP)

    with open_clip(path) as clip:
        pairs = zip(clip.frames(FrameRange(0, 10)), clip.frames(FrameRange(10, 20)), strict=True)
        seen = [(media.number_of(a.views, a.layout), media.number_of(b.views, b.layout)) for a, b in pairs]

    assert seen == [(k, k + 10) for k in range(10)]


def test_writing_into_a_frame_reaches_no_later_frame(tmp_path):
    path = media.write_clip(tmp_path / "a.mp4", codec="libx264", options=LONG_GOP)

    with open_clip(path) as clip:
        untouched = [frame.views[0].copy() for frame in clip.frames()]
        for frame, before in zip(clip.frames(), untouched, strict=True):
            assert np.array_equal(frame.views[0], before)
            for view in frame.views:
                view[...] = 255


def test_samples_are_the_views_and_cannot_be_written(any_clip):
    with open_clip(any_clip) as clip:
        for frame in clip.frames(FrameRange(0, 3)):
            samples = frame.samples
            assert all(np.array_equal(one, other) for one, other in zip(samples, frame.views, strict=True))
            with pytest.raises(ValueError, match="read-only"):
                samples[0][...] = 0


def test_the_entry_of_a_frame_is_the_key_frame_before_it(tmp_path):
    path = media.write_clip(tmp_path / "a.mp4", frames=FRAMES, codec="libx264", options={"g": "8"})

    with open_clip(path) as clip:
        entries = [clip.entry(frame) for frame in range(FRAMES)]

    assert entries == [frame // 8 * 8 for frame in range(FRAMES)]


def test_a_variable_rate_keeps_every_pts(tmp_path):
    pts = np.cumsum([0, *np.random.default_rng(1).integers(1500, 6000, 39)]).tolist()
    path = media.write_clip(
        tmp_path / "a.mp4",
        codec="libx264",
        options=LONG_GOP,
        frames=40,
        time_base=Fraction(1, 90000),
        pts=pts,
        prepare=lambda stream: setattr(stream, "time_base", Fraction(1, 90000)),
    )

    with open_clip(path) as clip:
        times = [float((frame.pts - clip.info.pts[0]) * frame.time_base) for frame in clip.frames()]

        assert clip.info.is_variable_rate
        assert np.allclose(times, np.asarray(pts) / 90000, atol=1e-4)
        assert numbers(clip, FrameRange(17, 20)) == [17, 18, 19]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts", "a.mov"])
@pytest.mark.parametrize("rate", ["24000/1001", "24", "30000/1001", "25", "60000/1001", "12"])
def test_the_rate_is_exact(tmp_path, name, rate):
    path = media.write_clip(tmp_path / name, codec="libx264", options=LONG_GOP, rate=Fraction(rate))

    with open_clip(path) as clip:
        assert clip.info.rate == Fraction(rate) and not clip.info.is_variable_rate


@pytest.mark.parametrize("gap", [1, 13, 24])
@pytest.mark.parametrize(("name", "codec"), [("a.avi", "ffv1"), ("a.mov", "prores")])
def test_a_frame_left_out_leaves_the_rate_as_it_is(tmp_path, name, codec, gap):
    pts = [k for k in range(26) if k != gap]
    pix_fmt = "yuv422p10le" if codec == "prores" else "yuv420p"
    options = {"video_track_timescale": "25"} if name == "a.mov" else None
    path = media.write_clip(
        tmp_path / name, codec=codec, pix_fmt=pix_fmt, frames=25, pts=pts, container_options=options
    )

    with open_clip(path) as clip:
        assert clip.info.rate == 25 and clip.info.pts.tolist() == pts


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mov"])
def test_a_late_start_changes_no_frame_number(tmp_path, name):
    pts = [250 + k for k in range(40)]
    path = media.write_clip(tmp_path / name, codec="libx264", options=LONG_GOP, frames=40, pts=pts)

    with open_clip(path) as clip:
        assert numbers(clip) == list(range(40))
        assert numbers(clip, FrameRange(15, 17)) == [15, 16]


def test_frames_that_hang_on_a_missing_group_of_pictures_do_not_count(tmp_path):
    whole = media.write_clip(tmp_path / "whole.ts", codec="libx264", options=OPEN_GOP_H264, frames=48)
    part = tmp_path / "part.ts"
    with av.open(str(whole)) as source, av.open(str(part), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        keys = 0
        for packet in source.demux(source.streams.video[0]):
            keys += packet.is_keyframe and packet.size > 0
            if keys >= 2 and packet.size:
                packet.stream = stream
                output.mux(packet)

    with open_clip(part) as clip:
        seen = numbers(clip)

        assert seen == list(range(seen[0], 48)) and 0 < seen[0] < 48
        assert clip.info.frames == len(seen)
        assert numbers(clip, FrameRange(5, 8)) == seen[5:8]


def test_what_the_file_says_about_itself_is_read(tmp_path):
    def prepare(stream):
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, 16, 9, 1
        context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_rotation(90)

    path = media.write_clip(
        tmp_path / "a.mov",
        codec="libx264",
        pix_fmt="yuv420p10le",
        prepare=prepare,
        options={"chroma_sample_location": "topleft"},
        rate=Fraction(30000, 1001),
        metadata={"timecode": "01:00:10;02"},
        audio=2,
    )

    with open_clip(path) as clip:
        info = clip.info
    assert (info.tags.primaries, info.tags.transfer, info.tags.matrix, info.tags.range) == (9, 16, 9, 1)
    assert (info.matrix, info.full_range, info.siting) == ("bt2020", False, "topleft")
    assert (info.rotation, info.sample_aspect, info.timecode) == (90, Fraction(4, 3), "01:00:10;02")
    assert [(other.type, other.codec) for other in info.streams[:2]] == [("audio", "pcm_s16le")] * 2
    assert info.layout.pix_fmt == "yuv420p10le" and info.codec == "h264" and info.bit_rate > 0
    assert info.field_order == "progressive" and not info.is_intra_only and not info.is_image_sequence


@pytest.mark.parametrize(("flag", "order"), [("tff=1", "top"), ("bff=1", "bottom"), ("interlaced=0", "progressive")])
def test_the_field_order_is_read(tmp_path, flag, order):
    path = media.write_clip(tmp_path / "a.mkv", codec="libx264", options={"x264-params": flag}, frames=6)

    with open_clip(path) as clip:
        assert clip.info.field_order == order


@pytest.mark.parametrize(
    ("pix_fmt", "size", "matrix"),
    [("yuv420p", (96, 64), "bt601"), ("yuv420p", (1280, 720), "bt709"), ("bgr0", (96, 64), "rgb")],
)
def test_an_untagged_clip_gets_the_matrix_of_its_size(tmp_path, pix_fmt, size, matrix):
    path = media.write_clip(tmp_path / "a.mkv", pix_fmt=pix_fmt, size=size, frames=1)

    with open_clip(path) as clip:
        assert clip.info.matrix == matrix and clip.info.full_range == (matrix == "rgb")


@pytest.mark.parametrize(
    ("name", "is_intra"), [("prores.mov", True), ("dnxhr.mxf", True), ("h264.mp4", False), ("rle.mov", False)]
)
def test_intra_only_means_that_every_packet_stands_alone(tmp_path, name, is_intra):
    path = media.write_clip(tmp_path / name, **CLIPS[name])

    with open_clip(path) as clip:
        assert clip.info.is_intra_only == is_intra


@pytest.mark.parametrize("pattern", ["pic %03d.png", "pic ###.png"])
def test_a_numbered_sequence_is_a_clip(tmp_path, pattern):
    folder = tmp_path / "50% of Ünïcode"
    folder.mkdir()
    write_sequence(folder, range(7, 19))

    with open_clip(folder / pattern) as clip:
        assert clip.info.is_image_sequence and clip.info.frames == 12 and clip.info.layout.pix_fmt == "rgb24"
        assert numbers(clip) == list(range(7, 19))
        assert numbers(clip, FrameRange(4, 6)) == [11, 12]
    assert fingerprint(folder / pattern) == fingerprint(folder / pattern)


def test_a_gap_in_a_sequence_is_named(tmp_path):
    write_sequence(tmp_path, [1, 2, 4])

    err = fault(tmp_path / "pic %03d.png")

    assert err.code == "sequence" and "picture 3" in err.text


def test_a_still_is_a_clip_of_one_frame(tmp_path):
    write_sequence(tmp_path, [5])

    with open_clip(tmp_path / "pic 005.png") as clip:
        assert clip.info.frames == 1 and numbers(clip) == [5]


def write_sequence(folder, indices):
    for index in indices:
        frame = av.VideoFrame(96, 64, "rgb24")
        media.draw(frame, index)
        frame.save(str(folder / f"pic {index:03d}.png"))


def test_names_may_hold_spaces_colons_and_any_letters(tmp_path):
    path = media.write_clip(tmp_path / "clip.mp4", codec="libx264").rename(tmp_path / "a: Ünï 字幕 100%d.mp4")

    with open_clip(path) as clip:
        assert numbers(clip) == list(range(24))


def test_fingerprints_tell_files_apart_by_content_not_by_name(tmp_path):
    one = media.write_clip(tmp_path / "one.mkv")
    two = tmp_path / "two.mkv"
    shutil.copy(one, two)
    same = fingerprint(two)
    data = bytearray(two.read_bytes())
    data[len(data) // 2] ^= 1
    two.write_bytes(data)

    assert fingerprint(one) == same != fingerprint(two)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.mp4", b"", "empty"),
        ("text.mp4", b"Not a picture in sight.\n" * 99, "not-video"),
        ("text.txt", b"Not a picture in sight.\n" * 99, "not-video"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n", "not-video"),
        ("noise.mp4", np.random.default_rng(1).bytes(30000), "not-video"),
        ("camera.braw", np.random.default_rng(2).bytes(3000), "codec"),
    ],
)
def test_what_is_no_video_is_refused_with_a_reason(tmp_path, name, content, code):
    (tmp_path / name).write_bytes(content)
    began = time.monotonic()

    assert fault(tmp_path / name).code == code
    assert time.monotonic() - began < 20  # never a hang


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")

    assert fault(tmp_path / "a.mp4").code == "not-video"


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    assert fault(tmp_path / "none.mp4").code == "missing"
    assert fault(tmp_path / "none_%04d.png").code == "missing"
    assert fault(tmp_path).code == "directory"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user without all rights")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    path = media.write_clip(tmp_path / "a.mkv")
    path.chmod(0)

    assert fault(path).code == "permission"


@pytest.mark.parametrize("name", ["sound.mov", "sound.wav"])
def test_sound_without_a_picture_is_refused(tmp_path, name):
    path = tmp_path / name
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 48000
        output.mux([*stream.encode(frame), *stream.encode()])

    assert fault(path).code == "no-video"


@pytest.mark.parametrize("name", ["a.mov", "a.braw"])
def test_a_codec_that_nothing_decodes_is_named(tmp_path, name):
    whole = media.write_clip(tmp_path / "whole.mov", codec="libx264")
    (tmp_path / name).write_bytes(whole.read_bytes().replace(b"avc1", b"brhq"))

    err = fault(tmp_path / name)

    assert err.code == "codec" and "Render" in err.hint


def test_frames_before_an_edit_list_are_not_shown(tmp_path):
    whole = media.write_clip(tmp_path / "whole.mp4", codec="libx264", options=LONG_GOP, frames=40)
    path = tmp_path / "edited.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w") as output:
        video = source.streams.video[0]
        stream = output.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.size:
                shift = round(10 / (25 * packet.time_base))
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                output.mux(packet)

    with open_clip(path) as clip:
        assert clip.info.frames == 30
        assert numbers(clip) == list(range(10, 40))
        assert numbers(clip, FrameRange(13, 16)) == [23, 24, 25]


def test_a_pixel_format_that_cannot_be_patched_is_named(tmp_path):
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "rgb555le"
        output.mux([*stream.encode(av.VideoFrame(32, 32, "rgb555le")), *stream.encode()])

    err = fault(path)

    assert err.code == "pixel-format" and "rgb555le" in err.text


def test_an_mp4_without_its_index_is_named(tmp_path):
    path = media.cut(media.write_clip(tmp_path / "a.mov", codec="prores_ks", pix_fmt="yuv422p10le"), 0.6)

    assert fault(path).code == "truncated"


@pytest.mark.parametrize("name", ["fast.mp4", "fast.mov", "h264.mkv", "dnxhr.mxf", "upside_down.avi"])
def test_a_file_cut_short_gives_what_it_holds_and_then_says_so(tmp_path, name):
    settings = {
        "fast.mp4": {"codec": "libx264", "options": LONG_GOP, "container_options": {"movflags": "faststart"}},
        "fast.mov": {**CLIPS["prores.mov"], "container_options": {"movflags": "faststart"}},
    }
    path = media.cut(media.write_clip(tmp_path / name, frames=60, **settings.get(name) or CLIPS[name]), 0.6)

    with open_clip(path) as clip:
        assert clip.info.frames == 60 and 20 <= clip.info.held < 60
        seen = []
        with pytest.raises(MediaError) as caught:
            for frame in clip.frames():
                seen.append(media.number_of(frame.views, frame.layout))

        assert seen == list(range(clip.info.held))
        assert caught.value.code == "truncated" and f"only {clip.info.held} of its 60" in caught.value.text
        assert numbers(clip, FrameRange(0, clip.info.held)) == seen  # as the hint says


def spoil(path, frame, data=None):
    """Overwrites the packet of one frame."""
    with av.open(str(path)) as container:
        packets = sorted((p.pts, p.pos, p.size) for p in container.demux(container.streams.video[0]) if p.size)
    _, place, size = packets[frame]
    body = bytearray(path.read_bytes())
    body[place : place + size] = bytes(size) if data is None else (data * size)[:size]
    path.write_bytes(body)


@pytest.mark.parametrize("name", ["prores.mov", "jpeg.avi", "h264.mp4"])
def test_a_frame_that_cannot_be_decoded_is_named(tmp_path, name):
    settings = CLIPS.get(name) or {"codec": "mjpeg", "pix_fmt": "yuvj420p"}
    path = media.write_clip(tmp_path / name, frames=36, **settings)
    spoil(path, 24)

    with open_clip(path) as clip:
        seen = []
        with pytest.raises(MediaError) as caught:
            for frame in clip.frames():
                seen.append(media.number_of(frame.views, frame.layout))

        # The H.264 decoder lets go of the frames around a lost key frame out of order.
        assert seen == list(range(len(seen))) and (20 if name == "h264.mp4" else 24) <= len(seen) <= 24
        assert caught.value.code == "corrupt" and f"frame {len(seen)} " in caught.value.text
        assert numbers(clip, FrameRange(0, len(seen))) == seen


def test_frames_after_a_damaged_one_can_be_read(tmp_path):
    path = media.write_clip(tmp_path / "a.mov", **CLIPS["prores.mov"])
    spoil(path, 12)

    with open_clip(path) as clip:
        assert numbers(clip, FrameRange(13, 24)) == list(range(13, 24))


def test_a_frame_that_the_decoder_had_to_guess_is_flagged(tmp_path):
    path = media.write_clip(tmp_path / "a.mov", **CLIPS["prores.mov"])
    with av.open(str(path)) as container:
        packet = next(p for p in container.demux(video=0) if p.pts and p.pts * p.time_base == Fraction(12, 25))
        place = packet.pos + packet.size // 2
    body = bytearray(path.read_bytes())
    body[place : place + 40] = b"\xff" * 40
    path.write_bytes(body)

    with open_clip(path) as clip:
        assert [frame.index for frame in clip.frames() if frame.is_corrupt] == [12]


def test_a_hole_in_a_matroska_file_is_not_taken_for_its_end(tmp_path):
    path = media.write_clip(tmp_path / "a.mkv", frames=60, options={"g": "100"})
    spoil(path, 30)

    err = fault(path)

    assert err.code == "truncated" and "60 frames" in err.text


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
def test_a_hole_before_frames_that_are_shown_out_of_order_is_not_taken_for_the_end(tmp_path, share):
    options = {"bf": "3", "b_strategy": "0", "g": "100", "crf": "5"}
    path = media.write_clip(tmp_path / "a.mkv", codec="libx264", frames=60, options=options)
    body = bytearray(path.read_bytes())
    start = int(share * len(body))
    body[start : start + len(body) // 10] = bytes(len(body) // 10)
    path.write_bytes(body)

    err = fault(path)

    assert err.code == "truncated" and "60 frames" in err.text


def test_frames_missing_from_an_even_clip_are_known(tmp_path):
    even, lost = list(range(40)), [*range(20), *range(23, 43)]
    uneven = [k + k // 3 for k in range(40)]

    for pts, gaps in ((even, []), (lost, [19]), (uneven, [])):
        path = media.write_clip(tmp_path / "a.mkv", frames=40, pts=pts)
        with open_clip(path) as clip:
            assert clip.info.gaps == gaps


def test_a_change_of_size_says_where(tmp_path):
    small = media.write_clip(tmp_path / "small.264", codec="libx264", size=(96, 64), frames=10, container="h264")
    large = media.write_clip(tmp_path / "large.264", codec="libx264", size=(160, 96), frames=10, container="h264")
    path = tmp_path / "both.264"
    path.write_bytes(small.read_bytes() + large.read_bytes())

    err = fault(path)

    assert err.code == "changes" and "frame 10" in err.text and "160x96" in err.text


def test_a_range_beyond_the_clip_is_refused(tmp_path):
    path = media.write_clip(tmp_path / "a.mkv")

    with open_clip(path) as clip, pytest.raises(MediaError) as caught:
        clip.frames(FrameRange(20, 30))

    assert caught.value.code == "range" and "24" in caught.value.text
