"""Submits a batch to Flamenco 3: python3 flamenco_submit.py http://manager:8080 -- autowipe batch cut.otio -o FOLDER"""

import argparse
import json
import sys
import urllib.error
import urllib.request

from batch_jobs import Refused, finish, jobs_of, split

JOB_TYPE = "autowipe-batch"  # the name of the script in the Manager
PLATFORMS = {"win32": "windows", "darwin": "darwin"}


def body_of(name, priority, jobs, batch):
    """The job as the Manager's API takes it; settings hold text only, so the commands are JSON in one."""
    tasks = [{"name": entry["name"], "command": entry["command"]} for entry in jobs]
    return {
        "name": name,
        "type": JOB_TYPE,
        "priority": priority,
        "submitter_platform": PLATFORMS.get(sys.platform, "linux"),
        "settings": {"tasks": json.dumps(tasks), "finish": json.dumps(finish(batch))},
        "metadata": {"project": name},
    }


def main(words):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manager", help="URL of the Flamenco Manager")
    parser.add_argument("--name", default="AutoWipe")
    parser.add_argument("--priority", type=int, default=50)
    own, batch = split(words)
    options = parser.parse_args(own)
    body = body_of(options.name, options.priority, jobs_of(batch), batch)
    request = urllib.request.Request(
        options.manager.rstrip("/") + "/api/v3/jobs",
        data=json.dumps(body).encode("utf-8"),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            print("Submitted as job " + json.loads(answer.read().decode("utf-8"))["id"])
    except urllib.error.HTTPError as err:
        raise Refused("Flamenco refused the job: " + err.read().decode("utf-8", "replace")) from err
    except OSError as err:
        raise Refused(f"Flamenco does not answer at {options.manager}: {err}") from err
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Refused as reason:
        print(reason, file=sys.stderr)
        sys.exit(2)
