"""What limits each case: {true, perceived} mask x {Telea, borrow only, everything computed, the network as well}.

    python -m tests.bench.decompose ../shared/bench --cases d04,d12 --work WORK --table table.md

Needs a folder of WipeBench, whose cases, truth and score it takes. The true mask is grown by 3 px, as for the bench's
baselines, and given with --matte-in, which says nothing of how translucent an overlay is: with it, nothing can be
un-blended. Cells are gains in PSNR on the covered pixels, dB.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np

GROW_PX, RADIUS_PX = 3, 5  # of the true mask, and of Telea's method, as in the bench's baselines
FILLS = ("telea", "borrow", "computed", "everything")
MASKS = ("true", "perceived")
ENGINE = ("-m", "autowipe")
# The engine as it is where the completer's weight does not ship.
NO_NETWORK = """
import sys
from autowipe import cli, weightfiles
ships = weightfiles.entries
weightfiles.entries = lambda *where: {name: entry for name, entry in ships(*where).items() if name != "completer"}
sys.exit(cli.main())
"""


def load(bench: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("wipebench", bench / "wipebench.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["wipebench"] = module
    spec.loader.exec_module(module)
    return module


def decompose(bench: ModuleType, case: Path, work: Path) -> dict[str, float]:
    """Gains of one case in dB, by "mask, fill"; leaves the last clips in `work`."""
    room = bench.build(case, work)
    info = json.loads((case / "case.json").read_text())
    wanted = info.get("wipe", bench.KINDS)
    source, plan = room / "input.mp4", room / "plan.json"
    autowipe("perceive", source, "-o", plan, "--kinds", ",".join(wanted))
    mattes = {mask: room / f"{mask}.matte.mkv" for mask in MASKS}
    codes = sum(1 << bench.KINDS.index(kind) for kind in wanted)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * GROW_PX + 1,) * 2)

    def grown(code: np.ndarray) -> np.ndarray:
        mask = cv2.dilate(((code[..., 0] & codes) > 0).astype(np.uint8), kernel)
        return np.dstack([mask * np.uint8(255)] * 3)

    rewrite(bench, source, mattes["true"], [room / "mask.mkv"], lambda _, code: grown(code), tuple(info["size"]))
    ways = {"true": ("--matte-in", mattes["true"]), "perceived": ("--plan", plan, "--matte", mattes["perceived"])}
    gains = {}
    for mask in MASKS:
        for fill in reversed(FILLS):  # the engine writes the perceived matte, which Telea's method then needs
            output = room / f"{mask}.{fill}.mkv"
            if fill == "telea":
                rewrite(bench, source, output, [mattes[mask]], inpaint, tuple(info["size"]))
            else:
                some = ("--completers", fill) if fill == "borrow" else ()
                kinds = ("--kinds", ",".join(wanted))
                words = ("wipe", source, "-o", output, *ways[mask], *some, *kinds, "--codec", "ffv1")
                autowipe(*words, program=("-c", NO_NETWORK) if fill == "computed" else ENGINE)
            gains[f"{mask}, {fill}"] = bench.score(case, work, output)["gain"]
            output.unlink()
    return gains


def autowipe(*words: object, program: tuple[str, ...] = ENGINE) -> None:
    command = [sys.executable, *program, *map(str, words), "--overwrite"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")


def rewrite(
    bench: ModuleType,
    source: Path,
    output: Path,
    others: Iterable[Path],
    make: Callable[..., np.ndarray],
    size: tuple[int, int],
) -> None:
    """Writes what `make` says of every frame of `source` and the same frame of `others`, RGB, losslessly."""
    with bench.Writer(output, size, bench.rate_of(source), "ffv1", "bgr0", {}) as sink:
        for frames in zip(*(bench.read_rgb(path) for path in (source, *others)), strict=True):
            sink.write(make(*frames))


def inpaint(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    mask = (matte[..., 0] > 127).astype(np.uint8)
    return cv2.inpaint(picture, mask, RADIUS_PX, cv2.INPAINT_TELEA) if mask.any() else picture


def table(rows: dict[str, dict[str, float]]) -> str:
    columns = [f"{mask}, {fill}" for mask in MASKS for fill in FILLS]
    lines = ["| case | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {case} | " + " | ".join(f"{row[c]:.1f}" for c in columns) + " |" for case, row in rows.items()]
    return "\n".join(lines)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("bench", type=Path, help="folder of WipeBench")
    ask.add_argument("--cases", required=True, help="beginnings of their names, by commas")
    ask.add_argument("--work", type=Path, required=True, help="folder for what is made")
    ask.add_argument("--table", type=Path, help="Markdown file that is written anew after every case")
    args = ask.parse_args()
    bench = load(args.bench)
    rows: dict[str, dict[str, float]] = {}
    for name in args.cases.split(","):
        for case in sorted((args.bench / "cases").glob(f"{name}*")):
            rows[case.name] = decompose(bench, case, args.work)
            print(table({case.name: rows[case.name]}).splitlines()[-1], flush=True)
            if args.table:
                args.table.write_text(table(rows) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
