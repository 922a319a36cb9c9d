"""What the first pair tells of a workload: whether it waits, and what its open loop is offered.

Asks base only: head must not have a say in what it is asked.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.gate.live_pair import LivePair
from bench.gate.orders import open_order, probe_order
from bench.gate.pairs import SIDES, Design
from bench.gate.workload import Workload
from bench.measure.cores import CoreChoice

OF_CAPACITY = 0.5
# What a request costs where few are asked for is looked at with this share of base's capacity.
LIGHTLY = 0.125
LIGHT_S = 0.5
# Work waits that takes so long when nothing else is asked, most of it without the server's CPU.
WAITS_FROM_MS = 5.0
CPU_SHARE_OF_WAITING = 0.5


@dataclass
class Known:
    """What the first pair tells of a workload: its metrics, and the rate of its open loop."""

    metrics: tuple[str, ...]
    alone_ms: float
    rate_rps: float | None = None


def look_at(pair: LivePair, workload: Workload) -> Known:
    """What base takes for a request when nothing else is asked: does the work wait?"""
    order = probe_order(pair.url("base", workload.path), 1)
    answer = pair.ask("base", {**order, "watched_pids": pair.pids("base")})
    alone_ms = (answer.get("response_time_ms") or {}).get("p50") or 0.0
    cpu_ms = (answer.get("server_cpu_us_per_request") or 0.0) / 1e3
    waits = alone_ms >= WAITS_FROM_MS and cpu_ms <= CPU_SHARE_OF_WAITING * alone_ms
    return Known(workload.metrics_where(waits=waits), alone_ms)


def rate_rps(
    pair: LivePair,
    workload: Workload,
    known: Known,
    design: Design,
    cores: CoreChoice,
    lines: Sequence[Mapping[str, Any]],
) -> float | None:
    """Of the open loop: half of what base can do by its slices; None where it got nothing."""
    got = [
        line["throughput_rps"]
        for line in lines
        if line["workload"] == workload.name
        and (line["side"], line["regime"]) == ("base", "closed")
        and line["throughput_rps"]
    ]
    if not got:
        return None
    capacity_rps, count = statistics.median(got), len(cores.server)
    few = {"rate_rps": LIGHTLY * capacity_rps, "alone_ms": known.alone_ms, "seed": 1, "spin_ns": 0}
    order = open_order(
        pair.url("base", workload.path),
        workload,
        replace(design, open_s=LIGHT_S),
        pair.pids("base"),
        few,
        shared=cores.shared,
    )
    return half_of_capacity_rps(
        capacity_rps,
        pair.ask("base", order).get("server_cpu_us_per_request"),
        count / len(SIDES) if design.at_once else count,
    )


def half_of_capacity_rps(capacity_rps: float, cpu_us: float | None, cores: float) -> float:
    """The rate of the open loop: half of what base gets over all connections.

    And it keeps half of the `cores` busy at most. `cpu_us` is what a request costs where few are
    asked for: many at once share the rounds of an event loop, so capacity alone promises too much.
    """
    half_rps = OF_CAPACITY * capacity_rps
    return half_rps if not cpu_us else min(half_rps, OF_CAPACITY * cores * 1e6 / cpu_us)
