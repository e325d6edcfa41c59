"""The media pool of the fake Resolve: its folders, and its clips, which are files or nested timelines."""

from __future__ import annotations

import uuid
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fake_resolve_api import Thing

if TYPE_CHECKING:
    from fake_resolve_timeline import Timeline


class Folder(Thing):
    api = "Folder"

    def __init__(self, name: str) -> None:
        self.name, self.folders, self.clips, self.id = name, [], [], uuid.uuid4().hex
        self.folders: list[Folder] = []
        self.clips: list[PoolItem] = []

    def GetName(self):
        return self.name

    def GetSubFolderList(self):
        return list(self.folders)

    def GetClipList(self):
        return list(self.clips)

    def GetUniqueId(self):
        return self.id


class PoolItem(Thing):
    """A clip of the media pool: a file, or a nested timeline without one."""

    api = "MediaPoolItem"

    def __init__(self, path: str, rate: Fraction, frames: int, kind: str = "Video") -> None:
        self.path, self.rate, self.frames, self.kind = path, rate, frames, kind
        self.id = uuid.uuid4().hex
        self.nested: Timeline | None = None
        self.start_tc = "00:00:00:00"
        self.is_online = True
        self.other: dict[str, str] = {}

    @property
    def file(self) -> str:
        return self.path

    def GetName(self):
        return Path(self.path).name or "Compound Clip 1"

    def GetUniqueId(self):
        return self.id

    def properties(self) -> dict[str, Any]:
        path = self.path if self.is_online else "OFFLINE - " + self.path
        return {
            "File Path": path,
            "FPS": round(float(self.rate), 3),
            "Frames": str(self.frames),
            "Start": "0",
            "End": str(self.frames - 1),
            "Start TC": self.start_tc,
            "Type": self.kind,
            "Online Status": "Online" if self.is_online else "Offline",
            "Usage": "1",
            "Input Color Space": "",
            "Data Level": "Auto",
            "PAR": "Square",
            **self.other,
        }

    def GetClipProperty(self, name=None):
        return self.properties().get(name, "") if name else self.properties()

    def SetClipProperty(self, name, value):
        if name == "FPS":
            self.rate = Fraction(str(value)).limit_denominator(1001)
            return True
        self.other[name] = value
        return name in self.properties()
