"""How a region's picture moves from frame to frame, also under the overlay, where nobody sees it.

*In:* lumas, each (H, W) uint8 with the hidden part spread over from around, which part that is, each (H, W) bool, and,
where it is known, how the camera moves. *Out:* `Motion`. What it gets wrong by a fraction of a pixel a frame is mended
in completers/borrow.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from .hole import points
from .match import spread

MOST_PIXELS = 40_000  # a larger region is looked at in a smaller size: with the mending after it, nothing is lost
LEAST_PX = 32  # a side of what is looked at: OpenCV's search reads beyond flatter pictures, and crashes
TRUST_PX = 12.0  # the flow's patches reach this far: nearer to what is hidden, the first look is partly made up
NEAR_PX = 4.0  # the same for the second look, for which the hidden part moves as its surroundings do
CELL = 4  # px of the looked-at size: grid on which the flow is completed
AROUND_PX = 24.0  # of the region: over which the motion is held against its surroundings
USUAL_ERROR = 0.1  # px squared, of a flow vector
FAR_PX = 4.0  # px of the looked-at size: from here on the flow's own search may lose its way
SETTLED_PX = 0.01  # by which an affine motion changes no more
RIDGE = np.diag(np.array([1e-6, 1e-2, 1e-2], np.float32))  # without texture on one side, rather a plain shift
OWN_SHARE = 0.5  # of a trusted flow vector against its surroundings'
TEXTURE_PX = 13  # window over which it is measured how steep the picture is
TEXTURED = 1000.0  # mean squared slope, levels a px, at which half of a departure from the camera is believed
LED = 8.0  # weight, in fully trusted flow vectors, of there being no departure from it
ALONG_CELL = 8  # px of the looked-at size: side of the places in which all is held against the camera's motion
ALONG_PX, ALONG_NOISE = 0.25, 9.0  # px, by which they may depart from it; levels squared, of codec and grain
ALONG_USUAL, ALONG_FAR = 0.1, 1.0  # px by which the camera's motion errs; px of the region from which it moves at all
ALONG_SHARE = 0.01  # of them, that depart by more, and still nothing moves otherwise
THINNED = 2  # px: grid on which motions are held against what is seen
CLEAR_PX = 3.0  # from what is hidden: from there on it is seen
NEARBY_PX = 12.0  # deviation of the window in which that is done
OTHER = 30.0  # levels: a larger miss says no more
FAULT = 1.0  # levels squared, which any motion misses by
DOUBLINGS = 3  # of the power of the misses by which motions are weighed: the 8th
FAR = 1e-3  # weight of the whole region's misses, which tell where nothing is seen nearby


@dataclass
class Motion:
    """Flow between neighbouring frames, at a fraction of the region's size, in px of the region.

    To the right, down, and by how much it differs around there: so far it may be off where nobody sees it.
    """

    forward: list[np.ndarray | None]  # [t]: (h, w, 3) float32, from frame t to t + 1; None where nobody asks for it
    backward: list[np.ndarray | None]  # [t]: from frame t + 1 to t
    shape: tuple[int, int]  # of the region
    led: float = 0.0  # share of the pairs in which all that is seen moves as the camera does

    def at(self, t: int, s: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """How far the points (x, y), (N,) px each, of frame `t` have moved in its neighbour `s`.

        (N,) px each: to the right, down, and by how much that may be off.
        """
        flow = self.forward[t] if s > t else self.backward[s]
        assert flow is not None
        across, along = flow.shape[1] / self.shape[1], flow.shape[0] / self.shape[0]
        moved = points(flow, (x + 0.5) * across - 0.5, (y + 0.5) * along - 0.5, cv2.INTER_LINEAR)
        return moved[:, 0], moved[:, 1], moved[:, 2].copy()  # which is kept, for all frames


def follow(
    lumas: Sequence[np.ndarray],
    hidden: Sequence[np.ndarray],
    wanted: Sequence[bool] | None = None,
    camera: Sequence[np.ndarray | None] = (),
) -> Motion:
    """Measures the flow where the picture is seen, and completes it from there where it is not.

    With the camera's motion, what is hidden moves as its surroundings or as the camera, whichever fits better what is
    seen nearby: under an overlay in the sky little else tells how far the camera has turned.

    `wanted`: the frames whose ways to their neighbours are asked for, by default all; `camera`: of each frame but the
    last (2, 3), where its px lie in the next one, or None.
    """
    h, w = lumas[0].shape
    scale = int(np.ceil(np.sqrt(h * w / MOST_PIXELS)))
    size = (max(LEAST_PX, -(-w // scale)), max(LEAST_PX, -(-h // scale)))
    ratio = np.array([w / size[0], h / size[1]], np.float32)

    around = tuple(max(3, round(AROUND_PX / step / 2) | 1) for step in ratio)  # flow comes at half the size

    def doubted(moves: np.ndarray) -> np.ndarray:
        mean, square = cv2.blur(moves, around), cv2.blur(moves * moves, around)
        return np.dstack([moves, np.sqrt(np.maximum(square - mean * mean, 0).sum(2))])

    def flow(k: int) -> tuple[np.ndarray, np.ndarray]:
        one, other = views[k], views[k + 1]
        led = _led(camera[k], size, ratio) if camera else None
        along = None if led is None or _rests(led[0] * ratio) else _along(one, other, led)
        if along is not None:
            out.led += 1 / len(pairs)
            ahead, back = (cv2.resize(way, _half(size), interpolation=cv2.INTER_LINEAR) for way in along)
            return doubted(ahead * ratio), doubted(back * ratio)
        ahead, back = _flow(cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST), one, other, led)
        return doubted(ahead * ratio), doubted(back * ratio)

    pairs = [k for k in range(len(lumas) - 1) if wanted is None or wanted[k] or wanted[k + 1]]
    looked = sorted({t for k in pairs for t in (k, k + 1)})
    views = {t: _view(lumas[t], hidden[t], size) for t in looked}
    out = Motion([None] * (len(lumas) - 1), [None] * (len(lumas) - 1), (h, w))
    for k in pairs:
        out.forward[k], out.backward[k] = flow(k)
    return out


@lru_cache(16)
def grid(shape: tuple[int, int], step: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every `step`-th pixel, each float32; not to be changed."""
    h, w = shape
    x, y = np.arange(0, w, step, dtype=np.float32), np.arange(0, h, step, dtype=np.float32)
    return np.repeat(x[None], len(y), 0), np.repeat(y[:, None], len(x), 1)


