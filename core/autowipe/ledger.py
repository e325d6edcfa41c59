"""Lets finished files appear under their names, and remembers them, so that only AutoWipe's own are ever replaced."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import JobError

log = logging.getLogger(__name__)

MOST_BYTES = 1 << 20  # the ledger is cut to its newer half beyond this


def check_free(paths: list[str], *, overwrite: bool) -> None:
    """Raises JobError when a path holds something that AutoWipe did not write, or that changed since.

    `overwrite`: it may be replaced if it is a file.
    """
    known = _read()
    for path in paths:
        if not os.path.lexists(path):
            continue
        if os.path.isdir(path):
            raise JobError(f"{path} is a folder", code="output-exists", hint="Name a file inside it.")
        if os.path.exists(path) and not os.path.isfile(path):
            raise JobError(f"{path} is a device or pipe, not a file", code="output-exists", hint="Name a file.")
        if overwrite:
            continue
        if known.get(_key(path)) != _state(path):
            raise JobError(
                f"{path} exists already and was not written by AutoWipe, or was changed since",
                code="output-exists",
                hint="Choose another name, or say --overwrite.",
            )


def own(paths: list[str]) -> set[str]:
    """Those of the files that AutoWipe wrote and that are as it left them."""
    known = _read()
    return {path for path in paths if os.path.isfile(path) and known.get(_key(path)) == _state(path)}


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A working name beside `path`, renamed to it when the block ends well, else deleted."""
    part = working_name(path)
    try:
        yield part
        appear([(part, path)])
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def working_name(path: Path) -> Path:
    """What a file is called until it is complete: nothing that a person would use."""
    return path.with_name(f".{path.stem}.autowipe-part{path.suffix}")


def is_working(path: Path) -> bool:
    """Whether a file is one that a killed run left incomplete."""
    return path.name.startswith(".") and ".autowipe-part" in path.name


def appear(finished: Iterable[tuple[Path, Path]]) -> None:
    """Renames each working file to its name, in one folder, and knows it for AutoWipe's own from then on.

    It is noted before it is there: a run killed in between leaves no file that the next one takes for a stranger's.
    """
    pairs = list(finished)
    _note([json.dumps([_key(str(path)), *_state(str(part))]) for part, path in pairs])
    for part, path in pairs:
        os.replace(part, path)


def _note(lines: list[str]) -> None:
    """A ledger that cannot be written is no fault of the run."""
    try:
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and file.stat().st_size > MOST_BYTES:
            kept = file.read_text("utf-8").splitlines()
            file.write_text("\n".join(kept[len(kept) // 2 :]) + "\n", "utf-8")
        with file.open("a", encoding="utf-8") as out:
            out.write("".join(line + "\n" for line in lines))
    except (OSError, RuntimeError) as err:  # a user without a home folder is a RuntimeError
        log.warning("the list of written files cannot be kept: %s", err)


def _read() -> dict[str, tuple[int, int]]:
    known: dict[str, tuple[int, int]] = {}
    try:
        for line in _file().read_text("utf-8").splitlines():
            try:
                path, size, changed = json.loads(line)
            except ValueError:
                continue  # a line cut short by a crash
            known[path] = (size, changed)
    except (OSError, RuntimeError):
        pass
    return known


def _key(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.normcase(os.path.join(os.path.realpath(folder), name))


def _state(path: str) -> tuple[int, int]:
    stat = os.lstat(path)  # a link is somebody's, whatever it leads to
    return (stat.st_size, stat.st_mtime_ns)


def state_folder() -> Path:
    """Where each system keeps a program's state for a user."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "autowipe"


def _file() -> Path:
    return state_folder() / "written.jsonl"
