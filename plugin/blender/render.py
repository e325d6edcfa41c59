"""Has a second Blender render a strip while this one goes on; from a copy of the file as it is now."""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading

import bpy

from . import autowipe_link as link
from . import versions

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "render_strip.py")


class Snapshot:
    """A copy of the file as it is now, deleted when the last strip that needs it is rendered."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="autowipe-")
        self.path = os.path.join(self.folder, "copy.blend")
        self.users = 0
        # Paths that are relative to the file are made to fit the copy's folder.
        bpy.ops.wm.save_as_mainfile(filepath=self.path, copy=True, check_existing=False, relative_remap=True)

    def release(self):
        self.users -= 1
        if self.users <= 0:
            for name in os.listdir(self.folder):
                with contextlib.suppress(OSError):
                    os.remove(os.path.join(self.folder, name))
            with contextlib.suppress(OSError):
                os.rmdir(self.folder)


class StripRender:
    """One strip being rendered. `done` counts frames; `error` is a sentence once it is over and has failed."""

    def __init__(self, snapshot, scene_name, shown, output):
        """Raises OSError where no second Blender can be started."""
        self.done, self.total, self.is_over, self.error = 0, shown.length, False, ""
        self.output, self._cancelled = output, False
        task = {
            "blend": snapshot.path,
            "scene": scene_name,
            "strip": shown.name,
            "size": list(shown.size),
            "keeps_place": shown.keeps_place,
            "start": shown.start,
            "length": shown.length,
            "output": output,
        }
        handle, path = tempfile.mkstemp(".json", "render-", snapshot.folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(task, file)
        if bpy.app.binary_path:
            words = [bpy.app.binary_path, "-b", snapshot.path, "-P", SCRIPT, "--", path]
        else:  # Blender as a Python module
            words = [sys.executable, SCRIPT, path]
        self._log = path[: -len(".json")] + ".log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                creationflags=0x08000000 if os.name == "nt" else 0,  # no window
            )
        threading.Thread(target=self._read, name="autowipe-render", daemon=True).start()

    def cancel(self):
        self._cancelled = True
        with contextlib.suppress(OSError):
            self._process.kill()

    def _read(self):
        last = ""
        for raw in self._process.stdout:
            line = raw.decode("utf-8", "replace").strip()
            if line.startswith("autowipe-frame "):
                self.done += 1
            elif line.startswith(("Error", "Warning")):
                last = line
        code = self._process.wait()
        self._process.stdout.close()
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        if self._cancelled:
            self.error = "Cancelled."
        elif code != 0 or not os.path.isfile(self.output):
            said = link.last_line(self._log) or last
            self.error = "Blender could not render the strip (exit code {}){}".format(
                code, ": " + said if said else "."
            )
        self.is_over = True


def mask_still(scene, strip, path):
    """Writes what a mask strip shows at its first frame as a picture of the scene's size; all else is as before.

    Raises RuntimeError where Blender cannot render it.
    """
    every = versions.all_strips(scene)
    muted = {s.name: s.mute for s in every}
    image, render = scene.render.image_settings, scene.render
    kept = [
        (scene, "frame_current", versions.start(strip)),
        (render, "resolution_percentage", 100),
        (render, "use_sequencer", True),
        (render, "filepath", path),
        (image, "media_type", "IMAGE"),
        (image, "file_format", "PNG"),
        (image, "color_mode", "BW"),
        (scene.view_settings, "view_transform", "Standard"),
    ]
    kept = [(owner, name, value, getattr(owner, name)) for owner, name, value in kept if hasattr(owner, name)]
    try:
        for other in every:
            other.mute = other != strip
        for owner, name, value, _ in kept:
            setattr(owner, name, value)
        bpy.ops.render.render(write_still=True, scene=scene.name)
    finally:
        # The format brings its own colour modes, so it goes back before them.
        for owner, name, _, value in kept:
            with contextlib.suppress(TypeError):
                setattr(owner, name, value)
        for other in every:
            other.mute = muted[other.name]
