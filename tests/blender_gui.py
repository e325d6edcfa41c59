"""Runs inside a Blender with windows, as a user's hand: finds, draws an area, removes, undoes, presses ESC.

    blender --app-template Video_Editing -P blender_gui.py -- TASK.json      on a display of its own, with xdotool

TASK.json: zip (the add-on), clip, folder, size [w, h] of the display. Writes seen.json and a picture of each moment.
"""

import json
import os
import subprocess
import sys
import time
import traceback

import bpy

with open(sys.argv[-1], encoding="utf-8") as _file:
    TASK = json.load(_file)
FOLDER, SIZE = TASK["folder"], TASK["size"]
# px from the sidebar's top to the middle of the tab AutoWipe; seen in 3.4 and 5.2, which has fewer tabs above it
TAB_BELOW_TOP = 189 if bpy.app.version >= (5, 0) else 246
seen = {"version": list(bpy.app.version), "moments": [], "longest_tick_s": 0.0, "longest_at_work_s": 0.0}


def picture(name):
    """What is on the screen; Blender's own operator gives black pictures in some versions."""
    path = os.path.join(FOLDER, name + ".png")
    grab = ["ffmpeg", "-loglevel", "error", "-y", "-f", "x11grab", "-video_size", "{}x{}".format(*SIZE)]
    subprocess.call([*grab, "-i", os.environ["DISPLAY"], "-frames:v", "1", path])
    seen["moments"].append(name)


def hand(*words):
    subprocess.call(["xdotool", *[str(word) for word in words]])


def sequencer(is_preview=False):
    window = bpy.context.window_manager.windows[0]
    for area in window.screen.areas:
        if area.type == "SEQUENCE_EDITOR" and (area.spaces.active.view_type == "PREVIEW") == is_preview:
            return window, area
    raise LookupError("no sequencer")


def press(operator, *how, **words):
    window, area = sequencer()
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        return operator(*how, **words)


def part(name):
    return sys.modules[seen["module"] + "." + name]


def scene():
    return bpy.context.scene


def timeline():
    versions = part("versions")
    return sorted(
        [s.name, s.type, s.channel, versions.start(s), versions.end(s), s.mute] for s in versions.all_strips(scene())
    )


def is_busy():
    return part("jobs").queue.is_busy


def last_task():
    task = part("jobs").queue.tasks[-1]
    return [task.state, task.text]


def install():
    import addon_utils

    if bpy.app.version >= (4, 2):
        bpy.ops.extensions.package_install_files(filepath=TASK["zip"], repo="user_default", enable_on_install=False)
        addon_utils.extensions_refresh(ensure_wheels=True)
        seen["module"] = "bl_ext.user_default.autowipe"
    else:
        bpy.ops.preferences.addon_install(overwrite=True, filepath=TASK["zip"])
        seen["module"] = "autowipe"
    addon_utils.enable(seen["module"], default_set=True)
    panel = part("panel")
    later = panel.AUTOWIPE_PT_areas, panel.AUTOWIPE_PT_found
    for cls in later:
        bpy.utils.unregister_class(cls)
    panel.AUTOWIPE_PT_areas.bl_options = set()  # open, so that the pictures show what is in it
    for cls in later:
        bpy.utils.register_class(cls)
    queue = part("jobs").queue
    queue.tick = timed(queue.tick)
    settings = scene()
    settings.render.resolution_x, settings.render.resolution_y, settings.render.fps = 320, 180, 25
    settings.view_settings.view_transform = "Standard"
    settings.frame_end = 130
    settings.autowipe.folder = os.path.join(FOLDER, "clean")


def timed(function):
    """The function, its longest call noted: on the clock, and at work."""

    def call():
        began, at_work = time.monotonic(), time.thread_time()
        function()
        for name, now, then in (("tick", time.monotonic(), began), ("at_work", time.thread_time(), at_work)):
            seen["longest_" + name + "_s"] = max(seen["longest_" + name + "_s"], now - then)

    return call


def add_clip():
    words = {"filepath": TASK["clip"], "frame_start": 1, "channel": 1, "sound": False}
    if "move_strips" in bpy.ops.sequencer.movie_strip_add.get_rna_type().properties:
        words["move_strips"] = False  # or it hangs on the mouse until a click
    press(bpy.ops.sequencer.movie_strip_add, **words)
    _, area = sequencer()
    area.spaces.active.show_region_ui = True
    press(bpy.ops.sequencer.view_all)
    bpy.ops.ed.undo_push(message="Add clip")


def open_tab():
    _, area = sequencer()
    sidebar = next(region for region in area.regions if region.type == "UI")
    top = SIZE[1] - sidebar.y - sidebar.height
    hand("mousemove", sidebar.x + sidebar.width - 14, top + TAB_BELOW_TOP)


def shoot(name):
    """A step that takes a picture."""
    return lambda: picture(name)


def find():
    press(bpy.ops.autowipe.find, scope="SELECTED")


def watch(name):
    """A step that waits for the queue, with a picture while it is at work; again until it is well on its way."""
    shares = [-1.0]

    def step():
        task = part("jobs").queue.current
        if task is not None and shares[-1] < 0.2 and task.share > shares[-1]:
            shares.append(task.share)
            picture(name)
        return is_busy()

    return step


