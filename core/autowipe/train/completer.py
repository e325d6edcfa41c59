"""Stage 1 of the completer: holes as overlays leave them, in freely licensed footage, filled first as in production.

It learns to better that filling, so it begins with today's quality. The loss asks for the right value, the right edges
and as much texture as there is; the expected error is learnt beside. Three times in ten a filling of its own, a little
shifted, comes in as what was put there before, and is to be kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..completers.network import yuv_to_rgb
from ..networks.completer import Completed, Completer, Known
from . import fills, holes, material, pictures
from .fills import Layers
from .task import Batch

BEFORE = 0.3  # of the batches come with what was put there before
UNIT = 32 / 255  # an error of so much costs 1
CHECKED = 240  # held-out samples of a check
SHOWN = 10  # of the sheet
LEAST_HOLE = 60  # px of hole in a crop that is worth a step


class Task:
    """`footage`: folder of clips; `cache`: where the samples are kept; `held_out`: patterns of clips kept apart.

    `fonts`: folder with fonts for text-shaped holes; `held_out_fonts`: patterns; `shards`: how
    many, of `shard` samples each.
    """

    name = "completer"
    kinds = ("logo", "dynamic", "subtitle", "watermark")

    def __init__(
        self,
        *,
        footage: str = "footage",
        cache: str = "train/fills",
        fonts: str = "/usr/share/fonts",
        held_out: Sequence[str] = (),
        held_out_fonts: Sequence[str] = (),
        shards: int = 120,
        held_out_shards: int = 8,
        shard: int = fills.SHARD,
        batch: int = 8,
        crop: int = 96,
        widths: Sequence[int] = (32, 64, 96, 144),
        texture: float = 0.3,
    ) -> None:
        self._footage, self._cache, self._fonts = Path(footage), Path(cache), Path(fonts)
        self._held_out, self._held_out_fonts = held_out, held_out_fonts
        self._shards, self._shard = {"train": shards, "held out": held_out_shards}, shard
        self._batch, self._crop, self._widths, self._texture = batch, crop, widths, texture
        self._checked: torch.Tensor | None = None

    def network(self) -> nn.Module:
        return Completer(widths=self._widths)

    def samples(self, seed: int) -> Iterator[Batch]:
        self._make("train")
        rng = np.random.default_rng(seed)
        known: list[torch.Tensor] = []
        names: set[str] = set()
        folder = self._folder("train")
        while True:
            # Shards that came meanwhile are taken in.
            known += fills.read(folder, names)
            order = np.concatenate([rng.permutation(len(known)) for _ in range(-(-self._batch // len(known)))])
            for first in range(0, len(order) - self._batch + 1, self._batch):
                crops = [self._cut(known[k], rng) for k in order[first : first + self._batch]]
                yield {"layers": torch.stack(crops), "before": torch.tensor(float(rng.random() < BEFORE))}

    def loss(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        layers = _jittered(batch["layers"].float() / 255)
        truth, known = layers[:, Layers.truth], known_of(layers)
        if batch["before"] > 0:
            known = _with_before(known, network)
        out: Completed = network(known)
        return completion_loss(out, truth, known, texture=self._texture)

    @torch.no_grad()
    def check(self, network: nn.Module) -> dict[str, float]:
        """PSNR in the hole, dB, of what was all unknown and of what was known in part; against today's and Telea's."""
        layers = self._held().to(next(network.parameters()).device)
        sums: dict[str, list[float]] = {}
        for sample in layers.split(16):
            sample = sample.float() / 255
            known, truth = known_of(sample), sample[:, Layers.truth]
            out = network(known).picture
            for k in range(len(sample)):
                hole = known.hole[k, 0] > 0
                if not hole.any():
                    continue  # all of it lay in the margin that was cut off
                whole = "blind" if float((known.trust[k, 0] * hole).sum()) == 0 else "part known"
                telea = _telea(known.picture[k], hole)
                for name, picture in (("network", out[k]), ("computed", known.picture[k]), ("telea", telea)):
                    off = (picture - truth[k])[:, hole] * 255
                    sums.setdefault(f"{whole} {name} mse", []).append(float((off**2).mean()))
                    if whole == "blind":
                        detail = _detail(picture, hole) / max(1e-6, _detail(truth[k], hole))
                        sums.setdefault(f"detail {name}", []).append(detail)
        figures = {}
        for name, values in sums.items():
            if name.endswith(" mse"):
                # the mean over samples in dB: each counts alike, however hard
                decibels = 10 * np.log10(255**2 / np.maximum(values, 0.1))
                figures[name.replace("mse", "dB")] = float(np.mean(decibels))
            else:
                figures[name] = float(np.median(values))
        return figures

    @torch.no_grad()
    def sheet(self, network: nn.Module) -> np.ndarray:
        """Rows of: what is seen of it, computed, the network's, the truth, the expected error."""
        layers = self._held()[:: max(1, len(self._held()) // (2 * SHOWN))][: 2 * SHOWN]
        layers = layers.to(next(network.parameters()).device).float() / 255
        known, truth = known_of(layers), layers[:, Layers.truth]
        out = network(known)
        cells = []
        for k in range(len(layers)):
            seen = torch.where(known.hole[k] > 0, torch.zeros_like(truth[k]), known.picture[k])
            error = (out.error[k] * known.hole[k] / UNIT).clamp(0, 1).repeat(3, 1, 1) * 255
            row = [rgb(picture) for picture in (seen, known.picture[k], out.picture[k], truth[k])]
            cells.append([*row, error.permute(1, 2, 0).byte().cpu().numpy()])  # (C, H, W) -> (H, W, C)
        half = len(cells) // 2
        return pictures.grid([[*left, *right] for left, right in zip(cells[:half], cells[half:], strict=False)])

    def material(self) -> list[str]:
        rows = material.index(self._footage)

        def origin(path: Path) -> str:
            row = rows.get(path.name, {})
            return f"{row.get('licence', 'unknown')} ({row.get('source', 'unknown')})"

        files = fills.clips(self._footage, self._held_out, "train")
        origins = Counter(origin(path) for path in files if path.suffix.lower() in material.PICTURES)
        clips = [f"{path.name}: {origin(path)}" for path in files if path.suffix.lower() in material.CLIPS]
        return [*clips, *(f"{count} pictures: {text}" for text, count in origins.items())]

    def _make(self, side: str) -> None:
        footage = fills.clips(self._footage, self._held_out, side)
        fonts = fills.fonts(self._fonts, self._held_out_fonts, side)
        for number in range(self._shards[side]):
            fills.make(self._folder(side), footage, fonts, number, side, self._shard)

    def _folder(self, side: str) -> Path:
        return self._cache / side.replace(" ", "-")

    def _held(self) -> torch.Tensor:
        if self._checked is None:
            self._make("held out")
            samples = torch.stack(fills.read(self._folder("held out"), set()))
            self._checked = samples[:: max(1, len(samples) // CHECKED)]
        return self._checked

    def _cut(self, sample: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """A crop, turned and mirrored."""
        for _ in range(4):
            y, x = (int(v) for v in rng.integers(0, fills.SIZE - self._crop + 1, 2))
            crop = sample[:, y : y + self._crop, x : x + self._crop]
            if int((crop[Layers.hole] > 0).sum()) >= LEAST_HOLE:
                break
        flips = [axis for axis in (1, 2) if rng.random() < 0.5]
        crop = crop.flip(flips) if flips else crop
        return crop.transpose(1, 2) if rng.random() < 0.5 else crop


def known_of(layers: torch.Tensor) -> Known:
    """(B, LAYERS, H, W) float 0..1 as the network wants it, with nothing put there before."""
    nothing = torch.zeros_like(layers[:, Layers.hole])
    return Known(
        layers[:, Layers.picture],
        layers[:, Layers.trust],
        layers[:, Layers.beneath],
        layers[:, Layers.beneath_trust],
        layers[:, Layers.hole],
        torch.zeros_like(layers[:, Layers.picture]),
        nothing,
    )


def completion_loss(
    out: Completed, truth: torch.Tensor, known: Known, *, texture: float
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The mean over the hole of the error of values, edges, coarse values and texture, and how well it is foretold."""
    hole = known.hole
    area = hole.sum() + 1

    def over(error: torch.Tensor) -> torch.Tensor:
        return (error.mean(1, keepdim=True) * hole).sum() / area / UNIT

    off = out.picture - truth
    value = over(off.abs())
    edges = over(F.pad(off.diff(dim=-1), (0, 1)).abs() + F.pad(off.diff(dim=-2), (0, 0, 0, 1)).abs())
    coarse = off.new_zeros(())
    small = off * hole
    for _ in range(2):
        small = F.avg_pool2d(small, 2)
        coarse = coarse + small.abs().mean() * hole.numel() / area / UNIT
    rough = over((_roughness(out.picture) - _roughness(truth)).abs())
    kept = over((out.picture - known.before).abs() * known.before_trust)
    foretold = over(off.detach().abs().mean(1, keepdim=True) / out.error * UNIT + out.error.log() * UNIT)
    total = value + 0.5 * edges + 0.5 * coarse + texture * rough + 0.25 * kept + 0.05 * foretold
    return total, {"value": value, "edges": edges, "texture": rough, "kept": kept, "foretold": foretold}


def _roughness(picture: torch.Tensor) -> torch.Tensor:
    """Local deviation of the luma's fine part, (B, 1, H, W)."""
    luma = picture[:, :1]
    fine = luma - _means(luma, 5)
    return (_means(fine**2, 7) + 1e-5).sqrt()


def _means(plane: torch.Tensor, size: int) -> torch.Tensor:
    across = F.avg_pool2d(plane, (1, size), 1, (0, size // 2), count_include_pad=False)
    return F.avg_pool2d(across, (size, 1), 1, (size // 2, 0), count_include_pad=False)


def _with_before(known: Known, network: nn.Module) -> Known:
    """What the network says of it without, a part of it, a fraction of a pixel off."""
    with torch.no_grad():
        before = network(known).picture
        size = known.hole.shape[-1]
        rng = np.random.default_rng(int(known.picture[0].sum() * 1000) % 2**32)
        mask = torch.from_numpy(holes.part(size, rng)).to(before.device, before.dtype)
        step = torch.eye(2, 3, device=before.device).repeat(len(before), 1, 1)
        step[:, :, 2] = torch.from_numpy(rng.uniform(-1, 1, (len(before), 2)).astype(np.float32)).to(step) / size
        grid = F.affine_grid(step, list(before.shape), align_corners=False)
        before = F.grid_sample(before.float(), grid, align_corners=False, padding_mode="border")
    there = known.hole * mask
    return known._replace(before=before * there, before_trust=there)


def _jittered(layers: torch.Tensor) -> torch.Tensor:
    """Other light, contrast and colours, the same for all pictures of a sample."""
    count = len(layers)
    gain = torch.empty(count, 3, 1, 1, device=layers.device).uniform_(0.7, 1.15)
    offset = torch.empty(count, 3, 1, 1, device=layers.device).uniform_(-0.08, 0.08)
    gain[:, 1:] *= torch.where(torch.rand_like(gain[:, 1:]) < 0.3, -1.0, 1.0)
    offset[:, 1:] *= 0.3
    out = layers.clone()
    for part in (Layers.truth, Layers.picture, Layers.beneath):
        out[:, part] = (layers[:, part] - 0.5) * gain + 0.5 + offset
    return out


def _telea(picture: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
    """OpenCV's fast marching, from the same surroundings."""
    levels = (picture * 255).round().clamp(0, 255).byte().permute(1, 2, 0).contiguous().cpu().numpy()
    filled = cv2.inpaint(levels, hole.byte().cpu().numpy(), 3, cv2.INPAINT_TELEA)
    return torch.from_numpy(filled).permute(2, 0, 1).to(picture) / 255


def _detail(picture: torch.Tensor, hole: torch.Tensor) -> float:
    """Mean gradient of the luma in the hole, levels."""
    luma = picture[0] * 255
    across, down = F.pad(luma.diff(dim=1), (0, 1)), F.pad(luma.diff(dim=0), (0, 0, 0, 1))
    return float(torch.hypot(across, down)[hole].mean())


def rgb(yuv: torch.Tensor) -> np.ndarray:
    """(3, H, W) 0..1 as (H, W, 3) uint8 RGB."""
    levels = (yuv * 255).permute(1, 2, 0).cpu().numpy()
    picture: np.ndarray = yuv_to_rgb(levels).clip(0, 255).astype(np.uint8)
    return picture
