"""The stages in their order: make_plan() is pass A, carry_out() is pass B, run() is a whole job."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Any

from . import device, heap, kinds, parts, planes, sections
from .areas import AreaMask, matte_overlays
from .completers import network
from .composite import composite
from .decode import Clip, ClipInfo, fingerprint, open_clip
from .encode import Output, copy_untouched, open_output
from .errors import Cancelled, JobError, MediaError
from .finders import Finders
from .job import KINDS, Box, Job
from .matte import Mattes
from .outputs import check_outputs, check_pictures
from .overlays import resolve, to_plan
from .pace import Pace
from .perception import Perception
from .plan import Plan, Source
from .planfile import maps_digest, read_plan, write_plan
from .plate import Plate
from .pool import Pool
from .protocol import Message, OverlayFound, PlanSize, Progress, Result, Send, Warned
from .resume import WorkFolder
from .segments import disk_fault
from .shotplates import ShotPlates
from .shots import ShotFinder
from .sidefiles import SideFiles
from .text import unload as unload_text
from .textsearch import TextSearch
from .timing import FrameRange, Window
from .trial import settled
from .windows import ahead, plates_of, ring_of, windows_of

log = logging.getLogger(__name__)

TIDY = 12  # frames that are written, after which free memory is given back: 5 ms
SMALL_WIDTH = 640  # px of the analysis picture: smaller loses thin strokes, larger costs more than decoding


@dataclass
class Run:
    """What every stage gets: where messages go, and whether to stop."""

    send: Send
    cancelled: threading.Event

    def __post_init__(self) -> None:
        self.warnings: list[Warned] = []
        self._began = time.monotonic()
        self._stages: tuple[str, ...] = ()
        self._last = 0.0
        self._pace = Pace(self._began)

    def stages(self, names: tuple[str, ...], frames: int, shots: int | None) -> None:
        self._stages = names
        self.send(PlanSize(frames, shots, names))

    def enter(self, stage: str) -> None:
        self._pace.enter(stage, time.monotonic())

    def progress(self, stage: str, done: int, total: int) -> None:
        """Tells how far a stage is, ten times a second at most; raises Cancelled when asked to stop."""
        if self.cancelled.is_set():
            raise Cancelled()
        now = time.monotonic()
        self._pace.add(stage, done, total, now)
        if done < total and now - self._last < 0.1:
            return
        self._last = now
        eta = self._pace.left(self._stages, now)
        self.send(Progress(stage, done, total, None if eta is None else round(eta, 1)))

    def seconds(self) -> dict[str, float]:
        """Wall time of each stage so far, s."""
        return self._pace.seconds(time.monotonic())

    def warn(self, code: str, text: str) -> None:
        warning = Warned(code, text)
        if warning not in self.warnings:
            self.warnings.append(warning)
            self.send(warning)


def run(job: Job, send: Callable[[Message], None], cancelled: threading.Event, version: str) -> Result:
    """Carries out one job. Raises AutoWipeError when it cannot; nothing appears under the output's name then."""
    state = Run(send, cancelled)
    device.check(job.device)
    try:
        check_outputs(job)
        return _run(job, state, version)
    except OSError as err:  # of a file beside the clip: those that read and write clips tell it themselves
        raise disk_fault(err, Path(err.filename or job.output or job.save_plan or "")) from err


