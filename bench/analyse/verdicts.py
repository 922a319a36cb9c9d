"""Verdicts on the declared pairs of a run, one comparison per point, pair and metric.

Each round gives one log-ratio, from the two slices of that round at that point: neighbours in
time, in fresh processes. This module says who is better and how sure that is; it must not choose
pairs after the fact, pool slices of different rounds, or know how a verdict is shown.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.analyse.rounds import Round, Trial, paired_rounds, why_invalid
from bench.analyse.stats import Interval, decide, mean_interval
from bench.store import POINT_KEYS, SCHEMA, Run, reading_order

METRICS = ("throughput", "p99")
VERDICTS = ("A", "B", "equal", "undecided", "invalid")


@dataclass(frozen=True)
class Comparison:
    """A point, a declared pair and a metric, with what the rounds say about `ratio` = a / b.

    For throughput a ratio above 1 means that a is better, for p99 a ratio below 1; verdict "A"
    always means that a is better. `rounds` are those that count. `low` and `high` are None where
    that end is not known, `ratio` is None where nothing is. `at_least`: some p99 was only a lower
    bound.
    """

    work: str
    delay_s: float
    connection: str
    connections: int
    workers: int
    units: int | None
    server_cores: int
    a: str
    b: str
    metric: str
    ratio: float | None
    low: float | None
    high: float | None
    rounds: int
    verdict: str
    label: str
    reason: str | None
    at_least: bool

    @property
    def pair(self) -> tuple[str, str, str]:
        """What a map is drawn of: both targets and the connection mode."""
        return self.a, self.b, self.connection


@dataclass(frozen=True)
class _Finding:
    rounds: int
    interval: Interval | None
    verdict: str
    reason: str | None
    at_least: bool = False


def judge(run: Run) -> dict[str, Any]:
    """All that verdicts.json holds: the comparisons and their counts by pair and metric."""
    compared = comparisons(run)
    return {
        "schema": SCHEMA,
        "run": run.name,
        "confidence": _confidence(run),
        "margin": _margin(run),
        "comparisons": [asdict(comparison) for comparison in compared],
        "summary": summary(run, compared),
    }


def read_comparisons(verdicts: Mapping[str, Any]) -> list[Comparison]:
    """The comparisons in the content of a verdicts.json."""
    return [Comparison(**fields) for fields in verdicts["comparisons"]]


def comparisons(run: Run) -> list[Comparison]:
    """Every declared comparison that has a slice, by pair, metric, delay and connections."""
    cells = _cells(run.trials)
    families = {target["name"]: target.get("family") for target in run.info["targets"]}
    found = []
    for a, b, connection in declared_pairs(run):
        points = [point for point in _points(cells, a, b) if point["connection"] == connection]
        for metric in METRICS:
            for point in points:
                key = tuple(point.values())
                rounds = list(paired_rounds(cells[a, key], cells[b, key], metric, a, b))
                finding = _find(rounds, metric, a, b, _confidence(run), _margin(run))
                found.append(_comparison(point, a, b, metric, finding, families))
    return found


def declared_pairs(run: Run) -> dict[tuple[str, str, str], int]:
    """(a, b, connection mode) of each pair declared before measuring, and how many points."""
    declared: Counter[tuple[str, str, str]] = Counter()
    for grid in run.config.get("grids", ()):
        for a, b in grid.get("pairs", ()):
            points = len(grid["delays_s"]) * len(grid["connections"])
            declared[a, b, grid["connection"]] += points
    return dict(declared)


def summary(run: Run, compared: Sequence[Comparison]) -> dict[str, Any]:
    """How many comparisons were decided (A, B or equal), undecided, invalid, never measured.

    `totals` by metric, `pairs` by pair, connection mode and metric.
    """
    pairs = []
    for (a, b, connection), points in declared_pairs(run).items():
        for metric in METRICS:
            about = {"a": a, "b": b, "connection": connection, "metric": metric}
            mine = [c for c in compared if c.pair == (a, b, connection) and c.metric == metric]
            pairs.append({**about, **_count(mine, points)})
    totals = {m: _total([row for row in pairs if row["metric"] == m]) for m in METRICS}
    return {"totals": totals, "pairs": pairs}


def _count(compared: Sequence[Comparison], declared: int) -> dict[str, int]:
    counts = Counter(comparison.verdict for comparison in compared)
    return {
        "comparisons": len(compared),
        "decided": counts["A"] + counts["B"] + counts["equal"],
        **{verdict: counts[verdict] for verdict in VERDICTS},
        "not_measured": max(declared - len(compared), 0),
    }


def _total(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    names = ("comparisons", "decided", "equal", "undecided", "invalid", "not_measured")
    return {name: sum(row[name] for row in rows) for name in names}


def _cells(trials: Sequence[Trial]) -> defaultdict[tuple[str, Any], list[Trial]]:
    cells: defaultdict[tuple[str, Any], list[Trial]] = defaultdict(list)
    for trial in trials:
        cells[trial["target"], tuple(trial[key] for key in POINT_KEYS)].append(trial)
    return cells


def _points(cells: Mapping[tuple[str, Any], list[Trial]], a: str, b: str) -> list[dict[str, Any]]:
    """The points at which either target has a slice, by delay and connections."""
    keys = {key for target, key in cells if target in (a, b)}
    points = [dict(zip(POINT_KEYS, key, strict=True)) for key in keys]
    return sorted(points, key=reading_order)


def _find(
    rounds: Sequence[Round], metric: str, a: str, b: str, confidence: float, margin: float
) -> _Finding:
    logs = [r.log_ratio for r in rounds if r.log_ratio is not None]
    enough = len(logs) >= 2 or len(logs) == len(rounds) == 1
    if not enough or 2 * len(logs) < len(rounds):
        return _Finding(len(logs), None, "invalid", why_invalid(rounds))
    bounds = (any(r.a_at_least for r in rounds), any(r.b_at_least for r in rounds))
    interval = _bounded(mean_interval(logs, confidence).exp(), *bounds)
    verdict = decide(interval, margin, lower_is_better=metric != "throughput")
    reason = _why_undecided(interval, bounds, (a, b)) if verdict == "undecided" else None
    return _Finding(len(logs), None if all(bounds) else interval, verdict, reason, any(bounds))


def _bounded(interval: Interval, a_at_least: bool, b_at_least: bool) -> Interval:
    """Give up the end that a lower bound says nothing about.

    Where a is "at least", a / b is at least what was seen: the low end stands, the high end is
    unknown. Where b is, the other way round. Where both are, nothing is known.
    """
    low = 0.0 if b_at_least else interval.low
    high = math.inf if a_at_least else interval.high
    return Interval(interval.estimate, low, high, interval.n)


def _why_undecided(interval: Interval, bounds: tuple[bool, bool], pair: tuple[str, str]) -> str:
    if interval.n < 2:
        return "one round gives no interval: two are needed, six or more are better"
    if any(bounds):
        known = " and ".join(name for name, at_least in zip(pair, bounds, strict=True) if at_least)
        return f"the latency of {known} is only known to be at least what was seen"
    return "the interval contains 1 and reaches beyond the margin"


def _comparison(
    point: Mapping[str, Any],
    a: str,
    b: str,
    metric: str,
    finding: _Finding,
    families: Mapping[str, str | None],
) -> Comparison:
    interval = finding.interval
    return Comparison(
        **point,
        a=a,
        b=b,
        metric=metric,
        ratio=interval.estimate if interval else None,
        low=interval.low or None if interval else None,
        high=interval.high if interval and math.isfinite(interval.high) else None,
        rounds=finding.rounds,
        verdict=finding.verdict,
        label=_label(finding.verdict, a, b, families),
        reason=finding.reason,
        at_least=finding.at_least,
    )


def _label(verdict: str, a: str, b: str, families: Mapping[str, str | None]) -> str:
    """The winner: its family where the families of the pair differ, else its name."""
    if verdict not in ("A", "B"):
        return verdict
    winner = a if verdict == "A" else b
    differ = families.get(a) and families.get(b) and families[a] != families[b]
    return str(families[winner]) if differ else winner


def _confidence(run: Run) -> float:
    return float(run.config.get("confidence", 0.95))


def _margin(run: Run) -> float:
    return float(run.config.get("margin", 0.05))
