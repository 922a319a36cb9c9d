"""The highest open-loop rate that meets an SLO: a search over short trials. Pure.

Trials at one rate differ, so the place where they begin to fail is itself uncertain. It is found
once in a wide bracket, and then several times more in a narrow one, from scratch each time; the
spread of these gives the interval (Student-t on their logarithms).
"""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from scipy.stats import t as student_t

WIDE_STEP = 1.5
NARROW_STEP = 1.15
FIRST_PRECISION = 1.08
PRECISION = 1.03
LOWEST_RPS = 0.5
HIGHEST_RPS = 500_000.0
GENERATOR_TRIES = 3
CONFIDENCE = 0.95


class Outcome(Enum):
    """How a trial at a rate ended."""

    MET = "met"
    FAILED = "failed"
    GENERATOR = "the generator could not"


@dataclass(frozen=True)
class Capacity:
    """The highest rate in requests per second, with its interval where there are several estimates.

    `limited_by` is `server`, or `generator` where more could not be offered: then the rate is a
    lower bound. `rate_rps` is None where not even the lowest rate meets the SLO.
    """

    rate_rps: float | None
    low_rps: float | None
    high_rps: float | None
    limited_by: str
    estimates_rps: tuple[float, ...] = ()


class GeneratorLimitError(Exception):
    """The generator could not offer a rate; `met_rps` is the highest that it could and that met."""

    def __init__(self, met_rps: float | None) -> None:
        super().__init__()
        self.met_rps = met_rps


Trial = Callable[[float], Outcome]


def search(trial: Trial, start_rps: float, repeats: int) -> Capacity:
    """Find it, beginning at `start_rps`; `trial` measures one rate."""
    met_rps: list[float] = []

    def asked(rate_rps: float) -> bool:
        for _ in range(GENERATOR_TRIES):
            outcome = trial(rate_rps)
            if outcome is not Outcome.GENERATOR:
                if outcome is Outcome.MET:
                    met_rps.append(rate_rps)
                return outcome is Outcome.MET
        raise GeneratorLimitError(max(met_rps, default=None))

    try:
        bracket = _bracket(asked, start_rps, WIDE_STEP)
        if bracket is None:
            return Capacity(None, None, None, "server")
        first = _narrowed(asked, *bracket, FIRST_PRECISION)
        estimates = []
        for _ in range(repeats):
            again = _bracket(asked, first / math.sqrt(NARROW_STEP), NARROW_STEP)
            if again is not None:
                estimates.append(_narrowed(asked, *again, PRECISION))
    except GeneratorLimitError as limit:
        return Capacity(limit.met_rps, limit.met_rps, None, "generator")
    return _estimated(estimates or [first])


def _bracket(
    asked: Callable[[float], bool], start_rps: float, step: float
) -> tuple[float, float] | None:
    """A rate that meets and the next higher, a step away, that does not; None below the lowest."""
    rate_rps = start_rps
    if asked(rate_rps):
        while rate_rps * step <= HIGHEST_RPS:
            if not asked(rate_rps * step):
                return rate_rps, rate_rps * step
            rate_rps *= step
        return rate_rps, rate_rps
    while rate_rps / step >= LOWEST_RPS:
        rate_rps /= step
        if asked(rate_rps):
            return rate_rps, rate_rps * step
    return None


def _narrowed(asked: Callable[[float], bool], low: float, high: float, precision: float) -> float:
    """The middle of the bracket, once its ends are no further apart than `precision`."""
    while high / low > precision:
        middle = math.sqrt(low * high)
        if asked(middle):
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def _estimated(estimates_rps: list[float]) -> Capacity:
    logs = [math.log(rate) for rate in estimates_rps]
    mean = statistics.fmean(logs)
    if len(logs) < 2:
        return Capacity(math.exp(mean), None, None, "server", tuple(estimates_rps))
    # An estimate is the middle of a bracket: no interval is narrower than that.
    half = student_t.ppf(0.5 + CONFIDENCE / 2, len(logs) - 1) * statistics.stdev(logs)
    half = max(half / math.sqrt(len(logs)), math.log(PRECISION) / 2)
    return Capacity(
        math.exp(mean), math.exp(mean - half), math.exp(mean + half), "server", tuple(estimates_rps)
    )
