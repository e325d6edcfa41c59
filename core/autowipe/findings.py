"""What the second look sees in the frames that are written: warnings, confidences and figures come of it.

It looks at the composited samples, which the encoder gets: an encoder adds no overlay, and the file can be read only
once it is complete, which is after the report is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .areas import AreaMask
from .decode import Frame
from .plan import Overlay, Plan
from .planes import Layout
from .secondlook import Looker, Part, Sight, Verdict, look, read_again, spots, verdict
from .timing import timecode

LOOKS, SECONDS_A_LOOK = 12, 5  # at each overlay; in long clips one more for so many seconds
TEXT_LOOKS = 24  # the text detector costs as much as wiping a frame
TEXT_WIDTH = 640  # px of the whole picture, as it has when text is looked for in pass A
LEFT, BEYOND, TEXT = 0.15, 0.25, 0.35  # of an overlay, from which it is seen: good results have 0 to .05, 0, 0


class Findings:
    """Looks at some frames of every overlay as they are written. Its state can be kept with a run's as JSON."""

    def __init__(
        self,
        overlays: Sequence[Overlay],
        plan: Plan,
        folder: Path,
        layout: Layout,
        hold_outs: AreaMask,
        start: Any = None,
    ) -> None:
        """`overlays`: those to wipe, as `Plan.active` gives them; `folder`: where the plan's maps are."""
        self._rate, self._scale = plan.source.rate, layout.width / TEXT_WIDTH
        self._overlays = {overlay.id: overlay for overlay in overlays}
        self._looker = Looker(overlays, folder, layout, hold_outs)
        wanted = spots(overlays, LOOKS + int(len(plan.range) / plan.source.rate / SECONDS_A_LOOK))
        self._wanted = set(wanted)
        self._read = set(wanted[:: -(-len(wanted) // TEXT_LOOKS)]) if wanted else set()
        self._parts: list[Part] = []
        self._seen: dict[str, list[tuple[int, Sight]]] = {overlay.id: [] for overlay in overlays}
        for name, rows in (start or {}).items():
            self._seen[name] = [(int(row[0]), Sight(row[1], tuple(row[4:]), row[2], row[3])) for row in rows]

    def before(self, frame: Frame) -> None:
        """A frame as it came."""
        self._parts = self._looker.before(frame.index, frame.views) if frame.index in self._wanted else []

    def after(self, frame: Frame) -> None:
        """The same frame as it is written."""
        for part, after in zip(self._parts, self._looker.after(self._parts, frame.views), strict=True):
            sight = look(part, after)
            if self._overlays[part.overlay].kind == "subtitle" and frame.index in self._read:
                sight = replace(sight, text=read_again(part, after, self._scale))
            self._seen[part.overlay].append((frame.index, sight))
        self._parts = []

    def as_dict(self) -> dict[str, Any]:
        return {
            name: [[frame, s.left, s.contrast, s.text, *s.beyond] for frame, s in rows]
            for name, rows in self._seen.items()
        }

    def told(self, overlay: Overlay) -> Overlay:
        """The overlay with what was seen of it: its figures, and a confidence that is lower by them."""
        rows = self._seen.get(overlay.id)
        if not rows:
            return overlay
        seen = verdict([sight for _, sight in rows])
        figures: dict[str, float | str] = {"looks": float(len(rows)), "left": seen.left, "beyond its matte": seen.rim}
        if overlay.kind == "subtitle":
            figures["read again"] = seen.text
        return replace(
            overlay, confidence=min(overlay.confidence, seen.confidence), evidence={**overlay.evidence, **figures}
        )

    def warnings(self) -> list[str]:
        """A sentence for each overlay of which something was seen, and when."""
        return [text for name, rows in self._seen.items() if rows and (text := self._warning(name, rows))]

    def _warning(self, name: str, rows: list[tuple[int, Sight]]) -> str:
        seen = _what(verdict([sight for _, sight in rows]))
        if not seen:
            return ""
        frames = [frame for frame, sight in rows if _what(verdict([sight]))] or [frame for frame, _ in rows]
        first, last = (timecode(frame, self._rate) for frame in (min(frames), max(frames)))
        when = f"at {first}" if first == last else f"between {first} and {last}"
        return f"{name} is not gone {when}, in {len(frames)} of {len(rows)} frames that were looked at: {seen}"


def _what(seen: Verdict) -> str:
    """What is seen of an overlay, in words; empty where nothing is."""
    said = []
    if seen.left >= LEFT:
        said.append(f"{100 * seen.left:.0f} % of its edges are left")
    if seen.rim >= BEYOND:
        said.append(f"it reaches {max(1, seen.reach)} px or more beyond its matte")
    if seen.text >= TEXT:
        said.append("text is still found in its place")
    return ", ".join(said)
