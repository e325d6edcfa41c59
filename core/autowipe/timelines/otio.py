"""OpenTimelineIO's own format (.otio), through its library, which keeps every part of it, unknown ones too."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from . import Cleaned, Use, _urls, exact_rate, keeps_clock, origin_of

ORIGINAL = "original"  # key of the reference to the medium that was cleaned


def is_mine(path: Path, head: bytes) -> bool:
    return path.suffix.lower() == ".otio"


def read(path: Path, rate: Fraction | None) -> Otio:
    import opentimelineio as otio

    try:
        return Otio(path, otio.adapters.read_from_file(str(path), "otio_json"))
    except otio.exceptions.OTIOError as err:
        raise ValueError(str(err)) from err


class Otio:
    """A timeline, or a collection of them."""

    def __init__(self, path: Path, root: Any) -> None:
        self.path, self._root = path, root
        self.uses = tuple(use for _, use in _uses(root))

    def write(self, path: Path, cleaned: dict[int, Cleaned]) -> None:
        import opentimelineio as otio

        root = self._root.clone()
        _rebase(root, self.path.parent, path.parent)
        for clip, use in _uses(root):
            if use.number in cleaned:
                _swap(clip, use, cleaned[use.number], path.parent)
        try:
            otio.adapters.write_to_file(root, str(path), "otio_json")
        except otio.exceptions.OTIOError as err:
            raise ValueError(str(err)) from err


def _uses(root: Any) -> Iterator[tuple[Any, Use]]:
    import opentimelineio as otio

    number = 0
    timelines = [root] if isinstance(root, otio.schema.Timeline) else root.find_children(otio.schema.Timeline)
    for timeline in timelines:
        for track_number, track in enumerate(timeline.video_tracks(), 1):
            for clip in track.find_clips():
                yield clip, _use(clip, number, track_number, track)
                number += 1


def _rebase(root: Any, old: Path, new: Path) -> None:
    """Lets relative references lead where they led from the folder `old`."""
    import opentimelineio as otio

    for clip in root.find_children(otio.schema.Clip):
        references = dict(clip.media_references())
        for reference in references.values():
            for name in ("target_url", "target_url_base"):
                if getattr(reference, name, None):
                    setattr(reference, name, _urls.rebased(getattr(reference, name), old, new))
        clip.set_media_references(references, clip.active_media_reference_key)


def _use(clip: Any, number: int, track_number: int, track: Any) -> Use:
    place = clip.transformed_time_range(clip.trimmed_range(), track) if clip.parent() is not track else None
    place = place or clip.range_in_parent()
    span = clip.visible_range()  # with what transitions show of it beyond its ends
    available = clip.media_reference and clip.media_reference.available_range
    start = _seconds(span.start_time)
    low, high = _reach(clip, _seconds(span.duration))
    return Use(
        number,
        clip.name,
        track_number,
        _value(place.start_time),
        _value(place.duration),
        _media(clip.media_reference),
        start + low,
        start + high,
        origin=_seconds(available.start_time) if available else None,
    )


def _reach(clip: Any, length: Fraction) -> tuple[Fraction, Fraction]:
    """How far before and after its start a clip reads its medium, s; a change of speed stretches it."""
    import opentimelineio as otio

    low, high = Fraction(0), length
    for effect in clip.effects:
        if isinstance(effect, otio.schema.LinearTimeWarp):
            scalar = Fraction(effect.time_scalar).limit_denominator(10000)
            high = max(length * abs(scalar), high if scalar < 0 else Fraction(0))
            if scalar < 0:  # programs differ in whether a reversed clip's range is where it starts or where it ends
                low = -length * abs(scalar)
    return low, high or Fraction(1, 1000)  # a freeze frame shows one


def _media(reference: Any) -> str | None:
    import opentimelineio as otio

    if isinstance(reference, otio.schema.ExternalReference):
        return _urls.path_of(reference.target_url) if reference.target_url else None
    if isinstance(reference, otio.schema.ImageSequenceReference):
        number = f"%0{reference.frame_zero_padding}d" if reference.frame_zero_padding else "%d"
        base = _urls.path_of(reference.target_url_base)
        base += "" if not base or base.endswith(("/", "\\")) else "/"
        return f"{base}{reference.name_prefix}{number}{reference.name_suffix}"
    return None


def _swap(clip: Any, use: Use, cleaned: Cleaned, folder: Path) -> None:
    """Puts cleaned media under a clip, the old reference beside it."""
    import opentimelineio as otio

    old, medium = clip.media_reference, cleaned.medium
    offset = medium.clock(cleaned.range.start)
    span = clip.trimmed_range()
    is_clock_kept = keeps_clock(use, medium)
    if not is_clock_kept and offset:
        span = otio.opentime.TimeRange(_moved(span.start_time, -offset), span.duration)
    clip.source_range = span
    new = _reference(old, cleaned, folder)
    if not (cleaned.is_whole and old.available_range):
        rate = old.available_range.start_time.rate if old.available_range else float(medium.rate)
        begin = origin_of(use, medium) + (offset if is_clock_kept else 0)
        new.available_range = otio.opentime.TimeRange(_time(begin, rate), _time(medium.clock(len(cleaned.range)), rate))
    references = dict(clip.media_references())
    key, spare = clip.active_media_reference_key, ORIGINAL
    while spare in references:
        spare += "-1"
    clip.set_media_references({**references, key: new, spare: old.clone()}, key)


def _reference(old: Any, cleaned: Cleaned, folder: Path) -> Any:
    import opentimelineio as otio

    new = old.clone()
    path = Path(cleaned.path)
    new.name = path.name
    if isinstance(old, otio.schema.ImageSequenceReference):
        new.target_url_base = _urls.like(old.target_url_base or "", str(path.parent), folder) + "/"
        new.name_prefix = path.name.split("%")[0]
        new.start_frame = old.start_frame + cleaned.range.start
    else:
        new.target_url = _urls.like(old.target_url, cleaned.path, folder)
    new.metadata["autowipe"] = {"original": _media(old), "source_range": cleaned.range.as_list()}
    return new


def _value(time: Any) -> Fraction:
    return Fraction(time.value).limit_denominator(100000)


def _seconds(time: Any) -> Fraction:
    return _value(time) / exact_rate(time.rate)


def _time(seconds: Fraction, rate: float) -> Any:
    import opentimelineio as otio

    return otio.opentime.RationalTime(float(seconds * exact_rate(rate)), rate)


def _moved(time: Any, by: Fraction) -> Any:
    return _time(_seconds(time) + by, time.rate)
