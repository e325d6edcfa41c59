"""A timeline item → its source range, and which of the two ways out it takes.

Straight from the source where the timeline shows the source as it is: the engine reads the file itself, and nothing is
rendered twice. Through Deliver where Resolve adds something that a file does not hold: a grade, a retime, a transform,
Fusion, a transition, a nested timeline.
"""

import math
import os

from .host import ask, duration_of, exact_rate, has, identity_of, is_graded, media_of, number, path_of, start_of

# What an item's properties are when nothing is done to it.
NEUTRAL = {
    "Pan": 0,
    "Tilt": 0,
    "ZoomX": 1,
    "ZoomY": 1,
    "RotationAngle": 0,
    "Pitch": 0,
    "Yaw": 0,
    "FlipX": 0,
    "FlipY": 0,
    "CropLeft": 0,
    "CropRight": 0,
    "CropTop": 0,
    "CropBottom": 0,
    "CompositeMode": 0,
    "Opacity": 100,
    "Distortion": 0,
    "Scaling": 0,
}
# Cameras' raw files, which Resolve alone reads.
RAW = {".braw", ".r3d", ".ari", ".arx", ".crm", ".rmf", ".cine", ".dng", ".nev", ".rdi"}
ODD_FRAMES = 1.5  # source frames by which whole-frame answers of Resolve may be off
ODD_EXACT = 0.26  # the same for answers in seconds


class Clip:
    """What is to be cleaned: record frames of one item, and the source frames behind them.

    `route` is "source" or "deliver", `why` says in words what keeps it from the first; `problem` is a sentence where
    neither will do. `is_take` says that the result becomes a take of the item. `first` and `last` are the source frames
    that the engine cleans (half-open, handles included), `lead` is the source frame that shows at `start`, a float.
    """

    def __init__(self, session, span):
        self.item, self.track = span.item, span.track
        self.start, self.stop, self.is_whole = span.start, span.stop, span.is_whole
        self.id, self.name = identity_of(span.item), ask(span.item, "GetName") or "clip"
        self.item_start, self.duration = start_of(span.item), duration_of(span.item)
        self.media = media_of(span.item)
        self.path = path_of(self.media)
        self.was_enabled = ask(span.item, "GetClipEnabled") is not False
        self.is_replaced = span.is_replaced  # by the result of an earlier run
        self.offset = ask(span.item, "GetLeftOffset")
        self.rate = None
        self.first = self.last = 0
        self.lead = 0.0
        self.known_lead = None  # of the item's first frame, where an earlier run has read it
        self.is_take = False
        self.why = []
        self.problem = ""

    def show_through(self, old):
        """Looks at the take that the result of an earlier run stands in for."""
        record = old.record
        take = ask(self.item, "GetTakeByIndex", record.get("take_before", 1))
        self.media = take.get("mediaPoolItem") if isinstance(take, dict) else None
        self.path = path_of(self.media)
        # Where the clip was trimmed since, its offset in the cleaned file has moved by as much as in its source.
        self.known_lead = record["lead"] + number(self.offset, 0) - math.floor(record["lead"] - record["first"])

    @property
    def frames(self):
        """Record frames."""
        return self.stop - self.start

    @property
    def route(self):
        return "deliver" if self.why else "source"

    @property
    def about(self):
        """One line for the dialogue."""
        if self.problem:
            return "{}: left out, {}".format(self.name, self.problem)
        if self.why:
            return "{}: through Deliver, because {}".format(self.name, " and ".join(self.why))
        return "{}: straight from its source{}".format(self.name, ", as a take" if self.is_take else "")


def look_at(session, span, *, handles, route="auto", way="above"):
    """Reads an item; never raises, see Clip.problem. As a take, an item keeps what Resolve adds to its source."""
    clip = Clip(session, span)
    if span.take is not None:
        clip.show_through(span.take)
    if session.is_locked(span.track):
        clip.problem = "its track V{} is locked; unlock it and run again".format(span.track)
        return clip
    if not session.is_shown(span.track) or not (clip.was_enabled or span.is_replaced):
        clip.problem = "it is switched off; switch it on and run again"
        return clip
    if clip.media is None:
        clip.problem = "it is a title, generator or effect and has no media"
        return clip
    if clip.frames < 1:
        clip.problem = "no frame of it lies in the range"
        return clip
    kind = str(ask(clip.media, "GetClipProperty", "Type") or "")
    if ask(clip.media, "GetClipProperty", "Online Status") == "Offline":
        clip.problem = "its media is offline; relink it and run again"
        return clip
    if clip.path and "[" not in os.path.basename(clip.path) and not os.path.isfile(clip.path):
        clip.problem = "its file {} is not there; relink it and run again".format(clip.path)
        return clip
    if not clip.path or "Timeline" in kind or "Compound" in kind or "Multicam" in kind:
        clip.why.append("it is a nested timeline")
    elif not os.path.isfile(clip.path) or "Still" in kind or "Image" in kind:
        clip.why.append("it is a still or an image sequence")
    elif os.path.splitext(clip.path)[1].lower() in RAW:
        clip.why.append("Resolve alone reads its raw file")
    else:
        _source_range(session, clip, handles)
    clip.is_take = way == "take" and route == "auto" and clip.is_whole and not clip.why
    if not clip.is_take:
        clip.why += _additions(session, clip)
    if route == "deliver":
        clip.why.append("you asked for it")
    if clip.why and session.is_graded():
        clip.problem = "the timeline itself has a grade, which Deliver would put on it twice; switch that off first"
    return clip


