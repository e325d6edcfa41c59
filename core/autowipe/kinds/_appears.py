"""One appearance of an overlay: when it begins and ends, by its template, and what changed as it came and went."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from ..masks import connected, disc, extent, grown
from ..timing import FrameRange
from . import _part
from ._plate import Plate
from ._showing import Showing, register, slopes
from ._travelling import Travelling

SEEN, SEEN_SMALL = 0.3, 0.4  # correlation of a frame's edges with the template from which it is there; at another size
LIKELY = 0.8  # the same, from which it is there as usual
FADES = 0.5  # the same, of a symbol whose plate is not seen, from which both fade
SEEN_STRONG = 0.1  # of its usual strength, at another size: what grows in has 0.17 and up, faint texture 0.03 to 0.08
GONE = 2  # frames in a row without it, after and before which it is not looked for
TRACE = 0.15  # the same next to a frame in which it fades
FULL = 0.92  # of its usual strength
SCALES = tuple(float(f) for f in 1.07 ** np.arange(-16, 5))  # at which it is looked for as it grows in or leaves
GROWTH = 1.9  # times by which it may grow from one frame to the next
CHANGED = 8  # levels by which what is covered changes as it comes or goes
MUCH, CASTS = 0.3, 0.15  # of its strokes' change, that is surely its own; of its height, that its shadow reaches
ITS_OWN = 0.25  # share of it that is found in the frame without it, from which that shows its next appearance
END_PARTS = 4  # along it, across and down
THERE, AWAY = 0.7, 0.25  # of the usual strength, of two of them: one is there, the other is not
SMALLEST = 0.12  # scale below which nothing is left of it

Shift = tuple[float, float]  # px by which an appearance is further on in its crops than the reference is in its own


@dataclass
class Moment:
    """How much of an overlay one frame shows."""

    frame: int
    likeness: float  # correlation of its edges with the template's
    strength: float  # 1 = as usual
    scale: float


@dataclass
class Appearance:
    """When one appearance is there, and where."""

    range: FrameRange
    fade_in: int
    fade_out: int
    corners: dict[int, tuple[float, float]]  # frame: source px of the template's top left
    scales: dict[int, float] = field(default_factory=dict)  # frame: size, where it is not 1
    turns: dict[int, float] = field(default_factory=dict)  # frame: degrees clockwise, where it is not 0
    came: float = 0.0  # how clearly it popped up, see `_pop`; 0 where that was not seen
    went: float = 0.0
    changes: list[np.ndarray] = field(default_factory=list)  # (H, W) uint8: of any channel as it came and went
    scenes: list[np.ndarray] = field(default_factory=list)  # (H, W) bool: what shows without it too, moved or not
    parts: list[_part.Part] = field(default_factory=list)  # frames of it that do not show all of it
    uneven: int = 0  # frames at its ends that show one part of it as usual, and another one not at all

    @property
    def full(self) -> FrameRange:
        """The frames that show all of it, faded or not."""
        start = max([self.range.start, *(p.range.stop for p in self.parts if p.range.start == self.range.start)])
        stop = min([self.range.stop, *(p.range.start for p in self.parts if p.range.stop == self.range.stop)])
        return FrameRange(start, stop)


@dataclass
class Template:
    """The edges of an overlay in one place and size."""

    slope: np.ndarray  # (2, H, W) float32 levels a px
    lines: np.ndarray  # (H, W) bool

    def __post_init__(self) -> None:
        self._sizes: dict[tuple, tuple[np.ndarray, np.ndarray]] = {}
        self._ends: dict[tuple, list[list[np.ndarray]]] = {}  # its lines down and across, in END_PARTS parts each

    @classmethod
    def shrunk(cls, slope: np.ndarray, lines: np.ndarray, shape: tuple[int, int]) -> Template:
        """The template at the size that the frames are looked at in."""
        if lines.shape == shape:
            return cls(slope, lines)
        size = shape[::-1]
        fields = [cv2.resize(part, size, interpolation=cv2.INTER_AREA) * (lines.shape[1] / size[0]) for part in slope]
        return cls(np.stack(fields), cv2.resize(lines.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.25)

    def moment(self, frame: int, luma: np.ndarray, shift: tuple[float, float], near: float, slack: int = 1) -> Moment:
        """How a frame shows it.

        `luma`: (H, W) uint8; `near`: its scale in the frame beside; `slack`: px by which its place may be wrong.
        """
        g = slopes(luma)
        slope, lines = self._at(near, shift)
        likeness, strength = register(slope, lines, g, slack)[2:]
        best = Moment(frame, likeness, strength, near)
        if likeness > LIKELY:
            return best
        for scale in SCALES:
            if near / GROWTH <= scale <= near * GROWTH:
                slope, lines = self._at(scale, shift)
                likeness, strength = register(slope, lines, g, 2)[2:]
                if likeness > best.likeness + 0.05:
                    best = Moment(frame, likeness, strength * min(scale, 1.0), scale)
        return best

    def is_uneven(self, luma: np.ndarray, shift: tuple[float, float], usual: float) -> bool:
        """Whether one part of it is there in a frame (H, W) uint8, and another is not at all; `usual`: its strength."""
        slope, lines = self._at(1.0, shift)
        own, seen = slope[:, lines], slopes(luma)[:, lines]
        both, power = (own * seen).sum(0), (own**2).sum(0)
        if shift not in self._ends:
            self._ends[shift] = [
                np.array_split(np.argsort(places, kind="stable"), END_PARTS) for places in np.nonzero(lines)
            ]
        for parts in self._ends[shift]:
            shares = [float(both[part].sum() / max(1e-6, power[part].sum())) for part in parts]
            if max(shares) >= THERE * usual and min(shares) <= AWAY * usual:
                return True
        return False

    def _at(self, scale: float, shift: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        key = (scale, shift)
        if key not in self._sizes:
            h, w = self.lines.shape
            move = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), 0, scale)
            move[:, 2] += shift
            slope = np.stack([cv2.warpAffine(part, move, (w, h), flags=cv2.INTER_LINEAR) for part in self.slope])
            lines = cv2.warpAffine(self.lines.astype(np.float32), move, (w, h)) > 0.4
            self._sizes[key] = (slope, lines)
        return self._sizes[key]


def appearance(
    showing: Showing,
    shift: Shift,
    template: Template,
    near: np.ndarray,
    plate: Plate | None,
    cuts: set[int],
) -> Appearance:
    """When and where a showing shows the template, which lies `near`, and what changed as it came and went.

    `shift`: against the reference; `cuts`: the first frames of shots.
    """
    views = showing.views
    lumas = views.lumas
    all_of_it = near if plate is None else near | plate.covered
    core = range(showing.start, showing.stop)
    by = (shift[0] / views.step, shift[1] / views.step)

    def seen(t: int, near: float, slack: int = 1) -> Moment:
        moment = template.moment(t, lumas[t], by, near, slack)
        if plate is None or moment.likeness > LIKELY:
            return moment
        return _by_plate(moment, plate.size(views.picture(t), by))

    moments = {t: seen(t, 1.0) for t in lumas if t in core}
    for frames, inner in (
        (sorted((t for t in lumas if t < core.start), reverse=True), core.start),
        (sorted(t for t in lumas if t >= core.stop), core.stop - 1),
    ):
        last, absent = moments[inner].scale if inner in moments else 1.0, 0
        for t in frames:
            moments[t] = seen(t, last, showing.slack)
            last, absent = (moments[t].scale, 0) if is_there(moments[t]) else (last, absent + 1)
            if absent == GONE:
                break
    found = judge(showing, shift, moments)
    if isinstance(showing, Travelling):
        return found
    if all(abs(scale - 1) < 0.05 for scale in found.scales.values()):
        _add_parts(found, template, lumas, showing, shift, by)
        ends = set(found.full) - set(range(found.full.start + found.fade_in, found.full.stop - found.fade_out))
        full = [moment.strength for t, moment in moments.items() if t in found.full and t not in ends]
        usual = float(np.median(full)) if full else 1.0
        found.uneven = sum(template.is_uneven(lumas[t], by, usual) for t in ends if t in lumas)
    start, stop = found.full.start, found.full.stop
    for name, outer, inner in (
        ("came", found.range.start - 1, start + found.fade_in),
        ("went", found.range.stop, stop - 1 - found.fade_out),
    ):
        is_cut = any(min(outer, inner) < cut <= max(outer, inner) + 1 for cut in cuts)
        if outer in lumas and inner in lumas and not is_cut:
            change = views.change(outer, inner, near.shape)
            move = np.array([[1, 0, -shift[0]], [0, 1, -shift[1]]], np.float32)
            found.changes.append(cv2.warpAffine(change, move, change.shape[::-1]))
            setattr(found, name, max(_pop(change, near), _pop(found.changes[-1], all_of_it)))
            if not _is_calm(found.changes[-1], near):  # else nothing moved
                scene = views.common(inner, outer, near.shape).astype(np.uint8)
                scene = cv2.warpAffine(scene, move, scene.shape[::-1], flags=cv2.INTER_NEAREST) > 0
                if scene[near].mean() < ITS_OWN:
                    found.scenes.append(scene)
    return found


def judge(showing: Showing, shift: tuple[float, float], moments: dict[int, Moment]) -> Appearance:
    """One decision on when an appearance begins and ends, from the moments around its ends."""
    core = range(showing.start, showing.stop)
    usual = [m.strength for t, m in moments.items() if t in core and is_there(m)]
    full = FULL * float(np.median(usual)) if usual else FULL
    scales = {t: m.scale for t, m in moments.items() if t in core and is_there(m)}
    ends = []
    for way, inner, outmost in ((-1, core.start, core.stop - 1), (1, core.stop - 1, core.start)):
        edge = inner
        while edge in moments and not is_there(moments[edge]) and edge != outmost:
            edge -= way  # the survey may have taken in a frame too many
        t = edge + way
        while t in moments and (is_there(moments[t]) or (t + way in moments and is_there(moments[t + way]))):
            edge = t
            scales[t] = moments[t].scale
            t += way
        fade, t = 0, edge
        while t in moments and t != outmost and (moments[t].strength < full or abs(moments[t].scale - 1) > 0.05):
            fade, t = fade + 1, t - way
        grown = _go_on(scales, edge, way)
        if not grown and fade and edge + way in moments and moments[edge + way].likeness > TRACE:
            grown = {edge + way: scales.get(edge, 1.0)}
        scales |= grown
        ends.append((edge + way * len(grown), fade + len(grown)))
    (start, fade_in), (last, fade_out) = ends
    whole = FrameRange(max(0, start), max(last, start) + 1)
    fade_in = min(fade_in, len(whole))
    fade_out = min(fade_out, len(whole) - fade_in)
    corners = {t: (x + shift[0], y + shift[1]) for t in whole for x, y in [showing.corner(t)]}
    poses = {t: showing.pose(t) for t in whole} if showing.sighting.poses is not None else {}
    scales |= {t: scales.get(t, 1.0) * size for t, (size, _) in poses.items()}
    return Appearance(whole, fade_in, fade_out, corners, scales, {t: turn for t, (_, turn) in poses.items()})


def _add_parts(
    found: Appearance, template: Template, lumas: dict[int, np.ndarray], showing: Showing, shift: Shift, by: Shift
) -> None:
    """Takes in the frames at its ends that show only a part of it; `by`: the shift in px of the template."""
    found.parts = _part.at_ends(template.slope, template.lines, lumas, by, found.range)
    for part in found.parts:
        if part.range.start <= found.range.start:
            found.fade_in = 0
        else:
            found.fade_out = 0
    start = min([found.range.start, *(part.range.start for part in found.parts)])
    stop = max([found.range.stop, *(part.range.stop for part in found.parts)])
    found.range = FrameRange(max(0, start), stop)
    for t in found.range:
        found.corners.setdefault(t, (showing.corner(t)[0] + shift[0], showing.corner(t)[1] + shift[1]))


def is_own(near: np.ndarray, appearances: list[Appearance]) -> tuple[np.ndarray, bool]:
    """(H, W) bool: what changed as it came and went; and whether nothing else did, so that this is all of it."""
    changes = [change for a in appearances for change in a.changes]
    if not changes:
        return np.ones(near.shape, bool), False
    calm = [change for change in changes if _is_calm(change, near)]
    if calm:
        change = cv2.blur(np.mean(calm, axis=0), (3, 3))
        surely = connected(change > max(CHANGED / 2, MUCH * float(np.median(change[near]))), near)
        high = min(extent(surely)[2:]) if surely.any() else 0
        own = (change > CHANGED / 2) & grown(surely, max(3, round(CASTS * high)))  # what stirs beyond is the scene's
        if len(calm) > 1:
            own |= np.min(calm, axis=0) > CHANGED  # a plate may be much fainter than what stands on it
    else:  # the scene did not move everywhere at every end; the overlay may have the scene's colour at one
        own = np.quantile(changes, 0.25, axis=0) > CHANGED
        scenes = [scene for a in appearances for scene in a.scenes]
        if scenes:  # what its lines have in common with the word before or after it is no scene
            own &= near | (np.mean(scenes, axis=0) < 0.25)
    own = cv2.morphologyEx(own.astype(np.uint8), cv2.MORPH_CLOSE, disc(2)) > 0
    return np.asarray(own), bool(calm)


def _by_plate(moment: Moment, size: float) -> Moment:
    """The moment of a thing on a plate, which is seen at such a size, 0: not at all; a symbol alone has few edges."""
    if size:
        return Moment(moment.frame, 1.0, 1.0, size)
    is_fading = moment.likeness >= FADES and abs(moment.scale - 1) < 0.1
    return moment if is_fading else Moment(moment.frame, 0.0, 0.0, moment.scale)


def comes_along(part: np.ndarray, appearances: list[Appearance]) -> bool:
    """Whether a part (H, W) bool of an overlay comes and goes as that does."""
    changes = [change for a in appearances for change in a.changes]
    return bool(changes and np.median(np.mean(changes, axis=0)[part]) > CHANGED)


def _is_calm(change: np.ndarray, near: np.ndarray) -> bool:
    """Whether next to nothing but the overlay, which is `near`, changed; (H, W) uint8 and bool."""
    away = ~grown(near, 4)
    return bool(away.any() and np.quantile(change[away], 0.9) <= CHANGED / 2)


def _go_on(scales: dict[int, float], edge: int, way: int) -> dict[int, float]:
    """Scales further on where something grows so fast that it is soon too small to be told: at the same speed."""
    out: dict[int, float] = {}
    if edge not in scales or edge - way not in scales or scales[edge] > 0.8:
        return out
    step = scales[edge - way] - scales[edge]
    scale = scales[edge] - step
    while step > 0.05 and scale > SMALLEST and len(out) < 6:
        out[edge + way * (len(out) + 1)] = scale
        scale -= step
    return out


def _pop(change: np.ndarray, near: np.ndarray) -> float:
    """How much more the picture changes where it is than around it; (H, W) uint8 and bool."""
    return float(change[near].mean() / (change[~near].mean() + 1.0)) if near.any() and not near.all() else 0.0


def is_there(moment: Moment) -> bool:
    if abs(moment.scale - 1) < 0.1:
        return moment.likeness >= SEEN
    return moment.likeness >= SEEN_SMALL and moment.strength >= SEEN_STRONG
