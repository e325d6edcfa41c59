"""The doctor finds faults, names a mend for each and never breaks itself."""

from __future__ import annotations

import importlib
import re
import tomllib
from collections import namedtuple
from pathlib import Path

import pytest
from autowipe import doctor as module
from autowipe import weightfiles
from autowipe.doctor import Check, doctor, format_checks


def found(name: str) -> Check:
    return next(check for check in doctor() if check.name == name)


def test_a_sound_machine_has_no_fault_in_what_wiping_needs() -> None:
    needed = {"Python", "packages", "OpenCV", "FFmpeg", "text models"}
    states = {check.name: check.state for check in doctor()}
    assert {name: states[name] for name in needed} == dict.fromkeys(needed, "ok")


def test_every_fault_names_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(package: str) -> None:
        return None

    monkeypatch.setattr(module, "_version", gone)

    faults = [check for check in doctor() if check.state != "ok"]

    assert faults and all(check.mend for check in faults)


def test_two_opencvs_in_one_folder_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_version", lambda package: "5.0")
    check = found("OpenCV")
    assert check.state == "warn"
    assert "opencv-python" in check.text and "uninstall -y" in check.mend


def test_a_check_that_breaks_is_a_fault_and_not_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> object:
        raise ImportError(f"{name}: wrong binary")

    monkeypatch.setattr(module, "import_module", broken)

    check = found("FFmpeg")

    assert check.state == "fail" and "wrong binary" in check.text and check.mend


def test_little_disk_space_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage(10, 9, 1))
    assert found("disk").state == "warn"


def test_an_nvidia_gpu_that_torch_cannot_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = importlib.import_module("torch")
    if torch.cuda.is_available() or torch.version.cuda or torch.backends.mps.is_available():
        pytest.skip("this machine's PyTorch uses a GPU")
    monkeypatch.setattr(module, "_has_nvidia_driver", lambda: True)

    check = found("device")

    assert check.state == "warn" and "install.py --torch cuda" in check.mend


def test_a_damaged_weight_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(
        '{"autowipe_weights": 1, "weights": {"net": {"file": "net.safetensors", "sha256": "00"},'
        ' "lost": {"file": "lost.safetensors", "sha256": "00"}}}'
    )
    (tmp_path / "net.safetensors").write_bytes(b"not what was shipped")
    monkeypatch.setattr(weightfiles.resources, "files", lambda package: tmp_path)

    check = found("weights")

    assert check.state == "fail"
    assert "net is damaged" in check.text and "lost is missing" in check.text


def test_hosts_are_found_where_they_are_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OFX_PLUGIN_PATH", str(tmp_path))
    assert str(tmp_path) in found("OpenFX").text


def test_the_list_is_readable_and_ends_with_a_verdict() -> None:
    text = format_checks([Check("Python", "ok", "3.11"), Check("disk", "warn", "1 GB", "free some space")])
    assert re.search(r"^ok +Python  3\.11$", text, re.M)
    assert re.search(r"^WARN +disk +1 GB$", text, re.M)
    assert "-> free some space" in text
    assert text.endswith("AutoWipe works, with 1 warning.")


def test_every_dependency_is_looked_at(root: Path) -> None:
    declared = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    assert [re.split(r"[^\w-]", wish)[0] for wish in declared] == list(module.PACKAGES)
