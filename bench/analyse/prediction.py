"""The model against a run: fitted to its calibration cells, compared with all that it did not see.

It decides which cells are which by the declared grid, before any number is looked at. What a
prediction is, `bench.analyse.model` knows; how it is shown, `bench.present.predictions`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from bench.analyse.calibration import Measured, fit, is_calibration, load_of
from bench.analyse.frames import round_means
from bench.analyse.model import Parameters, Prediction, predict
from bench.store import CELL_KEYS, Run, reading_order

Group = tuple[str, str, int]
Point = Mapping[str, Any]

# What of a cell is new to the model, in words.
KINDS = {
    "within": "other waits, no more connections",
    "beyond": "more connections",
    "mixed": "waiting and computing in one request",
    "other": "other works",
}


@dataclass(frozen=True)
class Predicted:
    """A cell: what was measured and what the model says of it.

    Throughput and mean response time are geometric means over rounds; the response time is None
    where it is only a lower bound. Calibration cells are those that the model was fitted to.
    """

    cell: dict[str, Any]
    is_calibration: bool
    throughput_rps: float
    response_s: float | None
    predicted: Prediction
    kind: str

    @property
    def throughput_error(self) -> float:
        """Predicted over measured, less 1."""
        return self.predicted.throughput_rps / self.throughput_rps - 1

    @property
    def response_error(self) -> float | None:
        """The same of the mean response time; None where that is not known."""
        return None if self.response_s is None else self.predicted.response_s / self.response_s - 1


@dataclass(frozen=True)
class Errors:
    """Absolute relative errors over some held-out cells: the median and the 90th percentile.

    A percentile is an order statistic, the smallest value that so many do not exceed. None of a
    response time where none is known.
    """

    cells: int
    throughput_median: float
    throughput_p90: float
    response_median: float | None
    response_p90: float | None


@dataclass(frozen=True)
class Modelled:
    """A run's parameters, cells and the targets, with their connection mode, that have no fit."""

    parameters: list[Parameters]
    cells: list[Predicted]
    not_fitted: list[tuple[str, str]]

    @property
    def held_out(self) -> list[Predicted]:
        """The cells that the model has not seen."""
        return [cell for cell in self.cells if not cell.is_calibration]


def model_of_run(run: Run, trials: pd.DataFrame) -> Modelled:
    """Fit every target of a run in each connection mode and predict all of its measured cells.

    A target that is asked the same whatever the point is left out: its work is not known.
    """
    targets = {target["name"]: target for target in run.info["targets"]}
    parameters, predicted, not_fitted = [], [], []
    groups = _groups(trials)
    places = {name: place for place, name in enumerate(targets)}
    known_groups = [group for group in groups if group[0] in places]
    for name, mode, cores in sorted(known_groups, key=lambda g: (g[1] == "close", places[g[0]], g)):
        target, cells = targets[name], groups[name, mode, cores]
        if "{" not in (target.get("path") or "{work}"):
            continue
        declared = [cell for cell in cells if _is_declared(run, cell)]
        points = [cell["point"] for cell in declared]
        known = [cell for cell in cells if cell["throughput_rps"]]
        seen = [c for c in known if c in declared and is_calibration(c["point"], points)]
        fitted = fit(target, [_measured(cell) for cell in seen]) if seen else None
        if fitted is None:
            not_fitted.append((name, mode))
            continue
        parameters.append(fitted)
        predicted += [
            _predicted(fitted, cell, any(cell is each for each in seen)) for cell in known
        ]
    return Modelled(parameters, predicted, list(dict.fromkeys(not_fitted)))


def errors_of(cells: Sequence[Predicted]) -> Errors | None:
    """The errors of some cells; None where there are none."""
    if not cells:
        return None
    rates = [abs(cell.throughput_error) for cell in cells]
    times = [abs(error) for cell in cells if (error := cell.response_error) is not None]
    return Errors(
        len(cells),
        statistics.median(rates),
        _p90(rates),
        statistics.median(times) if times else None,
        _p90(times) if times else None,
    )


