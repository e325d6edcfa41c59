"""Where a translucent mark shows in a frame, and where not: there nothing is to be wiped."""

from __future__ import annotations

import numpy as np
import pytest
from autowipe.faint import Faint
from autowipe.maps import Unblend

SHAPE = (60, 90)
MARK = np.s_[20:40, 20:70]


def mark(colour: float) -> Unblend:
    """A patch of an even opacity, as it is measured."""
    a, b = np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    a[MARK], b[MARK] = 0.55, 0.45 * colour
    return Unblend([a], [b])


@pytest.mark.parametrize("measured", [235.0, 236.4])
def test_white_over_white_does_not_show_whatever_is_beside_it(measured: float) -> None:
    picture = np.full(SHAPE, 231, np.float32)
    picture[:, 71:] = 20  # from two px beyond the mark on

    assert not Faint(mark(measured)).shown([picture])[MARK].any()


def test_white_over_grey_shows() -> None:
    assert Faint(mark(235)).shown([np.full(SHAPE, 180, np.float32)])[MARK].all()
