"""Adapters run inside hosts with old Pythons: the grammar of 3.6, the standard library, and their own host."""

import ast
import sys

import pytest
from conftest import ROOT

FILES = sorted((ROOT / "plugin").rglob("*.py"))
HOSTS = {
    "blender": {"bpy", "gpu", "gpu_extras", "blf", "mathutils", "addon_utils"},
    "farm": {"batch_jobs", "outline"},
    "resolve": {"DaVinciResolveScript", "autowipe_resolve", "labels"},
}
SHARED = "autowipe_link"
LATER = {"capture_output", "dirs_exist_ok", "missing_ok", "kw_only"}  # keywords of calls that came after 3.6
LATER_NAMES = {"dataclasses", "SimpleQueue", "removeprefix", "removesuffix", "is_relative_to", "cache", "prod", "dist"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_adapters_keep_to_the_grammar_of_python_3_6(path):
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 6))

    for node in ast.walk(tree):
        assert not isinstance(node, ast.NamedExpr | ast.Match), f"line {node.lineno}"
        if isinstance(node, ast.ImportFrom):
            assert node.module != "__future__", f"line {node.lineno}"
        if isinstance(node, ast.Call):
            assert not {word.arg for word in node.keywords} & LATER, f"line {node.lineno}"
        name = getattr(node, "attr", None) or getattr(node, "name", None) or getattr(node, "module", None)
        assert name not in LATER_NAMES, f"line {node.lineno} uses {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_adapters_need_the_standard_library_and_their_host_only(path):
    host = HOSTS.get(path.relative_to(ROOT / "plugin").parts[0], set())

    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        else:
            continue
        for name in names:
            top = name.split(".")[0]
            assert top in sys.stdlib_module_names or top in host or top == SHARED, f"line {node.lineno}: {name}"
