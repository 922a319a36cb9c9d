"""Numbers as text: one way to write a ratio, a delay or a count, in prose, pictures and tables.

Knows formats only, nothing of runs; and of paths whether a delay is all that they ask for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.analyse.works import is_plain

NOTHING = "-"


def delay_text(delay_s: float) -> str:
    """A delay in the unit that reads best: 500 us, 5 ms, 1.5 s; 0 ms for none."""
    if delay_s >= 1:
        return f"{delay_s:g} s"
    if 0 < delay_s < 1e-3:
        return f"{delay_s * 1e6:g} us"
    return f"{delay_s * 1e3:g} ms"


def work_text(work: str, delay_s: float) -> str:
    """A work by its delay, and by its path where that asks for anything but a delay."""
    return delay_text(delay_s) if is_plain(work) else f"{delay_text(delay_s)} ({work})"


def count_text(count: float) -> str:
    """A whole number with thousands set apart: 1,024."""
    return f"{count:,.0f}"


def number_text(value: float | None, digits: int = 3) -> str:
    """A measured number to `digits` significant figures, never in exponents; `-` for none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return f"{value:,.{decimals}f}"


def factor_text(ratio: float | None) -> str:
    """A ratio with two decimals, three figures from 10 on, two below 0.1; `?` for none."""
    if ratio is None or not math.isfinite(ratio):
        return "?"
    return f"{ratio:.2f}" if 0.1 <= ratio < 10 else number_text(ratio, 3 if ratio > 1 else 2)


def tick_text(value: float) -> str:
    """A value on an axis, without exponents and idle zeros: 0.5, 1, 20,000."""
    return f"{value:,.3f}".rstrip("0").rstrip(".") if value >= 1e-3 else f"{value:g}"


def interval_text(low: float | None, high: float | None) -> str:
    """An interval as [1.71, 1.95]; an end that is not known is `?`."""
    return f"[{factor_text(low)}, {factor_text(high)}]"


def list_text(items: Sequence[str]) -> str:
    """1, 16 and 128."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"
