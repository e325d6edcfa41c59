"""The trial: a few frames of every overlay are wiped and looked at, and what the plan has wrong there is put right.

It is the end of pass A, so that every run of the plan has the mended one and the file is written once. Of each mend the
same frames are wiped with it and without; it is taken where the second look sees less of the overlay with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from .areas import AreaMask
from .composite import composite
from .decode import Clip, Frame
from .ends import lengthened
from .matte import Mattes
from .mends import LEFT, Mends, View
from .plan import Overlay, Plan
from .secondlook import Looker, look, spots, verdict
from .timing import FrameRange, Window
from .windows import plates_of

LOOKS = 3  # at an overlay, where the clip is long enough
FRAMES_A_LOOK = 30  # of the plan's range: looks cost at most some percent of a wipe
BETTER = 0.7  # of what was left without a mend: at most so much, for it to be taken


def settled(plan: Plan, folder: Path, maps: str, clip: Clip) -> Plan:
    """The plan with its mends, and with confidences that say what was seen.

    `folder`: where the plan's maps are, and the mended ones go, under names that begin with `maps`.
    """
    plan = lengthened(plan, folder, clip)
    trial = _Trial(plan, folder, clip)
    overlays = plan.active()
    seen = trial.views(overlays, overlays, wipes=False)
    mends = Mends(folder, maps, clip.info.layout)
    for mend in (mends.wider, mends.refitted, mends.doubted):
        mended = {o.id: mend(o, seen[o.id]) for o in overlays if o.id in seen}
        tried = tuple(mended.get(o.id) or o for o in overlays)
        if tried == overlays:
            continue
        # Both by the mended template: else a mend that moves it would seem to help.
        old, new = (trial.views(wiped, tried, wipes=True) for wiped in (overlays, tried))
        taken = {o.id for o in overlays if mended.get(o.id) and _is_better(old[o.id], new[o.id])}
        overlays = tuple(m if m.id in taken else o for o, m in zip(overlays, tried, strict=True))
        seen |= {name: new[name] for name in taken}
    told = {o.id: _told(o, seen[o.id]) if o.id in seen else o for o in overlays}
    return replace(plan, overlays=tuple(told.get(overlay.id, overlay) for overlay in plan.overlays))


class _Trial:
    """The frames of a trial, wiped and looked at anew for each variant of the plan."""

    def __init__(self, plan: Plan, folder: Path, clip: Clip) -> None:
        self._folder, self._clip = folder, clip
        self._free = AreaMask((), clip.info, "hold-out")
        every = spots(plan.active(), LOOKS)
        most = max(2, len(plan.range) // FRAMES_A_LOOK)
        self._frames = [every[len(every) * k // most] for k in range(most)] if len(every) > most else every

    def views(self, wiped: Sequence[Overlay], judged: Sequence[Overlay], *, wipes: bool) -> dict[str, list[View]]:
        """What is seen of `judged` in frames out of which `wiped` were taken; without `wipes` only translucent ones."""
        layout = self._clip.info.layout
        mattes = Mattes(tuple(wiped), self._folder, layout, self._free)
        looker = Looker(judged, self._folder, layout, self._free)
        seen: dict[str, list[View]] = {}
        for number in self._frames:
            only = FrameRange(number, number + 1)
            (frame,) = self._clip.frames(only)
            parts = looker.before(number, frame.views)
            if wipes or any(part.maps is not None for part in parts):
                # Un-blended and spread over: what is borrowed or invented is not the overlay's.
                (plates,) = plates_of([Window(only, only)], mattes, _Decoded(self._clip, frame), "draft", ("unblend",))
                for plate in plates:
                    composite(frame.views, layout, plate)
            for part, after in zip(parts, looker.after(parts, frame.views), strict=True):
                is_seen = wipes or part.maps is not None
                seen.setdefault(part.overlay, []).append((part, after if is_seen else None))
        return seen


class _Decoded(Clip):
    """A frame that was decoded already, as the clip that it is of."""

    def __init__(self, clip: Clip, frame: Frame) -> None:
        self.info, self._only = clip.info, frame

    def frames(self, source_range: FrameRange | None = None) -> Iterator[Frame]:
        return iter([self._only])


def _is_better(old: Sequence[View], new: Sequence[View]) -> bool:
    before, after = (verdict([look(*view) for view in views]) for views in (old, new))
    return before.left >= LEFT and after.left <= BETTER * before.left


def _told(overlay: Overlay, views: Sequence[View]) -> Overlay:
    """The overlay with what the trial saw of it."""
    seen = verdict([look(*view) for view in views])
    return replace(
        overlay,
        confidence=overlay.confidence * (1 - max(seen.left, seen.rim)),
        evidence={**overlay.evidence, "left in a trial": seen.left, "beyond its matte": seen.rim},
    )
