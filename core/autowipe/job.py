"""A job: the immutable description of one run, the same from the command line, an adapter or a file."""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .errors import JobError
from .timing import FrameRange, parse_range

JOB_VERSION = 1
KINDS = ("logo", "dynamic", "subtitle", "watermark")
TASKS = ("wipe", "perceive")
CODECS = ("auto", "ffv1", "prores", "dnxhr", "h264", "hevc")
ENCODERS = ("software", "hardware")
DEVICES = ("auto", "cuda", "mps", "cpu")
QUALITIES = ("draft", "normal", "best")
COMPLETERS = ("unblend", "borrow", "invent")

Box = tuple[int, int, int, int]
Area = Box | str  # a box (x, y, width, height) in px, or the path of an image or video matte


@dataclass(frozen=True)
class Job:
    """One run. Paths are absolute; ranges are source frames, half-open."""

    source: str  # the clip to clean
    output: str | None = None  # the cleaned clip; None only for the task "perceive"
    task: str = "wipe"  # "wipe", or "perceive" to stop after the plan
    kinds: tuple[str, ...] = KINDS  # kinds that may be wiped
    range: FrameRange | None = None  # part of the clip; None is the whole
    part: FrameRange | None = None  # do these frames of `range` only, for a run that joins; see parts.py
    join: tuple[FrameRange, ...] = ()  # take up what the runs of these parts left
    search_areas: tuple[Area, ...] = ()  # overlays are looked for here only; empty is everywhere
    hold_outs: tuple[Area, ...] = ()  # never changed, wins over every matte
    matte_in: str | None = None  # image or video: wipe what it covers, perceive nothing
    plan: str | None = None  # carry out this plan instead of perceiving
    save_plan: str | None = None
    matte: str | None = None  # grey video of what was wiped
    provenance: str | None = None  # video of how each pixel was recovered
    report: str | None = None  # HTML page
    compare: str | None = None  # source and result side by side
    srt: str | None = None  # text of the subtitles
    codec: str = "auto"
    encoder: str = "software"  # "hardware" takes the machine's encoder for h264 and hevc where it has one
    device: str = "auto"
    quality: str = "normal"
    completers: tuple[str, ...] = COMPLETERS  # ways to complete that may be used; what none reaches is spread over
    resume: bool = False  # go on where a killed run stopped
    overwrite: bool = False  # replace files that are already there

    def __post_init__(self) -> None:
        _check(self)

    def to_json(self) -> str:
        body: dict[str, Any] = {"autowipe_job": JOB_VERSION}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                body[field.name] = _plain(value)
        return json.dumps(body, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, where: str = "the job") -> Job:
        """Reads a job file's text. Raises JobError naming the key that is wrong."""
        body = read_json(text, where)
        if not isinstance(body, dict) or body.pop("autowipe_job", None) != JOB_VERSION:
            raise JobError(
                f'{where} does not begin with "autowipe_job": {JOB_VERSION}',
                hint="Write the job for this version of AutoWipe.",
            )
        known = {field.name for field in fields(cls)}
        for key in body:
            if key not in known:
                raise JobError(f"{where} has the unknown key {key!r}", hint=f"Known keys: {', '.join(sorted(known))}.")
        if "source" not in body:
            raise JobError(f'{where} has no "source"', hint='Add "source": the clip\'s absolute path.')
        try:
            return cls(**{key: _value(key, value) for key, value in body.items()})
        except (TypeError, ValueError) as err:
            raise JobError(f"{where}: {err}", hint="Mend that value.") from err


def _plain(value: Any) -> Any:
    """A field's value as JSON has it."""
    if isinstance(value, FrameRange):
        return value.as_list()
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value


def _value(key: str, value: Any) -> Any:
    if key in ("range", "part") and value is not None:
        return _range(key, value)
    if key == "join":
        if not isinstance(value, list):
            raise ValueError(f"join is a list of [start, stop] in frames, not {value!r}")
        return tuple(_range(key, entry) for entry in value)
    if key in ("search_areas", "hold_outs"):
        if not isinstance(value, list):
            raise ValueError(f"{key} is a list of [x, y, width, height] or paths, not {value!r}")
        return tuple(tuple(area) if isinstance(area, list) else area for area in value)
    if key in ("kinds", "completers"):
        if not isinstance(value, list):
            known = list(KINDS if key == "kinds" else COMPLETERS)
            raise ValueError(f"{key} is a list such as {known}, not {value!r}")
        return tuple(value)
    return value


def read_json(text: str, where: str, *, code: str = "job") -> Any:
    """A JSON text's value; a byte order mark, as Windows editors write it, is passed over. Raises JobError."""
    try:
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as err:
        raise JobError(f"{where} is not valid JSON: {err}", code=code, hint="Check commas and quotes there.") from err


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's keys and values. Of a key that is there twice JSON takes the last, which may be the wrong one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return found


