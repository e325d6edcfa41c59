"""Draws over the sequencer's preview: areas, the box being dragged, an overlay's matte.

Knows where a strip's pixels lie in the preview. The preview's own units are px of the scene's render size, the
origin in the middle, y upwards.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import math
import os

import bpy

from . import plans, strips, versions

SEARCH_COLOUR = (0.25, 0.7, 1.0, 1.0)
HOLD_OUT_COLOUR = (1.0, 0.75, 0.2, 1.0)
MATTE_COLOUR = (1.0, 0.1, 0.1, 0.65)
MOST_PX = 1 << 17  # of a matte in the preview: a full-frame one of 4K would hold Blender up for seconds

dragged = None  # two corners in preview units while a box is drawn
_handle = None
_texture = ("", None)  # path and texture of the matte shown last


def region_at(context, event):
    """The preview region under the mouse, or None."""
    for area in context.screen.areas:
        if area.type == "SEQUENCE_EDITOR":
            for region in area.regions:
                is_over = 0 <= event.mouse_x - region.x < region.width and 0 <= event.mouse_y - region.y < region.height
                if region.type == "PREVIEW" and is_over:
                    return region
    return None


def to_preview(scene, strip, x, y):
    """Where a point of the strip's picture lies in the preview; x, y in px from the top left."""
    width, height = strips.size_of(scene, strip)
    transform = strip.transform
    x = (x - width / 2) * transform.scale_x * (-1 if strip.use_flip_x else 1)
    y = (height / 2 - y) * transform.scale_y * (-1 if strip.use_flip_y else 1)
    cos, sin = math.cos(transform.rotation), math.sin(transform.rotation)
    return x * cos - y * sin + transform.offset_x, x * sin + y * cos + transform.offset_y


def to_picture(scene, strip, x, y):
    """The point of the strip's picture, in px from the top left, that lies at a place of the preview."""
    width, height = strips.size_of(scene, strip)
    transform = strip.transform
    x, y = x - transform.offset_x, y - transform.offset_y
    cos, sin = math.cos(-transform.rotation), math.sin(-transform.rotation)
    x, y = x * cos - y * sin, x * sin + y * cos
    x = x / (transform.scale_x or 1e-9) * (-1 if strip.use_flip_x else 1)
    y = y / (transform.scale_y or 1e-9) * (-1 if strip.use_flip_y else 1)
    return x + width / 2, height / 2 - y


def to_shares(scene, strip, corners):
    """The upright box around two corners, as shares (left, top, right, bottom) of the picture; None outside it."""
    width, height = strips.size_of(scene, strip)
    (x0, y0), (x1, y1) = corners
    points = [to_picture(scene, strip, x, y) for x in (x0, x1) for y in (y0, y1)]
    left, right = (min(1.0, max(0.0, f(p[0] for p in points) / width)) for f in (min, max))
    top, bottom = (min(1.0, max(0.0, f(p[1] for p in points) / height)) for f in (min, max))
    if right - left < 1 / width or bottom - top < 1 / height:
        return None
    return (left, top, right, bottom)


def _draw():
    context = bpy.context
    scene = versions.sequencer_scene(context)
    editor = scene.sequence_editor if scene else None
    if editor is None:
        return
    to_region = context.region.view2d.view_to_region
    if dragged:
        (x0, y0), (x1, y1) = dragged
        _outline([to_region(x, y, clip=False) for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))], (1, 1, 1, 1))
    strip = editor.active_strip
    if strip is None or strip.type not in strips.PICTURES:
        return
    strip = strips.original_of(scene, strip) or strip
    width, height = strips.size_of(scene, strip)
    for area in scene.autowipe.areas:
        if not area.path:
            left, top, right, bottom = area.box
            box = (left * width, top * height, (right - left) * width, (bottom - top) * height)
            corners = _corners(scene, strip, box, to_region)
            _outline(corners, SEARCH_COLOUR if area.use == "SEARCH" else HOLD_OUT_COLOUR)
    if scene.autowipe.shown:
        _draw_matte(scene, strip, to_region)


