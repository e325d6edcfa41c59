"""The ledger: AutoWipe replaces its own files, and nothing that somebody made or changed."""

import os

import pytest
from autowipe import ledger
from autowipe.errors import JobError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "state"))


def made(path, text):
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    ledger.appear([(part, path)])


def test_a_file_of_the_users_is_never_replaced_unasked(tmp_path):
    path = tmp_path / "holiday.mp4"
    path.write_bytes(b"precious")

    with pytest.raises(JobError, match="exists already"):
        ledger.check_free([str(path)], overwrite=False)

    ledger.check_free([str(path)], overwrite=True)


def test_what_is_no_file_is_not_replaced_even_when_asked(tmp_path):
    for path in (str(tmp_path), os.devnull):
        with pytest.raises(JobError, match=r"folder|device"):
            ledger.check_free([path], overwrite=True)


def test_what_autowipe_wrote_may_be_written_again_until_somebody_changes_it(tmp_path):
    path = tmp_path / "clean ü.srt"
    made(path, "made by us")

    ledger.check_free([str(path)], overwrite=False)
    path.write_text("edited by hand")

    with pytest.raises(JobError, match="changed since"):
        ledger.check_free([str(path)], overwrite=False)


def test_a_ledger_that_cannot_be_written_stops_nothing(tmp_path, monkeypatch):
    (tmp_path / "state").write_text("a file where the folder should be")
    path = tmp_path / "out.mp4"

    made(path, "x")

    assert path.read_text() == "x"
    with pytest.raises(JobError):
        ledger.check_free([str(path)], overwrite=False)


def test_a_line_cut_short_by_a_crash_hurts_no_other(tmp_path):
    path = tmp_path / "out.mp4"
    made(path, "x")
    file = next((tmp_path / "state").rglob("written.jsonl"))
    file.write_text('["/half' + "\n" + file.read_text() + '["/ha')

    ledger.check_free([str(path)], overwrite=False)


def test_a_run_killed_before_its_file_appears_has_noted_it_already(tmp_path, monkeypatch):
    path, part = tmp_path / "out.mp4", tmp_path / "part"
    part.write_text("whole")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ledger.os, "replace", killed)
        ledger.appear([(part, path)])
    part.replace(path)

    ledger.check_free([str(path)], overwrite=False)


def test_a_link_that_leads_nowhere_is_left_alone(tmp_path):
    path = tmp_path / "out.mp4"
    path.symlink_to(tmp_path / "gone.mp4")

    with pytest.raises(JobError, match="exists already"):
        ledger.check_free([str(path)], overwrite=False)
