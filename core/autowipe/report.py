"""The report: one self-contained HTML page that shows what was found, and how it was recovered."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import jinja2

from . import ledger
from .job import KINDS, Area, Job
from .plan import Event, Overlay, Plan
from .plate import PROVENANCE_NAMES
from .protocol import Warned
from .segments import disk_fault
from .sidecars import PROVENANCE_COLOURS, Tally, shares
from .stills import Still, Stills, View
from .timing import FrameRange, timecode

TEMPLATES = Path(__file__).parent / "templates"

DASH, TIMES, THIN = "\u2013", "\u00d7", "\u202f"  # en dash, multiplication sign, narrow no-break space

KIND_NAMES = {  # one, several
    "logo": ("a logo", "{} logos"),
    "dynamic": ("a moving or blinking mark", "{} moving or blinking marks"),
    "subtitle": ("a line of subtitles", "{} lines of subtitles"),
    "watermark": ("a watermark", "{} watermarks"),
}
FILE_NAMES = {
    "output": "Cleaned clip",
    "plan": "Plan",
    "matte": "Matte",
    "provenance": "Provenance",
    "compare": "Comparison",
    "srt": "Subtitles",
}
PROVENANCE_WORDS = {
    "unblended": ("un-blended", "the very pixels beneath a translucent overlay, computed back"),
    "borrowed": ("borrowed", "uncovered at another time, carried over along the motion"),
    "invented": ("invented", "never visible in this shot, filled in"),
}


def write_report(
    path: Path,
    *,
    plan: Plan,
    job: Job,
    tally: Tally | None = None,
    stills: Stills | None = None,
    warnings: Sequence[Warned] = (),
    seconds: Mapping[str, float] | None = None,
    files: Mapping[str, str] | None = None,
    versions: Mapping[str, str] | None = None,
    start_timecode: str | None = None,
) -> None:
    """Writes the page: it is there complete or not at all. Raises MediaError when it cannot be written.

    `tally`: None where overlays were only perceived. `seconds`: wall time by stage. `files`: what was written,
    role -> path (`output`, `plan`, `matte` ...). `versions`: what ran it (`AutoWipe`, `Device` ...).
    `start_timecode`: the clip's own at its first frame.
    """
    clock = _Clock(plan.source.rate, start_timecode)
    active = {overlay.id: overlay for overlay in plan.active(KINDS if job.matte_in else job.kinds)}
    files = dict(files or {})
    pictures = stills.read() if stills else []
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = environment.get_template("report.js").render()
    page = environment.get_template("report.html.j2").render(
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        colours={PROVENANCE_NAMES[label]: "#" + bytes(rgb).hex() for label, rgb in PROVENANCE_COLOURS.items()},
        words=PROVENANCE_WORDS,
        name=Path(plan.source.path).name,
        facts=_facts(plan, sum((seconds or {}).values())),
        headline=_headline(plan, job, active, tally),
        account=_account(plan, tally),
        bar_parts=_bar(tally.whole if tally else {}),
        stills=[_still(still, clock) for still in pictures],
        shown=max(pictures, key=lambda still: len(still.overlays)).frame if pictures else None,
        aspect=plan.source.size,
        timeline=_timeline(plan, active, pictures, clock),
        overlays=[
            _overlay(overlay, plan, job, tally, pictures, files, clock, overlay.id in active)
            for overlay in plan.overlays
        ],
        warnings=warnings,
        files={FILE_NAMES.get(role, role): file for role, file in files.items()},
        settings=_settings(job, seconds or {}),
        job=job.to_json(),
        versions=dict(versions or {}),
    )
    try:
        with ledger.appearing(path) as part:
            part.write_text(page, "utf-8", newline="\n")
    except OSError as err:
        raise disk_fault(err, path) from err


@dataclass(frozen=True)
class _Clock:
    """Names frames of the clip by timecode."""

    rate: Fraction
    start: str | None  # timecode of frame 0; None counts from zero

    def __call__(self, frame: int) -> str:
        match = re.fullmatch(r"(\d+):(\d\d):(\d\d)([:;.])(\d+)", self.start or "00:00:00:00")
        if not match:
            return timecode(frame, self.rate)
        hours, minutes, seconds, frames = (int(match[i]) for i in (1, 2, 3, 5))
        nominal = max(1, round(self.rate))
        minutes += 60 * hours
        first = (60 * minutes + seconds) * nominal + frames
        if self.start and match[4] == ":":
            return timecode(frame + first, Fraction(nominal))
        if self.start:
            first -= nominal // 15 * (minutes - minutes // 10)  # numbers that drop-frame skips
        return timecode(frame + first, self.rate)

    def span(self, span: FrameRange) -> dict[str, Any]:
        """A range as a reader wants it: both ends included."""
        return {
            "first": self(span.start),
            "last": self(span.stop - 1),
            "frames": f"{span.start}{DASH}{span.stop - 1}" if len(span) > 1 else f"{span.start}",
            "length": _length(len(span) / self.rate),
        }


def _headline(plan: Plan, job: Job, active: Mapping[str, Overlay], tally: Tally | None) -> str:
    if not plan.overlays:
        return "No overlay was found. The file is unchanged." if job.output else "No overlay was found."
    if job.task == "perceive" or tally is None:
        return f"Found {_named(plan.overlays)}. Nothing has been changed yet."
    if not active or not tally.changed_frames:
        return f"Found {_named(plan.overlays)}, and kept everything. The file is unchanged."
    return f"Removed {_named(list(active.values()))}."


def _named(overlays: Sequence[Overlay]) -> str:
    """Overlays by kind, in words: "2 logos and 14 lines of subtitles"."""
    parts = []
    for kind, (one, several) in KIND_NAMES.items():
        these = [overlay for overlay in overlays if overlay.kind == kind]
        count = sum(len(overlay.events) for overlay in these) if kind == "subtitle" else len(these)
        if count:
            parts.append(one if count == 1 else several.format(count))
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _account(plan: Plan, tally: Tally | None) -> str:
    """How much was touched, in words; empty when nothing was."""
    if tally is None or not tally.changed_frames:
        return ""
    width, height = plan.source.size
    touched = sum(tally.whole.values()) / (tally.changed_frames * width * height)
    frames = "Every frame" if tally.changed_frames == len(plan.range) else f"{tally.changed_frames:,} frames"
    return f"{frames} changed, {_percent(touched)} of the picture there. All else is the source's own samples."


def _facts(plan: Plan, seconds: float) -> list[str]:
    source = plan.source
    rate = f"{float(source.rate):.3f}".rstrip("0").rstrip(".")
    facts = [f"{source.size[0]} {TIMES} {source.size[1]}", f"{rate} fps", f"{len(plan.range):,} frames"]
    duration = len(plan.range) / source.rate
    facts.append(_length(duration))
    if len(plan.range) < source.frames:
        facts.append(f"frames {plan.range.start}{DASH}{plan.range.stop - 1} of {source.frames:,}")
    if len(plan.shots) > 1:
        facts.append(f"{len(plan.shots)} shots")
    if seconds:
        facts.append(f"done in {_length(seconds)}, {seconds / float(duration):.1f}{TIMES} its duration")
    return facts


def _bar(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """A stacked bar: the provenances that occur, with their share."""
    return [
        {"name": name, "share": share, "text": _percent(share)}
        for name, share in shares(dict(counts)).items()
        if share > 0
    ]


def _still(still: Still, clock: _Clock) -> dict[str, Any]:
    return {
        "frame": still.frame,
        "timecode": clock(still.frame),
        "overlays": still.overlays,
        "views": [_view(view) for view in still.views],
        "thumb": _data(still.views[0].thumb),
    }


def _view(view: View) -> dict[str, Any]:
    how = _data(view.provenance) if view.provenance else None
    return {"name": view.name, "before": _data(view.before), "after": _data(view.after), "how": how}


def _data(picture: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(picture.read_bytes()).decode()


def _timeline(plan: Plan, active: Mapping[str, Overlay], stills: Sequence[Still], clock: _Clock) -> dict[str, Any]:
    """The strip: everything in shares of the range, 0..1000."""
    whole = plan.range

    def place(span: FrameRange) -> dict[str, float]:
        met = span.meet(whole)
        scale = 1000 / max(1, len(whole))
        return {"x": round((met.start - whole.start) * scale, 3), "w": round(len(met) * scale, 3)}

    lanes = [
        {
            "id": overlay.id,
            "kind": overlay.kind,
            "events": [
                place(event.range) | {"on": overlay.id in active and event.enabled, "title": _event_title(event, clock)}
                for event in overlay.events
            ],
        }
        for overlay in plan.overlays
    ]
    ticks = [(share / 4, clock(min(whole.start + len(whole) * share // 4, whole.stop - 1))) for share in range(5)]
    marks = [{"frame": s.frame, "x": place(FrameRange(s.frame, s.frame + 1))["x"] / 10} for s in stills]
    return {
        "shots": [place(shot) for shot in plan.shots],
        "lanes": lanes,
        "ticks": ticks,
        "marks": marks,
        "kinds": [kind for kind in KIND_NAMES if any(lane["kind"] == kind for lane in lanes)],
    }


def _event_title(event: Event, clock: _Clock) -> str:
    span = clock.span(event.range)
    return f"{span['first']} to {span['last']}" + (f": {event.text}" if event.text else "")


def _overlay(
    overlay: Overlay,
    plan: Plan,
    job: Job,
    tally: Tally | None,
    stills: Sequence[Still],
    files: Mapping[str, str],
    clock: _Clock,
    is_active: bool,
) -> dict[str, Any]:
    ranges = [event.range for event in overlay.events]
    whole = FrameRange(min(r.start for r in ranges), max(r.stop for r in ranges)) if ranges else None
    views = [view for still in stills for view in still.views if view.name == overlay.id]
    return {
        "id": overlay.id,
        "kind": overlay.kind,
        "state": _state(overlay, job, is_active),
        "is_active": is_active,
        "thumb": _data(views[len(views) // 2].thumb) if views else None,
        "span": clock.span(whole) if whole else None,
        "visible": _length(sum(map(len, ranges)) / clock.rate),
        "place": f"{overlay.box[2]} {TIMES} {overlay.box[3]} px at {overlay.box[0]}, {overlay.box[1]}",
        "confidence": _percent(overlay.confidence),
        "evidence": [_evidence(key, value) for key, value in overlay.evidence.items()],
        "bar": _bar(tally.overlays.get(overlay.id, {}) if tally else {}),
        "events": [clock.span(event.range) | {"text": event.text, "on": event.enabled} for event in overlay.events],
        "commands": _commands(overlay, job, files, is_active),
    }


def _state(overlay: Overlay, job: Job, is_active: bool) -> str:
    if is_active:
        return "wiped" if job.task == "wipe" else "found"
    if not overlay.enabled:
        return "kept: switched off in the plan"
    if overlay.kind not in job.kinds and not job.matte_in:
        return "kept: this kind was not asked for"
    return "kept: no event of it is switched on in this range"


def _evidence(key: str, value: float | str) -> str:
    """One entry of the evidence in words; finders name their entries so that this can be read."""
    name = key.replace("_", " ")
    return f"{name} {value:.3g}" if isinstance(value, int | float) else f"{name}: {value}"


def _commands(overlay: Overlay, job: Job, files: Mapping[str, str], is_active: bool) -> dict[str, Any]:
    """How to turn an overlay's state around: what to change in the plan, what to run before and after."""
    source = Path(job.source)
    plan_file = files.get("plan") or job.save_plan or job.plan
    perceive = None
    if plan_file is None:
        plan_file = str(source.with_suffix(".plan.json"))
        perceive = _command("autowipe", "perceive", job.source, "-o", plan_file)
    output = job.output or str(source.with_name(f"{source.stem}.clean{source.suffix}"))
    kinds = [kind for kind in KINDS if kind in job.kinds or (kind == overlay.kind and not is_active)]
    options = [] if len(kinds) == len(KINDS) else ["--kinds", ",".join(kinds)]
    options += ["--range", f"{job.range.start}:{job.range.stop}"] if job.range else []
    for area in job.hold_outs:
        options += ["--hold-out", _areas([area])]
    for name in ("codec", "encoder", "device", "quality"):
        if getattr(job, name) != getattr(Job, name):
            options += [f"--{name}", getattr(job, name)]
    return {
        "plan": plan_file,
        "perceive": perceive,
        "edit": "false" if is_active else "true",
        "wipe": _command("autowipe", "wipe", job.source, "--plan", plan_file, "-o", output, *options),
    }


