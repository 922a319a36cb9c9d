"""What the rounds of one comparison say together: an interval and a verdict, or why there is none.

It turns rounds into a finding; it must not know what the two sides are, nor where slices come from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.analyse.rounds import Round, why_invalid
from bench.analyse.stats import Interval, decide, mean_interval, p_value


@dataclass(frozen=True)
class Finding:
    """`rounds` that count, the interval of a / b, the verdict, and why it decides nothing.

    `p` is that of Student's test of a ratio of 1, None where there is no interval.
    """

    rounds: int
    interval: Interval | None
    verdict: str
    reason: str | None
    at_least: bool = False
    p: float | None = None

    @property
    def ratio(self) -> float | None:
        """The estimate of a / b; None where nothing is known."""
        return self.interval.estimate if self.interval else None

    @property
    def low(self) -> float | None:
        """The interval's low end; None where it is not known."""
        return self.interval.low or None if self.interval else None

    @property
    def high(self) -> float | None:
        """The interval's high end; None where it is not known."""
        return self.interval.high if self.interval and math.isfinite(self.interval.high) else None


def find(
    rounds: Sequence[Round], metric: str, a: str, b: str, confidence: float, margin: float
) -> Finding:
    """The finding on a / b; invalid where under half of the rounds, or under two, count."""
    logs = [r.log_ratio for r in rounds if r.log_ratio is not None]
    enough = len(logs) >= 2 or len(logs) == len(rounds) == 1
    if not enough or 2 * len(logs) < len(rounds):
        return Finding(len(logs), None, "invalid", why_invalid(rounds))
    bounds = (any(r.a_at_least for r in rounds), any(r.b_at_least for r in rounds))
    interval = _bounded(mean_interval(logs, confidence).exp(), *bounds)
    verdict = decide(interval, margin, lower_is_better=metric != "throughput")
    reason = _why_undecided(interval, bounds, (a, b), metric) if verdict == "undecided" else None
    if all(bounds):
        return Finding(len(logs), None, verdict, reason, at_least=True)
    return Finding(len(logs), interval, verdict, reason, any(bounds), _p(logs, *bounds))


def _p(logs: Sequence[float], a_at_least: bool, b_at_least: bool) -> float | None:
    """The p of the logs; 1 where they differ towards the end that is not known."""
    unknown = a_at_least if math.fsum(logs) < 0 else b_at_least
    return 1.0 if unknown and len(logs) > 1 else p_value(logs)


def _bounded(interval: Interval, a_at_least: bool, b_at_least: bool) -> Interval:
    """Give up the end that a lower bound says nothing about.

    Where a is "at least", a / b is at least what was seen: the low end stands, the high end is
    unknown. Where b is, the other way round. Where both are, nothing is known.
    """
    low = 0.0 if b_at_least else interval.low
    high = math.inf if a_at_least else interval.high
    return Interval(interval.estimate, low, high, interval.n)


def _why_undecided(
    interval: Interval, bounds: tuple[bool, bool], pair: tuple[str, str], metric: str
) -> str:
    if interval.n < 2:
        return "one round gives no interval: two are needed, six or more are better"
    if any(bounds):
        known = " and ".join(name for name, at_least in zip(pair, bounds, strict=True) if at_least)
        what = "throughput" if metric == "throughput" else "latency"
        return f"the {what} of {known} is only known to be at least what was seen"
    return "the interval contains 1 and reaches beyond the margin"
