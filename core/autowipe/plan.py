"""The plan: what pass A found and pass B carries out, as a JSON file that people and adapters may edit.

    {"autowipe_plan": 1,
     "source": {"path": ..., "size": [w, h], "rate": "25", "frames": 720, "fingerprint": "..."},
     "range": [0, 720], "shots": [[0, 312], [312, 720]],
     "overlays": [
      {"id": "logo-1", "kind": "logo", "enabled": true, "confidence": 0.98, "box": [x, y, w, h],
       "matte": "clip.plan.maps/logo-1.matte.png", "unblend": "clip.plan.maps/logo-1.unblend.npz",
       "trajectory": [], "evidence": {"votes": 0.97},
       "events": [{"range": [0, 720], "enabled": true, "fade_in": 0, "fade_out": 0, "text": ""}]}]}

An overlay has one template and a list of events (appearances). Subtitles of one style are one overlay whose
events are the lines, each with a `box` and `matte` (and `unblend`) of its own. Boxes are x, y, width, height in
source px; ranges are source frames, half-open; paths of maps are relative to the plan's folder. An overlay
without a `matte` covers its whole box; one that a person adds needs no more than `kind`, `box` and `events`.
`maps.py` reads and writes the maps.

An overlay that moves has a trajectory: keys [frame, dx, dy], or [frame, dx, dy, scale, turn] where it also changes
its size (1 = as in its maps) or turns (degrees, clockwise), both about the middle of its box. They say where its
template is, relative to the box of the overlay, or of the event where that has one; linear between keys.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from .errors import JobError
from .job import KINDS, Box, read_json
from .timing import FrameRange, parse_rate

PLAN_VERSION = 1
KEYS = "[frame, dx, dy] or [frame, dx, dy, scale, turn]"  # of a trajectory
MOST_SCALE = 8.0


@dataclass(frozen=True)
class Source:
    """The clip that a plan was made for."""

    path: str
    size: tuple[int, int]  # width, height in px, as coded
    rate: Fraction  # frames per second
    frames: int  # frames in the whole clip
    fingerprint: str  # of the file's content, see decode.fingerprint


@dataclass(frozen=True)
class Event:
    """One uninterrupted appearance of an overlay."""

    range: FrameRange  # source frames in which it is visible, fades included
    enabled: bool = True
    fade_in: int = 0  # frames until it is at full strength
    fade_out: int = 0  # frames over which it leaves
    text: str = ""  # what it says, where it was read
    box: Box | None = None  # of its own; None is the overlay's
    matte: str | None = None  # of its own; None is the overlay's
    unblend: str | None = None  # of its own; None is the overlay's, unless `matte` is of its own


@dataclass(frozen=True)
class Overlay:
    """One burnt-in source: a template, a trajectory, a list of events."""

    id: str
    kind: str
    box: Box  # where its template is, source px; around all of its events where these have boxes of their own
    events: tuple[Event, ...]
    enabled: bool = True
    confidence: float = 1.0  # 0..1
    matte: str | None = None  # PNG over `box`, 0..255; None is the whole box
    unblend: str | None = None  # NPZ over `box`: transmission and contribution per plane; None is opaque
    trajectory: tuple[tuple[float, ...], ...] = ()  # keys, see above; () stands still
    evidence: dict[str, float | str] = field(default_factory=dict)  # what spoke for it


@dataclass(frozen=True)
class Plan:
    source: Source
    range: FrameRange  # the part of the clip that the plan covers
    shots: tuple[FrameRange, ...]  # cover `range` without gaps
    overlays: tuple[Overlay, ...]

    def active(self, kinds: tuple[str, ...] = KINDS) -> tuple[Overlay, ...]:
        """The overlays to wipe: enabled, of `kinds`, with only their enabled events inside `range`."""
        chosen = []
        for overlay in self.overlays:
            if not overlay.enabled or overlay.kind not in kinds:
                continue
            events = tuple(
                replace(event, range=event.range.meet(self.range))
                for event in overlay.events
                if event.enabled and len(event.range.meet(self.range))
            )
            if events:
                chosen.append(replace(overlay, events=events))
        return tuple(chosen)

    def to_json(self) -> str:
        source = self.source
        body = {
            "autowipe_plan": PLAN_VERSION,
            "source": {
                "path": source.path,
                "size": list(source.size),
                "rate": str(source.rate),
                "frames": source.frames,
                "fingerprint": source.fingerprint,
            },
            "range": self.range.as_list(),
            "shots": [shot.as_list() for shot in self.shots],
            "overlays": [_overlay_body(overlay) for overlay in self.overlays],
        }
        return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "the plan") -> Plan:
        """Reads a plan's text. Raises JobError naming the entry that is wrong and how it should look."""
        body = read_json(text, where, code="plan")
        if not isinstance(body, dict) or body.get("autowipe_plan") != PLAN_VERSION:
            raise JobError(
                f'{where} does not begin with "autowipe_plan": {PLAN_VERSION}',
                code="plan",
                hint="Make the plan anew with this version: autowipe perceive SOURCE -o PLAN.json.",
            )
        try:
            return _read_plan(body)
        except _Wrong as err:
            raise JobError(f"{where}: {err}", code="plan", hint="Mend that entry, or make the plan anew.") from err


