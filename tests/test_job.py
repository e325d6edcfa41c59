"""Jobs: what they hold, how they are written, and that mistakes are named."""

import json
import os

import pytest
from autowipe.errors import JobError
from autowipe.job import Job, parse_area
from autowipe.timing import FrameRange


def job_text(**values):
    files = {"source": os.path.abspath("a.mp4"), "output": os.path.abspath("b.mp4")}
    return json.dumps({"autowipe_job": 1, **files, **values})


def test_a_job_comes_back_from_its_file_as_it_was(tmp_path):
    job = Job(
        source=str(tmp_path / "clip ä.mov"),
        output=str(tmp_path / "out.mov"),
        kinds=("logo", "subtitle"),
        completers=("borrow",),
        range=FrameRange(10, 90),
        search_areas=((0, 0, 20, 10), str(tmp_path / "area.png")),
        codec="ffv1",
        resume=True,
    )

    assert Job.from_json(job.to_json()) == job


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"kindz": ["logo"]}, "kindz"),
        ({"kinds": ["banner"]}, "banner"),
        ({"kinds": []}, "kind"),
        ({"kinds": "logo"}, "kinds"),
        ({"completers": ["guess"]}, "guess"),
        ({"completers": "borrow"}, "completers"),
        ({"codec": "divx"}, "divx"),
        ({"quality": "superb"}, "superb"),
        ({"range": [9, 3]}, "range"),
        ({"range": "0:9"}, "range"),
        ({"search_areas": [[0, 0, 0, 5]]}, "empty"),
        ({"hold_outs": [[0, 0, 5]]}, "hold_outs"),
        ({"source": "relative.mp4"}, "absolute"),
        ({"report": os.path.abspath("r.html") + "\0"}, "absolute"),
        ({"source": os.path.abspath("a\udcff.mp4")}, "no text"),
        ({"hold_outs": [os.path.abspath("a\udcff.png")]}, "hold_outs: .* no text"),
        ({"search_areas": [os.path.abspath("a.png") + "\0"]}, "search_areas"),
        ({"resume": "yes"}, "resume"),
        ({"output": None}, "output"),
        ({"matte": os.path.abspath("b.mp4")}, "same file"),
        ({"plan": os.path.abspath("p.json"), "matte_in": os.path.abspath("m.png")}, "plan"),
    ],
)
def test_a_wrong_job_is_refused_by_the_name_of_what_is_wrong(values, word):
    with pytest.raises(JobError, match=word) as caught:
        Job.from_json(job_text(**values))

    assert caught.value.exit_code == 2
    assert caught.value.text


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"autowipe_job": 2}', '{"autowipe_job": 1}'])
def test_what_is_no_job_is_refused_in_a_sentence(text):
    with pytest.raises(JobError):
        Job.from_json(text)


def test_a_key_that_is_there_twice_is_named():
    with pytest.raises(JobError, match="'codec' is there twice"):
        Job.from_json('{"autowipe_job": 1, "codec": "ffv1", "source": "/a", "codec": "h264"}')


def test_the_output_may_not_be_the_source_not_even_by_a_link(tmp_path):
    source = tmp_path / "clip.mp4"
    source.write_bytes(b"film")
    link = tmp_path / "other.mp4"
    link.symlink_to(source)

    for output in (source, link, tmp_path / "x" / ".." / "clip.mp4"):
        with pytest.raises(JobError, match="same file"):
            Job(source=str(source), output=str(output))


def test_a_macs_disk_tells_neither_case_nor_accents_apart(monkeypatch):
    monkeypatch.setattr("autowipe.job.sys.platform", "darwin")

    with pytest.raises(JobError, match="same file"):
        Job(source=os.path.abspath("Caf\u00e9.mov"), output=os.path.abspath("cafe\u0301.MOV"))


def test_an_area_is_a_box_or_a_file():
    assert parse_area("1,2,30,40") == (1, 2, 30, 40)
    assert parse_area("areas,of,the,film.png") == os.path.abspath("areas,of,the,film.png")


@pytest.mark.parametrize("text", ["1,2,30", "1,2,30,40,50", "1.5,2,30,40", "10:20"])
def test_numbers_that_are_no_box_are_not_taken_for_a_file(text):
    with pytest.raises(JobError, match="not an area"):
        parse_area(text)
