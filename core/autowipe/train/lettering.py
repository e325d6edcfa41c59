"""Draws lines of text with a font: coverage of the strokes only, colours and edges come later."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from .words import RIGHT_TO_LEFT, TEST_LETTERS

BUILT_IN = "built into Pillow"  # stands for the path of the font that is always there
SHAPED = (*RIGHT_TO_LEFT, "devanagari", "thai")  # scripts that Pillow sets only with the library Raqm
NO_LETTER = "\U0010ffff"  # in no font: what it draws stands for letters that are missing


@lru_cache(maxsize=256)
def font(path: str, size: int) -> ImageFont.FreeTypeFont:
    if path == BUILT_IN:
        face = ImageFont.load_default(size)
        assert isinstance(face, ImageFont.FreeTypeFont)
        return face
    return ImageFont.truetype(path, size)


def scripts_of(path: Path) -> tuple[str, ...]:
    """Scripts whose letters a font draws here; empty for a file that is no font."""
    known = {name: letters for name, letters in TEST_LETTERS.items() if name not in SHAPED or features.check("raqm")}
    try:
        face = font(str(path), 24)
        return tuple(name for name, letters in known.items() if all(draws(face, c) for c in letters))
    except (OSError, ValueError):
        return ()


def draws(face: ImageFont.FreeTypeFont, letter: str) -> bool:
    """Whether a font has a picture of a letter, other than the one for missing letters."""
    ink, none = face.getmask(letter), face.getmask(NO_LETTER)
    return ink.getbbox() is not None and (ink.size != none.size or bytes(ink) != bytes(none))


def line(path: str, size: int, text: str, script: str, *, is_upright: bool = False) -> np.ndarray:
    """(h, w) float32 coverage 0..1 of one line; `is_upright` sets its letters from top to bottom."""
    face = font(path, size)
    if is_upright:
        letters = [line(path, size, letter, script) for letter in text if not letter.isspace()]
        return stacked(letters, max(1, size // 10)) if letters else np.zeros((size, size), np.float32)
    way = "rtl" if script in RIGHT_TO_LEFT else None
    left, top, right, bottom = (int(v) for v in face.getbbox(text, direction=way))
    canvas = Image.new("L", (max(1, right - left) + 4, max(1, bottom - top) + 4))
    ImageDraw.Draw(canvas).text((2 - left, 2 - top), text, 255, face, direction=way)
    return np.asarray(canvas, np.float32) / 255


def stacked(lines: list[np.ndarray], gap: int) -> np.ndarray:
    """Lines one under the other, centred."""
    width = max(part.shape[1] for part in lines)
    rows = []
    for part in lines:
        left = (width - part.shape[1]) // 2
        rows += [np.pad(part, ((0, gap), (left, width - part.shape[1] - left)))]
    return np.concatenate(rows)[: -gap or None]
