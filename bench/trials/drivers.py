"""Are the drivers no straw men? Each against production servers of its family, interleaved.

Both do the same work, at 0 and 20 ms of delay, over 64 and 512 connections, server and generator
pinned to different cores. Each pair is measured with fresh processes. No interval of the ratio of
throughputs, driver over server, may lie wholly below 1 where the server is written in Python.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.measure.cores import cores_here
from bench.measure.machine import require_descriptors
from bench.measure.models import Rates, calibrate, known_models
from bench.measure.plan import Cell, Point, cells_by_point
from bench.measure.profile import Model, Profile
from bench.measure.runner import run
from bench.measure.stanza import Stanza, read_stacks
from bench.measure.targets import Target, command_target, driver_target
from bench.store import RunWriter, is_lower_bound
from bench.trials import contests
from bench.trials.contests import Contest
from bench.trials.pairs import exit_code, median_interval, parser_of

SPARE_DESCRIPTORS = 64
# Before the first slice: what one takes with its share of the starts.
GUESSED_SLICE_S = 0.8


@dataclass(frozen=True)
class Row:
    """What came out for a driver and a stack at one point: a ratio of throughputs for each pair."""

    driver: str
    stack: str
    point: Point
    ratios: Sequence[float]
    pairs: int
    is_least: bool = False
    """In some pair the driver was faster than the generator: the ratio is at least that."""

    @property
    def counts(self) -> bool:
        """Whether a miss fails the trial."""
        return self.stack not in contests.NOT_PYTHON

    @property
    def met(self) -> bool:
        """Whether the interval reaches 1; without a single valid pair it does not."""
        return bool(self.ratios) and median_interval(self.ratios)[1] >= 1

    def __str__(self) -> str:
        point = self.point
        where = f"{point.delay_s * 1e3:g} ms x {point.connections}"
        what = f"{self.driver} / {self.stack}"
        if not self.ratios:
            return f"{what:38} {where:>11}  no valid pair"
        low, high = median_interval(self.ratios)
        figures = f"{statistics.median(self.ratios):.3f} [{low:.3f}, {high:.3f}]"
        word = ("met" if self.met else "MISSED") if self.counts else "not Python"
        word += ", at least: faster than the generator" if self.is_least else ""
        lost = self.pairs - len(self.ratios)
        return f"{what:38} {where:>11}  {figures:24} {word}" + (f", {lost} lost" if lost else "")


@dataclass
class Progress:
    """A Watcher of the contests' runs: keeps what is measured, tells how long it will take."""

    slices: int
    began_s: float = field(default_factory=time.monotonic)
    done: int = 0
    name: str = ""
    driver: str = ""
    least: set[Cell] = field(default_factory=set)
    measured: dict[tuple[int, Cell], float] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    round: int = 0

    def round_begins(self, index: int, cells: int) -> None:  # noqa: ARG002
        """Say which, and the time left."""
        self.round = index
        slice_s = (time.monotonic() - self.began_s) / self.done if self.done else GUESSED_SLICE_S
        left_s = (self.slices - self.done) * slice_s
        print(f"{self.name}, pair {index + 1}: {left_s / 60:.1f} min left", file=sys.stderr)

    def slice_ends(self, cell: Cell, trial: Mapping[str, Any], left_s: float) -> None:  # noqa: ARG002
        """Keep a valid one, and one of the driver's that asked too much of the generator only."""
        self.done += 1
        is_least = cell.target == self.driver and is_lower_bound(trial)
        if is_least:
            self.least.add(cell)
        if trial["valid"] or is_least:
            self.measured[self.round, cell] = trial["throughput_rps"]
        for reason in trial["invalid_reasons"]:
            self.notice(f"{cell.target}, {cell.point.work} x {cell.point.connections}: {reason}")

    def waits_begin(self, target: str, load: str) -> None:
        """No contest has this."""

    def notice(self, text: str) -> None:
        """Say it once."""
        if text not in self.told:
            self.told.add(text)
            print(f"note: {text}", file=sys.stderr)

    def rows(self, contest: Contest, profile: Profile) -> list[Row]:
        """What came out of a contest."""
        points = [cells[0].point for cells in cells_by_point(profile)]
        return [
            Row(
                contest.driver,
                stack,
                point,
                self._ratios(contest.driver, stack, point),
                pairs,
                Cell(point, contest.driver) in self.least,
            )
            for stack in contest.stacks
            for point in points
            for pairs in [profile.rounds_min]
        ]

    def _ratios(self, driver: str, stack: str, point: Point) -> list[float]:
        """Of the pairs whose slices are both valid, in order of rounds."""
        ours, theirs = Cell(point, driver), Cell(point, stack)
        return [
            rps / self.measured[index, theirs]
            for (index, cell), rps in self.measured.items()
            if cell == ours and (index, theirs) in self.measured
        ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trial; 0 when all targets are met, 1 when not, 2 when it cannot run."""
    parser = parser_of("bench.trials.drivers", __doc__)
    parser.add_argument("--short", action="store_true", help="a few contests, 64 connections")
    parser.add_argument("--only", default="", metavar="NAME,...", help="these drivers and stacks")
    options = parser.parse_args(argv)
    stanzas = read_stacks()
    models = known_models() | {name: stanza.model() for name, stanza in stanzas.items()}
    only = [name for name in options.only.split(",") if name]
    held, notices = contests.available(contests.chosen(only, short=options.short), models)
    for notice in notices:
        print(notice, file=sys.stderr)
    if not held:
        print("no contest can be held here (make stacks)", file=sys.stderr)
        return 2
    counts = contests.CONNECTIONS[:1] if options.short else contests.CONNECTIONS
    rows = hold(held, [c.profile(options.pairs, counts) for c in held], models, stanzas)
    if rows is None:
        return 130
    missed = [row for row in rows if row.counts and not row.met]
    empty = sum(not row.ratios for row in rows)
    below = sum(bool(row.ratios) for row in missed)
    print(
        f"\n{len(rows) - empty} intervals, {below} wholly below 1 against a server in Python;"
        f" {empty} without a valid pair"
    )
    return exit_code(missed=bool(missed), informative=options.informative)


def hold(
    held: Sequence[Contest],
    profiles: Sequence[Profile],
    models: Mapping[str, Model],
    stanzas: Mapping[str, Stanza],
) -> list[Row] | None:
    """Hold the contests one by one, printing what comes out; None when interrupted."""
    cores = {1: cores_here()}
    require_descriptors(max(contests.CONNECTIONS) + SPARE_DESCRIPTORS)
    rates = calibrate()
    slices = [
        len(points) for p in profiles for points in cells_by_point(p) for _ in range(p.rounds_min)
    ]
    progress = Progress(sum(slices))
    rows: list[Row] = []
    for contest, profile in zip(held, profiles, strict=True):
        progress.name = profile.title
        progress.driver = contest.driver
        progress.measured.clear()
        progress.least.clear()
        targets = [target_of(name, models, stanzas, rates) for name in profile.targets]
        with tempfile.TemporaryDirectory() as folder:
            writer = RunWriter.create(Path(folder), {})
            if run(profile, targets, cores, writer, progress) != "complete":
                return None
        new = progress.rows(contest, profile)
        print(*new, sep="\n", flush=True)
        rows += new
    return rows


def target_of(
    name: str, models: Mapping[str, Model], stanzas: Mapping[str, Stanza], rates: Rates
) -> Target:
    """A driver or a stack, ready to be started."""
    if name in stanzas:
        return command_target(name, stanzas[name], models[name], rates)
    return driver_target(name, models[name], rates, None, None)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        print(f"bench-drivers: {failure}", file=sys.stderr)
        sys.exit(2)
