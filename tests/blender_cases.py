"""Runs inside a real Blender: installs the add-on, plays one case after another, writes what it saw as JSON.

    python blender_cases.py TASK.json      blender -b -P blender_cases.py -- TASK.json

TASK.json: zip (the add-on), clips (paths by name), engines (programs by outcome), folder, small_disk (a folder with
room for 4 MB, or ""), cases (names). Each case starts with an empty file; what it returns is judged outside, with the
pictures that it rendered before and after.
"""

import json
import os
import sys
import time
import traceback
from pathlib import Path

with open(sys.argv[-1], encoding="utf-8") as _file:
    TASK = json.load(_file)
FOLDER = Path(TASK["folder"])
# Before bpy is imported: nothing of the user's Blender is read or changed.
os.environ["BLENDER_USER_RESOURCES"] = str(FOLDER / "user")
for _name in ("CONFIG", "SCRIPTS", "EXTENSIONS", "DATAFILES"):
    os.environ["BLENDER_USER_" + _name] = str(FOLDER / "user" / _name.lower())

import bpy  # noqa: E402

SIZE = (192, 128)
PATIENCE = 300.0  # s; machines are busy at times


def main():
    seen = {"version": list(bpy.app.version), "cases": {}}
    module = install()
    began = time.monotonic()
    for name in TASK["cases"]:
        (FOLDER / "seen.json").write_text(json.dumps(dict(seen, during=name)), "utf-8")
        folder = FOLDER / name
        folder.mkdir(parents=True)
        try:
            seen["cases"][name] = CASES[name](Case(module, folder))
        except Exception:
            seen["cases"][name] = {"failure": traceback.format_exc()}
    seen["seconds"] = time.monotonic() - began
    (FOLDER / "seen.json").write_text(json.dumps(seen), "utf-8")
    sys.stdout.flush()
    # Judged by what was seen, and by dying or not until here; some versions crash in their own clean-up.
    os._exit(0)


def install():
    """Installs the add-on as a user does; the module's name."""
    import addon_utils

    if bpy.app.version >= (4, 2):
        for repo in bpy.context.preferences.extensions.repos:
            if repo.module == "user_default":
                Path(repo.directory).mkdir(parents=True, exist_ok=True)
        bpy.ops.extensions.package_install_files(filepath=TASK["zip"], repo="user_default", enable_on_install=False)
        addon_utils.extensions_refresh(ensure_wheels=True)
        name = "bl_ext.user_default.autowipe"
    else:
        bpy.ops.preferences.addon_install(overwrite=True, filepath=TASK["zip"])
        name = "autowipe"
    module = addon_utils.enable(name, default_set=True)
    assert module is not None, "the add-on could not be switched on"
    return sys.modules[name]


