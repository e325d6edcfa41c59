"""Who may import whom: every file of the engine is parsed, none is run."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest
from conftest import ROOT

CORE = ROOT / "core" / "autowipe"
MODULES = sorted(str(path.relative_to(CORE).with_suffix("").as_posix()) for path in CORE.rglob("*.py"))

# Importable without numpy, PyAV or torch, so that an adapter can read a job, a plan or a message.
PLAIN = {"errors", "timing", "protocol", "job", "plan"}
# The files that know FFmpeg. All others see frames and planes.
MEDIA = {"decode", "siting", "pixels", "encode", "encoders", "segments", "mux", "streams", "doctor",
         "train/synthesis"}  # fmt: skip
# The files that print, exit or read argv.
SPEAKING = {"cli", "batchcli", "traincli", "watchcli", "__main__"}
# Seconds to import: never while `autowipe --help` or a job's check waits for it.
HEAVY = {"torch", "openvino", "rapidocr"}
# The engine uses no network, unpickles nothing, and runs in no host.
NEVER = {"bpy", "DaVinciResolveScript", "plugin", "scipy", "socket", "ssl", "http", "requests", "ftplib"}
NEVER |= {"urllib.request", "pickle", "shelve", "marshal", "train"}
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "yaml": "PyYAML", "aaf2": "pyaaf2", "PIL": "pillow"}
# What may be used in one file only: the line to plug-ins on this machine; what goes between our own processes.
ALLOWED = {"link": {"socket"}, "exchange": {"pickle"}}


@dataclass(frozen=True)
class Import:
    """One import statement: `name` is dotted; inside the package it is the module's path, such as "kinds/logo"."""

    name: str
    is_ours: bool
    is_lazy: bool  # inside a function
    line: int


@cache
def imports_of(module: str) -> tuple[Import, ...]:
    return tuple(_walk(ast.parse((CORE / f"{module}.py").read_text("utf-8")), module, False))


def _walk(node: ast.AST, module: str, is_lazy: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, False, is_lazy, child.lineno)
        elif isinstance(child, ast.ImportFrom) and child.level == 0:
            yield Import(str(child.module), False, is_lazy, child.lineno)
        elif isinstance(child, ast.ImportFrom):
            for target in _targets(child, module):
                yield Import(target, True, is_lazy, child.lineno)
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _walk(child, module, is_lazy or is_function)


def _targets(node: ast.ImportFrom, module: str) -> list[str]:
    """The modules that a relative import reads; `from . import x` may name a module or a thing in __init__."""
    parts = module.split("/")
    base = parts[: len(parts) - node.level] + (node.module.split(".") if node.module else [])
    found = []
    for alias in node.names:
        longer = "/".join([*base, alias.name])
        found.append(longer if longer in MODULES or f"{longer}/__init__" in MODULES else "/".join(base))
    return sorted({name if name in MODULES else f"{name}/__init__".lstrip("/") for name in found})


def is_in(name: str, group: set[str]) -> bool:
    return any(name == member or name.startswith(member + ".") for member in group)


@pytest.mark.parametrize("module", sorted(PLAIN))
def test_plain_modules_need_the_standard_library_only(module: str) -> None:
    for found in imports_of(module):
        allowed = found.name in PLAIN if found.is_ours else found.name.split(".")[0] in sys.stdlib_module_names
        assert allowed, f"{module}.py:{found.line} imports {found.name}"


@pytest.mark.parametrize("module", MODULES)
def test_ffmpeg_is_known_to_the_media_files_only(module: str) -> None:
    if module not in MEDIA:
        wrong = [f.line for f in imports_of(module) if not f.is_ours and is_in(f.name, {"av"})]
        assert not wrong, f"{module}.py imports av in lines {wrong}"


@pytest.mark.parametrize("module", MODULES)
def test_heavy_packages_are_imported_when_they_are_needed(module: str) -> None:
    heavy = HEAVY - {"torch"} if module.startswith(("networks/", "train/")) else HEAVY
    wrong = [f for f in imports_of(module) if not f.is_ours and not f.is_lazy and is_in(f.name, heavy)]
    assert not wrong, f"{module}.py imports {wrong} when it is loaded"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("networks/")])
