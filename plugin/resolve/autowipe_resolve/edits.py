"""Small edits of a timeline, each read back, and how to have them undone: Resolve has no undo for scripts."""

import contextlib

from .host import Refused, ask, did, identity_of, items_of, start_of

TRACK = "AutoWipe"  # name of the tracks that results make


class Undo:
    """What to do, last first, to have everything as before."""

    def __init__(self):
        self._steps = []

    def add(self, step):
        self._steps.append(step)

    def run(self):
        while self._steps:
            with contextlib.suppress(Refused, OSError):  # one that fails does not keep the others
                self._steps.pop()()


def append(session, media, track, record_frame, start, last):
    """The item that an append gives, found by listing the track again; None where it was dropped."""
    before = {identity_of(item) for item in session.items(track)}
    info = {"mediaPoolItem": media, "startFrame": start, "endFrame": last, "mediaType": 1}
    info.update(trackIndex=track, recordFrame=record_frame)
    ask(session.pool, "AppendToTimeline", [info])
    new = [item for item in session.items(track) if identity_of(item) not in before]
    for item in new:
        if start_of(item) == record_frame:
            return item
        remove(session, item)
    return None


def set_enabled(session, item, wanted):
    """Switches one item on or off; linked sound stays as it is, for which the link is opened where it must be."""
    sound = [(other, ask(other, "GetClipEnabled")) for other in items_of(ask(item, "GetLinkedItems"))]
    did(item, "SetClipEnabled", wanted)
    if any(ask(other, "GetClipEnabled") != was for other, was in sound):
        linked = [item] + [other for other, _ in sound]
        did(session.timeline, "SetClipsLinked", linked, False)
        for other, was in sound:
            did(other, "SetClipEnabled", was)
        did(item, "SetClipEnabled", wanted)
        did(session.timeline, "SetClipsLinked", linked, True)
    return ask(item, "GetClipEnabled") is wanted


def remove(session, item):
    """Deletes one item; whether it worked is read from the timeline, and a first refusal means little."""
    identity = identity_of(item)
    for _ in range(2):
        ask(session.timeline, "DeleteClips", [item], False)
        if not identity or session.find(identity)[1] is None:
            return True
    return False


def remove_empty_track(session, track):
    """Deletes a track that a result made, where nothing lies on it any more."""
    name = ask(session.timeline, "GetTrackName", "video", track)
    if name == TRACK and not session.items(track):
        did(session.timeline, "DeleteTrack", "video", track)
