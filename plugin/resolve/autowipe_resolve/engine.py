"""The engine for this adapter: started through autowipe_link, its messages counted up to one share of the work."""

import os

import autowipe_link

from . import settings
from .host import Refused

STAGES = {"look": "looking for overlays", "measure": "measuring them", "wipe": "wiping"}
STOP_S = 20.0  # for the engine to leave a state that the next run goes on from


def start(job, name="clip"):
    """Starts a job; raises Refused where there is no engine, or its folder cannot be written to."""
    folder = os.path.join(settings.settings_folder(), "jobs")
    try:
        return Engine(autowipe_link.EngineRun(autowipe_link.find_engine(), job, folder, name))
    except autowipe_link.LinkError as err:
        raise Refused("{} {}".format(err.text, err.hint).strip()) from err


def window_command():
    """The engine's Python and the environment for a window of its own; (None, None) where there is no engine."""
    try:
        words = autowipe_link.find_engine()
    except autowipe_link.LinkError:
        return None, None
    return (words[0] if "-m" in words else None), autowipe_link.clean_environment()


class Engine:
    """One job at work: `poll` hands over messages, `progress` is (what it does, share done)."""

    def __init__(self, run):
        self._run = run
        self.progress = ("starting", 0.0)
        self._stages = []

    def poll(self):
        messages = self._run.poll()
        for message in messages:
            if message["type"] == "plan":
                self._stages = list(message.get("stages", []))
            elif message["type"] == "progress":
                self.progress = _progress(message, self._stages)
        return messages

    def close(self):
        """Stops it if it is still at work; of a job that went well neither file nor log stays."""
        if not self._run.is_over:
            self._run.close(STOP_S)
        if self._run.state == autowipe_link.DONE:
            for path in (self._run.job_file, self._run.log_file):
                if os.path.exists(path):
                    os.remove(path)


def _progress(message, stages):
    stage, total = message.get("stage", ""), message.get("total") or 1
    share = min(1.0, message.get("done", 0) / total)
    if stage in stages:
        share = (stages.index(stage) + share) / len(stages)
    text, left = STAGES.get(stage, stage), message.get("eta_s")
    if left is not None:
        text += ", {}:{:02d} left".format(*divmod(int(round(left)), 60))
    return text, share
