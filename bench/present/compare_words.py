"""What a comparison of runs says in words: one row a ratio, sentences, and its cautions.

It words what was concluded; it knows neither files nor pages.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from bench.analyse.unpaired import CellRatio, Key, as_cell, one_direction
from bench.present.settings import settings_text
from bench.present.units import (
    NOTHING,
    count_text,
    factor_text,
    interval_text,
    number_text,
    work_text,
)
from bench.store import Run

_UNITS = {"throughput": "/s", "p99": " ms"}


@dataclass(frozen=True)
class PairOfRuns:
    """One run held against the base: their names, and the ratios other / base of their cells."""

    base: str
    other: str
    ratios: Sequence[CellRatio]

    @property
    def name(self) -> str:
        """What the ratios are of: other / base."""
        return f"{self.other} / {self.base}"


@dataclass(frozen=True)
class CompareRow:
    """One line of the table: a cell, a metric, both values and other / base."""

    target: str
    connection: str
    work: str
    delay_s: float
    connections: str
    metric: str
    run: str
    runs: str
    base: str
    other: str
    ratio: str
    interval: str
    rounds: str
    says: str
    apart: bool


def caution(drift: float) -> str:
    """What runs that share no rounds cannot tell, and what is allowed for it."""
    return (
        "These runs share no rounds: they were measured at different times, and a machine drifts."
        " The intervals (Welch's, on independent round means) cover the noise within each run, not"
        f" what changed between them. {100 * drift:g}% is allowed for drift (--drift): within it,"
        " runs that differ by more than their noise may be the same server on a machine that was"
        " faster or slower. A machine may drift further, and a tail further than its machine, so"
        " even a ratio beyond it may be the machine. To compare two servers, measure them in one"
        " run."
    )


def reading(confidence: float) -> str:
    """How a row of the table is to be read."""
    return (
        f"The interval ({100 * confidence:g}%) is each cell's own. What a ratio says heeds that"
        " many were looked at: of those that are called different, within drift or beyond, at most"
        f" {100 * (1 - confidence):.3g}% are expected to be so by the rounds' noise alone. So a"
        " ratio may be not told apart though its own interval leaves out 1."
    )


def rows_of(pairs: Iterable[PairOfRuns]) -> list[CompareRow]:
    """All ratios as text, in the order of the pairs."""
    return [_row(pair, ratio) for pair in pairs for ratio in pair.ratios]


def what_differs(pairs: Iterable[PairOfRuns]) -> list[CompareRow]:
    """The ratios apart from 1: those beyond drift first, throughput first, the furthest first."""
    found = [(pair, ratio) for pair in pairs for ratio in pair.ratios if ratio.apart]
    return [_row(*each) for each in sorted(found, key=lambda each: _rank(each[1]))]


def _rank(ratio: CellRatio) -> tuple[bool, bool, float]:
    estimate = ratio.interval.estimate if ratio.interval else 1.0
    far = max(estimate, 1 / estimate)
    return ratio.call != "beyond drift", ratio.metric != "throughput", -far


def _row(pair: PairOfRuns, ratio: CellRatio) -> CompareRow:
    interval, cell = ratio.interval, ratio.cell
    base, other = (_value(value, ratio.metric) for value in ratio.values)
    return CompareRow(
        target=cell["target"],
        connection=cell["connection"],
        work=cell_work(cell),
        delay_s=cell["delay_s"] or 0.0,
        connections=count_text(cell["connections"]),
        metric=ratio.metric,
        run=pair.other,
        runs=pair.name,
        base=base,
        other=other,
        ratio=factor_text(interval.estimate) if interval else "?",
        interval=interval_text(interval.low, interval.high) if interval else "?",
        rounds=" | ".join(map(str, ratio.rounds)),
        says=says(ratio, pair.base, pair.other),
        apart=ratio.apart,
    )


def _value(value: float | None, metric: str) -> str:
    return NOTHING if value is None else f"{number_text(value)}{_UNITS[metric]}"


def cell_work(cell: Mapping[str, Any]) -> str:
    """A cell's work and the settings of its server that are not plain."""
    return ", ".join([work_text(cell["work"], cell["delay_s"]), *settings_text(cell)])


def says(ratio: CellRatio, base: str, other: str) -> str:
    """What one ratio says: which way it differs, or why it says nothing."""
    if ratio.apart:
        return f"{'higher' if ratio.higher else 'lower'}, {ratio.call}"
    if ratio.call == "one round":
        return "one round: no interval"
    if ratio.call == "not told apart":
        return ratio.call
    lost = zip((base, other), ratio.reasons, strict=True)
    return "; ".join(f"invalid in {run}: {why}" for run, why in lost if why) or "at least only"


def sentences(pair: PairOfRuns, drift: float) -> list[str]:
    """A sentence for each metric of two runs, and one where all targets went the same way."""
    metrics = dict.fromkeys(ratio.metric for ratio in pair.ratios)
    return [text for metric in metrics for text in _of_metric(pair, metric, drift)]


