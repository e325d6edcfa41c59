"""Finding and reading text in a picture, with the detector and the recogniser that ship in the RapidOCR wheel."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .errors import WeightsError
from .processes import ask, has_parent

if TYPE_CHECKING:
    from openvino import CompiledModel, Core

GRID = 32  # the detector halves the picture five times; what is made up beyond that changes what it finds
TEXT = 0.3  # probability from which a pixel belongs to the core of a text line
LINE = 0.5  # mean probability from which such a core is a text line
UNCLIP = 1.6  # the core is the line shrunk by area / perimeter * this, as the detector was trained
MOST_AREA = 0.2  # of the longer side's square; a line of more is a misfire: letters never are so large
MOST_HEIGHT = 0.2  # of the longer side, that letters are high
READ_HEIGHT = 48  # px, what the recogniser was trained on
READ_WIDTHS = (160, 320, 480, 640, 960, 1280, 1600)  # px that it sees; of longer lines it loses the end


@dataclass(frozen=True)
class TextLine:
    """A line of text: its four corners in px, clockwise from the top left, (4, 2) float32, and how sure it is."""

    quad: np.ndarray
    score: float  # 0..1

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of the upright box around it."""
        (x0, y0), (x1, y1) = self.quad.min(0), self.quad.max(0)
        return float(x0), float(y0), float(x1), float(y1)

    def moved(self, x: float, y: float) -> TextLine:
        """The same line, so many px further right and down."""
        return TextLine(self.quad + np.array([x, y], np.float32), self.score)

    @property
    def slant(self) -> float:
        """Degrees by which its longer side leaves the horizontal or the vertical, whichever is nearer; 0..45."""
        across, down = self.quad[1] - self.quad[0], self.quad[3] - self.quad[0]
        side = across if np.hypot(*across) >= np.hypot(*down) else down
        angle = np.degrees(np.arctan2(side[1], side[0])) % 90
        return float(min(angle, 90 - angle))


def find_text(picture: np.ndarray, longer: int = 0) -> list[TextLine]:
    """The text lines of a picture at the size it has: nothing is scaled, so letters of 8 to 60 px are found.

    `picture`: (h, w) grey or (h, w, 3) blue, green, red; uint8. About 85 ms of one core for 640 x 384.
    `longer`: px of the longer side of the picture that it is a part of; 0: it is no part.
    Raises WeightsError when RapidOCR's models are not installed.
    """
    height, width = picture.shape[:2]
    colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture
    below, right = -height % GRID, -width % GRID
    padded = cv2.copyMakeBorder(colour, 0, below, 0, right, cv2.BORDER_REPLICATE)
    batch = (padded.astype(np.float32) * np.float32(2 / 255) - 1).transpose(2, 0, 1)[None]
    likely = run("det", batch)[0]
    return lines_of(np.ascontiguousarray(likely[:height, :width]), longer)


