"""Chooses the encoder of an output: of the source's family or the codec asked for, and at what quality.

Lossy encoders are driven by constant quality, with this rule: the CRF of the ladders below is hard to tell from its
source by eye, and it is never exceeded. Where the source spends more bits on a pixel than its codec usually needs at
that quality (USUAL_BITS), the CRF is lowered by 6 for each doubling, which about doubles the bits in turn. So a
generous source stays generous, and a starved one is not made worse.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

import av

from . import images
from .decode import ClipInfo
from .errors import JobError, MediaError
from .hdr import Hdr, encoder_text
from .pixels import FULL, LIMITED, is_same_kind, losses, nearest
from .planes import layout_of
from .segments import Encoder

log = logging.getLogger(__name__)
os.environ.setdefault("SVT_LOG", "1")  # errors only: SVT-AV1 tells its whole set-up on stderr, across a progress bar

Notice = tuple[str, str]  # code and text of a warning

# Suffix to FFmpeg's muxer, codec to its encoder, codecs named like their encoders, the public names, and where an
# encoder's packets may lie.
FORMATS = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".qt": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi",
    ".mxf": "mxf", ".nut": "nut", ".ts": "mpegts", ".m2ts": "mpegts", ".mts": "mpegts", ".mpg": "mpeg",
    ".mpeg": "mpeg", ".vob": "vob",
}  # fmt: skip
FAMILY = {
    "h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9", "vp8": "libvpx",
    "mpeg2video": "mpeg2video", "mpeg1video": "mpeg1video", "mpeg4": "mpeg4", "prores": "prores", "dnxhd": "dnxhd",
    "mjpeg": "mjpeg", "cfhd": "cfhd",
}  # fmt: skip
LOSSLESS = {
    "ffv1", "ffvhuff", "huffyuv", "utvideo", "magicyuv", "qtrle", "png", "tiff", "dpx", "exr", "bmp", "targa",
    "rawvideo", "v210", "v410", "r210", "jpegls",
}  # fmt: skip
ASKED = {"ffv1": "ffv1", "prores": "prores", "dnxhr": "dnxhd", "h264": "libx264", "hevc": "libx265"}
PLACES = {
    "ffv1": ".mkv", "prores": ".mov", "dnxhd": ".mov", "libx264": ".mp4, .mov or .mkv",
    "libx265": ".mp4, .mov or .mkv", "libsvtav1": ".mp4 or .mkv", "libvpx-vp9": ".webm, .mkv or .mp4",
    "libvpx": ".webm or .mkv", "mpeg2video": ".mpg, .ts or .mkv", "utvideo": ".avi or .mkv",
}  # fmt: skip
ALIKE = ("libsvtav1", "libx265")  # between them they hold most pixel formats
INTRA = {"prores", "dnxhd", "mjpeg", "cfhd"}  # lossy, every packet for itself

# Preset and CRF by quality. In the comments: CPU ms for a 1080p frame of film with grain, PSNR of luma in dB.
X264 = {"draft": ("ultrafast", 18), "normal": ("superfast", 15), "best": ("medium", 13)}  # 33, 42 · 55, 43.5 · 210, 47
X265 = {"draft": ("ultrafast", 18), "normal": ("ultrafast", 14), "best": ("veryfast", 12)}  # 190, 41 · 227, 43.4 · 480
SVT = {"draft": ("12", 16), "normal": ("10", 8), "best": ("6", 5)}  # 85, 40 · 120, 43.5
VPX = {"draft": ("8", 16), "normal": ("6", 12), "best": ("4", 8)}  # 97, 45 · 153, 45.5
LADDERS = {"libx264": X264, "libx265": X265, "libsvtav1": SVT, "libvpx-vp9": VPX, "libvpx": VPX}
USUAL_BITS = {"libx264": 0.25, "libx265": 0.18, "libsvtav1": 0.15, "libvpx-vp9": 0.2, "libvpx": 0.3}  # a pixel
LOWEST_CRF = 6
X265_LEAST = (64, 33)  # px of width or height: in pictures smaller both ways x265 4.2 writes beyond its memory
FINE_SCALE = 2  # quantiser scale of the older codecs: 50 dB for MPEG-2 on the same film

HARDWARE = ("nvenc", "videotoolbox", "qsv", "amf", "mf", "vaapi")  # endings of h264_ and hevc_ encoders
PRORES = {"Proxy": 0, "LT": 1, "Standard": 2, "HQ": 3, "4444": 4, "XQ": 5}
DNXHR = {
    "DNXHR LB": "dnxhr_lb", "DNXHR SQ": "dnxhr_sq", "DNXHR HQ": "dnxhr_hq", "DNXHR HQX": "dnxhr_hqx",
    "DNXHR 444": "dnxhr_444",
}  # fmt: skip
DNXHD_MBPS = (36, 45, 60, 75, 80, 90, 100, 110, 115, 120, 145, 175, 180, 185, 190, 220, 240, 290, 365, 390, 440)
FFV1 = {"level": "3", "slicecrc": "1", "g": "1"}
LAMBDA = 118  # FFmpeg's unit of the quantiser scale
RGB, BT709 = 0, 1  # matrices of ITU-T H.273
FIELD_CODES = {"progressive": 1, "top": 2, "bottom": 3}  # AVFieldOrder
GLOBAL_HEADER = 0x40  # AVFMT_GLOBALHEADER


@dataclass(frozen=True)
class Wish:
    """What an output is to be like."""

    like: ClipInfo
    path: Path
    codec: str  # one of job.CODECS
    quality: str  # one of job.QUALITIES
    hardware: bool
    hdr: Hdr

    @property
    def muxer(self) -> str | None:
        """FFmpeg's name for the container; None for numbered pictures."""
        return None if images.is_pictures(self.path) else muxer_of(self.path)


