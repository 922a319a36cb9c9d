"""Callbacks on an event loop, asyncio's own or uvloop's, as production servers do it: no tasks.

The work for a client is a generator that stops at `yield`; the end of its wait resumes it.
"""

import asyncio
import socket
from collections.abc import Generator
from functools import partial
from typing import Any

from servers.core.listen import RECEIVE_BYTES
from servers.core.service import Service
from servers.core.watch import Watch
from servers.core.work import CALL, DELAY, HOLD
from servers.waits.asyncio_callbacks import waits_of
from servers.waits.asyncio_server import begin, finish, serve_clients

BUFFER = memoryview(bytearray(RECEIVE_BYTES))  # of all clients: what is read is used at once


def serve(listener: socket.socket, service: Service, loop: str) -> None:
    """Serve on the event loop of the library `loop` until asked to stop."""
    serve_clients(listener, service, loop, lambda: partial(Client, service, waits_of(service)))


class Client(asyncio.BufferedProtocol):
    """A connection. `waits` is what its work waits with."""

    def __init__(self, service: Service, waits: Any, watch: "Watch[Client]") -> None:
        self.service, self.waits, self.connection = service, waits, service.connection()
        self.data, self.is_full, self.has_ended, self.is_over = b"", False, False, False
        self._watch, self._work = watch, self.work()
        self.resume = partial(next, self._work, None)

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self.transport: asyncio.Transport = transport
        begin(self, self._watch)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Say where to read to: asyncio would otherwise allocate 256 KiB each time."""
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Work on what has come; if there is work already, keep it and read no more meanwhile."""
        self.data = bytes(BUFFER[:nbytes])
        if self.connection.waiting:
            self.resume()
        elif not self.is_over:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Say whether replies are still owed, so that the connection has to stay."""
        self.has_ended = True
        return not self.connection.waiting and not self.is_over

    def pause_writing(self) -> None:
        """Have the work stop after this reply: the client does not read as fast."""
        self.is_full = True

    def resume_writing(self) -> None:
        """Have it go on."""
        self.is_full = False
        self.resume()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """End, whatever the work is waiting for."""
        self._watch.end(self)
        self._work.close()

    def work(self) -> Generator[None, None, None]:
        """Do all that the client asks, in order."""
        loop, transport, resume = asyncio.get_running_loop(), self.transport, self.resume
        while True:
            data, self.data = self.data, b""
            for exchange in self.connection.receive(data):
                for step in exchange.steps:
                    if step.kind is DELAY:
                        loop.call_later(step.seconds, resume)
                    elif step.kind is HOLD:
                        self.waits.hold(step, resume)
                    elif step.kind is CALL:
                        self.waits.call(step, resume, transport.abort)
                    else:
                        step.run()
                        continue
                    yield
                transport.write(exchange.reply)
                if exchange.close:
                    return finish(self)
                if self.is_full or transport.is_closing():
                    yield
            if self.data:
                transport.resume_reading()
            elif self.has_ended:
                return transport.close()
            else:
                yield