class Case:
    """An empty timeline at 24 frames a second, and what a case does with it."""

    def __init__(self, module, folder):
        self.addon, self.folder = module, folder
        self.jobs, self.strips, self.versions = module.jobs, module.strips, module.versions
        self.plans, self.settings = module.plans, module.settings
        bpy.ops.wm.read_homefile(use_empty=True)
        self.jobs.queue.tasks = []
        self.engine("negative")
        self.set_up(24, 1.0)

    def set_up(self, fps, base):
        scene = self.scene
        scene.sequence_editor_create()
        if hasattr(bpy.context.workspace, "sequencer_scene"):
            bpy.context.workspace.sequencer_scene = scene
        scene.render.resolution_x, scene.render.resolution_y = SIZE
        scene.render.fps, scene.render.fps_base = fps, base
        scene.view_settings.view_transform = "Standard"
        scene.autowipe.folder = str(self.folder / "clean")
        scene.autowipe.report = False

    @property
    def scene(self):
        return bpy.context.scene

    @property
    def timeline(self):
        return self.versions.strips_of(self.scene.sequence_editor)

    def engine(self, outcome):
        self.settings.preferences().engine = TASK["engines"][outcome]

    def movie(self, clip, start=1, channel=1, name="Clip"):
        return self.timeline.new_movie(
            name=name, filepath=TASK["clips"][clip], channel=channel, frame_start=start, fit_method="ORIGINAL"
        )

    def effect(self, name, kind, channel, start, end, *inputs):
        words = [parameter.identifier for parameter in self.timeline.bl_rna.functions["new_effect"].parameters]
        given = dict(zip([word for word in words if word.startswith(("seq", "input"))], inputs, strict=False))
        given.update({"length": end - start} if "length" in words else {"frame_end": end})
        return self.timeline.new_effect(name=name, type=kind, channel=channel, frame_start=start, **given)

    def meta(self, name, *names):
        self.select(*names)
        bpy.ops.sequencer.meta_make()
        self.scene.sequence_editor.active_strip.name = name

    def strip(self, name):
        return next(s for s in self.versions.all_strips(self.scene) if s.name == name)

    def select(self, *names):
        for strip in self.versions.all_strips(self.scene):
            strip.select = strip.name in names
            if strip.name == names[0]:
                self.scene.sequence_editor.active_strip = strip

    def pictures(self, name, first, last):
        """Renders the timeline's frames first to last as everybody would see it; the file."""
        scene = self.scene
        render, image = scene.render, scene.render.image_settings
        scene.frame_start, scene.frame_end = first, last
        render.use_sequencer, render.dither_intensity = True, 0
        if hasattr(image, "media_type"):
            image.media_type = "VIDEO"
        image.file_format, image.color_mode = "FFMPEG", "RGB"
        render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.audio_codec = "MKV", "FFV1", "NONE"
        render.filepath = str(self.folder / (name + ".mkv"))
        bpy.ops.render.render(animation=True)
        return render.filepath

    def run(self, operator=None, **words):
        """Presses Remove and works until the queue is empty, as Blender does without windows; its error, if any."""
        try:
            (operator or bpy.ops.autowipe.remove)(scope=words.pop("scope", "SELECTED"), **words)
        except RuntimeError as err:
            return str(err)
        return ""

    def enqueue(self, *names, is_find=False):
        """Puts strips on the queue without working on it, as the panel does."""
        tasks, snapshot = [], None
        for name in names:
            task = self.jobs.Task(self.scene, self.strip(name), self.settings.wishes_of(self.scene), is_find)
            if task.shown.reason:
                snapshot = snapshot or self.addon.render.Snapshot()
                task.hold(snapshot)
            self.jobs.queue.add(task)
            tasks.append(task)
        return tasks

    def work(self, until=None):
        end = time.monotonic() + PATIENCE
        while self.jobs.queue.is_busy and time.monotonic() < end and not (until and until()):
            self.jobs.queue.tick()
            time.sleep(0.01)

    def describe(self):
        """The timeline as plain values; what AutoWipe notes down for itself is left out."""
        return [
            [s.name, s.type, s.channel, self.versions.start(s), self.versions.end(s), s.mute, s.blend_type]
            for s in sorted(self.versions.all_strips(self.scene), key=lambda s: s.name)
        ]

    def compare(self, names):
        """Renders what the strips show, cleans them, renders again."""
        chosen = [self.strip(name) for name in names]
        first = min(self.versions.start(s) for s in chosen)
        last = max(self.versions.end(s) for s in chosen) - 1
        before = self.pictures("before", first, last)
        ways = [self.strips.Shown(self.scene, s).reason or "file" for s in chosen]
        self.select(*names)
        error = self.run()
        after = self.pictures("after", first, last)
        results = {}
        for name in names:
            strip = self.strip(name)
            for result in self.strips.results_of(self.scene, strip):
                results[name] = [self.versions.start(result), self.versions.end(result), result.channel]
        ranges = {name: [self.versions.start(self.strip(name)), self.versions.end(self.strip(name))] for name in names}
        muted = [self.strip(name).mute for name in names]
        return {
            "before": before,
            "after": after,
            "ways": ways,
            "error": error,
            "results": results,
            "ranges": ranges,
            "muted": muted,
        }


def trimmed(case):
    strip = case.movie("at 24", start=11)
    case.versions.trim(strip, 7, 5)
    return case.compare(["Clip"])


def soft_and_hard_split(case):
    strip = case.movie("at 24", start=3)
    name = strip.name
    soft = strip.split(frame=15, split_method="SOFT").name
    hard = case.strip(soft).split(frame=27, split_method="HARD").name
    return case.compare([name, soft, hard])