def muxer_of(path: Path) -> str:
    """FFmpeg's muxer for an output's suffix. Raises JobError for one that AutoWipe does not write."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise JobError(
            f"{path.name}: AutoWipe does not know how to write {path.suffix or 'a file without a suffix'}",
            code="output-suffix",
            hint=f"End the output's name in one of: {', '.join(FORMATS)}.",
        ) from None


def choose(wish: Wish) -> tuple[Encoder, list[Notice]]:
    """The encoder for an output, tried out, and what the user should know about it.

    Raises JobError when the container cannot hold the codec, MediaError when the encoder does not open.
    """
    notices: list[Notice] = []
    name = _name_for(wish, notices)
    if wish.muxer is not None and not _holds(wish.muxer, name):
        raise _cannot_hold(wish.path, name)
    if wish.hardware:
        found = _hardware(wish, name)
        if found:
            return found, notices + _conversions(wish.like, found)
        notices.append(("no-hardware-encoder", f"no hardware encoder works here: {name} is used instead"))
    problem: av.FFmpegError | None = None
    for encoder in _candidates(wish, name):
        try:
            _try(encoder, wish.muxer)
        except av.FFmpegError as err:
            log.debug("%s refuses: %s", encoder, err)
            problem = err
        else:
            return encoder, notices + _conversions(wish.like, encoder)
    layout = wish.like.layout
    raise MediaError(
        f"the encoder {name} refuses pictures of {layout.width}x{layout.height} px, {layout.pix_fmt},"
        f" for {wish.path.name}: {problem.strerror if problem else ''}",
        code="encoder",
        hint="Choose another codec with --codec, such as ffv1 in a .mkv file.",
    )


def _name_for(wish: Wish, notices: list[Notice]) -> str:
    """The encoder's name for the codec asked for."""
    like, codec = wish.like, wish.codec
    if wish.muxer is None:
        if codec != "auto":
            raise JobError(
                f"{wish.path.name} is written as pictures, which have no codec {codec}",
                code="codec",
                hint="Leave out --codec, or name a video file.",
            )
        return images.ENCODERS[wish.path.suffix.lower()]
    if codec != "auto":
        return ASKED[codec]
    if like.codec in FAMILY:
        return _undiminished(wish, FAMILY[like.codec], notices)
    if like.codec in LOSSLESS and _has_encoder(like.codec) and _holds(wish.muxer, like.codec):
        return like.codec
    name = "ffv1" if like.codec in LOSSLESS or like.is_image_sequence or like.layout.is_rgb else "libx264"
    notices.append(("codec-changed", f"{like.codec} is not written to {wish.path.suffix}: the output is {name}"))
    return name


