"""`crossover doctor`: is this machine fit to measure on, and what to change."""

import json
import sys
from typing import Annotated, Any

import typer

from bench.errors import UserError
from bench.measure.ceiling import measure_ceiling
from bench.measure.cores import cores_here
from bench.measure.machine import require_descriptors
from bench.store import RESULTS

DESCRIPTORS = 128
NOT_FIT = 3


def doctor(
    generator: Annotated[
        bool, typer.Option("--generator", help="only what the generator itself can do here")
    ] = False,
    seconds: Annotated[
        float, typer.Option(help="how long each figure of the generator is measured")
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> int:
    """Look at this machine: cores, load, limits, noise, and what the generator can do on it.

    Exit code 3 where something is bad.
    """
    from bench.measure.fitness import judge, look
    from bench.measure.lock import only_run
    from bench.measure.noise import measure_noise

    if not 0.1 <= seconds <= 600:
        raise UserError(f"--seconds {seconds:g}: give 0.1 to 600")
    cores = cores_here()
    require_descriptors(DESCRIPTORS)
    with only_run():
        checks = [] if generator else judge(look(cores, RESULTS))
        if not as_json:
            print(*checks, sep="\n", end="\n" if checks else "", flush=True)
        noise = None if generator else measure_noise(cores, _tell)
        figures = measure_ceiling(cores, seconds, _tell)
    if as_json:
        told: dict[str, Any] = {**figures, "shared_core": cores.shared}
        if noise is not None:
            told |= {
                "checks": [vars(check) for check in checks],
                "noise": {"round_spread": noise.spread, "quick_run_resolves": noise.resolved},
            }
        print(json.dumps(told, allow_nan=False))
    else:
        if noise is not None:
            print(noise_in_words(noise.spread, noise.resolved))
        print("\n".join(in_words(figures)))
        if cores.shared:
            print("generator and server share a core here: both are slower than they could be")
    return NOT_FIT if any(check.grade == "bad" for check in checks) else 0


def _tell(line: str) -> None:
    print(f"{line} ...", file=sys.stderr, flush=True)


def noise_in_words(spread: float | None, resolved: float | None) -> str:
    """How noisy it is here, and what that allows."""
    if spread is None or resolved is None:
        return "noise        could not be measured: too few slices of it were valid"
    return (
        f"noise        one model against itself: {spread:.1%} from round to round, so that a quick "
        f"run tells differences from about {resolved:.1%} on"
    )


def in_words(figures: dict[str, Any]) -> list[str]:
    """What the generator can do, as lines."""
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
