"""What the trials share: the median of interleaved pairs with its interval, and the last line."""

import statistics
from collections.abc import Sequence

from scipy.stats import binom

CONFIDENCE = 0.95


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """The order statistics that hold the median with at least 95% (binomial), or the range."""
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
