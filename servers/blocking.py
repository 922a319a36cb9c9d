"""One connection at a time: the program waits wherever its client or its work waits.

Each connection carries one request, since an idle one would keep everybody else waiting. Several
processes of it that share a listener are the model `prefork`.
"""

import socket
from contextlib import suppress

from servers.core.service import Service
from servers.core.sockets import Clients, chunks, linger, send_all
from servers.waits.thread_waits import carry_out


def serve(listener: socket.socket, service: Service) -> None:
    """Serve until asked to stop."""
    clients = Clients(listener, service.stop)
    for client in clients.accept():
        with suppress(OSError):  # the client reset the connection or was too slow
            _serve_client(client, service)
        clients.close(client)


def _serve_client(client: socket.socket, service: Service) -> None:
    connection = service.connection(keep_alive=False)
    for data in chunks(client, connection, service.limits):
        for exchange in connection.receive(data):
            carry_out(exchange.steps, service.units)
            send_all(client, exchange.reply, service.limits)
            if exchange.close:
                linger(client, connection, service.limits)
                return
