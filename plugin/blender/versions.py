"""What Blender 3.4 to 5.2 name differently in the sequencer; everything else asks here."""
# SPDX-License-Identifier: GPL-3.0-or-later

import bpy


def sequencer_scene(context):
    """The scene whose timeline the sequencer shows; since 5.0 it may be another than the window's."""
    scene = getattr(context, "sequencer_scene", None)
    if scene is None:
        workspace = getattr(context, "workspace", None)
        scene = getattr(workspace, "sequencer_scene", None)
    return scene or context.scene


def strips_of(owner):
    """The strips of a sequence editor or a meta strip, without those inside its metas."""
    # Not `or`: an empty collection counts as false.
    return owner.strips if hasattr(owner, "strips") else owner.sequences


def all_strips(scene):
    """Every strip of a scene, those inside metas too."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    return list(editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all)


def owner_of(scene, strip):
    """The sequence editor or meta strip that holds a strip directly."""
    owners = [scene.sequence_editor] + [s for s in all_strips(scene) if s.type == "META"]
    for owner in owners:
        if any(other == strip for other in strips_of(owner)):
            return owner
    return scene.sequence_editor


def selected(context, scene):
    """The selected strips, of the meta strip that is open if there is one."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    stack = list(editor.meta_stack)
    return [strip for strip in strips_of(stack[-1] if stack else editor) if strip.select]


def start(strip):
    """First timeline frame that shows the strip."""
    return int(strip.left_handle if hasattr(strip, "left_handle") else strip.frame_final_start)


def end(strip):
    """One past the last timeline frame that shows the strip."""
    return int(strip.right_handle if hasattr(strip, "right_handle") else strip.frame_final_end)


def content_start(strip):
    """Timeline frame on which the first frame of the content lies, shown or not; a float."""
    return strip.content_start if hasattr(strip, "content_start") else strip.frame_start


def content_length(strip):
    """Length of the content in timeline frames, shown or not."""
    if hasattr(strip, "content_duration"):
        return strip.content_duration
    # frame_duration would be the file's frames in 3.4 and the timeline's in 4.2.
    return int(strip.frame_final_duration + strip.frame_offset_start + strip.frame_offset_end)


def hard_trim(strip):
    """Frames that a hard split took from the content's start."""
    if hasattr(strip, "content_trim_start"):
        return int(strip.content_trim_start)
    return int(getattr(strip, "animation_offset_start", 0))


def hard_trim_end(strip):
    """Frames that a hard split took from the content's end."""
    if hasattr(strip, "content_trim_end"):
        return int(strip.content_trim_end)
    return int(getattr(strip, "animation_offset_end", 0))


def trim(strip, head, tail):
    """Hides `head` frames of the content's start and `tail` of its end, softly."""
    if hasattr(strip, "left_handle_offset"):
        strip.left_handle_offset, strip.right_handle_offset = head, tail
    else:
        strip.frame_offset_start, strip.frame_offset_end = head, tail


def is_retimed(strip):
    """Whether the strip plays at another speed, backwards or in steps."""
    keys = getattr(strip, "retiming_keys", None)
    return (
        (keys is not None and len(keys) > 0)
        or abs(getattr(strip, "speed_factor", 1.0) - 1.0) > 1e-6
        or getattr(strip, "use_reverse_frames", False)
        or getattr(strip, "strobe", 1.0) > 1.0
    )


def new_text(strips, name, channel, first, last):
    """A text strip over the timeline frames `first` up to but not including `last`."""
    function = strips.bl_rna.functions["new_effect"]
    if "length" in function.parameters:
        return strips.new_effect(name=name, type="TEXT", channel=channel, frame_start=first, length=last - first)
    return strips.new_effect(name=name, type="TEXT", channel=channel, frame_start=first, frame_end=last)


def animation_of(scene, strip):
    """The keyframed settings of a strip as (setting, curve), and whether a driver moves one.

    A setting is named from the strip, such as "blend_alpha" or "transform.offset_x".
    """
    data = scene.animation_data
    if data is None:
        return [], False
    found = []
    if data.action is not None:
        for curve in curves_of(data.action):
            setting = _setting(curve.data_path, strip)
            if setting:
                found.append((setting, curve))
    return found, any(_setting(driver.data_path, strip) for driver in data.drivers)


def _setting(data_path, strip):
    """The setting that a path of the scene names on a strip, or None: sequence_editor.strips_all["x"].blend_alpha."""
    name = bpy.utils.escape_identifier(strip.name)
    for collection in ("strips_all", "sequences_all"):
        head = 'sequence_editor.{}["{}"].'.format(collection, name)
        if data_path.startswith(head):
            return data_path[len(head) :]
    return None


def copy_curve(scene, curve, strip, setting):
    """Gives a strip the keyframes of another's setting; their times are the timeline's."""
    collection = "strips_all" if "strips_all[" in curve.data_path else "sequences_all"
    path = 'sequence_editor.{}["{}"].{}'.format(collection, bpy.utils.escape_identifier(strip.name), setting)
    home = next(bag for bag in curve_bags(scene.animation_data.action) if any(c == curve for c in bag.fcurves))
    copy = home.fcurves.new(path, index=curve.array_index)
    copy.extrapolation = curve.extrapolation
    copy.keyframe_points.add(len(curve.keyframe_points))
    for new, old in zip(copy.keyframe_points, curve.keyframe_points):
        new.co, new.interpolation, new.easing = old.co, old.interpolation, old.easing
        new.handle_left_type, new.handle_right_type = old.handle_left_type, old.handle_right_type
        new.handle_left, new.handle_right = old.handle_left, old.handle_right
    copy.update()


def curves_of(action):
    return [curve for bag in curve_bags(action) for curve in bag.fcurves]


def curve_bags(action):
    """What holds an action's curves: the action itself, or the bags of its layers (5.0)."""
    if hasattr(action, "fcurves"):
        return [action]
    return [bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags]
