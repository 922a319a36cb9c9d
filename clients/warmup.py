"""When a target has settled, and the window may open. Pure: it is told the time.

The replies are looked at in turns: as many of them as there are connections that are served
together. A target has settled
at the end of a turn that took as long as the one before, give or take a quarter, once each
connection has been served. One that has not done so after `TURNS_MOST` turns is measured all the
same, and marked.
"""

from clients.record import Record

TOLERANCE = 1.25
TURNS_MOST = 8


class WarmUp:
    """One burst's way in, in turns of so many replies; it may take until `limit_ns`.

    `settled` is for reading when it is over. After `failures` waiting longer would not make the
    slice a valid one.
    """

    def __init__(self, record: Record, turn: int, failures: int, limit_ns: int) -> None:
        self.record, self.turn, self.limit_ns = record, turn, limit_ns
        self.failures_wanted = record.failed + failures
        self.settled = False
        self.turns = 0
        self._ends_with = record.completions + 1  # the first turn begins with a reply
        self._began: tuple[int, int] | None = None  # when the turn began, and with how many
        self._pace_ns: float | None = None  # what a reply took in the turn before

    def is_over(self, now_ns: int, *, all_served: bool) -> bool:
        """To be asked after every reply or few; `all_served` as far as the loop knows."""
        if self.record.completions >= self._ends_with:
            self._turn_ends()
        if all_served and (self.settled or self.turns >= TURNS_MOST):
            return True
        return now_ns >= self.limit_ns or self.record.failed >= self.failures_wanted

    def _turn_ends(self) -> None:
        at_ns, completions = self.record.last_done_ns, self.record.completions
        if self._began is not None:
            began_ns, had = self._began
            pace_ns = (at_ns - began_ns) / (completions - had)
            self.turns += 1
            self.settled = self._pace_ns is not None and _alike(pace_ns, self._pace_ns)
            self._pace_ns = pace_ns
        self._began = at_ns, completions
        self._ends_with = completions + self.turn


def _alike(one: float, other: float) -> bool:
    return max(one, other) <= TOLERANCE * min(one, other)
