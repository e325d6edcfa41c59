"""install.py resolve: where scripts go on each system, safe to repeat, nothing of the user's touched, all removed."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from conftest import ROOT

MENU = [
    "Check this Resolve.py",
    "Remove overlays from selection.py",
    "Remove overlays from timeline (batch).py",
    "Restore originals.py",
]


class Refusal(Exception):
    pass


@pytest.fixture
def installer() -> ModuleType:
    path = ROOT / "plugin" / "install_resolve.py"
    spec = importlib.util.spec_from_file_location("install_resolve", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def setup(tmp_path: Path) -> SimpleNamespace:
    """What install.py hands over: the checkout, and a record."""
    record: dict = {}
    return SimpleNamespace(
        root=str(ROOT), is_dry=False, said=[], say=lambda text: None, read=lambda: record, write=record.update
    )


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("system", "environment", "own", "all_users"),
    [
        ("linux", {"HOME": "/home/ü"}, "/home/ü/.local/share/DaVinciResolve/Fusion", "/opt/resolve/Fusion"),
        (
            "darwin",
            {"HOME": "/Users/ü"},
            "/Users/ü/Library/Application Support/Blackmagic Design/DaVinci Resolve/Fusion",
            "/Library/Application Support/Blackmagic Design/DaVinci Resolve/Fusion",
        ),
        (
            "win32",
            {"APPDATA": "C:\\Users\\ü\\AppData\\Roaming", "PROGRAMDATA": "C:\\ProgramData"},
            "C:\\Users\\ü\\AppData\\Roaming\\Blackmagic Design\\DaVinci Resolve\\Support\\Fusion",
            "C:\\ProgramData\\Blackmagic Design\\DaVinci Resolve\\Fusion",
        ),
    ],
)
def test_each_system_has_its_folders(
    installer: ModuleType, system: str, environment: dict, own: str, all_users: str
) -> None:
    assert installer.fusion_folder(system, environment, False) == own
    assert installer.fusion_folder(system, environment, True) == all_users


def test_scripts_and_adapter_are_put_where_resolve_looks(
    installer: ModuleType, setup: SimpleNamespace, tmp_path: Path
) -> None:
    fusion = tmp_path / "Größe 映画" / "Fusion"

    assert installer.run(setup, ["--fusion", str(fusion)], Refusal) == 0

    menu = fusion / "Scripts" / "Utility" / "AutoWipe"
    assert sorted(path.name for path in menu.iterdir()) == MENU
    assert {"autowipe_link.py", "engine.json", "autowipe_resolve/main.py"} <= files(fusion / "AutoWipe")
    assert json.loads((fusion / "AutoWipe" / "engine.json").read_text()) == {"engine": str(ROOT)}
    for name in MENU:
        text = (menu / name).read_text("ascii")
        assert f"FOLDER = {str(fusion / 'AutoWipe')!a}" in text
        compile(text, name, "exec")
    assert setup.read()["hosts"]["resolve"][str(fusion)]


def test_a_second_run_replaces_and_removing_leaves_what_is_not_ours(
    installer: ModuleType, setup: SimpleNamespace, tmp_path: Path
) -> None:
    fusion = tmp_path / "Fusion"
    mine = fusion / "Scripts" / "Utility" / "AutoWipe" / "mine.py"
    mine.parent.mkdir(parents=True)
    mine.write_text("print('mine')")
    installer.run(setup, ["--fusion", str(fusion)], Refusal)
    (fusion / "AutoWipe" / "autowipe_resolve" / "gone_in_a_later_version.py").write_text("")
    first = files(fusion)

    installer.run(setup, ["--fusion", str(fusion)], Refusal)
    assert first - files(fusion) == {"AutoWipe/autowipe_resolve/gone_in_a_later_version.py"}

    installer.run(setup, ["--remove"], Refusal)
    assert files(fusion) == {"Scripts/Utility/AutoWipe/mine.py"}
    assert setup.read()["hosts"] == {}
    assert installer.run(setup, ["--remove"], Refusal) == 0


def test_the_menus_folder_goes_when_it_is_empty(installer: ModuleType, setup: SimpleNamespace, tmp_path: Path) -> None:
    fusion = tmp_path / "Fusion"
    installer.run(setup, ["--fusion", str(fusion)], Refusal)
    installer.run(setup, ["--remove"], Refusal)
    assert [path.name for path in (fusion / "Scripts" / "Utility").iterdir()] == []


def test_a_script_of_the_users_with_our_name_is_left_alone(
    installer: ModuleType, setup: SimpleNamespace, tmp_path: Path
) -> None:
    theirs = tmp_path / "Scripts" / "Utility" / "AutoWipe" / MENU[3]
    theirs.parent.mkdir(parents=True)
    theirs.write_text("print('theirs')")

    with pytest.raises(Refusal, match="is there and not AutoWipe's; move it away first"):
        installer.run(setup, ["--fusion", str(tmp_path)], Refusal)

    assert files(tmp_path) == {f"Scripts/Utility/AutoWipe/{MENU[3]}"}


def test_a_dry_run_makes_nothing(installer: ModuleType, setup: SimpleNamespace, tmp_path: Path) -> None:
    setup.is_dry = True
    installer.run(setup, ["--fusion", str(tmp_path / "Fusion")], Refusal)
    assert not (tmp_path / "Fusion").exists()


def test_a_folder_without_rights_is_told(
    installer: ModuleType, setup: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "/opt/resolve/Fusion/AutoWipe")

    monkeypatch.setattr(installer.shutil, "copytree", refuses)
    with pytest.raises(Refusal, match=r"administrator's rights are needed: sudo python3 install.py resolve --everyone"):
        installer.run(setup, ["--fusion", str(tmp_path)], Refusal)


def answers(text: str):
    return lambda *_, **__: subprocess.CompletedProcess([], 0, text.encode())


def test_the_python_that_resolve_will_find(
    installer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text("")
    environment = {"PYTHON3HOME": str(tmp_path)}
    monkeypatch.setattr(installer.os.path, "isfile", lambda path: path == str(python))

    assert installer.find_python("darwin", environment, answers("3.11 True"))[0] == f"{python} (3.11)"
    assert installer.find_python("linux", environment, answers("3.5 True"))[0] is None
    assert installer.find_python("linux", environment, answers("3.11 False"))[0] is None
    found, mend = installer.find_python("darwin", {}, answers("3.11 True"))
    assert found is None and "launchctl setenv PYTHON3HOME" in mend and "Homebrew" in mend


@pytest.mark.parametrize(
    ("files_there", "edition"),
    [
        ([], None),
        (["Developer/Scripting/Modules/DaVinciResolveScript.pyi"], False),
        (["Developer/Scripting/Modules/DaVinciResolveScript.pyi", "ResolvePython/bin/python3"], True),
    ],
    ids=["before 21.1", "free 21.1", "Studio 21.1"],
)
def test_the_edition_is_told_by_what_it_brings(
    installer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_there: list[str], edition: bool | None
) -> None:
    for name in files_there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.setattr(installer, "program", lambda *_: str(tmp_path))

    assert installer.has_own_python("linux", {}) is edition


def test_doctor_says_what_is_wrong_and_how_to_mend_it(
    installer: ModuleType, setup: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fusion = str(tmp_path / "Fusion")

    def states(**there: object) -> list[tuple[str, str]]:
        monkeypatch.setattr(installer, "program", lambda *_: there.get("program", "/opt/resolve"))
        monkeypatch.setattr(installer, "has_own_python", lambda *_: there.get("own"))
        monkeypatch.setattr(installer, "find_python", lambda *_: there.get("python", ("/usr/bin/python3 (3.11)", "")))
        installed = sorted(setup.read().get("hosts", {}).get("resolve", {}))
        return [(state, text) for state, text, _ in installer.check(installed)]

    assert states(program=None)[0][0] == "ok"
    assert states() == [("ok", "Resolve is here, the adapter is not installed")]
    installer.run(setup, ["--fusion", fusion], Refusal)
    assert [state for state, _ in states()] == ["ok", "ok"]
    assert [state for state, _ in states(own=True)] == ["ok", "ok"]
    assert states(own=False)[1][0] == "fail" and "free edition" in states(own=False)[1][1]
    assert states(python=(None, "install it"))[1][0] == "fail"
    assert states(program=None)[0][0] == "warn"
    (tmp_path / "Fusion" / "AutoWipe" / "autowipe_resolve" / "host.py").write_text("old")
    assert "another version" in states()[0][1]
    (tmp_path / "Fusion" / "AutoWipe" / "engine.json").write_text(json.dumps({"engine": "/nowhere"}))
    assert states()[0] == ("fail", f"the engine that {fusion}/AutoWipe names is not there")
    shutil.rmtree(tmp_path / "Fusion" / "AutoWipe")
    assert states()[0] == ("fail", "files are missing in " + fusion)


def test_install_py_has_the_command_and_undoes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout, fusion = tmp_path / "checkout", tmp_path / "Fusion"
    shutil.copytree(ROOT / "plugin", checkout / "plugin", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("install.py", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout)
    spec = importlib.util.spec_from_file_location("install_copy", checkout / "install.py")
    assert spec and spec.loader
    install = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(install)
    monkeypatch.setattr(install.Setup, "ensure", lambda setup, extras: None)
    (checkout / ".venv").mkdir()
    record = {"made": [], "root": str(checkout)}
    (checkout / ".venv" / "autowipe-install.json").write_text(json.dumps(record))

    assert install.main(["resolve", "--fusion", str(fusion)]) == 0
    assert install.main(["resolve", "--fusion", str(fusion)]) == 0
    assert len(files(fusion)) > 10
    assert install.main(["uninstall"]) == 0

    assert files(fusion) == set()
    assert not (checkout / ".venv").exists()
