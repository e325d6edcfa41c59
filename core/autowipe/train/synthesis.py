"""Makes a clip whose truth is known: a scene, overlays over time, composed, scaled, and really encoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from . import scenes
from .burnin import Draw, Layer, Pose, overlays
from .material import Material
from .sprites import MARK_BIT, STROKE_BIT, SURROUND_BIT, Sprite

CLASSES = ("mark", "stroke", "surround", "moving")  # planes of Composed.classes
WIDTHS = (320, 352, 384, 448)
SHAPES = (16 / 9, 16 / 9, 16 / 9, 4 / 3, 1.0, 2.35)  # width to height
SECONDS = (2.0, 3.4)
FAINTEST = 0.04  # strength of an overlay from which it is part of the truth


@dataclass
class Composed:
    """One frame before it is encoded, and the truth about it."""

    picture: np.ndarray  # (H, W, 3) uint8 RGB
    clean: np.ndarray  # (H, W, 3) uint8 RGB
    classes: np.ndarray  # (4, H, W) float32 coverage 0..1, in the order of CLASSES
    alpha: np.ndarray  # (H, W) float32: share of the picture that is hidden


class Synthetic:
    """One clip, the same for the same seed and material."""

    def __init__(self, seed: int, material: Material, *, sizes: tuple[int, ...] = WIDTHS) -> None:
        rng = np.random.default_rng(seed)
        self._rng, self._material = rng, material
        width = int(rng.choice(sizes))
        height = round(width / float(rng.choice(SHAPES)) / 2) * 2
        self.size = (width, height)
        self.rate = int(rng.choice([24, 25, 30]))
        self.count = round(rng.uniform(*SECONDS) * self.rate)
        self.codec = "libx265" if rng.random() < 0.15 else "libx264"
        self.crf = int(rng.integers(16, 35))
        self._larger = 1.5 if rng.random() < 0.2 else 1.0  # composed larger than encoded
        self._bars = float(rng.uniform(0.06, 0.14)) if rng.random() < 0.12 else 0.0
        self._is_pillar = bool(rng.random() < 0.3)
        room = (round(width * self._larger), round(height * self._larger))
        self.layers = overlays(Draw(rng, material, room, self.count, self._larger))
        self._room = room

    def frames(self) -> Iterator[Composed]:
        """The frames in order; to be asked for once."""
        scene = scenes.scene(self._rng, self._material, self._room, self.count)
        if self._bars:
            scene = scenes.letterboxed(scene, self._bars, self._is_pillar)
        for t, clean in enumerate(scene):
            frame = compose(clean, self.layers, t)
            yield _resized(frame, self.size) if self._larger != 1 else frame

    def encode(self, path: Path) -> Iterator[Composed]:
        """Writes the clip to `path` while its frames pass by."""
        with av.open(str(path), "w") as box:
            fast = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"}
            options = {"preset": "superfast", "threads": "1"} if self.codec == "libx264" else fast
            stream = box.add_stream(self.codec, rate=self.rate, options={"crf": str(self.crf), **options})
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = *self.size, "yuv420p"
            for t, frame in enumerate(self.frames()):
                picture = av.VideoFrame.from_ndarray(frame.picture, format="rgb24")
                picture.pts, picture.time_base = t, Fraction(1, self.rate)
                box.mux(stream.encode(picture))
                yield frame
            box.mux(stream.encode())


def compose(clean: np.ndarray, layers: list[Layer], t: int) -> Composed:
    """A frame of the scene with its overlays."""
    height, width = clean.shape[:2]
    out = clean.astype(np.float32)
    classes = np.zeros((4, height, width), np.float32)
    shown = np.ones((height, width), np.float32)  # share of the picture that is still seen
    for layer in layers:
        pose = layer.at(t)
        if pose is None or pose.strength < 0.01:
            continue
        placed = _placed(layer.sprite(t), pose, (width, height))
        if placed is None:
            continue
        part, sprite = placed
        alpha = sprite.alpha * np.float32(pose.strength)
        behind = out[part]
        if sprite.glass:
            blurred = cv2.GaussianBlur(out, (0, 0), sprite.glass)[part]
            cover = sprite.parts.max(2)[..., None] * np.float32(pose.strength)
            behind = behind * (1 - cover) + blurred * cover
        out[part] = behind * (1 - alpha[..., None]) + sprite.rgb * (255 * alpha[..., None])
        shown[part] *= 1 - alpha
        if pose.strength >= FAINTEST:
            _mark(classes[:, part[0], part[1]], sprite, layer.kind, alpha)
    return Composed(np.rint(out).clip(0, 255).astype(np.uint8), clean, classes, 1 - shown)


def _mark(classes: np.ndarray, sprite: Sprite, kind: str, alpha: np.ndarray) -> None:
    """Adds a sprite to the truth; what it covers of others is no longer theirs."""
    mark, stroke, around = (sprite.parts[..., bit] for bit in (MARK_BIT, STROKE_BIT, SURROUND_BIT))
    is_moving = kind == "dynamic"
    moving = np.maximum(np.maximum(mark, stroke), around) if is_moving else np.zeros_like(mark)
    still = np.zeros_like(mark) if is_moving else mark
    own = np.stack([still, stroke, around * (1 - stroke), moving])
    np.maximum(classes * (1 - alpha), own, out=classes)


def _placed(sprite: Sprite, pose: Pose, size: tuple[int, int]) -> tuple[tuple[slice, slice], Sprite] | None:
    """The part of the picture that a sprite reaches, and what of it is there; None where it is out of sight."""
    h, w = sprite.alpha.shape
    if pose.scale == 1 and pose.turn == 0:
        x0, y0 = round(pose.x - w / 2), round(pose.y - h / 2)
        left, top, right, bottom = max(0, x0), max(0, y0), min(size[0], x0 + w), min(size[1], y0 + h)
        if right <= left or bottom <= top:
            return None
        inner = np.s_[top - y0 : bottom - y0, left - x0 : right - x0]
        cut = Sprite(sprite.rgb[inner], sprite.alpha[inner], sprite.parts[inner], sprite.glass)
        return (slice(top, bottom), slice(left, right)), cut
    move = cv2.getRotationMatrix2D((w / 2, h / 2), pose.turn, max(0.02, pose.scale))
    move[:, 2] += (pose.x - w / 2, pose.y - h / 2)
    together = np.dstack([sprite.rgb * sprite.alpha[..., None], sprite.alpha])
    seen = cv2.warpAffine(together, move, size, flags=cv2.INTER_LINEAR)
    parts = cv2.warpAffine(sprite.parts, move, size, flags=cv2.INTER_LINEAR)
    rgb = seen[..., :3] / np.maximum(seen[..., 3:], 1e-3)
    return (slice(0, size[1]), slice(0, size[0])), Sprite(rgb, seen[..., 3], parts, sprite.glass)


def _resized(frame: Composed, size: tuple[int, int]) -> Composed:
    picture, clean = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (frame.picture, frame.clean))
    classes = np.stack([cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in frame.classes])
    return Composed(picture, clean, classes, cv2.resize(frame.alpha, size, interpolation=cv2.INTER_AREA))
