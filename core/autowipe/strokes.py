"""Which pixels a text event covers: strokes, outline, shadow, glow and box, from how the event differs from the scene.

Three kinds of evidence are added up as log odds, each only where it can tell anything:
- *change*: what came with the event and went with it, from the frames just before, inside and after it;
- *persistence*: what stays while the scene behind it moves;
- *colour*: the colours that the first two agree on, against those of the surroundings.
What the text casts around itself (outline, shadow, glow) is then measured as mean change by offset from the
strokes, which finds an edge of one level where single pixels drown in noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .masks import connected, nearest

VISIBLE = 10.0  # levels of change that count as much as none: the codec alone makes 3 to 6
UNCHANGING = 4.0  # levels of deviation in time, up to which a pixel may be opaque
STIRS = 3.0  # times the strokes' usual deviation in time, from which a pixel is hardly one of them
ENOUGH = 6  # frames, to tell what stays from what just did not move yet
DARKEST, BRIGHTEST = 16.0, 240.0  # of what is seen in limited range
CAST = 5.0  # levels of mean change more than the scene's, that the strokes cast
FEWEST_CAST = 20  # pixels that tell of it
TOLD = 0.8  # correlation of a box with the scene behind it, from which their contrasts tell how much shines through
USABLE = 25.0  # median change of the surroundings from which two frames show different pictures


@dataclass
class EventLook:
    """What was gathered of one event, over one window; pictures are (h, w, 3) float32 levels: luma and two chroma."""

    mean: np.ndarray
    spread: np.ndarray  # (h, w) float32: standard deviation of the luma in time
    first: np.ndarray  # first and last frame at full strength
    last: np.ndarray
    before: np.ndarray | None  # nearest frames without the event; None where there are none
    after: np.ndarray | None
    count: int  # frames in `mean`
    lines: list[tuple[int, int, int, int]]  # x0, y0, x1, y1 of the text lines in the window
    bare: tuple[bool, bool] = (True, True)  # whether `before` and `after` show no other text in its place

    @property
    def height(self) -> int:
        """Of a text line, px: the shorter side of a line's box, median over the lines."""
        return int(np.median([min(x1 - x0, y1 - y0) for x0, y0, x1, y1 in self.lines]))


@dataclass
class Panel:
    """A box behind the text: observed = transmission * scene + a constant."""

    corners: tuple[int, int, int, int]  # x0, y0, x1, y1 in the window
    transmission: float  # 0 (opaque) .. 1
    late: bool  # measured at the event's end, not at its start
    clear: np.ndarray  # (h, w) bool: panel without text on it, and without its rim
    letters: np.ndarray  # (h, w) bool: text on it


@dataclass
class Strokes:
    """The result: what is covered, and how sure that is."""

    matte: np.ndarray  # (h, w) float32, 0..1
    panel: Panel | None
    reach: float  # share of the text lines' columns (rows of a column of letters) in which strokes were seen
    contrast: float  # mean change on the core, levels; 0 where change could not be seen
    steady: float  # share of the core that stays while the surroundings move; nan where they do not move


