"""The claims of the introduction as contrasts of ratios, each with an interval. Pure arithmetic.

A claim about many tasks, much I/O or independence is one of two things: how far async is ahead
where the condition holds, and how much further it is ahead there than where it does not. Each is a
mean of log-ratios over rounds; what is judged of one claim together is as sure as one interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.analyse.rounds import Round
from bench.analyse.stats import Interval, mean_interval

OUTCOMES = ("confirmed", "refuted", "undecided")
MIXED = "mixed"


@dataclass(frozen=True)
class Contrast:
    """What is claimed of one figure: that async / sync, or how it grows, is above 1.

    `low` and `high` are None where that end is not known.
    """

    name: str
    ratio: float
    low: float | None
    high: float | None
    rounds: int


def lead(name: str, rounds: Sequence[Round], confidence: float) -> Contrast | None:
    """By how much async is ahead at one point; None where the rounds do not say.

    The rounds are those of async / sync. Where under half of them count, none do.
    """
    return _contrast(name, [(each, None) for each in rounds], confidence)


def growth(
    name: str, many: Sequence[Round], few: Sequence[Round], confidence: float
) -> Contrast | None:
    """How many times as far ahead async is at one point as at another, round by round."""
    of_few = {each.number: each for each in few}
    pairs = [(each, of_few[each.number]) for each in many if each.number in of_few]
    return _contrast(name, pairs, confidence)


def more(contrasts: Sequence[Contrast | None], margin: float) -> str:
    """What contrasts say together of "async wins, and wins more": all have to be above 1.

    Refuted: one is at most within the margin. Confirmed: each surely is above 1, and may be above
    the margin. Else undecided.
    """
    known = [each for each in contrasts if each is not None]
    if any(each.high is not None and each.high <= 1 + margin for each in known):
        return "refuted"
    sure = all(each.low is not None and each.low > 1 for each in known)
    return "confirmed" if known and len(known) == len(contrasts) and sure else "undecided"


def not_more(low: float | None, high: float | None, margin: float) -> str:
    """What an interval of async / sync throughput says of "as long as sync, or longer".

    Confirmed: async is faster by no more than the margin, if at all. Refuted: it is faster, and
    more than the margin is possible. Else undecided.
    """
    if high is not None and high <= 1 + margin:
        return "confirmed"
    return "refuted" if low is not None and low > 1 else "undecided"


def overall(outcomes: Sequence[str]) -> str:
    """What several cases of a claim come to: the outcome of all of them, or mixed."""
    kinds = set(outcomes)
    return kinds.pop() if len(kinds) == 1 else MIXED


def most(contrasts: Sequence[Contrast]) -> tuple[float | None, float | None]:
    """The interval of the largest of several ratios, from intervals that hold together.

    It is at least the largest low end. It is at most the largest high end, if all are known.
    """
    lows = [each.low for each in contrasts if each.low is not None]
    highs = [each.high for each in contrasts if each.high is not None]
    all_known = bool(highs) and len(highs) == len(contrasts)
    return max(lows, default=None), max(highs) if all_known else None


def together(confidence: float, number: int) -> float:
    """How sure each of several intervals has to be so that all of them are (Bonferroni)."""
    return 1 - (1 - confidence) / max(number, 1)


def waiting_share(asked: Mapping[str, float]) -> float:
    """The share of the time that a request asks for in which it waits."""
    total = math.fsum(asked.values())
    computing = math.fsum(asked.get(step, 0.0) for step in ("spin", "hash"))
    return (total - computing) / total if total else 0.0


def _contrast(
    name: str, pairs: Sequence[tuple[Round, Round | None]], confidence: float
) -> Contrast | None:
    logs = [
        many.log_ratio - (few.log_ratio or 0.0 if few else 0.0)
        for many, few in pairs
        if many.log_ratio is not None and (few is None or few.log_ratio is not None)
    ]
    if len(logs) < 2 or 2 * len(logs) < len(pairs):
        return None
    found: Interval = mean_interval(logs, confidence).exp()
    no_low = any(many.b_at_least or (few and few.a_at_least) for many, few in pairs)
    no_high = any(many.a_at_least or (few and few.b_at_least) for many, few in pairs)
    if no_low and no_high:
        return None
    return Contrast(
        name,
        found.estimate,
        None if no_low else found.low,
        None if no_high else found.high,
        found.n,
    )