class _Wrong(ValueError):
    """What is wrong with a plan's entry."""


def _overlay_body(overlay: Overlay) -> dict[str, Any]:
    return {
        "id": overlay.id,
        "kind": overlay.kind,
        "enabled": overlay.enabled,
        "confidence": round(overlay.confidence, 4),
        "box": list(overlay.box),
        "matte": overlay.matte,
        "unblend": overlay.unblend,
        "trajectory": [list(key) for key in overlay.trajectory],
        "evidence": {k: round(v, 4) if isinstance(v, float) else v for k, v in overlay.evidence.items()},
        "events": [_event_body(event) for event in overlay.events],
    }


def _event_body(event: Event) -> dict[str, Any]:
    body: dict[str, Any] = {
        "range": event.range.as_list(),
        "enabled": event.enabled,
        "fade_in": event.fade_in,
        "fade_out": event.fade_out,
        "text": event.text,
    }
    for name in ("box", "matte", "unblend"):
        value = getattr(event, name)
        if value is not None:
            body[name] = list(value) if isinstance(value, tuple) else value
    return body


def _read_plan(body: dict[str, Any]) -> Plan:
    _only(body, "the plan", {"autowipe_plan", "source", "range", "shots", "overlays"})
    entry = _need(body, "source", dict, "the plan")
    _only(entry, "source", {"path", "size", "rate", "frames", "fingerprint"})
    size = _numbers(_need(entry, "size", list, "source"), 2, "source.size")
    try:
        rate = parse_rate(_need(entry, "rate", str, "source"))
    except ValueError as err:
        raise _Wrong(f"source.rate: {err}") from err
    source = Source(
        path=_need(entry, "path", str, "source"),
        size=(size[0], size[1]),
        rate=rate,
        frames=_need(entry, "frames", int, "source"),
        fingerprint=_need(entry, "fingerprint", str, "source"),
    )
    overlays = tuple(
        _read_overlay(item, f"overlays[{i}]", source)
        for i, item in enumerate(_need(body, "overlays", list, "the plan"))
    )
    overlays = _named(overlays)
    whole = _range(_need(body, "range", list, "the plan"), "range", source)
    shots = tuple(_range(s, f"shots[{i}]", source) for i, s in enumerate(_need(body, "shots", list, "the plan")))
    edges = [whole.start, *(s.stop for s in shots)]
    if [s.start for s in shots] != edges[:-1] or edges[-1] != whole.stop:
        raise _Wrong("the shots do not follow each other from the range's start to its stop")
    return Plan(source=source, range=whole, shots=shots, overlays=overlays)


def _named(overlays: tuple[Overlay, ...]) -> tuple[Overlay, ...]:
    """The overlays with ids of their own: one without gets its kind and the next free number."""
    taken: set[str] = set()
    for overlay in overlays:
        if overlay.id and overlay.id in taken:
            raise _Wrong(f"two overlays have the id {overlay.id!r}; ids are unique")
        taken.add(overlay.id)
    named = []
    for overlay in overlays:
        if not overlay.id:
            number = next(n for n in range(1, len(overlays) + 1) if f"{overlay.kind}-{n}" not in taken)
            overlay = replace(overlay, id=f"{overlay.kind}-{number}")
            taken.add(overlay.id)
        named.append(overlay)
    return tuple(named)


def _read_overlay(body: Any, where: str, source: Source) -> Overlay:
    if not isinstance(body, dict):
        raise _Wrong(f"{where} is not an object in braces")
    keys = {"id", "kind", "enabled", "confidence", "box", "matte", "unblend", "trajectory", "evidence", "events"}
    _only(body, where, keys)
    kind = _need(body, "kind", str, where)
    if kind not in KINDS:
        raise _Wrong(f"{where}.kind is {kind!r}; kinds are {', '.join(KINDS)}")
    events = _need(body, "events", list, where)
    if not events:
        raise _Wrong(f'{where}.events is empty; say when it shows, or keep the overlay with "enabled": false')
    confidence = body.get("confidence", 1.0)
    if not _is_number(confidence) or not 0 <= confidence <= 1:
        raise _Wrong(f"{where}.confidence is a number from 0 to 1, not {confidence!r}")
    evidence = body.get("evidence", {})
    if not isinstance(evidence, dict):
        raise _Wrong(f"{where}.evidence is an object in braces, not {evidence!r}")
    for key, value in evidence.items():
        if not isinstance(value, str | bool) and not _is_number(value):
            raise _Wrong(f"{where}.evidence.{key} is a number or text in quotes, not {value!r}")
    return Overlay(
        id=_need(body, "id", str, where) if "id" in body else "",
        kind=kind,
        box=_box(_need(body, "box", list, where), f"{where}.box", source),
        events=tuple(_read_event(item, f"{where}.events[{i}]", source) for i, item in enumerate(events)),
        enabled=_flag(body, "enabled", where),
        confidence=float(confidence),
        matte=_path(body, "matte", where),
        unblend=_path(body, "unblend", where),
        trajectory=_trajectory(body.get("trajectory", []), f"{where}.trajectory"),
        evidence=evidence,
    )


