"""The streams of a source besides the one that is cleaned: which of them an output can hold, and how it takes them."""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import av

from .decode import ClipInfo
from .encoders import Notice

log = logging.getLogger(__name__)

# Tags that describe the old file's container or packets, not the clip.
STALE_TAGS = re.compile(
    r"encoder|major_brand|minor_version|compatible_brands|duration|timecode|bps(-.*)?|vendor_id|"
    r"number_of_(frames|bytes)(-.*)?|_statistics_.*|operational_pattern_ul|.*_uid|.*_umid.*",
    re.IGNORECASE,
)


@dataclass
class Others:
    """The source's streams besides the one that was cleaned, as far as the output can hold them."""

    kept: list[int] = field(default_factory=list)  # stream indices in the source
    notices: list[Notice] = field(default_factory=list)


def others_for(like: ClipInfo, muxer: str, add_video: Callable[[Any], Any]) -> Others:
    """Which of the other streams a container can hold: each is tried beside the picture that `add_video` adds.

    An MXF, for one, takes sound only after a picture.
    """
    found = Others()
    if like.is_image_sequence:
        return found
    with open_source(like) as source:
        for stream in source.streams:
            if stream.index == like.stream or _is_made_anew(stream, bool(source.chapters())):
                continue
            if can_hold(muxer, add_video, stream):
                found.kept.append(stream.index)
                continue
            found.notices.append(
                (
                    "stream-dropped",
                    f"stream {stream.index} ({stream.type}, {_codec_of(stream)}) does not fit into this kind of file",
                )
            )
    return found


def add_others(source: Any, out: Any, others: Others) -> dict[int, Any]:
    """Output streams by the source's stream index."""
    made = {}
    for index in others.kept:
        stream = source.streams[index]
        if stream.type == "attachment":
            out.add_attachment(stream.name or "attachment", stream.mimetype or "application/octet-stream", stream.data)
            continue
        if is_cover(stream) and out.format.name == "matroska":  # where a cover is an attachment
            kind = {"mjpeg": "jpeg"}.get(stream.codec_context.name, stream.codec_context.name)
            name = stream.metadata.get("filename", f"cover.{kind.replace('jpeg', 'jpg')}")
            out.add_attachment(name, stream.metadata.get("mimetype", f"image/{kind}"), _cover(source, index))
            continue
        made[index] = like_stream(out, stream)
    return made


def like_stream(out: Any, stream: Any) -> Any:
    # A video stream is a cover picture or a second view: `opaque` takes it as packets, without an encoder.
    new = out.add_stream_from_template(stream, opaque=True)
    new.metadata.update(fresh(stream.metadata))
    new.disposition = stream.disposition
    return new


def can_hold(muxer: str, add_video: Callable[[Any], Any], stream: Any = None) -> bool:
    """Whether a container takes the picture, and another stream beside it."""
    if stream is not None and (stream.type == "attachment" or (is_cover(stream) and muxer == "matroska")):
        return muxer == "matroska"
    trial = av.open(io.BytesIO(), "w", format=muxer)
    try:
        add_video(trial)
        if stream is not None:
            like_stream(trial, stream)
        trial.start_encoding()
    except (av.FFmpegError, ValueError) as err:
        log.debug("%s cannot hold %s: %s", muxer, "the picture" if stream is None else stream.index, err)
        return False
    with contextlib.suppress(av.FFmpegError):  # some muxers do not like to end without a packet
        trial.close()
    return True


def open_source(like: ClipInfo) -> Any:
    return av.open("file:" + like.path, metadata_errors="replace")


def fresh(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if not STALE_TAGS.fullmatch(key)}


def is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _is_made_anew(stream: Any, has_chapters: bool) -> bool:
    """A timecode track, or a MOV's track of chapter names: the muxer writes these from what it is told."""
    if stream.type != "data":
        return False
    return "timecode" in stream.metadata or (has_chapters and stream.name == "bin_data")


def _codec_of(stream: Any) -> str:
    if stream.codec_context is not None:
        return str(stream.codec_context.codec.canonical_name)
    # PyAV does not name a sound or text that it has no decoder for, such as teletext.
    return stream.name or "unknown" if stream.type in ("data", "attachment") else "unknown"


def _cover(source: Any, index: int) -> bytes:
    """A cover picture, which a container of its own reads: `source` gives its packet once, with all others."""
    with av.open(source.name, metadata_errors="replace") as again:
        return next((bytes(packet) for packet in again.demux(again.streams[index]) if packet.size), b"")
