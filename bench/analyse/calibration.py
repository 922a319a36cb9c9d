"""Fits the model of a target to a few cells of a run, chosen by a rule and not by their outcome.

Pure. The rule (`is_calibration`) looks at the grid alone. It must not see what it is to predict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.analyse.limits import places_each
from bench.analyse.model import Load, Parameters, predict
from bench.analyse.works import asked_s, steps_of

Target = Mapping[str, Any]
Point = Mapping[str, Any]

# From this share of its cores on, a target is taken to be as busy as it gets.
SATURATED = 0.9
_HALVINGS = 40


@dataclass(frozen=True)
class Measured:
    """What is used of a cell: its point, its throughput, and the CPU that its requests took."""

    point: Point
    throughput_rps: float
    cpu_s: float | None
    utilisation: float | None


def is_calibration(point: Point, of_target: Sequence[Point]) -> bool:
    """Whether a point is there to fit its target, among all points of the same target and mode.

    Those are, with at most half of the largest number of connections: works that wait for nothing,
    and of works that are one delay the shortest.
    """
    largest = max(other["connections"] for other in of_target)
    if 2 * point["connections"] > largest:
        return False
    delays = [other["delay_s"] for other in of_target if _is_one_delay(other)]
    waits_least = _is_one_delay(point) and point["delay_s"] == min(delays)
    return not point["delay_s"] or waits_least


def _is_one_delay(point: Point) -> bool:
    return bool(point["delay_s"]) and [name for name, _ in steps_of(point["work"])] == ["delay"]


def load_of(point: Point) -> Load:
    """What a point asks of a target."""
    asked = asked_s(point["work"])
    hold_s, block_s = asked.get("hold", 0.0), asked.get("block", 0.0)
    waits = sum(name in ("delay", "call", "hold", "drip") for name, _ in steps_of(point["work"]))
    return Load(
        connections=int(point["connections"]),
        delay_s=max(float(point["delay_s"]) - hold_s - block_s, 0.0),
        waits=waits,
        cpu_s=asked.get("spin", 0.0) + asked.get("hash", 0.0),
        block_s=block_s,
        hold_s=hold_s,
        workers=int(point["workers"]) if point.get("workers") else None,
        units=int(point.get("units") or 1),
    )


def fit(target: Target, cells: Sequence[Measured]) -> Parameters | None:
    """The parameters of a target from its calibration cells, all of one mode and so many cores.

    None where no cell of those asks for nothing: then its demand is not known.
    """
    idle = [cell for cell in cells if not cell.point["delay_s"]]
    plain = [cell for cell in idle if not load_of(cell.point).cpu_s]
    if not plain:
        return None
    fitted = _structure(target, plain)
    computing = [cell for cell in idle if load_of(cell.point).cpu_s]
    fitted = replace(fitted, cpu_factor=_cpu_factor(fitted, computing))
    waiting = [cell for cell in cells if cell.point["delay_s"]]
    if not waiting:
        return fitted
    fitted = replace(fitted, wait_cpu_s=_wait_cpu_s(plain, waiting))
    late = _late(fitted, waiting)
    return _saturated(replace(fitted, late_s=late), waiting)


def _structure(target: Target, plain: Sequence[Measured]) -> Parameters:
    """What is known of a target without fitting, and its demand."""
    point = plain[0].point
    processes = 1 if target.get("workers_are") == "threads" else int(target.get("workers") or 1)
    has_lock = (target.get("python") or {}).get("gil") is not False
    cores = int(point["server_cores"])
    places = places_each(target)
    return Parameters(
        target=str(target["name"]),
        connection=str(point["connection"]),
        server_cores=cores,
        demand_s=_curve((cell, 1 / cell.throughput_rps) for cell in plain),
        workers=int(target.get("workers") or 1),
        places=places,
        is_loop=target.get("family") == "async" and places is None,
        lanes=min(cores, processes) if has_lock else cores,
    )


def _curve(values: Iterable[tuple[Measured, float]]) -> tuple[tuple[int, float], ...]:
    """By connections; of several cells with as many the geometric mean."""
    found: dict[int, list[float]] = {}
    for cell, value in values:
        found.setdefault(int(cell.point["connections"]), []).append(value)
    return tuple((n, _middle(found[n])) for n in sorted(found))


def _middle(values: Sequence[float]) -> float:
    if min(values) <= 0:
        return math.fsum(values) / len(values)
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def _cpu_factor(fitted: Parameters, computing: Sequence[Measured]) -> float:
    """How long a second of asked CPU takes, as the cells that only compute show it."""
    factors = [
        _root(
            lambda factor, cell=cell: _rate(replace(fitted, cpu_factor=factor), cell),  # type: ignore[misc]
            cell.throughput_rps,
            4.0,
        )
        for cell in computing
    ]
    return _middle(factors) if factors else 1.0


def _wait_cpu_s(plain: Sequence[Measured], waiting: Sequence[Measured]) -> float:
    """By how much more CPU a request of the busiest waiting cell takes than one without a wait."""
    known = [cell for cell in waiting if cell.cpu_s is not None and cell.utilisation is not None]
    without = [cell for cell in plain if cell.cpu_s is not None]
    if not known or not without:
        return 0.0
    busiest = max(known, key=lambda cell: cell.utilisation or 0.0)
    like = min(without, key=lambda cell: _apart(cell, busiest))
    more_s = (busiest.cpu_s or 0.0) - (like.cpu_s or 0.0)
    return max(more_s, 0.0) / max(load_of(busiest.point).waits, 1)


def _apart(one: Measured, other: Measured) -> float:
    return abs(math.log(one.point["connections"] / other.point["connections"]))


def _late(fitted: Parameters, waiting: Sequence[Measured]) -> tuple[tuple[int, float], ...]:
    """How late waits end, from the cells that are not saturated; of those, the rest of a cycle."""
    light = [cell for cell in waiting if (cell.utilisation or 0.0) < SATURATED]
    return _curve((cell, _late_s(fitted, cell)) for cell in light)


def _late_s(fitted: Parameters, cell: Measured) -> float:
    def rate(late_s: float) -> float:
        return _rate(replace(fitted, late_s=((1, late_s),)), cell)

    return _root(rate, cell.throughput_rps, cell.point["connections"] / cell.throughput_rps)


def _saturated(fitted: Parameters, waiting: Sequence[Measured]) -> Parameters:
    """The same with what a wait costs read off the throughput of the cells that are saturated."""
    busy = [cell for cell in waiting if (cell.utilisation or 0.0) >= SATURATED]
    costs = [
        _root(
            lambda cost_s, cell=cell: _rate(replace(fitted, wait_cpu_s=cost_s), cell),  # type: ignore[misc]
            cell.throughput_rps,
            10 / cell.throughput_rps,
        )
        for cell in busy
    ]
    return replace(fitted, wait_cpu_s=_middle(costs)) if costs else fitted


def _rate(parameters: Parameters, cell: Measured) -> float:
    return predict(parameters, load_of(cell.point)).throughput_rps


def _root(rate: Callable[[float], float], wanted: float, high: float) -> float:
    """Where a falling rate is `wanted`, between 0 and `high`: at an end where it nowhere is."""
    low = 0.0
    if rate(low) <= wanted:
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rate(middle) > wanted else (low, middle)
    return (low + high) / 2
