"""What a target would give at a load: a closed queueing network with its fitted parameters.

Pure: parameters and a load in, a prediction out. It must not know runs, nor how parameters were
fitted (`bench.analyse.calibration` does that).

N connections go round between a *delay* (the waits of the work and by how much they end late), the
*CPU*, and where the work holds one the *units*. The CPU is a station whose rates depend on how many
are there: what a target gives without any wait over j connections is its rate with j at the CPU. At
most K requests are inside where a target has K places; the others wait outside for a worker.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.analyse.queueing import (
    Closed,
    closed,
    erlang_c,
    finite_source,
    limited,
    open_time_s,
    several_servers,
)

Curve = tuple[tuple[int, float], ...]
"""(connections, seconds) in rising order of connections."""

# Of what a prediction says: why a target gives no more, and where its requests spend their time.
CAUSES = ("waiting", "CPU", "workers", "units")


@dataclass(frozen=True)
class Parameters:
    """What was fitted for a target in one connection mode on so many cores; times in seconds.

    `demand_s` is one over the throughput without a wait, by connections; `wait_cpu_s` the CPU time
    that a wait costs besides; `late_s` by how much a wait ends late, by connections; `cpu_factor`
    how long a second of asked CPU time takes. A target has `workers` times `places` places, or no
    limit where `places` is None. A blocking call stops all that `is_loop`. `lanes` is on how many
    cores it can compute at once.
    """

    target: str
    connection: str
    server_cores: int
    demand_s: Curve
    wait_cpu_s: float = 0.0
    late_s: Curve = ()
    cpu_factor: float = 1.0
    workers: int = 1
    places: int | None = None
    is_loop: bool = False
    lanes: int = 1

    @property
    def calibrated_to(self) -> int:
        """The largest number of connections that the parameters rest on."""
        return max(n for n, _ in (*self.demand_s, *self.late_s))

    def as_json(self) -> dict[str, Any]:
        """Plain values under the names of the fields; a curve is a list of pairs."""
        curves = {name: [list(pair) for pair in getattr(self, name)] for name in _CURVES}
        return asdict(self) | curves | {"calibrated_to": self.calibrated_to}


_CURVES = ("demand_s", "late_s")


def from_json(values: Mapping[str, Any]) -> Parameters:
    """The parameters in an object that `as_json` made."""
    curves = {name: tuple((int(n), float(s)) for n, s in values[name]) for name in _CURVES}
    rest = {key: value for key, value in values.items() if key != "calibrated_to"}
    return Parameters(**{**rest, **curves})


@dataclass(frozen=True)
class Load:
    """What is asked of a target; times in seconds of one request.

    `delay_s` is waited in `waits` waits, `block_s` in calls that block their thread, `hold_s` with
    one of `units` units; `cpu_s` is computed. `workers` None is the target's own number.
    """

    connections: int
    delay_s: float = 0.0
    waits: int = 0
    cpu_s: float = 0.0
    block_s: float = 0.0
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
    at_cpu_s = open_time_s(offered_rps, cpu_rates(parameters, replace(load, connections=most)))
    busy = offered_rps * load.hold_s
    if at_cpu_s is None or busy >= load.units:
        return None
    units_s = 0.0
    if load.hold_s:
        units_s = load.hold_s * (1 + erlang_c(busy, load.units) / (load.units - busy))
    return think_s(parameters, load) + at_cpu_s + units_s


def bounds(parameters: Parameters, load: Load) -> dict[str, float]:
    """Four bounds on the throughput, of which the tightest names the limit.

    All connections waiting; the CPU always busy; all places taken by requests that meet no queue;
    all units held.
    """
    rates = cpu_rates(parameters, load)
    alone_s = think_s(parameters, load) + load.hold_s + 1 / rates[0]
    places = places_of(parameters, load)
    bounded = places is not None and places < load.connections
    return {
        "CPU": max(rates),
        "units": load.units / load.hold_s if load.hold_s else math.inf,
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
    if not waited_s or not load.waits:
        return waited_s
    return waited_s + load.waits * on_curve(parameters.late_s, load.connections)


def cpu_rates(parameters: Parameters, load: Load) -> list[float]:
    """The rates of the CPU with 1, 2, ... of the requests that are inside there.

    What all connections cost without a wait scales the whole curve where some wait outside.
    """
    n = inside(parameters, load)
    lanes = parameters.lanes
    besides_s = load.cpu_s * parameters.cpu_factor + load.waits * parameters.wait_cpu_s
    besides_s += load.block_s if parameters.is_loop else 0.0
    demand = demand_of(parameters.demand_s, max(n, load.connections))
    outside = demand[load.connections - 1] / demand[n - 1]
    return [1 / (demand[j - 1] * outside + besides_s / min(j, lanes)) for j in range(1, n + 1)]


def demand_of(curve: Curve, most: int) -> list[float]:
    """The demand with 1 to `most` connections, in seconds.

    Between calibrated numbers it is a power of them; beyond the last it goes on rising by as much
    for each connection as between the last two, and never falls.
    """
    (*_, before), last = (curve[:-1] or curve[-1:]), curve[-1]
    known = [on_curve(curve, n) for n in range(1, min(most, last[0]) + 1)]
    step_s = max(last[1] - before[1], 0.0) / max(last[0] - before[0], 1)
    return known + [last[1] + step_s * (n - last[0]) for n in range(last[0] + 1, most + 1)]


def on_curve(curve: Sequence[tuple[int, float]], connections: int) -> float:
    """The value at a number of connections: linear in its logarithm, flat beyond the ends.

    Positive values are interpolated by their logarithms. No curve at all is 0.
    """
    if not curve:
        return 0.0
    if connections <= curve[0][0]:
        return curve[0][1]
    for (n0, y0), (n1, y1) in itertools.pairwise(curve):
        if connections <= n1:
            share = math.log(connections / n0) / math.log(n1 / n0)
            if y0 > 0 and y1 > 0:
                return math.exp(math.log(y0) + share * math.log(y1 / y0))
            return y0 + share * (y1 - y0)
    return curve[-1][1]


def _solve(parameters: Parameters, load: Load, n: int) -> Closed:
    """The network inside, with n requests: without units its closed form, the same to rounding."""
    if load.hold_s:
        return _network(parameters, load, n)
    return finite_source(think_s(parameters, load), cpu_rates(parameters, load), n)


def _network(parameters: Parameters, load: Load, n: int) -> Closed:
    stations: Iterable[Sequence[float]] = [cpu_rates(parameters, load)]
    if load.hold_s:
        stations = [*stations, several_servers(load.units, load.hold_s, n)]
    return closed(think_s(parameters, load), list(stations), n)
