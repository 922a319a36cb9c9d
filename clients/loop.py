"""The loop: one epoll that keeps the connections busy and notes what it sees.

Sockets and clocks are used here and in `engine` only. Which phase it is, and what the samples
mean, is decided elsewhere. `pump` is the hot path: a reply that equals the last good one
costs two system calls, one clock reading and no parsing.
"""

import heapq
import select
import socket
import time
from collections.abc import Callable
from errno import EAGAIN, EINPROGRESS

from clients.connection import Connection
from clients.load import Load
from clients.record import Record
from clients.response import ProtocolError, Reply, ResponseFramer, TruncatedError

RECEIVE_BYTES = 65_536
CONNECT_BATCH = 256
TICK_NS = 100_000_000
RETRY_NS = 10_000_000

clock_ns = time.perf_counter_ns


class Loop:
    """The connections of a load. `repeating`: a reply begins the connection's next request."""

    def __init__(self, load: Load, family: int, address: tuple[object, ...]) -> None:
        self.load = load
        self.family, self.address = family, address
        self.payload = load.request.payload
        keep_body = load.expected_body is not None
        self.connections = [
            Connection(i, ResponseFramer(keep_body=keep_body, to_head=load.request.to_head))
            for i in range(load.connections)
        ]
        self.record = Record()
        self.epoll = select.epoll()
        self.by_fd: dict[int, Connection] = {}
        self.pending: list[tuple[int, int]] = []  # heap of (due_ns, connection index)
        self.repeating = True
        self.unserved = load.connections
        self.good: bytes | None = None
        self.good_head: bytes | None = None

    def close(self) -> None:
        """Close every connection."""
        for conn in self.connections:
            self._close(conn)
        self.epoll.close()

    def connect_all(self) -> None:
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

    def pump(self, over: Callable[[int], bool]) -> None:
        """Serve events until `over(now)`, asked once per wake-up."""
        poll, by_fd, clock = self.epoll.poll, self.by_fd, clock_ns
        payload, size = self.payload, len(self.payload)
        record = self.record
        note = record.steady_ns.append
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
                    now = record.last_done_ns = clock()
                    note(now - conn.sent_ns)
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
        record.sent += replies
        record.served_total += replies

    # Everything that is not the hot path

    def _patience_s(self, now: int) -> float:
        return min(max((self.pending[0][0] - now) / 1e9, 0.0), 0.1)

    def _start_due(self, now: int) -> None:
        while self.pending and self.pending[0][0] <= now:
            conn = self.connections[heapq.heappop(self.pending)[1]]
            began_ns = clock_ns()
            self.record.account(began_ns, +1)
            self._begin(conn, began_ns)

    def _begin(self, conn: Connection, now: int) -> None:
        """Start a request now: on the open connection, or on a new one."""
        conn.began_ns = now
        conn.outstanding = conn.untouched = True
        conn.steady = conn.served and conn.used
        conn.unsent = self.payload
        if conn.sock is not None or self._open(conn, select.EPOLLIN):
            self._writable(conn)

    def _open(self, conn: Connection, events: int) -> bool:
        """Start to connect. False when that failed at once; the failure is then counted."""
        # The C type itself: `socket.socket` adds microseconds of Python to opening and closing.
        sock = socket.SocketType(self.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        conn.sock, conn.fd, conn.recv, conn.send = sock, sock.fileno(), sock.recv, sock.send
        if self.load.keep_alive:  # a connection's only request never waits for an acknowledgement
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.by_fd[conn.fd] = conn
        self.epoll.register(conn.fd, events)
        conn.events = events
        if sock.connect_ex(self.address) in (0, EINPROGRESS, EAGAIN):
            return True
        self._fail(conn, "connect")
        return False

    def _unfinished(self, conn: Connection, count: int) -> None:
        """The hot path could send only `count` bytes (0: perhaps an error): the rest follows."""
        conn.unsent = self.payload[count:]
        if not count:
            self.record.sent -= 1  # counted by the hot path; `_writable` will count it again
        self._writable(conn)

    def _writable(self, conn: Connection) -> None:
        """Send what is unsent; a connection still being made is asked to report when it can."""
        if not conn.unsent:
            return
        try:
            count = conn.send(conn.unsent)
        except BlockingIOError:
            self._listen_for(conn, select.EPOLLIN | select.EPOLLOUT)
            return
        except OSError:
            self._broken(conn)
            return
        if len(conn.unsent) == len(self.payload):
            conn.sent_ns = clock_ns()
            conn.used = True
            self.record.sent += 1
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
        if whole and (data == self.good or self._looks_like_last(data)):
            self._complete(conn, reuse=self.load.keep_alive)
            return
        conn.untouched = conn.steady = False
        try:
            if not data:
                reply = conn.framer.end()
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
            self.record.error("status")
            self._next(conn, clock_ns(), reuse=reuse)
        elif expected is not None and reply.body != expected:
            self.record.error("body")
            self._next(conn, clock_ns(), reuse=reuse)
        else:
            if data and (reuse or not self.load.keep_alive):
                self.good = data
                self.good_head = _head_that_frames(data, reply) if expected is None else None
            self._complete(conn, reuse=reuse)

    def _complete(self, conn: Connection, *, reuse: bool) -> None:
        """A correct reply: record it and begin the connection's next request."""
        now = self.record.last_done_ns = clock_ns()
        self.record.response_ns.append(now - conn.began_ns)
        self.record.service_ns.append(now - conn.sent_ns)
        conn.replies += 1
        self.record.served_total += 1
        if not conn.served:
            conn.served = True
            self.unserved -= 1
        self._next(conn, now, reuse=reuse)

    def _next(self, conn: Connection, now: int, *, reuse: bool) -> None:
        if not reuse:
            self._close(conn)
        if self.repeating:
            self._begin(conn, now)
        else:
            conn.outstanding = False
            self.record.account(now, -1)

    def _fail(self, conn: Connection, kind: str) -> None:
        """Count an error, close the connection, and begin again a little later."""
        self.record.error(kind)
        if conn.outstanding:
            conn.outstanding = False
            self.record.account(clock_ns(), -1)
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

    def _close(self, conn: Connection) -> None:
        if conn.sock is not None:
            del self.by_fd[conn.fd]
            conn.sock.close()
            conn.sock = None
        if not conn.untouched:
            conn.framer.reset()
        conn.used = False
        conn.unsent = b""


def _head_that_frames(data: bytes, reply: Reply) -> bytes | None:
    """The head, where it alone says how long the reply is: not with chunks or interim replies."""
    framed = reply.head_bytes + reply.body_bytes == len(data)
    return data[: reply.head_bytes] if framed else None
