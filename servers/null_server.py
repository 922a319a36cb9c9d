"""`python -m servers.null_server`: the cheapest HTTP server in Python, to measure a generator.

It answers every request head with the same reply at once: no parsing, no routes, no limits.
"""

import argparse
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Final

from servers.core.limits import Limits
from servers.core.listen import RECEIVE_BYTES, open_listener

REPLY: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\ndone\n"
_END_OF_HEAD: Final = b"\r\n\r\n"


def serve(listener: socket.socket) -> None:
    """Answer for ever. A request has to come in one piece, and without a body."""
    epoll, clients = select.epoll(), {}
    listener.setblocking(False)
    listening = listener.fileno()
    epoll.register(listening, select.EPOLLIN)
    while True:
        for fd, _ in epoll.poll():
            if fd == listening:
                client, _ = listener.accept()
                client.setblocking(False)
                clients[client.fileno()] = (client, client.recv, client.send)
                epoll.register(client, select.EPOLLIN)
                continue
            client, receive, send = clients[fd]
            try:
                data = receive(RECEIVE_BYTES)
                if data.endswith(_END_OF_HEAD):
                    send(REPLY)
                    continue
            except OSError:
                data = b""
            if not data:
                del clients[fd]
                client.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line, until SIGTERM; returns 2 where it cannot listen."""
    parser = argparse.ArgumentParser(
        prog="python -m servers.null_server", description="Answer every request at once."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0, the default: any free one")
    args = parser.parse_args(argv)
    try:
        listener = open_listener(args.host, args.port, Limits())
    except (OSError, OverflowError, UnicodeError) as error:
        parser.exit(2, f"{parser.prog}: cannot listen on {args.host} port {args.port}: {error}\n")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    host, port, *_ = listener.getsockname()
    ready = {"ready": True, "host": host, "port": port, "pid": os.getpid(), "model": "null"}
    print(json.dumps(ready), flush=True)
    serve(listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
