"""Puts the adapter where DaVinci Resolve looks for scripts, says what is wrong there, takes it away again.

Loaded by install.py, for its commands resolve, doctor and uninstall; standard library only, Python 3.6 grammar.

    run(setup, ["--everyone"], Refusal)   installs; ["--remove"] removes; the record lies with install.py's own
    tell(setup)                           what doctor says about Resolve

    <Fusion>/Scripts/Utility/AutoWipe/   three menu scripts: Workspace > Scripts > AutoWipe, on all pages
    <Fusion>/AutoWipe/                   the adapter itself, and engine.json, which says where the engine is
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
MENU = "menu"
PACKAGE = "autowipe_resolve"
LINK = "autowipe_link.py"
UNFILLED = 'FOLDER = ""'
OURS = "from autowipe_resolve.main import main"  # a line that every menu script of ours has


def run(setup, words, refusal):
    """Carries out `install.py resolve WORDS`; the exit code. Raises `refusal` with a sentence."""
    parser = argparse.ArgumentParser(prog="install.py resolve", description="AutoWipe in DaVinci Resolve's menu.")
    parser.add_argument("--everyone", action="store_true", help="for all users of this machine; wants its rights")
    parser.add_argument(
        "--fusion", metavar="FOLDER", help="Resolve's folder Fusion, where it is not in its usual place"
    )
    parser.add_argument("--remove", action="store_true", help="take the scripts out of all menus they were put in")
    options = parser.parse_args(words)
    record = setup.read() or {}
    installed = record.setdefault("hosts", {}).setdefault("resolve", {})
    try:
        if options.remove:
            for fusion in sorted(installed):
                remove(installed[fusion], setup.say, setup.is_dry)
            record["hosts"].pop("resolve")
        else:
            fusion = options.fusion or fusion_folder(sys.platform, os.environ, options.everyone)
            if not fusion:
                raise refusal("This system does not say where Resolve's scripts go; name the folder with --fusion.")
            fusion = os.path.abspath(fusion)
            installed[fusion] = install(fusion, setup.root, setup.say, setup.is_dry)
    except Foreign as err:
        raise refusal(str(err)) from err
    except OSError as err:
        hint = "" if os.name == "nt" else ": sudo python3 install.py resolve --everyone"
        raise refusal(
            "{} cannot be written to ({}). For all users, administrator's rights are needed{}.".format(
                err.filename, err.strerror, hint
            )
        ) from err
    if not setup.is_dry:
        setup.write(record)
    if not options.remove and not setup.is_dry:
        print("In Resolve: Workspace > Scripts > AutoWipe. If it is not there: python3 install.py doctor")
    return 0


def tell(setup):
    """Prints what is so and what is wrong about Resolve; 1 where something keeps the adapter from working."""
    installed = (setup.read() or {}).get("hosts", {}).get("resolve", {})
    lines = check(sorted(installed))
    for state, text, mend in lines:
        print("{}  Resolve: {}".format({"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}[state], text))
        if mend:
            print("      -> " + mend)
    return 1 if any(state == "fail" for state, _, _ in lines) else 0


def fusion_folder(system, environment, is_for_all):
    """The Fusion folder of one user, or of all users of this machine; '' where the system does not say."""
    if system == "win32":
        if is_for_all:
            base = environment.get("PROGRAMDATA", "")
            return base and base + "\\Blackmagic Design\\DaVinci Resolve\\Fusion"
        base = environment.get("APPDATA", "")
        return base and base + "\\Blackmagic Design\\DaVinci Resolve\\Support\\Fusion"
    home = environment.get("HOME", "")
    if system == "darwin":
        base = "" if is_for_all else home
        return base + "/Library/Application Support/Blackmagic Design/DaVinci Resolve/Fusion"
    if not is_for_all:
        return home and home + "/.local/share/DaVinciResolve/Fusion"
    here = [folder for folder in ("/opt/resolve", "/home/resolve") if os.path.isdir(folder)]
    return (here or ["/opt/resolve"])[0] + "/Fusion"


def install(fusion, engine, say, is_dry):
    """Copies adapter and menu scripts into a Fusion folder; the paths made. Raises OSError, or Foreign.

    `engine` is the AutoWipe folder, or anything else that autowipe_link's find_engine takes.

    Safe to repeat: files of ours are replaced, a menu script of the same name that is not ours is left alone.
    """
    target, menu = os.path.join(fusion, "AutoWipe"), os.path.join(fusion, "Scripts", "Utility", "AutoWipe")
    for name in _menu_scripts():
        path = os.path.join(menu, name)
        if os.path.exists(path) and OURS not in _read(path):
            raise Foreign("{} is there and not AutoWipe's; move it away first.".format(path))
    say("Copying the adapter to " + target)
    say("Copying the menu scripts to " + menu)
    if is_dry:
        return []
    package = os.path.join(target, PACKAGE)
    if os.path.isdir(package):
        shutil.rmtree(package)  # modules that a newer version no longer has must not stay
    shutil.copytree(os.path.join(HERE, "resolve", PACKAGE), package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(os.path.join(HERE, LINK), os.path.join(target, LINK))
    _write(os.path.join(target, "engine.json"), json.dumps({"engine": engine}, indent=1) + "\n")
    os.makedirs(menu, exist_ok=True)
    for name in _menu_scripts():
        text = _read(os.path.join(HERE, "resolve", MENU, name))
        _write(os.path.join(menu, name), text.replace(UNFILLED, "FOLDER = " + ascii(target)))
    return [target] + [os.path.join(menu, name) for name in _menu_scripts()]


class Foreign(Exception):
    """Something of the user's is in the way."""


