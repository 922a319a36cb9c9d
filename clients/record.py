"""What the loop notes: samples, counts, and the number in flight over time. Reads no clock."""

from array import array

from clients.verdict import ERROR_KINDS


class Record:
    """Samples in ns and counts. `steady_ns` are response and service time in one.

    `area_ns` is the integral of the number in flight: over a window's length, its mean.
    """

    __slots__ = (
        "area_ns",
        "area_since_ns",
        "errors",
        "failed",
        "in_flight",
        "last_done_ns",
        "response_ns",
        "sent",
        "served_total",
        "service_ns",
        "steady_ns",
    )

    def __init__(self) -> None:
        self.steady_ns: array[int] = array("q")
        self.response_ns: array[int] = array("q")
        self.service_ns: array[int] = array("q")
        self.errors = dict.fromkeys(ERROR_KINDS, 0)
        self.failed = 0  # the sum of the errors
        self.sent = 0
        self.served_total = 0
        self.in_flight = 0
        self.area_ns = 0
        self.area_since_ns = 0
        self.last_done_ns = 0

    @property
    def completions(self) -> int:
        """Correct replies whose samples are kept."""
        return len(self.steady_ns) + len(self.response_ns)

    def error(self, kind: str) -> None:
        """Count a request that failed, in its class."""
        self.errors[kind] += 1
        self.failed += 1

    def mark(self) -> tuple[int, int]:
        """Where the samples end now, for `forget_since`."""
        return len(self.steady_ns), len(self.response_ns)

    def forget_since(self, mark: tuple[int, int]) -> None:
        """Forget the samples that came after the mark; counts go on."""
        steady, other = mark
        del self.steady_ns[steady:], self.response_ns[other:], self.service_ns[other:]

    def account(self, now_ns: int, change: int) -> None:
        """Integrate the number in flight up to now, then change it."""
        self.area_ns += self.in_flight * (now_ns - self.area_since_ns)
        self.area_since_ns = now_ns
        self.in_flight += change
