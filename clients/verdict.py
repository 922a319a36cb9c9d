"""Is this measurement valid? Pure: figures in, reasons out.

Every threshold stands here, and every reason names the figure and the threshold that it broke.
"""

from dataclasses import dataclass

BUSY_LIMIT = 0.90
BOUND_TOLERANCE = 0.02
LITTLE_TOLERANCE = 0.05
ERROR_KINDS = ("connect", "timeout", "reset", "protocol", "status", "body")


@dataclass(frozen=True, slots=True)
class Figures:
    """What the verdict looks at. Ratios are None where they cannot be formed.

    An upstream has a utilisation where it shares the generator's core.
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


def invalid_reasons(figures: Figures) -> list[str]:
    """Why the measurement cannot be believed, one sentence each; empty when it can."""
    checks = (_completions, _errors, _busy, _bound, _little, _unserved)
    return [reason for check in checks if (reason := check(figures)) is not None]


def little_ratio(
    throughput_rps: float, mean_response_s: float | None, in_flight_mean: float
) -> float | None:
    """Throughput x mean response time / mean in flight: 1 in a steady state (Little 1961)."""
    if mean_response_s is None or in_flight_mean <= 0:
        return None
    return throughput_rps * mean_response_s / in_flight_mean


def jain_index(counts: list[int]) -> float | None:
    """Jain's fairness index (sum x)^2 / (n sum x^2): 1 when all are equal, 1/n when one has all."""
    squares = sum(count * count for count in counts)
    return sum(counts) ** 2 / (len(counts) * squares) if squares else None


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


def _busy(figures: Figures) -> str | None:
    busy, upstream = figures.client_cpu_utilisation, figures.upstream_cpu_utilisation
    who = "the generator was"
    if busy is not None and upstream is not None:
        who, busy = "generator and upstream were", busy + upstream
    if busy is None or busy <= BUSY_LIMIT:
        return None
    return f"{who} busy {busy:.0%} of the window (limit {BUSY_LIMIT:.0%})"


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
    if ratio is None:
        return None
    too_low = ratio < 1 - LITTLE_TOLERANCE and not figures.latency_at_least
    if too_low or ratio > 1 + LITTLE_TOLERANCE:
        return (
            f"Little's law is off: throughput x response time is {ratio:.3f} times the mean in "
            f"flight (limits 1 +- {LITTLE_TOLERANCE}): the window was not steady"
        )
    return None


def _unserved(figures: Figures) -> str | None:
    if figures.connections_unserved == 0 or figures.serves_one_at_a_time:
        return None
    return (
        f"{figures.connections_unserved} of {figures.connections} connections were served nothing"
    )
