"""Makes the README's picture: the sample's source and its cleaned clip, one beside the other.

python3 install.py demo
.venv/bin/python sample/before_after.py sample/village.mp4 demo/village_clean.mp4 sample/before_after.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import av
import cv2
import numpy as np

GAP = 8  # px of white between the two


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source")
    parser.add_argument("cleaned")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--frame", type=int, default=84, help="frame to show (default 84)")
    options = parser.parse_args()
    before, after = (frame_of(path, options.frame) for path in (options.source, options.cleaned))
    gap = np.full((before.shape[0], GAP, 3), 255, np.uint8)
    done, data = cv2.imencode(".jpg", np.hstack([before, gap, after]), [cv2.IMWRITE_JPEG_QUALITY, 88])
    assert done
    options.picture.write_bytes(data.tobytes())


def frame_of(path: str, number: int) -> np.ndarray:
    """(H, W, 3) uint8 blue, green, red."""
    with av.open(path) as clip:
        for index, frame in enumerate(clip.decode(video=0)):
            if index == number:
                return frame.to_ndarray(format="bgr24")
    raise SystemExit(f"{path} has no frame {number}")


if __name__ == "__main__":
    main()
