"""A cleaned clip → the media pool and the timeline, at the same record frames, read back; undone when a step fails.

Nothing that Resolve says about a placed clip is believed: the track is listed again and position, duration and first
source frame are compared. Whether an end frame is counted in or not differs between versions, so both are tried.
"""

import functools
import math
import os
import uuid

from . import records
from .host import (
    Refused,
    ask,
    did,
    duration_of,
    exact_rate,
    identity_of,
    items_of,
    media_of,
    number,
    path_of,
    start_of,
    stop_of,
)

BIN = "AutoWipe"
TRACK = "AutoWipe"  # name of the tracks that results make
COPIED = ("Input Color Space", "Data Level", "PAR", "Input LUT")  # how Resolve reads the source's pixels
MARKER_COLOUR = "Mint"


class NotExact(Refused):
    """The clip could not be placed at exactly its frames."""


class Cleaned:
    """What the engine made of a clip: `output` holds frames `first` to `last`, of which `lead` shows at the start.

    They are frames of the source, at its rate and read as it is, or those that Resolve rendered (`is_source` False).
    """

    def __init__(self, output, frames, lead, rate, is_source, events=(), srt=None):
        self.output, self.lead, self.rate, self.is_source = output, lead, rate, is_source
        self.first, self.last = frames
        self.events, self.srt = events, srt


class Undo:
    """What to do, last first, to have everything as before."""

    def __init__(self):
        self._steps = []

    def add(self, step):
        self._steps.append(step)

    def run(self):
        while self._steps:
            self._steps.pop()()


def place(session, clip, cleaned, record, *, with_markers=True):
    """Puts a cleaned clip over its original. Returns the record, written. Raises Refused with all undone.

    Deleting wants the Edit page, and the page is as before afterwards.
    """
    undo = Undo()
    page = ask(session.resolve, "GetCurrentPage")
    with session.current():
        try:
            if page != "edit":
                did(session.resolve, "OpenPage", "edit")
            _follow_moves(session, clip)
            media = import_media(session, cleaned, clip.media, undo)
            _take_old_away(session, clip, undo)
            if clip.is_take:
                placed = _as_take(session, clip, cleaned, media, undo)
            else:
                placed = _above(session, clip, cleaned, media, undo)
            markers = _mark(session, clip, cleaned, undo) if with_markers else []
            record.update(placed, is_placed=True, timeline=identity_of(session.timeline), markers=markers)
            records.write(record)
        except (Refused, OSError) as err:
            undo.run()
            if isinstance(err, OSError):
                raise Refused("The folder {} cannot be written to: {}.".format(err.filename, err.strerror)) from err
            raise
        finally:
            if page and page != "edit":
                did(session.resolve, "OpenPage", page)
    return record


def _follow_moves(session, clip):
    """While the engine worked, the user may have moved or cut the clip."""
    track, item = session.find(clip.id)
    if item is None or duration_of(item) != clip.duration or ask(item, "GetLeftOffset") != clip.offset:
        raise Refused("{} was cut or deleted in the meantime; run it again on what is there now.".format(clip.name))
    if session.is_locked(track):
        raise Refused("The track V{} of {} is locked; unlock it and run again.".format(track, clip.name))
    moved = start_of(item) - clip.item_start
    clip.item, clip.track, clip.item_start = item, track, clip.item_start + moved
    clip.start, clip.stop = clip.start + moved, clip.stop + moved


def import_media(session, cleaned, like, undo):
    """The cleaned file as a media pool clip in the bin of its own; the user's current bin stays."""
    before = ask(session.pool, "GetCurrentFolder")
    folder = records.bin_of(session.pool, BIN)
    try:
        if folder is None:
            folder = ask(session.pool, "AddSubFolder", ask(session.pool, "GetRootFolder"), BIN)
            if folder is None:
                raise Refused("Resolve would not make the bin AutoWipe; close other dialogues and run again.")
            undo.add(lambda: did(session.pool, "DeleteFolders", [folder]))
        did(session.pool, "SetCurrentFolder", folder)
        media = _import(session, cleaned.output)
        if media is None:
            raise Refused(
                "Resolve would not import {}. Choose the codec prores or dnxhr and run again.".format(cleaned.output)
            )
        undo.add(lambda: did(session.pool, "DeleteClips", [media]))
        text = _import(session, cleaned.srt) if cleaned.srt and os.path.isfile(cleaned.srt) else None
        if text is not None:
            undo.add(lambda: did(session.pool, "DeleteClips", [text]))
    finally:
        if before is not None:
            did(session.pool, "SetCurrentFolder", before)
    held = number(ask(media, "GetClipProperty", "Frames"))
    if held is not None and held != cleaned.last - cleaned.first:
        raise Refused(
            "{} has {:.0f} frames in Resolve instead of {}; the timeline is as before.".format(
                cleaned.output, held, cleaned.last - cleaned.first
            )
        )
    _read_alike(session, media, cleaned, like)
    return media


