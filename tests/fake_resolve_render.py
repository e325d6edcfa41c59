"""What the fake Resolve shows and renders: pictures of record frames, and the Deliver page with its queue.

A source's frames come from its file. A grade darkens, FlipX mirrors, a Fusion composition brightens, opacity lets
the tracks below through: enough to tell by its pixels which way a clip went.
"""

from __future__ import annotations

import os
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from fake_resolve_api import keys_of

FORMATS = {"mov": "mov", "mp4": "mp4", "mxf": "mxf"}  # name → extension
CODECS = {
    "mov": {"Apple ProRes 422 HQ": "ProRes422HQ", "H.264": "H264"},
    "mp4": {"H.264": "H264"},
    "mxf": {},
}
NOT_IN_PRESETS = {"SelectAllFrames", "MarkIn", "MarkOut", "TargetDir", "CustomName", "mode"}
POLLS = 3  # questions after which a render is done


@lru_cache(maxsize=64)
def _frames(path: str, stamp: int) -> list[np.ndarray]:
    with av.open(path) as box:
        return [frame.to_ndarray(format="rgb24") for frame in box.decode(video=0)]


def source_frames(path: str) -> list[np.ndarray]:
    """(H, W, 3) uint8 pictures of a clip."""
    return _frames(path, os.stat(path).st_mtime_ns)


def picture(timeline: Any, record: int, *, up_to: int | None = None) -> np.ndarray:
    """What a timeline shows at a record frame, (H, W, 3) uint8; black where nothing is."""
    width, height = timeline.project.size
    shown = np.zeros((height, width, 3), np.float32)
    for track in timeline.video[:up_to]:
        for item in track.items:
            if track.is_enabled and item.is_enabled and item.start <= record < item.end:
                share = item.properties.get("Opacity", 100.0) / 100
                shown = shown * (1 - share) + _item_picture(item, record) * share
    return np.rint(shown).astype(np.uint8)


