"""A long clip in parts: where it may be cut, runs that do one part each, and the run that joins them without loss.

A run with `part` wipes some frames of the job's range and leaves its segments in a folder beside the output. A run
with `join` takes up what such runs left and goes on as any resumed run does: where everything is there, it only puts
the file together. Windows, segments and time stamps are those of the whole range, so the file is the same, to the
bit, as that of one run. In pass A the parts are sections (sections.py), which one run analyses apart as well.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .areas import AreaMask
from .decode import open_clip
from .errors import JobError
from .job import Job
from .matte import Mattes
from .planfile import read_plan
from .resume import WorkFolder, folder_of, json_of, key_of
from .timing import FrameRange, Window
from .windows import windows_of

SEGMENT_S = 10.0  # at least this much footage between two points from which a killed run can go on
PART = re.compile(r"\.\d+-\d+\.autowipe")  # end of the name of a part's working folder
VIDEOS = ("output", "matte", "provenance", "compare")  # folders with segments in a run's working folder


def segment_ends(todo: Sequence[Window], rate: Fraction) -> list[int]:
    """The frames before which a segment ends, the last one's end not included; windows are never cut."""
    ends, since = [], 0
    for window in todo[:-1]:
        since += len(window.core)
        if since >= SEGMENT_S * rate:
            ends.append(window.core.stop)
            since = 0
    return ends


def share_out(job: Job, most: int, least_s: float) -> tuple[FrameRange, ...]:
    """Up to `most` parts of about the same length for a job that has a plan, each of `least_s` seconds or more.

    A part ends where a segment ends, at a cut between shots where there is one near. Empty where it does not pay:
    the clip is short, or there is nothing to wipe. Raises AutoWipeError where clip or plan cannot be read.
    """
    assert job.plan is not None
    with open_clip(job.source) as clip:
        info = clip.info
    whole = job.range or info.whole
    plan = replace(read_plan(Path(job.plan), info, whole), range=whole)
    mattes = Mattes(
        plan.active(job.kinds), Path(job.plan).parent, info.layout, AreaMask(job.hold_outs, info, "hold-out")
    )
    count = min(most, int(len(whole) / (least_s * info.rate)))
    if count < 2 or not mattes.visible(whole):
        return ()
    ends = segment_ends(windows_of(plan, mattes, info), info.rate)
    cuts = {shot.start for shot in plan.shots}
    near = round(least_s * info.rate / 2)
    edges = [whole.start]
    for k in range(1, count):
        ideal = whole.start + len(whole) * k // count
        possible = sorted((end for end in ends if end > edges[-1]), key=lambda end: abs(end - ideal))
        close = [end for end in possible if abs(end - ideal) <= near and end in cuts]
        if possible:
            edges.append((close or possible)[0])
    return tuple(FrameRange(a, b) for a, b in zip(edges, [*edges[1:], whole.stop], strict=True))


def check(job: Job, ends: Sequence[int], whole: FrameRange) -> None:
    """Raises JobError where the job's part does not begin and end where segments do."""
    edges = {whole.start, *ends, whole.stop}
    if job.part and not {job.part.start, job.part.stop} <= edges:
        raise JobError(
            f"the part {job.part.start}:{job.part.stop} does not begin and end between segments",
            code="part",
            hint=f"Possible edges: {', '.join(str(edge) for edge in sorted(edges))}.",
        )


def take_up(job: Job, work: WorkFolder, fingerprint: str, version: str) -> None:
    """Moves what the runs of the job's parts left into the working folder of the whole."""
    if job.task == "perceive":
        _take_up_sections(job, work, fingerprint, version)
        return
    tallies, seen = [], []
    for part in job.join:
        folder = _left_by(job, part, fingerprint, version)
        if folder is None:
            continue  # its frames are wiped here
        tally = json_of(folder / "tally.json")
        if not tally or tally.get("next") != part.stop:
            continue
        tallies.append(tally["tally"])
        seen.append(tally["seen"])
        for name in (*VIDEOS, "stills"):
            _move(folder / name, work.path / name)
    if tallies and len(tallies) == len(job.join):
        looks = {name: [row for part in seen for row in part[name]] for name in seen[0]}
        work.write("tally.json", {"next": job.join[-1].stop, "tally": _sum(tallies), "seen": looks})


def _take_up_sections(job: Job, work: WorkFolder, fingerprint: str, version: str) -> None:
    for part in job.join:
        folder = _left_by(job, part, fingerprint, version)
        if folder is not None:
            _move(folder / "plan.maps", work.path / "plan.maps")
            for file in folder.glob("section-*.json"):
                os.replace(file, work.path / file.name)


def _left_by(job: Job, part: FrameRange, fingerprint: str, version: str) -> Path | None:
    """The folder that the run of a part left; None where it is not there, or of another job."""
    of_part = replace(job, part=part, join=())
    folder = folder_of(of_part)
    state = json_of(folder / "state.json")
    return folder if state and state.get("key") == key_of(of_part, fingerprint, version) else None


def remove(job: Job) -> None:
    """Deletes what the runs of the job's parts left, of this way to cut it and of others that nobody works on."""
    for part in job.join:
        shutil.rmtree(folder_of(replace(job, part=part, join=())), ignore_errors=True)
    whole = folder_of(replace(job, part=None, join=()))
    for folder in whole.parent.glob(glob.escape(whole.stem) + ".*-*.autowipe"):
        if PART.fullmatch(folder.name.removeprefix(whole.stem)) and _is_left(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    """Whether no run holds a working folder."""
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return False
    lock.release()
    return True


def _move(old: Path, new: Path) -> None:
    if not old.is_dir():
        return
    new.mkdir(parents=True, exist_ok=True)
    for file in sorted(old.iterdir(), key=lambda file: file.suffix == ".json"):  # an index after its packets
        os.replace(file, new / file.name)


def _sum(tallies: list[dict[str, Any]]) -> dict[str, Any]:
    """Tallies of different frames as one."""
    whole: Counter[str] = Counter()
    overlays: dict[str, Counter[str]] = {}
    for tally in tallies:
        whole.update(tally["whole"])
        for name, counts in tally["overlays"].items():
            overlays.setdefault(name, Counter()).update(counts)
    return {
        "changed_frames": sum(tally["changed_frames"] for tally in tallies),
        "whole": dict(whole),
        "overlays": {name: dict(counts) for name, counts in overlays.items()},
    }
