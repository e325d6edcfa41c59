"""Stage 2: both networks together, with the wipe in the loop; what the result lacks teaches the perceiver, too.

A step perceives a crop of a synthetic clip, fills what the matte says, and puts that over the frame through the soft
matte; the error of the outcome goes back into both networks. Their own losses of stage 1 stay as an anchor. In the
loop holes are filled smoothly before the completer sees them: what computation does in production takes too long here,
and comes in with the anchor's samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..networks.completer import Known
from ..networks.perceiver import Perceived
from ..sight import MAPS
from . import completer, perceiver, pictures
from .completer import UNIT, rgb
from .perceiver import PLANES, judge
from .shards import CHECK, TRAIN, listed
from .task import Batch

TO_PERCEIVER = 0.1  # of the wipe's gradient: the matte must stay what it says, whatever hides its errors
GROWN_PX = 2  # around the matte: what the codec smeared
WIPED = 0.5  # matte from which a pixel is in the hole
CHECKED, SHOWN = 48, 8  # held-out crops of the figures, and of the sheet


class Task:
    """`shards`: folder of `autowipe train synth`; `fills`: keywords of the completer's task, for its own samples.

    `crop`, `batch`, `various`: of the wipe in the loop, as the perceiver's task has them; `anchor`: how much stage 1's
    losses count.
    """

    name = "joint"
    kinds = ("logo", "dynamic", "subtitle", "watermark")

    def __init__(
        self,
        *,
        shards: str = "train/shards",
        fills: dict[str, Any] | None = None,
        crop: int = 96,
        batch: int = 4,
        various: bool = False,
        anchor: float = 1.0,
    ) -> None:
        self._folder, self._crop, self._batch = Path(shards), crop, batch
        self._anchor = anchor
        self._perceiver = perceiver.Task(shards=shards, crop=crop, batch=batch, various=various)
        self._completer = completer.Task(**(fills or {}))

    def network(self) -> nn.Module:
        return nn.ModuleDict({"perceiver": self._perceiver.network(), "completer": self._completer.network()})

    def material(self) -> list[str]:
        return [*self._perceiver.material(), *self._completer.material()]

    def samples(self, seed: int) -> Iterator[Batch]:
        """`look`: (B, maps + truth + clean, h, w) uint8, and a batch of the completer's."""
        rng = np.random.default_rng(seed)
        fills = self._completer.samples(seed)
        known = listed(self._folder, TRAIN)
        while True:
            looks = [self._perceiver.drawn(rng, known[rng.integers(len(known))]) for _ in range(self._batch)]
            own = torch.tensor(float(rng.random() < 0.5))  # with the true matte the completer learns undisturbed
            yield {"look": torch.from_numpy(np.stack(looks)), "true matte": own, **next(fills)}

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        networks: Any = network
        look = batch["look"].float() / 255
        maps, truth = look[:, : len(MAPS)], look[:, len(MAPS) : PLANES]
        seen: Perceived = networks["perceiver"](maps)
        perceived, _ = judge(seen, truth)
        anchored, _ = self._completer.loss(networks["completer"], {k: batch[k] for k in ("layers", "before")})
        matte = matte_of(seen) * TO_PERCEIVER + matte_of(seen).detach() * (1 - TO_PERCEIVER)
        covered = truth[:, -1:]
        if batch["true matte"] > 0:
            matte = _grown((covered > 0.02).float())
        before, clean = maps[:, :3], look[:, PLANES:]
        after = wipe(networks["completer"], before, matte)
        # the codec's error is in `before`, too: away from overlays the aim is to change nothing
        near = _grown((covered > 0.02).float())
        error = ((after - clean).abs().mean(1, keepdim=True) * near).sum() / (near.sum() + 1) / UNIT
        harm = ((after - before).abs().mean(1, keepdim=True) * (1 - near)).mean() / UNIT
        ghost = _ghost(after - clean, before - clean)
        total = error + harm + 0.2 * ghost + self._anchor * (perceived + 0.5 * anchored)
        parts = {"wiped": error, "harm": harm, "ghost": ghost, "perceived": perceived, "filled": anchored}
        return total, parts

    @torch.no_grad()
    def check(self, network: nn.Module) -> dict[str, float]:
        """PSNR on covered pixels before and after, dB; what is left of the overlays; what is changed elsewhere."""
        networks: Any = network
        squares: dict[str, list[float]] = {"before": [], "after": [], "true matte": []}
        harm, ghosts = [], []
        device = next(network.parameters()).device
        for look in self._held_out(CHECKED):
            look = look.to(device)
            before, clean, covered = look[:, :3], look[:, PLANES:], look[:, PLANES - 1 : PLANES]
            matte = matte_of(networks["perceiver"](look[:, : len(MAPS)]))
            near = _grown((covered > 0.02).float())
            outcomes = {"before": before, "after": wipe(networks["completer"], before, matte)}
            outcomes["true matte"] = wipe(networks["completer"], before, near)
            there = near[:, 0] > 0
            if there.any():
                for name, outcome in outcomes.items():
                    off = (outcome - clean).movedim(1, -1)[there] * 255
                    squares[name].append(float((off**2).mean()))
                ghosts.append(float(_ghost(outcomes["after"] - clean, before - clean)))
            if not there.all():
                harm.append(float((outcomes["after"] - before).movedim(1, -1)[~there].abs().mean() * 255))
        figures = {f"{name} dB": float(np.mean(10 * np.log10(255**2 / np.array(v)))) for name, v in squares.items()}
        figures |= {"ghost": float(np.mean(ghosts)), "harm": float(np.mean(harm))}
        return figures | self._perceiver.check(networks["perceiver"])

    @torch.no_grad()
    def sheet(self, network: nn.Module) -> np.ndarray:
        """A row each: the frame, the matte, the outcome, the clean picture."""
        networks: Any = network
        rows = []
        device = next(network.parameters()).device
        for look in self._held_out(SHOWN):
            look = look.to(device)
            matte = matte_of(networks["perceiver"](look[:, : len(MAPS)]))
            after = wipe(networks["completer"], look[:, :3], matte)
            shown = [rgb(look[0, :3]), rgb(after[0]), rgb(look[0, PLANES:])]
            grey = np.repeat((matte[0, 0] * 255).byte().cpu().numpy()[..., None], 3, 2)
            rows.append([shown[0], grey, *shown[1:]])
        return pictures.grid(rows)

    def _held_out(self, count: int) -> Iterator[Tensor]:
        rng = np.random.default_rng(0)
        known: Sequence[np.ndarray] = listed(self._folder, CHECK)
        for number in range(count):
            look = self._perceiver.sample(rng, known[number % len(known)])
            yield torch.from_numpy(look)[None].float() / 255


