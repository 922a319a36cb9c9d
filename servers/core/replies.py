"""What is sent back: replies rendered once, and kept together with the work that comes first.

Pure. Knows neither parsing nor sockets. Replies carry no date and no server name, so that those
of different models can be compared byte by byte.
"""

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from servers.core import work
from servers.core.compute import Rates

# The header line that says what becomes of the connection; only CLOSE ends it.
KEEP: Final = b""
KEEP_1_0: Final = b"Connection: keep-alive\r\n"
CLOSE: Final = b"Connection: close\r\n"

ALLOWED: Final = (b"GET", b"HEAD", b"POST")

# Not the standard library's, whose phrases change between versions of Python.
_PHRASES: Final = {
    200: b"OK",
    400: b"Bad Request",
    405: b"Method Not Allowed",
    413: b"Content Too Large",
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
}
_MOST_ENTRIES: Final = 1024
_MOST_CACHED_BYTES: Final = 64 * 1024 * 1024
_AUTHORITY: Final = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a driver does for one request: carry out the steps, send the reply, perhaps close."""

    steps: Iterable[work.Step]
    reply: bytes
    close: bool


Exchanges = tuple[Exchange, ...]
"""What one request takes: a single exchange, or one for each piece of a reply that drips."""

CONTINUE: Final = Exchange((), b"HTTP/1.1 100 Continue\r\n\r\n", False)


WatchSteps = Callable[[bytes, tuple[work.Step, ...]], Iterable[work.Step]]
"""Is handed a target and steps that it asks for, once; what it returns is carried out instead."""


def _unwatched(target: bytes, steps: tuple[work.Step, ...]) -> tuple[work.Step, ...]:  # noqa: ARG001
    return steps


class Catalogue:
    """What every target asked so far takes: each is parsed and rendered once.

    `call` asks the upstream, where there is one; `watch_steps` may put itself between a driver and
    the steps that it carries out. Bounded in entries and in bytes; when full it starts afresh. Safe
    to share between threads.
    """

    def __init__(
        self, rates: Rates, call: work.Call | None = None, watch_steps: WatchSteps = _unwatched
    ) -> None:
        self._rates = rates
        self._call = call
        self._watch_steps = watch_steps
        self._known: dict[tuple[bytes, bytes, bytes], Exchanges] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def exchanges(self, method: bytes, target: bytes, connection: bytes) -> Exchanges:
        """Return what a request takes; bad targets and methods get theirs as well.

        `connection` is KEEP, KEEP_1_0 or CLOSE.
        """
        known = self._known.get((method, target, connection))
        return known or self._learn(method, target, connection)

    def _learn(self, method: bytes, target: bytes, connection: bytes) -> Exchanges:
        exchanges = self._make(method, target, connection)
        cost = len(target) + sum(len(exchange.reply) for exchange in exchanges)
        with self._lock:
            if len(self._known) >= _MOST_ENTRIES or self._bytes + cost > _MOST_CACHED_BYTES:
                self._known.clear()
                self._bytes = 0
            self._known[method, target, connection] = exchanges
            self._bytes += cost
        return exchanges

    def _make(self, method: bytes, target: bytes, connection: bytes) -> Exchanges:
        if method == b"CONNECT":
            connection = CLOSE  # bytes meant for a tunnel may follow
        if method not in ALLOWED:
            return (refusal(405, f"{method.decode('latin-1')} is not served here", connection),)
        path = _AUTHORITY.sub("", target.decode("latin-1"), count=1) or "/"
        try:
            asked = work.parse(path, self._rates, self._call)
        except work.BadWorkError as error:
            return (refusal(400, str(error), connection, head=method == b"HEAD"),)
        first, *rest = _pieces(asked, connection, head=method == b"HEAD")
        waits = () if asked.drip is None else (asked.drip.wait,)
        parts = [(asked.steps, first), *((waits, piece) for piece in rest)]
        last = len(rest)
        return tuple(
            Exchange(self._watch_steps(target, steps), reply, connection is CLOSE and index == last)
            for index, (steps, reply) in enumerate(parts)
        )


def _pieces(asked: work.Work, connection: bytes, *, head: bool) -> list[bytes]:
    """The reply in the pieces that it is sent in, its header section with the first."""
    reply = _render(200, asked.body, connection, head=head)
    if asked.drip is None or head:
        return [reply]
    size = asked.drip.piece_bytes
    first = len(reply) - len(asked.body) + size
    return [reply[:first], *(reply[at : at + size] for at in range(first, len(reply), size))]


def refusal(status: int, reason: str, connection: bytes = CLOSE, *, head: bool = False) -> Exchange:
    """Return the exchange that asks for no work and says in its body what was wrong."""
    body = f"{reason}\n".encode("latin-1", "replace")
    return Exchange((), _render(status, body, connection, head=head), connection is CLOSE)


def _render(status: int, body: bytes, connection: bytes, *, head: bool = False) -> bytes:
    allow = b"Allow: %b\r\n" % b", ".join(ALLOWED) if status == 405 else b""
    return b"HTTP/1.1 %d %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%b%b\r\n%b" % (
        status,
        _PHRASES[status],
        len(body),
        allow,
        connection,
        b"" if head else body,
    )
