"""Clips to measure with: a scene that takes as much to code as footage, or footage itself, with a job's overlays."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import synth

RATE = 25
JOBS = ("none", "logo", "subtitles", "both", "tiled", "locked")  # the last: a logo where the camera rests
SHOT_S = 6.0
GRAIN = 2.0  # levels, deviation: what a camera leaves of it
LINES = ("We leave at dawn", "before the rain sets in", "and nobody looks back", "not even once")


def size_of(height: int) -> tuple[int, int]:
    """Width and height, 16 to 9."""
    return (round(height * 16 / 9 / 2) * 2, height)


def overlays_of(job: str, size: tuple[int, int], frames: int) -> list[synth.Burnt]:
    """The overlays of one typical job."""
    width, height = size
    out = []
    if job in ("logo", "both", "locked"):
        badge = synth.badge((height // 6, height // 12))
        out.append(synth.Burnt(badge, (width - badge.shape[1] - height // 20, height // 20), 0, frames, 0.6))
    if job in ("subtitles", "both"):
        for k, start in enumerate(range(RATE // 2, max(RATE, frames - RATE), 3 * RATE)):
            line = synth.text(LINES[k % 4], height // 18, outline=max(2, height // 270))
            corner = ((width - line.shape[1]) // 2, height - max(height // 7, line.shape[0]))
            out.append(synth.Burnt(line, corner, start, min(frames, start + round(2.4 * RATE))))
    if job == "tiled":
        out.append(synth.Burnt(_tiles(size), (0, 0), 0, frames, 0.3))
    return out


def _tiles(size: tuple[int, int]) -> np.ndarray:
    """A slanted word all over the picture, RGBA float32."""
    width, height = size
    word = synth.text("PROOF", height // 20)
    turn = cv2.getRotationMatrix2D((word.shape[1] / 2, word.shape[1] / 2), 25, 1)
    tile = cv2.warpAffine(word[..., 3], turn, (word.shape[1], word.shape[1]))
    alpha = np.zeros((height, width), np.float32)
    across, down = round(0.23 * width), round(0.28 * height)
    for row, y in enumerate(range(-down // 2, height, down)):
        for x in range(-across // 2 * (row % 2), width, across):
            x0, y0 = max(0, x), max(0, y)
            part = tile[y0 - y :, x0 - x :][: height - y0, : width - x0]
            alpha[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = part
    return np.dstack([np.ones((height, width, 3), np.float32), alpha])


def scene(size: tuple[int, int], frames: int, seed: int = 5, *, rests: bool = False) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 RGB pictures: a textured place that the camera pans and zooms over, somebody before it, grain.

    `rests`: the camera never moves, and all is one shot.
    """
    width, height = size
    rng = np.random.default_rng(seed)
    grains = [_grain(rng, (height + 64, width + 64)) for _ in range(4)]
    for t in range(frames):
        shot, at = divmod(t, round(SHOT_S * RATE))
        if at == 0 and not (rests and t):
            place = _texture(np.random.default_rng(seed + shot), (width * 3 // 2, height * 5 // 4), height)
            person = _texture(np.random.default_rng(seed + 1000 + shot), (width // 3, height * 2 // 3), height)
            way = rng.uniform(-1, 1, 2) * (0.0018 * width, 0.0007 * height)  # px a frame: calm, as most shots are
        at = 0 if rests else at
        scale = 1 + 0.0006 * at
        middle = (place.shape[1] / 2 + way[0] * at, place.shape[0] / 2 + way[1] * at)
        move = np.array([[1 / scale, 0, middle[0] - width / 2 / scale], [0, 1 / scale, middle[1] - height / 2 / scale]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        picture = cv2.warpAffine(place, move, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
        _walk(picture, person, t)
        y, x = rng.integers(0, 64, 2)
        grain = grains[t % 4][y : y + height, x : x + width]
        yield cv2.add(picture, cv2.merge([grain] * 3), dtype=cv2.CV_8U)


def _texture(rng: np.random.Generator, size: tuple[int, int], unit: int) -> np.ndarray:
    """Shapes with edges, and detail in every size that falls off as in photographs. (h, w, 3) uint8."""
    width, height = size
    out = np.full((height, width, 3), 110, np.float32)
    for cells in (3, 6, 12, 25, 50, 100, 200):
        coarse = rng.normal(0, 1, (max(2, cells * height // unit), max(2, cells * width // unit), 3)).astype(np.float32)
        coarse = 0.7 * coarse.mean(2, keepdims=True) + 0.3 * coarse
        out += 60 / cells**0.5 * cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    for _ in range(40):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = (int(v) for v in rng.uniform(0.02, 0.2, 2) * unit)
        patch = out[y : y + h, x : x + w]
        patch += rng.normal(0, 25, 3).astype(np.float32)
    return cv2.GaussianBlur(out, (0, 0), unit / 1400 + 0.3).clip(8, 245).astype(np.uint8)


def _grain(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """(h, w) int16, as soft as a sensor's after the camera's own denoising."""
    soft = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), 0.8)
    return np.rint(soft * GRAIN / soft.std()).astype(np.int16)


def _walk(picture: np.ndarray, person: np.ndarray, t: int) -> None:
    """Somebody crosses the picture, in place."""
    height, width = picture.shape[:2]
    h, w = person.shape[:2]
    x = round((t * width / (9 * RATE)) % (width + w)) - w
    y = round(height - h + 0.02 * height * np.sin(t / 5))
    x0, x1 = max(0, x), min(width, x + w)
    part = picture[y : y + h, x0:x1]
    own = person[: part.shape[0], x0 - x : x1 - x]
    outline = np.zeros((h, w), np.uint8)
    cv2.ellipse(outline, (w // 2, h // 2), (w // 2 - 2, h // 2 - 2), 0, 0, 360, 255, -1, cv2.LINE_AA)
    cv2.copyTo(own, outline[: part.shape[0], x0 - x : x1 - x], part)


def footage(file: Path, size: tuple[int, int], frames: int) -> Iterator[np.ndarray]:
    """The pictures of a file, scaled to size; from its beginning again where it is too short."""
    given = 0
    while given < frames:
        with av.open(str(file)) as box:
            for frame in box.decode(video=0):
                if given == frames:
                    return
                yield cv2.resize(frame.to_ndarray(format="rgb24"), size, interpolation=cv2.INTER_AREA)
                given += 1


def write(path: Path, job: str, size: tuple[int, int], frames: int, file: Path | None = None) -> Path:
    """Encodes a clip as a viewer would receive it: H.264, 4:2:0, crf 20."""
    overlays = overlays_of(job, size, frames)
    with av.open(str(path), "w") as box:
        stream = box.add_stream("libx264", rate=RATE, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        drawn = scene(size, frames, rests=job == "locked")
        for t, picture in enumerate(footage(file, size, frames) if file else drawn):
            for item in overlays:
                if item.start <= t < item.stop:
                    _burn(picture, item)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = t, Fraction(1, RATE)
            box.mux(stream.encode(frame))
        box.mux(stream.encode())
    return path


def _burn(picture: np.ndarray, item: synth.Burnt) -> None:
    x, y = item.corner
    h, w = item.rgba.shape[:2]
    part = picture[y : y + h, x : x + w]
    alpha = item.rgba[..., 3:] * item.alpha
    part[...] = np.rint(part * (1 - alpha) + item.rgba[..., :3] * 255 * alpha)


def repeat(source: Path, path: Path, times: int) -> Path:
    """The same packets again and again: a clip `times` as long, whose repetitions meet in a cut."""
    with av.open(str(path), "w") as out:
        target = None
        for turn in range(times):
            with av.open(str(source)) as box:
                stream = box.streams.video[0]
                target = target or out.add_stream_from_template(stream)
                offset = turn * round(stream.frames / RATE / stream.time_base)
                for packet in box.demux(stream):
                    if packet.size:
                        packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                        packet.stream = target
                        out.mux(packet)
    return path


@dataclass
class Cover:
    """What a method that is told where to look knows of an overlay."""

    start: int  # first frame
    stop: int  # one past the last
    corner: tuple[int, int]  # of the mask
    mask: np.ndarray  # (h, w) uint8, 1 where it covers the picture, 2 px wider than it is


def covers(job: str, size: tuple[int, int], frames: int) -> list[Cover]:
    out = []
    for item in overlays_of(job, size, frames):
        x, y = item.corner
        h, w = item.rgba.shape[:2]
        whole = np.zeros(size[::-1], np.uint8)
        whole[y : y + h, x : x + w] = item.rgba[..., 3] > 0.02
        whole = cv2.dilate(whole, np.ones((5, 5), np.uint8))
        left, top, w, h = cv2.boundingRect(whole)
        out.append(Cover(item.start, item.stop, (left, top), whole[top : top + h, left : left + w]))
    return out
