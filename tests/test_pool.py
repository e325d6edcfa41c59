"""Completing in processes: the same plates as here, with what they have to ask for, and errors told."""

from __future__ import annotations

from copy import deepcopy
from functools import partial

import numpy as np
import pytest
from autowipe.complete import complete
from autowipe.completers import network
from autowipe.errors import WeightsError
from autowipe.masks import extent
from autowipe.plate import Beyond, Crops, FarFrame, Plate
from autowipe.pool import Pool
from autowipe.timing import FrameRange
from test_complete import covered, pan

FRAMES = FrameRange(0, 12)
BETTER = partial(network.better, device="cpu")


def same(trimmed: Plate, whole: Plate) -> None:
    """Asserts that a plate of the pool is what is to be written of one of complete.complete."""
    x, y = (a - b for a, b in zip(trimmed.box[:2], whole.box[:2], strict=True))
    inner = np.s_[y : y + trimmed.box[3], x : x + trimmed.box[2]]
    assert trimmed.frame == whole.frame
    assert np.array_equal(trimmed.provenance, whole.provenance[inner])
    assert extent(trimmed.masks[0])[:2] == (0, 0)
    for part, mask, old, old_mask in zip(trimmed.planes, trimmed.masks, whole.planes, whole.masks, strict=True):
        assert mask.sum() == old_mask.sum()
        assert np.array_equal(part[mask], old[old_mask])


def test_its_plates_are_those_that_would_be_made_here_cut_to_what_is_written() -> None:
    crops = [covered(pan(12, px), list(range(2, 12))) for px in (3.0, 0.0, 1.5)]

    with Pool(BETTER) as pool:
        made = [list(made) for made in [pool.complete(one, FRAMES, quality="normal") for one in crops]]

    for one, plates in zip(crops, made, strict=True):
        here = list(complete(one, FRAMES, quality="normal", better=BETTER))
        assert len(plates) == len(here) == 10
        for plate, other in zip(plates, here, strict=True):
            same(plate, other)
            assert plate.provenance.size < other.provenance.size / 4


def test_it_asks_for_far_frames_and_for_the_network() -> None:
    clean = pan(12, 0)
    far = FarFrame(90, clean[0], np.zeros(clean[0][0].shape, bool), np.eye(3))
    crops, asked = covered(clean, list(range(12))), []

    def find(frame: int, wanted: np.ndarray) -> list[FarFrame]:
        asked.append(("find", frame, int(wanted.sum())))
        return [far, deepcopy(far)] if frame < 6 else []

    def better(known: network.Known, is_rgb: bool) -> list[np.ndarray]:
        asked.append(("better", is_rgb))
        return known.planes

    crops.beyond = Beyond(1, find)
    with Pool(better) as pool:
        (plate, *_) = list(pool.complete(crops, FRAMES, quality="normal"))
        crops.beyond = None
        list(pool.complete(crops, FRAMES, quality="normal"))

    assert {name for name, *_ in asked} == {"find", "better"}
    y, x = plate.box[1], plate.box[0]
    inner = clean[0][0][y : y + plate.box[3], x : x + plate.box[2]]
    assert np.abs(plate.planes[0][plate.masks[0]].astype(int) - inner[plate.masks[0]]).mean() < 1


def test_errors_come_where_the_plates_are_taken() -> None:
    def better(known: network.Known, is_rgb: bool) -> list[np.ndarray]:
        raise WeightsError("the weight is damaged")

    still = covered(pan(6, 0), list(range(6)))
    broken = deepcopy(still)
    broken.planes[0] = []
    with Pool(better) as pool, pytest.raises(WeightsError, match="damaged"):
        list(pool.complete(still, FrameRange(0, 6), quality="normal"))
    with Pool(BETTER) as pool, pytest.raises(RuntimeError, match="complete"):
        list(pool.complete(broken, FrameRange(0, 6), quality="normal"))


def test_who_leaves_does_not_wait_for_what_is_being_made() -> None:
    crops: Crops = covered(pan(60, 3.0, size=(96, 640)), list(range(60)), size=(96, 640))

    with pytest.raises(KeyboardInterrupt), Pool(BETTER) as pool:
        for _ in range(2):
            pool.complete(crops, FrameRange(0, 60), quality="best")
        raise KeyboardInterrupt
