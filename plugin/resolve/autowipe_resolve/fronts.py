"""The dialogue: in Resolve's own windows where the edition has them, else in a window of the engine's Python.

Where there is neither, a settings file and a progress file do. All three ask for settings, show progress, take a
cancel and tell the end in a sentence:

    ask(offer) → settings or None     show(text, share) → False to stop     tell(text)     close()

An offer is {"title", "picks": [{"way", "text", "lines"}], "settings"}; its first pick is the one proposed.
"""

import contextlib
import json
import os
import queue
import subprocess
import threading
import time

from . import settings as stored
from .labels import KINDS, LABELS

READY_S = 20  # for the engine's Python to open a window


def choose(names, python, environment):
    """The first front that works here; `python` is the engine's interpreter, None where there is none."""
    front = ResolveWindows.open(names)
    if front is None and python:
        front = OwnWindow.open(python, environment)
    return front or SettingsFile()


class ResolveWindows:
    """Windows of Resolve's UIManager: Studio, and the free edition up to 19.0."""

    @classmethod
    def open(cls, names):
        bmd = names.get("bmd")
        fusion = names.get("fusion") or names.get("fu")
        ui = getattr(fusion, "UIManager", None) if fusion is not None else None
        if ui is None or getattr(bmd, "UIDispatcher", None) is None:
            return None
        return cls(ui, bmd.UIDispatcher(ui))

    def __init__(self, ui, dispatcher):
        self.ui, self.dispatcher = ui, dispatcher
        self.window = self.items = None
        self.pressed = None

    def ask(self, offer):
        ui, settings, picks = self.ui, offer["settings"], offer["picks"]
        rows = [
            self._row("Clips", ui.ComboBox({"ID": "Way", "Weight": 1})),
            ui.TextEdit({"ID": "Lines", "ReadOnly": True, "Weight": 1}),
            ui.HGroup(
                {"Weight": 0},
                [
                    ui.CheckBox({"ID": "Kind_" + kind, "Text": label, "Checked": kind in settings["kinds"]})
                    for kind, label in KINDS.items()
                ],
            ),
        ]
        rows += [self._row(label, ui.ComboBox({"ID": name, "Weight": 1})) for name, (label, _) in LABELS.items()]
        rows += [
            self._row("Handles", ui.SpinBox({"ID": "handles", "Minimum": 0, "Maximum": 1000})),
            ui.CheckBox({"ID": "markers", "Text": "Markers where overlays were", "Checked": settings["markers"]}),
            ui.CheckBox({"ID": "subtitles", "Text": "Subtitles as text", "Checked": settings["subtitles"]}),
            self._row("Cleaned clips in", ui.LineEdit({"ID": "folder", "Text": settings["folder"], "Weight": 1})),
            ui.HGroup(
                {"Weight": 0},
                [
                    ui.Button({"ID": "Start", "Text": "Remove overlays"}),
                    ui.Button({"ID": "Cancel", "Text": "Cancel"}),
                ],
            ),
        ]
        self._open(offer["title"], rows, [560, 520])
        items = self.items
        items["Way"].AddItems([pick["text"] for pick in picks])
        for name, (_, choices) in LABELS.items():
            items[name].AddItems(list(choices.values()))
            items[name].CurrentIndex = list(choices).index(settings[name])
        items["handles"].Value = settings["handles"]

        def show_lines(_=None):
            items["Lines"].PlainText = "\n".join(picks[items["Way"].CurrentIndex]["lines"])

        self.window.On["Way"].CurrentIndexChanged = show_lines
        self.window.On["Start"].Clicked = lambda event: self._press("start")
        show_lines()
        while self.pressed is None:
            self._pump()
        given = None
        if self.pressed == "start":
            given = {name: list(choices)[items[name].CurrentIndex] for name, (_, choices) in LABELS.items()}
            given.update({name: bool(items[name].Checked) for name in ("markers", "subtitles")})
            given["kinds"] = [kind for kind in KINDS if items["Kind_" + kind].Checked]
            given.update(handles=int(items["handles"].Value), folder=items["folder"].Text)
            given["way"] = picks[items["Way"].CurrentIndex]["way"]
        self._shut()
        return given

    def _row(self, label, widget):
        return self.ui.HGroup({"Weight": 0}, [self.ui.Label({"Text": label, "Weight": 0}), widget])

    def _open(self, title, rows, size):
        self.pressed = None
        heading = {"ID": "AutoWipe", "WindowTitle": title, "Geometry": [300, 200] + size}
        self.window = self.dispatcher.AddWindow(heading, self.ui.VGroup(rows))
        self.items = self.window.GetItems()
        self.window.On["AutoWipe"].Close = lambda event: self._press("cancel")
        self.window.On["Cancel"].Clicked = lambda event: self._press("cancel")
        self.window.Show()

    def _press(self, button):
        self.pressed = button

    def _pump(self):
        """One round of events; a timer inside RunLoop never fires for a Python script in Resolve 21."""
        with contextlib.suppress(KeyError):  # an event that nobody listens to
            self.dispatcher.StepLoop()
        time.sleep(0.05)

    def _shut(self):
        if self.window is not None:
            self.window.Hide()
        self.window = self.items = None

    def show(self, text, share):
        if self.window is None:
            rows = [
                self.ui.Label({"ID": "Progress", "WordWrap": True, "Weight": 1}),
                self.ui.Button({"ID": "Cancel", "Text": "Cancel", "Weight": 0}),
            ]
            self._open("AutoWipe", rows, [460, 130])
        self.items["Progress"].Text = "{:.0f} %  {}".format(share * 100, text)
        self._pump()
        return self.pressed is None

    def tell(self, text):
        self._shut()
        rows = [
            self.ui.Label({"Text": text, "WordWrap": True, "Weight": 1}),
            self.ui.Button({"ID": "Cancel", "Text": "OK", "Weight": 0}),
        ]
        self._open("AutoWipe", rows, [460, 160])
        while self.pressed is None:
            self._pump()
        self._shut()

    def close(self):
        self._shut()