def _item_picture(item: Any, record: int) -> np.ndarray:
    if item.media is None:
        look = np.zeros((item.timeline.project.size[1], item.timeline.project.size[0], 3), np.float32)
        look[:, : look.shape[1] // 4] = (30, 90, 150)
    elif item.media.nested is not None:
        nested = item.media.nested
        look = picture(nested, nested.start + item.frame_at(record)).astype(np.float32)
    else:
        look = source_frames(item.media.path)[item.frame_at(record)].astype(np.float32)
    if item.grade:
        look = look * (1 - float(item.grade))
    if item.properties.get("FlipX"):
        look = look[:, ::-1]
    if item.fusion:
        look = np.minimum(look + 20, 255)
    return look


class Deliver:
    """The render calls of a project."""

    def set_up_deliver(self) -> None:
        self.queue: list[dict[str, Any]] = []
        self.states: dict[str, dict[str, Any]] = {}
        self.settings: dict[str, Any] = {  # the user was about to render sound alone
            "format": "mp4",
            "codec": "H264",
            "mode": 0,
            "ExportVideo": False,
            "ExportAudio": True,
            "ExportSubtitle": True,
            "FormatWidth": 1280,
            "FormatHeight": 720,
            "VideoQuality": 0,
            "SelectAllFrames": True,
            "MarkIn": 0,
            "MarkOut": 0,
            "TargetDir": "/films/out",
            "CustomName": "for the mixer",
        }
        self.presets: dict[str, dict[str, Any]] = {
            "H.264 Master": {"ExportVideo": True, "ExportAudio": True, "format": "mp4", "codec": "H264"},
            "Audio Only": {"ExportVideo": False, "format": "mp4", "codec": "H264"},
        }
        self.job_count = 0
        self.rendering: str | None = None

    def _to_deliver(self) -> None:
        self.studio.page = "deliver"

    def GetRenderFormats(self):
        return dict(FORMATS)

    def GetRenderCodecs(self, name):
        return dict(CODECS.get(name, {}))

    def GetCurrentRenderFormatAndCodec(self):
        return {"format": self.settings["format"], "codec": self.settings["codec"]}

    def SetCurrentRenderFormatAndCodec(self, name, codec):
        self._to_deliver()
        if codec not in CODECS.get(name, {}).values():
            return False
        self.settings.update(format=name, codec=codec)
        return True

    def GetCurrentRenderMode(self):
        self._to_deliver()
        return self.settings["mode"]

    def SetCurrentRenderMode(self, mode):
        self._to_deliver()
        if mode not in (0, 1):
            return False
        self.settings["mode"] = mode
        return True

    def GetRenderPresetList(self):
        return list(self.presets)

    def LoadRenderPreset(self, name):
        if name not in self.presets:
            return False
        self.settings.update(self.presets[name])
        if self.studio.manners.preset_clears_queue:
            self.queue.clear()
        return True

    def SaveAsNewRenderPreset(self, name):
        if not name or name in self.presets:
            return False
        self.presets[name] = {key: value for key, value in self.settings.items() if key not in NOT_IN_PRESETS}
        return True

    def DeleteRenderPreset(self, name):
        return self.presets.pop(name, None) is not None

    def SetRenderSettings(self, settings):
        self._to_deliver()
        if not isinstance(settings, dict) or not settings:
            return False
        wrong = set(settings) - keys_of("RenderSettings")
        if wrong:
            self.studio.door.misuse.append(f"SetRenderSettings does not know {sorted(wrong)}")
            return False
        if "CustomName" in settings and not settings["CustomName"]:
            return False  # and nothing of the rest is taken over either
        self.settings.update(settings)
        return True

    def AddRenderJob(self):
        self._to_deliver()
        timeline, manners = self.current, self.studio.manners
        if timeline is None or not self.settings.get("TargetDir") or manners.render == "refused":
            return ""
        first, last = timeline.start, timeline.end - 1
        if not self.settings.get("SelectAllFrames"):
            shift = 0 if manners.marks == "absolute" else timeline.start
            first = self.settings.get("MarkIn", first - shift) + shift
            last = self.settings.get("MarkOut", last - shift) + shift
        first, last = (min(max(frame, timeline.start), timeline.end - 1) for frame in (first, last))
        shown = 0 if manners.marks == "absolute" else timeline.start
        self.job_count += 1
        job = {
            "JobId": f"job-{self.job_count}",
            "RenderJobName": f"Job {self.job_count}",
            "TimelineName": timeline.name,
            "TargetDir": self.settings["TargetDir"],
            "OutputFilename": self.settings["CustomName"] + "." + FORMATS[self.settings["format"]],
            "MarkIn": first - shown,
            "MarkOut": last - shown,
            "FrameRate": timeline.rate_text,
            "PresetName": "Custom",
            "IsExportVideo": self.settings["ExportVideo"] or manners.render == "no picture",
            "IsExportAudio": self.settings["ExportAudio"],
            "FormatWidth": self.settings["FormatWidth"],
            "FormatHeight": self.settings["FormatHeight"],
        }
        self.queue.append(job)
        self.states[job["JobId"]] = {"at": "Ready", "polls": 0, "settings": dict(self.settings), "timeline": timeline}
        return job["JobId"]

    def GetRenderJobList(self):
        return [dict(job) for job in self.queue]

    def DeleteRenderJob(self, job_id):
        before = len(self.queue)
        self.queue = [job for job in self.queue if job["JobId"] != job_id]
        return len(self.queue) < before

    def StartRendering(self, jobs=None, isInteractiveMode=False):
        self._to_deliver()
        if not isinstance(jobs, list) or len(jobs) != 1 or jobs[0] not in self.states or self.rendering:
            return False
        state = self.states[jobs[0]]
        state["at"] = "Failed" if self.studio.manners.render == "fails at once" else "Rendering"
        self.rendering = jobs[0] if state["at"] == "Rendering" else None
        return True

    def IsRenderingInProgress(self):
        return self.rendering is not None

    def StopRendering(self):
        if self.rendering:
            self.states[self.rendering]["at"] = "Cancelled"
            self.rendering = None

    def GetRenderJobStatus(self, job_id):
        state = self.states.get(job_id)
        if state is None:
            return {}
        if state["at"] == "Rendering":
            state["polls"] += 1
            if self.studio.manners.render == "fails" and state["polls"] >= POLLS:
                state["at"], self.rendering = "Failed", None
            elif state["polls"] >= POLLS and self.studio.manners.render != "never ends":
                self._write(job_id, state)
                state["at"], self.rendering = "Complete", None
        done = 100 if state["at"] == "Complete" else min(99, 100 * state["polls"] // POLLS)
        error = {"Error": "Der Vorgang konnte nicht abgeschlossen werden"} if state["at"] == "Failed" else {}
        return {"JobStatus": state["at"], "CompletionPercentage": done, **error}

    def _write(self, job_id: str, state: dict[str, Any]) -> None:
        job = next(job for job in self.queue if job["JobId"] == job_id)
        timeline, settings, manners = state["timeline"], state["settings"], self.studio.manners
        shown = 0 if manners.marks == "absolute" else timeline.start
        first, stop = job["MarkIn"] + shown, job["MarkOut"] + shown + (1 if manners.mark_out == "inclusive" else 0)
        if manners.render == "short":
            stop -= 1
        path = Path(job["TargetDir"]) / job["OutputFilename"]
        has_picture = settings.get("ExportVideo") and manners.render != "no picture"
        with av.open(str(path), "w") as box:
            if has_picture:
                _encode(box, settings["codec"], timeline, range(first, stop))
            else:
                stream = box.add_stream("aac", rate=48000, layout="mono")
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 48000, 0
                box.mux([*stream.encode(frame), *stream.encode()])


def _encode(box: Any, codec: str, timeline: Any, frames: range) -> None:
    name, pix_fmt = {"ProRes422HQ": ("prores_ks", "yuv444p10le"), "H264": ("libx264", "yuv444p")}[codec]
    options = {"profile": "4"} if name == "prores_ks" else {"qp": "0"}
    stream = box.add_stream(name, rate=Fraction(timeline.rate), options=options)
    stream.width, stream.height, stream.pix_fmt = *timeline.project.size, pix_fmt
    for number, record in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(picture(timeline, record), format="rgb24").reformat(format=pix_fmt)
        frame.pts, frame.time_base = number, 1 / Fraction(timeline.rate)
        box.mux(stream.encode(frame))
    box.mux(stream.encode())
