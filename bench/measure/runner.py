"""A run, measured: rounds of fresh servers, slices interleaved over them, each saved as it ends.

The harness itself does nothing while a slice is measured: it sleeps on the generator's answer.
Progress is told through a `Watcher`, between slices only.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from bench.measure.cores import CoreChoice
from bench.measure.generator import Generator
from bench.measure.interrupts import InterruptedRunError, ignore_signals, interruptible
from bench.measure.machine import steal_s
from bench.measure.plan import Cell, round_order
from bench.measure.process import TargetError
from bench.measure.profile import Profile
from bench.measure.slice import failed_trial, order_for, trial_of
from bench.measure.targets import Fleet, Target
from bench.store import RunWriter

WARMING = {"connections": 4, "window_s": 0.05, "completions_wanted": 200, "window_limit_s": 2.0}


class Watcher(Protocol):
    """Told what happens between slices, to show it."""

    def round_begins(self, index: int) -> None:
        """Round `index` (from 0) starts."""

    def slice_ends(self, cell: Cell, trial: Mapping[str, Any], left_s: float) -> None:
        """A slice is saved; `left_s` is the time that the run is expected to take from here."""

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
    cores: CoreChoice,
    writer: RunWriter,
    watcher: Watcher,
) -> str:
    """Measure the profile into `writer`; the state that the run ended in.

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
        cores: CoreChoice,
        writer: RunWriter,
        watcher: Watcher,
    ) -> None:
        self.profile = profile
        self.targets = {target.name: target for target in targets}
        self.fleet = Fleet(self.targets, cores.server)
        self.cores = cores
        self.all_cores = sorted({*cores.server, *cores.generator})
        self.writer = writer
        self.watcher = watcher
        self.generator: Generator | None = None
        self.lost: dict[str, str] = {}  # what did not start this round, and why
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

    def stop(self) -> None:
        """End every process that the run started."""
        self.fleet.kill_all()
        self._stop_generator()

    def _another_round(self) -> bool:
        if self.rounds_done < self.profile.rounds_min:
            return True
        if self.rounds_done >= self.profile.rounds_max:
            return False
        return self.clock.elapsed_s() + max(self.round_s[-2:]) <= self.profile.budget_s

    def _round(self, index: int) -> None:
        """Fresh processes of everything, then every cell once."""
        self.watcher.round_begins(index)
        self._stop_generator()
        self.lost = self.fleet.start_all()
        for why in self.lost.values():
            self.watcher.notice(why)
        self._warm_all()
        cells = round_order(self.profile, index)
        for done, cell in enumerate(cells):
            trial = self._slice(cell, {"round": index, "order": self.order})
            self.order += 1
            self.writer.append(trial)
            self.watcher.slice_ends(cell, trial, self._left_s(done + 1, len(cells)))

    def _slice(self, cell: Cell, place: dict[str, Any]) -> dict[str, Any]:
        place["t_s"] = round(self.clock.elapsed_s(), 3)
        if cell.target in self.lost:
            return failed_trial(cell, self.lost[cell.target], place)
        try:
            return self._measured(cell, place)
        except TargetError as error:
            self.fleet.drop(cell.target)
            self.watcher.notice(str(error))
            return failed_trial(cell, str(error), place)

    def _measured(self, cell: Cell, place: Mapping[str, Any]) -> dict[str, Any]:
        """Measure one slice. Raises TargetError when the target or the generator is lost."""
        ready = self._warmed_address(cell.target)
        process = self.fleet.process(cell.target)
        order = order_for(
            cell,
            self.profile,
            host=ready.host,
            port=ready.port,
            one_at_a_time=self.targets[cell.target].model.serves_one_at_a_time,
            body=self.fleet.body or "",
            watched_pids=[ready.pid],
        )
        before, stolen_s, began_s = process.sample(), steal_s(self.all_cores), time.monotonic()
        answer = self._ask(order)
        steal_ratio = _ratio_since(stolen_s, steal_s(self.all_cores), began_s, len(self.all_cores))
        use = process.sample().since(before)
        self._release()
        trial = trial_of(cell, answer, use=use, steal_ratio=steal_ratio, place=place)
        if trial["target_replaced"]:
            self.fleet.drop(cell.target)
        return trial

    def _warmed_address(self, name: str) -> Any:
        """Where a target listens; one that is gone is started afresh, if that works."""
        known = self.fleet.is_alive(name)
        try:
            ready = self.fleet.address(name)
        except TargetError as error:
            self.lost[name] = str(error)
            raise
        if not known:
            self._warm(name)
        return ready

    def _warm_all(self) -> None:
        for name in self.targets:
            try:
                self._warm(name)
            except TargetError as error:
                self.watcher.notice(str(error))
                self.fleet.drop(name)

    def _warm(self, name: str) -> None:
        """Send a fresh process some requests that count for nothing."""
        if not self.fleet.is_alive(name):
            return
        ready = self.fleet.address(name)
        one = self.targets[name].model.serves_one_at_a_time
        url = f"http://{ready.host}:{ready.port}/"
        self._ask({"url": url, "keep_alive": not one, "serves_one_at_a_time": one, **WARMING})
        self._release()

    def _ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the generator, starting one where there is none. Raises TargetError if it is lost."""
        if self.generator is None:
            self.generator = Generator(self.cores.generator)
        try:
            return self.generator.measure(order)
        except TargetError:
            self._stop_generator()
            raise

    def _release(self) -> None:
        """Close the last slice's connections; a generator that cannot is ended, which does."""
        if self.generator is None:
            return
        try:
            self.generator.release()
        except TargetError as error:
            self.watcher.notice(str(error))
            self._stop_generator()

    def _stop_generator(self) -> None:
        generator, self.generator = self.generator, None
        if generator is not None:
            generator.kill()

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


def _ratio_since(
    before_s: float | None, after_s: float | None, began_s: float, cores: int
) -> float | None:
    """The share of the cores' time that the hypervisor took since `began_s`."""
    if before_s is None or after_s is None:
        return None
    return (after_s - before_s) / ((time.monotonic() - began_s) * cores)
