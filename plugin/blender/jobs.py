"""The queue of strips being cleaned: one at a time, rendered if need be, cleaned by the engine, placed on the timeline.

`tick` is called again and again, never waits, and is the only thing that touches the timeline. A task holds names
and IDs alone: undo and loading make references to strips dangle.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import atexit
import contextlib
import os
import re
import shutil
import time

import bpy

from . import autowipe_link as link
from . import plans, render, strips

WAITING, RENDERING, CLEANING, DONE, FAILED, CANCELLED = (
    "waiting",
    "rendering",
    "cleaning",
    "done",
    "failed",
    "cancelled",
)
OVER = (DONE, FAILED, CANCELLED)
# Containers that the engine writes; what comes in another goes to .mkv.
SUFFIXES = (".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".mxf", ".nut", ".ts", ".m2ts", ".mts", ".mpg")
SUFFIXES += (".mpeg", ".vob")
SUFFIX_FOR = {"ffv1": ".mkv", "prores": ".mov", "dnxhr": ".mov", "h264": ".mp4", "hevc": ".mp4"}
MOST_REMEMBERED = 30
HINTS = {  # where the engine's own speak of the command line
    "cancelled": "",
    "disk-full": "Make room there, then run it again: it goes on where it stopped.",
    "device-missing": "Choose Automatic under Device; Check the Engine in the preferences tells what is missing.",
}


class Wishes:
    """What the user chose in the panel when the button was pressed; plain values."""

    def __init__(self, engine, folder, kinds, quality, device, codec, report, areas):
        self.engine, self.folder = engine, folder  # words that start the engine; absolute path
        self.kinds, self.quality, self.device, self.codec, self.report = kinds, quality, device, codec, report
        self.areas = areas  # (use, what) with use "SEARCH" or "HOLD_OUT"; what: shares of the picture, or a path


class Task:
    """One strip on its way. `text` says what happened, in a sentence."""

    def __init__(self, scene, strip, wishes, is_find):
        """Raises strips.Refusal for what cannot be cleaned."""
        self.shown = strips.Shown(scene, strip)
        self.scene_name, self.identity = scene.name, strips.identify(scene, strip)
        self.name, self.wishes, self.is_find, self.snapshot = strip.name, wishes, is_find, None
        self.stamp = self.shown.stamp([wishes.kinds, wishes.areas])
        self.plan, self.off = _plan_of(strip, self.stamp), strip.get(strips.OFF, "")
        self.state, self.text, self.hint = WAITING, "Waiting.", ""
        self.share, self.eta_s, self.found, self.warnings = 0.0, None, 0, []
        self.report, self.log = "", ""
        self._render = self._run = self._rendered = None
        self._stages, self._names = (), {}

    def hold(self, snapshot):
        """Takes the copy of the file from which the strip will be rendered."""
        self.snapshot = snapshot
        snapshot.users += 1

    @property
    def is_over(self):
        return self.state in OVER

    def _start(self):
        try:
            os.makedirs(self.wishes.folder, exist_ok=True)
        except OSError as err:
            text = "The folder {} cannot be made: {}.".format(self.wishes.folder, err.strerror or err)
            self._end(FAILED, text, "Choose another folder in the panel.")
            return
        self._names = self._choose_names()
        if self.shown.reason:
            self._rendered = os.path.join(self.wishes.folder, "render-{}.mkv".format(self.identity))
            self._render = render.StripRender(self.snapshot, self.scene_name, self.shown, self._rendered)
            self.state, self.text = RENDERING, "Rendering the strip ({}).".format(self.shown.reason)
        else:
            self._start_engine(self.shown.path)

    def _choose_names(self):
        """Files of this run, all new: nothing that is there is written over."""
        shown, wishes = self.shown, self.wishes
        base = os.path.splitext(os.path.basename(shown.path))[0] or re.sub(r"[^\w.-]+", "_", shown.name)
        suffix = os.path.splitext(shown.path)[1].lower() if not shown.reason else ".mkv"
        if wishes.codec != "auto":
            suffix = SUFFIX_FOR[wishes.codec]
        elif suffix not in SUFFIXES:
            suffix = ".mkv"
        stem = "{}_{}-{}".format(base, shown.first, shown.first + shown.length)
        tails = {"output": ("_clean", suffix), "save_plan": ("", ".plan.json"), "report": ("", ".report.html")}
        return {key: _new_name(wishes.folder, stem + middle, end) for key, (middle, end) in tails.items()}

    def _start_engine(self, source):
        wishes, names = self.wishes, self._names
        job = {
            "source": source,
            "task": "perceive" if self.is_find else "wipe",
            "kinds": list(wishes.kinds),
            "save_plan": names["save_plan"],
            "quality": wishes.quality,
            "device": wishes.device,
        }
        if not self.shown.reason:
            job["range"] = [self.shown.first, self.shown.first + self.shown.length]
        for use, what in wishes.areas:
            job.setdefault("search_areas" if use == "SEARCH" else "hold_outs", []).append(_area(what, self.shown.size))
        if not self.is_find:
            job.update(output=names["output"], codec=wishes.codec, resume=True)
            if wishes.report:
                job["report"] = names["report"]
            if self.plan:
                # Beside the maps that it names; the engine reads it and keeps it as the run's own.
                job["plan"] = plans.write_without(self.plan, self.off.split(","), self.plan + ".part.json")
        jobs = os.path.join(wishes.folder, "jobs")
        self._run = link.EngineRun(wishes.engine, job, jobs, os.path.basename(names["output"]))
        self.log = self._run.log_file
        self.state, self.text = CLEANING, "Starting the engine."

    def tick(self):
        try:
            if self.state == WAITING:
                self._start()
            elif self.state == RENDERING:
                self._follow_render()
            elif self.state == CLEANING:
                for message in self._run.poll():
                    self._hear(message)
        except link.LinkError as err:
            self._end(FAILED, err.text, err.hint)
        except (OSError, plans.Unreadable) as err:
            self._end(FAILED, "{} cannot be cleaned: {}".format(self.name, getattr(err, "strerror", None) or err))

    def _follow_render(self):
        job = self._render
        self.share = 0.2 * job.done / max(1, job.total)
        self.text = "Rendering the strip ({}): {} of {} frames.".format(self.shown.reason, job.done, job.total)
        if not job.is_over:
            return
        if job.error:
            self._end(FAILED, "{}: {}".format(self.name, job.error))
        else:
            self._start_engine(self._rendered)

    def _hear(self, message):
        kind = message["type"]
        if kind == "plan":
            self._stages = tuple(message.get("stages", ()))
        elif kind == "progress":
            self._progress(message)
        elif kind == "overlay":
            self.found += 1
        elif kind == "warning":
            self.warnings.append(message.get("text", ""))
        elif kind == "error":
            self._take_plan_away()
            state = CANCELLED if message["code"] == "cancelled" else FAILED
            self._end(state, message["text"], HINTS.get(message["code"], message["hint"]))
        elif kind == "result":
            self._finish(message)

    def _progress(self, message):
        words = {"look": "Looking", "measure": "Measuring", "wipe": "Wiping"}
        done, total, stage = message.get("done", 0), max(1, message.get("total", 1)), message.get("stage", "")
        before = self._stages.index(stage) if stage in self._stages else 0
        share = (before + done / total) / max(1, len(self._stages))
        self.share = 0.2 + 0.8 * share if self.shown.reason else share
        self.eta_s = message.get("eta_s")
        self.text = "{}: {} of {} frames".format(words.get(stage, stage), done, total)

    def _finish(self, message):
        scene = bpy.data.scenes.get(self.scene_name)
        if scene is None or scene.sequence_editor is None:
            self._end(FAILED, "The scene {} is gone; the clip is {}".format(self.scene_name, message.get("output")))
            return
        self.report = message.get("files", {}).get("report", "")
        text = message.get("text", "")
        if not self.is_find:
            try:
                _, note = strips.place(scene, self.identity, self._names["output"], self.shown)
            except strips.Refusal as reason:
                self._end(FAILED, str(reason))
                return
            if note:
                self.warnings.append(note)
        original = strips.find(scene, self.identity)
        if original is not None:
            self._remember(original)
        with contextlib.suppress(RuntimeError):  # no undo in a Blender without a window manager
            bpy.ops.ed.undo_push(message="{} {}".format("Find overlays in" if self.is_find else "Clean", self.name))
        self._end(DONE, text or "Done.")

    def _remember(self, original):
        """What the panel shows of this run later, kept in the file."""
        if os.path.isfile(self._names["save_plan"]):
            original[strips.PLAN], original[strips.PLAN_FOR] = self._names["save_plan"], self.stamp
            original[strips.FIRST] = self.shown.first
            if not self.plan:
                with contextlib.suppress(plans.Unreadable):
                    original[strips.OFF] = ",".join(plans.disabled(plans.read(self._names["save_plan"])))
        original[strips.WAY] = self.shown.way
        if self.report:
            original[strips.REPORT] = self.report

    def _take_plan_away(self):
        """Of a run that did not end: the next one takes the same names then, which is what lets it go on."""
        plan = self._names["save_plan"]
        with contextlib.suppress(OSError):
            os.remove(plan)
        shutil.rmtree(os.path.splitext(plan)[0] + ".maps", ignore_errors=True)

    def cancel(self):
        if self.state == RENDERING:
            self._render.cancel()
            self._end(CANCELLED, "Cancelled.")
        elif self.state == CLEANING:
            self.text = "Stopping."
            self._run.cancel()
        elif self.state == WAITING:
            self._end(CANCELLED, "Cancelled.")

    def close(self):
        """Ends it at once: Blender is going, or another file is being opened."""
        if self.state == CLEANING:
            self._run.close()
        if self.state == RENDERING:
            self._render.cancel()
        if not self.is_over:
            self._end(CANCELLED, "Stopped with the file.")

    def _end(self, state, text, hint=""):
        self.state, self.text, self.hint = state, text, hint
        self.eta_s = None
        if state == DONE:
            self.share = 1.0
        for path in (self._rendered, self.plan + ".part.json" if self.plan else None):
            if path:
                with contextlib.suppress(OSError):
                    os.remove(path)
        if self.snapshot is not None:
            self.snapshot.release()
            self.snapshot = None


def _new_name(folder, stem, end):
    """A file that is not there yet. Raises OSError where there are too many of one name."""
    for number in range(1, 100000):
        path = os.path.join(folder, "{}{}{}".format(stem, "" if number == 1 else "-{}".format(number), end))
        if not os.path.lexists(path):
            return path
    raise OSError("the folder {} is full".format(folder))


def _plan_of(strip, stamp):
    """The plan that was found for exactly what the strip shows now, or ""."""
    path = strip.get(strips.PLAN, "")
    return path if path and strip.get(strips.PLAN_FOR) == stamp and os.path.isfile(path) else ""


def _area(what, size):
    """An area for the job: a box in px out of shares of the picture, or a path."""
    if isinstance(what, str):
        return what
    left, top, right, bottom = (share * side for share, side in zip(what, size * 2))
    left, top = min(max(0, int(left)), size[0] - 1), min(max(0, int(top)), size[1] - 1)
    return [left, top, max(1, min(size[0], round(right)) - left), max(1, min(size[1], round(bottom)) - top)]


class Queue:
    """The tasks in the order in which they were asked for; the first that is not over is being worked on."""

    def __init__(self):
        self.tasks = []
        self.last_tick = 0.0  # monotonic seconds

    @property
    def current(self):
        return next((task for task in self.tasks if not task.is_over), None)

    @property
    def is_busy(self):
        return self.current is not None

    def add(self, task):
        # What it told of the same strip before is told anew.
        self.tasks = [t for t in self.tasks if not (t.is_over and t.identity == task.identity)]
        over = [t for t in self.tasks if t.is_over]
        for old in over[: max(0, len(over) - MOST_REMEMBERED)]:
            self.tasks.remove(old)
        self.tasks.append(task)

    def is_waiting_for(self, identity):
        return any(task.identity == identity and not task.is_over for task in self.tasks)

    def tick(self):
        """A short piece of work; never waits."""
        task = self.current
        if task is not None:
            task.tick()
        self.last_tick = time.monotonic()

    def cancel(self):
        for task in reversed(self.tasks):
            task.cancel()

    def close(self):
        for task in reversed(self.tasks):
            task.close()

    def forget(self):
        self.tasks = [task for task in self.tasks if not task.is_over]


queue = Queue()
atexit.register(queue.close)
