"""Advanced Authoring Format (.aaf), rewritten in place in a copy: its library's writer keeps no effects and no start.

A clip in the composition points at a master mob, that at the file's mob, and that at the tape with the timecode.
Positions count from the file's first frame. Cleaned media get a chain of mobs of their own.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from . import Cleaned, Use, _urls

SPEED = re.compile(r"motion|time.?warp|speed|freeze|retime", re.IGNORECASE)


def is_mine(path: Path, head: bytes) -> bool:
    return path.suffix.lower() == ".aaf"


def read(path: Path, rate: Fraction | None) -> Aaf:
    import aaf2

    try:
        with aaf2.open(str(path)) as file:
            return Aaf(path, tuple(_use(found, number) for number, found in enumerate(_clips(file))))
    except (aaf2.exceptions.AAFError, IndexError, AssertionError) as err:
        raise ValueError(str(err) or "it is damaged") from err


class Aaf:
    """The top compositions of a file."""

    def __init__(self, path: Path, uses: tuple[Use, ...]) -> None:
        self.path, self.uses = path, uses

    def write(self, path: Path, cleaned: dict[int, Cleaned]) -> None:
        import aaf2

        shutil.copyfile(self.path, path)
        try:
            with aaf2.open(str(path), "rw") as file:
                made: dict[tuple[str, str], Any] = {}
                for number, found in enumerate(list(_clips(file))):
                    if number in cleaned:
                        _swap(file, found, cleaned[number], made, path.parent)
        except aaf2.exceptions.AAFError as err:
            raise ValueError(str(err)) from err


@dataclass
class _Clip:
    """A source clip of a composition and where it leads."""

    clip: Any
    track: int
    record: Fraction  # edit units of the slot
    rate: Fraction  # edit units a second
    chain: list[Any]  # mobs from the master mob to the one that describes the file
    offset: Fraction  # edit units from the file's first frame to the place where the clip's own start counts from
    is_warped: bool  # inside a change of speed

    @property
    def file(self) -> Any:
        return self.chain[-1]


def _clips(file: Any) -> Iterator[_Clip]:
    """Every clip of the picture tracks that leads to a file, in order."""
    for composition in file.content.toplevel() or file.content.compositionmobs():
        track = 0
        for slot in composition.slots:
            if str(slot.media_kind).lower() != "picture" or not hasattr(slot, "edit_rate"):
                continue
            track += 1
            rate = Fraction(str(slot.edit_rate))
            for clip, record, is_warped in _leaves(slot.segment, Fraction(0), False):
                chain, offset = _chain(clip, rate)
                if chain:
                    yield _Clip(clip, track, record, rate, chain, offset, is_warped)


def _leaves(part: Any, at: Fraction, is_warped: bool) -> Iterator[tuple[Any, Fraction, bool]]:
    """The source clips below a component, with their place."""
    import aaf2

    if isinstance(part, aaf2.components.SourceClip):
        yield part, at, is_warped
    elif isinstance(part, aaf2.components.Sequence):
        for child in part.components:
            if isinstance(child, aaf2.components.Transition):
                at -= child.length
                continue
            yield from _leaves(child, at, is_warped)
            at += child.length or 0
    elif isinstance(part, aaf2.components.OperationGroup):
        is_warp = bool(SPEED.search(str(part.operation.name)))
        for child in part.segments:
            yield from _leaves(child, at, is_warped or is_warp)
    elif isinstance(part, aaf2.components.NestedScope):
        for child in part.slots:
            yield from _leaves(child, at, is_warped)
    elif isinstance(part, aaf2.components.Selector):
        yield from _leaves(part["Selected"].value, at, is_warped)


def _chain(clip: Any, rate: Fraction) -> tuple[list[Any], Fraction]:
    """The mobs from a clip to its file; empty where it leads to no file."""
    import aaf2

    chain: list[Any] = []
    offset = Fraction(0)
    while clip is not None and clip.mob is not None and clip.mob not in chain:
        mob = clip.mob
        chain.append(mob)
        if isinstance(mob, aaf2.mobs.CompositionMob):
            return [], offset
        if isinstance(mob, aaf2.mobs.SourceMob) and isinstance(mob.descriptor, aaf2.essence.FileDescriptor):
            return chain, offset
        slot = mob.slot_at(clip.slot_id)
        inner = next((leaf for leaf, _, _ in _leaves(slot.segment, Fraction(0), False)), None)
        if inner is not None:
            offset += Fraction(inner.start or 0) / Fraction(str(slot.edit_rate)) * rate
        clip = inner
    return [], offset


def _use(found: _Clip, number: int) -> Use:
    start = found.offset + found.clip.start
    locators = [locator["URLString"].value for locator in found.file.descriptor.locator or ()]
    return Use(
        number,
        found.chain[0].name or "",
        found.track,
        found.record,
        Fraction(found.clip.length),
        _urls.path_of(locators[0]) if locators else None,
        start / found.rate,
        (start + found.clip.length) / found.rate,
        origin=Fraction(0),
        is_whole=found.is_warped,
        grid=1 / found.rate,
    )


def _swap(file: Any, found: _Clip, cleaned: Cleaned, made: dict[tuple[str, str], Any], folder: Path) -> None:
    seconds = cleaned.medium.clock(cleaned.range.start)
    key = (str(found.chain[0].mob_id), cleaned.path)
    if key not in made:
        made[key] = _mobs(file, found.chain, cleaned, folder)
    found.clip.start = found.clip.start - round(seconds * found.rate)
    found.clip["SourceID"].value = made[key]


def _mobs(file: Any, chain: list[Any], cleaned: Cleaned, folder: Path) -> Any:
    """Copies of the mobs of a chain, for the cleaned file; the id of the first."""
    import aaf2

    length, begin = cleaned.medium.clock(len(cleaned.range)), cleaned.medium.clock(cleaned.range.start)
    below = None
    for mob in reversed(chain):
        new = mob.copy(root=file)
        digest = hashlib.sha256(f"{mob.mob_id} {cleaned.path}".encode()).digest()
        new.mob_id = aaf2.mobid.MobID(bytes_le=bytes(mob.mob_id.bytes_le)[:16] + digest[:16])
        for slot in new.slots:
            for leaf, _, _ in _leaves(slot.segment, Fraction(0), False):
                rate = Fraction(str(slot.edit_rate))
                if not cleaned.is_whole:
                    leaf.length = round(length * rate)
                    if slot.segment is not leaf and slot.segment.length is not None:
                        slot.segment.length = round(length * rate)
                if below is None:  # the file: what it was taken from begins later
                    leaf.start = (leaf.start or 0) + round(begin * rate)
                elif leaf.mob_id == below[0]:
                    leaf["SourceID"].value = below[1]
        if below is None:
            descriptor = new.descriptor
            if not cleaned.is_whole:
                descriptor["Length"].value = round(length * Fraction(str(descriptor["SampleRate"].value)))
            for locator in descriptor.locator or ():
                old = locator["URLString"].value
                locator["URLString"].value = _urls.like(old, cleaned.path, folder)
        file.content.mobs.append(new)
        below = (mob.mob_id, new.mob_id)
    assert below is not None
    return below[1]
