"""What the tiles of a lattice have in common: the edges of all motifs that repeat with it, told from the scene's.

Factor model with one factor: every tile shows the same edges, each patch of them with its own contrast (by what lies
behind; none where a tile was left out, as at the picture's edge) and beneath a scene of its own unrest. Contrast,
unrest and edges are estimated in turn by weighted least squares, so that tiles over calm parts have the most say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .job import Box
from .lattice import Shift, moved
from .masks import connected, disc

PATCH_PX = 10.0  # deviation of the blur over which a tile's contrast and unrest are taken, of the analysis picture
ROUNDS = 4
FAINT = 0.1  # mean square below which edges say nothing of a patch's contrast: levels a px, squared
CALMEST = 0.02  # mean square of what compression leaves of unrest
MOST_CONTRAST = 1.5
FEWEST_TILES, LEAST_SHARE = 1.6, 0.3  # that show it, each counted by its contrast; of those in the picture
TAIL, TAIL_PX = 0.25, 3  # of an edge: what is fainter beside it is its blur
ONE_WAY, LEAST_OF_LINES = 0.75, 0.7  # lines of the scene, by their concentration of directions, run through some tiles
LEAST_STEP = 0.4  # levels a px of a stroke's edge, averaged over the tiles
WEAK, SURE = 2.5, 4.0  # times the doubt of that average: beside a sure px; a sure px
LEAST_SURE_PX, LEAST_SURE = 3, 0.15  # of a patch of such px


@dataclass(frozen=True)
class Motif:
    """What repeats, over a cell (h, w)."""

    edges: np.ndarray  # (h, w, 2) float32: gradient, levels a px
    is_edge: np.ndarray  # (h, w) bool


def find_motif(tiles: np.ndarray) -> Motif:
    """tiles: (n, h, w, 2) float32, the gradient at each tile, levels a px; NaN outside the picture."""
    seen = (~np.isnan(tiles[..., 0])).astype(np.float32)
    tiles = np.nan_to_num(tiles)
    room = np.maximum(_patches(seen), 1e-3)
    contrast, weight = seen, seen
    for _ in range(ROUNDS):
        say = weight * contrast
        known = np.maximum((say * contrast).sum(0), 1e-6)
        edges = np.einsum("nhw,nhwk->hwk", say, tiles) / known[..., None]
        left = (
            np.stack([((t - c[..., None] * edges) ** 2).sum(-1) for t, c in zip(tiles, contrast, strict=True)]) * seen
        )
        apart = (say * say * left).sum(0) / known**2
        unrest = _patches(left)
        weight = seen / ((unrest + CALMEST) / room)
        expected = 1 / np.maximum((weight * contrast * contrast).sum(0), 1e-6)
        tiles_with_it = contrast.sum(0) ** 2 / np.maximum((contrast**2).sum(0), 1e-6)
        power = (edges**2).sum(-1)
        alike = _patches(np.einsum("hwk,hwk->hw", tile, edges) for tile in tiles) + FAINT
        contrast = seen * np.clip(alike / (_patches(power * there for there in seen) + FAINT), 0, MOST_CONTRAST)
    # by the unrest around each px, and by how the tiles differ at it, which tells smooth shading near strokes
    doubt = np.sqrt(np.maximum(expected, apart * tiles_with_it / np.maximum(tiles_with_it - 1, 0.5)))
    length = np.sqrt(power)
    weak = (length > LEAST_STEP) & (length > WEAK * doubt) & (length > TAIL * cv2.dilate(length, disc(TAIL_PX)))
    share = np.where(_one_way(edges * weak[..., None]) > ONE_WAY, LEAST_OF_LINES, LEAST_SHARE)
    weak &= tiles_with_it >= np.maximum(FEWEST_TILES, share * seen.sum(0))
    return Motif(edges, connected(weak, weak & (length > SURE * doubt), LEAST_SURE_PX, LEAST_SURE))


def laid(motif: Motif, cell: Box, shifts: Sequence[Shift], size: tuple[int, int], margin: int) -> np.ndarray:
    """The motif at all shifts, over a picture of `size` (w, h) and a margin around it: (H, W, 2), 0 off its edges."""
    x, y, w, h = cell
    wide, high = size[0] + 2 * margin, size[1] + 2 * margin
    whole = np.zeros((high, wide, 3), np.float32)
    pattern = np.dstack([motif.edges, np.ones(motif.is_edge.shape, np.float32)]) * motif.is_edge[..., None]
    for dx, dy in shifts:
        left, top = x + margin + int(np.floor(dx)), y + margin + int(np.floor(dy))
        x0, y0, x1, y1 = max(0, left), max(0, top), min(wide, left + w + 1), min(high, top + h + 1)
        if x1 <= x0 or y1 <= y0:
            continue
        box = (x0 - margin - x, y0 - margin - y, x1 - x0, y1 - y0)
        part = np.nan_to_num(moved(pattern, (-dx, -dy), box))
        over = part[..., 2] > whole[y0:y1, x0:x1, 2]
        whole[y0:y1, x0:x1][over] = part[over]
    return np.where(whole[..., 2:] > 0.5, whole[..., :2], 0)


def _one_way(edges: np.ndarray) -> np.ndarray:
    """(h, w): concentration of the directions of the edges (h, w, 2) around each px, 1 where all lie one way."""
    turned = (edges[..., 0] + 1j * edges[..., 1]) ** 2
    across, along, power = _patches(np.stack([turned.real, turned.imag, np.abs(turned)]))
    return np.hypot(across, along) / np.maximum(power, 1e-6)


def _patches(tiles: Iterable[np.ndarray]) -> np.ndarray:
    """(n, h, w): the mean around each px."""
    return np.stack([_blurred(tile) for tile in tiles])


def _blurred(tile: np.ndarray) -> np.ndarray:
    """Three box filters, which are all but a Gaussian and take a quarter of its time."""
    side = 2 * round(PATCH_PX) + 1
    for _ in range(3):
        tile = cv2.blur(tile, (side, side))
    return tile
