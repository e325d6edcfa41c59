"""Chooses the encoder of an output: same family as the source or the codec asked for, and at what quality.

Lossy encoders are driven by constant quality, with this rule: CRF_AT_SOURCE is fine enough to be hard to tell from
its source, and it is never exceeded. Where the source spends more bits on a pixel than its codec usually needs at
that quality (USUAL_BITS), the CRF is lowered by 6 for each doubling, which about doubles the bits in turn. So a
generous source stays generous, and a starved one is not made worse.
"""

from __future__ import annotations

import io
import logging
import math
from dataclasses import replace
from pathlib import Path

import av

from .decode import ClipInfo
from .errors import JobError, MediaError
from .planes import Layout, layout_of
from .segments import Encoder

log = logging.getLogger(__name__)

FORMATS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".qt": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".avi": "avi",
    ".mxf": "mxf",
    ".nut": "nut",
    ".ts": "mpegts",
    ".m2ts": "mpegts",
    ".mts": "mpegts",
    ".mpg": "mpeg",
    ".mpeg": "mpeg",
    ".vob": "vob",
}  # suffix to FFmpeg's muxer
IMAGES = {
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".dpx": "dpx",
    ".exr": "exr",
    ".jpg": "mjpeg",
    ".jpeg": "mjpeg",
    ".bmp": "bmp",
    ".tga": "targa",
    ".jp2": "jpeg2000",
    ".webp": "libwebp",
}  # suffix of a numbered image to its encoder
HARDWARE = ("nvenc", "videotoolbox", "qsv", "amf", "mf", "vaapi")  # endings of h264_ and hevc_ encoders

FAMILY = {
    "h264": "libx264",
    "hevc": "libx265",
    "av1": "libsvtav1",
    "libdav1d": "libsvtav1",
    "vp9": "libvpx-vp9",
    "libvpx-vp9": "libvpx-vp9",
    "vp8": "libvpx",
    "libvpx": "libvpx",
    "mpeg2video": "mpeg2video",
    "mpeg1video": "mpeg1video",
    "mpeg4": "mpeg4",
    "prores": "prores_ks",
    "dnxhd": "dnxhd",
    "mjpeg": "mjpeg",
    "cfhd": "cfhd",
}  # decoder to the encoder of the same family
LOSSLESS = {
    "ffv1", "ffvhuff", "huffyuv", "utvideo", "magicyuv", "qtrle", "png", "tiff", "dpx", "exr", "bmp", "targa",
    "rawvideo", "v210", "v410", "r210", "jpegls",
}  # fmt: skip
NAMES = {"ffv1": "ffv1", "prores": "prores_ks", "dnxhr": "dnxhd", "h264": "libx264", "hevc": "libx265"}
PLACES = {
    "ffv1": ".mkv", "prores_ks": ".mov", "prores": ".mov", "dnxhd": ".mov", "libx264": ".mp4, .mov or .mkv",
    "libx265": ".mp4, .mov or .mkv", "libsvtav1": ".mp4 or .mkv", "libvpx-vp9": ".webm, .mkv or .mp4",
    "libvpx": ".webm or .mkv", "mpeg2video": ".mpg, .ts, .mxf or .mkv", "utvideo": ".avi or .mkv",
}  # fmt: skip

CRF_AT_SOURCE = {"draft": 20, "normal": 17, "best": 14}  # on the scale of x264
USUAL_BITS = {"libx264": 0.15, "libx265": 0.10, "libsvtav1": 0.08, "libvpx-vp9": 0.10, "libvpx": 0.15}  # a pixel
X26_PRESETS = {"draft": "superfast", "normal": "veryfast", "best": "medium"}
SVT_PRESETS = {"draft": "10", "normal": "8", "best": "5"}
VPX_SPEEDS = {"draft": "5", "normal": "4", "best": "2"}
LOWEST_CRF = 6
PRORES = {"Proxy": 0, "LT": 1, "Standard": 2, "HQ": 3, "4444": 4, "XQ": 5}
DNXHR = {"DNXHR LB": "dnxhr_lb", "DNXHR SQ": "dnxhr_sq", "DNXHR HQ": "dnxhr_hq", "DNXHR HQX": "dnxhr_hqx",
         "DNXHR 444": "dnxhr_444"}  # fmt: skip
