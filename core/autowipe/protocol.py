"""Messages from the engine to an adapter (protocol 1): one ASCII JSON object a line on standard output.

    hello     protocol, engine            first line of every run
    plan      frames, shots, stages       what is about to be done; again when the shots are counted
    progress  stage, done, total, eta_s   at most ten a second
    overlay   id, kind, events, box, confidence
    warning   code, text
    item      id, name, state, text, ...  a clip of a batch
    result    output, plan, overlays, ... last line of a run that succeeded
    error     code, text, hint            last line of a run that did not

Exactly one `result` or `error` ends a run. Readers ignore types and fields that they do not know. The adapter
cancels with a line `cancel` on the engine's standard input or by closing it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

PROTOCOL = 1


@dataclass(frozen=True)
class Hello:
    engine: str  # version of the engine
    protocol: int = PROTOCOL


@dataclass(frozen=True)
class PlanSize:
    frames: int
    shots: int | None  # None while they are not counted
    stages: tuple[str, ...]  # names that `progress` will use, in order


@dataclass(frozen=True)
class Progress:
    stage: str
    done: int  # frames
    total: int  # frames
    eta_s: float | None  # seconds to the end of the run, None while unknown


@dataclass(frozen=True)
class OverlayFound:
    id: str
    kind: str
    events: tuple[tuple[int, int], ...]  # source frames, half-open
    box: tuple[int, int, int, int]  # x, y, width, height in px
    confidence: float  # 0..1


@dataclass(frozen=True)
class Warned:
    code: str
    text: str


@dataclass(frozen=True)
class BatchItem:
    """A clip of a batch; batches alone send it."""

    id: str
    name: str
    state: str  # waiting, running, planned, done, failed, missing
    text: str  # why, or how it ended; may be empty
    done: float  # share of the work, 0..1
    frames: int


@dataclass(frozen=True)
class Result:
    output: str | None  # the cleaned file, None where only a plan was made
    plan: str | None
    overlays: int
    frames: int
    changed_frames: int  # frames in which at least one sample was wiped
    provenance: dict[str, float]  # share of the wiped pixels: unblended, borrowed, invented
    files: dict[str, str]  # what else was written: matte, report, ...
    text: str  # one sentence for a person


@dataclass(frozen=True)
class Failed:
    code: str
    text: str
    hint: str


Message = Hello | PlanSize | Progress | OverlayFound | Warned | BatchItem | Result | Failed
Send = Callable[[Message], None]

_TYPES: dict[type, str] = {
    Hello: "hello",
    PlanSize: "plan",
    Progress: "progress",
    OverlayFound: "overlay",
    Warned: "warning",
    BatchItem: "item",
    Result: "result",
    Failed: "error",
}


def to_line(message: Message) -> str:
    """One message as its line, without the line end."""
    body = {"type": _TYPES[type(message)], **asdict(message)}
    return json.dumps(body, ensure_ascii=True, allow_nan=False)