def another_rate_one_to_one(case):
    case.movie("at 30", start=5)
    return case.compare(["Clip"])


def rate_adjusted(case):
    """A clip that was added by hand: Blender plays it at its own speed, dropping frames.

    The operator that does so crashes Blender 5 without windows, so that one opens a file of an earlier one's.
    """
    blend = os.path.join(os.path.dirname(TASK["clips"]["at 30"]), "rate adjusted.blend")
    if bpy.app.version >= (5, 0):
        if not os.path.isfile(blend):
            return {"skipped": "no earlier Blender has made the file with a rate-adjusted strip"}
        bpy.ops.wm.open_mainfile(filepath=blend)
        case.set_up(24, 1.0)
    else:
        window = bpy.context.window_manager.windows[0]
        area = max(window.screen.areas, key=lambda a: a.width * a.height)
        area.type = "SEQUENCE_EDITOR"
        region = next(r for r in area.regions if r.type == "WINDOW")
        with bpy.context.temp_override(window=window, area=area, region=region):
            bpy.ops.sequencer.movie_strip_add(
                filepath=TASK["clips"]["at 30"],
                frame_start=5,
                channel=1,
                sound=False,
                fit_method="ORIGINAL",
                use_framerate=False,
                adjust_playback_rate=True,
            )
        case.timeline[0].name = "Clip"
        case.scene.view_settings.view_transform = "Standard"
        bpy.ops.wm.save_as_mainfile(filepath=blend, relative_remap=False)
    strip = case.strip("Clip")
    length = case.versions.content_length(strip)
    case.versions.trim(strip, 3, 4)
    return dict(case.compare(["Clip"]), length=length)


def ntsc_rates(case):
    case.set_up(30, 1.001)
    strip = case.movie("at 29.97", start=1)
    case.versions.trim(strip, 4, 3)
    return case.compare(["Clip"])


def with_b_frames(case):
    strip = case.movie("h264", start=1)
    case.versions.trim(strip, 13, 4)
    return case.compare(["Clip"])


def image_sequence(case):
    names = sorted(os.listdir(TASK["clips"]["pictures"]))
    folder = TASK["clips"]["pictures"]
    strip = case.timeline.new_image(
        name="Pictures", filepath=os.path.join(folder, names[0]), channel=2, frame_start=4, fit_method="ORIGINAL"
    )
    for name in names[1:]:
        strip.elements.append(name)
    case.versions.trim(strip, 3, 2)
    return case.compare(["Pictures"])


def meta_strip(case):
    case.movie("at 24", start=6, name="One")
    second = case.movie("at 24", start=24, channel=2, name="Two")
    case.versions.trim(second, 10, 4)
    case.meta("Meta", "One", "Two")
    case.versions.trim(case.strip("Meta"), 4, 3)
    return case.compare(["Meta"])


def dissolve(case):
    """Two clips and the cross between them, each cleaned."""
    one = case.movie("at 24", start=1, name="One")
    two = case.movie("at 24", start=25, channel=2, name="Two")
    case.effect("Cross", "CROSS", 3, 25, 41, one, two)
    return case.compare(["One", "Two", "Cross"])


def speed_effect(case):
    strip = case.movie("at 24", start=1)
    speed = case.effect("Speed", "SPEED", 2, 1, 41, strip)
    speed.speed_control, speed.speed_factor = "MULTIPLY", 0.5
    return case.compare(["Speed"])


def retimed(case):
    strip = case.movie("at 24", start=1)
    if hasattr(strip, "speed_factor"):  # before 4.0
        strip.speed_factor = 0.8
    elif bpy.app.version < (5, 2):
        return {"skipped": "adding a retiming key crashes this Blender without windows"}
    else:
        strip.retiming_keys.add(timeline_frame=21)
        strip.retiming_keys[1].timeline_frame = 31
    return case.compare(["Clip"])


