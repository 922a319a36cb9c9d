"""Where one side begins to win: the number of connections at which a ratio crosses a level. Pure.

The ratio between two measured numbers of connections is read off the straight line over their
logarithm, and has a band: Student's interval of what the line gives, from the rounds of both ends,
and an allowance for a curve that is not straight. The interval of the crossover holds every number
of connections at which the band contains the level, so it covers the truth as often as the band
does there. Where exactly the curve crosses is read off a monotone fit of all points (isotonic
regression by pooling adjacent violators, weighted by precision, rising or falling, whichever fits
better), so that no noisy point makes a crossover of its own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

# A weight needs a spread; two rounds that happen to agree have none.
LEAST_SD = 0.005
FEW_ROUNDS = 3
# How much of the room that the neighbours leave a curve is allowed for; chosen by simulation.
CURVE_SHARE = 0.65
# At how many places between two numbers of connections the band is looked at.
PLACES = 64

Rounds = Mapping[int, float]
Line = Mapping[float, Rounds]


@dataclass(frozen=True)
class Crossover:
    """Where the fit crosses a level, in connections, with its interval.

    `at` is None where it does not cross among the connections that were measured; then `side` says
    on which side of the level all of it lies: "above" or "below". `low` is None where the level
    may be crossed before the least number of connections, `high` where it may be after the most.
    `certain`: the two ends of what was measured surely lie on different sides. `possible`: the
    level may be crossed somewhere among them; where it is not, there is no crossover up to there.
    """

    at: float | None
    low: float | None
    high: float | None
    side: str | None
    rising: bool | None
    certain: bool = False
    possible: bool = True


@dataclass(frozen=True)
class _Point:
    """The log-ratios at one number of connections, by round; x is its logarithm."""

    x: float
    by_round: Rounds

    @property
    def n(self) -> int:
        return len(self.by_round)

    @property
    def mean(self) -> float:
        return math.fsum(self.by_round.values()) / self.n

    @property
    def variance(self) -> float:
        """Of the rounds; 0 with fewer than two."""
        return float(np.var(list(self.by_round.values()), ddof=1)) if self.n > 1 else 0.0


def crossover(line: Line, level: float = 0.0, confidence: float = 0.95) -> Crossover:
    """The crossover of a line: its log-ratios by number of connections and round.

    Points of two rounds hardly say anything and are left out where others suffice. Raises
    ValueError where fewer than two numbers of connections have two rounds.
    """
    points = _points(line)
    means = [point.mean - level for point in points]
    fit, rising = _better_fit(means, [_weight(point) for point in points])
    at = _crossing([point.x for point in points], fit)
    found = _interval(points, level, confidence)
    ends = found.low, found.high
    if at is None:
        side = "above" if fit[0] > 0 else "below"
        return Crossover(
            None, _exp(ends[0]), _exp(ends[1]), side, None, found.certain, found.possible
        )
    low = None if ends[0] is None else min(ends[0], at)
    high = None if ends[1] is None else max(ends[1], at)
    return Crossover(_exp(at), _exp(low), _exp(high), None, rising, found.certain)


def _points(line: Line) -> list[_Point]:
    counts = [
        [count for count in sorted(line) if len(line[count]) >= least] for least in (FEW_ROUNDS, 2)
    ]
    enough = next((some for some in counts if len(some) > 1), None)
    if enough is None:
        raise ValueError("a crossover needs two numbers of connections with two rounds each")
    return [_Point(math.log(count), line[count]) for count in enough]


@dataclass(frozen=True)
class _Found:
    """The least and the greatest x at which the band contains the level; None beyond the ends."""

    low: float | None
    high: float | None
    certain: bool
    possible: bool


def _interval(points: Sequence[_Point], level: float, confidence: float) -> _Found:
    xs, lows, highs = band(points, confidence)
    over, under = lows - level, level - highs
    outside = (over > 0) | (under > 0)
    certain = bool((over[0] > 0 and under[-1] > 0) or (under[0] > 0 and over[-1] > 0))
    inside = np.flatnonzero(~outside)
    if inside.size:
        before, after = int(inside[0]) - 1, int(inside[-1])
        low = None if before < 0 else _edge(xs, over if over[before] > 0 else under, before)
        high = None
        if after + 1 < len(xs):
            high = _edge(xs, over if over[after + 1] > 0 else under, after)
        return _Found(low, high, certain, possible=True)
    turns = np.flatnonzero((over[:-1] > 0) != (over[1:] > 0))
    if not turns.size:
        return _Found(None, None, certain, possible=False)
    edges = [_edge(xs, gaps, int(turn)) for turn in turns for gaps in (over, under)]
    return _Found(min(edges), max(edges), certain, possible=True)


def _edge(xs: np.ndarray, gaps: np.ndarray, place: int) -> float:
    """Where the gaps pass 0 between a place and the next."""
    here, there = gaps[place], gaps[place + 1]
    return float(xs[place] + (xs[place + 1] - xs[place]) * here / (here - there))


def band(points: Sequence[_Point], confidence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places x, and the low and high end of the log-ratio at each."""
    parts = []
    slopes = [
        (second.mean - first.mean) / (second.x - first.x)
        for first, second in itertools.pairwise(points)
    ]
    for number, (first, second) in enumerate(itertools.pairwise(points)):
        before = slopes[number - 1] if number else 0.0
        after = slopes[number + 1] if number + 1 < len(slopes) else 0.0
        parts.append(_between(first, second, (before, after), confidence))
    xs, lows, highs = (np.concatenate(each) for each in zip(*parts, strict=True))
    return xs, lows, highs


