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

VISIBLE = 10.0  # levels of change that count as much as none: the codec alone makes 3 to 6
USABLE = 25.0  # median change of the surroundings from which two frames show different pictures
SOLID = 0.72  # share of the text lines' boxes that is covered from which there is a box behind the text


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

    @property
    def height(self) -> int:
        """Of a text line, px: the shorter side of a line's box, median over the lines."""
        return int(np.median([min(x1 - x0, y1 - y0) for x0, y0, x1, y1 in self.lines]))


@dataclass
class Strokes:
    """The result: what is covered, and how sure that is."""

    matte: np.ndarray  # (h, w) float32, 0..1
    core: np.ndarray  # (h, w) bool: surely overlay, before anything was grown
    box: tuple[int, int, int, int] | None  # x0, y0, x1, y1 of a box behind the text
    contrast: float  # mean change on the core, levels; 0 where change could not be seen
    steady: float  # share of the core that stays while the surroundings move; nan where they do not move


def find_strokes(look: EventLook) -> Strokes:
    """The matte of one event."""
    zone = _zone(look, 0.35)
    ring = ~_zone(look, 0.8)
    change, directed = _change(look, ring)
    persistence = _persistence(look, ring)
    odds = np.zeros(look.mean.shape[:2], np.float32)
    if change is not None:
        odds += np.clip((change - VISIBLE) / VISIBLE, -1.5, 2.0)
    if persistence is not None:
        odds += persistence
    if change is None and persistence is None:
        odds += _contrast(look)
    lines = _zone(look, 0.0)
    seeds = lines & (odds > 0.7)
    if seeds.sum() >= 16:
        odds += 0.8 * _colour(look, seeds, ring)
    odds[~zone] -= 0.7
    odds = cv2.GaussianBlur(odds, (3, 3), 0.6)
    core = _hysteresis(odds, 1.0, 0.2, lines)
    covered, box = _settle_box(look, core, odds)
    if box is None:
        covered = _cast(look, core, directed, ring)
    moving = persistence is not None
    return Strokes(
        matte=_soften(covered, look.height),
        core=core,
        box=box,
        contrast=float(change[core].mean()) if change is not None and core.any() else 0.0,
        steady=float((persistence[core] > 0).mean()) if moving and core.any() else float("nan"),
    )


def _zone(look: EventLook, share: float) -> np.ndarray:
    """(h, w) bool: the text lines' boxes, grown by a share of their height."""
    out = np.zeros(look.mean.shape[:2], bool)
    for x0, y0, x1, y1 in look.lines:
        reach = round(share * min(x1 - x0, y1 - y0))
        out[max(0, y0 - reach) : y1 + reach, max(0, x0 - reach) : x1 + reach] = True
    return out


