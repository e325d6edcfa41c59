"""Writes what a run leaves beside the cleaned clip: matte, provenance and compare videos, text, report."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from . import __version__, ledger, planes
from .areas import AreaMask
from .decode import ClipInfo, Frame
from .encode import VideoWriter
from .findings import Findings
from .job import KINDS, Job
from .plan import Plan
from .plate import Plate
from .protocol import Warned
from .report import Stills, write_report
from .resume import WorkFolder
from .sidecars import Tally, compare_picture, matte_picture, provenance_picture, shares, srt
from .timing import FrameRange


class SideFiles:
    """Gets every frame before and after its plates go over it; `finish` writes the files that were asked for.

    A context manager: opening it tells what cannot be written before any work is done, and left without `finish`
    it keeps what was made so far in the run's working folder.
    """

    def __init__(self, job: Job, info: ClipInfo, whole: FrameRange, work: WorkFolder) -> None:
        self._job, self._info, self._range, self._work = job, info, whole, work
        self._first = (job.part or whole).start
        self._kinds = KINDS if job.matte_in else job.kinds
        self._size = (info.layout.width, info.layout.height)
        self._before: np.ndarray | None = None
        self._stack = ExitStack()
        self._videos: dict[str, VideoWriter] = {}

    def __enter__(self) -> SideFiles:
        width, height = self._size
        for name, size in {"matte": self._size, "provenance": self._size, "compare": None}.items():
            path = getattr(self._job, name)
            if path is None:
                continue
            if size is None:
                size = compare_picture(*[np.zeros((height, width, 3), np.uint8)] * 2).shape[1::-1]
            writer = VideoWriter(
                path,
                size,
                like=self._info,
                source_range=self._range,
                grey=name == "matte",
                work=self._work.path / name,
                first=self._first,
            )
            self._videos[name] = self._stack.enter_context(writer)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def follow(self, plan: Plan, folder: Path) -> None:
        """Takes the plan that is carried out, whose maps are in `folder`: call it before the first frame."""
        state = self._work.read("tally.json") or {"next": self._first, "tally": None, "seen": None}
        self._plan, overlays = plan, plan.active(self._kinds)
        self._counted = int(state["next"])
        self._tally = Tally(overlays, state["tally"])
        hold_outs = AreaMask(self._job.hold_outs, self._info, "hold-out")
        judged = () if self._job.matte_in else overlays  # of a given matte nobody knows what it is to cover
        self._findings = Findings(judged, plan, folder, self._info.layout, hold_outs, state["seen"])
        self._stills = Stills(self._work.path / "stills", plan, self._kinds)

    @property
    def next_frame(self) -> int:
        """First source frame that is still to be seen."""
        return min([self._counted, *(video.next_frame for video in self._videos.values())])

    @property
    def wants_frames(self) -> bool:
        """Whether any file needs the pictures of a clip in which nothing is wiped."""
        return bool(self._videos) or self._job.report is not None

    @property
    def changed_frames(self) -> int:
        return self._tally.changed_frames

    def shares(self) -> dict[str, float]:
        """Wiped pixels by provenance, as shares of all; empty when nothing was wiped."""
        return shares(self._tally.whole)

    def warnings(self) -> list[str]:
        """What is still seen of overlays in the frames so far, a sentence each."""
        return self._findings.warnings()

    def before(self, frame: Frame, plates: list[Plate]) -> None:
        if frame.index >= self._counted:
            self._findings.before(frame)
        self._before = self._rgb(frame) if self._wants_picture(frame.index) else None

    def after(self, frame: Frame, plates: list[Plate]) -> None:
        if frame.index >= self._counted:
            self._tally.add(frame.index, plates)
            self._findings.after(frame)
        for name, video in self._videos.items():
            if frame.index >= video.next_frame:
                video.write(self._picture(name, frame, plates), frame)
        if self._is_still(frame.index):
            assert self._before is not None
            how = provenance_picture(self._size, plates)
            self._stills.save(frame.index, self._before, self._rgb(frame), how)

    def cut(self, next_frame: int) -> None:
        """Makes safe what was seen before `next_frame`."""
        for video in self._videos.values():
            video.cut()
        state = {"next": next_frame, "tally": self._tally.as_dict(), "seen": self._findings.as_dict()}
        self._work.write("tally.json", state)

    def told(self, plan: Plan) -> Plan:
        """A plan with what was seen of its overlays in the frames so far."""
        return replace(plan, overlays=tuple(self._findings.told(overlay) for overlay in plan.overlays))

    def finish(self, warnings: list[Warned], seconds: dict[str, float]) -> dict[str, str]:
        """Writes everything asked for and gives the paths by what they are."""
        for video in self._videos.values():
            video.finish()
        job, files = self._job, {}
        if job.srt:
            write_text(Path(job.srt), srt(self._plan, times=self._seconds))
        for name in ("matte", "provenance", "compare", "srt", "report"):
            if getattr(job, name):
                files[name] = getattr(job, name)
        if job.report:
            written: dict[str, str] = {"output": job.output or ""} | files
            if job.save_plan:
                written["plan"] = job.save_plan
            write_report(
                Path(job.report),
                plan=self.told(self._plan),
                job=job,
                tally=self._tally,
                stills=self._stills,
                warnings=warnings,
                seconds=seconds,
                files={name: path for name, path in written.items() if path and name != "report"},
                versions={"AutoWipe": __version__, "Python": sys.version.split()[0]},
                start_timecode=self._info.timecode,
            )
        return files

    def _seconds(self, frame: int) -> float:
        """Time of a source frame from the first of the range, as the output has it."""
        pts, base = self._info.pts, self._info.time_base
        start = int(pts[self._range.start])
        if frame < len(pts):
            return float((int(pts[frame]) - start) * base)
        return float((int(pts[-1]) - start) * base) + (frame - len(pts) + 1) / float(self._info.rate)

    def _picture(self, name: str, frame: Frame, plates: list[Plate]) -> np.ndarray:
        if name == "matte":
            return matte_picture(self._size, plates)
        if name == "provenance":
            return provenance_picture(self._size, plates)
        assert self._before is not None
        return compare_picture(self._before, self._rgb(frame))

    def _is_still(self, frame: int) -> bool:
        return self._job.report is not None and frame in self._stills

    def _wants_picture(self, frame: int) -> bool:
        compare = self._videos.get("compare")
        return self._is_still(frame) or (compare is not None and frame >= compare.next_frame)

    def _rgb(self, frame: Frame) -> np.ndarray:
        info = self._info
        crop = planes.crop(frame.views, info.layout, (0, 0, *self._size))
        rgb = planes.to_rgb(crop, info.layout, info.matrix, info.full_range, info.siting)
        return np.rint(rgb * 255).clip(0, 255).astype(np.uint8)


def write_text(path: Path, text: str) -> None:
    """Writes a text file that is complete or not there."""
    with ledger.appearing(path) as part:
        part.write_text(text, "utf-8")
