"""Is head slower than base? The decision on the log-ratios of measured process pairs.

Pure: numbers in, a decision out; no clock, no files, no processes. Must not know how they were
measured. The sample is the process pair, one mean log-ratio of head and base for each metric;
slices within a pair share its processes and count once.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy import stats

from bench.analyse.stats import mean_interval
from bench.errors import UserError
from bench.gate.rule import Rule, students_t

Outcome = Literal["pass", "regression", "inconclusive"]
EXIT_CODES: Mapping[Outcome, int] = {"pass": 0, "regression": 1, "inconclusive": 3}
# The sign that makes a higher log-ratio mean slower.
SLOWER_SIGN: Mapping[str, int] = {"throughput": -1, "cpu": 1, "p50": 1, "p99": 1, "time": 1}
PAIRS_TO_DECIDE = 3
# In so many more pairs head was measured less often than base: then nothing is a pass.
SUSPECT_PAIRS = 3


@dataclass(frozen=True)
class Sample:
    """What the process pairs say of one metric of one workload.

    `ratios`: one mean of log(head / base) for each of the `pairs` that has one, in the order of
    measuring. `couples` of slices were measured, of which `bad` ones are left out, `generator` of
    them because the generator was at fault. In `head_bad` couples head could not be measured by its
    own conduct, in `base_bad` base; `head_worse` pairs have more of head's, `base_worse` of base's.
    `why_bad` are the reasons told.
    """

    workload: str
    metric: str
    ratios: tuple[float, ...]
    couples: int
    pairs: int = 0
    bad: int = 0
    generator: int = 0
    base_bad: int = 0
    head_bad: int = 0
    base_worse: int = 0
    head_worse: int = 0
    why_bad: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What one metric says: head / base with its interval, and what follows from it.

    The interval is two-sided, of `confidence`: either end is where a one-sided test at the level
    ends. `error` is the standard error of the mean log-ratio, `error_limit` the largest one that
    keeps the promise; `p` is of the one-sided test that head is not slower.
    """

    workload: str
    metric: str
    outcome: Outcome
    reason: str
    pairs: int
    margin: float
    promise: float
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    p: float | None = None
    error: float | None = None
    error_limit: float | None = None


@dataclass(frozen=True)
class Decision:
    """The gate's answer with the findings and words that it rests on."""

    outcome: Outcome
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """0 pass, 1 regression, 3 inconclusive."""
        return EXIT_CODES[self.outcome]


def decide(
    samples: Sequence[Sample], rule: Rule | None = None, failures: Sequence[str] = ()
) -> Decision:
    """Decide on all samples; `failures` say where head failed requests that base did not.

    Any failure is a regression, whatever the speed. Otherwise: regression if any metric shows one,
    pass if every metric passes, else inconclusive. Raises UserError when nothing was measured.
    """
    rule = rule or Rule()
    if not failures and not any(sample.couples for sample in samples):
        raise UserError("nothing was measured: no couple of slices, so there is nothing to decide")
    findings = tuple(judge(sample, rule, len(samples)) for sample in samples)
    if failures:
        return Decision("regression", tuple(failures), findings)
    outcomes = {finding.outcome for finding in findings}
    outcome: Outcome = "pass" if outcomes == {"pass"} else "inconclusive"
    if "regression" in outcomes:
        outcome = "regression"
    reasons = tuple(each.reason for each in findings if each.outcome == outcome)
    return Decision(outcome, tuple(dict.fromkeys(reasons)), findings)


def is_precise(sample: Sample, rule: Rule, tests: int) -> bool:
    """Whether more pairs would add little: looks at the standard error, never at the estimate."""
    n = len(sample.ratios)
    if n < 2:
        return False
    return standard_error(sample.ratios) <= rule.error_limit(
        sample.metric, n, tests, rule.power_wanted
    )


def standard_error(ratios: Sequence[float]) -> float:
    """The standard error of a mean, s / sqrt(n), of two values or more."""
    n, mean = len(ratios), sum(ratios) / len(ratios)
    return math.sqrt(sum((ratio - mean) ** 2 for ratio in ratios) / (n - 1) / n)


