"""A greenlet per connection in one thread: it gives way where it waits. No monkey-patching."""

import socket
import time
from contextlib import suppress

import gevent
from gevent import socket as gsocket
from gevent.event import Event
from gevent.pool import Group

from servers.core.http1 import Connection
from servers.core.listen import ACCEPT_PAUSE_S, OUT_OF_RESOURCES, RECEIVE_BYTES, end_input
from servers.core.service import Service
from servers.core.watch import INTERVAL_S, Watch
from servers.core.work import CALL, DELAY, HOLD
from servers.waits.gevent_waits import Waits


class _Client:
    """A connection and, for the reaper, how much of a reply is unsent."""

    def __init__(self, sock: gsocket.socket) -> None:
        self.sock = sock
        self.unsent_bytes = 0

    def send_all(self, reply: bytes) -> None:
        self.unsent_bytes = len(reply)
        self.unsent_bytes -= self.sock.send(reply)
        while self.unsent_bytes:
            self.unsent_bytes -= self.sock.send(memoryview(reply)[-self.unsent_bytes :])


def serve(listener: socket.socket, service: Service) -> None:
    """Serve on the hub of this thread until asked to stop."""
    watch: Watch[_Client] = Watch(service.limits)
    waits = Waits(service)

    def run(sock: gsocket.socket) -> None:
        client, connection = _Client(sock), service.connection()
        with sock, watch.over(client, connection, lambda: client.unsent_bytes):
            if service.stop.requested:
                end_input(sock)
            with suppress(OSError):  # the client reset the connection, or was too slow
                _serve_client(client, connection, waits)
                if connection.unread:
                    _linger(sock, service.limits.linger_s)

    def accept() -> None:
        with gsocket.socket(fileno=listener.detach()) as acceptor:
            while True:
                gsocket.wait_read(acceptor.fileno())  # one client in each turn of the hub
                try:
                    clients.spawn(run, acceptor.accept()[0])
                except OSError as error:  # else another process was faster, or it has gone
                    if error.errno in OUT_OF_RESOURCES:
                        gevent.sleep(ACCEPT_PAUSE_S)

    clients, stopping, loop = Group(), Event(), gevent.get_hub().loop
    accepting = gevent.spawn(accept)
    gevent.spawn(_reap, watch)
    service.stop.on_request(lambda: loop.run_callback_threadsafe(stopping.set))
    stopping.wait()
    accepting.kill()
    for client in watch:
        end_input(client.sock)
    clients.join()


def _serve_client(client: _Client, connection: Connection, waits: Waits) -> None:
    while data := client.sock.recv(RECEIVE_BYTES):
        for exchange in connection.receive(data):
            for step in exchange.steps:
                if step.kind is DELAY:
                    gevent.sleep(step.seconds)
                elif step.kind is HOLD:
                    waits.hold(step)
                elif step.kind is CALL:
                    waits.call(step)
                else:
                    step.run()
            client.send_all(exchange.reply)
            if exchange.close:
                return


def _linger(sock: gsocket.socket, linger_s: float) -> None:
    """Let the last reply arrive: closing over unread bytes would reset the connection."""
    sock.shutdown(socket.SHUT_WR)
    with gevent.Timeout(linger_s, False):
        while sock.recv(RECEIVE_BYTES):
            pass


def _reap(watch: Watch[_Client]) -> None:
    while True:
        gevent.sleep(INTERVAL_S)
        for client in watch.overdue(time.monotonic()):
            client.sock.close()  # its greenlet fails where it waits