def find_strokes(look: EventLook) -> Strokes:
    """The matte of one event."""
    near = _near(look)
    ring = ~_zone(look, 0.8, 0.8) & near
    lines = _zone(look, 0.0, 0.0)
    steps = _steps(look, ring)
    change = _change(steps)
    persistence = _persistence(look, ring)
    odds = np.zeros(look.mean.shape[:2], np.float32)
    if change is not None:
        odds += np.clip((_above(change, steps, ring) - VISIBLE) / VISIBLE, -1.5, 2.0)
    if persistence is not None:
        odds += persistence
    if change is None and persistence is None:
        odds += _contrast(look)
    seeds = lines & (odds > 0.7)
    stirs = _stirs(look, seeds)
    if look.count < ENOUGH:  # in a longer one letters may take another colour word by word
        odds += stirs
        seeds &= odds > 0.7
    came = np.ones(odds.shape, bool) if change is None else _above(change, steps, ring) >= VISIBLE
    if seeds.sum() >= 16:
        colour = _colour(look, seeds, ring)
        odds += 0.8 * colour
        # what neither came and went nor has the strokes' colour is the scene's, however still it is
        odds = np.where(came | (colour > 0), odds, np.minimum(odds, 0))
    came &= stirs == 0  # beyond the lines nothing else says that it is text
    close, wide = lines | came & _zone(look, 0.3, 0.12), came & _zone(look, 0.6, 0.3)
    odds -= np.where(close, 0, np.where(wide, 0.7, 2.0)).astype(np.float32)
    odds = cv2.GaussianBlur(odds, (3, 3), 0.6)
    core = connected((odds > 0.2) & near, (odds > 1.0) & lines, 3)
    panel = _find_panel(look, [step for step in steps if look.bare[step.late]])
    covered = _cast(look, core, change)
    if panel is not None:
        x0, y0, x1, y1 = panel.corners
        covered = np.zeros_like(core)
        covered[y0:y1, x0:x1] = True
    return Strokes(
        matte=_with_skirt(covered, look.height),
        panel=panel,
        reach=_reached(core, look.lines),
        contrast=float(change[core].mean()) if change is not None and core.any() else 0.0,
        steady=float((persistence[core] > 0).mean()) if persistence is not None and core.any() else float("nan"),
    )


def _reached(core: np.ndarray, lines: list[tuple[int, int, int, int]]) -> float:
    seen = [core[max(0, y0) : y1, max(0, x0) : x1].any(0 if x1 - x0 >= y1 - y0 else 1) for x0, y0, x1, y1 in lines]
    return float(np.concatenate(seen).mean()) if seen else 0.0


def _near(look: EventLook) -> np.ndarray:
    """(h, w) bool: what tells of the text's surroundings; beyond its ends only a box behind it is looked for."""
    reach = 2 * max(12, max(min(x1 - x0, y1 - y0) for x0, y0, x1, y1 in look.lines))
    out = np.zeros(look.mean.shape[:2], bool)
    out[:, max(0, min(line[0] for line in look.lines) - reach) : max(line[2] for line in look.lines) + reach] = True
    return out


def _zone(look: EventLook, across: float, down: float) -> np.ndarray:
    """(h, w) bool: the text lines' boxes, grown by shares of their height."""
    out = np.zeros(look.mean.shape[:2], bool)
    for x0, y0, x1, y1 in look.lines:
        high = min(x1 - x0, y1 - y0)
        dx, dy = round(across * high), round(down * high)
        if y1 - y0 > 1.5 * (x1 - x0):  # a column of letters runs on downwards
            dx, dy = dy, dx
        out[max(0, y0 - dy) : y1 + dy, max(0, x0 - dx) : x1 + dx] = True
    return out


@dataclass
class _Step:
    """A frame inside the event, its neighbour outside, and how much their surroundings differ (median, levels)."""

    inside: np.ndarray
    outside: np.ndarray
    rest: float
    late: bool


def _steps(look: EventLook, ring: np.ndarray) -> list[_Step]:
    """The event's two ends, as far as frames without the event show the same scene."""
    steps = []
    for inside, outside, late in ((look.first, look.before, False), (look.last, look.after, True)):
        if outside is None:
            continue
        rest = float(np.median(np.abs(inside - outside).max(2)[ring])) if ring.any() else 0.0
        if rest < USABLE:
            steps.append(_Step(inside, outside, rest, late))
    return steps


def _change(steps: list[_Step]) -> np.ndarray | None:
    """(h, w) float32: by how many levels a pixel changed with the event, at both ends and in one direction where
    both are known; None where no end is."""
    if not steps:
        return None
    moves = [step.inside - step.outside for step in steps]
    sizes = [np.abs(move).max(2) for move in moves]
    sizes = [cv2.blur(size, (3, 3)) * 0.5 + size * 0.5 for size in sizes]
    if len(steps) == 1:
        return sizes[0]
    return np.where((moves[0] * moves[1]).sum(2) > 0, np.minimum(*sizes), 0)


def _above(change: np.ndarray, steps: list[_Step], ring: np.ndarray) -> np.ndarray:
    """`change` less what the moving surroundings show of it."""
    rest = max(step.rest for step in steps)
    if len(steps) == 1 and ring.any():
        rest = 2 * rest + 0.35 * float(np.percentile(change[ring], 90))
    return np.maximum(change - rest, 0)


