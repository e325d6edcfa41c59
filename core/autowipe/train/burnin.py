"""Overlays over time: what each shows in a frame, where, how large and how strongly; one function for every sort."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import sprites
from .material import Item, Material
from .sprites import Sprite
from .words import PHRASES, UPRIGHT, clock, phrase

Size = tuple[int, int]  # width, height, px


@dataclass(frozen=True)
class Pose:
    """Where the middle of a sprite lies, px; its scale; its turn, degrees; its strength, 0..1."""

    x: float
    y: float
    strength: float = 1.0
    scale: float = 1.0
    turn: float = 0.0


@dataclass
class Layer:
    """One overlay. `at(t)` is None in frames in which it is not there."""

    kind: str  # logo, subtitle, dynamic or watermark
    sprite: Callable[[int], Sprite]
    at: Callable[[int], Pose | None]


class Draw:
    """What the overlays of one clip are drawn with, by chance."""

    def __init__(self, rng: np.random.Generator, material: Material, size: Size, count: int, unit: float) -> None:
        """`count`: frames of the clip; `unit`: px that stand for one px of the analysis picture."""
        self.rng, self.material, self.size, self.count, self.unit = rng, material, size, count, unit

    def font(self, script: str) -> str:
        fonts = [item for item in self.material.fonts if script in item.scripts]
        return fonts[self.rng.integers(len(fonts))].path

    def script(self) -> str:
        """A script that some font draws; Latin as often as all others."""
        known = [name for name in PHRASES if any(name in item.scripts for item in self.material.fonts)]
        return "latin" if self.rng.random() < 0.4 else str(self.rng.choice(known))

    def height(self, low: float, high: float) -> int:
        """Px for a height between two in px of the analysis picture, small ones as likely as large ones."""
        return max(7, round(self.unit * float(np.exp(self.rng.uniform(np.log(low), np.log(high))))))

    def alpha(self, opaque: float) -> float:
        """Strength of a whole overlay: opaque with the given probability, else from 0.08 on."""
        return 1.0 if self.rng.random() < opaque else float(np.exp(self.rng.uniform(np.log(0.08), np.log(0.9))))

    def words(self, longest: int = 24, script: str = "") -> tuple[str, str]:
        script = script or self.script()
        return script, phrase(self.rng, script, longest)

    def mark(self, low: float = 14, high: float = 70) -> Sprite:
        """A logo: a picture of the material, a drawn mark, or a word."""
        rng, height = self.rng, self.height(low, high)
        sort = rng.random()
        if self.material.marks and sort < 0.45:
            item: Item = self.material.marks[rng.integers(len(self.material.marks))]
            return _within(sprites.picture(item.path, height), self.size)
        if sort < 0.8:
            words = phrase(rng, "latin", 9) if rng.random() < 0.6 else ""
            return _within(sprites.mark(rng, self.font("latin"), words, height), self.size)
        script, words = self.words(12)
        line = max(8, height // 2)
        return _within(sprites.text(rng, self.font(script), script, [words], line, part=sprites.MARK_BIT), self.size)

    def stretch(self, shortest: int = 10) -> tuple[int, int]:
        """First frame and one past the last of an appearance."""
        length = int(self.rng.integers(min(shortest, self.count), self.count + 1))
        start = int(self.rng.integers(self.count - length + 1))
        return start, start + length

    def corner(self, sprite: Sprite) -> tuple[float, float]:
        """The middle of a sprite that stands near a corner or an edge, sometimes anywhere."""
        (width, height), (h, w) = self.size, sprite.alpha.shape
        if self.rng.random() < 0.12:
            return float(self.rng.uniform(w / 2, max(w / 2, width - w / 2))), float(
                self.rng.uniform(h / 2, height - h / 2)
            )
        x, y = self.rng.uniform(0.015, 0.09) * width + w / 2, self.rng.uniform(0.02, 0.1) * height + h / 2
        if self.rng.random() < 0.15:
            x = self.rng.uniform(x, max(x, width - x))
        return (x if self.rng.random() < 0.5 else width - x), (y if self.rng.random() < 0.6 else height - y)


def _within(sprite: Sprite, size: Size) -> Sprite:
    """A sprite, cut where it is larger than most of the picture."""
    h, w = int(size[1] * 0.9), int(size[0] * 0.9)
    return Sprite(sprite.rgb[:h, :w], sprite.alpha[:h, :w], sprite.parts[:h, :w], sprite.glass)


def fading(start: int, stop: int, frames: int, strength: float) -> Callable[[int], float]:
    """Strength over time: 0 outside start..stop, a ramp of `frames` at both ends."""

    def at(t: int) -> float:
        if not start <= t < stop:
            return 0.0
        return strength * min(1.0, (t - start + 1) / (frames + 1), (stop - t) / (frames + 1))

    return at


def standing(kind: str, sprite: Sprite, place: tuple[float, float], strength: Callable[[int], float]) -> Layer:
    return Layer(kind, lambda t: sprite, lambda t: Pose(*place, strength(t)) if strength(t) > 0 else None)


def logo(draw: Draw) -> list[Layer]:
    """A mark that stands still, mostly all the time."""
    sprite = draw.mark()
    start, stop = (0, draw.count) if draw.rng.random() < 0.75 else draw.stretch()
    fade = int(draw.rng.choice([0, 0, 6]))
    return [standing("logo", sprite, draw.corner(sprite), fading(start, stop, fade, draw.alpha(0.5)))]


def score_bar(draw: Draw) -> list[Layer]:
    """A panel whose digits change."""
    rng = draw.rng
    names = [phrase(rng, "latin", int(rng.integers(3, 12))) for _ in range(int(rng.integers(1, 3)))]
    every = int(rng.integers(8, 40))
    digits = [clock(rng) for _ in range(-(-draw.count // every))]
    bars = sprites.score_bar(rng, draw.font("latin"), names, digits, draw.height(8, 16))
    bars = [_within(bar, draw.size) for bar in bars]
    place, strength = draw.corner(bars[0]), 1.0 if rng.random() < 0.7 else float(rng.uniform(0.5, 0.95))
    return [Layer("logo", lambda t: bars[t // every], lambda t: Pose(*place, strength))]


def subtitles(draw: Draw) -> list[Layer]:
    """Lines of text that come and go: one or two lines, in one or two scripts, at times from top to bottom."""
    rng, (width, height) = draw.rng, draw.size
    script = draw.script()
    font, line = draw.font(script), draw.height(9, 30)
    other = draw.script() if rng.random() < 0.2 else ""
    is_upright = script in UPRIGHT and rng.random() < 0.12
    y = height * (rng.uniform(0.8, 0.95) if rng.random() < 0.85 else rng.uniform(0.08, 0.3))
    look = int(rng.integers(1 << 31))
    strength, fade = (1.0 if rng.random() < 0.85 else draw.alpha(0)), int(rng.choice([0, 0, 4]))
    layers, start = [], int(rng.integers(0, 20))
    while start < draw.count - 6:
        stop = min(draw.count, start + int(rng.integers(12, 70)))
        style = np.random.default_rng(look)  # all lines of a clip look alike
        longest = max(3, int(0.9 * width / (line * (1.0 if script in UPRIGHT else 0.55))))
        if is_upright:
            longest = max(2, int(0.7 * height / line / 1.1))
        lines = [phrase(rng, script, longest) for _ in range(1 if is_upright or rng.random() < 0.6 else 2)]
        if is_upright:
            cover = sprites.lettering.line(font, line, lines[0], script, is_upright=True)
            sprite = sprites.styled(cover, style, height=line)
            place = (width * 0.92, height * 0.45)
        else:
            sprite = sprites.text(style, font, script, lines, line)
            place = (width / 2, y)
        start_of, second = fading(start, stop, fade, strength), None
        layers.append(standing("subtitle", _within(sprite, draw.size), place, start_of))
        if other and not is_upright:
            small = max(8, int(line * 0.7))
            second = sprites.text(style, draw.font(other), other, [phrase(rng, other, longest)], small)
            below = place[1] + (sprite.alpha.shape[0] + second.alpha.shape[0]) / 2 - small * 0.6
            layers.append(standing("subtitle", _within(second, draw.size), (width / 2, below), start_of))
        start = stop + int(rng.integers(0, 25))
    return layers


def karaoke(draw: Draw) -> list[Layer]:
    """A line whose colour changes from one end to the other while it is sung."""
    rng, script = draw.rng, draw.script()
    words = phrase(rng, script, 22)
    line, font = draw.height(14, 30), draw.font(script)
    look = int(rng.integers(1 << 31))
    plain = _within(sprites.text(np.random.default_rng(look), font, script, [words], line), draw.size)
    sung = sprites.colour_of(rng, 0.5).astype(np.float32)
    start, stop = draw.stretch(20)
    place = (draw.size[0] / 2, draw.size[1] * rng.uniform(0.8, 0.93))
    strokes = plain.parts[..., sprites.STROKE_BIT, None]

    def sprite(t: int) -> Sprite:
        reach = int(plain.alpha.shape[1] * (t - start) / max(1, stop - start))
        rgb = plain.rgb.copy()
        rgb[:, :reach] = rgb[:, :reach] * (1 - strokes[:, :reach]) + sung * strokes[:, :reach]
        return Sprite(rgb, plain.alpha, plain.parts, plain.glass)

    strength = fading(start, stop, 2, 1.0)
    return [Layer("subtitle", sprite, lambda t: Pose(*place, strength(t)) if strength(t) > 0 else None)]


def effect_text(draw: Draw) -> list[Layer]:
    """Large words that pop up, wobble, turn and go, as in variety shows."""
    layers = []
    for _ in range(int(draw.rng.integers(1, 4))):
        script, words = draw.words(8)
        sprite = _within(sprites.text(draw.rng, draw.font(script), script, [words], draw.height(18, 56)), draw.size)
        layers.append(_effect(draw, sprite))
    return layers


def _effect(draw: Draw, sprite: Sprite) -> Layer:
    rng, (width, height) = draw.rng, draw.size
    start, stop = draw.stretch(12)
    x, y = rng.uniform(0.2, 0.8) * width, rng.uniform(0.15, 0.85) * height
    pop, wobble, swing = int(rng.integers(2, 8)), rng.uniform(0, 0.08), rng.uniform(0, 6)
    tilt, beat = rng.uniform(-12, 12) if rng.random() < 0.5 else 0.0, rng.uniform(0.3, 0.9)
    rise = rng.uniform(-0.6, 0.6) if rng.random() < 0.3 else 0.0

    def at(t: int) -> Pose | None:
        if not start <= t < stop:
            return None
        age = t - start
        grown = min(1.0, (age + 1) / pop)
        scale = grown * (1 + 0.25 * np.sin(np.pi * grown)) * (1 + wobble * np.sin(beat * age))
        return Pose(x, y + rise * age, min(1.0, (stop - t) / 3), float(scale), tilt + swing * np.sin(beat * age / 2))

    return Layer("dynamic", lambda t: sprite, at)


def ticker(draw: Draw) -> list[Layer]:
    """Text that runs through, on a band or without."""
    rng, (width, height) = draw.rng, draw.size
    script = draw.script()
    words = "   ".join(phrase(rng, script, 24) for _ in range(4))
    sprite = sprites.text(rng, draw.font(script), script, [words], draw.height(10, 22))
    speed, y = rng.uniform(0.8, 4) * draw.unit * rng.choice([-1, 1]), height * rng.choice([0.06, 0.93])
    first = width / 2 + (rng.uniform(-0.3, 0.3) * width) - speed * draw.count / 2
    return [Layer("dynamic", lambda t: sprite, lambda t: Pose(first + speed * t, y))]


def travelling(draw: Draw) -> list[Layer]:
    """A mark that drifts, bounces, jumps from place to place, or blinks."""
    rng, (width, height) = draw.rng, draw.size
    sprite, strength = draw.mark(), draw.alpha(0.35)
    h, w = sprite.alpha.shape
    room = np.array([max(1.0, width - w), max(1.0, height - h)])
    how = rng.choice(["drift", "bounce", "jump", "blink"])
    every = int(rng.integers(8, 40))
    places = rng.random((draw.count // every + 2, 2))
    start, speed = rng.random(2), rng.uniform(-1, 1, 2) * (0.004 if how == "drift" else 0.015)
    on = rng.random(len(places)) < 0.6

    def at(t: int) -> Pose | None:
        share = start
        if how in ("drift", "bounce"):
            share = np.abs((start + speed * t + 1) % 2 - 1)
        elif how == "jump":
            share = places[t // every]
        elif not on[t // every]:
            return None
        x, y = share * room + np.array([w, h]) / 2
        return Pose(float(x), float(y), strength)

    return [Layer("dynamic", lambda t: sprite, at)]


def tiled(draw: Draw) -> list[Layer]:
    """A faint word or mark over the whole picture, in rows, mostly at a slant."""
    rng, (width, height) = draw.rng, draw.size
    one = draw.mark(10, 24)
    h, w = one.alpha.shape
    step = np.array([w + rng.uniform(0.2, 1.2) * w, h + rng.uniform(0.6, 3) * h])
    side = int(np.hypot(width, height)) + 2
    full = Sprite(
        np.zeros((side, side, 3), np.float32), np.zeros((side, side), np.float32), np.zeros((side, side, 3), np.float32)
    )
    for row, y in enumerate(np.arange(0, side - h, step[1])):
        for x in np.arange((row % 2) * step[0] / 2, side - w, step[0]):
            part = np.s_[int(y) : int(y) + h, int(x) : int(x) + w]
            full.rgb[part], full.alpha[part], full.parts[part] = one.rgb, one.alpha, one.parts
    strength, turn = float(rng.uniform(0.08, 0.4)), float(rng.choice([0, -30, 30, rng.uniform(-45, 45)]))
    pose = Pose(width / 2, height / 2, strength, 1.0, turn)
    return [Layer("watermark", lambda t: full, lambda t: pose)]


SORTS: dict[Callable[[Draw], list[Layer]], float] = {  # with how often each is drawn
    logo: 0.34,
    score_bar: 0.12,
    subtitles: 0.22,
    karaoke: 0.03,
    effect_text: 0.09,
    ticker: 0.04,
    travelling: 0.11,
    tiled: 0.05,
}
CLEAN = 0.14  # share of clips without any overlay


def overlays(draw: Draw) -> list[Layer]:
    """The overlays of one clip: none, one sort, or up to three."""
    if draw.rng.random() < CLEAN:
        return []
    sorts, shares = list(SORTS), np.array(list(SORTS.values()))
    count = int(draw.rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
    chosen = draw.rng.choice(len(sorts), count, replace=False, p=shares / shares.sum())
    return [layer for k in chosen for layer in sorts[k](draw)]
