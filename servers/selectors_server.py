"""A task per connection on an event loop written by hand: it gives way at `yield`."""

import socket
import time
from contextlib import closing, suppress

from servers.core.http1 import Connection
from servers.core.listen import ACCEPT_PAUSE_S, OUT_OF_RESOURCES, RECEIVE_BYTES, end_input
from servers.core.service import Service
from servers.core.watch import INTERVAL_S, Watch
from servers.core.work import CALL, DELAY, HOLD
from servers.selectors_loop import READ, Loop, Stream, Task
from servers.waits.selectors_waits import Waits


def serve(listener: socket.socket, service: Service) -> None:
    """Serve until asked to stop."""
    loop = Loop()
    watch: Watch[Stream] = Watch(service.limits)
    waits = Waits(loop, service)

    def run(client: Stream) -> Task:
        connection = service.connection()
        watched = watch.over(client, connection, lambda: client.unsent_bytes)
        with closing(client), watched, suppress(OSError, GeneratorExit):  # reset, or cancelled
            yield from _serve_client(client, connection, waits)
            if connection.unread:
                loop.start(_end_later(client, service.limits.linger_s))
                yield from _linger(client)
        end_if_deserted()

    def accept() -> Task:
        listener.setblocking(False)
        with closing(Stream(loop, listener)) as stream:
            while True:
                yield READ, stream  # one client in each turn of the loop
                try:
                    client, _ = listener.accept()
                    client.setblocking(False)
                    loop.start(run(Stream(loop, client)))
                except OSError as error:  # else another process was faster, or it has gone
                    if error.errno in OUT_OF_RESOURCES:
                        yield ACCEPT_PAUSE_S

    def end() -> Task:
        stopping, stop = socket.socketpair()
        service.stop.on_request(lambda: stop.send(b"x"))
        yield READ, Stream(loop, stopping)
        accepting.close()
        for client in watch:
            end_input(client.sock)
        end_if_deserted()

    def end_if_deserted() -> None:
        loop.running = listener.fileno() >= 0 or any(watch)

    for task in (accepting := accept(), _reap(watch), end()):
        loop.start(task)
    loop.run()


def _serve_client(client: Stream, connection: Connection, waits: Waits) -> Task:
    yield READ, client
    while data := client.sock.recv(RECEIVE_BYTES):
        for exchange in connection.receive(data):
            for step in exchange.steps:
                if step.kind is DELAY:
                    yield step.seconds
                elif step.kind is HOLD:
                    yield from waits.hold(step)
                elif step.kind is CALL:
                    yield from waits.call(step)
                else:
                    step.run()
            yield from client.send_all(exchange.reply)
            if exchange.close:
                return
        yield READ, client


def _linger(client: Stream) -> Task:
    """Let the last reply arrive: closing over unread bytes would reset the connection."""
    client.sock.shutdown(socket.SHUT_WR)
    yield READ, client
    while client.sock.recv(RECEIVE_BYTES):
        yield READ, client


def _reap(watch: Watch[Stream]) -> Task:
    while True:
        yield INTERVAL_S
        for client in watch.overdue(time.monotonic()):
            client.cancel()


def _end_later(client: Stream, seconds: float) -> Task:
    yield seconds
    client.cancel()
