"""The second way out: Resolve renders a record range, and everything on the Deliver page is put back afterwards.

The file holds what the timeline shows from the clip's track downwards, frame for frame. Resolve has no call that reads
its render settings, so they are kept as a preset, and what a preset leaves out is read from a job that is added and
deleted again. Whether in and out marks are absolute or relative is read from the job that they give.
"""

import glob
import os
import uuid

from .edits import set_enabled
from .host import Refused, ask, did, items_of

# Format, codec as Resolve calls them (not as its pages show them); the first that this Resolve has.
CODECS = (
    ("mov", "ProRes422HQ"),
    ("mov", "DNxHRHQX_10"),
    ("mov", "DNxHRHQ"),
    ("mxf", "DNxHRHQ"),
    ("mov", "H264"),
    ("mp4", "H264"),
)
BASES = ("ProRes 422 HQ", "H.264 Master", "H.265 Master", "YouTube - 1080p")  # presets with a picture
READABLE = (  # settings of a render as a job in the queue tells them
    ("ExportVideo", "IsExportVideo"),
    ("ExportAudio", "IsExportAudio"),
    ("FormatWidth", "FormatWidth"),
    ("FormatHeight", "FormatHeight"),
)
DONE, OVER = "Complete", ("Failed", "Cancelled")


def render(session, clip, folder, *, longer=0):
    """Renders a clip's record range into a folder; yields the share that is done, returns the file's path.

    `longer` adds frames at the end, for a Resolve that takes the out mark as the first frame that is not wanted.
    Closing the generator stops the render and removes its file. Raises Refused.
    """
    if did(session.project, "IsRenderingInProgress"):
        raise Refused("Resolve is rendering already; run this again when it has finished.")
    with session.current():
        before = _Before(session)
        name = "autowipe_" + uuid.uuid4().hex[:8]
        job, path = None, None
        try:
            before.keep()
            before.show(clip)
            _settings(session, clip, folder, name, before)
            job, entry = _job(session, clip, longer)
            for share in _follow(session, clip, job):
                yield share
            path = _file(entry, folder, name)
        finally:
            if job is not None:
                if path is None:
                    ask(session.project, "StopRendering")
                did(session.project, "DeleteRenderJob", job)
            if path is None:
                for left in glob.glob(os.path.join(folder, name + "*")):
                    os.remove(left)
            before.put_back()
    return path


def _settings(session, clip, folder, name, before):
    project = session.project
    if before.may_load:
        known = _names(ask(project, "GetRenderPresetList"))
        base = next((base for base in BASES if base in known), None)
        if base is not None:
            did(project, "LoadRenderPreset", base)
    for kind, codec in CODECS:
        offered = ask(project, "GetRenderCodecs", kind)
        is_offered = isinstance(offered, dict) and codec in offered.values()
        if is_offered and did(project, "SetCurrentRenderFormatAndCodec", kind, codec):
            break
    else:
        raise Refused("Resolve's Deliver page offers no codec that AutoWipe knows; choose to work from the source.")
    did(project, "SetCurrentRenderMode", 1)
    wanted = {"TargetDir": folder, "CustomName": name, "ExportVideo": True}
    if not did(project, "SetRenderSettings", wanted):
        raise Refused("Resolve would not render into {}. Choose another folder for cleaned clips.".format(folder))
    width, height = session.size()
    if width and height:
        did(project, "SetRenderSettings", {"FormatWidth": width, "FormatHeight": height})
    did(project, "SetRenderSettings", {"ExportAudio": False})
    if before.may_load:  # these two cannot be read, so that only a preset brings them back
        did(project, "SetRenderSettings", {"ExportSubtitle": False})
        if codec == "H264":
            did(project, "SetRenderSettings", {"VideoQuality": "Best"})


def _names(answer):
    """Preset names, which come as text or as dictionaries."""
    return [item.get("PresetName", "") if isinstance(item, dict) else item for item in items_of(answer)]


def _job(session, clip, longer):
    """Adds the job; the id and its entry in the queue. Marks are sent as absolute frames first, then as relative."""
    for shift in (0, session.start):
        marks = {"MarkIn": clip.start - shift, "MarkOut": clip.stop - shift - 1 + longer}
        if not did(session.project, "SetRenderSettings", dict(marks, SelectAllFrames=False)):
            continue
        job = ask(session.project, "AddRenderJob")
        if not job or not isinstance(job, str):
            continue
        for entry in items_of(ask(session.project, "GetRenderJobList")):
            if entry.get("JobId") == job and all(entry.get(key) == value for key, value in marks.items()):
                return job, entry
        did(session.project, "DeleteRenderJob", job)
    raise Refused("Resolve did not take the range of {} into its render queue.".format(clip.name))


