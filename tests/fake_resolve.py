"""A DaVinci Resolve for the tests: project, media pool, timeline and items with its manners, as public notes tell them.

Numbers: tracks, timelines and takes count from 1; record frames are absolute (a timeline starts at 01:00:00:00 unless
told otherwise), markers and in/out marks are relative to the timeline's start. Where versions of Resolve differ, or the
sources do, `Manners` switches. `fake_resolve_render.py` draws pictures and does the Deliver page's work.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from fake_resolve_api import Door, Handle, Thing
from fake_resolve_render import Deliver

RATES = {
    "23.976": Fraction(24000, 1001),
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": Fraction(30000, 1001),
    "29.97 DF": Fraction(30000, 1001),
    "59.94": Fraction(60000, 1001),
}
CLIP_COLOURS = (
    "Orange Apricot Yellow Lime Olive Green Teal Navy Blue Purple Violet Pink Tan Beige Brown Chocolate".split()
)
MARKER_COLOURS = "Blue Cyan Green Yellow Red Pink Purple Fuchsia Rose Lavender Sky Mint Lemon Sand Cocoa Cream".split()
PLAIN = {
    "Pan": 0.0,
    "Tilt": 0.0,
    "ZoomX": 1.0,
    "ZoomY": 1.0,
    "ZoomGang": True,
    "RotationAngle": 0.0,
    "AnchorPointX": 0.0,
    "AnchorPointY": 0.0,
    "Pitch": 0.0,
    "Yaw": 0.0,
    "FlipX": False,
    "FlipY": False,
    "CropLeft": 0.0,
    "CropRight": 0.0,
    "CropTop": 0.0,
    "CropBottom": 0.0,
    "CropSoftness": 0.0,
    "CropRetain": False,
    "DynamicZoomEase": 0,
    "CompositeMode": 0,
    "Opacity": 100.0,
    "Distortion": 0.0,
    "RetimeProcess": 0,
    "MotionEstimation": 0,
    "Scaling": 0,
    "ResizeFilter": 0,
}


@dataclass
class Manners:
    """How this Resolve behaves where versions differ, or where nobody knows for sure."""

    version: tuple[int, ...] = (21, 0, 4)
    is_studio: bool = True
    end_frame: str = (
        "exclusive"  # clipInfo and takes: "exclusive" as measured on 19 to 21, "inclusive" as in the manual
    )
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
        return self.timelines[0].GetSetting(name) if self.timelines else ""


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
            wrong = set(info) - {"mediaPoolItem", "startFrame", "endFrame", "mediaType", "trackIndex", "recordFrame"}
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


@dataclass
class Track:
    items: list[Item] = field(default_factory=list)
    is_locked: bool = False
    is_enabled: bool = True
    name: str = ""


class Timeline(Thing):
    api = "Timeline"

    def __init__(self, project: Project, name: str, rate: str, *, start: int | None = None, tracks: int = 1) -> None:
        self.project, self.name, self.rate_text, self.id = project, name, rate, uuid.uuid4().hex
        self.rate = RATES[rate]
        nominal = round(self.rate)
        drop = 108 if "DF" in rate else 0
        self.start = nominal * 3600 - drop if start is None else start
        self.video = [Track() for _ in range(tracks)]
        self.audio = [Track()]
        self.subtitles: list[Track] = []
        self.markers: dict[int, dict[str, Any]] = {}
        self.marks: dict[str, int] = {}
        self.playhead = self.start
        self.selected: list[Item] = []
        self.deletes = 0
        project.timelines.append(self)
        project.current = project.current or self

    @property
    def end(self) -> int:
        return max([self.start, *(item.end for track in self.video for item in track.items)])

    def lanes(self, kind: Any) -> list[Track]:
        return {"video": self.video, "audio": self.audio, "subtitle": self.subtitles}.get(kind, [])

    def lane(self, kind: Any, index: Any) -> Track | None:
        lanes = self.lanes(kind)
        return lanes[index - 1] if isinstance(index, int) and 1 <= index <= len(lanes) else None

    def GetName(self):
        return self.name

    def GetUniqueId(self):
        return self.id

    def GetStartFrame(self):
        return self.start

    def GetEndFrame(self):
        return self.end

    def GetStartTimecode(self):
        return self.timecode(self.start)

    def timecode(self, frame: int) -> str:
        nominal, mark = round(self.rate), ":"
        if "DF" in self.rate_text:
            tens, rest = divmod(frame, 17982)
            frame += 18 * tens + (2 * ((rest - 2) // 1798) if rest >= 2 else 0)
            mark = ";"
        seconds, frames = divmod(frame, nominal)
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{frames:02d}"

    def GetSetting(self, name=None):
        text = self.rate_text
        modern = self.project.studio.manners.version >= (21, 1)
        settings = {
            "timelineFrameRate": float(text.split()[0]) if modern else text,
            "timelineDropFrameTimecode": "1" if "DF" in text else "0",
            "timelineResolutionWidth": str(self.project.size[0]),
            "timelineResolutionHeight": str(self.project.size[1]),
        }
        return settings.get(name, "") if name else settings

    def GetTrackCount(self, kind):
        return len(self.lanes(kind))

    def AddTrack(self, kind, options=None):
        lanes = self.lanes(kind)
        index = len(lanes) + 1
        if isinstance(options, dict) and self.project.studio.manners.inserts_tracks:
            index = options.get("index", index)
        lanes.insert(index - 1, Track())
        return True

    def DeleteTrack(self, kind, index):
        if self.lane(kind, index) is None or len(self.lanes(kind)) == 1:
            return False
        del self.lanes(kind)[index - 1]
        return True

    def GetIsTrackLocked(self, kind, index):
        track = self.lane(kind, index)
        return bool(track and track.is_locked)

    def GetIsTrackEnabled(self, kind, index):
        track = self.lane(kind, index)
        return bool(track and track.is_enabled)

    def SetTrackEnable(self, kind, index, is_enabled):
        track = self.lane(kind, index)
        if track is None:
            return False
        track.is_enabled = is_enabled
        return True

    def GetTrackName(self, kind, index):
        track = self.lane(kind, index)
        return "" if track is None else track.name or f"{kind.title()} {index}"

    def SetTrackName(self, kind, index, name):
        track = self.lane(kind, index)
        if track is None or not name:
            return False
        track.name = name
        return True

    def GetItemListInTrack(self, kind, index):
        track = self.lane(kind, index)
        return [] if track is None else sorted(track.items, key=lambda item: item.start)

    def DeleteClips(self, items, ripple=False):
        self.deletes += 1
        if self.project.studio.page == "fairlight" or not isinstance(items, list) or not items:
            return False
        if self.project.studio.manners.first_delete_fails and self.deletes == 1:
            return False
        for track in self.video + self.audio:
            if track.is_locked and any(item in track.items for item in items):
                return False
            track.items = [item for item in track.items if item not in items]
        for item in items:
            item.is_dead = True
        return True

    def SetClipsLinked(self, items, is_linked):
        for item in items:
            item.is_linked = is_linked
        return True

    def AddMarker(self, frame, colour, name, note, duration, custom=""):
        is_right = isinstance(name, str) and isinstance(note, str) and isinstance(custom, str)
        if colour not in MARKER_COLOURS or not is_right or duration < 1 or frame in self.markers:
            return False
        if not 0 <= frame < self.end - self.start:
            return False
        self.markers[int(frame)] = {
            "color": colour,
            "name": name,
            "note": note,
            "duration": float(duration),
            "customData": custom,
        }
        return True

    def GetMarkers(self):
        return {float(frame): dict(marker) for frame, marker in self.markers.items()}

    def DeleteMarkerAtFrame(self, frame):
        return self.markers.pop(int(frame), None) is not None

    def DeleteMarkerByCustomData(self, custom):
        for frame, marker in self.markers.items():
            if marker["customData"] == custom:
                del self.markers[frame]
                return True
        return False

    def GetCurrentTimecode(self):
        return self.timecode(self.playhead)

    def GetCurrentVideoItem(self):
        for track in reversed(self.video):
            for item in track.items:
                if track.is_enabled and item.start <= self.playhead < item.end and item.is_enabled:
                    return item
        return None

    def GetSelectedClips(self):
        return list(self.selected)

    def GetMarkInOut(self):
        return {"video": dict(self.marks), "audio": dict(self.marks)} if self.marks else {}

    def SetMarkInOut(self, first, last, kind="all"):
        self.marks = {"in": first, "out": last}
        return True

    def ClearMarkInOut(self, kind="all"):
        self.marks = {}
        return True


class Graph(Thing):
    api = "Graph"

    def __init__(self, item: Item) -> None:
        self.item = item

    def GetNumNodes(self):
        return max(1, self.item.nodes)

    def GetToolsInNode(self, index):
        return ["Primary Correctors"] if self.item.grade and index <= self.GetNumNodes() else None

    def GetLUT(self, index):
        return ""


@dataclass
class Take:
    media: PoolItem
    source: Fraction
    span: int


class Item(Thing):
    """One clip on a track. `source` is the source frame shown at its first record frame."""

    api = "TimelineItem"

    def __init__(
        self,
        timeline: Timeline,
        media: PoolItem | None,
        start: int,
        duration: int,
        source: Fraction | int = 0,
        *,
        speed: Fraction | int = 1,
        kind: str = "video",
    ) -> None:
        self.timeline, self.media, self.start, self.duration = timeline, media, start, duration
        self.source, self.speed, self.kind = Fraction(source), Fraction(speed), kind
        self.id = uuid.uuid4().hex
        self.is_enabled = True
        self.properties = dict(PLAIN) if kind == "video" else {}
        self.nodes, self.grade, self.fusion = 1, Fraction(1) * 0, 0
        self.colour, self.flags = "", []
        self.links: list[Item] = []
        self.is_linked = True
        self.takes: list[Take] = []
        self.take = 0
        self.name = ""
        self.flags: list[str] = []

    @property
    def end(self) -> int:
        return self.start + self.duration

    @property
    def manners(self) -> Manners:
        return self.timeline.project.studio.manners

    @property
    def step(self) -> Fraction:
        """Source frames for one record frame."""
        assert self.media is not None
        return self.media.rate / self.timeline.rate * self.speed

    def frame_at(self, record: int) -> int:
        """The source frame shown at a record frame."""
        assert self.media is not None
        frame = math.floor(self.source + (record - self.start) * self.step + Fraction(1, 10**6))
        return min(max(frame, 0), self.media.frames - 1)

    def GetName(self):
        return self.name or (self.media.GetName() if self.media else "Solid Color")

    def GetUniqueId(self):
        return self.id

    def GetStart(self, subframe=False):
        return self.start

    def GetEnd(self, subframe=False):
        return self.end

    def GetDuration(self, subframe=False):
        return self.duration

    def GetLeftOffset(self, subframe=False):
        if self.media is None:
            return 0
        offset = self.source / abs(self.speed)
        return float(offset) if subframe else math.floor(offset)

    def GetRightOffset(self, subframe=False):
        if self.media is None:
            return 0
        return max(0, math.floor(self.media.frames / abs(self.speed)) - self.GetLeftOffset() - self.duration)

    def GetSourceStartFrame(self):
        if self.media is None:
            return 0
        return math.floor(self.source) - (1 if self.manners.is_start_off_by_one and self.source >= 1 else 0)

    def GetSourceEndFrame(self):
        if self.media is None:
            return 0
        end = round(self.source + self.duration * self.step)
        is_exclusive = self.manners.source_end == "by rate" and self.media.rate == self.timeline.rate
        return end if is_exclusive or self.step < 0 else end - 1

    def _tc_seconds(self) -> float:
        assert self.media is not None
        h, m, s, f = (int(part) for part in self.media.start_tc.replace(";", ":").split(":"))
        return (h * 3600 + m * 60 + s) + f / float(self.media.rate)

    def GetSourceStartTime(self):
        return 0.0 if self.media is None else self._tc_seconds() + float(self.source / self.media.rate)

    def GetSourceEndTime(self):
        if self.media is None:
            return 0.0
        return self._tc_seconds() + float((self.source + self.duration * self.step) / self.media.rate)

    def GetSpeed(self):
        return {"Percentage": float(self.speed * 100)}

    def GetType(self):
        return self.kind

    def GetMediaPoolItem(self):
        return self.media

    def GetTrackTypeAndIndex(self):
        for kind in ("video", "audio"):
            for index, track in enumerate(self.timeline.lanes(kind), 1):
                if self in track.items:
                    return [kind, index]
        return None

    def GetLinkedItems(self):
        return list(self.links) if self.is_linked else []

    def track(self) -> Track | None:
        where = self.GetTrackTypeAndIndex()
        return self.timeline.lane(*where) if where else None

    def SetClipEnabled(self, is_enabled):
        track = self.track()
        if not isinstance(is_enabled, bool) or track is None or track.is_locked or not self.manners.disables:
            return False
        self.is_enabled = is_enabled
        if self.manners.disables_links and self.is_linked:
            for item in self.links:
                item.is_enabled = is_enabled
        return True

    def GetClipEnabled(self):
        return self.is_enabled

    def GetFusionCompCount(self):
        return self.fusion

    def GetProperty(self, name=None):
        return self.properties.get(name) if name else dict(self.properties)

    def SetProperty(self, name, value):
        if name not in self.properties:
            return False
        self.properties[name] = value
        return True

    def GetNodeGraph(self, layer=1):
        return Graph(self)

    def GetNumNodes(self):
        return max(1, self.nodes)

    def GetLUT(self, index):
        return ""

    def GetColorGroup(self):
        return None

    def GetClipColor(self):
        return self.colour

    def GetFlagList(self):
        return list(self.flags)

    def CopyGrades(self, items):
        for item in items:
            item.nodes, item.grade = self.nodes, self.grade
        return True

    def AddTake(self, media, start=None, end=None):
        if not isinstance(media, PoolItem) or not self.manners.takes or self.media is None:
            return False
        if not self.takes:
            self.takes, self.take = [Take(self.media, self.source, self.duration)], 1
        first = start or 0
        last = media.frames if end is None else end + (1 if self.manners.end_frame == "inclusive" else 0)
        self.takes.append(Take(media, Fraction(first), last - first))
        self._select(len(self.takes))
        return True

    def _select(self, index: int) -> None:
        take = self.takes[index - 1]
        self.take, self.media, self.source = index, take.media, take.source

    def GetTakesCount(self):
        return len(self.takes)

    def GetSelectedTakeIndex(self):
        return self.take

    def GetTakeByIndex(self, index):
        if not 1 <= index <= len(self.takes):
            return {}
        take = self.takes[index - 1]
        return {"startFrame": int(take.source), "endFrame": int(take.source) + take.span, "mediaPoolItem": take.media}

    def SelectTakeByIndex(self, index):
        if not 1 <= index <= len(self.takes):
            return False
        self._select(index)
        return True

    def DeleteTakeByIndex(self, index):
        if not 1 <= index <= len(self.takes) or index == self.take:
            return False
        del self.takes[index - 1]
        if len(self.takes) == 1:
            self._select(1)
            self.takes, self.take = [], 0
        elif index < self.take:
            self.take -= 1
        return True


def state_of(studio: Studio) -> dict[str, Any]:
    """Everything that a failed or cancelled run must leave as it was, ready to compare."""
    project = studio.project
    return {
        "page": studio.page,
        "current": project.current.name if project.current else None,
        "timelines": [_timeline_state(timeline) for timeline in project.timelines],
        "folder": project.pool.folder.name,
        "pool": {
            folder.name: [clip.path for clip in folder.clips] for folder in [project.pool.root, *_folders(project)]
        },
        "queue": [dict(job) for job in project.queue],
        "deliver": _deliver_state(project.settings),
        "presets": sorted(project.presets),
    }


def _deliver_state(settings: dict[str, Any]) -> dict[str, Any]:
    unused = {"MarkIn", "MarkOut"} if settings["SelectAllFrames"] else set()
    return {key: value for key, value in settings.items() if key not in unused}


def _folders(project: Project) -> list[Folder]:
    return project.pool.root.folders


def _timeline_state(timeline: Timeline) -> dict[str, Any]:
    return {
        "name": timeline.name,
        "video": [
            (track.is_enabled, track.is_locked, [_item_state(item) for item in sorted(track.items, key=_by_start)])
            for track in timeline.video
        ],
        "audio": [[_item_state(item) for item in track.items] for track in timeline.audio],
        "markers": dict(timeline.markers),
        "marks": dict(timeline.marks),
    }


_by_start: Callable[[Item], int] = lambda item: item.start  # noqa: E731


def _item_state(item: Item) -> tuple[Any, ...]:
    media = item.media.path if item.media else None
    state = (item.id, item.start, item.duration, item.source, item.speed, item.is_enabled, item.is_linked)
    return (*state, media, len(item.takes))
