"""Strips as the engine needs them: what a strip shows, which way it reaches the engine, where its result goes.

A strip goes one of two ways. *file*: the movie file and the range of it that the strip shows go to the engine as
they are, and the result strip takes over crop, transform and blending. *render*: Blender renders what the strip
shows, without loss and before crop and transform where these do not move, and the engine cleans that.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import uuid

import bpy

from . import versions

ID = "autowipe_id"  # on an original: what its result names it by
ORIGINAL = "autowipe_original"  # on a result: the original's ID
WAS_MUTED = "autowipe_was_muted"  # on an original: how Restore leaves it
PLAN = "autowipe_plan"  # on an original: the plan of what was found
PLAN_FOR = "autowipe_plan_for"  # what the plan was made for, see `Shown.stamp`
OFF = "autowipe_off"  # ids of overlays that are to stay, by commas
REPORT = "autowipe_report"
FIRST = "autowipe_first"  # on original and result: content frame that the plan's or the result's frame 0 shows
WAY = "autowipe_way"

MOST_CHANNELS = 128
# Effects that show other strips; those that lay pictures of the editor's own over a strip are not to be cleaned.
IN_PLACE_OF = ("SPEED", "TRANSFORM", "GLOW", "GAUSSIAN_BLUR")  # one strip, which is hidden by them
BETWEEN = ("CROSS", "GAMMA_CROSS", "WIPE")  # two
PICTURES = ("MOVIE", "IMAGE", "META", "SCENE", "MOVIECLIP", *IN_PLACE_OF, *BETWEEN)
COPIED = ("blend_type", "blend_alpha", "use_flip_x", "use_flip_y")
TRANSFORM = ("offset_x", "offset_y", "scale_x", "scale_y", "rotation", "origin", "filter")
CROP = ("min_x", "min_y", "max_x", "max_y")
PLACE = {"blend_alpha"} | {"transform." + name for name in TRANSFORM} | {"crop." + name for name in CROP}


class Refusal(Exception):
    """A sentence that says why a strip cannot be cleaned."""


class Shown:
    """What a strip shows now. All fields are plain values: nothing points into Blender's data."""

    def __init__(self, scene, strip):
        """Raises Refusal for a strip that has no picture to clean."""
        if strip.type not in PICTURES:
            raise Refusal("{} is a {} strip, which has no overlays to remove.".format(strip.name, kind_name(strip)))
        self.name, self.kind = strip.name, strip.type
        self.start, self.length = versions.start(strip), versions.end(strip) - versions.start(strip)
        self.first = content_frame(strip, self.start)  # content frame on its first timeline frame
        self.path = path_of(strip)
        if self.kind == "MOVIE" and not os.path.isfile(self.path):
            raise Refusal("{}: its file is missing: {}".format(strip.name, self.path))
        if self.kind == "IMAGE" and not os.path.isfile(first_image(strip)):
            raise Refusal("{}: its pictures are missing: {}".format(strip.name, first_image(strip)))
        self.size = size_of(scene, strip)
        self.reason = reason_to_render(scene, strip)  # None: the file goes to the engine
        # Crop, transform and blending move to the result, keyframes too; a driver's cannot, so it is rendered in.
        self.keeps_place = not versions.animation_of(scene, strip)[1]
        if not self.keeps_place:
            self.size = scene_size(scene)

    @property
    def way(self):
        return "render" if self.reason else "file"

    def stamp(self, wishes):
        """Tells whether a plan is still for what the strip shows and what is looked for."""
        return "{} {} {}:{} {}".format(self.way, self.path, self.first, self.first + self.length, wishes)


def kind_name(strip):
    return strip.type.replace("_", " ").lower()


def content_frame(strip, frame):
    """The frame of the content on a timeline frame, hard trims counted; of the file where that plays 1:1."""
    return int(round(frame - versions.content_start(strip))) + versions.hard_trim(strip)


def path_of(strip):
    """The movie file of a strip, absolute; "" for strips without one."""
    return os.path.normpath(bpy.path.abspath(strip.filepath)) if strip.type == "MOVIE" else ""


def first_image(strip):
    return os.path.normpath(os.path.join(bpy.path.abspath(strip.directory), strip.elements[0].filename))


def scene_rate(scene):
    return scene.render.fps / scene.render.fps_base


def scene_size(scene):
    return (scene.render.resolution_x, scene.render.resolution_y)


def size_of(scene, strip):
    """The picture's own size in px before crop and transform; the scene's for what has none of its own."""
    elements = getattr(strip, "elements", None)
    if elements and strip.type in ("MOVIE", "IMAGE"):
        width, height = elements[0].orig_width, elements[0].orig_height
        if width > 0 and height > 0:
            return (width, height)
    return scene_size(scene)