def _persistence(look: EventLook, ring: np.ndarray) -> np.ndarray | None:
    """Log odds that a pixel stays while the scene moves; None in a still scene or a short event."""
    if look.count < ENOUGH or not ring.any():
        return None
    moves = float(np.median(look.spread[ring]))
    if moves < 4:
        return None
    odds = np.log2((0.5 * moves + 0.5) / (look.spread + 1.0))
    return np.clip(odds, -1.5, 1.2).astype(np.float32)


def _stirs(look: EventLook, seeds: np.ndarray) -> np.ndarray:
    """Log odds, 0 at most, that a pixel is of what stays: who steps in beside the text as it comes walks on.

    The more a stroke itself changes, in a fade or with what shines through it, the more any of them may.
    """
    own = float(np.median(look.spread[seeds])) if seeds.any() else 0.0
    most = max(UNCHANGING, STIRS * own)
    return np.clip(np.log2((most + 1) / (look.spread + 1)), -1.5, 0).astype(np.float32)


def _contrast(look: EventLook) -> np.ndarray:
    """Log odds from one picture alone: strokes are thin and far from the local mean."""
    luma = look.mean[..., 0]
    side = max(3, look.height) | 1
    local = cv2.blur(luma, (side, side))
    return np.clip(np.abs(luma - local) / 25 - 1, -1, 1.5).astype(np.float32)


