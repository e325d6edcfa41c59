"""Holes as overlays leave them: letters with outlines, marks, bars and blobs, a little larger than what they cover."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

LEAST, MOST = 0.01, 0.45  # of the picture: share that a hole may take
LETTERS = "ABCDEFGHKLMNOPQRSTUVWXYZabcdefghiklmnoprstuvwxyz0123456789&?!%"


def draw(size: int, fonts: Sequence[Path], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What an overlay covers, (size, size) float32 0..1, and the hole that is cut for it, (size, size) bool."""
    while True:
        kind = rng.choice(("text", "text", "text", "mark", "mark", "bar", "blob"))
        if kind == "text" and fonts:
            cover = _text(size, fonts, rng)
        elif kind == "bar":
            cover = _bar(size, rng)
        elif kind == "blob":
            cover = _blob(size, rng)
        else:
            cover = _mark(size, rng)
        grown = int(rng.integers(1, 4))
        ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grown + 1, 2 * grown + 1))
        hole = cv2.dilate((cover > 0.05).astype(np.uint8), ellipse)
        # A matte that was found, not drawn, is off by a pixel here and there.
        noise = cv2.GaussianBlur(rng.standard_normal((size, size)).astype(np.float32), (0, 0), 3)
        hole |= cv2.dilate(hole, np.ones((3, 3), np.uint8)) & (noise > 0.08).astype(np.uint8)
        if LEAST < hole.mean() < MOST:
            return cover, hole > 0


def part(size: int, rng: np.random.Generator) -> np.ndarray:
    """About half of a picture, (size, size) bool, bounded by a line or by blobs."""
    if rng.random() < 0.5:
        angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.3, 0.3) * size
        y, x = np.mgrid[:size, :size] - size / 2
        return np.cos(angle) * x + np.sin(angle) * y > offset
    noise = cv2.GaussianBlur(rng.standard_normal((size, size)).astype(np.float32), (0, 0), rng.uniform(6, 14))
    return noise > np.quantile(noise, rng.uniform(0.3, 0.7))


def _text(size: int, fonts: Sequence[Path], rng: np.random.Generator) -> np.ndarray:
    height = int(np.exp(rng.uniform(np.log(12), np.log(80))))
    font = ImageFont.truetype(str(fonts[int(rng.integers(len(fonts)))]), height)
    picture = Image.new("L", (size, size))
    pen = ImageDraw.Draw(picture)
    stroke = int(rng.integers(0, 1 + height // 9))
    top = rng.integers(-height // 2, size // 2)
    for _ in range(int(rng.integers(1, 4))):
        text = "".join(rng.choice(list(LETTERS), int(2 * size / height) + 2))
        left = int(rng.integers(-height, height))
        pen.text((left, int(top)), text, fill=255, font=font, stroke_width=stroke, stroke_fill=255)
        top += int(height * rng.uniform(1.15, 1.6)) + 2 * stroke
        if top > size:
            break
    cover = np.asarray(picture, np.float32) / 255
    if rng.random() < 0.2:  # a shadow
        move = np.array([[1, 0, rng.integers(1, 4)], [0, 1, rng.integers(1, 4)]], np.float32)
        cover = np.maximum(cover, cv2.warpAffine(cover, move, (size, size)))
    if rng.random() < 0.25:
        turn = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(-30, 30), 1)
        cover = cv2.warpAffine(cover, turn, (size, size))
    return cover


def _mark(size: int, rng: np.random.Generator) -> np.ndarray:
    """One to three rings, polygons and stars close together."""
    cover = np.zeros((size, size), np.uint8)
    middle = rng.uniform(0.25, 0.75, 2) * size
    for _ in range(int(rng.integers(1, 4))):
        at = middle + rng.uniform(-0.15, 0.15, 2) * size
        radius = rng.uniform(0.06, 0.26) * size
        width = -1 if rng.random() < 0.5 else int(rng.integers(2, 8))
        if rng.random() < 0.4:
            axes = (int(radius), int(radius * rng.uniform(0.4, 1)))
            cv2.ellipse(cover, (int(at[0]), int(at[1])), axes, rng.uniform(0, 180), 0, 360, 255, width, cv2.LINE_AA)
            continue
        count = int(rng.integers(3, 9))
        angles = np.arange(2 * count) * np.pi / count + rng.uniform(0, 2 * np.pi)
        reach = radius * np.where(np.arange(2 * count) % 2, rng.uniform(0.4, 1), 1)
        points = np.rint(at + np.stack([np.cos(angles), np.sin(angles)], 1) * reach[:, None]).astype(np.int32)
        if width < 0:
            cv2.fillPoly(cover, [points], 255, cv2.LINE_AA)
        else:
            cv2.polylines(cover, [points], True, 255, width, cv2.LINE_AA)
    return cover.astype(np.float32) / 255


def _bar(size: int, rng: np.random.Generator) -> np.ndarray:
    cover = np.zeros((size, size), np.float32)
    height, top = int(rng.uniform(0.08, 0.3) * size), int(rng.uniform(0.1, 0.8) * size)
    left = int(rng.uniform(-0.3, 0.4) * size)
    cover[top : top + height, max(0, left) : left + int(rng.uniform(0.4, 1.2) * size)] = 1
    return cover.T.copy() if rng.random() < 0.3 else cover


def _blob(size: int, rng: np.random.Generator) -> np.ndarray:
    noise = cv2.GaussianBlur(rng.standard_normal((size, size)).astype(np.float32), (0, 0), rng.uniform(3, 12))
    return (noise > np.quantile(noise, rng.uniform(0.65, 0.92))).astype(np.float32)
