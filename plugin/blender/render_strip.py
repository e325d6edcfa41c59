"""Renders what one strip shows, alone and before its crop and transform, without loss; runs in a second Blender.

    blender -b COPY.blend -P render_strip.py -- TASK.json    or, with the bpy module: python render_strip.py TASK.json

TASK.json: blend, scene, strip (names), size [w, h], keeps_place, start, length (timeline frames), output. Prints a
line "autowipe-frame N" for each frame. Ends when its standard input does: the Blender that wants it is gone.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import sys
import threading

import bpy


def main():
    with open(sys.argv[-1], encoding="utf-8") as file:
        task = json.load(file)
    threading.Thread(target=_end_with_host, daemon=True).start()
    if os.path.realpath(bpy.data.filepath or "") != os.path.realpath(task["blend"]):
        bpy.ops.wm.open_mainfile(filepath=task["blend"])
    scene = bpy.data.scenes[task["scene"]]
    editor = scene.sequence_editor
    every = editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all
    _show_alone(editor, every[task["strip"]])
    if task["keeps_place"]:
        _put_back(scene, every[task["strip"]])
    _set_up(scene, task)
    bpy.app.handlers.render_write.append(_tell)
    bpy.ops.render.render(animation=True, scene=scene.name)
    written = _frames_in(editor, task["output"])
    if written != task["length"]:
        # Blender itself goes on, and ends well, where a frame cannot be written.
        raise OSError("{} of {} frames are in {}; is the disk full?".format(written, task["length"], task["output"]))


def _frames_in(editor, path):
    if not os.path.isfile(path):
        return 0
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    movie = strips.new_movie(name="written", filepath=path, channel=1, frame_start=1)
    return int(movie.content_duration if hasattr(movie, "content_duration") else movie.frame_duration)


def _end_with_host():
    while sys.stdin.readline():
        pass
    os._exit(130)


def _tell(scene, *_):
    print("autowipe-frame {}".format(scene.frame_current), flush=True)


def _children(owner):
    return list(owner.strips if hasattr(owner, "strips") else owner.sequences)


def _show_alone(owner, wanted):
    """Mutes all but one strip, and makes the metas around it pass it through as it is; whether it is in there."""
    found = False
    for strip in _children(owner):
        holds = strip == wanted or (strip.type == "META" and _show_alone_in(strip, wanted))
        strip.mute = not holds
        found = found or holds
    return found


def _show_alone_in(meta, wanted):
    if not any(strip == wanted or strip.type == "META" for strip in _children(meta)):
        return False
    if not _holds(meta, wanted):
        return False
    _show_alone(meta, wanted)
    _neutral(meta)
    for modifier in list(meta.modifiers):
        meta.modifiers.remove(modifier)
    if hasattr(meta, "left_handle_offset"):
        meta.left_handle_offset = meta.right_handle_offset = 0
    else:
        meta.frame_offset_start = meta.frame_offset_end = 0
    return True


def _holds(meta, wanted):
    return any(strip == wanted or (strip.type == "META" and _holds(strip, wanted)) for strip in _children(meta))


def _neutral(strip):
    strip.blend_type, strip.blend_alpha = "REPLACE", 1.0
    strip.use_flip_x = strip.use_flip_y = False
    strip.color_saturation = strip.color_multiply = 1.0
    _unmoved(strip)


def _unmoved(strip):
    transform, crop = strip.transform, strip.crop
    transform.offset_x = transform.offset_y = transform.rotation = 0
    transform.scale_x = transform.scale_y = 1
    crop.min_x = crop.max_x = crop.min_y = crop.max_y = 0


def _put_back(scene, strip):
    """Takes off what the result strip will do itself: crop, transform, mirroring, blending, and their keyframes."""
    head = '"{}"].'.format(bpy.utils.escape_identifier(strip.name))
    settings = tuple(head + name for name in ("blend_alpha", "transform.", "crop."))
    action = scene.animation_data.action if scene.animation_data else None
    if action is not None:
        bags = [action]
        if not hasattr(action, "fcurves"):
            bags = [bag for layer in action.layers for part in layer.strips for bag in part.channelbags]
        for bag in bags:
            for curve in [c for c in bag.fcurves if any(setting in c.data_path for setting in settings)]:
                bag.fcurves.remove(curve)
    strip.blend_type, strip.blend_alpha = "REPLACE", 1.0
    strip.use_flip_x = strip.use_flip_y = False
    _unmoved(strip)


def _set_up(scene, task):
    """Every pixel of the strip as it is: its size, no view transform, no dithering, a lossless codec."""
    render, view = scene.render, scene.view_settings
    render.resolution_x, render.resolution_y = task["size"]
    render.resolution_percentage = 100
    render.use_border = render.use_multiview = render.use_stamp = False
    render.use_sequencer, render.dither_intensity = True, 0.0
    scene.frame_start, scene.frame_end, scene.frame_step = task["start"], task["start"] + task["length"] - 1, 1
    view.view_transform, view.look, view.exposure, view.gamma = "Standard", "None", 0.0, 1.0
    view.use_curve_mapping = False
    if hasattr(view, "use_white_balance"):
        view.use_white_balance = False
    settings = render.image_settings
    if hasattr(settings, "media_type"):  # since 5.0 it comes before the format
        settings.media_type = "VIDEO"
    settings.file_format, settings.color_mode = "FFMPEG", "RGB"
    if hasattr(settings, "color_management"):
        settings.color_management = "FOLLOW_SCENE"
    render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.audio_codec = "MKV", "FFV1", "NONE"
    render.ffmpeg.use_autosplit = False
    render.filepath, render.use_file_extension, render.use_overwrite = task["output"], False, True


if __name__ == "__main__":
    try:
        main()
        CODE = 0
    except Exception as err:  # the last line of the log is what the panel shows
        print(err, file=sys.stderr, flush=True)
        CODE = 1
    # Past Blender's own end: some versions crash there when they are a module.
    sys.stdout.flush()
    os._exit(CODE)