def _undiminished(wish: Wish, family: str, notices: list[Notice]) -> str:
    """The family's encoder, or one of another family where only that holds all bits and colours of the source."""
    source = wish.like.layout
    for name in filter(_has_encoder, (family, *ALIKE) if family in LADDERS else ()):
        encoder = _candidates(wish, name)[0]
        if losses(source, layout_of(encoder.pix_fmt, source.width, source.height)):
            continue
        if name == family:
            return family
        if _opens(wish, encoder):
            notices.append(("codec-changed", f"{family} holds no {source.pix_fmt}: the output is {name}"))
            return name
    return family


def _opens(wish: Wish, encoder: Encoder) -> bool:
    assert wish.muxer is not None
    try:
        _try(encoder, wish.muxer)
    except (av.FFmpegError, ValueError):
        return False
    return True


def _candidates(wish: Wish, name: str) -> list[Encoder]:
    """Encoders of one name to try in order; more than one for the fixed bit rates of DNxHD."""
    like = wish.like
    formats = _formats(name, like)
    if name in ("libx264", "libx265") and (like.layout.width % 2 or like.layout.height % 2):
        # 4:2:0 wants even sizes there.
        formats = [found for found in formats if any(word in found for word in ("444", "gbr", "gray"))]
    pix_fmt = nearest(like.layout, formats)
    matrix, colour_range = _matrix_and_range(like, name, pix_fmt)
    encoder = Encoder(
        name,
        pix_fmt,
        (like.layout.width, like.layout.height),
        like.rate,
        primaries=like.tags.primaries,
        transfer=like.tags.transfer,
        matrix=matrix,
        colour_range=colour_range,
        sample_aspect=like.sample_aspect,
        field_order=_field_code(wish, name),
        is_intra=name in INTRA or name in LOSSLESS or wish.muxer is None,
    )
    flags = _flags(wish, name)
    shared = {"flags": flags} if flags else {}
    if like.siting != "left":
        shared["chroma_sample_location"] = like.siting
    if name == "dnxhd":
        return [_with(encoder, shared | options) for options in _dnx_options(like, encoder.pix_fmt)]
    if name == "ffv1":
        return [_with(encoder, shared | FFV1 | {"slices": slices}) for slices in _ffv1_slices(like)]
    return [_with(encoder, shared | _options(wish, name, encoder.pix_fmt))]


def _field_code(wish: Wish, name: str) -> int:
    """As the source's file has it, where the new stream does not say it by itself."""
    says_it = name in LADDERS or name in ("mpeg2video", "mpeg1video", "mpeg4") or wish.muxer == "mxf"
    return FIELD_CODES[wish.like.field_order] if says_it else wish.like.field_code


def _flags(wish: Wish, name: str) -> str:
    flags = "+global_header" if wish.muxer and _wants_global_header(wish.muxer) else ""
    if name in ("mpeg2video", "mpeg1video", "mpeg4", "mjpeg"):
        flags += "+qscale"
    if wish.like.field_order != "progressive":
        if name in ("libx264", "mpeg2video", "mpeg4"):
            flags += "+ildct+ilme"
        elif name in ("prores", "dnxhd"):
            flags += "+ildct"
    return flags


def _options(wish: Wish, name: str, pix_fmt: str) -> dict[str, str]:
    like = wish.like
    # AVI has no time stamps: frames are shown in the order in which they are stored.
    group = {"g": "1"} if like.is_intra_only else {"bf": "0"} if wish.muxer == "avi" else {}
    if name in LADDERS:
        return _ladder_options(wish, name) | group
    if name in ("mpeg2video", "mpeg1video", "mpeg4", "mjpeg"):
        group = {} if name == "mjpeg" else {"g": "15", "bf": "2"} | group
        return {"global_quality": str(LAMBDA * FINE_SCALE), "qmin": "1"} | group
    if name == "prores":
        return {"profile": str(_prores_profile(like, pix_fmt))}
    return {}


