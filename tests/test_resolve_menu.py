"""The menu commands of the Resolve adapter as a user meets them: dialogue, progress, cancel, the last sentence."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import fake_resolve
import pytest
import synth
from fake_resolve_state import state_of
from fake_resolve_ui import Screen, UIManager, Window
from resolve_film import ROOT, Film, expected, worst

from autowipe_resolve import engine, fronts, main, settings  # isort: skip

TESTS = ROOT / "tests"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the user's, with an engine that marks instead of wiping."""
    home = tmp_path / "Zuhause von Ümit"
    home.mkdir()
    command = home / "engine"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{TESTS / "marking_engine.py"}" "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("AUTOWIPE_ENGINE", str(command))
    return home


@pytest.fixture
def film(tmp_path: Path) -> Film:
    film = Film(tmp_path, rate="24")
    film.put("first", 0, 12, 8)
    film.put("second", 12, 10, 4)
    film.timeline.selected = [film.items["first"]]
    return film


def menu(film: Film, *actions, is_free: bool = False) -> dict:
    """The globals of a menu script, with a user who acts."""
    screen = Screen(*actions)
    fusion = SimpleNamespace(UIManager=None if is_free else UIManager())
    return {"resolve": film.studio.handle, "fusion": fusion, "bmd": screen}


def start(window: Window) -> None:
    window.press("Start")


def test_the_dialogue_says_which_clips_and_which_way(film: Film, home: Path) -> None:
    film.timeline.marks = {"in": 0, "out": 20}
    film.items["second"].properties["FlipX"] = True
    seen = []

    def look(window: Window) -> None:
        items = window.GetItems()
        seen.append((window.heading["WindowTitle"], items["Way"].entries, items["Lines"].PlainText))
        items["Way"].CurrentIndex = 1
        window.press("Way", "CurrentIndexChanged")
        seen.append(items["Lines"].PlainText)
        window.press("Cancel")

    was = state_of(film.studio)
    code = main.main("selection", menu(film, look))

    assert code == 130 and state_of(film.studio) == was
    assert seen[0] == (
        "Remove overlays from selection",
        ["1 clip selected", "2 clips between the in and out marks", "the clip under the playhead"],
        "first: straight from its source",
    )
    assert seen[1].split("\n")[1] == "second: through Deliver, because it has a transform (FlipX)"


def test_a_run_in_resolves_own_windows(film: Film, home: Path) -> None:
    before = film.shown()
    names = menu(film, start)

    code = main.main("selection", names)

    assert code == 0
    assert "1 clip cleaned and placed." in names["bmd"].told[0]
    assert max(worst(film.shown(), expected(before, film, "first"))) == 0
    assert not any(window.is_shown for window in names["bmd"].windows)
    assert (home / "Videos" / "AutoWipe" / "Film mit Überlagerung" / "first_clean.mov").exists()
    assert film.studio.door.misuse == []
    assert not list((home / "config" / "autowipe" / "resolve" / "jobs").iterdir())


@pytest.mark.parametrize("how", ["Cancel", "close"])
def test_a_cancel_in_resolves_own_windows(tmp_path: Path, home: Path, how: str) -> None:
    film = Film(tmp_path, rate="24")
    film.put("slow", 0, 12, 8)
    was = state_of(film.studio)

    def cancel(window: Window) -> None:
        window.press("Cancel") if how == "Cancel" else window.press("AutoWipe", "Close")

    names = menu(film, start, lambda window: None, cancel)
    code = main.main("selection", names)

    assert code == 130 and "Cancelled; the timeline is as before." in names["bmd"].told[0]
    assert state_of(film.studio) == was


def test_where_resolve_has_no_windows_settings_come_from_a_file(
    film: Film, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / "config" / "autowipe" / "resolve"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps({"folder": str(home / "out"), "handles": 2, "nonsense": 1}))
    monkeypatch.setattr(fronts.OwnWindow, "open", classmethod(lambda cls, *_: None))
    before = film.shown()

    code = main.main("timeline", menu(film, is_free=True))

    said = capsys.readouterr().out
    assert code == 0
    assert "first: straight from its source" in said and "2 clips cleaned and placed." in said
    assert (home / "out" / "second_clean.mov").exists()
    assert not (folder / "running.txt").exists()
    assert max(worst(film.shown(), expected(before, film, "first", "second"))) == 0


