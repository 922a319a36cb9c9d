"""Intervals on log-ratios and the rule that turns one into a verdict.

Pure: numbers in, numbers out. It knows nothing of runs, files, clocks or metrics.

Ratios are treated on a log scale, where 2 times faster and 2 times slower are equally far from
equal. The sample is the round: a fresh process is one draw of layout luck, so slices of one round
are not independent and count once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from scipy import stats

Verdict = Literal["A", "B", "equal", "undecided"]


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval and the number of values that it rests on.

    With fewer than two values the interval is infinitely wide.
    """

    estimate: float
    low: float
    high: float
    n: int

    def exp(self) -> Interval:
        """From the log scale to ratios (or from log throughput to throughput)."""
        return Interval(math.exp(self.estimate), math.exp(self.low), _exp(self.high), self.n)

    def inverse(self) -> Interval:
        """The interval of b / a where this is one of a / b."""
        return Interval(1 / self.estimate, _divide(1, self.high), _divide(1, self.low), self.n)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student-t interval of the mean: mean +- t(n - 1) * s / sqrt(n). ValueError without values."""
    sample = np.asarray(values, dtype=float)
    if not sample.size:
        raise ValueError("an interval needs at least one value")
    mean = float(sample.mean())
    if sample.size < 2:
        return Interval(mean, -math.inf, math.inf, 1)
    error = float(sample.std(ddof=1)) / math.sqrt(sample.size)
    half = quantile_t(confidence, sample.size - 1) * error
    return Interval(mean, mean - half, mean + half, int(sample.size))


def trimmed_interval(values: Sequence[float], cut: int, confidence: float = 0.95) -> Interval:
    """Interval of the mean without the `cut` lowest and as many highest values, which may be inf.

    Tukey and McLaughlin (1963): t with h - 1 degrees of freedom and the winsorised sum of squares
    over h (h - 1), for the h values that are left. ValueError where fewer than two are.
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    left = ordered[cut : ordered.size - cut]
    if left.size < 2:
        raise ValueError("a trimmed interval needs at least two values that are left")
    winsorised = np.clip(ordered, left[0], left[-1])
    squares = float(((winsorised - winsorised.mean()) ** 2).sum())
    mean, h = float(left.mean()), int(left.size)
    half = quantile_t(confidence, h - 1) * math.sqrt(squares / (h * (h - 1)))
    return Interval(mean, mean - half, mean + half, int(ordered.size))


def difference_interval(
    first: Sequence[float], second: Sequence[float], confidence: float = 0.95
) -> Interval:
    """Welch's interval of mean(second) - mean(first) for samples that share nothing.

    Degrees of freedom by Welch and Satterthwaite; `n` is the smaller sample. ValueError if
    either sample is empty.
    """
    if not len(first) or not len(second):
        raise ValueError("a difference needs a value on either side")
    mean, error, freedom, n = _welch(first, second)
    if n < 2:
        return Interval(mean, -math.inf, math.inf, n)
    half = quantile_t(confidence, freedom) * error if error else 0.0
    return Interval(mean, mean - half, mean + half, n)


def difference_p(first: Sequence[float], second: Sequence[float], beyond: float = 0.0) -> float:
    """How likely means at least this far apart are if the truth is no further apart than `beyond`.

    Two-sided and by Welch, like `difference_interval`: with `beyond` 0 the p-value is below 1 -
    confidence where that interval excludes 0, else where it lies past `beyond` (which errs less
    often still). 1 with fewer than two values on a side.
    """
    mean, error, freedom, n = _welch(first, second)
    excess = abs(mean) - beyond
    if n < 2 or excess <= 0:
        return 1.0
    return min(2 * float(stats.t.sf(excess / error, freedom)), 1.0) if error else 0.0


def _welch(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float, int]:
    """(difference, its standard error, degrees of freedom, smaller n); no error below n = 2."""
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    mean, n = float(b.mean() - a.mean()), min(a.size, b.size)
    errors = np.array([a.var(ddof=1) / a.size, b.var(ddof=1) / b.size]) if n > 1 else np.zeros(2)
    variance = float(errors.sum())
    if variance == 0:
        return mean, 0.0, 1.0, n
    freedom = variance**2 / float((errors**2 / np.array([a.size - 1, b.size - 1])).sum())
    return mean, math.sqrt(variance), freedom, n


