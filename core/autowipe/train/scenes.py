"""Backgrounds to burn overlays into: clips, pictures under a simulated camera, drawn scenes, and what misleads.

Every scene is a generator of RGB pictures of one size. What misleads looks like an overlay and is part of the scene:
signs, fences, screens, letterbox bars, a camera that never moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from .. import planes
from ..decode import ClipInfo, open_clip
from ..errors import MediaError
from ..timing import FrameRange
from . import lettering
from .material import PICTURES, Material
from .sprites import colour_of
from .words import phrase

Size = tuple[int, int]  # width, height, px
Scene = Iterator[np.ndarray]  # (H, W, 3) uint8 RGB
LARGER = 1.35  # of a picture under a moving camera, against the frame


def scene(rng: np.random.Generator, material: Material, size: Size, count: int) -> Scene:
    """A scene of `count` frames: one shot, or several with cuts between."""
    shots = 1 if rng.random() < 0.6 else int(rng.integers(2, 5))
    ends = np.sort(rng.choice(np.arange(8, count - 8), shots - 1, replace=False)) if shots > 1 else np.array([], int)
    for length in np.diff([0, *ends, count]):
        yield from _shot(rng, material, size, int(length))


def _shot(rng: np.random.Generator, material: Material, size: Size, count: int) -> Scene:
    kinds: list[Callable] = [_clip] if material.clips else []
    weights = [0.45] if material.clips else []
    kinds += [_camera, _locked_off]
    weights += [0.3, 0.25]
    kind = rng.choice(len(kinds), p=np.array(weights) / sum(weights))
    return kinds[kind](rng, material, size, count)


def _clip(rng: np.random.Generator, material: Material, size: Size, count: int) -> Scene:
    """A stretch of a clip, cropped by chance, mirrored by chance; a short clip runs to and fro."""
    item = material.clips[rng.integers(len(material.clips))]
    crop = rng.uniform(0, 0.35) * rng.random(2)
    corner = rng.random(2)
    is_mirrored = rng.random() < 0.5
    frames: list[np.ndarray] = []
    for picture in _pictures_of(Path(item.path), rng, count, size):
        h, w = picture.shape[:2]
        ch, cw = round(h * (1 - crop[0])), round(w * (1 - crop[0]))
        y, x = round((h - ch) * corner[0]), round((w - cw) * corner[1])
        picture = cv2.resize(picture[y : y + ch, x : x + cw], size, interpolation=cv2.INTER_AREA)
        picture = np.ascontiguousarray(picture[:, ::-1]) if is_mirrored else picture
        frames.append(picture)
        yield picture
        if len(frames) == count:
            return
    if not frames:
        yield from _camera(rng, material, size, count)
        return
    back = [*frames[-2::-1], *frames[1:]] or frames
    for k in range(count - len(frames)):
        yield back[k % len(back)].copy()


def _pictures_of(path: Path, rng: np.random.Generator, count: int, size: Size) -> Iterator[np.ndarray]:
    """(h, w, 3) uint8 RGB of a stretch of a clip or of a folder of numbered pictures, not much larger than `size`.

    Of what is damaged, as much as can be read: perhaps nothing.
    """
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
        first = int(rng.integers(max(1, len(files) - count)))
        for file in files[first : first + count]:
            yield read_picture(file)
        return
    with suppress(MediaError), open_clip(path) as clip:
        info, held = clip.info, clip.info.held
        first = int(rng.integers(max(1, held - count)))
        for frame in clip.frames(FrameRange(first, min(held, first + count))):
            yield rgb_of(*planes.small(frame.views, info.layout, round(1.3 * size[0])), info)


def rgb_of(luma: np.ndarray, chroma: np.ndarray, info: ClipInfo) -> np.ndarray:
    """(h, w, 3) uint8 RGB of an analysis picture: luma (h, w) and chroma (h, w, 2) uint8."""
    layout = planes.layout_of("yuv444p", luma.shape[1], luma.shape[0])
    matrix: planes.Matrix = "bt709" if info.layout.is_rgb else info.matrix
    rgb = planes.to_rgb([luma, *cv2.split(chroma)], layout, matrix, info.full_range or info.layout.is_rgb)
    return np.rint(rgb * 255).astype(np.uint8)


def read_picture(path: Path) -> np.ndarray:
    """(h, w, 3) uint8 RGB."""
    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def still(rng: np.random.Generator, material: Material, size: Size) -> np.ndarray:
    """One picture (H, W, 3) uint8 RGB: a photo, a frame of a clip, or drawn; often with what misleads."""
    sort = rng.random()
    if material.pictures and sort < 0.6:
        picture = read_picture(Path(material.pictures[rng.integers(len(material.pictures))].path))
    elif material.clips and sort < 0.9:
        item = material.clips[rng.integers(len(material.clips))]
        seen = next(_pictures_of(Path(item.path), rng, 1, size), None)
        picture = drawn(rng, size) if seen is None else seen
    else:
        picture = drawn(rng, size)
    picture = _filling(picture, size, rng)
    for mislead, share in ((_sign, 0.45), (_fence, 0.15), (_screen, 0.15)):
        if rng.random() < share:
            picture = mislead(picture, rng, material)
    return picture


def _filling(picture: np.ndarray, size: Size, rng: np.random.Generator) -> np.ndarray:
    """A part of the picture, scaled to fill `size`."""
    scale = max(size[0] / picture.shape[1], size[1] / picture.shape[0]) * rng.uniform(1, 1.6)
    wide = max(size[0], round(picture.shape[1] * scale)), max(size[1], round(picture.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(picture, wide, interpolation=how)
    x, y = int(rng.integers(wide[0] - size[0] + 1)), int(rng.integers(wide[1] - size[1] + 1))
    return picture[y : y + size[1], x : x + size[0]].copy()


def drawn(rng: np.random.Generator, size: Size) -> np.ndarray:
    """A scene of textured surfaces and bodies, for want of a picture: (H, W, 3) uint8."""
    width, height = size
    out = np.full((height, width, 3), rng.uniform(20, 220, 3), np.float32)
    for cell in (60, 22, 7):
        cells = rng.normal(0, 60 / np.sqrt(60 / cell), (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        out += cv2.resize(cells, size, interpolation=cv2.INTER_CUBIC)
    for _ in range(int(rng.integers(3, 14))):
        colour = tuple(float(v) for v in rng.uniform(0, 255, 3))
        x, y = int(rng.integers(width)), int(rng.integers(height))
        reach = int(rng.integers(height // 12, height // 3))
        if rng.random() < 0.5:
            cv2.ellipse(out, (x, y), (reach, max(3, reach // 2)), rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
        else:
            points = np.array([x, y]) + rng.integers(-reach, reach + 1, (4, 2))
            cv2.fillConvexPoly(out, cv2.convexHull(points.astype(np.int32)), colour, cv2.LINE_AA)
    return np.clip(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 1.2)), 0, 255).astype(np.uint8)


def _pasted(picture: np.ndarray, patch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A flat thing of the scene, seen at a slant and through the lens: its edges are as soft as the scene's."""
    height, width = picture.shape[:2]
    h, w = patch.shape[:2]
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    place = np.array([rng.uniform(0, max(1, width - w)), rng.uniform(0, max(1, height - h))])
    bent = corners + place + rng.uniform(-0.22, 0.22, (4, 2)) * min(h, w)
    move = cv2.getPerspectiveTransform(corners, bent.astype(np.float32))
    cover = cv2.warpPerspective(np.ones((h, w), np.float32), move, (width, height))
    seen = cv2.warpPerspective(patch.astype(np.float32), move, (width, height), flags=cv2.INTER_AREA)
    light = rng.uniform(0.55, 1.0)
    blur = rng.uniform(0.5, 1.3)
    cover, seen = cv2.GaussianBlur(cover, (0, 0), blur), cv2.GaussianBlur(seen, (0, 0), blur)
    out = picture * (1 - cover[..., None]) + seen * light  # both were blurred alike: `seen` is black off the patch
    return np.clip(out, 0, 255).astype(np.uint8)


