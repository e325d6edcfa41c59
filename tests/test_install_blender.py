"""Putting the add-on into Blenders and taking it out: a stand-in that notes its arguments, and the system's own."""

import importlib.util
import os
import shutil
import subprocess
import sys

import media
import pytest
from conftest import ROOT

spec = importlib.util.spec_from_file_location("install_blender", ROOT / "plugin" / "install_blender.py")
install_blender = importlib.util.module_from_spec(spec)
spec.loader.exec_module(install_blender)


@pytest.fixture
def blender(tmp_path):
    """A program that says which Blender it is, notes what it is asked to do, and ends with a code."""

    def make(version, code=0):
        program = tmp_path / f"blender-{version}"
        program.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo "Blender {version}" && exit 0\n'
            f'echo "$@" >> "{tmp_path}/asked"\necho "autowipe-state (True, True)"\n'
            f'[ {code} = 0 ] || echo "Error: no repository" >&2\nexit {code}\n'
        )
        program.chmod(0o755)
        return str(program)

    return make


def test_a_blender_is_known_by_what_it_says(blender, tmp_path):
    (found,) = install_blender.find([blender("4.5.3 LTS")])

    assert found.version == (4, 5)
    with pytest.raises(install_blender.Trouble, match="is no Blender"):
        install_blender.find(["/bin/true"])
    with pytest.raises(install_blender.Trouble, match="can be started"):
        install_blender.find([str(tmp_path / "nothing")])


@pytest.mark.parametrize(("version", "words"), [("5.2.0", "extension install-file -r user_default -e /a.zip")])
def test_newer_blenders_get_an_extension(blender, tmp_path, version, words):
    (found,) = install_blender.find([blender(version)])

    install_blender.put_in(found, "/a.zip")
    install_blender.take_out(found)

    asked = (tmp_path / "asked").read_text()
    assert words in asked
    assert "extension remove autowipe" in asked


def test_what_a_blender_refuses_is_told_in_its_words(blender):
    (found,) = install_blender.find([blender("4.5.0", code=1)])

    with pytest.raises(install_blender.Trouble, match="no repository"):
        install_blender.put_in(found, "/a.zip")


def test_a_blender_that_is_too_old_is_told(blender):
    (found,) = install_blender.find([blender("2.93.1")])

    with pytest.raises(install_blender.Trouble, match="too old"):
        install_blender.put_in(found, "/a.zip")


@pytest.mark.host
def test_the_systems_blender_gets_the_add_on_cleans_a_file_on_a_farm_and_loses_it_again(tmp_path, monkeypatch):
    program = shutil.which("blender")
    if program is None:
        pytest.skip("there is no program `blender` on this machine")
    for name in ("CONFIG", "SCRIPTS", "EXTENSIONS", "DATAFILES"):
        monkeypatch.setenv("BLENDER_USER_" + name, str(tmp_path / name.lower()))
    monkeypatch.delenv("PYTHONHOME", raising=False)
    fake = tmp_path / "engine"
    fake.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/fake_engine.py" negative "$@"\n')
    fake.chmod(0o755)
    clip = media.write_clip(tmp_path / "clip.mkv", frames=12, size=(96, 64), pix_fmt="bgr0", rate=24)
    (found,) = install_blender.find([program])

    install_blender.put_in(found, install_blender.build(str(tmp_path / "autowipe.zip"), str(fake)))
    build = (
        "import bpy; s = bpy.context.scene; s.sequence_editor_create(); e = s.sequence_editor;"
        f"t = e.strips if hasattr(e, 'strips') else e.sequences; t.new_movie('Clip', {str(clip)!r}, 1, 1);"
        f"bpy.ops.wm.save_as_mainfile(filepath={str(tmp_path / 'edit.blend')!r})"
    )
    clean = "import bpy; bpy.ops.autowipe.remove(scope='TIMELINE'); bpy.ops.wm.save_mainfile()"
    start = [program, "-b", "--python-exit-code", "1"]
    subprocess.run([*start, "--python-expr", build], check=True, capture_output=True, timeout=120)
    done = subprocess.run(
        [*start[:2], str(tmp_path / "edit.blend"), *start[2:], "--python-expr", clean],
        capture_output=True,
        text=True,
        timeout=200,
    )
    clip.unlink()
    again = subprocess.run(
        [*start[:2], str(tmp_path / "edit.blend"), *start[2:], "--python-expr", clean],
        capture_output=True,
        text=True,
        timeout=200,
    )
    install_blender.take_out(found)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Clip: done" in done.stdout
    assert (tmp_path / "autowipe" / "clip_0-12_clean.mkv").exists()
    assert again.returncode == 1  # a farm sees that it failed
    assert "its file is missing" in again.stdout + again.stderr
    assert not [name for _, folders, _ in os.walk(tmp_path) for name in folders if name == "autowipe_link"]
    assert not list(tmp_path.glob("scripts/addons/autowipe"))
