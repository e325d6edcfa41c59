"""A Blender with windows, driven as by hand: panel, progress, overlay in the preview, ESC, undo.

Runs with `tests/blenders.py` only: it needs Debian's `blender xvfb xdotool ffmpeg` and a minute. Its pictures are
for people: their folder is printed.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys

import pytest
import synth
from conftest import ROOT

pytestmark = [pytest.mark.host, pytest.mark.timeout(400)]

PROGRAMS = ("blender", "xvfb-run", "xdotool", "ffmpeg")
SIZE = (1600, 1400)

spec = importlib.util.spec_from_file_location("install_blender", ROOT / "plugin" / "install_blender.py")
install_blender = importlib.util.module_from_spec(spec)
spec.loader.exec_module(install_blender)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    if not os.environ.get("AUTOWIPE_TEST_GUI"):
        pytest.skip("a Blender with windows is driven by tests/blenders.py only")
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(
            f"not on this machine: {', '.join(missing)}; on Debian: apt-get install blender xvfb xdotool ffmpeg"
        )
    folder = tmp_path_factory.mktemp("gui")
    marks = [synth.Burnt(synth.badge((60, 30)), (240, 10), 0, 130)]
    marks += [
        synth.Burnt(synth.text(words, 18, outline=2), (60, 135), first, first + 45)
        for words, first in (("Good morning", 10), ("And good night", 70))
    ]
    clip = synth.make(folder / "logo.mp4", marks, count=130, size=(320, 180), keep=False).path
    archive = install_blender.build(str(folder / "autowipe.zip"), sys.executable)
    task = {"zip": archive, "clip": str(clip), "folder": str(folder), "size": SIZE}
    (folder / "task.json").write_text(json.dumps(task))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment.update(XDG_STATE_HOME=str(folder / "state"), LIBGL_ALWAYS_SOFTWARE="1")
    for name in ("CONFIG", "SCRIPTS", "EXTENSIONS", "DATAFILES"):
        environment["BLENDER_USER_" + name] = str(folder / "user" / name.lower())
    screen = "-screen 0 {}x{}x24 +extension GLX".format(*SIZE)
    words = ["xvfb-run", "-a", "-s", screen, "blender", "--factory-startup", "--app-template", "Video_Editing"]
    words += ["--window-geometry", "0", "0", *map(str, SIZE), "-P", str(ROOT / "tests" / "blender_gui.py")]
    with open(folder / "said.txt", "w") as said:
        code = subprocess.call(
            [*words, "--", str(folder / "task.json")], stdout=said, stderr=said, env=environment, timeout=360
        )
    assert code == 0, (folder / "said.txt").read_text("utf-8", "replace")[-2000:]
    found = json.loads((folder / "seen.json").read_text("utf-8"))
    assert "failure" not in found, found["failure"]
    return dict(found, folder=str(folder))


def test_the_panel_finds_shows_and_removes(seen, record_property):
    assert seen["found"][0] == "done"
    assert sorted(kind for kind, _ in seen["overlays"]) == ["logo", "subtitle"]
    assert seen["removed"][0] == "done"
    assert {"panel", "found", "placed", "removing"} <= set(seen["moments"])
    (clip,) = seen["before"]
    assert [strip[2:] for strip in seen["after"]] == [[1, 1, 131, True], [2, 1, 131, False]]
    assert clip[5] is False
    record_property("pictures in", seen["folder"])
    record_property("Blender with windows", ".".join(map(str, seen["version"])))
    record_property("longest tick", "{:.0f} ms".format(1000 * seen["longest_tick_s"]))
    record_property("longest at work", "{:.0f} ms".format(1000 * seen["longest_at_work_s"]))


def test_the_preferences_tell_what_the_doctor_says(seen):
    assert "FFmpeg" in seen["doctor"]


def test_an_area_is_drawn_by_hand_where_the_mouse_was(seen):
    ((use, box),) = seen["areas"]

    assert use == "HOLD_OUT"
    for side, wanted in zip(box, (0.25, 0.25, 0.5, 0.75), strict=True):
        assert abs(side - wanted) < 0.02


def test_undo_and_redo_in_the_window_take_the_result_away_and_bring_it_back(seen):
    assert seen["undone"] == seen["before"]
    assert seen["redone"] == seen["after"]


def test_escape_over_the_sequencer_cancels_and_leaves_the_timeline(seen):
    assert seen["escaped"] == ["cancelled", "Cancelled."]
    assert seen["cancelled"] == seen["redone"]