def _command(*words: str) -> str:
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def _settings(job: Job, seconds: Mapping[str, float]) -> list[tuple[str, str]]:
    rows = [
        ("Kinds", ", ".join(job.kinds)),
        ("Range", f"frames {job.range.start}{DASH}{job.range.stop - 1}" if job.range else "the whole clip"),
        ("Search areas", _areas(job.search_areas) or "everywhere"),
        ("Hold-outs", _areas(job.hold_outs) or "none"),
        ("Codec", job.codec),
        ("Encoder", job.encoder),
        ("Device", job.device),
        ("Quality", job.quality),
        ("Completers", ", ".join(job.completers) or "none"),
    ]
    rows += [("Plan given", job.plan)] if job.plan else []
    rows += [("Matte given", job.matte_in)] if job.matte_in else []
    if seconds:
        rows.append(("Time", ", ".join(f"{stage} {_length(took)}" for stage, took in seconds.items())))
    return rows


def _areas(areas: Sequence[Area]) -> str:
    return "; ".join(area if isinstance(area, str) else ",".join(map(str, area)) for area in areas)


def _percent(share: float) -> str:
    if 0 < share < 0.01:
        return f"{share * 100:.1f}{THIN}%" if share >= 0.001 else f"under 0.1{THIN}%"
    return f"over 99{THIN}%" if 0.99 < share < 1 else f"{share * 100:.0f}{THIN}%"


def _length(seconds: float | Fraction) -> str:
    """A length of time: "4.2 s", "1:05 min", "2:03:10 h"."""
    seconds = float(seconds)
    if seconds < 60:
        return f"{seconds:.1f}{THIN}s" if seconds < 10 else f"{seconds:.0f}{THIN}s"
    text = str(timedelta(seconds=round(seconds)))
    return f"{text}{THIN}h" if seconds >= 3600 else f"{text[2:].lstrip('0')}{THIN}min"