def _run(job: Job, state: Run, version: str) -> Result:
    send = state.send
    with ExitStack() as stack:
        clip = stack.enter_context(open_clip(job.source))
        whole = _range_of(job, clip.info)
        check_pictures(job, clip.info, whole)
        for frame in clip.info.gaps:
            if frame in whole and frame + 1 in whole:
                text = f"frames are missing after frame {frame} of {job.source}: the file may be damaged there"
                state.warn("gap", text)
        print_of = fingerprint(job.source)
        given = read_plan(Path(job.plan), clip.info, whole) if job.plan else None
        if given and given.source.fingerprint != print_of:
            state.warn("plan-source", f"the plan was made for another version of this clip ({given.source.path})")
        maps = maps_digest(given, Path(job.plan).parent) if given and job.plan else ""
        work = WorkFolder(job, print_of + maps, version)
        stack.callback(work.close)
        if work.is_another:
            state.warn("resume", "what an earlier run left was of another request; this one begins anew")
        hold_outs = AreaMask(job.hold_outs, clip.info, "hold-out")
        parts.take_up(job, work, print_of + maps, version)
        out = stack.enter_context(_output(job, clip.info, whole, work)) if job.output else None
        side = stack.enter_context(SideFiles(job, clip.info, whole, work))
        names = () if given else ("look",) if job.matte_in else looks(job.part or whole, clip.info.rate)
        if job.task == "wipe":
            names = (*names, "wipe")
        state.stages(names, len(whole), _shots_in(given, whole) if given else None)
        plan, folder = _get_plan(job, given, clip, whole, print_of, work, state)
        if not given:
            state.stages(names, len(whole), _shots_in(plan, whole))
        wanted = KINDS if job.matte_in else job.kinds
        for overlay in plan.active(wanted) if job.task == "wipe" else plan.overlays:
            spans = tuple((e.range.start, e.range.stop) for e in overlay.events)
            send(OverlayFound(overlay.id, overlay.kind, spans, overlay.box, overlay.confidence))
        if job.part and out is None:
            text = f"Frames {plan.range.start} to {plan.range.stop - 1} are analysed and wait to be joined."
            return Result(None, None, len(plan.overlays), len(plan.range), 0, {}, {}, text)
        if job.save_plan:
            write_plan(plan, folder, Path(job.save_plan))
        if out is None:
            work.remove()
            parts.remove(job)
            return _told(Result(None, job.save_plan, len(plan.overlays), len(whole), 0, {}, {}, ""), plan, wanted)
        mattes = Mattes(plan.active(wanted), folder, clip.info.layout, hold_outs)
        mattes.check()
        side.follow(replace(plan, range=whole), folder)
        result = carry_out(job, replace(plan, range=whole), mattes, clip, out, side, state)
        if job.part:
            return result  # the working folder is what the run that joins takes up
        work.remove()
        parts.remove(job)
    return result


def looks(whole: FrameRange, rate: Fraction) -> tuple[str, ...]:
    """The stages of pass A: two, or one where section after section is looked at and measured."""
    return ("look", "measure") if len(sections.sections_of(whole, rate)) == 1 else ("look",)


def make_plan(job: Job, clip: Clip, whole: FrameRange, print_of: str, folder: Path, run: Run) -> Plan:
    """Pass A: a plan for each section that `folder` has none of yet, and one of them all.

    Maps go to `folder`/plan.maps. Of a job's part, which is one section, only its own plan is made.
    """
    named = sections.sections_of(whole, clip.info.rate)
    if job.part and job.part not in named:
        raise JobError(
            f"the part {job.part.start}:{job.part.stop} is no section of this clip",
            code="part",
            hint=f"Sections: {', '.join(f'{part.start}:{part.stop}' for part in named)}.",
        )

    @cache
    def edge(at: int) -> int:
        if at in (whole.start, whole.stop):
            return at
        frames = clip.frames(sections.near(at, whole, clip.info.rate))
        return sections.edge((_small(frame, clip) for frame in frames), at, clip.info.rate)

    plans = []
    todo = (job.part,) if job.part else named
    for part in todo:
        file = folder / f"section-{part.start}-{part.stop}.json"
        if not file.exists():
            section = FrameRange(edge(part.start), edge(part.stop))
            maps = "plan.maps/" if len(named) == 1 else f"plan.maps/{part.start}-{part.stop}."
            first, half = section.start - whole.start, len(section) / 2
            steps = _Step("look", first, half, len(whole)), _Step("look", first + half, half, len(whole))
            if len(todo) == 1:
                steps = _Step("look", 0, 2 * half, len(section)), _Step("measure", 0, 2 * half, len(section))
            _write_whole(file, _analyse(job, clip, section, steps, print_of, folder, maps, run))
        plans.append(Plan.from_json(file.read_text("utf-8"), str(file)))
    unload_text()  # completing needs the memory
    heap.give_back()
    return sections.joined(plans, whole) if len(plans) > 1 else plans[0]


