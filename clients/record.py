"""What a loop notes: samples, counts, and how many requests are there. Reads no clock."""

from array import array

from clients.sample import Durations
from clients.verdict import ERROR_KINDS

KINDS = (
    "response",
    "service",
    "first_byte",
    "late",
    "noticed",
    "waited",
    "connect",
    "censored",
    "unsent",
)


class Record:
    """Samples in ns since they were last folded, and counts.

    `steady_ns` are response time, service time and first byte in one: the reply came whole, and
    its request was sent when it was due. The others are apart. An open loop's lateness is `late_ns`
    where a connection was free, and so the generator's own; `waited_ns` where none was. Of these
    `noticed_ns` is the generator's own share: how late it noticed that the arrival was due.
    `censored_ns` are lower bounds of response times that nobody has seen to their end, `unsent_ns`
    those of the lateness of requests that were never sent.
    """

    __slots__ = (
        "censored_ns",
        "connect_ns",
        "counted",
        "errors",
        "failed",
        "first_byte_ns",
        "flow_ns",
        "in_flight",
        "last_done_ns",
        "late_ns",
        "noticed_ns",
        "response_ns",
        "sent",
        "served_total",
        "service_ns",
        "spun_ns",
        "steady_ns",
        "unsent_ns",
        "waited_ns",
    )

    def __init__(self) -> None:
        self.steady_ns: array[int] = array("q")
        self.response_ns: array[int] = array("q")
        self.service_ns: array[int] = array("q")
        self.first_byte_ns: array[int] = array("q")
        self.late_ns: array[int] = array("q")
        self.noticed_ns: array[int] = array("q")
        self.waited_ns: array[int] = array("q")
        self.connect_ns: array[int] = array("q")
        self.censored_ns: array[int] = array("q")
        self.unsent_ns: array[int] = array("q")
        self.counted = 0  # completions whose samples are folded already
        self.errors = dict.fromkeys(ERROR_KINDS, 0)
        self.failed = 0  # the sum of the errors
        self.sent = 0
        self.served_total = 0
        self.in_flight = 0
        self.flow_ns = 0
        self.spun_ns = 0  # spent on looking whether it is time yet
        self.last_done_ns = 0

    @property
    def completions(self) -> int:
        """Correct replies whose samples are kept."""
        return self.counted + len(self.steady_ns) + len(self.response_ns)

    def error(self, kind: str) -> None:
        """Count a request that failed, in its class."""
        self.errors[kind] += 1
        self.failed += 1

    def account(self, at_ns: int, change: int) -> None:
        """One more or one less in flight since `at_ns`; in any order."""
        self.flow_ns -= change * at_ns
        self.in_flight += change

    def area_ns(self, opened_ns: int, in_flight: int, flow_ns: int, closed_ns: int) -> int:
        """The integral of the number in flight since `opened_ns`: over the time, its mean.

        `in_flight` and `flow_ns` are what they were when it was opened.
        """
        return self.flow_ns - flow_ns + self.in_flight * closed_ns - in_flight * opened_ns

    def mark(self) -> tuple[int, int]:
        """Where the samples end now, for `forget_since`."""
        return len(self.steady_ns), len(self.response_ns)

    def forget_since(self, mark: tuple[int, int]) -> None:
        """Forget the replies' samples that came after the mark; counts go on."""
        steady, other = mark
        del self.steady_ns[steady:], self.response_ns[other:], self.service_ns[other:]
        del self.first_byte_ns[other:]

    def fold_into(self, tally: "Tally") -> Durations:
        """Move all samples to a tally; the response times among them.

        None before this may be forgotten any more.
        """
        self.counted = self.completions
        steady, self.steady_ns = self.steady_ns, array("q")
        responses = Durations()
        responses.fold(steady)
        for kind in KINDS:
            samples: array[int] = getattr(self, f"{kind}_ns")
            setattr(self, f"{kind}_ns", array("q"))
            if kind == "response":
                responses.fold(samples)
                tally.response.add(responses)
            else:
                getattr(tally, kind).fold(samples)
        tally.service.fold(steady)
        tally.first_byte.fold(steady)
        return responses


class Tally:
    """The durations of a record by kind."""

    __slots__ = KINDS

    def __init__(self) -> None:
        self.response = Durations()
        self.service = Durations()
        self.first_byte = Durations()
        self.late = Durations()
        self.noticed = Durations()
        self.waited = Durations()
        self.connect = Durations()
        self.censored = Durations()
        self.unsent = Durations()

    def add(self, other: "Tally") -> None:
        """Count all that the other has counted."""
        for kind in KINDS:
            getattr(self, kind).add(getattr(other, kind))
