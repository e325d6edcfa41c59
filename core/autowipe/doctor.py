"""What is installed, which device, which weights, which hosts; what is wrong and how to mend it. Changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Literal

from .errors import WeightsError
from .weightfiles import checked, entries

OLDEST, NEWEST = (3, 11), (3, 13)  # Pythons for which every package has wheels
PACKAGES = (  # what pyproject.toml depends on
    "torch",
    "numpy",
    "opencv-python-headless",
    "av",
    "PyYAML",
    "safetensors",
    "jinja2",
    "tqdm",
    "filelock",
    "rapidocr",
    "pillow",
    "openvino",
)
OTHER_OPENCVS = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
ENCODERS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "mpeg2video", "prores_ks", "dnxhd", "ffv1", "aac")
LEAST_MEMORY = 4 << 30  # bytes; a 4K clip needs about half of it
LEAST_DISK = 4 << 30  # bytes

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """One thing looked at. `fail` keeps AutoWipe from working, `warn` makes it slower or poorer."""

    name: str
    state: State
    text: str
    mend: str = ""


def doctor() -> list[Check]:
    """Looks at everything; a check that itself breaks is a fault, not an exception."""
    checks: list[Check] = []
    for name, look in _LOOKS:
        try:
            checks += look(name)
        except Exception as err:  # whatever is broken is what we are here to tell
            checks.append(Check(name, "fail", f"{type(err).__name__}: {err}", _reinstall()))
    return checks


def format_checks(checks: list[Check]) -> str:
    """The checks as lines for a terminal, each fault with its mend below, a verdict at the end."""
    wide = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{_MARKS[check.state]}  {check.name:<{wide}}  {check.text}")
        if check.mend:
            lines.append(f"{'':<4}  {'':<{wide}}  -> {check.mend}")
    faults = sum(check.state == "fail" for check in checks)
    warnings = sum(check.state == "warn" for check in checks)
    if faults:
        verdict = f"AutoWipe cannot work yet: {_count(faults, 'fault')} to mend."
    elif warnings:
        verdict = f"AutoWipe works, with {_count(warnings, 'warning')}."
    else:
        verdict = "AutoWipe works."
    return "\n".join([*lines, "", verdict])


_MARKS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")


def _pip(words: str) -> str:
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    return f"{python} -m pip {words}"


def _reinstall() -> str:
    return "in the checkout: python3 install.py uninstall, then python3 install.py"


def _python(name: str) -> list[Check]:
    text = f"{platform.python_version()} in {sys.prefix}, {platform.system()} {platform.machine()}"
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return [Check(name, "fail", text, "run AutoWipe with Python 3.11, 3.12 or 3.13")]
    return [Check(name, "ok", text)]


def _packages(name: str) -> list[Check]:
    versions, missing = [], []
    for package in PACKAGES:
        version = _version(package)
        if version is None:
            missing.append(package)
        else:
            versions.append(f"{package} {version}")
    checks = [Check(name, "ok", ", ".join(versions))] if versions else []
    if missing:
        checks.append(Check(name, "fail", f"missing: {', '.join(missing)}", _pip(f"install {' '.join(missing)}")))
    return checks


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _opencv(name: str) -> list[Check]:
    import_module("cv2")
    others = [package for package in OTHER_OPENCVS if _version(package)]
    if not others:
        return [Check(name, "ok", "one build, without windows")]
    mend = f"{_pip('uninstall -y opencv-python-headless ' + ' '.join(others))}, then {_reinstall()}"
    text = f"{' and '.join(others)} shares the folder cv2 with opencv-python-headless: removing either breaks both"
    return [Check(name, "warn", text, mend)]


def _ffmpeg(name: str) -> list[Check]:
    av = import_module("av")
    missing = []
    for encoder in ENCODERS:
        try:
            av.Codec(encoder, "w")
        except av.error.FFmpegError:
            missing.append(encoder)
        except ValueError:  # PyAV's own error for a name that it does not know
            missing.append(encoder)
    text = f"FFmpeg {av.ffmpeg_version_info} in PyAV {av.__version__}"
    if missing:
        text += f", without the encoders {', '.join(missing)}"
        return [Check(name, "warn", text, _pip("install --force-reinstall --only-binary av av"))]
    return [Check(name, "ok", f"{text}, all encoders present")]


def _device(name: str) -> list[Check]:
    torch = import_module("torch")
    threads = f"{os.cpu_count()} CPU threads"
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        return [Check(name, "ok", f"{card.name}, {_size(card.total_memory)}; {threads}")]
    if torch.backends.mps.is_available():
        return [Check(name, "ok", f"Apple GPU (mps); {threads}")]
    if not _has_nvidia_driver():
        return [Check(name, "ok", f"CPU only, {threads}")]
    if torch.version.cuda is None:
        text = f"{threads}; an NVIDIA GPU is there, but PyTorch {torch.__version__} is a build for the CPU"
        return [Check(name, "warn", text, "in the checkout: python3 install.py --torch cuda")]
    text = f"{threads}; an NVIDIA GPU is there, but PyTorch's CUDA {torch.version.cuda} cannot use it"
    return [Check(name, "warn", text, "update the NVIDIA driver")]


def _has_nvidia_driver() -> bool:
    for command in ("nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"):
        try:
            done = subprocess.run([command, "-L"], capture_output=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0 and b"GPU" in done.stdout:
            return True
    return False


def _memory(name: str) -> list[Check]:
    total = _total_memory()
    if total is None:
        return [Check(name, "ok", "size unknown")]
    if total < LEAST_MEMORY:
        return [Check(name, "warn", _size(total), f"large clips want {_size(LEAST_MEMORY)}; close other programs")]
    return [Check(name, "ok", _size(total))]


def _total_memory() -> int | None:
    """Bytes of main memory, None where the system does not tell."""
    if sys.platform == "win32":
        import ctypes

        class Status(ctypes.Structure):
            _fields_ = (("length", ctypes.c_ulong), ("load", ctypes.c_ulong), ("sizes", ctypes.c_ulonglong * 7))

        status = Status(length=ctypes.sizeof(Status))
        found = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status.sizes[0]) if found else None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _disk(name: str) -> list[Check]:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    text = f"{_size(free)} free in {folder}"
    if free < LEAST_DISK:
        return [Check(name, "warn", text, "free some space; cleaned clips want it where they are written, too")]
    return [Check(name, "ok", text)]


def _weights(name: str) -> list[Check]:
    wrong, known = [], entries()
    for weight, entry in known.items():
        try:
            checked(weight, entry)
        except WeightsError as err:
            wrong.append(err.text)
    if wrong:
        return [Check(name, "fail", "; ".join(wrong), _reinstall())]
    return [Check(name, "ok", ", ".join(known) or "none ship with this version")]


def _text_models(name: str) -> list[Check]:
    from .text import model_file

    try:
        files = [Path(model_file(task)) for task in ("det", "rec")]
    except WeightsError as err:
        return [Check(name, "fail", err.text, err.hint)]
    return [Check(name, "ok", ", ".join(file.stem for file in files))]


def _hosts(name: str) -> list[Check]:
    checks = []
    for host, places in _places().items():
        found = [str(place) for place in places if place.exists()]
        checks.append(Check(host, "ok", ", ".join(dict.fromkeys(found)) or "not found; the command line needs none"))
    return checks


def _places() -> dict[str, list[Path]]:
    """Where the hosts and the folders of OpenFX plug-ins lie on this system."""
    blender = shutil.which("blender")
    blenders = [Path(blender)] if blender else []
    if sys.platform == "win32":
        programs = Path(os.environ.get("PROGRAMFILES", r"C:\Program Files"))
        blenders += sorted(programs.glob("Blender Foundation/Blender */blender.exe"))
        resolves = [programs / "Blackmagic Design" / "DaVinci Resolve" / "Resolve.exe"]
        plugins = [programs / "Common Files" / "OFX" / "Plugins"]
    elif sys.platform == "darwin":
        blenders += [Path("/Applications/Blender.app")]
        resolves = [Path("/Applications/DaVinci Resolve/DaVinci Resolve.app")]
        plugins = [Path("/Library/OFX/Plugins")]
    else:
        blenders += [*sorted(Path("/opt").glob("blender*/blender")), Path("/snap/bin/blender")]
        resolves = [Path("/opt/resolve/bin/resolve"), Path("/home/resolve/bin/resolve")]
        plugins = [Path("/usr/OFX/Plugins")]
    plugins += [Path(folder) for folder in os.environ.get("OFX_PLUGIN_PATH", "").split(os.pathsep) if folder]
    return {"Blender": blenders, "DaVinci Resolve": resolves, "OpenFX": plugins}


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GB"


_LOOKS: tuple[tuple[str, Callable[[str], list[Check]]], ...] = (
    ("Python", _python),
    ("packages", _packages),
    ("OpenCV", _opencv),
    ("FFmpeg", _ffmpeg),
    ("device", _device),
    ("memory", _memory),
    ("disk", _disk),
    ("weights", _weights),
    ("text models", _text_models),
    ("hosts", _hosts),
)
