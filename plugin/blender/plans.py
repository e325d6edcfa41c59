"""Plans of the engine as the panel shows them: read, overlays switched off, events on the timeline."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os

_cache = {}


class Unreadable(Exception):
    """A sentence that says why a plan cannot be read."""


def read(path):
    """A plan file's content; kept until the file changes. Raises Unreadable."""
    try:
        state = os.stat(path).st_mtime_ns
        if path not in _cache or _cache[path][0] != state:
            with open(path, encoding="utf-8") as file:
                plan = json.load(file)
            if plan.get("autowipe_plan") != 1:
                raise ValueError("it is no plan of this version")
            _cache[path] = (state, plan)
    except (OSError, ValueError, AttributeError) as err:
        _cache.pop(path, None)
        reason = getattr(err, "strerror", None) or err
        raise Unreadable("The plan {} cannot be read: {}".format(path, reason)) from err
    return _cache[path][1]


def disabled(plan):
    return [overlay["id"] for overlay in plan["overlays"] if not overlay.get("enabled", True)]


def matte_of(path, overlay):
    """The picture of what an overlay covers, or "" where it covers its whole box. A text has one for each line."""
    name = overlay.get("matte") or next((e["matte"] for e in overlay["events"] if e.get("matte")), None)
    return os.path.join(os.path.dirname(path), name) if name else ""


def write_without(path, off, copy):
    """Writes a plan in which the overlays `off` stay in the picture and all others go. Raises OSError, Unreadable."""
    plan = dict(read(path))
    plan["overlays"] = [dict(o, enabled=o["id"] not in off) for o in plan["overlays"]]
    with open(copy, "w", encoding="utf-8") as file:
        json.dump(plan, file, indent=1)
    return copy


def span(overlay):
    """First frame of an overlay's first event, and one past the last of its last."""
    ranges = [event["range"] for event in overlay["events"]] or [[0, 0]]
    return min(r[0] for r in ranges), max(r[1] for r in ranges)


def subtitles(plan):
    """(first, stop, text) of every subtitle, in the order of time."""
    return sorted(
        (event["range"][0], event["range"][1], event.get("text", ""))
        for overlay in plan["overlays"]
        if overlay["kind"] == "subtitle"
        for event in overlay["events"]
        if event.get("enabled", True)
    )


def place_at(overlay, frame):
    """Box and matte's name of an overlay at a frame of the source; (None, "") where it does not show then."""
    event = next((e for e in overlay["events"] if e["range"][0] <= frame < e["range"][1]), None)
    if event is None:
        return None, ""
    box = list(event.get("box") or overlay["box"])
    keys = overlay.get("trajectory") or []
    if keys:
        dx, dy = _between(keys, frame)
        box[0], box[1] = box[0] + dx, box[1] + dy
    return box, event.get("matte") or overlay.get("matte") or ""


def _between(keys, frame):
    """A trajectory's (dx, dy) at a frame, linear between its keys (frame, dx, dy)."""
    before = [key for key in keys if key[0] <= frame] or [keys[0]]
    after = [key for key in keys if key[0] >= frame] or [keys[-1]]
    (f0, x0, y0), (f1, x1, y1) = before[-1], after[0]
    share = (frame - f0) / (f1 - f0) if f1 > f0 else 0.0
    return x0 + (x1 - x0) * share, y0 + (y1 - y0) * share
