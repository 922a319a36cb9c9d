"""A run, measured: rounds of fresh servers, slices interleaved over them, each saved as it ends.

Progress is told through a `Watcher`, between slices only. Must not know how a slice is measured.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Any, Protocol

from bench.measure.cores import CoreChoice
from bench.measure.delivered import loads_of, measure_waits
from bench.measure.fleet import Fleet
from bench.measure.generator import LastingGenerator
from bench.measure.interrupts import InterruptedRunError, ignore_signals, interruptible
from bench.measure.plan import Cell, cells_by_point, round_order
from bench.measure.process import TargetError
from bench.measure.profile import Profile
from bench.measure.targets import Target
from bench.measure.turns import Turns
from bench.measure.upstream import Upstream
from bench.measure.work_path import read_work
from bench.store import RunWriter


class Watcher(Protocol):
    """Told what happens between slices, to show it."""

    def round_begins(self, index: int) -> None:
        """Round `index` (from 0) starts."""

    def slice_ends(self, cell: Cell, trial: Mapping[str, Any], left_s: float) -> None:
        """A slice is saved; `left_s` is the time that the run is expected to take from here."""

    def waits_begin(self, target: str, load: str) -> None:
        """The rounds are over, and the delivered delay of a target is measured under a load."""

    def notice(self, text: str) -> None:
        """Something that the user should know."""


@dataclass(frozen=True)
class Clock:
    """What the run has spent and may spend, in seconds since it started."""

    started_s: float
    budget_s: float

    def elapsed_s(self) -> float:
        """Time since the run started."""
        return time.monotonic() - self.started_s


def run(
    profile: Profile,
    targets: Sequence[Target],
    cores: Mapping[int, CoreChoice],
    writer: RunWriter,
    watcher: Watcher,
) -> str:
    """Measure the profile into `writer`; the state that the run ended in.

    `cores` holds the choice for each number of server cores of the profile.

    `complete`, or `interrupted` by Ctrl-C, SIGTERM or SIGHUP: then too all finished slices are
    saved and no process is left.
    """
    runner = Runner(profile, targets, cores, writer, watcher)
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
        self.clock = Clock(time.monotonic(), profile.budget_s)
        self.round_s: list[float] = []

    def measure(self) -> None:
        """Rounds until the budget cannot hold another, but at least the profile's minimum."""
        while self._another_round():
            began_s = self.clock.elapsed_s()
            self._round(self.rounds_done)
            self.round_s.append(self.clock.elapsed_s() - began_s)
            self.rounds_done += 1
            self.writer.update(rounds_done=self.rounds_done)
        if self.profile.delivered_delay_s is not None:
            self._delivered_delay(self.profile.delivered_delay_s)

    def stop(self) -> None:
        """End every process that the run started."""
        self.fleet.kill_all()
        self.upstream.stop()
        self.generator.stop()

    def _another_round(self) -> bool:
        if self.rounds_done < self.profile.rounds_min:
            return True
        if self.rounds_done >= self.profile.rounds_max:
            return False
        return self.clock.elapsed_s() + max(self.round_s[-2:]) <= self.profile.budget_s

    def _round(self, index: int) -> None:
        """Fresh processes of everything, then every cell once."""
        self.watcher.round_begins(index)
        self._start_all()
        done, order = 0, round_order(self.profile, index)
        for point, cells in groupby(order, key=lambda cell: cell.point):
            place = {
                "round": index,
                "t_s": round(self.clock.elapsed_s(), 3),
                "shared_core": self.cores[point.server_cores].shared,
            }
            seed = f"{self.profile.seed}/{index}/{self.order}"
            for cell, trial in self.turns.measure(list(cells), place, seed):
                self.writer.append({"order": self.order, **trial})
                done += 1
                self.order += 1
                self.watcher.slice_ends(cell, trial, self._left_s(done, len(order)))

    def _start_all(self) -> None:
        """Start and warm fresh processes; the first time, write down what they say they are."""
        self.generator.stop()
        self._start_upstream()
        failures = self.fleet.start_all()
        self.turns.lost = {**self.fleet.given_up, **failures}
        for why in failures.values():
            self.watcher.notice(why)
        if not self.rounds_done:
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
                self.watcher.waits_begin(target.name, load)
                measure = partial(measure_waits, target, load, delay_s, cores)
                try:
                    self.writer.append_waits(self.generator.ask(measure))
                except TargetError as error:
                    self.watcher.notice(f"delivered delay not measured: {error}")

    def _left_s(self, done: int, cells: int) -> float:
        """The time still to be expected: the rest of this round and the rounds that will follow."""
        elapsed_s = self.clock.elapsed_s()
        spent_s = elapsed_s - sum(self.round_s)
        round_s = max(self.round_s, default=0.0) or spent_s * cells / done
        left_s = max(round_s - spent_s, 0.0) if done < cells else 0.0
        needed = max(self.profile.rounds_min - self.rounds_done - 1, 0) * round_s
        more = (self.profile.budget_s - elapsed_s - left_s) // round_s * round_s if round_s else 0.0
        allowed = max(self.profile.rounds_max - self.rounds_done - 1, 0) * round_s
        return left_s + min(max(needed, more), allowed)
