"""What a gate promises: margins, error rates, and how precise it has to be for them. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from scipy import stats

from bench.errors import UserError

# The slowdown that is promised to be found, as a share; with a wider margin, in proportion to it.
PROMISES: Mapping[str, float] = {
    "throughput": 0.05,
    "cpu": 0.05,
    "p50": 0.05,
    "p99": 0.08,
    "time": 0.10,
}
DEFAULT_MARGIN = 0.02
# Of the rate of false alarms, what goes to the test of who cannot be measured.
CONDUCT_SHARE = 0.1


@dataclass(frozen=True)
class Rule:
    """What is promised, for all metrics together.

    `level`: how often an equal head is called slower at most, over all tests (Bonferroni); a tenth
    of it is for finding that head more often than base cannot be measured.
    `margin`: the estimate of a regression is beyond it; `margins` by metric. `promises`: a slowdown
    that is found with probability `power`, by metric. Extending may end where it would be found
    with `power_wanted`. With fewer than `valid_share` of the couples of slices good, a metric
    decides nothing. Raises UserError for values that make no rule.
    """

    margin: float = DEFAULT_MARGIN
    level: float = 0.01
    margins: Mapping[str, float] = field(default_factory=dict)
    promises: Mapping[str, float] = field(default_factory=dict)
    power: float = 0.90
    power_wanted: float = 0.99
    valid_share: float = 0.25

    def __post_init__(self) -> None:
        """Refuse a rule that decides nothing or everything."""
        for name, share in {"": self.margin, **self.margins}.items():
            if not 0 < share < 1:
                raise UserError(
                    f"margin {name}{' ' if name else ''}{share:g}: give a share above 0, below 1: "
                    "0.02 for 2%"
                )
        if not 0 < self.level < 0.5:
            raise UserError(f"level {self.level:g}: give it above 0 and below 0.5, as 0.01")
        for name, share in self.promises.items():
            if share <= self.margin_of(name):
                raise UserError(
                    f"promise for {name} {share:g}: give more than its margin, "
                    f"{self.margin_of(name):g}"
                )

    def margin_of(self, metric: str) -> float:
        """What the estimate of a regression is beyond, as a share."""
        return self.margins.get(metric, self.margin)

    def promise_of(self, metric: str) -> float:
        """The slowdown that is promised to be found, as a share."""
        wider = max(1.0, self.margin_of(metric) / DEFAULT_MARGIN)
        return self.promises.get(metric, PROMISES[metric] * wider)

    def level_of(self, tests: int) -> float:
        """The level of one of so many tests of what was measured."""
        return (1 - CONDUCT_SHARE) * self.level / tests

    def conduct_level_of(self, tests: int) -> float:
        """The level of one of so many tests of who could be measured at all."""
        return CONDUCT_SHARE * self.level / tests

    def error_limit(self, metric: str, pairs: int, tests: int, power: float | None = None) -> float:
        """The largest standard error with which the promised slowdown is found: effect / (t + t).

        The first t is where the test rejects, the second where `power` (None: the least) lies.
        """
        if pairs < 2:
            return 0.0
        rejects = students_t(1 - self.level_of(tests), pairs - 1)
        finds = students_t(power or self.power, pairs - 1)
        return math.log1p(self.promise_of(metric)) / (rejects + finds)


def students_t(probability: float, freedom: float) -> float:
    """The quantile of Student's t distribution."""
    return float(stats.t.ppf(probability, freedom))
