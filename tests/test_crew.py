"""Work side by side in threads: results in order, and errors where they are waited for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from autowipe.crew import each


def test_each_gives_results_in_order_to_callers_in_several_threads():
    def squares(first: int) -> list[int]:
        return each(lambda k: k * k, range(first, first + 50))

    with ThreadPoolExecutor(3) as callers:
        made = list(callers.map(squares, (0, 50, 100)))

    assert made == [[k * k for k in range(first, first + 50)] for first in (0, 50, 100)]


def test_an_error_in_one_of_each_is_raised():
    with pytest.raises(ZeroDivisionError):
        each(lambda k: 1 / k, [2, 1, 0])
