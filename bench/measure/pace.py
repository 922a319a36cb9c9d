"""How a run spends its time: which points a round has, whether another fits, how long it will take.

Reads the clock; what is worth measuring is decided by `bench.measure.adapt`.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bench.measure.adapt import Effort, effort_of
from bench.measure.plan import Point
from bench.measure.profile import Profile

# Of what was measured, so many of the last decide what comes next.
REMEMBERED = 3


@dataclass
class Clock:
    """What the run has spent and may spend, in seconds since it started."""

    started_s: float
    budget_s: float

    def elapsed_s(self) -> float:
        """Time since the run started."""
        return time.monotonic() - self.started_s

    def spent(self, so_far_s: float) -> None:
        """So much was spent before now, in another process."""
        self.started_s = time.monotonic() - so_far_s


@dataclass
class Pace:
    """The rounds of one run; told what each start and each point has taken."""

    profile: Profile
    clock: Clock
    effort: Effort = field(init=False)
    starts_s: list[float] = field(default_factory=list)
    points_s: dict[Point, list[float]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.effort = effort_of(self.profile)

    @property
    def is_fixed(self) -> bool:
        """Whether the number of rounds is given, whatever they take and show."""
        return self.profile.rounds_min == self.profile.rounds_max

    def next_points(self) -> list[Point]:
        """The points of the next round; none where there is to be none.

        No point has more rounds than the profile allows; a round that was cut counts for those of
        its points only that were measured.
        """
        most = self.profile.rounds_max
        if self.is_fixed:
            return [point for point in self.effort.pairs if self.effort.rounds(point) < most]
        left_s = self._left_s() - self._start_s()
        wanted = self.effort.next_points(self.costs_s(), left_s)
        points = [point for point in wanted if self.effort.rounds(point) < most]
        return points if any(map(self.fits, points)) and left_s > 0 else []

    def may_refine(self, rounds_done: int) -> bool:
        """Whether time is better spent on further points: nothing else can be settled with it."""
        if not self.profile.refine or rounds_done < self.profile.rounds_min:
            return False
        return not self.effort.to_settle(self.costs_s(), self._left_s() - self._start_s())

    def fits(self, point: Point) -> bool:
        """Whether a point can still be measured within the budget."""
        return self.is_fixed or self._cost_s(point) <= self._left_s()

    def costs_s(self) -> dict[Point, float]:
        """What a round of each point takes; of one that was never measured, the most of any."""
        known = {point: _recent(times) for point, times in self.points_s.items()}
        most = max(known.values(), default=0.0)
        return {point: known.get(point, most) for point in self.effort.pairs}

    def remaining_s(self, rest: Collection[Point], rounds_done: int) -> float:
        """How long the run is expected to go on, with the rest of its present round to come."""
        costs = self.costs_s()
        rest_s = sum(costs[point] for point in rest)
        if self.is_fixed:
            more = max(self.profile.rounds_max - rounds_done - 1, 0)
            return rest_s + more * (sum(costs.values()) + self._start_s())
        wanted = {point: self.effort.rounds_left(point) for point in costs}
        left = [wanted[p] - (p in rest) for p in costs]
        longest = max((rounds for rounds in left if rounds > 0), default=0.0)
        if longest == 0.0:
            return min(rest_s, max(self._left_s(), 0.0))
        more_s = sum(max(n, 0) * costs[p] for n, p in zip(left, costs, strict=True))
        return max(min(rest_s + more_s + longest * self._start_s(), self._left_s()), 0.0)

    def told(self, point: Point, took_s: float, throughput_rps: Mapping[str, float | None]) -> None:
        """A point was measured."""
        self.points_s[point].append(took_s)
        self.effort.add(point, throughput_rps)

    def _cost_s(self, point: Point) -> float:
        return self.costs_s()[point]

    def _left_s(self) -> float:
        return self.clock.budget_s - self.clock.elapsed_s()

    def _start_s(self) -> float:
        return _recent(self.starts_s)


def _recent(times_s: Sequence[float]) -> float:
    return max(times_s[-REMEMBERED:], default=0.0)
