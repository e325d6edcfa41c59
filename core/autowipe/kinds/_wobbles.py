"""Words that wobble: text lines followed by their own picture as they turn, grow and shrink to and fro.

The detector names the lines in sampled frames; from then on, and back to where it came from, each is followed from
frame to frame (`_follow`), in its place, size and turn. What is drawn wobbles about a point of its own, while what the
scene around it does, which is followed as well, is something else: a sign goes with the wall that it hangs on.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np

from ..boxes import alike, corners
from ..job import Box
from ..text import TextLine
from . import Small
from ._follow import Follower, Place, sway, wobbles
from ._tracks import Travel, similarity

MOST = 16  # words that are followed at once, the surest first
LIKE = 0.6  # correlation with its picture from which a word is still there
LESS = 0.8  # of its usual likeness, with which it is not there either
MISSES = 3  # steps in a row without it, from which it is gone
UNSEEN = 3  # looks in a row in which the detector does not see again what it saw once, from which it is no word
SAME = 0.35  # overlap from which the detector's line is the word that is followed
BACK = 40  # pictures that are kept, through which a word is followed back to where it came from
FEWEST = 6  # corners by which the scene is followed
RING = 0.9  # of a word's height: so far around it the scene is followed
OWN_WAY = 3.0  # analysis px by which its ends have left the scene around it, to be no part of that
TRIED, OWN_TRIED = 8, 1.0  # steps after which it is dropped, till it is seen again, that has left it by less px
OWN_SHARE = 0.5  # the same as a share of its way
MOSTLY = 0.8  # share of the steps in which the scene around it can be followed, for this to be known
REST, PAUSE, RESTING = 5, 20, 0.5  # steps within which a word has gone no further than so many px: until it does, looks
# will do; those of a word that went before, which may but turn back
GONE = 4.0  # px that it has gone, to be such a one
LEAST_LOOKS = 2  # in which the detector has seen it, to be followed for longer
PAD = 0.8  # of a word's height: an icon beside it, its outline and shadow
ROOM = 0.12  # of a line's height, around it, that is followed with it


AS_COMPLEX = np.array([1, 1j])
STILL = Place(1 + 0j, 0j)


@dataclass(eq=False)
class _Word:
    """A line that is followed; lengths in px of the analysis picture."""

    line: TextLine
    follower: Follower
    frames: list[int]
    places: list[Place]  # in each of `frames`
    scenes: list[Place] = field(default_factory=lambda: [STILL])  # what the scene around it has done by then
    drift: Place = field(default_factory=lambda: STILL)  # the same up to now, the word being missed or not
    early: int = 0  # of the frames, in which it was followed back, and the scene was not
    is_whole: bool = False  # was followed back
    farthest: float = 0.0  # it has gone from where its way began
    known: int = 0  # steps in which that could be told
    like: float = LIKE  # its likeness as it usually is
    misses: int = 0
    seen: int = 1
    unseen: int = 0
    rests: bool = False  # stands still; then it is followed from look to look only

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x, y, width and height where it is now."""
        place, (w, h) = self.places[-1], self.follower.size
        w, h = w * abs(place.turn), h * abs(place.turn)
        return place.middle.real - w / 2, place.middle.imag - h / 2, w, h

    @property
    def ahead(self) -> Place:
        """Where it is expected next."""
        return self.places[-1].ahead(self.places[-2]) if len(self.places) > 1 and not self.rests else self.places[-1]

    def settle(self) -> None:
        """Rests where it has not gone on, and begins its way anew there: of what the scene did, nothing is known."""
        now, reach = self.places[-1], self.follower.reach
        self.farthest = max(self.farthest, now.apart(self.places[0], reach))
        steps = 1 if self.rests else PAUSE if self.farthest >= GONE else REST
        before = self.places[-1 - steps :]
        self.rests = len(before) > steps and all(now.apart(place, reach) < RESTING for place in before)
        if self.rests:
            self.frames, self.places, self.early, self.known, self.farthest = self.frames[-1:], before[:1], 0, 0, 0.0
            self.scenes, self.drift, self.is_whole = [STILL], STILL, False


