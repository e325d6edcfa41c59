"""A DaVinci Resolve for the tests: project, media pool, timeline and items with its manners, as public notes tell them.

Numbers: tracks, timelines and takes count from 1; record frames are absolute (a timeline starts at 01:00:00:00 unless
told otherwise), markers and in/out marks are relative to the timeline's start. Where versions of Resolve differ, or the
sources do, `Manners` switches.

    fake_resolve_api       what the public stubs document, and the door that lets nothing else through
    fake_resolve_media     media pool clips        fake_resolve_timeline  tracks and items
    fake_resolve_render    pictures, Deliver page  fake_resolve_state     what must be as before
    fake_resolve_ui        UIManager, and a user
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from fake_resolve_api import Door, Handle, Thing, keys_of
from fake_resolve_media import Folder, PoolItem
from fake_resolve_render import Deliver
from fake_resolve_timeline import Item, Timeline


@dataclass
class Manners:
    """How this Resolve behaves where versions differ, or where nobody knows for sure."""

    version: tuple[int, ...] = (21, 0, 4)
    is_studio: bool = True
    end_frame: str = "exclusive"  # of clipInfo and takes: as measured on 19 to 21; "inclusive" as in the manual
    marks: str = "absolute"  # a render's MarkIn and MarkOut: "absolute" (clamped below), or "relative"
    mark_out: str = "inclusive"
    source_end: str = "by rate"  # GetSourceEndFrame: exclusive where the rates are equal; or "inclusive" throughout
    is_start_off_by_one: bool = False  # GetSourceStartFrame, seen on some items; GetLeftOffset stays exact
    returns_items: bool = True  # AppendToTimeline: False gives [None]
    inserts_tracks: bool = True  # AddTrack heeds "index"
    disables_links: bool = False  # SetClipEnabled reaches linked sound
    preset_clears_queue: bool = False
    first_delete_fails: bool = False
    modal: bool = False  # a dialogue is up: saving fails
    # What goes wrong on request.
    render: str = "good"  # "fails", "fails at once", "refused", "short", "no picture", "never ends"
    imports: bool = True
    appends: bool = True
    takes: bool = True
    disables: bool = True


class Studio:
    """One running Resolve with one project; `handle` is what a menu script gets as `resolve`."""

    def __init__(self, manners: Manners | None = None, *, rate: str = "24", size: tuple[int, int] = (96, 64)) -> None:
        self.manners = manners or Manners()
        self.door = Door(self.manners.version)
        self.page = "edit"
        self.project = Project(self, rate, size)
        self.handle = self.door.out(Resolve(self))

    @property
    def timeline(self) -> Timeline:
        assert self.project.current is not None
        return self.project.current

    def thing(self, handle: Handle) -> Any:
        return self.door.back(handle)


class Resolve(Thing):
    api = "Resolve"

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def GetProjectManager(self):
        return ProjectManager(self.studio)

    def OpenPage(self, name):
        if name not in ("media", "cut", "edit", "fusion", "color", "fairlight", "deliver"):
            return False
        self.studio.page = name
        return True

    def GetCurrentPage(self):
        return self.studio.page

    def GetProductName(self):
        return "DaVinci Resolve Studio" if self.studio.manners.is_studio else "DaVinci Resolve"

    def GetVersion(self):
        return [*self.studio.manners.version, 0, 0, ""][:5]

    def GetVersionString(self):
        return ".".join(str(n) for n in self.studio.manners.version)


class ProjectManager(Thing):
    api = "ProjectManager"

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def GetCurrentProject(self):
        return self.studio.project

    def SaveProject(self):
        return not self.studio.manners.modal


class Project(Deliver, Thing):
    api = "Project"

    def __init__(self, studio: Studio, rate: str, size: tuple[int, int]) -> None:
        self.studio, self.rate_text, self.size = studio, rate, size
        self.pool = MediaPool(self)
        self.timelines: list[Timeline] = []
        self.current: Timeline | None = None
        self.colour = {"colorScienceMode": "davinciYRGB", "colorSpaceOutput": "Rec.709 Gamma 2.4"}
        self.set_up_deliver()

    def GetName(self):
        return "Film mit Überlagerung"

    def GetUniqueId(self):
        return "project-1"

    def GetMediaPool(self):
        return self.pool

    def GetTimelineCount(self):
        return len(self.timelines)

    def GetTimelineByIndex(self, index):
        return self.timelines[index - 1] if isinstance(index, int) and 1 <= index <= len(self.timelines) else None

    def GetCurrentTimeline(self):
        return self.current

    def SetCurrentTimeline(self, timeline):
        if timeline not in self.timelines:
            return False
        self.current = timeline
        return True

    def GetSetting(self, name=None):
        return self.colour.get(name, "") if name else dict(self.colour)


class MediaPool(Thing):
    api = "MediaPool"

    def __init__(self, project: Project) -> None:
        self.project = project
        self.root = Folder("Master")
        self.folder = self.root

    @property
    def manners(self) -> Manners:
        return self.project.studio.manners

    def GetRootFolder(self):
        return self.root

    def GetCurrentFolder(self):
        return self.folder

    def SetCurrentFolder(self, folder):
        if not isinstance(folder, Folder):
            return False
        self.folder = folder
        return True

    def AddSubFolder(self, folder, name):
        if not isinstance(folder, Folder) or not name:
            return None
        self.folder = Folder(name)  # the new one is current, and a name may come twice
        folder.folders.append(self.folder)
        return self.folder

    def DeleteFolders(self, folders):
        self.root.folders = [f for f in self.root.folders if f not in folders]
        if self.folder in folders:
            self.folder = self.root
        return True

    def ImportMedia(self, items):
        if not isinstance(items, list) or not self.manners.imports:
            return []
        made = []
        for path in items:
            if isinstance(path, str) and Path(path).is_file():
                if path.endswith(".srt"):
                    made.append(PoolItem(path, Fraction(24), 0, "Subtitle"))
                    continue
                with av.open(path) as box:
                    if not box.streams.video:
                        continue
                    stream = box.streams.video[0]
                    frames = sum(1 for _ in box.decode(stream))
                    made.append(PoolItem(path, Fraction(stream.average_rate), frames))
        self.folder.clips += made
        return made

    def DeleteClips(self, clips):
        for folder in [self.root, *self.root.folders]:
            folder.clips = [clip for clip in folder.clips if clip not in clips]
        return True

    def AppendToTimeline(self, infos, *more):
        timeline = self.project.current
        if timeline is None or more or not isinstance(infos, list) or not self.manners.appends:
            return []
        made: list[Item | None] = []
        for info in infos:
            if not isinstance(info, dict):
                return []
            wrong = set(info) - keys_of("MediaPoolClipInfo")
            if wrong:
                self.project.studio.door.misuse.append(f"clipInfo does not know {sorted(wrong)}")
                return []
            item = self._append(timeline, info)
            if item is not None:
                made.append(item)
        return made if self.manners.returns_items else [None] * len(made)

    def _append(self, timeline: Timeline, info: dict[str, Any]) -> Item | None:
        media, track = info.get("mediaPoolItem"), info.get("trackIndex", 1)
        if not isinstance(media, PoolItem) or not 1 <= track <= len(timeline.video):
            return None
        start, end = info.get("startFrame", 0), info.get("endFrame", media.frames)
        if self.manners.end_frame == "inclusive":
            end += 1
        end = min(end, media.frames)
        duration = math.floor((end - start) * timeline.rate / media.rate + Fraction(1, 10**6))
        record = info.get("recordFrame", timeline.end)
        lane = timeline.video[track - 1]
        if lane.is_locked or duration < 1 or start < 0:
            return None
        if any(item.start < record + duration and record < item.end for item in lane.items):
            return None  # the earlier one stays, without a word
        item = Item(timeline, media, record, duration, Fraction(start).limit_denominator(10**6))
        lane.items.append(item)
        if info.get("mediaType") != 1:  # without it the sound comes along
            timeline.audio[0].items.append(Item(timeline, media, record, duration, Fraction(start), kind="audio"))
        return item
