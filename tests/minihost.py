"""Drives tests/ofx/minihost.c: builds it and the plug-in, and gives hosts, effects and pictures to tests."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from conftest import ROOT

OK, FAILED, MISSING_FEATURE, DEFAULT = 0, 1, 4, 14
PROFILES = ("resolve", "nuke", "vegas", "mlt", "minimal")
FILTER, GENERAL = "OfxImageEffectContextFilter", "OfxImageEffectContextGeneral"


class How(ctypes.Structure):
    """How one picture is laid out and asked for; see minihost.h."""

    _fields_ = [
        ("bytes", ctypes.c_int),
        ("is_top_down", ctypes.c_int),
        ("left", ctypes.c_int),
        ("bottom", ctypes.c_int),
        ("window", ctypes.c_int * 4),
        ("field", ctypes.c_int),
        ("has_field_rows", ctypes.c_int),
        ("is_final", ctypes.c_int),
        ("is_premultiplied", ctypes.c_int),
    ]

    def __init__(self, depth: int = 4, *, window: tuple[int, int, int, int] = (0, 0, 0, 0), **flags: int) -> None:
        super().__init__(bytes=depth, window=(ctypes.c_int * 4)(*window), **flags)


def builder() -> ModuleType:
    """ofx_bridge/build.py, which is no package."""
    spec = importlib.util.spec_from_file_location("ofx_build", ROOT / "ofx_bridge" / "build.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compiler() -> list[str] | None:
    return builder().native_compiler()


def build_host(folder: Path, flags: Sequence[str] = ()) -> Path:
    """The mini host as a library."""
    target = folder / "libminihost.so"
    words = [*(compiler() or []), "-std=gnu11", "-O1", "-g", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", *flags]
    subprocess.run([*words, "-o", target, ROOT / "tests" / "ofx" / "minihost.c", "-lpthread", "-ldl"], check=True)
    return target


def build_bundle(folder: Path) -> Path:
    """The plug-in's bundle; the engine that it starts is the one under test."""
    build = builder()
    bundle = Path(build.build(str(folder), [build.this_machine()]))
    command = [sys.executable, "-m", "autowipe", "serve", "--idle-minutes", "5"]
    (bundle / "Contents" / "Resources" / "engine.txt").write_text("\n".join(command) + "\n", "utf-8")
    return bundle


def binary(bundle: Path) -> Path:
    return next(bundle.glob("Contents/*/AutoWipe.ofx"))


class Library:
    """The mini host's functions."""

    def __init__(self, path: Path) -> None:
        self.c = ctypes.CDLL(str(path))
        pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_double
        for name, result, arguments in (
            ("mini_open", pointer, [text, text]),
            ("mini_error", text, []),
            ("mini_close", None, [pointer]),
            ("mini_reload", ctypes.c_int, [pointer]),
            ("mini_complaints", text, [pointer]),
            ("mini_left_over", ctypes.c_int, [pointer]),
            ("mini_describe", ctypes.c_int, [pointer, text]),
            ("mini_described_text", text, [pointer, text, ctypes.c_int]),
            ("mini_described_number", ctypes.c_int, [pointer, text]),
            ("mini_param_text", text, [pointer, text, text]),
            ("mini_param_number", number, [pointer, text, text]),
            ("mini_has_clip", ctypes.c_int, [pointer, text]),
            ("mini_create", pointer, [pointer]),
            ("mini_destroy", None, [pointer]),
            ("mini_set_text", None, [pointer, text, text]),
            ("mini_set_number", None, [pointer, text, number]),
            ("mini_get_text", text, [pointer, text]),
            ("mini_get_number", number, [pointer, text]),
            ("mini_edited", ctypes.c_int, [pointer, text, number]),
            ("mini_pictures", None, [pointer, text, pointer, *[ctypes.c_int] * 3, number, ctypes.c_int]),
            ("mini_render", ctypes.c_int, [pointer, number, ctypes.POINTER(How), pointer]),
            (
                "mini_render_many",
                ctypes.c_int,
                [pointer, ctypes.c_int, pointer, ctypes.c_int, ctypes.c_int, ctypes.POINTER(How), pointer],
            ),
            ("mini_frames_needed", ctypes.c_int, [pointer, number, pointer]),
            ("mini_is_identity", ctypes.c_int, [pointer, number]),
            ("mini_abort_in", None, [pointer, number]),
            ("mini_message", text, [pointer]),
            ("mini_fetches", number, [pointer]),
            ("mini_seconds", number, [pointer]),
        ):
            function = getattr(self.c, name)
            function.restype, function.argtypes = result, arguments


class Host:
    """A host of one profile with the plug-in loaded and described."""

    def __init__(self, library: Library, plugin: Path, profile: str, context: str = FILTER) -> None:
        self.c, self.profile = library.c, profile
        self.handle = self.c.mini_open(os.fsencode(plugin), profile.encode())
        assert self.handle, self.c.mini_error().decode()
        assert self.describe(context) == OK
        self.effects: list[Effect] = []

    def describe(self, context: str) -> int:
        return self.c.mini_describe(self.handle, context.encode())

    def text(self, name: str, index: int = 0) -> str | None:
        value = self.c.mini_described_text(self.handle, name.encode(), index)
        return None if value is None else value.decode()

    def param(self, name: str, prop: str) -> float | None:
        value = self.c.mini_param_number(self.handle, name.encode(), prop.encode())
        return None if value == -1e99 else value

    def effect(self) -> Effect:
        made = Effect(self)
        self.effects.append(made)
        return made

    @property
    def complaints(self) -> str:
        return self.c.mini_complaints(self.handle).decode()

    def close(self) -> None:
        """Takes everything down and fails where the plug-in did what it must not."""
        for effect in self.effects:
            effect.close()
        complaints, left = self.complaints, self.c.mini_left_over(self.handle)
        self.c.mini_close(self.handle)
        assert not complaints, complaints
        assert left == 0, f"{left} pictures were never released"


