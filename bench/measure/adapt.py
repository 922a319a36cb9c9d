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
GUARD_FACTOR_ROUNDS = 4
# Up to so many rounds the spread of a point is hardly known.
FEW_ROUNDS = 8
# Student's quantile where there are some twenty rounds.
USUAL_QUANTILE = 2.1


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

    def mean(self, point: Point, pair: Pair) -> float | None:
        """The mean log-ratio of a pair; None where there is none."""
        logs = self._log_ratios.get((point, pair), [])
        return math.fsum(logs) / len(logs) if logs else None

    def add_points(self, pairs: Mapping[Point, tuple[Pair, ...]]) -> None:
        """Further points, for which the same holds as for those there were."""
        self.pairs = {**self.pairs, **pairs}

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
                left = max(left, rounds_needed(logs, self.precision) - len(logs), 1.0)
        return left

    def _is_settled(self, log_ratios: Sequence[float]) -> bool:
        """Whether an interval is narrow enough, and not only by the luck of its last rounds.

        Whoever stops at the first width that will do stops where the rounds happen to lie close
        together, and covers the truth too seldom. So it has to have been narrow enough two rounds
        ago, or to be four times as narrow as asked for, which three rounds are by luck too often.
        """
        before, now = log_ratios[:-GUARD_ROUNDS], log_ratios
        if half_width(before, self.confidence) <= self.precision:
            return True
        very_narrow = half_width(now, self.confidence) <= self.precision / GUARD_FACTOR
        return very_narrow and len(now) >= GUARD_FACTOR_ROUNDS

    def next_points(self, cost_s: Mapping[Point, float], left_s: float) -> list[Point]:
        """The points of the next round; none when all are settled.

        `cost_s` is what a round of each takes. A point that has had few rounds is in, since nobody
        can tell yet how many it will need. Of the others those come first that take the least.
        Where the time left can settle none, it goes to as many as it gives twice the rounds that
        they have had: less would hardly make them narrower.
        """
        owed = [point for point in self.pairs if self._rounds[point] < self.rounds_min]
        if owed:
            return owed
        opened = self._opened(cost_s)
        young = [point for point in opened if self._rounds[point] < FEW_ROUNDS]
        to_settle = self.to_settle(cost_s, left_s)
        if young or to_settle:
            return list(dict.fromkeys([*to_settle, *young]))
        wishes = [(point, self._rounds[point] * cost_s.get(point, 0.0)) for point in opened]
        return _within(left_s, wishes) or opened[:1]

    def to_settle(self, cost_s: Mapping[Point, float], left_s: float) -> list[Point]:
        """The points that are not settled and that the time left can settle, as far as it goes."""
        wishes = [
            (point, math.ceil(self.rounds_left(point)) * cost_s.get(point, 0.0))
            for point in self._opened(cost_s)
        ]
        return _within(left_s, wishes)

    def _opened(self, cost_s: Mapping[Point, float]) -> list[Point]:
        """Those that are not settled, first those that it takes the least to settle."""
        wanted = {point: self.rounds_left(point) for point in self.pairs}
        opened = [point for point, rounds in wanted.items() if rounds > 0]
        return sorted(opened, key=lambda point: wanted[point] * cost_s.get(point, 0.0))


def _within(left_s: float, wishes: Sequence[tuple[Point, float]]) -> list[Point]:
    """The first points whose wishes, in seconds, fit together into the time left."""
    chosen: list[Point] = []
    for point, wish_s in wishes:
        left_s -= wish_s
        if left_s < 0:
            break
        chosen.append(point)
    return chosen


def half_width(log_ratios: Sequence[float], confidence: float) -> float:
    """Half of the Student-t interval of their mean; infinite below two."""
    n = len(log_ratios)
    if n < 2:
        return math.inf
    error = statistics.stdev(log_ratios) / math.sqrt(n)
    return _quantile_t(confidence, n - 1) * error


def rounds_needed(log_ratios: Sequence[float], precision: float) -> float:
    """How many rounds make their interval so narrow, if they go on as they do."""
    if len(log_ratios) < 2:
        return len(log_ratios) + 1.0
    return (USUAL_QUANTILE * statistics.stdev(log_ratios) / precision) ** 2 + GUARD_ROUNDS


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