def _colour(look: EventLook, seeds: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Log odds of every pixel's colour in `seeds` against the surroundings, from smoothed histograms."""
    bins = np.array([20, 12, 12])
    scaled = np.clip(look.mean, 0, 255) * (bins / 256.0).astype(np.float32)
    index = scaled.astype(np.int32)
    flat = (index[..., 0] * bins[1] + index[..., 1]) * bins[2] + index[..., 2]
    count = int(bins.prod())
    kernel = np.array([0.25, 0.5, 0.25])
    odds = []
    for chosen in (seeds, ring):
        table = np.bincount(flat[chosen], minlength=count).astype(np.float32).reshape(bins)
        for axis in range(3):
            table = np.apply_along_axis(np.convolve, axis, table, kernel, mode="same")
        odds.append((table + 0.02 * max(1.0, table.sum()) / 100) / (max(1.0, table.sum()) * 1.0002))
    ratio = np.log2(odds[0] / odds[1]).ravel() / 2
    return np.clip(ratio[flat], -1.5, 1.5).astype(np.float32)


def _find_panel(look: EventLook, steps: list[_Step]) -> Panel | None:
    """The box behind the text, if there is one.

    Over a box the observed picture is a * scene + b with one a and b for all of it; that must explain what is
    between the letters, and much better than an unchanged scene does. The rectangle is then the one over which the
    first explanation beats the second by most.
    """
    if not steps:
        return None
    step = min(steps, key=lambda one: one.rest)
    lines = _zone(look, 0.0, 0.0)
    tolerance = max(7.0, 2 * step.rest)
    some = slice(None, None, max(1, int(lines.sum()) // 3000))
    transmission, offset = _blend(step.inside[lines][some], step.outside[lines][some], tolerance)
    if transmission > 0.93 and np.abs(offset).max() < VISIBLE:
        return None
    blended = np.abs(step.inside - transmission * step.outside - offset).max(2)
    same = np.abs(step.inside - step.outside).max(2)
    gain = np.clip((cv2.blur(same, (3, 3)) - cv2.blur(blended, (3, 3))) / tolerance, -1.5, 1.5)
    if (gain[lines] > 0.5).mean() < 0.3:
        return None
    corners = _best_rectangle(gain, look.lines)
    x0, y0, x1, y1 = corners
    inner, text = gain[y0:y1, x0:x1], blended[y0:y1, x0:x1] > 1.5 * tolerance
    rim = np.ones(inner.shape, bool)
    rim[3:-3, 3:-3] = False
    unchanged = (inner < -0.5) & ~text
    if unchanged.mean() > 0.06 or text[rim].mean() > 0.15 or (inner[rim] > 0.3).mean() < 0.5:
        return None
    beyond = np.zeros(gain.shape, bool)
    beyond[max(0, y0 - 5) : y1 + 5, max(0, x0 - 5) : x1 + 5] = True
    beyond[max(0, y0 - 2) : y1 + 2, max(0, x0 - 2) : x1 + 2] = False
    if beyond.any() and same[beyond].mean() > 0.5 * same[y0:y1, x0:x1][rim].mean():
        return None  # it peters out: a glow
    inside = np.zeros(gain.shape, bool)
    inside[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] = True
    transmission, offset = _undiluted(step.inside[inside], step.outside[inside], transmission, offset, tolerance)
    letters = _letters(look, steps, transmission, offset, tolerance).astype(np.uint8)
    letters = cv2.morphologyEx(letters, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    # with the codec's ringing
    letters = cv2.dilate(letters, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))) > 0
    return Panel(corners, float(transmission), step.late, inside & ~letters, inside & letters)


def _letters(
    look: EventLook, steps: list[_Step], transmission: float, offset: np.ndarray, tolerance: float
) -> np.ndarray:
    """(h, w) bool: opaque text on a panel: of a colour that no picture behind it gives, or at odds with the picture
    behind it and unchanging all the while."""
    least, most = (transmission * np.float32(level) + offset for level in (DARKEST, BRIGHTEST))
    beyond = np.maximum(least - look.mean, look.mean - most).max(2) > tolerance
    odd = np.minimum.reduce([_off_panel(one, transmission, offset) for one in steps]) > tolerance
    return beyond | (odd & (look.spread < UNCHANGING))


def _off_panel(step: _Step, transmission: float, offset: np.ndarray) -> np.ndarray:
    return np.abs(step.inside - transmission * step.outside - offset).max(2)


def _blend(inside: np.ndarray, outside: np.ndarray, tolerance: float) -> tuple[float, np.ndarray]:
    """Transmission and offset (3,) that explain most of the pixels (n, 3); letters among them are outliers."""
    best = (0, 1.0, np.zeros(3, np.float32))
    for start in np.arange(0, 1.0, 0.1):
        rest = inside - np.float32(start) * outside
        offset = np.array([_mode(rest[:, k]) for k in range(3)], np.float32)
        fits = np.abs(rest - offset).max(1) < 2 * tolerance
        if fits.sum() < 50:
            continue
        slope = float(start)
        for _ in range(3):
            x = outside[fits] - outside[fits].mean(0)
            power = float((x**2).sum())
            if power > 40.0 * len(x):
                slope = float(np.clip((x * (inside[fits] - inside[fits].mean(0))).sum() / power, 0, 1))
            offset = inside[fits].mean(0) - slope * outside[fits].mean(0)
            fits = np.abs(inside - slope * outside - offset).max(1) < tolerance
            if fits.sum() < 50:
                break
        if fits.sum() > best[0]:
            best = (int(fits.sum()), slope, offset.astype(np.float32))
    return best[1], best[2]


def _undiluted(
    inside: np.ndarray, outside: np.ndarray, slope: float, offset: np.ndarray, tolerance: float
) -> tuple[float, np.ndarray]:
    """The same, where a scene that has gone on between the two frames has lowered it.

    What is out of place makes a regression's slope too small by its correlation; the scene is as varied in both frames,
    so that the ratio of the deviations is not.
    """
    fits = np.abs(inside - np.float32(slope) * outside - offset).max(1) < tolerance
    if fits.sum() < 50:
        return slope, offset
    x, y = (part[fits] - part[fits].mean(0) for part in (outside, inside))
    alike = float((x * y).sum() / max(1e-6, np.sqrt(float((x**2).sum()) * float((y**2).sum()))))
    if not TOLD <= alike < 1:
        return slope, offset
    slope = min(1.0, slope / alike)
    return slope, (inside[fits].mean(0) - slope * outside[fits].mean(0)).astype(np.float32)


def _mode(values: np.ndarray) -> float:
    counts, edges = np.histogram(values, bins=96, range=(-128, 256))
    k = int(np.convolve(counts, [1, 2, 1], mode="same").argmax())
    return float(edges[k] + edges[k + 1]) / 2


def _best_rectangle(gain: np.ndarray, lines: list[tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    """The rectangle around the text lines with the greatest sum of `gain`, found side by side."""
    height, width = gain.shape
    x0, y0 = max(0, min(line[0] for line in lines)), max(0, min(line[1] for line in lines))
    x1, y1 = min(width, max(line[2] for line in lines)), min(height, max(line[3] for line in lines))
    for _ in range(3):
        rows = gain[:, x0:x1].mean(1) - 0.1
        middle = (y0 + y1) // 2
        y0, y1 = middle - _reach(rows[:middle][::-1]), middle + _reach(rows[middle:])
        columns = gain[y0:y1].mean(0) - 0.1
        middle = (x0 + x1) // 2
        x0, x1 = middle - _reach(columns[:middle][::-1]), middle + _reach(columns[middle:])
    return x0, y0, x1, y1


def _reach(gains: np.ndarray) -> int:
    """How many of the entries make the greatest sum from the first on; at least one."""
    return int(np.cumsum(gains).argmax()) + 1 if len(gains) else 0


def _cast(look: EventLook, core: np.ndarray, change: np.ndarray | None) -> np.ndarray:
    """The strokes with what they cast: every offset at which the scene is changed on average is covered.

    For an offset o, the mean change over all pixels that lie at o from the stroke next to them, so that no other
    stroke's outline is taken for this one's shadow; the set of offsets with more than the far ones have is the shape
    by which the strokes are grown.
    """
    reach = int(np.clip(round(0.35 * look.height), 4, 24))
    if change is None or not core.any():
        side = 2 * max(2, round(0.09 * look.height)) + 1
        return cv2.dilate(core.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0
    side = 2 * reach + 1
    distance, down, right, at = _offsets(core, reach)
    change = change - _usual(change, distance > 0.6 * reach, reach)
    place = (down + reach) * side + right + reach
    number = np.bincount(place, minlength=side * side).reshape(side, side).astype(np.float32)
    total = np.bincount(place, change.ravel()[at], minlength=side * side).reshape(side, side).astype(np.float32)
    number, total = (cv2.blur(part, (3, 3)) for part in (number, total))
    mean = np.where(number >= FEWEST_CAST / 9, total / np.maximum(number, 1e-3), 0)
    yy, xx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    length = np.hypot(yy, xx)
    shape = ((mean > CAST) & (length <= reach)) | (length < 1.5)
    # an offset at which change was seen moves strokes there; cv2.dilate looks the other way
    return cv2.dilate(core.astype(np.uint8), _around_middle(shape.astype(np.uint8))[::-1, ::-1].copy()) > 0


def _usual(change: np.ndarray, far: np.ndarray, reach: int) -> np.ndarray:
    """(h, w): the mean of `change` where it is `far` from all strokes, around each pixel: what the scene changes by."""
    size = (4 * reach + 1, 4 * reach + 1)
    weight = cv2.blur(far.astype(np.float32), size)
    return cv2.blur(np.where(far, change, np.float32(0)), size) / np.maximum(weight, np.float32(1e-3))


def _offsets(core: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The pixels' distances (h, w) from the core; of those up to `reach` from it, how far down and right of its next
    pixel they lie, and where, flattened."""
    distance, next_to = nearest(core)
    at = np.flatnonzero((distance > 0) & (distance <= reach))
    (y, x), (next_y, next_x) = (np.divmod(one, core.shape[1]) for one in (at, next_to.ravel()[at]))
    return distance, y - next_y, x - next_x, at


def _around_middle(shape: np.ndarray) -> np.ndarray:
    """The part of an offset map that hangs together with its middle."""
    _, labels = cv2.connectedComponents(shape, connectivity=4)
    middle = labels[shape.shape[0] // 2, shape.shape[1] // 2]
    return (labels == middle).astype(np.uint8)


def _with_skirt(covered: np.ndarray, height: int) -> np.ndarray:
    """The covered part with the codec's skirt: 2 px, 3 from letters of 45 px on."""
    side = 5 if height < 45 else 7
    grown = cv2.dilate(covered.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return grown.astype(np.float32)
