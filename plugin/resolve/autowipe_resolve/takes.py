"""A cleaned clip as a take of its original: it keeps its place, its trims and all that Resolve adds to it."""

import math

from .host import Refused, ask, did, duration_of, exact_rate, number, start_of


def as_take(session, clip, cleaned, media, undo):
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


def take_again(item, media, start, end):
    did(item, "AddTake", media, start, end)
    did(item, "SelectTakeByIndex", int(ask(item, "GetTakesCount") or 0))
