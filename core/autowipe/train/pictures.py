"""Pictures of a training: its curves, and samples side by side."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

PANEL = (220, 460)  # px of one curve, height and width
MARGIN = 34  # px around it
INK, PALE, LINE = (40, 40, 40), (190, 200, 215), (30, 90, 200)  # RGB
SMOOTH = 60  # a curve shows about so many different values, and the single ones pale behind it


def curves(history: Sequence[dict[str, float]]) -> np.ndarray:
    """One panel for each name in `history` over the `step`s: (H, W, 3) uint8 RGB."""
    names = dict.fromkeys(name for entry in history for name in entry if name != "step")
    panels = [_panel(name, [(entry["step"], entry[name]) for entry in history if name in entry]) for name in names]
    if not panels:
        return np.full((*PANEL, 3), 255, np.uint8)
    across = min(3, len(panels))
    panels += [np.full_like(panels[0], 255)] * (-len(panels) % across)
    return grid([panels[at : at + across] for at in range(0, len(panels), across)], gap=0)


def grid(rows: Sequence[Sequence[np.ndarray]], gap: int = 2) -> np.ndarray:
    """Pictures of one size, (h, w, 3) uint8 each, in rows of one length."""
    padded = [[np.pad(one, ((0, gap), (0, gap), (0, 0)), constant_values=255) for one in row] for row in rows]
    return np.concatenate([np.concatenate(row, 1) for row in padded], 0)


def write(path: str, picture: np.ndarray) -> None:
    """(H, W, 3) uint8 RGB as PNG."""
    cv2.imwrite(path, picture[..., ::-1])


def _panel(name: str, points: list[tuple[float, float]]) -> np.ndarray:
    height, width = PANEL
    panel = np.full((height, width, 3), 255, np.uint8)
    x, y = (np.array(values, np.float64) for values in zip(*points, strict=True))
    low, high = (float(v) for v in np.percentile(y, (1, 99))) if len(y) > 20 else (float(y.min()), float(y.max()))
    high = high if high > low else low + 1e-9
    window = max(1, len(y) // SMOOTH)
    means = np.convolve(np.pad(y, (window // 2, window - 1 - window // 2), "edge"), np.ones(window) / window, "valid")

    def places(values: np.ndarray) -> np.ndarray:
        across = MARGIN + (x - x[0]) / max(1e-9, x[-1] - x[0]) * (width - 2 * MARGIN)
        down = height - MARGIN - ((values - low) / (high - low)).clip(0, 1) * (height - 2 * MARGIN)
        return np.rint(np.stack([across, down], 1)).astype(np.int32).reshape(-1, 1, 2)

    cv2.rectangle(panel, (MARGIN, MARGIN), (width - MARGIN, height - MARGIN), PALE, 1)
    cv2.polylines(panel, [places(y)], False, PALE, 1, cv2.LINE_AA)
    cv2.polylines(panel, [places(means)], False, LINE, 2, cv2.LINE_AA)
    for text, at in (
        (f"{name}  {y[-1]:.4g}", (MARGIN, MARGIN - 10)),
        (f"{high:.4g}", (MARGIN + 4, MARGIN + 12)),
        (f"{low:.4g}", (MARGIN + 4, height - MARGIN - 5)),
        (f"{x[0]:.0f}", (MARGIN, height - MARGIN + 16)),
        (f"{x[-1]:.0f}", (width - MARGIN - 50, height - MARGIN + 16)),
    ):
        cv2.putText(panel, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
    return panel
