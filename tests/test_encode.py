"""The cleaned clip: every codec, every pixel format, segments that survive a kill, faults that leave nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import media
import numpy as np
import pytest
from autowipe import encoders, planes
from autowipe.decode import ClipInfo, open_clip
from autowipe.encode import VideoWriter, copy_untouched, open_output
from autowipe.encoders import Wish, choose
from autowipe.errors import AutoWipeError, JobError, MediaError
from autowipe.hdr import Hdr
from autowipe.timing import FrameRange

QUIET = {"x265-params": "log-level=error"}
FAST_VP9 = {"deadline": "realtime", "cpu-used": "8", "crf": "10", "b": "0"}
PEAK_DB = 40  # of every family against its source: lossy codecs come out at 44 and more, AV1's worst frame at 36
WORST_DB = 34
CUTS = (7, 8, 19)

# codec, pixel format, suffix, options, size
FAMILIES = [
    ("libx264", "yuv420p", "mp4", {}, (96, 64)),
    ("libx264", "yuv422p10le", "mov", {}, (96, 64)),
    ("libx264", "yuvj444p", "mkv", {}, (96, 64)),
    ("libx264", "yuv420p", "ts", {}, (96, 64)),
    ("libx265", "yuv420p10le", "mp4", QUIET, (96, 64)),
    ("libx265", "yuv422p12le", "mkv", QUIET, (96, 64)),
    ("libsvtav1", "yuv420p10le", "mp4", {"preset": "12"}, (96, 64)),
    ("libvpx-vp9", "yuv444p", "webm", FAST_VP9, (97, 65)),
    ("mpeg2video", "yuv422p", "mpg", {"b": "3000000"}, (96, 64)),
    ("mpeg2video", "yuv420p", "mkv", {"b": "3000000"}, (96, 64)),
    ("mpeg4", "yuv420p", "avi", {"b": "3000000"}, (96, 64)),
    ("prores_ks", "yuv422p10le", "mov", {"profile": "3"}, (96, 64)),
    ("dnxhd", "yuv422p", "mov", {"profile": "dnxhr_hq"}, (256, 128)),
    ("dnxhd", "yuv422p10le", "mxf", {"profile": "dnxhr_hqx"}, (256, 128)),
    ("mjpeg", "yuvj422p", "mov", {}, (96, 64)),
    ("cfhd", "yuv422p10le", "mov", {}, (96, 64)),
]
LOSSLESS = [
    ("ffv1", "yuv420p12le", "mkv"),
    ("ffv1", "gray16le", "mkv"),
    ("utvideo", "yuv422p", "avi"),
    ("qtrle", "argb", "mov"),
    ("png", "rgb24", "mov"),
    ("rawvideo", "uyvy422", "mov"),
    ("v210", "yuv422p10le", "mov"),
]


def rewrite(
    source: Path, output: Path, *, codec: str = "auto", changed: Any = True, span: FrameRange | None = None,
    cuts: tuple[int, ...] = CUTS, quality: str = "normal", hardware: bool = False,
) -> list[tuple[str, str]]:  # fmt: skip
    """Sends a clip through an output as it is; gives the output's warnings."""
    with open_clip(source) as clip:
        whole = span or clip.info.whole
        work = output.parent / "work"
        with open_output(
            output, clip.info, source_range=whole, codec=codec, hardware=hardware, quality=quality, work=work
        ) as out:
            for frame in clip.frames(whole):
                _ = frame.views
                out.write(frame, changed=changed if isinstance(changed, bool) else changed(frame.index))
                if frame.index in cuts:
                    out.cut()
            out.finish()
        assert not work.exists()
        return out.warnings


def samples(path: Path, span: FrameRange | None = None) -> tuple[ClipInfo, list[list[np.ndarray]]]:
    with open_clip(path) as clip:
        return clip.info, [[view.copy() for view in frame.views] for frame in clip.frames(span)]


