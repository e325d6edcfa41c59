"""MLT's melt as a real OpenFX host: a clip wiped by the effect against the same clip wiped by the command line.

Needs melt 7.38 or later with its OpenFX module, as in Debian sid: `apt install melt` there, or in a chroot of sid.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import minihost
import numpy as np
import pytest
import synth

pytestmark = [pytest.mark.host, pytest.mark.skipif(minihost.compiler() is None, reason="no C compiler at hand")]

COUNT, SIZE = 20, (320, 180)
NAME = "openfx.org.autowipe.AutoWipe"
# Levels: melt brings Y'CbCr to 8-bit RGB in its own way, which at coloured edges differs from ours.
MOST_MEAN = 3.0


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with minihost.meeting_place(tmp_path_factory) as folder:
        yield folder


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return minihost.build_bundle(tmp_path_factory.mktemp("ofx")).parent


def melt(plugins: Path, *words: str) -> str:
    environment = dict(os.environ, OFX_PLUGIN_PATH=str(plugins))
    done = subprocess.run(["melt", *words], env=environment, capture_output=True, text=True, timeout=200)
    return done.stdout + done.stderr


@pytest.mark.parametrize("threads", [1, 3])
def test_melt_shows_what_the_command_line_writes(link, plugins, tmp_path, threads):
    if shutil.which("melt") is None:
        pytest.skip("melt is not installed")
    if NAME not in melt(plugins, "-query", "filters"):
        pytest.skip("this melt has no OpenFX module (7.38 or later, as in Debian sid, has it)")
    clip, plan, clean = tmp_path / "clip.mp4", tmp_path / "plan.json", tmp_path / "clean.mkv"
    synth.make(clip, [synth.Burnt(synth.badge((60, 30)), (240, 10), 0, COUNT)], count=COUNT, size=SIZE)
    source = {"path": str(clip), "size": SIZE, "rate": "25", "frames": COUNT, "fingerprint": ""}
    logo = {"id": "logo-1", "kind": "logo", "box": [238, 8, 64, 34], "events": [{"range": [0, COUNT]}]}
    body = {"autowipe_plan": 1, "source": source, "range": [0, COUNT], "shots": [[0, COUNT]], "overlays": [logo]}
    plan.write_text(json.dumps(body), "utf-8")
    words = ["wipe", str(clip), "--plan", str(plan), "-o", str(clean), "--codec", "ffv1"]
    subprocess.run([sys.executable, "-m", "autowipe", *words], check=True, capture_output=True)

    def rendered(path: Path, *effect: str) -> np.ndarray:
        out = tmp_path / "out.mov"
        lossless = ["vcodec=ffv1", "an=1", "pix_fmt=bgra", "terminate_on_pause=1", f"real_time=-{threads}"]
        melt(plugins, str(path), *effect, "-consumer", f"avformat:{out}", *lossless)
        return np.stack(synth.read_rgb(out)).astype(int)

    plain, wanted = rendered(clip), rendered(clean)
    wiped = rendered(clip, "-filter", NAME, f"planFile={plan}")

    changed = (wanted != plain).any(3)
    assert wiped.shape == wanted.shape
    assert np.abs(wiped - wanted)[changed].mean() < MOST_MEAN
    assert np.abs(plain - wanted)[changed].mean() > 5 * MOST_MEAN
    away = np.ones(changed.shape[1:], bool)
    away[2:48, 232:308] = False
    assert np.array_equal(wiped[:, away], plain[:, away])
