"""Tells how long a run will still take, from what it has done so far; what an earlier run did counts for nothing."""

from __future__ import annotations

from collections import deque

STAGE_COST = {"look": 1.0, "measure": 0.8, "wipe": 5.0}  # rough share of the time, until a stage shows its own pace
ENOUGH = 0.01  # of a stage's or a run's work: before that, nothing can be said
RECENT = 0.2  # of a stage's work: its pace is told from so much, as its first frames may cost more than the rest


class Pace:
    """Work done and time taken, by stage."""

    def __init__(self, began: float) -> None:
        """`began`: when the run did, s of a clock that only rises."""
        self._began = began
        self._done: dict[str, float] = {}  # by stage, where it stands, 0..1
        self._worked: dict[str, float] = {}  # by stage, what this run did of it, 0..1
        self._starts: dict[str, float] = {}
        self._recent: deque[tuple[float, float]] = deque()  # of the newest stage: time, work done by then

    def enter(self, stage: str, now: float) -> None:
        """Notes when a stage begins: what comes before its first frame is done belongs to it."""
        self._starts.setdefault(stage, now)

    def add(self, stage: str, done: int, total: int, now: float) -> None:
        """Notes that `done` of a stage's `total` frames are done."""
        share = done / max(1, total)
        if stage not in self._done:  # it may go on where another run stopped
            self._done[stage], self._worked[stage] = share - 1 / max(1, total), 0.0
            self._recent = deque([(self._starts[stage], 0.0)])
        self._worked[stage] += share - self._done[stage]
        self._done[stage] = share
        self._recent.append((now, self._worked[stage]))
        while len(self._recent) > 2 and self._worked[stage] - self._recent[1][1] >= RECENT:
            self._recent.popleft()

    def seconds(self, now: float) -> dict[str, float]:
        """Time of each stage so far, s."""
        ends = [*self._starts.values(), now][1:]
        return {stage: end - start for (stage, start), end in zip(self._starts.items(), ends, strict=True)}

    def left(self, stages: tuple[str, ...], now: float) -> float | None:
        """Seconds to the end of the run, None while unknown. A stage that was passed over takes no time."""
        reached = max((i for i, stage in enumerate(stages) if stage in self._done), default=-1)
        if reached < 0:
            return None
        here = stages[reached]
        worked = sum(STAGE_COST[stage] * share for stage, share in self._worked.items())
        if worked < ENOUGH * sum(STAGE_COST.values()):
            return None
        usual = (now - self._began) / worked  # s for a unit of cost
        rest = usual * sum(STAGE_COST[stage] for stage in stages[reached + 1 :])
        if self._worked[here] >= ENOUGH:
            since, then = self._recent[0]
            return rest + (now - since) / (self._worked[here] - then) * (1 - self._done[here])
        return rest + usual * STAGE_COST[here] * (1 - self._done[here])
