"""The page and the figures of a batch: what was asked, what became of every clip, with links to the clips' reports."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .. import __version__, ledger
from ..sidefiles import write_text
from ..timing import timecode
from .request import Request

if TYPE_CHECKING:
    from .run import Outcome, Row

PAGE, FIGURES = "batch.html", "batch.json"  # in the output folder
WORDS = {
    "done": "done",
    "planned": "plan written",
    "failed": "failed",
    "waiting": "not done yet",
    "running": "stopped in mid-run",
}


def write_summary(request: Request, outcome: Outcome) -> str:
    """Writes both files into the output folder, and gives the page's path."""
    folder = Path(request.output)
    page, figures = folder / PAGE, folder / FIGURES
    ledger.check_free([str(page), str(figures)], overwrite=bool(request.options.get("overwrite")))
    write_text(figures, json.dumps(_figures(outcome), indent=1, ensure_ascii=False) + "\n")
    write_text(page, _page(folder, outcome))
    return str(page)


def headline(outcome: Outcome) -> str:
    """One sentence about a batch."""
    done, planned, failed = outcome.count("done"), outcome.count("planned"), outcome.count("failed")
    missing = len({lost.media for lost in outcome.lost if lost.code == "missing"})
    broken = len({lost.media for lost in outcome.lost if lost.code != "missing"})
    parts = [f"{done} of {len(outcome.rows)} clips are clean"] if not planned else [f"{planned} plans are written"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{missing} {'is' if missing == 1 else 'are'} missing"] if missing else []
    parts += [f"{broken} cannot be used"] if broken else []
    return ", ".join(parts) + "."


def _figures(outcome: Outcome) -> dict[str, Any]:
    return {
        "autowipe_batch": 1,
        "engine": __version__,
        "text": headline(outcome),
        "timelines": list(outcome.timelines),
        "unwritten": [{"timeline": path, "why": why} for path, why in outcome.unwritten],
        "clips": [_clip(row) for row in outcome.rows],
        "lost": [dict(lost.__dict__) for lost in outcome.lost],
    }


def _clip(row: Row) -> dict[str, Any]:
    item, state = row.item, row.state
    return {
        "id": item.id,
        "source": item.medium.path,
        "range": item.range.as_list(),
        "uses": item.uses,
        "output": item.output,
        "state": state.state,
        "attempts": state.attempts,
        "seconds": round(state.seconds, 1),
        "where": state.where,
        "files": state.files,
        "result": state.result,
        "error": state.error,
    }


def _page(folder: Path, outcome: Outcome) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__.rpartition(".")[0], "templates"), autoescape=True, trim_blocks=True
    )
    order = ["failed", "running", "waiting", "planned", "done"]
    rows = sorted(outcome.rows, key=lambda row: (order.index(row.state.state), row.item.name))
    return environment.get_template("batch.html.j2").render(
        headline=headline(outcome),
        facts=_facts(outcome),
        timelines=[(_link(folder, path), Path(path).name) for path in outcome.timelines],
        unwritten=outcome.unwritten,
        lost=outcome.lost,
        rows=[_shown(folder, row) for row in rows],
        version=__version__,
    )


def _facts(outcome: Outcome) -> list[str]:
    frames = sum(len(row.item.range) for row in outcome.rows if row.state.state == "done")
    seconds = sum(row.state.seconds for row in outcome.rows)
    changed = sum((row.state.result or {}).get("changed_frames", 0) for row in outcome.rows)
    return [f"{frames} frames clean", f"{changed} of them changed", f"{seconds / 60:.1f} minutes of engine time"]


def _shown(folder: Path, row: Row) -> dict[str, Any]:
    item, state = row.item, row.state
    medium = item.medium
    result, error = state.result or {}, state.error or {}
    text = error.get("text", "") if state.state == "failed" else result.get("text", "")
    return {
        "name": item.name,
        "output": _link(folder, item.output) if state.state == "done" else "",
        "report": _link(folder, row.report),
        "plan": _link(folder, row.plan),
        "source": medium.path,
        "frames": f"{item.range.start} to {item.range.stop - 1}",
        "timecode": timecode(medium.first + item.range.start, medium.rate) if medium.timecode else "",
        "state": state.state,
        "word": WORDS[state.state],
        "text": text,
        "hint": error.get("hint", "") if state.state == "failed" else "",
        "uses": item.uses,
        "minutes": f"{state.seconds / 60:.1f}",
        "attempts": state.attempts,
    }


def _link(folder: Path, path: str) -> str:
    """A relative link, empty where the file is not there."""
    return quote(os.path.relpath(path, folder).replace(os.sep, "/")) if os.path.exists(path) else ""
