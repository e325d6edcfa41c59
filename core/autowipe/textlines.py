"""Text lines followed through a clip at analysis size: when each one comes and goes, and whether the scene carries it.

The detector looks at sampled frames only. Every line that it finds is followed on each frame by its stroke
edges at its fixed place, backwards through a short ring of frames to its onset, then forwards until it is gone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np

from .boxes import alike
from .evidence import gradients
from .kinds import Small
from .text import TextLine, find_text
from .textpatterns import Corners, Pattern, Picture, at_one_stroke, compare, edge_of, fading, gradient, pattern_of
from .textsearch import look_step, standing, windows_of
from .textticks import Ticker

ALIKE = 0.6  # correlation of stroke edges from which a line is still the same
GONE = 0.35  # strength of a line's strokes up to which it is gone and the rest is the scene's
AFTER = 8  # frames watched after a line is lost, to see what is left without it
SEARCH = 8  # analysis px around its place in which a lost line is looked for
SETTLED = 3  # frames in which what came has to stand still
CHANGED = 40  # levels between two frames from which a sample may be a stroke that came or went
SPARE = 0.25  # looks at the whole picture that those in between may cost, for each look for text
UNCHANGED = 6.0  # levels: mean difference of surroundings that are the same
PARTS = 4  # of a line's length that are compared in a fade
UNEVEN = 0.25  # by which their strengths may differ in one; the codec makes it .1, an occluder 1
SAME = 0.85  # correlation of their edges from which surroundings surely stayed
BLOCK = 8  # px, side of the blocks in which such samples are counted
MOST_ROWS = 0.35  # of the picture's height, that a text which comes or goes may take
ROOM = 32  # px around strokes that such a look sees: enlarged without what is around them, few letters look like none
LEAST_ZOOM = 1.3  # from which it is worth it
CLOSE = 0.25  # of the picture's samples, that a look at a part of it may have: small parts are enlarged


@dataclass
class Line:
    """One text line at one place: frames in which it is visible, and what was seen of it. Lengths in analysis px."""

    box: Corners
    slant: float  # degrees off the axes
    score: float  # the detector's
    start: int
    stop: int
    fade_in: int = 0
    fade_out: int = 0
    pop_in: bool = False  # came within a few frames while its surroundings stayed
    pop_out: bool = False  # left so
    crisp: bool = False  # did so at one stroke, the surroundings surely the same
    clean: bool = False  # did so, at one stroke or not, the surroundings surely the same
    moved: bool = False  # was found again beside its place
    still: int = 0  # frames in which it stayed although its surroundings had moved on
    steady: float = 1.0  # mean correlation of its strokes with those at first sight
    ticks: int = 0  # times that a part of it, the same again, changed at one stroke while all else stayed

    @property
    def height(self) -> int:
        """Of its letters: the shorter side."""
        return min(self.box[2] - self.box[0], self.box[3] - self.box[1])


@dataclass
class _Track:
    line: Line
    pattern: Pattern = field(init=False)
    patch: np.ndarray = field(init=False)  # luma of the line at first sight
    levels: deque[float] = field(default_factory=lambda: deque(maxlen=24))
    earlier: float = 1.0  # mean correlation in the frames before the one in which it was found
    total: float = 0.0
    count: int = 0
    lost: int | None = None  # frame in which it was lost
    tail: list[float] = field(default_factory=list)
    ticker: Ticker = field(default_factory=Ticker)


@dataclass(frozen=True)
class _Want:
    """A look at a part of the picture, wanted from a frame on; `certain` where a line that popped in has just gone."""

    frame: int
    window: Corners
    certain: bool


class LineFinder:
    """Feeds on every frame at analysis size, in order; `lines` are those that have ended, all after `close`.

    Beside what the looks for text find (`textsearch`) the detector sees places in which something of a line's shape
    came and stands, as far as a budget of looks in between allows.
    """

    def __init__(self, rate: float) -> None:
        self.step = look_step(rate)
        self.lines: list[Line] = []
        self._tracks: list[_Track] = []
        self._ring: deque[tuple[int, Picture]] = deque(maxlen=self.step + AFTER + 6)
        self._wanted: list[_Want] = []  # looks in between
        self._budget = 1.0  # in looks at the whole picture
        self._busy: np.ndarray | None = None

    def feed(self, small: Small) -> None:
        frame, (height, width) = small.frame, small.luma.shape
        picture = (small.luma, np.ascontiguousarray(small.chroma[..., 0]), np.ascontiguousarray(small.chroma[..., 1]))
        self._sense(frame, small.luma)
        self._ring.append((frame, picture))
        for track in self._tracks:
            self._follow(track, frame, picture)
        self._tracks = [track for track in self._tracks if not self._ended(track)]
        self._budget = min(2.0, self._budget + SPARE / self.step)
        if small.text is not None:
            self._look(picture, (0, 0, width, height), 1.0, small.text.lines)
        else:
            for want in self._wanted:
                if want.frame == frame and (self._budget > 0 or want.certain):
                    self._look_at(self._standing(want), picture, want.certain)
        self._wanted = [want for want in self._wanted if want.frame > frame]

    def close(self) -> None:
        """The clip is over: ends what is still on."""
        for track in self._tracks:
            few = len(track.tail) < AFTER // 2  # too few frames to tell a fade from the end
            if track.lost is None or (few and not at_one_stroke(track.levels[-1], track.tail[0])):
                track.line.fade_out = fading(list(track.levels)[-12:] + track.tail)
                self._keep(track, self._ring[-1][0] + 1)
            else:
                self._end(track)
        self._tracks.clear()

    def _sense(self, frame: int, luma: np.ndarray) -> None:
        """Wants a look where something of the shape of a text line came or went since the last frame."""
        if not self._ring:
            return
        changed = cv2.threshold(cv2.absdiff(luma, self._ring[-1][1][0]), CHANGED, 255, cv2.THRESH_BINARY)[1]
        size = max(3, luma.shape[1] // BLOCK), max(3, luma.shape[0] // BLOCK)
        busy = cv2.resize(changed, size, interpolation=cv2.INTER_AREA) > 0.2 * 255
        fresh = busy & ~self._busy if self._busy is not None else busy
        self._busy = cv2.dilate(busy.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        joined = cv2.dilate(fresh.astype(np.uint8), np.ones((1, 5), np.uint8))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
        runs = np.zeros(fresh.shape, bool)
        runs[:, 1:-1] = fresh[:, :-2] & fresh[:, 1:-1] & fresh[:, 2:]
        if count <= 1 or not runs.any():
            return
        best = 1 + int(np.bincount(labels[runs], minlength=count)[1:].argmax())
        x, y, w, h = (int(v) * BLOCK for v in stats[best][:4])
        if h <= MOST_ROWS * luma.shape[0]:
            self._wanted.append(_Want(frame + SETTLED, (x - 32, y - 32, x + w + 32, y + h + 32), False))

    def _standing(self, want: _Want) -> list[Corners]:
        """The parts of a window in which strokes stand as text does; where something came, they did not just before."""
        height, width = self._ring[-1][1][0].shape
        x0, y0, x1, y1 = want.window
        x0, y0, x1, y1 = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
        if len(self._ring) < SETTLED + 2 or min(x1 - x0, y1 - y0) < 8:
            return []
        pictures = [self._ring[-1 - k][1] for k in range(SETTLED + 2)]
        now, *earlier, before = (
            gradients(luma[y0:y1, x0:x1], np.dstack([blue[y0:y1, x0:x1], red[y0:y1, x0:x1]]))
            for luma, blue, red in pictures
        )
        blocks = standing(now, earlier[:2]) if want.certain else standing(now, earlier, before)
        parts = windows_of(blocks, [], (x1 - x0, y1 - y0), ROOM)
        return [(x0 + left, y0 + top, x0 + right, y0 + bottom) for left, top, right, bottom in parts]

    def _look_at(self, windows: list[Corners], picture: Picture, certain: bool) -> None:
        height, width = picture[0].shape
        for window in windows:
            area = (window[2] - window[0]) * (window[3] - window[1])
            zoom = float(min(2, np.sqrt(CLOSE * width * height / area)))
            zoom = zoom if zoom >= LEAST_ZOOM else 1.0
            self._budget -= 0 if certain else 0.02 + zoom**2 * area / (width * height)
            self._look(picture, window, zoom, find_text(_enlarged(picture, window, zoom)))

    def _follow(self, track: _Track, frame: int, picture: Picture) -> None:
        level, alike, gone = compare(picture, track.pattern)
        line = track.line
        if track.lost is not None:
            track.tail.append(level)
            if alike >= ALIKE and level > 0.5 and not line.moved:
                track.lost, track.tail = None, []  # a flash, or something passed before it
            return
        if alike < ALIKE or level < 0.35:
            track.lost, track.tail = frame, [level]
            line.moved = line.moved or self._beside(track, picture)
            if not line.moved:
                self._expect(frame, line, picture[0].shape[1])
            return
        if level > 1.2 and frame - line.start <= self.step:
            self._begin(track, picture, [t.line.box for t in self._tracks])  # it was first seen while it faded in
            return
        if len(self._ring) > 1:
            line.ticks = track.ticker.add(self._ring[-2][1][0], picture[0], line.box)
        track.levels.append(level)
        track.total += alike
        track.count += 1
        line.still += int(gone > 0.7 and alike > 0.75)

    def _expect(self, frame: int, line: Line, width: int) -> None:
        """Where lines pop in, the next one comes soon after this one has gone."""
        old = [other for other in self.lines[-8:] if frame - other.stop < 8 * self.step]
        rows = [other.box for other in [line, *old] if other.pop_in]
        known = any(box[1] < line.box[3] and line.box[1] < box[3] for box in rows)
        window = (0, line.box[1] - line.height, width, line.box[3] + line.height)
        wanted = {want.frame for want in self._wanted if want.certain}
        self._wanted += [_Want(frame + wait, window, known) for wait in (2, 5) if frame + wait not in wanted]

    def _beside(self, track: _Track, picture: Picture) -> bool:
        """Whether a lost line is found again close to its place."""
        whole = picture[track.pattern.component]
        x0, y0, x1, y1 = track.line.box
        inner = max(x0, SEARCH), max(y0, SEARCH), min(x1, whole.shape[1] - SEARCH), min(y1, whole.shape[0] - SEARCH)
        if inner[2] - inner[0] < 6 or inner[3] - inner[1] < 6:
            return False
        area = _fine(whole[inner[1] - SEARCH : inner[3] + SEARCH, inner[0] - SEARCH : inner[2] + SEARCH])
        patch = _fine(track.patch[inner[1] - y0 : inner[3] - y0, inner[0] - x0 : inner[2] - x0])
        _, best, _, place = cv2.minMaxLoc(cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED))
        x, y = place
        found = area[y : y + patch.shape[0], x : x + patch.shape[1]]
        return bool(best > 0.75 and max(abs(x - SEARCH), abs(y - SEARCH)) >= 1 and found.std() > 0.5 * patch.std())

    def _ended(self, track: _Track) -> bool:
        if track.lost is None or len(track.tail) < AFTER:
            return False
        self._end(track)
        return True

    def _end(self, track: _Track) -> None:
        """The line is gone: from which frame on, how fast, and whether the picture around it stayed."""
        assert track.lost is not None
        before = list(track.levels)[-12:]
        seen, fade, floor = edge_of(before + track.tail)
        stop = track.lost - len(before) + seen
        track.line.fade_out = fade
        stayed = self._stayed(track, stop - fade - 1, stop) if floor < GONE else 0.0
        track.line.pop_out = stayed > ALIKE
        track.line.crisp |= stayed > SAME and fade <= 1
        track.line.clean |= stayed > SAME
        self._keep(track, stop)

    def _keep(self, track: _Track, stop: int) -> None:
        line = track.line
        line.stop = max(stop, line.start + 1)
        # found in the last of its frames: those before it tell how steady it was
        line.steady = track.total / track.count if track.count else track.earlier
        self.lines.append(line)

    def _begin(self, track: _Track, picture: Picture, texts: list[Corners]) -> bool:
        """Takes the line's strokes from the newest frame and goes back to its onset. False: it has no strokes."""
        pattern = pattern_of(picture, track.line.box, texts)
        if pattern is None:
            return False
        x0, y0, x1, y1 = track.line.box
        track.pattern, track.patch = pattern, picture[pattern.component][y0:y1, x0:x1].copy()
        line, frames = track.line, list(self._ring)[::-1]
        levels: list[float] = []
        likes: list[float] = []
        lost: int | None = None
        for k, (_, earlier) in enumerate(frames):
            level, alike, _ = compare(earlier, pattern)
            levels.append(level)
            likes.append(alike)
            if lost is None and (alike < ALIKE or level < 0.35):
                lost = k
                line.moved = self._beside(track, earlier)
            if lost is not None and k >= lost + AFTER:
                break
        newest = frames[0][0]
        if lost is None:
            line.start, line.fade_in, line.pop_in, line.crisp, line.clean = frames[-1][0], 0, False, False, False
        else:
            seen, fade, floor = edge_of(levels)
            line.start, line.fade_in = newest - seen + 1, fade
            gone = floor < GONE and seen < len(levels)
            stayed = self._stayed(track, line.start + fade, line.start - 1) if gone else 0.0
            line.pop_in, line.crisp, line.clean = stayed > ALIKE, stayed > SAME and fade <= 1, stayed > SAME
        track.levels.clear()
        track.levels.extend(levels[: newest - line.start + 1][::-1])
        held = likes[1 : newest - line.start + 1]
        track.earlier = float(np.mean(held)) if held else 0.0
        return True

    def _stayed(self, track: _Track, inside: int, outside: int) -> float:
        """How alike (0..1) the surroundings are in two frames of the ring, one with and one without the line.

        Over a fade, in which the strokes all come or go alike, the surroundings may move on: from frame to frame.
        """
        first, last = min(inside, outside), max(inside, outside)
        if last - first > 1 and self._is_fade(track, first + 1, last):
            return min(self._alike(track, k, k + 1) for k in range(first, last))
        return self._alike(track, inside, outside)

    def _is_fade(self, track: _Track, first: int, last: int) -> bool:
        """Whether in the frames from `first` up to `last` all parts of the line are equally strong, as never where
        something passes before it."""
        held = dict(self._ring)
        pattern = track.pattern
        x0, y0, x1, y1 = pattern.window
        is_wide = track.line.box[2] - track.line.box[0] >= track.line.box[3] - track.line.box[1]
        along = pattern.strokes % (x1 - x0) if is_wide else pattern.strokes // (x1 - x0)
        parts = np.array_split(np.argsort(along, kind="stable"), PARTS)
        for k in range(first, last):
            if k not in held:
                return False
            gx, gy = (g.ravel()[pattern.strokes] for g in gradient(held[k][pattern.component][y0:y1, x0:x1]))
            both, power = gx * pattern.sx + gy * pattern.sy, pattern.sx**2 + pattern.sy**2
            levels = [float(both[part].sum() / max(1e-6, power[part].sum())) for part in parts]
            if max(levels) - min(levels) > UNEVEN:
                return False
        return True

    def _alike(self, track: _Track, one: int, other: int) -> float:
        """How alike (0..1) the line's surroundings are in two frames of the ring."""
        held = dict(self._ring)
        ring = track.pattern.ring
        if one not in held or other not in held or not ring.any():
            return 0.0
        x0, y0, x1, y1 = track.pattern.window
        a, b = (held[k][track.pattern.component][y0:y1, x0:x1] for k in (one, other))
        if float(cv2.absdiff(a, b)[ring].mean()) < UNCHANGED:
            return 1.0
        (ax, ay), (bx, by) = gradient(a), gradient(b)
        both = float((ax * bx + ay * by)[ring].sum())
        sizes = float((ax**2 + ay**2)[ring].sum()) * float((bx**2 + by**2)[ring].sum())
        return max(0.0, both / max(1e-6, float(np.sqrt(sizes))))

    def _look(self, picture: Picture, window: Corners, zoom: float, found: list[TextLine]) -> None:
        """Starts to follow what the detector has found in a part of the newest frame and is not followed yet."""
        height, width = picture[0].shape
        boxes = [_corners(text, window, zoom) for text in found]
        followed = [track for track in self._tracks if track.lost is None]
        frame = self._ring[-1][0]
        for text, box in zip(found, boxes, strict=True):
            known = next((track for track in followed if alike(track.line.box, box) > 0.6), None)
            if known:
                known.line.score = max(known.line.score, text.score)
                known.line.slant = min(known.line.slant, text.slant)  # of a short word a look may err by many degrees
            cut = any(a == b and b != c for a, b, c in zip(box, window, (0, 0, width, height), strict=True))
            if known or cut or min(box[2] - box[0], box[3] - box[1]) < 4:
                continue
            track = _Track(Line(box, text.slant, text.score, frame, frame + 1))
            if self._begin(track, picture, boxes + [other.line.box for other in followed]):
                self._tracks.append(track)


def _enlarged(picture: Picture, window: Corners, zoom: float) -> np.ndarray:
    """A part of the picture as the detector wants it."""
    x0, y0, x1, y1 = window
    part = np.dstack([picture[k][y0:y1, x0:x1] for k in (0, 2, 1)])
    if zoom > 1:
        part = cv2.resize(part, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    return cv2.cvtColor(part, cv2.COLOR_YCrCb2BGR)


def _corners(text: TextLine, window: Corners, zoom: float) -> Corners:
    """A text's upright box in the whole picture, from where it was found in an enlarged part of it."""
    x0, y0, x1, y1 = (round(v / zoom) for v in text.bounds)
    left, top, right, bottom = window
    return (max(left, x0 + left), max(top, y0 + top), min(right, x1 + left), min(bottom, y1 + top))


def _fine(part: np.ndarray) -> np.ndarray:
    """Strokes without the light and shade of the scene behind them."""
    levels = part.astype(np.float32)
    return levels - cv2.blur(levels, (9, 9))
