"""Submits a batch to OpenCue: python3 opencue_submit.py --show SHOW --shot SHOT -- autowipe batch cut.otio -o FOLDER"""

import argparse
import getpass
import sys

from batch_jobs import Refused, finish, jobs_of, split


def build(options, jobs, batch):
    """The outline: a layer with a frame a clip, and a frame that waits for it."""
    import outline
    import outline.modules.shell

    job = outline.Outline(options.name, show=options.show, shot=options.shot, user=getpass.getuser())
    last = outline.modules.shell.ShellCommand("finish", command=finish(batch))
    if jobs:
        memory = max(entry["memory_mb"] for entry in jobs)
        clips = outline.modules.shell.ShellSequence(
            "clips", commands=[entry["command"] for entry in jobs], memory=f"{memory}m"
        )
        job.add_layer(clips)
    job.add_layer(last)
    if jobs:
        last.depend_all(clips)
    return job


def main(words):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", required=True)
    parser.add_argument("--shot", required=True)
    parser.add_argument("--name", default="autowipe")
    own, batch = split(words)
    options = parser.parse_args(own)
    job = build(options, jobs_of(batch), batch)
    import outline.cuerun

    outline.cuerun.launch(job, use_pycuerun=False)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Refused as reason:
        print(reason, file=sys.stderr)
        sys.exit(2)