@dataclass(frozen=True)
class _Step:
    """What decoding some frames means for a stage: `share` of its `total` frames, beginning at `first`."""

    stage: str
    first: float
    share: float
    total: int


def _analyse(
    job: Job,
    clip: Clip,
    section: FrameRange,
    steps: tuple[_Step, _Step],
    print_of: str,
    folder: Path,
    maps: str,
    run: Run,
) -> Plan:
    """Two looks at a section, then one decision per overlay. Maps go to `folder`, their names begin with `maps`."""
    info = clip.info
    shot_finder, text = ShotFinder(), TextSearch(float(info.rate))
    perception = Perception(section, float(info.rate), job.device, run.warn)
    smalls = (_small(frame, clip) for frame in _decoded(clip, section, steps[0], run))
    with Finders(info.layout, section, float(info.rate), perception.seen) as finders:
        with closing(ahead(smalls)) as smalls:
            for small in smalls:
                text.look(small)
                finders.survey(small)
                shot_finder.add(small)
                perception.add(small)
        shots = shot_finder.finish()
        boxes, wanted = finders.propose(shots)
        unload_text()  # what it holds of the sizes that it has seen
        if any(boxes):
            _measure(clip, section, finders, boxes, wanted, steps[1], run)
        finds = finders.finish()
    found = resolve([find for found in finds for find in found], section, float(info.rate))
    search = AreaMask(job.search_areas, info, "search area")
    overlays = to_plan(found, job.kinds, search, info.layout, section, folder, maps)
    return settled(Plan(_source(job, info, print_of), section, shots, overlays), folder, maps, clip)


def _measure(
    clip: Clip,
    section: FrameRange,
    finders: Finders,
    boxes: list[list[Box]],
    wanted: list[list[bool]],
    step: _Step,
    run: Run,
) -> None:
    """The second look: each finder gets the crops of its boxes from the frames that it wants."""
    spans = _spans(clip, section, wanted)
    with closing(ahead(frame for span in spans for frame in _decoded(clip, span, step, run, section))) as frames:
        for frame in frames:
            here = [wants[frame.index - section.start] for wants in wanted]
            crops = [
                [planes.crop(frame.samples, clip.info.layout, box) for box in places] if wants else None
                for wants, places in zip(here, boxes, strict=True)
            ]
            finders.measure(frame.index, crops)


def _spans(clip: Clip, section: FrameRange, wanted: list[list[bool]]) -> list[FrameRange]:
    """The parts of a section that hold all frames which some finder wants; none that decoding has to pass anyway ends.

    wanted: for each finder, which of the section's frames.
    """
    spans: list[FrameRange] = []
    for t in (t for t, *wants in zip(section, *wanted, strict=True) if any(wants)):
        if spans and (t == spans[-1].stop or clip.entry(t) <= spans[-1].stop):
            spans[-1] = FrameRange(spans[-1].start, t + 1)
        else:
            spans.append(FrameRange(t, t + 1))
    return spans


