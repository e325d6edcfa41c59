"""The detector finds lines of text and nothing else; the recogniser reads them; neither needs a network."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from autowipe import text
from autowipe.text import find_text, lines_of, model_file, read_text


def page(words: str = "", *, size: tuple[int, int] = (360, 640)) -> np.ndarray:
    """A soft grey picture, with one white line on it if there are words."""
    picture = np.full((*size, 3), 90, np.uint8)
    picture[:, : size[1] // 2] = 110
    picture = cv2.GaussianBlur(picture, (31, 31), 0)
    if words:
        cv2.putText(picture, words, (120, 320), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 255, 255), 2, cv2.LINE_AA)
    return picture


def test_a_line_of_text_is_found_where_it_is():
    lines = find_text(page("Where were you last night"))
    assert len(lines) == 1
    x0, y0, x1, y1 = lines[0].bounds
    assert abs(x0 - 120) < 12 and x1 > 470 and y0 < 302 and 320 < y1 < 345
    assert lines[0].score > 0.8 and lines[0].slant < 3


def test_a_grey_picture_is_as_good_as_a_coloured_one():
    grey = cv2.cvtColor(page("Where were you last night"), cv2.COLOR_BGR2GRAY)
    assert len(find_text(grey)) == 1


def test_a_picture_without_text_has_no_lines():
    assert find_text(page()) == []


@pytest.mark.parametrize("size", [(33, 47), (90, 160), (361, 641)])
def test_any_size_of_picture_is_taken(size):
    assert find_text(page(size=size)) == []


def test_threads_that_look_at_once_see_what_one_does():
    pages = [page(words, size=(384, 640)) for words in ("Where were you", "", "Where were you last night", "no")]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(find_text, pages * 2))
    assert any(found)
    assert [[line.bounds for line in lines] for lines in found] == [
        [line.bounds for line in find_text(one)] for one in pages * 2
    ]


def test_after_the_models_were_let_go_the_same_is_found():
    picture = page("Where were you last night")
    before = find_text(picture)
    assert before
    text.unload()
    assert [line.bounds for line in find_text(picture)] == [line.bounds for line in before]


def test_after_many_sizes_of_picture_the_same_is_found():
    picture = page("Where were you last night")
    before = find_text(picture)
    for k in range(27):
        find_text(page(size=(32, 32 * (k + 2))))
    assert [line.bounds for line in find_text(picture)] == [line.bounds for line in before]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_the_sizes_of_picture_it_has_seen():
    script = (
        "import numpy as np\n"
        "from autowipe import heap\n"
        "from autowipe.text import find_text\n"
        "heap.keep_small()\n"
        "for k in range(60):\n"
        "    find_text(np.full((32 * (2 + k % 6), 32 * (4 + k // 6)), 90, np.uint8))\n"
        "    if k in (29, 59):\n"
        "        heap.give_back()\n"
        "        print(open('/proc/self/status').read().split('VmRSS:')[1].split()[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    half, all_of_them = (int(line) / 1024 for line in done.stdout.split())
    assert all_of_them - half < 40  # MB; four a size without a limit


def test_a_box_over_most_of_the_picture_is_no_line():
    assert lines_of(np.full((360, 640), 0.9, np.float32)) == []


def test_a_box_higher_than_letters_ever_are_is_no_line():
    likely = np.zeros((360, 640), np.float32)
    likely[100:260, 200:360] = 0.9
    assert lines_of(likely) == []


def test_a_tilted_line_tells_its_slant():
    likely = np.zeros((360, 640), np.float32)
    corners = cv2.boxPoints(((320, 180), (200, 12), 20))
    cv2.fillPoly(likely, [np.int32(corners)], 0.9)
    assert lines_of(likely)[0].slant == pytest.approx(20, abs=2)


def test_a_line_is_read():
    picture = page("Where were you last night")
    words, sure = read_text(picture[290:335, 110:580])
    assert words.replace(" ", "").lower() == "wherewereyoulastnight"
    assert sure > 0.8


def test_an_empty_picture_reads_as_nothing():
    words, _ = read_text(np.full((40, 200), 90, np.uint8))
    assert words == ""


def test_nothing_is_fetched(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    text.unload()
    assert find_text(page("Where were you last night"))
    assert model_file("det").is_file() and model_file("rec").is_file()


def test_nobody_is_told_that_text_is_looked_for(tmp_path):
    script = (
        "import sys, numpy as np\n"
        "from autowipe.text import find_text\n"
        "assert find_text(np.zeros((64, 64, 3), np.uint8)) == []\n"
        "assert not [name for name in sys.modules if 'telemetry' in name]\n"
    )
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, **home})
    assert not list(tmp_path.iterdir())  # where OpenVINO's tools keep by which number they tell it


def test_a_missing_model_is_told_with_the_mend(monkeypatch, tmp_path):
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr("importlib.util.find_spec", lambda _name: Spec())
    with pytest.raises(text.WeightsError) as told:
        model_file("det")
    assert "det model is missing" in told.value.text and "pip install" in told.value.hint
