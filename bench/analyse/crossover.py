"""Where one side begins to win: the number of connections at which a ratio crosses 1. Pure.

The mean log-ratio at each number of connections is fitted by a monotone function of its logarithm
(isotonic regression by pooling adjacent violators, weighted by precision, rising or falling,
whichever fits better). All data of a line count, so that no noisy point decides by itself. Its
interval comes from drawing the rounds of each point again, with replacement.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 400
# A weight needs a spread; two rounds that happen to agree have none.
LEAST_SD = 0.005


@dataclass(frozen=True)
class Crossover:
    """Where the fit crosses a level, in connections, with its 95% interval.

    `at` is None where it does not cross among the connections that were measured; then `side` says
    on which side of the level all of it lies: "above" or "below". `low` and `high` are None where
    more than a fortieth of the draws cross nowhere on that side.
    """

    at: float | None
    low: float | None
    high: float | None
    side: str | None
    rising: bool | None


def crossover(
    log_ratios: Mapping[float, Sequence[float]], generator: np.random.Generator, level: float = 0.0
) -> Crossover:
    """The crossover of a line: its log-ratios, one a round, by number of connections.

    Raises ValueError with fewer than two numbers of connections.
    """
    counts = sorted(log_ratios)
    if len(counts) < 2:
        raise ValueError("a crossover needs two numbers of connections")
    xs = [math.log(count) for count in counts]
    samples = [np.asarray(log_ratios[count], dtype=float) for count in counts]
    fit, rising = _better_fit([float(s.mean()) for s in samples], _weights(samples))
    at = _crossing(xs, fit, level)
    if at is None:
        return Crossover(None, None, None, "above" if fit[0] > level else "below", None)
    drawn = []
    for _ in range(RESAMPLES):
        again = [generator.choice(s, len(s)) for s in samples]
        means = [float(s.mean()) for s in again]
        drawn.append(_crossing(xs, _monotone(means, _weights(samples), rising=rising), level))
    low, high = _interval(drawn)
    return Crossover(_exp(at), _exp(low), _exp(high), None, rising)


def _weights(samples: Sequence[np.ndarray]) -> list[float]:
    """One over the squared standard error of each mean."""
    sds = [max(float(s.std(ddof=1)) if len(s) > 1 else 0.05, LEAST_SD) for s in samples]
    return [len(s) / sd**2 for s, sd in zip(samples, sds, strict=True)]


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


def _crossing(xs: Sequence[float], ys: Sequence[float], level: float) -> float | None:
    """Where the line through the points crosses the level; None where it does not."""
    pairs = list(zip(xs, ys, strict=True))
    for (x0, y0), (x1, y1) in itertools.pairwise(pairs):
        if (y0 - level) * (y1 - level) < 0:
            return x0 + (x1 - x0) * (level - y0) / (y1 - y0)
        if y0 == level != y1:
            return x0
    return None


def _interval(drawn: Sequence[float | None]) -> tuple[float | None, float | None]:
    """The middle 95% of the draws; an end is open where too many of them cross nowhere."""
    crossing = sorted(each for each in drawn if each is not None)
    if len(crossing) < 0.975 * len(drawn):
        return None, None
    ends = np.quantile(crossing, [0.025, 0.975])
    return float(ends[0]), float(ends[1])


def _exp(value: float | None) -> float | None:
    return None if value is None else math.exp(value)
