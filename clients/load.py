"""What the engine is asked for, and what it hands back. No behaviour."""

from array import array
from dataclasses import dataclass

from clients.request import Request


@dataclass(frozen=True, slots=True)
class Load:
    """One closed-loop load: what to send, over how many connections, and for how long.

    `delay_s` is how long the work waits, if known: the first requests are spread evenly over it.

    The window opens on a completion, once every connection has been served or `warmup_limit_s` is
    over, and closes on the first completion after both `window_s` and `completions_wanted`, or on
    the clock after `window_limit_s`. After `saturated_s` it needs no more than
    `completions_saturated` (None: as many as ever).

    The CPU of `watched_pids` is the server's. That of `upstream_pids`, which run on our own core,
    is an upstream's that each request calls `calls_per_request` times.

    The window may be cut into `bursts`, with quiet between them, so that several targets are
    measured in turns.
    """

    request: Request
    connections: int
    keep_alive: bool = True
    delay_s: float = 0.0
    bursts: int = 1
    window_s: float = 0.25
    window_limit_s: float = 30.0
    warmup_limit_s: float = 10.0
    completions_wanted: int = 1
    saturated_s: float = 0.0
    completions_saturated: int | None = None
    serves_one_at_a_time: bool = False
    drain_s: float = 0.5
    connect_timeout_s: float = 5.0
    request_timeout_s: float = 60.0
    expected_body: bytes | None = None
    watched_pids: tuple[int, ...] = ()
    upstream_pids: tuple[int, ...] = ()
    calls_per_request: int = 0

    @property
    def completions_least(self) -> int:
        """How many completions any window must hold."""
        return self.completions_saturated or self.completions_wanted


@dataclass(slots=True)
class Raw:
    """What a slice recorded, before any judgement. Times in ns.

    Samples, replies and areas are of the window. `served_total` and `errors` are of the whole
    slice, `requests_sent` of all of it up to the window's end.
    """

    steady_ns: "array[int]"
    response_ns: "array[int]"
    service_ns: "array[int]"
    replies: list[int]
    warmup_ns: int
    window_ns: int
    in_flight_area_ns: int
    client_cpu_ns: int
    server_cpu_ns: int
    upstream_cpu_ns: int
    requests_sent: int
    served_total: int
    errors: dict[str, int]
    timeouts_in_window: int
    in_flight_at_close: int
    owed: int