@dataclass
class _View:
    """One frame as it is looked at."""

    luma: np.ndarray  # (h, w) uint8
    light: np.ndarray  # the same, float32
    hidden: np.ndarray  # (h, w) bool
    trust: np.ndarray  # float32, 0..1, at every CELL-th px: how far flow there rests on seen pixels
    near: np.ndarray  # the same for the second look
    texture: np.ndarray  # float32, 0..1, at every CELL-th px: how far it tells of motion
    clear: np.ndarray  # float32, 1 where it is surely seen


def _view(luma: np.ndarray, hidden: np.ndarray, size: tuple[int, int]) -> _View:
    if luma.shape != size[::-1]:
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
        hidden = cv2.resize(hidden.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    distance = cv2.distanceTransform((~hidden).astype(np.uint8), cv2.DIST_L2, 3)
    trust, near = (
        np.minimum(distance[::CELL, ::CELL] / reach, 1).astype(np.float32) ** 2 for reach in (TRUST_PX, NEAR_PX)
    )
    slopes = [cv2.Sobel(luma, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1))]
    steep = cv2.blur(slopes[0] ** 2 + slopes[1] ** 2, (TEXTURE_PX, TEXTURE_PX))[::CELL, ::CELL]
    clear = (distance > CLEAR_PX).astype(np.float32)
    return _View(luma, luma.astype(np.float32), hidden, trust, near, steep / (steep + TEXTURED), clear)


