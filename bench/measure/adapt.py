"""Which points get a slice in the next round: those whose intervals are still wide. Pure.

It looks at how wide an interval is and at nothing else. Whoever stops when an interval happens to
exclude 1 finds differences that are not there; how wide it is says nothing of where it lies. After
the least number of rounds a point is settled when the interval of each of its declared pairs is
narrow enough, or when none of its rounds could be used. The time left goes to the others: first to
those that will need the least of it.
"""

import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from bench.measure.plan import Point, points_of
from bench.measure.profile import Pair, Profile

GUARD_ROUNDS = 2
GUARD_FACTOR = 4


@dataclass
class Effort:
    """What the rounds so far have given, and what the next one is for.

    `pairs` are those declared at each point, `precision` the half-width of an interval of ln(a / b)
    that is narrow enough.
    """

    pairs: Mapping[Point, Collection[Pair]]
    precision: float
    confidence: float
    rounds_min: int
    _log_ratios: dict[tuple[Point, Pair], list[float]] = field(default_factory=dict)
    _rounds: dict[Point, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, point: Point, throughput_rps: Mapping[str, float | None]) -> None:
        """A round of a point: what each target gave, None where its slice is of no use."""
        self._rounds[point] += 1
        for pair in self.pairs[point]:
            a, b = (throughput_rps.get(name) for name in pair)
            if a and b:
                self._log_ratios.setdefault((point, pair), []).append(math.log(a / b))

    def rounds(self, point: Point) -> int:
        """How many rounds a point has had."""
        return self._rounds[point]

    def half_width(self, point: Point, pair: Pair) -> float:
        """Half of the Student-t interval of a pair's mean log-ratio; infinite below two rounds."""
        return half_width(self._log_ratios.get((point, pair), []), self.confidence)

    def rounds_left(self, point: Point) -> float:
        """How many more rounds it will take to settle a point, as far as one can tell; 0: settled.

        The width goes down with the square root of their number.
        """
        had = self._rounds[point]
        if had < self.rounds_min:
            return self.rounds_min - had
        left = 0.0
        for pair in self.pairs[point]:
            logs = self._log_ratios.get((point, pair), [])
            if logs and not self._is_settled(logs):
                width = half_width(logs, self.confidence)
                more = len(logs) * ((width / self.precision) ** 2 - 1) if width < math.inf else had
                left = max(left, more, 1.0)
        return left

    def _is_settled(self, log_ratios: Sequence[float]) -> bool:
        """Whether an interval is narrow enough, and not only by the luck of its last rounds.

        Whoever stops at the first width that will do stops where the rounds happen to lie close
        together, and covers the truth too seldom. So it has to have been narrow enough two rounds
        ago, or to be four times as narrow as asked for.
        """
        before, now = log_ratios[:-GUARD_ROUNDS], log_ratios
        return (
            half_width(before, self.confidence) <= self.precision
            or half_width(now, self.confidence) <= self.precision / GUARD_FACTOR
        )

    def next_points(self, cost_s: Mapping[Point, float], left_s: float) -> list[Point]:
        """The points of the next round; none when all are settled.

        `cost_s` is what a round of each takes. Where the time left cannot settle all, those come
        first that take the least; where it can settle none, all that are open share it.
        """
        wanted = {point: self.rounds_left(point) for point in self.pairs}
        owed = [point for point in self.pairs if self._rounds[point] < self.rounds_min]
        if owed:
            return owed
        opened = [point for point, rounds in wanted.items() if rounds > 0]
        opened.sort(key=lambda point: wanted[point] * cost_s.get(point, 0.0))
        chosen: list[Point] = []
        for point in opened:
            # Never less than one whole round of it.
            left_s -= math.ceil(wanted[point]) * cost_s.get(point, 0.0)
            if left_s < 0:
                break
            chosen.append(point)
        return chosen or opened


def half_width(log_ratios: Sequence[float], confidence: float) -> float:
    """Half of the Student-t interval of their mean; infinite below two."""
    n = len(log_ratios)
    if n < 2:
        return math.inf
    error = statistics.stdev(log_ratios) / math.sqrt(n)
    return _quantile_t(confidence, n - 1) * error


@cache
def _quantile_t(confidence: float, freedom: int) -> float:
    from scipy.stats import t as student_t

    return float(student_t.ppf(0.5 + confidence / 2, freedom))


def effort_of(profile: Profile) -> Effort:
    """The effort of a profile, before its first round.

    Neighbours on a ladder are pairs as well: their ratios are its steps.
    """
    pairs: dict[Point, dict[Pair, None]] = {}
    for grid in profile.grids:
        steps = [
            step
            for ladder in profile.ladders
            for step in _steps(ladder.rungs)
            if _has(grid.targets, step)
        ]
        for point in points_of(grid):
            pairs.setdefault(point, {}).update(dict.fromkeys([*grid.pairs, *steps]))
    return Effort(
        {point: tuple(declared) for point, declared in pairs.items()},
        profile.precision,
        profile.confidence,
        profile.rounds_min,
    )


def _steps(rungs: Sequence[str]) -> list[Pair]:
    return list(itertools.pairwise(rungs))


def _has(targets: Collection[str], pair: Pair) -> bool:
    return all(name in targets for name in pair)
