"""One pair of fresh processes, up and asked: starts both sides, and takes slices of them.

Knows processes and their generators, one for each side, which change sides from pair to pair. Must
not know workloads' metrics, nor when enough was measured.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from bench.gate.arms import Arm
from bench.gate.orders import failed_line
from bench.gate.pairs import SIDES, PlannedPair, Side
from bench.measure.foreign import HOST, answers, free_port
from bench.measure.generator import Generator, LastingGenerator
from bench.measure.interrupts import held_back
from bench.measure.process import Process, TargetError

Line = dict[str, Any]
Order = tuple[Side, Side]
Step = Callable[[Generator, str], None]
# Of a slice of each side at the same time: taken with both before the next.
OPEN_STEPS: tuple[Step, ...] = (Generator.begin_burst, Generator.end_burst)
CLOSED_STEPS: tuple[Step, ...] = (
    Generator.begin_meeting,
    *(Generator.arrive, Generator.go_on),  # when settled
    *(Generator.arrive, Generator.go_on),  # when measured
    Generator.end_burst,
)
# In the first pair Python compiles all that is imported.
PATIENCE_AT_FIRST = 3


class LivePair:
    """Both sides of a pair; a context manager, on leaving which what was started is killed."""

    def __init__(
        self,
        arms: Mapping[Side, Arm],
        plan: PlannedPair,
        cores: Collection[int],
        generators: Sequence[LastingGenerator],
    ) -> None:
        self._arms, self._plan, self._cores = arms, plan, cores
        self._generators = dict(zip(plan.start_order, generators, strict=True))
        self._processes: dict[Side, Process] = {}
        self._ports: dict[Side, int] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "LivePair":
        return self

    def __exit__(self, *exc_info: object) -> None:
        with held_back():
            self._stack.close()

    def start(self, path: str) -> None:
        """Start both; TargetError with its last output when one does not answer `path` in time."""
        for side in self._plan.start_order:
            with held_back():
                self._start(side)
                self._stack.callback(self._processes[side].kill)
        for side in self._plan.start_order:
            timeout_s = self._arms[side].ready_timeout_s
            timeout_s *= 1 if self._plan.index else PATIENCE_AT_FIRST
            self._processes[side].wait_until(answers(self._ports[side], path), timeout_s)

    def url(self, side: Side, path: str) -> str:
        """Where a side is asked for a path."""
        return f"http://{HOST}:{self._ports[side]}{path}"

    def pids(self, side: Side) -> list[int]:
        """The processes of a side."""
        return self._processes[side].pids()

    def threads(self, side: Side) -> int:
        """How many threads a side has, in all of its processes."""
        return self._processes[side].sample().threads

    def ask(self, side: Side, order: Line) -> Line:
        """Some requests that need not succeed: the slices will show what is wrong."""
        try:
            return self._generators[side].ask(lambda generator: generator.measure(order))
        except TargetError:
            return {}
        finally:
            self._generators[side].release()

    def at_once(
        self, loads: Mapping[Side, Line], order: Order, steps: Sequence[Step]
    ) -> dict[Side, Line]:
        """A slice of each side, both at the same time, in `CLOSED_STEPS` or `OPEN_STEPS`."""
        lost: dict[Side, str] = {}
        for side in order:
            self._step(lost, side, Generator.open, loads[side])
        for step in steps:
            for side in order:
                self._step(lost, side, step)
        return self._finished(lost)

    def in_bursts(self, loads: Mapping[Side, Line], turns: Sequence[Order]) -> dict[Side, Line]:
        """A slice of each side, both open at once, a burst of each in every turn."""
        lost: dict[Side, str] = {}
        for side in turns[0]:
            self._step(lost, side, Generator.open, loads[side])
        for turn in turns:
            for side in turn:
                self._step(lost, side, Generator.burst)
        return self._finished(lost)

    def one_by_one(self, loads: Mapping[Side, Line], order: Order) -> dict[Side, Line]:
        """A slice of each side, the second after the first."""
        lost: dict[Side, str] = {}
        for side in order:
            self._step(lost, side, Generator.open, loads[side])
            self._step(lost, side, Generator.burst)
        return self._finished(lost)

    def _start(self, side: Side) -> None:
        arm, port = self._arms[side], free_port()
        self._ports[side] = port
        self._processes[side] = Process(
            side,
            [word.replace("{port}", str(port)) for word in arm.words],
            cores=self._cores,
            env={**arm.env, "PYTHONHASHSEED": f"{self._plan.hash_seed:010d}"},
            cwd=arm.cwd,
        )

    def _step(
        self, lost: dict[Side, str], side: Side, step: Callable[..., None], *load: Line
    ) -> None:
        try:
            if side not in lost:
                self._generators[side].ask(lambda generator: step(generator, side, *load))
        except TargetError as error:
            lost[side] = str(error)

    def _finished(self, lost: dict[Side, str]) -> dict[Side, Line]:
        """The figures of both slices; where there are none, whose fault it is."""
        found = {side: self._figures(lost, side) for side in SIDES}
        for side in SIDES:
            self._generators[side].release()
        return found

    def _figures(self, lost: dict[Side, str], side: Side) -> Line:
        try:
            if side not in lost:
                return self._generators[side].ask(lambda generator: generator.finish(side))
        except TargetError as error:
            lost[side] = str(error)
        process = self._processes[side]
        ended = process.has_ended()
        return failed_line(process.complaint("ended") if ended else lost[side], by_target=ended)
