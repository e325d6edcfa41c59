"""The working folder beside an output: what a killed run leaves there, and whether a later run may go on with it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .errors import JobError, MediaError, said
from .job import Job

STATE = 1  # version of what lies in the folder


class WorkFolder:
    """`.NAME.autowipe` beside the output: plan, finished segments, figures. Only one run at a time may hold it."""

    def __init__(self, job: Job, fingerprint: str, version: str) -> None:
        """Raises JobError when another run holds the folder, MediaError when it cannot be made there."""
        target = _target(job)
        self.path = folder_of(job)
        self._key = key_of(job, fingerprint, version)
        try:
            self.path.mkdir(exist_ok=True)
            self._lock = FileLock(self.path / "lock")
            self._lock.acquire(timeout=0)
        except Timeout as err:
            raise JobError(
                f"another run is writing {target}", code="busy", hint="Wait for it, or choose another output."
            ) from err
        except OSError as err:
            raise MediaError(
                f"no working folder can be made beside {target}: {said(err)}",
                code="output-folder",
                hint="Check that the folder exists, that it may be written to and that there is space left.",
            ) from err
        found = self.read("state.json")
        self.is_resumed = job.resume and found == {"state": STATE, "key": self._key}
        self.is_another = job.resume and found is not None and not self.is_resumed  # of another request, or engine
        if not self.is_resumed:
            self._empty()
            self.write("state.json", {"state": STATE, "key": self._key})

    def read(self, name: str) -> Any:
        """A JSON file of the folder, or None when it is missing or damaged."""
        return json_of(self.path / name)

    def write(self, name: str, body: Any) -> None:
        """Writes a JSON file so that a kill leaves the old one or the new one, never half of it."""
        part = self.path / (name + ".part")
        with part.open("w", encoding="utf-8") as file:
            json.dump(body, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self.path / name)

    def remove(self) -> None:
        """Takes the folder away: the run is done."""
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)

    def close(self) -> None:
        """Leaves the folder to a later run, where there is anything in it to go on with."""
        has_segment = any(file.with_suffix(".json").exists() for file in self.path.glob("*/*.packets"))
        if has_segment or (self.path / "plan.json").exists() or any(self.path.glob("section-*.json")):
            self._lock.release()
        else:
            self.remove()

    def _empty(self) -> None:
        for entry in self.path.iterdir():
            if entry.name == "lock":
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def folder_of(job: Job) -> Path:
    """The working folder of a job, or of a part of one."""
    target = _target(job)
    part = f".{job.part.start}-{job.part.stop}" if job.part else ""
    return target.parent / f".{target.name}{part}.autowipe"


def _target(job: Job) -> Path:
    return Path(job.output or job.save_plan or "")


def json_of(path: Path) -> Any:
    """What a JSON file holds, or None when it is missing or damaged."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def key_of(job: Job, fingerprint: str, version: str) -> str:
    """What must be equal for a run to go on where another stopped: the request, the source's content, the engine."""
    text = replace(job, resume=False, overwrite=False, join=()).to_json() + fingerprint + version
    for path in (job.plan, job.matte_in, *(a for a in (*job.search_areas, *job.hold_outs) if isinstance(a, str))):
        if path is not None and os.path.isfile(path):
            text += hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return hashlib.sha256(text.encode()).hexdigest()