def test_deleting_the_running_file_cancels(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = Film(tmp_path, rate="24")
    film.put("slow", 0, 12, 8)
    was = state_of(film.studio)
    front = fronts.SettingsFile()
    seen = 0

    def show(text: str, share: float) -> bool:
        nonlocal seen
        seen += 1
        if seen == 3:
            os.remove(front.running)
        return fronts.SettingsFile.show(front, text, share)

    front.show = show  # type: ignore[method-assign]
    code = main.main("selection", menu(film), front)

    assert code == 130
    assert "Cancelled; the timeline is as before." in capsys.readouterr().out
    assert state_of(film.studio) == was


def test_the_three_menu_scripts_run_as_resolve_runs_them(film: Film, home: Path, tmp_path: Path) -> None:
    before = film.shown()
    folder = tmp_path / "laid out"
    shutil.copytree(ROOT / "plugin" / "resolve" / "autowipe_resolve", folder / "autowipe_resolve")
    shutil.copy(ROOT / "plugin" / "autowipe_link.py", folder)

    film.timeline.selected = []
    scripts = {"Remove overlays from timeline (batch)": [start], "Restore originals": []}
    for name, actions in scripts.items():
        text = (ROOT / "plugin" / "resolve" / "menu" / f"{name}.py").read_text("utf-8")
        script = tmp_path / "script.py"
        script.write_text(text.replace('FOLDER = ""', f"FOLDER = {str(folder)!a}"), "utf-8")
        names = menu(film, *actions)
        runpy.run_path(str(script), init_globals=names)
        if actions:
            assert max(worst(film.shown(), expected(before, film, "first", "second"))) == 0
    assert names["bmd"].told == ["\n2 clips restored. The cleaned files are kept.\nOK"]
    assert max(worst(film.shown(), before)) == 0


def test_the_same_script_runs_from_outside(film: Film, home: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    module = tmp_path / "scripting" / "Modules" / "DaVinciResolveScript.py"
    module.parent.mkdir(parents=True)
    module.write_text("import fake_resolve\n\ndef scriptapp(name):\n    return fake_resolve.RUNNING[name]\n")
    monkeypatch.setenv("RESOLVE_SCRIPT_API", str(tmp_path / "scripting"))
    monkeypatch.setattr(fake_resolve, "RUNNING", {"Resolve": film.studio.handle}, raising=False)
    monkeypatch.setattr(fronts.OwnWindow, "open", classmethod(lambda cls, *_: None))
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = film.shown()
    script = ROOT / "plugin" / "resolve" / "menu" / "Remove overlays from selection.py"

    try:
        runpy.run_path(str(script))
    finally:
        sys.modules.pop("DaVinciResolveScript", None)

    assert "1 clip cleaned and placed." in capsys.readouterr().out
    assert max(worst(film.shown(), expected(before, film, "first"))) == 0


def test_the_check_page_tells_facts_and_changes_nothing(film: Film, home: Path) -> None:
    was = state_of(film.studio)
    names = menu(film)

    assert main.main("check", names) == 0

    page = (home / "config" / "autowipe" / "resolve" / "check.txt").read_text("utf-8")
    assert "Resolve: DaVinci Resolve Studio [21, 0, 4, 0, 0]" in page and "taken as 24, starts at 86400" in page
    assert "V1: first: straight from its source" in page and "GetSourceEndFrame 20" in page
    assert "Missing on item: GetSpeed" in page
    assert state_of(film.studio) == was and film.studio.door.misuse == []


def test_without_resolve_it_is_said_what_to_do(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main("selection", {}, fronts.SettingsFile()) == 1
    said = capsys.readouterr().out
    assert "External scripting using: Local" in said and "autowipe batch" in said


def test_scripting_refused_from_outside_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"bmd": SimpleNamespace(scriptapp=lambda name: None)}
    assert main.main("selection", names, fronts.SettingsFile()) == 1
    assert "Resolve does not answer." in capsys.readouterr().out


def test_no_timeline_and_no_clip_are_told(film: Film, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film.timeline.selected, film.timeline.playhead = [], film.timeline.end + 100
    assert main.main("selection", menu(film), fronts.SettingsFile()) == 1
    assert "There is no clip to work on. Select clips" in capsys.readouterr().out
    film.studio.project.current = None
    assert main.main("selection", menu(film), fronts.SettingsFile()) == 1
    assert "No timeline is open." in capsys.readouterr().out


def test_a_missing_engine_is_told(film: Film, home: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("AUTOWIPE_ENGINE", str(home / "nowhere"))
    was = state_of(film.studio)

    assert main.main("selection", menu(film), fronts.SettingsFile()) == 1

    assert "There is no AutoWipe engine at" in capsys.readouterr().out
    assert state_of(film.studio) == was
    assert engine.window_command() == (None, None)


def test_a_mistake_of_ours_is_a_sentence_and_a_log(film: Film, home: Path, monkeypatch, capsys) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(main.pick, "picks", breaks)
    assert main.main("selection", menu(film), fronts.SettingsFile()) == 1

    said = capsys.readouterr().out
    log = home / "config" / "autowipe" / "resolve" / "autowipe.log"
    assert str(log) in said and "Traceback" not in said
    assert "ZeroDivisionError: oops" in log.read_text()


def test_settings_that_make_no_sense_fall_back(home: Path) -> None:
    given = {"quality": "perfect", "handles": -1, "kinds": ["logo", "ghost"], "markers": "yes", "colour": "Navy"}
    found = settings.checked(given)
    assert (found["quality"], found["handles"], found["kinds"]) == ("normal", 24, ["logo"])
    assert found["markers"] is True and found["colour"] == "Navy"


# The window of the engine's Python


def x_server() -> bool:
    return bool(os.environ.get("DISPLAY")) or shutil.which("xvfb-run") is not None


@pytest.mark.skipif(not x_server(), reason="no display, and no xvfb-run (package xvfb)")
def test_the_window_outside_resolve_asks_shows_and_cancels(home: Path) -> None:
    script = str(ROOT / "plugin" / "resolve" / "autowipe_resolve" / "window.py")
    if subprocess.run([sys.executable, "-c", "import tkinter"], check=False, capture_output=True).returncode:
        pytest.skip("this Python has no Tk")
    wrapped = [*([] if os.environ.get("DISPLAY") else ["xvfb-run", "-a"]), sys.executable, script]
    process = subprocess.Popen(wrapped, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    front = fronts.OwnWindow(process)
    try:
        assert front._wait("ready", 30)
        assert front.show("Wiping", 0.5) is True
        process.stdin.close()
        assert front._wait("ok", 10) is None
    finally:
        front.close()
    assert process.returncode == 0


def test_the_engine_itself_cleans_a_trimmed_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one test with the engine of this checkout: menu, link, engine, Resolve's half faked."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("AUTOWIPE_ENGINE", sys.executable)
    badge = synth.Burnt(synth.badge((60, 30)), (240, 10), 0, 90)
    truth = synth.make(tmp_path / "clip.mp4", [badge], count=90, size=(320, 180))
    film = Film(tmp_path, rate="25", size=(320, 180))
    film.put("clip", 0, 40, 30, pool=film.found("clip.mp4", frames=90))
    film.timeline.selected = [film.items["clip"]]
    before = film.shown()
    names = menu(film, start)

    code = main.main("selection", names)

    assert code == 0, names["bmd"].told
    after, clean, masks = film.shown(), truth.clean[30:70], truth.masks[30:70]
    assert synth.psnr(after, clean, masks) > synth.psnr(before, clean, masks) + 10
    assert film.timeline.markers[0]["name"] == "Removed logo"
    assert film.studio.door.misuse == []
