"""Per-pixel maps of an overlay: its matte (PNG) and, where it is translucent, how to un-blend it (NPZ)."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from . import planes
from .errors import JobError, said
from .job import Box
from .planes import Layout

# Levels: what H.264 at crf 20 leaves on seen samples, and where an overlay moves, so that they are coded anew in every
# frame. The files do not hold it: it is of the frame in which an overlay is.
NOISE, CODED_NOISE = 1.7, 4.0


@dataclass
class Unblend:
    """Observed = transmission * picture beneath + contribution, for every sample of every colour plane.

    One array a plane, each (h, w) float32 at the plane's own resolution, over a box aligned to the chroma grid.
    `transmission` is 0..1 (1 where the overlay changes nothing); `contribution` is in 8-bit levels, 0..255; `doubt`
    is the standard deviation of the transmission, None where it is surely known; `noise` that of what the codec added,
    levels.
    """

    transmission: list[np.ndarray]
    contribution: list[np.ndarray]
    doubt: list[np.ndarray] | None = None
    noise: float = NOISE

    def part(self, layout: Layout, own: Box, box: Box) -> Unblend:
        """What lies over `box`, aligned as `own` is, which these maps are over and which holds it."""

        def cut(arrays: list[np.ndarray]) -> list[np.ndarray]:
            return [np.ascontiguousarray(part) for part in planes.cut(arrays, layout, own, box)]

        return Unblend(cut(self.transmission), cut(self.contribution), self.doubt and cut(self.doubt), self.noise)


def write_matte(path: Path, matte: np.ndarray) -> None:
    """`matte`: (H, W) float32, 0..1, 1 = overlay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(".png", np.rint(matte * 255).clip(0, 255).astype(np.uint8))
    assert done
    path.write_bytes(data.tobytes())  # cv2.imwrite fails on paths outside ASCII on Windows


def read_matte(path: Path, box: Box) -> np.ndarray:
    """(H, W) float32, 0..1. Raises JobError when the file is missing, no picture, or not of the box's size."""
    try:
        data = path.read_bytes()
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    except (OSError, cv2.error) as err:
        raise JobError(
            f"the matte {path} cannot be read: {said(err)}", code="plan", hint="Put it back, or make the plan anew."
        ) from err
    if picture is None:
        raise JobError(f"the matte {path} is not a picture", code="plan", hint="Save it as a grey PNG.")
    if picture.shape != (box[3], box[2]):
        raise JobError(
            f"the matte {path} is {picture.shape[1]}x{picture.shape[0]} px, but its box is {box[2]}x{box[3]} px",
            code="plan",
            hint="Save the matte in the box's size, or change the box.",
        )
    return picture.astype(np.float32) / 255


def write_unblend(path: Path, maps: Unblend) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"transmission{i}": plane for i, plane in enumerate(maps.transmission)}
    arrays |= {f"contribution{i}": plane for i, plane in enumerate(maps.contribution)}
    arrays |= {f"doubt{i}": plane.astype(np.float16) for i, plane in enumerate(maps.doubt or [])}
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_unblend(path: Path, shapes: list[tuple[int, int]]) -> Unblend:
    """`shapes`: (h, w) of each colour plane over the overlay's box. Raises JobError when the file does not fit."""
    try:
        with np.load(path, allow_pickle=False) as store:
            count = len(shapes)
            maps = Unblend(
                [store[f"transmission{i}"].astype(np.float32) for i in range(count)],
                [store[f"contribution{i}"].astype(np.float32) for i in range(count)],
                [store[f"doubt{i}"].astype(np.float32) for i in range(count)] if "doubt0" in store else None,
            )
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as err:
        raise JobError(
            f"the un-blend map {path} cannot be read: {said(err)}", code="plan", hint="Make the plan anew."
        ) from err
    for plane, shape in zip([*maps.transmission, *maps.contribution, *(maps.doubt or [])], shapes * 3, strict=False):
        if plane.shape != shape:
            raise JobError(
                f"the un-blend map {path} does not fit its overlay's box", code="plan", hint="Make the plan anew."
            )
    return maps
