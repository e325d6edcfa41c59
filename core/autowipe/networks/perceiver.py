"""Which pixels an overlay covers: a U-Net at half resolution over a frame and the statistics around it.

Plain 3x3 convolutions throughout: on CPUs they train and run faster than depthwise ones of the same quality.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Perceived(NamedTuple):
    """What the network says of each pixel, all (B, ., H, W)."""

    classes: Tensor  # (B, 4, H, W) logits: static mark, text stroke, its surround, moving overlay; not exclusive
    alpha: Tensor  # (B, 1, H, W) logit of the share of the picture that is hidden
    confidence: Tensor  # (B, 1, H, W) logit of the decision being right


class Block(nn.Sequential):
    """Two convolutions with batch normalisation."""

    def __init__(self, inner: int, outer: int) -> None:
        layers: list[nn.Module] = []
        for wide in (inner, outer):
            layers += [nn.Conv2d(wide, outer, 3, padding=1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)]
        super().__init__(*layers)


class Perceiver(nn.Module):
    """Maps of a frame in, classes, alpha and confidence of each pixel out."""

    VERSION = 1

    def __init__(self, *, maps: int = 14, widths: tuple[int, ...] = (16, 32, 64, 96, 96)) -> None:
        """`maps`: of the input; `widths`: channels at 1/2, 1/4, 1/8 and so on of the size."""
        super().__init__()
        self.arguments = {"maps": maps, "widths": list(widths)}
        self.steps = 2 ** len(widths)  # px that the sides must be a multiple of
        widths = tuple(widths)
        self.enter = Block(4 * maps, widths[0])
        self.down = nn.ModuleList(Block(a, b) for a, b in pairwise(widths))
        self.up = nn.ModuleList(Block(a + b, a) for a, b in reversed(list(pairwise(widths))))
        self.leave = nn.Conv2d(widths[0], 4 * 6, 1)

    def forward(self, maps: Tensor) -> Perceived:
        """`maps`: (B, C, H, W) 0..1 of any size; the results have the same H and W."""
        height, width = maps.shape[-2:]
        room = (0, -width % self.steps, 0, -height % self.steps)
        x = F.pad(maps, room, mode="replicate") if any(room) else maps
        x = self.enter(F.pixel_unshuffle(4 * (x - 0.5), 2))
        passed = [x]
        for block in self.down:
            x = block(F.max_pool2d(x, 2))
            passed.append(x)
        for block, beside in zip(self.up, passed[-2::-1], strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0), beside], 1))
        out = F.pixel_shuffle(self.leave(x).float(), 2)[..., :height, :width]
        return Perceived(out[:, :4], out[:, 4:5], out[:, 5:6])
