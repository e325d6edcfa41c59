"""Finds the files of a clip: one file, or a numbered sequence; their fingerprint, and whether they are whole."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
from dataclasses import dataclass

from .errors import MediaError, said


@dataclass(frozen=True)
class Place:
    """The files of a clip, and how FFmpeg is told to open them."""

    path: str  # as the user wrote it
    files: tuple[str, ...]
    url: str
    first: int | None = None  # number of the first picture of a sequence


def locate(path: str) -> Place:
    """Finds a file, or a numbered sequence such as shot_%04d.png or shot_####.png.

    Raises MediaError: "missing", "directory", "empty", "permission", or "sequence" where it has a gap.
    """
    if not os.path.exists(path) and (match := _PATTERN.fullmatch(os.path.basename(path))):
        return _locate_sequence(path, match)
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):  # opening it would wait for somebody who writes
            raise MediaError(f"{path} is a pipe, not a file", code="not-video", hint="Write it to a file first.")
        with open(path, "rb") as file:
            is_empty = not file.read(1)
    except FileNotFoundError as err:
        raise MediaError(f"{path} does not exist", code="missing", hint="Check the path for a typing error.") from err
    except IsADirectoryError as err:
        raise _is_folder(path) from err
    except PermissionError as err:
        if os.path.isdir(path):  # how Windows puts it
            raise _is_folder(path) from err
        raise MediaError(f"{path} may not be read", code="permission", hint="Ask for the right to read it.") from err
    except OSError as err:
        raise MediaError(f"{path} cannot be read: {said(err)}", hint="Copy it elsewhere.") from err
    if is_empty:
        raise MediaError(f"{path} is empty", code="empty", hint="Copy or render it again.")
    return Place(path, (path,), "file:" + path)


def _is_folder(path: str) -> MediaError:
    return MediaError(
        f"{path} is a folder, not a clip",
        code="directory",
        hint="Name a file, or a numbered sequence such as shot_%04d.png.",
    )


_PATTERN = re.compile(r"(?P<head>.*?)(?:%(?:0(?P<digits>\d+))?d|(?P<hashes>#+))(?P<tail>.*)")


def _locate_sequence(path: str, match: re.Match[str]) -> Place:
    digits = len(match["hashes"]) if match["hashes"] else int(match["digits"] or 1)
    name = re.compile(rf"{re.escape(match['head'])}(\d{{{digits},}}){re.escape(match['tail'])}")
    folder = os.path.dirname(path)
    try:
        found = {int(hit[1]): hit[0] for hit in map(name.fullmatch, os.listdir(folder or ".")) if hit}
    except OSError:
        found = {}
    if not found:
        raise MediaError(f"there is no picture {path}", code="missing", hint="Check the folder and the name.")
    numbers = sorted(found)
    if len(numbers) != numbers[-1] - numbers[0] + 1:
        gap = next(n for n in range(numbers[0], numbers[-1]) if n not in found)
        raise MediaError(
            f"picture {gap} of the sequence {path} is missing",
            code="sequence",
            hint="Render the missing pictures, or clean the parts before and after by themselves.",
        )
    files = tuple(os.path.join(folder, found[number]) for number in numbers)
    parts = (os.path.join(folder, match["head"]), match["tail"])
    head, tail = (part.replace("%", "%%") for part in parts)
    return Place(path, files, f"file:{head}%0{digits}d{tail}", numbers[0])


_PART = 1 << 20  # bytes


def fingerprint(path: str | os.PathLike[str]) -> str:
    """A quick fingerprint of the content: SHA-256 over the size and a MiB of head, middle and tail.

    Of a numbered sequence: over all sizes, and the first, middle and last file.
    """
    place = locate(os.fspath(path))
    sizes = [os.path.getsize(name) for name in place.files]
    digest = hashlib.sha256(repr(sizes).encode())
    for number in sorted({0, len(sizes) // 2, len(sizes) - 1}):
        with open(place.files[number], "rb") as file:
            for start in sorted({0, sizes[number] // 2, max(0, sizes[number] - _PART)}):
                file.seek(start)
                digest.update(file.read(_PART))
    return digest.hexdigest()


def boxes(path: str) -> list[tuple[bytes, int]]:
    """Names and sizes of the outermost boxes of an MP4 or MOV (ISO 14496-12), as far as they go."""
    out: list[tuple[bytes, int]] = []
    place, end = 0, os.path.getsize(path)
    with open(path, "rb") as file:
        while place + 8 <= end and len(out) < 1000:
            file.seek(place)
            head = file.read(16)
            size, name = struct.unpack(">I4s", head[:8])
            if size == 1 and len(head) == 16:
                (size,) = struct.unpack(">Q", head[8:])
            if size < 8:
                break
            out.append((name, size))
            place += size
    return out


def is_cut(path: str, container: str) -> bool:
    """Whether an AVI or Matroska file is shorter than it says at its head."""
    with open(path, "rb") as file:
        head = file.read(256)
    if container == "avi":
        return os.path.getsize(path) < 8 + int.from_bytes(head[4:8], "little")
    at = head.find(b"\x18\x53\x80\x67")  # Segment; RFC 8794 and 9559
    if "matroska" not in container or at < 0 or len(head) < at + 12 or not head[at + 4]:
        return False
    length = 9 - head[at + 4].bit_length()
    size = int.from_bytes(head[at + 4 : at + 4 + length], "big") & (1 << 7 * length) - 1
    is_known = size != (1 << 7 * length) - 1
    return is_known and os.path.getsize(path) < at + 4 + length + size
