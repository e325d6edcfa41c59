"""A film in the fake Resolve: one timeline with everything that an editor may have on it, and its pixels before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import media
import numpy as np
from conftest import ROOT
from fake_resolve import Manners, Studio
from fake_resolve_media import PoolItem
from fake_resolve_render import picture
from fake_resolve_timeline import Item, Timeline
from marking_engine import mark, messages

sys.path[:0] = [str(ROOT / "plugin"), str(ROOT / "plugin" / "resolve")]  # as install.py lays them side by side
from autowipe_resolve import host, pick, settings, work  # noqa: E402

SIZE = (96, 64)


class Film:
    """A project with one timeline; `items` are its clips by name."""

    def __init__(
        self,
        folder: Path,
        manners: Manners | None = None,
        rate: str = "23.976",
        *,
        start: int | None = None,
        tracks: int = 1,
        size: tuple[int, int] = SIZE,
    ) -> None:
        self.folder = folder
        self.studio = Studio(manners, rate=rate, size=size)
        self.timeline = Timeline(self.studio.project, "Reel 1", rate, start=start, tracks=tracks)
        self.items: dict[str, Item] = {}

    @property
    def start(self) -> int:
        return self.timeline.start

    def clip(self, name: str, *, frames: int = 60, rate: Fraction | int | None = None) -> PoolItem:
        """A clip of the media pool, lossless, with its frame numbers stamped in."""
        rate = Fraction(rate or self.timeline.rate)
        path = self.folder / f"{name}.mov"
        if not path.exists():
            seed = sum(name.encode()) % 90

            def tint(frame: Any, index: int) -> None:
                view = np.frombuffer(frame.planes[0], np.uint8)
                view[:] = np.minimum(view // 2 + seed, 255)

            media.write_clip(path, frames=frames, size=SIZE, codec="qtrle", pix_fmt="rgb24", rate=rate, change=tint)
        return self.found(path.name, frames=frames, rate=rate)

    def found(self, name: str, *, frames: int, rate: Fraction | int | None = None) -> PoolItem:
        """A file of the folder as a clip of the media pool."""
        pool = PoolItem(str(self.folder / name), Fraction(rate or self.timeline.rate), frames)
        self.studio.project.pool.root.clips.append(pool)
        return pool

    def put(
        self,
        name: str,
        at: int,
        duration: int,
        source: Fraction | int = 0,
        *,
        track: int = 1,
        pool: PoolItem | None = None,
        speed: Fraction | int = 1,
        has_sound: bool = False,
    ) -> Item:
        """Puts a clip on a track, `at` in frames from the timeline's start."""
        pool = pool or self.clip(name)
        item = Item(self.timeline, pool, self.start + at, duration, source, speed=speed)
        item.name = name
        self.timeline.video[track - 1].items.append(item)
        if has_sound:
            sound = Item(self.timeline, pool, self.start + at, duration, source, kind="audio")
            self.timeline.audio[0].items.append(sound)
            item.links, sound.links = [sound], [item]
        self.items[name] = item
        return item

    def shown(self) -> list[np.ndarray]:
        """What the timeline shows, record frame by record frame."""
        return [picture(self.timeline, record) for record in range(self.start, self.timeline.end)]


def feature(folder: Path, manners: Manners | None = None, rate: str = "23.976", *, start: int | None = None) -> Film:
    """The film of the tests: 23.976 with a 25 fps clip, trims, a gap, two tracks, and all that makes trouble."""
    film = Film(folder, manners, rate, start=start, tracks=2)
    film.put("plain", 0, 20, 15, has_sound=True)
    other = film.clip("other rate", frames=70, rate=25 if film.timeline.rate != 25 else 30)
    film.put("other rate", 28, 16, 10, pool=other)  # after a gap of 8
    film.put("graded", 44, 10, 5).grade = Fraction(2, 5)
    film.put("mirrored", 54, 10, 5).properties["FlipX"] = True
    film.put("retimed", 64, 12, 4, speed=2)
    film.put("fusion", 76, 8, 12).fusion = 1
    inner = Timeline(film.studio.project, "Compound 1", rate, tracks=1)
    inner.video[0].items.append(Item(inner, film.clip("inside"), inner.start, 30, 6))
    compound = PoolItem("", film.timeline.rate, 30, "Compound")
    compound.nested = inner
    film.put("compound", 84, 12, 3, pool=compound)
    film.put("offline", 96, 8, pool=film.clip("offline")).media.is_online = False
    film.put("on top", 4, 10, 22, track=2)
    film.studio.project.current = film.timeline
    return film


class Marking:
    """The marking engine without a process, as the adapter's own engine.py would hand it over."""

    def __init__(self, job: dict[str, Any], name: str = "") -> None:
        self.progress = ("working", 0.5)
        self.is_closed = False
        self.work = messages(job, wait=lambda: None, die=lambda: None)

    def poll(self) -> list[dict[str, Any]]:
        died = {"type": "error", "code": "engine-died", "text": "The engine stopped without a result.", "hint": ""}
        return [next(self.work, died)]

    def close(self) -> None:
        self.is_closed = True


def session(film: Film) -> host.Session:
    return host.Session(film.studio.handle)


def run_all(film: Film, *, is_timeline: bool = True, engine: Any = Marking, **chosen: Any) -> work.Run:
    """Removes overlays from the whole timeline, or from what the first way of choosing finds."""
    run, steps = begin(film, is_timeline=is_timeline, engine=engine, **chosen)
    for _ in steps:
        pass
    return run


def begin(film: Film, *, is_timeline: bool = True, engine: Any = Marking, **chosen: Any) -> tuple[work.Run, Iterator]:
    given = settings.checked({"folder": str(film.folder / "clean"), "handles": 3, **chosen})
    now = session(film)
    found = pick.picks(now, given["colour"], is_timeline=is_timeline)
    run = work.Run(now, work.look(now, found[0], given), given, engine)
    return run, run.steps()


def expected(before: list[np.ndarray], film: Film, *names: str) -> list[np.ndarray]:
    """The pictures of before, cleaned wherever one of these items is the uppermost one."""
    wanted = [picture.copy() for picture in before]
    for index in range(len(before)):
        record = film.start + index
        uppermost = [
            item
            for track in film.timeline.video
            for item in track.items
            if item.name in film.items and item.start <= record < item.end
        ]
        if uppermost and uppermost[-1].name in names:
            wanted[index] = mark(before[index])
    return wanted


def worst(seen: list[np.ndarray], wanted: list[np.ndarray]) -> list[float]:
    """Mean absolute difference of each frame, in levels."""
    assert len(seen) == len(wanted)
    return [float(np.abs(a.astype(int) - b).mean()) for a, b in zip(seen, wanted, strict=True)]