def reason_to_render(scene, strip):
    """Why the strip's file cannot go to the engine as it is, in a few words; None where it can."""
    if strip.type != "MOVIE":
        return "{} strip".format(kind_name(strip))
    if versions.is_retimed(strip):
        return "changed speed"
    if len(strip.modifiers):
        return "modifiers"
    if abs(strip.color_saturation - 1) > 1e-6 or abs(strip.color_multiply - 1) > 1e-6:
        return "colour changes"
    if strip.use_deinterlace:
        return "deinterlacing"
    if getattr(strip, "use_multiview", False):
        return "stereo"
    if getattr(strip, "stream_index", 0):
        return "not the file's first stream"
    curves, has_driver = versions.animation_of(scene, strip)
    if has_driver or any(setting not in PLACE for setting, _ in curves):
        return "animated settings"
    frames = frames_of_file(strip)
    if not plays_one_to_one(scene, strip, frames):
        return "another frame rate than the scene"
    first = content_frame(strip, versions.start(strip))
    if first < 0 or first + versions.end(strip) - versions.start(strip) > frames:
        return "held frames at its ends"
    return None


def frames_of_file(strip):
    """Frames in a movie strip's file, as Blender counts them."""
    clip = bpy.data.movieclips.load(path_of(strip))
    try:
        return clip.frame_duration
    finally:
        bpy.data.movieclips.remove(clip)


def plays_one_to_one(scene, strip, frames):
    """Whether each timeline frame shows the next frame of the file.

    Blender adjusts strips that were added by hand to the scene's rate, and does not say so: their content is
    as long in seconds as the file, not in frames.
    """
    rate = scene_rate(scene)
    if strip.fps <= 0 or abs(strip.fps - rate) < 1e-3:
        return True
    left = frames - versions.hard_trim(strip) - versions.hard_trim_end(strip)
    length = versions.content_length(strip)
    return abs(length - left) < abs(length - left * rate / strip.fps)


def targets(context, scene, scope):
    """The strips that "SELECTED", "CHANNEL" (of the active strip) or "TIMELINE" mean, results read as their originals.

    Of a channel and of a timeline those that can be cleaned and are not muted. An effect stands for its strip.
    """
    editor = scene.sequence_editor
    if editor is None:
        return []
    if scope == "SELECTED":
        here = versions.selected(context, scene)
        fronts = _fronts(here)
        wanted = [s for s in here if s.type in PICTURES or ORIGINAL in s] or here
    else:
        stack = list(editor.meta_stack)
        here = list(versions.strips_of(stack[-1] if stack else editor))
        fronts = _fronts(here)
        active = editor.active_strip
        if scope == "CHANNEL":
            here = [s for s in here if active is not None and s.channel == active.channel]
        wanted = [s for s in here if (s.type in PICTURES and _is_shown(s) and not _is_still(s)) or ORIGINAL in s]
    chosen = []
    for strip in wanted:
        original = original_of(scene, strip) or strip
        while original.name in fronts:
            original = fronts[original.name]
        if not any(original == other for other in chosen):
            chosen.append(original)
    return sorted(chosen, key=lambda s: (versions.start(s), s.channel))


def _fronts(strips):
    """The effects that are shown in place of strips, by these strips' names."""
    return {s.input_1.name: s for s in strips if s.type in IN_PLACE_OF and _is_shown(s)}


def _is_shown(strip):
    """Whether a strip is shown, by itself or by its result."""
    return not strip.get(WAS_MUTED, strip.mute)


def _is_still(strip):
    return strip.type == "IMAGE" and len(strip.elements) == 1


def original_of(scene, strip):
    """The original of a result strip; None for other strips, and where it is gone."""
    wanted = strip.get(ORIGINAL)
    return find(scene, wanted) if wanted else None


def find(scene, identity):
    """The original with an ID, or None."""
    return next((s for s in versions.all_strips(scene) if s.get(ID) == identity), None)


def results_of(scene, strip):
    """The result strips of an original."""
    identity = strip.get(ID)
    return [s for s in versions.all_strips(scene) if identity and s.get(ORIGINAL) == identity]


def results(scene):
    return [s for s in versions.all_strips(scene) if ORIGINAL in s]


def missing(scene):
    """Result strips whose files are gone, as (name, path)."""
    return [(s.name, path_of(s)) for s in results(scene) if not os.path.isfile(path_of(s))]


def identify(scene, strip):
    """The strip's ID, made where it has none. Halves of a split strip get each their own: the other keeps it."""
    identity = strip.get(ID)
    if identity is None or sum(s.get(ID) == identity for s in versions.all_strips(scene)) > 1:
        identity = strip[ID] = uuid.uuid4().hex
    return identity


