"""Messages: one ASCII JSON object a line, as adapters read them."""

import json

import pytest
from autowipe.protocol import Failed, Hello, OverlayFound, PlanSize, Progress, Result, Warned, to_line


@pytest.mark.parametrize(
    ("message", "body"),
    [
        (Hello("1.0"), {"type": "hello", "engine": "1.0", "protocol": 1}),
        (PlanSize(9, 2, ("look", "wipe")), {"type": "plan", "frames": 9, "shots": 2, "stages": ["look", "wipe"]}),
        (Progress("wipe", 3, 9, None), {"type": "progress", "stage": "wipe", "done": 3, "total": 9, "eta_s": None}),
        (
            OverlayFound("logo-1", "logo", ((0, 9),), (1, 2, 3, 4), 0.5),
            {
                "type": "overlay",
                "id": "logo-1",
                "kind": "logo",
                "events": [[0, 9]],
                "box": [1, 2, 3, 4],
                "confidence": 0.5,
            },
        ),
        (Warned("c", "Ä"), {"type": "warning", "code": "c", "text": "Ä"}),
        (Failed("c", "t", "h"), {"type": "error", "code": "c", "text": "t", "hint": "h"}),
    ],
)
def test_a_message_is_one_ascii_line(message, body):
    line = to_line(message)

    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == body


def test_a_result_says_where_everything_is():
    line = to_line(Result("o.mp4", None, 1, 9, 4, {"borrowed": 1.0}, {"matte": "m.mkv"}, "Done."))

    assert json.loads(line)["type"] == "result"
    assert json.loads(line)["files"] == {"matte": "m.mkv"}