class Effect:
    """One effect on one clip."""

    def __init__(self, host: Host) -> None:
        self.c, self.host = host.c, host
        self.handle = self.c.mini_create(host.handle)
        assert self.handle
        self._pictures: dict[str, np.ndarray] = {}

    def pictures(self, rgba: np.ndarray, *, clip: str = "Source", first: float = 0, repeats: bool = False) -> None:
        """`rgba`: (T, H, W, 4) float32, frame 0 at time `first`."""
        held = np.ascontiguousarray(rgba, np.float32)
        self._pictures[clip] = held
        count, height, width = held.shape[:3]
        at = held.ctypes.data
        self.c.mini_pictures(self.handle, clip.encode(), at, count, width, height, first, repeats)

    def set(self, **values: str | float) -> None:
        for name, value in values.items():
            if isinstance(value, str):
                self.c.mini_set_text(self.handle, name.encode(), os.fsencode(value))
            else:
                self.c.mini_set_number(self.handle, name.encode(), value)

    def text(self, name: str) -> str:
        return os.fsdecode(self.c.mini_get_text(self.handle, name.encode()))

    def number(self, name: str) -> float:
        return self.c.mini_get_number(self.handle, name.encode())

    def edited(self, name: str, time: float = 0) -> int:
        return self.c.mini_edited(self.handle, name.encode(), time)

    def render(self, time: float, how: How | None = None) -> tuple[int, np.ndarray]:
        """The action's status and (H, W, 4) float32, -1 where nothing was written."""
        how = how or How()
        height, width = self._pictures["Source"].shape[1:3]
        out = np.empty((height // (2 if how.has_field_rows else 1), width, 4), np.float32)
        return self.c.mini_render(self.handle, time, how, out.ctypes.data), out

    def frames_needed(self, time: float) -> tuple[int, tuple[float, float]]:
        span = (ctypes.c_double * 2)()
        return self.c.mini_frames_needed(self.handle, time, span), (span[0], span[1])

    def is_identity(self, time: float = 0) -> bool:
        return bool(self.c.mini_is_identity(self.handle, time))

    def abort_in(self, seconds: float) -> None:
        self.c.mini_abort_in(self.handle, seconds)

    @property
    def message(self) -> str:
        return self.c.mini_message(self.handle).decode()

    @property
    def fetches(self) -> int:
        return int(self.c.mini_fetches(self.handle))

    @property
    def seconds(self) -> float:
        """That the plug-in took for the last render; fetching pictures, which the host does, not counted."""
        return self.c.mini_seconds(self.handle)

    def close(self) -> None:
        if self.handle:
            self.c.mini_destroy(self.handle)
        self.handle = None


def render_many(
    effects: Sequence[Effect], times: Sequence[float], threads: int, how: How | None = None, *, keep: bool = True
) -> tuple[int, np.ndarray | None]:
    """How many failed, and (N, H, W, 4) float32 in the order of `times`."""
    first = effects[0]
    height, width = first._pictures["Source"].shape[1:3]
    out = np.empty((len(times), height, width, 4), np.float32) if keep else None
    handles = (ctypes.c_void_p * len(effects))(*[effect.handle for effect in effects])
    moments = (ctypes.c_double * len(times))(*times)
    where = None if out is None else out.ctypes.data
    failed = first.c.mini_render_many(handles, len(effects), moments, len(times), threads, how or How(), where)
    return failed, out


@contextmanager
def hosts(library: Library, plugin: Path) -> Iterator[Callable[..., Host]]:
    """Opens hosts, and closes all of them with their checks."""
    opened: list[Host] = []

    def make(profile: str = "nuke", context: str = FILTER) -> Host:
        opened.append(Host(library, plugin, profile, context))
        return opened[-1]

    yield make
    for host in opened:
        host.close()


@contextmanager
def meeting_place(factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A link folder and a state folder of some tests' own; the engine that a render starts there ends with them."""
    patch = pytest.MonkeyPatch()
    folder = factory.mktemp("l")
    folder.chmod(0o700)
    patch.setenv("AUTOWIPE_LINK", str(folder))
    patch.setenv("XDG_STATE_HOME", str(factory.mktemp("state")))
    yield folder
    stop_engine(folder)
    patch.undo()


def engine_pid(link: Path) -> int | None:
    try:
        lines = (link / "endpoint").read_text("utf-8").splitlines()
    except OSError:
        return None
    return int(dict(line.split(" ", 1) for line in lines)["pid"])


def stop_engine(link: Path, sign: int = signal.SIGTERM) -> None:
    """Ends the engine, if there is one, and waits until it is gone."""
    pid = engine_pid(link)
    if pid is None or pid == os.getpid():
        return
    try:
        for _ in range(200):
            os.kill(pid, sign)
            time.sleep(0.05)
    except ProcessLookupError:
        pass
