"""Plans as files: read with a check that they fit the clip, written under the user's name with their maps."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import ledger
from .decode import ClipInfo
from .errors import JobError, said
from .plan import Event, Overlay, Plan
from .timing import FrameRange


def read_plan(path: Path, info: ClipInfo, whole: FrameRange) -> Plan:
    """Reads a plan for the frames `whole` of a clip. Raises JobError when it is wrong or was made for another clip."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise JobError(f"the plan {path} cannot be read: {said(err)}", code="plan", hint="Check the path.") from err
    plan = Plan.from_json(text, str(path))
    _check_fits(plan, info, whole)
    return plan


def write_plan(plan: Plan, folder: Path, path: Path) -> None:
    """Writes a plan whose maps are in `folder` under the user's name, the maps in `NAME.maps` beside it."""
    maps = path.with_suffix(".maps").name
    names = {name for o in plan.overlays for e in _entries(o) for name in (e.matte, e.unblend) if name}
    for name in names:
        target = path.parent / maps / Path(name).name
        if (folder / name).resolve() != target.resolve():
            target.parent.mkdir(parents=True, exist_ok=True)
            with ledger.appearing(target) as part:
                shutil.copyfile(folder / name, part)

    def moved(entry: Any) -> Any:
        return replace(
            entry,
            matte=entry.matte and f"{maps}/{Path(entry.matte).name}",
            unblend=entry.unblend and f"{maps}/{Path(entry.unblend).name}",
        )

    overlays = tuple(replace(moved(o), events=tuple(moved(e) for e in o.events)) for o in plan.overlays)
    with ledger.appearing(path) as part:
        part.write_text(replace(plan, overlays=overlays).to_json(), "utf-8")


def maps_digest(plan: Plan, folder: Path) -> str:
    """SHA-256 of what the plan's map files hold, so that a resumed run notices an edited matte."""
    digest = hashlib.sha256()
    for overlay in plan.overlays:
        for entry in _entries(overlay):
            for name in (entry.matte, entry.unblend):
                file = folder / name if name else None
                if file and file.is_file():
                    digest.update(file.read_bytes())
    return digest.hexdigest()


def _entries(overlay: Overlay) -> list[Overlay | Event]:
    """Everything in an overlay that may name map files."""
    return [overlay, *overlay.events]


def _check_fits(plan: Plan, info: ClipInfo, whole: FrameRange) -> None:
    size = (info.layout.width, info.layout.height)
    if plan.source.size != size or plan.source.frames != info.frames:
        raise JobError(
            f"the plan was made for {plan.source.path}, {plan.source.size[0]}x{plan.source.size[1]} px and "
            f"{plan.source.frames} frames; this clip has {size[0]}x{size[1]} px and {info.frames} frames",
            code="plan",
            hint="Make a plan for this clip: autowipe perceive SOURCE -o PLAN.json.",
        )
    if whole.start < plan.range.start or whole.stop > plan.range.stop:
        raise JobError(
            f"the plan covers frames {plan.range.start}:{plan.range.stop}, the job asks for {whole.start}:{whole.stop}",
            code="plan",
            hint="Narrow the range, or make the plan anew for it.",
        )
