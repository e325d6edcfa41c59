"""Burns overlays into the rendered scene and writes the sample clip: a logo, two subtitles and a moving mark.

    python sample/burn_overlays.py FOLDER sample/village.mp4
    python sample/burn_overlays.py FOLDER sample/village_clean.mp4 --clean

FOLDER holds the frames of make_scene.py. Needs numpy, OpenCV and PyAV, as AutoWipe does, and Pillow with the font
DejaVu Sans (Debian's fonts-dejavu-core), whose letters are drawn here; the font itself is not shipped.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT, BOLD = "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"
RATE, SAMPLE_RATE = 24, 48000
LOGO_OPACITY, MARK_OPACITY = 0.55, 0.8
SUBTITLES = (  # first frame, one past the last, text
    (12, 52, "The miller said the wind would turn"),
    (62, 106, "and the ball rolled home before it did."),
)
OVERSAMPLING = 4  # shapes are drawn this much larger, then made smaller, for smooth edges


@dataclass(frozen=True)
class Layer:
    """A drawn overlay of the picture's size."""

    colour: np.ndarray  # (H, W, 3) float32 RGB, 0..255
    alpha: np.ndarray  # (H, W) float32, 0..1

    def over(self, picture: np.ndarray) -> np.ndarray:
        alpha = self.alpha[..., None]
        return picture * (1 - alpha) + self.colour * alpha


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--crf", default="21", help="quality of H.264, smaller is better and larger")
    parser.add_argument("--clean", action="store_true", help="burn nothing in: the truth to compare with")
    options = parser.parse_args()
    frames = sorted(options.folder.glob("*.png"))
    with av.open(str(options.output), "w", options={"movflags": "faststart"}) as out:
        write(out, frames, options.crf, options.clean)


def write(out: av.container.OutputContainer, frames: list[Path], crf: str, is_clean: bool) -> None:
    picture = read(frames[0])
    height, width = picture.shape[:2]
    video = out.add_stream("libx264", rate=RATE, options={"crf": crf, "preset": "veryslow"})
    video.width, video.height, video.pix_fmt = width, height, "yuv420p"
    context = video.codec_context
    context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1, 1  # BT.709
    sound = out.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
    sound.bit_rate = 64000
    logo = draw_logo(width, height)
    subtitles = [(start, stop, draw_subtitle(text, width, height)) for start, stop, text in SUBTITLES]
    for number, path in enumerate(frames):
        picture = read(path)
        shown = [] if is_clean else [logo, draw_mark(number, len(frames), width, height)]
        shown += [line for start, stop, line in subtitles if start <= number < stop and not is_clean]
        for layer in shown:
            picture = layer.over(picture)
        rgb = np.rint(picture).clip(0, 255).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        out.mux(video.encode(frame))
    out.mux(video.encode(None))
    for block in tones(len(frames) / RATE):
        out.mux(sound.encode(block))
    out.mux(sound.encode(None))


def read(path: Path) -> np.ndarray:
    """(H, W, 3) float32 RGB, 0..255."""
    return cv2.imread(str(path))[..., ::-1].astype(np.float32)


def draw_logo(width: int, height: int) -> Layer:
    """A station's mark, top right: a ring with a sail in it and a word, translucent white."""
    size = OVERSAMPLING
    canvas = Image.new("L", (width * size, height * size))
    pen = ImageDraw.Draw(canvas)
    x, y, r = (width - 112) * size, 38 * size, 17 * size
    pen.ellipse((x - r, y - r, x + r, y + r), fill=255)
    pen.ellipse((x - r * 0.8, y - r * 0.8, x + r * 0.8, y + r * 0.8), fill=0)
    for turn in range(4):
        angle = math.radians(90 * turn + 20)
        points = [(0, 0), (angle, 0.72), (angle + 0.75, 0.62)]
        pen.polygon([(x + r * q * math.cos(a), y + r * q * math.sin(a)) for a, q in points], fill=255)
    font = ImageFont.truetype(BOLD, 22 * size)
    pen.text((x + 24 * size, y), "MILL", font=font, fill=255, anchor="lm")
    alpha = shrink(canvas, width, height) * LOGO_OPACITY
    return Layer(np.full((height, width, 3), 255, np.float32), alpha)


def draw_subtitle(text: str, width: int, height: int) -> Layer:
    """A line of white letters with a dark outline at the bottom."""
    size = OVERSAMPLING
    font = ImageFont.truetype(FONT, 21 * size)
    layers = []
    for stroke in (2 * size, 0):
        canvas = Image.new("L", (width * size, height * size))
        place = (width * size // 2, (height - 30) * size)
        ImageDraw.Draw(canvas).text(place, text, font=font, fill=255, anchor="ms", stroke_width=stroke)
        layers.append(shrink(canvas, width, height))
    outline, letters = layers
    colour = 16 + (240 - 16) * (letters / np.maximum(outline, 1e-3)).clip(0, 1)
    return Layer(np.repeat(colour[..., None], 3, 2).astype(np.float32), outline)


def draw_mark(number: int, count: int, width: int, height: int) -> Layer:
    """A small yellow word that drifts across the upper part of the picture, along a wave."""
    size = OVERSAMPLING
    travelled = number / count
    x = (0.1 + 0.55 * travelled) * width
    y = (0.3 + 0.06 * math.sin(2 * math.pi * travelled)) * height
    canvas = Image.new("L", (width * size, height * size))
    font = ImageFont.truetype(BOLD, 17 * size)
    ImageDraw.Draw(canvas).text((x * size, y * size), "@village", font=font, fill=255, anchor="lm")
    alpha = shrink(canvas, width, height) * MARK_OPACITY
    return Layer(np.broadcast_to(np.float32([255, 214, 64]), (height, width, 3)), alpha)


def shrink(canvas: Image.Image, width: int, height: int) -> np.ndarray:
    """(H, W) float32, 0..1."""
    return cv2.resize(np.asarray(canvas, np.float32) / 255, (width, height), interpolation=cv2.INTER_AREA)


def tones(seconds: float) -> list[av.AudioFrame]:
    """A quiet chord that swells and fades, left and right a little apart."""
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    swell = 0.06 * np.sin(np.pi * t / seconds) ** 2
    sides = [sum(np.sin(2 * np.pi * (note + side) * t) for note in (220.0, 277.2, 329.6)) / 3 for side in (0, 0.6)]
    wave = (np.stack(sides) * swell).astype(np.float32)
    blocks = []
    for start in range(0, wave.shape[1], 1024):
        part = np.ascontiguousarray(wave[:, start : start + 1024])
        block = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
        block.sample_rate, block.pts, block.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
        blocks.append(block)
    return blocks


if __name__ == "__main__":
    main()
