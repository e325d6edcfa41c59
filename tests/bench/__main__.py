"""Wall time, CPU time by stage and peak memory of typical jobs, against the plain transcode of the same clip.

    python -m tests.bench                              1080p, 20 s, all jobs
    python -m tests.bench --height 2160 --seconds 5 --jobs logo
    python -m tests.bench --growth 10                  also a clip ten times as long: memory must not grow

Every figure comes from a process of its own. Prints a table; --json keeps it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import synth

RATE = 25
JOBS = ("none", "logo", "subtitles", "both")


def overlays_of(job: str, size: tuple[int, int], frames: int) -> list[synth.Burnt]:
    """The overlays of one typical job."""
    width, height = size
    out = []
    if job in ("logo", "both"):
        badge = synth.badge((height // 6, height // 12))
        out.append(synth.Burnt(badge, (width - badge.shape[1] - height // 20, height // 20), 0, frames, 0.6))
    if job in ("subtitles", "both"):
        words = ("We leave at dawn", "before the rain sets in", "and nobody looks back", "not even once")
        for k, start in enumerate(range(RATE // 2, frames - RATE, 3 * RATE)):
            line = synth.text(words[k % 4], height // 18, outline=max(2, height // 270))
            corner = ((width - line.shape[1]) // 2, height - height // 7)
            out.append(synth.Burnt(line, corner, start, min(frames, start + round(2.4 * RATE))))
    return out


def measure(command: list[str]) -> dict:
    """Wall s, CPU s and peak MB of one process, and what it printed as JSON on its last line."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"failed: {' '.join(command)}")
        out.seek(0)
        lines = out.read().splitlines()
    scale = 2**20 if sys.platform == "darwin" else 2**10
    figures = {
        "wall_s": round(time.monotonic() - began, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss / scale),
    }
    return figures | (json.loads(lines[-1]) if lines else {})


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--height", type=int, default=1080)
    ask.add_argument("--seconds", type=float, default=20)
    ask.add_argument("--jobs", default=",".join(JOBS))
    ask.add_argument("--growth", type=int, default=0, help="also run the last job on a clip this many times as long")
    ask.add_argument("--json", type=Path)
    args = ask.parse_args()
    size = (round(args.height * 16 / 9 / 2) * 2, args.height)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        jobs = [(job, args.seconds) for job in args.jobs.split(",")]
        if args.growth:
            jobs.append((jobs[-1][0], args.seconds * args.growth))
        for job, seconds in jobs:
            frames = round(seconds * RATE)
            clip = Path(folder) / f"{job}-{frames}.mp4"
            synth.make(clip, overlays_of(job, size, frames), count=frames, size=size, rate=RATE, keep=False)
            stage = [sys.executable, "-m", "tests.bench.stages"]
            plain = measure([*stage, "transcode", str(clip), str(clip.with_suffix(".plain.mp4"))])
            wiped = measure([*stage, "wipe", str(clip), str(clip.with_suffix(".clean.mp4"))])
            row = {"job": job, "frames": frames, "plain": plain, "wipe": wiped}
            row["times_plain"] = round(wiped["wall_s"] / plain["wall_s"], 2)
            row["times_cpu"] = round(wiped["cpu_s"] / plain["cpu_s"], 2)
            rows.append(row)
            show(row)
    if args.json:
        machine = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "size": size}
        args.json.write_text(json.dumps({**machine, "rows": rows}, indent=1))
    return 0


def show(row: dict) -> None:
    plain, wiped = row["plain"], row["wipe"]
    print(
        f"{row['job']:10} {row['frames']:6} frames   plain {plain['wall_s']:7.1f} s   wipe {wiped['wall_s']:7.1f} s"
        f" = {row['times_plain']:.2f}x   CPU {plain['cpu_s']:.1f} s, {wiped['cpu_s']:.1f} s = {row['times_cpu']:.2f}x"
        f"   peak {wiped['peak_mb']} MB ({plain['peak_mb']})"
    )
    for name, both in wiped["stages"].items():
        wall, cpu = (1000 * spent / row["frames"] for spent in both)
        print(f"    {name:24} {wall:8.2f} ms a frame, of them CPU {cpu:8.2f}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
