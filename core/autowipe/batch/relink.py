"""Finds the media of a timeline: where it says, where rules say they moved to, or by name in search folders."""

from __future__ import annotations

import glob
import os
import re
from collections import defaultdict
from pathlib import Path

NUMBER = re.compile(r"%(?:0\d+)?d|#+")


class Finder:
    """Looks media up. Search folders are read once, when first needed."""

    def __init__(self, folders: tuple[str, ...], moved: tuple[tuple[str, str], ...]) -> None:
        self._folders, self._moved = folders, moved
        self._index: dict[str, list[str]] | None = None

    def find(self, text: str, base: Path) -> str:
        """The path of a medium named `text` in a timeline in the folder `base`.

        Raises LookupError with the reason where there is none, or more than one.
        """
        slashed = text.replace("\\", "/")
        places = [os.path.join(base, text), os.path.join(base, slashed)]
        for old, new in self._moved:
            tail = _after(slashed, old.replace("\\", "/").rstrip("/"))
            if tail is not None:
                places.append(os.path.join(new, tail))
        places.append(os.path.join(base, slashed.rsplit("/", 1)[-1]))
        for place in places:
            if _is_there(place):
                return os.path.abspath(place)
        return self._by_name(slashed)

    def _by_name(self, text: str) -> str:
        wanted = [part.casefold() for part in text.split("/") if part]
        if not wanted:
            raise LookupError("the timeline names no file")
        found = self._names().get(wanted[-1], [])
        if not found and "." not in wanted[-1]:  # a reel or a clip's name
            found = self._names().get(wanted[-1] + ".", [])
        if not found:
            where = f" and not in {', '.join(self._folders)}" if self._folders else ""
            raise LookupError(f"it is not there{where}; say where with --search FOLDER or --moved OLD=NEW")
        scores = sorted(((_alike(path, wanted), path) for path in found), reverse=True)
        best = [path for score, path in scores if score == scores[0][0]]
        if len(best) > 1:
            raise LookupError(
                f"there are {len(best)} of that name: {', '.join(sorted(best)[:3])}; search in fewer folders"
            )
        return best[0]

    def _names(self) -> dict[str, list[str]]:
        """Paths by name in lower case, and by name without suffix with a dot behind."""
        if self._index is None:
            self._index = defaultdict(list)
            for top in self._folders:
                for folder, folders, files in os.walk(top):
                    folders[:] = [name for name in folders if not name.startswith(".")]
                    for name in files:
                        path = os.path.abspath(os.path.join(folder, name))
                        if path not in self._index[name.casefold()]:
                            self._index[name.casefold()].append(path)
                            self._index[name.rpartition(".")[0].casefold() + "."].append(path)
        return self._index


def _after(path: str, head: str) -> str | None:
    """What follows `head` in a path, None where it does not begin so. Letter case is taken as the paths have it."""
    if path == head or path.startswith(head + "/"):
        return path[len(head) + 1 :]
    return None


def _is_there(path: str) -> bool:
    if os.path.isfile(path):
        return True
    name = os.path.basename(path)
    if not NUMBER.search(name):
        return False
    pattern = NUMBER.sub("*", "".join(f"[{c}]" if c in "*?[" else c for c in name))
    return bool(glob.glob(os.path.join(glob.escape(os.path.dirname(path)), pattern)))


def _alike(path: str, wanted: list[str]) -> int:
    """How many of the last parts of two paths are the same."""
    parts = [part.casefold() for part in path.replace("\\", "/").split("/") if part]
    count = 0
    for a, b in zip(reversed(parts), reversed(wanted), strict=False):
        if a != b and count:
            break
        count += 1
    return count
