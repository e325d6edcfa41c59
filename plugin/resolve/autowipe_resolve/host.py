"""The one door to Resolve's scripting API: reaches Resolve, asks it without ever raising, knows the timeline's clock.

Resolve answers None, False, '' or [] instead of raising, says yes to hasattr for every name, and returns text where an
error is meant. So every call goes through `ask`, for which a missing call answers None, and `did`, which takes nothing
but True for done. What was done is read back by the caller. Each call crosses to another process: few are better.
"""

import os
import sys
from fractions import Fraction


class Refused(Exception):
    """A sentence for the user: what is wrong, where, and what to do."""


def ask(thing, name, *args):
    """The answer of a call, None where this Resolve does not have it or the object is gone."""
    call = getattr(thing, name, None)
    return call(*args) if callable(call) else None


def did(thing, name, *args):
    """Whether a call says that it is done; a text, as some calls of Resolve 21 return, is an error."""
    return ask(thing, name, *args) is True


def has(thing, name):
    """Whether this Resolve has a call; only dir() knows, a build that makes up calls for any name included."""
    return thing is not None and name in dir(thing)


def items_of(answer):
    """A list that may hold None, or be None, as a list of things."""
    return [item for item in answer if item is not None] if isinstance(answer, (list, tuple)) else []


def number(answer, otherwise=None):
    """A number out of what Resolve says: an int, a float, or text such as "29.97 DF"."""
    if isinstance(answer, bool) or answer is None:
        return otherwise
    try:
        return float(answer.split()[0]) if isinstance(answer, str) else float(answer)
    except (ValueError, IndexError, TypeError):
        return otherwise


def exact_rate(answer):
    """Frames per second as a Fraction: 23.976 is 24000/1001. None where the text is no rate."""
    value = number(answer)
    if value is None or value <= 0:
        return None
    nearest = round(value)
    if abs(value - nearest) < 0.0005:
        return Fraction(nearest)
    ntsc = Fraction(round(value * 1001 / 1000) * 1000, 1001)
    return ntsc if abs(float(ntsc) - value) < 0.006 else Fraction(value).limit_denominator(1001)


def reach(names):
    """The resolve object: what the menu hands over, or the one of a running Resolve. Raises Refused."""
    resolve = names.get("resolve")
    if resolve is None and names.get("bmd") is not None:
        resolve = names["bmd"].scriptapp("Resolve")
    if resolve is None:
        resolve = _from_outside()
    if resolve is None:
        raise Refused(
            "Resolve does not answer. Start it and open a project; from outside, Resolve Studio also wants "
            "Preferences > System > General > External scripting using: Local. The free edition has no Python "
            "from 21.1 on: export the timeline and use autowipe batch."
        )
    return resolve


def _from_outside():
    for folder in module_folders(sys.platform, os.environ):
        if os.path.isfile(os.path.join(folder, "DaVinciResolveScript.py")) and folder not in sys.path:
            sys.path.append(folder)
    try:
        import DaVinciResolveScript
    except ImportError:
        return None
    return DaVinciResolveScript.scriptapp("Resolve")


def module_folders(system, environment):
    """Where Resolve's own scripting module lies."""
    folders = [environment[name] for name in ("RESOLVE_SCRIPT_API",) if environment.get(name)]
    if system == "win32":
        base = environment.get("PROGRAMDATA", "C:\\ProgramData")
        folders.append(base + "\\Blackmagic Design\\DaVinci Resolve\\Support\\Developer\\Scripting")
    elif system == "darwin":
        folders.append("/Library/Application Support/Blackmagic Design/DaVinci Resolve/Developer/Scripting")
    else:
        folders += ["/opt/resolve/Developer/Scripting", "/home/resolve/Developer/Scripting"]
    return [os.path.join(folder, "Modules") for folder in folders]


