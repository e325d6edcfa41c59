"""A real cluster on this machine: workers and scheduler die, and the result is that of one machine, to the bit."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import media
import pytest
import synth
from autowipe.batch import certificate
from autowipe.batch.paths import PathMap
from autowipe.batch.queue import plan_print
from autowipe.job import Job

LONG = 364  # s, at a frame a second: two sections of pass A
SLOW = {"cuts": (30, 72, 110, 150, 184, 220, 260, 300, 330), "pan": 1}


def start(*words: object, **named: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "autowipe", *map(str, words)], stderr=subprocess.PIPE, text=True, **named
    )


def wait_for(is_so: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Cluster:
    """A scheduler and workers, each a process that a test may kill."""

    def __init__(self, folder: Path) -> None:
        self.pem, self.port, self._page = folder / "farm.pem", free_port(), free_port()
        certificate.make(str(self.pem))
        self.address = f"tls://127.0.0.1:{self.port}"
        self.scheduler = self.start_scheduler()
        self.workers = {number: self.start_worker(number) for number in (1, 2, 3)}

    def start_scheduler(self) -> subprocess.Popen[str]:
        words = ("--host", "127.0.0.1", "--port", self.port, "--dashboard", self._page)
        return self._start("scheduler", *words)

    def start_worker(self, number: int) -> subprocess.Popen[str]:
        return self._start("worker", self.address, "--name", f"w{number}", "--jobs", 1, "--memory", 4)

    def _start(self, *words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "autowipe", "farm", *map(str, words), "--certificate", str(self.pem)],
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        processes = [*self.workers.values(), self.scheduler]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = Cluster(tmp_path_factory.mktemp("farm"))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short clips and one that is long enough to be analysed and wiped in parts, each with a mark."""
    folder = tmp_path_factory.mktemp("clips")
    mark = synth.badge((40, 24))
    for number in range(3):
        burnt = [synth.Burnt(mark, (112, 6), 0, 40, 0.7)]
        synth.make(
            folder / f"short{number}.mp4", burnt, count=40, size=(160, 90), rate=4, pan=3, keep=False, seed=number + 1
        )
    synth.make(
        folder / "long.mp4",
        [synth.Burnt(mark, (112, 6), 0, LONG, 0.7)],
        count=LONG,
        size=(160, 90),
        rate=1,
        keep=False,
        **SLOW,
    )
    return folder