def psnr(one: list[np.ndarray], two: list[np.ndarray], info: ClipInfo) -> float:
    errors = [np.mean((a.astype(np.float64) - b) ** 2) for a, b in zip(one, two, strict=True)]
    peak = 2 ** max(plane.bits for plane in info.layout.planes) - 1
    return float(10 * np.log10(peak**2 / max(float(np.mean(errors)), 1e-9)))


def same(one: list[list[np.ndarray]], two: list[list[np.ndarray]]) -> bool:
    return len(one) == len(two) and all(
        np.array_equal(a, b) for x, y in zip(one, two, strict=True) for a, b in zip(x, y, strict=True)
    )


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


@pytest.mark.parametrize(("codec", "pix_fmt", "suffix", "options", "size"), FAMILIES)
def test_auto_stays_in_the_family_with_every_frame_in_its_place(
    tmp_path: Path, codec: str, pix_fmt: str, suffix: str, options: dict[str, str], size: tuple[int, int]
) -> None:
    source, output = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    media.write_clip(source, codec=codec, pix_fmt=pix_fmt, options=options, size=size)

    warnings = rewrite(source, output)

    before, given = samples(source)
    after, made = samples(output)
    assert warnings == []
    assert (after.codec, after.layout, after.rate, after.frames) == (
        before.codec, before.layout, before.rate, before.frames,
    )  # fmt: skip
    assert after.full_range == before.full_range
    if suffix != "avi":  # which counts from its first frame
        assert [int(p) * after.time_base for p in after.pts] == [int(p) * before.time_base for p in before.pts]
    figures = [psnr(a, b, before) for a, b in zip(given, made, strict=True)]
    assert np.mean(figures) > PEAK_DB and min(figures) > WORST_DB


@pytest.mark.parametrize(("codec", "pix_fmt", "suffix"), LOSSLESS)
def test_auto_keeps_a_lossless_source_lossless_in_its_own_codec(
    tmp_path: Path, codec: str, pix_fmt: str, suffix: str
) -> None:
    source, output = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    media.write_clip(source, codec=codec, pix_fmt=pix_fmt, frames=8)

    rewrite(source, output, cuts=(3,))

    before, given = samples(source)
    after, made = samples(output)
    assert (after.codec, after.layout) == (before.codec, before.layout)
    assert same(given, made)


