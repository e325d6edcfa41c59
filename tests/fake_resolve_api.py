"""What Resolve's scripting API offers, and a door that lets nothing else through: read from the public stubs.

The names and the numbers of arguments come from `fusionscript-stubs` (Resolve 21.0), never from the fake, so that no
call can exist in the fake alone. `ADDED` and `SINCE` hold what changed between versions, as users report it.

The door behaves like Resolve's Python bridge: `hasattr` is true for every name, an unknown name is None, a handle is a
new object each time, a dead object answers None, and nothing raises. Whatever a program does that the documents do not
allow is kept in `Door.misuse`, and fails the test that did it.
"""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

STUBS = "fusionscript-stubs"

# Later than the stubs, with the fewest and most arguments: public notes on 21.0.4 and 21.1.
ADDED: dict[tuple[str, str], tuple[tuple[int, ...], int, int]] = {
    ("Timeline", "GetSelectedClips"): ((21, 0, 4), 0, 0),
    ("TimelineItem", "GetSpeed"): ((21, 1), 0, 0),
    ("TimelineItem", "GetType"): ((21, 1), 0, 0),
}
# Documented in 21.0, but missing before the version named here.
SINCE: dict[tuple[str, str], tuple[int, ...]] = {
    ("Timeline", "GetMarkInOut"): (20,),
    ("Timeline", "SetMarkInOut"): (20,),
    ("Timeline", "ClearMarkInOut"): (20,),
    ("TimelineItem", "GetSourceStartFrame"): (19,),
    ("TimelineItem", "GetSourceEndFrame"): (19,),
    ("TimelineItem", "GetSourceStartTime"): (19, 1),
    ("TimelineItem", "GetSourceEndTime"): (19, 1),
    ("TimelineItem", "GetLinkedItems"): (19,),
    ("TimelineItem", "GetTrackTypeAndIndex"): (19,),
    ("TimelineItem", "GetNodeGraph"): (19,),
    ("TimelineItem", "GetColorGroup"): (19,),
}
# The stubs write these arguments without a default, and their text calls them optional.
MAY_BE_LEFT_OUT = {"subframe_precision", "Bool", "subTrackType", "newTrackOptions", "importOptions"}


@cache
def _stub() -> ast.Module:
    spec = importlib.util.find_spec(STUBS)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"the tests of the Resolve adapter need {STUBS}: python3 install.py test installs it")
    return ast.parse((Path(spec.submodule_search_locations[0]) / "fusionscript.pyi").read_text("utf-8"))


@cache
def keys_of(name: str) -> set[str]:
    """The keys of a dictionary that a call takes, such as MediaPoolClipInfo."""
    node = next(node for node in _stub().body if isinstance(node, ast.ClassDef) and node.name == name)
    return {field.target.id for field in node.body if isinstance(field, ast.AnnAssign)}  # type: ignore[union-attr]


@cache
def values_of(name: str) -> list[str]:
    """The texts that an argument may be, such as those of ClipColor."""
    for node in _stub().body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            if isinstance(node.value, ast.Name):
                return values_of(node.value.id)
            return list(ast.literal_eval(node.value.slice))  # type: ignore[attr-defined]
    raise LookupError(name)


@cache
def documented() -> dict[str, dict[str, tuple[int, int]]]:
    """Class → call → the fewest and the most arguments that it takes."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for node in _stub().body:
        if isinstance(node, ast.ClassDef):
            calls = found.setdefault(node.name, {})
            for call in node.body:
                if isinstance(call, ast.FunctionDef):
                    low, high = _arity(call)
                    old = calls.get(call.name, (low, high))
                    calls[call.name] = (min(low, old[0]), max(high, old[1]))
    for (name, call), (_, low, high) in ADDED.items():
        found[name][call] = (low, high)
    return found


def _arity(call: ast.FunctionDef) -> tuple[int, int]:
    given = call.args.args[1:]  # without self
    bare = given[: len(given) - len(call.args.defaults)]
    needed = [arg for arg in bare if arg.arg not in MAY_BE_LEFT_OUT and not _is_optional(arg.annotation)]
    return len(needed), 99 if call.args.vararg else len(given)


def _is_optional(annotation: ast.expr | None) -> bool:
    return annotation is not None and ast.unparse(annotation).startswith("Optional")


@dataclass
class Door:
    """Between a program and the fake: hands out handles, checks every call, keeps what was called."""

    version: tuple[int, ...]
    misuse: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    is_stuck: bool = False  # a modal dialogue is up

    def out(self, value: Any) -> Any:
        """Objects of the fake become handles, in lists and dictionaries too."""
        if isinstance(value, Thing):
            return Handle(self, value)
        if isinstance(value, list | tuple):
            return [self.out(item) for item in value]
        if isinstance(value, dict):
            return {key: self.out(item) for key, item in value.items()}
        return value

    def back(self, value: Any) -> Any:
        if isinstance(value, Handle):
            return object.__getattribute__(value, "_thing")
        if isinstance(value, list | tuple):
            return [self.back(item) for item in value]
        if isinstance(value, dict):
            return {key: self.back(item) for key, item in value.items()}
        return value


class Thing:
    """An object of the fake; its public methods are those of the API."""

    api = ""
    is_dead = False


class Handle:
    """What a program holds: asks the door before each call."""

    def __init__(self, door: Door, thing: Thing) -> None:
        object.__setattr__(self, "_door", door)
        object.__setattr__(self, "_thing", thing)

    def __dir__(self) -> list[str]:
        door, thing = object.__getattribute__(self, "_door"), object.__getattribute__(self, "_thing")
        return [name for name in documented()[thing.api] if _is_there(door.version, thing.api, name)]

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        door, thing = object.__getattribute__(self, "_door"), object.__getattribute__(self, "_thing")
        calls = documented()[thing.api]
        if name not in calls:  # hasattr says yes to everything, so dir() is the one way to find out
            door.misuse.append(f"{thing.api}.{name} is not in the documented API")
            return None
        if not _is_there(door.version, thing.api, name):
            return None
        low, high = calls[name]

        def call(*args: Any, **words: Any) -> Any:
            where = f"{thing.api}.{name}"
            door.calls.append(where)
            if words and where != "Project.StartRendering":
                door.misuse.append(f"{where} takes no keywords, got {sorted(words)}")
                return None
            if not low <= len(args) <= high:
                door.misuse.append(f"{where} takes {low} to {high} arguments, got {len(args)}")
                return None
            if thing.is_dead:
                return None
            method = getattr(thing, name, None)
            if method is None:
                raise NotImplementedError(f"the fake has no {where} yet")
            return door.out(method(*door.back(list(args)), **words))

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        object.__getattribute__(self, "_door").misuse.append(f"an attribute {name} was set on a handle")


def _is_there(version: tuple[int, ...], api: str, name: str) -> bool:
    since = ADDED.get((api, name), (SINCE.get((api, name), (0,)), 0, 0))[0]
    return version >= since
