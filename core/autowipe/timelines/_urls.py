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
    if os.path.isabs(old) or re.match(r"[A-Za-z]:|\\\\", old):
        return path
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # on another Windows drive
        return path
