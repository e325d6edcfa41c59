"""The timeline of the fake Resolve: tracks, and items that show source frames."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from fake_resolve_api import Thing, values_of
from fake_resolve_media import PoolItem

if TYPE_CHECKING:
    from fake_resolve import Manners, Project

RATES = {
    "23.976": Fraction(24000, 1001),
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": Fraction(30000, 1001),
    "29.97 DF": Fraction(30000, 1001),
    "59.94": Fraction(60000, 1001),
}
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
        self.nodes, self.grade = 1, Fraction(0)
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
        if colour not in values_of("MarkerColor") or not is_right or duration < 1 or frame in self.markers:
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

    def GetNodeGraph(self):
        return Graph(self)

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
    """The nodes of a clip, or of a timeline as a whole."""

    api = "Graph"

    def __init__(self, item: Item | Timeline) -> None:
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
        self.nodes, self.grade, self.fusion = 1, Fraction(0), 0
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
