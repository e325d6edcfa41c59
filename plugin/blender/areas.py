"""Search areas and hold-outs: drawn in the preview, taken from image and mask strips, removed."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os

import bpy
from bpy.props import EnumProperty, IntProperty

from . import preview, render, settings, strips, versions
from .operators import UNDOABLE, OnStrip, OnTimeline, active_original, redraw


class AUTOWIPE_OT_add_area(OnStrip, bpy.types.Operator):
    """Drag a box in the preview: overlays are looked for only in search areas, hold-outs are never changed"""

    bl_idname = "autowipe.add_area"
    bl_label = "Draw Area"
    bl_options = {"REGISTER", "UNDO", "BLOCKING"}

    use: EnumProperty(name="Use", items=settings.USE_ITEMS)

    def invoke(self, context, event):
        self._region = self._from = None
        context.window_manager.modal_handler_add(self)
        context.window.cursor_modal_set("CROSSHAIR")
        context.workspace.status_text_set("Drag a box in the preview   (ESC, right mouse button: cancel)")
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type in ("ESC", "RIGHTMOUSE"):
            self._leave(context)
            return {"CANCELLED"}
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            self._region = preview.region_at(context, event)
            if self._region is None:
                self.report({"WARNING"}, "Drag inside the sequencer's preview.")
                self._leave(context)
                return {"CANCELLED"}
            self._from = self._place(event)
        elif event.type == "MOUSEMOVE" and self._from:
            preview.dragged = (self._from, self._place(event))
            self._region.tag_redraw()
        elif event.type == "LEFTMOUSE" and event.value == "RELEASE" and self._from:
            corners = self._from, self._place(event)
            self._leave(context)
            return self._add(context, corners)
        return {"RUNNING_MODAL"}

    def _place(self, event):
        return self._region.view2d.region_to_view(event.mouse_x - self._region.x, event.mouse_y - self._region.y)

    def _add(self, context, corners):
        strip, scene = active_original(context)
        shares = preview.to_shares(scene, strip, corners)
        if shares is None:
            self.report({"WARNING"}, "The box lies outside the strip's picture.")
            return {"CANCELLED"}
        area = scene.autowipe.areas.add()
        area.use, area.box = self.use, shares
        return {"FINISHED"}

    def _leave(self, context):
        preview.dragged = None
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        redraw(context)


class AUTOWIPE_OT_area_from_strip(OnStrip, bpy.types.Operator):
    """Take the active image or mask strip as an area: white is inside"""

    bl_idname = "autowipe.area_from_strip"
    bl_label = "From Image or Mask Strip"
    bl_options = UNDOABLE

    use: EnumProperty(name="Use", items=settings.USE_ITEMS)

    def execute(self, context):
        scene = versions.sequencer_scene(context)
        strip = scene.sequence_editor.active_strip
        if strip.type == "IMAGE":
            path = strips.first_image(strip)
        elif strip.type == "MASK":
            path = self._draw_mask(scene, strip)
        else:
            self.report({"ERROR"}, "Make an image strip or a mask strip active first.")
            return {"CANCELLED"}
        if not path or not os.path.isfile(path):
            self.report({"ERROR"}, "The picture of {} is missing.".format(strip.name))
            return {"CANCELLED"}
        area = scene.autowipe.areas.add()
        area.use, area.path = self.use, path
        return {"FINISHED"}

    def _draw_mask(self, scene, strip):
        """The mask as a picture of the scene's size, in the folder for clips; its path."""
        folder = settings.folder_of(scene)
        os.makedirs(folder, exist_ok=True)
        names = ("{}-{}.png".format(bpy.path.clean_name(strip.name), n) for n in range(1, 100000))
        path = next(p for p in (os.path.join(folder, name) for name in names) if not os.path.lexists(p))
        render.mask_still(scene, strip, path)
        return path


class AUTOWIPE_OT_remove_area(OnTimeline, bpy.types.Operator):
    """Take this area off the list"""

    bl_idname = "autowipe.remove_area"
    bl_label = "Remove Area"
    bl_options = UNDOABLE

    index: IntProperty()

    def execute(self, context):
        versions.sequencer_scene(context).autowipe.areas.remove(self.index)
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (
        AUTOWIPE_OT_add_area,
        AUTOWIPE_OT_area_from_strip,
        AUTOWIPE_OT_remove_area,
    )
)
