"""What the user chooses: in the panel, kept with the scene, and in the preferences, kept with Blender."""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import re

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import autowipe_link as link
from . import jobs, sentences, strips

KIND_TEXTS = {
    "logo": ("Logos", "Station logos, score bars, corner marks: what stays in its place"),
    "dynamic": ("Moving marks", "Logos and effect text that blink or move"),
    "subtitle": ("Subtitles", "Burnt-in subtitles"),
    "watermark": ("Watermarks", "Tiled or full-frame translucent marks"),
}
KIND_ITEMS = [(kind, *KIND_TEXTS[kind]) for kind in link.KINDS]
QUALITY_ITEMS = [
    ("draft", "Draft", "Fast, to see what comes out"),
    ("normal", "Normal", "Good for most material"),
    ("best", "Best", "The most care taken over each frame"),
]
DEVICE_ITEMS = [
    ("auto", "Automatic", "The fastest device that there is"),
    ("cuda", "NVIDIA GPU", "CUDA"),
    ("mps", "Apple GPU", "Metal"),
    ("cpu", "Processor", "No GPU"),
]
CODEC_ITEMS = [
    ("auto", "Like the source", "The source's codec at no lower quality; lossless for rendered strips"),
    ("ffv1", "FFV1", "Lossless"),
    ("prores", "ProRes", "For editing"),
    ("dnxhr", "DNxHR", "For editing"),
    ("h264", "H.264", "Small"),
    ("hevc", "HEVC", "Smaller, slower"),
]
MARKS = {"ok": "CHECKMARK", "WARN": "ERROR", "FAIL": "CANCEL"}  # the doctor's, as icons
USE_ITEMS = [
    ("SEARCH", "Search Area", "Overlays are looked for only here"),
    ("HOLD_OUT", "Hold-Out", "Never changed"),
]


class AutoWipeArea(bpy.types.PropertyGroup):
    """A search area or hold-out: a box in shares of the picture, or an image or movie that covers it in white."""

    use: EnumProperty(name="Use", items=USE_ITEMS)
    box: FloatVectorProperty(name="Box", size=4, min=0, max=1, description="Left, top, right, bottom; shares of 1")
    path: StringProperty(name="Matte", subtype="FILE_PATH", description="Image or movie, white where the area is")


class AutoWipeSettings(bpy.types.PropertyGroup):
    """The panel's settings, kept with the scene."""

    kinds: EnumProperty(
        name="Kinds", items=KIND_ITEMS, options={"ENUM_FLAG"}, default=set(link.KINDS), description="What to remove"
    )
    quality: EnumProperty(name="Quality", items=QUALITY_ITEMS, default="normal")
    device: EnumProperty(name="Device", items=DEVICE_ITEMS, default="auto")
    codec: EnumProperty(name="Codec", items=CODEC_ITEMS, default="auto")
    folder: StringProperty(
        name="Folder",
        subtype="DIR_PATH",
        description="Where the cleaned clips go; empty: the folder of the preferences, else autowipe beside this file",
    )
    report: BoolProperty(name="Report", default=True, description="Write a page that shows what was done")
    areas: CollectionProperty(type=AutoWipeArea)
    page: IntProperty(name="Page", min=0)
    shown: StringProperty(name="Shown overlay")  # id of the overlay whose matte lies over the preview


class AutoWipePreferences(bpy.types.AddonPreferences):
    bl_idname = __package__

    engine: StringProperty(
        name="Engine",
        subtype="FILE_PATH",
        description="The AutoWipe folder in which install.py was run; empty: the one that installed this add-on",
    )
    folder: StringProperty(
        name="Folder for clips",
        subtype="DIR_PATH",
        description="Where cleaned clips go where the scene names no folder; empty: autowipe beside the .blend file",
    )

    def draw(self, context):
        layout = self.layout
        layout.prop(self, "engine")
        layout.prop(self, "folder")
        row = layout.row()
        row.operator("autowipe.doctor", icon="CHECKMARK")
        text = doctor_text()
        if text:
            _draw_doctor(layout.box().column(align=True), text)
        else:
            try:
                layout.label(text="Engine: " + link.find_engine(self.engine)[0])
            except link.LinkError as err:
                layout.label(text="{} {}".format(err.text, err.hint), icon="ERROR")


def _draw_doctor(layout, text):
    """A line of the doctor's is a mark, a name and a text in columns; one that only has a text goes on the last."""
    for line in text.split("\n"):
        mark, name, rest = (re.split(r" {2,}", line, maxsplit=2) + ["", ""])[:3]
        if not rest and not name:
            sentences.draw(layout, mark)
            continue
        row = layout.split(factor=0.22)
        row.label(text=name if rest else "", icon=MARKS.get(mark, "BLANK1"))
        sentences.draw(row, rest or name, share=0.85)


_doctor = None


def ask_doctor(engine):
    global _doctor
    _doctor = link.Doctor(engine)
    return _doctor


def doctor_text():
    if _doctor is None:
        return ""
    return "Asking the engine …" if _doctor.text is None else _doctor.text


def preferences():
    addon = bpy.context.preferences.addons.get(__package__)
    return addon.preferences if addon else None


def engine():
    """The words that start the engine. Raises LinkError."""
    chosen = preferences()
    return link.find_engine(bpy.path.abspath(chosen.engine) if chosen and chosen.engine else "")


def folder_of(scene):
    """Where the scene's cleaned clips go, absolute."""
    chosen = preferences()
    for path in (scene.autowipe.folder, chosen.folder if chosen else ""):
        if path and (bpy.data.filepath or not path.startswith("//")):
            return os.path.abspath(bpy.path.abspath(path))
    if bpy.data.filepath:
        return os.path.join(os.path.dirname(bpy.data.filepath), "autowipe")
    return os.path.join(os.path.expanduser("~"), "AutoWipe")


def areas_of(scene):
    found = []
    for area in scene.autowipe.areas:
        what = os.path.abspath(bpy.path.abspath(area.path)) if area.path else tuple(round(v, 6) for v in area.box)
        found.append((area.use, what))
    return found


def wishes_of(scene):
    """The panel's settings as plain values. Raises LinkError where the engine is missing, Refusal for a wrong wish."""
    chosen = scene.autowipe
    if not chosen.kinds:
        raise strips.Refusal("Choose at least one kind of overlay.")
    return jobs.Wishes(
        engine=engine(),
        folder=folder_of(scene),
        kinds=tuple(kind for kind in link.KINDS if kind in chosen.kinds),
        quality=chosen.quality,
        device=chosen.device,
        codec=chosen.codec,
        report=chosen.report,
        areas=areas_of(scene),
    )


def _percent_done(_):
    task = jobs.queue.current
    return 100 * task.share if task is not None else 0.0


_register, _unregister = bpy.utils.register_classes_factory((AutoWipeArea, AutoWipeSettings, AutoWipePreferences))


def register():
    _register()
    bpy.types.Scene.autowipe = PointerProperty(type=AutoWipeSettings)
    bpy.types.WindowManager.autowipe_done = FloatProperty(
        name="Done", subtype="PERCENTAGE", min=0, max=100, get=_percent_done
    )


def unregister():
    del bpy.types.WindowManager.autowipe_done
    del bpy.types.Scene.autowipe
    _unregister()
