"""Networks on a device: the same answers in batches of any size, and what happens when memory runs out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from autowipe import inference
from autowipe.errors import DeviceError
from autowipe.inference import Inference
from torch import Tensor, nn


class Greedy(nn.Conv2d):
    """Holds no more than `most` pictures at a time, as a small GPU would."""

    def __init__(self, most: int) -> None:
        super().__init__(3, 1, 3, padding=1)
        self.most, self.asked = most, []

    def forward(self, x: Tensor) -> Tensor:
        self.asked.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(x)


def ask(network: Any, x: Tensor) -> Tensor:
    return network(x)[:, 0]


@pytest.fixture
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (3, 12, 16)).astype(np.uint8) for _ in range(11)]


def test_a_device_short_of_memory_gets_half_as_much_until_it_can_and_says_so(
    pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    network = Greedy(3)
    alone = Inference(network, "cpu", lambda code, text: said.append(text))
    expected = list(alone.each(pictures, ask))
    assert network.asked == [1] * 11
    network.asked.clear()
    many = Inference(network, "cpu", lambda code, text: said.append(text))
    monkeypatch.setattr(many, "_batch", inference.MOST)

    got = list(many.each(pictures, ask))

    assert network.asked == [8, 4, 2, 2, 2, 2, 2, 1]
    assert [text.split("gets ")[1] for text in said] == ["4 pictures at once", "2 pictures at once"]
    for one, other in zip(expected, got, strict=True):
        assert one.dtype == np.float32 and np.allclose(one, other, atol=0.02)


def test_a_device_that_cannot_hold_one_picture_is_named(pictures: list[np.ndarray]) -> None:
    with pytest.raises(DeviceError, match="too small for one picture") as caught:
        list(Inference(Greedy(0), "cpu", lambda code, text: None).each(pictures, ask))

    assert "--device cpu" in caught.value.hint


def test_bytes_and_shares_say_the_same(pictures: list[np.ndarray]) -> None:
    ready = Inference(Greedy(9), "cpu", lambda code, text: None)

    levels = list(ready.each(pictures, ask))
    shares = list(ready.each([picture.astype(np.float32) / 255 for picture in pictures], ask))

    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(levels, shares, strict=True))
