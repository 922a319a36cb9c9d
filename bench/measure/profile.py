"""Profiles: what to measure, as plain values. Pure.

Must not know files, processes, clocks or results, nor where its values come from.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from bench.measure.work_path import read_work

Pair = tuple[str, str]
Kind = Literal["driver", "stack", "command"]


@dataclass(frozen=True)
class Model:
    """What serves, as a table describes it: the servers' own, or one of stanzas.

    `default_workers` is the number where a point sets none; None where nobody says.
    """

    name: str
    family: str
    serves_one_at_a_time: bool
    available: bool
    why_unavailable: str | None
    workers_are: str = "processes"
    default_workers: int | None = 1
    kind: Kind = "driver"


@dataclass(frozen=True)
class Grid:
    """Every combination of its axes, for some targets in one connection mode.

    A target is a model, a further copy of it (`uvloop#2`), the same under another interpreter
    (`uvloop@3.13`), a stack or a command. A pair is compared as first / second. Of `workers` and
    `units`, None leaves the number to each target.
    """

    connection: str
    targets: tuple[str, ...]
    works: tuple[str, ...]
    connections: tuple[int, ...]
    pairs: tuple[Pair, ...]
    workers: tuple[int | None, ...] = (None,)
    units: tuple[int | None, ...] = (None,)
    server_cores: tuple[int, ...] = (1,)

    @property
    def delays_s(self) -> tuple[float, ...]:
        """How long each of the works waits in all."""
        return tuple(read_work(work, "work").wait_s for work in self.works)

    def config(self) -> dict[str, Any]:
        """Its entry in run.json's `config`; `delays_s` are those of `works`, one each."""
        return asdict(self) | {"delays_s": self.delays_s}


@dataclass(frozen=True)
class Ladder:
    """Targets from one end of a comparison to the other, and what each step between two changes."""

    rungs: tuple[str, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Profile:
    """A profile as resolved: everything that decides what is measured and for how long.

    A comparison whose interval of ln(a / b) reaches no further than `precision` to either side gets
    no more slices, once it has had `rounds_min` rounds. With `refine`, numbers of connections are
    added where the answer changes. The default is half of the margin.
    """

    name: str
    title: str
    grids: tuple[Grid, ...]
    ladders: tuple[Ladder, ...] = ()
    delivered_delay_s: float | None = None
    seed: int = 1
    rounds_min: int = 6
    rounds_max: int = 100
    budget_s: float = 260.0
    margin: float = 0.05
    confidence: float = 0.95
    precision: float = 0.024
    refine: bool = False
    window_s: float = 0.25
    completions_per_connection: int = 10
    completions_saturated: int = 3
    completions_one_at_a_time: int = 20
    request_timeout_s: float = 60.0

    def config(self) -> dict[str, Any]:
        """The plain values of run.json's `config`."""
        values = asdict(self) | {"grids": [grid.config() for grid in self.grids]}
        del values["name"], values["title"]
        return values

    @property
    def targets(self) -> tuple[str, ...]:
        """Every target of every grid, once, in order of appearance."""
        return tuple(dict.fromkeys(name for grid in self.grids for name in grid.targets))

    @property
    def server_cores(self) -> tuple[int, ...]:
        """Every number of server cores, once, from the least."""
        return tuple(sorted({count for grid in self.grids for count in grid.server_cores}))

    @property
    def works(self) -> tuple[str, ...]:
        """Every path of every grid, once, in order of appearance."""
        return tuple(dict.fromkeys(work for grid in self.grids for work in grid.works))


def work_of(delay_s: float) -> str:
    """The path that asks for a wait of `delay_s`: `/delay=5ms`, or `/` for none."""
    if delay_s == 0:
        return "/"
    microseconds = round(delay_s * 1e6)
    if microseconds % 1000:
        return f"/delay={microseconds}us"
    return f"/delay={microseconds // 1000}ms"


def original_of(target: str) -> str:
    """What a target is a copy of: `uvloop@3.13` for `uvloop@3.13#2`, `uvloop` for `uvloop#2`."""
    return target.partition("#")[0]


def model_of(target: str) -> str:
    """The model behind a target: `uvloop` for `uvloop#2`, `uvloop@3.13` and `uvloop@3.13#2`."""
    return original_of(target).partition("@")[0]


def under(target: str, label: str) -> str:
    """The name of a target under another interpreter: `uvloop@3.13#2` for `uvloop#2`."""
    original, number, copy = target.partition("#")
    return f"{original}@{label}{number}{copy}"
