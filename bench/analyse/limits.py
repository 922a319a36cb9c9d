"""Which number limits a target: its workers, threads, units or cores, and to what throughput.

Pure arithmetic on what run.json says of a target and on a point. A limit is an upper bound that
follows from the set-up, never a measurement: K places that a request keeps for a time T each let
K / T requests through in a second, however many connections there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.analyse.works import asked_s

Target = Mapping[str, Any]
Point = Mapping[str, Any]


@dataclass(frozen=True)
class Limit:
    """`at_once` places, `what` they are, the least time for which a request keeps one.

    `whole_s` is the time that the whole request asks for.
    """

    at_once: int
    time_s: float
    what: str
    whole_s: float

    @property
    def rate_rps(self) -> float:
        """The throughput that cannot be exceeded."""
        return self.at_once / self.time_s

    @property
    def connections(self) -> float:
        """With more connections than these the limit holds them up, however fast the server."""
        return self.rate_rps * self.whole_s


def limit(target: Target, point: Point) -> Limit | None:
    """The tightest known limit of a target at a point; None where no number limits it.

    What a command of the user does with a path is its own affair: of it only what was declared
    of its workers and threads is used, and nothing where its path does not depend on the work.
    """
    path = target.get("path")
    if path and "{" not in path:
        return None
    limits = [*_places(target, point)]
    if target.get("kind") != "command":
        limits += [*_stopped_loop(target, point), *_units(point), *_cores(target, point)]
    return min(limits, key=lambda known: known.rate_rps, default=None)


def own_workers(target: Target, point: Point) -> int | None:
    """The number of workers at a point: the point's, else the target's own, else not known."""
    workers = point.get("workers")
    return int(workers) if workers else target.get("workers") or None


def places_each(target: Target) -> int | None:
    """How many requests each worker of a target works on at once; None where nothing limits it."""
    if target.get("serves_one_at_a_time"):
        return 1
    if target.get("workers_are") == "threads":
        return 1 if target.get("workers") else None
    return target.get("threads") or None


def _places(target: Target, point: Point) -> Iterator[Limit]:
    """Threads, or processes that serve one request at a time."""
    time_s = _whole_s(point)
    workers, threads = own_workers(target, point), target.get("threads")
    if not time_s:
        return
    if target.get("serves_one_at_a_time"):
        each = f"{count_of(workers or 1, 'process')}, one request at a time each"
        words = each if (workers or 1) > 1 else "one request at a time"
        yield Limit(workers or 1, time_s, words, time_s)
    elif target.get("workers_are") == "threads":
        if workers:
            yield Limit(workers, time_s, count_of(workers, "thread"), time_s)
    elif threads:
        words = count_of(threads, "thread")
        words = f"{workers} processes x {words}" if workers and workers > 1 else words
        yield Limit((workers or 1) * threads, time_s, words, time_s)


def _stopped_loop(target: Target, point: Point) -> Iterator[Limit]:
    """An event loop serves nobody else while a library call blocks its thread."""
    block_s = asked_s(point["work"]).get("block", 0.0)
    has_threads = target.get("workers_are") == "threads" or target.get("threads")
    if target.get("family") == "async" and block_s and not has_threads:
        loops = own_workers(target, point) or 1
        words = f"{count_of(loops, 'loop')} that a blocking call stops"
        yield Limit(loops, block_s + _cpu_s(point), words, _whole_s(point))


def _units(point: Point) -> Iterator[Limit]:
    hold_s = asked_s(point["work"]).get("hold", 0.0)
    if hold_s:
        units = int(point.get("units") or 1)
        yield Limit(units, hold_s, count_of(units, "unit"), _whole_s(point))


def _cores(target: Target, point: Point) -> Iterator[Limit]:
    """CPU time is had on cores; while an interpreter lock is kept, on one per process."""
    cores = int(point.get("server_cores") or 1)
    if cpu_s := _cpu_s(point):
        yield Limit(cores, cpu_s, count_of(cores, "server core"), _whole_s(point))
    spin_s = asked_s(point["work"]).get("spin", 0.0)
    processes = 1 if target.get("workers_are") == "threads" else own_workers(target, point) or 1
    has_lock = (target.get("python") or {}).get("gil") is not False
    if spin_s and has_lock and processes < cores:
        words = count_of(processes, "interpreter lock")
        yield Limit(processes, spin_s, words, _whole_s(point))


def _whole_s(point: Point) -> float:
    return float(point["delay_s"]) + _cpu_s(point)


def _cpu_s(point: Point) -> float:
    asked = asked_s(point["work"])
    return asked.get("spin", 0.0) + asked.get("hash", 0.0)


def count_of(count: int, name: str) -> str:
    """A count with its noun: 1 unit, 64 threads, 8 processes."""
    plural = "es" if name.endswith("s") else "s"
    return f"{count:,} {name}{'' if count == 1 else plural}"
