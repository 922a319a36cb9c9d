"""How often would a gate of equal sides be red? From recorded gates, by resampling. Pure.

Under equality base and head can change places in any process pair without changing anything, so
every pair may have its signs flipped. Whole pairs are drawn with replacement, all their metrics
together, and a gate is held on them as in earnest: it extends until it is precise enough.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from bench.gate.decide import Sample, decide, is_precise
from bench.gate.pairs import LEAST_PAIRS
from bench.gate.rule import Rule

CONFIDENCE = 0.95
Pair = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Rate:
    """So many of so many."""

    events: int
    of: int

    @property
    def upper(self) -> float:
        """The rate that is not exceeded, with 95% confidence (Clopper and Pearson, one-sided)."""
        if self.events >= self.of:
            return 1.0
        return float(stats.beta.ppf(CONFIDENCE, self.events + 1, self.of - self.events))

    @property
    def lower(self) -> float:
        """The rate that is exceeded, with 95% confidence."""
        if not self.events:
            return 0.0
        return float(stats.beta.ppf(1 - CONFIDENCE, self.events, self.of - self.events + 1))

    def __str__(self) -> str:
        if not self.of:
            return "0 of 0"
        return f"{self.events} of {self.of} (at most {self.upper:.1%}, 95% confidence)"


def pairs_of(gates: Sequence[Mapping[str, Any]]) -> list[Pair]:
    """Every recorded process pair: the log-ratios of its metrics, by workload and metric."""
    pairs: list[Pair] = []
    for gate in gates:
        columns = {
            (workload, metric): ratios
            for workload, metrics in gate.get("pair_ratios", {}).items()
            for metric, ratios in metrics.items()
        }
        for number in range(max(map(len, columns.values()), default=0)):
            known = {
                key: math.log(ratios[number])
                for key, ratios in columns.items()
                if number < len(ratios) and ratios[number] is not None
            }
            if known:
                pairs.append(known)
    return pairs


def resampled(
    pairs: Sequence[Pair], times: int, most: int, rule: Rule, dice: random.Random
) -> dict[str, Rate]:
    """The outcomes of so many resampled gates, each of at most `most` pairs."""
    counts = {"regression": 0, "pass": 0, "inconclusive": 0}
    keys = sorted({key for pair in pairs for key in pair})
    for _ in range(times):
        counts[_outcome(pairs, keys, most, rule, dice)] += 1
    return {outcome: Rate(count, times) for outcome, count in counts.items()}


def _outcome(
    pairs: Sequence[Pair],
    keys: Sequence[tuple[str, str]],
    most: int,
    rule: Rule,
    dice: random.Random,
) -> str:
    drawn: list[tuple[int, Pair]] = []
    while True:
        drawn.append((dice.choice((-1, 1)), dice.choice(pairs)))
        if len(drawn) < LEAST_PAIRS:
            continue
        samples = [
            Sample(
                workload,
                metric,
                tuple(
                    sign * pair[workload, metric]
                    for sign, pair in drawn
                    if (workload, metric) in pair
                ),
                len(drawn),
            )
            for workload, metric in keys
        ]
        if len(drawn) >= most or all(is_precise(each, rule, len(keys)) for each in samples):
            return decide(samples, rule).outcome