def _source_range(session, clip, handles):
    clip.rate = exact_rate(ask(clip.media, "GetClipProperty", "FPS"))
    if clip.rate is None:
        clip.why.append("Resolve does not say its rate")
        return
    step = float(clip.rate / session.rate)  # source frames for one record frame
    lead = _lead(session, clip) if clip.known_lead is None else clip.known_lead
    if lead is None or (clip.known_lead is None and _is_retimed(session, clip, step)):
        clip.why.append("it is retimed" if lead is not None else "Resolve does not say its source frames")
        return
    clip.lead = lead + (clip.start - clip.item_start) * step
    stop = math.ceil(clip.lead + clip.frames * step - 1e-6)
    has_length = number(ask(clip.media, "GetClipProperty", "Frames"), 0)
    # A frame more at the end than is needed: Resolve rounds a range of another rate down.
    clip.last = min(stop + 1 + handles, int(has_length)) if has_length else stop
    clip.first = max(0, math.floor(clip.lead) - handles)
    if clip.last < stop:
        clip.why.append("it shows more frames than its file has")


def _lead(session, clip):
    """The source frame at the item's start. GetLeftOffset is exact, GetSourceStartFrame at times one off."""
    offset = number(ask(clip.item, "GetLeftOffset"))
    start = number(ask(clip.item, "GetSourceStartFrame"))
    if start is None or number(ask(clip.item, "GetSourceEndFrame")) is None:
        return None  # before Resolve 19 nothing tells a clip that plays backwards
    lead = offset if offset is not None and abs(offset - start) <= 1 else start
    seconds = number(ask(clip.item, "GetSourceStartTime"))
    if seconds is not None and clip.rate != session.rate and _counts_from_zero(clip.media):
        exact = seconds * float(clip.rate)  # may fall between two frames
        if abs(exact - lead) < 1:
            lead = round(exact, 3)
    return lead


def _counts_from_zero(media):
    """Whether seconds of a source are those of its file; else they begin at its timecode."""
    return str(ask(media, "GetClipProperty", "Start TC") or "").replace(";", ":") == "00:00:00:00"


def _is_retimed(session, clip, step):
    """Judges by what the item takes from its source against what it lasts; 0 to 0 means that Resolve does not know."""
    speed = ask(clip.item, "GetSpeed") if has(clip.item, "GetSpeed") else None
    if isinstance(speed, dict) and abs(number(speed.get("Percentage"), 100) - 100) > 0.01:
        return True
    wanted = clip.duration * step
    times = [number(ask(clip.item, name)) for name in ("GetSourceStartTime", "GetSourceEndTime")]
    if None not in times and times != [0, 0]:
        return abs((times[1] - times[0]) * float(clip.rate) - wanted) > ODD_EXACT
    frames = [number(ask(clip.item, name)) for name in ("GetSourceStartFrame", "GetSourceEndFrame")]
    return frames == [0, 0] and clip.duration > 1 or abs(frames[1] - frames[0] - wanted) > ODD_FRAMES


def _additions(session, clip):
    """What Resolve adds to the source, in words."""
    found = []
    properties = ask(clip.item, "GetProperty")
    properties = properties if isinstance(properties, dict) else {}
    changed = [name for name, value in NEUTRAL.items() if abs(_plain(properties.get(name, value)) - value) > 1e-6]
    if clip.rate is not None and clip.rate != session.rate and _plain(properties.get("RetimeProcess", 0)):
        changed.append("RetimeProcess")
    if changed:
        found.append("it has a transform ({})".format(", ".join(changed)))
    if ask(clip.item, "GetColorGroup") is not None or is_graded(clip.item):
        found.append("it has a grade")
    if ask(clip.item, "GetFusionCompCount"):
        found.append("it has a Fusion composition")
    if _has_transition(session, clip):
        found.append("it has a transition")
    return found


def _plain(value):
    return number(value, 0) if not isinstance(value, bool) else int(value)


def _has_transition(session, clip):
    """A transition is an item without media and properties that lies over one of the clip's ends."""
    return any(start < clip.stop and clip.start < stop for start, stop in session.effects(clip.track))
