"""CMX 3600 edit decision lists (.edl), rewritten in place: their library forgets start timecode and most comments.

An event line has the reel, the channel, the kind of edit, and four timecodes: source in and out, record in and out.
Comments below it name the clip and its file. An EDL does not say its rate; `FCM: DROP FRAME` means 29.97.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ..errors import JobError
from ..timing import read_timecode, timecode
from . import Cleaned, Medium, Use, _urls, keeps_clock

CODE = r"(\d{1,2}[:;.,]\d\d[:;.,]\d\d[:;.,]\d\d)"
EVENT = re.compile(
    rf"(\d+)(\s+)(\S+)(\s+)(\S+)(\s+)(C|D|W\d*|K\S*)(\s+\d+)?(\s+){CODE}(\s+){CODE}(\s+){CODE}(\s+){CODE}"
)
SPEED = re.compile(rf"(M2\s+\S+\s+)(-?[\d.]+)(\s+){CODE}", re.IGNORECASE)
NAME = re.compile(r"(\*\s*(FROM|TO) CLIP NAME\s*:\s*)(.*?)\s*$", re.IGNORECASE)
PLACE = re.compile(
    r"(\*\s*(?:(FROM|TO) (?:CLIP|FILE|MEDIA)|SOURCE FILE(?: PATH)?|MEDIA PATH)\s*:\s*)(.*?)\s*$", re.IGNORECASE
)
NTSC = Fraction(30000, 1001)


def is_mine(path: Path, head: bytes) -> bool:
    return path.suffix.lower() == ".edl"


def read(path: Path, rate: Fraction | None) -> Edl:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return Edl(path, text, rate)


@dataclass
class _Event:
    """A line with an edit of the picture, and the lines below it that speak of it."""

    line: int
    match: re.Match[str]
    name: int | None = None  # line of the clip's name
    place: int | None = None  # line of the file's path
    speed: int | None = None  # line of the change of speed
    dissolve: int = 0  # frames that it is seen longer, under the next one


class Edl:
    """One list of edits, which has one video track."""

    def __init__(self, path: Path, text: str, rate: Fraction | None) -> None:
        self.path, self._lines = path, text.splitlines()
        is_drop = bool(re.search(r"^FCM:\s*DROP", text, re.MULTILINE | re.IGNORECASE)) or bool(
            re.search(r"\d\d:\d\d:\d\d;\d\d", text)
        )
        self._is_drop = is_drop
        if rate is None and is_drop:
            rate = NTSC
        if rate is None:
            raise JobError(
                f"{path} is an EDL, which does not say its frame rate",
                code="rate",
                hint="Say it with --rate, such as --rate 25 or --rate 24000/1001.",
            )
        self._rate = rate
        self._events = _events(self._lines)
        if not self._events:
            raise ValueError("it holds no edit of a picture")
        begin = min(self._number(event.match[14]) for event in self._events)
        self.uses = tuple(self._use(event, number, begin) for number, event in enumerate(self._events))

    def write(self, path: Path, cleaned: dict[int, Cleaned]) -> None:
        lines: list[str | None] = list(self._lines)
        extra: dict[int, list[str]] = {}
        for number, what in cleaned.items():
            self._swap(self._events[number], self.uses[number], what, lines, extra, path.parent)
        out = []
        for number, line in enumerate(lines):
            out += [line, *extra.get(number, [])]
        path.write_text("\n".join(str(line) for line in out) + "\n", "utf-8")

    def _number(self, code: str) -> int:
        return read_timecode(code.replace(":", ";") if self._is_drop else code, self._rate)

    def _use(self, event: _Event, number: int, begin: int) -> Use:
        match, nominal = event.match, round(self._rate)
        source, record = self._number(match[10]), self._number(match[14])
        length = self._number(match[16]) - record
        first, last = Fraction(source), Fraction(self._number(match[12]))
        last += event.dissolve
        if event.speed is not None:
            speed = SPEED.match(self._lines[event.speed])
            assert speed
            reach = length * Fraction(speed[2]) / nominal
            first, last = min(first, first + reach), max(first + 1, first + reach)
        name = self._text(event.name, NAME)
        media = self._text(event.place, PLACE) or name or (match[3] if match[3] not in ("AX", "BL") else "")
        return Use(
            number,
            name or match[3],
            1,
            Fraction(record - begin),
            Fraction(length),
            _urls.path_of(media) if media else None,
            first / nominal,
            last / nominal,
            is_timecode=True,
            grid=Fraction(1, nominal),
        )

    def _text(self, line: int | None, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._lines[line].strip()) if line is not None else None
        return found[3] if found else ""

    def _swap(
        self,
        event: _Event,
        use: Use,
        cleaned: Cleaned,
        lines: list[str | None],
        extra: dict[int, list[str]],
        folder: Path,
    ) -> None:
        if not keeps_clock(use, cleaned.medium):
            shift = self._shift(cleaned.medium, cleaned.range.start)
            lines[event.line] = self._moved(str(lines[event.line]), EVENT, (10, 12), shift)
            if event.speed is not None:
                lines[event.speed] = self._moved(str(lines[event.speed]), SPEED, (4,), shift)
        new, old = Path(cleaned.path), Path(cleaned.medium.path)
        if event.name is not None:
            found = NAME.match(self._lines[event.name].strip())
            if found and found[3] in (old.name, old.stem):
                lines[event.name] = found[1] + (new.name if found[3] == old.name else new.stem)
        if event.place is not None:
            found = PLACE.match(self._lines[event.place].strip())
            if found:
                lines[event.place] = found[1] + _urls.like(found[3], cleaned.path, folder)
        else:
            extra.setdefault(event.line, []).append(f"* SOURCE FILE: {cleaned.path}")
        extra.setdefault(event.line, []).append(f"* ORIGINAL FILE: {cleaned.medium.path}")

    def _shift(self, medium: Medium, frames: int) -> int:
        """Frames of a medium as frames of this list's timecode."""
        return round(medium.clock(frames, is_timecode=True) * round(self._rate))

    def _moved(self, line: str, pattern: re.Pattern[str], groups: tuple[int, ...], frames: int) -> str:
        match = pattern.match(line.strip())
        assert match
        text = match.string
        for group in sorted(groups, reverse=True):
            code = timecode(
                self._number(match[group]) - frames, self._rate if self._is_drop else Fraction(round(self._rate))
            )
            code = code if ";" in match[group] else code.replace(";", ":")
            text = text[: match.start(group)] + code + text[match.end(group) :]
        return text


def _events(lines: list[str]) -> list[_Event]:
    """The edits of the picture, black left out, each with its lines."""
    found: list[_Event] = []
    here: list[_Event] = []  # of the event number that is being read: two lines for a transition
    for number, line in enumerate(lines):
        match = EVENT.match(line.strip())
        if match:
            if not here or here[-1].match[1] != match[1]:
                here = []
            event = _Event(number, match)
            if here and match[8]:
                here[-1].dissolve = int(match[8])
            is_picture = "V" in match[5].upper().split("/")[-1] or match[5].upper() == "B"
            if is_picture and match[3].upper() not in ("BL", "BLACK"):
                found.append(event)
            here.append(event)
            continue
        for slot, pattern in (("name", NAME), ("place", PLACE)):
            said = pattern.match(line.strip())
            if said and here:
                setattr(
                    here[-1] if (said[2] or "").upper() == "TO" or (slot == "place" and not said[2]) else here[0],
                    slot,
                    number,
                )
        if SPEED.match(line.strip()) and here:
            here[-1].speed = number
    return found
