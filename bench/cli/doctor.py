"""`crossover doctor`: is this machine fit to measure on?"""

import json
import sys
from typing import Annotated, Any

import typer

from bench.errors import UserError
from bench.measure.ceiling import measure_ceiling
from bench.measure.cores import cores_here
from bench.measure.machine import require_descriptors

DESCRIPTORS = 128


def doctor(
    generator: Annotated[
        bool, typer.Option("--generator", help="what the generator itself can do here")
    ] = False,
    seconds: Annotated[float, typer.Option(help="how long each figure is measured")] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> int:
    """Measure what the generator can do on this machine, against the cheapest possible server."""
    if not generator:
        raise UserError("say what to look at: --generator")
    if not 0.1 <= seconds <= 600:
        raise UserError(f"--seconds {seconds:g}: give 0.1 to 600")
    cores = cores_here()
    require_descriptors(DESCRIPTORS)
    figures = measure_ceiling(cores, seconds, lambda name: print(f"{name} ...", file=sys.stderr))
    if as_json:
        print(json.dumps({**figures, "shared_core": cores.shared}, allow_nan=False))
    else:
        print("\n".join(in_words(figures)))
        if cores.shared:
            print("generator and server share a core here: both are slower than they could be")
    return 0


def in_words(figures: dict[str, Any]) -> list[str]:
    """The figures as lines."""
    floor = figures["floor_ms"]
    return [
        f"ceiling      {figures['ceiling_rps']:.0f} req/s on one core "
        f"({figures['cpu_us_per_request']:.1f} us CPU a request; the null server gave "
        f"{figures['throughput_rps']:.0f} req/s over 64 connections)",
        f"floor        {floor['p50']:.3f} ms response time p50, {floor['p99']:.3f} ms p99, "
        "over one connection",
        *(
            f"lateness     {late['p50']:.3f} ms p50, {late['p99']:.3f} ms p99, "
            f"at {rate} req/s in an open loop"
            for rate, late in figures["lateness_ms"].items()
        ),
    ]
