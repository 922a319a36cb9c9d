"""Which clients of an event loop have used up their time.

Pure: the time is an argument. A reaper in each loop asks every `INTERVAL_S`, so that the limits
cost nothing per read: what it looks at is kept anyway.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from servers.core.http1 import Connection
from servers.core.limits import Limits

INTERVAL_S: Final = 0.5

Client = TypeVar("Client")


@dataclass(slots=True)
class _Watched:
    connection: Connection
    unsent_bytes: Callable[[], int]
    state: tuple[str, int, int] = ("new", 0, 0)
    since_s: float = 0.0

    def look(self) -> tuple[str, int, int]:
        """Return the state and its progress: while nothing moves, two looks are equal."""
        connection = self.connection
        if unsent_bytes := self.unsent_bytes():
            return "writing", unsent_bytes, connection.requests
        if not connection.waiting:
            return "working", 0, connection.requests
        return "requesting" if connection.partial else "idle", 0, connection.requests


class Watch(Generic[Client]):
    """The open connections of one server, each under the key by which its driver knows it."""

    def __init__(self, limits: Limits) -> None:
        self._limit_s = {
            "writing": limits.write_s,
            "requesting": limits.request_s,
            "idle": limits.idle_s,
            "working": math.inf,
        }
        self._watched: dict[Client, _Watched] = {}

    @contextmanager
    def over(
        self, client: Client, connection: Connection, unsent_bytes: Callable[[], int]
    ) -> Iterator[None]:
        """Watch a client for as long as it takes to serve it, as `start` and `end` do."""
        self.start(client, connection, unsent_bytes)
        try:
            yield
        finally:
            self.end(client)

    def start(
        self, client: Client, connection: Connection, unsent_bytes: Callable[[], int]
    ) -> None:
        """Watch a client; `unsent_bytes` tells how much of a reply waits for it to read."""
        self._watched[client] = _Watched(connection, unsent_bytes)

    def end(self, client: Client) -> None:
        """Forget a client."""
        del self._watched[client]

    def __iter__(self) -> Iterator[Client]:
        return iter(tuple(self._watched))

    def overdue(self, now_s: float) -> list[Client]:
        """Return the clients that stayed in one state, without progress, up to its limit.

        A state is as old as the first look that found it: with a look every `INTERVAL_S` the
        limits are kept to within twice that.
        """
        watched = tuple(self._watched.items())  # in one step: threads may come and go meanwhile
        return [client for client, each in watched if self._is_overdue(each, now_s)]

    def _is_overdue(self, watched: _Watched, now_s: float) -> bool:
        state = watched.look()
        if state != watched.state:
            watched.state, watched.since_s = state, now_s
        return now_s - watched.since_s >= self._limit_s[state[0]]
