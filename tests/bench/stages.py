"""One run with clocks around every stage, in all its processes; the last line printed is what they show, as JSON.

A stage is charged what it does itself, not what a stage within it does: wall time, CPU time of the threads that it runs
in, and the samples that it is handed and hands on. What is left of the CPU time is the decoder's, the encoder's and
OpenCV's own threads, starting, and what has no clock.

    python -m tests.bench.stages wipe|transcode CLIP OUTPUT
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from autowipe import (
    cli,
    complete,
    exchange,
    kinds,
    perception,
    pipeline,
    pool,
    processes,
    text,
    textlines,
    textsearch,
    windows,
)
from autowipe.decode import Clip, open_clip
from autowipe.encode import Output, open_output

CLOCKED = (  # where the name is looked up, the name, what it is called in the table, whether its samples count
    (pool, "complete", "complete: prepare", True),
    (windows.Camera, "add", "camera", True),
    (complete, "follow", "complete: motion", False),
    (complete.borrow, "carry", "complete: places", False),
    (complete, "fill", "complete: fill", False),
    (complete.network, "better", "completer network", False),
    (complete, "_match", "complete: match", False),
    (pipeline, "settled", "second look at the plan", True),
    (pipeline, "composite", "composite", True),
    (pipeline.planes, "small", "analysis picture", True),
    (textsearch.TextSearch, "look", "where text may be", False),
    (textsearch, "find_text", "search for text", True),
    (textlines, "find_text", "search for text", True),
    (text, "run", "search for text", False),
    (exchange.Line, "send", "to other processes", False),
    (perception.Perception, "add", "perceiver network: survey", True),
    (perception.Perception, "seen", "perceiver network", False),
    (Output, "write", "encode", True),
    (Output, "finish", "join", True),
)

spent: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])  # wall and CPU s, bytes
lock = threading.Lock()
here = threading.local()  # what the stages within those that are open in this thread have taken


@contextmanager
def clock(name: str) -> Iterator[None]:
    if not hasattr(here, "inner"):
        here.inner = []
    here.inner.append([0.0, 0.0])
    began, used = time.perf_counter(), time.thread_time()
    try:
        yield
    finally:
        took = time.perf_counter() - began, time.thread_time() - used
        inner = here.inner.pop()
        if here.inner:
            here.inner[-1] = [a + b for a, b in zip(here.inner[-1], took, strict=True)]
        charge(name, took[0] - inner[0], took[1] - inner[1], 0)


def charge(name: str, *values: float) -> None:
    with lock:
        spent[name] = [a + b for a, b in zip(spent[name], values, strict=True)]


def nbytes(thing: Any) -> int:
    """Of all samples in it."""
    if isinstance(thing, np.ndarray):
        return thing.nbytes
    if isinstance(thing, av.VideoFrame):
        return sum(plane.buffer_size for plane in thing.planes)
    if isinstance(thing, list | tuple):
        return sum(map(nbytes, thing))
    if is_dataclass(thing):
        return sum(nbytes(getattr(thing, field.name)) for field in fields(thing))
    return 0


def clocked(name: str, function: Callable, counts: bool = True) -> Callable:
    """`counts`: whether its samples do: those of a part are the whole's."""

    def call(*args: Any, **named: Any) -> Any:
        with clock(name):
            result = function(*args, **named)
        if counts:
            charge(name, 0, 0, nbytes(args) + nbytes(result))
        return result

    return call


def clocked_frames(frames: Callable) -> Callable:
    def call(*args: Any, **named: Any) -> Iterator:
        items = frames(*args, **named)
        while True:
            with clock("decode"):
                item = next(items, None)
            if item is None:
                return
            charge("decode", 0, 0, nbytes(item.av))
            yield item

    return call


def clock_the_engine(folder: str) -> None:
    """`folder`: where the processes that it starts leave what their clocks show."""
    processes._begin = partial(_begin_clocked, folder)
    clock_this_process()


def _begin_clocked(folder: str, *given: Any) -> None:
    clock_this_process()
    try:
        processes._begin(*given)  # the real one: this process has imported it anew
    finally:
        (Path(folder) / f"{os.getpid()}.json").write_text(json.dumps(spent))


def clock_this_process() -> None:
    Clip.frames, Clip.picked = clocked_frames(Clip.frames), clocked_frames(Clip.picked)
    for owner, name, label, counts in CLOCKED:
        setattr(owner, name, clocked(label, getattr(owner, name), counts))
    load = kinds.load

    def load_clocked(name: str, *args: Any) -> Any:
        finder = load(name, *args)
        for step in ("survey", "propose", "measure", "finish"):
            setattr(finder, step, clocked(f"{name}: {step}", getattr(finder, step)))
        return finder

    kinds.load = load_clocked


def transcode(source: str, output: str, change: Callable | None = None) -> int:
    """Decodes and encodes as a wipe does, `change` being done to each frame in between. Returns the frames' number."""
    with open_clip(source) as clip, tempfile.TemporaryDirectory(dir=Path(output).parent) as work:
        settings: dict[str, Any] = {"codec": "auto", "hardware": False, "quality": "normal"}
        with open_output(output, clip.info, source_range=clip.info.whole, work=Path(work) / "w", **settings) as out:
            for frame in clip.frames():
                if change:
                    change(frame)
                out.write(frame, changed=True)
            out.finish()
        return len(clip.info.whole)


def moved() -> dict[str, float]:
    """MB that this process has read and written so far, of files and pipes; nothing where the system does not tell."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return {}
    counts = dict(line.split(": ") for line in lines)
    return {"read_mb": round(int(counts["rchar"]) / 2**20, 1), "written_mb": round(int(counts["wchar"]) / 2**20, 1)}


def main() -> int:
    what, source, output = sys.argv[1:]
    if what == "transcode":
        transcode(source, output)
    else:
        with tempfile.TemporaryDirectory() as folder:
            clock_the_engine(folder)
            status = cli.main(["wipe", source, "-o", output, "--overwrite"])
            if status:
                return status
            for file in Path(folder).iterdir():
                for name, values in json.loads(file.read_text()).items():
                    charge(name, *values)
    print(
        json.dumps({"stages": {name: [round(value, 3) for value in both] for name, both in spent.items()}, **moved()})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
