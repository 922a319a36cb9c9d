"""The plan of a run: which cells there are and in which order they are measured. Pure.

The order is seeded: within a round the points come in random order, and within a point its targets
do, so that slow drift of the machine hits every target alike.
"""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from bench.measure.profile import Grid, Profile
from bench.measure.work_path import read_work


@dataclass(frozen=True)
class Point:
    """A workload: what a request asks for, over how many connections of which kind.

    `delay_s` is the time that the steps of the work wait in all.
    """

    work: str
    delay_s: float
    connection: str
    connections: int
    workers: int | None = None
    units: int | None = None
    server_cores: int = 1


@dataclass(frozen=True)
class Server:
    """What a server of a run is started as: cells that agree in it share the processes."""

    target: str
    workers: int | None = None
    units: int | None = None
    server_cores: int = 1

    def __str__(self) -> str:
        counts = {"workers": self.workers, "units": self.units, "cores": self.server_cores}
        named = {name: n for name, n in counts.items() if n and (name, n) != ("cores", 1)}
        settings = [
            f"{n} {name.removesuffix('s') if n == 1 else name}" for name, n in named.items()
        ]
        return f"{self.target} ({', '.join(settings)})" if settings else self.target


@dataclass(frozen=True)
class Cell:
    """A point and the target that it is measured on."""

    point: Point
    target: str

    @property
    def server(self) -> Server:
        """What it asks its target to be started as."""
        point = self.point
        return Server(self.target, point.workers, point.units, point.server_cores)

    def keys(self) -> dict[str, Any]:
        """The part of a trials line that says which cell it is."""
        return {"target": self.target, **asdict(self.point)}


def cells_by_point(profile: Profile) -> list[list[Cell]]:
    """The cells of a profile, those of one point together; what grids share is there once."""
    targets: dict[Point, dict[str, None]] = {}
    for grid in profile.grids:
        for point in points_of(grid):
            targets.setdefault(point, {}).update(dict.fromkeys(grid.targets))
    return [[Cell(point, name) for name in names] for point, names in targets.items()]


def round_order(
    profile: Profile, round_index: int, added: Sequence[Sequence[Cell]] = ()
) -> list[Cell]:
    """All cells of one round in order, those of a point together; one seed gives one order.

    `added` are the cells of points that the profile does not have.
    """
    generator = random.Random(f"{profile.seed}/{round_index}")
    points = cells_by_point(profile) + [list(cells) for cells in added]
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


def points_of(grid: Grid) -> list[Point]:
    """Every point of a grid."""
    axes = product(grid.works, grid.connections, grid.workers, grid.units, grid.server_cores)
    return [
        Point(work, read_work(work, "work").wait_s, grid.connection, count, workers, units, cores)
        for work, count, workers, units, cores in axes
    ]
