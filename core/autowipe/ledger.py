"""Remembers which files AutoWipe wrote, so that it replaces only its own and never what somebody made or changed."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

from .errors import JobError

log = logging.getLogger(__name__)

MOST_BYTES = 1 << 20  # the ledger is cut to its newer half beyond this


def check_free(paths: list[str], *, overwrite: bool) -> None:
    """Raises JobError when a path holds something that AutoWipe did not write, or that changed since."""
    known = _read()
    for path in paths:
        if overwrite or not os.path.lexists(path):
            continue
        if os.path.isdir(path):
            raise JobError(f"{path} is a folder", code="output-exists", hint="Name a file inside it.")
        if known.get(_key(path)) != _state(path):
            raise JobError(
                f"{path} exists already and was not written by AutoWipe, or was changed since",
                code="output-exists",
                hint="Choose another name, or say --overwrite.",
            )


def record(paths: list[str]) -> None:
    """Notes files as AutoWipe's own, in their present state. A ledger that cannot be written is no fault of the run."""
    lines = [json.dumps([_key(path), *_state(path)]) for path in paths if os.path.isfile(path)]
    file = _file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and file.stat().st_size > MOST_BYTES:
            kept = file.read_text("utf-8").splitlines()
            file.write_text("\n".join(kept[len(kept) // 2 :]) + "\n", "utf-8")
        with file.open("a", encoding="utf-8") as out:
            out.write("".join(line + "\n" for line in lines))
    except OSError as err:
        log.warning("the list of written files cannot be kept in %s: %s", file, err)


def _read() -> dict[str, tuple[int, int]]:
    known: dict[str, tuple[int, int]] = {}
    try:
        for line in _file().read_text("utf-8").splitlines():
            try:
                path, size, changed = json.loads(line)
            except ValueError:
                continue  # a line cut short by a crash
            known[path] = (size, changed)
    except OSError:
        pass
    return known


def _key(path: str) -> str:
    return os.path.normcase(os.path.realpath(path))


def _state(path: str) -> tuple[int, int]:
    stat = os.stat(path)
    return (stat.st_size, stat.st_mtime_ns)


def _file() -> Path:
    """Where each system keeps a program's state for a user."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "autowipe" / "written.jsonl"
