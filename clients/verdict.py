"""Is this measurement valid? Pure: figures in, reasons out.

Every threshold stands here, and every reason names the figure and the threshold that it broke.
"""

from collections.abc import Sequence
from dataclasses import dataclass

ERROR_KINDS = ("connect", "timeout", "reset", "protocol", "status", "body")

BUSY_LIMIT = 0.90
WAITED_FOR_CPU_LIMIT = 0.25
BOUND_TOLERANCE = 0.02
LITTLE_TOLERANCE = 0.05
JAIN_LIMIT = 0.80
STARVED_SHARE = 0.10
SENT_LIMIT = 0.99
LATENESS_LIMIT_MS = 1.0
LATENESS_SHARE = 0.05
# Of fewer arrivals than this, those at the edges of the window are too large a share for Little.
COMPLETIONS_TO_JUDGE = 100


@dataclass(frozen=True, slots=True)
class Figures:
    """What the verdict looks at. Figures are None where they cannot be formed.

    Shares of a window: `client_cpu_utilisation` is CPU spent, none of it on waiting for the next
    arrival; `client_waited_for_cpu` is how long the generator could have run and had no core, None
    where it is meant to share one. An upstream has a utilisation where it shares the generator's
    core. `connections` are those that were opened. Of an open loop, `scheduled` arrivals are of the
    window, of which so many were `sent` in it.
    """

    completions: int
    completions_wanted: int
    errors: dict[str, int]
    client_cpu_utilisation: float | None
    upstream_cpu_utilisation: float | None
    bound_ratio: float | None
    little_ratio: float | None
    connections: int
    connections_unserved: int
    serves_one_at_a_time: bool
    latency_at_least: bool
    client_waited_for_cpu: float | None = None
    fairness_jain: float | None = None
    connections_starved: int = 0
    is_open: bool = False
    scheduled: int = 0
    sent: int = 0
    own_lateness_p99_ms: float | None = None
    response_p50_ms: float | None = None


def invalid_reasons(figures: Figures) -> list[str]:
    """Why the measurement cannot be believed, one sentence each; empty when it can."""
    checks = (
        _completions,
        _errors,
        _late,
        _busy,
        _waited,
        _unsent,
        _bound,
        _little,
        _unserved,
        _unfair,
    )
    return [reason for check in checks if (reason := check(figures)) is not None]


def generator_at_fault(figures: Figures) -> bool:
    """Whether it is the generator that could not do what was asked, whatever the target did."""
    return any(check(figures) is not None for check in (_late, _busy, _waited))


def little_ratio(
    throughput_rps: float, mean_response_s: float | None, in_flight_mean: float
) -> float | None:
    """Throughput x mean response time / mean in flight: 1 in a steady state (Little 1961)."""
    if mean_response_s is None or in_flight_mean <= 0:
        return None
    return throughput_rps * mean_response_s / in_flight_mean


def jain_index(counts: Sequence[int]) -> float | None:
    """Jain's fairness index (sum x)^2 / (n sum x^2): 1 when all are equal, 1/n when one has all."""
    squares = sum(count * count for count in counts)
    return sum(counts) ** 2 / (len(counts) * squares) if squares else None


def starved(counts: Sequence[int]) -> list[int]:
    """Which connections got less than a tenth of what each would have, were it shared equally."""
    limit = STARVED_SHARE * sum(counts) / len(counts) if counts else 0.0
    return [index for index, count in enumerate(counts) if count < limit]


def _completions(figures: Figures) -> str | None:
    if figures.completions == 0:
        return "no request completed in the measured window"
    if figures.completions < figures.completions_wanted:
        return (
            f"only {figures.completions} of the {figures.completions_wanted} completions wanted "
            "came before the time limit of the slice"
        )
    return None


def _errors(figures: Figures) -> str | None:
    seen = [f"{count} {kind}" for kind, count in figures.errors.items() if count]
    return f"errors: {', '.join(seen)}" if seen else None


def _late(figures: Figures) -> str | None:
    late_ms = figures.own_lateness_p99_ms
    limit_ms = max(LATENESS_LIMIT_MS, LATENESS_SHARE * (figures.response_p50_ms or 0.0))
    if late_ms is None or late_ms <= limit_ms:
        return None
    return (
        f"the generator was late: p99 {late_ms:.2f} ms though a connection was free "
        f"(limit {limit_ms:.2f} ms)"
    )


def _busy(figures: Figures) -> str | None:
    busy, upstream = figures.client_cpu_utilisation, figures.upstream_cpu_utilisation
    who = "the generator was"
    if busy is not None and upstream is not None:
        who, busy = "generator and upstream were", busy + upstream
    if busy is None or busy <= BUSY_LIMIT:
        return None
    return f"{who} busy {busy:.0%} of the window (limit {BUSY_LIMIT:.0%})"


def _waited(figures: Figures) -> str | None:
    waited = figures.client_waited_for_cpu
    if waited is None or waited <= WAITED_FOR_CPU_LIMIT:
        return None
    return (
        f"the generator waited for a core {waited:.0%} of the window "
        f"(limit {WAITED_FOR_CPU_LIMIT:.0%}): something else ran on it"
    )


def _unsent(figures: Figures) -> str | None:
    if not figures.is_open or figures.sent >= SENT_LIMIT * figures.scheduled:
        return None
    return (
        f"only {figures.sent} of the {figures.scheduled} arrivals that the schedule has in the "
        f"window were sent in it (limit {SENT_LIMIT:.0%}): the others still waited for a connection"
    )


def _bound(figures: Figures) -> str | None:
    ratio = figures.bound_ratio
    if ratio is None or ratio <= 1 + BOUND_TOLERANCE:
        return None
    return (
        f"throughput is {ratio:.3f} times the physical bound connections / delay "
        f"(limit {1 + BOUND_TOLERANCE:.2f}): the target does not wait as asked"
    )


def _little(figures: Figures) -> str | None:
    ratio = figures.little_ratio
    if ratio is None or (figures.is_open and figures.completions < COMPLETIONS_TO_JUDGE):
        return None
    too_low = ratio < 1 - LITTLE_TOLERANCE and not figures.latency_at_least
    if too_low or ratio > 1 + LITTLE_TOLERANCE:
        return (
            f"Little's law is off: throughput x response time is {ratio:.3f} times the mean in "
            f"flight (limits 1 +- {LITTLE_TOLERANCE}): the window was not steady"
        )
    return None


def _may_be_unequal(figures: Figures) -> bool:
    """In an open loop it is the generator who chooses the connection."""
    return figures.serves_one_at_a_time or figures.is_open


def _unserved(figures: Figures) -> str | None:
    if figures.connections_unserved == 0 or _may_be_unequal(figures):
        return None
    return (
        f"{figures.connections_unserved} of {figures.connections} connections were served nothing"
    )


def _unfair(figures: Figures) -> str | None:
    jain = figures.fairness_jain
    if jain is None or jain >= JAIN_LIMIT or _may_be_unequal(figures):
        return None
    return (
        f"the connections were served unequally: Jain's index is {jain:.2f} (limit {JAIN_LIMIT}), "
        f"{figures.connections_starved} of {figures.connections} got less than a tenth of the mean"
    )
