"""The closed loop: a reply begins the connection's next request.

`pump` is the hot path: a reply that equals the last good one costs two system calls, one clock
reading and no parsing. The clock of the reply is the clock of the next send.
"""

import heapq
import select
from collections.abc import Callable

from clients.connection import Connection
from clients.load import Load
from clients.loop import RECEIVE_BYTES, TICK_NS, Loop, clock_ns

CONNECT_BATCH = 256
RETRY_NS = 10_000_000


class ClosedLoop(Loop):
    """Each connection has one request outstanding, as long as the loop is `repeating`."""

    def __init__(self, load: Load, family: int, address: tuple[object, ...]) -> None:
        super().__init__(load, family, address)
        self.pending: list[tuple[int, int]] = []  # heap of (due_ns, connection index)
        self.repeating = True

    def connect_all(self) -> None:
        """Open every connection, a batch at a time so that no accept queue overflows."""
        waiting: set[int] = set()
        give_up_ns = clock_ns() + round(self.load.connect_timeout_s * 1e9)
        for conn in self.connections:
            if self._open(conn, select.EPOLLOUT | select.EPOLLONESHOT):
                waiting.add(conn.fd)
            if len(waiting) >= CONNECT_BATCH or conn is self.connections[-1]:
                while waiting and clock_ns() < give_up_ns and not self.interrupted:
                    waiting -= {fd for fd, _ in self.epoll.poll(0.05)}
        for conn in self.by_fd.values():
            self._listen_for(conn, select.EPOLLIN)

    def pump(self, over: Callable[[int], bool]) -> None:
        """Serve events until `over(now)`, asked once per wake-up."""
        poll, by_fd, clock = self.epoll.poll, self.by_fd, clock_ns
        payload, size = self.payloads[0], len(self.payloads[0])
        record, plain = self.record, self.repeating and self.plain
        note = record.steady_ns.append
        good = self.good if plain else None
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
                        if not count:  # perhaps an error; `_writable` will see, and count it
                            record.sent -= 1
                        conn.unsent, conn.steady = payload[count:], False
                        self._writable(conn)
                    continue
                self._received(conn, data)
                good = self.good if plain else None
            now = clock()
            if now >= next_tick_ns:
                next_tick_ns = now + TICK_NS
                record.sent += replies
                record.served_total += replies
                replies = 0
                self._tick(now)
                note = record.steady_ns.append  # a fold makes a new array
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
            self._start(conn, began_ns)

    def _start(self, conn: Connection, began_ns: int) -> None:
        """Begin the connection's next request: the n-th of each has the same payload every time."""
        if len(self.payloads) > 1:
            shard, nth = self.load.shard, conn.number
            number = shard.index + shard.count * conn.index + self.load.connections * nth
            conn.payload = self.payloads[number % len(self.payloads)]
            conn.number += 1
        self._begin(conn, began_ns)

    def _next(self, conn: Connection, now: int, *, reuse: bool) -> None:
        if not reuse:
            self._close(conn)
        if self.repeating:
            self._start(conn, now)
        else:
            conn.outstanding = False
            self.record.account(now, -1)

    def _failed(self, conn: Connection, now: int) -> None:
        """Begin again a little later."""
        if self.repeating:
            heapq.heappush(self.pending, (now + RETRY_NS, conn.index))
