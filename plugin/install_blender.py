"""Finds the Blenders of this machine, puts the add-on into them and takes it out again; used by install.py."""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

NAME = "autowipe"
ARCHIVE = ".venv/autowipe-blender.zip"  # what a person installs by hand
OLDEST, EXTENSIONS_FROM = (3, 4), (4, 2)
HERE = os.path.dirname(os.path.abspath(__file__))
PLACES = {  # where the installers of Blender put it
    "win32": [r"C:\Program Files\Blender Foundation\Blender *\blender.exe"],
    "darwin": [
        "/Applications/Blender*.app/Contents/MacOS/Blender",
        "~/Applications/Blender*.app/Contents/MacOS/Blender",
    ],
    "linux": [
        "/opt/blender*/blender",
        "~/blender*/blender",
        "~/Applications/blender*/blender",
        "/usr/local/blender*/blender",
    ],
}
# An add-on of before 4.2: Blender itself knows where it belongs.
LEGACY_INSTALL = """
import addon_utils, bpy
bpy.ops.preferences.addon_install(overwrite=True, filepath={!r})
bpy.ops.preferences.addon_enable(module='autowipe')
bpy.ops.wm.save_userpref()
print('autowipe-state', addon_utils.check('autowipe'))
"""
# Blender's own operator for this wants a window.
LEGACY_REMOVE = """
import addon_utils, bpy, os, shutil
folders = [os.path.dirname(m.__file__) for m in addon_utils.modules() if m.__name__ == 'autowipe']
addon_utils.disable('autowipe', default_set=True)
bpy.ops.wm.save_userpref()
for folder in folders:
    if os.path.isfile(os.path.join(folder, 'autowipe_link.py')):
        shutil.rmtree(folder)
"""


class Trouble(Exception):
    """A sentence that says what did not work."""


def run(setup, words, refusal):
    """The command `blender` of install.py: `words` are paths of Blenders and --remove. Raises `refusal`."""
    unknown = [word for word in words if word.startswith("-") and word != "--remove"]
    if unknown:
        raise refusal("Unknown words: {}. Give paths of Blender programs, or --remove.".format(" ".join(unknown)))
    try:
        found = find([word for word in words if word != "--remove"])
        if "--remove" in words:
            leave(setup, [blender.path for blender in found])
            return 0
        setup.ensure([])
        archive = setup.path(ARCHIVE)
        setup.say("Writing the add-on: " + archive)
        if not setup.is_dry:
            build(archive, setup.python)
        for blender in found:
            setup.say("Putting the add-on into {} and switching it on".format(blender))
            if not setup.is_dry:
                put_in(blender, archive)
                _note(setup, [blender.path], is_in=True)
    except Trouble as reason:
        raise refusal(str(reason)) from None
    if found:
        print("In Blender: Video Editing workspace, sidebar of the sequencer (N), tab AutoWipe.")
    else:
        print("No Blender was found. Give its path: python3 install.py blender PATH, or in Blender choose")
        print("Preferences > Add-ons > Install from Disk (before 4.2: Install), and this file: " + archive)
    return 0


def leave(setup, paths):
    """Takes the add-on out of Blenders, telling of each; one that is gone has none any more."""
    for path in paths:
        if os.path.exists(path):
            setup.say("Taking the add-on out of " + path)
            if setup.is_dry:
                continue
            try:
                take_out(_look(path))
            except Trouble as reason:
                print(reason, file=sys.stderr)
    if not setup.is_dry:
        _note(setup, paths, is_in=False)


def _note(setup, paths, is_in):
    """Keeps in install.py's record which Blenders have the add-on."""
    record = setup.read()
    if record is not None:
        hosts = record.setdefault("hosts", {})
        kept = [path for path in hosts.get("blender", []) if path not in paths]
        hosts["blender"] = kept + (paths if is_in else [])
        setup.write(record)


class Blender:
    """One Blender on this machine: `path` of the program, `version` such as (4, 5)."""

    def __init__(self, path, version):
        self.path, self.version = path, version

    def __str__(self):
        return "Blender {}.{} ({})".format(self.version[0], self.version[1], self.path)


def find(given=()):
    """The Blenders at `given` paths, else all that are found. Raises Trouble for a given path that is none."""
    if given:
        return [_look(path) for path in given]
    system = "linux" if sys.platform.startswith("linux") else sys.platform
    paths = [shutil.which("blender")] + [
        p for place in PLACES.get(system, []) for p in glob.glob(os.path.expanduser(place))
    ]
    found = {}
    for path in paths:
        if path:
            try:
                found.setdefault(os.path.realpath(path), _look(path))
            except Trouble:
                continue
    return sorted(found.values(), key=lambda blender: blender.version)


def _look(path):
    try:
        done = _run([path, "--version"])
    except (OSError, subprocess.TimeoutExpired):
        raise Trouble("{} is no Blender that can be started.".format(path)) from None
    match = re.search(r"Blender (\d+)\.(\d+)", done.stdout)
    if not match:
        raise Trouble("{} is no Blender.".format(path))
    return Blender(path, (int(match.group(1)), int(match.group(2))))


def build(zip_path, engine):
    """Writes the add-on as a file that Blender installs; `engine` is the Python of the engine's environment.

    One file serves all versions: the folder for those before 4.2 is what later ones expect at the top too.
    """
    folder = os.path.join(HERE, "blender")
    files = [(name, os.path.join(folder, name)) for name in sorted(os.listdir(folder)) if not name.startswith("__pyc")]
    files.append(("autowipe_link.py", os.path.join(HERE, "autowipe_link.py")))
    os.makedirs(os.path.dirname(zip_path), exist_ok=True)
    part = zip_path + ".part"
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files:
            archive.write(path, NAME + "/" + name)
        archive.writestr(NAME + "/engine.json", json.dumps({"engine": engine}))
    os.replace(part, zip_path)
    return zip_path


def put_in(blender, zip_path):
    """Installs or renews the add-on in one Blender and switches it on. Raises Trouble."""
    if blender.version < OLDEST:
        raise Trouble("{} is too old: AutoWipe needs 3.4 or newer.".format(blender))
    if blender.version >= EXTENSIONS_FROM:
        words = ["--command", "extension", "install-file", "-r", "user_default", "-e", zip_path]
        _do(blender, words, "")
    else:
        words = ["-b", "--python-exit-code", "1", "--python-expr", LEGACY_INSTALL.format(zip_path)]
        _do(blender, words, "autowipe-state (True, True)")


def take_out(blender):
    """Removes the add-on from one Blender. Raises Trouble."""
    if blender.version >= EXTENSIONS_FROM:
        _do(blender, ["--command", "extension", "remove", NAME], "")
    else:
        _do(blender, ["-b", "--python-exit-code", "1", "--python-expr", LEGACY_REMOVE], "")


def _do(blender, words, proof):
    try:
        done = _run([blender.path] + words)
    except (OSError, subprocess.TimeoutExpired) as err:
        raise Trouble("{} did not answer: {}".format(blender, err)) from err
    if done.returncode != 0 or proof not in done.stdout:
        lines = [line for line in (done.stdout + done.stderr).split("\n") if line.strip()]
        raise Trouble("{} refused: {}".format(blender, " / ".join(lines[-3:])))


def _run(words):
    return subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=180,
    )
