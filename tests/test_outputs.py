"""What a run will write: nothing that it reads or that is somebody's, all of it told before any work."""

import os

import media
import pytest
from autowipe.decode import open_clip
from autowipe.errors import AutoWipeError, JobError, MediaError
from autowipe.job import Job
from autowipe.outputs import check_outputs, check_pictures, windows_refuses


@pytest.fixture(autouse=True)
def state(tmp_path_factory, monkeypatch):
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def pictures(tmp_path):
    media.write_clip(tmp_path / "a_%04d.png", codec="png", pix_fmt="rgb24", frames=3, container="image2")
    return tmp_path / "a_%04d.png"


def check(job):
    check_outputs(job)
    with open_clip(job.source) as clip:
        check_pictures(job, clip.info, clip.info.whole)


@pytest.mark.parametrize("name", ["a_####.png", "sub/../a_####.png", "link/a_%04d.png"])
def test_a_sequence_is_never_written_over_itself(pictures, name):
    (pictures.parent / "sub").mkdir()
    (pictures.parent / "link").symlink_to(pictures.parent, target_is_directory=True)

    with pytest.raises(JobError) as caught:
        check(Job(source=str(pictures), output=str(pictures.parent / name), overwrite=True))

    assert caught.value.code == "output-is-source"


def test_somebodys_picture_among_those_to_write_is_left_alone(pictures, tmp_path):
    (tmp_path / "b_0002.png").write_bytes(b"a holiday")
    job = Job(source=str(pictures), output=str(tmp_path / "b_####.png"))

    with pytest.raises(JobError, match=r"b_0002\.png exists already"):
        check(job)


@pytest.mark.parametrize("role", ["output", "matte", "report", "srt", "save_plan"])
@pytest.mark.parametrize("name", ["clip.mkv", "areas.png"])
def test_no_output_is_another_name_of_what_is_read(tmp_path, role, name):
    media.write_clip(tmp_path / "clip.mkv", frames=2)
    (tmp_path / "areas.png").write_bytes(b"grey")
    os.link(tmp_path / name, tmp_path / "hard.mkv")
    names = {"output": str(tmp_path / "out.mkv"), role: str(tmp_path / "hard.mkv")}

    with pytest.raises(JobError) as caught:
        check(Job(source=str(tmp_path / "clip.mkv"), hold_outs=(str(tmp_path / "areas.png"),), overwrite=True, **names))

    assert caught.value.code == "output-is-source"


@pytest.mark.skipif(
    os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
@pytest.mark.parametrize("role", ["output", "report", "srt", "save_plan"])
def test_a_folder_that_may_not_be_written_to_is_told_before_any_work(tmp_path, role):
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    names = {"output": str(tmp_path / "out.mkv"), role: str(closed / "out.mkv")}

    with pytest.raises(MediaError) as caught:
        check_outputs(Job(source=str(tmp_path / "clip.mkv"), **names))

    assert caught.value.code == "no-permission"


@pytest.mark.parametrize("name", ["x" * 240 + ".mkv", "x" * 300 + "/out.mkv"])
def test_a_name_too_long_for_the_disk_is_told_before_any_work(tmp_path, name):
    with pytest.raises(AutoWipeError):
        check_outputs(Job(source=str(tmp_path / "clip.mkv"), output=str(tmp_path / name)))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("C:\\Films\\clean é.mkv", None),
        ("\\\\server\\share\\console.mkv", None),
        ("C:\\Films\\con.mkv", "con.mkv"),
        ("C:\\aux\\a.mkv", "aux"),
        ("D:\\a\\what?.mkv", "what?.mkv"),
        ("D:\\a\\10:30.mkv", "10:30.mkv"),
        ("D:\\ends. \\a.mkv", "ends. "),
    ],
)
def test_names_that_windows_does_not_take_are_known(path, name):
    assert windows_refuses(path) == name


def test_what_a_killed_run_left_of_a_plans_maps_stops_no_later_one(tmp_path):
    (tmp_path / "plan.maps").mkdir()
    (tmp_path / "plan.maps" / ".logo-1.matte.autowipe-part.png").write_bytes(b"ha")
    job = Job(source=str(tmp_path / "clip.mkv"), task="perceive", save_plan=str(tmp_path / "plan.json"))

    check_outputs(job)
    (tmp_path / "plan.maps" / "painted.png").write_bytes(b"mine")

    with pytest.raises(JobError, match=r"painted\.png"):
        check_outputs(job)