DNXHD_MBPS = (36, 45, 60, 75, 80, 90, 100, 110, 115, 120, 145, 175, 180, 185, 190, 220, 240, 290, 365, 390, 440)
LAMBDA = 118  # FFmpeg's unit of quantiser scale
GLOBAL_HEADER = 0x40  # AVFMT_GLOBALHEADER
FIELD_ORDERS = {"progressive": 1, "top": 2, "bottom": 3}  # AVFieldOrder

Notice = tuple[str, str]


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


def choose(like: ClipInfo, path: Path, *, codec: str, hardware: bool, quality: str) -> tuple[Encoder, list[Notice]]:
    """The encoder for an output at `path`, tried out, and what the user should know about it.

    Raises JobError when the container cannot hold the codec, MediaError when the encoder does not open.
    """
    muxer = None if like.is_image_sequence and path.suffix.lower() in IMAGES else muxer_of(path)
    warnings: list[Notice] = []
    name = _name_for(like, path, codec, muxer, warnings)
    if hardware:
        found = _hardware(like, name, muxer, quality)
        if found:
            return found, warnings + _conversion_warnings(like, found)
        warnings.append(("no-hardware-encoder", f"no hardware encoder works here: {name} is used instead"))
    problem: av.FFmpegError | None = None
    for encoder in _candidates(like, name, muxer, quality):
        if muxer is not None and not _holds(muxer, encoder.name):
            raise _cannot_hold(path, encoder.name)
        try:
            _try(encoder, muxer)
        except av.FFmpegError as err:
            log.debug("%s refuses: %s", encoder, err)
            problem = err
        else:
            return encoder, warnings + _conversion_warnings(like, encoder)
    raise MediaError(
        f"the encoder {name} refuses a picture of {like.layout.width}x{like.layout.height} px"
        f" {like.layout.pix_fmt} for {path.name}: {problem}",
        code="encoder",
        hint="Choose another codec with --codec, such as ffv1 in a .mkv file.",
    )


def _name_for(like: ClipInfo, path: Path, codec: str, muxer: str | None, warnings: list[Notice]) -> str:
    """The encoder's name for the codec asked for."""
    if muxer is None:
        return IMAGES[path.suffix.lower()]
    if codec != "auto":
        return NAMES[codec]
    if like.codec in FAMILY:
        return FAMILY[like.codec]
    if like.codec in LOSSLESS and _has_encoder(like.codec) and _holds(muxer, like.codec):
        return like.codec
    lossless = like.codec in LOSSLESS or like.is_image_sequence or like.layout.is_rgb
    name = "ffv1" if lossless else "libx264"
    warnings.append(("codec-changed", f"{like.codec} cannot be written: the output is {name}"))
    return name


def _candidates(like: ClipInfo, name: str, muxer: str | None, quality: str) -> list[Encoder]:
    """Encoders of one name to try in order; more than one for the fixed bit rates of DNxHD."""
    pix_fmt = nearest(like.layout, _formats(name, like))
    is_interlaced = like.field_order != "progressive"
    tags = like.tags
    encoder = Encoder(
        name,
        pix_fmt,
        (like.layout.width, like.layout.height),
        like.rate,
        primaries=tags.primaries,
        transfer=tags.transfer,
        matrix=tags.matrix,
        colour_range=_range_for(like, name),
        sample_aspect=like.sample_aspect,
        field_order=FIELD_ORDERS[like.field_order],
        is_intra=name in ("prores_ks", "prores", "dnxhd", "mjpeg", "cfhd") or name in LOSSLESS or muxer is None,
    )
    flags = "+global_header" if muxer and _wants_global_header(muxer) else ""
    if is_interlaced and name in ("libx264", "mpeg2video", "mpeg4", "prores_ks", "prores"):
        flags += "+ildct" if name.startswith("prores") else "+ildct+ilme"
    base = {"flags": flags} if flags else {}
    if like.siting != "left":
        base["chroma_sample_location"] = like.siting
    if name == "dnxhd":
        return [_with(encoder, base | options) for options in _dnx_options(like, pix_fmt)]
    return [_with(encoder, base | _options(like, name, pix_fmt, quality, flags))]


