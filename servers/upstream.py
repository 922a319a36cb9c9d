"""`python -m servers.upstream`: the slow service behind the servers, a real TCP peer for `call`.

A line with a number of microseconds is answered with `done` after that time; each connection holds
one call at a time, and as many are held as there are descriptors. One epoll loop with a heap of the
answers that are due: the wait is on `select`, which is precise to microseconds where epoll's own
timeout counts in milliseconds.
"""

import argparse
import heapq
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from servers.core.calls import ANSWER
from servers.core.limits import Limits
from servers.core.listen import ACCEPT_PAUSE_S, OUT_OF_RESOURCES, open_listener

_LINE_BYTES: Final = 64
_MOST_US: Final = 60_000_000


class Upstream:
    """The service on one listener; `run` returns after `stop`, which a signal handler may call."""

    def __init__(self, listener: socket.socket) -> None:
        self._epoll = select.epoll()  # first: `select` takes no descriptor from 1,024 on
        listener.setblocking(False)
        self._listener = listener
        self._clients: dict[int, socket.socket] = {}
        self._due: list[tuple[float, int, socket.socket]] = []
        self._wake, self._waker = os.pipe()
        for fd in (listener.fileno(), self._wake):
            self._epoll.register(fd, select.EPOLLIN)

    def run(self) -> None:
        """Serve until asked to stop."""
        epoll, clients = self._epoll, self._clients
        while True:
            left_s = max(self._due[0][0] - time.monotonic(), 0.0) if self._due else None
            select.select([epoll], (), (), left_s)
            for fd, _ in epoll.poll(0):
                if fd in clients:
                    self._take(fd, clients[fd])
                elif fd == self._wake:
                    return
                else:
                    self._accept()
            self._answer(time.monotonic())

    def stop(self) -> None:
        """Have `run` return."""
        os.write(self._waker, b".")

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError as error:
            if error.errno in OUT_OF_RESOURCES:
                time.sleep(ACCEPT_PAUSE_S)
            return
        client.setblocking(False)
        self._clients[client.fileno()] = client
        self._epoll.register(client, select.EPOLLIN)

    def _take(self, fd: int, client: socket.socket) -> None:
        line = b""
        with suppress(OSError):
            line = client.recv(_LINE_BYTES)
        text = line.removesuffix(b"\n")
        if text == line or not text.isdigit() or int(text) > _MOST_US:
            del self._clients[fd]  # the end, or no call: a line comes in one piece or not at all
            client.close()
            return
        heapq.heappush(self._due, (time.monotonic() + int(text) / 1e6, fd, client))

    def _answer(self, now_s: float) -> None:
        due = self._due
        while due and due[0][0] <= now_s:
            _, _, client = heapq.heappop(due)
            with suppress(OSError):  # it has gone meanwhile
                client.send(ANSWER)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 after a stop, 2 where it cannot listen."""
    parser = argparse.ArgumentParser(
        prog="python -m servers.upstream", description="The slow service behind the servers."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0, the default: any free one")
    args = parser.parse_args(argv)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        listener = open_listener(args.host, args.port, Limits())
    except (OSError, OverflowError, UnicodeError) as error:
        parser.exit(2, f"{parser.prog}: cannot listen on {args.host} port {args.port}: {error}\n")
    upstream = Upstream(listener)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: upstream.stop())
    host, port, *_ = listener.getsockname()
    ready = {"ready": True, "host": host, "port": port, "pid": os.getpid(), "model": "upstream"}
    print(json.dumps(ready), flush=True)
    upstream.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
