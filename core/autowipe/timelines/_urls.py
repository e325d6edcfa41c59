"""Media paths as timelines write them: plain, relative, or as file: URLs of any system."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit


def path_of(text: str) -> str:
    """The path in a reference: a file: URL unquoted, a plain path as it is."""
    if not text.lower().startswith("file:"):
        return text
    parts = urlsplit(text)
    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost"):
        return f"//{parts.netloc}{path}"  # a share
    return path[1:] if re.match(r"/[A-Za-z]:", path) else path


def like(old: str, path: str, folder: Path) -> str:
    """`path`, which is absolute, written as the reference `old` was; relative ones are seen from `folder`."""
    if old.lower().startswith("file:"):
        host = "localhost" if old.lower().startswith("file://localhost") else ""
        slashed = path.replace(os.sep, "/")
        return f"file://{host}{'' if slashed.startswith('/') else '/'}{quote(slashed)}"
    if not is_relative(old):
        return path
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # on another Windows drive
        return path


def is_relative(text: str) -> bool:
    """Whether a reference is seen from the folder that its timeline lies in."""
    is_fixed = ":" in text or text.startswith(("/", "\\"))  # a URL, a drive, a share, or a path from the root
    return bool(text) and not is_fixed


def rebased(text: str, old: Path, new: Path) -> str:
    """A reference of a timeline in the folder `old`, as one in the folder `new` needs it."""
    return like(text, os.path.abspath(old / text), new) if is_relative(text) and old != new else text
