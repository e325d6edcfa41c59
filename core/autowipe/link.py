"""The engine's end of the line to plug-ins: a socket on this machine, a handshake, messages, shared memory for pixels.

A message is its body's size and its type (u32 each), then the body: little-endian numbers and texts (u32 of bytes,
then UTF-8). `ofx_bridge/link.h` is the other end. Types, and who says them:

    hello    plug-in  protocol u32, token, plug-in version, host, name of the shared file
    welcome  engine   protocol u32, version
    render   plug-in  a Request: what should this frame look like?
    analyse  plug-in  a Request: make a plan of the media, or of the host's frames
    status   plug-in  a Request: how is it?
    share    engine   bytes u64 that the shared file must have; `got` answers with those that it has
    want     engine   work done f64, text, u32 count, then for each picture: time f64, box 4 i32, step u32, form u32
                      (0 digest, 1 float RGB), offset u64; `got` answers for each: is there u32, digest u64
    result   engine   state u32, text, plan, u32 count, then for each plate: box 4 i32, offsets of RGB and labels u64

Engine and plug-in of one user meet in a folder that only he may enter; `endpoint` in it says where to call.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import mmap
import os
import re
import secrets
import socket
import stat
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import EngineLinkError, said

log = logging.getLogger(__name__)

PROTOCOL = 1
HELLO, WELCOME, RENDER, ANALYSE, STATUS, WANT, GOT, SHARE, RESULT = range(1, 10)
DONE, NOT_YET, WRONG = range(3)  # states of a result
DIGEST, FLOAT_RGB = range(2)  # forms of a wanted picture

MOST_BODY = 1 << 20  # bytes: what is larger is no message
MOST_SHARED = 1 << 30  # bytes of one line's shared file
HANDSHAKE_S = 5.0
SEND_S = 10.0  # a plug-in that reads nothing for so long is gone

Box = tuple[int, int, int, int]
Caller = socket.socket  # who has yet to say hello


@dataclass(frozen=True)
class Request:
    """What a plug-in says of a frame or an analysis."""

    session: str  # one effect in one host
    plan: str  # path, or ""
    media: str  # path of the clip to analyse, or "" for the host's frames
    frame_offset: int  # frame of the plan's clip at time 0
    kinds: int  # bits in the order of job.KINDS
    time: float
    first: float  # times that the host's clip has; last < first where it is not known
    last: float
    width: int  # of the whole picture, px
    height: int
    field: int  # 1 lower, 2 upper: the picture holds the rows of that field; else 0
    can_fetch: bool  # the host gives other frames than the one of `time`


@dataclass(frozen=True)
class Wish:
    """A picture that the engine wants of the host: every `step`-th px of every `step`-th row of a box."""

    time: float
    box: Box  # px from the top left
    step: int = 1
    form: int = FLOAT_RGB


@dataclass
class Served:
    """A plate as it goes over the host's picture."""

    box: Box  # px from the top left of the host's picture
    rgb: np.ndarray  # (h, w, 3) float32
    labels: np.ndarray  # (h, w) uint8 provenance, 0 where nothing may be written


class Gone(EngineLinkError):
    """The plug-in has hung up, or speaks in another way than it should."""

    def __init__(self, text: str = "the plug-in has hung up") -> None:
        super().__init__(text, hint="The host will call again.")


def link_folder() -> Path:
    """Where engine and plug-in meet: ofx_bridge/system_*.c have the same rule. Made if need be.

    Raises EngineLinkError where somebody else could enter it.
    """
    if os.environ.get("AUTOWIPE_LINK"):
        folder = Path(os.environ["AUTOWIPE_LINK"])
    elif sys.platform == "win32":
        folder = Path(os.environ["LOCALAPPDATA"]) / "AutoWipe" / "link"
    elif sys.platform == "darwin" and os.environ.get("TMPDIR"):
        folder = Path(os.environ["TMPDIR"]) / "autowipe"
    elif sys.platform != "darwin" and os.environ.get("XDG_RUNTIME_DIR"):
        folder = Path(os.environ["XDG_RUNTIME_DIR"]) / "autowipe"
    else:
        folder = Path("/tmp") / f"autowipe-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.lstat()
    except OSError as err:
        raise EngineLinkError(f"the folder {folder} cannot be made: {said(err)}", hint="Check its rights.") from err
    if sys.platform != "win32" and (
        not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077
    ):
        raise EngineLinkError(
            f"the folder {folder} is not this user's alone", hint="Remove it, or run: chmod 700 on it, and start again."
        )
    return folder


