"""Final Cut Pro 7 XML (xmeml), rewritten in place: its library forgets changes of speed and missing media.

A clip's `in` and `out` are frames from its file's first frame, at the clip's own rate.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from xml.etree.ElementTree import Element

from . import Cleaned, Use, _urls, _xml


def is_mine(path: Path, head: bytes) -> bool:
    return path.suffix.lower() == ".xml" and b"<xmeml" in head


def read(path: Path, rate: Fraction | None) -> Fcp7:
    return Fcp7(path, _xml.read(path))


class Fcp7:
    """All sequences of a document."""

    def __init__(self, path: Path, root: Element) -> None:
        self.path, self._root = path, root
        files = _files(root)
        self.uses = tuple(_use(item, files, number, track) for number, (item, track) in enumerate(_clips(root)))

    def write(self, path: Path, cleaned: dict[int, Cleaned]) -> None:
        root = copy.deepcopy(self._root)
        for url in root.iter("pathurl"):
            url.text = _urls.rebased(url.text or "", self.path.parent, path.parent)
        files = _files(root)
        taken = {e.get("id", "") for e in root.iter()}
        new: dict[tuple[str, str], tuple[str, str]] = {}  # old file id and cleaned path: ids of file and master clip
        uses = dict(enumerate(item for item, _ in _clips(root)))
        # A file is described in full where it is named first: take the descriptions before any is replaced.
        whole = {key: copy.deepcopy(file) for key, file in files.items()}
        for number, with_what in cleaned.items():
            _swap(uses[number], with_what, whole, new, taken, path.parent)
        _describe_first(root, whole)
        _xml.write(root, self.path, path)


def _clips(root: Element) -> Iterator[tuple[Element, int]]:
    for video in root.iterfind(".//sequence/media/video"):
        for track_number, track in enumerate(video.findall("track"), 1):
            for item in track.findall("clipitem"):
                if item.find("file") is not None:
                    yield item, track_number


def _files(root: Element) -> dict[str, Element]:
    """The full description of each file by its id."""
    return {file.get("id", ""): file for file in root.iter("file") if len(file)}


def _use(item: Element, files: dict[str, Element], number: int, track: int) -> Use:
    reference = item.find("file")
    assert reference is not None
    file = files.get(reference.get("id", ""), reference)
    rate = _rate(item) or _rate(file) or Fraction(25)
    first, last = _xml.number_of(item, "in") or 0, _xml.number_of(item, "out") or 0
    begin, end = _xml.number_of(item, "start"), _xml.number_of(item, "end")
    url = file.findtext("pathurl")
    speed = _speed(item)
    length = last - first
    if begin in (None, -1) or end in (None, -1):  # a transition says where the clip is
        begin = end - length if end not in (None, -1) else max(begin or 0, 0)
    else:
        length = end - begin
    return Use(
        number,
        item.findtext("name") or "",
        track,
        Fraction(begin or 0),
        Fraction(length),
        _urls.path_of(url) if url else None,
        first / rate,
        last * max(speed or 1, 1) / rate,  # programs differ in whether `out` counts frames of the file or of the clip
        origin=Fraction(0),
        is_whole=speed is None,
        is_fixed=speed != 1,
        grid=1 / rate,
    )


def _rate(element: Element) -> Fraction | None:
    base = _xml.number_of(element, "rate/timebase")
    if not base:
        return None
    is_ntsc = (element.findtext("rate/ntsc") or "").strip().upper() == "TRUE"
    return Fraction(base * 1000, 1001) if is_ntsc else Fraction(base)


def _speed(item: Element) -> Fraction | None:
    """How many frames of the file a frame of the clip takes; None where that changes, or it runs backwards."""
    for effect in item.iterfind("filter/effect"):
        if (effect.findtext("effectid") or "").strip().lower() != "timeremap":
            continue
        values = {p.findtext("parameterid"): (p.findtext("value") or "").strip() for p in effect.iterfind("parameter")}
        if values.get("variablespeed", "0").upper() not in ("0", "FALSE", ""):
            return None
        if values.get("reverse", "FALSE").upper() == "TRUE":
            return None
        speed = Fraction(values.get("speed") or "100").limit_denominator(10000) / 100
        return speed if speed > 0 else None
    return Fraction(1)


def _swap(
    item: Element,
    cleaned: Cleaned,
    whole: dict[str, Element],
    new: dict[tuple[str, str], tuple[str, str]],
    taken: set[str],
    folder: Path,
) -> None:
    reference = item.find("file")
    assert reference is not None
    old = reference.get("id", "")
    key = (old, cleaned.path)
    if key not in new:
        new[key] = (_xml.unused("autowipe-file-", taken), _xml.unused("autowipe-master-", taken))
        whole[new[key][0]] = _file(whole.get(old, reference), new[key][0], cleaned, folder)
    file_id, master = new[key]
    _xml.put(item, "masterclipid", master)
    rate = _rate(item) or _rate(whole[file_id]) or Fraction(25)
    offset = cleaned.medium.clock(cleaned.range.start) * rate
    for edge in ("in", "out"):
        _xml.put(item, edge, (_xml.number_of(item, edge) or 0) - round(offset))
    if not cleaned.is_whole:
        _xml.put(item, "duration", round(cleaned.medium.clock(len(cleaned.range)) * rate))
    place = list(item).index(reference)
    item.remove(reference)
    short = Element("file", {"id": file_id})
    short.tail = reference.tail
    item.insert(place, short)


def _file(old: Element, file_id: str, cleaned: Cleaned, folder: Path) -> Element:
    """The description of a cleaned file."""
    file, medium = copy.deepcopy(old), cleaned.medium
    file.set("id", file_id)
    _xml.put(file, "name", Path(cleaned.path).name)
    _xml.put(file, "pathurl", _urls.like(old.findtext("pathurl") or "file:", cleaned.path, folder))
    if cleaned.is_whole:
        return file
    rate = _rate(file) or medium.rate
    _xml.put(file, "duration", round(medium.clock(len(cleaned.range)) * rate))
    _xml.put(file, "media/video/duration", round(medium.clock(len(cleaned.range)) * rate))
    code = file.find("timecode")
    if code is not None:
        number = _xml.number_of(code, "frame")
        counted = _rate(code) or rate
        if number is not None:
            number += round(medium.clock(cleaned.range.start) * counted)
            _xml.put(code, "frame", number)
            is_drop = (code.findtext("displayformat") or "").strip().upper() == "DF"
            _xml.put(code, "string", _timecode(number, counted, is_drop=is_drop))
    return file


def _timecode(number: int, rate: Fraction, *, is_drop: bool) -> str:
    from ..timing import timecode

    return timecode(number, rate if is_drop else Fraction(round(rate)))


def _describe_first(root: Element, whole: dict[str, Element]) -> None:
    """Puts the full description of every file where the document names it first, and its id alone elsewhere."""
    seen = set()
    around = _xml.parents(root)
    for file in list(root.iter("file")):
        file_id = file.get("id", "")
        parent = around[file]
        place = list(parent).index(file)
        if file_id in seen:
            made = Element("file", {"id": file_id})
        elif file_id in whole:
            made = copy.deepcopy(whole[file_id])
        else:
            continue
        made.tail = file.tail
        parent[place] = made
        seen.add(file_id)
