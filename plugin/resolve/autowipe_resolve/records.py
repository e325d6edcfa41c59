"""A file beside each cleaned clip says what it stands in for; with it a later run finds results and their originals.

    {"autowipe_result": 1, "output": ..., "job": {...}, "source": [bytes, time], "is_placed": true,
     "way": "above" or "take", "timeline": ..., "result": ..., "track": 2, "first": 12, "last": 84, "lead": 24,
     "original": {"id": ..., "path": ..., "name": ..., "was_enabled": true}, "markers": ["autowipe ..."]}

A duplicated or re-opened timeline has new identities; then the media and the place on the timeline tell.
"""

import json
import os

from .host import ask, identity_of, items_of, media_of, path_of, start_of, stop_of

SUFFIX = ".autowipe.json"


def record_path(output):
    return os.path.splitext(output)[0] + SUFFIX


def read(output):
    """The record of a cleaned clip, None for any other file."""
    try:
        with open(record_path(output), encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("autowipe_result") == 1 else None


def write(record):
    """Raises OSError where the folder cannot be written to."""
    path = record_path(record["output"])
    part = path + ".part"
    with open(part, "w", encoding="utf-8") as file:
        json.dump(record, file, indent=1, ensure_ascii=False)
    os.replace(part, path)


def stamp_of(path):
    """Tells whether a file is still the same: its size in bytes and time of change."""
    state = os.stat(path)
    return [state.st_size, state.st_mtime]


class Result:
    """A cleaned clip on the timeline: the item that shows it, and its record."""

    def __init__(self, track, item, media, record, take=0):
        self.track, self.item, self.media, self.record, self.take = track, item, media, record, take
        self.original = self.original_track = None  # what this stands in for; None where the user has taken it away


class Results:
    """All cleaned clips on a timeline, each with its original; a picture of now, to be made anew after a change."""

    def __init__(self, session):
        self.found, self._items = [], {}
        for track in session.tracks():
            for item in session.items(track):
                self._items[identity_of(item)] = (track, item)
                self.found += _results_of(track, item)
        for result in self.found:
            result.original_track, result.original = self._original(result)
        self.by_result = {identity_of(result.item): result for result in self.found}
        self._by_original = {}
        for result in self.found:
            if result.original is not None:
                self._by_original.setdefault(identity_of(result.original), []).append(result)

    def of(self, item, start, stop):
        """Those that stand in for an item within these record frames."""
        return [
            result
            for result in self._by_original.get(identity_of(item), [])
            if result.take or (start_of(result.item) < stop and start < stop_of(result.item))
        ]

    def _original(self, result):
        if result.take:
            return result.track, result.item
        known = self._items.get(result.record["original"]["id"])
        if known is not None:
            return known
        start, stop = start_of(result.item), stop_of(result.item)
        below = [(track, item) for track, item in self._items.values() if track < result.track]
        for track, item in sorted(below, key=lambda pair: -pair[0]):
            is_there = start_of(item) <= start and stop <= stop_of(item)
            if is_there and path_of(media_of(item)) == result.record["original"]["path"]:
                return track, item
        return None, None


def _results_of(track, item):
    takes = int(ask(item, "GetTakesCount") or 0)
    if takes:
        found = []
        for index in range(1, takes + 1):
            take = ask(item, "GetTakeByIndex", index)
            media = take.get("mediaPoolItem") if isinstance(take, dict) else None
            record = read(path_of(media)) if path_of(media) else None
            if record is not None:
                found.append(Result(track, item, media, record, index))
        return found
    media = media_of(item)
    path = path_of(media)
    record = read(path) if path else None
    return [] if record is None else [Result(track, item, media, record)]


def bin_of(pool, name):
    """The media pool's folder of a name, None where there is none yet."""
    for folder in items_of(ask(ask(pool, "GetRootFolder"), "GetSubFolderList")):
        if ask(folder, "GetName") == name:
            return folder
    return None
