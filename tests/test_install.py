"""install.py keeps to its folder, says in a sentence what is wrong, repeats nothing and removes only its own."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

WISH = "torch>=2.6,<2.14"


@pytest.fixture
def install(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", root / "install.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A checkout whose path has a space and letters outside ASCII."""
    folder = tmp_path / "Ünser schöner Film 映画"
    folder.mkdir()
    for name in ("install.py", "pyproject.toml"):
        shutil.copy(root / name, folder)
    return folder


@pytest.fixture
def run(install: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs install.py's command line in the checkout; what would take minutes is only written to `run.words`."""
    words_seen: list[list[str]] = []

    def follow(setup: object, words: list[str]) -> tuple[int, list[str]]:
        words_seen.append(words)
        python = Path(setup.python)  # type: ignore[attr-defined]
        if "venv" in words:
            python.parent.mkdir(parents=True)
            python.write_text("")
        return 0, []

    def start(setup: object, words: list[str]) -> int:
        words_seen.append(words)
        return 0

    def is_found(setup: object, record: dict[str, object]) -> bool:
        if record["stamp"] is None:
            return sound(setup, record)
        return not record["doing"] and record["root"] == str(checkout)

    sound = install.Setup.is_sound
    monkeypatch.setattr(install, "HERE", str(checkout))
    monkeypatch.setattr(install, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(install.Setup, "follow", follow)
    monkeypatch.setattr(install.Setup, "start", start)
    monkeypatch.setattr(install.Setup, "is_sound", is_found)
    monkeypatch.setattr(install.Setup, "offered_torch", lambda setup, wish: ["2.13.0+cpu"])

    def call(*words: str) -> int:
        words_seen.clear()
        return install.main(list(words))

    call.words = words_seen  # type: ignore[attr-defined]
    return call


def texts(run: Callable[..., int]) -> str:
    return "\n".join(" ".join(words) for words in run.words)  # type: ignore[attr-defined]


def test_a_dry_run_prints_the_actions_and_makes_nothing(checkout: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(checkout / "install.py"), "test", "--dry-run"],
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=checkout.parent,
    )

    assert done.returncode == 0, done.stderr
    assert "-m venv" in done.stdout and "-e .[dev,farm,timeline]" in done.stdout and WISH in done.stdout
    assert sorted(path.name for path in checkout.iterdir()) == ["install.py", "pyproject.toml"]


@pytest.mark.parametrize("version", [(3, 6, 15), (3, 10, 13), (3, 14, 0)])
def test_a_python_that_will_not_do_gets_a_sentence(
    install: ModuleType, run: Callable[..., int], version: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(install.sys, "version_info", version)
        code = run("demo")

    said = capsys.readouterr().err
    assert code == 1
    assert said.startswith(f"AutoWipe needs Python 3.11, 3.12 or 3.13, and this is 3.{version[1]};")
    assert not texts(run)


def test_a_missing_system_package_is_named(
    install: ModuleType, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    monkeypatch.setattr(install.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, ""))

    assert run() == 1
    assert "sudo apt install python3-venv" in capsys.readouterr().err


def test_pip_outside_fills_the_environment_where_debian_left_ensurepip_out(
    install: ModuleType, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    monkeypatch.setattr(install, "check_outer_pip", lambda: None)

    assert run() == 0
    assert "venv --without-pip" in texts(run) and "pip --python" in texts(run)


def test_a_second_run_does_nothing_again(run: Callable[..., int]) -> None:
    assert run() == 0
    assert texts(run).count("pip install") == 2  # torch, the engine

    assert run() == 0
    assert not texts(run)


def test_the_test_tools_are_added_once_and_stay(run: Callable[..., int]) -> None:
    run()
    run("test", "-k", "plan")
    assert texts(run).count("pip install") == 1 and "-e .[dev,farm,timeline]" in texts(run)
    assert texts(run).endswith("-m pytest -k plan")

    run("demo")
    assert "pip" not in texts(run) and "wipe" in texts(run)


def test_a_changed_pyproject_installs_again(run: Callable[..., int], checkout: Path) -> None:
    run()
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("\n# changed\n")

    run()

    assert "-e ." in texts(run)


def test_a_killed_installation_starts_afresh(run: Callable[..., int], checkout: Path) -> None:
    run()
    record = json.loads((checkout / ".venv/autowipe-install.json").read_text())
    (checkout / ".venv/autowipe-install.json").write_text(json.dumps({**record, "doing": "torch"}))
    (checkout / ".venv/half").write_text("")

    assert run() == 0
    assert "-m venv" in texts(run) and texts(run).count("pip install") == 2
    assert not (checkout / ".venv/half").exists()


def test_a_failed_installation_goes_on_where_it_was(
    install: ModuleType, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fine = install.Setup.follow

    def fails(setup: object, words: list[str]) -> tuple[int, list[str]]:
        return (1, ["OSError: [Errno 28] No space left on device"]) if "-e" in words else fine(setup, words)

    monkeypatch.setattr(install.Setup, "follow", fails)
    assert run() == 1
    assert "The disk is full" in capsys.readouterr().err

    monkeypatch.setattr(install.Setup, "follow", fine)
    assert run() == 0
    assert "-m venv" not in texts(run) and "-e ." in texts(run)


def test_an_environment_of_the_users_own_is_left_alone(
    run: Callable[..., int], checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv/mine").write_text("")

    assert run("demo") == 1
    assert "left alone" in capsys.readouterr().err
    assert run("uninstall") == 0
    assert (checkout / ".venv/mine").exists()


def test_uninstall_removes_what_was_made_and_nothing_else(run: Callable[..., int], checkout: Path) -> None:
    (checkout / "demo").mkdir()
    (checkout / "demo/holiday.mp4").write_text("mine")
    (checkout / ".mypy_cache").mkdir()
    run("demo")
    run("test")
    (checkout / "demo/village_clean.mp4").write_text("ours")
    (checkout / "core/autowipe.egg-info").mkdir(parents=True)
    (checkout / ".pytest_cache").mkdir()

    assert run("uninstall") == 0

    left = {path.relative_to(checkout).as_posix() for path in checkout.rglob("*")}
    assert left == {"install.py", "pyproject.toml", "core", "demo", "demo/holiday.mp4", ".mypy_cache"}
    assert run("uninstall") == 0


def test_a_dry_uninstall_removes_nothing(run: Callable[..., int], checkout: Path) -> None:
    run()
    before = sorted(checkout.rglob("*"))
    assert run("uninstall", "--dry-run") == 0
    assert sorted(checkout.rglob("*")) == before


def test_the_demo_ships_its_sample_and_writes_into_an_ignored_folder(install: ModuleType, root: Path) -> None:
    assert (root / install.SAMPLE).is_file()
    ignored = (root / ".gitignore").read_text().split()
    assert "/demo/" in ignored and ".venv/" in ignored
    assert all(name.startswith("demo/") for name in install.DEMO.values())


@pytest.mark.parametrize(
    ("build", "system", "offered", "index"),
    [
        ("cpu", "linux", ["2.13.0", "2.12.1"], "cpu"),  # PyPI's build for Linux is CUDA's
        ("cpu", "linux", ["2.13.0+cpu", "2.13.0"], None),  # the user's own index or folder has it
        ("cpu", "linux", ["2.13.0+cu130", "2.13.0+cpu"], "cpu"),
        ("cpu", "linux", [], "cpu"),
        ("cuda", "linux", ["2.13.0"], None),
        ("cuda", "linux", ["2.13.0+cpu", "2.13.0"], "cu130"),  # pip would prefer +cpu
        ("cpu", "win32", ["2.13.0"], None),  # PyPI's build for Windows is the CPU's
        ("cuda", "win32", ["2.13.0"], "cu130"),
        ("cpu", "darwin", ["2.13.0"], None),
    ],
)
def test_the_build_of_torch_fits_the_machine(
    install: ModuleType, build: str, system: str, offered: list[str], index: str | None
) -> None:
    found = install.torch_index(build, system, offered)
    assert found == (index and install.PYTORCH_INDEX + index)


def test_only_versions_in_the_range_count_as_offered(install: ModuleType) -> None:
    inside = ["2.6.0", "2.13.0+cpu", "2.13.1"]
    outside = ["2.5.1+cpu", "2.14.0", "2.15.0+cpu", "", "nonsense"]
    assert [v for v in inside + outside if install.is_within(v, WISH)] == inside


def test_the_range_of_torch_is_read_from_the_project(install: ModuleType, root: Path) -> None:
    assert install.requirement(str(root / "pyproject.toml"), "torch") == WISH


def test_pips_settings_stay_and_what_leads_elsewhere_goes(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setenv("PIP_USER", "1")

    found = install.clean_environment()

    assert found["PIP_INDEX_URL"] == "https://mirror.example/simple"
    assert "PYTHONPATH" not in found and found["PIP_USER"] == "0"


def test_words_that_nobody_knows_are_refused(install: ModuleType) -> None:
    with pytest.raises(SystemExit) as stop:
        install.main(["demo", "--fast"])
    assert stop.value.code == 2


@pytest.fixture
def ofx_run(run: Callable[..., int], install: ModuleType, checkout: Path, root: Path, monkeypatch, tmp_path):
    """The run fixture with a folder of its own for hosts, and a build that only lays out a bundle."""
    (checkout / "ofx_bridge").mkdir()
    shutil.copy(root / "ofx_bridge" / "build.py", checkout / "ofx_bridge")
    monkeypatch.setattr(install, "ofx_folder", lambda: str(tmp_path / "OFX" / "Plugins"))
    step = install.Setup.step

    def build(setup: object, record: dict, name: str, words: list[str]) -> None:
        step(setup, record, name, words)
        if name == "plug-in":
            (checkout / "build" / "ofx" / "AutoWipe.ofx.bundle" / "Contents" / "Resources").mkdir(parents=True)

    monkeypatch.setattr(install.Setup, "step", build)
    return run


def test_the_plug_in_goes_where_hosts_look_and_away_again(ofx_run, checkout: Path, tmp_path: Path) -> None:
    assert ofx_run("ofx") == 0

    bundle = tmp_path / "OFX" / "Plugins" / "AutoWipe.ofx.bundle"
    words = (bundle / "Contents" / "Resources" / "engine.txt").read_text("utf-8").splitlines()
    assert words[0].startswith(str(checkout))
    assert words[1:] == ["-m", "autowipe", "serve"]
    assert ofx_run("ofx", "remove") == 0
    assert not bundle.exists()
    assert ofx_run("ofx", "remove") == 0


def test_uninstall_takes_the_plug_in_along(ofx_run, checkout: Path, tmp_path: Path) -> None:
    ofx_run("ofx")

    assert ofx_run("uninstall") == 0

    assert not (tmp_path / "OFX" / "Plugins" / "AutoWipe.ofx.bundle").exists()
    assert not (checkout / "build").exists()


def test_a_plug_in_that_others_put_there_is_left_alone(ofx_run, tmp_path: Path, capsys) -> None:
    bundle = tmp_path / "OFX" / "Plugins" / "AutoWipe.ofx.bundle"
    bundle.mkdir(parents=True)
    (bundle / "theirs").touch()

    assert ofx_run("ofx") == 1
    assert "left alone" in capsys.readouterr().err
    assert ofx_run("ofx", "remove") == 0
    assert (bundle / "theirs").exists()
