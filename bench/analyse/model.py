"""What a target would give at a load: a closed queueing network with its fitted parameters.

Pure: parameters and a load in, a prediction out. It must not know runs, nor how parameters were
fitted (`bench.analyse.calibration` does that).

N connections go round between a *delay* (the waits of the work and by how much they end late), the
*CPU*, and where the work holds one the *units*. The CPU is a station whose rates depend on how many
are there: what a target gives without any wait over j connections is its rate with j at the CPU. At
most K requests are inside where a target has K places; the others wait outside for a worker.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.analyse.curve import Curve, on_curve, rising
from bench.analyse.queueing import (
    Closed,
    closed,
    erlang_c,
    finite_source,
    limited,
    open_time_s,
    several_servers,
)

# Of what a prediction says: why a target gives no more, and where its requests spend their time.
CAUSES = ("waiting", "CPU", "workers", "units")


@dataclass(frozen=True)
class Parameters:
    """What was fitted for a target in one connection mode on so many cores; times in seconds.

    `demand_s` is one over the throughput without a wait, by connections; `wait_cpu_s` the CPU time
    that a wait costs besides, by connections, flat beyond the last; `late_s` by how much a wait
    ends late, by how many would end in a second if nothing but waits took time; `cpu_factor` how
    long a second of asked CPU time takes. A target has `workers` times `places` places, or no limit
    where `places` is None. A blocking call stops all of what `is_loop`. `lanes` is on how many
    cores it can compute at once. The fit rests on up to `calibrated_to` connections.
    """

    target: str
    connection: str
    server_cores: int
    calibrated_to: int
    demand_s: Curve
    wait_cpu_s: Curve = ()
    late_s: Curve = ()
    cpu_factor: float = 1.0
    workers: int = 1
    places: int | None = None
    is_loop: bool = False
    lanes: int = 1

    def as_json(self) -> dict[str, Any]:
        """Plain values under the names of the fields; a curve is a list of pairs."""
        curves = {name: [list(pair) for pair in getattr(self, name)] for name in _CURVES}
        return asdict(self) | curves


_CURVES = ("demand_s", "wait_cpu_s", "late_s")


def from_json(values: Mapping[str, Any]) -> Parameters:
    """The parameters in an object that `as_json` made."""
    curves = {name: tuple((float(x), float(y)) for x, y in values[name]) for name in _CURVES}
    return Parameters(**{**values, **curves})


@dataclass(frozen=True)
class Load:
    """What is asked of a target; times in seconds of one request.

    `delay_s` is waited in waits, and `hold_s` in one more with one of `units` units: `waits` in
    all; `block_s` in `blocks` calls that block their thread; `cpu_s` is computed. `workers` None is
    the target's own number.
    """

    connections: int
    delay_s: float = 0.0
    waits: int = 0
    cpu_s: float = 0.0
    block_s: float = 0.0
    blocks: int = 0
    hold_s: float = 0.0
    workers: int | None = None
    units: int = 1


@dataclass(frozen=True)
class Prediction:
    """What a target would give, and why no more.

    `limited_by` is the tightest of four bounds (see `bounds`), `reached` the share of it that is
    predicted. `shares` say where the time of a request goes, and add up to 1. `extrapolated`: the
    load has more connections than the parameters rest on.
    """

    throughput_rps: float
    response_s: float
    limited_by: str
    reached: float
    shares: dict[str, float]
    extrapolated: bool


def predict(parameters: Parameters, load: Load) -> Prediction:
    """The closed network's throughput, and its mean response time by Little's law."""
    n = inside(parameters, load)
    solved = _solve(parameters, load, n)
    rate = solved.throughput
    cycle_s = load.connections / rate
    spent = {
        "waiting": think_s(parameters, load),
        "CPU": solved.residences_s[0],
        "workers": (load.connections - n) / rate,
        "units": math.fsum(solved.residences_s[1:]),
    }
    known = bounds(parameters, load)
    tightest = min(known, key=lambda cause: known[cause])
    return Prediction(
        throughput_rps=rate,
        response_s=cycle_s,
        limited_by=tightest,
        reached=min(rate / known[tightest], 1.0),
        shares={cause: time_s / cycle_s for cause, time_s in spent.items()},
        extrapolated=load.connections > parameters.calibrated_to,
    )


def open_response_s(parameters: Parameters, load: Load, offered_rps: float) -> float | None:
    """The mean response time at a Poisson rate; None where more is offered than can be served.

    `load.connections` is not used: as many as it takes.
    """
    most = parameters.calibrated_to
    places = places_of(parameters, load)
    if places is not None:
        whole = _network(parameters, replace(load, connections=places), places)
        return open_time_s(offered_rps, limited(whole.throughputs, places, places))
    at_most = replace(load, connections=most)
    at_cpu_s = open_time_s(offered_rps, cpu_rates(parameters, at_most))
    unit_s = held_s(parameters, at_most)
    busy = offered_rps * unit_s
    if at_cpu_s is None or busy >= load.units:
        return None
    units_s = unit_s * (1 + erlang_c(busy, load.units) / (load.units - busy))
    return think_s(parameters, load) + at_cpu_s + units_s


def bounds(parameters: Parameters, load: Load) -> dict[str, float]:
    """Four bounds on the throughput, of which the tightest names the limit.

    All connections waiting; the CPU always busy; all places taken by requests that meet no queue;
    all units held.
    """
    rates = cpu_rates(parameters, load)
    unit_s = held_s(parameters, load)
    alone_s = think_s(parameters, load) + unit_s + 1 / rates[0]
    places = places_of(parameters, load)
    bounded = places is not None and places < load.connections
    return {
        "CPU": max(rates),
        "units": load.units / unit_s if unit_s else math.inf,
        "workers": places / alone_s if bounded and places else math.inf,
        "waiting": load.connections / alone_s,
    }


def places_of(parameters: Parameters, load: Load) -> int | None:
    """How many requests a target works on at once; None where nothing limits them."""
    if parameters.places is None:
        return None
    return (load.workers or parameters.workers) * parameters.places


def inside(parameters: Parameters, load: Load) -> int:
    """How many of the connections have a place."""
    places = places_of(parameters, load)
    return load.connections if places is None else min(load.connections, places)


def think_s(parameters: Parameters, load: Load) -> float:
    """The time that a request spends in waits that keep nobody else waiting, lateness included."""
    waited_s = load.delay_s + (0.0 if parameters.is_loop else load.block_s)
    waits = _waits(parameters, load) - (1 if load.hold_s else 0)
    if not waited_s or waits < 1:
        return waited_s
    per_s = inside(parameters, load) * waits / (waited_s + load.hold_s)
    return waited_s + waits * on_curve(parameters.late_s, per_s)


def held_s(parameters: Parameters, load: Load) -> float:
    """The time for which a request keeps a unit: the wait with it, and by how much that ends late.

    No more of these waits end in a second than there are units, or requests inside, to end them.
    """
    if not load.hold_s:
        return 0.0
    per_s = min(inside(parameters, load), load.units) / load.hold_s
    return load.hold_s + on_curve(parameters.late_s, per_s)


def _waits(parameters: Parameters, load: Load) -> int:
    """How often a request waits and lets others go on."""
    return load.waits + (0 if parameters.is_loop else load.blocks)


def cpu_rates(parameters: Parameters, load: Load) -> list[float]:
    """The rates of the CPU with 1, 2, ... of the requests that are inside there.

    What all connections cost without a wait scales the whole curve where some wait outside. A call
    that blocks a loop takes it as computing does, and ends as late as waits of an idle target.
    """
    n, lanes = inside(parameters, load), parameters.lanes
    wait_cpu_s = on_curve(parameters.wait_cpu_s, load.connections)
    besides_s = load.cpu_s * parameters.cpu_factor + _waits(parameters, load) * wait_cpu_s
    if parameters.is_loop and load.blocks:
        besides_s += load.block_s + load.blocks * on_curve(parameters.late_s, 0)
    outside = 1.0
    if n < load.connections:
        outside = rising(parameters.demand_s, load.connections) / rising(parameters.demand_s, n)
    return [
        1 / (rising(parameters.demand_s, j) * outside + besides_s / min(j, lanes))
        for j in range(1, n + 1)
    ]


def _solve(parameters: Parameters, load: Load, n: int) -> Closed:
    """The network inside, with n requests: without units its closed form, the same to rounding."""
    if load.hold_s:
        return _network(parameters, load, n)
    return finite_source(think_s(parameters, load), cpu_rates(parameters, load), n)


def _network(parameters: Parameters, load: Load, n: int) -> Closed:
    stations = [cpu_rates(parameters, load)]
    if load.hold_s:
        stations.append(several_servers(load.units, held_s(parameters, load), n))
    return closed(think_s(parameters, load), stations, n)
