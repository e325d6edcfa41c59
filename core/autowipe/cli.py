"""The command line: reads argv, runs jobs, tells what happens; the only file that prints, exits or reads argv."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TextIO

from . import __version__, batchcli, heap, traincli, watchcli
from .errors import AutoWipeError, Cancelled, EngineLinkError, JobError, said
from .job import CODECS, COMPLETERS, DEVICES, ENCODERS, KINDS, QUALITIES, Job, parse_area
from .protocol import Failed, Hello, Message, OverlayFound, Progress, Result, Warned, to_line
from .timing import parse_range

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code says how it ended (see errors.py)."""
    heap.keep_small()
    args = _parser().parse_args(argv)
    try:
        return args.command(args)
    except AutoWipeError as err:
        _tell(err)
        return err.exit_code


def _wipe(args: argparse.Namespace) -> int:
    return _run_here(_job(args, "wipe"), args)


def _perceive(args: argparse.Namespace) -> int:
    return _run_here(_job(args, "perceive"), args)


def _engine(args: argparse.Namespace) -> int:
    """One job for an adapter: messages on stdout, everything else in a log beside the job."""
    path = Path(args.job)
    messages = _own_stdout()
    send = _line_sender(messages)
    log_file = path.with_suffix(".log")
    if log_file == path:
        log_file = path.with_name(path.name + ".log")
    try:
        with log_file.open("a", encoding="utf-8") as file:
            os.dup2(file.fileno(), 2)  # libraries in C write there too
    except OSError:
        pass  # a folder that cannot be written to is told when the job is read or run
    send(Hello(__version__))
    cancelled = threading.Event()
    threading.Thread(target=_listen, args=(sys.stdin, cancelled), daemon=True).start()
    try:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as err:
            raise JobError(f"the job {path} cannot be read: {said(err)}", hint="Check the path.") from err
        return _guarded(Job.from_json(text, str(path)), send, cancelled)
    except AutoWipeError as err:
        send(Failed(err.code, err.text, err.hint))
        return err.exit_code


def _serve(args: argparse.Namespace) -> int:
    """Plates for plug-ins in other programs; a log beside the endpoint, since a host shows nobody our words."""
    from .link import link_folder  # numpy and more, which --help does without
    from .serve import serve

    log_file = link_folder() / "serve.log"
    logging.basicConfig(filename=log_file, filemode="w", format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    def ready(address: str) -> None:
        print(f"AutoWipe serves plug-ins at {address}; Ctrl-C ends it. Log: {log_file}", file=sys.stderr, flush=True)

    stopped = threading.Event()  # an exception would be lost where it comes while something is being cleaned up
    signal.signal(signal.SIGINT, _stopper(stopped))
    signal.signal(signal.SIGTERM, _stopper(stopped))
    serve(__version__, transport=args.transport, idle_minutes=args.idle_minutes, ready=ready, stopped=stopped)
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from .evaluate import against_clean, against_notes

    if args.notes:
        if not args.matte or args.source or args.clean or args.result:
            raise JobError("--notes needs --matte and nothing else", hint="See autowipe evaluate --help.")
        figures = against_notes(args.matte, args.notes)
    elif args.result and args.source and args.clean:
        kinds = tuple(kind.strip() for kind in args.kinds.split(","))
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise JobError(f"there is no kind {unknown[0]!r}", hint=f"Known kinds: {', '.join(KINDS)}.")
        figures = against_clean(
            args.result, args.source, args.clean, covered=args.covered, matte=args.matte, kinds=kinds
        )
    else:
        raise JobError(
            "a RESULT, --source and --clean are needed, or --matte and --notes", hint="See autowipe evaluate --help."
        )
    if args.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name:<16}{value:12.3f}" for name, value in figures.items()))
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from .doctor import doctor, format_checks

    checks = doctor()
    print(format_checks(checks))
    return 1 if any(check.state == "fail" for check in checks) else 0


def _run_here(job: Job, args: argparse.Namespace) -> int:
    cancelled = threading.Event()
    signal.signal(signal.SIGINT, _stopper(cancelled))
    signal.signal(signal.SIGTERM, _stopper(cancelled))
    if args.json:
        send = _line_sender(_own_stdout())
        send(Hello(__version__))
        return _guarded(job, send, cancelled)
    screen = _Screen(sys.stderr)
    code = _guarded(job, screen.show, cancelled)
    screen.close()
    return code


