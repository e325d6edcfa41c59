"""Quality figures of a result: against the clean clip, or of a matte against boxes and times that a person marked.

Streams frame by frame. All figures are taken on 8-bit RGB by one fixed matrix, so that colour tags change none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .decode import Clip, open_clip
from .errors import JobError
from .job import KINDS
from .pixels import comparable_rgb
from .timing import FrameRange

COVERED = 3  # levels of 255 by which an overlay must change a pixel for it to count as covered
OVER_NOISE = 4.0  # times the codec's noise, where what is covered is told from source and clean clip alone
VISIBLE = 16  # levels from which the eye surely sees it: recall counts these
CHANGED = 8  # levels by which an output must differ from its source to count as touched
WIPED_WITHOUT_MATTE = 4  # levels of change that count as found where there is no matte
HALO = 13 / 720  # of the picture's height: what the codec smears around a covered pixel is not "away"
HIT_SHARE = 0.08  # of a marked box covered by the matte, from which its overlay counts as found
FOUND_SHARE = 0.95  # of its frames found, from which an overlay does
MARGIN = 0.012  # of the height: hand-marked boxes are not exact
EDGE_FRAMES = 2  # nor are hand-marked times
BEST_DB = 99.0  # stands for identical


@dataclass
class Sums:
    """What the figures are made of, added up frame by frame."""

    frames: int = 0
    pixels: int = 0  # of one frame
    covered: int = 0
    before: float = 0.0
    after: float = 0.0
    ssim: float = 0.0
    ghost: float = 0.0
    overlay: float = 0.0
    visible: int = 0
    found: int = 0
    change: float = 0.0
    changing: int = 0
    away: int = 0
    spilt: int = 0
    away_error: float = 0.0
    kept: int = 0
    harmed: int = 0
    last: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False)

    def add(
        self,
        source: np.ndarray,
        clean: np.ndarray,
        result: np.ndarray,
        hit: np.ndarray,
        kept: np.ndarray,
        matte: np.ndarray | None,
    ) -> None:
        """One frame: (H, W, 3) uint8 RGB pictures; (H, W) bool what is covered, what must stay, what was wiped."""
        self.frames += 1
        self.pixels = hit.size
        given, truth, out = (picture.astype(np.float32) for picture in (source, clean, result))
        change = np.abs(out - given).max(2)
        if hit.any():
            hit = cv2.dilate(hit.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))) > 0
            self._add_covered(given, truth, out, hit, change, matte)
        else:
            self.last = None
        size = max(5, round(hit.shape[0] * HALO)) | 1
        away = cv2.dilate(hit.astype(np.uint8), np.ones((size, size), np.uint8)) == 0
        self.away += int(away.sum())
        self.spilt += int((away & (change >= CHANGED)).sum())
        self.away_error += float(((out - given)[away] ** 2).sum())
        self.kept += int(kept.sum())
        self.harmed += int((kept & (change >= CHANGED)).sum())

    def _add_covered(
        self,
        given: np.ndarray,
        truth: np.ndarray,
        out: np.ndarray,
        hit: np.ndarray,
        change: np.ndarray,
        matte: np.ndarray | None,
    ) -> None:
        error, overlay = out - truth, given - truth
        self.covered += int(hit.sum())
        self.before += float((overlay[hit] ** 2).sum())
        self.after += float((error[hit] ** 2).sum())
        grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (out, truth)]
        self.ssim += float(_ssim(*grey)[hit].sum())
        # without their local mean, so that a smooth patch does not count as a ghost
        fine = [(part - cv2.GaussianBlur(part, (0, 0), 8))[hit] for part in (error, overlay)]
        self.ghost += float((fine[0] * fine[1]).sum())
        self.overlay += float((fine[1] ** 2).sum())
        visible = hit & (np.abs(overlay).max(2) >= VISIBLE)
        self.visible += int(visible.sum())
        self.found += int((visible & (change >= WIPED_WITHOUT_MATTE if matte is None else matte)).sum())
        if self.last is not None:
            both = hit & self.last[1]
            self.change += float(np.abs(error - self.last[0])[both].sum())
            self.changing += 3 * int(both.sum())
        self.last = (error, hit)

    def figures(self) -> dict[str, float]:
        """The figures by name; those of covered pixels only where there were any."""
        out: dict[str, float] = {"frames": self.frames}
        out["covered_pct"] = 100 * self.covered / max(1, self.frames * self.pixels)
        if self.covered:
            before, after = (_psnr(total / (3 * self.covered)) for total in (self.before, self.after))
            out |= {
                "psnr_in": before,
                "psnr": after,
                "gain": after - before,
                "ssim": self.ssim / self.covered,
                "ghost": self.ghost / max(1e-9, self.overlay),
                "flicker": self.change / max(1, self.changing),
                "recall": self.found / max(1, self.visible),
            }
        out["spill_pct"] = 100 * self.spilt / max(1, self.away)
        out["away_psnr"] = _psnr(self.away_error / max(1, 3 * self.away))
        if self.kept:
            out["kept_harm_pct"] = 100 * self.harmed / self.kept
        return out


def against_clean(
    result: str,
    source: str,
    clean: str,
    *,
    covered: str | None = None,
    matte: str | None = None,
    kinds: Sequence[str] = KINDS,
) -> dict[str, float]:
    """Figures of a result where the clean clip is known. All arguments but `kinds` are paths of clips.

    `covered`: grey video of what overlays cover: 0 is free; elsewhere bit k of the value says that the k-th of
    job.KINDS covers the pixel (255: any). Without it, covered is where source and clean clip differ by more than the
    codec's noise. `matte`: grey video of what was wiped. `kinds`: those that were to go; the others count as kept.
    Raises JobError where sizes or lengths differ, MediaError where a clip cannot be read.
    """
    wanted = sum(1 << KINDS.index(kind) for kind in kinds)
    others = (1 << len(KINDS)) - 1 - wanted
    sums = Sums()
    with _together({"source": source, "clean": clean, "result": result, "covered": covered, "matte": matte}) as frames:
        for pictures in frames:
            given, truth = pictures["source"], pictures["clean"]
            if covered is None:
                hit, kept = _differs(given, truth), np.zeros(given.shape[:2], bool)
            else:
                code = pictures["covered"][..., 0]
                hit, kept = (code & wanted) > 0, ((code & others) > 0) & (code < 1 << len(KINDS))
            wiped = pictures["matte"][..., 0] > 127 if matte else None
            sums.add(given, truth, pictures["result"], hit, kept, wiped)
    return sums.figures()


def against_notes(matte: str, notes: str) -> dict[str, float]:
    """Figures of a matte video, held against a JSON file of what a person marked.

    `{"size": [w, h], "frames": [0, n], "overlays": [{"box": [x, y, w, h], "in": first, "out": one past the last}],
    "scene_text": [{"box": [x, y, w, h]}]}`, in px and frames. Raises JobError where the notes are not like that.
    """
    note = _read_notes(notes)
    width, height = note["size"]
    margin = max(4, round(MARGIN * height))
    items, signs = note["overlays"], note.get("scene_text", [])
    hits: list[list[bool]] = [[] for _ in items]
    false = scene = scene_hit = 0.0
    count = 0
    with open_clip(matte) as clip:
        if (clip.info.layout.width, clip.info.layout.height) != (width, height):
            size = f"{clip.info.layout.width}x{clip.info.layout.height}"
            raise JobError(f"the matte {matte} is {size} px, but the notes are on {width}x{height} px")
        if clip.info.frames < note["frames"][1] - 1:
            raise JobError(f"the matte {matte} has {clip.info.frames} frames of {note['frames'][1]}")
        for frame in clip.frames(FrameRange(0, min(clip.info.frames, note["frames"][1]))):
            on = comparable_rgb(frame.av)[..., 0] > 127
            free = np.ones_like(on)
            for found, item in zip(hits, items, strict=True):
                found.append(bool(on[_part(item["box"])].mean() >= HIT_SHARE))
                if item["in"] - EDGE_FRAMES <= count < item["out"] + EDGE_FRAMES:
                    free[_part(item["box"], margin)] = False
            false += float((on & free).mean())
            for item in signs:
                part = (on & free)[_part(item["box"])]
                scene, scene_hit = scene + part.size, scene_hit + float(part.sum())
            count += 1
    shares = [np.mean(f[i["in"] : i["out"]]) for f, i in zip(hits, items, strict=True) if i["in"] < count]
    late: list[int] = []
    for found, item in zip(hits, items, strict=True):
        there = np.flatnonzero(found[item["in"] : item["out"]])
        if there.size:
            late += [int(there[0]), min(item["out"], count) - 1 - item["in"] - int(there[-1])]
    out = {
        "frames": float(count),
        "overlays": float(len(items)),
        "frame_recall": float(np.mean(shares)) if shares else 1.0,
        "event_recall": float(np.mean([share >= FOUND_SHARE for share in shares])) if shares else 1.0,
        "late_frames": float(np.mean(late)) if late else 0.0,
        "false_pct": 100 * false / max(1, count),
    }
    if scene:
        out["scene_text_pct"] = 100 * scene_hit / scene
    return out


def _part(box: Sequence[float], margin: int = 0) -> tuple[slice, slice]:
    x, y, w, h = (round(value) for value in box)
    return slice(max(y - margin, 0), y + h + margin), slice(max(x - margin, 0), x + w + margin)


def _read_notes(path: str) -> dict[str, Any]:
    try:
        note = json.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as err:
        raise JobError(f"the notes {path} cannot be read: {err}", hint="They are one JSON object.") from err
    try:
        good = len(note["size"]) == 2 and len(note["frames"]) == 2
        for item in note["overlays"]:
            good &= len(item["box"]) == 4 and item["in"] < item["out"]
        good &= all(len(item["box"]) == 4 for item in note.get("scene_text", []))
    except (KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise JobError(
            f"the notes {path} lack a size, a number of frames, or an overlay's box or times",
            hint='An overlay is {"box": [x, y, width, height], "in": first frame, "out": one past the last}.',
        )
    return note


@contextmanager
def _together(paths: dict[str, str | None]) -> Iterator[Iterator[dict[str, np.ndarray]]]:
    """The frames of several clips of one size and length side by side, as (H, W, 3) uint8 RGB."""
    with ExitStack() as stack:
        clips = {name: stack.enter_context(open_clip(path)) for name, path in paths.items() if path}
        source = clips["source"].info
        for name, clip in clips.items():
            info = clip.info
            if (info.layout.width, info.layout.height) != (source.layout.width, source.layout.height):
                sizes = [f"{i.layout.width}x{i.layout.height}" for i in (info, source)]
                raise JobError(
                    f"the {name} clip {paths[name]} is {sizes[0]} px, the source {sizes[1]}",
                    hint="All clips have to be of one size.",
                )
            if info.frames != source.frames:
                raise JobError(
                    f"the {name} clip {paths[name]} has {info.frames} frames, the source {source.frames}",
                    hint="All clips have to be of one length.",
                )
        yield _frames(clips)


def _frames(clips: dict[str, Clip]) -> Iterator[dict[str, np.ndarray]]:
    for frames in zip(*(clip.frames() for clip in clips.values()), strict=True):
        yield {name: comparable_rgb(frame.av) for name, frame in zip(clips, frames, strict=True)}


def _differs(source: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """(H, W) bool: where two pictures differ by more than the codec's noise, specks left out.

    The codec's noise goes with the texture: how far is measured on this very frame.
    """
    window = np.ones((9, 9), np.uint8)
    grey = cv2.cvtColor(clean, cv2.COLOR_RGB2GRAY)
    texture = (cv2.dilate(grey, window) - cv2.erode(grey, window)).astype(np.float32)
    smooth = np.abs(cv2.GaussianBlur(source.astype(np.float32) - clean, (5, 5), 0)).max(2)
    rough = texture >= np.median(texture)
    noise = float(np.median(smooth[rough] / np.maximum(texture[rough], 1)))
    calm = float(np.median(smooth))
    hit = (smooth >= np.maximum(COVERED, OVER_NOISE * np.maximum(calm, noise * texture))).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(hit, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0)


def _psnr(mean_square: float) -> float:
    return BEST_DB if mean_square < 1e-9 else min(BEST_DB, 10 * math.log10(255 * 255 / mean_square))


def _ssim(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """SSIM of two grey pictures (H, W) float32, a value a pixel (Wang et al. 2004: 11x11 Gaussian, sigma 1.5)."""

    def local(picture: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(picture, (11, 11), 1.5)

    mean_one, mean_two = local(one), local(two)
    spread = local(one * one) - mean_one**2 + local(two * two) - mean_two**2
    both = local(one * two) - mean_one * mean_two
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    alike = (2 * mean_one * mean_two + c1) * (2 * both + c2)
    return alike / ((mean_one**2 + mean_two**2 + c1) * (spread + c2))
