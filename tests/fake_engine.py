"""Speaks the engine's protocol with scripted outcomes, and is as strict about a job as the engine itself.

    python fake_engine.py OUTCOME engine JOB.json

`negative` inverts every picture of the range, losslessly: which frames came back, and where, shows in the pixels.
"""

import json
import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from autowipe.errors import AutoWipeError
from autowipe.job import Job
from autowipe.plan import Event, Overlay, Plan, Source
from autowipe.timing import FrameRange

HELLO = {"type": "hello", "protocol": 1, "engine": "fake"}
BOX = (8, 8, 40, 16)


def say(**message):
    print(json.dumps(message), flush=True)


def main(outcome, command, job_file):
    assert command == "engine", command
    if outcome == "silent":
        time.sleep(3600)
    if outcome == "noise":
        print("Usage: some other program", flush=True)
        time.sleep(3600)
    if outcome == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(**dict(HELLO, protocol=9 if outcome == "protocol" else 1))
    try:
        job = Job.from_json(Path(job_file).read_text("utf-8"), job_file)
        for path in (job.output, job.save_plan):
            if path and os.path.exists(path) and not job.overwrite:
                raise AutoWipeError(f"{path} is there already", code="exists", hint="Choose another name.")
        if not os.path.exists(job.source):
            raise AutoWipeError(f"{job.source} does not exist", code="media", hint="Check the path.")
    except AutoWipeError as err:
        say(type="error", code=err.code, text=err.text, hint=err.hint)
        return err.exit_code
    say(type="plan", frames=100, shots=1, stages=["look", "wipe"])
    say(type="progress", stage="look", done=10, total=100, eta_s=9.5)
    return OUTCOMES[outcome](job)


def done(job):
    found = {"kind": "logo", "events": [[0, 100]], "box": list(BOX), "confidence": 0.9}
    say(type="overlay", id="logo-1", **found, field_of_a_later_version=1)
    say(type="message of a later version")
    if job.save_plan:
        _write_plan(job)
    if job.output:
        shutil.copyfile(job.source, job.output)
    return _result(job)


def negative(job):
    import av

    first, stop = (job.range.start, job.range.stop) if job.range else (0, 10**9)
    count = 0
    part = f"{job.output}.part{Path(job.output).suffix}"
    with av.open(job.source) as clip, av.open(part, "w") as out:
        rate = clip.streams.video[0].average_rate
        stream = out.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = clip.streams.video[0].width, clip.streams.video[0].height, "bgr0"
        for index, frame in enumerate(clip.decode(video=0)):
            if first <= index < stop:
                picture = av.VideoFrame.from_ndarray(255 - frame.to_ndarray(format="rgb24"), format="rgb24")
                picture.pts, picture.time_base = count, Fraction(1) / rate
                out.mux(stream.encode(picture))
                count += 1
        out.mux(stream.encode())
    os.replace(part, job.output)
    return _result(job, count)


def short(job):
    """A result with a frame too few."""
    return negative(replace(job, range=FrameRange(job.range.start, job.range.stop - 1)))


def finds(job):
    """A logo and two subtitles; a wipe that follows writes down which overlays its plan has switched on."""
    if job.plan:
        plan = Plan.from_json(Path(job.plan).read_text("utf-8"), job.plan)
        enabled = {overlay.id: overlay.enabled for overlay in plan.overlays}
        Path(job.output).with_name("enabled.json").write_text(json.dumps(enabled))
    if job.save_plan:
        _write_plan(job)
    return negative(job) if job.output else _result(job)


def _write_plan(job):
    span = job.range or FrameRange(0, 100)
    first = span.start
    lines = [Event(FrameRange(first + 2, first + 9), text="Good morning"), Event(FrameRange(first + 12, first + 20))]
    lines[1] = replace(lines[1], text="And good night")
    overlays = (
        Overlay("logo-1", "logo", BOX, (Event(span),), confidence=0.9),
        Overlay("subtitle-1", "subtitle", (8, 40, 60, 16), tuple(lines), confidence=0.8),
    )
    source = Source(job.source, (96, 64), Fraction(25), span.stop, "fake")
    Path(job.save_plan).write_text(Plan(source, span, (span,), overlays).to_json(), "utf-8")


def _result(job, frames=100):
    shares = {"unblended": 0.5, "borrowed": 0.5, "invented": 0.0}
    body = {"output": job.output, "plan": job.save_plan, "overlays": 1, "frames": frames, "changed_frames": frames}
    say(type="result", **body, provenance=shares, files={}, text="1 overlay wiped.")
    return 0


def lingers(job):
    done(job)
    time.sleep(3600)


def fails(job):
    say(type="error", code="no-space", text="The disk is full.", hint="Make room and run it again.")
    return 3


def dies(job):
    print("Traceback\nMemoryError: out of it", file=sys.stderr, flush=True)
    os._exit(7)


def killed(job):
    os.kill(os.getpid(), signal.SIGKILL)


def later_noise(job):
    print("libsomething: a warning", flush=True)
    print("libsomething: another", flush=True)
    return done(job)


def flood(job):
    for i in range(20000):
        say(type="progress", stage="wipe", done=i, total=20000, eta_s=None)
    return done(job)


def waits(job):
    """Works until it is told to stop: by the line, or by the end of its input."""
    told = threading.Event()

    def listen():
        for line in sys.stdin:
            if line.strip() == "cancel":
                break
        told.set()

    threading.Thread(target=listen, daemon=True).start()
    while not told.wait(0.05):
        say(type="progress", stage="wipe", done=1, total=100, eta_s=5.0)
    say(type="error", code="cancelled", text="Cancelled.", hint="")
    return 130


def deaf(job):
    time.sleep(3600)


def hears_only_the_end(job):
    while sys.stdin.readline():
        pass
    say(type="error", code="cancelled", text="Cancelled.", hint="")
    return 130


OUTCOMES = {
    "done": done,
    "negative": negative,
    "short": short,
    "finds": finds,
    "lingers": lingers,
    "fails": fails,
    "dies": dies,
    "killed": killed,
    "later-noise": later_noise,
    "flood": flood,
    "waits": waits,
    "deaf": deaf,
    "stubborn": deaf,
    "hears-only-the-end": hears_only_the_end,
    "protocol": deaf,
}

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
