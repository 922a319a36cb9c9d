"""The open loop: requests begin when the schedule says so, whether replies come or not.

An arrival takes the connection that has been free for longest, or a new one up to the bound, or
waits in the queue for one; that waiting is response time. No arrival is skipped. `pump` is the hot
path: it waits for the next arrival or reply in `select`, whose timeout is good to some
microseconds where the timer slack is small; epoll's is rounded to whole ms.
"""

import select
from collections import deque
from collections.abc import Callable
from typing import Any

from clients.connection import Connection
from clients.load import Load
from clients.loop import RECEIVE_BYTES, TICK_NS, Loop, clock_ns

NEVER_NS = 1 << 62
# An arrival that is later than this, though a connection was free, is late by our own fault.
OVERDUE_NS = 1_000_000
CATCH_UP_FACTOR = 2
# `select` takes no descriptor from here on.
SELECT_LIMIT = 1_024


class OpenLoop(Loop):
    """Follows the schedule from `begin` on, up to `stop_ns`.

    The requests that are measured are those meant to start from `window_ns[0]` on and before
    `window_ns[1]`.
    """

    def __init__(self, load: Load, family: int, address: tuple[object, ...]) -> None:
        super().__init__(load, family, address)
        assert load.schedule is not None
        self.schedule = load.schedule
        self.offsets_ns = load.schedule.offsets_ns(load.shard.index, load.shard.count)
        self.origin_ns = 0
        self.next_ns = NEVER_NS  # when the next arrival is meant to start
        self.wake_ns = NEVER_NS  # when to look at it: then, or later where we have to catch up
        self.stop_ns = NEVER_NS
        self.window_ns = (0, NEVER_NS)
        self.free: deque[Connection] = deque()
        self.closed = deque(self.connections)
        self.queue: deque[tuple[int, int]] = deque()  # (intended_ns, number) of those that wait
        self.arrived = 0
        self.scheduled = 0  # of those that arrived, how many are of the window
        self.catch_up_ns = 0  # when the next overdue arrival may be sent

    def begin(self, origin_ns: int) -> None:
        """Let the schedule begin at a moment of the clock."""
        self.origin_ns = origin_ns
        self.next_ns = self.wake_ns = origin_ns + next(self.offsets_ns)

    def is_measured(self, intended_ns: int) -> bool:
        """Whether a request meant to start then is of the window."""
        return self.window_ns[0] <= intended_ns < self.window_ns[1]

    def unsent(self) -> list[int]:
        """The intended times of all that have arrived and have not been sent yet."""
        connecting = [
            conn.began_ns for conn in self.connections if conn.outstanding and not conn.used
        ]
        return [intended_ns for intended_ns, _ in self.queue] + connecting

    def unanswered(self) -> list[int]:
        """The intended times of all that have arrived and are not over yet."""
        outstanding = [conn.began_ns for conn in self.connections if conn.outstanding]
        return [intended_ns for intended_ns, _ in self.queue] + outstanding

    def stop(self, at_ns: int) -> None:
        """No arrival, and none that is measured, from this moment on."""
        self.stop_ns = at_ns
        self.window_ns = (self.window_ns[0], at_ns)
        self.next_ns = self.wake_ns = NEVER_NS

    def pump(self, over: Callable[[int], bool], until_ns: int) -> None:  # noqa: C901
        """Follow the schedule and serve events until then, or `over(now)`, asked at wake-ups."""
        poll, by_fd, clock = self.epoll.poll, self.by_fd, clock_ns
        wait: Callable[..., Any] = select.select
        ready, nothing = [self.epoll.fileno()], ()
        if ready[0] >= SELECT_LIMIT:
            wait = self._wait_coarsely
        record, free, queue = self.record, self.free, self.queue
        opened_ns, closed_ns = self.window_ns
        spin_ns = self.load.spin_ns
        respond, serve = record.response_ns.append, record.service_ns.append
        first = record.first_byte_ns.append
        good = self.good if self.plain else None
        now = clock()
        next_tick_ns = now + TICK_NS
        while now < until_ns and not over(now):
            wait_ns = min(self.wake_ns, next_tick_ns, until_ns) - now - spin_ns
            if wait_ns <= 0 or wait(ready, nothing, nothing, wait_ns / 1e9)[0]:
                events = poll(0)
                if not events and wait_ns <= 0:
                    passed_ns = clock()
                    if passed_ns < self.wake_ns:  # nothing to do yet: what that took was waiting
                        record.spun_ns += passed_ns - now
                for fd, _ in events:
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
                        if opened_ns <= conn.began_ns < closed_ns:
                            taken_ns = now - conn.sent_ns
                            respond(now - conn.began_ns)
                            serve(taken_ns)
                            first(taken_ns)
                        conn.replies += 1
                        record.served_total += 1
                        conn.outstanding = conn.steady = False
                        record.account(now, -1)
                        if queue:
                            self._send_queued(conn)
                        else:
                            free.append(conn)
                        if now >= self.wake_ns:
                            self._arrive(now)
                        continue
                    self._received(conn, data)
                    good = self.good if self.plain else None
            now = clock()
            if now >= self.wake_ns:
                self._arrive(now)
            if queue and (free or self.closed):
                self._serve_queue()
            if now >= next_tick_ns:
                next_tick_ns = now + TICK_NS
                self._tick(now)
                respond, serve = record.response_ns.append, record.service_ns.append
                first = record.first_byte_ns.append

    def _wait_coarsely(self, *arguments: Any) -> tuple[list[int]]:
        """What `select` does, where it cannot: to the millisecond."""
        return ([fd for fd, _ in self.epoll.poll(arguments[-1], 1)],)

    def _arrive(self, now: int) -> None:
        """Begin every request that is due, or put it into the queue."""
        record, free = self.record, self.free
        if self.queue and (free or self.closed):
            self._serve_queue()  # who waits comes before who arrives
        while (intended_ns := self.next_ns) <= now:
            if intended_ns >= self.stop_ns:
                self.next_ns = self.wake_ns = NEVER_NS
                return
            can_send = free or self.closed
            if now - intended_ns > OVERDUE_NS and can_send and not self.load.catch_up:
                if self.catch_up_ns > now:
                    self.wake_ns = self.catch_up_ns
                    return
                self.catch_up_ns = max(self.catch_up_ns, now - OVERDUE_NS) + self._least_gap_ns()
            self.next_ns = self.origin_ns + next(self.offsets_ns)
            number = self.arrived
            self.arrived += 1
            if intended_ns >= self.window_ns[0]:
                self.scheduled += 1
            record.account(intended_ns, +1)
            if free:
                now = self._send_now(free.popleft(), intended_ns, number)
                continue
            if self.is_measured(intended_ns):
                record.noticed_ns.append(now - intended_ns)
            if self.closed:
                self._send_on_new(self.closed.popleft(), intended_ns, number)
                now = clock_ns()
            else:
                self.queue.append((intended_ns, number))
        self.wake_ns = self.next_ns

    def _least_gap_ns(self) -> int:
        """Half a mean gap of the rate that the schedule has where we are in it."""
        rate_rps = self.schedule.rate_at((self.next_ns - self.origin_ns) / 1e9)
        return round(1e9 * self.load.shard.count / (CATCH_UP_FACTOR * rate_rps))

    def _send_now(self, conn: Connection, intended_ns: int, number: int) -> int:
        """Send an arrival on a free connection; the time when. What it is late is our own fault."""
        now = self._send(conn, intended_ns, number)
        if self.is_measured(intended_ns):
            self.record.late_ns.append(now - intended_ns)
        return now

    def _send_queued(self, conn: Connection) -> None:
        """Send the first of the queue on a connection that has become free."""
        intended_ns, number = self.queue.popleft()
        now = self._send(conn, intended_ns, number)
        if self.is_measured(intended_ns):
            self.record.waited_ns.append(now - intended_ns)

    def _send(self, conn: Connection, intended_ns: int, number: int) -> int:
        payload = conn.payload = self._payload(number)
        conn.began_ns = intended_ns
        conn.outstanding = conn.untouched = True
        conn.first_byte_ns = 0
        conn.steady = conn.served
        now = conn.sent_ns = clock_ns()
        self.record.sent += 1
        try:
            count = conn.send(payload)
        except BlockingIOError:
            count = 0
        except OSError:
            self._broken(conn)
            return now
        if count != len(payload):
            conn.unsent, conn.steady = payload[count:], False
            self._listen_for(conn, select.EPOLLIN | select.EPOLLOUT)
        return now

    def _send_on_new(self, conn: Connection, intended_ns: int, number: int) -> None:
        """Send on a connection that has to be opened first, which is known when it is open."""
        conn.payload = self._payload(number)
        self._begin(conn, intended_ns)

    def _sent(self, conn: Connection, now: int) -> None:
        if not conn.used:
            super()._sent(conn, now)
            if self.is_measured(conn.began_ns):
                self.record.waited_ns.append(now - conn.began_ns)

    def _payload(self, number: int) -> bytes:
        shard = self.load.shard
        return self.payloads[(shard.index + shard.count * number) % len(self.payloads)]

    def _serve_queue(self) -> None:
        """Send what waits on connections that have become free, or closed, out of turn."""
        while self.queue and self.free:
            self._send_queued(self.free.popleft())
        while self.queue and self.closed:
            self._send_on_new(self.closed.popleft(), *self.queue.popleft())

    def _next(self, conn: Connection, now: int, *, reuse: bool) -> None:
        conn.outstanding = conn.steady = False
        self.record.account(now, -1)
        if not reuse:
            self._close(conn)
            self.closed.append(conn)
        elif self.queue:
            self._send_queued(conn)
        else:
            self.free.append(conn)

    def _failed(self, conn: Connection, now: int) -> None:  # noqa: ARG002
        self.closed.append(conn)

    def _left(self, conn: Connection) -> None:
        self.free.remove(conn)
        self.closed.append(conn)
