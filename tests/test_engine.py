"""The engine as adapters drive it: a job file in, messages out, cancelled by a line or by the host's end."""

import json
import subprocess
import sys

import pytest
import synth


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    overlays = [synth.Burnt(synth.badge((60, 30)), (240, 10), 0, 90)]
    return synth.make(tmp_path_factory.mktemp("engine") / "clip.mp4", overlays, count=90, size=(320, 180))


@pytest.fixture
def job(clip, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def write(**values):
        body = {"autowipe_job": 1, "source": str(clip.path), "output": str(tmp_path / "out.mp4"), **values}
        path = tmp_path / "the job.json"
        path.write_text(json.dumps(body), "utf-8")
        return path

    return write


def start(path):
    return subprocess.Popen(
        [sys.executable, "-m", "autowipe", "engine", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_job_is_carried_out_with_messages_alone_on_stdout(job, tmp_path):
    process = start(job())
    lines = [json.loads(line) for line in process.stdout]
    process.stdin.close()

    assert process.wait(60) == 0
    types = [line["type"] for line in lines]
    assert types[0] == "hello"
    assert types[1] == "plan"
    assert types[-1] == "result"
    assert types.count("result") == 1
    assert {"progress", "overlay"} <= set(types)
    assert lines[0]["protocol"] == 1
    assert (tmp_path / "out.mp4").exists()
    assert process.stderr.read() == ""
    assert (tmp_path / "the job.log").exists()


@pytest.mark.parametrize("how", ["line", "end of stdin"])
def test_the_host_cancels(job, tmp_path, how):
    process = start(job())
    lines = []
    for line in process.stdout:
        lines.append(json.loads(line))
        if lines[-1]["type"] == "progress":
            if how == "line":
                process.stdin.write("cancel\n")
                process.stdin.flush()
            else:
                process.stdin.close()
            break
    lines += [json.loads(line) for line in process.stdout]

    assert process.wait(60) == 130
    assert lines[-1]["type"] == "error"
    assert lines[-1]["code"] == "cancelled"
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("text", ["{", '{"autowipe_job": 1, "sauce": "x"}'])
def test_a_wrong_job_ends_in_one_error_message(tmp_path, text):
    path = tmp_path / "job.json"
    path.write_text(text)
    process = start(path)
    lines = [json.loads(line) for line in process.stdout]

    assert process.wait(60) == 2
    assert [line["type"] for line in lines] == ["hello", "error"]
    assert lines[-1]["hint"]


def test_a_missing_job_file_is_told(tmp_path):
    process = start(tmp_path / "gone.json")
    lines = [json.loads(line) for line in process.stdout]

    assert process.wait(60) == 2
    assert "gone.json" in lines[-1]["text"]
