"""Fits the model of a target to a few cells of a run, chosen by a rule and not by their outcome.

Pure. The rule (`is_calibration`) looks at the grid alone. It must not see what it is to predict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.analyse.curve import Curve
from bench.analyse.limits import places_each
from bench.analyse.model import Load, Parameters, inside, predict
from bench.analyse.works import asked_s, steps_of

Target = Mapping[str, Any]
Point = Mapping[str, Any]

# From this share of its cores on, a target is taken to be as busy as it gets, or busy.
SATURATED = 0.9
BUSY = 0.5
_HALVINGS = 40


@dataclass(frozen=True)
class Measured:
    """What is used of a cell: its point, its throughput, and the CPU that its requests took.

    `utilisation` is the share of its cores that the target kept busy; not known is 0.
    """

    point: Point
    throughput_rps: float
    cpu_s: float | None = None
    utilisation: float = 0.0


def is_calibration(point: Point, of_target: Sequence[Point]) -> bool:
    """Whether a point is there to fit its target, among all points of the same target and mode.

    Those are, with at most half of the largest number of connections: works that wait for nothing,
    and of works that are one delay the shortest. Where workers are an axis, its first value is
    calibrated.
    """
    largest = max(other["connections"] for other in of_target)
    first = min(other["workers"] or 0 for other in of_target)
    if 2 * point["connections"] > largest or (point["workers"] or 0) != first:
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
        blocks=sum(name == "block" for name, _ in steps_of(point["work"])),
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
    most = max(map(_count, cells))
    fitted = replace(_structure(target, plain), calibrated_to=most)
    computing = [cell for cell in idle if load_of(cell.point).cpu_s]
    fitted = replace(fitted, cpu_factor=_cpu_factor(fitted, computing))
    waiting = [cell for cell in cells if cell.point["delay_s"]]
    fitted = replace(fitted, wait_cpu_s=_by_cpu(plain, waiting))
    fitted = replace(fitted, late_s=_late(fitted, waiting))
    return replace(fitted, wait_cpu_s=_by_throughput(fitted, waiting))


def _structure(target: Target, plain: Sequence[Measured]) -> Parameters:
    """What is known of a target without fitting, and its demand."""
    point = plain[0].point
    processes = 1 if target.get("workers_are") == "threads" else int(target.get("workers") or 1)
    has_lock = (target.get("python") or {}).get("gil") is not False
    cores = int(point["server_cores"] or 1)
    places = places_each(target)
    return Parameters(
        target=str(target["name"]),
        connection=str(point["connection"]),
        server_cores=cores,
        calibrated_to=0,
        demand_s=_by_connections((cell, 1 / cell.throughput_rps) for cell in plain),
        workers=int(target.get("workers") or 1),
        places=places,
        is_loop=target.get("family") == "async" and places is None,
        lanes=min(cores, processes) if has_lock else cores,
    )


def _by_connections(values: Iterable[tuple[Measured, float]]) -> Curve:
    return _curve((cell.point["connections"], value) for cell, value in values)


def _curve(values: Iterable[tuple[float, float]]) -> Curve:
    """The values in order; of several at one place their geometric mean."""
    found: dict[float, list[float]] = {}
    for at, value in values:
        found.setdefault(float(at), []).append(value)
    return tuple((at, _middle(found[at])) for at in sorted(found))


def _middle(values: Sequence[float]) -> float:
    if min(values) <= 0:
        return math.fsum(values) / len(values)
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def _cpu_factor(fitted: Parameters, computing: Sequence[Measured]) -> float:
    """How long a second of asked CPU takes, as the cells that only compute show it."""
    factors = [_factor(fitted, cell) for cell in computing]
    return _middle(factors) if factors else 1.0


def _factor(fitted: Parameters, cell: Measured) -> float:
    def rate(factor: float) -> float:
        return _rate(replace(fitted, cpu_factor=factor), cell)

    return _root(rate, cell.throughput_rps, 4.0)


def _by_cpu(plain: Sequence[Measured], waiting: Sequence[Measured]) -> Curve:
    """What a wait costs: how much more CPU a request takes than one without, where that is known.

    Only busy cells count, or else the busiest: an idle target takes more CPU for each request than
    it would need.
    """
    without = [cell for cell in plain if cell.cpu_s is not None]
    known = [cell for cell in waiting if cell.cpu_s is not None and without]
    busy = [cell for cell in known if cell.utilisation >= BUSY]
    busy = busy or sorted(known, key=lambda cell: cell.utilisation)[-1:]
    return _by_connections((cell, _more_cpu_s(cell, without)) for cell in busy)


def _more_cpu_s(cell: Measured, without: Sequence[Measured]) -> float:
    like = min(without, key=lambda other: abs(math.log(_count(other) / _count(cell))))
    return max((cell.cpu_s or 0.0) - (like.cpu_s or 0.0), 0.0)


def _count(cell: Measured) -> int:
    return int(cell.point["connections"])


def _late(fitted: Parameters, waiting: Sequence[Measured]) -> Curve:
    """How late waits end, from the cells that are not saturated."""
    light = [cell for cell in waiting if cell.utilisation < SATURATED]
    return _curve((_per_s(fitted, cell), _late_s(fitted, cell)) for cell in light)


def _per_s(fitted: Parameters, cell: Measured) -> float:
    """How many waits would end in a second if nothing but waits took time."""
    return inside(fitted, load_of(cell.point)) / float(cell.point["delay_s"])


def _late_s(fitted: Parameters, cell: Measured) -> float:
    def rate(late_s: float) -> float:
        return _rate(replace(fitted, late_s=((1, late_s),)), cell)

    return _root(rate, cell.throughput_rps, _count(cell) / cell.throughput_rps)


def _by_throughput(fitted: Parameters, waiting: Sequence[Measured]) -> Curve:
    """The same cost where a target is saturated: there its throughput tells."""
    costs = dict(fitted.wait_cpu_s)
    for cell in waiting:
        if cell.utilisation >= SATURATED:
            costs[_count(cell)] = _cost_s(fitted, cell)
    return tuple((n, costs[n]) for n in sorted(costs))


def _cost_s(fitted: Parameters, cell: Measured) -> float:
    def rate(cost_s: float) -> float:
        return _rate(replace(fitted, wait_cpu_s=((1, cost_s),)), cell)

    return _root(rate, cell.throughput_rps, 10 / cell.throughput_rps)


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