def _guarded(job: Job, send: Callable[[Message], None], cancelled: threading.Event) -> int:
    """Runs a job to its one last message, whatever happens."""
    from . import pipeline  # decoding and text models are loaded only when there is work for them

    try:
        send(pipeline.run(job, send, cancelled, __version__))
        return 0
    except AutoWipeError as err:
        send(Failed(err.code, err.text, err.hint))
        return err.exit_code
    except MemoryError:
        send(Failed("memory", "The machine ran out of memory.", "Close other programs, or wipe a shorter range."))
        return 5
    except KeyboardInterrupt:
        stopped = Cancelled()
        send(Failed(stopped.code, stopped.text, stopped.hint))
        return stopped.exit_code
    except Exception as err:  # a mistake of ours: one sentence for the user, the rest for the log
        log.error("internal error\n%s", traceback.format_exc())
        send(
            Failed(
                "internal",
                f"Something went wrong inside AutoWipe: {type(err).__name__}: {err}",
                "Please report it with the log; nothing of yours was changed.",
            )
        )
        return 1


def _job(args: argparse.Namespace, task: str) -> Job:
    """The job that the options describe. Raises JobError naming what is wrong."""
    given: dict[str, Any] = {"source": os.path.abspath(args.source), "task": task}
    given["output" if task == "wipe" else "save_plan"] = os.path.abspath(args.output)
    known = {field.name for field in fields(Job)} - {"source", "output"}
    paths = ("matte_in", "plan", "save_plan", "matte", "provenance", "report", "compare", "srt")
    for name, value in vars(args).items():
        if name in known and value is not None:
            given[name] = os.path.abspath(value) if name in paths else value
    try:
        for name in ("kinds", "completers"):
            if name in given:
                given[name] = tuple(word.strip() for word in given[name].split(",") if word.strip())
        if "range" in given:
            given["range"] = parse_range(given["range"])
    except ValueError as err:
        raise JobError(str(err), hint="See autowipe --help.") from err
    for name in ("search_areas", "hold_outs"):
        given[name] = tuple(parse_area(text) for text in given.get(name, ()))
    return Job(**given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="autowipe", description="Takes burnt-in overlays out of video that you have the rights to."
    )
    parser.add_argument("--version", action="version", version=f"autowipe {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    wipe = commands.add_parser("wipe", help="find the overlays of a clip and write it without them")
    wipe.set_defaults(command=_wipe)
    wipe.add_argument("source", metavar="SOURCE", help="clip, or image sequence such as shot.%%04d.png")
    wipe.add_argument("-o", "--output", required=True, metavar="OUTPUT", help="the cleaned clip")
    _add_finding(wipe)
    wipe.add_argument("--plan", metavar="FILE", help="carry out this plan instead of looking for overlays")
    wipe.add_argument("--matte-in", metavar="FILE", help="wipe what this image or video matte covers; look for nothing")
    wipe.add_argument("--save-plan", metavar="FILE", help="keep the plan, to look at it, change it and run it again")
    wipe.add_argument("--matte", metavar="FILE", help="grey video of what was wiped, frame for frame")
    wipe.add_argument("--provenance", metavar="FILE", help="video of how each pixel was recovered")
    wipe.add_argument("--compare", metavar="FILE", help="video of source and result side by side")
    wipe.add_argument("--report", metavar="FILE.html", help="page with what was found and how it was recovered")
    wipe.add_argument("--srt", metavar="FILE", help="text of the wiped subtitles, timed")
    wipe.add_argument("--codec", choices=CODECS, help="auto stays in the source's family at no lower quality")
    wipe.add_argument("--encoder", choices=ENCODERS, help="hardware uses the machine's encoder where it has one")
    wipe.add_argument("--quality", choices=QUALITIES, help="care taken over each frame")
    wipe.add_argument(
        "--completers",
        metavar="LIST",
        help=f"ways to complete that may be used, of {','.join(COMPLETERS)} (default all)",
    )
    wipe.add_argument("--resume", action="store_true", help="go on where a run of the same job was stopped")
    _add_running(wipe)

    perceive = commands.add_parser("perceive", help="find the overlays of a clip and write the plan only")
    perceive.set_defaults(command=_perceive)
    perceive.add_argument("source", metavar="SOURCE", help="clip, or image sequence such as shot.%%04d.png")
    perceive.add_argument("-o", "--output", required=True, metavar="PLAN.json", help="the plan")
    _add_finding(perceive)
    _add_running(perceive)

    engine = commands.add_parser("engine", help="carry out a job file; for host adapters and farms")
    engine.set_defaults(command=_engine)
    engine.add_argument("job", metavar="JOB.json")

    batchcli.add_commands(commands, lambda: _line_sender(_own_stdout()), _stopper)
    watchcli.add_command(commands, _stopper)
    traincli.add_command(commands, _stopper)

    serve = commands.add_parser("serve", help="give plates to the OpenFX plug-in, which starts this by itself")
    serve.set_defaults(command=_serve)
    serve.add_argument(
        "--transport",
        choices=("auto", "unix", "tcp"),
        default="auto",
        help="socket file, or a port of this machine only (auto: a socket file where the system has them)",
    )
    serve.add_argument(
        "--idle-minutes", type=float, default=30.0, metavar="N", help="end when nobody asked for so long (default 30)"
    )

    evaluate = commands.add_parser("evaluate", help="tell in figures how good a result is")
    evaluate.set_defaults(command=_evaluate)
    evaluate.add_argument("result", metavar="RESULT", nargs="?", help="the cleaned clip")
    evaluate.add_argument("--source", metavar="CLIP", help="the clip with its overlays")
    evaluate.add_argument("--clean", metavar="CLIP", help="the clip as it was without them")
    evaluate.add_argument("--covered", metavar="FILE", help="grey video of what overlays cover (else told from both)")
    evaluate.add_argument("--matte", metavar="FILE", help="grey video of what was wiped, as wipe --matte writes it")
    evaluate.add_argument("--kinds", metavar="LIST", default=",".join(KINDS), help="kinds that were to go, by commas")
    evaluate.add_argument("--notes", metavar="FILE.json", help="boxes and times marked by hand: judges --matte alone")
    evaluate.add_argument("--json", action="store_true", help="one JSON object")

    doctor = commands.add_parser("doctor", help="tell what is installed, what is wrong and how to mend it")
    doctor.set_defaults(command=_doctor)
    return parser


def _add_finding(parser: argparse.ArgumentParser) -> None:
    batchcli.add_finding(parser)
    parser.add_argument("--range", metavar="START:STOP", help="part of the clip in frames, STOP not included")


def _add_running(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=DEVICES, help="where networks run (default auto)")
    parser.add_argument("--overwrite", action="store_true", help="replace files that AutoWipe did not write")
    parser.add_argument("--json", action="store_true", help="messages on stdout, one JSON object a line")


def _own_stdout() -> TextIO:
    """A private duplicate of stdout for messages; whatever libraries print to it goes to stderr from now on."""
    try:
        own = os.fdopen(os.dup(1), "w", encoding="ascii", newline="\n")
    except OSError as err:
        raise EngineLinkError("there is no standard output for messages", hint="Start it with one.") from err
    os.dup2(2, 1)
    return own


def _line_sender(out: TextIO) -> Callable[[Message], None]:
    lock = threading.Lock()

    def send(message: Message) -> None:
        try:
            with lock:
                out.write(to_line(message) + "\n")
                out.flush()
        except OSError as err:
            raise EngineLinkError("nobody reads the engine's messages any more", hint="Start the job again.") from err

    return send


def _listen(stdin: TextIO, cancelled: threading.Event) -> None:
    """Cancels on the line "cancel", and when stdin ends: the host is gone."""
    try:
        for line in stdin:
            if line.strip() == "cancel":
                break
    except (OSError, ValueError):
        pass
    cancelled.set()


def _stopper(cancelled: threading.Event) -> Callable[[int, Any], None]:
    """The first signal asks to stop cleanly, a second one does it at once."""

    def stop(number: int, _: Any) -> None:
        if cancelled.is_set():
            raise KeyboardInterrupt
        cancelled.set()

    return stop


def _tell(err: AutoWipeError) -> None:
    print(f"autowipe: {err.text}" + (f"\n{err.hint}" if err.hint else ""), file=sys.stderr)


class _Screen:
    """Shows messages to a person: one progress bar a stage, lines for the rest."""

    NAMES = {"look": "Looking", "measure": "Measuring", "wipe": "Wiping"}  # noqa: RUF012

    def __init__(self, out: TextIO) -> None:
        self._out, self._bar, self._stage = out, None, ""

    def show(self, message: Message) -> None:
        if isinstance(message, Progress):
            self._progress(message)
        elif isinstance(message, OverlayFound):
            first, last = message.events[0][0], message.events[-1][1]
            times = f"{len(message.events)} events, " if len(message.events) > 1 else ""
            self._line(f"  {message.id}: {times}frames {first}-{last - 1}, confidence {message.confidence:.2f}")
        elif isinstance(message, Warned):
            self._line(f"Warning: {message.text}")
        elif isinstance(message, Result):
            self.close()
            self._line(message.text)
            for name, path in {"output": message.output, "plan": message.plan, **message.files}.items():
                if path:
                    self._line(f"  {name}: {path}")
        elif isinstance(message, Failed):
            self.close()
            self._line(f"autowipe: {message.text}" + (f"\n{message.hint}" if message.hint else ""))

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _progress(self, message: Progress) -> None:
        from tqdm import tqdm

        if message.stage != self._stage:
            self.close()
            self._stage = message.stage
            self._bar = tqdm(
                total=message.total,
                desc=self.NAMES.get(message.stage, message.stage),
                unit=" frames",
                file=self._out,
                disable=not self._out.isatty(),
                bar_format="{desc:<10}{bar} {n_fmt}/{total_fmt} {postfix}",
            )
        if self._bar is not None:
            if message.eta_s is not None:
                minutes, seconds = divmod(round(message.eta_s), 60)
                self._bar.set_postfix_str(f"{minutes}:{seconds:02d} left", refresh=False)
            self._bar.update(message.done - self._bar.n)

    def _line(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(text, file=self._out)
        else:
            print(text, file=self._out)
