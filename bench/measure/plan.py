"""The plan of a run: which cells there are and in which order they are measured. Pure.

The order is seeded: within a round the points come in random order, and within a point its targets
do, so that slow drift of the machine hits every target alike.
"""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.measure.profile import Grid, Profile


@dataclass(frozen=True)
class Point:
    """A workload: what a request asks for, over how many connections of which kind."""

    work: str
    delay_s: float
    connection: str
    connections: int
    workers: int = 1
    units: int | None = None
    server_cores: int = 1


@dataclass(frozen=True)
class Cell:
    """A point and the target that it is measured on."""

    point: Point
    target: str

    def keys(self) -> dict[str, Any]:
        """The part of a trials line that says which cell it is."""
        return {"target": self.target, **asdict(self.point)}


def work_of(delay_s: float) -> str:
    """The path that asks for a wait of `delay_s`: `/delay=5ms`, or `/` for none."""
    if delay_s == 0:
        return "/"
    microseconds = round(delay_s * 1e6)
    if microseconds % 1000:
        return f"/delay={microseconds}us"
    return f"/delay={microseconds // 1000}ms"


def cells_by_point(profile: Profile) -> list[list[Cell]]:
    """The cells of a profile, those of one point together; what grids share is there once."""
    targets: dict[Point, dict[str, None]] = {}
    for grid in profile.grids:
        for point in _points(grid):
            targets.setdefault(point, {}).update(dict.fromkeys(grid.targets))
    return [[Cell(point, name) for name in names] for point, names in targets.items()]


def round_order(profile: Profile, round_index: int) -> list[Cell]:
    """All cells of one round in order, those of a point together; one seed gives one order."""
    generator = random.Random(f"{profile.seed}/{round_index}")
    points = cells_by_point(profile)
    generator.shuffle(points)
    for cells in points:
        generator.shuffle(cells)
    return [cell for cells in points for cell in cells]


def burst_order(bursts: Sequence[int], generator: random.Random) -> list[int]:
    """Whose turn it is: indices of slices with so many bursts each, shuffled anew every time round.

    A slice with a single burst comes in the last time round: what it owes then disturbs nobody.
    """
    order = []
    for left in range(max(bursts, default=0), 0, -1):
        turn = [index for index, count in enumerate(bursts) if count >= left]
        generator.shuffle(turn)
        order += turn
    return order


def _points(grid: Grid) -> list[Point]:
    return [
        Point(work_of(delay_s), delay_s, grid.connection, count)
        for delay_s in grid.delays_s
        for count in grid.connections
    ]
