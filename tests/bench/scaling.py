"""How a batch scales: measures what an engine costs and simulates clusters with it; runs real ones on this machine.

    python -m tests.bench.scaling                      1080p, costs in CPU time, so that a busy machine does no harm
    python -m tests.bench.scaling --workers 1,2        also a real batch on real clusters, a core a worker (Linux)
    python -m tests.bench.scaling --workers 1,2 --programme 400     of one long clip of so many seconds instead

Costs are CPU seconds of whole engine processes: starting, pass A and pass B for a frame, joining for a frame. The
simulated cluster hands tasks to free workers in order, as Dask does; a long programme is a task of pass A a section,
one that joins their plans, parts of 20 s or more (two a worker at the most), and one that joins these.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import synth
from autowipe.sections import sections_of
from autowipe.timing import FrameRange

from tests.bench.clips import RATE, overlays_of

WORKERS = (1, 2, 8, 64, 512)
PART_S, PARTS_A_WORKER = 20.0, 2  # as in batch/farm.py
EDGE_FRAMES = 100  # that are read once more to find the cut at which a section ends
PROGRAMME_RATE = 1  # frames a second of the real programme: few, so that it is over soon
TASK_S = 0.05  # assumed: what scheduler and batch need between two tasks that they hand out


@dataclass(frozen=True)
class Cost:
    """CPU seconds."""

    start: float  # of an engine
    look: float  # pass A, a frame
    wipe: float  # pass B, a frame
    join: float  # a frame


def cpu_of(*words: object) -> float:
    """CPU seconds of one command."""
    process = subprocess.Popen([sys.executable, "-m", "autowipe", *map(str, words)], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {words}")
    return usage.ru_utime + usage.ru_stime


def measure(folder: Path, height: int, seconds: float) -> Cost:
    """What an engine costs on a clip with a logo and subtitles."""
    size, frames = (round(height * 16 / 9 / 2) * 2, height), round(seconds * RATE)
    clip, plan = folder / "clip.mp4", folder / "plan.json"
    synth.make(clip, overlays_of("both", size, frames), count=frames, size=size, rate=RATE, keep=False)
    tiny = folder / "tiny.mp4"
    synth.make(tiny, [], count=2, size=(64, 64), rate=RATE, keep=False)
    start = cpu_of("perceive", tiny, "-o", folder / "tiny.json")
    look = cpu_of("perceive", clip, "-o", plan)
    wipe = cpu_of("wipe", clip, "--plan", plan, "-o", folder / "clean.mp4")
    empty = json.loads(plan.read_text("utf-8")) | {"overlays": []}
    (folder / "none.json").write_text(json.dumps(empty), "utf-8")
    join = cpu_of("wipe", clip, "--plan", folder / "none.json", "-o", folder / "copy.mkv", "--overwrite")
    return Cost(start, *(max(0.0, spent - start) / frames for spent in (look, wipe, join)))


def schedule(tasks: list[float], workers: int) -> float:
    """When the last of the tasks is done, each taken by the first free worker, s."""
    free = [0.0] * min(workers, max(1, len(tasks)))
    for number, task in enumerate(tasks):
        begin = max(heapq.heappop(free), number * TASK_S)
        heapq.heappush(free, begin + task)
    return max(free)


def timeline_s(cost: Cost, clips: int, frames: int, workers: int) -> float:
    """A timeline of short clips, one task each."""
    return schedule([cost.start + frames * (cost.look + cost.wipe)] * clips, workers)


def programme_s(cost: Cost, frames: int, workers: int) -> dict[str, float]:
    """The time of one long programme, by what follows one another. One worker does what joins."""
    sections = len(sections_of(FrameRange(0, frames), Fraction(RATE)))
    parts = max(1, min(PARTS_A_WORKER * workers, int(frames / RATE / PART_S)))
    section = cost.start + (frames / sections + 2 * EDGE_FRAMES) * cost.look
    return {
        "pass A": schedule([section] * sections, workers),
        "pass B": schedule([cost.start + frames / parts * cost.wipe] * parts, workers),
        "joining": 2 * cost.start + frames * cost.join,
    }


def simulate(cost: Cost) -> list[dict[str, object]]:
    rows = []
    for workers in WORKERS:
        short = timeline_s(cost, 300, 150, workers)
        long, one = (programme_s(cost, 60 * 60 * RATE, count) for count in (workers, 1))
        total = sum(long.values())
        rows.append(
            {
                "workers": workers,
                "300 clips of 6 s, min": round(short / 60, 1),
                "gain": round(timeline_s(cost, 300, 150, 1) / short, 1),
                "programme of 60 min, min": round(total / 60, 1),
                "its gain": round(sum(one.values()) / total, 1),
                **{f"share of {name}": round(seconds / total, 2) for name, seconds in long.items()},
            }
        )
    return rows


def short_clips(folder: Path, clips: int) -> None:
    for number in range(clips):
        overlays = overlays_of("logo", (480, 270), 100)
        synth.make(folder / f"c{number}.mp4", overlays, count=100, size=(480, 270), keep=False, seed=number)


def programme(folder: Path, seconds: float) -> None:
    count, size = round(seconds * PROGRAMME_RATE), (480, 270)
    cuts = tuple(range(30, count, 47))
    overlays = overlays_of("both", size, count)
    file = folder / "programme.mp4"
    synth.make(file, overlays, count=count, size=size, rate=PROGRAMME_RATE, keep=False, cuts=cuts)


def real(folder: Path, workers: int) -> dict[str, object]:
    """A batch on a real cluster whose workers have one core each, as machines of their own would.

    Wall time, and CPU time of each worker with its engines: on a busy machine the longer of these tells more.
    """
    source, out, pem = folder / "clips", folder / f"out-{workers}", folder / f"{workers}.pem"
    port, page = 19000 + workers, 19500 + workers
    address = f"tls://127.0.0.1:{port}"
    scheduler = farm("scheduler", "--host", "127.0.0.1", "--port", port, "--dashboard", page, "--certificate", pem)
    while not pem.exists():
        time.sleep(0.1)
    running = [farm("worker", address, "--jobs", 1, "--certificate", pem, core=number) for number in range(workers)]
    for process in (scheduler, *running):  # each says when it is there
        assert process.stderr is not None
        while not process.stderr.readline().startswith(("Scheduler at", "Worker ")):
            pass
    batch = [sys.executable, "-m", "autowipe", "batch", source, "-o", out, "--scheduler", address, "--certificate", pem]
    batch += ["--codec", "ffv1"]
    began = time.monotonic()
    subprocess.run([str(word) for word in batch], check=True, stderr=subprocess.DEVNULL)
    wall = time.monotonic() - began
    spent = []
    for process in running:
        process.terminate()
        usage = os.wait4(process.pid, 0)[2]
        spent.append(round(usage.ru_utime + usage.ru_stime, 1))
    scheduler.terminate()
    scheduler.communicate()
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(out.glob("*.mkv")))).hexdigest()
    load = round(os.getloadavg()[0], 1)
    return {"workers": workers, "wall_s": round(wall, 1), "cpu_s": spent, "load": load, "files": digest[:16]}


def farm(*words: object, core: int | None = None) -> subprocess.Popen[str]:
    """A process of the cluster, on one core where one is named."""
    command = [sys.executable, "-m", "autowipe", "farm", *map(str, words)]
    pin = None if core is None else (lambda: os.sched_setaffinity(0, {core}))
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=pin)


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--height", type=int, default=1080)
    ask.add_argument("--seconds", type=float, default=6)
    ask.add_argument("--workers", default="", help="sizes of real clusters, by commas")
    ask.add_argument("--clips", type=int, default=8, help="of the real batches")
    ask.add_argument("--programme", type=float, metavar="S", help="one long clip for the real batches instead")
    args = ask.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.workers:
            clips = Path(folder) / "clips"
            clips.mkdir()
            programme(clips, args.programme) if args.programme else short_clips(clips, args.clips)
        for workers in [int(text) for text in args.workers.split(",") if text]:
            print(json.dumps(real(Path(folder), workers)), flush=True)
        cost = measure(Path(folder), args.height, args.seconds)
    print(json.dumps({name: round(value, 4) for name, value in asdict(cost).items()}))
    for row in simulate(cost):
        print(json.dumps(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
