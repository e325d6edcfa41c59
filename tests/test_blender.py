"""The add-on in real Blenders: what every strip shows is cleaned frame for frame, and nothing else changes.

`blender_cases.py` plays the cases inside Blender; here its pictures and what it saw are judged. The fake engine
turns every picture into its negative, so that each frame of the result proves from which frame it was made.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import blenders
import media
import numpy as np
import pytest
import synth
from autowipe import encoders
from conftest import ROOT

pytestmark = [pytest.mark.host, pytest.mark.timeout(1600)]

HERE = Path(__file__).parent
CASES = [
    line.split("(")[0][4:]
    for line in (HERE / "blender_cases.py").read_text("utf-8").splitlines()
    if line.startswith("def ") and line.endswith("(case):") and not line.startswith(("def left_over",))
]
OUTCOMES = ("negative", "dies", "killed", "fails", "noise", "short", "waits", "finds")
LOSSY = 12  # levels between two decoders' ideas of RGB from 4:2:0
LOGO = (240, 10)
CAN_MOUNT = shutil.which("unshare") and not subprocess.call(["unshare", "--user", "--map-root-user", "--mount", "true"])

spec = importlib.util.spec_from_file_location("install_blender", ROOT / "plugin" / "install_blender.py")
install_blender = importlib.util.module_from_spec(spec)
spec.loader.exec_module(install_blender)


def colourful(path, frames, rate, **options):
    """Frames that all differ, without any loss."""
    return media.write_clip(path, frames=frames, size=(192, 128), codec="ffv1", pix_fmt="bgr0", rate=rate, **options)


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips é")
    pictures = folder / "pictures"
    pictures.mkdir()
    logo = synth.make(
        folder / "logo.mp4", [synth.Burnt(synth.badge((60, 30)), LOGO, 0, 130)], count=130, size=(320, 180)
    )
    made = {
        "at 24": colourful(folder / "at 24.mkv", 40, 24),
        "at 30": colourful(folder / "at 30.mkv", 40, 30),
        "at 29.97": colourful(folder / "at 29.97.mkv", 40, Fraction(30000, 1001)),
        "short": colourful(folder / "short.mkv", 12, 24),
        "h264": media.write_clip(
            folder / "b frames.mp4",
            frames=60,
            size=(192, 128),
            codec="libx264",
            rate=24,
            options={"crf": "8", "bf": "3", "g": "24"},
        ),
        "logo": logo.path,
        "pictures": pictures,
        "matte": folder / "matte.png",
    }
    for index, picture in enumerate(synth.read_rgb(made["at 24"])):
        write_png(pictures / f"p{index:03d}.png", picture)
    write_png(made["matte"], np.full((128, 192, 3), 255, np.uint8))
    paths = {name: str(path) for name, path in made.items()}
    return {**paths, "logo size": [320, 180]}, logo


def write_png(path, picture):
    with av.open(str(path), "w", format="image2") as out:
        stream = out.add_stream("png", rate=24)
        stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], "rgb24"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())


@pytest.fixture(scope="session")
def engines(tmp_path_factory):
    """Programs that start the fake engine with one outcome each, and the real one."""
    folder = tmp_path_factory.mktemp("engines")
    made = {"real": sys.executable}
    for outcome in OUTCOMES:
        program = folder / outcome
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "fake_engine.py"}" {outcome} "$@"\n')
        program.chmod(0o755)
        made[outcome] = str(program)
    return made


@pytest.fixture(scope="module", params=blenders.wanted())
def seen(request, clips, engines, tmp_path_factory):
    """What the cases saw in one Blender; all are played in one go, because starting a Blender takes seconds."""
    try:
        words = blenders.command(request.param)
    except blenders.Missing as reason:
        pytest.skip(f"no Blender {request.param}: {reason}")
    folder = tmp_path_factory.mktemp("blender")
    task = {
        "zip": install_blender.build(str(folder / "autowipe.zip"), sys.executable),
        "clips": clips[0],
        "engines": engines,
        "folder": str(folder),
        "small_disk": str(folder / "small disk") if CAN_MOUNT else "",
        "cases": CASES,
    }
    if CAN_MOUNT:  # the disk goes with the last process that sees it
        (folder / "small disk").mkdir()
        mount = 'mount -t tmpfs -o size=4m none "$0" && exec "$@"'
        words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, task["small_disk"], *words]
    (folder / "task.json").write_text(json.dumps(task))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment.update(XDG_STATE_HOME=str(folder / "state"), BLENDER_USER_RESOURCES=str(folder / "user"))
    for name in ("CONFIG", "SCRIPTS", "EXTENSIONS", "DATAFILES"):
        environment["BLENDER_USER_" + name] = str(folder / "user" / name.lower())
    script = [str(HERE / "blender_cases.py"), *(["--"] if request.param == blenders.SYSTEM else [])]
    with open(folder / "said.txt", "w") as said:
        code = subprocess.call(
            ["nice", "-n", "5", *words, *script, str(folder / "task.json")],
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment,
            timeout=1500,
        )
    tail = (folder / "said.txt").read_text("utf-8", "replace")[-2000:]
    found = json.loads((folder / "seen.json").read_text("utf-8")) if (folder / "seen.json").exists() else {}
    # 139 and -11 are crashes: failures, never skips.
    assert code == 0, f"Blender ended with {code} during {found.get('during', 'its start')}:\n{tail}"
    return found


def case(seen, name):
    result = seen["cases"][name]
    assert "failure" not in result, result.get("failure")
    return result


def rendered(path):
    return np.array(synth.read_rgb(Path(path)))


def assert_negative(result, *, tolerance, names=None):
    """Every rendered frame after is the negative of the one before."""
    assert not result["error"]
    before, after = rendered(result["before"]), rendered(result["after"])
    assert before.shape == after.shape
    assert len(np.unique(before.reshape(len(before), -1), axis=0)) > 1 or len(before) == 1
    worst = np.abs(255 - before.astype(int) - after).reshape(len(before), -1).max(1)
    assert worst.max() <= tolerance, f"frame {int(worst.argmax())} of {len(worst)} differs by {int(worst.max())}"
    for name, place in result["results"].items():
        assert place[:2] == result["ranges"][name]
    assert set(result["results"]) == set(result["ranges"])
    assert all(result["muted"])


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        ("trimmed", ["file"]),
        ("soft_and_hard_split", ["file", "file", "file"]),
        ("another_rate_one_to_one", ["file"]),
        ("ntsc_rates", ["file"]),
        ("image_sequence", ["image strip"]),
        ("meta_strip", ["meta strip"]),
        ("backwards", ["changed speed"]),
        ("held_frames", ["held frames at its ends"]),
        ("speed_effect", ["speed strip"]),
        ("retimed", ["changed speed"]),
        ("scene_strip", ["scene strip"]),
    ],
)
def test_the_result_shows_frame_for_frame_what_the_strip_showed(seen, name, ways):
    result = case(seen, name)
    if "skipped" in result:
        pytest.skip(result["skipped"])

    assert result["ways"] == ways
    assert_negative(result, tolerance=0)


def test_a_strip_at_its_own_rate_is_rendered_and_fits(seen):
    result = case(seen, "rate_adjusted")
    if "skipped" in result:
        pytest.skip(result["skipped"])

    assert result["length"] == 32  # 40 frames at 30 in a scene of 24 frames a second
    assert result["ways"] == ["another frame rate than the scene"]
    assert_negative(result, tolerance=0)


def test_a_dissolve_between_two_cleaned_clips_is_cleaned_too(seen):
    result = case(seen, "dissolve")

    assert result["ways"] == ["file", "file", "cross strip"]
    assert_negative(result, tolerance=2)  # the mix is rounded twice


def test_colours_inside_a_meta_are_rendered_in(seen):
    result = case(seen, "inside_a_meta")

    assert result["ways"] == ["colour changes"]
    assert_negative(result, tolerance=1)


def test_frames_of_a_clip_with_b_frames_are_met_exactly(seen):
    result = case(seen, "with_b_frames")

    assert result["ways"] == ["file"]
    assert_negative(result, tolerance=LOSSY)


def test_crop_transform_mirroring_and_a_keyed_fade_are_the_results_too(seen):
    result = case(seen, "moved_cropped_and_faded")

    assert result["ways"] == ["file"]
    # A picture and its negative, both at one opacity over black, add up to that opacity, and to black beside them.
    sums = rendered(result["before"]).astype(int) + rendered(result["after"])
    levels = [int(np.median(frame[frame > 0])) if (frame > 0).any() else 0 for frame in sums]
    assert levels[0] == 0
    assert levels == sorted(levels)
    assert abs(levels[-1] - 255) <= 1
    assert 0 < levels[5] < 255
    for frame, level in zip(sums, levels, strict=True):
        neither = (frame > 2) & (abs(frame - level) > 2)
        assert neither.mean() < 0.03  # the edge of the crop alone
    assert (sums[-1] == 0).mean() > 0.05


def test_colours_are_rendered_in_while_the_crop_stays_free(seen):
    result = case(seen, "colour_and_crop")

    assert result["ways"] == ["colour changes"]
    before, after = rendered(result["before"]), rendered(result["after"])
    assert (np.ptp(before.astype(int), axis=3) <= 1).all()  # no colour left
    assert (after[:, :, :18] == 0).all()
    assert (abs(255 - before[:, :, 22:].astype(int) - after[:, :, 22:]) <= 1).all()


def test_a_second_run_replaces_the_result_and_restore_undoes_it(seen):
    result = case(seen, "replaced_and_restored")

    cleaned = ["Clip (cleaned)", "MOVIE", 3, 1, 41, False, "ALPHA_OVER"]
    muted = [[*strip[:5], strip[0] == "Clip", strip[6]] for strip in result["before"]]
    assert result["once"] == sorted([*muted, cleaned])
    assert result["twice"] == result["once"]
    assert result["reloaded"] == result["twice"]
    assert result["restored"] == result["before"]
    assert result["linked"] == "Clip"
    assert result["missing"] == [["Clip (cleaned)", result["path"]]]
    assert len(result["files after"]) == len(result["files"]) + 1  # nothing is written over or deleted
    assert result["warnings"] == ["It lies over Title and hides it."]


def test_undo_takes_the_result_back_and_nothing_crashes_afterwards(seen):
    result = case(seen, "undone")

    assert result["undone"] == result["before"]
    assert result["again"] == result["after"]
    assert not result["error"]


def test_undo_while_the_engine_works_loses_no_result(seen):
    result = case(seen, "undone_while_working")

    assert result["state"] == "done"
    assert [strip[0] for strip in result["timeline"]] == ["Clip", "Clip (cleaned)"]


def test_a_strip_that_is_moved_meanwhile_gets_its_result_where_it_is(seen):
    result = case(seen, "changed_while_working")

    assert result["state"] == "done"
    assert [strip[3:5] for strip in result["timeline"]] == [[107, 133], [107, 133]]
    before, after = rendered(result["before"]), rendered(result["after"])
    assert (255 - before == after).all()


def test_a_strip_that_is_deleted_meanwhile_gets_no_result_and_its_file_is_named(seen):
    result = case(seen, "deleted_while_working")

    assert result["state"] == "failed"
    assert result["timeline"] == []
    assert "no longer on the timeline" in result["text"]
    assert Path(result["text"].split("clip is ")[1]).exists()


def test_every_failure_leaves_the_timeline_and_is_told(seen):
    result = case(seen, "failures")

    assert result["after"] == result["before"]
    assert result["left"] == []
    told = result["told"]
    for outcome, words in {
        "dies": "exit code 7",
        "killed": "killed by signal 9",
        "fails": "The disk is full.",
        "noise": "not the AutoWipe engine",
        "short": "39 frames, not 40",
        "folder": "cannot be made",
    }.items():
        assert told[outcome][0] == "failed"
        assert words in told[outcome][1]
    assert told["cancelled"] == ["cancelled", "Cancelled.", "cancelled"]
    assert told["cancelled rendering"] == ["cancelled", "Cancelled."]
    assert "no AutoWipe engine at" in told["missing"][1]


def test_a_full_disk_leaves_the_timeline_and_is_told(seen):
    result = case(seen, "full_disk")
    if "skipped" in result:
        pytest.skip(result["skipped"])

    assert result["after"] == result["before"]
    told = result["told"]
    for how, words in {"at all": "No space", "to render": "is the disk full?", "to clean": "no space"}.items():
        assert told[how][0] == "failed"
        assert words in told[how][1], told
    assert "room" in told["at all"][2]
    assert "room" in told["to clean"][2]
    assert not [name for name in result["left"]["to render"] if name.startswith("render-")]
    assert told["again"][0] == "done", told
    assert [strip[0] for strip in result["again"]] == ["Clip", "Clip (cleaned)", "Reversed"]


def test_twenty_strips_in_a_row_leave_no_processes_pipes_or_memory(seen, record_property):
    result = case(seen, "twenty_in_a_row")

    assert result["states"] == ["done"] * 20, result["texts"]
    assert result["results"] == 20
    assert result["children"] == []
    assert result["pipes"][0] == result["pipes"][1]
    # A strip and its open file cost Blender itself some 0.4 MB.
    grown = result["memory"][-1] - result["memory"][4]
    assert grown < 32 << 20
    record_property("Blender", ".".join(map(str, seen["version"])))
    record_property("all cases", f"{seen['seconds']:.0f} s")
    record_property("from the 5th to the 20th strip", f"{grown / (1 << 20):.1f} MiB more")
    record_property("ticks", len(result["ticks"]))
    record_property("longest tick", "{:.0f} ms".format(1000 * max(wall for wall, _ in result["ticks"])))
    record_property("longest at work", "{:.0f} ms".format(1000 * max(work for _, work in result["ticks"])))


def test_channel_and_timeline_leave_out_what_is_muted_and_take_results_for_their_originals(seen):
    result = case(seen, "chosen_by_scope")

    assert result["SELECTED"] == ["A"]
    # Speed is shown in place of a strip of this channel.
    assert result["CHANNEL"] == result["CHANNEL again"] == ["A", "B", "Speed"]
    assert result["TIMELINE"] == result["TIMELINE again"] == ["A", "B", "D", "Speed"]
    assert [s[0] for s in result["after"] if s[5]] == ["A", "B", "C", "D", "Speed"]
    assert result["channel restored"] == ["D (cleaned)"]
    assert result["restored"] == result["before"]


def test_what_the_panel_says_is_in_the_job(seen, clips):
    result = case(seen, "settings_reach_the_job")

    job = result["job"]
    assert not result["error"]
    assert job["kinds"] == ["logo", "subtitle"]
    assert (job["quality"], job["device"], job["codec"]) == ("best", "cpu", "ffv1")
    assert job["range"] == [4, 40]
    assert job["search_areas"] == [[96, 0, 96, 32]]
    assert job["hold_outs"] == [clips[0]["matte"]]
    assert job["output"].endswith(".mkv")
    assert job["report"].endswith(".html")


def test_what_was_found_is_listed_ticked_and_removed_by_the_plan(seen):
    result = case(seen, "found_and_ticked")

    assert not result["error"]
    assert [strip[0] for strip in result["timeline"]] == ["Clip"]
    assert result["ids"] == ["logo-1", "subtitle-1"]
    # The strip begins at frame 17 with file frame 6; the lines show from file frames 8 and 18.
    assert result["jumped"] == [19, 29]
    assert result["markers"] == [["And good night", 29], ["Good morning", 19]]
    assert result["texts"] == [[19, 26, "Good morning"], [29, 37, "And good night"]]
    assert result["shown"] == "logo-1"
    assert result["job"]["plan"].endswith(".part.json")
    assert result["enabled"] == {"logo-1": False, "subtitle-1": True}


def test_areas_and_mattes_lie_where_the_picture_is(seen):
    result = case(seen, "preview_places")

    assert np.allclose(result["back"], [30, 10], atol=1e-3)
    assert np.allclose(result["shares"], [0.25, 0.25, 0.75, 0.75], atol=1e-6)


def test_a_mask_strip_becomes_a_hold_out_and_an_image_strip_a_search_area(seen, clips):
    result = case(seen, "mask_as_area")

    (use, path), second = result["areas"]
    assert use == "HOLD_OUT"
    assert second == ["SEARCH", clips[0]["matte"]]
    assert result["after"] == result["before"]
    picture = synth.read_rgb(Path(path))[0]
    assert picture.shape == (128, 192, 3)
    assert (picture[8:-8, 8:88] > 250).all()
    assert (picture[8:-8, 104:-8] < 5).all()


def test_the_real_engine_takes_a_logo_out_on_the_timeline(seen, clips):
    result = case(seen, "the_real_engine")

    assert not result["error"]
    assert result["found"] == ["logo"]
    assert result["report"]
    truth = clips[1]
    clean, masks = truth.clean[10:110], truth.masks[10:110]
    before, after = list(rendered(result["before"])), list(rendered(result["after"]))
    assert synth.psnr(after, clean, masks) > synth.psnr(before, clean, masks) + 10
    rest = [~mask for mask in masks]
    assert synth.psnr(after, before, rest) > 35


def test_blenders_own_validator_accepts_the_extension(seen, tmp_path):
    tools = sorted(
        blenders.FOLDER.glob("*/lib/python*/site-packages/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py")
    )
    if not tools:
        pytest.skip("no Blender from PyPI is here, which brings the validator")
    archive = install_blender.build(str(tmp_path / "autowipe.zip"), sys.executable)

    done = subprocess.run([sys.executable, str(tools[-1]), "validate", archive], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Success" in done.stdout


def test_the_archive_holds_the_add_on_its_link_and_where_the_engine_is(tmp_path):
    archive = zipfile.ZipFile(install_blender.build(str(tmp_path / "autowipe.zip"), "/somewhere/python"))

    names = archive.namelist()
    assert {"autowipe/__init__.py", "autowipe/blender_manifest.toml", "autowipe/autowipe_link.py"} <= set(names)
    assert "autowipe/LICENSE" in names
    assert json.loads(archive.read("autowipe/engine.json")) == {"engine": "/somewhere/python"}
    assert not [name for name in names if "__pycache__" in name]


def test_containers_that_the_add_on_asks_for_are_written_by_the_engine():
    source = (ROOT / "plugin" / "blender" / "jobs.py").read_text("utf-8")
    begin = source.index("SUFFIXES = ")
    values = {}
    exec(source[begin : source.index("SUFFIX_FOR")], values)

    assert set(values["SUFFIXES"]) == set(encoders.FORMATS)