def carry_out(job: Job, plan: Plan, mattes: Mattes, clip: Clip, out: Output, side: SideFiles, run: Run) -> Result:
    """Pass B: the plan's overlays wiped, the files written. Only samples under a matte change."""
    assert job.output is not None
    info, whole = clip.info, plan.range
    run.enter("wipe")
    can_copy = not job.part and job.codec == "auto" and not mattes.visible(whole)
    lost = copy_untouched(job.output, info, whole) if can_copy else None
    is_copy = lost is not None
    for code, text in out.warnings if lost is None else lost:
        run.warn(code, text)
    if is_copy:
        if side.wants_frames:
            for frame in clip.frames(whole):
                side.before(frame, [])
                side.after(frame, [])
        files = side.finish(run.warnings, run.seconds())
        run.progress("wipe", len(whole), len(whole))
    else:
        first = min(out.next_frame, side.next_frame)
        every, here = windows_of(plan, mattes, info), job.part or whole
        ends = parts.segment_ends(every, info.rate)
        parts.check(job, ends, whole)
        todo = [window for window in every if first < window.core.stop <= here.stop]
        is_own = not job.plan and not job.matte_in
        beyond = ShotPlates(clip, mattes, plan.shots, ring_of(info))
        pool = Pool(partial(network.better, device=job.device))
        before = every[every.index(todo[0]) - 1] if todo and todo[0] != every[0] else None
        how = job.quality, job.completers, is_own
        made = plates_of(todo, mattes, clip, *how, beyond=beyond, complete=pool.complete, before=before)
        with closing(ahead(made)) as plates, pool:  # which ends first, so that nobody waits for what it would make
            _wipe(todo, ends, plates, clip, here, out, side, run)
        if job.part:
            out.cut()
            side.cut(here.stop)
            text = f"Frames {here.start} to {here.stop - 1} are wiped and wait to be joined."
            shares, changed = side.shares(), side.changed_frames
            return Result(None, None, len(plan.overlays), len(here), changed, shares, {}, text)
        for text in side.warnings():
            run.warn("seen", text)
        # The clip appears last: when it is there, everything is.
        files = side.finish(run.warnings, run.seconds())
        out.finish()
    shares, changed = side.shares(), side.changed_frames
    result = Result(job.output, job.save_plan, len(plan.overlays), len(whole), changed, shares, files, "")
    return _told(result, plan, KINDS if job.matte_in else job.kinds, is_copy)


def _output(job: Job, info: ClipInfo, whole: FrameRange, work: WorkFolder) -> Output:
    """The output, opened before any work so that a request that cannot be met is told at once."""
    assert job.output is not None
    return open_output(
        job.output,
        info,
        source_range=whole,
        codec=job.codec,
        hardware=job.encoder == "hardware",
        quality=job.quality,
        work=work.path / "output",
        first=(job.part or whole).start,
    )


def _wipe(
    todo: list[Window],
    ends: list[int],
    plates: Iterator[Iterator[Plate]],
    clip: Clip,
    whole: FrameRange,
    out: Output,
    side: SideFiles,
    run: Run,
) -> None:
    """Composites the plates of each window over its frames and writes them, in segments."""
    if not todo:
        return
    frames = clip.frames(FrameRange(todo[0].core.start, whole.stop))
    for window, made in zip(todo, plates, strict=True):
        due = next(made, None)
        for frame in frames:
            _tell_damage(frame, clip, run)
            here = []
            while due is not None and due.frame == frame.index:
                here.append(due)
                due = next(made, None)
            side.before(frame, here)
            for plate in here:
                composite(frame.views, clip.info.layout, plate)
            side.after(frame, here)
            if frame.index >= out.next_frame:
                out.write(frame, changed=bool(here))
            run.progress("wipe", frame.index + 1 - whole.start, len(whole))
            if frame.index % TIDY == 0:
                heap.give_back()
            if frame.index + 1 == window.core.stop:
                break
        if window.core.stop in ends:
            out.cut()
            side.cut(window.core.stop)


def _small(frame: Any, clip: Clip) -> kinds.Small:
    luma, chroma = planes.small(frame.samples, clip.info.layout, SMALL_WIDTH)
    return kinds.Small(frame.index, luma, chroma, clip.info.layout.width / luma.shape[1])


