"""The listening socket, and every socket option and size that must be equal for all models.

Linux hands the options of a listener on to the sockets that it accepts, so they are set once and
cost nothing per connection. Knows nothing of HTTP or of models.
"""

import errno
import socket
import struct
from contextlib import suppress
from typing import Final, Protocol

from servers.core.limits import Limits

BACKLOG: Final = 4096
RECEIVE_BYTES: Final = 64 * 1024
# How much of a reply to send at once, where a library does not tell how far it got.
PIECE_BYTES: Final = 256 * 1024
# How long a blocking send waits for a client to read before it looks at the limit.
SEND_LOOK_S: Final = 0.5

# What accept raises when the process or the system has run out; the connection stays queued.
OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
ACCEPT_PAUSE_S: Final = 0.1


def open_listener(host: str, port: int, limits: Limits) -> socket.socket:
    """Listen on a host and port (0: any that is free). Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        set_receive_limit(listener, limits.idle_s)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(SEND_LOOK_S))
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def set_receive_limit(sock: socket.socket, seconds: float) -> None:
    """Have blocking reads fail with BlockingIOError when nothing comes for so long."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))


class HasFileno(Protocol):
    """What a library calls a socket."""

    def fileno(self) -> int:
        """Return its descriptor, or -1 once it is closed."""


def end_input(client: HasFileno | None) -> None:
    """Take no more from a client: what has arrived is still read, then comes an end of file.

    For any model, and from any thread: a read that waits for the client ends at once. Does
    nothing for a client that has gone, which a library may show as None.
    """
    with suppress(OSError, ValueError):
        sock = socket.socket(fileno=client.fileno() if client else -1)
        try:
            sock.shutdown(socket.SHUT_RD)
        finally:
            sock.detach()  # it is the driver's to close


def end_listening(listener: socket.socket) -> None:
    """Take no more clients: those that wait to be accepted are reset, an accept that waits ends."""
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)


def _timeval(seconds: float) -> bytes:
    whole, fraction = divmod(max(seconds, 1e-3), 1)
    return struct.pack("@ll", int(whole), int(fraction * 1e6))