def _ladder_options(wish: Wish, name: str) -> dict[str, str]:
    like = wish.like
    preset, crf = LADDERS[name][wish.quality][0], _crf(wish, name)
    hdr = encoder_text(wish.hdr, name)
    if name == "libx264":
        # FFmpeg tells x264 of a bottom field too late for its headers.
        more = ":".join(part for part in (hdr, "bff=1" if like.field_order == "bottom" else "") if part)
        return {"preset": preset, "crf": f"{crf:g}"} | ({"x264-params": more} if more else {})
    if name == "libx265":
        more = ":".join(part for part in ("log-level=error", hdr, "hdr10=1" if wish.hdr.display else "") if part)
        return {"preset": preset, "crf": f"{crf:g}", "x265-params": more}
    if name == "libsvtav1":
        return {"preset": preset, "crf": str(round(crf))} | ({"svtav1-params": hdr} if hdr else {})
    speed = {"deadline": "realtime", "cpu-used": preset, "crf": str(round(crf))}
    if name == "libvpx-vp9":
        return speed | {"b": "0", "row-mt": "1"}
    # VP8 takes its CRF only together with a bit rate that it may not exceed.
    return speed | {"b": str(round(4 * like.layout.width * like.layout.height * float(like.rate)))}


def _crf(wish: Wish, name: str) -> float:
    """The ladder's CRF, lowered where the source spends more bits than usual (see the top of this file)."""
    like, crf = wish.like, float(LADDERS[name][wish.quality][1])
    bits = (like.bit_rate or 0) / (like.layout.width * like.layout.height * float(like.rate))
    if bits > USUAL_BITS[name]:
        crf -= 6 * math.log2(bits / USUAL_BITS[name])
    return max(LOWEST_CRF, round(crf, 1))


def _prores_profile(like: ClipInfo, pix_fmt: str) -> int:
    if like.codec == "prores" and like.profile in PRORES:
        return PRORES[like.profile]
    return PRORES["4444" if "444" in pix_fmt else "HQ"]


def _dnx_options(like: ClipInfo, pix_fmt: str) -> list[dict[str, str]]:
    if like.codec == "dnxhd" and like.profile == "DNXHD":
        asked = (like.bit_rate or 0) / 1e6
        rates = sorted(DNXHD_MBPS, key=lambda rate: (rate < asked * 0.97, abs(rate - asked)))
        return [{"b": f"{rate}M"} for rate in rates]
    if like.codec == "dnxhd" and like.profile in DNXHR:
        return [{"profile": DNXHR[like.profile]}]
    return [{"profile": {"yuv422p": "dnxhr_hq", "yuv422p10le": "dnxhr_hqx"}.get(pix_fmt, "dnxhr_444")}]


def _ffv1_slices(like: ClipInfo) -> list[str]:
    """Enough slices to keep many cores busy; odd sizes allow only some numbers."""
    return ["16", "12", "9", "6", "4", "0"] if like.layout.height >= 480 else ["4", "0"]


def _matrix_and_range(like: ClipInfo, name: str, pix_fmt: str) -> tuple[int, int]:
    """The source's tags, but where the samples change: see pixels.Converter."""
    target = layout_of(pix_fmt, like.layout.width, like.layout.height)
    if target.is_rgb != like.layout.is_rgb and len(like.layout.colour) > 1 and len(target.colour) > 1:
        return (RGB, FULL) if target.is_rgb else (BT709, LIMITED)
    if name == "prores":  # which knows no full range: such a source is scaled
        return like.tags.matrix, LIMITED
    return like.tags.matrix, FULL if "yuvj" in like.layout.pix_fmt else like.tags.range


def _formats(name: str, like: ClipInfo) -> list[str]:
    if name == "rawvideo":
        return [like.layout.pix_fmt]
    formats = [found.name for found in av.Codec(name, "w").video_formats or ()]
    # x265 is listed with formats that have alpha, and refuses them.
    return [found for found in formats if name != "libx265" or not found.startswith("yuva")]


