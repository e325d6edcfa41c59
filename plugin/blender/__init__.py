"""AutoWipe in Blender's sequencer: takes burnt-in overlays out of strips, by an engine that runs beside Blender."""
# SPDX-License-Identifier: GPL-3.0-or-later

import bpy
from bpy.app.handlers import persistent

from . import areas, found, jobs, operators, panel, preview, settings, strips

bl_info = {  # for Blender before 4.2; later ones read blender_manifest.toml
    "name": "AutoWipe: Remove Overlays",
    "author": "AutoWipe",
    "version": (0, 1, 0),
    "blender": (3, 4, 0),
    "location": "Video Sequencer > Sidebar > AutoWipe",
    "description": "Takes burnt-in logos, subtitles and watermarks out of movie strips",
    "category": "Sequencer",
}

PARTS = (settings, operators, found, areas, panel, preview)


@persistent
def _before_load(*_):
    jobs.queue.close()


@persistent
def _after_load(*_):
    for scene in bpy.data.scenes:
        for name, path in strips.missing(scene):
            print("AutoWipe: {} in {}: its file is missing: {}".format(name, scene.name, path))


def register():
    for part in PARTS:
        part.register()
    bpy.app.handlers.load_pre.append(_before_load)
    bpy.app.handlers.load_post.append(_after_load)


def unregister():
    jobs.queue.close()
    bpy.app.handlers.load_post.remove(_after_load)
    bpy.app.handlers.load_pre.remove(_before_load)
    for part in reversed(PARTS):
        part.unregister()
