"""An engine for the tests of host adapters: keeps the protocol, and "wipes" by blackening a corner, frame for frame.

Started as the engine is, with a job's path; or `Marking(job)` inside a test. What a job's source is called decides how
it ends: a name with "dies", "fails", "full", "garbage" or "empty" (no overlay) in it, or "slow", which waits for a
cancel. Writes lossless QuickTime Animation at the source's rate, so that every pixel can be compared.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

CORNER = 12  # px
Message = dict[str, Any]


def mark(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 → the same with its lower right corner black: what this engine makes of any frame."""
    cleaned = picture.copy()
    cleaned[-CORNER:, -CORNER:] = 0
    return cleaned


def messages(job: dict[str, Any], wait: Callable[[], Any], die: Callable[[], Any]) -> Iterator[Message]:
    """Works on a job. `wait` blocks until a cancel, `die` ends the process."""
    source, name = job["source"], os.path.basename(job["source"])
    yield {"type": "hello", "protocol": 1, "engine": "marking"}
    try:
        with av.open(source) as box:
            rate = Fraction(box.streams.video[0].average_rate)
            frames = [frame.to_ndarray(format="rgb24") for frame in box.decode(video=0)]
    except (av.error.FFmpegError, IndexError):
        yield _error("media", f"{source} has no picture", "Check the file.")
        return
    first, last = job.get("range") or [0, len(frames)]
    if last > len(frames):
        yield _error("range", f"the range {first}:{last} ends after the clip", "Shorten the range.")
        return
    yield {"type": "plan", "frames": last - first, "shots": 1, "stages": ["look", "wipe"]}
    if "dies" in name:
        die()
        return
    if "fails" in name:
        yield _error("media", f"{name} cannot be read from frame 7 on", "Copy the file again.")
        return
    if "full" in name:
        yield _error("disk", "the disk is full", "Free space on that disk, then run it again.")
        return
    if "slow" in name:
        yield {"type": "progress", "stage": "look", "done": 1, "total": last - first, "eta_s": None}
        wait()
        yield _error("cancelled", "Cancelled.", "Run it again to go on.")
        return
    found = 0 if "empty" in name else 1
    if found:
        events = [[first, first + (last - first) // 2]]
        where = {"box": [0, 0, 9, 9], "confidence": 1}
        yield {"type": "overlay", "id": "logo-1", "kind": "logo", "events": events, **where}
    with av.open(job["output"], "w", format="mov") as out:
        stream = out.add_stream("qtrle", rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "rgb24"
        for number, picture in enumerate(frames[first:last]):
            frame = av.VideoFrame.from_ndarray(mark(picture), format="rgb24")
            frame.pts, frame.time_base = number, 1 / rate
            out.mux(stream.encode(frame))
            yield {"type": "progress", "stage": "wipe", "done": number + 1, "total": last - first, "eta_s": 0}
        out.mux(stream.encode())
    files = {}
    if job.get("srt"):
        Path(job["srt"]).write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n", "utf-8")
        files["srt"] = job["srt"]
    result: Message = {"type": "result", "output": job["output"], "plan": None, "provenance": {}, "files": files}
    result.update(overlays=found, frames=last - first, changed_frames=found * (last - first), text="Done.")
    yield result


def _error(code: str, text: str, hint: str) -> Message:
    return {"type": "error", "code": code, "text": text, "hint": hint}


def main() -> None:
    job = json.loads(Path(sys.argv[-1]).read_text("utf-8"))
    cancelled = threading.Event()

    def listen() -> None:
        for line in sys.stdin:
            if line.strip() == "cancel":
                break
        cancelled.set()

    threading.Thread(target=listen, daemon=True).start()
    for message in messages(job, cancelled.wait, lambda: os._exit(137)):
        sys.stdout.write(json.dumps(message) + "\n")
        if "garbage" in os.path.basename(job["source"]):
            sys.stdout.write("not a message\n")
        sys.stdout.flush()
        if message["type"] == "error":
            sys.exit(3)


if __name__ == "__main__":
    main()
