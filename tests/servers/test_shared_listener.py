"""Processes that share a listener share its clients: none takes more than it can serve at once."""

import psutil
import pytest

from tests.conftest import StartServer
from tests.servers.wire import get

CLIENTS = 30


@pytest.mark.parametrize(
    "model", ["asyncio", "uvloop", "asyncio-protocol", "uvloop-protocol", "trio", "twisted"]
)
def test_a_worker_leaves_the_clients_that_it_has_no_time_for_to_others(
    start_server: StartServer, model: str
) -> None:
    """Of 30 clients that wait for a worker, each with work that blocks it, it takes one a turn.

    When the first reply is there, the loop has gone round two or three times.
    """
    server = start_server(model, "--workers", "2")
    workers = psutil.Process(server.process.pid).children()
    assert len(workers) == 2
    for busy in workers:  # the other one has started when it serves
        busy.suspend()
        try:
            warmed = server.connect()
            warmed.sendall(get())
            assert warmed.recv(100)
        finally:
            busy.resume()
    try:
        for worker in workers:
            worker.suspend()
        clients = [server.connect() for _ in range(CLIENTS)]
        for client in clients:
            client.sendall(get("/block=300ms"))
        workers[0].resume()
        assert clients[0].recv(100)
        workers[0].suspend()
        taken = [each for each in workers[0].net_connections("tcp") if each.raddr]
    finally:
        for worker in workers:
            worker.resume()
    assert 1 <= len(taken) < CLIENTS / 2
