"""Writes a sample aspect ratio into a finished Matroska file: FFmpeg takes it from a field that PyAV cannot set.

Elements, their numbers and the CRC are those of RFC 8794 and RFC 9559. FFmpeg leaves a little empty room in every
track of a .mkv file, which takes the new elements in, so that nothing else in the file moves.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

SEGMENT, TRACKS, TRACK, VIDEO, VOID, CRC = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0xEC, 0xBF
WIDTH, HEIGHT, SHOWN_WIDTH, SHOWN_HEIGHT, SHOWN_UNIT = 0xB0, 0xBA, 0x54B0, 0x54BA, 0x54B2
AS_RATIO = 3  # the unit of a size that is a display aspect ratio
HEAD_BYTES = 1 << 22  # of the file, in which the tracks are looked for


@dataclass(frozen=True)
class _Element:
    number: int
    start: int  # of its number
    body: int  # of its content
    stop: int

    def of(self, data: bytes) -> bytes:
        return data[self.body : self.stop]


def put_aspect(path: Path, aspect: Fraction) -> bool:
    """Gives the first video track a sample aspect ratio; False where the file has no room for it."""
    with path.open("r+b") as file:
        data = file.read(HEAD_BYTES)
        tracks = _find(data, 0, len(data), SEGMENT, TRACKS)
        track = _find(data, tracks.body, tracks.stop, TRACK) if tracks and tracks.stop <= len(data) else None
        video = _find(data, track.body, track.stop, VIDEO) if track else None
        if tracks is None or track is None or video is None:
            return False
        body = _filled(data, track, _written(VIDEO, _video(video.of(data), aspect)))
        if body is None:
            return False
        data = data[: track.body] + body + data[track.stop :]
        check = _find(data, tracks.body, tracks.stop, CRC)
        if check is not None:
            crc = zlib.crc32(data[check.stop : tracks.stop]).to_bytes(4, "little")
            data = data[: check.body] + crc + data[check.stop :]
        file.seek(tracks.body)
        file.write(data[tracks.body : tracks.stop])
    return True


def _video(body: bytes, aspect: Fraction) -> bytes:
    """A Video element's content with the size at which its picture is shown."""
    fields = {part.number: part for part in _elements(body, 0, len(body))}
    width, height = (int.from_bytes(fields[number].of(body), "big") for number in (WIDTH, HEIGHT))
    unit = []
    if (width * aspect).denominator == 1:
        shown = (int(width * aspect), height)
    elif (height / aspect).denominator == 1:
        shown = (width, int(height / aspect))
    else:  # no whole pixels: the ratio itself
        shown = (width * aspect / height).limit_denominator(0xFFFF).as_integer_ratio()
        unit = [_number(SHOWN_UNIT, AS_RATIO)]
    kept = [p for p in fields.values() if p.number not in (SHOWN_WIDTH, SHOWN_HEIGHT, SHOWN_UNIT)]
    new = [_number(SHOWN_WIDTH, shown[0]), _number(SHOWN_HEIGHT, shown[1]), *unit]
    return b"".join([*(body[p.start : p.stop] for p in kept), *new])


def _filled(data: bytes, track: _Element, video: bytes) -> bytes | None:
    """A track's content with another Video element, as long as before; None where there is no room."""
    parts = _elements(data, track.body, track.stop)
    kept = [data[p.start : p.stop] for p in parts if p.number not in (VIDEO, VOID)]
    body = b"".join([*kept, video])
    room = track.stop - track.body - len(body)
    if room == 0:
        return body
    if not 2 <= room < 0x7F:
        return None
    return body + bytes([VOID, 0x80 | (room - 2)]) + bytes(room - 2)


def _number(number: int, value: int) -> bytes:
    return _written(number, value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _written(number: int, body: bytes) -> bytes:
    name = number.to_bytes((number.bit_length() + 7) // 8, "big")
    size = len(body).to_bytes(1, "big") if len(body) < 0x7F else len(body).to_bytes(4, "big")
    return name + bytes([size[0] | (0x80 if len(size) == 1 else 0x10)]) + size[1:] + body


def _find(data: bytes, start: int, stop: int, *numbers: int) -> _Element | None:
    """The first element of a number between two places, and within it the first of the next number."""
    for element in _elements(data, start, stop):
        if element.number == numbers[0]:
            return element if len(numbers) == 1 else _find(data, element.body, element.stop, *numbers[1:])
    return None


def _elements(data: bytes, start: int, stop: int) -> list[_Element]:
    found = []
    stop = min(stop, len(data))
    while start + 2 <= stop and data[start]:
        at = start + 9 - data[start].bit_length()
        if at >= stop or not data[at]:
            break
        length = 9 - data[at].bit_length()
        size = int.from_bytes(data[at : at + length], "big") & (1 << 7 * length) - 1
        number = int.from_bytes(data[start:at], "big")
        found.append(_Element(number, start, at + length, at + length + size))
        start = found[-1].stop
    return found
