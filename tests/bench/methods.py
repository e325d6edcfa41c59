"""What others do frame by frame, told where the overlays are; FFmpeg's delogo and OpenCV's Telea.

    python -m tests.bench.methods telea JOB HEIGHT FRAMES CLIP OUTPUT

Telea's fast marching runs on each plane, of what lies around the overlay alone; its clip is decoded and encoded as by a
wipe. PyAV's FFmpeg has no delogo, so the program `ffmpeg` runs it, once for the box of each overlay, with the encoder
set as for a wipe. It fills boxes only, and has no answer to a tiled watermark.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from autowipe.decode import Frame
from autowipe.encoders import LADDERS

from tests.bench import clips, stages

RADIUS = 5  # px that Telea looks around


def delogo(covers: list[clips.Cover], size: tuple[int, int], source: Path, output: Path) -> list[str]:
    """The command."""
    filters = []
    for cover in covers:
        h, w = cover.mask.shape
        x, y = max(1, cover.corner[0]), max(1, cover.corner[1])
        w, h = min(w, size[0] - x - 1), min(h, size[1] - y - 1)
        filters.append(f"delogo=x={x}:y={y}:w={w}:h={h}:enable='between(n,{cover.start},{cover.stop - 1})'")
    preset, crf = LADDERS["libx264"]["normal"][:2]
    coder = ["-c:v", "libx264", "-preset", str(preset), "-crf", str(crf)]
    quiet = ["-nostdin", "-loglevel", "error", "-y"]
    return ["ffmpeg", *quiet, "-i", str(source), "-vf", ",".join(filters), *coder, str(output)]


def telea(covers: list[clips.Cover]) -> Callable[[Frame], None]:
    def change(frame: Frame) -> None:
        for cover in covers:
            if not cover.start <= frame.index < cover.stop:
                continue
            for view, plane in zip(frame.views, frame.layout.planes, strict=True):
                step = 1 << plane.shift_x
                x, y = cover.corner[0] // step, cover.corner[1] >> plane.shift_y
                mask = cover.mask[:: 1 << plane.shift_y, ::step]
                x0, y0 = max(0, x - 2 * RADIUS), max(0, y - 2 * RADIUS)
                part = view[y0 : y + mask.shape[0] + 2 * RADIUS, x0 : x + mask.shape[1] + 2 * RADIUS]
                hole = np.zeros(part.shape, np.uint8)
                inner = hole[y - y0 : y - y0 + mask.shape[0], x - x0 : x - x0 + mask.shape[1]]
                inner[...] = mask[: inner.shape[0], : inner.shape[1]]
                part[...] = cv2.inpaint(np.ascontiguousarray(part), hole, RADIUS, cv2.INPAINT_TELEA)

    return change


def main() -> None:
    _, job, height, frames, source, output = sys.argv[1:]
    stages.transcode(source, output, telea(clips.covers(job, clips.size_of(int(height)), int(frames))))
    print(json.dumps(stages.moved()))


if __name__ == "__main__":
    main()
