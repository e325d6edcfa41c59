"""The stages in their order: make_plan() is pass A, carry_out() is pass B, run() is a whole job."""

from __future__ import annotations

import hashlib
import logging
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from . import kinds, ledger, planes
from .areas import AreaMask, matte_overlays
from .complete import complete
from .composite import composite
from .decode import Clip, ClipInfo, fingerprint, open_clip
from .encode import Output, copy_untouched, open_output
from .errors import Cancelled, JobError
from .job import KINDS, Box, Job
from .maps import Unblend
from .matte import Mattes
from .overlays import resolve, to_plan
from .plan import Plan, Source
from .plate import Crops, Plate
from .protocol import Message, OverlayFound, PlanSize, Progress, Result, Send, Warned
from .resume import WorkFolder
from .shots import ShotFinder
from .sidefiles import SideFiles
from .timing import FrameRange, Window, windows

log = logging.getLogger(__name__)

SMALL_WIDTH = 640  # px of the analysis picture: smaller loses thin strokes, larger costs more than decoding
STAGE_COST = {"look": 1.0, "measure": 0.8, "wipe": 5.0}  # rough share of the time, for the first ETA
MOST_SAMPLES = 40_000_000  # of all regions in one window: what completing holds in memory grows with it
MOST_FRAMES = 160  # of a window: enough to see both ends of nearly every subtitle
SEGMENT_S = 10.0  # at least this much footage between two points from which a killed run can go on

T = TypeVar("T")


@dataclass
class Run:
    """What every stage gets: where messages go, and whether to stop."""

    send: Send
    cancelled: threading.Event

    def __post_init__(self) -> None:
        self.warnings: list[Warned] = []
        self._began = time.monotonic()
        self._stages: tuple[tuple[str, float], ...] = ()
        self._last = 0.0
        self._starts: dict[str, float] = {}

    def stages(self, names: tuple[str, ...], frames: int, shots: int = 0) -> None:
        self._stages = tuple((name, STAGE_COST[name]) for name in names)
        self.send(PlanSize(frames, shots, names))

    def progress(self, stage: str, done: int, total: int) -> None:
        """Tells how far a stage is, ten times a second at most; raises Cancelled when asked to stop."""
        if self.cancelled.is_set():
            raise Cancelled()
        now = time.monotonic()
        self._starts.setdefault(stage, now)
        if done < total and now - self._last < 0.1:
            return
        self._last = now
        share = 0.0
        for name, cost in self._stages:
            if name == stage:
                share += cost * done / max(1, total)
                break
            share += cost
        whole = sum(cost for _, cost in self._stages)
        elapsed = now - self._began
        eta = elapsed * (whole - share) / share if share > 0.01 * whole else None
        self.send(Progress(stage, done, total, None if eta is None else round(eta, 1)))

    def seconds(self) -> dict[str, float]:
        """Wall time of each stage so far, s."""
        ends = [*self._starts.values(), time.monotonic()][1:]
        return {name: end - start for (name, start), end in zip(self._starts.items(), ends, strict=True)}

    def warn(self, code: str, text: str) -> None:
        warning = Warned(code, text)
        if warning not in self.warnings:
            self.warnings.append(warning)
            self.send(warning)


def run(job: Job, send: Callable[[Message], None], cancelled: threading.Event, version: str) -> Result:
    """Carries out one job. Raises AutoWipeError when it cannot; nothing appears under the output's name then."""
    state = Run(send, cancelled)
    _check_outputs(job)
    with ExitStack() as stack:
        clip = stack.enter_context(open_clip(job.source))
        whole = _range_of(job, clip.info)
        given = Plan.from_json(_read_text(job.plan), job.plan) if job.plan else None
        print_of = fingerprint(job.source)
        if given:
            _check_fits(given, clip.info, whole, print_of, state)
        work = WorkFolder(job, print_of + _maps_digest(given, job.plan), version)
        stack.callback(work.close)
        hold_outs = AreaMask(job.hold_outs, clip.info, "hold-out")
        names = ("wipe",) if given or job.matte_in else ("look", "measure", "wipe")
        if job.task == "perceive":
            names = tuple(name for name in names if name != "wipe")
        state.stages(names, len(whole))
        plan, folder = _get_plan(job, given, clip, whole, print_of, work, state)
        for overlay in plan.overlays:
            spans = tuple((e.range.start, e.range.stop) for e in overlay.events)
            send(OverlayFound(overlay.id, overlay.kind, spans, overlay.box, overlay.confidence))
        if job.save_plan:
            _save_plan(plan, folder, Path(job.save_plan))
        if job.task == "perceive":
            work.remove()
            return _told(Result(None, job.save_plan, len(plan.overlays), len(whole), 0, {}, {}, ""), plan)
        wanted = KINDS if job.matte_in else job.kinds
        mattes = Mattes(plan.active(wanted), folder, clip.info.layout, hold_outs)
        mattes.check()
        result = carry_out(job, replace(plan, range=whole), mattes, clip, work, state)
        work.remove()
    ledger.record(_written(job))
    return result


