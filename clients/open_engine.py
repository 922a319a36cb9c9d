"""The engine of an open loop: follow the schedule, measure the part of it in the window, drain."""

from clients.engine import Engine, OnSecond, no_collection
from clients.load import Load, Raw
from clients.loop import clock_ns
from clients.open import NEVER_NS, OpenLoop
from clients.prctl import wake_up_in_time

SOON_NS = 5_000_000


class OpenEngine(Engine):
    """Runs one Load with a schedule and gives its Raw figures.

    The schedule begins at `start_ns` of the monotonic clock, which the shards of one load share.
    """

    def __init__(
        self, load: Load, on_second: OnSecond | None = None, start_ns: int | None = None
    ) -> None:
        super().__init__(load, OpenLoop, on_second)
        assert isinstance(self._loop, OpenLoop)
        self.loop: OpenLoop = self._loop
        self.start_ns = start_ns
        self.owed: list[int] = []
        self.sent_in_window = 0

    def open(self) -> None:
        """Connections are opened as the schedule needs them."""

    def burst(self) -> None:
        """Follow the schedule to its end, and wait for what is outstanding then."""
        load, loop, record = self.load, self.loop, self.record
        wake_up_in_time()
        started_ns = clock_ns() + SOON_NS if self.start_ns is None else self.start_ns
        opens_ns = started_ns + round(load.warmup_s * 1e9)
        closes_ns = opens_ns + round(load.window_s * 1e9)
        loop.window_ns, loop.stop_ns = (opens_ns, closes_ns), closes_ns
        with no_collection():
            loop.begin(started_ns)
            loop.pump(lambda _: self.interrupted, opens_ns)
            opened_ns = clock_ns()
            self.warmup_ns = opened_ns - started_ns
            close_window = self._open_window(opened_ns)
            loop.pump(lambda _: self.interrupted, closes_ns)
            now = clock_ns()
            close_window(now)
            if self.interrupted:
                loop.stop(now)
            sent = self._sent_so_far()
            limit_ns = clock_ns() + round(load.drain_s * 1e9)
            loop.pump(lambda _: record.in_flight == 0 and loop.next_ns == NEVER_NS, limit_ns)
        unsent = [each for each in loop.unsent() if loop.is_measured(each)]
        record.unsent_ns.extend(clock_ns() - intended_ns for intended_ns in unsent)
        self.owed = [each for each in loop.unanswered() if loop.is_measured(each)]
        self.sent_in_window = sent

    def _sent_so_far(self) -> int:
        """How many requests of the window have been sent: of each there is a lateness."""
        record, tally = self.record, self.tally
        kept = len(record.late_ns) + len(record.waited_ns)
        return kept + tally.late.recorded + tally.waited.recorded

    def finish(self) -> Raw:
        """The figures; of what is not over, how long it has taken at least."""
        now, loop = clock_ns(), self.loop
        self.record.censored_ns.extend(now - intended_ns for intended_ns in self.owed)
        raw = self.raw(
            completions=self.served,
            owed=len(self.owed),
            scheduled=loop.scheduled,
            sent_in_window=self.sent_in_window,
        )
        raw.replies = [
            count if conn.opened_ns else None
            for count, conn in zip(self.replies, loop.connections, strict=True)
        ]
        return raw
