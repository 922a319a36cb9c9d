"""Ratios between the same cells of two runs, which share neither rounds nor time.

Without pairs the drift of the machine does not cancel, so these intervals (Welch's, on one mean
log per round) cover the noise within each run and nothing that changed between the runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.analyse.frames import round_means
from bench.analyse.stats import Interval, difference_interval
from bench.store import CELL_KEYS, reading_order

COLUMNS = {"throughput": "throughput_rps", "p99": "response_time_p99_ms"}


@dataclass(frozen=True)
class CellRatio:
    """second / first of a metric in one cell; `interval` is None where it cannot be given."""

    cell: dict[str, Any]
    metric: str
    interval: Interval | None
    reason: str | None

    @property
    def apart(self) -> bool:
        """Whether the interval excludes 1: all that unpaired runs can say."""
        known = self.interval is not None and self.interval.n > 1
        return bool(known and self.interval and not self.interval.low <= 1 <= self.interval.high)


def common_cells(runs: Sequence[pd.DataFrame]) -> list[tuple[Any, ...]]:
    """The cells that every frame of slices has, in reading order."""
    keys = [dict.fromkeys(_by_cell(trials)) for trials in runs]
    common = [key for key in keys[0] if all(key in other for other in keys[1:])]
    return sorted(common, key=_in_order)


def cell_keys(trials: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The cell of each slice, the same for two runs that say the same thing in different ways.

    Where a point leaves the number of workers to the target, the target's own stands here. No units
    is None, since NaN does not equal itself.
    """
    named = trials.assign(workers=trials["workers"].fillna(trials["own_workers"]))
    rows = named[list(CELL_KEYS)].itertuples(index=False, name=None)
    return [tuple(None if pd.isna(part) else part for part in row) for row in rows]


def _in_order(key: tuple[Any, ...]) -> tuple[Any, ...]:
    cell = dict(zip(CELL_KEYS, key, strict=True))
    return (cell["connection"] == "close", *reading_order(cell), cell["target"])


def cell_ratios(
    first: pd.DataFrame, second: pd.DataFrame, confidence: float = 0.95
) -> Iterator[CellRatio]:
    """Throughput and p99 of `second` / `first` in each common cell, from frames of slices."""
    mine, other = _by_cell(first), _by_cell(second)
    for metric in COLUMNS:
        for key in common_cells([first, second]):
            yield _ratio(key, metric, mine[key], other[key], confidence)


def _ratio(
    key: tuple[Any, ...], metric: str, first: pd.DataFrame, second: pd.DataFrame, confidence: float
) -> CellRatio:
    cell = dict(zip(CELL_KEYS, key, strict=True))
    a, b = (round_means(side, COLUMNS[metric]).tolist() for side in (first, second))
    if not a or not b:
        return CellRatio(cell, metric, None, "no valid slice in one of the runs")
    if metric != "throughput" and (_at_least(first) or _at_least(second)):
        return CellRatio(cell, metric, None, "known as at least only")
    return CellRatio(cell, metric, difference_interval(a, b, confidence).exp(), None)


def _at_least(trials: pd.DataFrame) -> bool:
    return bool((trials["valid"] & trials["at_least"]).any())


def _by_cell(trials: pd.DataFrame) -> dict[tuple[Any, ...], pd.DataFrame]:
    rows: dict[tuple[Any, ...], list[int]] = {}
    for row, key in enumerate(cell_keys(trials)):
        rows.setdefault(key, []).append(row)
    return {key: trials.iloc[mine] for key, mine in rows.items()}
