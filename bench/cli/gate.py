"""`crossover gate`: is head slower than base? Measured together, decided with an interval."""

import sys
import time
from typing import Annotated

import typer

from bench.errors import UserError

DEFAULT_PAIRS = 10
DEFAULT_COUPLES = 4


def gate(
    base: Annotated[str, typer.Option(help="command that serves the base, with {port} in it")],
    head: Annotated[str, typer.Option(help="command that serves the head, with {port} in it")],
    path: Annotated[str, typer.Option(help="what to request")] = "/delay=20ms",
    connections: Annotated[int, typer.Option(min=1, max=50_000)] = 64,
    pairs: Annotated[
        int, typer.Option(help="pairs of fresh processes", min=2, max=1000)
    ] = DEFAULT_PAIRS,
    couples: Annotated[
        int, typer.Option(help="slices of each side within a pair", min=1, max=1000)
    ] = DEFAULT_COUPLES,
    window: Annotated[str, typer.Option(help="length of a slice, at least")] = "250ms",
    margin: Annotated[float, typer.Option(help="slowdown that matters, as a share")] = 0.05,
    metrics: Annotated[str, typer.Option(help="what to decide on: throughput,p99")] = "throughput",
    seed: Annotated[int, typer.Option(help="seed of the order of slices")] = 1,
) -> int:
    """Is head slower than base? Exit code 0: no; 1: yes; 3: cannot be told."""
    from bench.gate.decide import Rule, decide
    from bench.gate.measure import Workload, measure_pairs
    from bench.gate.pairs import plan_pairs
    from bench.measure.cores import cores_here
    from bench.measure.foreign import command_words
    from bench.measure.machine import require_descriptors
    from bench.measure.quantities import parse_budget_s

    rule = Rule(margin=margin, metrics=tuple(name.strip() for name in metrics.split(",")))
    sides = {"base": command_words(base, "--base"), "head": command_words(head, "--head")}
    workload = Workload(_checked_path(path), connections, parse_budget_s(window, "--window"))
    plan = plan_pairs(pairs, couples, seed)
    require_descriptors(connections + 64)
    began_s = time.monotonic()

    def tell(done: int) -> None:
        left_s = (time.monotonic() - began_s) / done * (pairs - done)
        print(f"pair {done} of {pairs} measured, {left_s:.0f} s left", file=sys.stderr, flush=True)

    decision = decide(measure_pairs(sides, plan, workload, cores_here(), tell), rule)
    print(f"{decision.outcome} ({path}, {connections} connections, {pairs} process pairs)")
    for reason in dict.fromkeys([*decision.reasons, *(f.reason for f in decision.findings)]):
        print(f"  {reason}")
    return decision.exit_code


def _checked_path(path: str) -> str:
    if not path.startswith("/"):
        raise UserError(f"--path: must begin with a slash, not {path!r}")
    if not path.isascii() or not path.isprintable() or " " in path:
        raise UserError(f"--path: write spaces and all but plain ASCII as %XX, not {path!r}")
    return path