def make_plan(job: Job, clip: Clip, whole: FrameRange, print_of: str, folder: Path, run: Run) -> Plan:
    """Pass A: two looks at the range, then one decision per overlay. Maps go to `folder`/plan.maps."""
    info = clip.info
    finders = [kinds.load(name, info.layout, whole, float(info.rate)) for name in kinds.names()]
    shot_finder = ShotFinder()
    for frame in _decoded(clip, whole, "look", run):
        luma, chroma = planes.small(frame.views, info.layout, SMALL_WIDTH)
        small = kinds.Small(frame.index, luma, chroma, info.layout.width / luma.shape[1])
        shot_finder.add(small)
        for finder in finders:
            finder.survey(small)
    shots = shot_finder.finish()
    boxes = [finder.propose(shots) for finder in finders]
    if any(boxes):
        for frame in _decoded(clip, whole, "measure", run):
            for finder, wanted in zip(finders, boxes, strict=True):
                if wanted:
                    finder.measure(frame.index, [planes.crop(frame.views, info.layout, box) for box in wanted])
    found = resolve([find for finder in finders for find in finder.finish()], whole, float(info.rate))
    search = AreaMask(job.search_areas, info, "search area")
    overlays = to_plan(found, job.kinds, search, info.layout, whole, folder, "plan.maps")
    return Plan(_source(job, info, print_of), whole, shots, overlays)


def carry_out(job: Job, plan: Plan, mattes: Mattes, clip: Clip, work: WorkFolder, run: Run) -> Result:
    """Pass B: the plan's overlays wiped, the file written. Only samples under a matte change."""
    assert job.output is not None
    info, whole = clip.info, plan.range
    if not mattes.visible(whole) and job.codec == "auto" and copy_untouched(job.output, info, whole):
        ledger.record([job.output])
        with SideFiles(job, plan, info, work) as side:
            if side.wants_frames:
                for frame in clip.frames(whole):
                    side.before(frame, [])
                    side.after(frame, [])
            files = side.finish(run.warnings, run.seconds())
        run.progress("wipe", len(whole), len(whole))
        return _told(Result(job.output, job.save_plan, len(plan.overlays), len(whole), 0, {}, files, ""), plan)
    cut_windows = _windows(plan, mattes, info)
    with ExitStack() as stack:
        out = stack.enter_context(
            open_output(
                job.output,
                info,
                source_range=whole,
                codec=job.codec,
                hardware=job.encoder == "hardware",
                quality=job.quality,
                work=work.path / "output",
            )
        )
        side = stack.enter_context(SideFiles(job, plan, info, work))
        for code, text in out.warnings:
            run.warn(code, text)
        first = min(out.next_frame, side.next_frame)
        todo = [window for window in cut_windows if window.core.stop > first]
        plates = stack.enter_context(closing(_ahead(_plates(todo, mattes, clip, job.quality))))
        _wipe(todo, plates, clip, whole, out, side, run)
        # The clip appears last: when it is there, everything is.
        files = side.finish(run.warnings, run.seconds())
        out.finish()
    shares = side.shares()
    result = Result(job.output, job.save_plan, len(plan.overlays), len(whole), side.changed_frames, shares, files, "")
    return _told(result, plan)