def lines_of(likely: np.ndarray, longer: int = 0) -> list[TextLine]:
    """The lines in a map of text probability, (h, w) float32; `longer` as in `find_text`.

    Differentiable binarization (Liao et al. 2020): the map marks the shrunken core of every line; each core's
    smallest rectangle is grown back. Rectangles much larger than any letters are dropped.
    """
    height, width = likely.shape
    longer = longer or max(width, height)
    contours = cv2.findContours((likely > TEXT).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[-2]
    lines = []
    for contour in contours:
        centre, (w, h), angle = cv2.minAreaRect(contour)
        if min(w, h) < 2:
            continue
        x, y, bw, bh = cv2.boundingRect(contour)
        inside = np.zeros((bh, bw), np.uint8)
        cv2.drawContours(inside, [contour], -1, 1, cv2.FILLED, offset=(-x, -y))
        score = cv2.mean(likely[y : y + bh, x : x + bw], inside)[0]
        grow = w * h * UNCLIP / (w + h)  # on both sides together
        w, h = w + grow, h + grow
        junk = w * h > MOST_AREA * longer**2 or min(w, h) > MOST_HEIGHT * longer
        if score < LINE or junk:
            continue
        quad = _clockwise(cv2.boxPoints((centre, (w, h), angle)))
        quad = np.clip(quad, 0, np.array([width, height], np.float32))
        lines.append(TextLine(quad.astype(np.float32), float(score)))
    return sorted(lines, key=lambda line: (line.bounds[1], line.bounds[0]))


def read_text(picture: np.ndarray) -> tuple[str, float]:
    """What one text line says and how sure that is (0..1; 0 for nothing read).

    `picture`: the line alone, upright, (h, w) or (h, w, 3) blue, green, red; uint8; a column of letters is turned.
    Raises WeightsError when RapidOCR's models are not installed.
    """
    colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture
    if colour.shape[0] > 1.5 * colour.shape[1]:
        colour = cv2.rotate(colour, cv2.ROTATE_90_COUNTERCLOCKWISE)
    width = min(READ_WIDTHS[-1], max(16, round(colour.shape[1] * READ_HEIGHT / colour.shape[0])))
    scaled = cv2.resize(colour, (width, READ_HEIGHT), interpolation=cv2.INTER_LINEAR)
    batch = np.zeros((1, 3, READ_HEIGHT, next(most for most in READ_WIDTHS if width <= most)), np.float32)
    batch[0, ..., :width] = (scaled.astype(np.float32) * np.float32(2 / 255) - 1).transpose(2, 0, 1)
    chances = run("rec", batch)
    best, sure = chances.argmax(1), chances.max(1)
    first = np.concatenate(([True], best[1:] != best[:-1])) & (best > 0)  # CTC: repeats are one letter, 0 is none
    if not first.any():
        return "", 0.0
    letters = _letters()
    return "".join(letters[i] for i in best[first]).strip(), float(sure[first].mean())


def _clockwise(corners: np.ndarray) -> np.ndarray:
    """Corners in the order top left, top right, bottom right, bottom left."""
    total, across = corners.sum(1), corners[:, 0] - corners[:, 1]
    order = [int(total.argmin()), int(across.argmax()), int(total.argmax()), int(across.argmin())]
    return corners[order] if len(set(order)) == 4 else corners


@cache
def _letters() -> list[str]:
    """What the recogniser's outputs stand for; the first is none, the last a space."""
    told = _core().read_model(str(model_file("rec"))).get_rt_info(["framework", "character"])
    return ["", *str(told.value).splitlines(), " "]


def run(task: str, batch: np.ndarray) -> np.ndarray:
    """What the model for "det" or "rec" says of one picture, (1, 3, h, w) float32; may be called from any thread.

    A process asks its parent: the models hold much memory.
    """
    if has_parent():
        return np.asarray(ask("text", task, batch))
    request = _compiled(task).create_infer_request()
    request.infer([np.ascontiguousarray(batch)])
    return np.array(request.get_output_tensor(0).data[0])


@cache
def _compiled(task: str) -> CompiledModel:
    """A model from the wheel's folder; rapidocr itself is not run, as it might download one."""
    settings = {
        "INFERENCE_NUM_THREADS": min(4, max(1, (os.cpu_count() or 1) // 2)),  # the finders want the others
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",  # else what is found depends on the machine's kind of processor
        # What it makes ready for a size of picture takes 4 MB: by itself it keeps all of it, and gains nothing by that.
        "CPU_RUNTIME_CACHE_CAPACITY": 200,
    }
    return _core().compile_model(str(model_file(task)), "CPU", settings)


@cache
def _core() -> Core:
    """OpenVINO, without its tools: merely importing these tells its maker so, over the network."""
    sys.modules["openvino.tools"] = None  # type: ignore[assignment]
    import openvino

    return openvino.Core()


def unload() -> None:
    """Lets the models go, which hold some 100 MB; the next call loads what it needs."""
    _compiled.cache_clear()


def model_file(task: str) -> Path:
    """Where the wheel's model for "det" or "rec" lies. Raises WeightsError when there is none."""
    hint = "Install it again: pip install --force-reinstall rapidocr openvino."
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError("RapidOCR, which finds the text, is not installed", hint=hint)
    folder = Path(spec.submodule_search_locations[0]) / "models"
    files = sorted(folder.glob(f"PP-OCR*_{task}_*.onnx"))
    if not files:
        raise WeightsError(f"RapidOCR's {task} model is missing from {folder}", hint=hint)
    return files[-1]
