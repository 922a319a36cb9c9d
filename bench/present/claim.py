"""What a run says of one claim: that without waiting async takes as long as sync, or longer.

It words comparisons that were judged elsewhere; confirmed and refuted are of the claim, point by
point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict

from bench.analyse.verdicts import Comparison
from bench.present.settings import settings_text
from bench.present.units import count_text, factor_text, interval_text, list_text
from bench.present.words import Section, comparison_rows, inverse, varying_settings

CLAIM = "With nothing to wait for, async takes as long as sync, or longer"


def claim_section(
    compared: Sequence[Comparison], families: Mapping[str, str], margin: float
) -> Section:
    """The claim on work without waiting, for every pair of an async and a sync target."""
    mine = [
        c
        for c in compared
        if c.metric == "throughput"
        and c.delay_s == 0
        and {families.get(c.a), families.get(c.b)} == {"async", "sync"}
    ]
    varying = varying_settings(mine)
    sentences = [
        _claim_sentence(row, lambda c: families[c.a] == "async", margin, varying)
        for row in comparison_rows(mine)
    ]
    if sentences:
        sentences.append("Ratios are throughput of async / sync at a delay of 0.")
    return Section(f'"{CLAIM}":', sentences)


def _claim_sentence(
    row: Sequence[Comparison],
    async_first: Callable[[Comparison], bool],
    margin: float,
    varying: Iterable[str],
) -> str:
    outcomes: dict[str, list[str]] = {"refuted": [], "confirmed": [], "undecided": []}
    for c in (c for c in row if c.verdict != "invalid"):
        ratio, low, high = c.ratio, c.low, c.high
        if not async_first(c):
            ratio, low, high = inverse(ratio, low, high)
        shown = count_text(c.connections)
        if low is not None or high is not None:
            shown += f" ({factor_text(ratio)} {interval_text(low, high)})"
        outcomes[claim_outcome(low, high, margin)].append(shown)
    outcomes["not judged"] = [count_text(c.connections) for c in row if c.verdict == "invalid"]
    parts = [f"{name} at {list_text(shown)}" for name, shown in outcomes.items() if shown]
    first = row[0]
    work = [first.work] if first.work != "/" else []
    where = ", ".join([first.connection, *work, *settings_text(asdict(first), varying)])
    return f"{first.a} against {first.b}, {where}: {'; '.join(parts)} connections."


def claim_outcome(low: float | None, high: float | None, margin: float) -> str:
    """What an interval of async / sync throughput says of "as long as sync, or longer".

    Confirmed: async is faster by no more than the margin, if at all. Refuted: it is faster, and
    more than the margin is possible. Else undecided.
    """
    if high is not None and high <= 1 + margin:
        return "confirmed"
    return "refuted" if low is not None and low > 1 else "undecided"
