"""Final Cut Pro X XML (.fcpxml, or .fcpxmld with Info.fcpxml in it), rewritten in place.

Its library forgets changes of speed and the start timecode. An asset's `start` is its first frame's timecode, a
clip's `start` a moment on the asset's clock; what is attached to a clip hangs on the clip's own clock.
"""

from __future__ import annotations

import copy
import shutil
from fractions import Fraction
from pathlib import Path
from xml.etree.ElementTree import Element

from . import Cleaned, Use, _urls, _xml, keeps_clock

INSIDE = "Info.fcpxml"
TIMED = {"asset-clip", "clip", "video", "audio", "title", "ref-clip", "sync-clip", "mc-clip", "gap", "audition"}
RETIMED = ("timeMap", "conform-rate")  # in a clip that does not run at its medium's own speed, or may not
TIMED |= {"marker", "chapter-marker", "keyword", "rating", "spine", "caption", "analysis-marker", "timeMap"}


def is_mine(path: Path, head: bytes) -> bool:
    if path.is_dir():
        return (path / INSIDE).is_file()
    return path.suffix.lower() in (".fcpxml", ".xml") and b"<fcpxml" in head


def read(path: Path, rate: Fraction | None) -> Fcpxml:
    file = path / INSIDE if path.is_dir() else path
    return Fcpxml(path, file, _xml.read(file))


class Fcpxml:
    """All projects and compound clips of a document."""

    def __init__(self, path: Path, file: Path, root: Element) -> None:
        self.path, self._file, self._root = path, file, root
        assets = _assets(root)
        around = _xml.parents(root)
        self.uses = tuple(_use(e, assets, around, root, number) for number, e in enumerate(_clips(root, assets)))

    def write(self, path: Path, cleaned: dict[int, Cleaned]) -> None:
        root = copy.deepcopy(self._root)
        for source in root.iter():
            if "src" in source.attrib:
                source.set("src", _urls.rebased(source.get("src", ""), self.path.parent, path.parent))
        assets = _assets(root)
        around = _xml.parents(root)
        taken = {e.get("id", "") for e in root.iter()}
        new: dict[tuple[str, str], str] = {}
        for number, element in enumerate(_clips(root, assets)):
            if number in cleaned:
                _swap(element, self.uses[number], cleaned[number], assets, around, new, taken, path.parent)
        if path.suffix == ".fcpxmld":
            if self.path.is_dir():
                shutil.copytree(self.path, path, dirs_exist_ok=True)
            path.mkdir(exist_ok=True)
            path = path / INSIDE
        _xml.write(root, self._file, path)


def _assets(root: Element) -> dict[str, Element]:
    return {asset.get("id", ""): asset for asset in root.iterfind("resources/asset")}


def _clips(root: Element, assets: dict[str, Element]) -> list[Element]:
    """Everything on a timeline that shows the picture of an asset, in order; clips of the browser are none of it."""
    return [
        element
        for tag in ("sequence", "multicam")
        for timeline in root.iter(tag)
        for element in timeline.iter()
        if element.tag in ("asset-clip", "video")
        and element.get("ref") in assets
        and assets[element.get("ref", "")].get("hasVideo", "1") == "1"
        and element.get("srcEnable", "all") != "audio"
    ]


def _use(
    element: Element, assets: dict[str, Element], around: dict[Element, Element], root: Element, number: int
) -> Use:
    asset = assets[element.get("ref", "")]
    outer = around[element]
    begin = _seconds(asset.get("start"))
    at = _seconds(element.get("start"), begin)
    shown = outer if outer.tag == "clip" else element
    is_loose = _is_loose(element, outer, asset)
    if is_loose:
        at = _seconds(outer.get("start"))
    elif shown is outer:  # the clip shows a part of the medium that lies in it
        at += _seconds(outer.get("start")) - _seconds(element.get("offset"))
    length = _seconds(shown.get("duration"), _seconds(asset.get("duration")))
    frame = _frame(shown, around, root)
    before, after = _transitions(shown, around)
    return Use(
        number,
        shown.get("name") or asset.get("name") or "",
        _track(shown),
        _record(shown, around) / frame,
        length / frame,
        _urls.path_of(_source(asset).get("src", "")) or None,
        at - before,
        at + length + after,
        origin=begin,
        is_whole=any(e.find(tag) is not None for e in (element, shown) for tag in RETIMED),
        is_fixed=(shown is element or is_loose) and any(c.tag in TIMED and c is not element for c in shown),
        grid=frame,
    )


def _is_loose(element: Element, outer: Element, asset: Element) -> bool:
    """Whether a clip counts by its medium's clock although the medium lies elsewhere in it, as some programs write."""
    if outer.tag != "clip":
        return False
    begin, length = _seconds(asset.get("start")), _seconds(asset.get("duration"))
    said = _seconds(outer.get("start"))
    meant = said - _seconds(element.get("offset")) + _seconds(element.get("start"), begin)
    return not begin <= meant < begin + length and begin <= said < begin + length