class Listener:
    """A socket that plug-ins of this user call, and the endpoint file that says so."""

    def __init__(self, folder: Path, transport: str = "auto") -> None:
        """Raises EngineLinkError when nothing can be listened on."""
        if transport == "auto":
            transport = "unix" if hasattr(socket, "AF_UNIX") else "tcp"
        self._folder, self._token = folder, secrets.token_hex(32)
        self._address: Path | None = None  # of a socket file
        self._file = folder / "endpoint"
        try:
            if transport == "unix":
                self._address = address = folder / "engine.sock"
                address.unlink(missing_ok=True)
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._socket.bind(str(address))
                where = str(address)
            else:
                self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                self._socket.bind(("127.0.0.1", 0))
                where = str(self._socket.getsockname()[1])
            self._socket.listen(64)
        except OSError as err:
            raise EngineLinkError(f"no line can be opened in {folder}: {err}", hint="Check the folder.") from err
        body = f"protocol {PROTOCOL}\ntransport {transport}\naddress {where}\ntoken {self._token}\npid {os.getpid()}\n"
        part = self._file.with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(body)
        part.replace(self._file)
        self.address = f"{transport} {where}"

    def accept(self, wait_s: float) -> socket.socket | None:
        """The next caller, who has yet to say hello; None when none came in time."""
        self._socket.settimeout(wait_s)
        try:
            caller, _ = self._socket.accept()
        except TimeoutError:
            return None
        return caller

    def welcome(self, caller: socket.socket, version: str) -> Line:
        """Shakes hands. Raises Gone when the caller does not know the token or speaks another protocol."""
        line = Line(caller)
        try:
            line.wait_s = HANDSHAKE_S
            kind, body = line.receive()
            protocol, token = body.u32(), body.text()
            if kind != HELLO or not hmac.compare_digest(token.encode(), self._token.encode()):
                raise Gone("a caller does not know the token")
            body.text()
            line.host, name = body.text(), body.text()
            if protocol != PROTOCOL:
                raise Gone(f"a plug-in speaks protocol {protocol}, this engine {PROTOCOL}")
            if not re.fullmatch(r"pixels-[0-9a-f]{16}", name):
                raise Gone("a plug-in names a wrong file")
            line.open_shared(self._folder / name)
            line.send(WELCOME, Packing().u32(PROTOCOL).text(version))
            line.wait_s = None
        except BaseException:
            line.close()
            raise
        return line

    def close(self) -> None:
        self._socket.close()
        with contextlib.suppress(OSError):
            if self._token in self._file.read_text("utf-8"):
                self._file.unlink()
                if self._address is not None:
                    self._address.unlink()


class Packing:
    """Puts a body together."""

    def __init__(self) -> None:
        self.bytes = bytearray()

    def u32(self, value: int) -> Packing:
        self.bytes += struct.pack("<I", value)
        return self

    def u64(self, value: int) -> Packing:
        self.bytes += struct.pack("<Q", value)
        return self

    def f64(self, value: float) -> Packing:
        self.bytes += struct.pack("<d", value)
        return self

    def box(self, box: Box) -> Packing:
        self.bytes += struct.pack("<4i", *box)
        return self

    def text(self, text: str) -> Packing:
        data = text.encode("utf-8", "replace")
        self.bytes += struct.pack("<I", len(data)) + data
        return self


