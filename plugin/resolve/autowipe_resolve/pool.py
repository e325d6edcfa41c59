"""A cleaned file → the media pool, in a bin of its own, read by Resolve as its source is."""

import os

from . import records
from .host import Refused, ask, did, exact_rate, items_of, number, path_of

BIN = "AutoWipe"
COPIED = ("Input Color Space", "Data Level", "PAR", "Input LUT")  # how Resolve reads the source's pixels


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
