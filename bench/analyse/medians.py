"""Intervals of medians by order statistics: no assumption on how rounds are spread.

Pure arithmetic on numbers and frames. The sample is the round, as everywhere: slices of one round
count once, by their median.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from bench.store import CELL_KEYS


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The tightest pair of order statistics that covers the median with that confidence.

    The k-th smallest and the k-th largest of n values miss the median in 2 P(B < k) of cases, B
    binomial (n, 1/2). (NaN, NaN) with too few values for any pair: fewer than six at 95%.
    """
    known = np.sort(np.asarray(values, dtype=float))
    known = known[~np.isnan(known)]
    k = int(stats.binom.ppf((1 - confidence) / 2, known.size, 0.5)) if known.size else 0
    while k and 2 * stats.binom.cdf(k - 1, known.size, 0.5) > 1 - confidence:
        k -= 1
    return (float(known[k - 1]), float(known[-k])) if k else (float("nan"), float("nan"))


def cell_intervals(
    trials: pd.DataFrame, columns: Sequence[str], confidence: float = 0.95
) -> pd.DataFrame:
    """One row per cell with `COLUMN_low` and `COLUMN_high` for each of some columns of its slices.

    Only valid slices count. Cells are in the order of `cells_frame`, invalid ones have NaN.
    """
    rows = []
    for key, group in trials.groupby(list(CELL_KEYS), dropna=False, sort=False):
        valid = group[group["valid"]]
        rounds = valid[["round", *columns]].groupby("round").median()
        row = dict(zip(CELL_KEYS, key, strict=True))
        for column in columns:
            ends = median_interval(rounds[column].to_numpy(), confidence)
            row |= {f"{column}_low": ends[0], f"{column}_high": ends[1]}
        rows.append(row)
    names = [f"{column}_{end}" for column in columns for end in ("low", "high")]
    return pd.DataFrame(rows, columns=[*CELL_KEYS, *names])