def _options(like: ClipInfo, name: str, pix_fmt: str, quality: str, flags: str) -> dict[str, str]:
    """Private options; `flags` is what "flags" holds already."""
    intra = {"g": "1"} if like.is_intra_only else {}
    if name in ("libx264", "libx265"):
        crf = _crf(like, name, CRF_AT_SOURCE[quality])
        quiet = {"x265-params": "log-level=error"} if name == "libx265" else {}
        return {"preset": X26_PRESETS[quality], "crf": f"{crf:g}"} | quiet | intra
    if name == "libsvtav1":
        crf = _crf(like, name, CRF_AT_SOURCE[quality] + 3)
        return {"preset": SVT_PRESETS[quality], "crf": str(round(crf))}
    if name in ("libvpx-vp9", "libvpx"):
        crf = round(_crf(like, name, CRF_AT_SOURCE[quality] - 3))
        row_threads = {"row-mt": "1"} if name == "libvpx-vp9" else {}
        return {"deadline": "good", "cpu-used": VPX_SPEEDS[quality], "crf": str(crf), "b": "0"} | row_threads | intra
    if name in ("mpeg2video", "mpeg1video", "mpeg4"):
        between = {"g": "1"} if like.is_intra_only else {"g": "15", "bf": "2"}
        return _fixed_scale(flags, 2) | between
    if name == "mjpeg":
        return _fixed_scale(flags, 2)
    if name in ("prores_ks", "prores"):
        return {"profile": str(_prores_profile(like, pix_fmt))}
    if name == "ffv1":
        return {"level": "3", "slices": "16" if like.layout.height >= 480 else "4", "slicecrc": "1", "g": "1"}
    return {}


def _fixed_scale(flags: str, scale: int) -> dict[str, str]:
    return {"flags": flags + "+qscale", "global_quality": str(LAMBDA * scale), "qmin": "1"}


def _crf(like: ClipInfo, name: str, crf: float) -> float:
    """`crf`, lowered where the source spends more bits than usual (see the top of this file)."""
    pixels = like.layout.width * like.layout.height * float(like.rate)
    bits = (like.bit_rate or 0) / max(1.0, pixels)
    if bits > USUAL_BITS[name]:
        crf -= 6 * math.log2(bits / USUAL_BITS[name])
    return max(LOWEST_CRF, round(crf, 1))


def _prores_profile(like: ClipInfo, pix_fmt: str) -> int:
    if like.codec == "prores" and like.profile in PRORES:
        return PRORES[like.profile]
    return 4 if "444" in pix_fmt else 3


def _dnx_options(like: ClipInfo, pix_fmt: str) -> list[dict[str, str]]:
    if like.codec == "dnxhd" and like.profile == "DNXHD":
        asked = (like.bit_rate or 0) / 1e6
        rates = sorted(DNXHD_MBPS, key=lambda rate: (rate < asked * 0.97, abs(rate - asked)))
        return [{"b": f"{rate}M"} for rate in rates]
    if like.codec == "dnxhd" and like.profile in DNXHR:
        return [{"profile": DNXHR[like.profile]}]
    profile = {"yuv422p": "dnxhr_hq", "yuv422p10le": "dnxhr_hqx"}.get(pix_fmt, "dnxhr_444")
    return [{"profile": profile}]


def _range_for(like: ClipInfo, name: str) -> int:
    """ProRes knows no full range: such a source is scaled to limited. Elsewhere the range stays as it is."""
    if name in ("prores_ks", "prores") and not like.layout.is_rgb:
        return 1
    if "yuvj" in like.layout.pix_fmt:
        return 2
    return like.tags.range


def _formats(name: str, like: ClipInfo) -> list[str]:
    if name == "rawvideo":
        return [like.layout.pix_fmt]
    return [found.name for found in av.Codec(name, "w").video_formats or ()] or [like.layout.pix_fmt]


def nearest(layout: Layout, formats: list[str]) -> str:
    """The pixel format among `formats` that holds a layout's samples with the least loss, then the least excess."""
    if layout.pix_fmt in formats:
        return layout.pix_fmt
    known = []
    for name in formats:
        try:
            known.append(layout_of(name, layout.width, layout.height))
        except MediaError:
            continue
    if not known:
        raise MediaError(
            f"no pixel format of the encoder fits {layout.pix_fmt}",
            code="pixel-format",
            hint="Choose another codec with --codec, such as ffv1.",
        )
    return min(known, key=lambda other: (len(losses(layout, other)), _excess(layout, other))).pix_fmt


def losses(source: Layout, target: Layout) -> list[str]:
    """What of `source` does not fit into `target`, in words."""
    found = []
    has, gets = _traits(source), _traits(target)
    if gets["bits"] < has["bits"]:
        found.append(f"{has['bits']} bits become {gets['bits']}")
    if gets["shift"] > has["shift"]:
        found.append("chroma gets coarser")
    if has["alpha"] and not gets["alpha"]:
        found.append("alpha is left out")
    if has["rgb"] != gets["rgb"] and not has["grey"]:
        found.append("RGB becomes Y'CbCr" if has["rgb"] else "Y'CbCr becomes RGB")
    if gets["grey"] and not has["grey"]:
        found.append("colour is left out")
    return found


