"""From the measured slices of a gate to what is decided on: log-ratios of pairs, and failures.

Pure. A slice is one line of the gate's slices.jsonl, a mapping; it says its pair, couple, regime,
workload and side. Must not know how it was measured, nor what follows.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from bench.errors import UserError
from bench.gate.decide import Sample

Line = Mapping[str, Any]
METRICS: Mapping[str, str] = {"throughput": "closed", "cpu": "closed", "p50": "open", "p99": "open"}
ARRIVALS_FOR_P99 = 100  # of fewer, it is the slowest reply


def samples_of(lines: Sequence[Line], metrics: Mapping[str, Sequence[str]]) -> list[Sample]:
    """The sample of every metric asked for: `metrics` by the name of the workload."""
    return [
        sample_of(lines, workload, metric)
        for workload, names in metrics.items()
        for metric in names
    ]


def sample_of(lines: Sequence[Line], workload: str, metric: str) -> Sample:
    """What the pairs say of one metric of one workload."""
    pairs = list(_pairs(lines, workload, METRICS[metric]).values())
    couples = [couple for pair in pairs for couple in pair]
    bad = [each for each in couples if _log_ratio(each, metric) is None]
    reasons = [r for couple in bad for side in couple for r in _reasons(side, metric)]
    by_pair = [_misbehaved(pair, metric) for pair in pairs]
    return Sample(
        workload=workload,
        metric=metric,
        ratios=tuple(r for pair in pairs if (r := pair_ratio(pair, metric)) is not None),
        pairs=len(pairs),
        couples=len(couples),
        bad=len(bad),
        generator=sum(any(_is_generators(side) for side in couple) for couple in bad),
        base_bad=sum(base for base, _ in by_pair),
        head_bad=sum(head for _, head in by_pair),
        base_worse=sum(base > head for base, head in by_pair),
        head_worse=sum(head > base for base, head in by_pair),
        why_bad=tuple(dict.fromkeys(reasons)),
    )


def pair_ratios_of(
    lines: Sequence[Line], metrics: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, list[float | None]]]:
    """head / base of every pair in their order, by workload and metric; None where it has none."""
    numbers = range(1 + max((line["pair"] for line in lines), default=-1))

    def ratios(workload: str, metric: str) -> list[float | None]:
        pairs = _pairs(lines, workload, METRICS[metric])
        logs = [pair_ratio(pairs.get(number, ()), metric) for number in numbers]
        return [None if log is None else round(math.exp(log), 6) for log in logs]

    return {
        workload: {metric: ratios(workload, metric) for metric in names}
        for workload, names in metrics.items()
    }


def pair_ratio(pair: Sequence[tuple[Line, Line]], metric: str) -> float | None:
    """The pair's mean of log(head / base) over its couples; None without a usable one."""
    ratios = [ratio for couple in pair if (ratio := _log_ratio(couple, metric)) is not None]
    return sum(ratios) / len(ratios) if ratios else None


def value_of(line: Line, metric: str) -> float | None:
    """A metric if it is a positive number that can be compared, and nothing speaks against it."""
    if _reasons(line, metric):
        return None
    if metric == "throughput":
        value = line.get("throughput_rps")
    elif metric == "cpu":
        value = line.get("server_cpu_us_per_request")
    else:
        value = (line.get("response_time_ms") or {}).get(metric)
    return value if value and math.isfinite(value) and value > 0 else None


def _reasons(line: Line, metric: str) -> list[str]:
    """Why a slice is not compared.

    It is invalid, or the percentile is only a lower bound, or nobody is to blame: see `_excused`.
    """
    if not line["valid"]:
        return list(line["invalid_reasons"])
    if metric in line.get("at_least", ()):
        return [f"{metric} is a lower bound: requests were still waiting"]
    return _excused(line, metric)


def _excused(line: Line, metric: str) -> list[str]:
    """What makes a slice useless for a metric through nobody's fault."""
    if metric == "cpu" and line.get("processes_changed"):
        return ["processes came or went, whose CPU is not known"]
    scheduled = line.get("scheduled")
    if metric == "p99" and scheduled is not None and scheduled < ARRIVALS_FOR_P99:
        return [f"{scheduled} arrivals in a slice, p99 needs {ARRIVALS_FOR_P99}"]
    return []


def failures_of(lines: Iterable[Line]) -> list[str]:
    """How head failed where base did not, one sentence each.

    Raises UserError when base itself fails, or when nothing was measured of either: then nothing
    compares.
    """
    lines = list(lines)
    base, head = ([line for line in lines if line["side"] == side] for side in ("base", "head"))
    if failed := _failure("base", base):
        raise UserError(f"{failed}; make base answer correctly first, else nothing compares")
    failed = _failure("head", head)
    return [f"{failed}, base did not"] if failed else []


def _failure(side: str, lines: Sequence[Line]) -> str | None:
    silent = [line for line in lines if not (line["served"] or _is_generators(line))]
    errors = sum(sum((line.get("errors") or {}).values()) for line in lines)
    requests = sum(line.get("requests") or 0 for line in lines)
    if not any(line["served"] for line in lines) and not errors:
        raise UserError(f"nothing was measured of {side}{_because(lines)}")
    if errors:
        return f"{side} failed {errors} of {max(requests, errors)} requests{_kinds(lines)}"
    if silent:
        return f"{side} answered nothing in {len(silent)} of {len(lines)} slices{_because(silent)}"
    return None


def _kinds(lines: Sequence[Line]) -> str:
    counts: dict[str, int] = {}
    for line in lines:
        for kind, count in (line.get("errors") or {}).items():
            counts[kind] = counts.get(kind, 0) + count
    listed = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f" ({listed})"


def _because(lines: Sequence[Line]) -> str:
    reasons = [reason for line in lines for reason in line["invalid_reasons"]]
    return f" ({reasons[0]})" if reasons else ""


def _pairs(lines: Sequence[Line], workload: str, regime: str) -> dict[int, list[tuple[Line, Line]]]:
    """The couples of each pair, base first; a couple of which one side is missing is left out."""
    mine = [line for line in lines if (line["workload"], line["regime"]) == (workload, regime)]
    mine.sort(key=lambda line: (line["pair"], line["couple"], line["side"]))
    pairs: dict[int, list[tuple[Line, Line]]] = {}
    for (pair, _), couple in groupby(mine, key=lambda line: (line["pair"], line["couple"])):
        sides = list(couple)
        if [side["side"] for side in sides] == ["base", "head"]:
            pairs.setdefault(pair, []).append((sides[0], sides[1]))
    return pairs


def _log_ratio(couple: tuple[Line, Line], metric: str) -> float | None:
    base, head = (value_of(side, metric) for side in couple)
    return math.log(head / base) if base and head else None


def _is_generators(line: Line) -> bool:
    return bool(line.get("generator_at_fault"))


def _misbehaved(pair: Sequence[tuple[Line, Line]], metric: str) -> tuple[int, int]:
    """In how many couples base, and head, could not be measured, by their own conduct."""

    def count(side: int) -> int:
        return sum(
            value_of(couple[side], metric) is None
            and not _is_generators(couple[side])
            and not (couple[side]["valid"] and _excused(couple[side], metric))
            for couple in pair
        )

    return count(0), count(1)
