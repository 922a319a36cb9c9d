"""The engine: one epoll loop that keeps N connections busy and records what it sees.

Time enters through `time.perf_counter_ns` and sockets through this module only. What the samples
mean is decided elsewhere (`measurement`, `verdict`). The loop in `_pump` is the hot path: a reply
that equals the last good one costs two system calls, one clock reading and no parsing.
"""

import gc
import heapq
import resource
import select
import socket
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from errno import EAGAIN, EINPROGRESS

from clients.cpu_clock import cpu_ns
from clients.errors import LoadError
from clients.request import Request
from clients.response import ProtocolError, Reply, ResponseFramer, TruncatedError
from clients.schedule import spread_starts
from clients.verdict import ERROR_KINDS

RECEIVE_BYTES = 65_536
CONNECT_BATCH = 256
TICK_NS = 100_000_000
RETRY_NS = 10_000_000
SPARE_DESCRIPTORS = 16

clock_ns = time.perf_counter_ns


@dataclass(frozen=True, slots=True)
class Load:
    """One closed-loop load: what to send, over how many connections, and for how long.

    `delay_s` is how long the work waits, if known: the first requests are spread evenly over it.

    The window opens on a completion, once every connection has been served or `warmup_limit_s` is
    over, and closes on the first completion after both `window_s` and `completions_wanted`, or on
    the clock after `window_limit_s`.
    """

    request: Request
    connections: int
    keep_alive: bool = True
    delay_s: float = 0.0
    window_s: float = 0.25
    window_limit_s: float = 30.0
    warmup_limit_s: float = 10.0
    completions_wanted: int = 1
    serves_one_at_a_time: bool = False
    drain_s: float = 0.5
    connect_timeout_s: float = 5.0
    request_timeout_s: float = 60.0
    expected_body: bytes | None = None
    watched_pids: tuple[int, ...] = ()


@dataclass(slots=True)
class Raw:
    """What a slice recorded, before any judgement. Times in ns.

    Samples, replies and areas are of the window. `served_total` and `errors` are of the whole
    slice, `requests_sent` of all of it up to the window's end.
    """

    steady_ns: "array[int]"
    response_ns: "array[int]"
    service_ns: "array[int]"
    replies: list[int]
    warmup_ns: int
    window_ns: int
    in_flight_area_ns: int
    client_cpu_ns: int
    server_cpu_ns: int
    requests_sent: int
    served_total: int
    errors: dict[str, int]
    timeouts_in_window: int
    in_flight_at_close: int
    owed: int


class Connection:
    """One of the N connections and the request that it has outstanding, if any."""

    __slots__ = (
        "began_ns",
        "events",
        "fd",
        "framer",
        "index",
        "outstanding",
        "recv",
        "replies",
        "send",
        "sent_ns",
        "served",
        "sock",
        "steady",
        "unsent",
        "untouched",
        "used",
    )

    recv: Callable[[int], bytes]
    send: Callable[[bytes], int]

    def __init__(self, index: int, framer: ResponseFramer) -> None:
        self.index = index
        self.framer = framer
        self.sock: socket.SocketType | None = None
        self.fd = -1
        self.events = 0
        self.outstanding = False
        self.untouched = True  # no byte of the reply that is due has come
        self.steady = False  # untouched, not the first to be served, and sent the moment it was due
        self.unsent = b""
        self.began_ns = self.sent_ns = 0
        self.replies = 0
        self.served = False
        self.used = False  # a request has gone out on the present socket


