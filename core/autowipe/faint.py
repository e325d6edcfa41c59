"""Where a translucent overlay shows nothing, as white does over white: there the source is the picture beneath.

Taking the overlay out there only adds error: un-blending makes the codec's noise larger, and takes out what the codec
added to the overlay in other frames, where it showed.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .maps import Unblend
from .opacity import DRAWN_IN, LEAST_TRANSMISSION

SEEN = 4.0  # levels by which taking an overlay out would change a sample: below, the source errs less than what is
# un-blended (measured at opacities of .3 to .45: 0.7 against 2.0 levels rms up to 4, 2.7 against 1.7 above)
AROUND = 9  # px of luma: nothing of an overlay is left, its ringing neither, where nothing shows in so wide a window
DRAWN_NEAR = 2.0  # levels from white or black, up to which it is that: the codec adds so much even to the average
COLOUR_PX = 61  # over which the overlay's colour is averaged: what the codec added to it averages out


class Faint:
    """Where one overlay, or several, show in a frame; the maps are looked into once for all frames."""

    def __init__(self, maps: Unblend) -> None:
        self._planes = []
        for a, b in zip(maps.transmission, maps.contribution, strict=True):
            opacity, hidden = 1 - a, a < LEAST_TRANSMISSION
            tells = np.where(hidden, np.float32(0), opacity)
            weight = (tells / max(float(tells.max()), 1e-3)) ** 4  # at soft edges the codec's share is large
            window = (COLOUR_PX, COLOUR_PX)
            share, whole = (cv2.blur(weight * part, window) for part in (b, opacity))
            colour = share / np.maximum(whole, np.float32(1e-6))
            for drawn in DRAWN_IN:
                colour[np.abs(colour - drawn) < DRAWN_NEAR] = drawn
            # taking out changes a sample by opacity / a times what it is off the colour
            least = np.float32(SEEN) * a / np.maximum(opacity, np.float32(1e-6))
            own = np.where(hidden, np.float32(0), opacity)  # what is beside the overlay says nothing of it
            self._planes.append((colour, own, least * _smooth(own), hidden))

    def shown(self, levels: Sequence[np.ndarray]) -> np.ndarray:
        """(H, W) bool at luma size: what the overlay changes, with some px around. `levels`: planes of a frame."""
        height, width = levels[0].shape
        out = np.zeros((height, width), bool)
        for seen, (colour, own, least, hidden) in zip(levels, self._planes, strict=True):
            shows = (np.abs(_smooth(own * (seen - colour))) > least) | hidden
            if shows.shape != out.shape:
                y, x = -(-height // shows.shape[0]), -(-width // shows.shape[1])
                shows = shows.repeat(y, 0).repeat(x, 1)[:height, :width]
            out |= shows
        return cv2.dilate(out.astype(np.uint8), np.ones((AROUND, AROUND), np.uint8)) > 0


def _smooth(part: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(part, (0, 0), 1.0)
