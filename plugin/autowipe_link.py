"""Starts the engine for a host program and reads its messages without ever holding the host up; standard library only.

    engine = find_engine(configured)          # words that start it; raises LinkError, a sentence to show
    run = EngineRun(engine, job, folder)      # writes the job file and starts the engine
    for message in run.poll():                # never waits; dicts as the engine's protocol.py describes them
        ...                                   # the last one is always one "result" or one "error"
    run.cancel()                              # asks, hangs up, terminates, kills; never waits either

When the last message is there, no process is left. Threads read and watch; only `poll` hands anything over, so an
adapter touches its host from the host's own thread alone. The grammar is that of Python 3.6, as in older hosts.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time

JOB_VERSION = 1
PROTOCOL = 1
# What a job may say, in the engine's own order; its job.py has the last word.
KINDS = ("logo", "dynamic", "subtitle", "watermark")
CODECS = ("auto", "ffv1", "prores", "dnxhr", "h264", "hevc")
QUALITIES = ("draft", "normal", "best")
DEVICES = ("auto", "cuda", "mps", "cpu")

STARTING, RUNNING, DONE, FAILED, CANCELLED = "starting", "running", "done", "failed", "cancelled"

ENGINE_FILE = "engine.json"  # beside this file: {"engine": path}, written by install.py
ENGINE_VARIABLE = "AUTOWIPE_ENGINE"
NO_ENGINE_HINT = "Run python3 install.py in the AutoWipe folder, then choose that folder in the settings."

# Hosts point these at their own Python and libraries, which would break the engine's.
_HOST_VARIABLES = re.compile(r"PYTHON.*|__PYVENV_LAUNCHER__|VIRTUAL_ENV|LD_LIBRARY_PATH|LD_PRELOAD|DYLD_.*|QT_.*")

_LONGEST_LINE = 32 << 20  # bytes; an overlay message with thousands of events stays far below
_EXIT_S = 20.0  # from the last message to the end of the process
_NICENESS = 5  # the host stays ahead of the engine
_NO_WINDOW, _BELOW_NORMAL = 0x08000000, 0x00004000  # Windows; the names came with Python 3.7


class LinkError(Exception):
    """The engine cannot be started: `text` says what and where, `hint` what to do."""

    def __init__(self, text, code="link", hint=""):
        Exception.__init__(self, text)
        self.code, self.text, self.hint = code, text, hint


def find_engine(configured=""):
    """The words that start the engine, to which a command and its arguments are added.

    Looks at `configured`, the variable AUTOWIPE_ENGINE, the file engine.json beside this one, the AutoWipe folder
    that this file lies in, and the command `autowipe`. Each may name the AutoWipe folder, an environment, its
    Python, or the command. Raises LinkError where the first that is given leads nowhere.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    for where in (configured, os.environ.get(ENGINE_VARIABLE, ""), _engine_file(here)):
        if where:
            words = _words_of(os.path.expanduser(where))
            if words is None:
                raise LinkError("There is no AutoWipe engine at {}.".format(where), "no-engine", NO_ENGINE_HINT)
            return words
    words = _words_of(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    if words is None:
        command = shutil.which("autowipe")
        if command is None:
            raise LinkError("The AutoWipe engine was not found.", "no-engine", NO_ENGINE_HINT)
        words = [command]
    return words


def _engine_file(folder):
    try:
        with open(os.path.join(folder, ENGINE_FILE), encoding="utf-8") as file:
            return str(json.load(file)["engine"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _words_of(where):
    """The words for a folder, a Python or a command; None where there is nothing to start."""
    if os.path.isfile(where):
        if re.match(r"python[\d.]*w?(\.exe)?$", os.path.basename(where)):
            return [os.path.abspath(where), "-I", "-m", "autowipe"]
        return [os.path.abspath(where)]
    for folder in (os.path.join(where, ".venv"), where):
        for name in (("Scripts", "python.exe"), ("bin", "python")):
            python = os.path.join(folder, *name)
            # The link to the interpreter stays unresolved: it is what makes it an environment.
            if os.path.isfile(python) and os.path.isfile(os.path.join(folder, "pyvenv.cfg")):
                return [os.path.abspath(python), "-I", "-m", "autowipe"]
    return None


def clean_environment():
    """The host's environment without what leads to the host's own Python and libraries."""
    return {name: value for name, value in os.environ.items() if not _HOST_VARIABLES.match(name)}


def write_job(folder, name, job):
    """Writes a job under a new name in `folder`, which is made; the path. The file says which job version it is.

    Raises LinkError where it cannot be written. The engine's log lies beside it, with the ending .log.
    """
    body = dict(job, autowipe_job=JOB_VERSION)
    text = json.dumps(body, indent=1)  # ASCII
    stem = re.sub(r"[^\w.-]+", "_", name).strip("._") or "job"
    try:
        os.makedirs(folder, exist_ok=True)
        for number in range(1, 100000):
            path = os.path.join(folder, "{}{}.json".format(stem, "" if number == 1 else "-{}".format(number)))
            if os.path.exists(os.path.splitext(path)[0] + ".log"):
                continue
            try:
                with open(path, "x", encoding="ascii") as file:
                    file.write(text)
                return path
            except FileExistsError:
                continue
    except OSError as err:
        text = "The job cannot be written to {}: {}.".format(folder, err.strerror or err)
        raise LinkError(text, "job-folder", "Choose another folder, or make room there.") from err
    raise LinkError("{} is full of jobs.".format(folder), "job-folder", "Empty it, or choose another folder.")


class EngineRun:
    """One run of the engine. `state` follows the messages that `poll` handed over."""

    def __init__(self, engine, job, folder, name="job", hello_s=120.0, silence_s=1800.0, patience_s=15.0):
        """Starts `engine` (words as of find_engine) on `job` (a dict with the keys of the engine's job.py).

        The job file and its log go to `folder`. The engine is killed when it does not say hello within `hello_s`
        seconds or says nothing for `silence_s`. A cancelled one gets `patience_s` to finish its window, as much
        again after its input is closed, and is terminated then. Raises LinkError where it cannot be started.
        """
        self.job_file = write_job(folder, name, job)
        self.log_file = os.path.splitext(self.job_file)[0] + ".log"
        self.state = STARTING
        self.last = None  # the last message, once poll has handed it over
        self._patience_s, self._silence_s = patience_s, silence_s
        self._messages, self._lock = [], threading.Lock()
        self._end = None  # the last message: the engine's own, or why there is none
        self._greeted = self._cancelled = self._warned = False
        self._over, self._wake = threading.Event(), threading.Event()
        self._deadline = time.monotonic() + hello_s
        self._process = _start(list(engine) + ["engine", self.job_file], folder, self.log_file)
        for work in (self._read, self._watch):
            threading.Thread(target=work, name="autowipe-link", daemon=True).start()

    @property
    def pid(self):
        return self._process.pid

    @property
    def is_over(self):
        """Whether `poll` has handed over the last message."""
        return self.last is not None

    def poll(self):
        """The messages since the last call, in order; of progress that has piled up only the newest. Never waits."""
        with self._lock:
            messages, self._messages = self._messages, []
        for message in messages:
            if message["type"] == "hello":
                self.state = RUNNING
            elif message["type"] in ("result", "error"):
                self.last = message
                is_cancelled = message.get("code") == "cancelled"
                self.state = DONE if message["type"] == "result" else CANCELLED if is_cancelled else FAILED
        return messages

    def cancel(self):
        """Asks the engine to stop, ever more firmly. Returns at once; the last message tells how it ended."""
        self._cancelled = True
        self._wake.set()

    def close(self, wait_s=3.0):
        """Stops the engine for good and waits for it at most `wait_s` seconds: the host is going."""
        self._cancelled = True
        if not self._over.is_set():
            self._hang_up()
            if not self._over.wait(wait_s):
                self._kill()
                self._over.wait(2.0)
        self._wake.set()

    def _read(self):
        try:
            for raw in iter(lambda: self._process.stdout.readline(_LONGEST_LINE), b""):
                self._hear(raw)
        except (OSError, ValueError):
            pass  # the pipe is gone; the process's end says why
        code = self._process.wait()
        self._process.stdout.close()
        self._hang_up()
        self._add(self._last_message(code))
        self._over.set()
        self._wake.set()

    def _hear(self, raw):
        """One line of the engine's, kept, or told where it is none."""
        if self._end is not None:
            return
        message = _message(raw)
        if message is None:
            self._hear_noise(raw)
            return
        self._deadline = time.monotonic() + self._silence_s
        if message["type"] == "hello":
            self._greeted = True
            self._wake.set()  # the watch looks at the new deadline
            if message.get("protocol") != PROTOCOL:
                text = "The engine speaks protocol {}, this adapter {}.".format(message.get("protocol"), PROTOCOL)
                self._give_up("protocol", text, "Install the adapter again with the engine's own install.py.")
        if message["type"] in ("result", "error"):
            self._end = message
            self._deadline = time.monotonic() + _EXIT_S
            self._wake.set()
        else:
            self._add(message)

    def _hear_noise(self, raw):
        said = raw[:80].decode("ascii", "replace").strip()
        if not self._greeted:
            self._give_up(
                "not-an-engine",
                "{} is not the AutoWipe engine: it says {!r}.".format(self._process.args[0], said),
                NO_ENGINE_HINT,
            )
        elif not self._warned:
            self._warned = True
            text = "The engine said something that is no message, which is left out: {!r}.".format(said)
            self._add({"type": "warning", "code": "noise", "text": text})

    def _add(self, message):
        with self._lock:
            is_progress = message["type"] == "progress"
            if is_progress and self._messages and self._messages[-1]["type"] == "progress":
                self._messages.pop()  # a host that is busy for long gets no backlog
            self._messages.append(message)

    def _give_up(self, code, text, hint):
        """Ends the run with a failure that the link has seen itself."""
        if self._end is None:
            self._end = {"type": "error", "code": code, "text": text, "hint": hint}
        self._kill()

    def _last_message(self, code):
        end = self._end
        if end is None and self._cancelled:
            end = {"type": "error", "code": "cancelled", "text": "Cancelled."}
        if end is None:
            last_words = last_line(self.log_file)
            how = "exit code {}".format(code)
            if code < 0:
                how = "killed by signal {}".format(-code)
                if -code == 9:
                    how += "; the machine may have run out of memory"
            text = "The engine stopped without a result ({}){}".format(how, ": " + last_words if last_words else ".")
            end = {"type": "error", "code": "engine-died", "text": text, "hint": "Its log is {}.".format(self.log_file)}
        if end["type"] == "error":
            end = dict({"code": "engine", "text": "The engine failed without saying why.", "hint": ""}, **end)
        return end

    def _watch(self):
        """Ends an engine that is cancelled, that says nothing any more, or that stays after its last message."""
        while not self._over.is_set():
            self._wake.wait(max(0.05, self._deadline - time.monotonic()))
            self._wake.clear()
            if self._cancelled:
                self._stop()
                return
            if time.monotonic() >= self._deadline and not self._over.is_set():
                what = "said nothing for a long time" if self._greeted else "did not begin in time"
                self._give_up(
                    "engine-silent",
                    "The engine {} and was stopped.".format(what),
                    "Try it again; its log is {}.".format(self.log_file),
                )
                return

    def _stop(self):
        steps = (
            (self._ask, self._patience_s),
            (self._hang_up, self._patience_s),
            (self._terminate, min(5.0, self._patience_s)),
            (self._kill, 5.0),
        )
        for step, patience_s in steps:
            if self._over.is_set():
                return
            step()
            self._over.wait(patience_s)

    def _ask(self):
        try:
            self._process.stdin.write(b"cancel\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            pass  # it is ending already

    def _hang_up(self):
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.close()

    def _terminate(self):
        self._signal(signal.SIGTERM, self._process.terminate)

    def _kill(self):
        self._signal(getattr(signal, "SIGKILL", None), self._process.kill)

    def _signal(self, number, otherwise):
        """To the engine and whatever it has started; on Windows to the engine alone."""
        if self._process.poll() is not None:
            return
        try:
            if os.name == "nt":
                otherwise()
            else:
                os.killpg(self._process.pid, number)
        except OSError:
            pass


class Doctor:
    """Asks the engine's `doctor` what is installed and what is wrong; `text` is None until it has answered."""

    def __init__(self, engine, wait_s=300.0):
        self.text = None
        self._words, self._wait_s = list(engine) + ["doctor"], wait_s
        threading.Thread(target=self._ask, name="autowipe-doctor", daemon=True).start()

    def _ask(self):
        try:
            done = subprocess.run(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=self._wait_s,
                env=clean_environment(),
                creationflags=_NO_WINDOW if os.name == "nt" else 0,
            )
            self.text = done.stdout.decode("utf-8", "replace").strip() or "The engine's doctor said nothing."
        except subprocess.TimeoutExpired:
            self.text = "The engine's doctor did not answer within {:.0f} seconds.".format(self._wait_s)
        except OSError as err:
            self.text = "{} cannot be started: {}.".format(self._words[0], err.strerror or err)


def _start(words, folder, log_file):
    options = {"creationflags": _NO_WINDOW | _BELOW_NORMAL} if os.name == "nt" else {"start_new_session": True}
    try:
        with open(log_file, "ab") as log:  # what it says before it has opened its log itself
            process = subprocess.Popen(
                words,
                cwd=folder,
                env=clean_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                **options,
            )
    except (OSError, ValueError) as err:
        text = "The engine {} cannot be started: {}.".format(words[0], getattr(err, "strerror", None) or err)
        raise LinkError(text, "no-engine", NO_ENGINE_HINT) from err
    if os.name != "nt":
        # Gone already, or a system that does not let us: it runs at the host's priority then.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
    return process


def _message(raw):
    """The message in one line, or None where it is none."""
    try:
        message = json.loads(raw.decode("ascii"))
    except ValueError:
        return None
    return message if isinstance(message, dict) and isinstance(message.get("type"), str) else None


def last_line(path):
    """The last thing that a log says, at most 200 characters."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - 4096))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")
