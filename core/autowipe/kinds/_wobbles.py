"""Words that wobble: text lines followed by their own picture as they turn, grow and shrink to and fro.

From where the detector names it (`_lines`), and back to where it came from, each is followed from frame to frame
(`_follow`), in its place, size and turn. What is drawn wobbles about a point of its own, while what the scene around
it does is something else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from ..job import Box
from ..text import TextLine
from . import Small
from ._follow import Follower, Place, sway, wobbles
from ._lines import MISSES, MOSTLY, OWN_SHARE, PAD, REST, RESTING, SMALLEST, Followed, TravelFinder
from ._tracks import Travel, similarity
from ._travels import changes

LIKE = 0.6  # correlation with its picture from which a word is still there
LESS = 0.8  # of its usual likeness, with which it is not there either
KEEPS_LIKE, KEEPS_FOR = 0.97, 24  # correlation in nearly all of so many steps, of what is no filmed thing that turns
BACK = 40  # pictures that are kept, through which a word is followed back to where it came from
OWN_WAY = 3.0  # analysis px by which its ends have left the scene around it, to be no part of that
TRIED, OWN_TRIED = 8, 1.0  # steps after which it is dropped, till it is seen again, that has left it by less px
PAUSE = 20  # steps in place of `REST` for a word that went before, which may but turn back
GONE = 4.0  # px that it has gone, to be such a one
ROOM = 0.12  # of a line's height, around it, that is followed with it


AS_COMPLEX = np.array([1, 1j])
STILL = Place(1 + 0j, 0j)


@dataclass(eq=False, kw_only=True)
class _Word(Followed):
    """A line that turns, grows and shrinks as it goes."""

    line: TextLine
    follower: Follower
    frames: list[int]
    places: list[Place]  # in each of `frames`
    scenes: list[Place] = field(default_factory=lambda: [STILL])  # what the scene around it has done by then
    drifted: Place = field(default_factory=lambda: STILL)  # the same up to now, the word being missed or not
    early: int = 0  # of the frames, in which it was followed back, and the scene was not
    is_whole: bool = False  # was followed back
    farthest: float = 0.0  # it has gone from where its way began
    like: float = LIKE  # its likeness as it usually is
    likes: list[float] = field(default_factory=list)  # its likeness in each step since it last rested

    @property
    def box(self) -> tuple[float, float, float, float]:
        place, (w, h) = self.places[-1], self.follower.size
        w, h = w * abs(place.turn), h * abs(place.turn)
        return place.middle.real - w / 2, place.middle.imag - h / 2, w, h

    @property
    def ahead(self) -> Place:
        """Where it is expected next."""
        return self.places[-1].ahead(self.places[-2]) if len(self.places) > 1 and not self.rests else self.places[-1]

    def follow(self, small: Small) -> None:
        place, like = self.follower.fit(small.luma, self.ahead)
        if like < max(LIKE, LESS * self.like):
            self.misses += 1
            return
        self.like += (like - self.like) / min(len(self.places), PAUSE)
        self.likes.append(like)
        self.misses = 0
        self.frames.append(small.frame)
        self.places.append(place)
        self.scenes.append(self.drifted)
        self.follower.learn(small.luma, place)

    def follow_back(self, recent: Iterable[tuple[int, np.ndarray]]) -> None:
        """To where it came from before the detector saw it, or before it was seen to move.

        `recent`: frame and luma of pictures, the latest first.
        """
        misses, self.is_whole = 0, True
        for frame, luma in recent:
            if frame >= self.frames[0] or misses == MISSES:
                continue
            near = self.places[0].ahead(self.places[1]) if len(self.places) > 1 else self.places[0]
            place, like = self.follower.fit(luma, near)
            if like < max(LIKE, LESS * self.like):
                misses += 1
                continue
            misses = 0
            self.frames.insert(0, frame)
            self.places.insert(0, place)
            self.early += 1

    def settle(self) -> None:
        now, reach = self.places[-1], self.follower.reach
        self.farthest = max(self.farthest, now.apart(self.places[0], reach))
        steps = 1 if self.rests else PAUSE if self.farthest >= GONE else REST
        before = self.places[-1 - steps :]
        self.rests = len(before) > steps and all(now.apart(place, reach) < RESTING for place in before)
        if self.rests:
            self.frames, self.places, self.early, self.known, self.farthest = self.frames[-1:], before[:1], 0, 0, 0.0
            self.scenes, self.drifted, self.is_whole, self.likes = [STILL], STILL, False, []

    def drift(self, before: np.ndarray, after: np.ndarray) -> None:
        turn, way = similarity(np.stack([before @ AS_COMPLEX, after @ AS_COMPLEX]))
        self.drifted = Place(turn[1] * self.drifted.turn, turn[1] * self.drifted.middle + way[1])

    def travel(self) -> Travel | None:
        if self.known < MOSTLY * (len(self.places) - self.early - 1):
            return None
        frames, places = np.array(self.frames), self.places
        own, way = self.own_way()
        if own < max(OWN_WAY, OWN_SHARE * way):
            return None
        has_swayed = wobbles(*sway(frames, places, self.follower.reach))
        if not self.keeps and not has_swayed:
            return None
        turns = np.array([place.turn for place in places])
        middles = np.array([place.middle for place in places])
        usual = turns[np.argsort(np.abs(turns))[len(turns) // 2]]  # it may have been small as it came
        box, sure = self._box_at(Place(complex(usual), middles[0]))
        every = np.arange(frames[0], frames[-1] + 1)
        turns, way = turns / usual, middles - middles[0]
        path, poses = (
            np.stack([np.interp(every, frames, part) for part in parts], 1).astype(np.float32)
            for parts in ((way.real, way.imag), (np.abs(turns), np.degrees(np.unwrap(np.angle(turns)))))
        )
        travel = Travel(box, int(frames[0]), int(frames[-1]) + 1, path, len(frames), poses, sure, True)
        return travel if has_swayed or changes(travel) else None  # what stays upright is followed better by its edges

    @property
    def keeps(self) -> bool:
        """Whether its picture keeps however it turns: what is filmed is seen askew, in another light and blurred."""
        return len(self.likes) >= KEEPS_FOR and float(np.quantile(self.likes, 0.05)) >= KEEPS_LIKE

    def own_way(self) -> tuple[float, float]:
        """Px by which its ends have left the scene around it at most, and by which they have gone."""
        places, (w, h) = self.places[self.early :], self.follower.size
        ends = np.array([complex(x, y) for x in (-w / 2, w / 2) for y in (-h / 2, h / 2)])
        spots = np.array([place.turn * ends + place.middle for place in places])
        scene = np.array([drift.turn * spots[0] + drift.middle for drift in self.scenes])
        return float(np.abs(spots - scene).mean(1).max()), float(np.abs(spots - spots[0]).mean(1).max())

    def _box_at(self, first: Place) -> tuple[Box, np.ndarray]:
        """A box around it at a place, with what may belong to it; and how surely each px there is its own."""
        w, h = self.follower.size
        quad = self.line.quad.astype(np.float64) @ AS_COMPLEX
        pad = PAD * min(abs(quad[1] - quad[0]), abs(quad[3] - quad[0])) + 2
        ends = first.turn * np.array([complex(x, y) for x in (-w / 2, w / 2) for y in (-h / 2, h / 2)])
        wide, high = (int(np.ceil(np.ptp(part) / 2 + abs(first.turn) * pad)) for part in (ends.real, ends.imag))
        box = (round(first.middle.real) - wide, round(first.middle.imag) - high, 2 * wide, 2 * high)
        move = np.array([[first.turn.real, -first.turn.imag, wide], [first.turn.imag, first.turn.real, high]])
        move[:, 2] -= move[:, :2] @ [(w - 1) / 2, (h - 1) / 2]
        return box, cv2.warpAffine(self.follower.steadiness, move, (2 * wide, 2 * high), flags=cv2.INTER_LINEAR)


class WobbleFinder(TravelFinder[_Word]):
    """Finds words that wobble; keeps a few pictures more."""

    def __init__(self, every: int) -> None:
        super().__init__(every)
        self._recent: deque[tuple[int, np.ndarray]] = deque(maxlen=BACK)  # frame and luma

    def add(self, small: Small) -> None:
        super().add(small)
        self._recent.append((small.frame, small.luma))
        self._open = [
            word for word in self._open if len(word.places) - word.early != TRIED or word.own_way()[0] >= OWN_TRIED
        ]

    def _follow(self, word: _Word, small: Small) -> None:
        super()._follow(word, small)
        if word.farthest >= GONE and not word.is_whole and word.own_way()[0] >= OWN_TRIED:
            word.follow_back(reversed(self._recent))

    def _begun(self, line: TextLine, small: Small) -> _Word | None:
        x0, y0, x1, y1 = line.bounds
        if min(x1 - x0, y1 - y0) < SMALLEST:
            return None
        quad = line.quad.astype(np.float64) @ AS_COMPLEX
        high = min(abs(quad[1] - quad[0]), abs(quad[3] - quad[0]))
        room = int(np.ceil(ROOM * high)) + 1
        w, h = int(np.ceil(x1 - x0)) + 2 * room, int(np.ceil(y1 - y0)) + 2 * room
        middle = complex((x0 + x1) / 2, (y0 + y1) / 2)
        own = quad - middle + complex((w - 1) / 2, (h - 1) / 2)
        inner = np.zeros((h, w), np.uint8)
        cv2.fillConvexPoly(inner, np.rint(np.stack([own.real, own.imag], 1)).astype(np.int32), 1)
        follower = Follower(cv2.dilate(inner, np.ones((2 * room + 1,) * 2)).astype(np.float32))
        place = Place(1 + 0j, middle)
        follower.learn(small.luma, place)
        return _Word(score=line.score, line=line, follower=follower, frames=[small.frame], places=[place])