@pytest.mark.parametrize(
    "pix_fmt",
    [
        "yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le",
        "yuv422p12le", "yuv444p12le", "yuva420p", "yuva444p10le", "yuva444p12le", "gray", "gray10le", "gray16le",
        "ya8", "gbrp", "gbrp10le", "gbrp12le", "gbrap", "gbrap10le", "rgb24", "bgra", "rgb48le", "nv12",
        "yuyv422",
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [(96, 64), (97, 67)])
def test_ffv1_holds_every_sample_of_every_pixel_format(tmp_path: Path, pix_fmt: str, size: tuple[int, int]) -> None:
    if pix_fmt in ("yuyv422", "nv12") and size != (96, 64):
        pytest.skip("these formats have no odd sizes")
    source, output = tmp_path / "in.nut", tmp_path / "out.mkv"
    media.write_clip(source, codec="rawvideo", pix_fmt=pix_fmt, size=size, frames=4)

    warnings = rewrite(source, output, codec="ffv1", cuts=(1,))

    before, given = samples(source)
    after, made = samples(output)
    roles = {plane.role: k for k, plane in enumerate(after.layout.planes)}
    for frame, again in zip(given, made, strict=True):
        for plane, part in zip(before.layout.planes, frame, strict=True):
            low = after.layout.planes[roles[plane.role]].bits - plane.bits
            assert np.array_equal(part >> plane.low, again[roles[plane.role]] >> low)
    assert not any("lost" in text and "nothing" not in text for _, text in warnings)
    assert after.full_range == before.full_range


@pytest.mark.parametrize(("codec", "suffix"), [("ffv1", "mkv"), ("h264", "mp4"), ("hevc", "mov"), ("prores", "mov")])
def test_asked_codecs_are_written(tmp_path: Path, codec: str, suffix: str) -> None:
    source, output = tmp_path / "in.mkv", tmp_path / f"out.{suffix}"
    media.write_clip(source, frames=6)

    rewrite(source, output, codec=codec, cuts=())

    info, made = samples(output)
    assert info.codec == codec
    assert len(made) == 6


def test_dnxhr_is_written_from_8_bit_4_2_0_with_a_warning(tmp_path: Path) -> None:
    source, output = tmp_path / "in.mkv", tmp_path / "out.mov"
    media.write_clip(source, frames=6, size=(256, 144))

    warnings = rewrite(source, output, codec="dnxhr")

    before, given = samples(source)
    after, made = samples(output)
    assert (after.codec, after.profile, after.layout.pix_fmt) == ("dnxhd", "DNXHR HQ", "yuv422p")
    assert [code for code, _ in warnings] == ["pixel-format"]
    assert psnr(given[3][:1], made[3][:1], before) > PEAK_DB


def test_losing_bits_or_alpha_is_said(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    media.write_clip(source, frames=3, pix_fmt="yuva444p12le")

    (code, text), *others = rewrite(source, tmp_path / "out.mp4", codec="h264")

    assert code == "pixel-format" and not others
    assert "12 bits become 10" in text and "alpha is left out" in text


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "size", "suffix", "becomes"),
    [
        ("libx264rgb", "rgb24", (96, 64), "mkv", "hevc"),
        ("libx264rgb", "rgb24", (97, 65), "mkv", "hevc"),
        ("libvpx-vp9", "yuv444p", (96, 64), "webm", "vp9"),
    ],
)
def test_another_family_is_taken_only_where_the_own_one_would_lose(
    tmp_path: Path, codec: str, pix_fmt: str, size: tuple[int, int], suffix: str, becomes: str
) -> None:
    source, output = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    media.write_clip(source, codec=codec, pix_fmt=pix_fmt, size=size, frames=6)

    warnings = rewrite(source, output, quality="draft")

    before, _ = samples(source)
    after, _ = samples(output)
    assert (after.codec, after.layout) == (becomes, before.layout)
    assert [code for code, _ in warnings] == ([] if becomes == before.codec else ["codec-changed"])


HAS_DEEP_VP9 = "yuv420p10le" in [found.name for found in av.Codec("libvpx-vp9", "w").video_formats or ()]


@pytest.mark.skipif(HAS_DEEP_VP9, reason="this build of FFmpeg writes deep VP9")
@pytest.mark.parametrize(("pix_fmt", "suffix", "name"), [
    ("yuv420p10le", "webm", "libsvtav1"), ("yuv444p12le", "mkv", "libx265"), ("yuv444p12le", "webm", "libvpx-vp9"),
])  # fmt: skip
def test_deep_vp9_which_no_encoder_here_writes_keeps_its_bits_where_the_file_can_hold_them(
    tmp_path: Path, pix_fmt: str, suffix: str, name: str
) -> None:
    source = tmp_path / "in.mkv"
    media.write_clip(source, frames=3, pix_fmt=pix_fmt)
    with open_clip(source) as clip:
        like = replace(clip.info, codec="vp9")

    encoder, notices = choose(Wish(like, tmp_path / f"out.{suffix}", "auto", "normal", False, Hdr()))

    assert encoder.name == name
    assert [code for code, _ in notices] == ["pixel-format" if name == "libvpx-vp9" else "codec-changed"]


def test_another_family_is_taken_only_where_its_encoder_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in.mkv"
    media.write_clip(source, codec="libx264rgb", pix_fmt="rgb24", frames=3)
    has = encoders._has_encoder
    monkeypatch.setattr(encoders, "_has_encoder", lambda name: name != "libx265" and has(name))

    with open_clip(source) as clip:
        encoder, notices = choose(Wish(clip.info, tmp_path / "out.mkv", "auto", "normal", False, Hdr()))

    assert encoder.name == "libx264"
    assert [code for code, _ in notices] == ["pixel-format"]


