"""Measures process pairs: fresh processes of both sides, slices interleaved, each kept at its end.

Knows processes and the generator; decides nothing but when enough was measured, for which it looks
at standard errors only.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from bench.gate.arms import Arm
from bench.gate.decide import Rule, is_precise
from bench.gate.orders import closed_order, failed_line, line_of, open_order, probe_order
from bench.gate.pairs import SIDES, Design, PlannedPair, Regime, Side, couple_orders, plan_pair
from bench.gate.slices import METRICS, failures_of, sample_of
from bench.gate.workload import Workload
from bench.measure.cores import CoreChoice
from bench.measure.foreign import HOST, answers, free_port
from bench.measure.generator import Generator, LastingGenerator, spin_ns_on
from bench.measure.machine import steal_s
from bench.measure.process import Process, TargetError

Line = dict[str, Any]
# The open loop offers this share of what base got in the closed one.
OF_CAPACITY = 0.5
# Work waits that takes so long when nothing else is asked, most of it without the server's CPU.
WAITS_FROM_MS = 5.0
CPU_SHARE_OF_WAITING = 0.5


@dataclass
class Known:
    """What the first pair tells of a workload: its metrics, and the rate of its open loop."""

    metrics: tuple[str, ...]
    alone_ms: float
    rate_rps: float | None = None


@dataclass
class Measured:
    """All slices so far, and what is known of each workload by name; `pairs` are complete."""

    lines: list[Line] = field(default_factory=list)
    known: dict[str, Known] = field(default_factory=dict)
    pairs: int = 0
    ended: str = "interrupted"

    @property
    def metrics(self) -> dict[str, tuple[str, ...]]:
        """What is decided on, by workload."""
        return {name: known.metrics for name, known in self.known.items()}

    @property
    def tests(self) -> int:
        """How many metrics share the rate of false alarms."""
        return sum(len(names) for names in self.metrics.values())


class PairsOfProcesses:
    """Measures pair after pair on the arms; `keep` is given every slice as it ends.

    `look_at_files` is called after the first pair, and may raise UserError.
    """

    def __init__(
        self,
        arms: Mapping[Side, Arm],
        workloads: Sequence[Workload],
        design: Design,
        cores: CoreChoice,
        seed: int,
        keep: Callable[[Line], None],
        look_at_files: Callable[[], None] = lambda: None,
    ) -> None:
        self._look_at_files = look_at_files
        self._arms, self._workloads, self._design = arms, workloads, design
        self._cores, self._seed, self._keep = cores, seed, keep
        self._began_s = time.monotonic()
        self._pair_s = 0.0  # what the last pair took
        self._precise: set[tuple[str, Regime]] = set()
        self._processes: dict[Side, Process] = {}
        self._ports: dict[Side, int] = {}
        self._generator = LastingGenerator(cores.generator)
        self.measured = Measured()

    def run(
        self, budget_s: float, least: int, most: int, rule: Rule, tell: Callable[[str], None]
    ) -> Measured:
        """Measure at least so many pairs, and more while that helps and the budget lasts.

        Raises TargetError when a side does not start, and UserError as soon as base fails requests;
        head failing ends the measurement, since nothing can change what follows.
        """
        done = self.measured
        try:
            while True:
                started_s = time.monotonic()
                self._pair(plan_pair(done.pairs, self._seed))
                self._pair_s = time.monotonic() - started_s
                done.pairs += 1
                if done.pairs == 1:
                    self._look_at_files()
                tell(self._progress(least))
                if failures_of(done.lines):
                    done.ended = "head failed requests"
                    return done
                if done.pairs >= least and self._is_enough(budget_s, most, rule):
                    return done
        finally:
            self._generator.stop()

    def _is_enough(self, budget_s: float, most: int, rule: Rule) -> bool:
        done, elapsed_s = self.measured, time.monotonic() - self._began_s
        for workload, regime in self._regimes():
            names = [n for n in done.known[workload].metrics if METRICS[n] == regime]
            samples = [sample_of(done.lines, workload, name) for name in names]
            if all(is_precise(sample, rule, done.tests) for sample in samples):
                self._precise.add((workload, regime))
        if set(self._regimes()) <= self._precise:
            done.ended = "precise enough"
        elif done.pairs >= most or elapsed_s + self._pair_s > budget_s:
            done.ended = "the budget is spent"
        else:
            return False
        return True

    def _regimes(self) -> list[tuple[str, Regime]]:
        """The regimes that the metrics need, by workload."""
        regimes: list[Regime] = ["closed", "open"]
        return [
            (workload, regime)
            for workload, known in self.measured.known.items()
            for regime in regimes
            if any(METRICS[name] == regime for name in known.metrics)
        ]

    def _progress(self, least: int) -> str:
        pairs, elapsed_s = self.measured.pairs, time.monotonic() - self._began_s
        of = f" of {least}" if pairs <= least else ", extending"
        return f"pair {pairs}{of} measured, {elapsed_s:.0f} s"

    def _pair(self, plan: PlannedPair) -> None:
        with ExitStack() as stack:
            for side in plan.start_order:
                stack.callback(self._start(side, plan.hash_seed).kill)
            for side in plan.start_order:
                path = self._workloads[0].path
                # In the first pair Python compiles all that is imported.
                timeout_s = self._arms[side].ready_timeout_s * (1 if plan.index else 3)
                self._processes[side].wait_until(answers(self._ports[side], path), timeout_s)
            for workload in self._workloads:
                self._measure(workload, plan)

    def _start(self, side: Side, hash_seed: int) -> Process:
        arm, port = self._arms[side], free_port()
        self._ports[side] = port
        self._processes[side] = Process(
            side,
            [word.replace("{port}", str(port)) for word in arm.words],
            cores=self._cores.server,
            env={**arm.env, "PYTHONHASHSEED": f"{hash_seed:010d}"},
            cwd=arm.cwd,
        )
        return self._processes[side]

    def _measure(self, workload: Workload, plan: PlannedPair) -> None:
        for side in plan.start_order:
            self._ask(probe_order(self._url(side, workload), min(8, workload.connections)))
        if workload.name not in self.measured.known:
            self.measured.known[workload.name] = self._look(workload)
        known = self.measured.known[workload.name]
        names = {METRICS[name] for name in known.metrics}
        for regime in ("closed", "open"):
            is_needed = regime in names and (workload.name, regime) not in self._precise
            if is_needed or (regime == "closed" and "open" in names and known.rate_rps is None):
                self._couples(workload, regime, plan)
            if known.rate_rps is None:
                known.rate_rps = workload.rate_rps or self._half_of_capacity(workload)

    def _couples(self, workload: Workload, regime: Regime, plan: PlannedPair) -> None:
        design = self._design
        count = design.closed_couples if regime == "closed" else design.open_couples
        what = f"{workload.name} {regime}"
        for couple, order in enumerate(couple_orders(plan.index, what, count, self._seed)):
            if regime == "open" and not self.measured.known[workload.name].rate_rps:
                return
            stolen_s, began_s = steal_s(self._cores.server), time.monotonic()
            answers_by_side = self._interleaved(workload, regime, plan, couple, order)
            for number, side in enumerate(order):
                place = {
                    "pair": plan.index,
                    "couple": couple,
                    "regime": regime,
                    "workload": workload.name,
                    "side": side,
                    "order": number,
                    "t_s": round(time.monotonic() - self._began_s, 3),
                    "steal_s": _since(stolen_s, steal_s(self._cores.server)),
                    "couple_s": round(time.monotonic() - began_s, 3),
                }
                line = line_of(answers_by_side[side], place)
                self.measured.lines.append(line)
                self._keep(line)

    def _interleaved(
        self,
        workload: Workload,
        regime: Regime,
        plan: PlannedPair,
        couple: int,
        order: tuple[Side, Side],
    ) -> dict[Side, Line]:
        """A slice of each side; those of the closed loop burst by burst, in a random order each."""
        loads = {side: self._load(workload, regime, side, plan, couple) for side in SIDES}
        bursts = loads["base"].get("bursts", 1)
        turns = couple_orders(plan.index, f"{workload.name} {couple} bursts", bursts, self._seed)
        turns = (order, *turns[1:])
        lost: dict[Side, str] = {}
        if regime == "closed":
            for side in order:
                self._step(lost, side, Generator.open, loads[side])
            for turn in turns:
                for side in turn:
                    self._step(lost, side, Generator.burst)
        else:
            for side in order:
                self._step(lost, side, Generator.open, loads[side])
                self._step(lost, side, Generator.burst)
        found = {side: self._finished(lost, side) for side in SIDES}
        self._generator.release()
        return found

    def _step(
        self, lost: dict[Side, str], side: Side, step: Callable[..., None], *load: Line
    ) -> None:
        try:
            if side not in lost:
                self._generator.ask(lambda generator: step(generator, side, *load))
        except TargetError as error:
            lost[side] = str(error)

    def _finished(self, lost: dict[Side, str], side: Side) -> Line:
        try:
            if side not in lost:
                return self._generator.ask(lambda generator: generator.finish(side))
        except TargetError as error:
            lost[side] = str(error)
        process = self._processes[side]
        ended = process.has_ended()
        return failed_line(process.complaint("ended") if ended else lost[side], by_target=ended)

    def _load(
        self, workload: Workload, regime: Regime, side: Side, plan: PlannedPair, couple: int
    ) -> Line:
        known, url = self.measured.known[workload.name], self._url(side, workload)
        pids = self._processes[side].pids()
        if regime == "closed":
            return closed_order(url, workload, self._design, pids, shared=self._cores.shared)
        assert known.rate_rps is not None
        return open_order(
            url,
            workload,
            self._design,
            pids,
            rate_rps=known.rate_rps,
            alone_ms=known.alone_ms,
            seed=1 + plan.index * 1000 + couple,
            spin_ns=spin_ns_on(self._cores),
            shared=self._cores.shared,
        )

    def _url(self, side: Side, workload: Workload) -> str:
        return f"http://{HOST}:{self._ports[side]}{workload.path}"

    def _ask(self, order: Line) -> Line:
        """Some requests that need not succeed: the slices will show what is wrong."""
        try:
            return self._generator.ask(lambda generator: generator.measure(order))
        except TargetError:
            return {}
        finally:
            self._generator.release()

    def _look(self, workload: Workload) -> Known:
        """What base takes for a request when nothing else is asked: does the work wait?"""
        order = probe_order(self._url("base", workload), 1) | {
            "watched_pids": self._processes["base"].pids()
        }
        answer = self._ask(order)
        alone_ms = (answer.get("response_time_ms") or {}).get("p50") or 0.0
        cpu_ms = (answer.get("server_cpu_us_per_request") or 0.0) / 1e3
        waits = alone_ms >= WAITS_FROM_MS and cpu_ms <= CPU_SHARE_OF_WAITING * alone_ms
        return Known(workload.metrics_where(waits=waits), alone_ms)

    def _half_of_capacity(self, workload: Workload) -> float | None:
        """Half of what base got over all connections; None where it got nothing."""
        closed = [
            line["throughput_rps"]
            for line in self.measured.lines
            if line["workload"] == workload.name
            and (line["side"], line["regime"]) == ("base", "closed")
            and line["throughput_rps"]
        ]
        return OF_CAPACITY * statistics.median(closed) if closed else None


def _since(before_s: float | None, after_s: float | None) -> float | None:
    return None if before_s is None or after_s is None else round(after_s - before_s, 3)
