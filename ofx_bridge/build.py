"""Builds the plug-in and lays out its bundle; standard library only.

    python3 ofx_bridge/build.py                 for this machine, with its C compiler or else with ziglang
    python3 ofx_bridge/build.py --all           for Linux, Windows and macOS, with ziglang (pip install ziglang)
    python3 ofx_bridge/build.py --out FOLDER    elsewhere than in build/ofx

The bundle finds the engine by Contents/Resources/engine.txt, the command that starts it, which install.py writes.
The grammar is that of Python 3.6, since install.py imports this file.
"""

import argparse
import importlib.util
import os
import platform
import shutil
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
NAME = "AutoWipe"
SOURCES = ["autowipe_ofx.c", "dialogue.c", "host.c", "link.c", "params.c", "picture.c"]
FLAGS = ["-std=gnu11", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
TARGETS = {  # folder in the bundle: what ziglang calls the machines that its one file serves
    "Linux-x86-64": ["x86_64-linux-gnu.2.17"],
    "Linux-aarch64": ["aarch64-linux-gnu.2.17"],
    "Win64": ["x86_64-windows-gnu"],
    "Win-arm64": ["aarch64-windows-gnu"],
    "MacOS": ["x86_64-macos.11.0", "aarch64-macos.11.0"],
}
ZIGLANG = "0.17.0"
INFO = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>CFBundleExecutable</key><string>AutoWipe.ofx</string>
<key>CFBundleIdentifier</key><string>org.autowipe.AutoWipe</string>
<key>CFBundlePackageType</key><string>BNDL</string>
<key>CFBundleInfoDictionaryVersion</key><string>6.0</string>
<key>CFBundleDevelopmentRegion</key><string>English</string>
<key>CFBundleVersion</key><string>0.1.0</string>
</dict></plist>
"""


class BuildError(Exception):
    """A sentence that says why the plug-in cannot be built and what to do."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--all", action="store_true", help="for every machine, with ziglang")
    parser.add_argument("--out", default=os.path.join(os.path.dirname(HERE), "build", "ofx"), help="folder")
    options = parser.parse_args()
    try:
        print(build(options.out, list(TARGETS) if options.all else [this_machine()]))
    except BuildError as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


def this_machine():
    """The bundle's folder for the machine that this runs on."""
    is_arm = platform.machine().lower() in ("arm64", "aarch64")
    if sys.platform == "darwin":
        return "MacOS"
    if sys.platform == "win32":
        return "Win-arm64" if is_arm else "Win64"
    return "Linux-aarch64" if is_arm else "Linux-x86-64"


def build(out, folders):
    """Builds for the bundle's `folders`; the path of the bundle, in the folder `out`."""
    bundle = os.path.join(out, NAME + ".ofx.bundle")
    contents = os.path.join(bundle, "Contents")
    os.makedirs(os.path.join(contents, "Resources"), exist_ok=True)
    with open(os.path.join(contents, "Info.plist"), "w") as file:
        file.write(INFO)
    for folder in folders:
        target = os.path.join(contents, folder, NAME + ".ofx")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        compiler = native_compiler() if folders == [this_machine()] else None
        if compiler:
            compile_for(compiler, folder, target)
        else:
            cross_compile(folder, target)
    return bundle


def native_compiler():
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and shutil.which(name.split()[0]):
            return name.split()
    return None


def zig_compiler():
    if importlib.util.find_spec("ziglang") is None:
        raise BuildError(
            "No C compiler is at hand: install one, or run: {} -m pip install ziglang=={}".format(
                sys.executable, ZIGLANG
            )
        )
    return [sys.executable, "-m", "ziglang", "cc"]


def cross_compile(folder, target):
    parts = []
    for machine in TARGETS[folder]:
        part = target if len(TARGETS[folder]) == 1 else "{}.{}".format(target, machine)
        compile_for(zig_compiler() + ["-target", machine, "-s"], folder, part)
        parts.append(part)
    if len(parts) > 1:
        join_for_mac(parts, target)
    for left in os.listdir(os.path.dirname(target)):  # import libraries and debug files, which hosts do not need
        if left != os.path.basename(target):
            os.remove(os.path.join(os.path.dirname(target), left))


def compile_for(compiler, folder, target):
    is_windows, is_mac = folder.startswith("Win"), folder == "MacOS"
    sources = SOURCES + ["system_windows.c" if is_windows else "system_posix.c"]
    flags = [flag for flag in FLAGS if not (is_windows and flag == "-fPIC")]
    kind = "-dynamiclib" if is_mac else "-shared"
    libraries = ["-lws2_32", "-ladvapi32"] if is_windows else [] if is_mac else ["-lpthread", "-ldl", "-lm"]
    words = compiler + flags + [kind, "-o", target] + [os.path.join(HERE, name) for name in sources] + libraries
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode != 0:
        raise BuildError("The plug-in cannot be built for {}:\n{}".format(folder, done.stdout))


def join_for_mac(parts, target):
    """One file for both processors: Apple's fat header, big-endian, then each file on a 16 KB border."""
    kinds = {0x01000007: 3, 0x0100000C: 0}  # x86-64 and arm64: subtype "all"
    head, body, at = b"", b"", 0x4000
    for part in parts:
        with open(part, "rb") as file:
            data = file.read()
        (processor,) = struct.unpack("<I", data[4:8])
        head += struct.pack(">5I", processor, kinds[processor], at, len(data), 14)
        room = -len(data) % 0x4000
        body += data + bytes(room)
        at += len(data) + room
    head = struct.pack(">2I", 0xCAFEBABE, len(parts)) + head
    with open(target, "wb") as file:
        file.write(head + bytes(0x4000 - len(head)) + body)
    os.chmod(target, 0o755)


if __name__ == "__main__":
    sys.exit(main())