def free_channel(scene, strip, ignored):
    """The next channel above a strip that has room over its range. Raises Refusal where there is none."""
    start, end = versions.start(strip), versions.end(strip)
    owner = versions.owner_of(scene, strip)
    taken = {
        s.channel
        for s in versions.strips_of(owner)
        if versions.start(s) < end and versions.end(s) > start and not any(s == other for other in ignored)
    }
    locked = {i for i, channel in enumerate(getattr(owner, "channels", [])) if channel.lock}
    for channel in range(strip.channel + 1, MOST_CHANNELS + 1):
        if channel not in taken and channel not in locked:
            return channel
    raise Refusal("{}: no channel above it is free.".format(strip.name))


def hidden_by(scene, strip, channel):
    """Names of the visible strips between a strip and the channel of its result, which will cover them."""
    start, end = versions.start(strip), versions.end(strip)
    return [
        s.name
        for s in versions.strips_of(versions.owner_of(scene, strip))
        if strip.channel < s.channel < channel
        and versions.start(s) < end
        and versions.end(s) > start
        and not s.mute
        and s.type != "SOUND"
        and ORIGINAL not in s
    ]


def place(scene, identity, path, shown):
    """Puts a cleaned file over its original, mutes that, takes out an earlier result; the result's name and a note.

    The file's frame 0 shows content frame `shown.first`. An original that was moved or trimmed meanwhile gets its
    result where it is now. Raises Refusal, the timeline as before, where that cannot be done.
    """
    original = find(scene, identity) or _same_by_name(scene, shown)
    if original is None:
        raise Refusal("{} is no longer on the timeline; its cleaned clip is {}".format(shown.name, path))
    if not os.path.isfile(path):
        raise Refusal("{}: the cleaned clip is missing: {}".format(shown.name, path))
    start, end = versions.start(original), versions.end(original)
    head = content_frame(original, start) - shown.first
    tail = shown.length - head - (end - start)
    if head < 0 or tail < 0:
        raise Refusal(
            "{} shows more than when it was started; run it again. The cleaned clip is {}".format(shown.name, path)
        )
    earlier = results_of(scene, original)
    channel = free_channel(scene, original, earlier)
    owner = versions.owner_of(scene, original)
    strips = versions.strips_of(owner)
    name = "{} (cleaned)".format(original.name)
    result = strips.new_movie(
        name=name,
        filepath=path,
        # Apart from the earlier result, which is there until all is well.
        channel=free_channel(scene, original, []),
        frame_start=start - head,
        fit_method="ORIGINAL",
    )
    if int(versions.content_length(result)) != shown.length:
        count = int(versions.content_length(result))
        strips.remove(result)
        raise Refusal("{}: the cleaned clip has {} frames, not {}: {}".format(shown.name, count, shown.length, path))
    versions.trim(result, head, tail)
    _dress(scene, result, original, shown)
    covered = hidden_by(scene, original, channel)
    for strip in earlier:
        versions.strips_of(versions.owner_of(scene, strip)).remove(strip)
    if result.channel != channel:
        result.channel = channel
    result.name = name
    original[ID] = result[ORIGINAL] = identity
    result[FIRST] = shown.first
    if WAS_MUTED not in original:
        original[WAS_MUTED] = bool(original.mute)
    original.mute = True
    note = "It lies over {} and hides it.".format(", ".join(covered)) if covered else ""
    return result.name, note


def _same_by_name(scene, shown):
    """An original whose ID was undone."""
    strip = next((s for s in versions.all_strips(scene) if s.name == shown.name and ID not in s), None)
    return strip if strip is not None and strip.type == shown.kind and path_of(strip) == shown.path else None


def _dress(scene, result, original, shown):
    """Gives a result the looks of its original, as far as they are not in its pictures already."""
    for name in COPIED if shown.keeps_place else ("blend_type",):
        if hasattr(original, name):
            setattr(result, name, getattr(original, name))
    if shown.keeps_place:
        for part, names in (("transform", TRANSFORM), ("crop", CROP)):
            for name in names:
                if hasattr(getattr(original, part), name):
                    setattr(getattr(result, part), name, getattr(getattr(original, part), name))
        for setting, curve in versions.animation_of(scene, original)[0]:
            if setting in PLACE:
                versions.copy_curve(scene, curve, result, setting)
    result.color_tag = original.color_tag
    if shown.way == "file":
        result.colorspace_settings.name = original.colorspace_settings.name


def restore(scene, strip):
    """Takes a strip's results out and shows the original again; whether there was something to do. Files stay."""
    original = original_of(scene, strip) or strip
    found = results_of(scene, original)
    if strip.get(ORIGINAL) and original == strip:
        found = [strip]  # its original is gone
    for result in found:
        versions.strips_of(versions.owner_of(scene, result)).remove(result)
    if not found and WAS_MUTED not in original:
        return False
    if WAS_MUTED in original:
        original.mute = bool(original[WAS_MUTED])
        del original[WAS_MUTED]
    return True
