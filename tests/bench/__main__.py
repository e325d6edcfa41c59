"""What a wipe costs: time by stage, bytes moved, peak memory, against the plain transcode and against other methods.

    python -m tests.bench                                        480p, 1080p and 4K, all jobs, all methods, 20 s
    python -m tests.bench --sizes 480 --seconds 5 --jobs logo    a small part of it
    python -m tests.bench --footage FILE                         of real pictures instead of made ones
    python -m tests.bench --growth 10,60,600,1800 --sizes 480 --jobs both     cost a frame of ever longer clips

Every figure comes from a process of its own, and the plain transcode runs right before what is held against it. With
--keep FOLDER the figures are added to FOLDER/results.json, and the tables and the plot there are made anew, so that a
run can be done in parts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from tests.bench import clips, methods, table

METHODS = ("delogo", "telea", "sttn", "propainter")
BASE_S = 10  # s of the clip whose repetition makes a long one
LOOK_S = 0.1  # s from one look at the memory to the next


def measure(command: list[str]) -> dict:
    """Wall s, CPU s and peak MB of a process with those that it starts, and its last line, which is JSON."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, stdin=subprocess.DEVNULL)
        peaks = [0.0]
        watch = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peaks))
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        watch.join()
        if status:
            raise SystemExit(f"failed: {' '.join(command)}")
        out.seek(0)
        lines = out.read().splitlines()
    figures = {
        "wall_s": round(time.monotonic() - began, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(max(peaks) / 2**20),
    }
    return figures | (json.loads(lines[-1]) if lines else {})


def _watch(process: psutil.Process, peaks: list[float]) -> None:
    """Adds to `peaks` what a process and those that it has started hold together, in bytes, for as long as it runs.

    What several of them share counts once, where the system tells.
    """
    with contextlib.suppress(psutil.Error):
        while process.status() != psutil.STATUS_ZOMBIE:
            held = 0
            for one in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    memory = one.memory_full_info()
                    held += getattr(memory, "pss", memory.rss)
            peaks.append(held)
            time.sleep(LOOK_S)


def module(name: str, *words: object) -> list[str]:
    return [sys.executable, "-m", f"tests.bench.{name}", *map(str, words)]


def of_clip(clip: Path, job: str, height: int, frames: int, wanted: list[str]) -> dict:
    """One row of the table."""
    output = clip.with_suffix(".out.mp4")
    row: dict = {"job": job, "height": height, "frames": frames, "load": round(os.getloadavg()[0], 1)}
    row["plain"] = measure(module("stages", "transcode", clip, output))
    row["wipe"] = measure(module("stages", "wipe", clip, output))
    told = clips.covers(job, clips.size_of(height), frames)
    if "telea" in wanted and told:
        row["telea"] = measure(module("methods", "telea", job, height, frames, clip, output))
    if "delogo" in wanted and told and job != "tiled" and shutil.which("ffmpeg"):
        row["delogo"] = measure(methods.delogo(told, clips.size_of(height), clip, output))
    output.unlink(missing_ok=True)
    return row


def growth(folder: Path, job: str, height: int, seconds: list[int], file: Path | None) -> list[dict]:
    """Rows of clips of ever more repetitions of the same packets, one at a time on the disk."""
    size, frames = clips.size_of(height), BASE_S * clips.RATE
    base = clips.write(folder / "base.mp4", job, size, frames, file)
    rows = []
    for length in seconds:
        times = max(1, round(length / BASE_S))
        clip = clips.repeat(base, folder / "long.mp4", times)
        row = of_clip(clip, job, height, frames * times, [])
        clip.unlink()
        rows.append(row)
        print(table.growth_line(row), flush=True)
    return rows


def machine() -> dict:
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # no such file elsewhere: the name above will do
    return {
        "machine": name,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def keep(folder: Path, results: dict) -> None:
    """Adds to what the folder holds; a row of the same job, size and length takes the place of the older one."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "results.json"
    held = json.loads(file.read_text("utf-8")) if file.exists() else {}
    for part in ("rows", "growth"):
        both = {(r["height"], r["job"], r["frames"]): r for r in [*held.get(part, []), *results[part]]}
        results[part] = sorted(both.values(), key=lambda r: (r["height"], clips.JOBS.index(r["job"]), r["frames"]))
    results["networks"] = held.get("networks", {}) | results["networks"]
    file.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    (folder / "results.md").write_text(table.markdown(results), "utf-8")
    (folder / "results.svg").write_text(table.plot(results), "utf-8")


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--sizes", default="480,1080,2160", help="heights in px, by commas")
    ask.add_argument("--jobs", default=",".join(clips.JOBS))
    ask.add_argument("--methods", default=",".join(METHODS), help="others to measure too; '' for none")
    ask.add_argument("--seconds", type=float, default=20)
    ask.add_argument("--footage", type=Path, help="pictures to burn overlays into, instead of made ones")
    ask.add_argument(
        "--growth", default="", metavar="S,S,...", help="lengths of clips to compare, instead of the table"
    )
    ask.add_argument("--keep", type=Path, metavar="FOLDER", help="where tables and plot are kept")
    args = ask.parse_args()
    sizes, jobs = [int(text) for text in args.sizes.split(",")], args.jobs.split(",")
    wanted = [name for name in args.methods.split(",") if name]
    results: dict = {**machine(), "rows": [], "growth": [], "networks": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for network in [] if args.growth else [n for n in wanted if n in ("sttn", "propainter")]:
            results["networks"][network] = measure(module("networks", network))
            print(network, results["networks"][network], flush=True)
        for height in sizes:
            for job in jobs:
                if args.growth:
                    lengths = [int(text) for text in args.growth.split(",")]
                    results["growth"] += growth(folder, job, height, lengths, args.footage)
                    continue
                frames = round(args.seconds * clips.RATE)
                clip = clips.write(folder / f"{job}.mp4", job, clips.size_of(height), frames, args.footage)
                results["rows"].append(of_clip(clip, job, height, frames, wanted))
                clip.unlink()
                print(table.line(results["rows"][-1]), flush=True)
    if args.keep:
        keep(args.keep, results)
    else:
        print(table.markdown(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
