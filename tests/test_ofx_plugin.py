"""The OpenFX plug-in in a mini host with no engine to help it: what it says of itself, and how it leaves pictures."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import minihost
import numpy as np
import pytest
from minihost import DEFAULT, FAILED, FILTER, GENERAL, OK, PROFILES, Host, How, Library

pytestmark = pytest.mark.skipif(
    os.name == "nt" or minihost.compiler() is None, reason="no C compiler at hand (cc, gcc or clang) to build the host"
)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bundle = minihost.build_bundle(tmp_path_factory.mktemp("ofx"))
    (bundle / "Contents" / "Resources" / "engine.txt").unlink()  # nothing to start
    return minihost.binary(bundle)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(minihost.build_host(tmp_path_factory.mktemp("host")))


@pytest.fixture
def open_host(
    library: Library, plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Host]]:
    """Opens hosts, and fails where the plug-in did what no host forgives."""
    monkeypatch.setenv("AUTOWIPE_LINK", str(tmp_path / "nobody"))
    with minihost.hosts(library, plugin) as make:
        yield make


def pictures(count: int = 3, size: tuple[int, int] = (37, 22)) -> np.ndarray:
    """Values below 0 and above 1 among them."""
    rng = np.random.default_rng(5)
    return (rng.random((count, size[1], size[0], 4)) * 1.6 - 0.3).astype(np.float32)


def held(rgba: np.ndarray, depth: int) -> np.ndarray:
    """As a picture of that depth has it."""
    if depth == 4:
        return rgba
    most = {1: 255, 2: 65535}[depth]
    return (np.floor(rgba.clip(0, 1) * np.float32(most) + np.float32(0.5)) / np.float32(most)).astype(np.float32)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_without_an_engine_the_source_passes_bit_for_bit(open_host, profile, depth):
    effect = open_host(profile).effect()
    source = pictures()
    effect.pictures(source)

    for is_top_down in (0, 1):
        status, out = effect.render(1, How(depth, is_top_down=is_top_down, left=-7, bottom=11))

        assert status == OK
        assert np.array_equal(out, held(source[1], depth))


@pytest.mark.parametrize("profile", ["nuke", "mlt"])
def test_hosts_with_messages_say_why_nothing_is_wiped(open_host, profile):
    effect = open_host(profile).effect()
    effect.pictures(pictures())

    effect.render(0)

    assert "install.py ofx" in effect.message


def test_a_final_render_fails_without_an_engine_only_where_that_is_wished(open_host):
    effect = open_host("resolve").effect()
    effect.pictures(pictures())

    assert effect.render(0, How(is_final=1))[0] == OK
    effect.set(failWithoutEngine=1)
    assert effect.render(0, How(is_final=0))[0] == OK
    assert effect.render(0, How(is_final=1))[0] == FAILED


def test_only_the_render_window_is_written(open_host):
    effect = open_host("nuke").effect()
    source = pictures()
    effect.pictures(source)

    status, out = effect.render(0, How(window=(5, 3, 20, 15), left=100, bottom=-50))

    rows, columns = slice(22 - 15, 22 - 3), slice(5, 20)
    assert status == OK
    assert np.array_equal(out[rows, columns], source[0, rows, columns])
    assert (out == -1).all(2).sum() == 37 * 22 - 15 * 12


@pytest.mark.parametrize("field", [1, 2])
def test_a_field_is_rendered_without_touching_the_other(open_host, field):
    effect = open_host("nuke").effect()
    source = pictures()
    effect.pictures(source)

    status, out = effect.render(0, How(field=field))
    own = slice(1, None, 2) if field == 1 else slice(0, None, 2)  # the lowest row is of the lower field
    assert status == OK
    assert np.array_equal(out[own], source[0, own])
    assert (out[slice(0, None, 2) if field == 1 else slice(1, None, 2)] == -1).all()

    status, out = effect.render(0, How(field=field, has_field_rows=1))
    assert status == OK
    assert np.array_equal(out, source[0, own])


@pytest.mark.parametrize("profile", PROFILES)
def test_every_host_is_told_what_the_plug_in_needs(open_host, profile):
    host = open_host(profile)

    contexts = {host.text("OfxImageEffectPropSupportedContexts", i) for i in (0, 1)}
    depths = {host.text("OfxImageEffectPropSupportedPixelDepths", i) for i in (0, 1, 2)}
    assert host.text("OfxPropLabel") == "AutoWipe"
    assert contexts == {FILTER, GENERAL}
    assert depths == {"OfxBitDepthByte", "OfxBitDepthShort", "OfxBitDepthFloat"}
    if profile != "minimal":
        assert host.c.mini_described_number(host.handle, b"OfxImageEffectPropTemporalClipAccess") == 1
        assert host.c.mini_described_number(host.handle, b"OfxImageEffectPropSupportsTiles") == 0


def test_a_mask_is_offered_in_the_general_context_only(open_host):
    host = open_host("nuke")
    assert not host.c.mini_has_clip(host.handle, b"Mask")
    assert host.describe(GENERAL) == OK
    assert host.c.mini_has_clip(host.handle, b"Mask")


def test_numbers_have_all_their_limits_and_flags_are_not_animated(open_host):
    host = open_host("resolve")

    for name in ("frameOffset", "opacity", "wait"):
        low, high = host.param(name, "OfxParamPropMin"), host.param(name, "OfxParamPropMax")
        shown = host.param(name, "OfxParamPropDisplayMin"), host.param(name, "OfxParamPropDisplayMax")
        assert None not in (low, high, *shown)
        assert low <= shown[0] < shown[1] <= high
    for name in ("logo", "dynamic", "subtitle", "watermark", "holdOut", "showMatte", "showProvenance"):
        assert host.param(name, "OfxParamPropAnimates") == 0
    assert [host.param(name, "OfxParamPropDefault") for name in ("logo", "showMatte", "opacity")] == [1, 0, 1]


def test_the_window_of_frames_is_cut_to_the_clip(open_host):
    effect = open_host("nuke").effect()
    effect.pictures(pictures(12), first=100)

    assert effect.frames_needed(100) == (OK, (100, 104))
    assert effect.frames_needed(106) == (OK, (102, 110))
    assert effect.frames_needed(111) == (OK, (107, 111))
    effect.set(planFile="/somewhere/plan.json")
    assert effect.frames_needed(106) == (OK, (106, 106))


def test_a_host_without_temporal_access_is_asked_for_no_other_frames(open_host):
    effect = open_host("mlt").effect()
    effect.pictures(pictures(12))

    assert effect.frames_needed(5)[0] == DEFAULT


def test_nothing_to_do_is_an_identity_but_a_missing_engine_is_not(open_host):
    effect = open_host("nuke").effect()
    effect.pictures(pictures())

    assert not effect.is_identity()
    effect.set(opacity=0.0)
    assert effect.is_identity()
    effect.set(showMatte=1)
    assert not effect.is_identity()
    effect.set(opacity=1.0, showMatte=0, logo=0, dynamic=0, subtitle=0, watermark=0)
    assert effect.is_identity()


def test_a_frame_that_the_source_lacks_is_transparent_black(open_host):
    effect = open_host("nuke").effect()
    effect.pictures(pictures(2))

    status, out = effect.render(7)

    assert status == OK
    assert not out.any()


def test_a_button_without_an_engine_says_so_and_changes_nothing(open_host):
    effect = open_host("nuke").effect()
    effect.pictures(pictures())

    for button in ("analyse", "startEngine"):
        assert effect.edited(button) == OK
        assert "install.py ofx" in effect.text("status") or "not running" in effect.text("status")
    assert effect.text("planFile") == ""


def test_a_described_host_may_unload_and_load_again(open_host):
    host = open_host("mlt")

    for _ in range(3):
        assert host.c.mini_reload(host.handle) == OK
        assert host.describe(GENERAL) == OK
        effect = host.effect()
        effect.pictures(pictures())
        assert effect.render(0)[0] == OK
        effect.close()


def test_an_engine_that_does_not_exist_makes_nobody_wait_twice(open_host, plugin):
    engine = plugin.parents[1] / "Resources" / "engine.txt"
    engine.write_text("/nowhere/python\n-m\nautowipe\nserve\n", "utf-8")
    effect = open_host("nuke").effect()
    effect.pictures(pictures())
    effect.set(wait=0.3)

    for _ in range(5):
        assert effect.render(0)[0] == OK
    assert "AutoWipe's engine" in effect.message
    engine.unlink()


def test_the_library_shows_its_two_functions_and_needs_the_c_library_only(plugin):
    shown = subprocess.run(["nm", "-D", "--defined-only", plugin], capture_output=True, text=True, check=True).stdout
    needed = subprocess.run(["ldd", plugin], capture_output=True, text=True, check=True).stdout

    assert {line.split()[-1].split("@")[0] for line in shown.splitlines()} == {"OfxGetNumberOfPlugins", "OfxGetPlugin"}
    assert {line.split()[0].split(".")[0].split("-")[0] for line in needed.splitlines()} <= {
        "linux",
        "libc",
        "libm",
        "libdl",
        "libpthread",
        "/lib64/ld",
        "/lib/ld",
    }


def test_a_machine_without_a_compiler_is_told_what_to_install(monkeypatch, tmp_path):
    build = minihost.builder()
    monkeypatch.setattr(build, "native_compiler", lambda: None)
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)

    with pytest.raises(build.BuildError, match="pip install ziglang"):
        build.build(str(tmp_path), [build.this_machine()])


def test_the_mac_file_holds_both_processors_builds_whole(tmp_path):
    parts = []
    for name, processor, size in (("intel", 0x01000007, 20_001), ("arm", 0x0100000C, 33)):
        parts.append(str(tmp_path / name))
        Path(parts[-1]).write_bytes(struct.pack("<II", 0xFEEDFACF, processor) + bytes([size % 251]) * size)

    minihost.builder().join_for_mac(parts, str(tmp_path / "both"))

    both = (tmp_path / "both").read_bytes()
    assert struct.unpack(">2I", both[:8]) == (0xCAFEBABE, 2)
    for number, part in enumerate(parts):
        processor, _, at, size, align = struct.unpack(">5I", both[8 + 20 * number : 28 + 20 * number])
        held = Path(part).read_bytes()
        assert both[at : at + size] == held
        assert at % (1 << align) == 0
        assert processor == struct.unpack("<I", held[4:8])[0]
