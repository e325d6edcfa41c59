"""What inpainting networks of published sizes cost on this machine: their layers with random weights, nothing trained.

    python -m tests.bench.networks sttn|propainter

Widths and depths are those of the authors' papers and code (STTN, arXiv:2007.10247; ProPainter, arXiv:2309.03897, with
RAFT, arXiv:2003.12039); every line here is our own. Made cheaper than theirs, never dearer: each frame goes through
once in a window of `FRAMES`, where theirs overlap; deformable convolutions are plain ones; RAFT looks up its
correlations once an iteration at the nearest place; the transformer attends within windows only.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

SIZE = (432, 240)  # width and height, that both papers measure at
FRAMES = 5


def stack(*widths: int, kernel: int | tuple[int, int] = 3, strides: tuple[int, ...] = (), groups: int = 1) -> nn.Module:
    """Convolutions one after the other, a leaky ReLU between."""
    pad = kernel // 2 if isinstance(kernel, int) else tuple(k // 2 for k in kernel)
    layers: list[nn.Module] = []
    for k, (a, b) in enumerate(pairwise(widths)):
        stride = strides[k] if strides else 1
        layers += [nn.Conv2d(a, b, kernel, stride, pad, groups=groups), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers[:-1])


def up(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear")


class PatchAttention(nn.Module):
    """STTN's block: patches of four sizes attend to those of all frames, a head each; then two wide convolutions."""

    def __init__(self, width: int = 256, cells: tuple[int, ...] = (1, 3, 6, 12)) -> None:
        super().__init__()
        self.cells = cells  # patches across the picture, and down it
        self.query, self.key, self.value = (nn.Conv2d(width, width, 1) for _ in range(3))
        self.out, self.forth = stack(width, width), stack(width, width, width)

    def forward(self, x: Tensor) -> Tensor:
        seen = [self._head(*parts) for parts in zip(*(f(x).chunk(4, 1) for f in self._maps()), self.cells, strict=True)]
        x = x + self.out(torch.cat(seen, 1))
        return x + self.forth(x)

    def _maps(self) -> tuple[nn.Module, ...]:
        return self.query, self.key, self.value

    @staticmethod
    def _head(query: Tensor, key: Tensor, value: Tensor, cells: int) -> Tensor:
        t, c, h, w = query.shape

        def patches(x: Tensor) -> Tensor:
            x = x.view(t, c, cells, h // cells, cells, w // cells).permute(0, 2, 4, 1, 3, 5)
            return x.reshape(t * cells * cells, -1)

        q, k, v = patches(query), patches(key), patches(value)
        out = torch.softmax(q @ k.T / q.shape[1] ** 0.5, 1) @ v
        return out.view(t, cells, cells, c, h // cells, w // cells).permute(0, 3, 1, 4, 2, 5).reshape(t, c, h, w)


class Sttn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = stack(3, 64, 64, 128, 256, strides=(2, 1, 2, 1))
        self.blocks = nn.Sequential(*(PatchAttention() for _ in range(8)))
        self.middle, self.decoder, self.last = stack(256, 128, 64), stack(64, 64), stack(64, 3)

    def forward(self, frames: Tensor) -> Tensor:
        x = self.middle(up(self.blocks(self.encoder(frames))))
        return self.last(self.decoder(up(x)))


class Residual(nn.Module):
    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        self.body = stack(a, b, b, strides=(stride, 1))
        self.skip = nn.Conv2d(a, b, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


class Raft(nn.Module):
    """Flow at an eighth of the size, in 20 steps."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.context = self._encoder(), self._encoder()
        self.correlated, self.flowing = nn.Conv2d(324, 256, 1), nn.Conv2d(2, 128, 7, padding=3)
        self.of_correlated, self.of_flowing, self.motion = stack(256, 192), stack(128, 64), stack(256, 126)
        self.gates = nn.ModuleList(stack(384, 128, kernel=k) for k in ((1, 5),) * 3 + ((5, 1),) * 3)
        self.flow, self.mask, self.finest = stack(128, 256, 2), stack(128, 256), nn.Conv2d(256, 576, 1)

    @staticmethod
    def _encoder() -> nn.Module:
        blocks = [Residual(a, b, s) for a, b, s in ((64, 64, 1), (64, 96, 2), (96, 128, 2))]
        again = [Residual(b, b, 1) for b in (64, 96, 128)]
        both = [layer for pair in zip(blocks, again, strict=True) for layer in pair]
        return nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(inplace=True), *both, nn.Conv2d(128, 256, 1))

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Of n pairs (n, 3, H, W): flow (n, 2, H, W)."""
        a, b = self.features(one), self.features(other)
        n, c, h, w = a.shape
        volume = (a.flatten(2).transpose(1, 2) @ b.flatten(2)).view(n * h * w, 1, h, w) / c**0.5
        pyramid = [volume, *(functional.avg_pool2d(volume, 2**k) for k in (1, 2, 3))]
        hidden, context = self.context(one).split(128, 1)
        flow = a.new_zeros(n, 2, h, w)
        for _ in range(20):
            looked = torch.cat([functional.adaptive_avg_pool2d(level, 9).view(n, h * w, 81) for level in pyramid], 2)
            seen = self.of_correlated(torch.relu(self.correlated(looked.transpose(1, 2).reshape(n, 324, h, w))))
            motion = self.motion(torch.cat([seen, self.of_flowing(torch.relu(self.flowing(flow)))], 1))
            given = torch.cat([context, motion, flow], 1)
            for reset, update, new in (self.gates[:3], self.gates[3:]):
                x = torch.cat([hidden, given], 1)
                share = torch.sigmoid(update(x))
                more = torch.tanh(new(torch.cat([torch.sigmoid(reset(x)) * hidden, given], 1)))
                hidden = (1 - share) * hidden + share * more
            flow = flow + self.flow(hidden)
        finest = self.finest(self.mask(hidden)).view(n, 9, 8, 8, h, w).softmax(1)
        around = functional.unfold(8 * flow, 3, padding=1).view(n, 2, 9, 1, 1, h, w)
        return (finest[:, None] * around).sum(2).permute(0, 1, 4, 2, 5, 3).reshape(n, 2, 8 * h, 8 * w)


class Carry(nn.Module):
    """Features handed on from frame to frame, there and back; `more`: further channels that tell how."""

    def __init__(self, width: int, taken: int, told: int, beside: int) -> None:
        super().__init__()
        self.offsets = nn.ModuleList(stack(told, width, width, width, 27 * 16) for _ in range(2))
        self.align = nn.ModuleList(nn.Conv2d(taken * width, width, 3, padding=1) for _ in range(2))
        self.backbone = nn.ModuleList(stack((2 + beside * k) * width, width, width) for k in range(2))
        self.told, self.taken, self.beside = told, taken, beside

    def forward(self, x: Tensor) -> list[Tensor]:
        """(t, c, h, w): the same there and back."""
        ways: list[Tensor] = []
        for turn in range(2):
            order = range(len(x)) if turn else range(len(x) - 1, -1, -1)
            state, out = torch.zeros_like(x[:1]), {}
            for t in order:
                how = torch.cat([x[t : t + 1], state, x[t : t + 1]], 1)[:, : self.told]
                how = functional.pad(how, (0, 0, 0, 0, 0, self.told - how.shape[1]))
                self.offsets[turn](how)
                state = self.align[turn](torch.cat([state] * self.taken, 1))
                also = [ways[0][t : t + 1]] if turn and self.beside else []
                state = state + self.backbone[turn](torch.cat([x[t : t + 1], *also, state], 1))
                out[t] = state
            ways.append(torch.cat([out[t] for t in range(len(x))]))
        return ways


class FlowCompletion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 32, 5, 2, 2)
        self.one = self._steps((32, 32, 1), (32, 64, 2))
        self.two = self._steps((64, 64, 1), (64, 128, 2))
        self.middle = stack(128, 128, 128, 128)
        self.carry, self.join = Carry(128, 2, 384, 1), nn.Conv2d(256, 128, 1)
        self.back = nn.ModuleList([stack(128, 128), stack(128, 64), stack(64, 64), stack(64, 32), stack(32, 32)])
        self.last = stack(32, 2)

    @staticmethod
    def _steps(*sizes: tuple[int, int, int]) -> nn.Module:
        """Convolutions over the picture, each followed by one over three frames."""
        layers: list[nn.Module] = []
        for a, b, stride in sizes:
            layers += [nn.Conv3d(a, b, (1, 3, 3), (1, stride, stride), (0, 1, 1)), nn.LeakyReLU(0.2)]
            layers += [nn.Conv3d(b, b, (3, 1, 1), padding=(2, 0, 0), dilation=(2, 1, 1)), nn.LeakyReLU(0.2)]
        return nn.Sequential(*layers)

    def forward(self, flows: Tensor) -> Tensor:
        """(t, 3, H, W), flow and mask: (t, 2, H, W)."""
        x = self.first(flows).transpose(0, 1)[None]
        near = self.one(x)
        middle = self.middle(self.two(near)[0].transpose(0, 1))
        x = self.join(torch.cat(self.carry(middle), 1)) + middle
        x = self.back[1](up(self.back[0](x))) + near[0].transpose(0, 1)
        return self.last(up(self.back[4](self.back[3](up(self.back[2](x))))))


class WindowBlock(nn.Module):
    """ProPainter's transformer block: attention within windows of 5 x 9 tokens, and a wide layer that overlaps."""

    def __init__(self, width: int = 512, hidden: int = 1960) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.pool = nn.Conv2d(width, width, 4, 4, groups=width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.wide, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        t, h, w, c = x.shape
        y = self.norms[0](x)
        self.pool(y.permute(0, 3, 1, 2))

        def windows(v: Tensor) -> Tensor:
            return v.view(t, h // 5, 5, w // 9, 9, 4, c // 4).permute(1, 3, 5, 0, 2, 4, 6).reshape(-1, t * 45, c // 4)

        seen = functional.scaled_dot_product_attention(*(windows(f(y)) for f in (self.query, self.key, self.value)))
        seen = seen.view(h // 5, w // 9, 4, t, 5, 9, c // 4).permute(3, 0, 4, 1, 5, 2, 6).reshape(t, h, w, c)
        x = x + self.out(seen)
        y = self.wide(self.norms[1](x)).view(t, h * w, -1).transpose(1, 2)
        y = functional.fold(y, (3 * h, 3 * w), 7, padding=3, stride=3)
        y = functional.unfold(y, 7, padding=3, stride=3).transpose(1, 2).view(t, h, w, -1)
        return x + self.narrow(functional.gelu(y))


class Generator(nn.Module):
    """ProPainter's own part: encoder in groups, features handed on along the flow, transformer, decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.start = stack(5, 64, 64, 128, 256, strides=(2, 1, 2, 1))
        sizes = ((256, 384, 1), (640, 512, 2), (768, 384, 4), (640, 256, 8), (512, 128, 1))
        self.groups = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, groups=g) for a, b, g in sizes)
        self.carry, self.fuse = Carry(128, 1, 261, 0), stack(258, 128, 128)
        self.split, self.compose = nn.Linear(49 * 128, 512), nn.Linear(512, 49 * 128)
        self.smooth = stack(128, 128)
        self.blocks = nn.Sequential(*(WindowBlock() for _ in range(8)))
        self.decoder = nn.ModuleList([stack(128, 128), stack(128, 64), stack(64, 64), stack(64, 3)])

    def forward(self, frames: Tensor) -> Tensor:
        """(t, 5, H, W), pictures and masks: (t, 3, H, W)."""
        x = first = self.start(frames)
        for k, layer in enumerate(self.groups):
            x = functional.leaky_relu(layer(torch.cat([first, x], 1) if k else x), 0.2)
        x = x + self.fuse(functional.pad(torch.cat(self.carry(x), 1), (0, 0, 0, 0, 0, 2)))
        t, _, h, w = x.shape
        tokens = self.split(functional.unfold(x, 7, padding=3, stride=3).transpose(1, 2))
        tokens = self.compose(self.blocks(tokens.view(t, h // 3, w // 3, 512)).view(t, -1, 512)).transpose(1, 2)
        x = x + self.smooth(functional.fold(tokens, (h, w), 7, padding=3, stride=3))
        one, two, three, four = self.decoder
        return four(three(up(two(one(up(x))))))


class ProPainter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.raft, self.completion, self.generator = Raft(), FlowCompletion(), Generator()

    def forward(self, frames: Tensor) -> Tensor:
        one, other = frames[:-1], frames[1:]
        masks = torch.zeros_like(frames[:, :2])
        for a, b in ((one, other), (other, one)):
            self.completion(torch.cat([self.raft(a, b), masks[1:, :1]], 1))
        return self.generator(torch.cat([frames, masks], 1))


NETWORKS = {"sttn": Sttn, "propainter": ProPainter}


@torch.inference_mode()
def main() -> None:
    torch.manual_seed(1)
    network = NETWORKS[sys.argv[1]]().eval()
    frames = torch.rand(FRAMES, 3, *SIZE[::-1])
    with FlopCounterMode(display=False) as counter:
        network(frames)
    began, used = time.perf_counter(), time.process_time()
    network(frames)
    figures = {
        "parameters": sum(part.numel() for part in network.parameters()),
        "gflop_a_frame": round(counter.get_total_flops() / FRAMES / 1e9),
        "wall_s_a_frame": round((time.perf_counter() - began) / FRAMES, 3),
        "cpu_s_a_frame": round((time.process_time() - used) / FRAMES, 3),
        "parts": {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()},
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
