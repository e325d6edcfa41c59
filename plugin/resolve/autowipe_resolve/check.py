"""A page of facts about this Resolve, for a person who reports how it behaves; changes nothing.

The adapter was made without a Resolve at hand. What its documents leave open is read here in the raw: which calls there
are, and what they say about the first clips of the timeline.
"""

import os
import platform
import sys
import time

from . import clips, pick, settings
from .host import Refused, Session, ask, has, items_of, media_of

CALLS = {  # that later versions brought, or that may be missing
    "timeline": ("GetSelectedClips", "GetMarkInOut", "AddMarker", "SetClipsLinked"),
    "item": ("GetSourceStartFrame", "GetSourceEndTime", "GetTrackTypeAndIndex", "GetNodeGraph", "AddTake", "GetSpeed"),
    "project": ("SaveAsNewRenderPreset", "GetRenderJobList", "SetRenderSettings"),
}
READ = (
    "GetName",
    "GetStart",
    "GetEnd",
    "GetDuration",
    "GetLeftOffset",
    "GetRightOffset",
    "GetSourceStartFrame",
    "GetSourceEndFrame",
    "GetSourceStartTime",
    "GetSourceEndTime",
    "GetSpeed",
    "GetTakesCount",
    "GetFusionCompCount",
)
MEDIA = ("Type", "FPS", "Frames", "Start", "End", "Start TC", "Online Status")
MOST = 12  # clips


def write(resolve, names, folder=None):
    """Writes the page; its path. Raises OSError where the folder cannot be written to."""
    folder = folder or settings.settings_folder()
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "check.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines(resolve, names)) + "\n")
    return path


def lines(resolve, names):
    """The page, line by line."""
    fusion = names.get("fusion") or names.get("fu")
    yield "AutoWipe in Resolve, {}".format(time.strftime("%Y-%m-%d %H:%M"))
    yield "Resolve: {} {}".format(ask(resolve, "GetProductName"), ask(resolve, "GetVersion"))
    yield "Python: {} in {}, {}".format(platform.python_version(), sys.executable, platform.platform())
    yield "Windows of its own: {}".format(getattr(fusion, "UIManager", None) is not None)
    try:
        session = Session(resolve)
    except Refused as err:
        yield str(err)
        return
    timeline = session.timeline
    yield "Timeline: rate {!r} taken as {}, starts at {} ({}), ends at {}".format(
        ask(timeline, "GetSetting", "timelineFrameRate"),
        session.rate,
        session.start,
        ask(timeline, "GetStartTimecode"),
        session.end,
    )
    yield "Marks: {!r}".format(ask(timeline, "GetMarkInOut"))
    queue = items_of(ask(session.project, "GetRenderJobList"))
    yield "Render queue: {} jobs{}".format(len(queue), ", with " + ", ".join(sorted(queue[0])) if queue else "")
    yield "Render presets: {!r}".format(ask(session.project, "GetRenderPresetList"))
    yield "Codecs for mov: {!r}".format(ask(session.project, "GetRenderCodecs", "mov"))
    spans = [pick.Span(track, item) for track in session.tracks() for item in session.items(track)]
    things = {"timeline": timeline, "project": session.project, "item": spans[0].item if spans else None}
    for name, calls in CALLS.items():
        yield "Missing on {}: {}".format(name, ", ".join(c for c in calls if not has(things[name], c)) or "nothing")
    for span in spans[:MOST]:
        yield ""
        yield "V{}: {}".format(span.track, clips.look_at(session, span, handles=0).about)
        yield "  " + ", ".join("{} {!r}".format(call, ask(span.item, call)) for call in READ)
        media = media_of(span.item)
        yield "  " + ", ".join("{} {!r}".format(key, ask(media, "GetClipProperty", key)) for key in MEDIA)