def _import(session, path):
    """A file as a media pool clip; one that is there already is taken as it is."""
    for clip in items_of(ask(ask(session.pool, "GetCurrentFolder"), "GetClipList")):
        if path_of(clip) and os.path.normcase(path_of(clip)) == os.path.normcase(path):
            return clip
    made = items_of(ask(session.pool, "ImportMedia", [path]))
    return made[0] if made else None


def _read_alike(session, media, cleaned, like):
    """Resolve reads the cleaned file as it reads the source: its rate above all, which decides what shows when."""
    if exact_rate(ask(media, "GetClipProperty", "FPS")) != cleaned.rate:
        if cleaned.is_source:
            did(media, "SetClipProperty", "FPS", ask(like, "GetClipProperty", "FPS"))
        if exact_rate(ask(media, "GetClipProperty", "FPS")) != cleaned.rate:
            raise Refused("Resolve reads {} at another rate than its source.".format(cleaned.output))
    wanted = {name: ask(like, "GetClipProperty", name) for name in COPIED} if cleaned.is_source else {}
    if not cleaned.is_source and "ColorManaged" in str(ask(session.project, "GetSetting", "colorScienceMode")):
        wanted = {"Input Color Space": ask(session.project, "GetSetting", "colorSpaceOutput")}  # what Deliver rendered
    for name, value in wanted.items():
        if value and value != ask(media, "GetClipProperty", name):
            did(media, "SetClipProperty", name, value)


# Above the original


def _above(session, clip, cleaned, media, undo):
    track = _free_track(session, clip, undo)
    start = cleaned.lead - cleaned.first
    start = int(start) if start == int(start) else start
    step = float(exact_rate(ask(media, "GetClipProperty", "FPS")) / session.rate)
    end = math.ceil(start + clip.frames * step - 1e-6)
    if session.version < (19,):
        end -= 1  # 18 counts the end in
    most = cleaned.last - cleaned.first
    for last in (end, end - 1, end + 1, end + 2):
        if start < last <= most or (last == start == 0):
            item = _append(session, media, track, clip.start, start, last)
            if item is not None and duration_of(item) == clip.frames and _shows(item, clip, cleaned, session):
                undo.add(functools.partial(remove, session, item))
                _switch_off(session, clip, undo)
                if clip.route == "source":
                    did(clip.item, "CopyGrades", [item])  # a grade that no call can see comes along
                return {"way": "above", "result": identity_of(item), "track": track}
            if item is not None:
                remove(session, item)
    raise NotExact(
        "Resolve did not place the cleaned {} at its frames; the timeline is as before. The file is {}.".format(
            clip.name, cleaned.output
        )
    )


def _append(session, media, track, record_frame, start, last):
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


def _shows(item, clip, cleaned, session):
    """Whether the first source frame is the wanted one, as far as Resolve can say."""
    offset = number(ask(item, "GetLeftOffset"))
    return offset is None or abs(offset - math.floor(cleaned.lead - cleaned.first)) < 1


def _free_track(session, clip, undo):
    """The lowest track above the clip that is free there, under whatever lies over the clip; a new one if need be."""
    timeline = session.timeline
    last = max(session.tracks())
    for track in range(clip.track + 1, last + 1):
        there = [item for item in session.items(track) if start_of(item) < clip.stop and clip.start < stop_of(item)]
        if not there and not session.is_locked(track) and session.is_shown(track):
            return track
        if any(ask(item, "GetClipEnabled") is not False for item in there):
            return _new_track(session, clip, track, undo)
    if not did(timeline, "AddTrack", "video") or max(session.tracks()) != last + 1:
        raise Refused("Resolve would not add a video track; close other dialogues and run again.")
    return _named(session, last + 1, undo)


def _new_track(session, clip, track, undo):
    last = max(session.tracks())
    if did(session.timeline, "AddTrack", "video", {"index": track}) and not session.items(track):
        return _named(session, track, undo)
    if max(session.tracks()) == last + 1:
        did(session.timeline, "DeleteTrack", "video", last + 1)
    raise Refused(
        "Something lies over {} on V{}, and this Resolve cannot put a track in between. "
        "Move it up one track, or place results as takes.".format(clip.name, track)
    )


def _named(session, track, undo):
    did(session.timeline, "SetTrackName", "video", track, TRACK)
    undo.add(lambda: remove_empty_track(session, track))
    return track


