"""Measures the planned pairs: two commands, fresh processes for each pair, slices interleaved.

Knows processes and the generator; decides nothing.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from bench.gate.decide import Couple, Slice, require_base, slice_of_trial
from bench.gate.pairs import PlannedPair
from bench.measure.cores import CoreChoice
from bench.measure.foreign import HOST, start_foreign
from bench.measure.generator import Generator

WARMING_S = 0.3
DRAIN_S = 2.0
WINDOW_LIMIT_S = 30.0


@dataclass(frozen=True)
class Workload:
    """What both sides are asked, and how a slice of it is measured."""

    path: str
    connections: int
    window_s: float
    completions_per_connection: int = 10


def measure_pairs(
    sides: Mapping[str, Sequence[str]],
    plan: Sequence[PlannedPair],
    workload: Workload,
    cores: CoreChoice,
    tell: Callable[[int], None],
) -> list[list[Couple]]:
    """Measure every pair of the plan; `tell` is given the number of finished ones after each.

    Raises TargetError when a side does not start or does not answer, and UserError as soon as base
    fails requests. A head that dies later shows in the errors of its slices.
    """
    measured = []
    for pair in plan:
        measured.append(_measure_pair(sides, pair, workload, cores))
        require_base(measured[-1])
        tell(len(measured))
    return measured


def _measure_pair(
    sides: Mapping[str, Sequence[str]], pair: PlannedPair, workload: Workload, cores: CoreChoice
) -> list[Couple]:
    env = {**os.environ, "PYTHONHASHSEED": str(pair.hash_seed)}
    with ExitStack() as stack:
        ports: dict[str, int] = {}
        for side in pair.start_order:
            process, ports[side] = start_foreign(
                side, sides[side], cores=cores.server, path=workload.path, env=env
            )
            stack.callback(process.kill)
        generator = stack.enter_context(Generator(cores.generator))
        for side in pair.start_order:
            _slice(generator, ports[side], workload, WARMING_S)
        couples = []
        for order in pair.couples:
            slices = {
                side: _slice(generator, ports[side], workload, workload.window_s) for side in order
            }
            couples.append(Couple(base=slices["base"], head=slices["head"]))
        return couples


def _slice(generator: Generator, port: int, workload: Workload, window_s: float) -> Slice:
    answer = generator.measure(
        {
            "url": f"http://{HOST}:{port}{workload.path}",
            "connections": workload.connections,
            "window_s": window_s,
            "window_limit_s": window_s + WINDOW_LIMIT_S,
            "completions_wanted": workload.completions_per_connection * workload.connections,
            "drain_s": DRAIN_S,
        }
    )
    generator.release()
    return slice_of_trial(answer)
