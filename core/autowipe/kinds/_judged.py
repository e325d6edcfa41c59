"""Whether what comes and goes or moves is drawn over the picture, by its look, its way and what it says."""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np

from ..text import find_text, read_text
from ._effect import EVEN_WAY, PASSES, Settled
from ._travels import LEAST_WAY

SHARP, AGAIN_SHARP = 0.67, 0.6  # drawn: marks 0.7 to 0.98, the scene's 0.3 to 0.65; of what comes back elsewhere
LOCKED, AGAIN_LOCKED = 0.85, 0.75
SURE_SHARP, SURE_LOCKED = 0.75, 0.92  # of what travels, to need no reading
CARRIED_SHARP, CARRIED_LOCKED = 0.55, 0.5  # the background passes beneath, which shakes what is translucent
SURE_READ = 0.8  # how sure it is of what travels or passes that it is text
SOFT_SHARP = 0.45  # of soft shadows
EVEN_LOCKED, EVEN_SHARP = 0.4, 0.6  # of what goes straight on and evenly, translucent or not
EVEN_SHARE = 0.5  # of its size that it goes: a house before which a camera drives evenly goes .26
SHINES_MOST = 0.8  # share of the change around it by which what is translucent changes itself
ON_ITS_WAY = 0.2  # share of its time that what moves takes for half of its way; what is moved by hand mostly stands
KEPT, LONG_WAY = 0.1, 1.5  # share of that by which an opaque mark changes itself: 0.02 to 0.08; times its size it goes
PRINTED = 2.0  # levels by which what lies around what is printed on a moving thing changes, which goes along with it
SWAYING_SHARP = 0.3  # thin letters that are scaled and coded anew
TURNED_KEPT = 0.3  # share of the change around it by which what turns changes itself, as it is brought upright: to 0.2
TURNED_SHARP = 0.7  # of what turns or grows: marks 0.73 to 0.81, a printed page that is moved about 0.55
ONE_WAY = 0.6  # concentration of directions: letters 0.05 to 0.4, furniture 0.55 to 1
PLAINLY_POPS = 5.0  # what pops up less than so, may be what is uncovered or comes into view
HARDLY_SHARP = 0.77  # how sharp it must be then: heads that come into view have .67, letters on blocks .73
HARDLY_STILL = 4.0  # levels by which the scene around it must change then: before a still scene overlays pop up plainly
UNCOVERED = 7.5  # times that it must pop up for each frame that has one part of it and not another, as if uncovered
POPS = 2.5  # times that the picture changes more where it comes or goes than around: marks 2.3 to 39, the scene to 3
LEAST_EDGES, PLAIN_EDGES = 50.0, 150.0  # analysis px: to be anything; to need no reading
READ = 0.6  # how sure the recogniser is that a small find is text
LONG, SURELY_LINE = 3.0, 0.85  # length over height, and how sure the detector is, of a line in a script not read here
ELSEWHERE = 1.0  # of its size, from which an appearance is in another place: what is in the scene moves by less
TWICE = 0.15  # of the shorter of two appearances, for which both are there


def may_be_drawn(evidence: dict[str, float | str], travels: bool) -> bool:
    """Whether what is known of a thing so far leaves it open that it is an overlay."""
    e = {name: float(value) for name, value in evidence.items()}
    sharp, locked = (CARRIED_SHARP, CARRIED_LOCKED) if travels else (AGAIN_SHARP, AGAIN_LOCKED)
    if travels and e["edge lock"] >= AGAIN_LOCKED and e["changes around, levels"] >= PASSES:
        sharp = SOFT_SHARP  # it still has to be read
    sharp = SWAYING_SHARP if e.get("sways", 0) > 0 else sharp
    locked = EVEN_LOCKED if e.get("goes evenly, px", 0) >= EVEN_WAY else locked
    is_thing = e["edge pixels"] >= LEAST_EDGES and e["one direction"] <= ONE_WAY
    if not is_thing or e["edge sharpness"] < sharp or e["edge lock"] < locked:
        return False
    if "sways" in e:
        return e["sways"] > 0 or e["edge sharpness"] >= TURNED_SHARP
    if "travels, px" in e:
        return e["travels, px"] >= LEAST_WAY  # else letters of a subtitle whose corners were taken for others
    return travels or e.get("pops", POPS) >= POPS


def is_overlay(settled: Settled) -> bool:
    """Whether a find is drawn over the picture, and comes and goes by itself."""
    e = {name: float(value) for name, value in settled.evidence.items()}
    if "travels, px" in e:
        return is_carried(settled)
    apart = np.hypot(*np.ptp([a.corners[a.range.start] for a in settled.appearances], axis=0))
    again = apart >= ELSEWHERE * max(settled.box[2:])
    if not may_be_drawn(settled.evidence, False) or _stands_upon_itself(settled):
        return False
    sharp, locked = (AGAIN_SHARP, AGAIN_LOCKED) if again else (SHARP, LOCKED)
    if not again and e.get("pops", POPS) < PLAINLY_POPS:
        sharp = HARDLY_SHARP
        if e["changes around, levels"] < HARDLY_STILL:
            return False
    if e["edge sharpness"] < sharp or e["edge lock"] < locked:
        return False
    uneven = e.get("uneven frames", 0.0)
    if e.get("pops", 0.0) < UNCOVERED * (min(1.0, uneven) if again else uneven):
        return False
    return again or e["edge pixels"] >= PLAIN_EDGES or read(settled.picture)[1] >= READ