class OwnWindow:
    """A window in a process of the engine's Python, spoken to in lines of JSON: see window.py."""

    @classmethod
    def open(cls, python, environment):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "window.py")
        flags = {"creationflags": 0x08000000} if os.name == "nt" else {}  # no console window
        try:
            process = subprocess.Popen(
                [python, script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                **flags,
            )
        except OSError:
            return None
        front = cls(process)
        if front._wait("ready", READY_S) is None:
            front.close()
            return None
        return front

    def __init__(self, process):
        self.process = process
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            try:
                self.lines.put(json.loads(line.decode("utf-8")))
            except ValueError:
                continue
        self.lines.put({"closed": True})

    def _send(self, message):
        try:
            self.process.stdin.write((json.dumps(message) + "\n").encode("ascii"))
            self.process.stdin.flush()
        except (OSError, ValueError):
            pass  # the window is gone; the next answer says so

    def _wait(self, key, timeout_s=None):
        """The answer of a name, None where the user cancelled, the window is gone, or time is over."""
        until = None if timeout_s is None else time.time() + timeout_s
        while True:
            try:
                message = self.lines.get(timeout=None if until is None else max(0.01, until - time.time()))
            except queue.Empty:
                return None
            if key in message:
                return message[key]
            if "cancel" in message or "closed" in message:
                return None

    def ask(self, offer):
        self._send({"ask": offer})
        return self._wait("settings")

    def show(self, text, share):
        self._send({"show": text, "share": share})
        time.sleep(0.1)
        while not self.lines.empty():
            message = self.lines.get()
            if "cancel" in message or "closed" in message:
                return False
        return True

    def tell(self, text):
        self._send({"tell": text})
        self._wait("ok")

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


class SettingsFile:
    """No window at all: settings come from settings.json, progress goes to running.txt; deleting that file cancels."""

    def __init__(self, folder=None):
        self.folder = folder or stored.settings_folder()
        self.running = os.path.join(self.folder, "running.txt")
        self.is_running = False

    def ask(self, offer):
        print("AutoWipe: settings from " + stored.settings_file(self.folder))
        print("AutoWipe: " + offer["picks"][0]["text"])
        for line in offer["picks"][0]["lines"]:
            print("AutoWipe: " + line)
        print("AutoWipe: delete {} to cancel".format(self.running))
        return dict(offer["settings"], way=offer["picks"][0]["way"])

    def show(self, text, share):
        if self.is_running and not os.path.exists(self.running):
            return False
        self.is_running = True
        try:
            with open(self.running, "w", encoding="utf-8") as file:
                file.write("{:.0f} %  {}\n".format(share * 100, text))
        except OSError:
            pass  # nothing to show, and nothing to cancel by, but the work goes on
        time.sleep(0.1)
        return True

    def tell(self, text):
        print("AutoWipe: " + text)

    def close(self):
        if os.path.exists(self.running):
            os.remove(self.running)
