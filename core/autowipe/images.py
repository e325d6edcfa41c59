"""Numbered pictures as an output: shot_%04d.png or shot_####.png, each file one packet of an image encoder."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import ledger
from .clipfiles import locate
from .decode import ClipInfo
from .errors import JobError
from .segments import disk_fault, sync_folder
from .timing import FrameRange

ENCODERS = {
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
}  # by suffix
_NUMBER = re.compile(r"%(?:0(\d+))?d|(#+)")


def is_pictures(path: Path) -> bool:
    """Whether an output is written as pictures rather than as a video."""
    return path.suffix.lower() in ENCODERS


def names(path: Path, like: ClipInfo, source_range: FrameRange) -> list[Path]:
    """The files of an output, numbered as the source's are, else by source frame.

    Raises JobError for several frames and a name without a place for the number.
    """
    found = _NUMBER.search(path.name)
    if not found:
        if len(source_range) == 1:
            return [path]
        raise JobError(
            f"{path.name} is one picture, but there are {len(source_range)} frames",
            code="output-name",
            hint=f"Leave room for the number: {path.stem}_####{path.suffix}.",
        )
    digits = len(found[2]) if found[2] else int(found[1] or 1)
    first = (locate(like.path).first or 0) if like.is_image_sequence else 0
    head, tail = path.name[: found.start()], path.name[found.end() :]
    return [path.with_name(f"{head}{first + frame:0{digits}d}{tail}") for frame in source_range]


def write(files: list[Path], pictures: Iterable[bytes]) -> None:
    """Writes every picture, then lets all of them appear under their names. Raises MediaError."""
    with _appearing(files) as parts:
        for part, data in zip(parts, pictures, strict=True):
            part.write_bytes(data)


def copy(files: list[Path], like: ClipInfo, source_range: FrameRange) -> None:
    """Copies the source's own pictures byte for byte."""
    originals = locate(like.path).files[source_range.start : source_range.stop]
    with _appearing(files) as parts:
        for part, original in zip(parts, originals, strict=True):
            shutil.copyfile(original, part)


@contextlib.contextmanager
def _appearing(files: list[Path]) -> Iterator[list[Path]]:
    """Working names for `files`, in a folder beside them; renamed when the block ends well."""
    folder = files[0].parent
    try:
        with tempfile.TemporaryDirectory(prefix=".autowipe-", dir=folder) as room:
            parts = [Path(room) / file.name for file in files]
            yield parts
            ledger.appear(zip(parts, files, strict=True))
            sync_folder(folder)
    except OSError as err:
        raise disk_fault(err, files[0]) from err
