"""The work itself: find, remove, cancel, restore, and the operator that keeps the queue going."""
# SPDX-License-Identifier: GPL-3.0-or-later

import time

import bpy
from bpy.props import EnumProperty

from . import autowipe_link as link
from . import jobs, render, settings, strips, versions

SCOPE_ITEMS = [
    ("SELECTED", "Selected strips", "The selected strips"),
    ("CHANNEL", "Active strip's channel", "Every strip of the active strip's channel that is not muted"),
    ("TIMELINE", "Whole timeline", "Every strip of the timeline that is not muted"),
]
UNDOABLE = {"REGISTER", "UNDO"}


def active_original(context):
    """The active strip, or its original where it is a result; and the scene."""
    scene = versions.sequencer_scene(context)
    editor = scene.sequence_editor if scene else None
    strip = editor.active_strip if editor else None
    if strip is None:
        return None, scene
    return strips.original_of(scene, strip) or strip, scene


class OnTimeline:
    @classmethod
    def poll(cls, context):
        scene = versions.sequencer_scene(context)
        return scene is not None and scene.sequence_editor is not None


class OnStrip:
    @classmethod
    def poll(cls, context):
        return active_original(context)[0] is not None


class _Start(OnTimeline):
    """Puts strips on the queue and sees to it that the queue is worked on."""

    bl_options = UNDOABLE
    is_find = False

    def execute(self, context):
        scene = versions.sequencer_scene(context)
        chosen = strips.targets(context, scene, self.scope)
        if not chosen:
            self.report({"ERROR"}, "There is no strip to clean: select a movie strip.")
            return {"CANCELLED"}
        try:
            wishes = settings.wishes_of(scene)
        except (link.LinkError, strips.Refusal) as err:
            self.report({"ERROR"}, "{} {}".format(err, getattr(err, "hint", "")).strip())
            return {"CANCELLED"}
        started = self._enqueue(scene, chosen, wishes)
        if not started:
            return {"CANCELLED"}
        if bpy.app.background:
            return self._work_here(started)
        if not AUTOWIPE_OT_work.is_running():
            bpy.ops.autowipe.work("INVOKE_DEFAULT")
        return {"FINISHED"}

    def _enqueue(self, scene, chosen, wishes):
        started, snapshot = [], None
        for strip in chosen:
            if jobs.queue.is_waiting_for(strip.get(strips.ID)):
                self.report({"WARNING"}, "{} is being worked on already.".format(strip.name))
                continue
            try:
                task = jobs.Task(scene, strip, wishes, self.is_find)
            except strips.Refusal as reason:
                # A farm has nobody to read a warning: there it ends the run.
                self.report({"ERROR" if bpy.app.background else "WARNING"}, str(reason))
                continue
            started.append(task)
        try:
            for task in started:
                if task.shown.reason:
                    snapshot = snapshot or render.Snapshot()  # with the mute states of before
                    task.hold(snapshot)
        except (OSError, RuntimeError) as err:
            self.report({"ERROR"}, "A copy of this file for rendering cannot be written: {}".format(err))
            return []
        for task in started:
            jobs.queue.add(task)
        return started

    def _work_here(self, started):
        """In a Blender without windows: works until the queue is empty, telling how far it is."""
        said = None
        while jobs.queue.is_busy:
            jobs.queue.tick()
            task = jobs.queue.current
            if task is not None and (task.name, int(task.share * 10)) != said:
                said = (task.name, int(task.share * 10))
                print("AutoWipe: {}: {}".format(task.name, task.text), flush=True)
            time.sleep(0.05)
        for task in started:
            print("AutoWipe: {}: {}: {}".format(task.name, task.state, task.text), flush=True)
        failed = [task for task in started if task.state != jobs.DONE]
        if failed:
            texts = " ".join("{}: {}".format(task.name, task.text) for task in failed)
            self.report({"ERROR"}, "{} of {} strips were not cleaned. {}".format(len(failed), len(started), texts))
        return {"FINISHED"}


class AUTOWIPE_OT_remove(_Start, bpy.types.Operator):
    """Take burnt-in overlays out of the strips; the cleaned strips appear above, the originals are kept and muted"""

    bl_idname = "autowipe.remove"
    bl_label = "Remove Overlays"

    scope: EnumProperty(name="Strips", items=SCOPE_ITEMS)


class AUTOWIPE_OT_find(_Start, bpy.types.Operator):
    """Look for overlays and list them, changing nothing; Remove Overlays then takes out those that are ticked"""

    bl_idname = "autowipe.find"
    bl_label = "Find Overlays"
    is_find = True

    scope: EnumProperty(name="Strips", items=SCOPE_ITEMS)