def remove_empty_track(session, track):
    """Deletes a track that a result made, where nothing lies on it any more."""
    name = ask(session.timeline, "GetTrackName", "video", track)
    if name == TRACK and not session.items(track):
        did(session.timeline, "DeleteTrack", "video", track)


def _switch_off(session, clip, undo):
    """Switches the original off where all of it is replaced."""
    if not clip.is_whole or ask(clip.item, "GetClipEnabled") is False:
        return
    undo.add(lambda: set_enabled(session, clip.item, True))
    if not set_enabled(session, clip.item, False):
        raise Refused("Resolve would not switch {} off; the timeline is as before.".format(clip.name))


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


# As a take of the original


def _as_take(session, clip, cleaned, media, undo):
    count, chosen = (int(ask(clip.item, name) or 0) for name in ("GetTakesCount", "GetSelectedTakeIndex"))
    start = math.floor(cleaned.lead - cleaned.first)
    step = float(exact_rate(ask(media, "GetClipProperty", "FPS")) / session.rate)
    # One frame more than needed, where the file has it: then it does not matter whether the end is counted in.
    end = min(start + math.ceil(clip.frames * step), cleaned.last - cleaned.first - 1)
    added = did(clip.item, "AddTake", media, start, end)
    index = int(ask(clip.item, "GetTakesCount") or 0)
    if added and index > max(count, 1):
        undo.add(lambda: drop_take(clip.item, index, chosen or 1))
        did(clip.item, "SelectTakeByIndex", index)
    shown = number(ask(clip.item, "GetLeftOffset"))
    if (
        not added
        or ask(clip.item, "GetSelectedTakeIndex") != index
        or duration_of(clip.item) != clip.duration
        or start_of(clip.item) != clip.item_start
        or (shown is not None and abs(shown - start) >= 1)
    ):
        raise Refused("Resolve did not take the cleaned {} as a take; place it on the track above.".format(clip.name))
    return {"way": "take", "result": clip.id, "track": clip.track, "take": index, "take_before": chosen or 1}


def drop_take(item, index, before):
    """Chooses another take and deletes this one; a clip that is left with one take only is plain again."""
    did(item, "SelectTakeByIndex", before)
    is_gone = did(item, "DeleteTakeByIndex", index)
    if ask(item, "GetTakesCount") == 1:
        did(item, "FinalizeTake")
    return is_gone


# What an earlier run left, and markers


def _take_old_away(session, clip, undo):
    """The result of an earlier run makes room; it comes back if this run fails."""
    for old in records.Results(session).of(clip.item, clip.start, clip.stop):
        if old.take:
            before = old.record.get("take_before", 1)
            drop_take(old.item, old.take, before)
            undo.add(lambda old=old: did(old.item, "AddTake", old.media))
            continue
        start, track = start_of(old.item), old.track
        first = number(ask(old.item, "GetLeftOffset"), 0)
        length, media = duration_of(old.item), media_of(old.item)
        if not remove(session, old.item):
            raise Refused("Resolve would not take the earlier result of {} away; delete it yourself.".format(clip.name))
        take_markers_away(session, old.record)
        undo.add(lambda o=(old.record, media, track, start, first, length): _old_again(session, *o))
        if clip.is_whole and ask(clip.item, "GetClipEnabled") is False:
            set_enabled(session, clip.item, True)
            undo.add(lambda: set_enabled(session, clip.item, False))


def _old_again(session, record, media, track, start, first, length):
    step = float(exact_rate(ask(media, "GetClipProperty", "FPS")) / session.rate)
    end = math.ceil(first + length * step - 1e-6)
    for last in (end, end - 1, end + 1):
        item = _append(session, media, track, start, int(first), last)
        if item is not None and duration_of(item) == length:
            records.write(dict(record, result=identity_of(item)))
            return
        if item is not None:
            remove(session, item)


def _mark(session, clip, cleaned, undo):
    """Timeline markers where overlays were, one a frame at most: a frame that has a marker of the user's keeps it."""
    made = []
    step = float(cleaned.rate / session.rate)
    for event in cleaned.events:
        start = max(clip.start, clip.start + math.ceil((event["start"] - cleaned.lead) / step - 1e-6))
        stop = min(clip.stop, clip.start + math.ceil((event["stop"] - cleaned.lead) / step - 1e-6))
        if start >= stop:
            continue
        tag = "autowipe " + uuid.uuid4().hex
        words = (MARKER_COLOUR, "Removed " + event["kind"], clip.name, stop - start, tag)
        if did(session.timeline, "AddMarker", start - session.start, *words):
            made.append(tag)
            undo.add(lambda tag=tag: did(session.timeline, "DeleteMarkerByCustomData", tag))
    return made


def take_markers_away(session, record):
    for tag in record.get("markers", []):
        did(session.timeline, "DeleteMarkerByCustomData", tag)
