"""A fixed number of threads for any number of connections: an idle one takes no thread.

The threads wait for events, new clients and what clients send, one thread and one event at a time.
"""

import select
import socket
import threading
import time
from contextlib import suppress

from servers.core import listen
from servers.core.http1 import Connection
from servers.core.service import Service
from servers.core.sockets import linger, send_all
from servers.core.watch import INTERVAL_S, Watch
from servers.waits.thread_waits import carry_out

ONCE = select.EPOLLIN | select.EPOLLONESHOT


def serve(listener: socket.socket, service: Service) -> None:
    """Serve until asked to stop, then until every client is done."""
    pool = _Pool(listener, service)
    service.stop.on_request(pool.stop)
    threads = [threading.Thread(target=pool.run, daemon=True) for _ in range(service.threads)]
    for thread in threads:
        thread.start()
    while not pool.done.wait(INTERVAL_S):
        for client in pool.watch.overdue(time.monotonic()):
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)  # the thread that sees its end closes it
    for thread in threads:
        thread.join()


class _Pool:
    def __init__(self, listener: socket.socket, service: Service) -> None:
        listener.setblocking(False)
        self._listener, self._service = listener, service
        self._polling, self._accepting = threading.Lock(), threading.Lock()
        self._clients: dict[int, tuple[socket.socket, Connection]] = {}
        self._epoll = select.epoll()
        self._epoll.register(listener, ONCE)
        self.watch: Watch[socket.socket] = Watch(service.limits)
        self.done = threading.Event()

    def run(self) -> None:
        """Be one of the threads."""
        while not self.done.is_set():
            with self._polling:
                fd, _ = self._epoll.poll(maxevents=1)[0]
            if fd in self._clients:
                self._take_turn(*self._clients[fd])
            elif fd == self._listener.fileno():
                self._accept()

    def stop(self) -> None:
        """Take no more clients, and nothing more from those that are there."""
        with self._accepting:
            for client in self.watch:
                listen.end_input(client)
        listen.end_listening(self._listener)
        self._end_if_deserted()

    def _accept(self) -> None:
        with self._accepting:
            if self._service.stop.requested:
                return
            try:
                client, _ = self._listener.accept()
                self._clients[client.fileno()] = client, (connection := self._service.connection())
                self.watch.start(client, connection, lambda: 0)
                self._epoll.register(client, ONCE)
            except OSError as error:
                if error.errno in listen.OUT_OF_RESOURCES:
                    time.sleep(listen.ACCEPT_PAUSE_S)
            self._epoll.modify(self._listener, ONCE)

    def _take_turn(self, client: socket.socket, connection: Connection) -> None:
        with suppress(OSError):  # the client reset the connection or was too slow
            if data := client.recv(listen.RECEIVE_BYTES):
                for exchange in connection.receive(data):
                    carry_out(exchange.steps, self._service.units)
                    send_all(client, exchange.reply, self._service.limits)
                    if exchange.close:
                        linger(client, connection, self._service.limits)
                        break
                else:
                    return self._epoll.modify(client, ONCE)
        del self._clients[client.fileno()]  # first: its number may be given out again
        self.watch.end(client)
        client.close()
        return self._end_if_deserted()

    def _end_if_deserted(self) -> None:
        if self._service.stop.requested and not self._clients:
            self.done.set()
            self._epoll.modify(self._listener, select.EPOLLHUP)  # not just once: for every thread
