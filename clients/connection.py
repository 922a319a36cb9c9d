"""One connection of the generator: its socket, its framer, and the request that is outstanding."""

import socket
from collections.abc import Callable

from clients.response import ResponseFramer


class Connection:
    """One of the N connections and the request that it has outstanding, if any.

    The clocks of the request: `began_ns` when it was meant to start, `sent_ns` when it was handed
    to the kernel, `first_byte_ns` when some of its reply came (0: none yet, or all at once).
    """

    __slots__ = (
        "began_ns",
        "events",
        "fd",
        "first_byte_ns",
        "framer",
        "index",
        "number",
        "opened_ns",
        "outstanding",
        "payload",
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

    def __init__(self, index: int, framer: ResponseFramer, payload: bytes) -> None:
        self.index = index
        self.framer = framer
        self.payload = payload
        self.sock: socket.SocketType | None = None
        self.fd = -1
        self.events = 0
        self.outstanding = False
        self.untouched = True  # no byte of the reply that is due has come
        self.steady = False  # untouched, not the first to be served, and sent the moment it was due
        self.unsent = b""
        self.opened_ns = self.began_ns = self.sent_ns = self.first_byte_ns = 0
        self.replies = 0
        self.number = 0  # how many requests have been begun, where each has a payload of its own
        self.served = False
        self.used = False  # a request has gone out on the present socket
