"""Thousands of frames from many threads: nothing leaks, nothing races, and every frame comes.

AUTOWIPE_SOAK_FRAMES=10000 renders as many in each of these tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import minihost
import numpy as np
import pytest
import synth
from autowipe import planes
from autowipe.decode import open_clip

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/statm") or minihost.compiler() is None,
    reason="counting open files and memory needs Linux, and a C compiler (cc, gcc or clang)",
)

COUNT, SIZE = 12, (96, 54)
MOST_KB = 4096  # that resident memory may grow by: allocators keep some, a leak of one frame a frame is 60 times that


def frames(fewer: int) -> int:
    return int(os.environ.get("AUTOWIPE_SOAK_FRAMES", fewer))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip, its plan, and its pictures as raw floats."""
    folder = tmp_path_factory.mktemp("clip")
    synth.make(folder / "clip.mp4", [synth.Burnt(synth.badge((30, 16)), (60, 4), 0, COUNT)], count=COUNT, size=SIZE)
    source = {"path": str(folder / "clip.mp4"), "size": SIZE, "rate": "25", "frames": COUNT, "fingerprint": ""}
    logo = {"id": "logo-1", "kind": "logo", "box": [58, 2, 34, 20], "events": [{"range": [0, COUNT]}]}
    body = {"autowipe_plan": 1, "source": source, "range": [0, COUNT], "shots": [[0, COUNT]], "overlays": [logo]}
    (folder / "plan.json").write_text(json.dumps(body), "utf-8")
    with open_clip(folder / "clip.mp4") as clip, (folder / "pictures").open("wb") as out:
        info = clip.info
        for frame in clip.frames():
            crop = planes.crop(frame.views, info.layout, (0, 0, *SIZE))
            rgb = planes.to_rgb(crop, info.layout, info.matrix, info.full_range, info.siting)
            out.write(np.dstack([rgb, np.ones(rgb.shape[:2], np.float32)]).tobytes())
    return folder


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with minihost.meeting_place(tmp_path_factory) as folder:
        yield folder


def build(folder: Path, *flags: str) -> tuple[Path, Path]:
    """The plug-in and the soak program, both with the same flags."""
    bundle = minihost.build_bundle(folder)
    plugin, soak = minihost.binary(bundle), folder / "soak"
    root = minihost.ROOT
    words = [*(minihost.compiler() or []), "-std=gnu11", "-g", "-O1", *flags]
    sources = [root / "ofx_bridge" / name for name in [*minihost.builder().SOURCES, "system_posix.c"]]
    plain = [*words, "-fPIC", "-fvisibility=hidden", "-shared", "-o", plugin, *sources, "-lpthread", "-ldl", "-lm"]
    tests = root / "tests" / "ofx"
    for command in (plain, [*words, "-o", soak, tests / "soak.c", tests / "minihost.c", "-lpthread", "-ldl"]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0 and flags:
            pytest.skip(f"this compiler cannot build with {' '.join(flags)}: {done.stderr[-200:]}")
        assert done.returncode == 0, done.stderr
    return plugin, soak


def run(before: list[str], built: tuple[Path, Path], clip: Path, profile: str, plan: str, count: int) -> list[int]:
    """What the soak program printed; it fails where frames failed or the plug-in did what it must not."""
    plugin, soak = built
    words = [str(soak), str(plugin), profile, plan, str(clip / "pictures")]
    numbers = [str(n) for n in (COUNT, *SIZE, count, 4)]
    done = subprocess.run([*before, *words, *numbers], capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return [int(word) for word in done.stdout.split()]


@pytest.mark.parametrize("profile", ["resolve", "mlt"])
def test_thousands_of_frames_leave_neither_files_nor_memory_behind(clip, link, tmp_path, profile):
    plan = str(clip / "plan.json")

    done, failed, changed, files, kb, files_after, kb_after = run(
        [], build(tmp_path), clip, profile, plan, frames(2000)
    )

    assert (done, failed, changed) == (frames(2000), 0, 10)
    assert files_after <= files + 8, "lines to the engine are kept for the next frames, no more than there are threads"
    assert kb_after - kb < MOST_KB


def test_valgrind_finds_nothing(clip, link, tmp_path):
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        pytest.skip("valgrind is not installed (on Debian: apt install valgrind)")
    words = [valgrind, "--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect,possible"]

    numbers = run([*words, "--error-exitcode=9"], build(tmp_path), clip, "nuke", str(clip / "plan.json"), frames(200))

    assert numbers[1:3] == [0, 10]


@pytest.mark.parametrize("kind", ["address,undefined", "thread"])
def test_the_compilers_own_watchers_find_nothing(clip, link, tmp_path, kind):
    built = build(tmp_path, f"-fsanitize={kind}", "-fno-sanitize-recover=all")

    numbers = run([], built, clip, "nuke", str(clip / "plan.json"), frames(500))

    assert numbers[1:3] == [0, 10]
