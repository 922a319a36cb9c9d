"""Verdicts on the declared pairs of a run, one comparison per point, pair and metric.

Each round gives one log-ratio, from the two slices of that round at that point: neighbours in
time, in fresh processes. This module says who is better and how sure that is; it must not choose
pairs after the fact, pool slices of different rounds, or know how a verdict is shown.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.analyse.finding import Finding, find
from bench.analyse.rounds import Trial, paired_rounds
from bench.analyse.stats import discoveries
from bench.analyse.works import is_plain
from bench.store import POINT_KEYS, SCHEMA, Run, reading_order

METRICS = ("throughput", "p99")
VERDICTS = ("A", "B", "equal", "undecided", "invalid")
# Of the differences that a run's maps colour, so many are false on average.
FALSE_DISCOVERIES = 0.05


@dataclass(frozen=True)
class Comparison:
    """A point, a declared pair and a metric, with what the rounds say about `ratio` = a / b.

    For throughput a ratio above 1 means that a is better, for p99 a ratio below 1; verdict "A"
    always means that a is better. `rounds` are those that count. `low` and `high` are None where
    that end is not known, `ratio` is None where nothing is. `at_least`: some p99 was only a lower
    bound. `p` is that of a ratio of 1. `on_map`: the difference also stands among all comparisons
    of its metric in the run, at a false-discovery rate of 5%; None in the files of older versions.
    """

    work: str
    delay_s: float
    connection: str
    connections: int
    workers: int | None
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
    p: float | None = None
    on_map: bool | None = None

    @property
    def pair(self) -> tuple[str, str, str]:
        """What a map is drawn of: both targets and the connection mode."""
        return self.a, self.b, self.connection


def judge(run: Run) -> dict[str, Any]:
    """All that verdicts.json holds: the comparisons and their counts by pair and metric."""
    compared = comparisons(run)
    return {
        "schema": SCHEMA,
        "run": run.name,
        "confidence": confidence(run),
        "margin": margin(run),
        "false_discoveries": FALSE_DISCOVERIES,
        "comparisons": [asdict(comparison) for comparison in compared],
        "summary": summary(run, compared),
    }


def read_comparisons(verdicts: Mapping[str, Any]) -> list[Comparison]:
    """The comparisons in the content of a verdicts.json."""
    return [Comparison(**fields) for fields in verdicts["comparisons"]]


def comparisons(run: Run) -> list[Comparison]:
    """Every declared comparison that has a slice, by pair, metric, delay and connections."""
    cells = cells_of(run.trials)
    families = {target["name"]: target.get("family") for target in run.info["targets"]}
    fixed = _fixed_paths(run)
    found = []
    for a, b, connection in declared_pairs(run):
        grids = [grid for grid in _grids_of(run, a, b) if grid["connection"] == connection]
        points = [p for p in _points(cells, a, b) if any(_has_point(grid, p) for grid in grids)]
        for metric in METRICS:
            for point in points:
                key = tuple(point.values())
                rounds = list(paired_rounds(cells[a, key], cells[b, key], metric, a, b))
                finding = find(rounds, metric, a, b, confidence(run), margin(run))
                if why := _not_the_same_work(point, [fixed[t] for t in (a, b) if t in fixed]):
                    finding = Finding(finding.rounds, None, "invalid", why)
                found.append(_comparison(point, a, b, metric, finding, families))
    return _with_map(found)


def _with_map(compared: Sequence[Comparison]) -> list[Comparison]:
    """Say of each which differences a map may colour: one error rate for all of a metric."""
    stands: set[int] = set()
    for metric in METRICS:
        tested = [i for i, c in enumerate(compared) if c.metric == metric and c.p is not None]
        found = discoveries([compared[i].p or 0.0 for i in tested], FALSE_DISCOVERIES)
        stands |= {i for i, real in zip(tested, found, strict=True) if real}
    return [
        replace(c, on_map=i in stands and c.verdict in ("A", "B")) for i, c in enumerate(compared)
    ]


def _fixed_paths(run: Run) -> dict[str, str]:
    """What each target is asked for that is asked the same at all points."""
    paths = {target["name"]: target.get("path") or "{work}" for target in run.info["targets"]}
    return {name: path for name, path in paths.items() if "{" not in path}


def _not_the_same_work(point: Mapping[str, Any], paths: Sequence[str]) -> str | None:
    """Why two targets cannot be compared at a point: one may wait for nothing where one waits."""
    if not paths or not point["delay_s"]:
        return None
    return f"one of them is asked for {paths[0]} whatever the delay, so its wait is not known"


def declared_pairs(run: Run) -> dict[tuple[str, str, str], int]:
    """(a, b, connection mode) of each pair declared before measuring, and how many points."""
    declared: Counter[tuple[str, str, str]] = Counter()
    for grid in run.config.get("grids", ()):
        for a, b in grid.get("pairs", ()):
            declared[a, b, grid["connection"]] += _points_of(grid)
    return dict(declared)


def _grids_of(run: Run, a: str, b: str) -> list[Mapping[str, Any]]:
    """The grids that declare a pair."""
    return [g for g in run.config.get("grids", ()) if [a, b] in list(map(list, g.get("pairs", ())))]


def _has_point(grid: Mapping[str, Any], point: Mapping[str, Any]) -> bool:
    """Whether a point is one of a grid: another grid may have the same targets in other settings.

    An axis that a grid does not name may have any value.
    """
    works, delays_s = grid.get("works"), grid.get("delays_s")
    is_work = point["work"] in works if works else not delays_s or point["delay_s"] in delays_s
    axes = (name for name in ("workers", "units", "server_cores") if grid.get(name))
    in_axes = all(point[name] in grid[name] for name in axes)
    same_mode = point["connection"] == grid["connection"]
    return bool(same_mode and is_work and point["connections"] in grid["connections"] and in_axes)


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


def _points_of(grid: Mapping[str, Any]) -> int:
    """How many points a grid has: the product of its axes; one that is not there has one value."""
    works = grid.get("works") or grid.get("delays_s") or ()
    axes = (grid.get(name) or (None,) for name in ("workers", "units", "server_cores"))
    return len(works) * len(grid["connections"]) * math.prod(map(len, axes))


def cells_of(trials: Sequence[Trial]) -> defaultdict[tuple[str, Any], list[Trial]]:
    """The slices of each cell, by target and the values of its point."""
    cells: defaultdict[tuple[str, Any], list[Trial]] = defaultdict(list)
    for trial in trials:
        cells[trial["target"], tuple(trial[key] for key in POINT_KEYS)].append(trial)
    return cells


def _points(cells: Mapping[tuple[str, Any], list[Trial]], a: str, b: str) -> list[dict[str, Any]]:
    """The points at which either target has a slice, by delay and connections."""
    keys = {key for target, key in cells if target in (a, b)}
    points = [dict(zip(POINT_KEYS, key, strict=True)) for key in keys]
    return sorted(points, key=in_reading_order)


def in_reading_order(point: Mapping[str, Any]) -> tuple[Any, ...]:
    """A sort key for points: by wait, and there plain delays before other works."""
    return point["delay_s"], not is_plain(point["work"]), *reading_order(point)


def _comparison(
    point: Mapping[str, Any],
    a: str,
    b: str,
    metric: str,
    finding: Finding,
    families: Mapping[str, str | None],
) -> Comparison:
    return Comparison(
        **point,
        a=a,
        b=b,
        metric=metric,
        ratio=finding.ratio,
        low=finding.low,
        high=finding.high,
        rounds=finding.rounds,
        verdict=finding.verdict,
        label=_label(finding.verdict, a, b, families),
        reason=finding.reason,
        at_least=finding.at_least,
        p=finding.p,
    )


def _label(verdict: str, a: str, b: str, families: Mapping[str, str | None]) -> str:
    """The winner: its family where the families of the pair differ, else its name."""
    if verdict not in ("A", "B"):
        return verdict
    winner = a if verdict == "A" else b
    differ = families.get(a) and families.get(b) and families[a] != families[b]
    return str(families[winner]) if differ else winner


def confidence(run: Run) -> float:
    """How sure the intervals of a run are to be, as it was configured."""
    return float(run.config.get("confidence", 0.95))


def margin(run: Run) -> float:
    """How far from 1 still counts as equal, as it was configured."""
    return float(run.config.get("margin", 0.05))
