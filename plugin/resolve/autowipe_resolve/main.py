"""The menu commands: reach Resolve, look at the clips, ask, run, tell; nothing that goes wrong ends in a traceback.

    main("selection", names)   removes overlays from what is selected, marked, coloured or under the playhead
    main("timeline", names)    the same for all clips of the timeline
    main("restore", names)     takes results away again; those of the selected clips, or all
    main("check", names)       writes a page of facts about this Resolve, for a report

`names` are the globals of the menu script: Resolve puts `resolve`, `fusion` and `bmd` there. Started by a Python
outside, where Studio allows that, the script finds none of them and asks Resolve's own module for it.
"""

import contextlib
import os
import time
import traceback

from . import check, engine, fronts, pick, restore, settings, work
from .host import Refused, Session, ask, has, identity_of, items_of, reach

TITLES = {"selection": "Remove overlays from selection", "timeline": "Remove overlays from timeline"}


def main(command, names, front=None):
    """Runs one command; 0 done, 1 not done, 130 cancelled."""
    try:
        resolve = reach(names)
        front = front or fronts.choose(names, *engine.window_command())
        if command == "check":
            text, code = "The page is {}. Nothing was changed.".format(check.write(resolve, names)), 0
        elif command == "restore":
            text, code = _restore(Session(resolve))
        else:
            text, code = _remove(Session(resolve), command, front)
    except Refused as err:
        text, code = str(err), 1
    except Exception:  # a mistake of ours: a sentence for the user, the rest for the log
        text, code = "AutoWipe met an error of its own; the details are in {}.".format(_log()), 1
    front = front or fronts.SettingsFile()
    if text:
        front.tell(text)
    front.close()
    return code


def _restore(session):
    chosen = None
    if has(session.timeline, "GetSelectedClips"):
        chosen = {identity_of(item) for item in items_of(ask(session.timeline, "GetSelectedClips"))} or None
    number = restore.restore(session, chosen)
    return "{} restored. The cleaned files are kept.".format("1 clip" if number == 1 else "%d clips" % number), 0


def _remove(session, command, front):
    chosen = settings.load()
    chosen["folder"] = chosen["folder"] or os.path.join(settings.films_folder(), _folder_name(session))
    found = pick.picks(session, chosen["colour"], is_timeline=command == "timeline")
    if not found:
        raise Refused(
            "There is no clip to work on. Select clips, set in and out marks, give clips a colour, or put the playhead "
            "on one."
        )
    looked = {one.way: work.look(session, one, chosen) for one in found}
    offer = {"title": TITLES[command], "settings": chosen}
    offer["picks"] = [
        {"way": one.way, "text": one.text, "lines": [clip.about for clip in looked[one.way]]} for one in found
    ]
    given = front.ask(offer)
    if given is None:
        return "", 130
    one = next((one for one in found if one.way == given.get("way")), found[0])
    given = settings.checked(dict(chosen, **given))
    given["folder"] = os.path.abspath(os.path.expanduser(given["folder"] or chosen["folder"]))
    if one.way.startswith(pick.COLOUR):
        given["colour"] = one.way[len(pick.COLOUR) :]
    _keep(given)
    run = work.Run(session, work.look(session, one, given), given, engine.start)
    steps = run.steps()
    try:
        for text, share in steps:
            if not front.show(text, share):
                steps.close()
                return "Cancelled; the timeline is as before. What is cleaned already is taken over next time.", 130
    finally:
        steps.close()
    return run.said(), 1 if run.problems else 0


def _keep(given):
    """Settings are kept for the next run, but for a folder that goes by the project's name."""
    kept = dict(given, folder="" if given["folder"].startswith(settings.films_folder()) else given["folder"])
    with contextlib.suppress(OSError):  # a home that cannot be written to is no reason not to work
        settings.save(kept)


def _folder_name(session):
    name = str(ask(session.project, "GetName") or "")
    return "".join("_" if letter in '<>:"/\\|?*' or ord(letter) < 32 else letter for letter in name).strip(" .")


def _log():
    path = os.path.join(settings.settings_folder(), "autowipe.log")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(time.strftime("%Y-%m-%d %H:%M:%S\n") + traceback.format_exc() + "\n")
    except OSError:
        return "the console"
    return path