def scene_strip(case):
    other = bpy.data.scenes.new("Other")
    other.sequence_editor_create()
    other.render.resolution_x, other.render.resolution_y, other.render.fps = *SIZE, 24
    other.view_settings.view_transform = "Standard"
    other.frame_start, other.frame_end = 1, 40
    case.versions.strips_of(other.sequence_editor).new_movie(
        name="Clip", filepath=TASK["clips"]["at 24"], channel=1, frame_start=1, fit_method="ORIGINAL"
    )
    strip = case.timeline.new_scene(name="Scene", scene=other, channel=1, frame_start=6)
    strip.scene_input = "SEQUENCER"
    case.versions.trim(strip, 3, 4)
    return case.compare(["Scene"])


def inside_a_meta(case):
    strip = case.movie("at 24", start=6, name="Inner")
    strip.color_saturation = 0.5  # so that it is rendered
    case.meta("Meta", "Inner")
    case.select("Meta")
    bpy.ops.sequencer.meta_toggle()
    return case.compare(["Inner"])


def backwards(case):
    strip = case.movie("at 24", start=2)
    strip.use_reverse_frames = True
    case.versions.trim(strip, 6, 2)
    return case.compare(["Clip"])


def held_frames(case):
    strip = case.movie("at 24", start=10)
    case.versions.trim(strip, -5, -4)
    return case.compare(["Clip"])


def moved_cropped_and_faded(case):
    strip = case.movie("at 24", start=2)
    strip.transform.offset_x, strip.transform.scale_x, strip.transform.scale_y = 8, 1.5, 0.75
    strip.crop.min_x, strip.crop.max_y = 10, 6
    strip.use_flip_x = True
    strip.blend_type = "ALPHA_OVER"
    strip.blend_alpha = 0.0
    strip.keyframe_insert("blend_alpha", frame=2)
    strip.blend_alpha = 1.0
    strip.keyframe_insert("blend_alpha", frame=12)
    return case.compare(["Clip"])


def colour_and_crop(case):
    strip = case.movie("at 24", start=2)
    strip.color_saturation = 0.0
    strip.crop.min_x = 20
    return case.compare(["Clip"])


