"""A thread per connection: each waits by itself, and the system decides which one runs."""

import socket
import threading
import time
from contextlib import suppress

from servers.core.listen import ACCEPT_PAUSE_S
from servers.core.service import Service
from servers.core.sockets import Clients, chunks, linger, send_all
from servers.waits.thread_waits import carry_out


def serve(listener: socket.socket, service: Service) -> None:
    """Serve until asked to stop, then until every thread is done."""
    clients = Clients(listener, service.stop)
    threads: set[threading.Thread] = set()

    def run(client: socket.socket) -> None:
        with suppress(OSError):  # the client reset the connection or was too slow
            _serve_client(client, service)
        clients.close(client)
        threads.discard(threading.current_thread())

    for client in clients.accept():
        thread = threading.Thread(target=run, args=(client,), daemon=True)
        threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left
            threads.discard(thread)
            clients.close(client)
            time.sleep(ACCEPT_PAUSE_S)
    for thread in tuple(threads):
        thread.join()


def _serve_client(client: socket.socket, service: Service) -> None:
    connection = service.connection()
    for data in chunks(client, connection, service.limits):
        for exchange in connection.receive(data):
            carry_out(exchange.steps, service.units)
            send_all(client, exchange.reply, service.limits)
            if exchange.close:
                linger(client, connection, service.limits)
                return
