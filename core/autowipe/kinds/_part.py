"""Marks that lose a part before the rest, or get it after: which of an overlay's lines the frames at its ends show."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..timing import FrameRange
from ._showing import register, slopes

MOST = 4  # frames over which parts come or go, at either end
HELD, LOST = 0.7, 0.3  # strength of the edges of a part that is there in full, and of one that is not
LIKE = 0.6  # correlation of the edges of a part that is there
WHOLE = 0.5  # share of the lines that show for certain in a frame with all of them: translucent ones miss some
LEAST, LEAST_PX = 0.15, 20  # share of these, and px, that are a part
WINDOW = 0.5  # of the overlay's height: parts are not told apart closer than that


@dataclass
class Part:
    """Frames at an end of an appearance that show only a part of it."""

    range: FrameRange
    kept: np.ndarray  # (H, W) bool: lines of the template that are there in one of the frames
    lost: np.ndarray  # (H, W) bool: those that are in none of them


@dataclass
class _Shown:
    """What one frame shows of the template."""

    lines: np.ndarray  # (H, W) bool: of its lines, those that are there for certain
    along: np.ndarray  # (H, W) float32: around each px, how much of its squared edges is there
    own: np.ndarray  # (H, W) float32: how much of them the template has


def at_ends(
    slope: np.ndarray,
    lines: np.ndarray,
    lumas: dict[int, np.ndarray],
    shift: tuple[float, float],
    seen: FrameRange,
) -> list[Part]:
    """The parts that show before and after all of an overlay does.

    slope: (2, H, W) float32 and lines: (H, W) bool, its template; lumas: (H, W) uint8 by frame, in which it is `shift`
    px further on; seen: the frames in which it was told to be there.
    """
    out = []
    for way, edge in ((-1, seen.start), (1, seen.stop - 1)):
        inner = {
            t: _shown(slope, lines, lumas[t], shift)
            for t in range(edge, edge - way * (MOST + 1), -way)
            if t in lumas and t in seen
        }
        if not inner:
            continue
        last = max(
            inner, key=lambda t: (inner[t].lines.sum() >= 0.9 * max(i.lines.sum() for i in inner.values()), way * t)
        )
        full = inner[last].lines
        if full.sum() < WHOLE * lines.sum():
            continue
        kept = np.zeros(lines.shape, bool)
        t = last + way
        while t in lumas and abs(t - last) <= MOST:
            outer = _shown(slope, lines, lumas[t], shift)
            if not _is_part(full, outer):
                break
            kept |= full & outer.lines
            t += way
        lost = full & ~kept
        if (t - edge) * way > 0 and t != last + way and lost.sum() >= max(LEAST_PX, LEAST * full.sum()):
            first, end = sorted((last + way, t - way))
            out.append(Part(FrameRange(first, end + 1), kept, lost))
    return out


def cover(covered: np.ndarray, part: Part) -> np.ndarray:
    """(H, W) bool: of what an overlay covers, all that is nearer to the lines that are left than to those lost.

    `covered`: (H, W) bool, of any size: the template may be smaller.
    """
    to_kept, to_lost = (
        cv2.distanceTransform(
            (cv2.resize(of.astype(np.uint8), covered.shape[::-1], interpolation=cv2.INTER_NEAREST) == 0).astype(
                np.uint8
            ),
            cv2.DIST_L2,
            3,
        )
        for of in (part.kept, part.lost)
    )
    return np.asarray(covered & (to_kept <= to_lost + 1))


def _is_part(full: np.ndarray, outer: _Shown) -> bool:
    """Whether a frame shows one part of the lines `full` in full, and nothing of the rest: no fade does."""
    kept, lost = full & outer.lines, full & ~outer.lines
    least = max(LEAST_PX, LEAST * full.sum())
    if kept.sum() < least or lost.sum() < least:
        return False
    return bool(outer.along[lost].sum() < LOST * outer.own[lost].sum())


def _shown(slope: np.ndarray, lines: np.ndarray, luma: np.ndarray, shift: tuple[float, float]) -> _Shown:
    field = slopes(luma)
    dx, dy, *_ = register(slope, lines, field, 2 + round(max(map(abs, shift))))
    move = np.array([[1, 0, -dx], [0, 1, -dy]], np.float32)
    now = np.stack([cv2.warpAffine(f, move, f.shape[::-1]) for f in field])
    high, wide = (np.ptp(np.flatnonzero(lines.any(k))) for k in (1, 0))
    size = (max(5, round(WINDOW * min(high, wide)) | 1),) * 2
    along, own, power = (
        cv2.boxFilter(np.where(lines, (a * b).sum(0), np.float32(0)), -1, size)
        for a, b in ((slope, now), (slope, slope), (now, now))
    )
    held = lines & (along >= HELD * own) & (along >= LIKE * np.sqrt(power * own))
    return _Shown(held, along, own)
