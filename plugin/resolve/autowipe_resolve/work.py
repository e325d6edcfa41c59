"""The run: every clip is rendered if need be and cleaned first, then all are placed; until then nothing is changed.

So a cancel, a dead engine or a full disk leaves the timeline as it was. `Run.steps` yields what to show, and the caller
decides after each whether to go on. Clips that are cleaned already when a run is stopped are taken over by the next.
"""

import os
import re

from . import clips, deliver, place, records
from .host import Refused

# File endings that the engine writes, by codec; the first where the source's own will not do.
ENDINGS = {"prores": (".mov",), "dnxhr": (".mov", ".mxf"), "h264": (".mp4", ".mov"), "hevc": (".mp4", ".mov")}
KNOWN = (".mov", ".mp4", ".m4v", ".qt", ".mkv", ".webm", ".avi", ".mxf", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg")
RENDER_SHARE, ENGINE_SHARE = 0.3, 0.95  # of a clip's progress


class Run:
    """`start_engine(job, name)` gives an engine at work: see engine.py."""

    def __init__(self, session, found, settings, start_engine):
        self.session, self.clips, self.settings, self.start_engine = session, found, settings, start_engine
        self.done, self.unchanged, self.problems = [], [], []

    def steps(self):
        """Yields (text, share done). Raises Refused only where nothing at all can be done."""
        try:
            os.makedirs(self.settings["folder"], exist_ok=True)
        except OSError as err:
            raise Refused(
                "The folder {} cannot be made: {}. Choose another.".format(self.settings["folder"], err.strerror)
            ) from err
        ready = []
        for index, clip in enumerate(self.clips):
            if clip.problem:
                self.problems.append("{} was left out: {}.".format(clip.name, clip.problem))
                continue
            name = clip.name if len(self.clips) == 1 else "{} ({} of {})".format(clip.name, index + 1, len(self.clips))
            try:
                cleaned = None
                for text, share in self._clean(clip):
                    if text is None:
                        cleaned = share
                    else:
                        yield "{}: {}".format(name, text), (index + share * ENGINE_SHARE) / len(self.clips)
                if cleaned is None:
                    self.unchanged.append(clip.name)
                else:
                    ready.append((clip, cleaned))
            except Refused as err:
                self.problems.append(str(err))
        for clip, made in ready:
            yield "Placing {}".format(clip.name), ENGINE_SHARE
            try:
                try:
                    self._place(clip, made)
                except place.NotExact:
                    if clip.route == "deliver" or clip.is_take:
                        raise
                    clip.why.append("its frames cannot be placed exactly")
                    for text, share in self._clean(clip):
                        if text is not None:
                            yield "{}: {}".format(clip.name, text), ENGINE_SHARE
                        elif share is not None:
                            self._place(clip, share)
                self.done.append(clip.name)
            except Refused as err:
                self.problems.append(str(err))

    def _place(self, clip, made):
        cleaned, record = made
        place.place(self.session, clip, cleaned, record, with_markers=self.settings["markers"])

    def said(self):
        """What happened, in a sentence or two."""
        words = []
        if self.done:
            words.append("{} cleaned and placed.".format(_clips(self.done)))
        if self.unchanged:
            words.append("No overlay was found in {}.".format(", ".join(self.unchanged)))
        return " ".join(words + self.problems) or "Nothing was done."

    def _clean(self, clip):
        """Yields (text, share), at last (None, (Cleaned, record)) or (None, None) where there is no overlay."""
        if clip.route == "deliver":
            longer = 0
            while True:
                source = None
                renderer = deliver.render(self.session, clip, self.settings["folder"], longer=longer)
                try:
                    while source is None:
                        try:
                            yield "Resolve renders it", next(renderer) * RENDER_SHARE
                        except StopIteration as end:
                            source = end.value
                finally:
                    renderer.close()
                try:
                    for step in self._wipe(clip, source, None, RENDER_SHARE):
                        yield step
                    return
                except _OtherLength as other:
                    longer += clip.frames - other.frames
                    if longer not in (-1, 1):
                        raise Refused(
                            "Resolve rendered {} frames of {} instead of {}; the timeline is as before.".format(
                                other.frames, clip.name, clip.frames
                            )
                        ) from other
                finally:
                    if os.path.exists(source):
                        os.remove(source)
        else:
            try:
                for step in self._wipe(clip, clip.path, [clip.first, clip.last], 0):
                    yield step
            except _OtherLength as other:
                raise Refused("{} has {} frames fewer than Resolve says.".format(clip.name, other.frames)) from other

    def _wipe(self, clip, source, frames, share_before):
        job, record = self._job(clip, source, frames)
        wanted = clip.frames if frames is None else frames[1] - frames[0]
        if record["is_done"]:
            yield None, self._cleaned(clip, record)
            return
        engine = self.start_engine(job, clip.name)
        events, result = [], None
        try:
            while result is None:
                for message in engine.poll():
                    kind = message.get("type")
                    if kind == "plan" and message.get("frames") != wanted:
                        raise _OtherLength(message.get("frames"))
                    if kind == "overlay":
                        events += [
                            {"kind": message["kind"], "start": start, "stop": stop}
                            for start, stop in message.get("events", [])
                        ]
                    if kind == "result":
                        result = message
                    if kind == "error":
                        raise Refused(_sentences(clip.name, message))
                text, done = engine.progress
                yield text, share_before + (1 - share_before) * done
        finally:
            engine.close()
        if not result.get("overlays"):
            _forget(job["output"])
            yield None, None
            return
        record.update(is_done=True, events=events)
        try:
            records.write(record)
        except OSError as err:
            raise Refused(
                "The folder {} cannot be written to: {}.".format(self.settings["folder"], err.strerror)
            ) from err
        yield None, self._cleaned(clip, record)

    def _job(self, clip, source, frames):
        """The engine's job and the record of what it is for; those of a stopped run where they are the same."""
        settings = self.settings
        ending = os.path.splitext(source)[1].lower()
        job = {"autowipe_job": 1, "source": source, "kinds": settings["kinds"], "quality": settings["quality"]}
        job.update(codec=settings["codec"], resume=True)
        fitting = ENDINGS.get(settings["codec"], KNOWN)
        ending = ending if ending in fitting else fitting[0]
        if frames is not None:
            job["range"] = frames
        key = dict(job, source=clip.path or clip.name, span=[clip.start, clip.stop], route=clip.route, item=clip.id)
        stamp = records.stamp_of(source) if frames is not None else None
        stem = re.sub(r'[<>:"/\\|?*\x00-\x1f%#]', "_", os.path.splitext(clip.name)[0]).strip(" .") or "clip"
        number = 1
        while True:
            tail = "_clean" if number == 1 else "_clean_{}".format(number)
            job["output"] = os.path.join(settings["folder"], stem + tail + ending)
            record = records.read(job["output"])
            if not os.path.exists(job["output"]) and not os.path.exists(records.record_path(job["output"])):
                break
            is_ours = record is not None and record.get("key") == key and record.get("stamp") == stamp
            if is_ours and not record["is_placed"] and os.path.isfile(job["output"]) and frames is not None:
                return job, record
            number += 1
        if settings["subtitles"] and "subtitle" in settings["kinds"]:
            job["srt"] = os.path.splitext(job["output"])[0] + ".srt"
        record = {"autowipe_result": 1, "output": job["output"], "job": job, "key": key, "stamp": stamp}
        record.update(is_done=False, is_placed=False, events=[])
        record["first"], record["last"] = frames if frames is not None else (0, clip.frames)
        record["lead"] = clip.lead if frames is not None else 0
        record["original"] = {
            "id": clip.id,
            "path": clip.path,
            "name": clip.name,
            "was_enabled": clip.was_enabled or clip.is_replaced,
        }
        return job, record

    def _cleaned(self, clip, record):
        is_source = clip.route == "source"
        rate = clip.rate if is_source else self.session.rate
        srt = record["job"].get("srt")
        frames = record["first"], record["last"]
        return place.Cleaned(record["output"], frames, record["lead"], rate, is_source, record["events"], srt), record


class _OtherLength(Exception):
    """The engine sees another number of frames than it should."""

    def __init__(self, frames):
        Exception.__init__(self)
        self.frames = frames


def _forget(output):
    """A clip without overlays needs no copy; the engine's files for it go."""
    for path in (output, os.path.splitext(output)[0] + ".srt"):
        if os.path.exists(path):
            os.remove(path)


def _sentences(name, message):
    text = "{}: {}".format(name, message.get("text", "the engine failed"))
    hint = message.get("hint", "")
    return "{}{} {}".format(text, "" if text.endswith(".") else ".", hint).strip()


def _clips(names):
    return "1 clip" if len(names) == 1 else "{} clips".format(len(names))


def look(session, pick, settings):
    """All clips of a pick, looked at."""
    chosen = {"handles": settings["handles"], "route": settings["route"], "way": settings["place"]}
    return [clips.look_at(session, span, **chosen) for span in pick.spans]
