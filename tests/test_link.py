"""The link between a host and the engine: every way in which a run can end, and what the host is told."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import synth
from autowipe import job as engine_job
from autowipe import protocol
from conftest import ROOT

FAKE = str(Path(__file__).with_name("fake_engine.py"))
LINK = ROOT / "plugin" / "autowipe_link.py"
PATIENCE = 60.0  # s; a run that ends takes a fraction of it

spec = importlib.util.spec_from_file_location("autowipe_link", LINK)
link = importlib.util.module_from_spec(spec)
spec.loader.exec_module(link)


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "a clip é.mp4"
    path.write_bytes(b"not looked into")
    return path


@pytest.fixture
def start(clip, tmp_path):
    runs = []

    def start(outcome, **settings):
        job = {"source": str(clip), "output": str(tmp_path / "clean.mp4"), **settings.pop("job", {})}
        engine = [sys.executable, FAKE, outcome]
        runs.append(link.EngineRun(engine, job, str(tmp_path / "jobs é"), **settings))
        return runs[-1]

    yield start
    for run in runs:
        run.close(0)


def follow(run):
    messages = []
    until = time.monotonic() + PATIENCE
    while not run.is_over and time.monotonic() < until:
        messages += run.poll()
        time.sleep(0.01)
    return messages


def wait_for(run, kind):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if any(message["type"] == kind for message in run.poll()):
            return
        time.sleep(0.01)
    raise AssertionError(f"no {kind} came")


def is_alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def test_the_link_says_what_the_engine_knows():
    assert link.JOB_VERSION == engine_job.JOB_VERSION
    assert link.PROTOCOL == protocol.PROTOCOL
    assert link.KINDS == engine_job.KINDS
    assert link.CODECS == engine_job.CODECS
    assert link.QUALITIES == engine_job.QUALITIES
    assert link.DEVICES == engine_job.DEVICES


def test_a_run_hands_over_every_message_and_leaves_no_process(start, tmp_path):
    run = start("done")
    assert run.state == link.STARTING

    messages = follow(run)

    assert [m["type"] for m in messages if m["type"] != "message of a later version"] == [
        "hello",
        "plan",
        "progress",
        "overlay",
        "result",
    ]
    assert run.state == link.DONE
    assert run.last["output"] == str(tmp_path / "clean.mp4")
    assert not is_alive(run.pid)
    assert run.poll() == []


def test_poll_never_waits_for_an_engine_that_says_nothing(start):
    run = start("deaf")
    wait_for(run, "plan")

    began = time.monotonic()
    for _ in range(1000):
        run.poll()

    assert time.monotonic() - began < 1.0  # a single wait for the engine would take for ever
    assert run.state == link.RUNNING


def test_progress_that_piles_up_is_one_message(start):
    run = start("flood")
    until = time.monotonic() + PATIENCE
    while is_alive(run.pid) and time.monotonic() < until:
        time.sleep(0.05)

    messages = follow(run)

    progress = [m for m in messages if m["type"] == "progress"]
    assert len(progress) == 1
    assert progress[0]["done"] == 19999
    assert run.state == link.DONE


@pytest.mark.parametrize("outcome", ["waits", "hears-only-the-end", "deaf", "stubborn"])
def test_cancel_ends_every_engine_and_says_so(start, outcome, tmp_path):
    run = start(outcome, patience_s=0.3)
    wait_for(run, "plan")

    run.cancel()
    messages = follow(run)

    assert messages[-1]["type"] == "error"
    assert messages[-1]["code"] == "cancelled"
    assert run.state == link.CANCELLED
    assert not is_alive(run.pid)
    assert not (tmp_path / "clean.mp4").exists()


def test_cancel_before_hello_counts_too(start):
    run = start("silent", patience_s=0.2)

    run.cancel()
    follow(run)

    assert run.state == link.CANCELLED


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("fails", "The disk is full."),
        ("dies", "exit code 7"),
        ("killed", "killed by signal 9"),
        ("noise", "not the AutoWipe engine"),
        ("protocol", "speaks protocol 9"),
    ],
)
def test_every_failure_is_one_last_sentence_with_a_hint(start, outcome, words):
    run = start(outcome)

    messages = follow(run)

    assert [m["type"] for m in messages if m["type"] in ("result", "error")] == ["error"]
    assert words in messages[-1]["text"]
    assert messages[-1]["hint"]
    assert run.state == link.FAILED
    assert not is_alive(run.pid)


def test_what_a_dying_engine_said_last_is_told(start):
    run = start("dies")

    follow(run)

    assert "MemoryError: out of it" in run.last["text"]
    assert run.log_file in run.last["hint"]


def test_noise_among_the_messages_is_told_once_and_left_out(start):
    run = start("later-noise")

    messages = follow(run)

    warnings = [m for m in messages if m["type"] == "warning"]
    assert len(warnings) == 1
    assert "libsomething: a warning" in warnings[0]["text"]
    assert run.state == link.DONE


@pytest.mark.parametrize(
    ("outcome", "settings", "words"),
    [("silent", {"hello_s": 0.3}, "did not begin"), ("deaf", {"silence_s": 0.5}, "said nothing")],
)
def test_an_engine_that_says_nothing_is_stopped(start, outcome, settings, words):
    run = start(outcome, **settings)

    follow(run)

    assert words in run.last["text"]
    assert run.state == link.FAILED
    assert not is_alive(run.pid)


def test_an_engine_that_stays_after_its_result_is_stopped_and_the_result_counts(start, monkeypatch):
    monkeypatch.setattr(link, "_EXIT_S", 0.3)
    run = start("lingers")

    follow(run)

    assert run.state == link.DONE
    assert not is_alive(run.pid)


def test_close_ends_the_engine_before_the_host_goes(start):
    run = start("stubborn")
    wait_for(run, "plan")

    run.close(0.2)

    assert not is_alive(run.pid)


def test_many_runs_leave_neither_threads_nor_open_files(start, tmp_path):
    follow(start("done"))
    (tmp_path / "clean.mp4").unlink()
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    for _ in range(8):
        follow(start("done"))
        (tmp_path / "clean.mp4").unlink()

    until = time.monotonic() + PATIENCE
    while threading.active_count() > threads and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() == threads
    assert not files or len(os.listdir("/proc/self/fd")) == files


def test_jobs_of_one_name_do_not_overwrite_each_other(tmp_path):
    paths = [link.write_job(str(tmp_path / "new"), "Clip 1/à", {"source": "/x", "output": "/y"}) for _ in range(3)]

    assert len(set(paths)) == 3
    assert json.loads(Path(paths[0]).read_text())["autowipe_job"] == 1
    assert engine_job.Job.from_json(Path(paths[0]).read_text()).source == "/x"


def test_a_job_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(link.LinkError, match="cannot be written") as caught:
        link.write_job(str(tmp_path / "file" / "jobs"), "x", {})

    assert caught.value.hint


def test_an_engine_that_cannot_be_started_is_told(clip, tmp_path):
    with pytest.raises(link.LinkError, match="cannot be started"):
        link.EngineRun([str(clip)], {"source": "/x"}, str(tmp_path))


def environment_in(folder):
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    (folder / "pyvenv.cfg").touch()
    return python


def test_the_engine_is_found_from_any_name_for_it(tmp_path, monkeypatch):
    python = environment_in(tmp_path / "AutoWipe" / ".venv")
    words = [str(python), "-I", "-m", "autowipe"]
    command = python.with_name("autowipe")
    command.touch()

    assert link.find_engine(str(tmp_path / "AutoWipe")) == words
    assert link.find_engine(str(tmp_path / "AutoWipe" / ".venv")) == words
    assert link.find_engine(str(python)) == words
    assert link.find_engine(str(command)) == [str(command)]
    monkeypatch.setenv("AUTOWIPE_ENGINE", str(tmp_path / "AutoWipe"))
    assert link.find_engine() == words


def test_the_file_beside_the_link_names_the_engine(tmp_path):
    python = environment_in(tmp_path / "elsewhere")
    copy = tmp_path / "host" / "autowipe_link.py"
    copy.parent.mkdir()
    copy.write_text(LINK.read_text("utf-8"), "utf-8")
    (copy.parent / "engine.json").write_text(json.dumps({"engine": str(python)}))
    other_spec = importlib.util.spec_from_file_location("copied_link", copy)
    other = importlib.util.module_from_spec(other_spec)
    other_spec.loader.exec_module(other)

    assert other.find_engine()[0] == str(python)


def test_a_place_without_an_engine_is_told_and_nothing_else_is_tried(tmp_path):
    with pytest.raises(link.LinkError, match="no AutoWipe engine at") as caught:
        link.find_engine(str(tmp_path))

    assert "install.py" in caught.value.hint


def test_the_hosts_python_does_not_reach_the_engine(monkeypatch):
    for name in ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "/host")
    monkeypatch.setenv("HOME_OF_MINE", "kept")

    environment = link.clean_environment()

    assert "/host" not in environment.values()
    assert environment["HOME_OF_MINE"] == "kept"
    assert "PATH" in environment


def test_the_doctor_answers_without_being_waited_for(tmp_path):
    script = tmp_path / "doctor.py"
    script.write_text("import sys, time; time.sleep(0.2); print('all is well, ' + sys.argv[1])")

    doctor = link.Doctor([sys.executable, str(script)])
    assert doctor.text is None
    until = time.monotonic() + PATIENCE
    while doctor.text is None and time.monotonic() < until:
        time.sleep(0.01)

    assert doctor.text == "all is well, doctor"


def test_the_real_engine_carries_out_a_job_of_the_links(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # as a host may set it
    truth = synth.make(tmp_path / "clip.mp4", [synth.Burnt(synth.badge((60, 30)), (240, 10), 0, 48)], count=48)
    job = {"source": str(truth.path), "output": str(tmp_path / "clean.mp4"), "range": [8, 40], "quality": "draft"}

    engine = link.find_engine(sys.executable)
    run = link.EngineRun(engine, job, str(tmp_path / "jobs"))
    messages = follow(run)

    assert run.state == link.DONE, run.last
    assert messages[0]["type"] == "hello"
    assert run.last["frames"] == 32
    assert len(synth.read_rgb(tmp_path / "clean.mp4")) == 32


def test_the_link_runs_on_the_oldest_python_where_there_is_one(clip, tmp_path):
    name = shutil.which("python3.6")
    # A name that pyenv has put there may lead nowhere.
    if name is None or subprocess.run([name, "--version"], capture_output=True).returncode:
        pytest.skip("no Python 3.6 on this machine")
    code = (
        "import sys, time; sys.path.insert(0, {!r}); import autowipe_link as link\n"
        "run = link.EngineRun([{!r}, {!r}, 'done'], {!r}, {!r})\n"
        "while not run.is_over: run.poll(); time.sleep(0.05)\n"
        "print(run.state)"
    ).format(
        str(LINK.parent),
        sys.executable,
        FAKE,
        {"source": str(clip), "output": str(tmp_path / "clean.mp4")},
        str(tmp_path),
    )

    done = subprocess.run([name, "-c", code], capture_output=True, text=True, timeout=PATIENCE)

    assert done.stdout.strip() == "done", done.stderr
