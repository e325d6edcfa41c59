"""Which lines of text are burnt in rather than part of the scene, and which of them belong together."""

from __future__ import annotations

from collections.abc import Sequence

from ..job import Box
from ..textlines import Line
from ..timing import FrameRange

LEAST_READ = 0.6  # how sure the recogniser is, of a column of letters, or of faint ones, to be text
FEW_LETTERS, SURELY_READ = 2, 0.8  # so few have to be read as surely, to be text
FAINT = 10.0  # mean change on the strokes, levels: the least that is seen of a text at its ends
STEADY, BY_ITSELF = 0.8, 0.7  # correlation of its strokes over time; of what plainly comes and goes by itself
SAME_FRAMES = 2  # lines that come and go within so many frames of each other are one event
MOST_SLANT = 6.0  # degrees: burnt-in lines lie flat or stand upright
SURE_SLANT = 3.5
SHORTEST = 3  # frames of a line
TURNS = 0.6  # share of either box that is in the other's, of texts that follow each other in one place
TICKS, SURELY_SEEN = 3, 0.85  # times that a part of a line changed, to be a counter; how sure the detector is of that
LONG, LINE = 1.8, 4.0  # length over height from which a text is a line, not a sign; and more than a few letters


def is_text(text: str, read: float, contrast: float, boxes: Sequence[Box]) -> bool:
    """Whether something that looked like text is, by how surely it is read and how much its strokes stand out.

    `contrast`: levels, 0 where it is not known. What neither stands out nor can be read moves so in the scene; a column
    of letters is rarer than a stack of things that look like letters; and one or two may be seen in anything, but not
    in a whole line, which is of a script that the recogniser does not know.
    """
    is_line = any(max(width, height) > LINE * min(width, height) for _, _, width, height in boxes)
    if 0 < len("".join(text.split())) <= FEW_LETTERS and read < SURELY_READ and not is_line:
        return False
    is_column = all(height > 1.5 * width for _, _, width, height in boxes)
    return read >= LEAST_READ or not (0 < contrast < FAINT or is_column)


def choose(lines: list[Line], shots: tuple[FrameRange, ...], whole: FrameRange) -> list[Line]:
    """The lines that are burnt in rather than part of the scene."""
    lines = _without_doubles([line for line in lines if not line.moved and line.slant <= MOST_SLANT])
    cuts = [shot.start for shot in shots[1:]]
    sure = [line for line in lines if _evidence(line, cuts) >= 1]
    sure += [line for line in lines if line not in sure and any(_takes_turns(line, other) for other in sure)]
    models = [line for line in sure if line.clean]
    alike = [
        line
        for line in lines
        if line not in sure and _could_be(line) and line.steady > 0.85 and any(same_style(line, m) for m in models)
    ]
    return sorted(sure + alike, key=lambda line: (line.start, line.box[1], line.box[0]))


def _could_be(line: Line) -> bool:
    length = line.stop - line.start
    least = BY_ITSELF if line.pop_in and line.pop_out and line.clean else STEADY
    return line.score >= 0.7 and length >= SHORTEST and (line.steady >= least or length < 6)


def _evidence(line: Line, cuts: list[int]) -> float:
    """How much speaks for a burnt-in line; 1 is enough."""
    if not _could_be(line):
        return 0.0
    if any(line.start + 2 < cut < line.stop - 2 for cut in cuts) or counts(line):
        return 1.0
    flat = line.score >= 0.75 and line.slant <= SURE_SLANT
    width, height = line.box[2] - line.box[0], line.box[3] - line.box[1]
    long = max(width, height) >= LONG * min(width, height)
    # signs that are carried away or uncovered come and go less cleanly
    both = line.pop_in and line.pop_out and (line.crisp or (long and flat and line.clean))
    if both or (flat and line.crisp and long):
        return 1.0
    lasting = line.still >= max(12, 0.4 * (line.stop - line.start))
    return 1.0 if flat and long and lasting and line.steady >= 0.9 and line.score >= 0.85 else 0.0


def counts(line: Line) -> bool:
    """Whether a line's letters change by themselves, as digits of a clock do."""
    return line.ticks >= TICKS and line.score >= SURELY_SEEN and line.slant <= SURE_SLANT


def _takes_turns(line: Line, other: Line) -> bool:
    """Whether a line gives way to another one in its place at one stroke, or comes so after it, as a digit does."""
    after, before = abs(other.start - line.stop) <= SAME_FRAMES, abs(line.start - other.stop) <= SAME_FRAMES
    is_clean = line.clean and ((after and line.pop_out and other.pop_in) or (before and line.pop_in and other.pop_out))
    is_clean &= line.stop - line.start >= SHORTEST
    return is_clean and line.score >= SURELY_SEEN and min(_covered(line, other), _covered(other, line)) > TURNS


def same_style(line: Line, other: Line) -> bool:
    """Whether two lines are of one height, on one baseline or one in the other's columns."""
    high = max(line.height, other.height)
    if min(line.height, other.height) < 0.7 * high:
        return False
    level = abs((line.box[1] + line.box[3]) - (other.box[1] + other.box[3])) < 0.6 * high
    middle = abs((line.box[0] + line.box[2]) - (other.box[0] + other.box[2])) < 2 * high
    left = abs(line.box[0] - other.box[0]) < high
    return level and (middle or left)


def _without_doubles(lines: list[Line]) -> list[Line]:
    """Of lines that were followed twice at a time, the better one with the union of their frames."""
    out: list[Line] = []
    for line in sorted(lines, key=lambda one: (one.pop_in + one.pop_out, one.stop - one.start), reverse=True):
        for kept in out:
            shared = min(line.stop, kept.stop) - max(line.start, kept.start)
            if shared > 0.5 * (line.stop - line.start) and _covered(line, kept) > 0.6:
                break
        else:
            out.append(line)
    return out


def _covered(line: Line, other: Line) -> float:
    """Share of a line's box that lies in another's."""
    w = min(line.box[2], other.box[2]) - max(line.box[0], other.box[0])
    h = min(line.box[3], other.box[3]) - max(line.box[1], other.box[1])
    return max(0, w) * max(0, h) / ((line.box[2] - line.box[0]) * (line.box[3] - line.box[1]))


def group_lines(lines: list[Line]) -> list[list[Line]]:
    """Lines that come and go together and lie beside or under each other."""
    groups: list[list[Line]] = []
    for line in lines:
        joined = [group for group in groups if any(_together(line, other) for other in group)]
        groups = [group for group in groups if group not in joined]
        groups.append([line, *(other for group in joined for other in group)])
    return sorted(groups, key=lambda group: min(line.start for line in group))


def _together(line: Line, other: Line) -> bool:
    if abs(line.start - other.start) > SAME_FRAMES or abs(line.stop - other.stop) > SAME_FRAMES:
        return False
    high = max(line.height, other.height)
    across = max(line.box[0], other.box[0]) - min(line.box[2], other.box[2])
    down = max(line.box[1], other.box[1]) - min(line.box[3], other.box[3])
    return across < 1.5 * high and down < 0.8 * high
