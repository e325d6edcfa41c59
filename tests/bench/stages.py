"""One run in this process with clocks around every stage; the last line printed is what they show, as JSON.

Wall time, and CPU time of the thread that the stage runs in: on a busy machine only that says what a stage costs.

python -m tests.bench.stages wipe|transcode CLIP OUTPUT
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autowipe import cli, kinds, pipeline, windows
from autowipe.decode import Clip, open_clip
from autowipe.encode import Output, open_output

spent: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])  # wall and CPU s


@contextmanager
def clock(name: str) -> Iterator[None]:
    began, used = time.perf_counter(), time.thread_time()
    try:
        yield
    finally:
        spent[name][0] += time.perf_counter() - began
        spent[name][1] += time.thread_time() - used


def clocked(name: str, function: Callable) -> Callable:
    def call(*args: Any, **named: Any) -> Any:
        with clock(name):
            return function(*args, **named)

    return call


def clocked_frames(frames: Callable) -> Callable:
    def call(*args: Any, **named: Any) -> Iterator:
        items = frames(*args, **named)
        while True:
            with clock("decode"):
                item = next(items, None)
            if item is None:
                return
            yield item

    return call


def clock_the_pipeline() -> None:
    Clip.frames = clocked_frames(Clip.frames)
    Output.write = clocked("encode", Output.write)
    Output.finish = clocked("join", Output.finish)
    windows.complete = clocked("complete (own thread)", windows.complete)
    pipeline.composite = clocked("composite", pipeline.composite)
    pipeline.planes.small = clocked("analysis picture", pipeline.planes.small)
    load = kinds.load

    def load_clocked(name: str, *args: Any) -> Any:
        finder = load(name, *args)
        for step in ("survey", "propose", "measure", "finish"):
            setattr(finder, step, clocked(f"{name}: {step}", getattr(finder, step)))
        return finder

    kinds.load = load_clocked


def transcode(source: str, output: str) -> None:
    with open_clip(source) as clip, tempfile.TemporaryDirectory() as work:
        whole = clip.info.whole
        settings: dict[str, Any] = {"codec": "auto", "hardware": False, "quality": "normal"}
        with open_output(output, clip.info, source_range=whole, work=Path(work) / "w", **settings) as out:
            for frame in clip.frames():
                out.write(frame, changed=True)
            out.finish()


def main() -> None:
    what, source, output = sys.argv[1:]
    if what == "transcode":
        transcode(source, output)
    else:
        clock_the_pipeline()
        status = cli.main(["wipe", source, "-o", output, "--overwrite"])
        if status:
            sys.exit(status)
    print(json.dumps({"stages": {name: [round(value, 3) for value in both] for name, both in spent.items()}}))


if __name__ == "__main__":
    main()
