"""What was followed on its way, by its corners or as a word: each thing once, and only what goes far for long."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..timing import FrameRange
from ._tracks import Travel, motion, prolonged

LEAST_WAY, LEAST_S = 6.0, 0.5  # analysis px and s that something travels
TRAVELS_A_SECOND = 1.0  # that are looked at a second time, the largest and longest first
MOST_TURNING = 2  # the same of those that turn or grow by their corners, of which the longest are looked at
SEEN_FOR = 0.5  # of the time in which it was followed as a whole, for what turns or grows to be told by its corners
LEAST_POSE = np.array([0.06, 4.0])  # size and degrees by which something that stays in its place changes
ALONG, ALONG_SHARE = 4.0, 0.2  # analysis px, and of a way, by which those of one thing differ that was followed twice
MOST_OF = 0.5  # of the time of the shorter of two travels, in which both show one thing


def choose_travels(travels: list[Travel], whole: FrameRange, rate: float) -> list[Travel]:
    """What travels worth a second look: what goes far for long, with many points."""
    far = [t for t in travels if t.stop - t.start >= LEAST_S * rate and _goes_far(t)]
    most = max(4, round(TRAVELS_A_SECOND * len(whole) / rate))
    far.sort(key=lambda t: (t.is_plain, -t.support * (t.stop - t.start)))
    return sorted(far[:most], key=lambda t: t.start)


def _goes_far(travel: Travel) -> bool:
    return travel.is_exact or changes(travel) or bool(np.hypot(*np.ptp(travel.path, axis=0)) >= LEAST_WAY)


def changes(travel: Travel) -> bool:
    """Whether it turns or grows."""
    return travel.poses is not None and bool((np.ptp(travel.poses, axis=0) >= LEAST_POSE).any())


def all_travels(
    points: list[Travel], words: list[Travel], turning: list[Travel], wobbling: list[Travel]
) -> list[Travel]:
    """What travels, each thing once: points and lines of text that go one way, points that turn or grow, and lines
    that wobble.

    A line that wobbles is told best by itself, as a whole; one that turns otherwise by its corners, if these are seen
    for long enough.
    """
    swaying: list[Travel] = []
    for word in sorted(wobbling, key=lambda t: t.start - t.stop):
        swaying += [] if any(_goes_with(word, other) for other in swaying) else [word]
    kept = [t for t in once(points + words) if not any(_goes_with(t, word) for word in swaying)]
    corners = [t for t in once(turning) if not any(_goes_with(t, word) for word in swaying)]
    for travel in corners[:MOST_TURNING]:
        same = [other for other in kept if _is_along(travel, other, MOST_OF)]
        if all(any(other is word for word in words) and _lasts(travel, other) for other in same):
            kept = [other for other in kept if not any(other is one for one in same)] + [travel]
    return sorted(kept + swaying, key=lambda t: t.start)


def _goes_with(travel: Travel, other: Travel) -> bool:
    """Whether something lies on another thing that turns or grows, and goes as that does, for most of its time."""
    first, stop = max(travel.start, other.start), min(travel.stop, other.stop)
    if stop - first < max(1, MOST_OF * min(travel.stop - travel.start, other.stop - other.start)):
        return False
    middles = motion(travel)[1][first - travel.start : stop - travel.start]
    turns, its = (part[first - other.start : stop - other.start] for part in motion(other))
    own = (middles[0] - its[0]) / turns[0]
    if abs(own.real) > other.box[2] / 2 or abs(own.imag) > other.box[3] / 2:
        return False
    way = float(np.abs(middles - middles[0]).max())
    return bool(np.abs(turns * own + its - middles).max() <= ALONG + ALONG_SHARE * way)


def _lasts(travel: Travel, other: Travel) -> bool:
    return travel.stop - travel.start >= SEEN_FOR * (other.stop - other.start)


def once(travels: list[Travel]) -> list[Travel]:
    """Of those that go the same way in the same place at the same time the one that does so longest.

    What turns or grows is seen in pieces: there the others tell how it goes on.
    """
    kept: list[Travel] = []
    for travel in sorted(travels, key=lambda t: t.start - t.stop):
        least = MOST_OF if travel.poses is None else 0.0  # what turns is seen in pieces, which share a look
        same = next((k for k, other in enumerate(kept) if _is_along(travel, other, least)), None)
        if same is None:
            kept.append(travel)
        elif travel.poses is not None:
            kept[same] = prolonged(kept[same], travel)
        elif not travel.is_plain:
            kept[same] = replace(kept[same], is_plain=False)
    return kept


def _is_along(travel: Travel, other: Travel, least: float) -> bool:
    """Whether both show the same thing; `least`: share of the shorter one's time in which both do."""
    first, stop = max(travel.start, other.start), min(travel.stop, other.stop)
    if stop - first < max(1, least * min(travel.stop - travel.start, other.stop - other.start)):
        return False
    ways = [t.path[first - t.start : stop - t.start] for t in (travel, other)]
    one, two = (way - way[0] for way in ways)
    if np.abs(one - two).max() > max(ALONG, ALONG_SHARE * np.hypot(*np.ptp(one, axis=0))):
        return False
    (ax, ay), (bx, by) = (np.array(t.box[:2]) + way[0] for t, way in zip((travel, other), ways, strict=True))
    (aw, ah), (bw, bh) = travel.box[2:], other.box[2:]
    across, down = min(ax + aw, bx + bw) - max(ax, bx), min(ay + ah, by + bh) - max(ay, by)
    return bool(across > 0 and down > 0 and across * down > 0.5 * min(aw * ah, bw * bh))
