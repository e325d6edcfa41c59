"""Workers side by side: each gets its own items in order, and an error of one ends the work."""

from __future__ import annotations

import threading

import pytest
from autowipe.crew import Crew, each, together


def test_every_worker_gets_its_items_in_order():
    one: list[int] = []
    other: list[int] = []

    with Crew([one.append, other.append], 2) as crew:
        for k in range(50):
            crew.give((k, k * k if k % 2 else None))

    assert one == list(range(50))
    assert other == [k * k for k in range(50) if k % 2]


def test_an_error_of_a_worker_is_raised_where_the_items_come_from():
    def fails(item: int) -> None:
        raise ValueError(f"no {item}")

    with pytest.raises(ValueError, match="no 0"), Crew([fails], 1) as crew:
        for k in range(1000):
            crew.give((k,))


def test_an_error_of_the_last_item_is_raised_too():
    def fails(item: int) -> None:
        raise ValueError(f"no {item}")

    with pytest.raises(ValueError, match="no 7"), Crew([fails], 1) as crew:
        crew.give((7,))


def test_who_stops_handing_out_does_not_wait_for_what_is_left():
    begun, go = threading.Event(), threading.Event()
    done: list[int] = []

    def slow(item: int) -> None:
        begun.set()
        go.wait()
        done.append(item)

    with pytest.raises(KeyboardInterrupt), Crew([slow], 8) as crew:
        for k in range(5):
            crew.give((k,))
        begun.wait()
        threading.Timer(0.1, go.set).start()
        raise KeyboardInterrupt

    assert done == [0]


def test_each_gives_results_in_order_to_callers_in_several_threads():
    def squares(first: int) -> list[int]:
        return each(lambda k: k * k, range(first, first + 50))

    assert together([lambda first=first: squares(first) for first in (0, 50, 100)]) == [
        [k * k for k in range(first, first + 50)] for first in (0, 50, 100)
    ]


def test_an_error_in_one_of_each_is_raised():
    with pytest.raises(ZeroDivisionError):
        each(lambda k: 1 / k, [2, 1, 0])


def test_together_gives_results_in_order():
    assert together([lambda k=k: k * k for k in range(5)]) == [0, 1, 4, 9, 16]
    assert together([]) == []