def _follow(session, clip, job):
    if not did(session.project, "StartRendering", [job], False):
        raise Refused("Resolve would not start to render {}. Close other dialogues and run again.".format(clip.name))
    while True:
        status = ask(session.project, "GetRenderJobStatus", job)
        state = status.get("JobStatus") if isinstance(status, dict) else None
        if state == DONE:
            return
        if state is None or state in OVER:
            said = str(status.get("Error") or "") if isinstance(status, dict) else ""
            raise Refused(
                "Resolve could not render {}{}. The timeline is as before.".format(
                    clip.name, " ({})".format(said.rstrip(".")) if said else ""
                )
            )
        yield min(99, float(status.get("CompletionPercentage") or 0)) / 100


def _file(entry, folder, name):
    path = os.path.join(entry.get("TargetDir") or folder, entry.get("OutputFilename") or "")
    if not os.path.isfile(path):
        found = glob.glob(os.path.join(folder, name + "*"))
        path = found[0] if len(found) == 1 else ""
    if not path or os.path.getsize(path) == 0:
        raise Refused("Resolve says that it has rendered, but wrote no file into {}.".format(folder))
    return path


class _Before:
    """How page, tracks, clip and Deliver page were; puts them back."""

    def __init__(self, session):
        self.session, self.project = session, session.project
        self.page = ask(session.resolve, "GetCurrentPage")  # first of all: render calls turn to the Deliver page
        self.queue = [job.get("JobId") for job in items_of(ask(self.project, "GetRenderJobList"))]
        self.coding = ask(self.project, "GetCurrentRenderFormatAndCodec") or {}
        self.mode = ask(self.project, "GetCurrentRenderMode")
        self.marks = ask(session.timeline, "GetMarkInOut")
        self.preset = "AutoWipe, settings before " + uuid.uuid4().hex[:6]
        self.has_preset = False
        # Loading a preset clears the queue on some builds of 20, and a queue cannot be put back.
        self.may_load = not (self.queue and session.version[0] == 20)
        self.target = None
        self.tracks, self.clip = [], None

    def keep(self):
        self.has_preset = did(self.project, "SaveAsNewRenderPreset", self.preset)
        job = ask(self.project, "AddRenderJob")
        if job and isinstance(job, str):
            entries = items_of(ask(self.project, "GetRenderJobList"))
            self.target = next((entry for entry in entries if entry.get("JobId") == job), None)
            did(self.project, "DeleteRenderJob", job)

    def show(self, clip):
        """Only the clip's track and those below are seen; the clip itself is on."""
        timeline = self.session.timeline
        for track in self.session.tracks():
            is_on, is_wanted = self.session.is_shown(track), track <= clip.track
            if is_on != is_wanted and (is_on or track == clip.track):
                self.tracks.append((track, is_on))
                did(timeline, "SetTrackEnable", "video", track, is_wanted)
        if ask(clip.item, "GetClipEnabled") is False:
            self.clip = clip.item
            set_enabled(self.session, clip.item, True)

    def put_back(self):
        if self.clip is not None:
            set_enabled(self.session, self.clip, False)
        for track, is_on in self.tracks:
            did(self.session.timeline, "SetTrackEnable", "video", track, is_on)
        if self.coding.get("format"):
            did(self.project, "SetCurrentRenderFormatAndCodec", self.coding["format"], self.coding.get("codec", ""))
        if self.has_preset and self.may_load:  # else the preset stays, for what cannot be put back one by one
            did(self.project, "LoadRenderPreset", self.preset)
            did(self.project, "DeleteRenderPreset", self.preset)
        if self.mode in (0, 1):
            did(self.project, "SetCurrentRenderMode", self.mode)
        self._put_target_back()
        self._put_marks_back()
        if self.page:
            did(self.session.resolve, "OpenPage", self.page)

    def _put_target_back(self):
        if self.target is None:
            return
        names = {"TargetDir": self.target.get("TargetDir"), "CustomName": self.target.get("OutputFilename", "")}
        names["CustomName"] = os.path.splitext(names["CustomName"])[0]
        did(self.project, "SetRenderSettings", {key: value for key, value in names.items() if value})
        if not self.may_load:
            for ours, theirs in READABLE:
                if self.target.get(theirs) is not None:
                    did(self.project, "SetRenderSettings", {ours: self.target[theirs]})
        marks = {"MarkIn": self.target.get("MarkIn"), "MarkOut": self.target.get("MarkOut")}
        length = self.session.end - self.session.start
        is_all = None not in marks.values() and marks["MarkOut"] - marks["MarkIn"] + 1 >= length
        if is_all or None in marks.values():
            did(self.project, "SetRenderSettings", {"SelectAllFrames": True})
        else:
            did(self.project, "SetRenderSettings", dict(marks, SelectAllFrames=False))

    def _put_marks_back(self):
        """Marks of a render can end up as those of the timeline."""
        timeline = self.session.timeline
        if not isinstance(self.marks, dict) or ask(timeline, "GetMarkInOut") == self.marks:
            return
        if not self.marks:
            ask(timeline, "ClearMarkInOut")
        for kind, marks in self.marks.items():
            if "in" in marks and "out" in marks:
                did(timeline, "SetMarkInOut", marks["in"], marks["out"], kind)