def _conversions(like: ClipInfo, encoder: Encoder) -> list[Notice]:
    source, name = like.layout, encoder.name
    target = layout_of(encoder.pix_fmt, source.width, source.height)
    found = []
    lost = losses(source, target)
    if lost:
        text = f"{name} holds no {source.pix_fmt}; it becomes {target.pix_fmt}: {', '.join(lost)}"
        found.append(("pixel-format", text))
    elif not is_same_kind(source, target):
        text = f"{name} holds no {source.pix_fmt}; it becomes {target.pix_fmt}, and nothing is lost"
        found.append(("pixel-format", text))
    if like.full_range and not source.is_rgb and encoder.colour_range == LIMITED:
        found.append(("colour-range", f"{name} knows no full range: levels are scaled to limited range"))
    return found


def _hardware(wish: Wish, name: str) -> Encoder | None:
    """The machine's encoder for the family of `name` that really opens, or None.

    Those that take RGB make 4:2:0 of it, by a matrix of their own.
    """
    family = {"libx264": "h264", "libx265": "hevc", "libsvtav1": "av1"}.get(name)
    layout = wish.like.layout
    if family is None or wish.muxer is None or layout.is_rgb:
        return None
    base = _candidates(wish, name)[0]
    shared = {key: value for key, value in base.options if key in ("flags", "chroma_sample_location", "g")}
    for maker in HARDWARE:
        if not _has_encoder(f"{family}_{maker}"):
            continue
        pix_fmt = nearest(layout, _formats(f"{family}_{maker}", wish.like))
        if losses(layout, layout_of(pix_fmt, layout.width, layout.height)):
            continue
        encoder = replace(base, name=f"{family}_{maker}", pix_fmt=pix_fmt)
        encoder = _with(encoder, shared | _hardware_options(maker, max(1, round(_crf(wish, name)))))
        try:
            _try(encoder, wish.muxer)
        except (av.FFmpegError, NotImplementedError) as err:
            log.info("%s does not open: %s", encoder.name, err)
            continue
        return encoder
    return None


def _hardware_options(maker: str, level: int) -> dict[str, str]:
    """Constant quality near a CRF of `level`, as each maker's encoder spells it."""
    percent = max(1, 100 - 2 * level)
    return {
        "nvenc": {"rc": "vbr", "cq": str(level), "preset": "p5", "b": "0"},
        "videotoolbox": {"global_quality": str(LAMBDA * percent)},
        "qsv": {"global_quality": str(level)},
        "amf": {"rc": "cqp", "qp_i": str(level), "qp_p": str(level)},
        "mf": {"rate_control": "quality", "quality": str(percent)},
        "vaapi": {"qp": str(level)},
    }[maker]


def _with(encoder: Encoder, options: dict[str, str]) -> Encoder:
    return replace(encoder, options=tuple(sorted(options.items())))


def _has_encoder(name: str) -> bool:
    try:
        av.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _holds(muxer: str, name: str) -> bool:
    with av.open(io.BytesIO(), "w", format=muxer) as trial:
        try:
            trial.add_stream(name, rate=25)
        except ValueError:
            return False
    return True


def _wants_global_header(muxer: str) -> bool:
    with av.open(io.BytesIO(), "w", format=muxer) as trial:
        return bool(int(trial.format.flags) & GLOBAL_HEADER)


def _try(encoder: Encoder, muxer: str | None) -> None:
    """Opens the encoder and, where there is a container, writes its header into memory."""
    if encoder.name == "libx265" and encoder.size[0] < X265_LEAST[0] and encoder.size[1] < X265_LEAST[1]:
        raise av.FFmpegError(errno.EINVAL, "such small ones crash it")
    if muxer is None:
        encoder.open()
        return
    trial = av.open(io.BytesIO(), "w", format=muxer)
    encoder.add_to(trial)
    trial.start_encoding()
    with contextlib.suppress(av.FFmpegError):  # some muxers do not like to end without a packet
        trial.close()


def _cannot_hold(path: Path, name: str) -> JobError:
    return JobError(
        f"a {path.suffix} file cannot hold {name}: {path.name}",
        code="container",
        hint=f"Name the output {PLACES.get(name, '.mov or .mkv')}, or choose another codec with --codec.",
    )