def judge(sample: Sample, rule: Rule, tests: int) -> Finding:
    """What one metric says, as one of so many `tests` that share the rate of false alarms."""
    level, n = rule.level_of(tests), len(sample.ratios)
    margin, promise = rule.margin_of(sample.metric), rule.promise_of(sample.metric)
    what = f"{sample.metric} of {sample.workload}" if sample.workload else sample.metric

    def found(outcome: Outcome, reason: str, **figures: float | None) -> Finding:
        return Finding(
            sample.workload,
            sample.metric,
            outcome,
            f"{what}: {reason}",
            n,
            margin,
            promise,
            **figures,
        )

    if _conduct_differs(sample, rule.conduct_level_of(tests)):
        return found("regression", f"head cannot be measured where base can{_of_conduct(sample)}")
    if sample.couples and sample.couples - sample.bad < rule.valid_share * sample.couples:
        return found("inconclusive", _too_many_bad(sample))
    if n < PAIRS_TO_DECIDE:
        return found(
            "inconclusive",
            f"measured in {n} process pairs, at least {PAIRS_TO_DECIDE} are needed{_why(sample)}",
        )
    if 2 * n < sample.pairs:
        return found(
            "inconclusive", f"only {n} of {sample.pairs} process pairs were measured{_why(sample)}"
        )
    sign = SLOWER_SIGN[sample.metric]
    interval = mean_interval(sample.ratios, 1 - 2 * level)
    ratio, slowdown = interval.exp(), sign * interval.estimate
    error, limit = standard_error(sample.ratios), rule.error_limit(sample.metric, n, tests)
    p = float(stats.t.sf(slowdown / error, n - 1)) if error else float(slowdown <= 0)
    outcome, meaning = _meaning(slowdown, p, error, limit, n, margin, promise, level, rule)
    if outcome == "pass" and sample.head_worse - sample.base_worse >= SUSPECT_PAIRS:
        outcome, meaning = "inconclusive", f"but head is hard to measure{_of_conduct(sample)}"
    if line := drift(sample.ratios, level):
        shown_line = f"head / base went from {math.exp(line[0]):.3f} to {math.exp(line[1]):.3f}"
        if outcome != "regression" or min(sign * end for end in line) <= math.log1p(margin):
            outcome, meaning = "inconclusive", f"the machine drifted: {shown_line}"
    shown = f"head / base {ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
    return found(
        outcome,
        f"{shown} over {n} process pairs, {meaning}",
        ratio=ratio.estimate,
        low=ratio.low,
        high=ratio.high,
        confidence=1 - 2 * level,
        p=p,
        error=error,
        error_limit=limit,
    )


def _meaning(
    slowdown: float,
    p: float,
    error: float,
    limit: float,
    pairs: int,
    margin: float,
    promise: float,
    level: float,
    rule: Rule,
) -> tuple[Outcome, str]:
    """The three answers. Logs in; a regression is both beyond chance and beyond the margin.

    However noisy, it is a pass where nothing beyond the margin is left: head may be far faster.
    """
    if p <= level and slowdown > math.log1p(margin):
        return "regression", f"slower beyond chance, and the estimate beyond {margin:.1%}"
    worst = slowdown + students_t(1 - rule.level, pairs - 1) * error
    if error > limit and worst >= math.log1p(margin):
        return (
            "inconclusive",
            f"too noisy: standard error {error:.2%}, at most {limit:.2%} finds {promise:.1%}",
        )
    if worst >= math.log1p(promise):
        return "inconclusive", f"{promise:.1%} slower is neither shown nor excluded"
    if p <= level:
        return "pass", f"slower beyond chance, but the estimate within {margin:.1%}"
    return "pass", f"not slower by {promise:.1%}"


def drift(ratios: Sequence[float], level: float) -> tuple[float, float] | None:
    """Where the log-ratios began and ended, if chance draws such a line more rarely than that."""
    n = len(ratios)
    if n < 6 or max(ratios) == min(ratios):
        return None
    line = stats.linregress(range(n), ratios)
    if not line.pvalue < level:
        return None
    return float(line.intercept), float(line.intercept + line.slope * (n - 1))


def _conduct_differs(sample: Sample, level: float) -> bool:
    """A sign test on the pairs in which one side was measured less often than the other.

    Head in no couple and base in all is no chance, over as many pairs as a decision needs at least.
    """
    never = sample.head_bad == sample.couples and not sample.base_bad
    if never and sample.head_worse >= PAIRS_TO_DECIDE:
        return True
    discordant = sample.head_worse + sample.base_worse
    return bool(discordant and stats.binom.sf(sample.head_worse - 1, discordant, 0.5) <= level)


def _of_conduct(sample: Sample) -> str:
    return (
        f": in {sample.head_bad} of {sample.couples} couples of slices head could not be measured, "
        f"in {sample.base_bad} base{_why(sample)}"
    )


def _too_many_bad(sample: Sample) -> str:
    good = sample.couples - sample.bad
    limit = "the generator was the limit: " if 2 * sample.generator > sample.bad else ""
    return f"{limit}only {good} of {sample.couples} couples of slices are good{_why(sample)}"


def _why(sample: Sample) -> str:
    return f" ({sample.why_bad[0]})" if sample.why_bad else ""
