"""What the trials share: their options, the median of pairs with its interval, how they end."""

import argparse
import statistics
from collections.abc import Sequence

from scipy.stats import binom

CONFIDENCE = 0.95


def parser_of(module: str, description: str | None) -> argparse.ArgumentParser:
    """The options of a trial of pairs: how many, and whether its targets can fail it."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--pairs", type=int, default=15, help="how many pairs to measure")
    parser.add_argument(
        "--informative",
        action="store_true",
        help="exit with 0 though a target is missed: for a few pairs on a busy machine",
    )
    return parser


def exit_code(*, missed: bool, informative: bool) -> int:
    """1 when a target is missed, else 0; an informative trial tells of it and gives 0."""
    if missed and informative:
        print("informative: a missed target is told and not counted; only errors fail this trial")
        return 0
    return int(missed)


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
