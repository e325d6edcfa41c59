"""Samples for the completer: crops of clips and pictures with holes, completed as in production; made once and kept.

Filling takes a hundred times longer than a step of the training. So samples come in shards, each the same for the same
number, and a shard that lies there is not made again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ..completers.fill import fill
from ..completers.network import rgb_to_yuv, trust_of, yuv_to_rgb
from ..decode import open_clip
from ..errors import JobError
from ..hole import Part, hole_of
from ..match import Candidate, fuse, match, spatial, spread
from ..planes import to_levels
from ..timing import FrameRange
from . import holes
from .lettering import scripts_of
from .material import CLIPS, PICTURES

SIZE = 160  # px of a sample's side
EDGE = 16  # px more around it while it is made, so that motion and fills have their surroundings
SHARD = 40  # samples
SPAN = 48  # frames of one clip that a shard draws from
SCALES = (1.0, 0.75, 0.5)  # that crops are taken at
FROM_PICTURE = 8  # samples that one picture gives at a time
MOST_APART = 12  # frames between a hole and where it is borrowed from
SIDES = {"train": 0, "held out": 1}
LAYERS = 12  # of a sample, (12, SIZE, SIZE) uint8: see `Layers`


@dataclass(frozen=True)
class Layers:
    """Where in a sample what lies."""

    truth = slice(0, 3)  # YUV levels
    picture = slice(3, 6)  # the same, completed by computation
    beneath = slice(6, 9)  # what un-blending says
    trust = slice(9, 10)  # 255 times that of `picture`, 0 where it is filled
    beneath_trust = slice(10, 11)
    hole = slice(11, 12)  # 255 in the hole


def clips(footage: Path, held_out: Sequence[str], side: str) -> list[Path]:
    """Clips and pictures of one side of the split; those that match a pattern of `held_out` are never trained on."""
    found = sorted(path for path in footage.rglob("*") if path.suffix.lower() in CLIPS | PICTURES)
    wanted = [path for path in found if any(fnmatch(path.name, p) for p in held_out) == (side == "held out")]
    if not wanted:
        raise JobError(
            f"there is no footage to use as {side!r} in {footage}",
            hint="Set task.footage to a folder of clips and pictures, task.held_out to patterns that some match.",
        )
    return wanted


def fonts(folder: Path, held_out: Sequence[str], side: str) -> list[Path]:
    """The fonts of one side of the split that draw Latin letters; none is no error: holes then have other shapes."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".ttf", ".otf"))
    wanted = [path for path in found if any(fnmatch(path.name, p) for p in held_out) == (side == "held out")]
    return [path for path in wanted if "latin" in scripts_of(path)]


def read(folder: Path, known: set[str]) -> list[torch.Tensor]:
    """The samples of all shards there but the `known`, to which they are added: (LAYERS, SIZE, SIZE) uint8 each."""
    new = sorted(path for path in folder.glob("*.safetensors") if path.name not in known)
    known |= {path.name for path in new}
    return [sample for path in new for sample in load_file(path)["samples"]]


def make(
    folder: Path, footage: Sequence[Path], fonts: Sequence[Path], number: int, side: str, size: int = SHARD
) -> None:
    """Makes a shard of `size` samples unless it is there."""
    path = folder / f"{number:05d}.safetensors"
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng((SIDES[side], number))
    made: list[np.ndarray] = []
    while len(made) < size:
        source = footage[int(rng.integers(len(footage)))]
        pairs = _of_picture(source, rng) if source.suffix.lower() in PICTURES else _of_clip(source, size, rng)
        made += [_sample(here, there, fonts, rng) for here, there in pairs]
    working = path.with_suffix(f".{os.getpid()}.part")
    save_file({"samples": torch.from_numpy(np.stack(made[:size]))}, working)
    os.replace(working, path)


