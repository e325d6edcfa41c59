"""The files that a run will write: all of them checked before any work, so that none is refused hours later."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from . import images, ledger
from .clipfiles import locate
from .decode import ClipInfo
from .errors import JobError, MediaError
from .job import Job
from .segments import check_writable
from .timing import FrameRange

# Names that Windows keeps for devices, with any suffix.
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}


def check_outputs(job: Job) -> None:
    """Raises JobError where a file is not AutoWipe's to write, MediaError where its folder cannot be written to."""
    paths = [p for p in (job.output, job.matte, job.provenance, job.report, job.compare, job.srt) if p]
    if job.save_plan:
        check_writable(Path(job.save_plan))
        maps = Path(job.save_plan).with_suffix(".maps")
        if job.plan is None or Path(job.plan).resolve() != Path(job.save_plan).resolve():
            paths += [
                job.save_plan,
                *(str(file) for file in maps.glob("*") if file.is_file() and not ledger.is_working(file)),
            ]
    _check(job, paths)


def check_pictures(job: Job, like: ClipInfo, whole: FrameRange) -> None:
    """The same for every picture of a numbered sequence. Raises JobError."""
    if job.output and images.is_pictures(Path(job.output)):
        _check(job, [str(path) for path in images.names(Path(job.output), like, whole)])


def windows_refuses(path: str) -> str | None:
    """The part of a path that Windows would not take or would take for a device, None where all is well."""
    for name in PureWindowsPath(path).parts:
        if name.endswith((":\\", "\\")):  # the drive
            continue
        stem = name.split(".")[0].rstrip().upper()
        if re.search(r'[<>:"|?*\x00-\x1f]', name) or name[-1] in " ." or stem in DEVICES:
            return name
    return None


def _check(job: Job, paths: list[str]) -> None:
    for path in paths:
        if os.name == "nt" and (name := windows_refuses(path)):
            raise JobError(f"Windows does not take the name {name!r}: {path}", code="output-name", hint="Rename it.")
        if not os.path.isdir(Path(path).parent):
            raise JobError(
                f"the folder {Path(path).parent} does not exist", code="output-folder", hint="Make it first."
            )
    inputs = {_identity(path) for path in _inputs(job)}
    for path in paths:
        if os.path.exists(path) and _identity(path) in inputs:
            raise JobError(
                f"{path} is a file that this run reads",
                code="output-is-source",
                hint="AutoWipe never writes over what it reads; choose another name.",
            )
    ledger.check_free(paths, overwrite=job.overwrite)
    for path in {str(Path(path).parent): path for path in sorted(paths, key=len)}.values():
        check_writable(Path(path))  # the longest name in each folder


def _inputs(job: Job) -> Iterator[str]:
    """Every file that the run reads, as far as it is there."""
    areas = [area for area in (*job.search_areas, *job.hold_outs) if isinstance(area, str)]
    for path in (job.source, job.plan, job.matte_in, *areas):
        try:
            yield from locate(path).files if path else ()
        except MediaError:
            continue  # told where it is read


def _identity(path: str) -> tuple[int, int]:
    stat = os.stat(path)
    return (stat.st_dev, stat.st_ino)
