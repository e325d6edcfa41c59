"""The way of something that moves, frame by frame: where it is between two looks, cleaned of jitter, as a few keys."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

BENT = np.array([1, 0.05, 0.05, 0.01, 0.3])  # of a key, by which it departs from a straight way between its neighbours
BOUNCES = 1.0  # px a frame at which something goes before and after it has turned round
LEAST_EVEN = 20  # frames in which something goes straight on, for this to be told
JITTER = 0.6  # px by which following errs


def keys_of(every: Mapping[int, tuple[float, ...]]) -> dict[int, tuple[float, ...]]:
    """As few of the keys, one for each frame of a row, as tell the way and the size: between them it is straight."""
    first, last = min(every), max(every)
    out: dict[int, tuple[float, ...]] = {first: every[first]}
    for t in range(first + 1, last):
        before = max(out)
        one, other = np.array(every[before]), np.array(every[t + 1])
        between = one + (other - one) * (t - before) / (t + 1 - before)
        if (np.abs(between - every[t]) > BENT).any():
            out[t] = every[t]
    out[last] = every[last]
    return out


def between(every: np.ndarray, frames: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(T,) px in each frame of `every` of what is `at` (n,) in `frames`: straight on, also to where it turns round.

    What bounces between two looks goes straight to the edge and straight back.
    """
    out = np.interp(every, frames, at)
    speed = np.diff(at) / np.diff(frames)
    for k in range(1, len(speed) - 1):
        before, after = speed[k - 1], speed[k + 1]
        if min(abs(before), abs(after)) < BOUNCES or before * after > 0:
            continue
        inner = (every > frames[k]) & (every < frames[k + 1])
        ways = at[k] + before * (every[inner] - frames[k]), at[k + 1] + after * (every[inner] - frames[k + 1])
        out[inner] = np.maximum(*ways) if after > before else np.minimum(*ways)
    return out


def smooth(path: np.ndarray) -> np.ndarray:
    """(T, 2) px: a straight, even way where it is one within what following errs by; else cleaned of its jitter.

    Where it turns sharply, as at the picture's edge, it is left as it was followed.
    """
    t = np.arange(len(path), dtype=float)
    fit = np.stack([np.polyval(np.polyfit(t, path[:, k], 1), t) for k in (0, 1)], 1)
    if np.abs(path - fit).max() < JITTER:
        return fit
    reach = min(2, (len(path) - 1) // 2)
    if reach < 1:
        return path
    padded = np.concatenate([2 * path[:1] - path[reach:0:-1], path, 2 * path[-1:] - path[-2 : -2 - reach : -1]])
    kernel = np.ones(2 * reach + 1) / (2 * reach + 1)
    even = np.stack([np.convolve(padded[:, k], kernel, "valid") for k in (0, 1)], 1)
    turns = np.convolve(np.abs(even - path).max(1) > JITTER, np.ones(2 * reach + 1), "same") > 0
    return np.where(turns[:, None], path, even)


def even_way(path: np.ndarray, off: float) -> float:
    """Px of the longest piece of a way (T, 2) px that goes straight on at one speed for a while, to within `off` px."""
    longest, first = 0.0, 0
    for last in range(2, len(path) + 1):
        if last < len(path):
            piece = path[first : last + 1] - path[first : last + 1].mean(0)
            time = np.arange(len(piece)) - (len(piece) - 1) / 2
            if np.hypot(*(piece - np.outer(time, time @ piece) / (time @ time)).T).max() <= off:
                continue
        if last - first >= LEAST_EVEN:
            longest = max(longest, float(np.hypot(*(path[last - 1] - path[first]))))
        first = last - 1
    return longest


def time_on_way(path: np.ndarray) -> float:
    """Share of its time in which something has gone half of its way (T, 2) px, if it goes fastest then: 0.5 evenly."""
    steps = np.sort(np.hypot(*np.diff(path, axis=0).T))[::-1]
    return float(np.searchsorted(np.cumsum(steps), steps.sum() / 2) + 1) / max(1, len(steps))