def _of_metric(pair: PairOfRuns, metric: str, drift: float) -> list[str]:
    ratios = [ratio for ratio in pair.ratios if ratio.metric == metric]
    counts = {words: [r for r in ratios if r.call == call] for call, words in _CALLS.items()}
    parts = [f"{words}: {_count(mine)}" for words, mine in counts.items() if mine]
    if not any(ratio.call == "beyond drift" for ratio in ratios):
        parts.insert(0, f"{_CALLS['beyond drift']}: none")
    counted = "; ".join(parts).replace("drift", f"the {100 * drift:g}% allowed for drift", 1)
    known = [ratio.interval.estimate for ratio in ratios if ratio.interval]
    span = f" Ratios {factor_text(min(known))} to {factor_text(max(known))}." if known else ""
    number = len(ratios)
    cells = f"{number} cell{'' if number == 1 else 's'}"
    return [f"{metric}, {pair.name}, {cells}: {counted}.{span}", *_all_alike(pair, metric, ratios)]


_CALLS = {
    "beyond drift": "differ beyond drift",
    "within drift": "differ within it",
    "not told apart": "not told apart",
    "one round": "without an interval, of one round",
    "unknown": "without a ratio (invalid, or at least only)",
}


def _count(ratios: Sequence[CellRatio]) -> str:
    """`3 (2 higher, 1 lower)`, `2 (higher)`; no ways where they do not differ."""
    ways = Counter("higher" if ratio.higher else "lower" for ratio in ratios if ratio.apart)
    if len(ways) > 1:
        return f"{len(ratios)} ({ways['higher']} higher, {ways['lower']} lower)"
    return f"{len(ratios)} ({next(iter(ways))})" if ways else f"{len(ratios)}"


def _all_alike(pair: PairOfRuns, metric: str, ratios: Sequence[CellRatio]) -> list[str]:
    if metric != "throughput" or not one_direction(ratios):
        return []
    way = "higher" if next(ratio for ratio in ratios if ratio.apart).higher else "lower"
    return [
        f"All targets differ in {metric}, and all are {way} in {pair.other}: what they share (the"
        " machine, its load, versions, settings) explains that better than any one server."
    ]


def about_runs(runs: Mapping[str, Run]) -> list[str]:
    """When each run was measured, held against the base; and which are not complete."""
    base, *others = runs
    when = [_when(base, runs[base], other, runs[other]) for other in others]
    states = ((name, run.info["state"]) for name, run in runs.items())
    incomplete = [f"{name} is not complete ({s})." for name, s in states if s != "complete"]
    return [*filter(None, when), *incomplete]


def _when(base: str, first: Run, other: str, second: Run) -> str:
    try:
        times = [datetime.fromisoformat(str(run.info.get("started"))) for run in (first, second)]
        seconds = (times[1] - times[0]).total_seconds()
    except (ValueError, TypeError):  # none given, or only one of them with a time zone
        return ""
    if not seconds:
        return ""
    return (
        f"{other} was started {_span(abs(seconds))} {'after' if seconds > 0 else 'before'} {base}."
    )


def _span(seconds: float) -> str:
    for most, unit, size in ((120, "seconds", 1), (7200, "minutes", 60), (172800, "hours", 3600)):
        if seconds < most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def alone_rows(alone: Mapping[str, Sequence[Key]]) -> list[tuple[str, ...]]:
    """Cells that only one run of a pair has: run, target, connection, work, its connections."""
    grouped: dict[tuple[str, ...], list[str]] = {}
    for whose, keys in alone.items():
        for cell in map(as_cell, keys):
            row = (whose, cell["target"], cell["connection"], cell_work(cell))
            grouped.setdefault(row, []).append(count_text(cell["connections"]))
    return [(*row, ", ".join(connections)) for row, connections in grouped.items()]


def invalid_rows(cells: Mapping[str, pd.DataFrame]) -> list[tuple[str, ...]]:
    """Cells with invalid slices: run, target, connection, work, connections, how many, reasons."""
    rows: list[tuple[str, ...]] = []
    for run, frame in cells.items():
        for cell in frame[frame["invalid"] > 0].to_dict("records"):
            why = "; ".join(_reasons(cell["reasons"]))
            of = f"{cell['invalid']} of {cell['slices']}"
            where = (cell["connection"], cell_work(cell), count_text(cell["connections"]))
            rows.append((run, cell["target"], *where, of, why))
    return rows


def _reasons(given: Counter[str]) -> Iterator[str]:
    """Reasons with how often each was given; those that differ only in numbers count as one."""
    kinds: dict[str, list[str]] = {}
    for reason, _ in given.most_common():
        kinds.setdefault(re.sub(r"\d[\d.]*", "#", reason), []).append(reason)
    for alike in kinds.values():
        yield f"{alike[0]} ({sum(given[reason] for reason in alike)}x)"
