"""What both submit scripts share: the words of a batch, and the commands that it takes; standard library only."""

import json
import subprocess


class Refused(Exception):
    """A sentence that says why nothing was submitted."""


def split(words):
    """The script's own words, and those of the batch, which follow a `--`."""
    if "--" not in words or "batch" not in words[words.index("--") :]:
        raise Refused("Put the batch behind --, such as: -- /opt/autowipe/.venv/bin/autowipe batch cut.otio -o FOLDER")
    place = words.index("--")
    return words[:place], words[place + 1 :]


def jobs_of(batch):
    """The jobs of a batch as `--list-jobs` prints them: a list of objects with id, name, memory_mb, gpu, command."""
    done = subprocess.run([*batch, "--list-jobs"], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Refused(f"AutoWipe could not list the jobs (exit code {done.returncode})")
    return json.loads(done.stdout)


def finish(batch):
    """The command of the last task: the batch itself, trying once more what failed."""
    return batch + ([] if "--retry-failed" in batch else ["--retry-failed"])
