"""Timeline markers where overlays were, known again by a text that only scripts see."""

import math
import uuid

from .host import ask, did

COLOUR = "Mint"
NEXT = 12  # frames in which a free one is looked for


def add_markers(session, clip, cleaned, undo):
    """Timeline markers where overlays were. A frame holds one: where it has one already, the next free one is taken."""
    made = []
    step = float(cleaned.rate / session.rate)
    for event in cleaned.events:
        start = max(clip.start, clip.start + math.ceil((event["start"] - cleaned.lead) / step - 1e-6))
        stop = min(clip.stop, clip.start + math.ceil((event["stop"] - cleaned.lead) / step - 1e-6))
        if start >= stop:
            continue
        tag = "autowipe " + uuid.uuid4().hex
        for frame in range(start, min(stop, start + NEXT)):
            words = (COLOUR, "Removed " + event["kind"], clip.name, stop - frame, tag)
            if did(session.timeline, "AddMarker", frame - session.start, *words):
                made.append(tag)
                undo.add(lambda tag=tag: did(session.timeline, "DeleteMarkerByCustomData", tag))
                break
    return made


def take_markers_away(session, record, undo=None):
    tags = set(record.get("markers", []))
    there = ask(session.timeline, "GetMarkers") if tags and undo is not None else None
    for frame, marker in (there or {}).items():
        if marker.get("customData") in tags:
            words = [marker[key] for key in ("color", "name", "note", "duration", "customData")]
            undo.add(lambda words=(frame, *words): did(session.timeline, "AddMarker", *words))
    for tag in tags:
        did(session.timeline, "DeleteMarkerByCustomData", tag)
