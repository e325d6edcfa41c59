"""Makes small clips for the tests: a moving texture with the frame number stamped in, in any format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from autowipe import planes

STAMP_PX = 8  # side of one bit of the stamp: it survives lossy coding and 4:1:0 chroma
STAMP_BITS = 10
LOSSLESS_H264 = {"qp": "0", "preset": "ultrafast"}


def draw(frame: av.VideoFrame, index: int) -> None:
    """Fills a frame with the picture of that number, in whatever pixel format it has."""
    layout = planes.layout_of(frame.format.name, frame.width, frame.height)
    for number, (view, plane) in enumerate(zip(planes.views(frame, layout), layout.planes, strict=True)):
        y, x = np.mgrid[0 : view.shape[0], 0 : view.shape[1]].astype(np.float32)
        x, y = x * (1 << plane.shift_x) + 2 * index, y * (1 << plane.shift_y)
        wave = 128 + 50 * np.sin(x / (9 + number)) + 40 * np.cos(y / (7 + number) + index / 5)
        codes = np.rint(wave * 2.0 ** (plane.bits - 8)).astype(np.int64)
        view[...] = codes << plane.low
        if plane.role in "YRGB":
            _stamp(view, plane, index)


def _stamp(view: np.ndarray, plane: planes.Plane, index: int) -> None:
    for bit in range(STAMP_BITS):
        level = 200 if index >> bit & 1 else 50
        code = level << plane.bits - 8 + plane.low
        view[:STAMP_PX, bit * STAMP_PX : (bit + 1) * STAMP_PX] = code


def number_of(views: Sequence[np.ndarray], layout: planes.Layout) -> int:
    """The number stamped into a decoded frame."""
    levels = planes.to_levels(list(views[:1]), layout)[0]
    centres = slice(STAMP_PX // 2, STAMP_BITS * STAMP_PX, STAMP_PX)
    return sum(int(level > 125) << bit for bit, level in enumerate(levels[STAMP_PX // 2, centres]))


def write_clip(
    path: Path | str,
    *,
    frames: int = 24,
    size: tuple[int, int] = (96, 64),
    codec: str = "ffv1",
    pix_fmt: str = "yuv420p",
    rate: Fraction | int = 25,
    time_base: Fraction | None = None,
    pts: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    prepare: Callable[[av.VideoStream], Any] | None = None,
    change: Callable[[av.VideoFrame, int], Any] | None = None,
    metadata: dict[str, str] | None = None,
    audio: int = 0,
    container: str | None = None,
) -> Path:
    """Writes `frames` pictures as `draw` makes them.

    `pts` are in `time_base`, which is 1 / rate by default. `prepare` sets up the stream before the first frame,
    `change` a frame before it is encoded. `audio` is the number of silent sound streams beside the picture.
    """
    rate = Fraction(rate)
    with av.open(str(path), "w", format=container, options=container_options or {}) as output:
        output.metadata.update(metadata or {})
        stream = output.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.time_base = time_base or 1 / rate
        if prepare:
            prepare(stream)
        sounds = [output.add_stream("pcm_s16le", rate=48000, layout="mono") for _ in range(audio)]
        for index in range(frames):
            frame = av.VideoFrame(*size, pix_fmt)
            draw(frame, index)
            frame.pts = index if pts is None else pts[index]
            frame.time_base = time_base or 1 / rate
            if change:
                change(frame, index)
            output.mux(stream.encode(frame))
        for number, sound in enumerate(sounds):
            output.mux(_silence(sound, number, float(frames / rate)))
        output.mux(stream.encode())
    return Path(path)


def _silence(stream: Any, number: int, seconds: float) -> list[av.Packet]:
    samples = np.full((1, round(48000 * seconds)), number, np.int16)
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.sample_rate, frame.pts = 48000, 0
    return [*stream.encode(frame), *stream.encode()]


def cut(path: Path, share: float) -> Path:
    """The same file with only the first `share` of its bytes left."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path
