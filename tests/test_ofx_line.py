"""The line between plug-in and engine, with each end facing one that misbehaves."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import minihost
import numpy as np
import pytest
from autowipe import link
from autowipe.errors import EngineLinkError
from minihost import OK, Effect, Host, Library

has_compiler = pytest.mark.skipif(
    os.name == "nt" or minihost.compiler() is None, reason="no C compiler at hand (cc, gcc or clang) to build the host"
)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with minihost.meeting_place(tmp_path_factory) as made:
        yield made


def start(*words: str) -> subprocess.Popen:
    """A real engine, once it listens."""
    command = [sys.executable, "-m", "autowipe", "serve", "--idle-minutes", "2", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "serves plug-ins" in process.stderr.readline()
    return process


def endpoint(folder: Path) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in (folder / "endpoint").read_text("utf-8").splitlines())


def call(folder: Path) -> socket.socket:
    where = endpoint(folder)
    if where["transport"] == "unix":
        caller = socket.socket(socket.AF_UNIX)
        caller.connect(where["address"])
    else:
        caller = socket.create_connection(("127.0.0.1", int(where["address"])))
    caller.settimeout(20)
    return caller


def hello(folder: Path, **other: object) -> bytes:
    """A hello with its shared file made."""
    name = f"pixels-{secrets.token_hex(8)}"
    (folder / name).touch()
    body = {"protocol": 1, "token": endpoint(folder)["token"], "version": "0", "host": "test", "file": name, **other}
    packed = link.Packing().u32(int(str(body.pop("protocol"))))
    for text in body.values():
        packed.text(str(text))
    return struct.pack("<2I", len(packed.bytes), link.HELLO) + bytes(packed.bytes)


def answer(caller: socket.socket) -> int | None:
    """The type of the next message, None where the engine hung up."""
    try:
        head = caller.recv(8)
    except ConnectionResetError:  # with words of ours unread
        return None
    if not head:
        return None
    size, kind = struct.unpack("<2I", head)
    while size:
        part = caller.recv(size)
        assert part
        size -= len(part)
    return kind


def test_only_who_knows_the_token_and_the_protocol_is_welcome(folder):
    process = start()
    try:
        for wrong in ({"token": "0" * 64}, {"protocol": 2}, {"file": "../endpoint"}, {"file": "endpoint"}):
            with call(folder) as caller:
                caller.sendall(hello(folder, **wrong))
                assert answer(caller) is None, wrong
        with call(folder) as caller:
            caller.sendall(hello(folder))
            assert answer(caller) == link.WELCOME
    finally:
        process.terminate()
        process.wait(20)


def test_garbage_ends_its_own_line_and_no_other(folder):
    process = start()
    try:
        with call(folder) as good:
            good.sendall(hello(folder))
            assert answer(good) == link.WELCOME
            request = link.Packing().text("s").text("").text("").u32(0).u32(15)
            for _ in range(3):
                request.f64(0.0)
            request.u32(0).u32(0).u32(0).u32(0)
            status = struct.pack("<2I", len(request.bytes), link.STATUS) + bytes(request.bytes)
            for bad in (
                b"GET / HTTP/1.1\r\n\r\n",
                struct.pack("<2I", 1 << 30, link.HELLO),
                hello(folder) + struct.pack("<2I", 4, link.RENDER) + b"\xff\xff\xff\xff",
                hello(folder) + struct.pack("<2I", 0, 77),
                hello(folder)[:20],
            ):
                with call(folder) as caller:
                    caller.sendall(bad)
                    caller.shutdown(socket.SHUT_WR)
                    while answer(caller) is not None:
                        pass
                good.sendall(status)
                assert answer(good) == link.RESULT
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(20)
    assert "Traceback" not in (folder / "serve.log").read_text("utf-8")


def test_one_engine_serves_a_user_and_a_second_leaves_quietly(folder):
    process = start()
    try:
        second = subprocess.run([sys.executable, "-m", "autowipe", "serve"], timeout=60, capture_output=True)
        assert second.returncode == 0
        assert endpoint(folder)["pid"] == str(process.pid)
    finally:
        process.terminate()
        process.wait(20)
    assert not (folder / "endpoint").exists()


def test_an_engine_that_nobody_asks_ends_by_itself(folder):
    command = [sys.executable, "-m", "autowipe", "serve", "--idle-minutes", "0.01"]

    done = subprocess.run(command, timeout=120, capture_output=True)

    assert done.returncode == 0
    assert not (folder / "endpoint").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps others out of a user's folder itself")
def test_a_folder_that_others_can_enter_is_refused(folder, monkeypatch):
    folder.chmod(0o755)

    with pytest.raises(EngineLinkError, match="not this user's alone"):
        link.link_folder()
    folder.chmod(0o700)


@pytest.mark.skipif(os.name == "nt", reason="POSIX file rights")
def test_what_lies_in_the_folder_is_for_the_user_only(folder):
    process = start()
    try:
        assert (folder / "endpoint").stat().st_mode & 0o077 == 0
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(minihost.build_host(tmp_path_factory.mktemp("host")))


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bundle = minihost.build_bundle(tmp_path_factory.mktemp("ofx"))
    (bundle / "Contents" / "Resources" / "engine.txt").unlink()
    return minihost.binary(bundle)


@pytest.fixture
def open_host(library: Library, plugin: Path, folder: Path) -> Iterator[Callable[..., Host]]:
    with minihost.hosts(library, plugin) as make:
        yield make


SOURCE = np.random.default_rng(1).random((2, 20, 30, 4), np.float32)


@pytest.fixture
def effect(open_host: Callable[..., Host]) -> Effect:
    effect = open_host().effect()
    effect.pictures(SOURCE)
    effect.set(planFile="/some/plan.json", wait=1.0)
    return effect


@contextmanager
def fake_engine(folder: Path, behave: Callable[[link.Line], None], *, protocol: int = 1) -> Iterator[link.Listener]:
    """An engine that shakes hands like ours and then does as it likes."""
    listener = link.Listener(folder)
    if protocol != 1:
        text = (folder / "endpoint").read_text("utf-8").replace("protocol 1", f"protocol {protocol}")
        (folder / "endpoint").write_text(text, "utf-8")
    ends = threading.Event()
    lines: list[link.Line] = []

    def attend() -> None:
        while not ends.is_set():
            caller = listener.accept(0.1)
            if caller is None:
                continue
            try:
                line = listener.welcome(caller, "fake")
            except link.Gone:
                continue
            lines.append(line)
            try:
                while True:
                    line.receive()
                    behave(line)
            except (link.Gone, OSError):
                pass
            finally:
                line.close()

    thread = threading.Thread(target=attend, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        ends.set()
        for line in lines:
            with contextlib.suppress(OSError):
                line._socket.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def raw(line: link.Line, data: bytes) -> None:
    line._socket.sendall(data)


def plate(line: link.Line, box: tuple[int, int, int, int], rgb: int, labels: int, count: int = 1) -> None:
    line.memory(1 << 16)
    body = link.Packing().u32(0).text("").text("").u32(count)
    line.send(link.RESULT, body.box(box).u64(rgb).u64(labels))


BEHAVIOURS: dict[str, Callable[[link.Line], None]] = {
    "never answers": lambda line: time.sleep(1.5),
    "hangs up": lambda line: line.close(),
    "hangs up in the middle of a head": lambda line: (raw(line, b"\x10\0\0"), line.close()),
    "hangs up in the middle of a body": lambda line: (raw(line, struct.pack("<2I", 100, 9) + b"x"), line.close()),
    "sends a huge length": lambda line: raw(line, struct.pack("<2I", 0xFFFFFFF0, 9)),
    "sends an unknown type": lambda line: raw(line, struct.pack("<2I", 0, 99)),
    "sends an empty result": lambda line: raw(line, struct.pack("<2I", 0, link.RESULT)),
    "sends noise": lambda line: raw(line, secrets.token_bytes(64)),
    "wants more memory than there may be": lambda line: line.send(link.SHARE, link.Packing().u64(1 << 45)),
    "wants a million pictures": lambda line: line.send(link.WANT, link.Packing().f64(0).text("").u32(1_000_000)),
    "wants pixels without memory": lambda line: line.send(
        link.WANT, link.Packing().f64(0).text("").u32(1).f64(0).box((0, 0, 20, 20)).u32(1).u32(1).u64(1 << 40)
    ),
    "wants a box from hell": lambda line: line.send(
        link.WANT, link.Packing().f64(0).text("").u32(1).f64(0).box((-5, 0, 2**31 - 1, 9)).u32(1).u32(1).u64(0)
    ),
    "gives a plate outside of the memory": lambda line: plate(line, (0, 0, 20, 20), 1 << 40, 0),
    "gives a plate that is too large": lambda line: plate(line, (0, 0, 9000, 9000), 0, 0),
    "gives a plate of negative size": lambda line: plate(line, (0, 0, -9, 9), 0, 0),
    "gives an odd offset": lambda line: plate(line, (0, 0, 9, 9), 3, 0),
    "gives more plates than it says": lambda line: plate(line, (0, 0, 9, 9), 0, 0, count=40),
    "gives too many plates": lambda line: plate(line, (0, 0, 9, 9), 0, 0, count=65),
}


@has_compiler
@pytest.mark.parametrize("name", BEHAVIOURS)
def test_whatever_an_engine_does_the_host_gets_its_frame(effect, folder, name):
    with fake_engine(folder, BEHAVIOURS[name]):
        status, out = effect.render(0)

        assert status == OK
        assert np.array_equal(out, SOURCE[0])
        assert "The picture is unchanged" in effect.message


@has_compiler
def test_a_plate_reaches_no_further_than_the_picture(effect, folder):
    def large(line: link.Line) -> None:
        rgb = np.full((50, 60, 3), 0.25, np.float32)
        line.result(link.DONE, "", [link.Served((10, 5, 60, 50), rgb, np.full((50, 60), 2, np.uint8))])

    with fake_engine(folder, large):
        status, out = effect.render(0)

    assert status == OK
    assert (out[5:, 10:, :3] == 0.25).all()
    assert np.array_equal(out[:5], SOURCE[0][:5])
    assert np.array_equal(out[:, :10], SOURCE[0][:, :10])


@has_compiler
def test_an_engine_of_another_version_is_not_spoken_to(effect, folder):
    with fake_engine(folder, lambda line: pytest.fail("it was asked"), protocol=2):
        status, out = effect.render(0)

    assert status == OK
    assert np.array_equal(out, SOURCE[0])
    assert "different versions" in effect.message


@has_compiler
def test_a_host_that_aborts_is_not_kept_waiting(effect, folder):
    asked = threading.Event()
    effect.set(wait=3600.0)
    effect.abort_in(0.3)

    with fake_engine(folder, lambda line: (asked.set(), time.sleep(1))):
        status, out = effect.render(0)  # an hour, if abort were not heard

    assert asked.is_set()
    assert status == OK
    assert np.array_equal(out, SOURCE[0])
    assert effect.message == ""


@has_compiler
def test_a_line_is_kept_for_the_next_frame(effect, folder):
    lines = set()

    def fine(line: link.Line) -> None:
        lines.add(id(line))
        line.result(link.DONE, "")

    with fake_engine(folder, fine):
        for _ in range(5):
            assert effect.render(0)[0] == OK
            assert effect.message == ""

    assert len(lines) == 1


@has_compiler
def test_nothing_is_left_in_the_folder(effect, folder):
    with fake_engine(folder, lambda line: line.result(link.DONE, "")):
        effect.render(0)

        assert not [name for name in os.listdir(folder) if name.startswith("pixels")]


@has_compiler
def test_the_line_works_over_a_port_too(effect, folder):
    process = start("--transport", "tcp")
    try:
        assert endpoint(folder)["transport"] == "tcp"
        assert effect.render(0)[0] == OK
        assert "/some/plan.json" in effect.message
        effect.edited("startEngine")
        assert re.search(r"AutoWipe .* is running|cannot be read", effect.text("status"))
    finally:
        process.terminate()
        process.wait(20)


@has_compiler
@pytest.mark.skipif(os.name == "nt", reason="POSIX file rights")
def test_the_plug_in_enters_no_folder_that_others_can_write_to(effect, folder):
    with fake_engine(folder, lambda line: pytest.fail("it was asked")):
        folder.chmod(0o777)
        status, out = effect.render(0)
        folder.chmod(0o700)

    assert status == OK
    assert np.array_equal(out, SOURCE[0])
