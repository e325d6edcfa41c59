"""Draws what overlays show, as sprites with exact alpha and colour: styled text, boxes, marks, score bars."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..masks import disc
from . import lettering

STROKE_BIT, SURROUND_BIT, MARK_BIT = 0, 1, 2  # planes of Sprite.parts


@dataclass
class Sprite:
    """A picture with transparency, and which part of an overlay each of its pixels is."""

    rgb: np.ndarray  # (h, w, 3) float32, 0..1, not premultiplied
    alpha: np.ndarray  # (h, w) float32, 0..1
    parts: np.ndarray  # (h, w, 3) float32 coverage 0..1 by text strokes, by their surround, by a mark
    glass: float = 0.0  # px by which the picture behind is blurred before the alpha counts


def over(lower: Sprite, upper: Sprite) -> Sprite:
    """One sprite on another of the same size (Porter and Duff 1984)."""
    alpha = upper.alpha + lower.alpha * (1 - upper.alpha)
    a, b = upper.alpha[..., None], (lower.alpha * (1 - upper.alpha))[..., None]
    rgb = (upper.rgb * a + lower.rgb * b) / np.maximum(alpha, 1e-4)[..., None]
    parts = np.maximum(upper.parts, lower.parts * (1 - upper.alpha[..., None]))
    return Sprite(rgb.astype(np.float32), alpha, parts, max(lower.glass, upper.glass))


def flat(cover: np.ndarray, colour: np.ndarray, part: int, alpha: float = 1.0) -> Sprite:
    """A shape in one colour, or in a picture of colours (h, w, 3)."""
    rgb = np.broadcast_to(colour.astype(np.float32), (*cover.shape, 3))
    parts = np.zeros((*cover.shape, 3), np.float32)
    parts[..., part] = cover
    return Sprite(rgb, cover * np.float32(alpha), parts)


def colour_of(rng: np.random.Generator, light: float) -> np.ndarray:
    """(3,) RGB: usually near white or near black, else any; `light`: probability of the bright half."""
    kind = rng.random()
    if kind < 0.6:
        return np.full(3, rng.uniform(0.85, 1.0) if rng.random() < light else rng.uniform(0, 0.15))
    hue = np.array([[[rng.integers(180), rng.integers(90, 256), rng.integers(150, 256)]]], np.uint8)
    return cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0] / 255.0


def styled(cover: np.ndarray, rng: np.random.Generator, *, height: int, part: int = STROKE_BIT) -> Sprite:
    """Strokes (h, w) in a style by chance: outlined, shadowed, glowing, boxed, in glass, plain, coloured, shaded.

    `height`: of a line, px; widths of outlines and shadows follow it.
    """
    unit = max(1.0, height / 14)
    pad = int(4 + 3 * unit)
    cover = np.pad(cover, pad)
    around = SURROUND_BIT if part == STROKE_BIT else part
    fill = colour_of(rng, 0.85)
    ink: np.ndarray = fill
    if rng.random() < 0.12:  # shaded from top to bottom
        ramp = np.linspace(0, 1, cover.shape[0], dtype=np.float32)[:, None, None]
        ink = np.broadcast_to(fill * (1 - ramp) + colour_of(rng, 0.7) * ramp, (*cover.shape, 3))
    sprite = flat(cover, np.zeros(3), around, 0.0)
    edge = colour_of(rng, 0.15) if fill.mean() > 0.5 else colour_of(rng, 0.85)
    style = rng.choice(["outline", "shadow", "glow", "box", "glass", "plain", "both"], p=_STYLES)
    if style in ("box", "glass"):
        sprite = over(sprite, _box(cover.shape, rng, edge, around, is_glass=style == "glass"))
    if style in ("shadow", "both"):
        move = np.array([[1, 0, rng.uniform(0.5, 1.5) * unit], [0, 1, rng.uniform(0.5, 1.5) * unit]], np.float32)
        shade = cv2.GaussianBlur(cv2.warpAffine(cover, move, cover.shape[::-1]), (0, 0), rng.uniform(0.3, 1.2) * unit)
        sprite = over(sprite, flat(shade, np.zeros(3), around, rng.uniform(0.5, 1)))
    if style == "glow":
        halo = cv2.GaussianBlur(cv2.dilate(cover, disc(round(unit))), (0, 0), 1.2 * unit)
        sprite = over(sprite, flat(halo, edge if rng.random() < 0.5 else fill, around, rng.uniform(0.5, 0.95)))
    if style in ("outline", "both"):
        wide = cv2.dilate(cover, disc(max(1, round(rng.uniform(0.6, 1.6) * unit))))
        sprite = over(sprite, flat(cv2.GaussianBlur(wide, (0, 0), 0.5), edge, around))
    return over(sprite, flat(cover, ink, part))


_STYLES = (0.38, 0.16, 0.06, 0.1, 0.05, 0.12, 0.13)


def _box(shape: tuple, rng: np.random.Generator, colour: np.ndarray, part: int, *, is_glass: bool) -> Sprite:
    cover = np.zeros(shape, np.uint8)
    margin = int(rng.integers(0, 4))
    cv2.rectangle(cover, (margin, margin), (shape[1] - 1 - margin, shape[0] - 1 - margin), 255, -1)
    if rng.random() < 0.4:  # rounded
        radius = min(shape) // 4
        cover = cv2.morphologyEx(np.pad(cover, radius), cv2.MORPH_OPEN, disc(radius))
        cover = cover[radius : shape[0] + radius, radius : shape[1] + radius]
    alpha = rng.uniform(0.15, 0.4) if is_glass else rng.choice([1.0, rng.uniform(0.35, 0.9)])
    box = flat(cover / np.float32(255), colour, part, alpha)
    box.glass = rng.uniform(3, 8) if is_glass else 0.0
    return box


def text(rng: np.random.Generator, font: str, script: str, words: list[str], height: int, **how) -> Sprite:
    """Lines of text in one style."""
    lines = [lettering.line(font, height, text, script) for text in words]
    return styled(lettering.stacked(lines, max(1, height // 5)), rng, height=height, **how)


def mark(rng: np.random.Generator, font: str, words: str, size: int) -> Sprite:
    """A drawn mark, `size` px high: rings, shields, bars and letters in few colours."""
    canvas = np.zeros((size * 4, size * 4), np.uint8)  # drawn large, shrunk for smooth edges
    c, r = size * 2, size * 2 - 4
    shape = rng.choice(["ring", "disc", "polygon", "bars", "star", "waves"])
    if shape == "ring":
        cv2.circle(canvas, (c, c), int(r * 0.85), 255, int(r * rng.uniform(0.1, 0.35)))
    elif shape == "disc":
        cv2.ellipse(canvas, (c, c), (r, int(r * rng.uniform(0.5, 1))), 0, 0, 360, 255, -1)
        cv2.circle(canvas, (c + r // 4, c), r // 3, 0, -1)
    elif shape in ("polygon", "star"):
        count = int(rng.integers(3, 8))
        angles = np.arange(count * 2) * np.pi / count + rng.uniform(0, 6)
        radii = np.where(np.arange(count * 2) % 2, r * (rng.uniform(0.35, 0.6) if shape == "star" else 1), r)
        points = np.stack([c + radii * np.cos(angles), c + radii * np.sin(angles)], 1).astype(np.int32)
        cv2.fillPoly(canvas, [points], 255)
        if rng.random() < 0.5:
            cv2.circle(canvas, (c, c), r // 3, 0, -1)
    elif shape == "bars":
        for k in range(int(rng.integers(2, 5))):
            x = int(4 + k * r * 0.5)
            cv2.rectangle(canvas, (x, int(r * rng.uniform(0, 1.2))), (x + int(r * 0.3), 2 * r), 255, -1)
    else:
        along = np.arange(0, 4 * size)
        for k in range(3):
            y = c + (k - 1) * r * 0.5 + r * 0.2 * np.sin(along / size * rng.uniform(1.5, 3))
            cv2.polylines(canvas, [np.stack([along, y], 1).astype(np.int32)], False, 255, max(4, size // 3))
    cover = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA) / np.float32(255)
    if words:
        letters = lettering.line(font, max(8, int(size * rng.uniform(0.35, 0.7))), words, "latin")
        if rng.random() < 0.7:  # beside it, else below
            high = max(size, letters.shape[0])
            parts = [
                np.pad(p, (((high - p.shape[0]) // 2, -(-(high - p.shape[0]) // 2)), (0, 3))) for p in (cover, letters)
            ]
            cover = np.concatenate(parts, 1)
        else:
            cover = lettering.stacked([cover, letters], 2)
    sprite = styled(cover, rng, height=max(10, size // 2), part=MARK_BIT)
    if rng.random() < 0.4:  # a second colour for a part of it
        cut = int(sprite.rgb.shape[1] * rng.uniform(0.2, 0.6))
        second = colour_of(rng, 0.6).astype(np.float32)
        rgb = sprite.rgb.copy()
        solid = sprite.parts[:, :cut, MARK_BIT] * sprite.alpha[:, :cut] > 0.9
        rgb[:, :cut][solid] = rgb[:, :cut][solid] * 0.2 + second * 0.8
        sprite.rgb = rgb
    return sprite


def picture(path: str, height: int) -> Sprite:
    """A logo from a PNG with transparency."""
    data = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    width = max(4, round(data.shape[1] * height / data.shape[0]))
    data = cv2.resize(data, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    if data.ndim == 2 or data.shape[2] < 4:
        data = np.dstack([data.reshape(height, width, -1)[..., :1]] * 3 + [np.ones((height, width), np.float32)])
    parts = np.zeros((height, width, 3), np.float32)
    parts[..., MARK_BIT] = data[..., 3] > 0.05
    return Sprite(np.ascontiguousarray(data[..., 2::-1]), data[..., 3], parts)


def score_bar(rng: np.random.Generator, font: str, names: list[str], digits: list[str], height: int) -> list[Sprite]:
    """A panel with names and digits, drawn once for each of `digits`: the frames between which the digits change."""
    back, name_colour, cell = colour_of(rng, 0.3), colour_of(rng, 0.9), colour_of(rng, 0.6)
    if abs(back.mean() - name_colour.mean()) < 0.4:
        name_colour = np.full(3, float(back.mean() < 0.5))
    digit_colour = np.full(3, float(cell.mean() < 0.5))
    lines = [lettering.line(font, height, name, "latin") for name in names]
    boxes = [lettering.line(font, height, text, "latin") for text in digits]
    pad = max(2, height // 3)
    wide, cell_wide = max(p.shape[1] for p in lines) + 2 * pad, max(p.shape[1] for p in boxes) + 2 * pad
    row = max(p.shape[0] for p in [*lines, *boxes]) + 2 * pad
    alpha = rng.choice([1.0, rng.uniform(0.6, 0.95)])
    shape = (row * len(lines), wide + cell_wide)
    out = []
    for text_line in boxes:
        panel = flat(np.ones(shape, np.float32), back, MARK_BIT, alpha)
        cells, ink, figures = (np.zeros(shape, np.float32) for _ in range(3))
        cells[:, wide:] = 1
        for k, letters in enumerate(lines):
            _put(ink, letters, pad, k * row + (row - letters.shape[0]) // 2)
            _put(figures, text_line, wide + pad, k * row + (row - text_line.shape[0]) // 2)
        panel = over(panel, flat(cells, cell, MARK_BIT, alpha))
        panel = over(panel, flat(ink, name_colour, MARK_BIT))
        out.append(over(panel, flat(figures, digit_colour, MARK_BIT)))
    return out


def _put(canvas: np.ndarray, part: np.ndarray, x: int, y: int) -> None:
    room = canvas[y : y + part.shape[0], x : x + part.shape[1]]
    np.maximum(room, part[: room.shape[0], : room.shape[1]], out=room)
