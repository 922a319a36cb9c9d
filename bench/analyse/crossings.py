"""The crossovers of a run: for each declared pair and each work, where one side begins to win.

Three levels count: a ratio of 1, and the two margins within which a ratio is called equal. All
slices of the pair count, those at numbers of connections that were added while measuring as well.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.analyse.crossover import Crossover, Line, crossover
from bench.analyse.rounds import Trial, paired_rounds
from bench.analyse.verdicts import cells_of, confidence, declared_pairs, in_reading_order, margin
from bench.store import POINT_KEYS, Run

LEAST_ROUNDS = 2
METRIC = "throughput"


@dataclass(frozen=True)
class Crossing:
    """A pair at a work and in a setting of the server, and where its throughputs cross.

    `connections` are those that were measured, `margins` the crossovers of 1 / (1 + margin) and of
    1 + margin, by the ratio.
    """

    a: str
    b: str
    point: Mapping[str, Any]
    connections: tuple[int, ...]
    found: Crossover
    margins: Mapping[float, Crossover] = field(default_factory=dict)


def crossings_of(run: Run) -> list[Crossing]:
    """One for each declared pair, work and setting with two numbers of connections or more."""
    cells = cells_of(run.trials)
    found = []
    for a, b, connection in declared_pairs(run):
        lines: dict[tuple[Any, ...], dict[float, Mapping[int, float]]] = defaultdict(dict)
        keys = [key for target, key in cells if target == a and (b, key) in cells]
        for key in keys:
            point = dict(zip(POINT_KEYS, key, strict=True))
            if point["connection"] != connection:
                continue
            by_round = _log_ratios(cells[a, key], cells[b, key], a, b)
            if len(by_round) >= LEAST_ROUNDS:
                line = tuple(value for name, value in point.items() if name != "connections")
                lines[line][point["connections"]] = by_round
        names = [name for name in POINT_KEYS if name != "connections"]
        for settings, line_of in lines.items():
            if len(line_of) > 1:
                point = dict(zip(names, settings, strict=True))
                found.append(_crossing(run, a, b, point, line_of))
    return sorted(found, key=lambda c: in_reading_order({**c.point, "connections": 0}))


def as_verdict(crossing: Crossing) -> dict[str, Any]:
    """Its entry in verdicts.json: that of 1 in its own fields, all levels in `levels`."""
    levels = {1.0: crossing.found, **crossing.margins}
    return {
        "a": crossing.a,
        "b": crossing.b,
        **crossing.point,
        "connections_measured": list(crossing.connections),
        **asdict(crossing.found),
        "levels": [{"ratio": ratio, **asdict(levels[ratio])} for ratio in sorted(levels)],
    }


def _crossing(run: Run, a: str, b: str, point: Mapping[str, Any], line: Line) -> Crossing:
    sure, near = confidence(run), 1 + margin(run)
    counts = tuple(sorted(int(count) for count in line))
    margins = {ratio: crossover(line, math.log(ratio), sure) for ratio in (1 / near, near)}
    return Crossing(a, b, point, counts, crossover(line, 0.0, sure), margins)


def _log_ratios(
    a_slices: list[Trial], b_slices: list[Trial], a: str, b: str
) -> Mapping[int, float]:
    """ln(a / b) by round; nothing where few rounds count, or where some are only bounds."""
    rounds = list(paired_rounds(a_slices, b_slices, METRIC, a, b))
    known = {each.number: each.log_ratio for each in rounds}
    logs = {n: log for n, log in known.items() if n is not None and log is not None}
    bounded = any(each.a_at_least or each.b_at_least for each in rounds)
    return {} if bounded or 2 * len(logs) < len(rounds) else logs
