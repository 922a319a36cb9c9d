"""The engine: the phases of one slice, from connecting to the last reply.

Connect and serve each connection once; then, in one burst or several, warm up, measure and drain.
The loop does the work; this module says when each phase is over. docs/method.md has the rules.
"""

import gc
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clients.cpu_clock import cpu_ns
from clients.errors import LoadError
from clients.load import Load, Raw
from clients.loop import Loop, clock_ns
from clients.request import Request
from clients.schedule import spread_starts
from clients.window import Window

SPARE_DESCRIPTORS = 16
EASILY_ACCEPTED = 64  # so many connections are accepted in no time, whatever the server is doing


class Engine:
    """Runs one Load and gives its Raw figures. Used once.

    Raises LoadError for a host that is not known and for more connections than may be open.
    """

    def __init__(self, load: Load) -> None:
        _require_descriptors(load.connections + SPARE_DESCRIPTORS)
        self.load = load
        self.loop = Loop(load, *_resolve(load.request))
        self.record = self.loop.record
        self.replies = [0] * load.connections
        self.warmup_ns = self.window_ns = self.area_ns = 0
        self.client_cpu_ns = self.server_cpu_ns = self.upstream_cpu_ns = 0
        self.timeouts = self.in_flight_at_close = 0

    def run(self) -> Raw:
        """Measure, then close every connection. Raises LoadError where it cannot even begin."""
        try:
            return self.measure()
        finally:
            self.close()

    def measure(self) -> Raw:
        """Open, all bursts, finish; the connections stay open until `close`."""
        self.open()
        for _ in range(self.load.bursts):
            self.burst()
        return self.finish()

    def open(self) -> None:
        """Connect, and have each of many connections served once. Raises LoadError if it cannot."""
        started_ns = clock_ns()
        if self.load.keep_alive:
            with _no_collection():
                self.loop.connect_all()
                if self.load.connections > EASILY_ACCEPTED:
                    self._serve_each_once()
        self.warmup_ns += clock_ns() - started_ns

    def burst(self) -> None:
        """Load, warm up, measure a window's share, and drain: then the target is quiet again."""
        with _no_collection():
            self.loop.repeating = True
            started_ns, mark = clock_ns(), self.record.mark()
            self.loop.pump(self._warm_until(self._schedule_starts()))
            opened_ns = self.record.last_done_ns or clock_ns()
            self.record.forget_since(mark)
            self.warmup_ns += opened_ns - started_ns
            self._window(opened_ns)
            self._drain()

    def finish(self) -> Raw:
        """The figures of all bursts together."""
        record = self.record
        return Raw(
            steady_ns=record.steady_ns,
            response_ns=record.response_ns,
            service_ns=record.service_ns,
            replies=self.replies,
            warmup_ns=self.warmup_ns,
            window_ns=self.window_ns,
            in_flight_area_ns=self.area_ns,
            client_cpu_ns=self.client_cpu_ns,
            server_cpu_ns=self.server_cpu_ns,
            upstream_cpu_ns=self.upstream_cpu_ns,
            requests_sent=record.sent,
            served_total=record.served_total,
            errors=record.errors,
            timeouts_in_window=self.timeouts,
            in_flight_at_close=self.in_flight_at_close,
            owed=record.in_flight,
        )

    def close(self) -> None:
        """Close every connection."""
        self.loop.close()

    def _window(self, opened_ns: int) -> None:
        """Measure one window and add it to the sums."""
        record, pids, upstream = self.record, self.load.watched_pids, self.load.upstream_pids
        record.area_ns, record.area_since_ns = 0, opened_ns
        self._count_replies(-1)
        timeouts, cpu = record.errors["timeout"], time.process_time_ns()
        server_cpu, upstream_cpu = cpu_ns(pids), cpu_ns(upstream)
        window = Window(self.load, record, opened_ns)
        self.loop.pump(window.may_close)
        self.client_cpu_ns += time.process_time_ns() - cpu
        self.server_cpu_ns += cpu_ns(pids) - server_cpu
        self.upstream_cpu_ns += cpu_ns(upstream) - upstream_cpu
        closed_ns = window.closed_ns(clock_ns())
        record.account(closed_ns, 0)
        self._count_replies(+1)
        self.window_ns += closed_ns - opened_ns
        self.area_ns += record.area_ns
        self.timeouts += record.errors["timeout"] - timeouts
        self.in_flight_at_close += record.in_flight

    def _count_replies(self, sign: int) -> None:
        for conn in self.loop.connections:
            self.replies[conn.index] += sign * conn.replies

    def _serve_each_once(self) -> None:
        """One request on every connection, and quiet until all are answered.

        A loop that is kept busy by the connections it has accepts new ones slowly: uvloop and trio
        take one a pass. Without this, the last of 1,024 connections were accepted seconds late.
        """
        self.loop.repeating = False
        limit_ns, mark = self._warm_up_limit_ns(self._schedule_starts()), self.record.mark()
        self.loop.pump(
            lambda now: (self.record.in_flight == 0 and not self.loop.pending) or now >= limit_ns
        )
        self.record.forget_since(mark)

    def _schedule_starts(self) -> int:
        now = clock_ns()
        offsets = spread_starts(self.load.connections, self.load.delay_s)
        self.loop.pending = [
            (now + offset, conn.index)
            for conn, offset in zip(self.loop.connections, offsets, strict=True)
            if not conn.outstanding
        ]
        return now

    def _warm_until(self, started_ns: int) -> Callable[[int], bool]:
        """Every connection has been served, and as many replies came as there are connections.

        Where as many requests failed, waiting longer would not make the slice a valid one.
        """
        record, connections = self.record, self.load.connections
        limit_ns = self._warm_up_limit_ns(started_ns)
        replies_wanted = record.completions + connections
        failures_wanted = record.failed + connections
        return lambda now: (
            (
                self.loop.unserved == 0
                and record.completions >= replies_wanted
                and not self.loop.pending
            )
            or record.failed >= failures_wanted
            or now >= limit_ns
        )

    def _warm_up_limit_ns(self, started_ns: int) -> int:
        return started_ns + round((self.load.warmup_limit_s + self.load.delay_s) * 1e9)

    def _drain(self) -> None:
        """Send no more; wait for what is outstanding, up to the limit; it is not of the window."""
        mark = self.record.mark()
        self.loop.repeating = False
        self.loop.pending = []
        limit_ns = clock_ns() + round(self.load.drain_s * 1e9)
        self.loop.pump(lambda now: self.record.in_flight == 0 or now >= limit_ns)
        self.record.forget_since(mark)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector out of a measurement."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _resolve(request: Request) -> tuple[int, tuple[object, ...]]:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            request.host, request.port, type=socket.SOCK_STREAM
        )[0]
    except OSError as error:
        raise LoadError(f"cannot find the host {request.host!r}: {error.strerror}") from None
    except ValueError:  # a name that cannot be one: an empty label, a NUL
        raise LoadError(f"cannot find the host {request.host!r}: not a host name") from None
    return family, address


def _require_descriptors(needed: int) -> None:
    """Raise the soft limit of open files as far as needed. Raises LoadError where it cannot."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard < needed and hard != resource.RLIM_INFINITY:
        raise LoadError(
            f"needs {needed} open files but the limit is {hard}: "
            f"use fewer connections or raise it (ulimit -n {needed})"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
