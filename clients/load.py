"""What the engine is asked for, and what it hands back. No behaviour."""

from dataclasses import dataclass, field

from clients.record import Tally
from clients.request import Request
from clients.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Check:
    """What makes a reply correct, besides its framing.

    `status`: exactly this one, not any from 200 to 399. `body`: these bytes. `contains`: these are
    somewhere in the body. `length`: so many bytes of body.
    """

    status: int | None = None
    body: bytes | None = None
    contains: bytes | None = None
    length: int | None = None

    @property
    def reads_bodies(self) -> bool:
        """Whether the bytes of a body matter, and not only how many they are."""
        return self.body is not None or self.contains is not None


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` of `count` of a load: every `count`-th of its connections and arrivals."""

    index: int = 0
    count: int = 1

    def share(self, total: int) -> int:
        """How many of `total` things are of this part."""
        return len(range(self.index, total, self.count))


@dataclass(frozen=True, slots=True)
class Load:
    """One load: what to send, over how many connections, and for how long.

    Without a `schedule` it is a closed loop. `delay_s` is how long the work waits, if known: the
    first requests are spread evenly over it.

    The window of a closed loop opens on a completion, once the target has settled (see
    `clients.warmup`) or `warmup_limit_s` is over, and closes on the first completion after both
    `window_s` and `completions_wanted`, or on the clock after `window_limit_s`. After `saturated_s`
    it needs no more than `completions_saturated` (None: as many as ever). While some connection has
    had less than `share_of_each` of what the average has had, or requests have been outstanding for
    longer or shorter than when it opened, it stays open for up to `stretched_s` in all.

    An open loop follows the schedule for `warmup_s` and then for `window_s`. What is measured are
    the requests that the schedule has in the window; a reply may come up to `drain_s` later. At
    most `connections` are opened, as they are needed. Arrivals that are late by our own fault are
    sent at no more than twice the schedule's rate, or at once with `catch_up`. For the last
    `spin_ns` before an arrival the generator does not sleep, which makes it more punctual and
    needs a core of its own.

    The CPU of `watched_pids` is the server's. That of `upstream_pids`, which run on our own core,
    is an upstream's that each request calls `calls_per_request` times.
    `shares_core`: we are meant to run on a core with others.

    The window of a closed loop may be cut into `bursts`, with quiet between them, so that several
    targets are measured in turns.
    """

    request: Request
    connections: int
    keep_alive: bool = True
    schedule: Schedule | None = None
    catch_up: bool = False
    spin_ns: int = 0
    shard: Shard = Shard()
    delay_s: float = 0.0
    bursts: int = 1
    warmup_s: float = 0.0
    window_s: float = 0.25
    window_limit_s: float = 30.0
    warmup_limit_s: float = 10.0
    completions_wanted: int = 1
    saturated_s: float = 0.0
    completions_saturated: int | None = None
    share_of_each: float = 0.0
    stretched_s: float = 0.0
    serves_one_at_a_time: bool = False
    drain_s: float = 0.5
    connect_timeout_s: float = 5.0
    request_timeout_s: float = 60.0
    check: Check = field(default_factory=Check)
    watched_pids: tuple[int, ...] = ()
    upstream_pids: tuple[int, ...] = ()
    calls_per_request: int = 0
    shares_core: bool = False

    @property
    def completions_least(self) -> int:
        """How many completions any window must hold."""
        return self.completions_saturated or self.completions_wanted

    @property
    def own_connections(self) -> int:
        """How many connections are of this shard."""
        return self.shard.share(self.connections)


@dataclass(slots=True)
class Raw:
    """What a shard of a load recorded, before any judgement. Times in ns.

    Durations, replies (one number for each connection), areas and the counts `scheduled`,
    `sent_in_window` and `completions` are of the window; in an open loop the durations are of the
    requests that the schedule had in it, and `completions` came in it. `served_total` and `errors`
    are of the whole slice, `requests_sent` of all of it up to the window's end. `waited_for_cpu_ns`
    is how long we were kept from a core; None where the kernel does not tell. `bursts_unsettled`
    were measured though the target had not settled.
    """

    tally: Tally
    replies: list[int | None]
    warmup_ns: int
    window_ns: int
    in_flight_area_ns: int
    client_cpu_ns: int
    server_cpu_ns: int
    upstream_cpu_ns: int
    requests_sent: int
    served_total: int
    completions: int
    errors: dict[str, int]
    owed: int
    scheduled: int = 0
    sent_in_window: int = 0
    waited_for_cpu_ns: int | None = None
    peak_rss_bytes: int = 0
    bursts_unsettled: int = 0
    interrupted: bool = False