def _transitions(element: Element, around: dict[Element, Element]) -> tuple[Fraction, Fraction]:
    """How much longer transitions before and after a clip show of it at the most, s."""
    row = list(around[element])
    place = row.index(element)
    found = [Fraction(0), Fraction(0)]
    for side, other in enumerate((place - 1, place + 1)):
        if 0 <= other < len(row) and row[other].tag == "transition":
            found[side] = _seconds(row[other].get("duration"))
    return found[0], found[1]


def _source(asset: Element) -> Element:
    """What holds the file's URL: the asset itself up to version 1.8, its media-rep from 1.9 on."""
    found = asset.find("media-rep")
    return asset if found is None else found


def _track(element: Element) -> int:
    """1 for the main story, more for what lies above it."""
    return max(1, 1 + int(element.get("lane", "0")))


def _record(element: Element, around: dict[Element, Element]) -> Fraction:
    """Where a clip begins on its project's timeline, s; inside a compound clip, on that one's."""
    outer = around.get(element)
    if outer is None or outer.tag in ("project", "media", "event", "library", "fcpxml"):
        return Fraction(0)
    if outer.tag == "sequence":
        return Fraction(0)
    if outer.tag == "audition":
        return _record(outer, around)
    if outer.tag in ("spine", "mc-angle"):
        begin = _record(outer, around) - (_seconds(around[outer].get("tcStart")) if outer.tag == "spine" else 0)
        if "offset" in element.attrib:
            return begin + _seconds(element.get("offset"))
        place = Fraction(0)
        for other in outer:
            if other is element:
                break
            place += _seconds(other.get("duration"))
        return begin + place
    return _record(outer, around) + _seconds(element.get("offset")) - _seconds(outer.get("start"))


def _frame(element: Element, around: dict[Element, Element], root: Element) -> Fraction:
    """Duration of a frame of the timeline around a clip, s."""
    formats = {f.get("id"): f for f in root.iterfind("resources/format")}
    outer: Element | None = element
    while outer is not None:
        if outer.tag in ("sequence", "multicam"):
            found = formats.get(outer.get("format"))
            return _seconds(found.get("frameDuration"), Fraction(1, 25)) if found is not None else Fraction(1, 25)
        outer = around.get(outer)
    return Fraction(1, 25)


def _swap(
    element: Element,
    use: Use,
    cleaned: Cleaned,
    assets: dict[str, Element],
    around: dict[Element, Element],
    new: dict[tuple[str, str], str],
    taken: set[str],
    folder: Path,
) -> None:
    old = assets[element.get("ref", "")]
    medium = cleaned.medium
    offset = medium.clock(cleaned.range.start)
    is_clock_kept = keeps_clock(use, medium)
    begin = _seconds(old.get("start")) + (offset if is_clock_kept else 0)
    key = (old.get("id", ""), cleaned.path)
    if key not in new:
        new[key] = _xml.unused("autowipe", taken)
        asset = _asset(old, new[key], cleaned, begin, folder)
        resources = around[old]
        resources.insert(list(resources).index(old) + 1, asset)
    at = _seconds(element.get("start"), _seconds(old.get("start")))
    element.set("ref", new[key])
    outer = around[element]
    if _is_loose(element, outer, old):
        outer.set("start", _text(_seconds(outer.get("start")) - (0 if is_clock_kept else offset)))
        element.set("duration", _text(medium.clock(len(cleaned.range))))
    elif outer.tag == "clip":  # its own clock stays; the medium lies in it later, and is shorter
        element.set("offset", _text(_seconds(element.get("offset")) + offset - (at - _seconds(old.get("start")))))
        element.set("start", _text(begin))
        element.set("duration", _text(medium.clock(len(cleaned.range))))
    else:
        element.set("start", _text(at - (0 if is_clock_kept else offset)))


def _asset(old: Element, asset_id: str, cleaned: Cleaned, begin: Fraction, folder: Path) -> Element:
    asset = copy.deepcopy(old)
    asset.set("id", asset_id)
    asset.set("name", Path(cleaned.path).stem)
    for name in ("uid", "sig"):
        asset.attrib.pop(name, None)
    asset.set("start", _text(begin))
    if not cleaned.is_whole:
        asset.set("duration", _text(cleaned.medium.clock(len(cleaned.range))))
    source = _source(asset)
    source.set("src", _urls.like(source.get("src", "file:"), cleaned.path, folder))
    for name in ("sig", "suggestedFilename"):
        source.attrib.pop(name, None)
    for bookmark in [*source.findall("bookmark"), *asset.findall("bookmark")]:  # the right to read the old file
        (source if bookmark in list(source) else asset).remove(bookmark)
    for other in asset.findall("media-rep")[1:]:  # a proxy of the old file
        asset.remove(other)
    return asset


def _seconds(text: str | None, default: Fraction = Fraction(0)) -> Fraction:
    """A time such as "3600s" or "1001/30000s"."""
    return Fraction(text.strip().removesuffix("s")) if text else default


def _text(seconds: Fraction) -> str:
    whole = seconds.denominator == 1
    return f"{seconds.numerator}s" if whole else f"{seconds.numerator}/{seconds.denominator}s"