class Engine:
    """Runs one Load and gives its Raw figures. Used once."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.family, self.address = _resolve(load.request)
        self.payload = load.request.payload
        keep_body = load.expected_body is not None
        self.connections = [
            Connection(i, ResponseFramer(keep_body=keep_body)) for i in range(load.connections)
        ]
        self.epoll = select.epoll()
        self.by_fd: dict[int, Connection] = {}
        self.pending: list[tuple[int, int]] = []  # heap of (due_ns, connection index)
        self.good: bytes | None = None
        self.good_head: bytes | None = None
        self.repeating = True
        self.steady_ns: array[int] = array("q")
        self.response_ns: array[int] = array("q")
        self.service_ns: array[int] = array("q")
        self.errors = dict.fromkeys(ERROR_KINDS, 0)
        self.sent = 0
        self.served_total = 0
        self.unserved = load.connections
        self.in_flight = 0
        self.area_ns = 0
        self.area_since_ns = 0
        self.last_done_ns = 0

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
        for conn in self.connections:
            self._close(conn)
        self.epoll.close()

    def _measure(self) -> Raw:
        load, started_ns = self.load, clock_ns()
        if load.keep_alive:
            self._connect_all()
            self._serve_each_once()
        self._pump(self._warm_until(self._schedule_starts()))
        opened_ns = self._open_window()
        timeouts = self.errors["timeout"]
        cpu, server_cpu = time.process_time_ns(), cpu_ns(load.watched_pids)
        limit_ns = opened_ns + round(load.window_limit_s * 1e9)
        self._pump(self._measured_until(opened_ns + round(load.window_s * 1e9), limit_ns))
        cpu, server_cpu = time.process_time_ns() - cpu, cpu_ns(load.watched_pids) - server_cpu
        closed_ns = self._close_window(limit_ns)
        raw = Raw(
            self.steady_ns,
            self.response_ns,
            self.service_ns,
            [conn.replies for conn in self.connections],
            opened_ns - started_ns,
            closed_ns - opened_ns,
            self.area_ns,
            cpu,
            server_cpu,
            self.sent,
            self.served_total,
            self.errors,
            self.errors["timeout"] - timeouts,
            self.in_flight,
            0,
        )
        self._drain()
        raw.owed, raw.served_total = self.in_flight, self.served_total
        return raw

    # Phases

    def _connect_all(self) -> None:
        """Open every connection, a batch at a time so that no accept queue overflows."""
        waiting: set[int] = set()
        give_up_ns = clock_ns() + round(self.load.connect_timeout_s * 1e9)
        for conn in self.connections:
            if self._open(conn, select.EPOLLOUT | select.EPOLLONESHOT):
                waiting.add(conn.fd)
            if len(waiting) >= CONNECT_BATCH or conn is self.connections[-1]:
                while waiting and clock_ns() < give_up_ns:
                    waiting -= {fd for fd, _ in self.epoll.poll(0.05)}
        for conn in self.by_fd.values():
            self._listen_for(conn, select.EPOLLIN)

    def _serve_each_once(self) -> None:
        """One request on every connection, and quiet until all are answered.

        A loop that is kept busy by the connections it has accepts new ones slowly: uvloop and trio
        take one a pass. Without this, the last of 1,024 connections were accepted seconds late.
        """
        self.repeating = False
        limit_ns = self._warm_up_limit_ns(self._schedule_starts())
        self._pump(lambda now: (self.in_flight == 0 and not self.pending) or now >= limit_ns)
        self.repeating = True
        self._forget()

    def _schedule_starts(self) -> int:
        now = clock_ns()
        offsets = spread_starts(self.load.connections, self.load.delay_s)
        self.pending = [
            (now + offset, conn.index)
            for conn, offset in zip(self.connections, offsets, strict=True)
            if not conn.outstanding
        ]
        return now

    def _warm_until(self, started_ns: int) -> Callable[[int], bool]:
        """Every connection has been served, and as many replies came as there are connections."""
        limit_ns = self._warm_up_limit_ns(started_ns)
        return lambda now: (
            (self.unserved == 0 and self._recorded() >= self.load.connections and not self.pending)
            or now >= limit_ns
        )

    def _warm_up_limit_ns(self, started_ns: int) -> int:
        return started_ns + round((self.load.warmup_limit_s + self.load.delay_s) * 1e9)

    def _open_window(self) -> int:
        """Forget the warm-up; the window opens on the completion that ended it."""
        opened_ns = self.last_done_ns or clock_ns()
        self._forget()
        self.area_ns, self.area_since_ns = 0, opened_ns
        return opened_ns

    def _forget(self) -> None:
        for samples in (self.steady_ns, self.response_ns, self.service_ns):
            del samples[:]
        for conn in self.connections:
            conn.replies = 0

    def _recorded(self) -> int:
        return len(self.steady_ns) + len(self.response_ns)

    def _measured_until(self, earliest_ns: int, limit_ns: int) -> Callable[[int], bool]:
        wanted = self.load.completions_wanted
        return lambda now: (
            (self.last_done_ns >= earliest_ns and self._recorded() >= wanted) or now >= limit_ns
        )

    def _close_window(self, limit_ns: int) -> int:
        """The window closes on its last completion, or on the clock where the limit ended it."""
        now = clock_ns()
        closed_ns = now if now >= limit_ns else self.last_done_ns
        self._account(closed_ns, 0)
        return closed_ns

    def _drain(self) -> None:
        """Send no more; wait for what is outstanding, up to the limit."""
        self.repeating = False
        self.pending = []
        self.response_ns, self.service_ns = array("q"), array("q")  # no longer the window's
        limit_ns = clock_ns() + round(self.load.drain_s * 1e9)
        self._pump(lambda now: self.in_flight == 0 or now >= limit_ns)

    # The hot path

    def _pump(self, over: Callable[[int], bool]) -> None:
        """Serve events until `over(now)`, asked once per wake-up."""
        poll, by_fd, clock = self.epoll.poll, self.by_fd, clock_ns
        payload, size = self.payload, len(self.payload)
        record = self.steady_ns.append
        good = self.good if self.repeating else None
        replies = 0
        now = clock()
        next_tick_ns = now + TICK_NS
        while not over(now):
            for fd, _ in poll(self._patience_s(now) if self.pending else 0.1):
                conn = by_fd.get(fd)
                if conn is None:
                    continue
                try:
                    data = conn.recv(RECEIVE_BYTES)
                except BlockingIOError:
                    self._writable(conn)
                    continue
                except OSError:
                    self._broken(conn)
                    continue
                if data == good and conn.steady:
                    now = self.last_done_ns = clock()
                    record(now - conn.sent_ns)
                    conn.replies += 1
                    replies += 1
                    conn.began_ns = conn.sent_ns = now
                    try:
                        count = conn.send(payload)
                    except OSError:
                        count = 0
                    if count != size:
                        self._unfinished(conn, count)
                    continue
                self._received(conn, data)
                good = self.good if self.repeating else None
            now = clock()
            if now >= next_tick_ns:
                next_tick_ns = now + TICK_NS
                self._expire(now)
            if self.pending and self.pending[0][0] <= now:
                self._start_due(now)
        self.sent += replies
        self.served_total += replies

    # Everything that is not the hot path

    def _patience_s(self, now: int) -> float:
        return min(max((self.pending[0][0] - now) / 1e9, 0.0), 0.1)

    def _start_due(self, now: int) -> None:
        while self.pending and self.pending[0][0] <= now:
            conn = self.connections[heapq.heappop(self.pending)[1]]
            self._begin(conn)

    def _begin(self, conn: Connection) -> None:
        """Start a request now: on the open connection, or on a new one."""
        now = clock_ns()
        conn.began_ns = now
        conn.outstanding = conn.untouched = True
        conn.steady = conn.served and conn.used
        conn.unsent = self.payload
        self._account(now, +1)
        if conn.sock is not None or self._open(conn, select.EPOLLIN):
            self._writable(conn)

    def _open(self, conn: Connection, events: int) -> bool:
        """Start to connect. False when that failed at once; the failure is then counted."""
        # The C type itself: `socket.socket` adds microseconds of Python to opening and closing.
        sock = socket.SocketType(self.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        conn.sock, conn.fd, conn.recv, conn.send = sock, sock.fileno(), sock.recv, sock.send
        if self.load.keep_alive:  # a connection's only request never waits for an acknowledgement
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conn.framer.reset(to_head=self.load.request.to_head)
        self.by_fd[conn.fd] = conn
        self.epoll.register(conn.fd, events)
        conn.events = events
        if sock.connect_ex(self.address) in (0, EINPROGRESS, EAGAIN):
            return True
        self._fail(conn, "connect")
        return False

    def _unfinished(self, conn: Connection, count: int) -> None:
        """The hot path could send only `count` bytes (0: perhaps an error): the rest follows."""
        self.sent -= 1  # the hot path counts one per reply; `_writable` counts it when it goes out
        conn.unsent = self.payload
        if count:
            self.sent += 1
            conn.unsent = self.payload[count:]
        self._writable(conn)

    def _writable(self, conn: Connection) -> None:
        """Send what is unsent; a connection still being made is asked to report when it can."""
        if not conn.unsent:
            return
        try:
            count = conn.send(conn.unsent)
        except BlockingIOError:
            conn.steady = False
            self._listen_for(conn, select.EPOLLIN | select.EPOLLOUT)
            return
        except OSError:
            self._broken(conn)
            return
        if len(conn.unsent) == len(self.payload):
            conn.sent_ns = clock_ns()
            conn.used = True
            self.sent += 1
        conn.unsent = conn.unsent[count:]
        self._listen_for(conn, select.EPOLLIN | (select.EPOLLOUT if conn.unsent else 0))

    def _listen_for(self, conn: Connection, events: int) -> None:
        if conn.events != events:
            self.epoll.modify(conn.fd, events)
            conn.events = events

    def _received(self, conn: Connection, data: bytes) -> None:
        """Take bytes (or the end) that are not simply the last good reply again."""
        if not conn.outstanding:
            self._close(conn)  # an idle connection that the server gave up, or sent junk on
            return
        whole = conn.untouched
        conn.untouched = conn.steady = False
        try:
            if not data:
                reply = conn.framer.end()
            elif whole and self._looks_like_last(data):
                self._complete(conn, reuse=True)
                return
            else:
                fed = conn.framer.feed(data)
                if fed is None:
                    return
                reply = fed
        except ProtocolError:
            self._fail(conn, "protocol")
            return
        except TruncatedError:
            self._fail(conn, "reset")
            return
        self._judge(conn, reply, data if whole else b"")

    def _looks_like_last(self, data: bytes) -> bool:
        """The last good reply's head and size: only a body that nobody checks differs."""
        good, head = self.good, self.good_head
        return (
            good is not None
            and head is not None
            and len(data) == len(good)
            and data.startswith(head)
        )

    def _judge(self, conn: Connection, reply: Reply, data: bytes) -> None:
        """Count a complete reply as correct or as an error; learn what correct looks like."""
        expected = self.load.expected_body
        reuse = self.load.keep_alive and reply.keep_alive
        if not 200 <= reply.status < 400:
            self.errors["status"] += 1
            self._next(conn, clock_ns(), reuse=reuse)
        elif expected is not None and reply.body != expected:
            self.errors["body"] += 1
            self._next(conn, clock_ns(), reuse=reuse)
        else:
            if data and reuse:
                self.good = data
                self.good_head = _head_that_frames(data, reply) if expected is None else None
            self._complete(conn, reuse=reuse)

    def _complete(self, conn: Connection, *, reuse: bool) -> None:
        """A correct reply: record it and begin the connection's next request."""
        now = self.last_done_ns = clock_ns()
        self.response_ns.append(now - conn.began_ns)
        self.service_ns.append(now - conn.sent_ns)
        conn.replies += 1
        self.served_total += 1
        if not conn.served:
            conn.served = True
            self.unserved -= 1
        self._next(conn, now, reuse=reuse)

    def _next(self, conn: Connection, now: int, *, reuse: bool) -> None:
        conn.outstanding = False
        self._account(now, -1)
        if not reuse:
            self._close(conn)
        if self.repeating:
            self._begin(conn)

    def _fail(self, conn: Connection, kind: str) -> None:
        """Count an error, close the connection, and begin again a little later."""
        self.errors[kind] += 1
        if conn.outstanding:
            conn.outstanding = False
            self._account(clock_ns(), -1)
        self._close(conn)
        if self.repeating:
            heapq.heappush(self.pending, (clock_ns() + RETRY_NS, conn.index))

    def _broken(self, conn: Connection) -> None:
        """The socket reported an error: the connecting's fault if nothing was sent on it yet."""
        if conn.outstanding:
            self._fail(conn, "reset" if conn.used else "connect")
        else:
            self._close(conn)

    def _expire(self, now: int) -> None:
        """Give up requests and connections that have taken too long."""
        sending_before = now - round(self.load.connect_timeout_s * 1e9)
        waiting_before = now - round(self.load.request_timeout_s * 1e9)
        for conn in self.connections:
            if not conn.outstanding:
                continue
            if not conn.used:
                if conn.began_ns < sending_before:
                    self._fail(conn, "connect")
            elif conn.sent_ns < waiting_before:
                self._fail(conn, "timeout")

    def _account(self, now: int, change: int) -> None:
        """Integrate the number in flight over time, then change it."""
        self.area_ns += self.in_flight * (now - self.area_since_ns)
        self.area_since_ns = now
        self.in_flight += change

    def _close(self, conn: Connection) -> None:
        if conn.sock is not None:
            del self.by_fd[conn.fd]
            conn.sock.close()
            conn.sock = None
        conn.used = False
        conn.unsent = b""


def _head_that_frames(data: bytes, reply: Reply) -> bytes | None:
    """The head, where it alone says how long the reply is: not with chunks or interim replies."""
    framed = reply.head_bytes + reply.body_bytes == len(data)
    return data[: reply.head_bytes] if framed else None


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