class Session:
    """A Resolve with its project and one timeline, which stays the same while a run works on it."""

    def __init__(self, resolve):
        """Raises Refused where no project or timeline is open."""
        self.resolve = resolve
        self.project = ask(ask(resolve, "GetProjectManager"), "GetCurrentProject")
        self.pool = ask(self.project, "GetMediaPool")
        if self.pool is None:
            raise Refused("No project is open. Open one, then run this again.")
        self.timeline = ask(self.project, "GetCurrentTimeline")
        if self.timeline is None:
            raise Refused("No timeline is open. Open one on the Edit page, then run this again.")
        self.version = _version(resolve)
        self._effects, self._graded = {}, None
        self.start = int(ask(self.timeline, "GetStartFrame") or 0)
        self.rate = exact_rate(ask(self.timeline, "GetSetting", "timelineFrameRate"))
        if self.rate is None:
            raise Refused("Resolve does not say at which rate this timeline runs. Reopen the timeline and try again.")

    @property
    def end(self):
        """One past the timeline's last record frame."""
        return int(ask(self.timeline, "GetEndFrame") or self.start)

    def size(self):
        """The timeline's width and height in px, (0, 0) where Resolve does not say."""
        names = ("timelineResolutionWidth", "timelineResolutionHeight")
        width, height = (number(ask(self.timeline, "GetSetting", name), 0) for name in names)
        return int(width), int(height)

    def tracks(self):
        """Numbers of the video tracks, from 1 upwards, as they lie over each other."""
        return range(1, int(ask(self.timeline, "GetTrackCount", "video") or 0) + 1)

    def items(self, track):
        """What lies on a video track."""
        return items_of(ask(self.timeline, "GetItemListInTrack", "video", track))

    def effects(self, track):
        """Record frames (start, stop) of the transitions, titles and generators on a track, read once."""
        if track not in self._effects:
            found = [item for item in self.items(track) if media_of(item) is None and not ask(item, "GetProperty")]
            self._effects[track] = [(start_of(item), stop_of(item)) for item in found]
        return self._effects[track]

    def is_locked(self, track):
        return did(self.timeline, "GetIsTrackLocked", "video", track)

    def is_shown(self, track):
        return did(self.timeline, "GetIsTrackEnabled", "video", track)

    def find(self, identity):
        """Track and item of an identity, (None, None) where it is no longer on the timeline."""
        for track in self.tracks():
            for item in self.items(track):
                if identity_of(item) == identity:
                    return track, item
        return None, None

    def is_graded(self):
        """Whether the timeline as a whole has a grade."""
        if self._graded is None:
            self._graded = has(self.timeline, "GetNodeGraph") and is_graded(self.timeline)
        return self._graded

    def current(self):
        """A block in which this timeline is the current one: appending and rendering know no other."""
        return _Current(self.project, self.timeline)


class _Current:
    def __init__(self, project, timeline):
        self._project, self._wanted, self._before = project, timeline, None

    def __enter__(self):
        now = ask(self._project, "GetCurrentTimeline")
        if now is None or identity_of(now) != identity_of(self._wanted):
            if not did(self._project, "SetCurrentTimeline", self._wanted):
                raise Refused("The timeline is no longer there, or Resolve would not open it. Open it and run again.")
            self._before = now
        return self

    def __exit__(self, *_):
        if self._before is not None:
            did(self._project, "SetCurrentTimeline", self._before)


def _version(resolve):
    answer = ask(resolve, "GetVersion")
    parts = [part for part in answer if isinstance(part, int)] if isinstance(answer, (list, tuple)) else []
    return tuple(parts[:3]) or (18, 0, 0)


def identity_of(thing):
    """What tells one object of Resolve from another: handles are new at each call and compare as different."""
    return ask(thing, "GetUniqueId") or ""


def start_of(item):
    """First record frame, absolute."""
    return int(ask(item, "GetStart") or 0)


def duration_of(item):
    """Record frames."""
    return int(ask(item, "GetDuration") or 0)


def stop_of(item):
    return start_of(item) + duration_of(item)


def is_graded(thing):
    """Whether the node graph of a clip or timeline does anything, as far as calls can tell."""
    graph = ask(thing, "GetNodeGraph")
    holder = thing if graph is None else graph  # before Resolve 19 the clip itself answers
    nodes = number(ask(holder, "GetNumNodes"), 0)
    return nodes > 1 or bool(nodes) and bool(ask(holder, "GetLUT", 1) or items_of(ask(graph, "GetToolsInNode", 1)))


def media_of(item):
    return ask(item, "GetMediaPoolItem")


def path_of(media):
    """The file of a media pool clip, '' for what has none; an offline one keeps its name."""
    path = ask(media, "GetClipProperty", "File Path")
    path = path if isinstance(path, str) else ""
    return path[len("OFFLINE - ") :] if path.startswith("OFFLINE - ") else path
