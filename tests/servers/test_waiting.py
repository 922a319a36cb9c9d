"""How each model waits is what it is: which waits overlap, and who goes first."""

import selectors
import socket
import time

import pytest

from servers.models import Model
from tests.conftest import Server, StartServer
from tests.servers.wire import get, read_to_end

OVERLAP_BLOCKING_CALLS = {"prefork", "threaded", "thread-pool", "asyncio-threads"}

WITH_TWO_WORKERS = True


def seconds_for(server: Server, path: str, count: int) -> float:
    """Send one request on each of `count` connections; return the time to the last reply."""
    clients = [server.connect() for _ in range(count)]
    start_s = time.monotonic()
    for client in clients:
        client.sendall(get(path, "Connection: close"))
    for client in clients:
        with client:
            assert read_to_end(client).startswith(b"HTTP/1.1 200 OK")
    return time.monotonic() - start_s


def test_delays_overlap_unless_one_is_served_at_a_time(server: Server, model: Model) -> None:
    """Five delays of 0.2 s: 1 s one after another, 0.2 s together."""
    elapsed_s = seconds_for(server, "/delay=200ms", 5)
    assert (elapsed_s >= 1.0) if model.name == "blocking" else (0.2 <= elapsed_s < 0.9)


def test_blocking_calls_overlap_only_in_threads(server: Server, model: Model) -> None:
    """In an event loop a call that blocks its thread blocks everybody there: 4 x 0.2 s.

    Two processes have two each at best.
    """
    elapsed_s = seconds_for(server, "/block=200ms", 4)
    overlap = model.name in OVERLAP_BLOCKING_CALLS
    assert (0.2 <= elapsed_s < 0.75) if overlap else (elapsed_s >= 0.8 / model.default_workers)


@pytest.mark.parametrize("units", [1, 2])
def test_holds_share_the_units_of_the_server(
    model: Model, start_server: StartServer, units: int
) -> None:
    """Four holds of 0.2 s: 0.8 s with one unit, 0.4 s with two, unless one is served at a time."""
    server = start_server(model, "--units", str(units))
    elapsed_s = seconds_for(server, "/hold=200ms", 4)
    assert elapsed_s >= (0.8 if model.name == "blocking" else 0.8 / units)
    if units == 2 and model.name != "blocking":
        assert elapsed_s < 0.75


def test_units_are_given_in_order_of_arrival(model: Model, start_server: StartServer) -> None:
    """Five holds of 0.1 s arrive 50 ms apart, while the first is held for 0.5 s."""
    server = start_server(model, "--units", "1")
    clients: list[socket.socket] = []
    for path in ["/hold=500ms", *["/hold=100ms"] * 5]:
        clients.append(server.connect())
        clients[-1].sendall(get(path, "Connection: close"))
        time.sleep(0.05)
    with selectors.DefaultSelector() as replies:
        for number, client in enumerate(clients):
            replies.register(client, selectors.EVENT_READ, number)
        while waiting := {key.data for key in replies.get_map().values()}:
            served = {key.data for key, _ in replies.select(10)}
            # Of replies that are there together nobody knows which came first.
            assert served
            assert max(served) < min(waiting - served, default=len(clients))
            for number in served:
                replies.unregister(clients[number])


def test_spin_computes_for_the_rounds_that_were_calibrated(
    model: Model, start_server: StartServer
) -> None:
    """At 10 rounds per microsecond 100 ms are a million rounds: ten times those of 10 ms."""
    server = start_server(model)
    before_s = server.cpu_s()
    seconds_for(server, "/spin=100ms", 1)
    long_s = server.cpu_s() - before_s
    assert long_s >= 0.02