def _wipe(
    todo: list[Window],
    plates: Iterator[list[Plate]],
    clip: Clip,
    whole: FrameRange,
    out: Output,
    side: SideFiles,
    run: Run,
) -> None:
    """Composites the plates of each window over its frames and writes them, in segments."""
    if not todo:
        return
    since_cut = 0
    frames = clip.frames(FrameRange(todo[0].core.start, whole.stop))
    for window, made in zip(todo, plates, strict=True):
        by_frame: dict[int, list[Plate]] = {}
        for plate in made:
            by_frame.setdefault(plate.frame, []).append(plate)
        for frame in frames:
            here = by_frame.pop(frame.index, [])
            side.before(frame, here)
            for plate in here:
                composite(frame.views, clip.info.layout, plate)
            side.after(frame, here)
            if frame.index >= out.next_frame:
                out.write(frame, changed=bool(here))
            run.progress("wipe", frame.index + 1 - whole.start, len(whole))
            if frame.index + 1 == window.core.stop:
                break
        since_cut += len(window.core)
        if since_cut >= SEGMENT_S * clip.info.rate and window is not todo[-1]:
            out.cut()
            side.cut(window.core.stop)
            since_cut = 0


def _plates(todo: list[Window], mattes: Mattes, clip: Clip, quality: str) -> Iterator[list[Plate]]:
    """The plates of each window, in order. The fields of interlaced material are completed apart, never blended."""
    reader = _CropReader(todo, mattes, clip)
    for number, window in enumerate(todo):
        made: list[Plate] = []
        for crops in reader.read(number):
            if clip.info.field_order == "progressive":
                made += complete(crops, window.core, quality=quality)
            else:
                top, bottom = (complete(field, window.core, quality=quality) for field in _fields(crops))
                made += _weave(top, bottom, crops)
        yield made


class _CropReader:
    """Decodes once, ahead, and keeps of each frame only the regions of the windows that want it."""

    def __init__(self, todo: list[Window], mattes: Mattes, clip: Clip) -> None:
        self._todo, self._mattes, self._clip, self._info = todo, mattes, clip, clip.info
        ring = _ring(clip.info)
        self._regions = [mattes.regions(window.core, ring) for window in todo]
        if clip.info.field_order != "progressive":
            self._regions = [[_even_rows(box, clip.info) for box in boxes] for boxes in self._regions]
        self._held: dict[int, list[tuple[int, list[list[np.ndarray]]]]] = {}  # window: (frame, planes per region)
        self._frames: Iterator[Any] | None = None
        self._next = 0

    def read(self, number: int) -> Iterator[Crops]:
        """Crops of window `number`, one a region; numbers rise from call to call."""
        if not self._regions[number]:
            return
        span = self._todo[number].span
        if self._frames is None or self._next < span.start:
            self._frames, self._next = self._clip.frames(FrameRange(span.start, self._todo[-1].span.stop)), span.start
        while self._next < span.stop:
            frame = next(self._frames)
            self._keep(frame, number)
            self._next = frame.index + 1
        held = self._held.pop(number)
        for k, box in enumerate(self._regions[number]):
            frames = [index for index, _ in held]
            covers = [self._mattes.at(index, box) for index in frames]
            yield Crops(
                self._info.layout,
                box,
                frames,
                [regions[k] for _, regions in held],
                [cover.matte for cover in covers],
                [cover.unblend for cover in covers],
                [cover.is_fading for cover in covers],
            )

    def _keep(self, frame: Any, first: int) -> None:
        for number in range(first, len(self._todo)):
            span = self._todo[number].span
            if span.start > frame.index:
                break
            if frame.index < span.stop and self._regions[number]:
                parts = [planes.crop(frame.views, self._info.layout, box) for box in self._regions[number]]
                self._held.setdefault(number, []).append((frame.index, parts))


