"""The scripts for render farms: they call the same command line, and what its tasks make is taken up at the end."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
import types
from pathlib import Path

import media
import pytest
from conftest import ROOT

SCRIPTS = ROOT / "plugin" / "farm"
BATCH = [sys.executable, "-m", "autowipe", "batch"]


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    for name in ("batch_jobs", "flamenco_submit", "opencue_submit"):
        sys.modules.pop(name, None)
    return importlib.import_module


@pytest.fixture
def batch(tmp_path: Path) -> list[str]:
    for name in ("a", "b"):
        media.write_clip(tmp_path / f"{name}.mkv", frames=8)
    return [*BATCH, str(tmp_path / "*.mkv"), "-o", str(tmp_path / "out")]


def test_tasks_run_anywhere_and_the_last_one_takes_up_what_they_made(scripts, batch: list[str], tmp_path: Path) -> None:
    tools = scripts("batch_jobs")
    jobs = tools.jobs_of(batch)

    for job in jobs:
        subprocess.run(job["command"], check=True, capture_output=True)
    last = subprocess.run(tools.finish(batch), capture_output=True, text=True)

    assert [job["name"] for job in jobs] == ["a_clean.mkv", "b_clean.mkv"]
    assert last.returncode == 0, last.stderr
    assert "running" not in last.stderr
    clips = json.loads((tmp_path / "out" / "batch.json").read_text("utf-8"))["clips"]
    assert [(clip["state"], clip["attempts"]) for clip in clips] == [("done", 1)] * 2


def test_a_task_that_never_ran_is_done_by_the_last_one(scripts, batch: list[str], tmp_path: Path) -> None:
    tools = scripts("batch_jobs")
    tools.jobs_of(batch)

    last = subprocess.run(tools.finish(batch), capture_output=True, text=True)

    assert last.returncode == 0, last.stderr
    assert len(list((tmp_path / "out").glob("*.mkv"))) == 2


def test_words_without_a_batch_are_refused(scripts) -> None:
    tools = scripts("batch_jobs")

    with pytest.raises(tools.Refused, match="behind --"):
        tools.split(["http://manager", "batch"])
    assert tools.split(["x", "--", "autowipe", "batch", "a"]) == (["x"], ["autowipe", "batch", "a"])


JOBS = [
    {"id": "a-1", "name": "a", "memory_mb": 700, "gpu": False, "command": ["aw", "farm", "item", "/o", "a-1"]},
    {"id": "b-2", "name": 'b "é"', "memory_mb": 900, "gpu": False, "command": ["aw", "farm", "item", "/o", "b-2"]},
]


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node to run the job type in")
def test_flamenco_gets_a_task_a_clip_and_one_that_waits_for_them(scripts, tmp_path: Path) -> None:
    body = scripts("flamenco_submit").body_of("cut", 50, JOBS, ["aw", "batch", "cut.otio"])
    script = tmp_path / "run.js"
    script.write_text(
        "const author = { Task: (name, type) => ({ name, type, commands: [], needs: [],"
        " addCommand(c) { this.commands.push(c); }, addDependency(t) { this.needs.push(t.name); } }),"
        " Command: (name, parameters) => ({ name, parameters }) };\n"
        + (SCRIPTS / "autowipe-batch.js").read_text("utf-8")
        + f"\nconst made = [], settings = {json.dumps(body['settings'])};"
        "\ncompileJob({ settings, addTask: (t) => made.push(t) });"
        "\nconsole.log(JSON.stringify({ made, keys: JOB_TYPE.settings.map((s) => s.key) }));"
    )

    found = json.loads(subprocess.run(["node", str(script)], check=True, capture_output=True, text=True).stdout)

    assert sorted(found["keys"]) == sorted(body["settings"])
    assert [task["name"] for task in found["made"]] == ["a", 'b "é"', "finish"]
    assert found["made"][1]["commands"] == [
        {"name": "exec", "parameters": {"exe": "aw", "args": ["farm", "item", "/o", "b-2"]}}
    ]
    assert found["made"][2]["needs"] == ["a", 'b "é"']
    assert found["made"][2]["commands"][0]["parameters"]["args"] == ["batch", "cut.otio", "--retry-failed"]


def test_opencue_gets_a_frame_a_clip_and_one_that_waits_for_them(scripts, monkeypatch: pytest.MonkeyPatch) -> None:
    class Layer:
        def __init__(self, name: str, **args: object) -> None:
            self.name, self.args, self.needs = name, args, []

        def depend_all(self, other: Layer) -> None:
            self.needs.append(other.name)

    class Outline:
        def __init__(self, name: str, *, show: str, shot: str, user: str) -> None:
            self.layers: list[Layer] = []

        def add_layer(self, layer: Layer) -> None:
            self.layers.append(layer)

    outline, modules, shell = (
        types.ModuleType(name) for name in ("outline", "outline.modules", "outline.modules.shell")
    )
    outline.Outline, outline.modules, modules.shell = Outline, modules, shell
    shell.ShellSequence = shell.ShellCommand = Layer
    for module in (outline, modules, shell):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    options = types.SimpleNamespace(name="cut", show="s", shot="t")

    job = scripts("opencue_submit").build(options, JOBS, ["aw", "batch", "cut.otio"])

    clips, last = job.layers
    assert clips.args == {"commands": [entry["command"] for entry in JOBS], "memory": "900m"}
    assert last.args == {"command": ["aw", "batch", "cut.otio", "--retry-failed"]}
    assert last.needs == [clips.name]
