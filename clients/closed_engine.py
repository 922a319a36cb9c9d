"""The engine of a closed loop: the phases of one slice, from connecting to the last reply.

Connect and serve each connection once; then, in one burst or several, warm up, measure and drain.
Where others are measured at the same time, the window opens when all have settled, and the load
goes on until all are measured.
"""

from clients.closed import ClosedLoop
from clients.engine import Engine, OnSecond, no_collection
from clients.load import Load, Raw
from clients.loop import clock_ns
from clients.meeting import Meeting
from clients.schedule import spread_starts
from clients.warmup import WarmUp
from clients.window import Standing, Window

EASILY_ACCEPTED = 64  # so many connections are accepted in no time, whatever the server is doing


class ClosedEngine(Engine):
    """Runs one Load without a schedule and gives its Raw figures."""

    def __init__(self, load: Load, on_second: OnSecond | None = None) -> None:
        super().__init__(load, ClosedLoop, on_second)
        assert isinstance(self._loop, ClosedLoop)
        self.loop: ClosedLoop = self._loop
        self.meeting: Meeting | None = None

    def open(self) -> None:
        """Connect, and have each of many connections served once. Raises LoadError if it cannot."""
        started_ns = clock_ns()
        if self.load.keep_alive:
            with no_collection():
                self.loop.connect_all()
                if self.load.connections > EASILY_ACCEPTED:
                    self._serve_each_once()
        self.warmup_ns += clock_ns() - started_ns

    def burst(self) -> None:
        """Load, warm up, measure a window's share, and drain: then the target is quiet again."""
        with no_collection():
            self.loop.repeating = True
            self.loop.in_window = False
            opened_ns = self._warm_up()
            close_window = self._open_window(opened_ns)
            self.loop.in_window = True
            standing = Standing(self.loop.connections, opened_ns)
            window = Window(self.load, self.record, opened_ns, standing)
            self.loop.pump(lambda now: window.may_close(now) or self.interrupted)
            close_window(window.closed_ns(clock_ns()))
            self.loop.in_window = False
            self._drain()

    def finish(self) -> Raw:
        """The figures of all bursts together."""
        now, unanswered = clock_ns(), [c for c in self.loop.connections if c.outstanding]
        self.record.censored_ns.extend(now - conn.began_ns for conn in unanswered)
        completions = self.record.completions
        return self.raw(completions=completions, owed=self.record.in_flight)

    def _serve_each_once(self) -> None:
        """One request on every connection, and quiet until all are answered.

        A loop that is kept busy by the connections it has accepts new ones slowly: uvloop and trio
        take one a pass. Without this, the last of 1,024 connections were accepted seconds late.
        """
        self.loop.repeating = False
        limit_ns, mark = self._warm_up_limit_ns(self._schedule_starts()), self.record.mark()
        self.loop.pump(
            lambda now: (
                (self.record.in_flight == 0 and not self.loop.pending)
                or now >= limit_ns
                or self.interrupted
            )
        )
        self.record.forget_since(mark)

    def _schedule_starts(self) -> int:
        now, shard = clock_ns(), self.load.shard
        offsets = spread_starts(self.load.connections, self.load.delay_s)
        self.loop.pending = [
            (now + offset, conn.index)
            for conn, offset in zip(
                self.loop.connections, offsets[shard.index :: shard.count], strict=True
            )
            if not conn.outstanding
        ]
        return now

    def _warm_up(self) -> int:
        """Load until the target has settled; when it had."""
        started_ns, mark = self._schedule_starts(), self.record.mark()
        limit_ns = self._warm_up_limit_ns(started_ns)
        loop, connections = self.loop, self.load.own_connections
        turn = 1 if self.load.serves_one_at_a_time else connections
        warm_up = WarmUp(self.record, turn, connections, limit_ns)
        loop.pump(
            lambda now: (
                warm_up.is_over(now, all_served=loop.unserved == 0 and not loop.pending)
                or self.interrupted
            )
        )
        self._meet("settled")
        opened_ns = self.record.last_done_ns or clock_ns()
        self.record.forget_since(mark)
        self.warmup_ns += opened_ns - started_ns
        self.bursts_unsettled += not warm_up.settled
        return opened_ns

    def _meet(self, reached: str) -> None:
        """Load until others that are measured at the same time are as far."""
        meeting = self.meeting
        if meeting is not None:
            meeting.reach(reached)
            self.loop.pump(lambda now: meeting.is_over(now) or self.interrupted)

    def _warm_up_limit_ns(self, started_ns: int) -> int:
        return started_ns + round((self.load.warmup_limit_s + self.load.delay_s) * 1e9)

    def _drain(self) -> None:
        """Send no more; wait for what is outstanding, up to the limit; it is not of the window."""
        mark = self.record.mark()
        self._meet("measured")
        self.loop.repeating = False
        self.loop.pending = []
        limit_ns = clock_ns() + round(self.load.drain_s * 1e9)
        self.loop.pump(lambda now: self.record.in_flight == 0 or now >= limit_ns)
        self.record.forget_since(mark)