def errors_by(cells: Iterable[Predicted], key: Callable[[Predicted], str]) -> dict[str, Errors]:
    """The errors of held-out cells in groups, in order of appearance."""
    groups: dict[str, list[Predicted]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return {name: found for name, mine in groups.items() if (found := errors_of(mine))}


def worst(cells: Sequence[Predicted], most: int = 3) -> list[Predicted]:
    """The held-out cells whose throughput is missed by most."""
    return sorted(cells, key=lambda cell: -abs(cell.throughput_error))[:most]


def as_verdict(modelled: Modelled) -> dict[str, Any]:
    """The block `model` of verdicts.json. Times in the unit that a key names."""
    held_out = modelled.held_out
    by_target = errors_by(held_out, lambda cell: str(cell.cell["target"]))
    by_kind = errors_by(held_out, lambda cell: cell.kind)
    overall = errors_of(held_out)
    return {
        "parameters": [each.as_json() for each in modelled.parameters],
        "not_fitted": [{"target": name, "connection": mode} for name, mode in modelled.not_fitted],
        "errors": {
            "all": asdict(overall) if overall else None,
            "by_target": {name: asdict(errors) for name, errors in by_target.items()},
            "by_kind": {name: asdict(errors) for name, errors in by_kind.items()},
        },
        "cells": [_cell_verdict(cell) for cell in modelled.cells],
    }


def _cell_verdict(cell: Predicted) -> dict[str, Any]:
    said = cell.predicted
    return {
        **cell.cell,
        "is_calibration": cell.is_calibration,
        "kind": cell.kind,
        "measured_rps": cell.throughput_rps,
        "predicted_rps": said.throughput_rps,
        "measured_response_s": cell.response_s,
        "predicted_response_s": said.response_s,
        "limited_by": said.limited_by,
        "reached": said.reached,
        "shares": said.shares,
        "extrapolated": said.extrapolated,
    }


def _p90(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.9 * len(values)) - 1]


def _groups(trials: pd.DataFrame) -> dict[Group, list[dict[str, Any]]]:
    """The cells of each target, connection mode and number of cores, in reading order."""
    groups: dict[Group, list[dict[str, Any]]] = {}
    for key, slices in trials.groupby(list(CELL_KEYS), dropna=False, sort=False):
        cell = _cell(key, slices)
        point = cell["point"]
        if not point["connections"]:
            continue
        group = (point["target"], point["connection"], point["server_cores"])
        groups.setdefault(group, []).append(cell)
    return {
        name: sorted(cells, key=lambda cell: reading_order(cell["point"]))
        for name, cells in groups.items()
    }


def _cell(key: tuple[Any, ...], slices: pd.DataFrame) -> dict[str, Any]:
    """A cell's point and what its valid slices say; None for what they do not."""
    values = (None if pd.isna(value) else value for value in key)
    point: dict[str, Any] = dict(zip(CELL_KEYS, values, strict=True))
    point |= {name: point[name] and int(point[name]) for name in ("workers", "units")}
    valid = slices[slices["valid"]]
    response_ms = None if valid["at_least"].any() else _mean(slices, "response_time_mean_ms")
    return {
        "point": point,
        "throughput_rps": _mean(slices, "throughput_rps"),
        "response_s": response_ms and response_ms / 1e3,
        "cpu_us": _median(valid, "server_cpu_us_per_request"),
        "utilisation": _median(valid, "server_cpu_utilisation"),
    }


def _mean(slices: pd.DataFrame, column: str) -> float | None:
    """The geometric mean over rounds."""
    logs = round_means(slices, column)
    return math.exp(float(logs.mean())) if len(logs) else None


def _median(slices: pd.DataFrame, column: str) -> float | None:
    known = slices[column].dropna()
    return float(known.median()) if len(known) else None


def _is_declared(run: Run, cell: Mapping[str, Any]) -> bool:
    """Whether the profile names this number of connections: others were added by outcome."""
    point = cell["point"]
    grids = [g for g in run.config.get("grids", ()) if g["connection"] == point["connection"]]
    return any(point["connections"] in grid["connections"] for grid in grids)


def _measured(cell: Mapping[str, Any]) -> Measured:
    cpu_s = None if cell["cpu_us"] is None else cell["cpu_us"] / 1e6
    return Measured(cell["point"], cell["throughput_rps"], cpu_s, cell["utilisation"] or 0.0)


def _predicted(fitted: Parameters, cell: Mapping[str, Any], seen: bool) -> Predicted:
    point = cell["point"]
    said = predict(fitted, load_of(point))
    kind = _kind(point, said)
    return Predicted(point, seen, cell["throughput_rps"], cell["response_s"], said, kind)


def _kind(point: Point, said: Prediction) -> str:
    asked = load_of(point)
    if asked.cpu_s and point["delay_s"]:
        return "mixed"
    if said.extrapolated:
        return "beyond"
    return "within" if asked.waits and not asked.hold_s and not asked.block_s else "other"
