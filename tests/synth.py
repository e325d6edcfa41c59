"""Clips whose truth is known: a scene in motion, overlays burnt in, encoded as a viewer would receive it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np


@dataclass
class Burnt:
    """One overlay of a synthetic clip."""

    rgba: np.ndarray  # (h, w, 4) float32 0..1, not premultiplied
    corner: tuple[int, int]  # x, y of its top left
    start: int  # first frame
    stop: int  # one past the last
    alpha: float = 1.0
    fade: int = 0  # frames in and out
    way: Callable[[int], tuple[float, ...]] | None = None  # frame: dx, dy px; scale and turn, degrees, about its middle


@dataclass
class Synthetic:
    """What a test gets: the file and the truth about it. Memory holds all frames: keep clips short."""

    path: Path
    clean: list[np.ndarray]  # (H, W, 3) uint8 RGB
    masks: list[np.ndarray]  # (H, W) bool: pixels that an overlay changed by 3 levels or more
    overlays: list[Burnt] = field(default_factory=list)


def scene(count: int, size: tuple[int, int], *, seed: int = 1, pan: float = 2.0, cuts: tuple[int, ...] = ()):
    """Pictures of a textured wall passing by, a nearer shelf passing faster, a ball crossing: RGB uint8."""
    width, height = size
    for t in range(count):
        shot = sum(t >= cut for cut in cuts)
        if t == 0 or t in cuts:
            rng = np.random.default_rng(seed + 100 * shot)
            wall = _texture(rng, (width * 2, height), 14, (70, 190))
            shelf = _texture(rng, (width * 3, height // 4), 9, (40, 220))
        x = round(pan * t) % width
        picture = wall[:, x : x + width].copy()
        near = round(1.7 * pan * t) % (2 * width)
        top = height // 2 + height // 10 * (shot % 2)
        picture[top : top + height // 4] = shelf[:, near : near + width]
        centre = (round(width * (0.1 + 0.8 * t / max(1, count - 1))), round(height * (0.45 + 0.1 * np.sin(t / 4))))
        cv2.circle(picture, centre, height // 12, (210, 90, 60), -1, cv2.LINE_AA)
        yield picture


def _texture(rng: np.random.Generator, size: tuple[int, int], cell: int, levels: tuple[int, int]) -> np.ndarray:
    low, high = levels
    cells = (size[1] // cell + 2, size[0] // cell + 2)
    coarse = (rng.integers(low, high, cells)[..., None] + rng.integers(-25, 25, (*cells, 3))).astype(np.float32)
    fine = rng.normal(0, 6, (size[1] // 2 + 1, size[0] // 2 + 1, 1)).astype(np.float32)
    big = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    return np.clip(big + cv2.resize(fine, size, interpolation=cv2.INTER_LINEAR)[..., None], 0, 255).astype(np.uint8)


def text(words: str, height: int, *, colour=(255, 255, 255), outline: int = 0) -> np.ndarray:
    """Lettering with an optional dark outline, as RGBA float32."""
    scale = height / 22
    thick = max(1, round(scale * 2))
    (w, h), base = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, scale, thick)
    pad = 4 + outline
    canvas = (h + base + 2 * pad, w + 2 * pad)
    at = (pad, pad + h)
    fill = np.zeros(canvas, np.uint8)
    cv2.putText(fill, words, at, cv2.FONT_HERSHEY_DUPLEX, scale, 255, thick, cv2.LINE_AA)
    edge = fill
    if outline:
        edge = cv2.dilate(fill, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * outline + 1, 2 * outline + 1)))
    f, e = fill[..., None] / np.float32(255), edge[..., None] / np.float32(255)
    alpha = np.maximum(f, e)
    rgb = np.array(colour, np.float32) / 255 * f / np.maximum(alpha, 1e-6)
    return np.dstack([rgb, alpha]).astype(np.float32)


def badge(size: tuple[int, int], colour=(240, 240, 250)) -> np.ndarray:
    """A ring with a bar through it, as RGBA float32: a mark that is no text."""
    w, h = size
    alpha = np.zeros((h, w), np.uint8)
    cv2.circle(alpha, (h // 2, h // 2), h // 2 - 3, 255, max(2, h // 10), cv2.LINE_AA)
    cv2.rectangle(alpha, (h // 4, h // 2 - h // 12), (w - 4, h // 2 + h // 12), 255, -1)
    rgb = np.broadcast_to(np.array(colour, np.float32) / 255, (h, w, 3))
    return np.dstack([rgb, alpha / np.float32(255)]).astype(np.float32)


def burn(picture: np.ndarray, overlays: list[Burnt], t: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture with its overlays, and the mask of what they changed."""
    out = picture.astype(np.float32)
    for item in overlays:
        if not item.start <= t < item.stop:
            continue
        strength = item.alpha
        if item.fade:
            strength *= min(1, (t - item.start + 1) / (item.fade + 1), (item.stop - t) / (item.fade + 1))
        x, y = item.corner
        rgba = item.rgba
        if item.way is not None:
            dx, dy, scale, turn = (*item.way(t), 0.0)[:4]
            middle = ((rgba.shape[1] - 1) / 2, (rgba.shape[0] - 1) / 2)
            move = cv2.getRotationMatrix2D(middle, -turn, scale)
            move[:, 2] += x + dx, y + dy
            whole = cv2.warpAffine(np.dstack([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]]), move, out.shape[1::-1])
            rgba = np.dstack([whole[..., :3] / np.maximum(whole[..., 3:], 1e-6), whole[..., 3:]])
            x = y = 0
        h, w = rgba.shape[:2]
        a = rgba[..., 3:] * strength
        out[y : y + h, x : x + w] = out[y : y + h, x : x + w] * (1 - a) + rgba[..., :3] * 255 * a
    burnt = np.rint(out).clip(0, 255).astype(np.uint8)
    return burnt, np.abs(burnt.astype(int) - picture).max(2) >= 3