def _excess(source: Layout, target: Layout) -> tuple[int, int, int]:
    has, gets = _traits(source), _traits(target)
    return (
        (has["shift"] - gets["shift"]) * 8 + gets["bits"] - has["bits"] + 16 * (gets["rgb"] - has["rgb"]) ** 2,
        gets["alpha"] - has["alpha"],
        has["grey"] - gets["grey"],
    )


def _traits(layout: Layout) -> dict[str, int]:
    roles = [plane.role for plane in layout.planes]
    return {
        "bits": max(plane.bits for plane in layout.colour),
        "shift": sum(max(plane.shift_x for plane in layout.planes) * 2 + plane.shift_y for plane in layout.planes[1:2]),
        "alpha": int("A" in roles),
        "rgb": int("R" in roles),
        "grey": int(len(layout.colour) == 1),
    }


def _conversion_warnings(like: ClipInfo, encoder: Encoder) -> list[Notice]:
    source, found = like.layout, []
    if encoder.pix_fmt != source.pix_fmt:
        target = layout_of(encoder.pix_fmt, source.width, source.height)
        lost = losses(source, target)
        if lost:
            found.append(
                (
                    "pixel-format",
                    f"{encoder.name} cannot hold {source.pix_fmt}; as {encoder.pix_fmt}, {', '.join(lost)}",
                )
            )
        elif _traits(source) != _traits(target):
            found.append(
                ("pixel-format", f"{encoder.name} holds {source.pix_fmt} as {encoder.pix_fmt}: nothing is lost")
            )
    if like.full_range and not source.is_rgb and encoder.colour_range == 1:
        found.append(("colour-range", f"{encoder.name} knows no full range: the levels are scaled to limited"))
    return found


def _hardware(like: ClipInfo, name: str, muxer: str | None, quality: str) -> Encoder | None:
    """The machine's encoder for the family of `name` that really opens, or None."""
    family = {"libx264": "h264", "libx265": "hevc", "libsvtav1": "av1"}.get(name)
    if family is None or muxer is None:
        return None
    crf = _crf(like, name, CRF_AT_SOURCE[quality] + (3 if family == "av1" else 0))
    for maker in HARDWARE:
        candidate = f"{family}_{maker}"
        if not _has_encoder(candidate):
            continue
        formats = [found.name for found in av.Codec(candidate, "w").video_formats or ()]
        pix_fmt = nearest(like.layout, formats)
        if losses(like.layout, layout_of(pix_fmt, like.layout.width, like.layout.height)):
            continue
        base = _candidates(like, name, muxer, quality)[0]
        flags = {"flags": dict(base.options).get("flags", "")} if dict(base.options).get("flags") else {}
        encoder = replace(base, name=candidate, pix_fmt=pix_fmt)
        encoder = _with(encoder, flags | _hardware_options(maker, round(crf)))
        try:
            _try(encoder, muxer)
        except av.FFmpegError as err:
            log.info("%s does not open: %s", candidate, err)
            continue
        return encoder
    return None


def _hardware_options(maker: str, level: int) -> dict[str, str]:
    level = max(1, level)
    return {
        "nvenc": {"rc": "vbr", "cq": str(level), "preset": "p5", "b": "0"},
        "videotoolbox": {"flags": "+qscale", "global_quality": str(LAMBDA * max(1, 100 - 2 * level))},
        "qsv": {"global_quality": str(level)},
        "amf": {"rc": "cqp", "qp_i": str(level), "qp_p": str(level)},
        "mf": {"rate_control": "quality", "quality": str(max(1, 100 - 2 * level))},
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
        return bool(trial.format.flags & int(av.format.Flags.global_header.value))


def _try(encoder: Encoder, muxer: str | None) -> None:
    """Opens the encoder and, where there is one, writes the container's header into memory."""
    if muxer is None:
        encoder.open()
        return
    with av.open(io.BytesIO(), "w", format=muxer) as trial:
        encoder.add_to(trial)
        trial.start_encoding()


def _cannot_hold(path: Path, name: str) -> JobError:
    places = PLACES.get(name, ".mov or .mkv")
    return JobError(
        f"a {path.suffix} file cannot hold {name}: {path.name}",
        code="container",
        hint=f"Name the output {places}, or choose another codec with --codec.",
    )