def _of_picture(path: Path, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Crops of a picture, and each as a camera that moved a little sees it; as `_of_clip` gives them."""
    side = SIZE + 2 * EDGE
    whole = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if whole is None:
        raise JobError(f"the picture {path} cannot be read", hint="Take it out of the training's footage.")
    for _ in range(FROM_PICTURE):
        scale = max(float(rng.choice(SCALES)), (side + MOST_APART) / min(whole.shape[:2]))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        picture = cv2.resize(whole, None, fx=scale, fy=scale, interpolation=how)
        here = [int(rng.integers(length - side + 1)) for length in picture.shape[:2]]
        there = [
            int(np.clip(at + rng.integers(-MOST_APART, MOST_APART + 1), 0, length - side))
            for at, length in zip(here, picture.shape[:2], strict=True)
        ]
        first, second = (
            rgb_to_yuv(picture[y : y + side, x : x + side, ::-1].astype(np.float32)) for y, x in (here, there)
        )
        yield first, second


def _of_clip(path: Path, count: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`count` times the same crop of two frames a little apart, each (side, side, 3) float32 YUV levels."""
    side = SIZE + 2 * EDGE
    with open_clip(path) as clip:
        layout = clip.info.layout
        start = int(rng.integers(max(1, clip.info.frames - SPAN)))
        wanted: dict[int, list[tuple[int, int, int, float]]] = {}  # first or second frame: crop number, x, y, scale
        scales = [s for s in SCALES if min(layout.width, layout.height) * s >= side + 32]
        stop = min(start + SPAN, clip.info.frames)
        for number in range(count):
            scale = float(rng.choice(scales or [1.0]))
            long = int(side / scale)
            x = int(rng.integers(max(1, layout.width - long)))
            y = int(rng.integers(max(1, layout.height - long)))
            first = int(rng.integers(start, max(start + 1, stop - 1)))
            second = min(stop - 1, first + int(rng.integers(1, MOST_APART + 1)))
            for index in {first, second}:
                wanted.setdefault(index, []).append((number, x, y, scale))
        seen: dict[int, list[np.ndarray]] = {}
        for frame in clip.frames(FrameRange(start, stop)):
            crops = wanted.get(frame.index)
            if not crops:
                continue
            planes = to_levels(frame.views[: len(layout.colour)], layout)
            whole = [cv2.resize(plane, planes[0].shape[::-1], interpolation=cv2.INTER_LINEAR) for plane in planes]
            picture = np.dstack(whole if len(whole) == 3 else [whole[0], *[np.full_like(whole[0], 128)] * 2])
            if layout.is_rgb:
                picture = rgb_to_yuv(picture[..., [2, 0, 1]])
            for number, x, y, scale in crops:
                long = int(side / scale)
                crop = cv2.resize(picture[y : y + long, x : x + long], (side, side), interpolation=cv2.INTER_AREA)
                seen.setdefault(number, []).append(crop)
    for both in seen.values():
        yield both[0], both[-1]


def _sample(truth: np.ndarray, later: np.ndarray, fonts: Sequence[Path], rng: np.random.Generator) -> np.ndarray:
    """One sample, (LAYERS, SIZE, SIZE) uint8."""
    side = len(truth)
    cover, hole = holes.draw(side, fonts, rng)
    quality = int(rng.integers(70, 97))
    colour = np.array([rng.choice((rng.uniform(16, 90), rng.uniform(160, 235))), *rng.normal(128, 30, 2)], np.float32)
    seen = _coded(truth + (colour - truth) * cover[..., None], quality)
    share = rng.random()
    known = np.zeros_like(hole) if share < 0.65 else hole & holes.part(side, rng) if share < 0.9 else hole
    value, variance = seen.copy(), np.zeros(hole.shape, np.float32)
    beneath, beneath_variance = np.full_like(seen, 128), np.full(hole.shape, np.inf, np.float32)
    if known.any():
        smooth = np.dstack(spread(list(np.moveaxis(seen, 2, 0)), (~hole).astype(np.float32)))
        part = hole_of(hole, [(0, 0)]).parts[0, 0]
        here = known.ravel()[part.at]
        if rng.random() < 0.5:
            offers = _borrowed(smooth, _coded(later, quality), part, here, rng)
        else:
            beneath, deviation = _unblended(truth, _coded(truth, quality), rng)
            beneath_variance = np.where(known, deviation**2, np.inf).astype(np.float32)
            offers = [Candidate(beneath[hole, k], beneath_variance[hole]) for k in range(3)]
        for k, offer in enumerate(offers):
            fused, _ = fuse([spatial(np.ascontiguousarray(smooth[..., k]), part, np.ones(len(part.at), bool)), offer])
            value[hole, k] = np.where(here, fused, value[hole, k])
        variance[hole] = np.where(here, np.minimum(offers[0].variance, 1e6), 0)
    missing = hole & ~known
    filled = np.dstack(fill([np.ascontiguousarray(value[..., k]) for k in range(3)], [missing] * 3))
    layers = [
        truth,
        filled,
        np.where(np.isfinite(beneath_variance)[..., None], beneath, 128),
        255 * trust_of(variance)[..., None] * ~missing[..., None],
        255 * trust_of(beneath_variance)[..., None],
        255.0 * hole[..., None],
    ]
    stacked = np.concatenate(layers, 2)[EDGE:-EDGE, EDGE:-EDGE]
    return np.rint(stacked).clip(0, 255).astype(np.uint8).transpose(2, 0, 1).copy()  # (H, W, C) -> (C, H, W)


def _coded(picture: np.ndarray, quality: int) -> np.ndarray:
    """A YUV picture as a lossy file gives it back: blocks, ringing, chroma at half the size."""
    rgb = yuv_to_rgb(picture).clip(0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return rgb_to_yuv(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32))


def _borrowed(
    here: np.ndarray, later: np.ndarray, part: Part, known: np.ndarray, rng: np.random.Generator
) -> list[Candidate]:
    """A later frame carried here along flow that errs, in another light, brought to this one as in production.

    `known`: (M,) bool, of the hidden samples of `part`.
    """
    side = len(here)
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow = dis.calc(*(np.rint(p[..., 0]).clip(0, 255).astype(np.uint8) for p in (here, later)), None)
    wobble = rng.standard_normal((side, side, 2)).astype(np.float32)
    wobble = cv2.GaussianBlur(wobble, (0, 0), 12) * 12 * rng.choice((0.2, 0.6, 1.5))
    if rng.random() < 0.25:  # a stale patch: another surface
        wobble += rng.uniform(-6, 6, 2) * holes.part(side, rng)[..., None]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    at = np.stack([x, y], 2) + flow + wobble
    warped = cv2.remap(later, at.astype(np.float32), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    warped = (warped - 128) * rng.uniform(0.92, 1.08) + 128 + rng.normal(0, 4)
    own, carried = (list(picture.reshape(-1, 3).T) for picture in (here, warped))
    return match(
        [np.where(known, plane[part.at], np.float32(np.nan)) for plane in carried],
        [plane[part.ring] for plane in own],
        [plane[part.ring] for plane in carried],
        part,
    )


def _unblended(truth: np.ndarray, coded: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What un-blending gives: the codec's error, taken from elsewhere, and divided by the transmission."""
    side = len(truth)
    shift = rng.integers(1, side // 8, 2) * 8  # blocks stay blocks
    error = np.roll(coded - truth, tuple(shift), (0, 1))
    rough = cv2.GaussianBlur(rng.standard_normal((side, side)).astype(np.float32), (0, 0), 4)
    transmission = np.clip(rng.uniform(0.06, 0.6) * (1 + 1.5 * rough), 0.04, 1)
    deviation = (max(1.0, float(np.sqrt((error[..., 0] ** 2).mean()))) / transmission).astype(np.float32)
    return (truth + error / transmission[..., None]).astype(np.float32), deviation