def _corners(scene, strip, box, to_region):
    """The corners of a box (x, y, width, height) of the picture, in px of the region: from the top left, clockwise."""
    x, y, w, h = box
    points = ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
    return [to_region(*to_preview(scene, strip, *point), clip=False) for point in points]


def _outline(corners, colour):
    import gpu
    from gpu_extras.batch import batch_for_shader

    shader = gpu.shader.from_builtin(_builtin("UNIFORM_COLOR"))
    batch = batch_for_shader(shader, "LINE_LOOP", {"pos": [(float(x), float(y)) for x, y in corners]})
    gpu.state.blend_set("ALPHA")
    gpu.state.line_width_set(2.0)
    shader.bind()
    shader.uniform_float("color", colour)
    batch.draw(shader)
    gpu.state.line_width_set(1.0)
    gpu.state.blend_set("NONE")


def _builtin(name):
    return name if bpy.app.version >= (4, 0, 0) else "2D_" + name


def _draw_matte(scene, strip, to_region):
    """What the chosen overlay covers at the current frame, where it shows then."""
    path = strip.get(strips.PLAN, "")
    try:
        plan = plans.read(path) if path else {"overlays": []}
    except plans.Unreadable:
        return  # the panel says so
    overlay = next((o for o in plan["overlays"] if o["id"] == scene.autowipe.shown), None)
    if overlay is None:
        return
    box, name = plans.place_at(overlay, frame_of_plan(scene, strip))
    if box is None:
        return
    corners = _corners(scene, strip, box, to_region)
    texture = _load(os.path.join(os.path.dirname(path), name)) if name else None
    if texture is None:
        _outline(corners, MATTE_COLOUR)
        return
    import gpu
    from gpu_extras.batch import batch_for_shader

    shader = gpu.shader.from_builtin(_builtin("IMAGE_COLOR") if bpy.app.version >= (3, 5, 0) else "2D_IMAGE")
    batch = batch_for_shader(
        shader,
        "TRI_FAN",
        {"pos": [(float(x), float(y)) for x, y in corners], "texCoord": ((0, 1), (1, 1), (1, 0), (0, 0))},
    )
    gpu.state.blend_set("ALPHA")
    shader.bind()
    shader.uniform_sampler("image", texture)
    if bpy.app.version >= (3, 5, 0):
        shader.uniform_float("color", (1, 1, 1, 1))
    batch.draw(shader)
    gpu.state.blend_set("NONE")
    _outline(corners, MATTE_COLOUR)


def frame_of_plan(scene, strip):
    """The plan's frame that the strip shows at the current frame."""
    frame = strips.content_frame(strip, scene.frame_current)
    return frame - strip.get(strips.FIRST, 0) if strip.get(strips.WAY) == "render" else frame


def _load(path):
    """A red texture that is opaque where a grey picture is white; the last one is kept."""
    global _texture
    if _texture[0] != path:
        import gpu

        _texture = (path, None)
        if os.path.isfile(path):
            image = bpy.data.images.load(path)
            try:
                image.colorspace_settings.name = "Non-Color"
                shrink = min(1.0, math.sqrt(MOST_PX / max(1, image.size[0] * image.size[1])))
                image.scale(*(max(1, int(side * shrink)) for side in image.size))
                width, height = image.size
                grey = list(image.pixels)[:: image.channels]
            finally:
                bpy.data.images.remove(image)
            red, green, blue, alpha = MATTE_COLOUR
            pixels = [v for level in grey for v in (red, green, blue, alpha * level)]
            data = gpu.types.Buffer("FLOAT", len(pixels), pixels)
            _texture = (path, gpu.types.GPUTexture((width, height), format="RGBA16F", data=data))
    return _texture[1]


def register():
    global _handle
    if not bpy.app.background:
        _handle = bpy.types.SpaceSequenceEditor.draw_handler_add(_draw, (), "PREVIEW", "POST_PIXEL")


def unregister():
    global _handle, _texture
    if _handle is not None:
        bpy.types.SpaceSequenceEditor.draw_handler_remove(_handle, "PREVIEW")
    _handle, _texture = None, ("", None)
