"""Fixtures for all tests: an error that only reached the log fails the test."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(autouse=True)
def no_error_is_only_logged() -> Iterator[None]:
    """Fails a test during which the engine logged an ERROR: a failure must be raised or sent, not whispered."""
    seen: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    collector = Collector(logging.ERROR)
    logging.getLogger("autowipe").addHandler(collector)
    yield
    logging.getLogger("autowipe").removeHandler(collector)
    assert not seen, f"logged as an error: {seen}"