def _flow(
    dis: cv2.DISOpticalFlow, one: _View, other: _View, led: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    """The completed flow from `one` to `other`, and back, at half the size, in px of the whole.

    `led`: how the camera moves, there and back.
    """
    size = one.luma.shape[::-1]
    shift = _shift(one, other) if led is None else None
    flows = _searched(dis, one.luma, other.luma, (shift, None if shift is None else -shift), led)
    (first, last), (ahead, back) = led or (None, None), flows
    ahead = _settled(ahead, one.trust * _agreement(*flows), one, other, first)
    back = _settled(back, other.trust * _agreement(*flows[::-1]), other, one, last)
    ahead, back = (cv2.resize(flow, size, interpolation=cv2.INTER_LINEAR) for flow in (ahead, back))
    # What stands in for the hidden part rests where the overlay rests, and holds back the flow around it. So for
    # a second look it is put where the first says that it has gone.
    here = np.where(one.hidden, _carried(other.luma, ahead, ~other.hidden, one.luma), one.luma)
    there = np.where(other.hidden, _carried(here, back, np.ones_like(other.hidden), other.luma), other.luma)
    flows = _searched(dis, here, there, (ahead, back), led)
    ahead = _settled(flows[0], one.near * _agreement(*flows), one, other, first)
    return ahead, _settled(flows[1], other.near * _agreement(*flows[::-1]), other, one, last)


def _led(way: np.ndarray | None, size: tuple[int, int], ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The camera's way, (2, 3) in px of the region, as flow there and back of the looked-at size, each (h, w, 2)."""
    if way is None:
        return None
    x, y = grid(size[::-1])
    x, y = (x + 0.5) * ratio[0] - 0.5, (y + 0.5) * ratio[1] - 0.5
    ways = [m.astype(np.float32) for m in (way, cv2.invertAffineTransform(way.astype(np.float64)))]
    moved = [np.dstack([a * x + b * y + c for a, b, c in m]) - np.dstack([x, y]) for m in ways]
    return moved[0] / ratio, moved[1] / ratio


def _rests(way: np.ndarray) -> bool:
    """Whether a camera's way (h, w, 2) px is so short that what stirs a little does not count as going along."""
    return float(np.hypot(*cv2.split(way.astype(np.float32))).mean()) < ALONG_FAR


def _along(one: _View, other: _View, led: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """The camera's way there and back, if all that is seen goes along with it, so that nothing has to be searched for.

    The camera is known from a small picture: its way is brought into line with what is seen here by one Gauss-Newton
    step of an affine match (Lucas and Kanade, 1981).
    """
    way = led[0]
    (h, w), (x, y) = one.light.shape, grid(one.light.shape)
    at = x + way[..., 0], y + way[..., 1]
    off = cv2.remap(other.light, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) - one.light
    seen = one.clear * cv2.remap(other.clear, *at, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    off -= float((off * seen).sum()) / max(float(seen.sum()), 1.0)  # a change of light is no motion
    slopes = [cv2.Sobel(one.light, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1))]
    terms = np.ones_like(x), (x - w / 2) / 16, (y - h / 2) / 16
    every = np.stack([slope * term for slope in slopes for term in terms]).reshape(6, -1)
    weighted = every * (seen / (1 + off * off / np.float32(OTHER))).ravel()
    held = weighted @ every.T + np.float32(ALONG_NOISE / ALONG_USUAL**2) * np.eye(6, dtype=np.float32)
    by = -np.linalg.solve(held, weighted @ off.ravel())
    more = [sum(value * term for value, term in zip(part, terms, strict=True)) for part in (by[:3], by[3:])]
    off += sum(slope * step for slope, step in zip(slopes, more, strict=True))
    cells = -(-w // ALONG_CELL), -(-h // ALONG_CELL)
    steep = slopes[0] ** 2 + slopes[1] ** 2
    share, missed, may = (
        cv2.resize(term, cells, interpolation=cv2.INTER_AREA) for term in (seen, off * off * seen, steep * seen)
    )
    astray = missed > ALONG_NOISE * share + np.float32(ALONG_PX**2 / 2) * may
    if np.count_nonzero(astray & (share > 0)) > ALONG_SHARE * np.count_nonzero(share):
        return None
    step = np.dstack(more)
    return way + step, led[1] - step


def _searched(
    dis: cv2.DISOpticalFlow,
    one: np.ndarray,
    other: np.ndarray,
    starts: tuple[np.ndarray | None, np.ndarray | None],
    led: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The flow between two lumas, there and back, searched from `starts`; with `led`, from what the camera leaves."""
    if led is None:
        ahead, back = (None if start is None else start.copy() for start in starts)
        return dis.calc(one, other, ahead), dis.calc(other, one, back)

    def left(luma: np.ndarray, after: np.ndarray, start: np.ndarray | None, way: np.ndarray) -> np.ndarray:
        x, y = grid(luma.shape)
        moved = cv2.remap(after, x + way[..., 0], y + way[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return dis.calc(luma, moved, None if start is None else start - way) + way

    return left(one, other, starts[0], led[0]), left(other, one, starts[1], led[1])


def _settled(flow: np.ndarray, weight: np.ndarray, one: _View, other: _View, led: np.ndarray | None) -> np.ndarray:
    """The flow from `one` to `other`, completed, at half the size. `led`: how the camera moves."""
    size = _half(one.luma.shape[::-1])
    around = _complete(flow, weight, size)
    if led is None:
        return around
    rest = _complete(flow - led, weight * one.texture, size, LED)
    led = cv2.resize(led, size, interpolation=cv2.INTER_LINEAR)
    return _likeliest(one, other, (around, led + rest, led))


def _likeliest(one: _View, other: _View, flows: Sequence[np.ndarray]) -> np.ndarray:
    """Of some flows from `one` to `other`, (h, w, 2) each, the mean by how well each fits what is seen nearby."""
    x, y = grid(one.light.shape, THINNED)
    here, seen = one.light[::THINNED, ::THINNED], one.clear[::THINNED, ::THINNED]
    misses = []
    for flow in flows:
        way = cv2.resize(flow, x.shape[::-1], interpolation=cv2.INTER_LINEAR)
        at = x + way[..., 0], y + way[..., 1]
        there = cv2.remap(other.light, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        seen = seen * cv2.remap(other.clear, *at, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
        misses.append(np.minimum((there - here) ** 2, np.float32(OTHER**2)))

    def nearby(values: np.ndarray) -> np.ndarray:
        window = NEARBY_PX / THINNED / 2
        small = cv2.resize(values, (-(-x.shape[1] // 2), -(-x.shape[0] // 2)), interpolation=cv2.INTER_AREA)
        blurred = cv2.GaussianBlur(small, (0, 0), window, borderType=cv2.BORDER_CONSTANT)
        return blurred + np.float32(FAR * values.mean() + 1e-9)

    told = nearby(seen)
    weights = [1 / (nearby(miss * seen) / told + np.float32(FAULT)) for miss in misses]
    for _ in range(DOUBLINGS):
        weights = [weight * weight for weight in weights]
    total = np.maximum(sum(weights), np.float32(1e-30))
    size = flows[0].shape[1::-1]
    shares = [cv2.resize(weight / total, size, interpolation=cv2.INTER_LINEAR) for weight in weights]
    mean: np.ndarray = sum(flow * share[..., None] for flow, share in zip(flows, shares, strict=True))
    return mean


def _shift(one: _View, other: _View) -> np.ndarray | None:
    """Flow of one large shift of the whole picture, from where the search may start; None where it had better not."""
    shape = one.light.shape
    (dx, dy), _ = cv2.phaseCorrelate(one.light, other.light, _fading(shape[::-1]))
    if np.hypot(dx, dy) < FAR_PX or abs(dx) > shape[1] / 2 or abs(dy) > shape[0] / 2:
        return None
    moved = cv2.warpAffine(other.light, np.array([[1, 0, -dx], [0, 1, -dy]]), shape[::-1], borderValue=-1)
    both = ~one.hidden & ~other.hidden & (moved >= 0)
    if not both.any():
        return None
    errors = [float(np.abs(one.light - light)[both].mean()) for light in (moved, other.light)]
    return np.full((*shape, 2), (dx, dy), np.float32) if errors[0] < errors[1] else None


@lru_cache(16)
def _fading(size: tuple[int, int]) -> np.ndarray:
    """A Hann window, so that what lies at the edges makes no step."""
    return cv2.createHanningWindow(size, cv2.CV_32F)


def _agreement(flow: np.ndarray, reverse: np.ndarray) -> np.ndarray:
    """1 where going with `flow` and coming back with `reverse` ends where it began, towards 0 where not.

    At every CELL-th px.
    """
    x, y = grid(flow.shape[:2], CELL)
    fx, fy = cv2.split(np.ascontiguousarray(flow[::CELL, ::CELL]))
    x, y = x + fx, y + fy
    back_x, back_y = cv2.split(cv2.remap(reverse, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    error = (fx + back_x) ** 2 + (fy + back_y) ** 2
    # The tolerance of Sundaram et al. (2010), widened to what is found between clean frames of compressed film.
    return np.exp(-error / (0.5 + 0.02 * (fx * fx + fy * fy)))


def _complete(flow: np.ndarray, weight: np.ndarray, size: tuple[int, int], none: float = 0) -> np.ndarray:
    """The affine motion of the surroundings everywhere, plus how the flow departs from it there, spread inwards.

    `weight`: of every CELL-th px; `size`: of what is returned, width and height; `none`: as `_affine` takes it.
    """
    coarse = flow[::CELL, ::CELL]
    affine = _affine(coarse, weight, none)
    rest = coarse - affine
    completed = affine + np.dstack(spread([rest[..., 0], rest[..., 1]], weight * OWN_SHARE))
    return cv2.resize(completed, size, interpolation=cv2.INTER_LINEAR)


def _affine(flow: np.ndarray, weight: np.ndarray, none: float = 0) -> np.ndarray:
    """The affine motion that most of the flow follows (iteratively reweighted least squares), at every pixel.

    `none`: weight of samples that say that there is no motion.
    """
    h, w = weight.shape
    fixed = weight.ravel()
    if fixed.sum() < 1:
        return np.zeros_like(flow)
    x, y = grid((h, w))
    terms = np.stack([np.ones(h * w, np.float32), (x.ravel() - w / 2) / 16, (y.ravel() - h / 2) / 16])
    target = flow.reshape(-1, 2).T.astype(np.float32)
    sure = np.flatnonzero(fixed >= _middle(fixed))
    fit = np.array([[_middle(part[sure])] for part in target], np.float32)
    for _ in range(8):
        off = fit - target
        error = off[0] * off[0] + off[1] * off[1]
        robust = fixed / (1 + error / np.float32(max(USUAL_ERROR, _middle(error[sure]))))
        weighted = terms * robust
        held = RIDGE * robust.sum() + np.eye(3, dtype=np.float32) * np.float32(none)
        _, solution = cv2.solve(weighted @ terms.T + held, weighted @ target.T)
        last, fit = fit, solution.T @ terms
        if np.abs(fit - last).max() < SETTLED_PX:
            break
    return fit.T.reshape(h, w, 2)


def _middle(values: np.ndarray) -> float:
    """The median; of an even number the upper of the two in the middle."""
    return float(np.partition(values, len(values) // 2)[len(values) // 2])


def _carried(luma: np.ndarray, flow: np.ndarray, seen: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """`luma` where the flow leads, if it is seen there."""
    x, y = grid(flow.shape[:2])
    x, y = x + flow[..., 0], y + flow[..., 1]
    there = cv2.remap(luma, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    fine = cv2.remap(seen.astype(np.uint8), x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    return np.where(fine > 0, there, otherwise)


def _half(size: tuple[int, int]) -> tuple[int, int]:
    return max(1, size[0] // 2), max(1, size[1] // 2)
