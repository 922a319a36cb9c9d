"""Is head slower than base? The decision on measured process pairs.

Pure: numbers in, a decision out; no clock, no files, no processes. Must not know how the slices
were measured. The sample is the process pair, one mean log-ratio of head and base each; slices
within a pair share its processes and count once.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.analyse.stats import Interval, mean_interval
from bench.errors import UserError

Outcome = Literal["pass", "regression", "inconclusive"]
EXIT_CODES: Mapping[Outcome, int] = {"pass": 0, "regression": 1, "inconclusive": 3}
# The sign that makes a higher log-ratio mean slower.
SLOWER_SIGN: Mapping[str, int] = {"throughput": -1, "p99": 1}


@dataclass(frozen=True)
class Rule:
    """What is promised: false alarms of at most 1 - `confidence`, for slowdowns beyond `margin`.

    The confidence is one-sided and holds for all metrics together (Bonferroni). With fewer than
    `valid_share` of the couples of slices valid, nothing is concluded. Raises UserError for values
    that make no rule.
    """

    margin: float = 0.05
    confidence: float = 0.99
    metrics: tuple[str, ...] = tuple(SLOWER_SIGN)
    valid_share: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a rule that decides nothing or everything."""
        if not 0 < self.margin < 1:
            raise UserError(f"margin {self.margin:g}: give a share above 0, below 1: 0.05 for 5%")
        if not 0.5 < self.confidence < 1:
            raise UserError(f"confidence {self.confidence:g}: give it between 0.5 and 1, as 0.99")
        if not self.metrics or not set(self.metrics) <= set(SLOWER_SIGN):
            asked, known = ", ".join(self.metrics), ", ".join(SLOWER_SIGN)
            raise UserError(f"metrics {asked!r}: choose from {known}")


@dataclass(frozen=True)
class Slice:
    """One slice of one side; a metric is None where it was not measured (or is only a bound)."""

    throughput_rps: float | None
    p99_ms: float | None
    requests: int
    errors: int
    valid: bool = True
    invalid_reasons: tuple[str, ...] = ()

    def metric(self, name: str) -> float | None:
        """Return a metric if it is a positive number that can be compared."""
        value = {"throughput": self.throughput_rps, "p99": self.p99_ms}[name]
        return value if self.valid and value and math.isfinite(value) and value > 0 else None


@dataclass(frozen=True)
class Couple:
    """Two slices next to each other in time."""

    base: Slice
    head: Slice


Pair = Sequence[Couple]


@dataclass(frozen=True)
class Finding:
    """What one metric says: head / base with its interval, and what follows from it."""

    metric: str
    outcome: Outcome
    ratio: float | None
    low: float | None
    high: float | None
    pairs: int
    reason: str


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


def decide(pairs: Sequence[Pair], rule: Rule | None = None) -> Decision:
    """Decide on all process pairs.

    Raises UserError when nothing was measured or base itself fails requests. Head failing where
    base does not is a regression whatever its speed. Otherwise: regression if any metric shows one,
    pass if every metric excludes one, else inconclusive.
    """
    rule = rule or Rule()
    couples = [couple for pair in pairs for couple in pair]
    require_base(couples)
    findings = tuple(_find(metric, pairs, rule) for metric in rule.metrics)
    failures = describe_failures("head", [couple.head for couple in couples])
    if failures:
        return Decision("regression", (f"{failures}, base did not",), findings)
    valid = sum(couple.base.valid and couple.head.valid for couple in couples)
    if valid < rule.valid_share * len(couples):
        reason = f"only {valid} of {len(couples)} couples of slices are valid"
        return Decision("inconclusive", (reason, *_why_invalid(couples)), findings)
    return _combine(findings)


def require_base(couples: Sequence[Couple]) -> None:
    """Raise UserError when base itself fails requests, or when nothing was measured of it."""
    failures = describe_failures("base", [couple.base for couple in couples])
    if failures:
        raise UserError(f"{failures}; make base answer correctly first, else nothing compares")