def _read_event(body: Any, where: str, source: Source) -> Event:
    if not isinstance(body, dict):
        raise _Wrong(f"{where} is not an object in braces")
    _only(body, where, {"range", "enabled", "fade_in", "fade_out", "text", "box", "matte", "unblend"})
    span = _range(_need(body, "range", list, where), f"{where}.range", source)
    fades = []
    for name in ("fade_in", "fade_out"):
        value = body.get(name, 0)
        if type(value) is not int or not 0 <= value <= len(span):
            raise _Wrong(f"{where}.{name} is a number of frames from 0 to the event's length, not {value!r}")
        fades.append(value)
    return Event(
        range=span,
        enabled=_flag(body, "enabled", where),
        fade_in=fades[0],
        fade_out=fades[1],
        text=_need(body, "text", str, where) if "text" in body else "",
        box=_box(body["box"], f"{where}.box", source) if body.get("box") is not None else None,
        matte=_path(body, "matte", where),
        unblend=_path(body, "unblend", where),
    )


_WORDS = {str: "text in quotes", int: "a whole number", list: "a list in brackets", dict: "an object in braces"}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _only(body: dict[str, Any], where: str, known: set[str]) -> None:
    for key in body:
        if key not in known:
            raise _Wrong(f"{where} has the unknown key {key!r}; known keys are {', '.join(sorted(known))}")


def _need(body: dict[str, Any], key: str, kind: type, where: str) -> Any:
    if key not in body:
        raise _Wrong(f"{where} has no {key!r}")
    if type(body[key]) is not kind:
        raise _Wrong(f"{key!r} of {where} is {_WORDS[kind]}, not {body[key]!r}")
    return body[key]


def _flag(body: dict[str, Any], key: str, where: str) -> bool:
    value = body.get(key, True)
    if not isinstance(value, bool):
        raise _Wrong(f"{where}.{key} is true or false, not {value!r}")
    return value


def _path(body: dict[str, Any], key: str, where: str) -> str | None:
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise _Wrong(f"{where}.{key} is a path or null, not {value!r}")
    return value


def _numbers(value: Any, count: int, where: str) -> list[int]:
    if not isinstance(value, list) or len(value) != count or not all(type(v) is int for v in value):
        raise _Wrong(f"{where} is {count} whole numbers in brackets, not {value!r}")
    return value


def _range(value: Any, where: str, source: Source) -> FrameRange:
    start, stop = _numbers(value, 2, where)
    if not 0 <= start < stop <= source.frames:
        raise _Wrong(
            f"{where} is [{start}, {stop}], but the clip's frames are 0 to {source.frames}, the first before the last"
        )
    return FrameRange(start, stop)


def _box(value: Any, where: str, source: Source) -> Box:
    x, y, w, h = _numbers(value, 4, where)
    if w <= 0 or h <= 0 or x < 0 or y < 0 or x + w > source.size[0] or y + h > source.size[1]:
        raise _Wrong(f"{where} is {value}, which is not inside the picture of {source.size[0]}x{source.size[1]} px")
    return (x, y, w, h)


def _trajectory(value: Any, where: str) -> tuple[tuple[float, ...], ...]:
    if not isinstance(value, list):
        raise _Wrong(f"{where} is a list of {KEYS}, not {value!r}")
    keys = []
    for key in value:
        numbers = isinstance(key, list) and all(map(_is_number, key))
        if not numbers or len(key) not in (3, 5) or (len(key) == 5 and not 0 < key[3] <= MOST_SCALE):
            raise _Wrong(f"{where} is a list of {KEYS}, scale above 0 and up to {MOST_SCALE:.0f}, not {key!r}")
        keys.append(tuple(float(v) for v in key))
    if [k[0] for k in keys] != sorted({k[0] for k in keys}):
        raise _Wrong(f"{where}: frames rise from key to key")
    return tuple(keys)
