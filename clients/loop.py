"""What both loops do alike: open connections, send, receive, judge replies, count failures.

Sockets and clocks are used here, in the two loops and in the engines only. When a request begins,
and what happens after its reply, is up to `clients.closed` and `clients.open`; their `pump` is the
hot path. Which phase it is, and what the samples mean, is decided elsewhere.
"""

import select
import socket
import time
from collections.abc import Callable
from errno import EAGAIN, EINPROGRESS

from clients.connection import Connection
from clients.load import Check, Load
from clients.record import Record
from clients.response import ProtocolError, Reply, ResponseFramer, TruncatedError
from clients.samples_file import Samples

RECEIVE_BYTES = 65_536
TICK_NS = 100_000_000
LOOKED_AT_A_TICK = 512

clock_ns = time.perf_counter_ns


class Loop:
    """The connections of a load's shard, and what is noted of them."""

    def __init__(self, load: Load, family: int, address: tuple[object, ...]) -> None:
        # `select` takes no descriptor from 1,024 on: this one comes before the connections'.
        self.epoll = select.epoll()
        self.load = load
        self.family, self.address = family, address
        self.payloads = load.request.payloads
        self.connections = [
            Connection(
                index,
                ResponseFramer(keep_body=load.check.reads_bodies, to_head=load.request.to_head),
                load.request.payload,
            )
            for index in range(load.own_connections)
        ]
        self.record = Record()
        self.samples: Samples | None = None
        self.in_window = True  # not while a closed loop warms up or drains
        self.interrupted = False
        self.by_fd: dict[int, Connection] = {}
        self.unserved = load.own_connections
        self.good: bytes | None = None
        self.good_head: bytes | None = None
        self.on_tick: Callable[[int], None] = lambda _: None
        self._looked_at = 0

    def close(self) -> None:
        """Close every connection."""
        for conn in self.connections:
            self._close(conn)
        self.epoll.close()

    @property
    def plain(self) -> bool:
        """Whether replies may be told by their bytes alone, and requests are all the same."""
        return self.samples is None and len(self.payloads) == 1

    # What each loop decides

    def _next(self, conn: Connection, now: int, *, reuse: bool) -> None:
        """A reply has come, right or wrong; the connection may be used again or not."""
        raise NotImplementedError

    def _failed(self, conn: Connection, now: int) -> None:
        """The connection's request failed, and it was closed."""
        raise NotImplementedError

    def _left(self, conn: Connection) -> None:
        """The connection was closed while it had no request."""

    # Connections

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
        conn.opened_ns = clock_ns()
        if sock.connect_ex(self.address) in (0, EINPROGRESS, EAGAIN):
            return True
        self._fail(conn, "connect")
        return False

    def _close(self, conn: Connection) -> None:
        if conn.sock is not None:
            del self.by_fd[conn.fd]
            conn.sock.close()
            conn.sock = None
        if not conn.untouched:
            conn.framer.reset()
        conn.used = False
        conn.unsent = b""

    def _listen_for(self, conn: Connection, events: int) -> None:
        if conn.events != events:
            self.epoll.modify(conn.fd, events)
            conn.events = events

    # Sending

    def _begin(self, conn: Connection, intended_ns: int) -> None:
        """Start a request: on the open connection, or on a new one."""
        conn.began_ns = intended_ns
        conn.outstanding = conn.untouched = True
        conn.first_byte_ns = conn.sent_ns = 0
        conn.steady = conn.served and conn.used
        conn.unsent = conn.payload
        if conn.sock is not None or self._open(conn, select.EPOLLIN):
            self._writable(conn)

    def _writable(self, conn: Connection) -> None:
        """Send what is unsent; a connection still being made is asked to report when it can."""
        if not conn.unsent:
            return
        now = clock_ns()
        try:
            count = conn.send(conn.unsent)
        except BlockingIOError:
            self._listen_for(conn, select.EPOLLIN | select.EPOLLOUT)
            return
        except OSError:
            self._broken(conn)
            return
        if len(conn.unsent) == len(conn.payload):
            self._sent(conn, now)
        conn.unsent = conn.unsent[count:]
        self._listen_for(conn, select.EPOLLIN | (select.EPOLLOUT if conn.unsent else 0))

    def _sent(self, conn: Connection, now: int) -> None:
        """The first bytes of a request have gone out."""
        conn.sent_ns = now
        self.record.sent += 1
        if not conn.used:
            conn.used = True
            self.record.connect_ns.append(now - conn.opened_ns)

    # Receiving

    def _received(self, conn: Connection, data: bytes) -> None:
        """Take bytes (or the end) that are not simply the last good reply again."""
        if not conn.outstanding:
            self._spoke_unasked(conn, data)
            return
        whole = conn.untouched
        if whole and (data == self.good or self._looks_like_last(data)):
            self._complete(conn, reuse=self.load.keep_alive and not conn.unsent)
            return
        if whole:
            conn.first_byte_ns = clock_ns()
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

    def _spoke_unasked(self, conn: Connection, data: bytes) -> None:
        """An idle connection that the server gave up, or sent junk on, which is an error."""
        if data:
            self.record.error("protocol")
        self._close(conn)
        self._left(conn)

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
        check = self.load.check
        # A reply may come before its request is all sent: what follows must not be put into that.
        reuse = self.load.keep_alive and reply.keep_alive and not conn.unsent
        wrong = wrong_class(check, reply)
        if wrong is not None:
            self.record.error(wrong)
            self._note(conn, clock_ns(), wrong)
            self._next(conn, clock_ns(), reuse=reuse)
            return
        if data and (reuse or not self.load.keep_alive):
            self.good = data
            self.good_head = None if check.reads_bodies else _head_that_frames(data, reply)
        self._complete(conn, reuse=reuse)

    def _complete(self, conn: Connection, *, reuse: bool) -> None:
        """A correct reply: record it and go on."""
        record = self.record
        now = record.last_done_ns = clock_ns()
        if self.is_measured(conn.began_ns):
            record.response_ns.append(now - conn.began_ns)
            record.service_ns.append(now - conn.sent_ns)
            record.first_byte_ns.append((conn.first_byte_ns or now) - conn.sent_ns)
            self._note(conn, now, "")
        conn.replies += 1
        record.served_total += 1
        if not conn.served:
            conn.served = True
            self.unserved -= 1
        self._next(conn, now, reuse=reuse)

    def is_measured(self, intended_ns: int) -> bool:  # noqa: ARG002
        """Whether a request that was meant to start then is one whose times are kept."""
        return True

    def _note(self, conn: Connection, now: int, wrong: str) -> None:
        """Keep the raw clocks of a request that is over, where they are asked for."""
        if self.samples is not None and self.in_window and self.is_measured(conn.began_ns):
            self.samples.add(
                conn.index, conn.began_ns, conn.sent_ns, conn.first_byte_ns, now, wrong
            )

    # Failing

    def _fail(self, conn: Connection, kind: str) -> None:
        """Count an error and close the connection."""
        now = clock_ns()
        self.record.error(kind)
        self._close(conn)
        if conn.outstanding:
            self._note(conn, now, kind)
            conn.outstanding = False
            self.record.account(now, -1)
            self._failed(conn, now)

    def _broken(self, conn: Connection) -> None:
        """The socket reported an error: the connecting's fault if nothing was sent on it yet."""
        if conn.outstanding:
            self._fail(conn, "reset" if conn.used else "connect")
        else:
            self._close(conn)
            self._left(conn)

    def _tick(self, now: int) -> None:
        """Ten times a second: give up what has taken too long; a part at a time of very many.

        A look at 15,000 connections at once would hold up whatever is due.
        """
        connections = self.connections
        many = min(len(connections), max(LOOKED_AT_A_TICK, len(connections) // 10 + 1))
        for _ in range(many):
            conn = connections[self._looked_at]
            self._looked_at = (self._looked_at + 1) % len(connections)
            if conn.outstanding:
                self._expire(conn, now)
        self.on_tick(now)

    def _expire(self, conn: Connection, now: int) -> None:
        if conn.used:
            if now - conn.sent_ns > self.load.request_timeout_s * 1e9:
                if self.in_window and self.is_measured(conn.began_ns):
                    self.record.censored_ns.append(now - conn.began_ns)
                self._fail(conn, "timeout")
        elif now - conn.opened_ns > self.load.connect_timeout_s * 1e9:
            self._fail(conn, "connect")


def wrong_class(check: Check, reply: Reply) -> str | None:
    """The class of error that a complete reply is; None where it is correct."""
    if check.status is None:
        if not 200 <= reply.status < 400:
            return "status"
    elif reply.status != check.status:
        return "status"
    if check.length is not None and reply.body_bytes != check.length:
        return "body"
    if check.body is not None and reply.body != check.body:
        return "body"
    if check.contains is not None and check.contains not in (reply.body or b""):
        return "body"
    return None


def _head_that_frames(data: bytes, reply: Reply) -> bytes | None:
    """The head, where it alone says how long the reply is: not with chunks or interim replies."""
    framed = reply.head_bytes + reply.body_bytes == len(data)
    return data[: reply.head_bytes] if framed else None
