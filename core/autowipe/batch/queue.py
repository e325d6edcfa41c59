"""The queue of a batch on disk: what is waiting, running, done or failed, safe against a kill at any moment.

OUTPUT/.autowipe-batch/lock
OUTPUT/.autowipe-batch/jobs/ID/state.json       the state, replaced as a whole
                              job-N.json        what the engine was told in attempt N
                              messages-N.jsonl  what it said, its last line is the result
                              job-N.log         what its libraries said
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import JobError, MediaError, said
from ..job import Job
from ..segments import sync_folder
from .gather import Item

FOLDER = ".autowipe-batch"
LAST_WORDS = ("result", "error")  # types of an engine's last message


@dataclass(frozen=True)
class State:
    """How far an item is."""

    state: str = "waiting"  # waiting, running, done, failed
    key: str = ""  # what was asked for; a result made under another key is not this item's
    attempts: int = 0  # engines that were started for it and did not find it in the hands of another
    plan: str = ""  # SHA-256 of the plan that was carried out, with its maps; empty where there is none
    files: dict[str, list[Any]] = field(default_factory=dict)  # what was written: path to [bytes, SHA-256]
    result: dict[str, Any] | None = None  # the engine's last message when it succeeded
    error: dict[str, Any] | None = None  # and when it did not
    seconds: float = 0.0  # spent on it, all attempts together
    where: str = ""  # machine that did it


class Queue:
    """The states of a batch's items. Use it as a context manager: one process holds it at a time."""

    def __init__(self, output: str) -> None:
        """Raises JobError where another batch writes into the same folder, MediaError where it cannot be made."""
        self.folder = Path(output) / FOLDER
        try:
            (self.folder / "jobs").mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / "lock")
            self._lock.acquire(timeout=0)
        except Timeout as err:
            raise JobError(
                f"another batch is writing into {output}", code="busy", hint="Wait for it, or name another folder."
            ) from err
        except OSError as err:
            raise MediaError(
                f"{output} cannot be written to: {said(err)}", code="output-folder", hint="Choose another."
            ) from err

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def place(self, item: Item) -> Path:
        """The folder of an item."""
        folder = self.folder / "jobs" / item.id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def read(self, item: Item) -> State:
        return read_state(self.folder, item.id)

    def write(self, item: Item, state: State) -> None:
        part = self.place(item) / "state.json.part"
        with part.open("w", encoding="utf-8") as file:
            json.dump(asdict(state), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, part.with_suffix(""))
        sync_folder(part.parent)


def read_state(folder: Path, item_id: str) -> State:
    """The state of an item in a queue's folder; a new one where there is none or it is damaged."""
    try:
        return State(**json.loads((folder / "jobs" / item_id / "state.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return State()


def key_of(job: Job, item: Item) -> str:
    """What has to be equal for a result to be this item's: the request and the content of the source."""
    text = (
        replace(job, plan=None, save_plan=job.save_plan or job.plan, resume=False, overwrite=False).to_json()
        + item.fingerprint
    )
    return hashlib.sha256(text.encode()).hexdigest()


def is_done(state: State, key: str, plan: str) -> bool:
    """Whether an item was done as asked for and what it wrote is still there."""
    if state.state != "done" or state.key != key or state.plan != plan:
        return False
    return all(os.path.isfile(path) and os.path.getsize(path) == about[0] for path, about in state.files.items())


def last_message(place: Path, attempt: str) -> dict[str, Any] | None:
    """The result or error that ended an attempt; None while it runs, and where the engine died without a word."""
    try:
        lines = (place / f"messages-{attempt}.jsonl").read_bytes().splitlines()
    except OSError:
        return None
    for line in reversed(lines[-3:]):
        try:
            body = json.loads(line)
        except ValueError:
            continue
        if isinstance(body, dict) and body.get("type") in LAST_WORDS:
            return body
    return None


def found_result(place: Path, tag: str, made: str) -> dict[str, Any] | None:
    """The result of an engine that finished after whoever started it had died; None where there is none.

    `tag`: which of an item's tasks, empty for the item as one. `made`: the file that it was to write.
    """
    if not os.path.exists(made):
        return None
    for file in place.glob(f"messages-*{tag}.jsonl"):
        attempt = file.stem.removeprefix("messages-")
        last = last_message(place, attempt) if attempt.removesuffix(tag).isdigit() else None
        if last is not None and last["type"] == "result":
            return last
    return None


def hashed(paths: list[str]) -> dict[str, list[Any]]:
    """Size and SHA-256 of the files that are there."""
    out: dict[str, list[Any]] = {}
    for path in paths:
        if os.path.isfile(path):
            with open(path, "rb") as file:
                out[path] = [os.path.getsize(path), hashlib.file_digest(file, "sha256").hexdigest()]
    return out


def plan_print(path: str | None) -> str:
    """SHA-256 of a plan and its maps; empty where there is none."""
    if path is None or not os.path.isfile(path):
        return ""
    digest = hashlib.sha256(Path(path).read_bytes())
    for file in sorted(Path(path).with_suffix(".maps").glob("*")):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def clear(place: Path) -> None:
    """Forgets the attempts of an item."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
