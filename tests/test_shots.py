"""Shots: a cut is found on its frame; motion, flashes and fades are none."""

import cv2
import numpy as np
from autowipe.kinds import Small
from autowipe.shots import ShotFinder
from autowipe.timing import FrameRange


def texture(seed):
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(20, 235, (40, 60)).astype(np.uint8), (960, 540), interpolation=cv2.INTER_CUBIC)


def shots_of(pictures, start=0):
    finder = ShotFinder()
    for t, luma in enumerate(pictures):
        finder.add(Small(start + t, luma, np.full((*luma.shape, 2), 128, np.uint8), 1.0))
    return finder.finish()


def pan(seed, count, step=6):
    wide = texture(seed)
    return [np.ascontiguousarray(wide[60:240, 40 + step * t : 360 + step * t]) for t in range(count)]


def test_cuts_are_found_on_their_frames():
    assert shots_of(pan(1, 20) + pan(2, 30) + pan(3, 12), start=100) == (
        FrameRange(100, 120),
        FrameRange(120, 150),
        FrameRange(150, 162),
    )


def test_a_fast_pan_is_one_shot():
    assert shots_of(pan(4, 20, step=28)) == (FrameRange(0, 20),)


def test_a_flash_is_no_cut():
    pictures = pan(5, 24)
    pictures[11] = np.full_like(pictures[11], 250)

    assert shots_of(pictures) == (FrameRange(0, 24),)


def test_a_fade_to_black_is_no_cut():
    pictures = [(p * min(1.0, abs(t - 15) / 10)).astype(np.uint8) for t, p in enumerate(pan(6, 30))]

    assert shots_of(pictures) == (FrameRange(0, 30),)


def test_no_frame_is_no_shot():
    assert shots_of([]) == ()
