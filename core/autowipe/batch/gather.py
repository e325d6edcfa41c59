"""Timelines, files, folders and patterns become items: the parts of media to clean, each once however often used."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import math
import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from .. import ledger, timelines
from ..decode import ClipInfo, fingerprint, open_clip
from ..encoders import FORMATS
from ..errors import AutoWipeError, JobError
from ..images import ENCODERS as PICTURES
from ..timelines import Document, Medium, Use
from ..timing import FrameRange
from .relink import NUMBER, Finder
from .request import Request

MEDIA = "media"  # folder of the cleaned clips of timelines
MADE = "_clean"  # ending of the names of what a batch writes
SUFFIXES = {*FORMATS, ".wmv", ".flv", ".dv", ".gxf", ".ogv", ".3gp", ".f4v"}  # what a folder is searched for
HOLDS = {"ffv1": ".mkv", "prores": ".mov", "dnxhr": ".mov", "h264": ".mp4", "hevc": ".mp4"}
COARSEST = 10000  # frames: clips whose frames meet rarer than this are taken from their first frame on


@dataclass(frozen=True)
class Item:
    """A part of a medium that is cleaned into one file."""

    id: str  # also the name of its folder in the queue
    name: str  # for people
    medium: Medium
    range: FrameRange
    output: str
    fingerprint: str
    size: tuple[int, int]  # width, height in px
    uses: int  # clips of timelines that show it; 0 for a file of a list

    @property
    def is_whole(self) -> bool:
        return len(self.range) == self.medium.frames

    @property
    def megapixels(self) -> float:
        """Of all frames together."""
        return len(self.range) * self.size[0] * self.size[1] / 1e6


@dataclass(frozen=True)
class Lost:
    """A clip that cannot be cleaned, because its medium is missing or broken."""

    name: str
    media: str  # as it was named
    code: str  # "missing", or the code of the error
    text: str
    where: str = ""  # timeline and record frame


@dataclass
class Cut:
    """A timeline, what its clips became, and where it is written."""

    document: Document
    output: str
    items: dict[int, str] = field(default_factory=dict)  # number of the use to id of the item


@dataclass
class Gathered:
    """Everything that a batch has to do."""

    items: list[Item] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)


@dataclass
class _Found:
    """A medium and what is wanted of it."""

    info: ClipInfo
    medium: Medium
    folder: str  # in the output folder
    wants: list[tuple[Cut, Use, FrameRange]] = field(default_factory=list)


def gather(request: Request) -> Gathered:
    """Reads the inputs. Raises JobError where there is nothing to do or a timeline cannot be read."""
    out = Gathered()
    found: dict[str, _Found] = {}
    finder = Finder(request.search, request.moved)
    for path, folder in _inputs(request.inputs, request.output):
        if timelines.is_timeline(Path(path)):
            document = timelines.read(Path(path), request.rate)
            cut = Cut(document, _output_of(document.path, out.cuts, request.output))
            out.cuts.append(cut)
            for use in document.uses:
                _take(use, cut, finder, found, out.lost)
        elif path not in found:
            _probe(path, path, folder, found, out.lost)
    _name_items(found, request, out)
    if not out.items and not out.lost:
        raise JobError("there is nothing to clean", code="empty", hint="Name timelines, clips, or folders with clips.")
    return out


def _take(use: Use, cut: Cut, finder: Finder, found: dict[str, _Found], lost: list[Lost]) -> None:
    """Adds what a clip of a timeline shows to what is wanted of its medium."""
    where = f"{cut.document.path.name}, track {use.track}, frame {float(use.record):g}"
    if not use.media:
        lost.append(Lost(use.name, "", "missing", "the timeline names no file for it", where))
        return
    try:
        path = finder.find(use.media, cut.document.path.parent)
    except LookupError as err:
        lost.append(Lost(use.name, use.media, "missing", str(err), where))
        return
    medium = _probe(path, use.media, MEDIA, found, lost, use.name, where)
    if medium is None:
        return
    try:
        medium.wants.append((cut, use, timelines.frames_of(use, medium.medium)))
    except ValueError as err:
        lost.append(Lost(use.name, use.media, "range", str(err), where))


def _probe(
    path: str, media: str, folder: str, found: dict[str, _Found], lost: list[Lost], name: str = "", where: str = ""
) -> _Found | None:
    if path in found:
        return found[path]
    try:
        with open_clip(path) as clip:
            info = clip.info
        if info.held < info.frames:
            raise ValueError(f"it is cut short: only {info.held} of its {info.frames} frames are there")
    except (AutoWipeError, ValueError) as err:
        code, text = (err.code, err.text) if isinstance(err, AutoWipeError) else ("truncated", str(err))
        lost.append(Lost(name or Path(path).name, media, code, text, where))
        return None
    medium = Medium(path, info.rate, info.frames, _timecode(info), info.is_variable_rate)
    found[path] = _Found(info, medium, folder)
    return found[path]


def _timecode(info: ClipInfo) -> str | None:
    """The clip's timecode where it is one."""
    is_one = info.timecode and re.fullmatch(r"\d+[:;.,]\d\d[:;.,]\d\d[:;.,]\d+", info.timecode.strip())
    return info.timecode if is_one else None


def _name_items(found: dict[str, _Found], request: Request, out: Gathered) -> None:
    taken: set[str] = set()
    for path, medium in sorted(found.items()):
        for part, wants in _parts(medium, request.handles):
            output = _output(path, medium, part, request, taken)
            name = Path(output).name
            if request.only and not any(fnmatch.fnmatch(n, p) for p in request.only for n in (name, Path(path).name)):
                continue
            print_of = fingerprint(path)
            key = path if len(part) == medium.medium.frames else f"{path} {part.as_list()}"
            item_id = f"{Path(output).stem}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
            layout = medium.info.layout
            size = (layout.width, layout.height)
            item = Item(item_id, name, medium.medium, part, output, print_of, size, len(wants))
            out.items.append(item)
            for cut, use in wants:
                cut.items[use.number] = item.id