def describe_failures(side: str, slices: Sequence[Slice]) -> str | None:
    """Say how a side failed: requests answered wrongly, or slices without any answer.

    Raises UserError when not one of its slices measured anything.
    """
    silent = [each for each in slices if not each.throughput_rps]
    failed = sum(each.errors for each in slices)
    if len(silent) == len(slices) and not failed:
        raise UserError(f"nothing was measured of {side}{_because(silent)}")
    if failed:
        return f"{side} failed {failed} of {sum(each.requests for each in slices)} requests"
    if silent:
        return f"{side} answered nothing in {len(silent)} of {len(slices)} slices{_because(silent)}"
    return None


def slice_of_trial(trial: Mapping[str, Any]) -> Slice:
    """Take from one line of trials.jsonl what the decision needs.

    A p99 that is only a lower bound is left out: a ratio of bounds says nothing.
    """
    latencies = trial.get("response_time_ms") or {}
    return Slice(
        throughput_rps=trial.get("throughput_rps"),
        p99_ms=None if trial.get("latency_at_least") else latencies.get("p99"),
        requests=trial.get("requests") or 0,
        errors=sum((trial.get("errors") or {}).values()),
        valid=bool(trial.get("valid")),
        invalid_reasons=tuple(trial.get("invalid_reasons") or ()),
    )


def log_ratio(pair: Pair, metric: str) -> float | None:
    """Return the pair's mean of log(head / base) over its couples; None without a usable one."""
    values = [(couple.base.metric(metric), couple.head.metric(metric)) for couple in pair]
    ratios = [math.log(head / base) for base, head in values if base and head]
    return sum(ratios) / len(ratios) if ratios else None


def _find(metric: str, pairs: Sequence[Pair], rule: Rule) -> Finding:
    measured = (log_ratio(pair, metric) for pair in pairs)
    ratios = [ratio for ratio in measured if ratio is not None]
    if len(ratios) < 2:
        reason = f"{metric}: measured in {len(ratios)} process pairs, at least 2 are needed"
        return Finding(metric, "inconclusive", None, None, None, len(ratios), reason)
    # Two one-sided bounds at this level are one two-sided interval at twice its error.
    error = (1 - rule.confidence) / len(rule.metrics)
    interval = mean_interval(ratios, 1 - 2 * error)
    outcome = _judge(interval, SLOWER_SIGN[metric], math.log1p(rule.margin))
    ratio = interval.exp()
    reason = (
        f"{metric}: head / base {ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] over "
        f"{ratio.n} process pairs, {_meaning(outcome, rule.margin)}"
    )
    return Finding(metric, outcome, ratio.estimate, ratio.low, ratio.high, ratio.n, reason)


def _judge(interval: Interval, sign: int, margin: float) -> Outcome:
    least, most = sorted((sign * interval.low, sign * interval.high))
    if least > margin:
        return "regression"
    return "pass" if most < margin else "inconclusive"


def _meaning(outcome: Outcome, margin: float) -> str:
    return {
        "regression": f"slower by more than {margin:.0%}",
        "pass": f"not slower by more than {margin:.0%}",
        "inconclusive": f"a slowdown of {margin:.0%} is neither shown nor excluded",
    }[outcome]


def _combine(findings: Sequence[Finding]) -> Decision:
    outcomes = {finding.outcome for finding in findings}
    outcome: Outcome = "pass" if outcomes == {"pass"} else "inconclusive"
    if "regression" in outcomes:
        outcome = "regression"
    reasons = tuple(finding.reason for finding in findings if finding.outcome == outcome)
    return Decision(outcome, reasons, tuple(findings))


def _why_invalid(couples: Sequence[Couple]) -> tuple[str, ...]:
    sides = [side for couple in couples for side in (couple.base, couple.head)]
    return tuple(dict.fromkeys(reason for side in sides for reason in side.invalid_reasons))


def _because(slices: Sequence[Slice]) -> str:
    """The first reason given, as words to append."""
    return next((f" ({each.invalid_reasons[0]})" for each in slices if each.invalid_reasons), "")
