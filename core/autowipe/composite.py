"""Puts plates over a frame's own samples; every sample outside a plate's mask keeps its value."""

from __future__ import annotations

import numpy as np

from .planes import Layout
from .plate import Plate


def composite(views: list[np.ndarray], layout: Layout, plate: Plate) -> None:
    """Writes a plate into the frame that `views` look at (of the field, where fields are apart)."""
    for view, plane, part, mask in zip(views, layout.colour, plate.planes, plate.masks, strict=False):
        x, y, w, h = layout.plane_box(plate.box, plane)
        np.copyto(view[y : y + h, x : x + w], part, where=mask)
