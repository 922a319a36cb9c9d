"""Simulated lines, as a run measures them: how many rounds each number of connections gets."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.analyse.crossover import Line
from bench.measure.adapt import Effort
from bench.measure.plan import Point
from bench.measure.refine import refinements
from bench.trials.truths import Machine

# Numbers of connections as profiles have them: four to eight.
GRIDS = (
    (1, 16, 128, 512),
    (1, 8, 64, 256, 512),
    (1, 4, 16, 64, 256, 1024),
    (1, 4, 16, 64, 128, 256, 512),
    (1, 2, 8, 32, 64, 128, 256, 512),
)
PAIR = ("a", "b")
PRECISION, CONFIDENCE, ROUNDS_MIN, ROUNDS_MAX = 0.024, 0.95, 3, 40


def even(machine: Machine, grid: Sequence[int], rng: np.random.Generator) -> Line:
    """Every point in every round, 5 to 12 of them."""
    rounds = int(rng.integers(5, 13))
    return {count: _rounds(machine, count, rounds) for count in grid}


def uneven(machine: Machine, grid: Sequence[int], rng: np.random.Generator) -> Line:
    """Up to three rounds fewer at some points, 5 to 12 each."""
    most = int(rng.integers(5, 13))
    return {
        count: _rounds(machine, count, int(rng.integers(max(5, most - 3), most + 1)))
        for count in grid
    }


def adaptive(machine: Machine, grid: Sequence[int], rng: np.random.Generator) -> Line:
    """As the harness does it: its own stopping by widths and its own further points.

    The time is that of 8 to 13 rounds of every point, and all points take as long.
    """
    points = [Point("/", 0.0, "keep-alive", count) for count in grid]
    effort = Effort(dict.fromkeys(points, (PAIR,)), PRECISION, CONFIDENCE, ROUNDS_MIN)
    line: dict[float, dict[int, float]] = {}
    left, number = int(rng.integers(8, 14)) * len(grid), 0
    while chosen := _chosen(effort, left, number):
        for point in chosen[:left]:
            log_ratio = machine.log_ratio(point.connections, number)
            line.setdefault(point.connections, {})[number] = log_ratio
            effort.add(point, {"a": math.exp(log_ratio), "b": 1.0})
        left -= min(len(chosen), left)
        number += 1
    return line


EFFORTS = {"every point in every round": even, "some rounds fewer": uneven, "adaptive": adaptive}


def _chosen(effort: Effort, left: int, number: int) -> list[Point]:
    """The points of the next round, in the order in which a run takes them."""
    if left <= 0:
        return []
    costs = dict.fromkeys(effort.pairs, 1.0)
    chosen = effort.next_points(costs, left)
    if number >= ROUNDS_MIN and not effort.to_settle(costs, left):
        more = refinements(effort)
        effort.add_points(more)
        chosen = [*chosen, *more]
    return [point for point in chosen if effort.rounds(point) < ROUNDS_MAX]


def _rounds(machine: Machine, count: int, rounds: int) -> dict[int, float]:
    return {number: machine.log_ratio(count, number) for number in range(rounds)}
