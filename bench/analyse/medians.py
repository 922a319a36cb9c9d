"""Intervals of what is shown as a median over the slices of a cell, for any of its columns.

Pure. The arithmetic is that of `bench.analyse.stats.quantile_interval`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from bench.analyse.stats import quantile_interval
from bench.store import CELL_KEYS


def cell_intervals(
    trials: pd.DataFrame, columns: Sequence[str], confidence: float = 0.95
) -> pd.DataFrame:
    """One row per cell with `COLUMN_low` and `COLUMN_high` for each of some columns of its slices.

    Only valid slices count. A response time of a slice that still owed replies is a lower bound. An
    open end is NaN. Cells are in the order of `cells_frame`.
    """
    rows = []
    for key, group in trials.groupby(list(CELL_KEYS), dropna=False, sort=False):
        row = dict(zip(CELL_KEYS, key, strict=True))
        for column in columns:
            low, high = _ends(group[group["valid"]], column, confidence)
            row |= {f"{column}_low": low, f"{column}_high": high}
        rows.append(row)
    names = [f"{column}_{end}" for column in columns for end in ("low", "high")]
    return pd.DataFrame(rows, columns=[*CELL_KEYS, *names])


def _ends(valid: pd.DataFrame, column: str, confidence: float) -> tuple[float, float]:
    known = valid[valid[column].notna()]
    is_bound = known["at_least"] & column.startswith("response_time")
    low, high = quantile_interval(list(known[column]), 0.5, confidence, list(is_bound))
    return math.nan if low is None else low, math.nan if high is None else high
