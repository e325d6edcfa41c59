"""What the user chose, kept between runs in one JSON file that a person can edit too."""

import json
import os
import sys

KINDS = ("logo", "dynamic", "subtitle", "watermark")
DEFAULTS = {
    "colour": "Orange",  # clip colour or flag that marks clips, where nothing is selected or between marks
    "kinds": list(KINDS),
    "route": "auto",  # "auto", or "deliver" to let Resolve render every clip first
    "place": "above",  # "above": a new clip on the track above; "take": a take of the clip itself
    "quality": "normal",
    "codec": "auto",  # "auto" stays in the source's family
    "handles": 24,  # extra source frames cleaned on both sides, for later trims
    "markers": True,
    "subtitles": True,  # the text of wiped subtitles, as an SRT file in the bin
    "folder": "",  # of the cleaned clips; "" is AutoWipe in the user's folder of films
}
CHOICES = {
    "route": ("auto", "deliver"),
    "place": ("above", "take"),
    "quality": ("draft", "normal", "best"),
    "codec": ("auto", "prores", "dnxhr", "h264", "hevc"),
}


def settings_folder(system=sys.platform, environment=os.environ):
    """Where settings, jobs and their logs lie."""
    if system == "win32":
        base = environment.get("APPDATA") or os.path.expanduser("~\\AppData\\Roaming")
        return os.path.join(base, "AutoWipe", "Resolve")
    if system == "darwin":
        return os.path.expanduser("~/Library/Application Support/AutoWipe/Resolve")
    base = environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(base, "autowipe", "resolve")


def films_folder(system=sys.platform, environment=os.environ):
    """Where cleaned clips go unless the user names another folder: media must outlive the project."""
    home = environment.get("USERPROFILE" if system == "win32" else "HOME") or os.path.expanduser("~")
    return os.path.join(home, "Movies" if system == "darwin" else "Videos", "AutoWipe")


def settings_file(folder=None):
    return os.path.join(folder or settings_folder(), "settings.json")


def load(folder=None):
    """The user's settings; a value that makes no sense falls back to its default."""
    try:
        with open(settings_file(folder), encoding="utf-8") as file:
            given = json.load(file)
    except (OSError, ValueError):
        given = {}
    return checked(given if isinstance(given, dict) else {})


def checked(given):
    """Settings with every key, each of the right sort."""
    settings = {key: list(value) if isinstance(value, list) else value for key, value in DEFAULTS.items()}
    for key, value in given.items():
        if key not in settings or not isinstance(value, type(settings[key])):
            continue
        if key in CHOICES and value not in CHOICES[key]:
            continue
        if key == "handles" and (isinstance(value, bool) or not 0 <= value <= 10000):
            continue
        if key == "kinds":
            value = [kind for kind in KINDS if kind in value]
            if not value:
                continue
        settings[key] = value
    return settings


def save(settings, folder=None):
    """Raises OSError where the folder cannot be written to."""
    path = settings_file(folder)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump({key: settings[key] for key in DEFAULTS}, file, indent=1, ensure_ascii=False)
    os.replace(path + ".part", path)
