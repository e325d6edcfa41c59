"""Takes results away and switches their originals on again; cleaned files stay on disk and in their bin."""

import contextlib

from . import records
from .edits import remove, remove_empty_track, set_enabled
from .host import Refused, ask, did, identity_of
from .markers import take_markers_away
from .takes import drop_take


def restore(session, chosen=None):
    """Restores the originals of the results among `chosen` (identities of results or originals), None for all.

    Returns how many came back. Raises Refused where there is nothing to restore, or Resolve refuses one.
    """
    page = ask(session.resolve, "GetCurrentPage")
    with session.current():
        if page != "edit":
            did(session.resolve, "OpenPage", "edit")
        try:
            results = [result for result in records.Results(session).found if _is_meant(result, chosen)]
            if not results:
                raise Refused("There is nothing to restore: no cleaned clip of AutoWipe lies on this timeline.")
            for result in results:
                _bring_back(session, result)
            for track in reversed(session.tracks()):
                if track > 1:
                    remove_empty_track(session, track)
        finally:
            if page and page != "edit":
                did(session.resolve, "OpenPage", page)
    return len(results)


def _is_meant(result, chosen):
    return chosen is None or identity_of(result.item) in chosen or identity_of(result.original) in chosen


def _bring_back(session, result):
    name = result.record["original"]["name"]
    original = result.original
    if result.take:
        if not drop_take(result.item, result.take, result.record.get("take_before", 1)):
            raise Refused("Resolve would not go back to the first take of {}; choose it by hand.".format(name))
    else:
        if not remove(session, result.item):
            raise Refused(
                "Resolve would not take the result of {} away; unlock its track V{} and run again.".format(
                    name, result.track
                )
            )
        is_off = original is not None and result.record["original"]["was_enabled"]
        if is_off and not set_enabled(session, original, True):
            raise Refused("Resolve would not switch {} on again; do it by hand (key D).".format(name))
    take_markers_away(session, result.record)
    with contextlib.suppress(OSError):  # a disk that is read-only now; the timeline is right all the same
        records.write(dict(result.record, is_placed=False, markers=[]))
