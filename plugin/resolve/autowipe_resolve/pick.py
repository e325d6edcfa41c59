"""Which timeline items a command works on, and in words, why these.

In this order: what is selected, where this Resolve can say so (21.0.4 and later); else what lies between the in and
out marks; else clips of the colour or flag that was chosen last; else the clip under the playhead. All ways that find
a clip are offered, every other colour and flag too. For the whole timeline: everything.
"""

from .host import ask, duration_of, has, identity_of, items_of, start_of, stop_of
from .records import Results

COLOUR = "colour "  # ways that go by a colour or flag: COLOUR + its name


class Span:
    """Record frames `start` up to, not including, `stop` of one item on a video track; often all of it."""

    def __init__(self, track, item, start=None, stop=None):
        self.track, self.item = track, item
        self.start = start_of(item) if start is None else max(start, start_of(item))
        self.stop = stop_of(item) if stop is None else min(stop, stop_of(item))
        self.is_replaced = False  # by the result of an earlier run
        self.take = None  # that result, where it is a take

    def take_up(self, old):
        """Reaches as far as the result of an earlier run that is going to be replaced."""
        self.is_replaced = True
        if old.take:
            self.take = old
        else:
            self.start = max(start_of(self.item), min(self.start, start_of(old.item)))
            self.stop = min(stop_of(self.item), max(self.stop, stop_of(old.item)))

    @property
    def is_whole(self):
        return self.stop - self.start == duration_of(self.item)


class Pick:
    """One way to choose: its name, a sentence about it, the spans."""

    def __init__(self, way, text, spans):
        self.way, self.text, self.spans = way, text, spans


def picks(session, colour, *, is_timeline=False):
    """The ways that find something, the first to be taken unless the user says otherwise; `colour` was the last one."""
    if is_timeline:
        ways = [_timeline(session)]
    else:
        coloured = sorted(_coloured(session), key=lambda pick: pick.way != COLOUR + colour)
        first = [pick for pick in coloured if pick.way == COLOUR + colour]
        ways = [_selected(session), _marked(session)] + first + [_playhead(session)] + coloured[len(first) :]
    results = Results(session)
    found = []
    for pick in ways:
        if pick is not None:
            pick.spans = _originals(results, pick.spans)
            if pick.spans:
                found.append(pick)
    return found


def _selected(session):
    if not has(session.timeline, "GetSelectedClips"):
        return None
    chosen = {identity_of(item) for item in items_of(ask(session.timeline, "GetSelectedClips"))}
    spans = [span for span in _all(session) if identity_of(span.item) in chosen]
    return Pick("selected", "{} selected".format(count(spans)), spans)


def _marked(session):
    marks = ask(session.timeline, "GetMarkInOut")
    marks = marks.get("video", {}) if isinstance(marks, dict) else {}
    if not marks:
        return None
    first, last = marks.get("in", 0), marks.get("out", session.end - session.start - 1)
    # Marks are relative to the timeline's start, but one that a script set may be stored as an absolute frame.
    shift = 0 if session.start and first >= session.end - session.start else session.start
    start, stop = first + shift, last + shift + 1
    spans = [
        Span(span.track, span.item, start, stop)
        for span in _visible(session)
        if span.start < stop and start < span.stop
    ]
    return Pick("marked", "{} between the in and out marks".format(count(spans)), spans)


def _coloured(session):
    found = {}
    for span in _all(session):
        for name in [ask(span.item, "GetClipColor")] + items_of(ask(span.item, "GetFlagList")):
            if name and span not in found.setdefault(name, []):
                found[name].append(span)
    return [
        Pick(COLOUR + name, "{} with the colour or flag {}".format(count(spans), name), spans)
        for name, spans in sorted(found.items())
    ]


def _playhead(session):
    item = ask(session.timeline, "GetCurrentVideoItem")
    spans = [span for span in _all(session) if item is not None and identity_of(span.item) == identity_of(item)]
    return Pick("playhead", "the clip under the playhead", spans)


def _timeline(session):
    spans = _visible(session)
    return Pick("timeline", "{} on the whole timeline".format(count(spans)), spans)


def count(spans):
    return "1 clip" if len(spans) == 1 else "{} clips".format(len(spans))


def _all(session):
    return [Span(track, item) for track in session.tracks() for item in session.items(track)]


def _visible(session):
    """What shows: on a track that is on and not locked, itself on."""
    return [
        span
        for span in _all(session)
        if session.is_shown(span.track)
        and not session.is_locked(span.track)
        and ask(span.item, "GetClipEnabled") is not False
    ]


def _originals(results, spans):
    """A result of an earlier run stands for its original, so that a second run works on the source again."""
    chosen = {}
    for span in spans:
        result = results.by_result.get(identity_of(span.item))
        if result is not None:
            if result.original is None:
                continue
            span = Span(result.original_track, result.original, span.start, span.stop)
        for old in results.of(span.item, span.start, span.stop):
            span.take_up(old)
        chosen.setdefault((identity_of(span.item), span.start), span)
    return list(chosen.values())
