"""When the measured window may close. Pure: it is told the time and looks at the record."""

from clients.load import Load
from clients.record import Record


class Window:
    """The window of a load, opened at `opened_ns`; the rules stand at `Load`."""

    def __init__(self, load: Load, record: Record, opened_ns: int) -> None:
        self.record = record
        self.wanted, self.fewest = load.completions_wanted, load.completions_least
        self.earliest_ns = opened_ns + _ns(load.window_s)
        self.saturated_ns = opened_ns + _ns(max(load.window_s, load.saturated_s))
        self.limit_ns = opened_ns + _ns(load.window_limit_s)
        self.failures_wanted = record.failed + load.completions_wanted

    def may_close(self, now_ns: int) -> bool:
        """Full of completions, or as full of failures, or not worth waiting for any longer."""
        if now_ns >= self.limit_ns:
            return True
        if self.record.failed >= self.failures_wanted and now_ns >= self.earliest_ns:
            return True
        done_ns, completions = self.record.last_done_ns, self.record.completions
        if done_ns < self.earliest_ns:
            return False
        if completions >= self.wanted:
            return True
        return (
            self.fewest is not None and done_ns >= self.saturated_ns and completions >= self.fewest
        )

    def closed_ns(self, now_ns: int) -> int:
        """The last completion, or the clock where none came in the end."""
        done_ns = self.record.last_done_ns
        return done_ns if done_ns >= self.earliest_ns else now_ns


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