class Body:
    """Takes a body apart, in order. Raises Gone where it is too short."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def _take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) != count:
            raise Gone("a plug-in's message is too short")
        self._at += count
        return part

    def u32(self) -> int:
        return int(struct.unpack("<I", self._take(4))[0])

    def i32(self) -> int:
        return int(struct.unpack("<i", self._take(4))[0])

    def u64(self) -> int:
        return int(struct.unpack("<Q", self._take(8))[0])

    def f64(self) -> float:
        return float(struct.unpack("<d", self._take(8))[0])

    def text(self) -> str:
        return self._take(self.u32()).decode("utf-8", "surrogateescape")

    def request(self) -> Request:
        """Raises Gone where a number cannot be one of a picture."""
        made = Request(
            session=self.text(),
            plan=self.text(),
            media=self.text(),
            frame_offset=self.i32(),
            kinds=self.u32(),
            time=self.f64(),
            first=self.f64(),
            last=self.f64(),
            width=self.i32(),
            height=self.i32(),
            field=self.u32(),
            can_fetch=bool(self.u32()),
        )
        times = (made.time, made.first, made.last)
        if not all(abs(t) < 1e9 for t in times) or not (0 <= made.width < 65536 and 0 <= made.height < 65536):
            raise Gone("a plug-in's request makes no sense")
        return made


class Line:
    """One plug-in's line: used by one thread at a time."""

    def __init__(self, caller: socket.socket) -> None:
        self._socket = caller
        self._file = -1
        self._shared: mmap.mmap | None = None
        self.host = ""
        self.wait_s: float | None = None  # for the next message; None is without end

    def open_shared(self, path: Path) -> None:
        flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            self._file = os.open(path, flags)
        except OSError as err:
            raise Gone(f"a plug-in's shared file cannot be opened: {err}") from err

    def receive(self) -> tuple[int, Body]:
        """The next message. Raises Gone at the end of the line."""
        size, kind = struct.unpack("<2I", self._read(8))
        if size > MOST_BODY:
            raise Gone(f"a plug-in's message has {size} bytes")
        return kind, Body(self._read(size))

    def _read(self, count: int) -> bytes:
        self._socket.settimeout(self.wait_s)
        parts = []
        try:
            while count:
                part = self._socket.recv(count)
                if not part:
                    raise Gone()
                parts.append(part)
                count -= len(part)
        except OSError as err:
            raise Gone() from err
        return b"".join(parts)

    def send(self, kind: int, body: Packing) -> None:
        try:
            self._socket.settimeout(SEND_S)
            self._socket.sendall(struct.pack("<2I", len(body.bytes), kind) + body.bytes)
        except OSError as err:
            raise Gone() from err

    @property
    def is_open(self) -> bool:
        """False once the plug-in has hung up: nobody waits for what is being made."""
        try:
            self._socket.settimeout(0)
            return self._socket.recv(1, socket.MSG_PEEK) != b""
        except (BlockingIOError, TimeoutError):
            return True
        except OSError:
            return False

    def memory(self, size: int) -> mmap.mmap:
        """The shared memory, with at least `size` bytes. Raises Gone where the plug-in has no room."""
        if self._shared is None or len(self._shared) < size:
            if size > MOST_SHARED:
                raise Gone(f"a frame needs {size} bytes of shared memory")
            self.send(SHARE, Packing().u64(max(size, 1 << 16)))
            kind, body = self.receive()
            has = body.u64()
            if kind != GOT or has < size or os.fstat(self._file).st_size < has:
                raise Gone("a plug-in has no room for pixels")
            self._shared = mmap.mmap(self._file, has)
        return self._shared

    def want(self, wishes: list[Wish], done: float = 0.0, text: str = "") -> list[tuple[np.ndarray | None, int]]:
        """For each wish its picture, (h, w, 3) float32, and digest; the picture is None where the host has none.

        Pictures lie in shared memory: they hold until the next call.
        """
        places, size = [], 0
        for wish in wishes:
            h, w = -(-wish.box[3] // wish.step), -(-wish.box[2] // wish.step)
            places.append((size, h, w))
            size += 12 * h * w if wish.form == FLOAT_RGB else 0
        memory = self.memory(size) if size else b""
        body = Packing().f64(done).text(text).u32(len(wishes))
        for wish, (offset, _, _) in zip(wishes, places, strict=True):
            body.f64(wish.time).box(wish.box).u32(wish.step).u32(wish.form).u64(offset)
        self.send(WANT, body)
        kind, answer = self.receive()
        if kind != GOT:
            raise Gone("a plug-in answers with something else")
        found: list[tuple[np.ndarray | None, int]] = []
        for wish, (offset, h, w) in zip(wishes, places, strict=True):
            is_there, digest = answer.u32(), answer.u64()
            picture = None
            if is_there and wish.form == FLOAT_RGB:
                picture = np.frombuffer(memory, np.float32, 3 * h * w, offset).reshape(h, w, 3)
            found.append((picture, digest if is_there else 0))
        return found

    def result(self, state: int, text: str, plates: list[Served] | None = None, plan: str = "") -> None:
        """Ends a dialogue."""
        plates = plates or []
        places, size = [], 0
        for plate in plates:
            h, w = plate.labels.shape
            places.append((size, size + 12 * h * w))
            size += -(-13 * h * w // 4) * 4
        body = Packing().u32(state).text(text).text(plan).u32(len(plates))
        if plates:
            memory = self.memory(size)
            for plate, (rgb, labels) in zip(plates, places, strict=True):
                h, w = plate.labels.shape
                np.frombuffer(memory, np.float32, 3 * h * w, rgb).reshape(h, w, 3)[...] = plate.rgb
                np.frombuffer(memory, np.uint8, h * w, labels).reshape(h, w)[...] = plate.labels
                body.box(plate.box).u64(rgb).u64(labels)
        self.send(RESULT, body)

    def close(self) -> None:
        self._socket.close()
        self._shared = None  # goes with the last array that looks into it
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
