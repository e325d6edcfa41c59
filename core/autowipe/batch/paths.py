"""One file under the names that two machines have for it: beginnings of paths are exchanged, whatever the system."""

from __future__ import annotations

import os
from dataclasses import fields, replace

from ..job import Job

VARIABLE = "AUTOWIPE_PATHS"  # OLD=NEW pairs, one a line


class PathMap:
    """Pairs of beginnings: how other machines begin a path, and how this one does."""

    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        self._pairs = tuple((_plain(old), new.rstrip("/\\")) for old, new in pairs)

    @classmethod
    def of_environment(cls) -> PathMap:
        """As `autowipe farm worker` sets it."""
        lines = os.environ.get(VARIABLE, "").splitlines()
        return cls(tuple((line.partition("=")[0], line.partition("=")[2]) for line in lines if "=" in line))

    def here(self, path: str) -> str:
        """A path of another machine as this one names it; the longest beginning that fits wins."""
        plain = _plain(path)
        for old, new in sorted(self._pairs, key=lambda pair: -len(pair[0])):
            if _folded(plain, old) == _folded(old, old) or _folded(plain, old).startswith(_folded(old, old) + "/"):
                return new + plain[len(old) :].replace("/", "\\" if "\\" in new else "/")
        return path

    def job(self, job: Job) -> Job:
        """A job with all its paths as this machine names them."""
        changed: dict[str, object] = {}
        for field in fields(job):
            value = getattr(job, field.name)
            if field.name in ("search_areas", "hold_outs"):
                changed[field.name] = tuple(self.here(area) if isinstance(area, str) else area for area in value)
            elif isinstance(value, str) and ("/" in value or "\\" in value):
                changed[field.name] = self.here(value)
        return replace(job, **changed)  # type: ignore[arg-type]


def _plain(path: str) -> str:
    return path.replace("\\", "/").rstrip("/") if path.strip("/\\") else path


def _folded(path: str, by: str) -> str:
    """Letter case does not count on drives with a letter and on Windows shares."""
    return path.casefold() if by[1:2] == ":" or by.startswith("//") else path
