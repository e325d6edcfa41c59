"""A folder that cleans timelines: what an editing program exports into it comes back as its cleaned twin.

    FOLDER/reel.xml                    exported
    FOLDER/reel_clean/reel_clean.xml   the same timeline on cleaned media, to be imported
    FOLDER/reel_clean/status.txt       how far it is, or why it failed: for someone who sees the folder alone

The folder is looked at every few seconds, as folders on a server tell nobody what happens in them. A timeline is taken
up when it has stopped growing, and again when it is exported again.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .. import timelines
from ..errors import AutoWipeError, Cancelled, JobError
from ..ledger import check_free
from ..protocol import BatchItem, Message, Send
from ..sidefiles import write_text
from .gather import MADE
from .request import Request
from .run import Outcome, run
from .summary import headline

POLL_S = 2.0  # between two looks; a file that is the same at both is complete
STATUS, STAMP = "status.txt", ".autowipe-watched.json"
STATUS_S = 2.0  # between two changes of the status

Stamp = list[list[int]]  # size in bytes and time of change, ns, of each file


def watch(
    folder: str,
    request: Request,
    send: Send,
    told: Callable[[str], object],
    cancelled: threading.Event,
    *,
    is_once: bool = False,
    poll_s: float = POLL_S,
) -> int:
    """Cleans every timeline in a folder, and each new one, until `cancelled` is set; how many came out whole.

    `request` holds the options; inputs and output are set for each timeline. `told` gets a sentence for people
    whenever one is taken up or done. `is_once` stops when nothing is left to do. Raises JobError where the folder is
    not there.
    """
    if not os.path.isdir(folder):
        raise JobError(f"{folder} is not a folder", code="missing", hint="Make it, then watch it.")
    whole, tried, seen = 0, dict[Path, Stamp](), dict[Path, Stamp]()
    while not cancelled.is_set():
        last, seen = seen, _timelines(Path(folder))
        todo = [path for path, stamp in seen.items() if tried.get(path) != stamp and not _is_done(path, stamp)]
        ready = [path for path in todo if last.get(path) == seen[path]]
        for path in ready:
            tried[path] = seen[path]
            whole += _clean(path, seen[path], request, send, told, cancelled)
        if is_once and not todo:
            break
        if not ready:
            cancelled.wait(poll_s)
    return whole


def _timelines(folder: Path) -> dict[Path, Stamp]:
    """The timelines that lie in a folder itself, and what tells whether they changed."""
    found = {}
    with contextlib.suppress(OSError):  # a server that is away for a moment
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or path.stem.endswith(MADE):
                continue
            with contextlib.suppress(OSError):  # a file that went meanwhile
                if timelines.is_timeline(path):
                    found[path] = _stamp(path)
    return found


def _stamp(path: Path) -> Stamp:
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return [[file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def _output(path: Path) -> Path:
    return path.with_name(path.stem + MADE)


def _is_done(path: Path, stamp: Stamp) -> bool:
    try:
        return json.loads((_output(path) / STAMP).read_text("utf-8")) == stamp
    except (OSError, ValueError):
        return False


def _clean(
    path: Path,
    stamp: Stamp,
    request: Request,
    send: Send,
    told: Callable[[str], object],
    cancelled: threading.Event,
) -> bool:
    """One timeline; whether all of it is clean. What fails is told, and does not stop the watch."""
    told(f"{path.name}: taken up")
    output = _output(path)
    status = _Status(output / STATUS, path.name, send)
    try:
        outcome = run(
            replace(request, inputs=(str(path),), output=str(output), retry_failed=True), status.send, cancelled
        )
        text = _text(outcome, output)
        if outcome.is_whole:
            write_text(output / STAMP, json.dumps(stamp))
        is_whole = outcome.is_whole
    except Cancelled:
        status.write("Stopped. It goes on when the folder is watched again.")
        raise
    except AutoWipeError as err:
        text, is_whole = f"{err.text}. {err.hint}".strip(), False
    status.write(text)
    told(f"{path.name}: {text.splitlines()[0]}")
    return is_whole


def _text(outcome: Outcome, output: Path) -> str:
    lines = [headline(outcome)]
    lines += [f"Import {os.path.relpath(made, output)} into your editing program." for made in outcome.timelines]
    lines += [f"{lost.media or lost.name}: {lost.text}" for lost in outcome.lost]
    lines += [f"{row.item.name}: {row.state.error.get('text', '')}" for row in outcome.rows if row.state.error]
    lines += [f"{made} is not written: {why}" for made, why in outcome.unwritten]
    return "\n".join(lines)


class _Status:
    """Keeps a text file up to date on the way of a batch's messages to whoever wants them."""

    def __init__(self, file: Path, name: str, send: Send) -> None:
        self._file, self._name, self._send = file, name, send
        self._shares: dict[str, float] = {}
        self._next = 0.0

    def send(self, message: Message) -> None:
        self._send(message)
        if isinstance(message, BatchItem) and message.id:
            self._shares[message.id] = 1.0 if message.state in ("done", "planned", "failed") else message.done
            if time.monotonic() >= self._next:
                self._next = time.monotonic() + STATUS_S
                done = sum(self._shares.values()) / len(self._shares)
                self.write(f"Cleaning {len(self._shares)} clips: {100 * done:.0f} % done.")

    def write(self, text: str) -> None:
        """A status that cannot be written is no fault of the batch, and one of the user's is left alone."""
        with contextlib.suppress(OSError, AutoWipeError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            check_free([str(self._file)], overwrite=False)
            write_text(self._file, f"{self._name}\n{text}\n")
