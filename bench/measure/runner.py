"""A run, measured: rounds of fresh servers, slices interleaved over them, each saved as it ends.

Progress is told through a `Watcher`, between slices only. Must not know how a slice is measured.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Any, Protocol

from bench.measure.cores import CoreChoice
from bench.measure.delivered import loads_of, measure_waits
from bench.measure.fleet import Fleet
from bench.measure.generator import LastingGenerator
from bench.measure.interrupts import InterruptedRunError, ignore_signals, interruptible
from bench.measure.pace import Clock, Pace
from bench.measure.plan import Cell, Point, Server, cells_by_point, round_order
from bench.measure.process import TargetError
from bench.measure.profile import Pair, Profile
from bench.measure.refine import refinements
from bench.measure.slice import usable_rps
from bench.measure.targets import Target
from bench.measure.turns import Turns
from bench.measure.upstream import Upstream
from bench.measure.work_path import read_work
from bench.store import POINT_KEYS, Run, RunWriter

# What the delivered delay of a target under one load takes, starting it included.
WAITS_S = 2.0
# What a slice takes besides its warm-up and its window, where only these are known.
A_SLICE_S = 0.2


class Watcher(Protocol):
    """Told what happens between slices, to show it."""

    def round_begins(self, index: int, cells: int) -> None:
        """Round `index` (from 0) starts, and has so many cells."""

    def slice_ends(self, cell: Cell, trial: Mapping[str, Any], left_s: float) -> None:
        """A slice is saved; `left_s` is the time that the run is expected to take from here."""

    def waits_begin(self, target: str, load: str) -> None:
        """The rounds are over, and the delivered delay of a target is measured under a load."""

    def notice(self, text: str) -> None:
        """Something that the user should know."""


def run(
    profile: Profile,
    targets: Sequence[Target],
    cores: Mapping[int, CoreChoice],
    writer: RunWriter,
    watcher: Watcher,
    began_s: float | None = None,
    resumed: tuple[Run, Sequence[Mapping[str, Any]]] | None = None,
) -> str:
    """Measure the profile into `writer`; the state that the run ended in.

    `cores` holds the choice for each number of server cores of the profile. The budget counts from
    `began_s` of the monotonic clock, now where it is not given. `resumed`: the run so far, and the
    waits that it has measured, where one goes on.

    `complete`, or `interrupted` by Ctrl-C, SIGTERM or SIGHUP: then too all finished slices are
    saved and no process is left.
    """
    runner = Runner(profile, targets, cores, writer, watcher, began_s)
    if resumed is not None:
        runner.restore(*resumed)
    state = "interrupted"
    with interruptible():
        try:
            runner.measure()
            ignore_signals()
            state = "complete"
        except InterruptedRunError:
            watcher.notice("interrupted: ending the servers, keeping what is measured")
        finally:
            runner.stop()
            writer.update(
                state=state,
                ended=datetime.now(UTC).isoformat(timespec="seconds"),
                rounds_done=runner.rounds_done,
            )
    return state


class Runner:
    """The state of a run in progress."""

    def __init__(
        self,
        profile: Profile,
        targets: Sequence[Target],
        cores: Mapping[int, CoreChoice],
        writer: RunWriter,
        watcher: Watcher,
        began_s: float | None = None,
    ) -> None:
        self.profile, self.writer, self.watcher = profile, writer, watcher
        self.targets = {target.name: target for target in targets}
        self.cores = cores
        generator_cores = next(iter(cores.values())).generator
        self.generator = LastingGenerator(generator_cores)
        self.upstream = Upstream(generator_cores)
        cells = [cell for point in cells_by_point(profile) for cell in point]
        self.fleet = Fleet(
            self.targets,
            [self.targets[cell.target].server_of(cell) for cell in cells],
            {count: choice.server for count, choice in cores.items()},
        )
        used = {core for choice in cores.values() for core in (*choice.server, *choice.generator)}
        self.turns = Turns(
            profile, self.fleet, self.upstream, self.generator, sorted(used), watcher.notice
        )
        self.rounds_done = 0
        self.order = 0
        self.added: dict[Point, list[Cell]] = {}
        self.described = False
        self.waits_done: set[tuple[str, str]] = set()
        loads = [each for target in targets for each in loads_of(target)]
        waits_s = len(loads) * WAITS_S if profile.delivered_delay_s is not None else 0.0
        started_s = time.monotonic() if began_s is None else began_s
        self.clock = Clock(started_s, profile.budget_s - waits_s)
        self.pace = Pace(profile, self.clock)

    def restore(self, run: Run, waits: Sequence[Mapping[str, Any]]) -> None:
        """Take over what was measured before; what goes on is a new round, with fresh processes."""
        by_point: dict[tuple[int, Point], list[dict[str, Any]]] = {}
        for trial in run.trials:
            point = Point(**{key: trial[key] for key in POINT_KEYS})
            by_point.setdefault((trial["round"], point), []).append(trial)
        self._add(self._added_before({point for _, point in by_point}, run.trials))
        cells = {point: len(cells) for point, cells in self._cells_by_point().items()}
        for (_, point), trials in by_point.items():
            if len(trials) < cells[point]:
                continue  # cut off between two of its targets
            took_s = sum((t["warmup_s"] or 0) + (t["window_s"] or 0) + A_SLICE_S for t in trials)
            self.pace.told(point, took_s, {t["target"]: usable_rps(t) for t in trials})
        if run.trials:
            last = max(run.trials, key=lambda trial: trial["order"])
            self.rounds_done, self.order = last["round"] + 1, last["order"] + 1
            self.clock.spent(last["t_s"])
        self.waits_done = {(each["target"], each["load"]) for each in waits}

    def _cells_by_point(self) -> dict[Point, list[Cell]]:
        """The cells of every point, those that were added among them."""
        planned = {cells[0].point: cells for cells in cells_by_point(self.profile)}
        return planned | self.added

    def _added_before(
        self, points: set[Point], trials: Sequence[Mapping[str, Any]]
    ) -> dict[Point, tuple[Pair, ...]]:
        """The points among these that the profile does not have, with their pairs."""
        known = self.pace.effort.pairs
        found = {}
        for point in points - known.keys():
            measured = {
                t["target"] for t in trials if Point(**{k: t[k] for k in POINT_KEYS}) == point
            }
            near = [
                each
                for each in known
                if replace(each, connections=0) == replace(point, connections=0)
            ]
            pairs = dict.fromkeys(pair for each in near for pair in known[each])
            found[point] = tuple(pair for pair in pairs if measured.issuperset(pair))
        return found

    def measure(self) -> None:
        """Rounds of what is not settled, until the budget cannot hold another slice."""
        while points := self.pace.next_points():
            whole = self._round(self.rounds_done, points)
            self.rounds_done += 1
            self.writer.update(rounds_done=self.rounds_done)
            if not whole:
                break
            if self.pace.may_refine(self.rounds_done):
                self._add(refinements(self.pace.effort))
        planned = (cells[0].point for cells in cells_by_point(self.profile))
        if any(self.pace.effort.rounds(point) < self.profile.rounds_min for point in planned):
            self.watcher.notice(
                f"the budget of {self.profile.budget_s:.0f} s did not hold the"
                f" {self.profile.rounds_min} rounds that the profile asks for at least"
            )
        if self.profile.delivered_delay_s is not None:
            self._delivered_delay(self.profile.delivered_delay_s)

    def stop(self) -> None:
        """End every process that the run started."""
        self.fleet.kill_all()
        self.upstream.stop()
        self.generator.stop()

    def _round(self, index: int, points: Collection[Point]) -> bool:
        """Fresh processes, then every cell of these points once; whether the budget held them."""
        planned = round_order(self.profile, index, list(self.added.values()))
        order = [cell for cell in planned if cell.point in points]
        self.watcher.round_begins(index, len(order))
        began_s = self.clock.elapsed_s()
        self._start_all({self.targets[cell.target].server_of(cell) for cell in order})
        self.pace.starts_s.append(self.clock.elapsed_s() - began_s)
        rest = set(points)
        for point, cells in groupby(order, key=lambda cell: cell.point):
            if not self.pace.fits(point):
                return False
            rest.discard(point)
            self._point(index, point, list(cells), rest)
        return True

    def _add(self, points: Mapping[Point, tuple[Pair, ...]]) -> None:
        """Points that the profile does not have; each is measured on the targets of its pairs."""
        self.pace.effort.add_points(points)
        for point, pairs in points.items():
            targets = dict.fromkeys(name for pair in pairs for name in pair)
            self.added[point] = [Cell(point, name) for name in targets]

    def _point(
        self, index: int, point: Point, cells: Sequence[Cell], rest: Collection[Point]
    ) -> None:
        """Measure and save the slices of a point, one for each of its targets."""
        began_s = self.clock.elapsed_s()
        place = {
            "round": index,
            "t_s": round(began_s, 3),
            "shared_core": self.cores[point.server_cores].shared,
        }
        seed = f"{self.profile.seed}/{index}/{self.order}"
        measured = self.turns.measure(cells, place, seed)
        for _, trial in measured:
            self.writer.append({"order": self.order, **trial})
            self.order += 1
        took_s = self.clock.elapsed_s() - began_s
        self.pace.told(point, took_s, {c.target: usable_rps(trial) for c, trial in measured})
        left_s = self.pace.remaining_s(rest, self.rounds_done)
        for cell, trial in measured:
            self.watcher.slice_ends(cell, trial, left_s)

    def _start_all(self, servers: Collection[Server]) -> None:
        """Start and warm fresh processes; the first time, write down what they say they are."""
        self.generator.stop()
        self._start_upstream()
        failures = self.fleet.start_all(servers)
        self.turns.lost = {**self.fleet.given_up, **failures}
        for why in failures.values():
            self.watcher.notice(why)
        if not self.described:
            self.described = True
            self.writer.update(targets=[self._described(t) for t in self.targets.values()])
        self.turns.warm_all()

    def _start_upstream(self) -> None:
        """Start one where something calls it; without it, what calls fails and says so."""
        calls = any(read_work(work, "work").calls for work in self.profile.works)
        if calls or any(target.needs_upstream for target in self.targets.values()):
            try:
                self.upstream.start()
            except TargetError as error:
                self.watcher.notice(str(error))
        self.fleet.upstream = self.upstream.address

    def _described(self, target: Target) -> dict[str, Any]:
        """A target's entry in run.json, with what its running process says of its interpreter."""
        entry, ready = target.described(), self.fleet.ready_line(target.name)
        if entry["python"] is None or ready is None:
            return entry
        said = {
            "version": ready.python,
            "implementation": ready.implementation,
            "gil": ready.gil,
        }
        known = {key: value for key, value in said.items() if value is not None}
        return entry | {"python": entry["python"] | known}

    def _delivered_delay(self, delay_s: float) -> None:
        """After the rounds: how late the waits of each of our models end, idle and loaded."""
        self.fleet.kill_all()
        self.upstream.stop()
        cores = next(iter(self.cores.values())).server
        for target in self.targets.values():
            for load in loads_of(target):
                if (target.name, load) in self.waits_done:
                    continue
                self.watcher.waits_begin(target.name, load)
                measure = partial(measure_waits, target, load, delay_s, cores)
                try:
                    self.writer.append_waits(self.generator.ask(measure))
                except TargetError as error:
                    self.watcher.notice(f"delivered delay not measured: {error}")