def grown(mask: np.ndarray, reach: int) -> np.ndarray:
    """A mask with everything within `reach` px of it."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0


def make(
    path: Path,
    overlays: list[Burnt],
    *,
    count: int = 72,
    size: tuple[int, int] = (480, 270),
    rate: int | Fraction = 25,
    crf: int = 18,
    audio: bool = False,
    keep: bool = True,
    pictures: Iterable[np.ndarray] | None = None,
    **motion,
) -> Synthetic:
    """Writes an H.264 clip (4:2:0) of a scene, or of `pictures`, with overlays burnt in.

    Without `keep` the truth is not held.
    """
    truth = Synthetic(path, [], [], overlays)
    with av.open(str(path), "w") as box:
        stream = box.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        sound = box.add_stream("aac", rate=48000, layout="mono") if audio else None
        for t, picture in enumerate(pictures or scene(count, size, **motion)):
            burnt, mask = burn(picture, overlays, t)
            if keep:
                truth.clean.append(picture)
                truth.masks.append(mask)
            frame = av.VideoFrame.from_ndarray(burnt, format="rgb24")
            frame.pts, frame.time_base = t, Fraction(1, rate)
            box.mux(stream.encode(frame))
        box.mux(stream.encode())
        if sound is not None:
            tone = np.sin(np.arange(int(48000 * count / rate)) * 0.05).astype(np.float32)[None] * 0.1
            samples = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            samples.sample_rate, samples.pts = 48000, 0
            box.mux([*sound.encode(samples), *sound.encode()])
    return truth


def read_rgb(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as box:
        return [frame.to_ndarray(format="rgb24") for frame in box.decode(video=0)]


def read_planes(path: Path) -> list[np.ndarray]:
    """The frames' own samples, planes stacked as PyAV does."""
    with av.open(str(path)) as box:
        return [frame.to_ndarray() for frame in box.decode(video=0)]


def psnr(a: list[np.ndarray], b: list[np.ndarray], masks: list[np.ndarray]) -> float:
    """Over the masked pixels of all frames, dB."""
    total, count = 0.0, 0
    for x, y, mask in zip(a, b, masks, strict=True):
        total += float(((x[mask].astype(np.float64) - y[mask]) ** 2).sum())
        count += 3 * int(mask.sum())
    return 10 * float(np.log10(255**2 * count / max(total, 1e-9)))
