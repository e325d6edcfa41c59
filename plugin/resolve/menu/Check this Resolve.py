"""Writes a page of facts about this Resolve, for a report; changes nothing."""

import sys

FOLDER = ""  # of the adapter; install.py writes it

if FOLDER not in sys.path:
    sys.path.insert(0, FOLDER)

from autowipe_resolve.main import main  # noqa: E402

main("check", globals())
