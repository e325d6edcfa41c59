"""The trial: a few frames of every overlay are wiped and looked at, and what the plan has wrong there is put right.

It is the end of pass A, so that every run of the plan has the mended one and the file is written once. Of each mend the
same frames are wiped with it and without; it is taken where the second look sees less of the overlay with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from .areas import AreaMask
from .banners import backed
from .composite import composite
from .decode import Clip, Frame
from .ends import lengthened
from .matte import Mattes
from .mends import LEFT, RIM, Mends, View, verdict_of
from .plan import Overlay, Plan
from .secondlook import CHANCE, Looker, Verdict, spots
from .timing import FrameRange, Window
from .windows import plates_of

LOOKS = 3  # at an overlay, where the clip is long enough
FRAMES_A_LOOK = 30  # of the plan's range: looks cost at most some percent of a wipe
FITS = 5  # other frames of an overlay of which something is left, by which its maps are mended
TURNS = 2  # the effect that is measured by changes with each mend
BETTER = 0.9  # of what was left without a mend: at most so much, for it to be taken


def settled(plan: Plan, folder: Path, maps: str, clip: Clip) -> Plan:
    """The plan with its mends and the banners behind its texts, and with confidences that say what was seen.

    `folder`: where the plan's maps are, and the mended ones go, under names that begin with `maps`.
    """
    plan = backed(lengthened(plan, folder, clip), folder, maps, clip)
    overlays = plan.active()
    every = spots(overlays, LOOKS)
    most = max(2, len(plan.range) // FRAMES_A_LOOK)
    trial = _Trial([every[len(every) * k // most] for k in range(most)] if len(every) > most else every, folder, clip)
    seen = trial.views(overlays, overlays, wipes=False)
    mends = Mends(folder, maps, clip.info.layout)
    ways = ((mends.wider, lambda v: v.rim >= RIM and v.reach), (mends.refitted, _is_left), (mends.doubted, _is_left))
    for number, (mend, needs) in enumerate(ways):
        for turn in range(TURNS):
            needy = [o for o in overlays if o.id in seen and needs(verdict_of(seen[o.id]))]
            if not needy:
                break
            # Fitted to some frames and judged by others: the scene's edges would else be taken for the overlay's.
            fits = _Trial([frame for frame in spots(needy, FITS) if frame not in trial.frames], folder, clip)
            basis = fits.views(overlays, needy, wipes=True)
            mended = {o.id: mend(o, basis.get(o.id, seen[o.id]), f"mended{number}{turn}") for o in needy}
            taken = trial.better(overlays, {name: new for name, new in mended.items() if new}, seen)
            if not taken:
                break
            overlays = tuple(taken.get(o.id, o) for o in overlays)
    told = {o.id: _told(o, seen[o.id]) if o.id in seen else o for o in overlays}
    return replace(plan, overlays=tuple(told.get(overlay.id, overlay) for overlay in plan.overlays))


class _Trial:
    """Some frames, wiped and looked at anew for each variant of the plan."""

    def __init__(self, frames: list[int], folder: Path, clip: Clip) -> None:
        self.frames = frames
        self._folder, self._clip = folder, clip
        self._free = AreaMask((), clip.info, "hold-out")

    def views(self, wiped: Sequence[Overlay], judged: Sequence[Overlay], *, wipes: bool) -> dict[str, list[View]]:
        """What is seen of `judged` in frames out of which `wiped` were taken; without `wipes` only translucent ones."""
        layout = self._clip.info.layout
        mattes = Mattes(tuple(wiped), self._folder, layout, self._free)
        looker = Looker(judged, self._folder, layout, self._free)
        seen: dict[str, list[View]] = {}
        for frame in self._clip.picked(self.frames):
            only = FrameRange(frame.index, frame.index + 1)
            parts = looker.before(frame.index, frame.views)
            if wipes or any(part.maps is not None for part in parts):
                # Un-blended and spread over: what is borrowed or invented is not the overlay's.
                (plates,) = plates_of([Window(only, only)], mattes, _Decoded(self._clip, frame), "draft", ("unblend",))
                for plate in plates:
                    composite(frame.views, layout, plate)
            for part, after in zip(parts, looker.after(parts, frame.views), strict=True):
                is_seen = wipes or part.maps is not None
                seen.setdefault(part.overlay, []).append((part, after if is_seen else None))
        return seen

    def better(
        self, overlays: tuple[Overlay, ...], mended: dict[str, Overlay], seen: dict[str, list[View]]
    ) -> dict[str, Overlay]:
        """Those of the mended overlays that look better; what is now seen of them goes to `seen`."""
        if not mended:
            return {}
        tried = tuple(mended.get(overlay.id, overlay) for overlay in overlays)
        # Both by the mended template: else a mend that moves it would seem to help.
        old, new = (self.views(wiped, tried, wipes=True) for wiped in (overlays, tried))
        taken = {name: o for name, o in mended.items() if _is_better(*(v[name] for v in (seen, old, new)))}
        seen |= {name: new[name] for name in taken}
        return taken


class _Decoded(Clip):
    """A frame that was decoded already, as the clip that it is of."""

    def __init__(self, clip: Clip, frame: Frame) -> None:
        self.info, self._only = clip.info, frame

    def frames(self, source_range: FrameRange | None = None) -> Iterator[Frame]:
        return iter([self._only])


def _is_better(was: Sequence[View], old: Sequence[View], new: Sequence[View]) -> bool:
    """Whether a mend is to be taken. `was`: by the old template; `old`, `new`: without and with it, by the new one."""
    before, without, with_it = (verdict_of(views) for views in (was, old, new))
    if before.rim >= RIM:
        return with_it.rim <= before.rim / 2 and with_it.left <= max(without.left, CHANCE)
    return with_it.left <= BETTER * without.left


def _is_left(seen: Verdict) -> bool:
    return seen.left >= LEFT


def _told(overlay: Overlay, views: Sequence[View]) -> Overlay:
    """The overlay with what the trial saw of it."""
    seen = verdict_of(views)
    return replace(
        overlay,
        confidence=min(overlay.confidence, seen.confidence),
        evidence={**overlay.evidence, "left in a trial": seen.left, "beyond its matte": seen.rim},
    )
