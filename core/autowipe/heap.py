"""Keeps the memory of a process that handles pictures small on Linux, where the C library would let it grow."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h
LARGE_BLOCK, MOST_FREE = 4 << 20, 32 << 20  # bytes
LARGEST_BLOCK, ALL = 32 << 20, 1 << 30  # as glibc allows


def keep_small() -> None:
    """Lets glibc give large blocks back as soon as they are free, and keep a little for the others; one heap for all.

    Left to itself it takes ever larger ones from the heap, where small ones that stay keep the room of large ones that
    are gone: memory would grow with the clip's length. Pictures of analysis size, of which every frame needs dozens
    for a moment, do come from the heap: to get each from the system takes as long as to work on it. A heap for every
    thread, as it gives them, leaves in each what another could use: a fifth of all.
    """
    for setting in ((M_MMAP_THRESHOLD, LARGE_BLOCK), (M_TRIM_THRESHOLD, MOST_FREE), (M_ARENA_MAX, 1)):
        _call("mallopt", *setting)


def keep() -> None:
    """Has glibc keep what it has had: for who works on one thing after another, each as large, and soon needs it again.

    To get it from the system each time, which clears it first, takes a twelfth of all time that completing takes. With
    several at work memory is at its peak from their first pieces on, and not where the largest happen to meet.
    """
    for setting in ((M_MMAP_THRESHOLD, LARGEST_BLOCK), (M_TRIM_THRESHOLD, ALL)):
        _call("mallopt", *setting)


def give_back() -> None:
    """Gives what lies free between blocks in use back to the system: after a piece of work, before the next one."""
    _call("malloc_trim", 0)


def _call(name: str, *values: int) -> None:
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    if function is not None:  # other C libraries have none
        function(*values)