def _stands_upon_itself(settled: Settled) -> bool:
    """Whether two appearances overlap in time and place: a piece of a slow scene, taken up anew as it goes on."""
    for one, other in combinations(settled.appearances, 2):
        both = one.range.meet(other.range)
        if len(both) >= max(2, TWICE * min(len(one.range), len(other.range))):
            (x0, y0), (x1, y1) = one.corners[both.start], other.corners[both.start]
            if abs(x0 - x1) < settled.box[2] and abs(y0 - y1) < settled.box[3]:
                return True
    return False


def is_carried(settled: Settled) -> bool:
    """Whether what travels is drawn, and does not bend or blur on its way as things in the scene do."""
    if not may_be_drawn(settled.evidence, True):
        return False
    e = {name: float(value) for name, value in settled.evidence.items()}
    sways = e.get("sways", 0) > 0  # people who walk do as well, but less sharply
    sharp, locked = (SHARP, AGAIN_LOCKED) if sways else (SURE_SHARP, SURE_LOCKED)
    is_sure = e["edge sharpness"] >= sharp and e["edge lock"] >= locked and e["edge pixels"] >= PLAIN_EDGES
    if passes_by(e) or passes_evenly(e):
        return True
    if e.get("keeps its picture", 0.0) > 0 and not sways:
        return keeps_its_picture(e)
    if e.get("few corners", 0.0) > 0:  # many things of the scene have a few that agree by chance
        return False
    if e["changes around, levels"] < PASSES and e.get("on its way, share", 1.0) < ON_ITS_WAY:
        return False  # the picture of what stands keeps, whatever it is
    leaves = e.get("changes itself, levels", 0.0) < e.get("changes beyond it, levels", 0.0)  # else it is a part of that
    if is_sure and (leaves or sways or e.get("goes evenly, px", 0.0) > 0):
        return True
    return e["changes around, levels"] >= PRINTED and read(settled.picture)[1] >= SURE_READ


def passes_by(e: dict[str, float]) -> bool:
    """Whether an opaque thing keeps its exact picture on a long way over a scene that changes around it.

    Its outline does not keep, which has the scene on its other side: so the lock of its edges says less.
    """
    return (
        e["edge sharpness"] >= SURE_SHARP
        and e["edge lock"] >= AGAIN_LOCKED
        and e["edge pixels"] >= PLAIN_EDGES
        and e.get("changes beyond it, levels", 0.0) >= PASSES
        and e["changes itself, levels"] <= KEPT * e["changes beyond it, levels"]
        and e["travels, px"] >= LONG_WAY * e["size, px"]
    )


def passes_evenly(e: dict[str, float]) -> bool:
    """Whether something goes straight on at one speed, as nothing does before a camera, over a scene that changes.

    A translucent mark changes with what passes beneath it, though by less: the lock of its edges says little.
    """
    is_doubted = e.get("few corners", 0.0) > 0 or e["travels, px"] < EVEN_SHARE * e["size, px"]
    return (
        e.get("goes evenly, px", 0.0) >= EVEN_WAY
        and e["edge sharpness"] >= (SURE_SHARP if is_doubted else EVEN_SHARP)
        and e["edge pixels"] >= PLAIN_EDGES
        and e.get("changes beyond it, levels", 0.0) >= PASSES
        and e["changes itself, levels"] <= SHINES_MOST * e["changes beyond it, levels"]
    )


def keeps_its_picture(e: dict[str, float]) -> bool:
    """Whether something that turns and grows has the scene passing close beneath it, and does not change with it.

    What is printed keeps it as well where it is turned in the picture's plane alone; what it is printed on goes along.
    """
    return (
        e["edge sharpness"] >= TURNED_SHARP
        and e["edge lock"] >= AGAIN_LOCKED
        and e["edge pixels"] >= PLAIN_EDGES
        and e["changes around, levels"] >= PASSES
        and e.get("changes where flat, levels", 0.0) <= TURNED_KEPT * e.get("changes beyond it, levels", 0.0)
    )


def confidence(settled: Settled) -> float:
    e = {name: float(value) for name, value in settled.evidence.items()}
    least = CARRIED_LOCKED if "travels, px" in e else LOCKED
    margins = [e["edge sharpness"] / SHARP - 1, (e["edge lock"] - least) / (1 - least)]
    margins += [] if "travels, px" in e else [e["pops"] / POPS - 1]
    more = 0.5 * (len(settled.appearances) > 1)
    return float(1 / (1 + np.exp(-1 - more - 4 * max(-0.2, min(0.6, *margins)))))


def read(picture: np.ndarray) -> tuple[str, float]:
    """What a find says, as far as it can be read, and how sure it is that it is text.

    `picture`: (H, W, 3) uint8, luma and chroma. The detector sees lines in more scripts than the recogniser reads.
    """
    colour = cv2.cvtColor(np.ascontiguousarray(picture[..., [0, 2, 1]]), cv2.COLOR_YCrCb2BGR)
    longer = max(colour.shape[:2])
    if longer > 640:
        colour = cv2.resize(colour, None, fx=640 / longer, fy=640 / longer, interpolation=cv2.INTER_AREA)
    texts, sure = [], []
    for line in find_text(colour):
        w = round(float(np.hypot(*(line.quad[1] - line.quad[0]))))
        h = round(float(np.hypot(*(line.quad[3] - line.quad[0]))))
        if min(w, h) < 6:
            continue
        corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
        flat = cv2.warpPerspective(colour, cv2.getPerspectiveTransform(line.quad, corners), (w, h))
        text, score = read_text(flat)
        is_line = line.score >= SURELY_LINE and max(w, h) >= LONG * min(w, h)
        texts.append(text if score >= READ else "")
        sure.append(max(score, line.score if is_line else 0.0))
    return " ".join(text for text in texts if text), max(sure, default=0.0)
