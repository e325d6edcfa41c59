"""Sets AutoWipe up in this folder, shows it at work, tests it and takes it away again; standard library only.

    python3 install.py            makes .venv and installs the engine into it
    python3 install.py --farm     the same with what is needed to share work between machines
    python3 install.py demo       the same, then wipes the sample clip and says where the result is
    python3 install.py test       the same with the test tools, then runs the tests; further words go to pytest
    python3 install.py resolve    puts the scripts into DaVinci Resolve's menu; further words: --help
    python3 install.py ofx        builds the OpenFX plug-in and puts it where hosts look; `ofx remove` takes it away
    python3 install.py blender    the same, then puts the add-on into every Blender that is found; further words are
                                  paths of Blenders to use instead, and --remove takes it out again
    python3 install.py doctor     says what is installed, what is wrong and how to mend it
    python3 install.py uninstall  removes what this file made, nothing else

The grammar is that of Python 3.6, so that an old Python gets a sentence instead of a SyntaxError.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
HERE = os.path.dirname(os.path.realpath(__file__))
ENVIRONMENT = ".venv"
RECORD = os.path.join(ENVIRONMENT, "autowipe-install.json")  # what was made, and from what
LOG = os.path.join(ENVIRONMENT, "autowipe-install.log")
PYTORCH_INDEX = "https://download.pytorch.org/whl/"  # PyTorch's own builds, by device
CUDA_BUILD = "cu130"  # what PyPI's Linux build of the same torch is made for
SAMPLE = "sample/village.mp4"
DEMO = {"clip": "demo/village_clean.mp4", "report": "demo/village_report.html"}
OFX_BUILD = "build/ofx"
OFX_BUNDLE = "AutoWipe.ofx.bundle"
WORKING_FOLDER = "demo/.village_clean.mp4.autowipe"  # left by a demo that was killed
EVERYONE = ["timeline"]  # parts of pyproject.toml that every installation gets
CACHES = [".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".blender"]  # .blender: tests/blenders.py
EGG_INFO = "core/autowipe.egg-info"  # written by pip for an install from a folder


class Refusal(Exception):
    """A sentence that says why it cannot go on and what to do."""


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "command",
        nargs="?",
        default="install",
        choices=["install", "demo", "test", "blender", "resolve", "ofx", "doctor", "uninstall"],
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    parser.add_argument(
        "--torch",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="build of PyTorch (auto: cuda where an NVIDIA GPU is present)",
    )
    parser.add_argument("--farm", action="store_true", help="install what shares work between machines as well")
    options, rest = parser.parse_known_args(words)
    takes_words = options.command in ("test", "blender", "resolve")
    if rest and not takes_words and (options.command, rest) != ("ofx", ["remove"]):
        parser.error("unknown words: " + " ".join(rest))
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # paths that the terminal cannot show
    try:
        return COMMANDS[options.command](Setup(HERE, options.dry_run, options.torch, options.farm), rest)
    except Refusal as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to go on.", file=sys.stderr)
        return 130


def install(setup, _):
    setup.ensure([])
    print("AutoWipe is ready: " + quoted([setup.command(), "wipe", "CLIP", "-o", "CLEANED"]))
    return 0


def demo(setup, _):
    """Wipes the sample clip; its results lie in demo/, replaced by the next demo."""
    setup.ensure([])
    setup.note([DEMO["clip"], DEMO["report"], WORKING_FOLDER])
    clip, report = setup.path(DEMO["clip"]), setup.path(DEMO["report"])
    setup.say("Wiping " + SAMPLE)
    words = ["wipe", setup.path(SAMPLE), "-o", clip, "--report", report, "--overwrite"]
    if setup.is_dry:
        return 0
    os.makedirs(os.path.dirname(clip), exist_ok=True)
    code = setup.start(["-m", "autowipe"] + words)
    if code == 0:
        print("\nSource:     " + setup.path(SAMPLE))
        print("Clean clip: " + clip)
        print("Report:     " + report + "  (open it in a browser)")
    return code


def test(setup, words):
    setup.ensure(["dev", "farm"])
    setup.note(CACHES)
    setup.say("Running the tests")
    return 0 if setup.is_dry else setup.start(["-m", "pytest"] + words)


def resolve(setup, words):
    setup.ensure([])
    return setup.host("install_resolve").run(setup, words, Refusal)


def ofx(setup, words):
    """The OpenFX plug-in, built here and copied to the folder in which every host of this machine looks."""
    target = os.path.join(ofx_folder(), OFX_BUNDLE)
    if words:
        return remove_ofx(setup, target)
    setup.ensure([])
    record = setup.read() or {"made": []}
    if os.path.lexists(target) and target not in record["made"]:
        raise Refusal(
            "{} was not put there by this folder's install.py, so it is left alone. Move it away.".format(target)
        )
    setup.say("Building the plug-in")
    if setup.is_dry:
        setup.say("Copying it to " + target)
        return 0
    setup.note([OFX_BUILD])
    words = [setup.python, setup.path("ofx_bridge/build.py"), "--out", setup.path(OFX_BUILD)]
    builder = load_module(setup.path("ofx_bridge/build.py"))
    if builder.native_compiler() is None:
        wish = "ziglang=={}".format(builder.ZIGLANG)
        setup.step(record, "compiler", [setup.python, "-m", "pip", "install", wish])
    setup.step(setup.read(), "plug-in", words)
    bundle = os.path.join(setup.path(OFX_BUILD), OFX_BUNDLE)
    engine = os.path.join(bundle, "Contents", "Resources", "engine.txt")
    with open(engine, "w", encoding="utf-8") as file:
        file.write("\n".join([setup.python, "-m", "autowipe", "serve"]) + "\n")
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        setup.note([target])
        if os.path.isdir(target):
            shutil.rmtree(target)
        shutil.copytree(bundle, target)
    except OSError as err:
        raise Refusal(
            "The plug-in is built, but it cannot be put into {}: {}. Run this command as an administrator, or set "
            "the variable OFX_PLUGIN_PATH to {} before you start the host.".format(
                os.path.dirname(target), err.strerror, setup.path(OFX_BUILD)
            )
        ) from err
    print("The plug-in is in {}. Start the host anew; the effect is called AutoWipe.".format(target))
    return 0


def remove_ofx(setup, target):
    record = setup.read()
    if record is None or target not in record["made"]:
        print("Nothing to remove: install.py has put no plug-in into {}.".format(os.path.dirname(target)))
        return 0
    try:
        setup.remove(target)
        setup.remove(OFX_BUILD)
    except OSError as err:
        raise Refusal(
            "{} cannot be removed: {}. Run this command as an administrator.".format(target, err.strerror)
        ) from err
    record["made"] = [name for name in record["made"] if name not in (target, OFX_BUILD)]
    setup.write(record)
    return 0


def ofx_folder():
    """Where OpenFX hosts of this machine look for plug-ins."""
    if sys.platform == "win32":
        return os.path.join(os.environ.get("COMMONPROGRAMFILES", "C:\\Program Files\\Common Files"), "OFX", "Plugins")
    return "/Library/OFX/Plugins" if sys.platform == "darwin" else "/usr/OFX/Plugins"


def load_module(path):
    spec = importlib.util.spec_from_file_location("ofx_build", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blender(setup, words):
    """Puts the add-on into Blender, or takes it out; further words are paths of Blenders."""
    return setup.host("install_blender").run(setup, words, Refusal)


def doctor(setup, _):
    if not os.path.exists(setup.path(RECORD)):
        raise Refusal("AutoWipe is not installed here yet; run: python3 install.py")
    if setup.is_dry:
        return 0
    code = setup.start(["-m", "autowipe", "doctor"])
    return max(code, setup.host("install_resolve").tell(setup))


def uninstall(setup, _):
    record = setup.read()
    if record is None:
        print("Nothing to remove: install.py has made nothing here.")
        return 0
    if record.get("hosts", {}).get("resolve"):
        setup.host("install_resolve").run(setup, ["--remove"], Refusal)
    if record.get("hosts", {}).get("blender"):
        setup.host("install_blender").leave(setup, record["hosts"]["blender"])
    for name in record["made"]:
        try:
            setup.remove(name)
        except OSError as err:  # the plug-in, where only an administrator may write
            raise Refusal("{} cannot be removed: {}. Run this as an administrator.".format(name, err.strerror)) from err
    for top in ("core", "weights", "tests", "sample"):
        for folder, _, _ in os.walk(setup.path(top)):
            if os.path.basename(folder) == "__pycache__":
                setup.remove(os.path.relpath(folder, setup.root))
    for folder in ("demo", "build"):
        if os.path.isdir(setup.path(folder)) and not os.listdir(setup.path(folder)):
            setup.remove(folder)
    setup.remove(ENVIRONMENT)  # last, because the record lies in it
    return 0


COMMANDS = {
    "install": install,
    "demo": demo,
    "test": test,
    "resolve": resolve,
    "ofx": ofx,
    "blender": blender,
    "doctor": doctor,
    "uninstall": uninstall,
}


class Setup:
    """The engine's environment in one folder: makes it, keeps a record of it, starts programs in it."""

    def __init__(self, root, is_dry, torch, farm):
        self.root, self.is_dry, self.torch = root, is_dry, torch
        self.extras = EVERYONE + (["farm"] if farm else [])
        folder, name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        self.python = self.path(os.path.join(ENVIRONMENT, folder, name))

    def path(self, name):
        """Of a name in this folder; what was put elsewhere has its whole path for a name."""
        if os.path.isabs(name):
            return name
        return os.path.join(self.root, *name.split("/"))

    def command(self):
        return os.path.join(os.path.dirname(self.python), "autowipe")

    def host(self, name):
        """The file of plugin/ that knows how to put an adapter into a program."""
        spec = importlib.util.spec_from_file_location(name, self.path("plugin/{}.py".format(name)))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def say(self, text):
        print(("Would do: " if self.is_dry else "") + text, flush=True)

    def ensure(self, extras):
        """Brings the environment to what pyproject.toml asks for; does nothing where it is so already."""
        check_machine()
        record = self.read()
        if record is None and os.path.exists(self.path(ENVIRONMENT)):
            raise Refusal(
                "The folder .venv here was not made by install.py, so it is left alone. Move it away, or "
                "install into it yourself: " + quoted([self.python, "-m", "pip", "install", "-e", "."])
            )
        made = [] if record is None else record["made"]
        hosts = {} if record is None else record.get("hosts", {})
        if record is not None and not self.is_sound(record):
            self.say("Removing an environment that was left half made or has moved")
            if not self.is_dry:
                shutil.rmtree(self.path(ENVIRONMENT))
            record = None
        if record is None:
            record = {"root": self.root, "doing": None, "environment": False, "torch": None}
            record.update({"stamp": None, "extras": [], "made": made, "hosts": hosts})
            self.make_environment(record)
            record["environment"] = True
        extras = sorted(set(record["extras"]) | set(self.extras) | set(extras))
        build = self.torch
        if build == "auto":
            build = "cuda" if has_nvidia_gpu() else "cpu"
        stamp = self.stamp(build)
        if record["stamp"] == stamp and record["extras"] == extras:
            return
        if record["torch"] != build or record["stamp"] != stamp:
            self.install_torch(record, build)
        self.install_engine(record, extras)
        record.update({"extras": extras, "stamp": stamp, "torch": build})
        self.write(record)

    def is_sound(self, record):
        """False after a killed step, after the folder has moved, and where Python or the engine is gone."""
        if record["doing"] or not record["environment"] or record["root"] != self.root:
            return False
        if record["stamp"] is None:  # an earlier run got no further than the environment
            return os.path.exists(self.python)
        probe = "import importlib.util as u, sys; sys.exit(u.find_spec('autowipe') is None)"
        try:
            return subprocess.call([self.python, "-I", "-c", probe], cwd=self.root) == 0
        except OSError:
            return False

    def stamp(self, build):
        """Tells whether what is installed is still what is asked for."""
        with open(self.path("pyproject.toml"), "rb") as file:
            text = file.read()
        version = "{}.{}".format(*sys.version_info[:2]).encode()
        return hashlib.sha256(b"\0".join([text, build.encode(), version])).hexdigest()

    def make_environment(self, record):
        has_pip = importlib.util.find_spec("ensurepip") is not None
        if not has_pip:
            check_outer_pip()
        self.say("Making an environment for the engine in .venv")
        words = [sys.executable, "-m", "venv"] + ([] if has_pip else ["--without-pip"])
        self.step(record, "environment", words + [self.path(ENVIRONMENT)])
        if not has_pip:  # Debian without python3-venv: the pip outside fills the environment
            outer = [sys.executable, "-m", "pip", "--python", self.python, "install", "pip"]
            self.step(record, "environment", outer)

    def install_torch(self, record, build):
        """PyTorch first and alone: only it may need another index than the user's own."""
        wish = requirement(self.path("pyproject.toml"), "torch")
        words = [self.python, "-m", "pip", "install", wish]
        if record["torch"] not in (None, build):
            words.append("--force-reinstall")
        index = torch_index(build, sys.platform, self.offered_torch(wish))
        if index is not None:
            words += ["--extra-index-url", index, "--retries", "2"]
        about = {"cpu": "build for the CPU", "cuda": "build for NVIDIA GPUs, several GB"}[build]
        self.say("Installing PyTorch ({}); this takes some minutes the first time".format(about))
        self.step(record, "torch", words + ["--no-deps"])

    def install_engine(self, record, extras):
        tail = "[{}]".format(",".join(extras)) if extras else ""
        self.say("Installing AutoWipe and what it needs" + (" for " + ", ".join(extras) if extras else ""))
        if not self.is_dry and EGG_INFO not in record["made"]:
            record["made"].append(EGG_INFO)
        self.step(record, "engine", [self.python, "-m", "pip", "install", "-e", "." + tail])

    def offered_torch(self, wish):
        """Versions of torch that the user's own pip settings offer within the range that we ask for."""
        python = self.python if os.path.exists(self.python) else sys.executable  # the latter in a dry run
        words = [python, "-m", "pip", "index", "versions", "torch"]
        done = subprocess.run(
            words, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True
        )
        line = re.search(r"Available versions:(.*)", done.stdout)
        return [v for v in (line.group(1) if line else "").replace(" ", "").split(",") if is_within(v, wish)]

    def step(self, record, name, words):
        """Runs a command that changes the environment; the record says so as long as it runs."""
        if self.is_dry:
            self.say("  " + quoted(words))
            return
        os.makedirs(self.path(ENVIRONMENT), exist_ok=True)
        self.write(dict(record, doing=name))
        code, text = self.follow(words)
        self.write(record)
        if code != 0:
            raise Refusal(explain(text) + "\nEverything it said is in " + self.path(LOG))

    def follow(self, words):
        """Runs a command, its words going to the log and, one line at a time, to the terminal."""
        environment = clean_environment()
        width = shutil.get_terminal_size().columns - 4
        lines = []
        with open(self.path(LOG), "a", encoding="utf-8") as log:
            log.write("\n$ " + quoted(words) + "\n")
            log.flush()
            run = subprocess.Popen(
                words, cwd=self.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            with run:
                for raw in run.stdout:
                    line = raw.decode("utf-8", "replace").rstrip()
                    lines = lines[-60:] + [line]
                    log.write(line + "\n")
                    if sys.stdout.isatty():
                        print("\r  " + line[:width].ljust(width), end="", flush=True)
        if sys.stdout.isatty():
            print("\r" + " " * (width + 2) + "\r", end="", flush=True)
        return run.returncode, lines

    def start(self, words):
        """Runs a Python command of the environment in the foreground; its exit code."""
        return subprocess.call([self.python] + words, cwd=self.root, env=clean_environment())

    def read(self):
        try:
            with open(self.path(RECORD), encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return None

    def write(self, record):
        if self.is_dry:
            return
        part = self.path(RECORD + ".part")
        with open(part, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
        os.replace(part, self.path(RECORD))

    def note(self, names):
        """Adds files that are about to be made to the record; one that is there already is not ours."""
        record = self.read()
        if record is None:
            return
        record["made"] += [n for n in names if n not in record["made"] and not os.path.exists(self.path(n))]
        self.write(record)

    def remove(self, name):
        path = self.path(name)
        if not os.path.lexists(path):
            return
        self.say("Removing " + path)
        if self.is_dry:
            return
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)


def check_machine():
    """Raises Refusal where no engine can run: Python's version, 32 bits, Macs with an Intel processor."""
    here = "{}.{}".format(*sys.version_info[:2])
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        other = other_python()
        advice = "run: {} install.py".format(other) if other else "install one of them and run install.py with it"
        raise Refusal("AutoWipe needs Python 3.11, 3.12 or 3.13, and this is {}; {}".format(here, advice))
    if sys.maxsize < 2**32:
        raise Refusal("AutoWipe needs a 64-bit Python, and this is one of 32 bits.")
    if sys.platform == "darwin" and platform.machine() != "arm64":
        raise Refusal("AutoWipe needs a Mac with Apple silicon and a Python built for it.")
    if importlib.util.find_spec("venv") is None:
        raise Refusal("This Python has no module venv; on Debian and Ubuntu run: sudo apt install python3-venv")


def check_outer_pip():
    """Raises Refusal where neither ensurepip nor a pip that can fill another environment (22.3) is at hand."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--version"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        universal_newlines=True,
    )
    version = re.match(r"pip (\d+)\.(\d+)", done.stdout)
    if version is None or (int(version.group(1)), int(version.group(2))) < (22, 3):
        raise Refusal(
            "This Python cannot make an environment with pip in it; on Debian and Ubuntu run: "
            "sudo apt install python3-venv"
        )


def other_python():
    """The name of an installed Python that would do, newest first, or None."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = "python3.{}".format(minor)
        if shutil.which(name):
            try:
                quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                if subprocess.call([name, "-c", ""], **quiet) == 0:
                    return name
            except OSError:
                pass
    return None


def has_nvidia_gpu():
    """True where the driver answers: a card without its driver is of no use."""
    for name in ("nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"):
        try:
            done = subprocess.run(
                [name, "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True
            )
        except OSError:
            continue
        if done.returncode == 0 and "GPU" in done.stdout:
            return True
    return False


def torch_index(build, system, offered):
    """PyTorch's own index where the user's pip would pick another build than `build`, else None.

    PyPI has the CUDA build for Linux and the CPU build for Windows and macOS. A build with a local version,
    such as 2.13.0+cpu, sorts above the plain one, so pip prefers it wherever an index or a folder of the
    user's offers it; cu… sorts above cpu. An index that cannot be reached leaves what the user's pip offers.
    """
    has_cpu = any("+cpu" in version for version in offered)
    has_cuda = any("+cu" in version for version in offered)
    if build == "cpu" and system.startswith("linux") and (has_cuda or not has_cpu):
        return PYTORCH_INDEX + "cpu"
    if build == "cuda" and not has_cuda and (has_cpu or system == "win32"):
        return PYTORCH_INDEX + CUDA_BUILD
    return None


def requirement(pyproject, name):
    """A package's requirement as pyproject.toml has it, such as "torch>=2.6,<2.14"."""
    with open(pyproject, encoding="utf-8") as file:
        return re.search(r'"({}\b[^"]*)"'.format(name), file.read()).group(1)


def is_within(version, wish):
    """Whether a version lies between the bounds >= and < of a requirement."""
    low, high = re.search(r">=([\d.]+)", wish), re.search(r"<([\d.]+)", wish)
    release = re.match(r"[\d.]+", version)
    if release is None:
        return False
    number = numbers(release.group(0))
    return numbers(low.group(1)) <= number and number < numbers(high.group(1))


def numbers(version):
    return [int(part) for part in version.strip(".").split(".")]


def clean_environment():
    """The user's environment with pip's settings, but nothing that would lead Python or pip elsewhere."""
    environment = dict(os.environ, PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1")
    for name in ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX"):
        environment.pop(name, None)
    return environment


def explain(lines):
    """One sentence out of what a failed command said."""
    text = "\n".join(lines)
    if "No space left" in text or "Errno 28" in text:
        return "The disk is full: the engine needs about 2 GB here, with an NVIDIA GPU about 8 GB."
    if "ensurepip" in text:
        return "A system package is missing; on Debian and Ubuntu run: sudo apt install python3-venv"
    if re.search(r"NewConnectionError|ConnectTimeout|ReadTimeout|NameResolution|ProxyError|SSLError", text):
        return "The packages could not be fetched; check the network, or pip's settings for a proxy or mirror."
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-3:] or ["It failed without a word."]
    return "The installation failed:\n  " + "\n  ".join(errors)


def quoted(words):
    """A command as a person would type it."""
    return " ".join('"{}"'.format(word) if " " in word else word for word in words)


if __name__ == "__main__":
    sys.exit(main())
