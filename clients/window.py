"""When the measured window may close. Pure: it is told the time and looks at the record."""

from collections.abc import Sequence

from clients.connection import Connection
from clients.load import Load
from clients.record import Record

# How much longer or shorter what is outstanding may have been so at the window's end than at its
# start, as a share of the window. Little's law is off by just that much (`clients.verdict`).
AGE_TOLERANCE = 0.03


class Standing:
    """How the connections stand, against how they stood at the window's start (`opened_ns`)."""

    def __init__(self, connections: Sequence[Connection], opened_ns: int) -> None:
        self.connections = connections
        self.had = [conn.replies for conn in connections]
        self.opened_ns = opened_ns
        self.age_ns = self._mean_age_ns(opened_ns)

    def fewest(self) -> int:
        """How many replies the connection with the fewest has had since."""
        return min(conn.replies - had for conn, had in zip(self.connections, self.had, strict=True))

    def is_as_it_was(self, now_ns: int) -> bool:
        """Whether requests have been outstanding, in the mean, for as long as at the start."""
        grown_ns = self._mean_age_ns(now_ns) - self.age_ns
        return abs(grown_ns) <= AGE_TOLERANCE * (now_ns - self.opened_ns)

    def _mean_age_ns(self, now_ns: int) -> float:
        ages_ns = [now_ns - conn.began_ns for conn in self.connections if conn.outstanding]
        return sum(ages_ns) / len(ages_ns) if ages_ns else 0.0


class Window:
    """One burst's share of a load's window, opened at `opened_ns`; the rules stand at `Load`.

    Where connections are served together, their replies may come in step, many at a time. So the
    window closes on a whole number of replies per connection: at the point of the step at which it
    was opened. Closing on the first reply of a step would cut off the rest of it every time.

    Some servers let connections starve for a while. A window that closes just when those were
    served at last is shorter than what it holds, so it stays open until its end is like its start.
    """

    def __init__(self, load: Load, record: Record, opened_ns: int, standing: Standing) -> None:
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
        self.standing = standing
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
        if now_ns >= self.stretched_ns or self._is_even(now_ns):
            return True
        self.closes_with += self.step
        return False

    def _is_even(self, now_ns: int) -> bool:
        """Whether each connection had its share of it, and it ends as it began."""
        average = (self.record.completions - self.opened_with) / self.step
        has_share = self.standing.fewest() >= self.share_of_each * average
        return has_share and self.standing.is_as_it_was(now_ns)

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
