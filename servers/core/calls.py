"""The `call` step for models that wait in threads: a bounded pool of connections to the upstream.

A call that finds the pool full waits for its turn, first come, first served. Event loops have pools
of their own kind in `servers.waits`. Knows nothing of HTTP or of models.
"""

import socket
from dataclasses import dataclass, field
from typing import Final

from servers.core.units import Units

ANSWER: Final = b"done\n"
CONNECT_LIMIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the upstream is, and how many connections to it a process may have open."""

    host: str
    port: int
    most_connections: int


class UpstreamError(OSError):
    """The upstream cannot be reached or broke off; it ends the connection that asked for it."""


def check_answer(answer: bytes) -> None:
    """Raise UpstreamError unless the upstream has answered as agreed."""
    if answer != ANSWER:
        raise UpstreamError(f"the upstream answered {answer[:20]!r}")


@dataclass
class Calls:
    """A pool of blocking sockets, shared by the threads of a process."""

    upstream: Upstream
    _idle: list[socket.socket] = field(default_factory=list)
    _places: Units = field(init=False)

    def __post_init__(self) -> None:
        self._places = Units(self.upstream.most_connections)

    def call(self, request: bytes) -> None:
        """Send a request and wait for its answer. Raises OSError."""
        with self._places:
            connection = self._idle.pop() if self._idle else self._connect()
            try:
                connection.sendall(request)
                check_answer(connection.recv(len(ANSWER), socket.MSG_WAITALL))
            except OSError:
                connection.close()
                raise
            self._idle.append(connection)

    def _connect(self) -> socket.socket:
        address = (self.upstream.host, self.upstream.port)
        connection = socket.create_connection(address, CONNECT_LIMIT_S)
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