def _between(
    first: _Point, second: _Point, slopes: tuple[float, float], confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The band between two neighbours; `slopes` are those of the lines before and after.

    The curve may lie anywhere between the straight line and those two, extended; it passes
    through both ends, so that most is allowed in the middle.
    """
    part = np.linspace(0, 1, PLACES + 1)
    width = second.x - first.x
    middle = (1 - part) * first.mean + part * second.mean
    from_first = first.mean + slopes[0] * width * part - middle
    from_second = second.mean - slopes[1] * width * (1 - part) - middle
    room_below = np.maximum(0, -np.minimum(from_first, from_second))
    room_above = np.maximum(0, np.maximum(from_first, from_second))
    half = _half_widths(first, second, part, confidence)
    share = CURVE_SHARE * 2 * np.sqrt(part * (1 - part))
    low = middle - np.hypot(half, share * room_below)
    high = middle + np.hypot(half, share * room_above)
    return first.x + part * width, low, high


def _half_widths(first: _Point, second: _Point, part: np.ndarray, confidence: float) -> np.ndarray:
    """Of Student's interval of (1 - part) x the first mean + part x the second.

    What both have of a round is not independent: it counts with its covariance. Degrees of
    freedom lie between those of the two, by their share of the variance.
    """
    own = (1 - part) ** 2 * first.variance / first.n, part**2 * second.variance / second.n
    apart = own[0] + own[1]
    together = 2 * part * (1 - part) * _covariance(first, second)
    share = np.divide(own[1], apart, out=part.copy(), where=apart > 0)
    freedom = 1 / ((1 - share) / (first.n - 1) + share / (second.n - 1))
    quantile = stats.t.ppf(0.5 + confidence / 2, freedom)
    half: np.ndarray = quantile * np.sqrt(np.maximum(apart + together, 0.0))
    return half


def _covariance(first: _Point, second: _Point) -> float:
    """Of the two means, from the rounds that both have."""
    both = sorted(first.by_round.keys() & second.by_round.keys())
    if len(both) < 3:
        return 0.0
    pairs = np.array([[point.by_round[number] for number in both] for point in (first, second)])
    return float(np.cov(pairs)[0, 1]) * len(both) / (first.n * second.n)


def _weight(point: _Point) -> float:
    """One over the squared standard error of the mean."""
    return point.n / max(point.variance, LEAST_SD**2)


def _better_fit(means: Sequence[float], weights: Sequence[float]) -> tuple[list[float], bool]:
    fits = [(_monotone(means, weights, rising=rising), rising) for rising in (True, False)]

    def misfit(fit: Sequence[float]) -> float:
        return math.fsum(w * (m - f) ** 2 for w, m, f in zip(weights, means, fit, strict=True))

    return min(fits, key=lambda each: misfit(each[0]))


def _monotone(values: Sequence[float], weights: Sequence[float], *, rising: bool) -> list[float]:
    """The closest monotone values by weighted least squares: pool adjacent violators."""
    sign = 1 if rising else -1
    blocks: list[list[float]] = []  # mean, weight, length
    for value, weight in zip(values, weights, strict=True):
        blocks.append([sign * value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, mass, length = blocks.pop()
            before = blocks[-1]
            before[0] = (before[0] * before[1] + mean * mass) / (before[1] + mass)
            before[1] += mass
            before[2] += length
    return [sign * mean for mean, _, length in blocks for _ in range(int(length))]


def _crossing(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Where the line through the points crosses 0; None where it does not."""
    pairs = list(zip(xs, ys, strict=True))
    for (x0, y0), (x1, y1) in itertools.pairwise(pairs):
        if y0 * y1 < 0:
            return x0 - (x1 - x0) * y0 / (y1 - y0)
        if y0 == 0 != y1:
            return x0
    return None


def _exp(value: float | None) -> float | None:
    return None if value is None else math.exp(value)
