"""Processes that share the work: what goes over their lines, what they ask, and how they end."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from autowipe.errors import DeviceError, WeightsError
from autowipe.exchange import SLOT, SLOTS, Line
from autowipe.processes import Process, ask, usable_cores


def echo(line: Line) -> None:
    while True:
        line.send(line.recv())


def pid(line: Line) -> None:
    line.send(os.getpid())
    line.recv()


def asks_twice(line: Line) -> None:
    line.recv()
    line.send([ask("square", np.arange(5)), ask("square", 7)])


def asks_for_what_fails(line: Line) -> None:
    ask("fails")


def divides(line: Line) -> None:
    line.send(1 / line.recv())


def says_a_last_word(line: Line) -> None:
    line.send(np.arange(SLOTS * SLOT, dtype=np.uint8))


def dies(line: Line) -> None:
    line.recv()
    os._exit(3)


@pytest.mark.parametrize("size", [0, 1, SLOT - 1, SLOT, SLOT + 1, 3 * SLOTS * SLOT + 17])
def test_arrays_of_any_size_arrive_as_they_were_and_may_be_written_to(size: int) -> None:
    sent = {
        "flat": np.random.default_rng(size).integers(0, 255, size, np.uint8),
        "turned": np.arange(12, dtype=np.float32).reshape(3, 4).T,
        "cut": np.arange(30).reshape(5, 6)[1:4, ::2],
        "none": np.zeros((0, 3)),
        "word": "a",
    }
    process = Process(echo, services={})

    process.send(sent)
    process.send("after")
    got, after = process.receive(), process.receive()
    process.end(at_once=False)

    assert got["word"] == "a"
    assert after == "after"
    for name in ("flat", "turned", "cut", "none"):
        assert np.array_equal(got[name], sent[name])
        assert got[name].dtype == sent[name].dtype
        got[name][...] = 0


def test_what_is_one_array_stays_one() -> None:
    array = np.ones(5)
    process = Process(echo, services={})

    process.send([array, array])
    one, other = process.receive()
    process.end(at_once=True)

    assert one is other


def test_a_process_asks_its_parent() -> None:
    process = Process(asks_twice, services={"square": lambda value: value * value})

    process.send("go")
    many, one = process.receive()
    process.end(at_once=False)

    assert many.tolist() == [0, 1, 4, 9, 16]
    assert one == 49


def test_an_error_of_what_it_asks_for_comes_back_as_it_was() -> None:
    def fails() -> None:
        raise WeightsError("the weight is damaged", code="damaged", hint="Get it anew.")

    process = Process(asks_for_what_fails, services={"fails": fails})

    with pytest.raises(WeightsError, match="the weight is damaged") as caught:
        process.receive()
    process.end(at_once=True)

    assert (caught.value.code, caught.value.hint, caught.value.exit_code) == ("damaged", "Get it anew.", 4)


def test_an_error_of_its_own_says_where_it_was() -> None:
    process = Process(divides, services={})

    process.send(0)
    with pytest.raises(RuntimeError, match="in divides") as caught:
        process.receive()
    process.end(at_once=True)

    assert "ZeroDivisionError" in str(caught.value)


def test_one_that_dies_is_told_to_whom_it_matters() -> None:
    process = Process(dies, services={})

    with pytest.raises(DeviceError, match=r"ended unexpectedly \(exit code 3\)"):
        for _ in range(1000):
            process.send(np.zeros(SLOT, np.uint8))
    with pytest.raises(DeviceError, match=r"exit code 3"):
        process.receive()
    process.end(at_once=False)


def test_the_last_word_of_one_that_has_ended_arrives() -> None:
    process = Process(says_a_last_word, services={})
    process._process.join()

    said = process.receive()
    process.end(at_once=False)

    assert np.array_equal(said, np.arange(SLOTS * SLOT, dtype=np.uint8))


@pytest.mark.parametrize("at_once", [True, False])
def test_nothing_runs_after_the_end(at_once: bool) -> None:
    process = Process(pid, services={})
    number = process.receive()

    process.end(at_once=at_once)

    assert not runs(number)


def test_it_ends_with_its_parent(tmp_path) -> None:
    """Even one that is killed, which can tell nobody."""
    import subprocess
    import sys

    script = (
        "import time\n"
        "from autowipe.processes import Process\n"
        "from test_processes import pid\n"
        "if __name__ == '__main__':\n"
        "    process = Process(pid, services={})\n"
        "    print(process.receive(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    file = tmp_path / "parent.py"
    file.write_text(script, "utf-8")
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([os.path.dirname(__file__), *sys.path]))
    parent = subprocess.Popen([sys.executable, str(file)], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    number = int(parent.stdout.readline())

    parent.kill()
    parent.wait()
    parent.stdout.close()

    deadline = time.monotonic() + 20
    while runs(number) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not runs(number)


def test_cores_are_as_many_as_it_was_told(monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert usable_cores() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def runs(number: int) -> bool:
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        if not os.path.exists("/proc/self"):
            pytest.skip("needs /proc")
        return False
