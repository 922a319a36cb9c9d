"""The engine: the phases of one slice, from connecting to the last reply.

Connect, serve each connection once, warm up, measure, drain. The loop does the work; this module
says when each phase is over. See docs/method.md for the rules.
"""

import gc
import resource
import socket
import time
from array import array
from collections.abc import Callable

from clients.cpu_clock import cpu_ns
from clients.errors import LoadError
from clients.load import Load, Raw
from clients.loop import Loop, clock_ns
from clients.request import Request
from clients.schedule import spread_starts
from clients.window import Window

SPARE_DESCRIPTORS = 16
EASILY_ACCEPTED = 64


class Engine:
    """Runs one Load and gives its Raw figures. Used once."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.loop = Loop(load, *_resolve(load.request))
        self.record = self.loop.record

    def run(self) -> Raw:
        """Measure, then close every connection. Raises LoadError where it cannot even begin."""
        try:
            return self.measure()
        finally:
            self.close()

    def measure(self) -> Raw:
        """Connect, warm up, measure, drain; the connections stay open until `close`."""
        _require_descriptors(self.load.connections + SPARE_DESCRIPTORS)
        collecting = gc.isenabled()
        gc.disable()
        try:
            return self._measure()
        finally:
            if collecting:
                gc.enable()

    def close(self) -> None:
        """Close every connection."""
        self.loop.close()

    def _measure(self) -> Raw:
        load, started_ns = self.load, clock_ns()
        if load.keep_alive:
            self.loop.connect_all()
            if load.connections > EASILY_ACCEPTED:
                self._serve_each_once()
        self.loop.pump(self._warm_until(self._schedule_starts()))
        opened_ns = self._open_window()
        timeouts = self.record.errors["timeout"]
        cpu, server_cpu = time.process_time_ns(), cpu_ns(load.watched_pids)
        window = Window(load, self.record, opened_ns)
        self.loop.pump(window.may_close)
        cpu, server_cpu = time.process_time_ns() - cpu, cpu_ns(load.watched_pids) - server_cpu
        closed_ns = window.closed_ns(clock_ns())
        self.record.account(closed_ns, 0)
        raw = Raw(
            self.record.steady_ns,
            self.record.response_ns,
            self.record.service_ns,
            [conn.replies for conn in self.loop.connections],
            opened_ns - started_ns,
            closed_ns - opened_ns,
            self.record.area_ns,
            cpu,
            server_cpu,
            self.record.sent,
            self.record.served_total,
            self.record.errors,
            self.record.errors["timeout"] - timeouts,
            self.record.in_flight,
            0,
        )
        self._drain()
        raw.owed, raw.served_total = self.record.in_flight, self.record.served_total
        return raw

    def _serve_each_once(self) -> None:
        """One request on every connection, and quiet until all are answered.

        A loop that is kept busy by the connections it has accepts new ones slowly: uvloop and trio
        take one a pass. Without this, the last of 1,024 connections were accepted seconds late.
        """
        self.loop.repeating = False
        limit_ns = self._warm_up_limit_ns(self._schedule_starts())
        self.loop.pump(
            lambda now: (self.record.in_flight == 0 and not self.loop.pending) or now >= limit_ns
        )
        self.loop.repeating = True
        self._forget()

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
        limit_ns, connections = self._warm_up_limit_ns(started_ns), self.load.connections
        return lambda now: (
            (
                self.loop.unserved == 0
                and self.record.completions >= connections
                and not self.loop.pending
            )
            or self.record.failed >= connections
            or now >= limit_ns
        )

    def _warm_up_limit_ns(self, started_ns: int) -> int:
        return started_ns + round((self.load.warmup_limit_s + self.load.delay_s) * 1e9)

    def _open_window(self) -> int:
        """Forget the warm-up; the window opens on the completion that ended it."""
        opened_ns = self.record.last_done_ns or clock_ns()
        self._forget()
        self.record.area_ns, self.record.area_since_ns = 0, opened_ns
        return opened_ns

    def _forget(self) -> None:
        self.record.forget_samples()
        for conn in self.loop.connections:
            conn.replies = 0

    def _drain(self) -> None:
        """Send no more; wait for what is outstanding, up to the limit."""
        self.loop.repeating = False
        self.loop.pending = []
        # What comes now is not of the window, whose samples have been handed over.
        self.record.response_ns, self.record.service_ns = array("q"), array("q")
        limit_ns = clock_ns() + round(self.load.drain_s * 1e9)
        self.loop.pump(lambda now: self.record.in_flight == 0 or now >= limit_ns)


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