def _range(key: str, value: Any) -> FrameRange:
    if not (isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value)):
        raise ValueError(f"{key} is [start, stop] in frames, not {value!r}")
    return parse_range(f"{value[0]}:{value[1]}")


def parse_area(text: str) -> Area:
    """Reads "x,y,w,h" in px; anything else is taken as the path of an image or video matte."""
    parts = text.split(",")
    if len(parts) == 4:
        try:
            x, y, w, h = (int(part) for part in parts)
            return (x, y, w, h)
        except ValueError:
            pass
    if re.fullmatch(r"[\d\s,.:;x+-]+", text) and not os.path.exists(text):
        raise JobError(f"{text!r} is not an area", hint="A box is x,y,width,height in px, such as 1600,40,240,120.")
    return os.path.abspath(text)


def _check(job: Job) -> None:
    for name, value, choices in (
        ("task", job.task, TASKS),
        ("codec", job.codec, CODECS),
        ("encoder", job.encoder, ENCODERS),
        ("device", job.device, DEVICES),
        ("quality", job.quality, QUALITIES),
    ):
        if value not in choices:
            raise JobError(f"{name} {value!r} is not known", hint=f"Choose one of: {', '.join(choices)}.")
    if not job.kinds:
        raise JobError("no kind of overlay is asked for", hint=f"Name at least one of: {', '.join(KINDS)}.")
    for kind in job.kinds:
        if kind not in KINDS:
            raise JobError(f"kind {kind!r} is not known", hint=f"Choose from: {', '.join(KINDS)}.")
    for way in job.completers:
        if way not in COMPLETERS:
            raise JobError(f"completer {way!r} is not known", hint=f"Choose from: {', '.join(COMPLETERS)}.")
    for name in (
        "source",
        "output",
        "matte_in",
        "plan",
        "save_plan",
        "matte",
        "provenance",
        "report",
        "compare",
        "srt",
    ):
        value = getattr(job, name)
        if value is not None:
            _check_path(name, value, hint="Write the full path.")
    for name in ("resume", "overwrite"):
        if not isinstance(getattr(job, name), bool):
            raise JobError(f"{name} is true or false, not {getattr(job, name)!r}")
    for name in ("search_areas", "hold_outs"):
        for area in getattr(job, name):
            _check_area(name, area)
    _check_files(job)


def _check_path(name: str, path: Any, *, hint: str) -> None:
    if not (isinstance(path, str) and os.path.isabs(path) and "\0" not in path):
        raise JobError(f"{name}: {path!r} is not an absolute path", hint=hint)
    try:
        path.encode()
    except UnicodeEncodeError as err:  # Python keeps bytes of a name that are no UTF-8 as lone surrogates
        raise JobError(
            f"{name}: {path!r} is a name that is no text", hint="Rename it: its letters are of an old encoding."
        ) from err


def _check_area(name: str, area: Any) -> None:
    if isinstance(area, str):
        _check_path(name, area, hint="Write x,y,w,h or a full path.")
    elif not (isinstance(area, tuple) and len(area) == 4 and all(type(v) is int for v in area)):
        raise JobError(f"{name}: {area!r} is not a box", hint="A box is x,y,width,height in px.")
    elif area[2] <= 0 or area[3] <= 0:
        raise JobError(f"{name}: the box {area} is empty", hint="Width and height are greater than 0.")


def _check_files(job: Job) -> None:
    if job.task == "wipe" and job.output is None:
        raise JobError("no output is named", hint="Say where the cleaned clip goes with -o OUTPUT.")
    if job.task == "perceive" and job.save_plan is None:
        raise JobError("no plan file is named", hint="Say where the plan goes with -o PLAN.json.")
    if job.plan and job.matte_in:
        raise JobError("a plan and a matte are both given", hint="Use either --plan or --matte-in.")
    if (job.part or job.join) and not job.plan and job.task == "wipe":
        raise JobError("parts of a clip need a plan that they share", hint='Add "plan".')
    sources = {_same(job.source): "source"}
    if job.plan:
        sources[_same(job.plan)] = "plan"
    if job.matte_in:
        sources[_same(job.matte_in)] = "matte_in"
    seen: dict[str, str] = {}
    for name in ("output", "save_plan", "matte", "provenance", "report", "compare", "srt"):
        path = getattr(job, name)
        if path is None:
            continue
        key = _same(path)
        if key in sources and not (name == "save_plan" and sources[key] == "plan"):
            raise JobError(
                f"{name} and {sources[key]} are the same file: {path}",
                code="output-is-source",
                hint="AutoWipe never writes over what it reads; choose another name.",
            )
        if key in seen:
            raise JobError(f"{name} and {seen[key]} are the same file: {path}", hint="Give each its own name.")
        seen[key] = name


def _same(path: str) -> str:
    """What two names of one file have in common, links and letter case as the system has them."""
    name = os.path.normcase(str(Path(path).resolve()))
    if sys.platform == "darwin":  # its disks tell neither letter case nor forms of accents apart
        return unicodedata.normalize("NFC", name).casefold()
    return name
