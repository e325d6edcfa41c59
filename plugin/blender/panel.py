"""The sidebar of the sequencer, its menu entries, and the thumbnails of what was found."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os

import bpy
import bpy.utils.previews

from . import found, jobs, operators, plans, sentences, settings, strips, versions

ON_A_PAGE = 8
ICONS = {
    jobs.WAITING: "TIME",
    jobs.RENDERING: "RENDER_ANIMATION",
    jobs.CLEANING: "BRUSH_DATA",
    jobs.DONE: "CHECKMARK",
    jobs.FAILED: "ERROR",
    jobs.CANCELLED: "CANCEL",
}
_thumbnails = None
_reasons = {}  # why a strip is rendered, by what it shows: asking opens the file, and panels are drawn often


class _Panel:
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "AutoWipe"

    @classmethod
    def poll(cls, context):
        return versions.sequencer_scene(context) is not None


class AUTOWIPE_PT_main(_Panel, bpy.types.Panel):
    bl_label = "Remove Overlays"
    bl_idname = "AUTOWIPE_PT_main"

    def draw(self, context):
        layout = self.layout
        scene = versions.sequencer_scene(context)
        chosen = scene.autowipe
        for name, path in strips.missing(scene)[:3]:
            sentences.draw(layout, "{}: its file is missing: {}".format(name, path), "ERROR")
        grid = layout.grid_flow(columns=2, even_columns=True, align=True)
        grid.prop(chosen, "kinds")
        column = layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(chosen, "quality")
        column.prop(chosen, "device")
        column.prop(chosen, "codec")
        column.prop(chosen, "folder")
        column.prop(chosen, "report")
        _draw_way(layout, context)
        row = layout.row(align=True)
        row.scale_y = 1.4
        row.operator("autowipe.find", icon="VIEWZOOM").scope = "SELECTED"
        row.operator("autowipe.remove", icon="BRUSH_DATA").scope = "SELECTED"
        row = layout.row(align=True)
        row.operator_menu_enum("autowipe.remove", "scope", text="Remove From")
        row.operator_menu_enum("autowipe.restore", "scope", text="Restore")
        _draw_queue(layout)


def _draw_way(layout, context):
    """Which way the active strip reaches the engine."""
    strip, scene = operators.active_original(context)
    if strip is None:
        layout.label(text="Select a movie strip.", icon="INFO")
        return
    if strip.type not in strips.PICTURES:
        layout.label(text="A {} strip has no overlays.".format(strips.kind_name(strip)), icon="INFO")
        return
    if strip.type == "MOVIE" and not os.path.isfile(strips.path_of(strip)):
        sentences.draw(layout, "The strip's file is missing: {}".format(strips.path_of(strip)), "ERROR")
        return
    start, end = versions.start(strip), versions.end(strip)
    reason = _reason(scene, strip, start, end)
    if reason:
        text = "{}: {} frames, rendered first ({})".format(strip.name, end - start, reason)
        layout.label(text=text, icon="RENDER_ANIMATION")
    else:
        first = strips.content_frame(strip, start)
        text = "{}: frames {} to {} of its file".format(strip.name, first, first + end - start - 1)
        layout.label(text=text, icon="FILE_MOVIE")


def _reason(scene, strip, start, end):
    if strip.type != "MOVIE":
        return strips.reason_to_render(scene, strip)
    modifiers = len(strip.modifiers)
    key = (strip.name, strips.path_of(strip), start, end, versions.content_start(strip), versions.hard_trim(strip))
    key += (modifiers, strip.color_saturation, strip.color_multiply, versions.is_retimed(strip), strip.use_deinterlace)
    key += (strips.scene_rate(scene), tuple(sorted(setting for setting, _ in versions.animation_of(scene, strip)[0])))
    if key not in _reasons:
        if len(_reasons) > 200:
            _reasons.clear()
        _reasons[key] = strips.reason_to_render(scene, strip)
    return _reasons[key]


def _draw_queue(layout):
    queue = jobs.queue
    if not queue.tasks:
        return
    box = layout.box()
    row = box.row()
    row.label(text="Queue")
    if queue.is_busy:
        row.operator("autowipe.cancel", icon="X")
        if not operators.AUTOWIPE_OT_work.is_running():
            box.operator("autowipe.work", text="Go On", icon="PLAY")
    else:
        row.operator("autowipe.forget", text="", icon="TRASH")
    for task in queue.tasks[-6:]:
        box.label(text=task.name, icon=ICONS[task.state])
        if task.state in (jobs.RENDERING, jobs.CLEANING):
            _progress(box, task)
        elif task.state != jobs.WAITING:
            sentences.draw(box, task.text)
            if task.hint:
                sentences.draw(box, task.hint)
        for warning in task.warnings[:3]:
            sentences.draw(box, warning, "INFO")


def _progress(layout, task):
    text = operators.progress_text(task)
    if hasattr(layout, "progress"):
        layout.progress(factor=task.share, text="{:.0f} %".format(100 * task.share))
    else:  # before 4.0
        layout.prop(bpy.context.window_manager, "autowipe_done", slider=True)
    sentences.draw(layout, text)


class AUTOWIPE_PT_areas(_Panel, bpy.types.Panel):
    bl_label = "Areas"
    bl_idname = "AUTOWIPE_PT_areas"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout = self.layout
        for use, name, _ in settings.USE_ITEMS:
            row = layout.row(align=True)
            row.operator("autowipe.add_area", text=name, icon="SELECT_SET").use = use
            row.operator("autowipe.area_from_strip", text="From Strip", icon="IMAGE_DATA").use = use
        for index, area in enumerate(versions.sequencer_scene(context).autowipe.areas):
            row = layout.row(align=True)
            row.prop(area, "use", text="")
            if area.path:
                row.prop(area, "path", text="")
            else:
                left, top, right, bottom = (round(100 * share) for share in area.box)
                row.label(text="X {}–{} %, Y {}–{} %".format(left, right, top, bottom))
            row.operator("autowipe.remove_area", text="", icon="X").index = index


class AUTOWIPE_PT_found(_Panel, bpy.types.Panel):
    bl_label = "Found Overlays"
    bl_idname = "AUTOWIPE_PT_found"

    def draw(self, context):
        layout = self.layout
        strip, scene = operators.active_original(context)
        path = strip.get(strips.PLAN, "") if strip is not None else ""
        if not path:
            layout.label(text="Press Find Overlays to list them here.", icon="INFO")
            return
        try:
            plan = plans.read(path)
        except plans.Unreadable as reason:
            sentences.draw(layout, str(reason), "ERROR")
            return
        overlays, off = plan["overlays"], strip.get(strips.OFF, "").split(",")
        if not overlays:
            layout.label(text="No overlays were found.", icon="INFO")
        pages = max(1, -(-len(overlays) // ON_A_PAGE))
        page = min(scene.autowipe.page, pages - 1)
        for overlay in overlays[page * ON_A_PAGE : (page + 1) * ON_A_PAGE]:
            _draw_overlay(layout, strip, scene, path, plan, overlay, overlay["id"] not in off)
        if pages > 1:
            row = layout.row(align=True)
            row.operator("autowipe.page", text="", icon="TRIA_LEFT").page = max(0, page - 1)
            row.label(text="{} of {}".format(page + 1, pages))
            row.operator("autowipe.page", text="", icon="TRIA_RIGHT").page = min(pages - 1, page + 1)
        if plans.subtitles(plan):
            row = layout.row(align=True)
            row.operator("autowipe.markers", text="Markers", icon="MARKER_HLT")
            row.operator("autowipe.subtitles", icon="FONT_DATA")
        if strip.get(strips.REPORT):
            layout.operator("autowipe.report", icon="URL")


def _draw_overlay(layout, strip, scene, path, plan, overlay, is_on):
    row = layout.box().row()
    tick = row.operator("autowipe.tick", text="", icon="CHECKBOX_HLT" if is_on else "CHECKBOX_DEHLT", emboss=False)
    tick.overlay = overlay["id"]
    icon = _thumbnail(plans.matte_of(path, overlay))
    if icon:
        row.template_icon(icon_value=icon, scale=2.0)
    first, stop = plans.span(overlay)
    times = "{} – {}".format(
        found.frame_on_timeline(strip, first, plan), found.frame_on_timeline(strip, stop, plan) - 1
    )
    if len(overlay["events"]) > 1:
        times = "{}×, {}".format(len(overlay["events"]), times)
    column = row.column(align=True)
    column.label(text="{}, {:.0f} %".format(_title(overlay), 100 * overlay.get("confidence", 1.0)))
    column.label(text=times)
    row.operator("autowipe.jump", text="", icon="TIME").overlay = overlay["id"]
    is_shown = scene.autowipe.shown == overlay["id"]
    matte = row.operator("autowipe.show_matte", text="", icon="HIDE_OFF" if is_shown else "HIDE_ON", depress=is_shown)
    matte.overlay = overlay["id"]


def _title(overlay):
    return {"logo": "Logo", "dynamic": "Moving mark", "subtitle": "Subtitles", "watermark": "Watermark"}.get(
        overlay["kind"], overlay["kind"]
    )


def _thumbnail(path):
    """The icon of a matte's picture, 0 where there is none."""
    if not path or _thumbnails is None or not os.path.isfile(path):
        return 0
    key = "{} {}".format(path, os.stat(path).st_mtime_ns)
    if key not in _thumbnails:
        _thumbnails.load(key, path, "IMAGE")
    return _thumbnails[key].icon_id


def _menu(self, context):
    layout = self.layout
    layout.separator()
    layout.operator("autowipe.remove", icon="BRUSH_DATA").scope = "SELECTED"
    layout.operator("autowipe.find", icon="VIEWZOOM").scope = "SELECTED"
    layout.operator("autowipe.restore", icon="LOOP_BACK").scope = "SELECTED"


_register, _unregister = bpy.utils.register_classes_factory((AUTOWIPE_PT_main, AUTOWIPE_PT_areas, AUTOWIPE_PT_found))
MENUS = ("SEQUENCER_MT_strip", "SEQUENCER_MT_context_menu")


def register():
    global _thumbnails
    _register()
    for name in MENUS:
        getattr(bpy.types, name).append(_menu)
    if not bpy.app.background:
        _thumbnails = bpy.utils.previews.new()


def unregister():
    global _thumbnails
    if _thumbnails is not None:
        bpy.utils.previews.remove(_thumbnails)
        _thumbnails = None
    for name in MENUS:
        getattr(bpy.types, name).remove(_menu)
    _unregister()
