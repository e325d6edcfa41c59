"""Lines between processes that carry arrays through shared memory, ten times as fast as through a pipe."""

from __future__ import annotations

import ctypes
import pickle
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

SLOT, SLOTS = 256 << 10, 4  # bytes of shared memory that are filled at once, and how many of them take turns


@dataclass
class _Way:
    """One end of a line in one direction. That the other end is gone both pipes tell."""

    notes: Connection  # pickled things without their arrays, and a note for each slot that is filled
    emptied: Connection  # a note for each slot that is empty again
    block: Any  # ctypes array of bytes, the shared memory
    turn: int = 0  # of the next slot

    def slot(self) -> memoryview:
        self.turn = (self.turn + 1) % SLOTS
        return memoryview(self.block).cast("B")[self.turn * SLOT : (self.turn + 1) * SLOT]

    def close(self) -> None:
        self.notes.close()
        self.emptied.close()


class Line:
    """One end of a line; what is sent at the other is received here."""

    def __init__(self, out: _Way, into: _Way) -> None:
        self._out, self._into, self._filled = out, into, 0

    def send(self, thing: Any) -> None:
        """Waits while the line is full. Raises EOFError or OSError when the other end is gone."""
        buffers: list[pickle.PickleBuffer] = []
        data = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
        parts = [buffer.raw() for buffer in buffers]
        self._out.notes.send_bytes(pickle.dumps((data, [len(part) for part in parts])))
        for pieces in _slots(parts):
            if self._filled == SLOTS:
                self._out.emptied.recv_bytes()
                self._filled -= 1
            slot, at = self._out.slot(), 0
            for piece in pieces:
                slot[at : at + len(piece)] = piece
                at += len(piece)
            self._filled += 1
            self._out.notes.send_bytes(b"")

    def recv(self) -> Any:
        """Waits for the next thing. Raises EOFError or OSError when the other end is gone."""
        data, sizes = pickle.loads(self._into.notes.recv_bytes())
        buffers = [bytearray(size) for size in sizes]
        for pieces in _slots([memoryview(buffer) for buffer in buffers]):
            self._into.notes.recv_bytes()
            slot, at = self._into.slot(), 0
            for piece in pieces:
                piece[:] = slot[at : at + len(piece)]
                at += len(piece)
            with suppress(OSError):  # who has sent the last of it may be gone, and what it has filled is still there
                self._into.emptied.send_bytes(b"")
        return pickle.loads(data, buffers=buffers)

    def close(self) -> None:
        self._out.close()
        self._into.close()


def line(context: Any) -> tuple[Line, Line]:
    """Both ends of a new line; `context`: multiprocessing's, that starts the process which gets one of them."""
    (out, there), (back, into) = _way(context), _way(context)
    return Line(out, into), Line(back, there)


def _way(context: Any) -> tuple[_Way, _Way]:
    """The sending and the receiving end."""
    notes, noting = context.Pipe(duplex=False)
    emptied, emptying = context.Pipe(duplex=False)
    block = context.RawArray(ctypes.c_byte, SLOT * SLOTS)
    return _Way(noting, emptied, block), _Way(notes, emptying, block)


def _slots(parts: Sequence[memoryview]) -> Iterator[list[memoryview]]:
    """The parts one after another, cut to what fills a slot."""
    pieces: list[memoryview] = []
    room = SLOT
    for part in parts:
        while len(part):
            pieces.append(part[:room])
            room, part = room - len(pieces[-1]), part[room:]
            if not room:
                yield pieces
                pieces, room = [], SLOT
    if pieces:
        yield pieces
