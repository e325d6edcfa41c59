"""Runs one kind's finder over a clip, as the pipeline does."""

from __future__ import annotations

from pathlib import Path

from autowipe import planes
from autowipe.decode import open_clip
from autowipe.kinds import Found, Look, Small, load
from autowipe.shots import ShotFinder
from autowipe.textsearch import TextSearch


def perceive(kind: str, path: Path, seen: Look = lambda: None) -> list[Found]:
    with open_clip(path) as clip:
        info = clip.info
        finder = load(kind, info.layout, info.whole, float(info.rate))
        shots, text = ShotFinder(), TextSearch(float(info.rate))
        for frame in clip.frames():
            luma, chroma = planes.small(frame.views, info.layout, 640)
            small = Small(frame.index, luma, chroma, info.layout.width / luma.shape[1])
            text.look(small)
            finder.survey(small)
            shots.add(small)
        boxes = finder.propose(shots.finish(), seen)
        if boxes:
            for frame in clip.frames():
                if finder.wants(frame.index):
                    finder.measure(frame.index, [planes.crop(frame.views, info.layout, box) for box in boxes])
        return finder.finish()