def _decoded(clip: Clip, part: FrameRange, step: _Step, run: Run, section: FrameRange | None = None) -> Iterator[Any]:
    """The frames of a part of a section, by default of all of it."""
    section = section or part
    run.enter(step.stage)
    for frame in clip.frames(part):
        _tell_damage(frame, clip, run)
        yield frame
        done = step.first + step.share * (frame.index + 1 - section.start) / len(section)
        run.progress(step.stage, round(done), step.total)


def _tell_damage(frame: Any, clip: Clip, run: Run) -> None:
    if frame.is_corrupt:
        run.warn("corrupt", f"frame {frame.index} of {clip.info.path} is damaged; its picture may be wrong")


def _get_plan(
    job: Job, given: Plan | None, clip: Clip, whole: FrameRange, print_of: str, work: WorkFolder, run: Run
) -> tuple[Plan, Path]:
    """The plan and the folder that its maps are in: given, left by the killed run, made of a matte, or perceived."""
    if given:
        assert job.plan is not None
        return given, Path(job.plan).parent
    file = work.path / "plan.json"
    if work.is_resumed and file.exists():
        return Plan.from_json(file.read_text("utf-8"), str(file)), work.path
    if job.matte_in:
        overlays = matte_overlays(job.matte_in, clip.info, whole, work.path, "plan.maps")
        shots = _shots(clip, whole, run)
        plan = Plan(_source(job, clip.info, print_of), whole, shots, overlays)
    else:
        plan = make_plan(job, clip, whole, print_of, work.path, run)
    _write_whole(file, plan)
    return plan, work.path


def _write_whole(file: Path, plan: Plan) -> None:
    """A kill leaves the plan whole, or none."""
    part = file.with_suffix(".part")
    part.write_text(plan.to_json(), "utf-8")
    part.replace(file)


def _shots(clip: Clip, whole: FrameRange, run: Run) -> tuple[FrameRange, ...]:
    finder = ShotFinder()
    for frame in _decoded(clip, whole, _Step("look", 0, len(whole), len(whole)), run):
        finder.add(_small(frame, clip))
    return finder.finish()


def _shots_in(plan: Plan, whole: FrameRange) -> int:
    return sum(len(shot.meet(whole)) > 0 for shot in plan.shots)


def _source(job: Job, info: ClipInfo, print_of: str) -> Source:
    return Source(job.source, (info.layout.width, info.layout.height), info.rate, info.frames, print_of)


def _range_of(job: Job, info: ClipInfo) -> FrameRange:
    whole = job.range or info.whole
    if whole.stop > info.frames:
        raise JobError(
            f"the range {whole.start}:{whole.stop} ends after the clip, which has {info.frames} frames",
            code="range",
            hint="Shorten the range.",
        )
    if whole.stop > info.held:
        raise MediaError(
            f"{info.path} is cut short: only {info.held} of its {info.frames} frames are there",
            code="truncated",
            hint=f"Get the whole file, or clean what is there with --range 0:{info.held}.",
        )
    return whole


def _told(result: Result, plan: Plan, wanted: tuple[str, ...], is_copy: bool = False) -> Result:
    """The result with its sentence."""
    unchanged = "the clip is unchanged" if is_copy else "its frames are encoded anew as they were"
    active = plan.active(wanted)
    if not plan.overlays:
        text = "No overlay was found"
        text += f"; {unchanged}." if result.output else "."
    elif result.output is None:
        text = f"{len(plan.overlays)} overlay(s) found: {', '.join(_name(o) for o in plan.overlays)}."
    elif not result.changed_frames:
        text = f"Nothing was wiped; {unchanged}."
    else:
        shares = ", ".join(f"{100 * v:.0f} % {k}" for k, v in result.provenance.items() if v > 0)
        text = f"{len(active)} overlay(s) wiped in {result.changed_frames} of {result.frames} frames ({shares})."
    return replace(result, text=text)


def _name(overlay: Any) -> str:
    return f"{overlay.id} ({overlay.kind})"