def remove(paths, say, is_dry):
    """Removes what install made, and the menu's folder where it is empty then. Raises OSError."""
    for path in paths:
        if not os.path.lexists(path):
            continue
        say("Removing " + path)
        if is_dry:
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)
        folder = os.path.dirname(path)
        cache = os.path.join(folder, "__pycache__")
        if os.path.basename(folder) == "AutoWipe":
            if os.path.isdir(cache):
                shutil.rmtree(cache)
            if os.path.isdir(folder) and not os.listdir(folder):
                os.rmdir(folder)


def check(fusions, system=sys.platform, environment=os.environ, run=subprocess.run):
    """(state, text, mend) lines: "ok", "warn" or "fail". `fusions` are the Fusion folders that were installed into."""
    found = program(system, environment)
    if found is None and not fusions:
        return [("ok", "DaVinci Resolve is not on this machine, and the adapter is not installed", "")]
    lines = []
    if found is None:
        lines.append(("warn", "the adapter is installed, but DaVinci Resolve is not on this machine", ""))
    for fusion in fusions:
        lines.append(_check_files(fusion))
    if not fusions:
        lines.append(("ok", "Resolve is here, the adapter is not installed", "python3 install.py resolve"))
        return lines
    edition, python = has_own_python(system, environment), find_python(system, environment, run)
    if edition is False:
        text = "this is Resolve 21.1 or later without Python: the free edition runs no scripts of ours"
        lines.append(("fail", text, "export the timeline and use: autowipe batch, or autowipe watch"))
    elif edition:
        lines.append(("ok", "Resolve runs scripts with a Python of its own", ""))
    elif python[0] is None:
        lines.append(("fail", "Resolve will not find a Python, so that the scripts are not in its menu", python[1]))
    else:
        lines.append(("ok", "Resolve will find Python " + python[0], ""))
    return lines


def _check_files(fusion):
    target, menu = os.path.join(fusion, "AutoWipe"), os.path.join(fusion, "Scripts", "Utility", "AutoWipe")
    again = "python3 install.py resolve"
    missing = [name for name in _menu_scripts() if not os.path.isfile(os.path.join(menu, name))]
    if missing or not os.path.isdir(os.path.join(target, PACKAGE)):
        return ("fail", "files are missing in " + fusion, again)
    try:
        engine = json.loads(_read(os.path.join(target, "engine.json"))).get("engine", "")
    except (OSError, ValueError):
        engine = ""
    if not os.path.exists(engine):
        return ("fail", "the engine that {} names is not there".format(target), again)
    for name in sorted(os.listdir(os.path.join(HERE, "resolve", PACKAGE))):
        mine, theirs = os.path.join(HERE, "resolve", PACKAGE, name), os.path.join(target, PACKAGE, name)
        if name.endswith(".py") and (not os.path.isfile(theirs) or _read(mine) != _read(theirs)):
            return ("warn", "the adapter in {} is of another version".format(target), again)
    return ("ok", "the adapter is in " + target, "")


