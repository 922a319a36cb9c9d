"""What the first pair tells of a workload: whether it waits, and what its open loop is offered.

That is asked of base only: head must not have a say in what it is asked. Both are looked at for
whether they answer alike.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.gate.live_pair import LivePair
from bench.gate.orders import open_order, probe_order
from bench.gate.pairs import SIDES, Design
from bench.gate.replies import common_status, difference, is_empty_only_in_head, replies_from
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
    """What the first pair tells of a workload: its metrics, and the rate of its open loop.

    `status` is what every reply has to have. `notes` are for the reader, `failures` of head.
    """

    metrics: tuple[str, ...]
    alone_ms: float
    status: int | None = None
    rate_rps: float | None = None
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def look_at(pair: LivePair, workload: Workload) -> Known:
    """What base takes for a request when nothing else is asked, and whether head answers alike.

    Work waits that takes its time without the server's CPU.
    """
    timeout_s = workload.request_timeout_s
    base, head = (replies_from(pair.url(side, workload.path), timeout_s) for side in SIDES)
    order = probe_order(pair.url("base", workload.path), 1)
    answer = pair.ask("base", {**order, "watched_pids": pair.pids("base")})
    alone_ms = (answer.get("response_time_ms") or {}).get("p50") or 0.0
    cpu_ms = (answer.get("server_cpu_us_per_request") or 0.0) / 1e3
    waits = alone_ms >= WAITS_FROM_MS and cpu_ms <= CPU_SHARE_OF_WAITING * alone_ms
    known = Known(workload.metrics_where(waits=waits), alone_ms, common_status(base))
    if known.status and is_empty_only_in_head(base, head):
        known.failures.append(f"{workload.path}: head's replies have no body, base's have one")
    elif known.status and (differs := difference(base, head)):
        known.notes.append(f"{workload.path}: {differs}: do they do the same work?")
    return known


def sharing_note(base_threads: int, head_threads: int, grouping: str) -> str | None:
    """What is to be known where the two at once may get unequal shares of the cores.

    `grouping` is what /proc/sys/kernel/sched_autogroup_enabled holds: 1 where the kernel shares the
    cores between sessions, as each side is one, and not between threads.
    """
    if base_threads == head_threads or grouping.strip() == "1":
        return None
    return (
        f"head has {head_threads} threads, base {base_threads}, and this kernel shares the cores "
        "by thread: measured at once one may get more of them than the other; see --in-turns"
    )


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
        status=known.status,
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