def quantile_t(confidence: float, freedom: float) -> float:
    """How many standard errors a two-sided Student-t interval reaches to either side."""
    return float(stats.t.ppf(0.5 + confidence / 2, freedom))


def decide(ratio: Interval, margin: float, *, lower_is_better: bool = False) -> Verdict:
    """The verdict on a ratio a / b, in this order: equal, then A or B is better, else undecided.

    *Equal* is the interval inside [1 / (1 + margin), 1 + margin], *A* or *B* the interval that
    excludes 1. Fewer than two rounds decide nothing.
    """
    if ratio.n < 2:
        return "undecided"
    if 1 / (1 + margin) <= ratio.low and ratio.high <= 1 + margin:
        return "equal"
    if ratio.low > 1:
        return "B" if lower_is_better else "A"
    if ratio.high < 1:
        return "A" if lower_is_better else "B"
    return "undecided"


def p_value(values: Sequence[float]) -> float | None:
    """Two-sided p of Student's test that the mean is 0; None with fewer than two values.

    It is below 1 - confidence exactly where `mean_interval` excludes 0.
    """
    sample = np.asarray(values, dtype=float)
    if sample.size < 2:
        return None
    mean, error = float(sample.mean()), float(sample.std(ddof=1)) / math.sqrt(sample.size)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, sample.size - 1))


def trimmed_p(values: Sequence[float], cut: int) -> float:
    """Two-sided p of the test that the trimmed mean is 0: see `trimmed_interval`."""
    interval = trimmed_interval(values, cut)
    freedom = interval.n - 2 * cut - 1
    error = (interval.high - interval.estimate) / quantile_t(0.95, freedom)
    if error == 0:
        return 1.0 if interval.estimate == 0 else 0.0
    return float(2 * stats.t.sf(abs(interval.estimate) / error, freedom))


def discoveries(p_values: Sequence[float], rate: float) -> list[bool]:
    """Which of many tests to believe, so that on average at most `rate` of those are false.

    Benjamini and Hochberg (1995): with the p-values in order, all up to the last k-th one that is
    at most k / m * rate.
    """
    if not len(p_values):
        return []
    return [bool(p <= rate) for p in stats.false_discovery_control(p_values)]


def quantile_interval(
    values: Sequence[float],
    share: float,
    confidence: float = 0.95,
    at_least: Sequence[bool] | None = None,
) -> tuple[float | None, float | None]:
    """Interval of a quantile by order statistics, whatever the distribution; None for an open end.

    How many of n independent values lie below the true quantile is binomial(n, share), so two of
    the values in order hold it between them. The tail on either side is at most half of 1 -
    confidence; where no value is far enough out, that end is open. Values that are only known to
    be `at_least` so large count as they are for the low end, and as unknown for the high end.
    """
    bounds = at_least or [False] * len(values)
    lows = sorted(values)
    highs = sorted(math.inf if bound else v for v, bound in zip(values, bounds, strict=True))
    below, above = _quantile_ranks(len(values), share, (1 - confidence) / 2)
    low = lows[below - 1] if below else None
    high = highs[above - 1] if above else None
    return low, high if high is not None and math.isfinite(high) else None


@cache
def _quantile_ranks(n: int, share: float, tail: float) -> tuple[int | None, int | None]:
    """The places, from 1, of the two values that hold a quantile; None where an end is open.

    The k-th of n lies above the quantile where fewer than k values lie below it.
    """
    fewer = stats.binom.cdf(np.arange(n), n, share)  # than 1, 2, ... n of them
    low = int(np.searchsorted(fewer, tail, side="right"))
    high = int(np.searchsorted(fewer, 1 - tail, side="left")) + 1
    return low or None, high if high <= n else None


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf


def _divide(a: float, b: float) -> float:
    return a / b if b else math.inf