def program(system, environment):
    """The folder that Resolve is installed in, None where it is not."""
    if system == "win32":
        places = [environment.get("PROGRAMFILES", "C:\\Program Files") + "\\Blackmagic Design\\DaVinci Resolve"]
    elif system == "darwin":
        places = ["/Applications/DaVinci Resolve/DaVinci Resolve.app"]
    else:
        places = ["/opt/resolve", "/home/resolve"]
    return next((place for place in places if os.path.exists(place)), None)


def has_own_python(system, environment):
    """True for Studio from 21.1 on, which ships a Python; False for the free edition from 21.1 on, which runs none.

    None for earlier versions, which use a Python of the system: 21.1 is told by the typed interface that it brings.
    """
    place = program(system, environment)
    if place is None:
        return None
    if system == "win32":
        base = environment.get("PROGRAMDATA", "C:\\ProgramData") + "\\Blackmagic Design\\DaVinci Resolve\\Support"
    elif system == "darwin":
        base = "/Library/Application Support/Blackmagic Design/DaVinci Resolve"
    else:
        base = place
    if not os.path.isfile(os.path.join(base, "Developer", "Scripting", "Modules", "DaVinciResolveScript.pyi")):
        return None
    inside = [place, os.path.join(place, "Contents", "Resources"), os.path.join(place, "Contents", "Libraries"), base]
    return any(os.path.exists(os.path.join(folder, "ResolvePython")) for folder in inside)


def find_python(system, environment, run=subprocess.run):
    """(the Python that Resolve before 21.1 will load, "") or (None, what to do): 64 bits, 3.6 or later."""
    home = environment.get("PYTHON3HOME", "")
    if system == "win32":
        candidates = [home + "\\python.exe"] if home else []
        candidates += [folder + "\\python.exe" for folder in _registered()]
        mend = "install Python 3 for all users from python.org, 64-bit"
    elif system == "darwin":
        candidates = ([home + "/bin/python3"] if home else []) + ["/usr/local/bin/python3"]
        mend = (
            "install Python 3 from python.org, or name the folder of another one before Resolve starts: "
            "launchctl setenv PYTHON3HOME FOLDER (Homebrew, pyenv, uv and conda are not found by themselves)"
        )
    else:
        candidates = ([home + "/bin/python3"] if home else []) + ["/usr/bin/python3", "/usr/local/bin/python3"]
        mend = "install your distribution's package python3"
    probe = "import sys; print('%d.%d' % sys.version_info[:2], sys.maxsize > 2**32)"
    for python in candidates:
        if not os.path.isfile(python):
            continue
        try:
            done = run([python, "-c", probe], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20)
            version, is_wide = done.stdout.decode("ascii", "replace").split()
        except (OSError, ValueError, subprocess.TimeoutExpired):
            continue
        if is_wide == "True" and [int(part) for part in version.split(".")] >= [3, 6]:
            return "{} ({})".format(python, version), ""
    return None, mend


def _registered():
    """Folders of the Pythons that Windows knows, newest first."""
    if platform.system() != "Windows":
        return []
    import winreg

    found = []
    for root in (winreg.HKEY_LOCAL_MACHINE, winreg.HKEY_CURRENT_USER):
        for minor in range(20, 5, -1):
            try:
                name = "Software\\Python\\PythonCore\\3.{}\\InstallPath".format(minor)
                found.append(winreg.QueryValue(root, name).rstrip("\\"))
            except OSError:
                continue
    return found


def _menu_scripts():
    return sorted(name for name in os.listdir(os.path.join(HERE, "resolve", MENU)) if name.endswith(".py"))


def _read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def _write(path, text):
    part = path + ".part"
    with open(part, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(part, path)
