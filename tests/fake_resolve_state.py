"""Everything in the fake Resolve that a failed or cancelled run must leave as it was, ready to compare."""

from __future__ import annotations

from typing import Any

from fake_resolve import Studio
from fake_resolve_timeline import Item, Timeline, Track


def state_of(studio: Studio) -> dict[str, Any]:
    """Everything that a failed or cancelled run must leave as it was, ready to compare."""
    project = studio.project
    folders = [project.pool.root, *project.pool.root.folders]
    return {
        "page": studio.page,
        "current": project.current.name if project.current else None,
        "timelines": [_timeline_state(timeline) for timeline in project.timelines],
        "folder": project.pool.folder.name,
        "pool": {folder.name: [clip.path for clip in folder.clips] for folder in folders},
        "queue": [dict(job) for job in project.queue],
        "deliver": _deliver_state(project.settings),
        "presets": sorted(project.presets),
    }


def _deliver_state(settings: dict[str, Any]) -> dict[str, Any]:
    unused = {"MarkIn", "MarkOut"} if settings["SelectAllFrames"] else set()
    return {key: value for key, value in settings.items() if key not in unused}


def _timeline_state(timeline: Timeline) -> dict[str, Any]:
    return {
        "name": timeline.name,
        "video": [(track.is_enabled, track.is_locked, _lane_state(track)) for track in timeline.video],
        "audio": [_lane_state(track) for track in timeline.audio],
        "markers": dict(timeline.markers),
        "marks": dict(timeline.marks),
    }


def _lane_state(track: Track) -> list[tuple[Any, ...]]:
    return [_item_state(item) for item in sorted(track.items, key=lambda item: item.start)]


def _item_state(item: Item) -> tuple[Any, ...]:
    media = item.media.path if item.media else None
    state = (item.id, item.start, item.duration, item.source, item.speed, item.is_enabled, item.is_linked)
    return (*state, media, len(item.takes))