def replaced_and_restored(case):
    case.movie("at 24", start=1)
    case.movie("at 24", start=1, channel=2, name="Title")
    case.movie("at 24", start=60, channel=3, name="Elsewhere")
    before = case.describe()
    case.select("Clip")
    case.run()
    once = case.describe()
    files = sorted(os.listdir(case.folder / "clean"))
    warnings = case.jobs.queue.tasks[-1].warnings
    # Selecting the result means its original.
    case.select("Clip (cleaned)")
    case.run()
    twice = case.describe()
    blend = str(case.folder / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    bpy.ops.wm.open_mainfile(filepath=blend)
    reloaded = case.describe()
    result = next(s for s in case.strips.results(case.scene))
    linked = case.strips.original_of(case.scene, result).name
    path = case.strips.path_of(result)
    os.rename(path, path + ".away")
    missing = case.strips.missing(case.scene)
    os.rename(path + ".away", path)
    case.select("Clip")
    bpy.ops.autowipe.restore(scope="SELECTED")
    return {
        "before": before,
        "once": once,
        "twice": twice,
        "reloaded": reloaded,
        "restored": case.describe(),
        "linked": linked,
        "missing": missing,
        "path": path,
        "files": files,
        "files after": sorted(os.listdir(case.folder / "clean")),
        "warnings": warnings,
    }


def undone(case):
    case.movie("at 24", start=1)
    bpy.ops.ed.undo_push(message="Set up")
    before = case.describe()
    case.select("Clip")
    case.run()
    after = case.describe()
    bpy.ops.ed.undo()
    undone_once = case.describe()
    case.scene.autowipe.quality = "best"  # the settings are still there
    case.select("Clip")
    error = case.run()
    return {"before": before, "after": after, "undone": undone_once, "again": case.describe(), "error": error}


def undone_while_working(case):
    """Everything is undone while the engine works, the strip's ID too; the result comes all the same."""
    case.movie("at 24", start=1)
    bpy.ops.ed.undo_push(message="Set up")
    (task,) = case.enqueue("Clip")
    bpy.ops.ed.undo_push(message="Something else")
    case.jobs.queue.tick()
    bpy.ops.ed.undo()
    case.work()
    return {"state": task.state, "text": task.text, "timeline": case.describe()}


def changed_while_working(case):
    """A strip is moved and trimmed while the engine works on it: its result follows."""
    strip = case.movie("at 24", start=1)
    (task,) = case.enqueue("Clip")
    case.jobs.queue.tick()
    strip = case.strip("Clip")
    strip.frame_start = 101
    case.versions.trim(strip, 6, 8)
    before = case.pictures("before", case.versions.start(strip), case.versions.end(strip) - 1)
    case.work()
    strip = case.strip("Clip")
    after = case.pictures("after", case.versions.start(strip), case.versions.end(strip) - 1)
    return {"state": task.state, "text": task.text, "before": before, "after": after, "timeline": case.describe()}


def deleted_while_working(case):
    case.movie("at 24", start=1)
    (task,) = case.enqueue("Clip")
    case.jobs.queue.tick()
    case.timeline.remove(case.strip("Clip"))
    case.work()
    return {"state": task.state, "text": task.text, "timeline": case.describe()}


def failures(case):
    """Every way in which an engine can fail leaves the timeline as it was and is told."""
    case.movie("at 24", start=1)
    retimed = case.movie("at 24", start=60, name="Reversed")
    retimed.use_reverse_frames = True
    before = case.describe()
    told = {}
    for outcome in ("dies", "killed", "fails", "noise", "short"):
        case.engine(outcome)
        (task,) = case.enqueue("Clip")
        case.work()
        told[outcome] = [task.state, task.text, task.hint]
    case.engine("waits")
    tasks = case.enqueue("Clip", "Reversed")
    case.work(until=lambda: "Looking" in tasks[0].text or "Wiping" in tasks[0].text)
    case.jobs.queue.cancel()
    case.work()
    told["cancelled"] = [tasks[0].state, tasks[0].text, tasks[1].state]
    (task,) = case.enqueue("Reversed")
    case.work(until=lambda: task.state == "rendering")
    case.jobs.queue.cancel()
    told["cancelled rendering"] = [task.state, task.text]
    case.settings.preferences().engine = str(case.folder / "nowhere")
    case.select("Clip")
    told["missing"] = ["", case.run()]
    case.engine("negative")
    blocked = case.folder / "a file"
    blocked.write_text("in the way")
    case.scene.autowipe.folder = str(blocked)
    (task,) = case.enqueue("Clip")
    case.work()
    told["folder"] = [task.state, task.text]
    return {"before": before, "after": case.describe(), "told": told, "left": left_over(case)}


def left_over(case):
    return [name for name in os.listdir(case.folder / "clean") if name.startswith(("render-", ".")) or "part" in name]


def full_disk(case):
    """The folder for clips has no room: none at all, too little for the clip, too little for a strip's rendering."""
    disk = TASK["small_disk"]
    if not disk:
        return {"skipped": "no small disk can be mounted here"}
    case.engine("real")
    case.scene.autowipe.folder, case.scene.autowipe.kinds = disk, {"logo"}
    case.versions.trim(case.movie("logo", start=1), 10, 60)
    case.movie("logo", start=200, name="Reversed").use_reverse_frames = True
    before, told, left = case.describe(), {}, {}
    for how, name, room_kb in (("at all", "Clip", 0), ("to render", "Reversed", 100), ("to clean", "Clip", 60)):
        fill(disk, room_kb << 10)
        (task,) = case.enqueue(name)
        case.work()
        told[how] = [task.state, task.text, task.hint]
        left[how] = sorted(os.listdir(disk))
    after = case.describe()
    os.remove(os.path.join(disk, "filler"))
    (task,) = case.enqueue("Clip")
    case.work()
    told["again"] = [task.state, task.text]
    return {"before": before, "told": told, "left": left, "after": after, "again": case.describe()}


def fill(disk, room):
    """Leaves `room` bytes free."""
    filler = os.path.join(disk, "filler")
    if os.path.exists(filler):
        os.remove(filler)
    state = os.statvfs(disk)
    with open(filler, "wb") as file:
        file.write(bytes(state.f_bavail * state.f_frsize - room))


def twenty_in_a_row(case):
    # bpy crashes on its own with an empty undo memory; 24 frames each, 20 strips, every fourth one rendered.
    for i in range(20):
        strip = case.movie("short", start=1 + 12 * i, name=f"Clip {i:02d}")
        if i % 4 == 3:
            strip.use_reverse_frames = True
    names = [f"Clip {i:02d}" for i in range(20)]
    pipes = open_pipes()
    case.enqueue(*names)
    memory, ticks = [], []
    done = 0
    end = time.monotonic() + 4 * PATIENCE
    while case.jobs.queue.is_busy and time.monotonic() < end:
        began, at_work = time.monotonic(), time.thread_time()
        case.jobs.queue.tick()
        ticks.append([time.monotonic() - began, time.thread_time() - at_work])
        count = sum(task.is_over for task in case.jobs.queue.tasks)
        if count > done:
            done = count
            memory.append(resident_bytes())
        time.sleep(0.02)
    time.sleep(0.5)
    return {
        "states": [task.state for task in case.jobs.queue.tasks],
        "texts": [task.text for task in case.jobs.queue.tasks],
        "results": len(case.strips.results(case.scene)),
        "ticks": ticks,
        "memory": memory,
        "children": children(),
        "pipes": [pipes, open_pipes()],
    }


def open_pipes():
    """Ends of pipes; Blender keeps some of the strips' files open, as it likes."""
    links = []
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []:
        try:
            links.append(os.readlink("/proc/self/fd/" + name))
        except OSError:
            continue
    return sum(link.startswith("pipe:") for link in links)


def resident_bytes():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    except OSError:
        return 0


def children():
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    if file.read().rsplit(")", 1)[1].split()[1] == str(os.getpid()):
                        found.append(name)
            except OSError:
                continue
    return found


def chosen_by_scope(case):
    case.movie("at 24", start=1, name="A")
    case.movie("at 24", start=50, name="B")
    case.movie("at 24", start=1, channel=3, name="C").mute = True
    case.movie("at 24", start=50, channel=3, name="D")
    case.effect("Speed", "SPEED", 2, 100, 140, case.movie("at 24", start=100, name="Under Speed"))
    case.select("A")
    found = {"before": case.describe()}
    for scope in ("SELECTED", "CHANNEL", "TIMELINE"):
        found[scope] = [s.name for s in case.strips.targets(bpy.context, case.scene, scope)]
    case.run(scope="TIMELINE")
    found["after"] = case.describe()
    case.select("A")
    for scope in ("CHANNEL", "TIMELINE"):
        found[scope + " again"] = [s.name for s in case.strips.targets(bpy.context, case.scene, scope)]
    bpy.ops.autowipe.restore(scope="CHANNEL")
    found["channel restored"] = [s.name for s in case.strips.results(case.scene)]
    bpy.ops.autowipe.restore(scope="TIMELINE")
    found["restored"] = case.describe()
    return found


def settings_reach_the_job(case):
    strip = case.movie("at 24", start=1)
    case.versions.trim(strip, 4, 0)
    chosen = case.scene.autowipe
    chosen.kinds, chosen.quality, chosen.device, chosen.codec = {"logo", "subtitle"}, "best", "cpu", "ffv1"
    chosen.report = True
    area = chosen.areas.add()
    area.use, area.box = "SEARCH", (0.5, 0.0, 1.0, 0.25)
    area = chosen.areas.add()
    area.use, area.path = "HOLD_OUT", TASK["clips"]["matte"]
    case.select("Clip")
    error = case.run()
    files = sorted((case.folder / "clean" / "jobs").glob("*.json"))
    return {"job": json.loads(files[0].read_text("utf-8")), "error": error}


def found_and_ticked(case):
    """Find, list, switch one off, jump, markers, subtitles as text, then Remove by the plan."""
    case.engine("finds")
    strip = case.movie("at 24", start=11)
    case.versions.trim(strip, 6, 2)
    case.select("Clip")
    error = case.run(bpy.ops.autowipe.find)
    timeline = case.describe()
    strip = case.strip("Clip")
    plan = case.plans.read(strip[case.strips.PLAN])
    bpy.ops.autowipe.tick(overlay="logo-1")
    case.scene.frame_set(1)
    bpy.ops.autowipe.jump(overlay="subtitle-1")
    jumped = [case.scene.frame_current]
    bpy.ops.autowipe.jump(overlay="subtitle-1")
    jumped.append(case.scene.frame_current)
    bpy.ops.autowipe.markers()
    bpy.ops.autowipe.subtitles()
    bpy.ops.autowipe.show_matte(overlay="logo-1")
    texts = [s for s in case.versions.all_strips(case.scene) if s.type == "TEXT"]
    texts = sorted([case.versions.start(s), case.versions.end(s), s.text] for s in texts)
    case.select("Clip")
    error += case.run()
    written = [json.loads(path.read_text("utf-8")) for path in (case.folder / "clean" / "jobs").glob("*.json")]
    job = next(job for job in written if job["task"] == "wipe")
    return {
        "error": error,
        "timeline": timeline,
        "ids": [o["id"] for o in plan["overlays"]],
        "jumped": jumped,
        "markers": sorted([m.name, m.frame] for m in case.scene.timeline_markers),
        "texts": texts,
        "shown": case.scene.autowipe.shown,
        "job": job,
        "enabled": json.loads((case.folder / "clean" / "enabled.json").read_text()),
    }


def preview_places(case):
    """A point of the picture and its place in the preview, there and back."""
    strip = case.movie("at 24", start=1)
    strip.transform.offset_x, strip.transform.scale_x, strip.transform.rotation = 12, 0.5, 0.4
    strip.use_flip_y = True
    preview = case.addon.preview
    place = preview.to_preview(case.scene, strip, 30, 10)
    back = preview.to_picture(case.scene, strip, *place)
    strip.transform.rotation = 0
    strip.use_flip_y = False
    strip.transform.offset_x, strip.transform.scale_x = 0, 1
    shares = preview.to_shares(case.scene, strip, ((-48, 32), (48, -32)))
    return {"back": back, "shares": shares}


def mask_as_area(case):
    mask = bpy.data.masks.new("Left half")
    layer = mask.layers.new()
    spline = layer.splines.new()
    spline.points.add(3)
    spline.use_cyclic = True
    for index, corner in enumerate(((0, 0), (0.5, 0), (0.5, 1), (0, 1))):
        point = spline.points[index]
        point.co = corner
        point.handle_type = "VECTOR"
    case.movie("at 24", start=1)
    case.timeline.new_mask(name="Mask", mask=mask, channel=2, frame_start=1)
    case.select("Mask")
    before = case.describe()
    bpy.ops.autowipe.area_from_strip(use="HOLD_OUT")
    after = case.describe()
    case.timeline.new_image(
        name="Picture", filepath=TASK["clips"]["matte"], channel=3, frame_start=1, fit_method="ORIGINAL"
    )
    case.select("Picture")
    bpy.ops.autowipe.area_from_strip(use="SEARCH")
    areas = [[area.use, area.path] for area in case.scene.autowipe.areas]
    return {"areas": areas, "before": before, "after": after}


def the_real_engine(case):
    case.engine("real")
    case.scene.render.resolution_x, case.scene.render.resolution_y = TASK["clips"]["logo size"]
    case.scene.render.fps = 25
    case.scene.autowipe.report = True
    strip = case.movie("logo", start=1)
    case.versions.trim(strip, 10, 20)
    seen = case.compare(["Clip"])
    strip = case.strip("Clip")
    seen["report"] = os.path.isfile(strip.get(case.strips.REPORT, ""))
    seen["found"] = [o["kind"] for o in case.plans.read(strip[case.strips.PLAN])["overlays"]]
    return seen


CASES = {
    function.__name__: function
    for function in (
        trimmed,
        soft_and_hard_split,
        another_rate_one_to_one,
        rate_adjusted,
        ntsc_rates,
        with_b_frames,
        image_sequence,
        meta_strip,
        dissolve,
        speed_effect,
        retimed,
        scene_strip,
        inside_a_meta,
        backwards,
        held_frames,
        moved_cropped_and_faded,
        colour_and_crop,
        replaced_and_restored,
        undone,
        undone_while_working,
        changed_while_working,
        deleted_while_working,
        failures,
        full_disk,
        twenty_in_a_row,
        chosen_by_scope,
        settings_reach_the_job,
        found_and_ticked,
        preview_places,
        mask_as_area,
        the_real_engine,
    )
}

if __name__ == "__main__":
    main()