def _change(look: EventLook, ring: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """How much a pixel changed with the event, above what the surroundings changed: (h, w) levels; and the signed
    change (h, w, 3). None where no frame without the event shows the same scene."""
    steps = []
    for inside, outside in ((look.first, look.before), (look.last, look.after)):
        if outside is None:
            continue
        step = inside - outside
        size = np.abs(step).max(2)
        rest = float(np.median(size[ring])) if ring.any() else 0.0
        if rest < USABLE:
            steps.append((step, cv2.blur(size, (3, 3)) * 0.5 + size * 0.5, rest))
    if not steps:
        return None, None
    if len(steps) == 1:
        step, size, rest = steps[0]
        spare = 2 * rest + (np.percentile(size[ring], 90) * 0.35 if ring.any() else 0.0)
        return np.maximum(size - spare, 0), step
    (one, size1, rest1), (two, size2, rest2) = steps
    agree = (one * two).sum(2) > 0
    size = np.where(agree, np.minimum(size1, size2), 0)
    return np.maximum(size - max(rest1, rest2), 0), (one + two) / 2


def _persistence(look: EventLook, ring: np.ndarray) -> np.ndarray | None:
    """Log odds that a pixel stays while the scene moves; None in a still scene or a short event."""
    if look.count < 6 or not ring.any():
        return None
    moves = float(np.median(look.spread[ring]))
    if moves < 4:
        return None
    odds = np.log2((0.5 * moves + 0.5) / (look.spread + 1.0))
    return np.clip(odds, -1.5, 1.2).astype(np.float32)


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


def _hysteresis(odds: np.ndarray, high: float, low: float, lines: np.ndarray) -> np.ndarray:
    """Pixels above `low` that hang together with one above `high` inside the text lines."""
    count, labels = cv2.connectedComponents((odds > low).astype(np.uint8), connectivity=8)
    if count <= 1:
        return np.zeros(odds.shape, bool)
    strong = np.bincount(labels[(odds > high) & lines], minlength=count) >= 3
    strong[0] = False
    return strong[labels]


def _settle_box(
    look: EventLook, core: np.ndarray, odds: np.ndarray
) -> tuple[np.ndarray, tuple[int, int, int, int] | None]:
    """Where the covered part fills the text lines there is a box behind them: its rectangle."""
    lines = _zone(look, 0.0)
    if core[lines].mean() < SOLID:
        return core, None
    solid = cv2.morphologyEx(core.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    solid = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid)
    if count <= 1:
        return core, None
    hits = np.bincount(labels[lines], minlength=count)
    hits[0] = 0
    covered = core.copy()
    corners = None
    for k in np.flatnonzero(hits > 0.2 * hits.max()):
        x0, y0, w, h = (int(v) for v in stats[k][:4])
        part = labels[y0 : y0 + h, x0 : x0 + w] == k
        columns, rows = np.flatnonzero(part.mean(0) > 0.5), np.flatnonzero(part.mean(1) > 0.5)
        if not len(columns) or not len(rows):
            continue
        here = (x0 + int(columns[0]), y0 + int(rows[0]), x0 + int(columns[-1]) + 1, y0 + int(rows[-1]) + 1)
        covered[here[1] : here[3], here[0] : here[2]] = True
        corners = here if corners is None else tuple(
            f(a, b) for f, a, b in zip((min, min, max, max), corners, here, strict=True)
        )
    return covered, corners


def _cast(look: EventLook, core: np.ndarray, directed: np.ndarray | None, ring: np.ndarray) -> np.ndarray:
    """The strokes with what they cast: every offset at which the scene is changed on average is covered.

    For an offset o, the mean change over all pixels that lie at o from a stroke and on none; the set of offsets
    with a change above the surroundings' is the shape by which the strokes are grown.
    """
    reach = int(np.clip(round(0.3 * look.height), 4, 20))
    least = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    if directed is None or not core.any():
        side = 2 * max(2, round(0.09 * look.height)) + 1
        return cv2.dilate(core.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0
    free = (~core).astype(np.float32)
    size = np.abs(directed).max(2)
    rest = float(np.mean(size[ring])) if ring.any() else 0.0
    strokes = core.astype(np.float32)
    padded = lambda part: cv2.copyMakeBorder(part, reach, reach, reach, reach, cv2.BORDER_CONSTANT)  # noqa: E731
    total = cv2.matchTemplate(padded(np.maximum(size - rest, -rest) * free), strokes, cv2.TM_CCORR)
    number = cv2.matchTemplate(padded(free), strokes, cv2.TM_CCORR)
    mean = total / np.maximum(number, 1)
    shape = (mean > 6.0).astype(np.uint8)
    yy, xx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    shape[(yy**2 + xx**2) > reach**2] = 0
    shape[reach - 1 : reach + 2, reach - 1 : reach + 2] |= least
    shape = _around_middle(shape)
    # cv2.dilate looks up p - offset in the flipped element: an offset at which change was seen moves strokes there
    grown = cv2.dilate(core.astype(np.uint8), shape[::-1, ::-1].copy()) > 0
    return grown


def _around_middle(shape: np.ndarray) -> np.ndarray:
    """The part of an offset map that hangs together with its middle."""
    _, labels = cv2.connectedComponents(shape, connectivity=4)
    middle = labels[shape.shape[0] // 2, shape.shape[1] // 2]
    return (labels == middle).astype(np.uint8)


def _soften(covered: np.ndarray, height: int) -> np.ndarray:
    """The covered part with the codec's skirt (2 px, 3 from letters of 45 px on), its rim soft."""
    skirt = 2 if height < 45 else 3
    side = 2 * skirt + 1
    grown = cv2.dilate(covered.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.maximum(grown.astype(np.float32), 0)
