"""More numbers of connections where the answer changes from one to the next. Pure.

Between two neighbours of which one has an interval wholly above 1 and the other wholly below it,
the geometric middle is measured too, until they are close. This looks at where intervals lie, and
may: it decides where to look more closely, never when to stop.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from bench.measure.adapt import Effort
from bench.measure.plan import Point
from bench.measure.profile import Pair

CLOSE_ENOUGH = 1.15

Line = tuple[Pair, Point]


def refinements(effort: Effort) -> dict[Point, tuple[Pair, ...]]:
    """Points to be added, each with the pairs that are to be compared at it."""
    wanted: dict[Point, dict[Pair, None]] = defaultdict(dict)
    for (pair, _), points in _lines(effort).items():
        for low, high in itertools.pairwise(points):
            between = middle(low.connections, high.connections)
            if between is not None and _side(effort, low, pair) * _side(effort, high, pair) < 0:
                wanted[replace(low, connections=between)][pair] = None
    return {point: tuple(pairs) for point, pairs in wanted.items() if point not in effort.pairs}


def middle(low: int, high: int) -> int | None:
    """The whole number nearest to the geometric middle; None where they are close enough."""
    between = round(math.sqrt(low * high))
    return between if high > CLOSE_ENOUGH * low and low < between < high else None


def _lines(effort: Effort) -> dict[Line, list[Point]]:
    """The points of each pair that differ in their connections only, in order of these."""
    lines: dict[Line, list[Point]] = defaultdict(list)
    for point, pair in _compared(effort):
        lines[pair, replace(point, connections=0)].append(point)
    return {line: sorted(points, key=lambda p: p.connections) for line, points in lines.items()}


def _compared(effort: Effort) -> Iterator[tuple[Point, Pair]]:
    return ((point, pair) for point, pairs in effort.pairs.items() for pair in pairs)


def _side(effort: Effort, point: Point, pair: Pair) -> int:
    """1 where a is ahead of b for certain, -1 where it is behind, 0 where nobody can tell."""
    mean, width = effort.mean(point, pair), effort.half_width(point, pair)
    if mean is None or abs(mean) <= width:
        return 0
    return 1 if mean > 0 else -1
