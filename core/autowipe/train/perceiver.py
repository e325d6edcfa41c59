"""What the perceiver learns: which pixels overlays cover, told from a frame and the statistics around it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..networks.perceiver import Perceived, Perceiver
from ..sight import MAPS
from .shards import CHECK, MATERIAL, TRAIN, TRUTH, listed
from .synthesis import CLASSES
from .variety import varied

ON_OVERLAY = 0.75  # share of the samples that show a part of an overlay where the clip has one
SHOWS = 24  # of 255: coverage from which a pixel belongs to an overlay
ALIKE = 0.5  # share of an overlay that must be seen so that it counts as found
MOSTLY_TRUE = 0.3  # share of a find that lies on overlays, below which it is false
PLANES = len(MAPS) + len(TRUTH)  # of a look; what comes after them is stage 2's
CLEAN = slice(PLANES, PLANES + 3)
LEAST_PX = 24  # of an overlay, or of a false find
REREAD = 8000  # samples after which new shards on disk are taken up
CHECKED, SHOWN = 64, 10  # held-out looks that the figures, and the sheet, are made of


class Task:
    """The samples, the loss and the held-out figures of the perceiver."""

    name = "perceiver"
    kinds = ("logo", "subtitle", "dynamic", "watermark")

    def __init__(self, *, shards: str, crop: int = 96, batch: int = 8, various: bool = False) -> None:
        """`shards`: folder that `autowipe train synth` filled; `crop`: side of a sample, px; `batch`: samples.

        `various`: whether they are mirrored and recoloured.
        """
        self._folder, self._crop, self._batch, self._various = Path(shards), crop, batch, various

    def network(self) -> nn.Module:
        return Perceiver()

    def material(self) -> list[str]:
        count = len(listed(self._folder, TRAIN))
        return [f"{count} synthetic clips", *(self._folder / MATERIAL).read_text("utf-8").splitlines()]

    def samples(self, seed: int) -> Iterator[dict[str, Tensor]]:
        """Batches without end: `looks`, (B, maps + truth, h, w) uint8, which travel to a GPU faster than floats."""
        rng = np.random.default_rng(seed)
        drawn = 0
        while True:
            if drawn % REREAD == 0:
                known = listed(self._folder, TRAIN)
            parts = [self.drawn(rng, known[rng.integers(len(known))])[:PLANES] for _ in range(self._batch)]
            drawn += self._batch
            yield {"looks": torch.from_numpy(np.stack(parts))}

    def drawn(self, rng: np.random.Generator, shard: np.ndarray) -> np.ndarray:
        """A `sample` to learn from."""
        sample = self.sample(rng, shard)
        return varied(sample, CLEAN, rng) if self._various else sample

    def sample(self, rng: np.random.Generator, shard: np.ndarray) -> np.ndarray:
        """A crop (planes, h, w) uint8 of one look; in most cases with a part of an overlay in it."""
        look = shard[rng.integers(len(shard))]
        height, width = look.shape[1:]
        side = self._crop
        y, x = int(rng.integers(max(1, height - side + 1))), int(rng.integers(max(1, width - side + 1)))
        if rng.random() < ON_OVERLAY:
            hit = np.flatnonzero(look[len(MAPS) : PLANES - 1, ::4, ::4].max(0) > SHOWS)
            if hit.size:
                row, column = np.divmod(int(rng.choice(hit)), -(-width // 4))
                y = int(np.clip(4 * row - rng.integers(side), 0, max(0, height - side)))
                x = int(np.clip(4 * column - rng.integers(side), 0, max(0, width - side)))
        part = np.array(look[:, y : y + side, x : x + side])
        room = ((0, 0), (0, side - part.shape[1]), (0, side - part.shape[2]))
        return np.pad(part, room, mode="edge") if part.shape[1:] != (side, side) else part

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        looks = batch["looks"].float() / 255
        return judge(network(looks[:, : len(MAPS)]), looks[:, len(MAPS) :])

    @torch.no_grad()
    def check(self, network: nn.Module) -> dict[str, float]:
        """Held-out figures: overlap of each class, and how many overlays are found and how many finds are false."""
        meet, both = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
        found = there = false = 0
        clean_px = false_px = 0
        error: list[float] = []
        for maps, truth in self._held_out(CHECKED):
            classes, alpha = _perceive(network, maps)
            own, seen = np.asarray(truth[:-1] > 0.5), np.asarray(classes > 0.5)
            meet += (own & seen).sum((1, 2))
            both += (own | seen).sum((1, 2))
            covered, marked = np.asarray(own.any(0)), np.asarray(seen.any(0))
            a, b, c = _matched(covered, marked)
            found, there, false = found + a, there + b, false + c
            if covered.any():
                error.append(float(np.abs(alpha - truth[-1])[covered].mean()))
            near = cv2.dilate(covered.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
            clean_px, false_px = clean_px + int((~near).sum()), false_px + int((marked & ~near).sum())
        recall, precision = found / max(1, there), found / max(1, found + false)
        return {
            **{f"{name} IoU": float(m / max(1, n)) for name, m, n in zip(CLASSES, meet, both, strict=True)},
            "event F1": 2 * recall * precision / max(1e-6, recall + precision),
            "event recall": recall,
            "event precision": precision,
            "false_pct": 100 * false_px / max(1, clean_px),
            "alpha error": float(np.mean(error)) if error else 0.0,
        }

    def sheet(self, network: nn.Module) -> np.ndarray:
        """Held-out looks, a row each: the picture, the truth, what the network says; (H, W, 3) uint8 RGB."""
        rows = []
        for maps, truth in self._held_out(SHOWN):
            classes, alpha = _perceive(network, maps)
            picture = cv2.cvtColor(
                np.rint(255 * maps[[0, 2, 1]].transpose(1, 2, 0)).astype(np.uint8), cv2.COLOR_YCrCb2RGB
            )
            parts = [picture, _coloured(truth[:-1]), _coloured(classes), _grey(truth[-1]), _grey(alpha)]
            rows.append(np.hstack([cv2.resize(part, (320, 180), interpolation=cv2.INTER_AREA) for part in parts]))
        return np.vstack(rows)

    def _held_out(self, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Maps and truth (C, h, w) float32 0..1 of one look of each held-out shard."""
        for number, shard in enumerate(listed(self._folder, CHECK)[:count]):
            look = shard[number % len(shard)].astype(np.float32) / 255
            yield look[: len(MAPS)], look[len(MAPS) : PLANES]