def _fields(crops: Crops) -> Iterator[Crops]:
    """The top and the bottom field of a region, each as a picture of its own."""
    x, y, w, h = crops.box
    for first in (0, 1):
        rows = slice(first, None, 2)
        yield Crops(
            crops.layout.field,
            (x, y // 2, w, h // 2),
            crops.frames,
            [[plane[rows] for plane in frame] for frame in crops.planes],
            [None if matte is None else matte[rows] for matte in crops.mattes],
            [
                maps and Unblend([a[rows] for a in maps.transmission], [b[rows] for b in maps.contribution])
                for maps in crops.unblends
            ],
            crops.fading,
        )


def _weave(top: list[Plate], bottom: list[Plate], crops: Crops) -> list[Plate]:
    """Plates of whole frames from those of the fields."""
    shapes = crops.layout.shapes(crops.box)
    woven = {}
    for first, plates in enumerate((top, bottom)):
        rows = slice(first, None, 2)
        for plate in plates:
            if plate.frame not in woven:
                woven[plate.frame] = Plate(
                    plate.frame,
                    crops.box,
                    [np.zeros(shape, part.dtype) for shape, part in zip(shapes, plate.planes, strict=True)],
                    [np.zeros(shape, bool) for shape in shapes],
                    np.zeros(crops.box[:1:-1], np.uint8),
                )
            whole = woven[plate.frame]
            for k in range(len(shapes)):
                whole.planes[k][rows], whole.masks[k][rows] = plate.planes[k], plate.masks[k]
            whole.provenance[rows] = plate.provenance
    return [woven[frame] for frame in sorted(woven)]


def _even_rows(box: Box, info: ClipInfo) -> Box:
    """A box whose rows divide evenly between the fields, chroma included."""
    step = 2 << max(plane.shift_y for plane in info.layout.planes)
    y0 = box[1] // step * step
    y1 = min(info.layout.height, -(-(box[1] + box[3]) // step) * step)
    return (box[0], y0, box[2], y1 - y0)


def _windows(plan: Plan, mattes: Mattes, info: ClipInfo) -> list[Window]:
    """The windows that pass B works in; they depend on plan and clip alone, so a resumed run has the same."""
    boxes = mattes.regions(plan.range, _ring(info))
    samples = sum(h * w for box in boxes for h, w in info.layout.shapes(box))
    most = max(12, min(MOST_FRAMES, MOST_SAMPLES // max(1, samples)))
    cut = []
    for shot in plan.shots:
        shot = shot.meet(plan.range)
        if len(shot):
            cut.append(shot)
    return list(windows(tuple(cut), most=most, handle=most // 4))


def _ring(info: ClipInfo) -> int:
    """Px of clean picture wanted around an overlay: what flow and seam matching stand on."""
    return max(24, round(0.06 * min(info.layout.height, info.layout.width)))


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """Works one item ahead in a thread, so that completing and encoding overlap; ends with the iterator."""
    box: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=1)
    stop = threading.Event()

    def put(entry: tuple[str, Any]) -> bool:
        while not stop.is_set():
            try:
                box.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(("item", item)):
                    return
            put(("end", None))
        except BaseException as err:  # handed to the consumer, which raises it
            put(("error", err))

    thread = threading.Thread(target=work, name="plates", daemon=True)
    thread.start()
    try:
        while True:
            what, value = box.get()
            if what == "end":
                return
            if what == "error":
                raise value
            yield value
    finally:
        stop.set()
        thread.join()


def _decoded(clip: Clip, whole: FrameRange, stage: str, run: Run) -> Iterator[Any]:
    for frame in clip.frames(whole):
        if frame.is_corrupt:
            run.warn("corrupt", f"frame {frame.index} of {clip.info.path} is damaged; its picture may be wrong")
        yield frame
        run.progress(stage, frame.index + 1 - whole.start, len(whole))


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
    part = file.with_suffix(".part")
    part.write_text(plan.to_json(), "utf-8")
    part.replace(file)
    return plan, work.path


def _shots(clip: Clip, whole: FrameRange, run: Run) -> tuple[FrameRange, ...]:
    finder = ShotFinder()
    for frame in clip.frames(whole):
        if run.cancelled.is_set():
            raise Cancelled()
        luma, chroma = planes.small(frame.views, clip.info.layout, SMALL_WIDTH)
        finder.add(kinds.Small(frame.index, luma, chroma, clip.info.layout.width / luma.shape[1]))
    return finder.finish()


def _save_plan(plan: Plan, folder: Path, path: Path) -> None:
    """Writes the plan under the user's name, its maps in a folder of the same name beside it."""
    maps = path.with_suffix(".maps").name
    names = {name for o in plan.overlays for e in (o, *o.events) for name in (e.matte, e.unblend) if name}
    for name in names:
        target = path.parent / maps / Path(name).name
        if (folder / name).resolve() != target.resolve():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target)

    def moved(entry: Any) -> Any:
        return replace(
            entry,
            matte=entry.matte and f"{maps}/{Path(entry.matte).name}",
            unblend=entry.unblend and f"{maps}/{Path(entry.unblend).name}",
        )

    overlays = tuple(replace(moved(o), events=tuple(moved(e) for e in o.events)) for o in plan.overlays)
    part = path.with_name(path.name + ".part")
    part.write_text(replace(plan, overlays=overlays).to_json(), "utf-8")
    part.replace(path)
    ledger.record([str(path), *(str(path.parent / maps / Path(name).name) for name in names)])


def _source(job: Job, info: ClipInfo, print_of: str) -> Source:
    return Source(job.source, (info.layout.width, info.layout.height), info.rate, info.frames, print_of)


def _range_of(job: Job, info: ClipInfo) -> FrameRange:
    if job.range is None:
        return FrameRange(0, info.frames)
    if job.range.stop > info.frames:
        raise JobError(
            f"the range {job.range.start}:{job.range.stop} ends after the clip, which has {info.frames} frames",
            code="range",
            hint="Shorten the range.",
        )
    return job.range


def _check_fits(plan: Plan, info: ClipInfo, whole: FrameRange, print_of: str, run: Run) -> None:
    size = (info.layout.width, info.layout.height)
    if plan.source.size != size or plan.source.frames != info.frames:
        raise JobError(
            f"the plan was made for {plan.source.path}, {plan.source.size[0]}x{plan.source.size[1]} px and "
            f"{plan.source.frames} frames; this clip has {size[0]}x{size[1]} px and {info.frames} frames",
            code="plan",
            hint="Make a plan for this clip: autowipe perceive SOURCE -o PLAN.json.",
        )
    if whole.start < plan.range.start or whole.stop > plan.range.stop:
        raise JobError(
            f"the plan covers frames {plan.range.start}:{plan.range.stop}, the job asks for {whole.start}:{whole.stop}",
            code="plan",
            hint="Narrow the range, or make the plan anew for it.",
        )
    if plan.source.fingerprint != print_of:
        run.warn("plan-source", f"the plan was made for another version of this clip ({plan.source.path})")


def _maps_digest(plan: Plan | None, path: str | None) -> str:
    """What the plan's map files hold, so that a resumed run notices an edited matte."""
    if plan is None or path is None:
        return ""
    digest = hashlib.sha256()
    for overlay in plan.overlays:
        for entry in (overlay, *overlay.events):
            for name in (entry.matte, entry.unblend):
                file = Path(path).parent / name if name else None
                if file and file.is_file():
                    digest.update(file.read_bytes())
    return digest.hexdigest()


def _check_outputs(job: Job) -> None:
    paths = _written(job)
    if job.save_plan:
        maps = Path(job.save_plan).with_suffix(".maps")
        if job.plan is None or Path(job.plan).resolve() != Path(job.save_plan).resolve():
            paths += [job.save_plan, *(str(file) for file in maps.glob("*") if file.is_file())]
    ledger.check_free(paths, overwrite=job.overwrite)
    for path in paths:
        if not Path(path).parent.is_dir():
            raise JobError(
                f"the folder {Path(path).parent} does not exist", code="output-folder", hint="Make it first."
            )


def _written(job: Job) -> list[str]:
    return [p for p in (job.output, job.matte, job.provenance, job.report, job.compare, job.srt) if p]


def _read_text(path: str | None) -> str:
    assert path is not None
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise JobError(f"the plan {path} cannot be read: {err}", code="plan", hint="Check the path.") from err


def _told(result: Result, plan: Plan) -> Result:
    """The result with its sentence."""
    active = plan.active()
    if not plan.overlays:
        text = "No overlay was found"
        text += "; the clip is unchanged." if result.output else "."
    elif result.output is None:
        text = f"{len(plan.overlays)} overlay(s) found: {', '.join(_name(o) for o in plan.overlays)}."
    elif not result.changed_frames:
        text = "Nothing was wiped; the clip is unchanged."
    else:
        shares = ", ".join(f"{100 * v:.0f} % {k}" for k, v in result.provenance.items() if v > 0)
        text = f"{len(active)} overlay(s) wiped in {result.changed_frames} of {result.frames} frames ({shares})."
    return replace(result, text=text)


def _name(overlay: Any) -> str:
    return f"{overlay.id} ({overlay.kind})"
