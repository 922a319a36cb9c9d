"""What the trials share: interleaved pairs, their median ratio with an interval, and the verdict line."""

import http.client
import socket
import statistics
from collections.abc import Callable, Sequence

from scipy.stats import binom

CONFIDENCE = 0.95


def free_port() -> int:
    """A port that was free a moment ago, for programs that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> Callable[[], bool]:
    """A probe: does an HTTP server answer `/` at the port with 200?"""

    def probe() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """The order statistics that hold the median with at least 95% (binomial); the range if too few."""
    ordered = sorted(values)
    last = len(ordered) - 1
    skip = int(binom.ppf((1 - CONFIDENCE) / 2, len(ordered), 0.5)) - 1
    skip = max(0, min(skip, last))
    return ordered[skip], ordered[last - skip]


def verdict_line(
    what: str, ratios: Sequence[float], target: float, *, at_most: bool
) -> tuple[str, bool]:
    """`what: median [low, high] of n pairs; target`, and whether the median meets the target."""
    median = statistics.median(ratios)
    low, high = median_interval(ratios)
    met = median <= target if at_most else median >= target
    bound = "at most" if at_most else "at least"
    word = "met" if met else "MISSED"
    line = (
        f"{what}: {median:.3f} [{low:.3f}, {high:.3f}] median of {len(ratios)} pairs; "
        f"target {bound} {target}: {word}"
    )
    return line, met