def judge(seen: Perceived, planes: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross entropy with a heavier edge, and Dice (Milletari 2016), a class; the hidden share; the confidence.

    `planes`: (B, len(TRUTH), H, W).
    """
    truth, alpha = planes[:, : len(CLASSES)], planes[:, len(CLASSES) :]
    edge = F.max_pool2d(truth, 5, 1, 2) + F.max_pool2d(-truth, 5, 1, 2)  # a band of 2 px on either side
    entropy = (F.binary_cross_entropy_with_logits(seen.classes, truth, reduction="none") * (1 + 2 * edge)).mean()
    share = torch.sigmoid(seen.classes)
    meet, both = (share * truth).sum((0, 2, 3)), (share + truth).sum((0, 2, 3))
    dice = (1 - (2 * meet + 50) / (both + 50)).mean()
    covered = truth.amax(1, keepdim=True)
    weight = 0.1 + covered
    hidden = ((torch.sigmoid(seen.alpha) - alpha).abs() * weight).sum() / weight.sum()
    is_right = ((share.detach().amax(1, keepdim=True) > 0.5) == (covered > 0.5)).float()
    sure = F.binary_cross_entropy_with_logits(seen.confidence, is_right)
    parts = {"entropy": entropy, "dice": dice, "alpha": hidden, "confidence": sure}
    return entropy + 0.5 * dice + 0.5 * hidden + 0.1 * sure, parts


def _perceive(network: nn.Module, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability of the classes (4, h, w), and the hidden share (h, w)."""
    weight = next(network.parameters())
    with torch.inference_mode(), torch.autocast(weight.device.type, torch.bfloat16):
        seen: Perceived = network(torch.from_numpy(maps)[None].to(weight.device))
    return torch.sigmoid(seen.classes[0]).cpu().numpy(), torch.sigmoid(seen.alpha[0, 0]).cpu().numpy()


def _matched(covered: np.ndarray, marked: np.ndarray) -> tuple[int, int, int]:
    """Overlays found, overlays there, and finds where none is, of masks (h, w) bool."""
    join = np.ones((9, 9), np.uint8)
    _, own = cv2.connectedComponents(cv2.dilate(covered.astype(np.uint8), join))
    _, seen = cv2.connectedComponents(cv2.dilate(marked.astype(np.uint8), join))
    finds = np.bincount(seen[marked], minlength=1)
    is_false = np.bincount(seen[marked & (own > 0)], minlength=len(finds)) < MOSTLY_TRUE * finds
    sizes = np.bincount(own[covered], minlength=1)
    hits = np.bincount(own[covered & marked & ~is_false[seen]], minlength=len(sizes))
    is_there = sizes >= LEAST_PX
    found = int((is_there & (hits >= ALIKE * sizes)).sum())
    return found, int(is_there.sum()), int((is_false & (finds >= LEAST_PX)).sum())


def _coloured(classes: np.ndarray) -> np.ndarray:
    """Static marks red, strokes green, surrounds blue, what moves yellow."""
    mark, stroke, around, moving = classes
    seen = np.stack([np.maximum(mark, moving), np.maximum(stroke, moving), around], -1)
    return np.rint(255 * seen).clip(0, 255).astype(np.uint8)


def _grey(part: np.ndarray) -> np.ndarray:
    return np.repeat(np.rint(255 * part).clip(0, 255).astype(np.uint8)[..., None], 3, 2)
