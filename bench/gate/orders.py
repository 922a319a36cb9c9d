"""What the generator is asked for in a slice of a gate, and the line of its answer. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.gate.pairs import Design
from bench.gate.slices import ARRIVALS_FOR_P99
from bench.gate.workload import Workload
from bench.measure.rate_trials import ENDLESS_S
from bench.measure.slice import SATURATED_DELAYS, SHARE_OF_EACH, STRETCH

COMPLETIONS_PER_CONNECTION = 10
COMPLETIONS_SATURATED = 3
WARMUP_LIMIT_S = 5.0
WINDOW_LIMIT_S = 15.0
OPEN_WARMUP_S = 0.15
OPEN_LIMIT_S = 5.0
# The generator looks ten times a second, at some thousands of connections at a time.
TIMEOUT_NOTICED_S = 1.0
# So many times what a request takes alone, an open loop runs before it is measured.
WARMUP_REQUESTS = 4

# Figures that a line takes over from the generator's answer under the same name.
_TAKEN = (
    "requests",
    "served",
    "completions",
    "duration_s",
    "warmup_s",
    "settled",
    "throughput_rps",
    "offered_rps",
    "scheduled",
    "sent_rps",
    "errors",
    "response_time_ms",
    "service_time_ms",
    "lateness_ms",
    "at_least",
    "censored",
    "owed",
    "in_flight_mean",
    "little_ratio",
    "client_cpu_utilisation",
    "client_waited_for_cpu",
    "server_cpu_us_per_request",
    "server_cpu_utilisation",
    "response_time_hist",
    "valid",
    "invalid_reasons",
    "generator_at_fault",
)


def closed_order(
    url: str,
    workload: Workload,
    design: Design,
    pids: Sequence[int],
    *,
    status: int | None,
    shared: bool,
) -> dict[str, Any]:
    """A slice of the saturated closed loop; `status` is what every reply has to have."""
    connections, delay_s = workload.connections, workload.delay_s
    return {
        **_asked(url, workload, status),
        "delay_s": delay_s,
        "window_s": design.closed_s,
        "bursts": design.bursts,
        "window_limit_s": design.closed_s + WINDOW_LIMIT_S + 20 * delay_s,
        "completions_wanted": COMPLETIONS_PER_CONNECTION * connections,
        "completions_saturated": COMPLETIONS_SATURATED * connections,
        "saturated_s": SATURATED_DELAYS * delay_s,
        "share_of_each": SHARE_OF_EACH,
        "stretched_s": STRETCH * design.closed_s,
        "warmup_limit_s": WARMUP_LIMIT_S,
        "watched_pids": list(pids),
        "shares_core": shared,
    }


def open_order(
    url: str,
    workload: Workload,
    design: Design,
    pids: Sequence[int],
    arrivals: Mapping[str, Any],
    *,
    status: int | None,
    shared: bool,
) -> dict[str, Any]:
    """A slice of the open loop; `status` is what every reply has to have.

    `arrivals` are those of the other side's slice: `rate_rps`, `seed`, `spin_ns`, and `alone_ms`,
    what a request takes when nothing else is asked. Two generators on one core do not spin.
    """
    alone_s = arrivals["alone_ms"] / 1e3
    schedule = {
        "steps": [[arrivals["rate_rps"], ENDLESS_S]],
        "arrivals": workload.arrivals,
        "seed": arrivals["seed"],
    }
    return {
        **_asked(url, workload, status),
        "warmup_s": max(OPEN_WARMUP_S, WARMUP_REQUESTS * alone_s),
        "window_s": open_window_s(design, arrivals["rate_rps"]),
        "spin_ns": 0 if design.at_once else arrivals["spin_ns"],
        "schedule": schedule,
        "watched_pids": list(pids),
        "shares_core": shared,
    }


def open_window_s(design: Design, rate_rps: float) -> float:
    """How long an open loop is measured: until a p99 is not just the slowest reply, if possible."""
    return max(design.open_s, min(OPEN_LIMIT_S, 1.1 * ARRIVALS_FOR_P99 / rate_rps))


def _asked(url: str, workload: Workload, status: int | None) -> dict[str, Any]:
    """What is common to both: after the window every request is answered or has failed."""
    return {
        "url": url,
        "connections": workload.connections,
        "status": status,
        "request_timeout_s": workload.request_timeout_s,
        "drain_s": workload.request_timeout_s + TIMEOUT_NOTICED_S,
    }


def probe_order(url: str, connections: int) -> dict[str, Any]:
    """Some requests that count for nothing: to warm a process, or to see how long one takes."""
    return {
        "url": url,
        "connections": connections,
        "window_s": 0.1,
        "completions_wanted": 5,
        "window_limit_s": 2.0,
        "warmup_limit_s": 2.0,
    }


def line_of(answer: Mapping[str, Any], place: Mapping[str, Any]) -> dict[str, Any]:
    """The line of slices.jsonl: where and when it was measured, and its figures."""
    return {**place, **{key: answer.get(key) for key in _TAKEN}}


def failed_line(reason: str, *, by_target: bool) -> dict[str, Any]:
    """The figures of a slice that could not be measured: none, and why."""
    return {
        **dict.fromkeys(_TAKEN),
        "served": 0,
        "errors": {},
        "at_least": [],
        "valid": False,
        "invalid_reasons": [reason],
        "generator_at_fault": not by_target,
    }
