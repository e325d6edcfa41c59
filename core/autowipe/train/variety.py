"""Looks of a shard made more various: mirrored, in other light and other colours, as if the clip had been so."""

from __future__ import annotations

import numpy as np

from ..sight import MAPS

LIGHT = [MAPS.index(name) for name in ("luma", "luma before", "luma after", "mean luma", "least luma", "most luma")]
SIGNED = [MAPS.index(name) for name in ("steady gradient x", "steady gradient y")]
SPREAD = MAPS.index("spread")
COLOURS = [MAPS.index(name) for name in ("blue difference", "red difference")]
ACROSS = MAPS.index("steady gradient x")
GAIN, OFFSET = (0.7, 1.15), 20.0  # of the luma; levels
SATURATION = (0.0, 1.4)
MIRRORED, RECOLOURED = 0.5, 0.6  # shares of the looks


def varied(look: np.ndarray, clean: slice, rng: np.random.Generator) -> np.ndarray:
    """(planes, h, w) uint8: the maps of a look, its truth, and at `clean` its clean picture, if it has one."""
    if rng.random() < MIRRORED:
        look = mirrored(look)
    if rng.random() < RECOLOURED:
        turn = float(rng.uniform(0, 2 * np.pi))
        gain, offset = float(rng.uniform(*GAIN)), float(rng.uniform(-OFFSET, OFFSET))
        look = recoloured(look, clean, gain, offset, turn, float(rng.uniform(*SATURATION)))
    return look


def mirrored(look: np.ndarray) -> np.ndarray:
    """As `varied`, left and right changed over."""
    out = np.ascontiguousarray(look[..., ::-1])
    out[ACROSS] = _bytes(256 - out[ACROSS].astype(np.float32))
    return out


def recoloured(
    look: np.ndarray, clean: slice, gain: float, offset: float, turn: float, saturation: float
) -> np.ndarray:
    """As `varied`: luma times `gain` about 128 and `offset` levels more, colours turned by `turn` radians."""
    out = look.copy()
    later = list(range(clean.start, min(clean.stop, len(look))))
    for k in [*LIGHT, *later[:1]]:
        out[k] = _bytes((look[k].astype(np.float32) - 128) * gain + 128 + offset)
    for k in SIGNED:
        out[k] = _bytes((look[k].astype(np.float32) - 128) * gain + 128)
    out[SPREAD] = _bytes(look[SPREAD].astype(np.float32) * gain)
    cos, sin = saturation * np.cos(turn), saturation * np.sin(turn)
    for blue, red in [COLOURS, later[1:]] if later else [COLOURS]:
        b, r = (look[k].astype(np.float32) - 128 for k in (blue, red))
        out[blue], out[red] = _bytes(cos * b - sin * r + 128), _bytes(sin * b + cos * r + 128)
    return out


def _bytes(plane: np.ndarray) -> np.ndarray:
    return np.rint(plane).clip(0, 255).astype(np.uint8)
