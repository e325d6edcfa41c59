"""A cleaned clip → the media pool and the timeline, at the same record frames, read back; undone when a step fails.

Nothing that Resolve says about a placed clip is believed: the track is listed again and position, duration and first
source frame are compared. Whether an end frame is counted in or not differs between versions, so both are tried.
"""

import functools
import math

from . import markers, pool, records, takes
from .edits import TRACK, Undo, append, remove, remove_empty_track, set_enabled
from .host import Refused, ask, did, duration_of, exact_rate, identity_of, media_of, number, start_of, stop_of


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
            media = pool.import_media(session, cleaned, clip.media, undo)
            _take_old_away(session, clip, undo)
            if clip.is_take:
                placed = takes.as_take(session, clip, cleaned, media, undo)
            else:
                placed = _above(session, clip, cleaned, media, undo)
            made = markers.add_markers(session, clip, cleaned, undo) if with_markers else []
            record.update(placed, is_placed=True, timeline=identity_of(session.timeline), markers=made)
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
            item = append(session, media, track, clip.start, start, last)
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


def _switch_off(session, clip, undo):
    """Switches the original off where all of it is replaced."""
    if not clip.is_whole or ask(clip.item, "GetClipEnabled") is False:
        return
    undo.add(lambda: set_enabled(session, clip.item, True))
    if not set_enabled(session, clip.item, False):
        raise Refused("Resolve would not switch {} off; the timeline is as before.".format(clip.name))


def _take_old_away(session, clip, undo):
    """The result of an earlier run makes room; it comes back if this run fails."""
    for old in records.Results(session).of(clip.item, clip.start, clip.stop):
        if old.take:
            extents = ask(old.item, "GetTakeByIndex", old.take) or {}
            takes.drop_take(old.item, old.take, old.record.get("take_before", 1))
            ends = [extents.get(key) for key in ("startFrame", "endFrame")]
            undo.add(functools.partial(takes.take_again, old.item, old.media, *ends))
            continue
        start, track = start_of(old.item), old.track
        first = number(ask(old.item, "GetLeftOffset"), 0)
        length, media = duration_of(old.item), media_of(old.item)
        if not remove(session, old.item):
            raise Refused("Resolve would not take the earlier result of {} away; delete it yourself.".format(clip.name))
        markers.take_markers_away(session, old.record, undo)
        undo.add(lambda o=(old.record, media, track, start, first, length): _old_again(session, *o))
        if clip.is_whole and ask(clip.item, "GetClipEnabled") is False:
            set_enabled(session, clip.item, True)
            undo.add(lambda: set_enabled(session, clip.item, False))


def _old_again(session, record, media, track, start, first, length):
    step = float(exact_rate(ask(media, "GetClipProperty", "FPS")) / session.rate)
    end = math.ceil(first + length * step - 1e-6)
    for last in (end, end - 1, end + 1):
        item = append(session, media, track, start, int(first), last)
        if item is not None and duration_of(item) == length:
            records.write(dict(record, result=identity_of(item)))
            return
        if item is not None:
            remove(session, item)