def show_found():
    seen["found"] = last_task()
    strips, plans = part("strips"), part("plans")
    strip = scene().sequence_editor.active_strip
    plan = plans.read(strip[strips.PLAN])
    seen["overlays"] = [[overlay["kind"], overlay["box"]] for overlay in plan["overlays"]]
    for overlay in plan["overlays"][:1]:
        press(bpy.ops.autowipe.show_matte, overlay=overlay["id"])
    scene().frame_set(40)


def draw_area():
    press(bpy.ops.autowipe.add_area, "INVOKE_DEFAULT", use="HOLD_OUT")
    _, area = sequencer(is_preview=True)
    region = next(region for region in area.regions if region.type == "PREVIEW")
    places = []
    for x, y in ((-80, 45), (0, -45)):  # a quarter of the picture from its edges to its middle
        left, up = region.view2d.view_to_region(x, y, clip=False)
        places.append((region.x + left, SIZE[1] - region.y - up))
    seen["drag"] = places
    hand("mousemove", *places[0])


def grip():
    hand("mousedown", 1)


def drag():
    hand("mousemove", *seen["drag"][1])


def let_go():
    hand("mouseup", 1)


def show_area():
    seen["areas"] = [[area.use, list(area.box)] for area in scene().autowipe.areas]
    picture("found")
    scene().autowipe.areas.clear()
    scene().autowipe.shown = ""


def header_menu():
    window, area = sequencer()
    region = next(region for region in area.regions if region.type == "WINDOW")
    hand("mousemove", area.x + area.width // 3, SIZE[1] - area.y - area.height + 40)
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.wm.call_menu(name="SEQUENCER_MT_strip")


def right_click():
    _, area = sequencer()
    hand("mousemove", area.x + area.width // 3, SIZE[1] - area.y - area.height // 2)
    hand("click", 3)


def leave_menu():
    hand("key", "Escape")


def preferences():
    bpy.ops.screen.userpref_show("INVOKE_DEFAULT")
    bpy.ops.preferences.addon_show(module=seen["module"])
    bpy.ops.autowipe.doctor()


def wait_for_doctor():
    return part("settings").doctor_text().startswith("Asking")


def leave_preferences():
    picture("preferences")
    seen["doctor"] = part("settings").doctor_text()
    windows = bpy.context.window_manager.windows
    for window in [w for w in windows if w.screen.areas[0].type == "PREFERENCES"]:
        with bpy.context.temp_override(window=window):
            bpy.ops.wm.window_close()


def remove():
    seen["before"] = timeline()
    bpy.ops.ed.undo_push(message="Before")
    press(bpy.ops.autowipe.remove, scope="SELECTED")


def show_placed():
    seen["removed"], seen["after"] = last_task(), timeline()
    picture("placed")


def undo():
    press(bpy.ops.ed.undo)


def redo():
    seen["undone"] = timeline()
    press(bpy.ops.ed.redo)


def remove_again():
    seen["redone"] = timeline()
    press(bpy.ops.autowipe.remove, scope="SELECTED")
    _, area = sequencer()
    hand("mousemove", area.x + 300, SIZE[1] - area.y - area.height // 2)


def escape():
    """Once the engine is at work, before it can be done."""
    if part("jobs").queue.current.state != part("jobs").CLEANING:
        return True
    hand("key", "Escape")
    return False


def finish():
    seen["escaped"] = last_task()
    seen["cancelled"] = timeline()
    picture("cancelled")


STEPS = [  # (what to do, seconds to wait afterwards)
    (install, 1.0),
    (add_clip, 2.0),
    (open_tab, 0.5),
    (grip, 0.3),
    (let_go, 2.0),
    (shoot("panel"), 0.2),
    (find, 0.5),
    (watch("finding"), 0.2),
    (show_found, 1.0),
    (draw_area, 0.5),
    (grip, 0.5),
    (drag, 0.5),
    (let_go, 1.0),
    (show_area, 0.5),
    (header_menu, 1.0),
    (shoot("header menu"), 0.1),
    (leave_menu, 0.5),
    (right_click, 1.0),
    (shoot("right click"), 0.1),
    (leave_menu, 0.5),
    (preferences, 1.0),
    (wait_for_doctor, 1.0),
    (leave_preferences, 1.0),
    (remove, 0.1),
    (watch("removing"), 1.5),
    (show_placed, 0.5),
    (undo, 1.0),
    (redo, 1.0),
    (remove_again, 0.5),
    (escape, 0.5),
    (watch("escaping"), 0.2),
    (finish, 0.5),
]


def step():
    """One step after another; a step that returns True is called again."""
    if not STEPS or "failure" in seen:
        hand("mouseup", 1)
        with open(os.path.join(FOLDER, "seen.json"), "w") as file:
            json.dump(seen, file)
        os._exit(0)  # Blender's own way out asks about unsaved changes
    function, wait_s = STEPS[0]
    try:
        is_again = function()
    except Exception:
        seen["failure"] = traceback.format_exc()
        return 0.1
    if is_again is not True:
        STEPS.pop(0)
    return wait_s


bpy.context.preferences.view.show_splash = False  # now: later it is there already, and takes the first click
bpy.app.timers.register(step, first_interval=2.0)
