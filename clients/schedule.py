"""Pure arrival schedules: when requests are meant to start. No clock, no sockets.

A closed loop needs no more than where its connections start. An open loop's arrivals are those of a
rate over time: the k-th comes where the integral of the rate reaches k (`constant`), or the sum of
k + 1 draws from Exp(1) (`poisson`: the time change of an inhomogeneous Poisson process). So a step
of the rate neither drops an arrival nor adds one.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from clients.draws import uniform

ARRIVALS = ("constant", "poisson")


@dataclass(frozen=True, slots=True)
class Schedule:
    """The arrivals of an open loop. The same values always give the same ones.

    `steps` are (rate in requests per second, seconds); the last rate goes on after its seconds.
    Raises ValueError for what is no schedule.
    """

    steps: tuple[tuple[float, float], ...]
    arrivals: str = "constant"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.arrivals not in ARRIVALS:
            raise ValueError(f"arrivals are {' or '.join(ARRIVALS)}, not {self.arrivals!r}")
        if not self.steps:
            raise ValueError("a schedule needs a rate")
        for rate_rps, duration_s in self.steps:
            if not (0 < rate_rps < math.inf and duration_s > 0):
                raise ValueError(f"not a step of a schedule: {rate_rps} req/s for {duration_s} s")

    def offsets_ns(self, shard: int = 0, shards: int = 1) -> Iterator[int]:
        """When each request starts, in ns since the schedule began, for ever.

        The shards of one schedule share its arrivals out in turn: shard i of n has every n-th,
        beginning with arrival i, and needs to be told nothing else.
        """
        return islice(self._all_offsets_ns(), shard, None, shards)

    def rate_at(self, at_s: float) -> float:
        """The rate in requests per second at a moment."""
        for rate_rps, duration_s in self.steps:
            if at_s < duration_s:
                return rate_rps
            at_s -= duration_s
        return self.steps[-1][0]

    def _all_offsets_ns(self) -> Iterator[int]:
        began_s, began_with = 0.0, 0.0  # of the present step: when, and with how many arrivals
        steps = iter(self.steps)
        rate_rps, duration_s = next(steps)
        for target in self._targets():
            while target - began_with >= rate_rps * duration_s:
                following = next(steps, None)
                if following is None:
                    duration_s = math.inf
                    break
                began_with += rate_rps * duration_s
                began_s += duration_s
                rate_rps, duration_s = following
            yield round((began_s + (target - began_with) / rate_rps) * 1e9)

    def _targets(self) -> Iterator[float]:
        """Where the integral of the rate is when each arrival comes."""
        if self.arrivals == "constant":
            count = 0
            while True:
                yield float(count)
                count += 1
        total, count = 0.0, 0
        while True:
            total -= math.log(1.0 - uniform(self.seed, count))
            yield total
            count += 1


def spread_starts(connections: int, over_s: float) -> list[int]:
    """Start offsets in ns for each connection of a closed loop, spread evenly over `over_s`.

    Connections that started together would send and wait in step for the whole slice.
    """
    if connections < 1:
        raise ValueError(f"connections must be at least 1, not {connections}")
    if over_s < 0:
        raise ValueError(f"the spread cannot be negative: {over_s} s")
    over_ns = round(over_s * 1e9)
    return [i * over_ns // connections for i in range(connections)]
