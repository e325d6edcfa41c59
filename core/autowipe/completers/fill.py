"""Invents: fills a hole of one frame from its surround: its light, and texture in patches that fit together.

The light is spread smoothly, which errs least. Texture comes from patches: coarse to fine, each pixel of the hole finds
the patch of the surround that looks most like its own (PatchMatch, Barnes et al. 2009), and all patches that reach it
vote on what it is (Wexler et al. 2007). Deep in a hole their structure comes in too, in part: it may be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..fill import predict
from ..match import spread

DETAIL_PX = 4.0  # deviation of the blur that parts texture from structure
TEXTURE, STRUCTURE = 0.8, 0.35  # of what the patches have of each
VARIETY_PX = 15  # window over which a texture's variety is measured
SHALLOW_PX, DEEP_PX = 2.0, 5.0  # from the hole's edge; nearer, what is smooth errs less
REACH = 3  # px: patches are 7 x 7
MOST_PIXELS = 6_000  # of a hole at the finest size at which patches are searched anew; above, they are taken over
FEWEST_PATCHES = 64  # in the surround, to choose from
THIN_PX = 1.5  # depth of a hole that needs no coarser size
ROUNDS, SWEEPS = 3, 2  # of voting at each size; of searching before each
TRIES = 4  # random patches a sweep, ever nearer to the best one
MOST_LEVELS = 6
TOLERANCE = 36.0  # levels squared a sample: patches that differ so much more than the best hardly count


def fill(planes: list[np.ndarray], holes: list[np.ndarray]) -> list[np.ndarray]:
    """The planes of one picture with their holes filled.

    `planes`: (h, w) float32 levels each, the first at full size, others possibly subsampled; `holes`: (h, w) bool
    each. The result does not depend on chance: the same picture is filled the same way.
    """
    hole = holes[0].copy()
    size = hole.shape[::-1]
    for part in holes[1:]:
        hole |= cv2.resize(part.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    if not hole.any() or hole.all():
        return planes
    picture = np.dstack([_full_size(plane, part, size) for plane, part in zip(planes, holes, strict=True)])
    patched, source = _complete(picture, hole)
    smooth = predict(picture, hole)
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3)[..., None]

    def ramp(width: float) -> np.ndarray:
        return np.minimum(depth / width, 1)

    more = patched - smooth
    structure = _blurred(more)
    detail = smooth - _blurred(smooth)
    copied = detail.reshape(-1, detail.shape[2])[source.ravel()].reshape(detail.shape)
    texture = _as_lively(more - structure, copied)
    done = smooth + TEXTURE * ramp(SHALLOW_PX) * texture + STRUCTURE * ramp(DEEP_PX) * structure
    out = []
    for k, (plane, part) in enumerate(zip(planes, holes, strict=True)):
        new = np.ascontiguousarray(done[..., k])
        if new.shape != plane.shape:
            new = cv2.resize(new, plane.shape[::-1], interpolation=cv2.INTER_AREA)
        out.append(np.where(part, new, plane).astype(np.float32))
    return out


def _as_lively(mean: np.ndarray, copied: np.ndarray) -> np.ndarray:
    """The mean of what patches say, with so much of one of them that it varies as much as that one does.

    Where they agree, as on an edge, the mean is kept; where they do not, as on grass, it would be a blur.
    """
    window = (VARIETY_PX, VARIETY_PX)
    own, full = (cv2.blur((part**2).sum(2), window) for part in (mean, copied))
    lack = np.sqrt(np.maximum(1 - own / np.maximum(full, 1e-6), 0))
    return mean + lack[..., None] * copied


def _blurred(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), DETAIL_PX).reshape(picture.shape)


def _full_size(plane: np.ndarray, hole: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if plane.shape == size[::-1]:
        return plane.astype(np.float32)
    (spread_over,) = spread([plane], (~hole).astype(np.float32))  # what the hole holds must not come into its rim
    return cv2.resize(spread_over, size, interpolation=cv2.INTER_LINEAR)


def _complete(picture: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, C) float32 with the hole (H, W) filled, and (H, W) int: where in it each pixel's likeliest patch lies."""
    pictures, holes = [picture], [hole]
    while (
        len(pictures) < MOST_LEVELS
        and min(hole.shape) >= 8 * REACH
        and cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3).max() > THIN_PX
    ):
        picture, hole = _halved(picture, hole)
        pictures.append(picture)
        holes.append(hole)
    rng = np.random.default_rng(0)
    guess: np.ndarray | None = None
    match: np.ndarray | None = None
    search: _Search | None = None
    where = np.empty(0, np.int64)
    for picture, hole in zip(pictures[::-1], holes[::-1], strict=True):
        if guess is None:
            weight = (~hole).astype(np.float32)
            guess = np.dstack(spread(list(np.moveaxis(picture, 2, 0)), weight))
        else:
            guess = cv2.resize(guess, hole.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(picture.shape)
        picture = np.where(hole[..., None], guess, picture)
        search = _Search.of(picture, hole)
        if search is None:
            guess, match = picture, None
            continue
        where = search.start(match, rng)
        is_large = len(search.inside) > MOST_PIXELS
        for _ in range(1 if is_large else ROUNDS):
            for _ in range(1 if is_large else SWEEPS):
                search.sweep(where, None if is_large else rng)
            search.vote(where)
        guess, match = search.picture, search.field(where)
    assert guess is not None
    # Where the finest size has no patches to choose from, each pixel is its own source.
    return guess, np.arange(hole.size).reshape(hole.shape) if search is None else search.likeliest(where)


def _halved(picture: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half the size; a pixel is hole only where all four are, so that the hole closes."""
    h, w = hole.shape
    picture = cv2.copyMakeBorder(picture, 0, h % 2, 0, w % 2, cv2.BORDER_REPLICATE).reshape(h + h % 2, w + w % 2, -1)
    seen = cv2.copyMakeBorder((~hole).astype(np.float32), 0, h % 2, 0, w % 2, cv2.BORDER_REPLICATE)
    size = (seen.shape[1] // 2, seen.shape[0] // 2)
    share = cv2.resize(seen, size, interpolation=cv2.INTER_AREA)
    total = cv2.resize(picture * seen[..., None], size, interpolation=cv2.INTER_AREA).reshape(*share.shape, -1)
    return (total / np.maximum(share, 1e-3)[..., None]).astype(np.float32), share == 0


@dataclass
class _Search:
    """Patches of one size of the picture; positions are flat indices of the patches' middles."""

    picture: np.ndarray  # (h, w, C) float32, the hole filled as well as is known so far
    hole: np.ndarray  # (h, w) bool
    inside: np.ndarray  # (n,) patches that reach into the hole
    number: np.ndarray  # (h * w,) int32: of each patch in `inside`, -1 elsewhere
    usable: np.ndarray  # (h * w,) bool: patches of the surround
    sources: np.ndarray  # (m,) the same, listed
    steps: np.ndarray  # (k,) offsets of a patch's samples

    @classmethod
    def of(cls, picture: np.ndarray, hole: np.ndarray) -> _Search | None:
        """None where the surround holds too few patches."""
        h, w = hole.shape
        window = np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
        near = cv2.dilate(hole.astype(np.uint8), window) > 0
        middle = np.zeros(hole.shape, bool)
        middle[REACH : h - REACH, REACH : w - REACH] = True
        usable = (middle & ~near).ravel()
        sources = np.flatnonzero(usable)
        inside = np.flatnonzero((near & middle).ravel())
        if len(sources) < FEWEST_PATCHES or not len(inside):
            return None
        number = np.full(h * w, -1, np.int32)
        number[inside] = np.arange(len(inside))
        dy, dx = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
        return cls(picture, hole, inside, number, usable, sources, (dy * w + dx).ravel())

    def start(self, coarser: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
        """(n,) sources to begin with: those of the coarser size, (h', w', 2) offsets, or by chance."""
        chance = rng.choice(self.sources, len(self.inside))
        if coarser is None:
            return chance
        h, w = self.hole.shape
        y, x = np.divmod(self.inside, w)
        at = np.minimum(y // 2, coarser.shape[0] - 1), np.minimum(x // 2, coarser.shape[1] - 1)
        dy, dx = coarser[at][:, 0], coarser[at][:, 1]
        sy, sx = y + 2 * dy, x + 2 * dx
        source = np.clip(sy, 0, h - 1) * w + np.clip(sx, 0, w - 1)
        good = (sy >= 0) & (sy < h) & (sx >= 0) & (sx < w) & self.usable[source] & ((dy != 0) | (dx != 0))
        return np.where(good, source, chance)

    def field(self, where: np.ndarray) -> np.ndarray:
        """(h, w, 2) offsets y, x of the sources; 0 away from the hole."""
        h, w = self.hole.shape
        out = np.zeros((h * w, 2), np.int32)
        out[self.inside, 0] = where // w - self.inside // w
        out[self.inside, 1] = where % w - self.inside % w
        return out.reshape(h, w, 2)

    def sweep(self, where: np.ndarray, rng: np.random.Generator | None) -> None:
        """Betters the sources, in place: by those of the neighbours, and, with `rng`, by chance around them."""
        h, w = self.hole.shape
        own = self._patches(self.inside)
        cost = self._cost(own, where)
        for step in (1, -1, w, -w, 4, -4, 4 * w, -4 * w):
            beside = self.number[np.clip(self.inside + step, 0, h * w - 1)]
            self._try(own, where, cost, np.where(beside >= 0, where[beside] - step, -1))
        if rng is None:
            return
        reach = float(max(h, w))
        for _ in range(TRIES):
            y, x = np.divmod(where, w)
            y = y + np.rint(rng.uniform(-reach, reach, len(y))).astype(np.int64)
            x = x + np.rint(rng.uniform(-reach, reach, len(x))).astype(np.int64)
            self._try(own, where, cost, np.where((x >= 0) & (x < w) & (y >= 0) & (y < h), y * w + x, -1))
            reach /= 3

    def vote(self, where: np.ndarray) -> None:
        """Every pixel of the hole becomes the mean of what the patches over it say, the likely ones before others."""
        count, weight = self.hole.size, self._weights(where)
        flat = self.picture.reshape(count, -1)
        mass, total = np.zeros(count), np.zeros((flat.shape[1], count))
        for step in self.steps:
            mass += np.bincount(self.inside + step, weight, count)
            for k in range(len(total)):
                total[k] += np.bincount(self.inside + step, weight * flat[where + step, k], count)
        hole = self.hole.ravel() & (mass > 0)
        new = flat.copy()
        new[hole] = (total[:, hole] / mass[hole]).T
        self.picture = new.reshape(self.picture.shape)

    def _weights(self, where: np.ndarray) -> np.ndarray:
        """(n,) how far each patch is to be believed: by how well it fits, and by how much of it is seen."""
        cost = self._cost(self._patches(self.inside), where)
        depth = cv2.distanceTransform(self.hole.astype(np.uint8), cv2.DIST_L2, 3).ravel()[self.inside]
        return np.exp(-np.minimum(cost / TOLERANCE, 20)) * 1.3**-depth + 1e-9

    def likeliest(self, where: np.ndarray) -> np.ndarray:
        """(h, w) flat indices: of each pixel of the hole, where the patch over it that fits best has it from."""
        h, w = self.hole.shape
        weight = self._weights(where)
        out, best = np.arange(h * w), np.zeros(h * w)
        for step in self.steps:
            at = self.inside + step
            better = (weight > best[at]) & self.hole.ravel()[at]
            out[at[better]], best[at[better]] = where[better] + step, weight[better]
        return out.reshape(h, w)

    def _patches(self, at: np.ndarray) -> np.ndarray:
        flat = self.picture.reshape(self.hole.size, -1)
        return flat[(at[:, None] + self.steps)]

    def _cost(self, own: np.ndarray, where: np.ndarray) -> np.ndarray:
        """(n,) mean square difference of the patches, levels squared."""
        return np.square(own - self._patches(where)).mean((1, 2))

    def _try(self, own: np.ndarray, where: np.ndarray, cost: np.ndarray, other: np.ndarray) -> None:
        """Takes the sources `other` (n,) where they fit better; -1 is none."""
        tried = np.flatnonzero((other >= 0) & (other < self.hole.size) & (other != where))
        tried = tried[self.usable[other[tried]]]
        new = self._cost(own[tried], other[tried])
        better = new < cost[tried]
        where[tried[better]], cost[tried[better]] = other[tried[better]], new[better]
