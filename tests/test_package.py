"""The project as a package: what is installed is what lies in the folders, and the tools find nothing to say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib import metadata, resources
from pathlib import Path

import pytest

TEXTS = {".py", ".md", ".toml", ".json", ".j2", ".css", ".js", ".c", ".h", ".txt", ".yaml", ".yml", ""}
# Folders of a developer's machine, put together here so that this file does not name them itself.
MACHINE_PATHS = tuple("/" + name + "/" for name in ("work", "tmp", "root", "opt/wheels", "opt/pypi"))


def run(words: list[str], folder: Path) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def tracked(root: Path) -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [root / name for name in done.stdout.decode().split("\0") if name and (root / name).exists()]


@pytest.fixture
def is_installed() -> None:
    try:
        metadata.version("autowipe")
    except metadata.PackageNotFoundError:
        pytest.skip("AutoWipe is not installed here, only found on the path")


def test_ruff_has_nothing_to_say(root: Path) -> None:
    run([sys.executable, "-m", "ruff", "check", "--no-cache", "."], root)


def test_mypy_has_nothing_to_say(root: Path) -> None:
    run([sys.executable, "-m", "mypy", "core/autowipe"], root)


def test_every_package_folder_is_listed(root: Path) -> None:
    listed = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    core = root / "core"

    folders = {".".join(path.parent.relative_to(core).parts) for path in core.rglob("__init__.py")}

    assert sorted(folders | {"autowipe.weights"}) == sorted(listed)
    assert not [p.parent for p in (core / "autowipe").rglob("*.py") if not (p.parent / "__init__.py").exists()]


@pytest.mark.usefixtures("is_installed")
def test_weights_and_templates_are_found_from_any_folder(tmp_path: Path) -> None:
    script = (
        "from importlib.resources import files\n"
        "assert files('autowipe.weights').joinpath('manifest.json').is_file()\n"
        "assert files('autowipe').joinpath('templates/report.html.j2').is_file()\n"
    )
    run([sys.executable, "-I", "-c", script], tmp_path)


@pytest.mark.usefixtures("is_installed")
def test_the_manifest_names_the_files_that_ship() -> None:
    folder = resources.files("autowipe.weights")
    manifest = json.loads(folder.joinpath("manifest.json").read_text("utf-8"))

    assert manifest["autowipe_weights"] == 1
    shipped = {file.name for file in folder.iterdir() if file.name.endswith(".safetensors")}
    assert {entry["file"] for entry in manifest["weights"].values()} == shipped


@pytest.mark.usefixtures("is_installed")
def test_the_command_and_the_module_are_the_same(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("autowipe.exe" if os.name == "nt" else "autowipe")
    said = [
        subprocess.run([*words, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for words in ([str(command)], [sys.executable, "-m", "autowipe"])
    ]
    assert said[0] == said[1] == f"autowipe {metadata.version('autowipe')}\n"


def test_help_comes_without_the_heavy_packages() -> None:
    script = (
        "import sys, autowipe.cli as cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'openvino', 'av'} & set(sys.modules), sorted(sys.modules)\n"
    )
    run([sys.executable, "-c", script], Path.cwd())


def test_the_version_is_written_once(root: Path) -> None:
    wanted = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    try:
        assert metadata.version("autowipe") == wanted
    except metadata.PackageNotFoundError:
        pytest.skip("AutoWipe is not installed here, only found on the path")


def test_no_file_names_a_folder_of_the_machine_it_was_made_on(root: Path) -> None:
    wrong = []
    for path in tracked(root):
        if path.suffix in TEXTS:
            text = path.read_text("utf-8")
            wrong += [f"{path.relative_to(root)}: {place}" for place in MACHINE_PATHS if place in text]
    assert not wrong


def test_what_is_committed_stays_small(root: Path) -> None:
    sizes = {path.relative_to(root).as_posix(): path.stat().st_size for path in tracked(root)}
    sample = sum(size for name, size in sizes.items() if name.startswith("sample/"))
    assert sample < 3_000_000, f"sample/ holds {sample} bytes"
    assert not [name for name, size in sizes.items() if size > 500_000 and not name.startswith(("sample/", "weights/"))]
