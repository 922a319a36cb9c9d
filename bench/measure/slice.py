"""One slice: what the generator is asked for a cell, and the trials line made of its answer. Pure.

The rules are those of docs/method.md: the window, the warm-up, what counts as owed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.measure.plan import Cell, Point
from bench.measure.profile import Profile
from bench.measure.usage import Usage
from bench.store import is_lower_bound

DRAIN_FLOOR_S = 0.5
# A target that takes longer than this for the completions wanted is saturated: its replies come
# evenly rather than in step, and fewer of them will do.
SATURATED_DELAYS = 11
# A burst lasts at least so long: in all, in delays, and for each connection.
BURST_S = 0.05
BURST_DELAYS = 20
BURST_S_PER_CONNECTION = 4e-4
# While a connection has had less of the average than this, or waits for longer or shorter than at
# its start, a window may be so much longer.
SHARE_OF_EACH = 0.5
STRETCH = 8
WARMUP_LIMIT_S = 5.0
WINDOW_LIMIT_S = 15.0

# Figures that a trials line takes over from the generator's answer under the same name.
_TAKEN = (
    "requests",
    "completions",
    "warmup_s",
    "settled",
    "throughput_rps",
    "errors",
    "response_time_hist",
    "service_time_hist",
    "response_time_ms",
    "service_time_ms",
    "lateness_ms",
    "latency_at_least",
    "censored",
    "owed",
    "in_flight_mean",
    "little_ratio",
    "bound_ratio",
    "fairness_jain",
    "connections_unserved",
    "client_cpu_us_per_request",
    "client_cpu_utilisation",
    "server_cpu_us_per_request",
    "server_cpu_utilisation",
    "upstream_cpu_us_per_call",
)


def completions_wanted(profile: Profile, connections: int, *, one_at_a_time: bool) -> int:
    """How many completions the window must hold at least."""
    if one_at_a_time:
        return profile.completions_one_at_a_time
    return profile.completions_per_connection * connections


def order_for(
    point: Point,
    profile: Profile,
    *,
    host: str,
    port: int,
    one_at_a_time: bool,
    body: str | None,
    watched_pids: Sequence[int],
    upstream_pids: Sequence[int] = (),
    calls: int = 0,
) -> dict[str, Any]:
    """What to ask of the generator for one slice at the point, as the target is asked for it.

    `calls`: how many calls to the upstream a request makes. `body`: see `Fleet.right_body`.
    """
    wanted = completions_wanted(profile, point.connections, one_at_a_time=one_at_a_time)
    return {
        "url": f"http://{host}:{port}{point.work}",
        "connections": point.connections,
        "keep_alive": point.connection == "keep-alive",
        "delay_s": point.delay_s,
        "window_s": profile.window_s,
        "window_limit_s": profile.window_s + WINDOW_LIMIT_S + 20 * point.delay_s,
        "completions_wanted": wanted,
        "serves_one_at_a_time": one_at_a_time,
        "request_timeout_s": profile.request_timeout_s,
        "body": body,
        "watched_pids": list(watched_pids),
        "upstream_pids": list(upstream_pids),
        "calls_per_request": calls,
        **(_in_turn(point) if one_at_a_time else _at_once(point, profile)),
    }


def _at_once(point: Point, profile: Profile) -> dict[str, Any]:
    """The limits of a slice on a target that serves its connections together."""
    return {
        "warmup_limit_s": WARMUP_LIMIT_S,
        "bursts": bursts_of(point, profile),
        "saturated_s": SATURATED_DELAYS * point.delay_s,
        "completions_saturated": profile.completions_saturated * point.connections,
        "share_of_each": SHARE_OF_EACH,
        "stretched_s": STRETCH * profile.window_s,
        "drain_s": drain_s(point.delay_s),
    }


def bursts_of(point: Point, profile: Profile) -> int:
    """Into how many bursts a slice is cut: as many as the way in and out of them allows.

    The speed of a shared machine changes within tenths of a second. Targets that take turns in
    short bursts see the same machine.
    """
    burst_s = max(BURST_S, BURST_DELAYS * point.delay_s, BURST_S_PER_CONNECTION * point.connections)
    return max(1, int(profile.window_s / burst_s))


def _in_turn(point: Point) -> dict[str, Any]:
    """The same where one is served at a time: no waiting for what will not come."""
    limit_s = drain_s(point.delay_s)
    if point.connections * point.delay_s > limit_s:
        return {"warmup_limit_s": 3 * point.delay_s, "drain_s": 2 * point.delay_s}
    return {"warmup_limit_s": limit_s, "drain_s": limit_s}


def drain_s(delay_s: float) -> float:
    """How long a target may take to answer what it still owes before it is replaced."""
    return max(2 * delay_s, DRAIN_FLOOR_S)


def trial_of(
    cell: Cell,
    answer: Mapping[str, Any],
    *,
    use: Usage | None,
    steal_ratio: float | None,
    place: Mapping[str, Any],
) -> dict[str, Any]:
    """The trials line of a measured slice.

    `place` says when and where it was: round, order, t_s, shared_core.
    """
    return {
        **place,
        **cell.keys(),
        **{key: answer.get(key) for key in _TAKEN},
        "window_s": answer["duration_s"],
        "server_rss_mib": None if use is None else use.rss_bytes / 2**20,
        "server_threads": None if use is None else use.threads,
        "server_voluntary_switches": None if use is None else use.voluntary_switches,
        "server_involuntary_switches": None if use is None else use.involuntary_switches,
        "steal_ratio": steal_ratio,
        "target_replaced": answer["owed"] > 0 or answer["errors"]["timeout"] > 0,
        "valid": answer["valid"],
        "invalid_reasons": list(answer["invalid_reasons"]),
    }


def usable_rps(trial: Mapping[str, Any]) -> float | None:
    """The throughput that a slice adds to a comparison, or None.

    A target that was faster than the generator could ask has at least what was seen.
    """
    return trial["throughput_rps"] if trial["valid"] or is_lower_bound(trial) else None


def failed_trial(cell: Cell, reason: str, place: Mapping[str, Any]) -> dict[str, Any]:
    """The trials line of a slice that could not be measured: no figures, and the reason."""
    return {
        **place,
        **cell.keys(),
        **dict.fromkeys(_TAKEN),
        "window_s": None,
        "server_rss_mib": None,
        "server_threads": None,
        "server_voluntary_switches": None,
        "server_involuntary_switches": None,
        "steal_ratio": None,
        "target_replaced": True,
        "valid": False,
        "invalid_reasons": [reason],
    }
