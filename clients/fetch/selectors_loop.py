"""An event loop written by hand: a selector, and for each document a generator.

The generator yields a socket and the event that it waits for there, and is resumed after it.
"""

import os
import selectors
import socket
import time
from collections.abc import Generator, Sequence
from contextlib import closing, suppress

from clients.fetch.document import RECEIVE_BYTES, Document
from clients.request import Request

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
Wait = tuple[socket.socket, int]
Task = Generator[Wait, None, None]


def fetch(documents: Sequence[Document], timeout_s: float) -> None:
    """Fetch every document; give up on one of which nothing comes for `timeout_s`."""
    with selectors.DefaultSelector() as selector:
        # All wait equally long, so the first to wait is the first whose time is over.
        waiting: dict[Task, tuple[socket.socket, float]] = {}

        def resume(task: Task, error: Exception | None = None) -> None:
            if task in waiting:
                selector.unregister(waiting.pop(task)[0])
            with suppress(StopIteration):
                sock, event = task.throw(error) if error else next(task)
                selector.register(sock, event, task)
                waiting[task] = sock, time.monotonic() + timeout_s

        for document in documents:
            resume(_fetch(document))
        while waiting:
            _, first_s = next(iter(waiting.values()))
            for key, _ in selector.select(first_s - time.monotonic()):
                resume(key.data)
            now_s = time.monotonic()
            for task in [task for task, (_, end_s) in waiting.items() if end_s <= now_s]:
                resume(task, TimeoutError())


def _fetch(document: Document) -> Task:
    with document.fetching(), closing((yield from _connect(document.request))) as sock:
        unsent = memoryview(document.request.payload)
        while unsent:
            yield sock, WRITE
            unsent = unsent[sock.send(unsent) :]
        yield sock, READ
        while not document.receive(sock.recv(RECEIVE_BYTES)):
            yield sock, READ


def _connect(request: Request) -> Generator[Wait, None, socket.socket]:
    """Try the addresses of the host in turn; looking them up is the one wait that blocks."""
    failure: OSError | None = None
    addresses = socket.getaddrinfo(request.host, request.port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in addresses:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            with suppress(BlockingIOError):  # it is connecting
                sock.connect(address)
            yield sock, WRITE
            if number := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(number, os.strerror(number))
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure or OSError("the host has no address")
