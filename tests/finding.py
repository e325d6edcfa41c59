"""Runs one kind's finder over a clip, as the pipeline does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from autowipe import planes
from autowipe.decode import Clip, open_clip
from autowipe.kinds import Found, Look, Small, load
from autowipe.shots import ShotFinder
from autowipe.textsearch import TextSearch
from autowipe.timing import FrameRange


def perceive(kind: str, path: Path, seen: Look = lambda: None) -> list[Found]:
    with open_clip(path) as clip:
        info = clip.info
        finder = load(kind, info.layout, info.whole, float(info.rate))
        boxes = finder.propose(survey(clip, finder.survey), seen)
        if boxes:
            for frame in clip.frames():
                if finder.wants(frame.index):
                    finder.measure(frame.index, [planes.crop(frame.views, info.layout, box) for box in boxes])
        return finder.finish()


def survey(clip: Clip, look: Callable[[Small], None]) -> tuple[FrameRange, ...]:
    """Hands every frame at analysis size to `look`; returns the shots."""
    info = clip.info
    shots, text = ShotFinder(), TextSearch(float(info.rate))
    for frame in clip.frames():
        luma, chroma = planes.small(frame.views, info.layout, 640)
        small = Small(frame.index, luma, chroma, info.layout.width / luma.shape[1])
        text.look(small)
        look(small)
        shots.add(small)
    return shots.finish()
