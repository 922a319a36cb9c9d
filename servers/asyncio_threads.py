"""An event loop in front, the work in worker threads: each request is handed to one and back."""

import asyncio
import socket
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from servers import asyncio_protocol
from servers.core.replies import CONTINUE
from servers.core.service import Service
from servers.core.work import Step
from servers.waits.asyncio_server import finish, serve_clients
from servers.waits.thread_waits import carry_out


def serve(listener: socket.socket, service: Service) -> None:
    """Serve until asked to stop."""
    pool = ThreadPoolExecutor(service.threads)
    serve_clients(listener, service, "asyncio", lambda: partial(_Client, service, pool))
    pool.shutdown(wait=False, cancel_futures=True)  # what is left is for clients that have gone


class _Client(asyncio_protocol.Client):
    waits: ThreadPoolExecutor

    def work(self) -> Generator[None, None, None]:
        """Have all done that the client asks, in order."""
        loop, transport = asyncio.get_running_loop(), self.transport
        while True:
            data, self.data = self.data, b""
            for exchange in self.connection.receive(data):
                if exchange is not CONTINUE:
                    self.waits.submit(self._carry_out, exchange.steps, loop)
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

    def _carry_out(self, steps: Iterable[Step], loop: asyncio.AbstractEventLoop) -> None:
        """Carry out the steps in a thread of the pool, then have the loop go on."""
        try:
            carry_out(steps, self.service.units)
        except OSError:  # the upstream broke off
            loop.call_soon_threadsafe(self.transport.abort)
        else:
            loop.call_soon_threadsafe(self.resume)
