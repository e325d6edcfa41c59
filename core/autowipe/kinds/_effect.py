"""One overlay that comes and goes: its appearances share a template; decides which these are, and what it covers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..job import Box
from ..maps import Unblend
from ..masks import connected, extent, grown
from ..planes import Layout
from ..timing import FrameRange
from . import _part
from ._appears import Appearance, Shift, Template, appearance, comes_along, is_own
from ._cover import (
    AROUND_PX,
    CALM,
    TRUSTED_MOVING,
    Look,
    LookSum,
    changes,
    find_cover,
    flat_changes,
    graphic_edges,
    moves,
    one_way,
    settle,
    sharpness,
    with_calm,
    with_disc,
    with_ringing,
)
from ._follow import wobbles
from ._plate import Plate, find_plate
from ._showing import REGISTER, Showing, cut_out, register
from ._travelling import Travelling
from ._turning import Turning

FAINTEST = 1.5  # levels a px of an edge of something drawn
ALIKE = 0.45  # correlation of the edges of two appearances from which they are of one overlay
PARTS, PART_ALIKE = 4, 0.3  # the same in each of so many parts along it: two words may share most of their letters
ALIKE_POWER = 4.0  # times the squared edges of one that the other's have there, at most, to show something as well
EVEN_WAY = 60.0  # analysis px that what is drawn goes straight on and evenly, filmed things to 20
OF_ITSELF = 0.35  # of the way from how much what is translucent changes to how much the scene does, to be of the former
FAR = 1.5  # times its size that something goes evenly, for the scene to change as much wherever it passes beneath
PASSES = 10.0  # levels by which what lies around what travels changes: the scene passes beneath
SHINES = 0.15  # share of its surroundings' change by which what shines through changes: opaque marks 0.02 to 0.1

Judge = Callable[[dict[str, float | str], bool], bool]  # by the evidence of a thing, and whether it travels


@dataclass
class Settled:
    """What was found out about one overlay."""

    box: Box  # of the template, source px, at the reference appearance
    matte: np.ndarray  # (H, W) float32
    part_mattes: dict[FrameRange, np.ndarray]  # (H, W) float32, for the frames that show but a part of it
    appearances: list[Appearance]
    evidence: dict[str, float | str]
    picture: np.ndarray  # (H, W, 3) uint8: luma and chroma, its mean look
    unblend: Unblend | None = None  # over `box`; None where it is opaque


class Effect:
    """Gathers the appearances of one overlay."""

    def __init__(
        self,
        showings: list[Showing],
        picture: Layout,
        scale: float,
        shots: tuple[FrameRange, ...],
        may_be_drawn: Judge = lambda *_: True,
        is_overlay: Callable[[Settled], bool] = lambda _: True,
    ) -> None:
        """`may_be_drawn`: told from the looks alone, then from when and where it is there as well; what may not be is
        not looked into any further; `is_overlay`: told from all but how it blends, which is not fitted of others."""
        self.showings, self._may_be_drawn, self._is_overlay = showings, may_be_drawn, is_overlay
        self._picture, self._scale, self._shots = picture, scale, shots
        self.first = min(showing.first for showing in showings)
        self.last = max(showing.last for showing in showings)
        self.held = 0  # bytes, of appearances that are over

    def add(self, frame: int, crop: list[np.ndarray], place: Box) -> None:
        for showing in self.showings:
            showing.add(frame, crop, place)
            if showing.last == frame + 1 < self.last:
                showing.shrink()
                self.held += showing.held

    def part(self) -> Effect:
        """Parts with the appearances that are over, so that they need not be held until the last is."""
        over = [showing for showing in self.showings if showing.is_over]
        self.showings = [showing for showing in self.showings if not showing.is_over]
        self.held = 0
        return Effect(over, self._picture, self._scale, self._shots, self._may_be_drawn, self._is_overlay)

    def settle(self) -> list[Settled]:
        """What the appearances show: one thing, or several that only looked alike at the size of the survey."""
        left = [
            (showing, showing.look()) for showing in self.showings if showing.count >= 2 and not showing.is_hopeless
        ]
        out = []
        while left:
            settled, left = self._settle(left)
            out += [settled] if settled else []
        return out

    def _settle(self, seen: list[tuple[Showing, Look]]) -> tuple[Settled | None, list[tuple[Showing, Look]]]:
        """The thing that the fullest appearance shows, and the appearances that do not show it."""
        main = int(np.argmax([look.count * showing.seeds.sum() for showing, look in seen]))
        ref, look = seen[main]
        seeds = ref.seeds
        lines = graphic_edges(look, seeds) & (look.edge > FAINTEST)
        plate = None if isinstance(ref, Travelling) else find_plate(look, lines)
        radius = round(REGISTER * self._scale) + 1
        alike, other = [], []
        for showing, its in seen:
            spot = register(look.slope, seeds, its.slope, radius)
            is_alike = spot[2] >= ALIKE and agree(look.slope, seeds, its.slope, spot[:2]) >= PART_ALIKE
            if showing is ref or (is_alike and (plate is None or plate.size(its.mean, spot[:2]) > 0)):
                alike.append((showing, its, spot[:2]))
            else:
                other.append((showing, its))
        return self._settle_one(ref, alike, plate), other

    def _settle_one(
        self, ref: Showing, alike: list[tuple[Showing, Look, Shift]], plate: Plate | None
    ) -> Settled | None:
        """What the appearances `alike` show; they share the template of `ref`, each shifted against it."""
        own_look = next(look for showing, look, _ in alike if showing is ref)
        look, seeds = own_look, ref.seeds
        if len(alike) > 1:
            total = LookSum(ref.layout)
            for showing, _, shift in alike:
                for crop in showing.kept:
                    total.add(_moved(crop, shift, self._picture))
            look = total.look()
        edges = graphic_edges(look, seeds)
        lines = edges & (look.edge > FAINTEST)
        if lines.sum() < 12:
            return None
        evidence = max(
            (self._evidence(its, showing.seeds) for showing, its, _ in alike),
            key=lambda e: min(float(e["edge lock"]), float(e["edge sharpness"])),
        )
        if isinstance(ref, Turning):
            back, off = ref.sway()
            evidence |= {"sways": float(wobbles(back, off)), "turns back": float(back)}
            evidence["keeps its picture"] = float(ref.sighting.is_exact)
            evidence |= {"off its way, px": off} if np.isfinite(off) else {}
        elif isinstance(ref, Travelling):
            evidence |= dict(zip(("goes evenly, px", "on its way, share"), ref.pace(), strict=True))
        if not self._may_be_drawn(evidence, isinstance(ref, Travelling)):
            return None
        template = Template.shrunk(look.slope, lines, ref.views.shape)
        near = grown(lines, 3)
        cuts = {shot.start for shot in self._shots}
        appearances = [appearance(showing, shift, template, near, plate, cuts) for showing, _, shift in alike]
        evidence["uneven frames"] = float(max(a.uneven for a in appearances))
        evidence |= {"appearances": float(len(alike)), "pops": max(max(a.came, a.went) for a in appearances)}
        if isinstance(ref, Travelling):
            evidence["few corners"] = float(ref.sighting.is_plain)
            evidence["travels, px"] = float(np.hypot(*np.ptp(list(appearances[0].corners.values()), axis=0)))
            if ref.sighting.poses is not None:
                evidence["turns, degrees"] = float(np.ptp(list(appearances[0].turns.values())))
        if not self._may_be_drawn(evidence, isinstance(ref, Travelling)):
            return None
        reach = max(3, round(0.012 * self._picture.width))
        lines, covered = find_cover(look, edges, reach, self._scale)
        covered &= lines | ~moves(look, edges, reach, self._scale)
        own, is_all = is_own(near, appearances)
        lines = lines & own
        covered = covered & own
        if is_all:
            covered |= connected(own, lines)
        rows, columns = (slice(ref.room, size - ref.room) for size in covered.shape)
        inner = np.zeros_like(covered)
        inner[rows, columns] = True  # further out there may be a plate, all else is the scene
        covered &= inner
        if isinstance(ref, Travelling) and covered.any():
            itself, beyond = changes(look, covered, self._scale)
            goes_evenly = float(evidence.get("goes evenly, px", 0)) >= EVEN_WAY
            if goes_evenly and beyond < PASSES:
                covered = with_disc(look, covered)
                itself, beyond = changes(look, covered, self._scale)
            evidence |= {"changes itself, levels": itself, "changes beyond it, levels": beyond}
            evidence["size, px"] = float(max(extent(covered)[2:]))
            if isinstance(ref, Turning):
                evidence["changes where flat, levels"] = flat_changes(look, covered)
            goes_far = float(evidence.get("goes evenly, px", 0)) * self._scale >= FAR * max(extent(covered)[2:])
            if goes_evenly and goes_far and CALM * beyond < itself < beyond:
                most = itself + OF_ITSELF * (beyond - itself)
                covered = with_calm(look, covered, most, reach)
            elif beyond >= PASSES:
                covered = with_calm(look, covered, CALM * beyond)
        if plate is not None and comes_along(plate.covered, appearances):
            covered |= plate.covered
        picture = np.clip(own_look.mean, 0, 255).astype(np.uint8)
        settled = Settled(ref.box, with_ringing(covered), {}, appearances, evidence, picture)
        if (
            covered.any()
            and not covered.all()
            and _shines_through(look, covered, self._scale)
            and self._is_overlay(settled)  # to fit how it blends takes seconds
        ):
            crops = [_moved(crop, shift, self._picture) for showing, _, shift in alike for crop in showing.kept]
            fit = settle(lines, covered, crops, self._picture, ref.box, trusted=TRUSTED_MOVING)
            covered, settled.unblend, figures = fit
            evidence |= figures
            settled.matte = with_ringing(covered)
        parts = (part for a in appearances for part in a.parts)
        settled.part_mattes = {part.range: with_ringing(_part.cover(covered, part)) for part in parts}
        return settled

    def _evidence(self, look: Look, seeds: np.ndarray) -> dict[str, float | str]:
        """What speaks for something drawn, from one appearance."""
        lines = graphic_edges(look, seeds) & (look.edge > FAINTEST)
        if lines.sum() < 12:
            names = ("edge pixels", "edge lock", "edge sharpness", "changes around, levels")
            return {**dict.fromkeys(names, 0.0), "one direction": 1.0}
        return {
            "edge pixels": float(lines.sum() / self._scale**2),
            "edge lock": float(np.median(look.lock[lines])),
            "edge sharpness": sharpness(look, lines),
            "one direction": one_way(look.slope[:, lines]),
            "changes around, levels": _spread_around(look, lines, self._scale),
        }


def agree(slope: np.ndarray, lines: np.ndarray, other: np.ndarray, shift: Shift) -> float:
    """The correlation of two gradient fields (2, H, W) in the part of the lines in which they differ most.

    lines: (H, W) bool, where `slope` counts; `other` shows the same `shift` px further on, if it shows it there.
    """
    moved = np.stack([cut_out(part, *shift, part.shape[::-1]) for part in other])
    ys, xs = np.nonzero(lines)
    along = xs if np.ptp(xs) >= np.ptp(ys) else ys
    least = 1.0
    for part in np.array_split(np.argsort(along), PARTS):
        one, two = slope[:, ys[part], xs[part]], moved[:, ys[part], xs[part]]
        own, its = float((one**2).sum()), float((two**2).sum())
        if own / ALIKE_POWER <= its <= own * ALIKE_POWER:  # else it is away there, before more or less of the scene
            least = min(least, float((one * two).sum()) / np.sqrt(max(1e-6, own * its)))
    return least


def _shines_through(look: Look, covered: np.ndarray, scale: float) -> bool:
    """Whether the scene that changes around what is covered (H, W) changes it as well."""
    itself, beyond = changes(look, covered, scale)
    return beyond >= PASSES and itself > SHINES * beyond


def _spread_around(look: Look, lines: np.ndarray, scale: float) -> float:
    """How much the picture close around the lines (H, W) changes, levels: next to nothing where they are printed."""
    near, far = (grown(lines, round(px * scale)) for px in AROUND_PX)
    return float(np.median(look.spread[far & ~near])) if (far & ~near).any() else 0.0


def _moved(crop: list[np.ndarray], shift: tuple[float, float], layout: Layout) -> list[np.ndarray]:
    """A crop in which the overlay is `shift` px further on, brought back to where the template has it."""
    if shift == (0, 0):
        return crop
    return [
        cut_out(part, shift[0] / (1 << plane.shift_x), shift[1] / (1 << plane.shift_y), part.shape[::-1])
        for part, plane in zip(crop, layout.colour, strict=True)
    ]
