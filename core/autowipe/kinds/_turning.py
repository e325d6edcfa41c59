"""One appearance of something that turns, grows and wobbles on its way, gathered upright and at one size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import planes
from ..job import Box
from ..planes import Layout
from ._follow import SMALL, Follower, Place, sway, wobbles
from ._showing import HOPELESS, Showing, Sighting
from ._travelling import Travelling

HALF = 0.5 + 0.5j
POINTS = 1500  # px by which it is fitted
LIKE = 0.6  # correlation with its picture from which a frame shows it
PLACE_OFF = 4.0  # analysis px by which it may lie elsewhere than by the survey


class Turning(Travelling):
    """Gathers something on its way, each frame fitted by place, size and turn to what was learnt from those before.

    Where the survey has followed it by its picture already, in every frame, that is exact enough.
    """

    def __init__(self, sighting: Sighting, layout: Layout, scale: float, rate: float) -> None:
        super().__init__(sighting, layout, scale, rate)
        size = (self.box[2] // self._reduced, self.box[3] // self._reduced)
        self._follower = None if sighting.is_exact else Follower(self._own(size), POINTS)
        self._at: dict[int, Place] = {}  # in source px

    def _expected(self, frame: int) -> Place:
        """Where it is by the survey; source px."""
        (x, y), (size, turn) = Showing.place(self, frame), Showing.pose(self, frame)
        w, h = self.box[2:]
        return Place(complex(size * np.exp(1j * np.radians(turn))), complex(x + (w - 1) / 2, y + (h - 1) / 2))

    def _now(self, frame: int) -> Place:
        """Where it is as far as is known."""
        if frame in self._at or not self._at:
            return self._at.get(frame) or self._expected(frame)
        last = min(self._at, key=lambda t: abs(t - frame))
        found, before, now = self._at[last], self._expected(last), self._expected(frame)
        return Place(now.turn / before.turn * found.turn, found.middle + now.middle - before.middle)

    def place(self, frame: int) -> tuple[float, float]:
        middle, (w, h) = self._now(frame).middle, self.box[2:]
        return middle.real - (w - 1) / 2, middle.imag - (h - 1) / 2

    def pose(self, frame: int) -> tuple[float, float]:
        """Its turn goes on beyond half a turn, as it did before."""
        turn, expected = self._now(frame).turn, Showing.pose(self, frame)[1]
        return abs(turn), expected + float(np.degrees(np.angle(turn * np.exp(-1j * np.radians(expected)))))

    def corner(self, frame: int) -> tuple[float, float]:
        return self.place(frame)

    def sway(self) -> tuple[int, float]:
        """As `_follow.sway`, in px of the survey."""
        frames = np.array(sorted(self._at), int)
        places = [Place(self._at[t].turn, self._at[t].middle / self._scale) for t in frames]
        return sway(frames, places, max(self.box[2:]) / 2 / self._scale) if places else (0, np.inf)

    def _judge(self, least: float) -> None:
        """Its edges soften as it is brought upright, and it is followed anyway: it has time to show how it sways."""
        if self.count == max(HOPELESS) and not self.sways:
            super()._judge(least)

    @property
    def sways(self) -> bool:
        """Whether it wobbles about a point of its own, as nothing in a scene does for long."""
        return wobbles(*self.sway())

    def _is_sample(self, frame: int) -> bool:
        return frame in self._at and super()._is_sample(frame) and abs(self._at[frame].turn) >= SMALL

    def _fit(self, frame: int, crop: list[np.ndarray], place: Box) -> None:
        near, by = self._now(frame), self._reduced
        if self._follower is None:
            self._at[frame] = near
            return
        part, (x, y) = self._part(near, crop, place)
        if part is None:
            return
        corner = complex(x, y) + HALF * (by - 1)  # the middle of the first px
        own = Place(near.turn, (near.middle - corner) / by)
        if self._follower.count:
            own, like = self._follower.fit(part, own)
            if like < LIKE:
                return
        self._follower.learn(part, own)
        self._at[frame] = Place(own.turn, own.middle * by + corner)

    def _part(self, near: Place, crop: list[np.ndarray], place: Box) -> tuple[np.ndarray | None, tuple[int, int]]:
        """The luma around it, and where that begins; None where it is out of sight."""
        far = np.hypot(*self.box[2:]) / 2 * abs(near.turn) + PLACE_OFF * self._scale
        spots = (near.middle.real - place[0], near.middle.imag - place[1])
        (x0, x1), (y0, y1) = (
            (max(0, int(v - far)) // by * by, min(most, int(v + far)) // by * by)
            for v, most, by in zip(spots, place[2:], (2 * self._reduced,) * 2, strict=True)
        )
        if min(x1 - x0, y1 - y0) < 16 * self._reduced:
            return None, (0, 0)
        parts = [
            part[y0 >> p.shift_y : y1 >> p.shift_y, x0 >> p.shift_x : x1 >> p.shift_x]
            for part, p in zip(crop[: self._fit_by], self._picture.colour, strict=False)
        ]
        layout = replace(self._picture, width=x1 - x0, height=y1 - y0)
        return planes.small(parts, layout, (x1 - x0) // self._reduced)[0], (x0 + place[0], y0 + place[1])
