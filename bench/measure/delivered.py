"""The delivered delay: how much later than asked the waits of each model really ended.

A fresh server of each traces its own waits while it is loaded for a moment, and hands them over
when it is asked to stop. Runs after the rounds, since tracing costs. Must not know rounds.
"""

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.measure.generator import Generator
from bench.measure.plan import Server
from bench.measure.process import Process, TargetError
from bench.measure.profile import work_of
from bench.measure.targets import Target
from bench.measure.tracing import steps_in

LOADS = {"idle": 1, "loaded": 64}
WINDOW_S = 1.0
PERCENTILES = {"p1": 1.0, "p10": 10.0, "p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}


def loads_of(target: Target) -> dict[str, int]:
    """The loads of a target, and their connections.

    None of a target that is not ours; the idle one where one connection is served at a time.
    """
    if target.model.kind != "driver":
        return {}
    if target.model.serves_one_at_a_time:
        return {"idle": LOADS["idle"]}
    return dict(LOADS)


def measure_waits(
    target: Target, load: str, delay_s: float, cores: Collection[int], generator: Generator
) -> dict[str, Any]:
    """One line of waits.jsonl. Raises TargetError where the target or the generator fails."""
    with TemporaryDirectory(prefix="crossover-") as folder:
        file = Path(folder) / "steps.jsonl"
        with target.traced(file).launch(Server(target.name), cores, None) as process:
            ready = process.wait_ready()
            one = target.model.serves_one_at_a_time
            connections = LOADS[load]
            generator.measure(
                {
                    "url": f"http://{ready.host}:{ready.port}{work_of(delay_s)}",
                    "connections": connections,
                    "keep_alive": not one,
                    "serves_one_at_a_time": one,
                    "delay_s": delay_s,
                    "window_s": WINDOW_S,
                    "window_limit_s": 2 * WINDOW_S + 2 * delay_s,
                    "drain_s": 2 * delay_s + 0.5,
                }
            )
            generator.release()
            process.stop()
            oversleep_ns = oversleep_in(process, file)
    return {
        "target": target.name,
        "asked_s": delay_s,
        "connections": connections,
        "load": load,
        "samples": len(oversleep_ns),
        "oversleep_us": summary_us(oversleep_ns),
    }


def summary_us(oversleep_ns: Sequence[int]) -> dict[str, float]:
    """Least, percentiles (nearest rank) and most of some waits, in us."""
    ordered = sorted(oversleep_ns)
    values = {"min": ordered[0]}
    for name, share in PERCENTILES.items():
        rank = math.ceil(round(len(ordered) * share / 100, 6))
        values[name] = ordered[rank - 1]
    values["max"] = ordered[-1]
    return {name: ns / 1e3 for name, ns in values.items()}


def oversleep_in(process: Process, file: Path) -> list[int]:
    """How much longer than asked each delay took, in ns. Raises TargetError where none did."""
    delays = [step for step in steps_in(process, file) if step["step"] == "delay"]
    if not delays:
        raise TargetError(process.complaint("traced no delays"))
    return [step["ended_ns"] - step["began_ns"] - round(step["asked_s"] * 1e9) for step in delays]
