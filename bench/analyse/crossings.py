"""The crossovers of a run: for each declared pair and each work, where one side begins to win.

All slices of the pair count, those at numbers of connections that were added while measuring as
well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.analyse.crossover import Crossover, crossover
from bench.analyse.rounds import paired_rounds
from bench.analyse.verdicts import cells_of, declared_pairs, in_reading_order
from bench.store import POINT_KEYS, Run

LEAST_ROUNDS = 2
METRIC = "throughput"


@dataclass(frozen=True)
class Crossing:
    """A pair at a work and in a setting of the server, and where its throughputs cross.

    `connections` are those that were measured.
    """

    a: str
    b: str
    point: Mapping[str, Any]
    connections: tuple[int, ...]
    found: Crossover


def crossings_of(run: Run) -> list[Crossing]:
    """One for each declared pair, work and setting with two numbers of connections or more."""
    cells = cells_of(run.trials)
    found = []
    for a, b, connection in declared_pairs(run):
        lines: dict[tuple[Any, ...], dict[float, list[float]]] = defaultdict(dict)
        keys = [key for target, key in cells if target == a and (b, key) in cells]
        for key in keys:
            point = dict(zip(POINT_KEYS, key, strict=True))
            if point["connection"] != connection:
                continue
            rounds = list(paired_rounds(cells[a, key], cells[b, key], METRIC, a, b))
            logs = [each.log_ratio for each in rounds if each.log_ratio is not None]
            bounded = any(each.a_at_least or each.b_at_least for each in rounds)
            if len(logs) >= LEAST_ROUNDS and 2 * len(logs) >= len(rounds) and not bounded:
                line = tuple(value for name, value in point.items() if name != "connections")
                lines[line][point["connections"]] = logs
        names = [name for name in POINT_KEYS if name != "connections"]
        for line, log_ratios in lines.items():
            if len(log_ratios) > 1:
                at = crossover(log_ratios, np.random.default_rng(1))
                counts = tuple(sorted(int(count) for count in log_ratios))
                found.append(Crossing(a, b, dict(zip(names, line, strict=True)), counts, at))
    return sorted(found, key=lambda c: in_reading_order({**c.point, "connections": 0}))


def as_verdict(crossing: Crossing) -> dict[str, Any]:
    """Its entry in verdicts.json."""
    return {
        "a": crossing.a,
        "b": crossing.b,
        **crossing.point,
        "connections_measured": list(crossing.connections),
        **asdict(crossing.found),
    }
