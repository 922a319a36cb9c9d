"""A trio task per connection, in one nursery and one thread: it gives way at `await`."""

import logging
import socket
from contextlib import suppress

import trio

from servers.core.http1 import Connection
from servers.core.listen import PIECE_BYTES, RECEIVE_BYTES, end_input
from servers.core.service import Service
from servers.core.watch import INTERVAL_S, Watch
from servers.core.work import CALL, DELAY, HOLD
from servers.waits.trio_waits import Waits


def serve(listener: socket.socket, service: Service) -> None:
    """Serve until asked to stop."""
    logging.getLogger("trio.serve_listeners").disabled = True  # it retries without descriptors
    trio.run(_serve, listener, service)


class _Client:
    """A connection with what the reaper needs: a way to end it, and its unsent bytes."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.scope = trio.CancelScope()
        self.unsent_bytes = 0

    async def send(self, reply: bytes) -> None:
        """Send a reply in pieces, so that the reaper sees progress."""
        for start in range(0, len(reply), PIECE_BYTES):
            self.unsent_bytes = len(reply) - start
            await self.stream.send_all(reply[start : start + PIECE_BYTES])
        self.unsent_bytes = 0


async def _serve(listener: socket.socket, service: Service) -> None:
    watch: Watch[_Client] = Watch(service.limits)
    waits = Waits(service)

    async def run(stream: trio.SocketStream) -> None:
        client = _Client(stream)
        connection = service.connection()
        with watch.over(client, connection, lambda: client.unsent_bytes):
            if service.stop.requested:
                end_input(stream.socket)
            with client.scope, suppress(trio.BrokenResourceError, OSError):
                await _serve_client(client, connection, waits)
                if connection.unread:
                    await _linger(stream, service.limits.linger_s)

    accepting = trio.CancelScope()
    token = trio.lowlevel.current_trio_token()
    service.stop.on_request(lambda: token.run_sync_soon(accepting.cancel))
    acceptor = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
    async with trio.open_nursery() as background:
        background.start_soon(_reap, watch)
        background.start_soon(waits.receive)
        async with trio.open_nursery() as clients:
            with accepting:
                await trio.serve_listeners(run, [acceptor], handler_nursery=clients)
            for client in watch:
                end_input(client.stream.socket)
        background.cancel_scope.cancel()


async def _serve_client(client: _Client, connection: Connection, waits: Waits) -> None:
    while data := await client.stream.receive_some(RECEIVE_BYTES):
        for exchange in connection.receive(data):
            for step in exchange.steps:
                if step.kind is DELAY:
                    await trio.sleep(step.seconds)
                elif step.kind is HOLD:
                    await waits.hold(step)
                elif step.kind is CALL:
                    await waits.call(step)
                else:
                    step.run()
            await client.send(exchange.reply)
            if exchange.close:
                return


async def _linger(stream: trio.SocketStream, linger_s: float) -> None:
    """Let the last reply arrive: closing over unread bytes would reset the connection."""
    await stream.send_eof()
    with trio.move_on_after(linger_s):
        while await stream.receive_some(RECEIVE_BYTES):
            pass


async def _reap(watch: Watch[_Client]) -> None:
    while True:
        await trio.sleep(INTERVAL_S)
        for client in watch.overdue(trio.current_time()):
            client.scope.cancel()
