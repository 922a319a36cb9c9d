"""When the measured window may close. Pure: it is told the time and looks at the record."""

from collections.abc import Callable

from clients.load import Load
from clients.record import Record


class Window:
    """One burst's share of a load's window, opened at `opened_ns`; the rules stand at `Load`.

    Where connections are served together, their replies may come in step, many at a time. So the
    window closes on a whole number of replies per connection: at the point of the step at which it
    was opened. Closing on the first reply of a step would cut off the rest of it every time.

    `fewest` tells how many replies the connection with the fewest of them has had in it.
    """

    def __init__(
        self, load: Load, record: Record, opened_ns: int, fewest: Callable[[], int]
    ) -> None:
        self.record = record
        self.opened_with = record.completions
        self.step = 1 if load.serves_one_at_a_time else load.own_connections
        self.closes_with: int | None = None
        self.wanted = record.completions + _share(load.completions_wanted, load.bursts)
        self.least = record.completions + _share(load.completions_least, load.bursts)
        self.failures_wanted = record.failed + _share(load.completions_wanted, load.bursts)
        self.earliest_ns = opened_ns + _ns(load.window_s / load.bursts)
        saturated_s = max(load.window_s, load.saturated_s)
        self.saturated_ns = opened_ns + _ns(saturated_s / load.bursts)
        self.share_of_each = load.share_of_each
        self.stretched_ns = opened_ns + _ns(load.stretched_s / load.bursts)
        self.fewest = fewest
        self.limit_ns = opened_ns + _ns(load.window_limit_s)

    def may_close(self, now_ns: int) -> bool:
        """Full of completions, or as full of failures, or not worth waiting for any longer."""
        if now_ns >= self.limit_ns:
            return True
        if self.record.failed >= self.failures_wanted and now_ns >= self.earliest_ns:
            return True
        completions = self.record.completions
        if self.closes_with is None:
            if not self._is_full(completions):
                return False
            steps = _share(completions - self.opened_with, self.step)
            self.closes_with = self.opened_with + steps * self.step
        if completions < self.closes_with:
            return False
        average = (completions - self.opened_with) / self.step
        if now_ns >= self.stretched_ns or self.fewest() >= self.share_of_each * average:
            return True
        self.closes_with += self.step
        return False

    def _is_full(self, completions: int) -> bool:
        done_ns = self.record.last_done_ns
        if done_ns < self.earliest_ns:
            return False
        return completions >= self.wanted or (
            done_ns >= self.saturated_ns and completions >= self.least
        )

    def closed_ns(self, now_ns: int) -> int:
        """The last completion, or the clock where none came in the end."""
        done_ns = self.record.last_done_ns
        return done_ns if done_ns >= self.earliest_ns else now_ns


def _share(completions: int, bursts: int) -> int:
    return -(-completions // bursts)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
