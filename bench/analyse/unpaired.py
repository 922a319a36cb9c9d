"""Ratios between the same cells of two runs, which share neither rounds nor time.

Without pairs the drift of the machine does not cancel. Intervals (Welch's, on one mean log per
round) cover the noise within each run and nothing that changed between the runs; so *different* is
said only of what lies beyond an allowance for drift. It knows frames of slices, no files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from bench.analyse.frames import round_means, why_invalid
from bench.analyse.stats import Interval, difference_interval, difference_p, discoveries
from bench.store import CELL_KEYS, reading_order

COLUMNS = {"throughput": "throughput_rps", "p99": "response_time_p99_ms"}
# What is allowed for the machine itself between two runs: an assumption, which the user may change.
DRIFT = 0.15

Call = Literal["beyond drift", "within drift", "not told apart", "one round", "unknown"]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class CellRatio:
    """second / first of a metric in one cell.

    `interval` is this cell's own; None where a side has no value (`reasons` says why, by side) or
    only a bound. `values` are both sides' means over rounds (req/s or ms), `rounds` how many each
    rests on. `call` heeds drift, and how many cells were looked at.
    """

    cell: dict[str, Any]
    metric: str
    interval: Interval | None
    reasons: tuple[str | None, str | None]
    values: tuple[float | None, float | None]
    rounds: tuple[int, int]
    call: Call

    @property
    def apart(self) -> bool:
        """Whether the two runs differ by more than their noise, drift or not."""
        return self.call in ("beyond drift", "within drift")

    @property
    def higher(self) -> bool:
        """Whether the second run's value is the larger one."""
        return self.interval is not None and self.interval.estimate > 1


def cell_ratios(
    first: pd.DataFrame, second: pd.DataFrame, confidence: float = 0.95, drift: float = DRIFT
) -> list[CellRatio]:
    """Throughput and p99 of `second` / `first` in each common cell, from frames of slices.

    All ratios of the two runs are called together: of those called apart, and of those called
    beyond drift, the share that is wrong is at most 1 - confidence (Benjamini and Hochberg).
    """
    sides = _Slices(first), _Slices(second)
    found = [
        _values(key, metric, sides) for metric in COLUMNS for key in common_cells([first, second])
    ]
    error, margin = 1 - confidence, math.log1p(drift)
    apart, beyond = _further(found, 0.0, error), _further(found, margin, error)
    return [
        _ratio(values, sides, confidence, _call(values, place in apart, place in beyond))
        for place, values in enumerate(found)
    ]


def common_cells(runs: Sequence[pd.DataFrame]) -> list[Key]:
    """The cells that every frame of slices has, in reading order."""
    return sorted(set.intersection(*(set(cell_keys(trials)) for trials in runs)), key=in_order)


def own_cells(trials: pd.DataFrame, other: pd.DataFrame) -> list[Key]:
    """The cells of a frame of slices that the other has not, in reading order."""
    return sorted(set(cell_keys(trials)) - set(cell_keys(other)), key=in_order)


def compared_cells(runs: Sequence[pd.DataFrame]) -> set[Key]:
    """The cells of the first frame of slices that some other has too."""
    base, *others = (set(cell_keys(trials)) for trials in runs)
    return base.intersection(key for keys in others for key in keys)


def cell_keys(trials: pd.DataFrame) -> list[Key]:
    """The cell of each slice, the same for two runs that say the same thing in different ways.

    Where a point leaves the number of workers to the target, the target's own stands here. No units
    is None, since NaN does not equal itself.
    """
    named = trials.assign(workers=trials["workers"].fillna(trials["own_workers"]))
    rows = named[list(CELL_KEYS)].itertuples(index=False, name=None)
    return [tuple(None if pd.isna(part) else part for part in row) for row in rows]


def in_order(key: Key) -> tuple[Any, ...]:
    """A sort key for cells: kept connections first, then as people read them."""
    cell = as_cell(key)
    return (cell["connection"] == "close", *reading_order(cell), cell["target"])


