"""One connection of the generator: its socket, its framer, and the request that is outstanding."""

import socket
from collections.abc import Callable

from clients.response import ResponseFramer


class Connection:
    """One of the N connections and the request that it has outstanding, if any."""

    __slots__ = (
        "began_ns",
        "events",
        "fd",
        "framer",
        "index",
        "outstanding",
        "recv",
        "replies",
        "send",
        "sent_ns",
        "served",
        "sock",
        "steady",
        "unsent",
        "untouched",
        "used",
    )

    recv: Callable[[int], bytes]
    send: Callable[[bytes], int]

    def __init__(self, index: int, framer: ResponseFramer) -> None:
        self.index = index
        self.framer = framer
        self.sock: socket.SocketType | None = None
        self.fd = -1
        self.events = 0
        self.outstanding = False
        self.untouched = True  # no byte of the reply that is due has come
        self.steady = False  # untouched, not the first to be served, and sent the moment it was due
        self.unsent = b""
        self.began_ns = self.sent_ns = 0
        self.replies = 0
        self.served = False
        self.used = False  # a request has gone out on the present socket
