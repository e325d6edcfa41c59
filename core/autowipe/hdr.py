"""Static HDR metadata: mastering display (SMPTE ST 2086) and content light level (CTA-861.3), read and written on.

FFmpeg's encoders take it as text. MOV and MP4 keep it in two small boxes beside the picture's description as well,
which are put into the finished file here, for codecs that have no place for it in the stream.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DYNAMIC = ("DYNAMIC_HDR_PLUS", "DOVI_RPU_BUFFER", "DOVI_METADATA", "DYNAMIC_HDR_VIVID")
PLACES = 50000  # units of chromaticity in 1
LUMINANCE = 10000  # units of luminance in 1 cd/m2
ENTRY_HEAD = 86  # bytes of a visual sample entry before its first box (ISO 14496-12)


@dataclass(frozen=True)
class Hdr:
    """`display`: x and y of red, green, blue and white in 1/50000, largest and least luminance in 1/10000 cd/m2."""

    display: tuple[int, ...] | None = None
    light: tuple[int, int] | None = None  # largest content light level, largest frame average, cd/m2

    def __bool__(self) -> bool:
        return self.display is not None or self.light is not None


def hdr_of(side_data: Any) -> Hdr:
    """The metadata in a decoded frame's side data (AVMasteringDisplayMetadata and AVContentLightMetadata)."""
    display = light = None
    for data in side_data:
        raw = bytes(data)
        if data.type.name == "MASTERING_DISPLAY_METADATA" and len(raw) >= 88:
            *numbers, has_places, has_luminance = struct.unpack("=22i", raw[:88])
            fractions = [a / b if b else 0.0 for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
            if has_places and has_luminance:
                least, most = fractions[8:]
                units = [round(value * PLACES) for value in fractions[:8]]
                display = (*units, round(most * LUMINANCE), round(least * LUMINANCE))
        if data.type.name == "CONTENT_LIGHT_LEVEL" and len(raw) >= 8:
            light = struct.unpack("=2I", raw[:8])
    return Hdr(display, light)


def encoder_text(hdr: Hdr, encoder: str) -> str:
    """The metadata as libx265, libx264 and libsvtav1 read it: key=value pairs with colons between; may be empty."""
    parts = []
    is_av1 = encoder == "libsvtav1"
    if hdr.display:
        values = [value / PLACES for value in hdr.display[:8]] + [value / LUMINANCE for value in hdr.display[8:]]
        shown = [f"{value:.5f}" for value in values] if is_av1 else [str(value) for value in hdr.display]
        red, green, blue, white, light = (f"({shown[k]},{shown[k + 1]})" for k in range(0, 10, 2))
        name = "master-display" if encoder == "libx265" else "mastering-display"
        parts.append(f"{name}=G{green}B{blue}R{red}WP{white}L{light}")
    if hdr.light:
        name = {"libsvtav1": "content-light", "libx264": "cll"}.get(encoder, "max-cll")
        parts.append(f"{name}={hdr.light[0]},{hdr.light[1]}")
    return ":".join(parts)


def put_into_mov(path: Path, hdr: Hdr) -> None:
    """Adds the boxes mdcv and clli to the picture's description in a MOV or MP4 whose index is at its end."""
    added = b""
    if hdr.display:
        red, green, blue, white = (hdr.display[k : k + 2] for k in range(0, 8, 2))
        added += struct.pack(">I4s8H2I", 32, b"mdcv", *green, *blue, *red, *white, *hdr.display[8:])
    if hdr.light:
        added += struct.pack(">I4s2H", 12, b"clli", *(min(value, 0xFFFF) for value in hdr.light))
    with path.open("rb+") as file:
        start = _find_moov(file)
        file.seek(start)
        moov = bytearray(file.read())
        _insert(moov, added)
        file.seek(start)
        file.write(moov)


def _find_moov(file: Any) -> int:
    start = 0
    while True:
        file.seek(start)
        size, name = struct.unpack(">I4s", file.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
        if name == b"moov":
            return start
        start += size


def _insert(moov: bytearray, added: bytes) -> None:
    """Puts `added` at the end of the first sample entry of the first video track; all boxes around it grow."""
    for trak in _children(moov, 0, 8):
        if moov[trak + 4 : trak + 8] != b"trak":
            continue
        way = [0, trak]
        for name in (b"mdia", b"minf", b"stbl", b"stsd"):
            inside = [box for box in _children(moov, way[-1], 8) if moov[box + 4 : box + 8] == name]
            if not inside:
                break
            way.append(inside[0])
        media = way[2] if len(way) > 2 else 0
        handlers = [box for box in _children(moov, media, 8) if moov[box + 4 : box + 8] == b"hdlr"] if media else []
        if len(way) < 6 or not handlers or moov[handlers[0] + 16 : handlers[0] + 20] != b"vide":
            continue
        entry = way[-1] + 16
        (size,) = struct.unpack_from(">I", moov, entry)
        present = {bytes(moov[box + 4 : box + 8]) for box in _children(moov, entry, ENTRY_HEAD)}
        if present & {b"mdcv", b"clli"}:
            return
        end = entry + size
        if moov[end - 4 : end] == b"\0\0\0\0" and size > ENTRY_HEAD:
            end -= 4  # QuickTime's list of boxes may end in a zero
        moov[end:end] = added
        for box in [*way, entry]:
            struct.pack_into(">I", moov, box, struct.unpack_from(">I", moov, box)[0] + len(added))
        return


def _children(data: bytearray, box: int, head: int) -> list[int]:
    """Places of the boxes inside a box whose own fields take `head` bytes."""
    end = box + struct.unpack_from(">I", data, box)[0]
    place, found = box + head, []
    while place + 8 <= end:
        size = struct.unpack_from(">I", data, place)[0]
        if size < 8:
            break
        found.append(place)
        place += size
    return found