def test_another_family_is_not_taken_where_the_file_cannot_hold_the_own_one(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    media.write_clip(source, codec="libx264", frames=3)

    with pytest.raises(JobError, match="libx264") as caught:
        rewrite(source, tmp_path / "out.webm")

    assert ".mp4" in caught.value.hint


def test_hevc_leaves_alpha_out_and_says_so(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    media.write_clip(source, frames=3, pix_fmt="yuva420p")

    warnings = rewrite(source, tmp_path / "out.mp4", codec="hevc")

    assert [code for code, _ in warnings] == ["pixel-format"] and "alpha is left out" in warnings[0][1]


@pytest.mark.parametrize(("pix_fmt", "name"), [("rgb24", "libx265"), ("yuv420p", "hevc_nvenc")])
def test_hardware_that_takes_rgb_but_would_not_keep_it_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pix_fmt: str, name: str
) -> None:
    source, formats = tmp_path / "in.mkv", encoders._formats
    media.write_clip(source, codec="libx264rgb" if pix_fmt == "rgb24" else "libx264", pix_fmt=pix_fmt, frames=3)
    monkeypatch.setattr(encoders, "_has_encoder", lambda name: name.endswith("nvenc"))
    monkeypatch.setattr(
        encoders, "_formats", lambda name, like: ["yuv420p", "bgr0"] if "nvenc" in name else formats(name, like)
    )
    monkeypatch.setattr(encoders, "_try", lambda encoder, muxer: None)

    with open_clip(source) as clip:
        encoder, _ = choose(Wish(clip.info, tmp_path / "out.mkv", "hevc", "normal", True, Hdr()))

    assert encoder.name == name


def test_a_picture_so_small_that_it_crashes_x265_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    media.write_clip(source, frames=3, size=(48, 32))

    with pytest.raises(MediaError, match="48x32"):
        rewrite(source, tmp_path / "out.mp4", codec="hevc")


def test_full_range_is_scaled_for_prores_and_said(tmp_path: Path) -> None:
    source, output = tmp_path / "in.mkv", tmp_path / "out.mov"
    media.write_clip(source, frames=3, pix_fmt="yuvj420p", codec="libx264", options={"qp": "0"})

    warnings = rewrite(source, output, codec="prores")

    _, given = samples(source)
    after, made = samples(output)
    assert {code for code, _ in warnings} == {"pixel-format", "colour-range"}
    assert not after.full_range
    limited = 16 + given[1][0].astype(float) * 219 / 255
    assert np.abs(limited - made[1][0] / 4).mean() < 1


def test_odd_sizes_stay_odd_in_h264(tmp_path: Path) -> None:
    source, output = tmp_path / "in.mkv", tmp_path / "out.mp4"
    media.write_clip(source, frames=3, size=(97, 65))

    rewrite(source, output, codec="h264")

    info, _ = samples(output)
    assert (info.layout.width, info.layout.height) == (97, 65)


@pytest.mark.parametrize(
    ("codec", "suffix", "size"),
    [
        ("h264", "mp4", (96, 64)),
        ("hevc", "mp4", (96, 64)),
        ("ffv1", "mkv", (96, 64)),
        ("prores", "mov", (96, 64)),
        ("dnxhr", "mov", (256, 128)),
    ],
)
def test_a_killed_run_goes_on_and_gives_the_same_file(
    tmp_path: Path, codec: str, suffix: str, size: tuple[int, int]
) -> None:
    source, output, work = tmp_path / "in.mkv", tmp_path / f"out.{suffix}", tmp_path / "work"
    media.write_clip(source, size=size, audio=1)
    rewrite(source, tmp_path / f"straight.{suffix}", codec=codec)
    with open_clip(source) as clip:
        whole = clip.info.whole
        asked: dict[str, Any] = dict(source_range=whole, codec=codec, hardware=False, quality="normal", work=work)

        starts = []
        for dies_at in (12, 20, None):
            with open_output(output, clip.info, **asked) as out:
                starts.append(out.next_frame)
                for frame in clip.frames(FrameRange(out.next_frame, whole.stop)):
                    if frame.index == dies_at:
                        break
                    out.write(frame, changed=True)
                    if frame.index in CUTS:
                        out.cut()
                if dies_at is None:
                    out.finish()
            assert output.exists() == (dies_at is None)

    assert starts == [0, 9, 20]
    assert output.read_bytes() == (tmp_path / f"straight.{suffix}").read_bytes()


@pytest.mark.parametrize(("codec", "suffix"), [("h264", "mp4"), ("hevc", "mp4"), ("ffv1", "mkv")])
def test_joined_segments_decode_as_each_does_alone(tmp_path: Path, codec: str, suffix: str) -> None:
    source, output = tmp_path / "in.mkv", tmp_path / f"out.{suffix}"
    media.write_clip(source)
    rewrite(source, output, codec=codec, cuts=(6, 7))

    alone = []
    for span in (FrameRange(0, 7), FrameRange(7, 8), FrameRange(8, 24)):
        part = tmp_path / f"part.{suffix}"
        rewrite(source, part, codec=codec, span=span, cuts=())
        alone += samples(part)[1]

    assert same(samples(output)[1], alone)


def test_segments_of_other_settings_or_half_written_are_thrown_away(tmp_path: Path) -> None:
    source, work = tmp_path / "in.mkv", tmp_path / "work"
    media.write_clip(source)
    with open_clip(source) as clip:
        asked: dict[str, Any] = dict(source_range=clip.info.whole, hardware=False, quality="normal", work=work)
        with open_output(tmp_path / "o.mkv", clip.info, codec="ffv1", **asked) as out:
            for frame in clip.frames(FrameRange(0, 12)):
                out.write(frame, changed=True)
                if frame.index in (3, 7):
                    out.cut()
        with open_output(tmp_path / "o.mkv", clip.info, codec="ffv1", **asked) as out:
            assert out.next_frame == 8
        torn = work / "00000004.packets"
        torn.write_bytes(torn.read_bytes()[:-1])
        with open_output(tmp_path / "o.mkv", clip.info, codec="ffv1", **asked) as out:
            assert out.next_frame == 4
        with open_output(tmp_path / "o.mkv", clip.info, codec="h264", **asked) as out:
            assert out.next_frame == 0


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "options"),
    [
        ("prores_ks", "yuv422p10le", {"profile": "3"}),
        ("prores_ks", "yuva444p10le", {"profile": "4"}),
        ("dnxhd", "yuv422p10le", {"profile": "dnxhr_hqx"}),
    ],
)
def test_untouched_frames_of_intra_only_sources_keep_their_packets(
    tmp_path: Path, codec: str, pix_fmt: str, options: dict[str, str]
) -> None:
    source, output = tmp_path / "in.mov", tmp_path / "out.mov"
    media.write_clip(source, codec=codec, pix_fmt=pix_fmt, options=options, size=(256, 128), audio=1)
    wiped = range(9, 14)

    rewrite(source, output, changed=lambda index: index in wiped)

    before, after = packets(source), packets(output)
    info, made = samples(output)
    assert [a == b for a, b in zip(before, after, strict=True)] == [k not in wiped for k in range(24)]
    assert [media.number_of(views, info.layout) for views in made] == list(range(24))
    assert same([v for k, v in enumerate(samples(source)[1]) if k not in wiped],
                [v for k, v in enumerate(made) if k not in wiped])  # fmt: skip


