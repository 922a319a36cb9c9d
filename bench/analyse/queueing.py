"""Queues whose exact answers are known: closed networks, open ones, and stations of several kinds.

Pure arithmetic on rates and times in seconds; it knows nothing of servers. A *station* is given by
its rates: `rates[j - 1]` is how many it serves in a second while j are there, so a queue of one
server has the same rate for every j, one of c servers min(j, c) times a server's. A *delay* keeps
everybody for the same mean time, however many there are.

Sources: mean value analysis by Reiser and Lavenberg (J. ACM 27, 1980); stations with rates that
depend on the load, and why the probability of an empty one must not be had by subtraction, by
Reiser (Performance Evaluation 1, 1981); limits on how many are inside, and flow-equivalent
stations, in Lazowska, Zahorjan, Graham and Sevcik (Quantitative System Performance, 1984),
chapters 8 and 9; Erlang's formulas in any textbook.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Rates = Sequence[float]


@dataclass(frozen=True)
class Closed:
    """A closed network with a fixed number of customers.

    `throughputs[n - 1]` is that with n of them; `residences_s` are the times that each station
    keeps a customer, queue included, with all of them.
    """

    throughputs: list[float]
    residences_s: list[float]

    @property
    def throughput(self) -> float:
        """Completions per second with all customers."""
        return self.throughputs[-1]


def closed(delay_s: float, stations: Sequence[Rates], customers: int) -> Closed:
    """Exact mean value analysis of a delay and stations in a ring, for 1 to `customers`.

    The probability that a station is empty comes from the throughput of the network without it,
    p(0 | n) = p(0 | n - 1) X(n) / X'(n), so nothing is subtracted and nothing cancels. Raises
    ValueError without customers, or where there is neither a delay nor a station.
    """
    if customers < 1 or (delay_s <= 0 and not stations):
        raise ValueError("a closed network needs customers, and a delay or a station")
    times = [_times_s(rates, customers) for rates in stations]
    without = [_without(delay_s, stations, index, customers) for index in range(len(stations))]
    counts = np.arange(1, customers + 1)
    here = [np.zeros(customers + 1) for _ in stations]
    for probabilities in here:
        probabilities[0] = 1.0
    throughputs: list[float] = []
    residences: list[float] = []
    for n in range(1, customers + 1):
        residences = [
            float(np.dot(counts[:n] * time[:n], p[:n])) for time, p in zip(times, here, strict=True)
        ]
        rate = n / (delay_s + math.fsum(residences))
        for time, p, others in zip(times, here, without, strict=True):
            p[1 : n + 1] = rate * time[:n] * p[:n]
            p[0] *= rate / others[n - 1]
        throughputs.append(rate)
    return Closed(throughputs, residences)


def _without(
    delay_s: float, stations: Sequence[Rates], index: int, customers: int
) -> Sequence[float]:
    """The throughputs of the network without one station; nothing holds up who is nowhere."""
    others = [rates for place, rates in enumerate(stations) if place != index]
    if delay_s <= 0 and not others:
        return [math.inf] * customers
    return closed(delay_s, others, customers).throughputs


def finite_source(delay_s: float, rates: Rates, customers: int) -> Closed:
    """The same for one station, at once: a birth and death process.

    With j there, customers - j are in the delay, and p(j) is proportional to the product of
    (customers - k + 1) / delay / rates[k] over k = 1 to j. `throughputs` has only the last.
    """
    times = _times_s(rates, customers)
    if delay_s <= 0:
        return Closed([1 / float(times[-1])], [customers * float(times[-1])])
    left = np.arange(customers, 0, -1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(left * times / delay_s))])
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    throughput = float((weights[1:] / times).sum())
    there = float((weights * np.arange(customers + 1)).sum())
    return Closed([throughput], [there / throughput])


def several_servers(servers: int, time_s: float, customers: int) -> list[float]:
    """The rates of a station with so many servers that each keep a customer for `time_s`."""
    return [min(n, servers) / time_s for n in range(1, customers + 1)]


def limited(inside: Sequence[float], limit: int, customers: int) -> list[float]:
    """The rates of a part of a network that lets in only so many: the others wait outside.

    `inside[n - 1]` is the throughput of that part alone with n customers (flow equivalence).
    """
    return [inside[min(n, limit) - 1] for n in range(1, customers + 1)]


def erlang_b(load: float, servers: int) -> float:
    """The share of arrivals that find all servers busy where nobody waits; `load` in Erlang."""
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked


def erlang_c(load: float, servers: int) -> float:
    """The share of arrivals that have to wait for one of the servers; 1 where they overflow."""
    if load >= servers:
        return 1.0
    blocked = erlang_b(load, servers)
    return servers * blocked / (servers - load * (1 - blocked))


def open_time_s(arrivals: float, rates: Rates) -> float | None:
    """The mean time at a station under Poisson arrivals; None where they come faster than served.

    Beyond the last of its rates the station keeps that one, so its tail is geometric. With
    min(j, c) times one rate it is M/M/c.
    """
    if arrivals >= rates[-1]:
        return None
    logs = np.concatenate([[0.0], np.cumsum(np.log(arrivals) - np.log(np.asarray(rates)))])
    weights = np.exp(logs - logs.max())
    last, share = len(rates), arrivals / rates[-1]
    weights[-1] /= 1 - share
    there = np.arange(last + 1, dtype=float)
    there[-1] = last + share / (1 - share)
    return float((weights * there).sum() / weights.sum()) / arrivals


def _times_s(rates: Rates, customers: int) -> np.ndarray:
    if len(rates) < customers:
        raise ValueError(f"a station needs a rate for each of {customers} customers")
    return 1 / np.asarray(rates[:customers], dtype=float)