def test_networks_know_torch_only(module: str) -> None:
    for found in imports_of(module):
        allowed = (
            found.name.startswith("networks/")
            if found.is_ours
            else is_in(found.name, {"torch"}) or found.name.split(".")[0] in sys.stdlib_module_names
        )
        assert allowed, f"{module}.py:{found.line} imports {found.name}"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("kinds/")])
def test_kinds_use_no_torch(module: str) -> None:
    assert not [f for f in imports_of(module) if not f.is_ours and is_in(f.name, {"torch"})]


@pytest.mark.parametrize("module", MODULES)
def test_no_network_no_pickle_and_no_host(module: str) -> None:
    never = NEVER - {"train"} if module.startswith(("train", "cli")) else NEVER
    never = never - ALLOWED.get(module, set())
    for found in imports_of(module):
        name = found.name.replace("/", ".") if found.is_ours else found.name
        assert not is_in(name, never), f"{module}.py:{found.line} imports {found.name}"


@pytest.mark.parametrize("module", MODULES)
def test_the_package_is_imported_relatively(module: str) -> None:
    # `resources.files("autowipe.weights")` names the package as text, which is no import.
    assert not [f for f in imports_of(module) if not f.is_ours and is_in(f.name, {"autowipe", "core"})]
    assert "sys.path" not in (CORE / f"{module}.py").read_text("utf-8")


@pytest.mark.parametrize("module", MODULES)
def test_the_way_of_the_data_has_one_direction(module: str) -> None:
    users = {"pipeline": {"cli", "batch", "hostplan"}, "cli": {"__main__"}, "doctor": {"cli"}}
    for found in imports_of(module):
        if found.is_ours and found.name in users:
            assert module in users[found.name], f"{module}.py:{found.line} imports {found.name}"


def test_no_two_modules_need_each_other() -> None:
    needs = {m: {f.name for f in imports_of(m) if f.is_ours and not f.is_lazy} - {m} for m in MODULES}
    done: set[str] = set()

    while ready := {m for m in MODULES if m not in done and needs[m] <= done}:
        done |= ready

    assert done == set(MODULES), f"these go round in a circle: {sorted(set(MODULES) - done)}"


@pytest.mark.parametrize("module", [m for m in MODULES if m not in SPEAKING and not m.startswith("train/")])
def test_the_library_neither_prints_nor_exits(module: str) -> None:
    for node in ast.walk(ast.parse((CORE / f"{module}.py").read_text("utf-8"))):
        if isinstance(node, ast.Call):
            text = ast.unparse(node.func)
            assert text not in ("print", "exit", "quit", "sys.exit"), f"{module}.py:{node.lineno} calls {text}"


def test_every_package_that_is_imported_is_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [wish for wishes in declared["optional-dependencies"].values() for wish in wishes]
    names = {re.split(r"[^\w-]", wish)[0].lower() for wish in declared["dependencies"] + extras}

    used = {f.name.split(".")[0] for m in MODULES for f in imports_of(m) if not f.is_ours}
    used -= set(sys.stdlib_module_names) | {"__future__"}

    assert {DISTRIBUTIONS.get(name, name).lower() for name in used} <= names


def test_install_py_runs_under_an_old_python_to_say_so() -> None:
    source = (ROOT / "install.py").read_text("utf-8")
    tree = ast.parse(source, feature_version=(3, 6))

    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert all(a.name.split(".")[0] in sys.stdlib_module_names for a in node.names)
        assert not isinstance(node, ast.ImportFrom | ast.NamedExpr | ast.AnnAssign | ast.Match)
        if isinstance(node, ast.Call):  # came with Python 3.7 or later
            words = {keyword.arg for keyword in node.keywords}
            assert not words & {"capture_output", "text", "required", "dirs_exist_ok", "missing_ok"}
    assert "removeprefix" not in source and "removesuffix" not in source
