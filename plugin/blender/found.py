"""What can be done with the overlays that were found: tick, go to, show, mark, take over as text."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os

import bpy
from bpy.props import IntProperty, StringProperty

from . import plans, strips, versions
from .operators import UNDOABLE, OnStrip, OnTimeline, active_original, redraw


def _plan(operator, context):
    """The active strip's plan, (strip, scene, path, plan), or four times None after telling why not."""
    strip, scene = active_original(context)
    try:
        path = strip.get(strips.PLAN, "")
        if not path:
            raise plans.Unreadable("{} has no list of overlays yet: press Find Overlays.".format(strip.name))
        return strip, scene, path, plans.read(path)
    except plans.Unreadable as reason:
        operator.report({"ERROR"}, str(reason))
        return None, None, None, None


def frame_on_timeline(strip, source_frame, plan):
    """The timeline frame that shows a frame of a plan; a plan of a rendered strip counts from the strip's start."""
    first = strip.get(strips.FIRST, 0)
    return (
        versions.start(strip)
        - strips.content_frame(strip, versions.start(strip))
        + (source_frame + (first if strip.get(strips.WAY) == "render" else 0))
    )


class AUTOWIPE_OT_tick(OnStrip, bpy.types.Operator):
    """Remove this overlay, or leave it in the picture"""

    bl_idname = "autowipe.tick"
    bl_label = "Remove This Overlay"
    bl_options = UNDOABLE

    overlay: StringProperty()

    def execute(self, context):
        strip, _ = active_original(context)
        off = {name for name in strip.get(strips.OFF, "").split(",") if name}
        strip[strips.OFF] = ",".join(sorted(off ^ {self.overlay}))
        return {"FINISHED"}


class AUTOWIPE_OT_jump(OnStrip, bpy.types.Operator):
    """Go to where this overlay appears; press again for its next appearance"""

    bl_idname = "autowipe.jump"
    bl_label = "Go to Overlay"
    bl_options = UNDOABLE

    overlay: StringProperty()

    def execute(self, context):
        strip, scene, _, plan = _plan(self, context)
        if plan is None:
            return {"CANCELLED"}
        overlay = next((o for o in plan["overlays"] if o["id"] == self.overlay), None)
        if overlay is None:
            return {"CANCELLED"}
        frames = [frame_on_timeline(strip, event["range"][0], plan) for event in overlay["events"]]
        later = [frame for frame in frames if frame > scene.frame_current]
        scene.frame_set(min(later) if later else min(frames))
        return {"FINISHED"}


class AUTOWIPE_OT_show_matte(OnStrip, bpy.types.Operator):
    """Lay what this overlay covers over the preview, in red"""

    bl_idname = "autowipe.show_matte"
    bl_label = "Show Matte"
    bl_options = UNDOABLE

    overlay: StringProperty()

    def execute(self, context):
        chosen = versions.sequencer_scene(context).autowipe
        chosen.shown = "" if chosen.shown == self.overlay else self.overlay
        redraw(context)
        return {"FINISHED"}


class AUTOWIPE_OT_report(OnStrip, bpy.types.Operator):
    """Open the page that shows what was found and how it was recovered"""

    bl_idname = "autowipe.report"
    bl_label = "Open Report"

    def execute(self, context):
        path = active_original(context)[0].get(strips.REPORT, "")
        if not os.path.isfile(path):
            self.report({"ERROR"}, "There is no report for this strip{}".format(": " + path if path else "."))
            return {"CANCELLED"}
        bpy.ops.wm.path_open(filepath=path)
        return {"FINISHED"}


class AUTOWIPE_OT_markers(OnStrip, bpy.types.Operator):
    """Set a timeline marker at the start of each subtitle that was found"""

    bl_idname = "autowipe.markers"
    bl_label = "Add Markers at Subtitles"
    bl_options = UNDOABLE

    def execute(self, context):
        strip, scene, _, plan = _plan(self, context)
        lines = plans.subtitles(plan) if plan else []
        if plan is not None and not lines:
            self.report({"WARNING"}, "No subtitles were found in this strip.")
        for first, _, text in lines:
            scene.timeline_markers.new(text or "Subtitle", frame=frame_on_timeline(strip, first, plan))
        return {"FINISHED"} if lines else {"CANCELLED"}


class AUTOWIPE_OT_subtitles(OnStrip, bpy.types.Operator):
    """Put the text of the subtitles that were found on the timeline as text strips"""

    bl_idname = "autowipe.subtitles"
    bl_label = "Import Subtitles"
    bl_options = UNDOABLE

    def execute(self, context):
        strip, scene, _, plan = _plan(self, context)
        lines = [line for line in plans.subtitles(plan) if line[2]] if plan else []
        if plan is not None and not lines:
            self.report({"WARNING"}, "No subtitles were read in this strip.")
        if not lines:
            return {"CANCELLED"}
        start, end = versions.start(strip), versions.end(strip)
        owner = versions.strips_of(versions.owner_of(scene, strip))
        taken = [s.channel for s in owner if versions.start(s) < end and versions.end(s) > start]
        channel = max(taken) + 1
        if channel > strips.MOST_CHANNELS:
            self.report({"ERROR"}, "No channel above is free.")
            return {"CANCELLED"}
        for first, stop, text in lines:
            low = max(start, frame_on_timeline(strip, first, plan))
            high = min(end, frame_on_timeline(strip, stop, plan))
            if low < high:
                new = versions.new_text(owner, text[:60], channel, low, high)
                new.text = text
        return {"FINISHED"}


class AUTOWIPE_OT_page(OnTimeline, bpy.types.Operator):
    """Show other overlays of the list"""

    bl_idname = "autowipe.page"
    bl_label = "Turn Page"
    bl_options = {"INTERNAL"}

    page: IntProperty()

    def execute(self, context):
        versions.sequencer_scene(context).autowipe.page = self.page
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (
        AUTOWIPE_OT_tick,
        AUTOWIPE_OT_jump,
        AUTOWIPE_OT_show_matte,
        AUTOWIPE_OT_report,
        AUTOWIPE_OT_markers,
        AUTOWIPE_OT_subtitles,
        AUTOWIPE_OT_page,
    )
)