class AUTOWIPE_OT_work(bpy.types.Operator):
    """Work on the queue in the background; ESC over the sequencer cancels"""

    bl_idname = "autowipe.work"
    bl_label = "Work on AutoWipe's Queue"
    bl_options = {"INTERNAL"}

    EVERY_S = 0.1
    _alive = None  # the instance that is at work

    @classmethod
    def is_running(cls):
        return cls._alive is not None and time.monotonic() - jobs.queue.last_tick < 5.0

    def invoke(self, context, event):
        manager = context.window_manager
        AUTOWIPE_OT_work._alive = self
        jobs.queue.last_tick = time.monotonic()
        self._timer = manager.event_timer_add(self.EVERY_S, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if AUTOWIPE_OT_work._alive is not self:
            self._leave(context)
            return {"CANCELLED"}
        if event.type == "ESC" and event.value == "PRESS" and self._is_meant(context, event):
            jobs.queue.cancel()
            return {"RUNNING_MODAL"}
        if event.type == "TIMER":
            jobs.queue.tick()
            show_progress(context)
            if not jobs.queue.is_busy:
                self._leave(context)
                return {"FINISHED"}
        return {"PASS_THROUGH"}

    @staticmethod
    def _is_meant(context, event):
        """ESC elsewhere ends other things: playback, text fields, menus."""
        screen = context.screen
        if screen is None or screen.is_animation_playing:
            return False
        return any(
            area.type == "SEQUENCE_EDITOR"
            and 0 <= event.mouse_x - area.x < area.width
            and 0 <= event.mouse_y - area.y < area.height
            for area in screen.areas
        )

    def _leave(self, context):
        context.window_manager.event_timer_remove(self._timer)
        if AUTOWIPE_OT_work._alive is self:
            AUTOWIPE_OT_work._alive = None
            context.workspace.status_text_set(None)
        redraw(context)

    def cancel(self, context):
        """Blender is quitting or opens another file."""
        AUTOWIPE_OT_work._alive = None
        jobs.queue.close()


def show_progress(context):
    task = jobs.queue.current
    if task is not None and context.workspace is not None:
        context.workspace.status_text_set("AutoWipe: {}: {}   (ESC cancels)".format(task.name, progress_text(task)))
    redraw(context)


def progress_text(task):
    if task.eta_s is None:
        return task.text
    minutes, seconds = divmod(int(round(task.eta_s)), 60)
    return "{}, {}:{:02d} left".format(task.text, minutes, seconds)


def redraw(context):
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "SEQUENCE_EDITOR":
                area.tag_redraw()


class AUTOWIPE_OT_cancel(bpy.types.Operator):
    """Stop the work; the timeline stays as it is"""

    bl_idname = "autowipe.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context):
        return jobs.queue.is_busy

    def execute(self, context):
        jobs.queue.cancel()
        return {"FINISHED"}


class AUTOWIPE_OT_forget(bpy.types.Operator):
    """Take what is over off the list"""

    bl_idname = "autowipe.forget"
    bl_label = "Clear List"

    def execute(self, context):
        jobs.queue.forget()
        return {"FINISHED"}


class AUTOWIPE_OT_restore(OnTimeline, bpy.types.Operator):
    """Take the cleaned strips out and show the originals again; the cleaned files stay on disk"""

    bl_idname = "autowipe.restore"
    bl_label = "Restore Originals"
    bl_options = UNDOABLE

    scope: EnumProperty(name="Strips", items=SCOPE_ITEMS)

    def execute(self, context):
        scene = versions.sequencer_scene(context)
        # Names, because taking one strip out may leave references to others dangling.
        names = [strip.name for strip in strips.targets(context, scene, self.scope)]
        done = 0
        for name in names:
            strip = next((s for s in versions.all_strips(scene) if s.name == name), None)
            done += strip is not None and strips.restore(scene, strip)
        if not done:
            self.report({"WARNING"}, "None of these strips has been cleaned.")
            return {"CANCELLED"}
        return {"FINISHED"}


class AUTOWIPE_OT_doctor(bpy.types.Operator):
    """Ask the engine what is installed, what is wrong and how to mend it"""

    bl_idname = "autowipe.doctor"
    bl_label = "Check the Engine"

    def execute(self, context):
        try:
            asked = settings.ask_doctor(settings.engine())
        except link.LinkError as err:
            self.report({"ERROR"}, "{} {}".format(err.text, err.hint))
            return {"CANCELLED"}

        def look():
            for window in bpy.context.window_manager.windows:
                for area in window.screen.areas:
                    if area.type == "PREFERENCES":
                        area.tag_redraw()
            return None if asked.text is not None else 0.3

        bpy.app.timers.register(look, first_interval=0.3)
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (
        AUTOWIPE_OT_remove,
        AUTOWIPE_OT_find,
        AUTOWIPE_OT_work,
        AUTOWIPE_OT_cancel,
        AUTOWIPE_OT_forget,
        AUTOWIPE_OT_restore,
        AUTOWIPE_OT_doctor,
    )
)
