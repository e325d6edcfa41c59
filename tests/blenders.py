"""The Blenders to test with: made from PyPI's `bpy` beside this checkout, or those of the system.

    .venv/bin/python tests/blenders.py            makes those that this machine's Pythons allow, tests with all
    .venv/bin/python tests/blenders.py 4.2 5.2    only these

A Blender as a Python module is about 400 MB to fetch and 1 GB on disk; all lie in .blender, which may be deleted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".blender"
VARIABLE = "AUTOWIPE_TEST_BLENDERS"  # versions by commas
WHEELS = {  # Blender → package, Python
    "4.2": ("bpy==4.2.23", "3.11"),
    "4.5": ("bpy==4.5.15", "3.11"),
    "5.0": ("bpy==5.0.1", "3.11"),
    "5.2": ("bpy==5.2.3", "3.13"),
}
SYSTEM = "system"  # the program `blender`


class Missing(Exception):
    """Why there is no such Blender here."""


def wanted() -> list[str]:
    """Those that the variable names; without it the first that this machine can have at little cost."""
    if os.environ.get(VARIABLE):
        return os.environ[VARIABLE].split(",")
    version = "{}.{}".format(*sys.version_info[:2])
    made = [name for name in ("4.5", "5.2") if _python_in(name).exists()]
    fitting = [name for name in ("4.5", "5.2") if WHEELS[name][1] == version]
    return (made or fitting or [SYSTEM])[:1]


def command(name: str) -> list[str]:
    """The words before a script that start a Blender, which is made where that is possible. Raises Missing."""
    if name == SYSTEM:
        program = shutil.which("blender")
        if program is None:
            raise Missing("there is no program `blender` on this machine")
        return [program, "-b", "--factory-startup", "--python-exit-code", "1", "-P"]
    FOLDER.mkdir(exist_ok=True)
    with FileLock(str(FOLDER / "lock"), timeout=900):
        python = _python_in(name)
        if not python.exists():
            _make(name)
        return [str(python)]


def _python_in(name: str) -> Path:
    return FOLDER / name / "bin" / "python"


def _make(name: str) -> None:
    package, version = WHEELS[name]
    part = FOLDER / f".{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    words = [_python(version), "-m", "venv", "--symlinks", str(part)]
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")}
    for step in (words, [str(part / "bin" / "python"), "-m", "pip", "install", "--quiet", package]):
        done = subprocess.run(step, capture_output=True, text=True, env=environment, timeout=800)
        if done.returncode:
            said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            shutil.rmtree(part, ignore_errors=True)
            raise Missing(f"{package} could not be installed: {said[-1] if said else 'pip said nothing'}")
    # Nothing in it is called by its path but this link, so it may move.
    os.replace(part, FOLDER / name)


def _python(version: str) -> str:
    """A Python of a version. Raises Missing."""
    places = [
        shutil.which(f"python{version}"),
        *sorted(map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))),
    ]
    for place in [sys.executable, *filter(None, places)]:
        code = "import sys, venv, ensurepip; print('{}.{}'.format(*sys.version_info[:2]))"
        done = subprocess.run([place, "-c", code], capture_output=True, text=True)
        if done.stdout.strip() == version:
            return place
    raise Missing(f"there is no Python {version} with venv on this machine")


def main(words: list[str]) -> int:
    names, made = words or [*WHEELS, SYSTEM], []
    for name in names:
        try:
            print(f"Blender {name}: {command(name)[0]}", flush=True)
            made.append(name)
        except Missing as reason:
            print(f"Blender {name}: {reason}", flush=True)
    tests = [str(ROOT / "tests" / name) for name in ("test_blender.py", "test_blender_gui.py")]
    os.environ.update({VARIABLE: ",".join(made), "AUTOWIPE_TEST_GUI": "1"})
    return pytest.main(["--rootdir", str(ROOT), "-rs", *tests], plugins=[Figures()])


class Figures:
    """Prints what the tests measure and do not judge."""

    @staticmethod
    def pytest_terminal_summary(terminalreporter):
        for report in terminalreporter.getreports("passed"):
            if report.user_properties:
                terminalreporter.line(", ".join(f"{name} {value}" for name, value in report.user_properties))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