class WobbleFinder:
    """Gets pictures in order, some of them searched for text; its memory is a few of them and what is on its way."""

    def __init__(self, every: int) -> None:
        """`every`: pictures from one at which words at rest are followed to the next."""
        self.travels: list[Travel] = []
        self._every, self._count = every, 0
        self._recent: deque[tuple[int, np.ndarray]] = deque(maxlen=BACK)  # frame and luma
        self._open: list[_Word] = []

    def add(self, small: Small) -> None:
        moving = [word for word in self._open if self._count % self._every == 0 or not word.rests]
        self._follow_scenes(moving, small.luma)
        for word in moving:
            self._follow(word, small)
            word.settle()
            if word.farthest >= GONE and not word.is_whole:
                self._follow_back(word)
        self._recent.append((small.frame, small.luma))
        if small.text is not None and small.text.moving:
            self._look(small, small.text.lines)
        for word in [w for w in self._open if w.misses >= MISSES or self._is_none(w)]:
            self._end(word)
        self._open = [
            word for word in self._open if len(word.places) - word.early != TRIED or _own_way(word)[0] >= OWN_TRIED
        ]
        self._count += 1

    def close(self) -> None:
        """No more looks: what still travels ends here."""
        for word in list(self._open):
            self._end(word)

    @staticmethod
    def _is_none(word: _Word) -> bool:
        return word.seen < LEAST_LOOKS and word.unseen >= UNSEEN

    def _look(self, small: Small, lines: list[TextLine]) -> None:
        fresh = []
        for line in lines:
            word = max(self._open, key=lambda w: alike(corners(w.box), line.bounds), default=None)
            if word is not None and alike(corners(word.box), line.bounds) >= SAME:
                word.seen, word.unseen = word.seen + 1, -1
                continue
            x0, y0, x1, y1 = line.bounds
            if min(x1 - x0, y1 - y0) >= 6:
                fresh.append(_begun(line, small))
        for word in self._open:
            word.unseen += 1
        fresh.sort(key=lambda w: -w.line.score)
        self._open += fresh[: max(0, MOST - len(self._open))]

    @staticmethod
    def _follow(word: _Word, small: Small) -> None:
        place, like = word.follower.fit(small.luma, word.ahead)
        if like < max(LIKE, LESS * word.like):
            word.misses += 1
            return
        word.like += (like - word.like) / min(len(word.places), PAUSE)
        word.misses = 0
        word.frames.append(small.frame)
        word.places.append(place)
        word.scenes.append(word.drift)
        word.follower.learn(small.luma, place)

    def _follow_back(self, word: _Word) -> None:
        """To where it came from before the detector saw it, or before it was seen to move."""
        misses, word.is_whole = 0, True
        for frame, luma in reversed(self._recent):
            if frame >= word.frames[0] or misses == MISSES:
                continue
            near = word.places[0].ahead(word.places[1]) if len(word.places) > 1 else word.places[0]
            place, like = word.follower.fit(luma, near)
            if like < max(LIKE, LESS * word.like):
                misses += 1
                continue
            misses = 0
            word.frames.insert(0, frame)
            word.places.insert(0, place)
            word.early += 1

    def _follow_scenes(self, words: list[_Word], luma: np.ndarray) -> None:
        """Adds what the scene close around each of the words does from the last picture to this one."""
        around = [self._around(word) for word in words]
        spots = np.concatenate([np.zeros((0, 2), np.float32), *around])
        if not len(spots):
            return
        last = self._recent[-1][1]
        setting = {"winSize": (9, 9), "maxLevel": 3}
        ahead, found, _ = cv2.calcOpticalFlowPyrLK(last, luma, spots, None, **setting)
        back, again, _ = cv2.calcOpticalFlowPyrLK(luma, last, ahead, None, **setting)
        good = (found.ravel() > 0) & (again.ravel() > 0) & (np.abs(back - spots).max(1) < 1)
        ends = np.cumsum([len(part) for part in around])
        for word, end, count in zip(words, ends, map(len, around), strict=True):
            part = np.flatnonzero(good[end - count : end]) + end - count
            if len(part) >= FEWEST:
                turn, way = similarity(np.stack([spots[part] @ AS_COMPLEX, ahead[part] @ AS_COMPLEX]))
                word.drift = Place(turn[1] * word.drift.turn, turn[1] * word.drift.middle + way[1])
                word.known += 1

    def _around(self, word: _Word) -> np.ndarray:
        """(n, 2) float32 px: corners of the last picture close around a word, by which the scene is followed."""
        last = self._recent[-1][1]
        x, y, w, h = word.box
        reach = max(6, round(RING * min(w, h)))
        left, top = max(0, int(x) - reach), max(0, int(y) - reach)
        part = last[top : max(0, int(y + h) + reach), left : max(0, int(x + w) + reach)]
        ring = np.full(part.shape, 255, np.uint8)
        rows, columns = (
            slice(max(0, int(start) - 2 - first), max(0, int(start + size) + 3 - first))
            for start, size, first in ((y, h, top), (x, w, left))
        )
        ring[rows, columns] = 0
        spots = cv2.goodFeaturesToTrack(part, 40, 0.02, 4, mask=ring, blockSize=3) if part.size else None
        if spots is None:
            return np.zeros((0, 2), np.float32)
        return spots.reshape(-1, 2) + np.array([left, top], np.float32)

    def _end(self, word: _Word) -> None:
        self._open.remove(word)
        if word.known < MOSTLY * (len(word.places) - word.early - 1):
            return
        frames, places = np.array(word.frames), word.places
        own, way = _own_way(word)
        if not wobbles(*sway(frames, places, word.follower.reach)) or own < max(OWN_WAY, OWN_SHARE * way):
            return
        turns = np.array([place.turn for place in places])
        middles = np.array([place.middle for place in places])
        usual = turns[np.argsort(np.abs(turns))[len(turns) // 2]]  # it may have been small as it came
        box, sure = _box_of(word, Place(complex(usual), middles[0]))
        every = np.arange(frames[0], frames[-1] + 1)
        turns, way = turns / usual, middles - middles[0]
        path, poses = (
            np.stack([np.interp(every, frames, part) for part in parts], 1).astype(np.float32)
            for parts in ((way.real, way.imag), (np.abs(turns), np.degrees(np.unwrap(np.angle(turns)))))
        )
        self.travels.append(Travel(box, int(frames[0]), int(frames[-1]) + 1, path, len(frames), poses, sure, True))


def _begun(line: TextLine, small: Small) -> _Word:
    """A word as the detector has seen it first."""
    x0, y0, x1, y1 = line.bounds
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
    return _Word(line, follower, [small.frame], [place])


def _own_way(word: _Word) -> tuple[float, float]:
    """Px by which its ends have left the scene around it at most, and by which they have gone."""
    places, (w, h) = word.places[word.early :], word.follower.size
    ends = np.array([complex(x, y) for x in (-w / 2, w / 2) for y in (-h / 2, h / 2)])
    spots = np.array([place.turn * ends + place.middle for place in places])
    scene = np.array([drift.turn * spots[0] + drift.middle for drift in word.scenes])
    return float(np.abs(spots - scene).mean(1).max()), float(np.abs(spots - spots[0]).mean(1).max())


def _box_of(word: _Word, first: Place) -> tuple[Box, np.ndarray]:
    """A box around it as it lies at a place, with what may belong to it; and how surely each px there is its own."""
    w, h = word.follower.size
    quad = word.line.quad.astype(np.float64) @ AS_COMPLEX
    pad = PAD * min(abs(quad[1] - quad[0]), abs(quad[3] - quad[0])) + 2
    ends = first.turn * np.array([complex(x, y) for x in (-w / 2, w / 2) for y in (-h / 2, h / 2)])
    wide, high = (int(np.ceil(np.ptp(part) / 2 + abs(first.turn) * pad)) for part in (ends.real, ends.imag))
    box = (round(first.middle.real) - wide, round(first.middle.imag) - high, 2 * wide, 2 * high)
    move = np.array([[first.turn.real, -first.turn.imag, wide], [first.turn.imag, first.turn.real, high]])
    move[:, 2] -= move[:, :2] @ [(w - 1) / 2, (h - 1) / 2]
    return box, cv2.warpAffine(word.follower.steadiness, move, (2 * wide, 2 * high), flags=cv2.INTER_LINEAR)
