"""Measures process pairs: fresh processes of both sides, slices in couples, each kept at its end.

Decides nothing but when enough was measured, for which it looks at standard errors only.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.gate.arms import Arm
from bench.gate.decide import is_precise
from bench.gate.first_look import Known, look_at, rate_rps, sharing_note
from bench.gate.live_pair import CLOSED_STEPS, OPEN_STEPS, LivePair, Order
from bench.gate.orders import closed_order, line_of, open_order, probe_order
from bench.gate.pairs import SIDES, Design, PlannedPair, Regime, Side, couple_orders, plan_pair
from bench.gate.rule import Rule
from bench.gate.slices import METRICS, failures_of, sample_of
from bench.gate.workload import Workload
from bench.measure.cores import CoreChoice
from bench.measure.generator import LastingGenerator, spin_ns_on
from bench.measure.machine import steal_s
from bench.measure.process import TargetError

Line = dict[str, Any]
REGIMES: tuple[Regime, Regime] = ("closed", "open")
GROUPING = Path("/proc/sys/kernel/sched_autogroup_enabled")
# More than this, and it is said that the least number of pairs did not fit into the budget.
OVER_BUDGET = 1.1


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
    def failures(self) -> list[str]:
        """How head failed where base did not. Raises UserError where nothing compares."""
        of_replies = [failure for known in self.known.values() for failure in known.failures]
        return [*of_replies, *failures_of(self.lines)]

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
        self._generators = [LastingGenerator(cores.generator) for _ in SIDES]
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
                if done.failures:
                    done.ended = "head failed requests"
                    return done
                if done.pairs >= least and self._is_enough(budget_s, most, rule):
                    return done
        finally:
            for generator in self._generators:
                generator.stop()

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
            over = elapsed_s > OVER_BUDGET * budget_s
            least = f"the least number of pairs took {elapsed_s:.0f} s, more than the budget"
            done.ended = least if over else "the budget is spent"
        else:
            return False
        return True

    def _regimes(self) -> list[tuple[str, Regime]]:
        """The regimes that the metrics need, by workload."""
        return [
            (workload, regime)
            for workload, known in self.measured.known.items()
            for regime in REGIMES
            if any(METRICS[name] == regime for name in known.metrics)
        ]

    def _progress(self, least: int) -> str:
        pairs, elapsed_s = self.measured.pairs, time.monotonic() - self._began_s
        of = f" of {least}" if pairs <= least else ", extending"
        return f"pair {pairs}{of} measured, {elapsed_s:.0f} s"

    def _pair(self, plan: PlannedPair) -> None:
        with LivePair(self._arms, plan, self._cores.server, self._generators) as pair:
            pair.start(self._workloads[0].path)
            for workload in self._workloads:
                self._measure(pair, workload, plan)

    def _measure(self, pair: LivePair, workload: Workload, plan: PlannedPair) -> None:
        for side in plan.start_order:
            pair.ask(side, probe_order(pair.url(side, workload.path), min(8, workload.connections)))
        if workload.name not in self.measured.known:
            self.measured.known[workload.name] = look_at(pair, workload)
        known = self.measured.known[workload.name]
        names = {METRICS[name] for name in known.metrics}
        for regime in REGIMES:
            is_needed = regime in names and (workload.name, regime) not in self._precise
            if is_needed or (regime == "closed" and "open" in names and known.rate_rps is None):
                self._couples(pair, workload, regime, plan)
            if self._design.at_once and (regime, plan.index) == ("closed", 0):
                known.notes.extend(_of_sharing(pair))
            if "open" in names and known.rate_rps is None:
                known.rate_rps = workload.rate_rps or rate_rps(
                    pair, workload, known, self._design, self._cores, self.measured.lines
                )

    def _couples(
        self, pair: LivePair, workload: Workload, regime: Regime, plan: PlannedPair
    ) -> None:
        design = self._design
        count = design.closed_couples if regime == "closed" else design.open_couples
        orders = couple_orders(plan.index, f"{workload.name} {regime}", count, self._seed)
        for couple, order in enumerate(orders):
            if regime == "open" and not self.measured.known[workload.name].rate_rps:
                return
            stolen_s, began_s = steal_s(self._cores.server), time.monotonic()
            pids = {side: pair.pids(side) for side in SIDES}
            figures = self._couple(pair, workload, regime, plan, couple, order)
            changed = {side: set(pair.pids(side)) != set(pids[side]) for side in SIDES}
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
                    "processes_changed": changed[side],
                }
                line = line_of(figures[side], place)
                self.measured.lines.append(line)
                self._keep(line)

    def _couple(
        self,
        pair: LivePair,
        workload: Workload,
        regime: Regime,
        plan: PlannedPair,
        couple: int,
        order: Order,
    ) -> dict[Side, Line]:
        """A slice of each side: at once, or in turns, those of the closed loop burst by burst."""
        known, design, shared = self.measured.known[workload.name], self._design, self._cores.shared
        urls = {side: pair.url(side, workload.path) for side in SIDES}
        if regime == "closed":
            loads = {
                side: closed_order(
                    urls[side],
                    workload,
                    design,
                    pair.pids(side),
                    status=known.status,
                    shared=shared,
                )
                for side in SIDES
            }
            if design.at_once:
                return pair.at_once(loads, order, CLOSED_STEPS)
            what = f"{workload.name} {couple} bursts"
            more = couple_orders(plan.index, what, design.bursts, self._seed)[1:]
            return pair.in_bursts(loads, (order, *more))
        assert known.rate_rps is not None
        arrivals = {
            "rate_rps": known.rate_rps,
            "alone_ms": known.alone_ms,
            "seed": 1 + plan.index * 1000 + couple,
            "spin_ns": spin_ns_on(self._cores),
        }
        loads = {
            side: open_order(
                urls[side],
                workload,
                design,
                pair.pids(side),
                arrivals,
                status=known.status,
                shared=shared,
            )
            for side in SIDES
        }
        if design.at_once:
            return pair.at_once(loads, order, OPEN_STEPS)
        return pair.one_by_one(loads, order)


def _of_sharing(pair: LivePair) -> list[str]:
    """What is to be known of how the two share the cores, once both have been loaded."""
    try:
        base, head = (pair.threads(side) for side in SIDES)
        note = sharing_note(base, head, GROUPING.read_text())
    except (OSError, TargetError):  # an old kernel, or a side that has ended: the slices show that
        return []
    return [note] if note else []


def _since(before_s: float | None, after_s: float | None) -> float | None:
    return None if before_s is None or after_s is None else round(after_s - before_s, 3)
