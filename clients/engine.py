"""What both engines share: where to connect to, what a window counts, a row for every second.

An engine leads a loop through the phases of one slice; it says when each is over. See
`clients.closed_engine` and `clients.open_engine`; docs/method.md has the rules.
"""

import gc
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clients.errors import LoadError
from clients.load import Load, Raw
from clients.loop import Loop
from clients.meter import Meter
from clients.record import Record, Tally
from clients.request import Request
from clients.sample import Durations
from clients.samples_file import Samples

SPARE_DESCRIPTORS = 16
SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Second:
    """What happened in about a second of the window: a row of the timeline.

    `number` counts from 0; rows of one number of several shards can be added. `response` are the
    response times of the replies that came in it.
    """

    number: int
    length_s: float
    completions: int
    sent: int
    errors: int
    in_flight: int
    response: Durations

    def add(self, other: "Second") -> None:
        """The same second of another shard."""
        self.length_s = max(self.length_s, other.length_s)
        self.completions += other.completions
        self.sent += other.sent
        self.errors += other.errors
        self.in_flight += other.in_flight
        self.response.add(other.response)

    def extend(self, rest: "Second") -> None:
        """What followed it, as a part of it."""
        length_s = self.length_s + rest.length_s
        self.add(rest)
        self.length_s, self.in_flight = length_s, rest.in_flight


OnSecond = Callable[[Second], None]


class Engine:
    """One slice of a load. Used once; tells of every second where somebody wants to know.

    Raises LoadError for a host that is not known and for more connections than may be open.
    """

    def __init__(
        self, load: Load, loop: Callable[..., Loop], on_second: OnSecond | None = None
    ) -> None:
        require_descriptors(load.own_connections)
        self.load = load
        self._loop = loop(load, *resolve(load.request))
        self._loop.on_tick = self._on_tick
        self.record: Record = self._loop.record
        self.tally = Tally()
        self.meter = Meter(load.watched_pids, load.upstream_pids)
        self.replies = [0] * load.own_connections
        self.warmup_ns = self.window_ns = self.area_ns = 0
        self.bursts_unsettled = 0
        self.served = 0
        self.on_second = on_second
        self.interrupted = False
        self._second = Counts()

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
        """Make ready."""
        raise NotImplementedError

    def burst(self) -> None:
        """Load, measure a window's share, and let the target become quiet."""
        raise NotImplementedError

    def finish(self) -> Raw:
        """The figures of all bursts together."""
        raise NotImplementedError

    def close(self) -> None:
        """Close every connection."""
        self._loop.close()

    def keep_samples(self) -> Samples:
        """Have the clocks of every request kept; costs some us a request, and memory."""
        self._loop.samples = samples = Samples()
        return samples

    def interrupt(self) -> None:
        """End the window at the next occasion. What was measured stands."""
        self.interrupted = self._loop.interrupted = True

    def raw(self, **fields: Any) -> Raw:
        """The figures of the whole slice; `fields` are those that only one kind of loop has."""
        record, meter = self.record, self.meter
        record.fold_into(self.tally)
        return Raw(
            tally=self.tally,
            replies=list(self.replies),
            warmup_ns=self.warmup_ns,
            bursts_unsettled=self.bursts_unsettled,
            window_ns=self.window_ns,
            in_flight_area_ns=self.area_ns,
            client_cpu_ns=meter.client_ns,
            server_cpu_ns=meter.server_ns,
            upstream_cpu_ns=meter.upstream_ns,
            waited_for_cpu_ns=meter.waited_ns,
            requests_sent=record.sent,
            served_total=record.served_total,
            errors=record.errors,
            peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            interrupted=self.interrupted,
            **fields,
        )

    # The window

    def _open_window(self, opened_ns: int) -> Callable[[int], None]:
        """Count what happens from now on; what it gives is to be called with the end's time."""
        record = self.record
        self._count_replies(-1)
        flow_ns, in_flight = record.flow_ns, record.in_flight
        served = record.served_total
        spun_ns = record.spun_ns
        self._second = Counts.first(opened_ns, record)
        self.meter.start()

        def close(closed_ns: int) -> None:
            self.meter.stop()
            self.meter.client_ns -= record.spun_ns - spun_ns
            if self.on_second is not None:
                self._end_second(closed_ns)
            self._second.running = False
            self._count_replies(+1)
            self.window_ns += closed_ns - opened_ns
            self.area_ns += record.area_ns(opened_ns, in_flight, flow_ns, closed_ns)
            self.served += record.served_total - served

        return close

    def _count_replies(self, sign: int) -> None:
        for conn in self._loop.connections:
            self.replies[conn.index] += sign * conn.replies

    def _on_tick(self, now: int) -> None:
        if self._second.running and now >= self._second.ends_ns:
            self._end_second(now)

    def _end_second(self, now: int) -> None:
        """Fold what came in it, and tell of it."""
        second = self._second
        response = self.record.fold_into(self.tally)
        self._second = following = second.following(now, self.record)
        if self.on_second is None or now <= second.began_ns:
            return
        self.on_second(
            Second(
                number=second.number,
                length_s=(now - second.began_ns) / 1e9,
                completions=following.served - second.served,
                sent=following.sent - second.sent,
                errors=following.failed - second.failed,
                in_flight=self.record.in_flight,
                response=response,
            )
        )


@dataclass(slots=True)
class Counts:
    """What the record had counted when a second began, and when that ends."""

    running: bool = False
    number: int = 0
    began_ns: int = 0
    ends_ns: int = 0
    served: int = 0
    sent: int = 0
    failed: int = 0

    @classmethod
    def first(cls, opened_ns: int, record: Record) -> "Counts":
        """Those of a window's first second."""
        return cls(ends_ns=opened_ns, number=-1).following(opened_ns, record)

    def following(self, now: int, record: Record) -> "Counts":
        """Those of the next second, which begins now: a tick may come late, but not ever later."""
        return Counts(
            True,
            self.number + 1,
            now,
            self.ends_ns + SECOND_NS,
            record.served_total,
            record.sent,
            record.failed,
        )


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the garbage collector out of a measurement."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def resolve(request: Request) -> tuple[int, tuple[object, ...]]:
    """The address family and address of its host: of several, the first that accepts.

    Raises LoadError for one that is not known.
    """
    try:
        found = socket.getaddrinfo(request.host, request.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LoadError(f"cannot find the host {request.host!r}: {error.strerror}") from None
    except ValueError:  # a name that cannot be one: an empty label, a NUL
        raise LoadError(f"cannot find the host {request.host!r}: not a host name") from None
    addresses = [(int(family), address) for family, _, _, _, address in found]
    if len(addresses) == 1:
        return addresses[0]
    return next((each for each in addresses if _accepts(*each)), addresses[0])


def _accepts(family: int, address: tuple[object, ...]) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(1.0)
        return sock.connect_ex(address) == 0


def require_server(load: Load) -> None:
    """Raise LoadError where nothing accepts connections: there is nothing to measure."""
    family, address = resolve(load.request)
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(load.connect_timeout_s)
        try:
            sock.connect(address)
        except OSError as error:
            host, port = load.request.host, load.request.port
            raise LoadError(
                f"cannot connect to {host} port {port}: {error.strerror or error}; "
                "is the server running?"
            ) from None


def require_descriptors(connections: int) -> None:
    """Raise the soft limit of open files as far as needed. Raises LoadError where it cannot."""
    needed = connections + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard < needed and hard != resource.RLIM_INFINITY:
        raise LoadError(
            f"needs {needed} open files but the limit is {hard}: "
            f"use fewer connections or raise it (ulimit -n {needed})"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