def matte_of(seen: Perceived) -> Tensor:
    """(B, 1, H, W) 0..1: what is to be wiped of what the perceiver says."""
    return _grown(torch.sigmoid(seen.classes).amax(1, keepdim=True))


def wipe(network: nn.Module, before: Tensor, matte: Tensor) -> Tensor:
    """The frame (B, 3, H, W) with its matte's hole filled by the completer and put over it through the soft matte."""
    hole = (matte.detach() > WIPED).float()
    nothing = torch.zeros_like(hole)
    base = _spread(before, 1 - hole)
    grey = torch.full_like(before, 0.5)
    filled = network(Known(base, 1 - hole, grey, nothing, hole, grey, nothing)).picture
    return before + matte * (filled - before)


def _spread(picture: Tensor, seen: Tensor) -> Tensor:
    """The picture with what is not seen filled smoothly from around it, coarse to fine."""
    if min(picture.shape[-2:]) <= 2:
        return (picture * seen).sum((2, 3), True) / (seen.sum((2, 3), True) + 1e-6) + 0 * picture
    even = (0, picture.shape[-1] % 2, 0, picture.shape[-2] % 2)
    total, mass = (F.avg_pool2d(F.pad(part, even), 2) for part in (picture * seen, seen))
    coarse = _spread(total / mass.clamp(min=1e-6), (mass > 0).float())
    fine = F.interpolate(coarse, scale_factor=2.0, mode="bilinear")[..., : picture.shape[-2], : picture.shape[-1]]
    return torch.where(seen > 0, picture, fine)


def _grown(matte: Tensor) -> Tensor:
    return F.max_pool2d(matte, 2 * GROWN_PX + 1, 1, GROWN_PX)


def _ghost(left: Tensor, overlay: Tensor) -> Tensor:
    """Share of the overlay that is still seen: the fine part of what is left, on that of the overlay."""
    fine = [part - F.avg_pool2d(part, 9, 1, 4, count_include_pad=False) for part in (left, overlay)]
    weight = (fine[1] ** 2).sum((1, 2, 3)) + 0.5
    return ((fine[0] * fine[1]).sum((1, 2, 3)) / weight).abs().mean()
