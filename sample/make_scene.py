"""Renders the sample's clean scene, a village with a windmill: every shape and texture is made here, none is loaded.

Needs the `bpy` package (Blender 5.0 as a Python module), which is no dependency of AutoWipe:

    python -m pip install bpy==5.0.1
    python sample/make_scene.py FOLDER [--frames 0:120] [--scale 100]

Writes FOLDER/0000.png and so on, 640x360 at 24 frames a second; frames that are there already are kept.
"""

import argparse
import math
import random

import bpy
from mathutils import Vector

FRAMES, RATE, WIDTH, HEIGHT, SAMPLES = 120, 24, 640, 360, 6
SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--frames", default=f"0:{FRAMES}", help="START:STOP[:STEP]")
    parser.add_argument("--scale", type=int, default=100, help="percent of the full size")
    options = parser.parse_args()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    random.seed(SEED)
    build_ground()
    build_village()
    build_windmill(Vector((4.2, 24, 2.8)))
    build_ball()
    build_light()
    build_camera()
    render(options.folder, range(*map(int, options.frames.split(":"))), options.scale)


# Materials: a base colour that a texture varies, so that no surface is flat.


def paint(name, dark, light, *, texture="noise", scale=6.0, stretch=(1, 1, 1)):
    """A material between two colours (r, g, b in 0..1, linear), mixed by a procedural texture in object space."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.remove(nodes["Principled BSDF"])
    shader = nodes.new("ShaderNodeBsdfDiffuse")
    links.new(shader.outputs["BSDF"], nodes["Material Output"].inputs["Surface"])
    place = nodes.new("ShaderNodeTexCoord")
    mapping = nodes.new("ShaderNodeMapping")
    mapping.inputs["Scale"].default_value = [scale * s for s in stretch]
    links.new(place.outputs["Object"], mapping.inputs["Vector"])
    if texture == "brick":
        pattern = nodes.new("ShaderNodeTexBrick")
        pattern.inputs["Color1"].default_value = (*dark, 1)
        pattern.inputs["Color2"].default_value = (*light, 1)
        pattern.inputs["Mortar"].default_value = (0.55, 0.5, 0.45, 1)
        pattern.inputs["Scale"].default_value = 1
        pattern.inputs["Mortar Size"].default_value = 0.015
        # Bricks are laid in x and y of the texture; walls stand up in z.
        mapping.inputs["Rotation"].default_value = (math.radians(-90), 0, 0)
        links.new(pattern.outputs["Color"], shader.inputs["Color"])
    else:
        pattern = nodes.new({"noise": "ShaderNodeTexNoise", "wave": "ShaderNodeTexWave"}[texture])
        pattern.inputs["Scale"].default_value = 1
        pattern.inputs["Detail"].default_value = 2
        ramp = nodes.new("ShaderNodeValToRGB")
        ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.3, 0.7
        ramp.color_ramp.elements[0].color = (*dark, 1)
        ramp.color_ramp.elements[1].color = (*light, 1)
        links.new(pattern.outputs["Fac"], ramp.inputs["Fac"])
        links.new(ramp.outputs["Color"], shader.inputs["Color"])
    links.new(mapping.outputs["Vector"], pattern.inputs["Vector"])
    return material


# Shapes.


def mesh(name, vertices, faces, material, *, smooth=False):
    data = bpy.data.meshes.new(name)
    data.from_pydata([tuple(v) for v in vertices], [], faces)
    data.materials.append(material)
    if smooth:
        data.shade_smooth()
    thing = bpy.data.objects.new(name, data)
    bpy.context.collection.objects.link(thing)
    return thing


def box(name, centre, size, material):
    x, y, z = (s / 2 for s in size)
    corners = [(a * x, b * y, c * z) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    thing = mesh(name, corners, faces, material)
    thing.location = centre
    return thing


def lathe(name, profile, material, *, sides=24, smooth=True):
    """A body of revolution around z; `profile` is a list of (radius, z) from bottom to top."""
    vertices, faces = [], []
    for radius, z in profile:
        for k in range(sides):
            turn = 2 * math.pi * k / sides
            vertices.append((radius * math.cos(turn), radius * math.sin(turn), z))
    for ring in range(len(profile) - 1):
        for k in range(sides):
            a, b = ring * sides + k, ring * sides + (k + 1) % sides
            faces.append((a, b, b + sides, a + sides))
    faces.append(tuple(range((len(profile) - 1) * sides, len(profile) * sides)))
    return mesh(name, vertices, faces, material, smooth=smooth)


def ground_height(x, y):
    """Height of the ground in metres: flat along the lane, hills behind, mountains at the end."""
    back = max(0.0, y - 11)
    hills = 0.09 * back + 0.7 * math.sin(0.31 * x + 0.8) * math.sin(0.17 * y) * min(1, back / 8)
    ridge = max(0.0, y - 48)
    peaks = ridge * (0.36 + 0.2 * math.sin(0.11 * x + 1.1) + 0.1 * math.sin(0.29 * x + 0.05 * y))
    return hills + min(peaks, 17 + 5 * math.sin(0.19 * x))


def build_ground():
    columns, rows = 130, 110
    vertices = []
    for row in range(rows):
        y = -4 + 110 * (row / (rows - 1)) ** 1.7
        for column in range(columns):
            x = (column / (columns - 1) - 0.5) * (34 + 1.9 * (y + 4))
            rough = 0.05 * random.uniform(-1, 1) * (1 + max(0, y - 40) * 0.35)
            vertices.append((x, y, ground_height(x, y) + rough))
    faces = []
    for row in range(rows - 1):
        for column in range(columns - 1):
            a = row * columns + column
            faces.append((a, a + 1, a + columns + 1, a + columns))
    grass = paint("grass", (0.05, 0.12, 0.02), (0.28, 0.36, 0.07), scale=1.3)
    rock = paint("rock", (0.11, 0.12, 0.17), (0.42, 0.38, 0.4), scale=0.16)
    ground = mesh("ground", vertices, faces, grass)
    ground.data.materials.append(rock)
    for polygon in ground.data.polygons:
        polygon.material_index = int(polygon.center.y > 50 + 3 * math.sin(polygon.center.x))
    lane = paint("lane", (0.3, 0.21, 0.13), (0.6, 0.47, 0.32), scale=2.4)
    edge = [(-30 + 0.5 * k, 0.16 * math.sin(0.9 * k)) for k in range(121)]
    strip = [v for x, bend in edge for v in ((x, 4.6 + bend, 0.06), (x, 6.9 + bend, 0.06))]
    mesh("lane", strip, [(2 * k, 2 * k + 2, 2 * k + 3, 2 * k + 1) for k in range(120)], lane)
    blade = paint("tuft", (0.08, 0.2, 0.02), (0.4, 0.5, 0.1), scale=2.0)
    petals = [
        paint(f"petal{i}", colour, tuple(min(1, 1.6 * c) for c in colour), scale=30)
        for i, colour in enumerate([(0.75, 0.06, 0.08), (0.8, 0.55, 0.04), (0.55, 0.2, 0.6), (0.8, 0.8, 0.75)])
    ]
    vertices, faces = [], []
    for _ in range(900):
        x, y = random.uniform(-15, 15), random.choice([random.uniform(0.6, 4.2), random.uniform(7.2, 9.9)])
        add_tuft(Vector((x, y, ground_height(x, y))), vertices, faces, random.choice(petals))
    mesh("tufts", vertices, faces, blade)


def add_tuft(foot, vertices, faces, petal):
    """Adds nine blades of grass to the lists and, now and then, a flower to the scene."""
    for _ in range(9):
        turn, lean = random.uniform(0, 6.28), random.uniform(0.03, 0.16)
        high, wide = random.uniform(0.12, 0.34), 0.014
        side = Vector((-math.sin(turn), math.cos(turn), 0)) * wide
        top = Vector((lean * math.cos(turn), lean * math.sin(turn), high))
        root = Vector((random.uniform(-0.07, 0.07), random.uniform(-0.07, 0.07), -0.02))
        faces.append(tuple(range(len(vertices), len(vertices) + 3)))
        vertices += [foot + root - side, foot + root + side, foot + root + top]
    if random.random() < 0.2:
        head = lathe("flower", [(0.0, -0.02), (0.055, 0.0), (0.04, 0.03), (0.0, 0.04)], petal, sides=7)
        head.location = foot + Vector((0.03, 0, random.uniform(0.24, 0.4)))


def build_village():
    walls = [
        paint("brick", (0.3, 0.08, 0.05), (0.48, 0.17, 0.1), texture="brick", scale=2.2),
        paint("ochre", (0.62, 0.4, 0.14), (0.78, 0.55, 0.25), scale=3),
        paint("blue", (0.16, 0.3, 0.42), (0.28, 0.45, 0.56), scale=3),
        paint("lime", (0.68, 0.64, 0.55), (0.85, 0.82, 0.74), scale=4),
    ]
    tiles = paint("tiles", (0.3, 0.07, 0.04), (0.6, 0.2, 0.1), texture="wave", scale=3.2)
    slate = paint("slate", (0.07, 0.08, 0.11), (0.22, 0.24, 0.3), texture="wave", scale=3.2)
    wood = paint("wood", (0.16, 0.08, 0.03), (0.34, 0.2, 0.1), texture="wave", scale=5, stretch=(1, 1, 6))
    glass = paint("glass", (0.05, 0.08, 0.12), (0.2, 0.28, 0.35), scale=1)
    trim = paint("trim", (0.75, 0.73, 0.68), (0.9, 0.88, 0.84), scale=8)
    for i, (x, y, wide, high) in enumerate(
        [
            (-11.5, 12, 4.2, 3.0),
            (-6.2, 10.6, 3.6, 3.6),
            (-1.4, 12.6, 4.4, 2.7),
            (5.6, 11.2, 3.4, 3.3),
            (11.4, 12.0, 4.4, 3.4),
        ]
    ):
        build_house(
            Vector((x, y, ground_height(x, y))), wide, high, walls[i % 4], (tiles, slate)[i % 2], wood, glass, trim
        )
    bark = paint("bark", (0.08, 0.05, 0.03), (0.24, 0.16, 0.1), scale=9, stretch=(1, 1, 0.2))
    leaves = [
        paint("beech", (0.04, 0.13, 0.02), (0.22, 0.36, 0.06), scale=4),
        paint("maple", (0.38, 0.1, 0.02), (0.75, 0.36, 0.06), scale=4),
        paint("fir", (0.015, 0.06, 0.03), (0.07, 0.18, 0.08), scale=5),
    ]
    places = [
        (-9.0, 8.6, 0),
        (7.9, 8.9, 1),
        (2.7, 16.5, 0),
        (8.4, 14.6, 2),
        (-3.9, 9.2, 2),
        (-13, 9.3, 1),
        (14.2, 9.0, 1),
    ]
    places += [(random.uniform(-34, 34), random.uniform(19, 44), random.choice([0, 1, 2, 2])) for _ in range(70)]
    for x, y, sort in places:
        if abs(x - 4.2) > 4 or not 19 < y < 29:  # the windmill's hill stays free
            build_tree(Vector((x, y, ground_height(x, y))), random.uniform(0.85, 1.3), sort, bark, leaves[sort])
    for k in range(31):
        x = -15 + k
        post = box("post", (x, 4.1, 0.42), (0.11, 0.09, 0.9), wood)
        post.rotation_euler = (0, random.uniform(-0.06, 0.06), random.uniform(-0.2, 0.2))
        for z in (0.34, 0.68):
            rail = box("rail", (x + 0.5, 4.1, z + random.uniform(-0.02, 0.02)), (1.02, 0.04, 0.1), wood)
            rail.rotation_euler = (0, random.uniform(-0.03, 0.03), 0)


def build_house(foot, wide, high, wall, roof, wood, glass, trim):
    deep = 3.4
    box("wall", foot + Vector((0, 0, high / 2 - 0.4)), (wide, deep, high + 0.8), wall)
    x, y, rise = wide / 2 + 0.28, deep / 2 + 0.3, 0.62 * wide
    gable = [(-wide / 2, 0), (wide / 2, 0), (0, rise - 0.2)]
    points = [(px, side * deep / 2, pz) for side in (-1, 1) for px, pz in gable]
    mesh("gable", points, [(0, 1, 2), (3, 5, 4)], wall).location = foot + Vector((0, 0, high))
    slab = [(-x, -y, -0.14), (-x, y, -0.14), (0, -y, rise), (0, y, rise), (x, -y, -0.14), (x, y, -0.14)]
    slab += [(px, py, pz + 0.16) for px, py, pz in slab]
    sides = [
        (6, 8, 9, 7),
        (8, 10, 11, 9),
        (0, 1, 3, 2),
        (2, 3, 5, 4),
        (0, 2, 8, 6),
        (2, 4, 10, 8),
        (1, 7, 9, 3),
        (3, 9, 11, 5),
    ]
    mesh("roof", slab, sides, roof).location = foot + Vector((0, 0, high))
    front = foot + Vector((0, -deep / 2, 0))
    box("door", front + Vector((-0.2 * wide, -0.02, 0.85)), (0.8, 0.1, 1.7), wood)
    for wx, wz in ((0.22, 1.25), (-0.22, 2.45), (0.22, 2.45), (0.0, high + 0.6)):
        if wz < high - 0.5 or wx == 0.0:
            spot = front + Vector((wx * wide, 0, wz))
            box("frame", spot + Vector((0, -0.02, 0)), (0.78, 0.1, 0.9), trim)
            for side in (-0.17, 0.17):
                box("pane", spot + Vector((side, -0.06, 0)), (0.27, 0.06, 0.72), glass)
    chimney = foot + Vector((0.27 * wide, 0.3, high + 0.62 * rise))
    box("chimney", chimney, (0.5, 0.5, 1.3), wall)
    box("cap", chimney + Vector((0, 0, 0.7)), (0.62, 0.62, 0.12), trim)


def build_tree(foot, size, sort, bark, leaf):
    lathe("trunk", [(0.17, -0.2), (0.12, 0.8), (0.08, 2.0)], bark, sides=9).location = foot
    if sort == 2:
        for k in range(5):
            wide, z = (1.15 - 0.2 * k) * size, (0.6 + 0.62 * k) * size
            cone = lathe(
                "fir",
                [(0.0, z), (wide, z + 0.05), (wide * 0.35, z + 0.55), (0.02, z + 1.1)],
                leaf,
                sides=11,
                smooth=False,
            )
            cone.location = foot
            cone.rotation_euler = (0, 0, random.uniform(0, 3))
        return
    for _ in range(7):
        radius = random.uniform(0.5, 0.85) * size
        profile = [(radius * math.sin(turn), -radius * math.cos(turn)) for turn in [math.pi * k / 9 for k in range(10)]]
        crown = lathe("crown", profile, leaf, sides=14, smooth=False)
        for vertex in crown.data.vertices:
            vertex.co *= random.uniform(0.86, 1.1)
        crown.location = foot + Vector(
            (random.uniform(-0.65, 0.65) * size, random.uniform(-0.5, 0.5) * size, random.uniform(1.9, 3.3) * size)
        )


def build_windmill(foot):
    plaster = paint("plaster", (0.62, 0.58, 0.5), (0.88, 0.85, 0.78), scale=2.5)
    cap = paint("cap", (0.14, 0.05, 0.03), (0.32, 0.13, 0.08), texture="wave", scale=3)
    wood = paint("sailwood", (0.2, 0.12, 0.06), (0.4, 0.27, 0.15), scale=6)
    cloth = paint("cloth", (0.7, 0.62, 0.48), (0.95, 0.9, 0.78), scale=3)
    lathe("tower", [(1.9, -2.0), (1.75, 0), (1.25, 5.2), (1.35, 5.3)], plaster).location = foot
    lathe("cap", [(1.5, 5.3), (1.35, 5.8), (0.8, 6.5), (0.05, 6.9)], cap).location = foot
    hub = bpy.data.objects.new("hub", None)
    bpy.context.collection.objects.link(hub)
    hub.location = foot + Vector((-0.4, -1.7, 5.7))
    for k in range(4):
        arm = bpy.data.objects.new("arm", None)
        bpy.context.collection.objects.link(arm)
        arm.parent, arm.rotation_euler = hub, (0, math.radians(90 * k), 0)
        parts = [
            box("spar", (0, 0, 2.1), (0.14, 0.12, 4.2), wood),
            box("sail", (0.42, 0.04, 2.6), (0.66, 0.03, 2.9), cloth),
        ]
        parts += [box("lath", (0.4, 0, 1.15 + 0.58 * j), (0.78, 0.05, 0.05), wood) for j in range(6)]
        for part in parts:
            part.parent = arm
    for frame in (0, FRAMES):
        hub.rotation_euler = (0, math.radians(20 + 1.55 * frame), 0)
        hub.keyframe_insert("rotation_euler", frame=frame)


def build_ball():
    material = paint("ball", (0.75, 0.04, 0.04), (0.9, 0.87, 0.8), texture="wave", scale=0.55)
    ramp = next(n for n in material.node_tree.nodes if n.type == "VALTORGB")
    ramp.color_ramp.interpolation = "CONSTANT"
    wave = next(n for n in material.node_tree.nodes if n.type == "TEX_WAVE")
    wave.inputs["Detail"].default_value = 0
    radius = 0.5
    turns = [math.pi * k / 32 for k in range(33)]
    ball = lathe("ball", [(radius * math.sin(t), -radius * math.cos(t)) for t in turns], material, sides=48)
    for frame, x in ((0, 5.2), (FRAMES, -1.6)):
        ball.location = (x, 5.6, radius + 0.06)
        ball.rotation_euler = (0.3, x / radius, 0.2)
        ball.keyframe_insert("location", frame=frame)
        ball.keyframe_insert("rotation_euler", frame=frame)


def build_light():
    sun = bpy.data.lights.new("sun", "SUN")
    sun.energy, sun.angle, sun.color = 4.2, math.radians(1.2), (1.0, 0.83, 0.62)
    lamp = bpy.data.objects.new("sun", sun)
    lamp.rotation_euler = (math.radians(52), math.radians(-18), math.radians(-38))
    bpy.context.collection.objects.link(lamp)
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    place, split = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeSeparateXYZ")
    sky, clouds, amount = (
        nodes.new("ShaderNodeValToRGB"),
        nodes.new("ShaderNodeTexNoise"),
        nodes.new("ShaderNodeValToRGB"),
    )
    stretch, mix = nodes.new("ShaderNodeMapping"), nodes.new("ShaderNodeMix")
    sky.color_ramp.elements[0].color, sky.color_ramp.elements[0].position = (0.95, 0.68, 0.45, 1), 0.02
    sky.color_ramp.elements[1].color, sky.color_ramp.elements[1].position = (0.13, 0.31, 0.68, 1), 0.55
    sky.color_ramp.elements.new(0.2).color = (0.5, 0.62, 0.82, 1)
    stretch.inputs["Scale"].default_value = (2.2, 2.2, 8.0)
    clouds.inputs["Scale"].default_value, clouds.inputs["Detail"].default_value = 1.6, 4
    amount.color_ramp.elements[0].position, amount.color_ramp.elements[1].position = 0.5, 0.66
    mix.data_type = "RGBA"
    mix.inputs["B"].default_value = (1.0, 0.9, 0.8, 1)
    colour_in, colour_out = mix.inputs[6], mix.outputs[2]  # the sockets of a colour mix; names repeat
    mix.inputs[7].default_value = (1.0, 0.9, 0.8, 1)
    links.new(place.outputs["Generated"], split.inputs[0])
    links.new(split.outputs["Z"], sky.inputs["Fac"])
    links.new(place.outputs["Generated"], stretch.inputs["Vector"])
    links.new(stretch.outputs["Vector"], clouds.inputs["Vector"])
    links.new(clouds.outputs["Fac"], amount.inputs["Fac"])
    links.new(amount.outputs["Color"], mix.inputs[0])
    links.new(sky.outputs["Color"], colour_in)
    links.new(colour_out, nodes["Background"].inputs["Color"])
    nodes["Background"].inputs["Strength"].default_value = 0.75


def build_camera():
    """The camera travels along the lane, sinks a little and turns against its travel: near things pass far ones."""
    lens = bpy.data.cameras.new("camera")
    lens.lens, lens.clip_end = 27, 300
    camera = bpy.data.objects.new("camera", lens)
    bpy.context.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    for frame, x, z, yaw in ((0, -3.2, 2.5, -7), (FRAMES, 3.0, 2.0, 3)):
        camera.location = (x, -2.4, z)
        camera.rotation_euler = (math.radians(92), 0, math.radians(yaw))
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)


def render(folder, frames, scale):
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = SAMPLES
    scene.cycles.use_adaptive_sampling = False
    # Six samples and a quick denoiser: a frame takes ten seconds of one core, and the sun alone casts no noise.
    scene.cycles.use_denoising = True
    scene.cycles.denoising_quality = "FAST"
    scene.cycles.denoising_prefilter = "FAST"
    scene.world.cycles.sampling_method = "NONE"
    scene.cycles.max_bounces = scene.cycles.diffuse_bounces = 1
    scene.cycles.caustics_reflective = scene.cycles.caustics_refractive = False
    scene.render.use_persistent_data = True
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.resolution_percentage = scale
    scene.render.fps, scene.frame_start, scene.frame_end = RATE, 0, FRAMES - 1
    scene.render.use_overwrite = False
    scene.render.image_settings.file_format = "PNG"
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    for action in bpy.data.actions:
        for curve in curves(action):
            for key in curve.keyframe_points:
                key.interpolation = "LINEAR"
    for frame in frames:
        scene.frame_set(frame)
        scene.render.filepath = f"{folder}/{frame:04d}.png"
        bpy.ops.render.render(write_still=True)


def curves(action):
    for layer in action.layers:
        for strip in layer.strips:
            for bag in strip.channelbags:
                yield from bag.fcurves


if __name__ == "__main__":
    main()
