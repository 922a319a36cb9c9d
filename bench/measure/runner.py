"""A run, measured: rounds of fresh servers, slices interleaved over them, each saved as it ends.

The harness itself does nothing while a slice is measured: it sleeps on the generator's answer.
Progress is told through a `Watcher`, between slices only.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Protocol, TypeVar

from bench.measure.cores import CoreChoice
from bench.measure.generator import Generator
from bench.measure.interrupts import InterruptedRunError, ignore_signals, interruptible
from bench.measure.machine import steal_s
from bench.measure.plan import Cell, burst_order, round_order
from bench.measure.process import Ready, TargetError
from bench.measure.profile import Profile
from bench.measure.slice import failed_trial, order_for, trial_of
from bench.measure.targets import Fleet, Target
from bench.measure.usage import Usage
from bench.store import RunWriter

WARMING = {"connections": 4, "window_s": 0.05, "completions_wanted": 200, "window_limit_s": 2.0}


Answer = TypeVar("Answer")


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


@dataclass
class Slice:
    """A slice in progress: its cell, its bursts, and what its target had used before it."""

    cell: Cell
    load: dict[str, Any] = field(default_factory=dict)
    before: Usage | None = None
    lost: str | None = None

    @property
    def bursts(self) -> int:
        """How many bursts it takes."""
        return int(self.load.get("bursts", 1))


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
        done, order = 0, round_order(self.profile, index)
        for _, cells in groupby(order, key=lambda cell: cell.point):
            for cell, trial in self._point(list(cells), index):
                done += 1
                self.order += 1
                self.writer.append(trial)
                self.watcher.slice_ends(cell, trial, self._left_s(done, len(order)))

    def _point(self, cells: Sequence[Cell], index: int) -> Iterator[tuple[Cell, dict[str, Any]]]:
        """Measure the targets of a point in turns, burst by burst; each one's trials line."""
        t_s = round(self.clock.elapsed_s(), 3)
        stolen_s, began_s = steal_s(self.all_cores), time.monotonic()
        slices = [self._slice(cell) for cell in cells]
        for each in slices:
            self._open(each)
        generator = random.Random(f"{self.profile.seed}/{index}/{self.order}")
        for turn in burst_order([each.bursts for each in slices], generator):
            self._burst(slices[turn])
        steal_ratio = _ratio_since(stolen_s, steal_s(self.all_cores), began_s, len(self.all_cores))
        finished = [self._finish(each) for each in slices]
        self._release()
        for each, finish in zip(slices, finished, strict=True):
            place = {"round": index, "order": self.order, "t_s": t_s}
            yield each.cell, self._trial(each, finish, steal_ratio, place)

    def _slice(self, cell: Cell) -> Slice:
        """A cell whose target is up and warm, or that says why it is lost."""
        if cell.target in self.lost:
            return Slice(cell, lost=self.lost[cell.target])
        try:
            return Slice(cell, load=self._load(cell, self._warmed_address(cell.target)))
        except TargetError as error:
            return Slice(cell, lost=self._give_up(cell, error))

    def _load(self, cell: Cell, ready: Ready) -> dict[str, Any]:
        return order_for(
            cell,
            self.profile,
            host=ready.host,
            port=ready.port,
            one_at_a_time=self.targets[cell.target].model.serves_one_at_a_time,
            body=self.fleet.body or "",
            watched_pids=[ready.pid],
        )

    def _open(self, each: Slice) -> None:
        if each.lost is None:
            target = each.cell.target
            try:
                each.before = self.fleet.process(target).sample()
                self._ask(lambda generator: generator.open(target, each.load))
            except TargetError as error:
                each.lost = self._give_up(each.cell, error)

    def _burst(self, each: Slice) -> None:
        if each.lost is None:
            try:
                self._ask(lambda generator: generator.burst(each.cell.target))
            except TargetError as error:
                each.lost = self._give_up(each.cell, error)

    def _finish(self, each: Slice) -> tuple[dict[str, Any], Usage] | None:
        """The figures of a slice and what its target used; None where it is lost."""
        if each.lost is not None or each.before is None:
            return None
        try:
            answer = self._ask(lambda generator: generator.finish(each.cell.target))
            return answer, self.fleet.process(each.cell.target).sample().since(each.before)
        except TargetError as error:
            each.lost = self._give_up(each.cell, error)
            return None

    def _trial(
        self,
        each: Slice,
        finished: tuple[dict[str, Any], Usage] | None,
        steal_ratio: float | None,
        place: Mapping[str, Any],
    ) -> dict[str, Any]:
        if finished is None:
            return failed_trial(each.cell, each.lost or "", place)
        answer, use = finished
        trial = trial_of(each.cell, answer, use=use, steal_ratio=steal_ratio, place=place)
        if trial["target_replaced"]:
            self.fleet.drop(each.cell.target)
        return trial

    def _give_up(self, cell: Cell, error: TargetError) -> str:
        self.fleet.drop(cell.target)
        self.watcher.notice(str(error))
        return str(error)

    def _warmed_address(self, name: str) -> Ready:
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
        load = {"url": url, "keep_alive": not one, "serves_one_at_a_time": one, **WARMING}
        self._ask(lambda generator: generator.measure(load))
        self._release()

    def _ask(self, question: Callable[[Generator], Answer]) -> Answer:
        """Ask the generator, starting one where there is none. Raises TargetError if it is lost."""
        if self.generator is None:
            self.generator = Generator(self.cores.generator)
        try:
            return question(self.generator)
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