def test_copying_goes_on_after_a_kill_and_in_a_range(tmp_path: Path) -> None:
    source, output, work = tmp_path / "in.mov", tmp_path / "out.mov", tmp_path / "work"
    media.write_clip(source, codec="prores_ks", pix_fmt="yuv422p10le")
    with open_clip(source) as clip:
        asked: dict[str, Any] = dict(
            source_range=FrameRange(4, 20), codec="auto", hardware=False, quality="normal", work=work
        )
        for stop in (14, 20):
            with open_output(output, clip.info, **asked) as out:
                for frame in clip.frames(FrameRange(out.next_frame, stop)):
                    out.write(frame, changed=False)
                    if frame.index == 9:
                        out.cut()
                if stop == 20:
                    out.finish()

    assert packets(output) == packets(source)[4:20]


def test_a_clip_with_nothing_to_wipe_comes_back_byte_for_byte(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    media.write_clip(source, codec="libx264")
    with open_clip(source) as clip:
        assert copy_untouched(tmp_path / "out.mp4", clip.info, clip.info.whole) == []
        assert copy_untouched(tmp_path / "out.mkv", clip.info, clip.info.whole) == []
        assert copy_untouched(tmp_path / "part.mp4", clip.info, FrameRange(3, 9)) is None

    assert (tmp_path / "out.mp4").read_bytes() == source.read_bytes()
    assert same(samples(tmp_path / "out.mkv")[1], samples(source)[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mkv", "out.mp4"]


def test_a_missing_hardware_encoder_is_said_and_software_used(tmp_path: Path) -> None:
    source, output = tmp_path / "in.mkv", tmp_path / "out.mp4"
    media.write_clip(source, frames=5)

    warnings = rewrite(source, output, codec="h264", hardware=True)

    with av.open(str(output)) as container:
        used_software = b"x264" in output.read_bytes()
        assert container.streams.video[0].codec_context.name == "h264"
    assert used_software == (warnings[:1] == [("no-hardware-encoder", warnings[0][1])] if warnings else False)


def test_better_sources_get_more_bits(tmp_path: Path) -> None:
    sizes = []
    for name, crf in (("lean", "40"), ("rich", "1")):
        source = tmp_path / f"{name}.mp4"
        media.write_clip(source, codec="libx264", options={"crf": crf}, size=(320, 180))
        rewrite(source, tmp_path / f"{name}-out.mp4")
        sizes.append((tmp_path / f"{name}-out.mp4").stat().st_size / source.stat().st_size)

    assert all(ratio > 0.7 for ratio in sizes)


@pytest.mark.parametrize(
    ("codec", "name", "hint"),
    [("prores", "out.mp4", r"\.mov"), ("ffv1", "out.mov", r"\.mkv"), ("h264", "out.webm", r"\.mp4"),
     ("auto", "out.xyz", r"\.mkv"), ("auto", "out", r"\.mkv")],
)  # fmt: skip
def test_containers_that_cannot_hold_the_codec_are_refused_with_a_way_out(
    tmp_path: Path, codec: str, name: str, hint: str
) -> None:
    source = tmp_path / "in.mkv"
    media.write_clip(source, frames=3)

    with pytest.raises(JobError) as caught:
        rewrite(source, tmp_path / name, codec=codec)

    assert re.search(hint, caught.value.hint)
    assert not (tmp_path / name).exists()


def test_outputs_in_the_wrong_place_are_refused(tmp_path: Path) -> None:
    source, link = tmp_path / "in.mkv", tmp_path / "link.mkv"
    media.write_clip(source, frames=3)
    os.link(source, link)
    (tmp_path / "folder.mkv").mkdir()
    for name, code in {
        "in.mkv": "output-is-source",
        "link.mkv": "output-is-source",
        "nowhere/out.mkv": "no-folder",
        "in.mkv/out.mkv": "no-folder",
        "folder.mkv": "output-is-folder",
    }.items():
        with pytest.raises(AutoWipeError) as caught:
            rewrite(source, tmp_path / name, codec="ffv1")
        assert caught.value.code == code and caught.value.hint


SHORT_OF_SPACE = """
import resource, signal, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from autowipe.decode import open_clip
from autowipe.encode import open_output
from autowipe.errors import MediaError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with open_clip({source!r}) as clip:
    try:
        with open_output(Path({output!r}), clip.info, source_range=clip.info.whole, codec="ffv1", hardware=False,
                         quality="normal", work=Path({work!r})) as out:
            for frame in clip.frames():
                if frame.index == {at}:
                    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
                out.write(frame, changed=True)
                if frame.index in (7, 15):
                    out.cut()
            if {at} == 24:
                out.cut()
                resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
            out.finish()
    except MediaError as err:
        print(err.code, out.next_frame)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files as Unix does")
@pytest.mark.parametrize(("at", "stored"), [(18, 16), (24, 24)])
def test_a_full_disk_leaves_no_half_file_and_what_is_done_is_kept(tmp_path: Path, at: int, stored: int) -> None:
    source, output, work = tmp_path / "in.mkv", tmp_path / "out.mkv", tmp_path / "work"
    media.write_clip(source)
    output.write_bytes(b"what was there")
    code = SHORT_OF_SPACE.format(
        paths=sys.path, source=str(source), output=str(output), work=str(work), at=at, limit=4000
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert ran.stdout.split() == ["disk-full", str(stored)], ran.stderr
    assert output.read_bytes() == b"what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "out.mkv", "work"]
    with (
        open_clip(source) as clip,
        open_output(
            output, clip.info, source_range=clip.info.whole, codec="ffv1", hardware=False, quality="normal", work=work
        ) as out,
    ):
        assert out.next_frame == stored


@pytest.mark.parametrize(("suffix", "codec", "grey"), [("mkv", "ffv1", True), ("mkv", "ffv1", False),
                                                       ("mp4", "h264", True), ("mov", "prores", False)])  # fmt: skip
def test_pictures_beside_the_clip_keep_its_times_and_go_on_after_a_kill(
    tmp_path: Path, suffix: str, codec: str, grey: bool
) -> None:
    source, path = tmp_path / "in.mp4", tmp_path / f"side.{suffix}"
    pts = [3000 + 40 * k + 7 * (k % 3) for k in range(24)]
    media.write_clip(source, codec="libx264", time_base=Fraction(1, 1000), pts=pts)
    shape = (60, 90) if grey else (60, 90, 3)
    ramp = np.arange(60)[:, None] * 2 + np.arange(90)
    picture = np.broadcast_to(ramp if grey else ramp[..., None], shape)
    with open_clip(source) as clip:
        span = FrameRange(2, 20)
        for stop in (14, 20):
            with VideoWriter(
                path, (90, 60), like=clip.info, source_range=span, grey=grey, work=tmp_path / "work"
            ) as video:
                for frame in clip.frames(FrameRange(video.next_frame, stop)):
                    video.write((picture + frame.index).astype(np.uint8), frame)
                    if frame.index == 9:
                        video.cut()
                if stop == 20:
                    video.finish()
        expected = [float((clip.info.pts[k] - clip.info.pts[2] + clip.info.pts[0]) * clip.info.time_base)
                    for k in span]  # fmt: skip

    info, made = samples(path)
    assert info.codec == codec
    assert np.abs(np.array(expected) - info.pts * float(info.time_base)).max() < 1e-3
    if codec == "ffv1":
        assert np.array_equal(made[5][0], (ramp + 7).astype(np.uint8))
    else:
        level = made[5][0][30, 45] / 2.0 ** (info.layout.planes[0].bits - 8)
        assert abs(level - (16 + (105 + 7) * 219 / 255)) < 2
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(("suffix", "pix_fmt"), [("png", "rgb24"), ("tif", "rgb48le"), ("dpx", "gbrp10le")])
def test_a_numbered_sequence_stays_one(tmp_path: Path, suffix: str, pix_fmt: str) -> None:
    codec = {"png": "png", "tif": "tiff", "dpx": "dpx"}[suffix]
    folder, made = tmp_path / "in", tmp_path / "a made"
    folder.mkdir(), made.mkdir()
    media.write_clip(
        folder / f"s_%03d.{suffix}", codec=codec, pix_fmt=pix_fmt, frames=6, container="image2",
        container_options={"start_number": "41"},
    )  # fmt: skip

    rewrite(folder / f"s_###.{suffix}", made / f"c_####.{suffix}", span=FrameRange(1, 5), cuts=(2,))

    assert sorted(path.name for path in made.iterdir()) == [f"c_{n:04d}.{suffix}" for n in range(42, 46)]
    before, given = samples(folder / f"s_###.{suffix}", FrameRange(1, 5))
    after, again = samples(made / f"c_####.{suffix}")
    assert after.layout == before.layout and same(given, again)


def test_pictures_and_video_go_into_each_other(tmp_path: Path) -> None:
    clip, folder, back = tmp_path / "in.mkv", tmp_path / "pictures", tmp_path / "back.mkv"
    folder.mkdir()
    media.write_clip(clip, codec="ffv1", pix_fmt="bgr0", frames=5)

    rewrite(clip, folder / "p_%04d.png")
    rewrite(folder / "p_%04d.png", back)

    assert same(samples(back)[1], samples(clip)[1])
    with pytest.raises(JobError, match="one picture"):
        rewrite(clip, folder / "single.png")


def seen(path: Path) -> np.ndarray:
    """The first picture of a clip as RGB, 0 to 255, by what its file says of its colours."""
    with open_clip(path) as clip:
        info, frame = clip.info, next(clip.frames())
        box = (0, 0, info.layout.width, info.layout.height)
        crop = planes.crop(frame.samples, info.layout, box)
        return 255 * planes.to_rgb(crop, info.layout, info.matrix, info.full_range, info.siting)


@pytest.mark.parametrize(("codec", "suffix"), [("h264", "mp4"), ("hevc", "mp4"), ("prores", "mov"), ("ffv1", "mkv")])
def test_pictures_keep_their_colours_in_a_video(tmp_path: Path, codec: str, suffix: str) -> None:
    source, output = tmp_path / "p_%04d.png", tmp_path / f"out.{suffix}"
    media.write_clip(source, codec="png", pix_fmt="rgb24", frames=2, container="image2")

    rewrite(source, output, codec=codec, cuts=())

    assert np.abs(seen(output) - seen(source)).mean() < 1.5


@pytest.mark.parametrize("tag", [1, 2, 6, 9])
@pytest.mark.parametrize("size", [(96, 64), (1280, 720)])
def test_a_video_keeps_its_colours_in_pictures(tmp_path: Path, tag: int, size: tuple[int, int]) -> None:
    source = tmp_path / "in.mkv"

    def tell(stream: Any) -> None:
        stream.codec_context.colorspace = tag

    media.write_clip(source, pix_fmt="yuv444p", frames=2, size=size, prepare=tell)

    rewrite(source, tmp_path / "p_%04d.png", cuts=())

    assert np.abs(seen(tmp_path / "p_%04d.png") - seen(source)).max() < 2


def test_untouched_pictures_are_copied_byte_for_byte(tmp_path: Path) -> None:
    media.write_clip(tmp_path / "s_%02d.png", codec="png", pix_fmt="rgb24", frames=4, container="image2")
    (tmp_path / "out").mkdir()

    with open_clip(tmp_path / "s_##.png") as clip:
        assert copy_untouched(tmp_path / "out" / "s_##.png", clip.info, FrameRange(1, 3)) == []

    for path in sorted((tmp_path / "out").iterdir()):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_names_with_spaces_and_other_scripts_work(tmp_path: Path) -> None:
    folder = tmp_path / "Ключ 100% # 鍵"
    folder.mkdir()
    media.write_clip(folder / "ein Clip.mkv", frames=4)

    rewrite(folder / "ein Clip.mkv", folder / "sauber, ö.mkv")

    assert len(samples(folder / "sauber, ö.mkv")[1]) == 4


def test_an_encoder_that_fails_names_the_frame(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    media.write_clip(source, size=(16, 16), frames=2)

    with pytest.raises(MediaError, match="16x16") as caught:
        rewrite(source, tmp_path / "out.mov", codec="dnxhr")

    assert caught.value.hint