def as_cell(key: Key) -> dict[str, Any]:
    """A cell by the names of its parts."""
    return dict(zip(CELL_KEYS, key, strict=True))


def one_direction(ratios: Sequence[CellRatio]) -> bool:
    """Whether every target differs, all in the same direction, as if the machine had changed.

    `ratios` are those of one metric. False where fewer than two targets were compared.
    """
    known = {ratio.cell["target"] for ratio in ratios if ratio.interval}
    apart = [ratio for ratio in ratios if ratio.apart]
    same = len({ratio.higher for ratio in apart}) == 1
    return len(known) > 1 and same and {ratio.cell["target"] for ratio in apart} == known


class _Slices:
    """The slices of one run, by cell."""

    def __init__(self, trials: pd.DataFrame) -> None:
        self.keys = cell_keys(trials)
        self._places = {key: place for place, key in enumerate(dict.fromkeys(self.keys))}
        self._trials = trials.assign(cell=[self._places[key] for key in self.keys])
        self._means = {metric: self._means_of(column) for metric, column in COLUMNS.items()}
        bounded = self._trials.loc[trials["valid"] & trials["at_least"], "cell"]
        self._bounded = set(bounded)

    def _means_of(self, column: str) -> dict[int, list[float]]:
        found: dict[int, list[float]] = {}
        for (place, _), mean in round_means(self._trials, column, ["cell"]).items():
            found.setdefault(place, []).append(float(mean))
        return found

    def means(self, key: Key, metric: str) -> list[float]:
        """Mean log of each valid round."""
        return self._means[metric].get(self._places[key], [])

    def at_least(self, key: Key, metric: str) -> bool:
        """Whether a latency is a lower bound."""
        return metric != "throughput" and self._places[key] in self._bounded

    def why_none(self, key: Key, metric: str) -> str | None:
        """The most frequent reason of invalid slices where there is no value; else None."""
        if self.means(key, metric):
            return None
        given = why_invalid(self._trials[self._trials["cell"] == self._places[key]])
        return given.most_common(1)[0][0] if given else f"no {metric} was measured"


@dataclass(frozen=True)
class _Values:
    """Both sides' mean logs by round of one metric; whether a side is a lower bound."""

    key: Key
    metric: str
    logs: tuple[list[float], list[float]]
    at_least: bool

    @property
    def known(self) -> bool:
        return all(self.logs) and not self.at_least

    @property
    def tested(self) -> bool:
        return self.known and min(map(len, self.logs)) > 1


def _values(key: Key, metric: str, sides: tuple[_Slices, _Slices]) -> _Values:
    first, second = sides
    logs = first.means(key, metric), second.means(key, metric)
    return _Values(key, metric, logs, any(side.at_least(key, metric) for side in sides))


def _further(found: Sequence[_Values], margin: float, error: float) -> set[int]:
    """The places of those of which it can be said that they are further than `margin` from 1."""
    tested = {n: difference_p(*each.logs, margin) for n, each in enumerate(found) if each.tested}
    stand = discoveries(list(tested.values()), error)
    return {place for place, stands in zip(tested, stand, strict=True) if stands}


def _call(values: _Values, apart: bool, beyond: bool) -> Call:
    if not values.known:
        return "unknown"
    if not values.tested:
        return "one round"
    return "beyond drift" if beyond else "within drift" if apart else "not told apart"


def _ratio(
    values: _Values, sides: tuple[_Slices, _Slices], confidence: float, call: Call
) -> CellRatio:
    first, second = values.logs
    return CellRatio(
        as_cell(values.key),
        values.metric,
        difference_interval(first, second, confidence).exp() if values.known else None,
        (
            sides[0].why_none(values.key, values.metric),
            sides[1].why_none(values.key, values.metric),
        ),
        (_mean(first), _mean(second)),
        (len(first), len(second)),
        call,
    )


def _mean(logs: Sequence[float]) -> float | None:
    return math.exp(math.fsum(logs) / len(logs)) if logs else None
