"""Rounds of a comparison: one paired log-ratio each, or the reasons why there is none.

The pairing rule is here: slices are compared with their neighbours of the same round and point
only. It knows the keys of a slice; it must not know intervals or verdicts.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.store import is_lower_bound

Trial = Mapping[str, Any]


@dataclass(frozen=True)
class Round:
    """ln(a / b) of one round, or the reasons why it has none; which side is a lower bound.

    `number` is the round's in its run.
    """

    log_ratio: float | None
    reasons: tuple[str, ...] = ()
    a_at_least: bool = False
    b_at_least: bool = False
    number: int | None = None


@dataclass(frozen=True)
class Joint:
    """One round of several targets: the mean log of each one's metric, or the reasons for none."""

    logs: tuple[float, ...] | None
    reasons: tuple[str, ...]
    at_least: tuple[bool, ...]
    number: int | None = None


def paired_rounds(
    a_slices: Sequence[Trial], b_slices: Sequence[Trial], metric: str, a: str, b: str
) -> Iterator[Round]:
    """The rounds of one point in which targets a and b both have a slice, measured or failed.

    `metric` is throughput or a percentile of the response time, such as p99. A round that an
    interruption cut between the two was no trial of this comparison.
    """
    for joint in joint_rounds((a_slices, b_slices), metric, (a, b), with_bounds=True):
        if joint.logs is None:
            yield Round(None, joint.reasons, number=joint.number)
        else:
            difference, (a_at_least, b_at_least) = joint.logs[0] - joint.logs[1], joint.at_least
            yield Round(difference, (), a_at_least, b_at_least, joint.number)


def joint_rounds(
    slices: Sequence[Sequence[Trial]],
    metric: str,
    names: Sequence[str],
    *,
    with_bounds: bool = False,
) -> Iterator[Joint]:
    """The rounds in which all of the named sides have a slice, measured or failed.

    A throughput of which only a lower bound is known is no figure, unless `with_bounds`: then
    `Joint.at_least` has to be heeded.
    """
    by_round: defaultdict[int, list[list[Trial]]] = defaultdict(lambda: [[] for _ in names])
    for side, trials in enumerate(slices):
        for trial in trials:
            by_round[trial["round"]][side].append(trial)
    for number, sides in by_round.items():
        if all(sides):
            yield replace(_joint(sides, metric, names, with_bounds), number=number)


def _joint(
    sides: Sequence[list[Trial]], metric: str, names: Sequence[str], with_bounds: bool
) -> Joint:
    values = [[value for t in side if (value := _value(t, metric, with_bounds))] for side in sides]
    at_least = tuple(_at_least(side, metric) for side in sides)
    if not all(values):
        named = zip(sides, names, strict=True)
        reasons = (reason for side, name in named for reason in _reasons(side, metric, name))
        return Joint(None, tuple(reasons), at_least)
    logs = tuple(math.fsum(map(math.log, side)) / len(side) for side in values)
    return Joint(logs, (), at_least)


def _value(trial: Trial, metric: str, with_bounds: bool = False) -> float | None:
    """The metric of a slice that counts; None where it is invalid or has none (log needs > 0)."""
    if metric == "throughput" and (trial["valid"] or (with_bounds and is_lower_bound(trial))):
        return trial.get("throughput_rps") or None
    if not trial["valid"]:
        return None
    return (trial.get("response_time_ms") or {}).get(metric) or None


def _at_least(slices: Sequence[Trial], metric: str) -> bool:
    if metric == "throughput":
        return any(map(is_lower_bound, slices))
    return any(t["valid"] and t.get("latency_at_least") for t in slices)


def _reasons(slices: Sequence[Trial], metric: str, target: str) -> list[str]:
    reasons = []
    for trial in slices:
        if not trial["valid"]:
            given = trial.get("invalid_reasons") or ["marked invalid without a reason"]
            reasons += [f"{target}: {brief(r).removeprefix(f'{target}: ')}" for r in given]
        elif _value(trial, metric) is None:
            reasons.append(f"{target}: no {metric} was measured")
    return reasons


def why_invalid(rounds: Sequence[Round]) -> str:
    """The most frequent reason in words; reasons that differ only in numbers count as one."""
    if not rounds:
        return "the two targets were never measured in the same round"
    reasons = [reason for r in rounds for reason in r.reasons]
    kinds = Counter(map(_kind, reasons))
    most = kinds.most_common(1)[0][0]
    example = next(reason for reason in reasons if _kind(reason) == most)
    usable = sum(r.log_ratio is not None for r in rounds)
    return f"{usable} of {len(rounds)} rounds valid; {example}"


def brief(reason: str) -> str:
    """A reason without the last output of the process that it may quote on further lines."""
    return reason.partition("\n")[0].removesuffix("; its last output:")


def alike(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    """Reasons that differ only in numbers as one, by its first example, the most frequent first."""
    kinds: dict[str, tuple[str, int]] = {}
    for reason, count in reasons.items():
        example, known = kinds.get(_kind(reason), (reason, 0))
        kinds[_kind(reason)] = example, known + count
    return sorted(kinds.values(), key=lambda kind: -kind[1])


def _kind(reason: str) -> str:
    return re.sub(r"\d[\d.,]*", "#", reason)
