"""What training is made from: clips, pictures, fonts and marks found on this machine, listed with licence and hash.

Nothing is downloaded and nothing is copied: the manifest names files where they lie. One in eight is held out, by its
hash, so that a network is judged on footage, fonts and marks that it never saw.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2

from ..decode import open_clip
from ..errors import JobError, MediaError
from .lettering import BUILT_IN, scripts_of
from .words import TEST_LETTERS

CLIPS = {".mp4", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".m4v", ".ts", ".mxf", ".ogv"}
PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
FONTS = {".ttf", ".otf", ".ttc", ".pfb"}
FRAMES_FOLDER = "JPEGImages"  # of the YouTube-VOS and DAVIS layouts: a folder of numbered pictures a clip
LEAST_SIDE = 160  # px of a picture or clip that is of use
HELD_OUT = 8  # one in so many
MANIFEST = "material.json"


@dataclass(frozen=True)
class Item:
    """One file, or one folder of numbered pictures."""

    path: str
    sha256: str  # of a folder: of its first picture
    licence: str  # as the list beside it says; "unknown" where there is none
    source: str
    scripts: tuple[str, ...] = ()  # of a font

    @property
    def is_held_out(self) -> bool:
        return int(self.sha256[:8], 16) % HELD_OUT == 0


@dataclass
class Material:
    """Everything that was found; `missing` says in sentences what was not."""

    clips: list[Item] = field(default_factory=list)
    pictures: list[Item] = field(default_factory=list)
    fonts: list[Item] = field(default_factory=list)
    marks: list[Item] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def half(self, held_out: bool) -> Material:
        """What is trained on, or what is held out; where a half is empty, all of it."""

        def of(items: list[Item]) -> list[Item]:
            return [item for item in items if item.is_held_out == held_out] or items

        return Material(of(self.clips), of(self.pictures), of(self.fonts), of(self.marks))

    def lines(self) -> list[str]:
        """A line for every clip, and one for each licence of the rest: enough to name what a network learnt from."""
        out = [f"{Path(item.path).name}: {item.licence} ({item.source})" for item in self.clips]
        for name, items in (("pictures", self.pictures), ("fonts", self.fonts), ("marks", self.marks)):
            for licence in sorted({item.licence for item in items}):
                out.append(f"{sum(item.licence == licence for item in items)} {name}: {licence}")
        return out


def assemble(
    clips: Iterable[Path] = (),
    marks: Iterable[Path] = (),
    fonts: Iterable[Path] = (),
    bench: Path | None = None,
    without: Iterable[str] = (),
) -> Material:
    """Looks through the folders. `clips`: of clips and pictures; `marks`: of logos with transparency; `fonts`: besides
    the system's own; `bench`: whatever lies there, by name or by content, is never taken; `without`: names of files to
    leave out, such as clips with titles of their own.
    """
    out = Material()
    banned = {key for file in _files(bench) for key in (_sha256(file), file.name)} if bench else set()
    left_out = set(without)
    for folder in clips:
        if not folder.is_dir():
            out.missing.append(f"There is no folder {folder}.")
            continue
        listed = index(folder)
        for file in _backgrounds(folder):
            if file.name in left_out:
                continue
            digest = _sha256(file)
            if digest in banned or file.name in banned:
                out.missing.append(f"{file} belongs to the benchmark and is left out.")
                continue
            row = listed.get(file.name, {})
            path = file.parent if FRAMES_FOLDER in file.parts else file
            item = Item(str(path), digest, row.get("licence", "unknown"), row.get("source", "unknown"))
            if path.is_dir() or file.suffix.lower() in CLIPS:
                if path.is_dir() or _opens(file):
                    out.clips.append(item)
                else:
                    out.missing.append(f"{file} cannot be read as a clip and is left out.")
            elif _is_large(file):
                out.pictures.append(item)
    for folder in marks:
        files = (file for file in _files(folder) if file.suffix.lower() == ".png")
        out.marks += [Item(str(file), _sha256(file), _licence(folder), str(folder)) for file in files]
    out.fonts = list(_fonts(fonts))
    _say_what_is_missing(out)
    return out


def write(material: Material, folder: Path) -> Path:
    """Writes the manifest into `folder`; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MANIFEST
    path.write_text(json.dumps(asdict(material), indent=1, ensure_ascii=False), "utf-8")
    return path


def read(folder: Path) -> Material:
    """The manifest of `folder`. Raises JobError where there is none."""
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as err:
        hint = f"Make it with `autowipe train material {folder}`."
        raise JobError(f"{path} cannot be read as a list of material: {err}", code="material", hint=hint) from err

    def items(name: str) -> list[Item]:
        return [Item(**{**row, "scripts": tuple(row["scripts"])}) for row in data[name]]

    return Material(items("clips"), items("pictures"), items("fonts"), items("marks"), data["missing"])


def _say_what_is_missing(out: Material) -> None:
    if not out.clips:
        out.missing.append("No clip was found: name a folder with freely licensed footage.")
    if not out.pictures:
        out.missing.append("No picture was found: single frames of the clips and drawn textures stand in.")
    if not out.marks:
        out.missing.append("No folder of logos was named: marks are drawn.")
    for script in TEST_LETTERS:
        if not any(script in item.scripts for item in out.fonts):
            out.missing.append(f"No font can draw the script {script} here: there will be none of it.")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _backgrounds(folder: Path) -> Iterator[Path]:
    """Clips and pictures below a folder; of a folder of numbered pictures the first only."""
    seen: set[Path] = set()
    for file in _files(folder):
        if FRAMES_FOLDER in file.parts:
            if file.parent not in seen and file.suffix.lower() in PICTURES:
                seen.add(file.parent)
                yield file
        elif file.suffix.lower() in CLIPS | PICTURES:
            yield file


def index(folder: Path) -> dict[str, dict[str, str]]:
    """Rows of the folder's INDEX.tsv by file name: columns clip, licence, source, and others."""
    path = folder / "INDEX.tsv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["clip"]: row for row in csv.DictReader(file, delimiter="\t")}


def _licence(folder: Path) -> str:
    path = folder / "LICENCE.txt"
    return path.read_text("utf-8").strip() if path.exists() else "unknown"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _opens(path: Path) -> bool:
    try:
        with open_clip(path) as clip:
            return clip.info.held >= 2 and min(clip.info.layout.width, clip.info.layout.height) >= LEAST_SIDE
    except MediaError:
        return False


def _is_large(path: Path) -> bool:
    picture = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_2)
    return picture is not None and 2 * min(picture.shape[:2]) >= LEAST_SIDE


def _fonts(folders: Iterable[Path]) -> Iterator[Item]:
    """The system's fonts as fontconfig lists them, and those in the folders, with the scripts that they draw."""
    named = list(folders)
    paths = {path for folder in named for path in _files(folder) if path.suffix.lower() in FONTS}
    if tool := shutil.which("fc-list"):
        listed = subprocess.run([tool, "--format", "%{file}\n"], capture_output=True, text=True, check=False).stdout
        paths |= {Path(line) for line in listed.splitlines() if Path(line).suffix.lower() in FONTS}
    if not paths:
        yield Item(BUILT_IN, hashlib.sha256(BUILT_IN.encode()).hexdigest(), "Pillow's", BUILT_IN, ("latin",))
    for path in sorted(paths):
        if scripts := scripts_of(path):
            is_named = any(folder in path.parents for folder in named)
            yield Item(str(path), _sha256(path), "as installed", "folder" if is_named else "system", scripts)
