"""Plain blocking sockets, as the models that wait in threads use them.

The kernel keeps the limits: each accepted socket inherits its timeouts from the listener, and
only a client that sends a request in pieces costs more than one `recv` per request. Knows nothing
of threads, nor of how many connections are served at once.
"""

import socket
import time
from collections.abc import Iterator

from servers.core.http1 import Connection
from servers.core.limits import Limits
from servers.core.listen import (
    ACCEPT_PAUSE_S,
    OUT_OF_RESOURCES,
    RECEIVE_BYTES,
    end_input,
    end_listening,
    set_receive_limit,
)
from servers.core.stop import Stop


class Clients:
    """The accepted sockets of one server, which end together when the server is asked to."""

    def __init__(self, listener: socket.socket, stop: Stop) -> None:
        self._listener = listener
        self._stop = stop
        self._open: set[socket.socket] = set()
        stop.on_request(self._end)

    def accept(self) -> Iterator[socket.socket]:
        """Yield clients as they connect, until the server is asked to end."""
        while not self._stop.requested:
            try:
                client, _ = self._listener.accept()
            except OSError as error:
                if error.errno in OUT_OF_RESOURCES:
                    time.sleep(ACCEPT_PAUSE_S)
                continue  # otherwise: this client has gone, none has come for a while, or the end
            self._open.add(client)
            if self._stop.requested:
                end_input(client)
            yield client

    def close(self, client: socket.socket) -> None:
        """Close a client and forget it."""
        self._open.discard(client)
        client.close()

    def _end(self) -> None:
        end_listening(self._listener)
        for client in self._open.copy():
            end_input(client)


def chunks(client: socket.socket, connection: Connection, limits: Limits) -> Iterator[bytes]:
    """Yield what a client sends, for `connection.receive`, until it ends or breaks a limit.

    Raises OSError when the client resets the connection or is too slow.
    """
    while data := client.recv(RECEIVE_BYTES):
        yield data
        if connection.partial:
            yield from _rest(client, connection, limits)


def _rest(client: socket.socket, connection: Connection, limits: Limits) -> Iterator[bytes]:
    """Yield the rest of requests that have begun, each within the limit for a whole request."""
    while connection.partial:
        deadline_s = time.monotonic() + limits.request_s
        begun = connection.requests
        while connection.partial and connection.requests == begun:
            set_receive_limit(client, deadline_s - time.monotonic())
            if not (data := client.recv(RECEIVE_BYTES)):
                return
            yield data
    set_receive_limit(client, limits.idle_s)


def send_all(client: socket.socket, reply: bytes, limits: Limits) -> None:
    """Send a reply. Raises OSError when the client is gone, or reads nothing for too long.

    `sendall` would do but for the second: the kernel counts the waits of a call together, whether
    the client reads or not, and a call that sent something is not a failure.
    """
    sent = _send(client, reply)
    if sent < len(reply):
        _send_rest(client, memoryview(reply)[sent:], limits.write_s)


def _send_rest(client: socket.socket, rest: memoryview, write_s: float) -> None:
    progress_s = time.monotonic()
    while rest:
        sent = _send(client, rest)
        now_s = time.monotonic()
        if sent:
            rest, progress_s = rest[sent:], now_s
        elif now_s - progress_s >= write_s:
            raise TimeoutError("the client does not read")


def _send(client: socket.socket, data: bytes | memoryview) -> int:
    try:
        return client.send(data)
    except BlockingIOError:
        return 0


def linger(client: socket.socket, connection: Connection, limits: Limits) -> None:
    """Let the last reply arrive: closing over unread bytes would reset the connection.

    Where such bytes may be, ends our side, then throws away what still comes, for a while.
    Raises OSError when the client resets the connection or falls silent.
    """
    if not connection.unread:
        return
    client.shutdown(socket.SHUT_WR)
    deadline_s = time.monotonic() + limits.linger_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        set_receive_limit(client, left_s)
        if not client.recv(RECEIVE_BYTES):
            return