def _parts(found: _Found, handles: int) -> list[tuple[FrameRange, list[tuple[Cut, Use]]]]:
    """The ranges to clean, handles included; what touches is one."""
    medium = found.medium
    whole = FrameRange(0, medium.frames)
    uses = [(cut, use) for cut, use, _ in found.wants]
    if not uses or medium.is_variable_rate or any(use.is_whole for _, use in uses):
        return [(whole, uses)]
    step = math.lcm(*(_step(use.grid, medium, use.is_timecode) for _, use in uses))
    grown = []
    for cut, use, span in found.wants:
        wide = span.grown(handles, whole)
        start = 0 if use.is_fixed or step > COARSEST else wide.start // step * step
        grown.append((FrameRange(start, wide.stop), (cut, use)))
    parts: list[tuple[FrameRange, list[tuple[Cut, Use]]]] = []
    for span, want in sorted(grown, key=lambda entry: entry[0]):
        if parts and span.start <= parts[-1][0].stop:
            last, wants = parts.pop()
            parts.append((FrameRange(last.start, max(last.stop, span.stop)), [*wants, want]))
        else:
            parts.append((span, [want]))
    return parts


def _step(grid: Fraction | None, medium: Medium, is_timecode: bool) -> int:
    """Every how many frames of a medium meet the grid of a timeline."""
    return 1 if grid is None else (medium.clock(1, is_timecode=is_timecode) / grid).denominator


def _output(path: str, found: _Found, part: FrameRange, request: Request, taken: set[str]) -> str:
    source = Path(path)
    suffix = _suffix(source.suffix.lower(), request.options.get("codec") or "auto", found.info)
    is_sequence = found.info.is_image_sequence and NUMBER.search(source.name) is not None
    stem = NUMBER.sub("", source.stem).rstrip("._- ") if is_sequence else source.stem
    stem = (stem or "pictures") + MADE
    if len(part) != found.medium.frames:
        stem += f"_{part.start}-{part.stop}"
    folder = os.path.join(request.output, found.folder)
    name = stem
    if os.path.join(folder, name).casefold() in taken:
        name += "-" + hashlib.sha256(path.encode()).hexdigest()[:6]
    taken.add(os.path.join(folder, name).casefold())
    if is_sequence and suffix in PICTURES:
        return os.path.join(folder, name, source.stem + suffix)
    return os.path.join(folder, name + suffix)


def _suffix(suffix: str, codec: str, info: ClipInfo) -> str:
    if codec != "auto":
        fits = suffix == HOLDS[codec] or (codec in ("h264", "hevc") and suffix in (".mov", ".mkv"))
        return suffix if fits else HOLDS[codec]
    if info.is_image_sequence:
        return suffix if suffix in PICTURES else ".mkv"
    return suffix if suffix in FORMATS else ".mov"


def _output_of(path: Path, cuts: list[Cut], folder: str) -> str:
    """Where a timeline is written."""
    place = os.path.join(folder, f"{path.stem}{MADE}{path.suffix}")
    others = {cut.output for cut in cuts}
    number = 2
    while place in others:
        place = os.path.join(folder, f"{path.stem}{MADE}-{number}{path.suffix}")
        number += 1
    return place


def _inputs(inputs: tuple[str, ...], output: str) -> list[tuple[str, str]]:
    """Paths of timelines and media, each with the folder that its result goes to inside the output folder."""
    out: list[tuple[str, str]] = []
    for text in inputs:
        path = Path(text)
        if path.is_file() or timelines.is_timeline(path) or (NUMBER.search(path.name) and not path.is_dir()):
            out.append((text, ""))
        elif path.is_dir():
            out += _in_folder(path, Path(output))
        elif any(sign in text for sign in "*?["):
            hits = sorted(glob.glob(text, recursive=True))
            if not hits:
                raise JobError(f"nothing is named like {text}", code="missing", hint="Check the pattern.")
            out += [(os.path.abspath(hit), "") for hit in hits if os.path.isfile(hit)]
        else:
            raise JobError(f"{text} does not exist", code="missing", hint="Check the path for a typing error.")
    return list(dict.fromkeys(out))


def _in_folder(top: Path, output: Path) -> list[tuple[str, str]]:
    """The clips below a folder, numbered pictures as sequences; what AutoWipe wrote there is left out."""
    out: list[tuple[str, str, str]] = []  # path, a file of it, folder
    for folder, folders, files in os.walk(os.path.abspath(top)):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (Path(folder) / name).resolve() != output.resolve()
        )
        below = os.path.relpath(folder, os.path.abspath(top))
        below = "" if below == "." else below
        pictures: dict[str, list[str]] = defaultdict(list)
        for name in sorted(name for name in files if not name.startswith(".")):
            suffix = os.path.splitext(name)[1].lower()
            number = re.search(r"(\d+)(?=\.[^.]+$)", name)
            path = os.path.join(folder, name)
            if suffix in SUFFIXES:
                out.append((path, path, below))
            elif suffix in PICTURES and number:
                pattern = f"{name[: number.start()]}%0{len(number[1])}d{name[number.end() :]}"
                pictures[os.path.join(folder, pattern)].append(path)
        out += [(pattern, found[0], below) for pattern, found in pictures.items() if len(found) > 1]
    written = ledger.own([file for _, file, _ in out])
    return [(path, folder) for path, file, folder in out if file not in written]


def cleaned(item: Item) -> timelines.Cleaned:
    """An item as a timeline takes it up."""
    return timelines.Cleaned(item.output, item.medium, item.range)