def _sign(picture: np.ndarray, rng: np.random.Generator, material: Material) -> np.ndarray:
    """A board with letters that stands in the scene."""
    face = material.fonts[rng.integers(len(material.fonts))]
    script = str(rng.choice(face.scripts))
    size = int(rng.integers(10, max(12, picture.shape[0] // 6)))
    letters = lettering.line(face.path, size, phrase(rng, script, 14), script)
    letters = np.pad(letters, int(size * rng.uniform(0.2, 0.6)))[: picture.shape[0], : picture.shape[1]]
    back, ink = colour_of(rng, 0.5), colour_of(rng, 0.5)
    if abs(back.mean() - ink.mean()) < 0.3:
        ink = 1 - back
    patch = (back * (1 - letters[..., None]) + ink * letters[..., None]) * 255
    return _pasted(picture, patch + rng.normal(0, 6, patch.shape), rng)


def _fence(picture: np.ndarray, rng: np.random.Generator, material: Material) -> np.ndarray:
    """Bars, wires or tiles before or on the scene."""
    out = picture.copy()
    height, width = out.shape[:2]
    step, thick = int(rng.integers(6, 40)), int(rng.integers(1, 4))
    slant = int(rng.uniform(-0.4, 0.4) * height) if rng.random() < 0.5 else 0
    colour = tuple(float(v) for v in colour_of(rng, 0.5) * 255)
    for x in range(-abs(slant), width + abs(slant), step):
        cv2.line(out, (x, 0), (x + slant, height), colour, thick, cv2.LINE_AA)
        if rng.random() < 0.5 or slant:
            cv2.line(out, (x + slant, 0), (x, height), colour, thick, cv2.LINE_AA)
    top = int(rng.integers(height // 2))
    out[:top] = picture[:top]
    return cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 1.2))


def _screen(picture: np.ndarray, rng: np.random.Generator, material: Material) -> np.ndarray:
    """A screen in the scene that itself shows windows and text."""
    height, width = picture.shape[:2]
    h, w = int(height * rng.uniform(0.25, 0.6)), int(width * rng.uniform(0.25, 0.6))
    patch = np.full((h, w, 3), rng.uniform(10, 245, 3), np.float32)
    face = material.fonts[rng.integers(len(material.fonts))]
    for _ in range(int(rng.integers(2, 7))):
        script = str(rng.choice(face.scripts))
        letters = lettering.line(face.path, int(rng.integers(7, 18)), phrase(rng, script), script)[: h - 2, : w - 2]
        y, x = int(rng.integers(h - letters.shape[0])), int(rng.integers(w - letters.shape[1]))
        room = patch[y : y + letters.shape[0], x : x + letters.shape[1]]
        room += (colour_of(rng, 0.3) * 255 - room) * letters[..., None]
    cv2.rectangle(patch, (0, 0), (w - 1, h - 1), (12, 12, 12), max(2, h // 30))
    return _pasted(picture, patch, rng)


def _camera(rng: np.random.Generator, material: Material, size: Size, count: int) -> Scene:
    """A picture under a moving camera, with a nearer body that moves faster (parallax) or by itself."""
    wide = round(size[0] * LARGER), round(size[1] * LARGER)
    picture = still(rng, material, wide)
    body, cover = _body(rng, material, size)
    speed = rng.uniform(-1, 1, 2) * np.array(size) * 0.004 * rng.choice([0.2, 1, 2.5])
    zoom, turn = rng.uniform(-0.0015, 0.0015), rng.uniform(-0.05, 0.05)
    shake = rng.uniform(0, 1.2) if rng.random() < 0.4 else 0.0
    drift, away = np.zeros(2), rng.uniform(-1.5, 1.5, 2)
    place = rng.uniform(0.1, 0.8, 2) * size
    light = rng.uniform(-0.002, 0.002)
    has_body = rng.random() < 0.6
    for t in range(count):
        drift = 0.9 * drift + rng.normal(0, 1, 2) * shake
        # to and fro, so that the picture's border never comes into view
        swing = np.array(wide) * (LARGER - 1) / 2 / LARGER
        at = _folded(speed * t, swing) + np.clip(drift, -3, 3)
        move = cv2.getRotationMatrix2D((wide[0] / 2, wide[1] / 2), _folded(turn * t, 3), 1.02 + abs(zoom) * t)
        move[:, 2] += at - (np.array(wide) - size) / 2
        seen = cv2.warpAffine(picture, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        if has_body:
            shift = np.array(
                [[1, 0, place[0] + 2.2 * at[0] + away[0] * t], [0, 1, place[1] + 2.2 * at[1] + away[1] * t]], np.float32
            )
            seen = _with_body(seen, body, cover, shift)
        yield _noisy(seen, rng, 1 + light * t)


def _folded(value, most):
    """A value that runs to and fro between -most and most."""
    most = np.maximum(most, 1e-3)
    return np.abs((value + most) % (4 * most) - 2 * most) - most


def _body(rng: np.random.Generator, material: Material, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """A body (h, w, 3) float32 levels that covers part of the scene, and its cover (h, w)."""
    side = int(size[1] * rng.uniform(0.15, 0.6))
    body = still(rng, Material(material.clips, material.pictures, material.fonts), (side, side)).astype(np.float32)
    cover = np.zeros((side, side), np.uint8)
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    radii = side / 2 * rng.uniform(0.55, 0.98, 12)
    points = np.stack([side / 2 + radii * np.cos(angles), side / 2 + radii * np.sin(angles)], 1)
    cv2.fillPoly(cover, [points.astype(np.int32)], 255, cv2.LINE_AA)
    return body, cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.6, 2)) / np.float32(255)


def _with_body(picture: np.ndarray, body: np.ndarray, cover: np.ndarray, move: np.ndarray) -> np.ndarray:
    size = picture.shape[1::-1]
    a = cv2.warpAffine(cover, move, size)[..., None]
    return (picture * (1 - a) + cv2.warpAffine(body, move, size, borderMode=cv2.BORDER_REPLICATE) * a).astype(np.uint8)


def _noisy(picture: np.ndarray, rng: np.random.Generator, light: float = 1.0, sigma: float = 1.5) -> np.ndarray:
    """The picture in another light and with the noise of a camera, new in every frame."""
    height, width = picture.shape[:2]
    noise = rng.standard_normal((height // 2 + 1, width // 2 + 1), np.float32) * np.float32(sigma)
    noise = cv2.merge([cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)] * 3)
    return cv2.add(cv2.convertScaleAbs(picture, alpha=light), noise, dtype=cv2.CV_8U)


def _locked_off(rng: np.random.Generator, material: Material, size: Size, count: int) -> Scene:
    """A camera that never moves; at most one body does."""
    picture = still(rng, material, size)
    body, cover = _body(rng, material, size)
    has_body = rng.random() < 0.65
    sigma = rng.choice([0.0, 1.0, 2.5])
    start, way = rng.uniform(0.1, 0.7, 2) * size, rng.uniform(-2.5, 2.5, 2) * rng.choice([0.2, 1])
    for t in range(count):
        seen = picture
        if has_body:
            at = start + _folded(way * t, np.array(size) * 0.25)
            seen = _with_body(picture, body, cover, np.array([[1, 0, at[0]], [0, 1, at[1]]], np.float32))
        yield _noisy(seen, rng, 1.0, sigma)


def letterboxed(frames: Scene, share: float, is_pillar: bool) -> Scene:
    """Black bars that take `share` of the height, or of the width, on each side."""
    for picture in frames:
        out = picture.copy()
        bar = round(out.shape[1 if is_pillar else 0] * share)
        for part in (out[:, :bar], out[:, -bar:]) if is_pillar else (out[:bar], out[-bar:]):
            part[:] = 0
        yield out