def engines_of(output: Path) -> list[str]:
    """Command lines of the engines that work for a batch."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
        except (OSError, UnicodeDecodeError):
            continue
        if "engine" in words and any(word.startswith(str(output)) for word in words):
            found.append(" ".join(words))
    return found


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are looked up in /proc")


@needs_proc
def test_a_cluster_that_loses_a_worker_and_its_scheduler_gives_what_one_machine_gives(
    cluster: Cluster, clips: Path, tmp_path: Path
) -> None:
    options = ("--codec", "ffv1")
    alone = start("batch", clips, "-o", tmp_path / "one", *options)
    assert alone.wait(200) == 0, alone.stderr.read()

    out = tmp_path / "many"
    many = start("batch", clips, "-o", out, *options, "--scheduler", cluster.address, "--certificate", cluster.pem)
    wait_for(lambda: engines_of(out))
    cluster.workers[1].send_signal(signal.SIGKILL)
    cluster.workers[1].wait()
    wait_for(lambda: list((out / ".autowipe-batch" / "jobs").glob("*/messages-*-part-*.jsonl")))
    cluster.scheduler.send_signal(signal.SIGKILL)
    cluster.scheduler.wait()
    cluster.scheduler = cluster.start_scheduler()
    cluster.workers[1] = cluster.start_worker(1)

    assert many.wait(250) == 0, many.stderr.read()
    for name in ("short0_clean.mkv", "short1_clean.mkv", "short2_clean.mkv", "long_clean.mkv"):
        assert (out / name).read_bytes() == (tmp_path / "one" / name).read_bytes(), name
    plans = [tmp_path / which / "plans" / "long_clean.json" for which in ("one", "many")]
    assert plan_print(str(plans[0])) == plan_print(str(plans[1])) != ""
    figures = json.loads((out / "batch.json").read_text("utf-8"))["clips"]
    assert [clip["state"] for clip in figures] == ["done"] * 4
    # What was in flight on the lost worker is begun again, as often as its engine, which nobody heeds, is still busy;
    # a clip that no loss has hit is done once.
    again = [clip["attempts"] for clip in figures if clip["attempts"] > 1]
    assert len(again) <= 1 and all(attempts <= 6 for attempts in again)
    (long,) = (out / ".autowipe-batch" / "jobs").glob("long*")
    tasks = {path.name.removesuffix(".jsonl").split("-", 2)[2] for path in long.glob("messages-*-*.jsonl")}
    assert sum(task.startswith("look-") for task in tasks) == 2
    assert sum(task.startswith("part-") for task in tasks) > 1
    assert len(list(long.glob("messages-*-join.jsonl"))) == 1
    assert not list(out.rglob(".*.autowipe")), "a working folder is left"


@needs_proc
def test_a_cancelled_batch_ends_the_engines_on_the_workers(cluster: Cluster, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch = start("batch", clips, "-o", out, "--scheduler", cluster.address, "--certificate", cluster.pem)
    wait_for(lambda: engines_of(out))

    batch.send_signal(signal.SIGINT)

    assert batch.wait(100) == 130
    assert not engines_of(out)


def test_a_client_without_encryption_is_refused(cluster: Cluster) -> None:
    distributed = pytest.importorskip("distributed")

    with pytest.raises(OSError):
        distributed.Client(f"tcp://127.0.0.1:{cluster.port}", timeout=5)


def test_a_client_with_another_certificate_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    certificate.make(str(tmp_path / "other.pem"))

    with pytest.raises(OSError):
        distributed.Client(cluster.address, security=certificate.security(str(tmp_path / "other.pem")), timeout=5)


def test_other_machines_are_not_spoken_to_in_the_clear(tmp_path: Path) -> None:
    clip = media.write_clip(tmp_path / "a.mkv", frames=2)

    batch = start("batch", clip, "-o", tmp_path / "out", "--scheduler", "tcp://192.0.2.7:8786")

    assert batch.wait(60) == 2
    assert "tls:// only" in batch.stderr.read()


def test_the_certificate_is_for_its_owner_alone_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "farm.pem"
    certificate.make(str(path))
    before = path.read_bytes()

    with pytest.raises(Exception, match="exists already"):
        certificate.make(str(path))

    assert path.read_bytes() == before
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "there, here",
    [
        ("/Volumes/Media/a b/x.mov", "/mnt/media/a b/x.mov"),
        ("/Volumes/Media2/x.mov", "/Volumes/Media2/x.mov"),
        ("/Volumes/Media", "/mnt/media"),
        ("Z:\\Show\\x.mov", "/srv/show/x.mov"),
        ("z:/show/x.mov", "/srv/show/x.mov"),
        ("/Volumes/Media/Deep/x.mov", "/mnt/deep/x.mov"),
    ],
)
def test_paths_are_mapped_by_whole_folders_whatever_the_system(there: str, here: str) -> None:
    paths = PathMap(
        (("/Volumes/Media", "/mnt/media"), ("/Volumes/Media/Deep/", "/mnt/deep"), ("Z:\\Show", "/srv/show/"))
    )

    assert paths.here(there) == here


def test_a_job_is_mapped_in_all_its_paths() -> None:
    job = Job(source="/a/x.mov", output="/a/out/x.mov", hold_outs=((1, 2, 3, 4), "/a/m.png"), report="/b/r.html")

    mapped = PathMap((("/a", "/z"),)).job(job)

    assert (mapped.source, mapped.output, mapped.report) == ("/z/x.mov", "/z/out/x.mov", "/b/r.html")
    assert mapped.hold_outs == ((1, 2, 3, 4), "/z/m.png")
