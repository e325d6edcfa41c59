"""The completer: betters a filled hole, given what is known of it, and says how far it may still err.

*In:* the picture as computation completed it, and for each pixel how that is known. *Out:* the same picture changed in
the hole, and the expected error. A U-Net of plain 3 x 3 convolutions that works at half the size, where it is fast on a
CPU; at its coarsest, a sixteenth, dilated ones look wide. Its last layer begins at zero: untrained, it changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

CHANNELS = 13  # of what goes in, see Known
DILATIONS = (1, 2, 4)  # of the blocks at the coarsest size
STEP = 16  # px: sides are padded to a multiple of it
LEAST_ERROR, MOST_ERROR = 0.002, 0.5  # of the expected error, in units of the full range


class Known(NamedTuple):
    """What is known of a picture with a hole; all (B, C, H, W) float, values 0..1, chroma 0.5 where grey."""

    picture: torch.Tensor  # C 3, YUV at full size: seen, borrowed, un-blended, or filled by computation
    trust: torch.Tensor  # C 1: how well that is known, 0 where it is filled, 1 where it is seen
    beneath: torch.Tensor  # C 3: what un-blending says by itself
    beneath_trust: torch.Tensor  # C 1: how well, 0 where it says nothing
    hole: torch.Tensor  # C 1: 1 where the picture may be changed
    before: torch.Tensor  # C 3: what was put there before, carried along
    before_trust: torch.Tensor  # C 1: 1 where there is such a thing


class Completed(NamedTuple):
    """The picture bettered, and what error is to be expected of it."""

    picture: torch.Tensor  # (B, 3, H, W), as `Known.picture`, the same outside the hole
    error: torch.Tensor  # (B, 1, H, W) mean absolute, in units of the full range


class Completer(nn.Module):
    """`widths`: channels at 1/2, 1/4, 1/8 and 1/16 of the size."""

    VERSION = 1

    def __init__(self, *, widths: Sequence[int] = (32, 64, 96, 144)) -> None:
        super().__init__()
        self.arguments = {"widths": list(widths)}
        self.head = nn.Conv2d(CHANNELS * 4, widths[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(widths))
        self.encode = nn.ModuleList(_Block(width) for width in widths[:-1])
        self.look = nn.Sequential(*(_Block(widths[-1], dilation) for dilation in DILATIONS))
        self.up = nn.ModuleList(nn.Conv2d(b, a, 3, padding=1) for a, b in pairwise(widths))
        self.decode = nn.ModuleList(_Block(width) for width in widths[:-1])
        self.tail = nn.Conv2d(widths[0], 4 * 4, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)

    def forward(self, known: Known) -> Completed:
        height, width = known.picture.shape[-2:]
        ring = known.before_trust
        parts = [
            known.picture - 0.5,
            known.trust,
            (known.beneath - 0.5) * (known.beneath_trust > 0),
            known.beneath_trust,
            known.hole,
            (known.before - 0.5) * ring,
            ring,
        ]
        x = torch.cat(parts, 1)
        x = F.pad(x, (0, -width % STEP, 0, -height % STEP), mode="replicate")
        x = self.head(F.pixel_unshuffle(2 * x, 2))
        skips = []
        for block, down in zip(self.encode, self.down, strict=True):
            x = block(x)
            skips.append(x)
            x = down(x)
        x = self.look(x)
        for block, up, skip in zip(self.decode[::-1], self.up[::-1], skips[::-1], strict=True):
            x = block(F.interpolate(up(x), scale_factor=2.0) + skip)
        x = F.pixel_shuffle(self.tail(x), 2)[..., :height, :width].float()
        picture = known.picture + x[:, :3] * known.hole
        error = (0.05 * torch.exp(x[:, 3:].clamp(-6, 6))).clamp(LEAST_ERROR, MOST_ERROR)
        return Completed(picture, error)


class _Block(nn.Module):
    """Two convolutions with batch normalisation around which the input is carried on.

    Without it the network, whose last layer begins at zero, drifts off before that layer tells it where to go.
    """

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.change(x))
