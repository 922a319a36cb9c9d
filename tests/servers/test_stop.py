"""SIGTERM lets requests in flight finish, for five seconds, and ends with status 0."""

import contextlib
import signal
import socket
import threading
import time

import pytest

from servers.models import Model
from tests.conftest import Server, StartServer
from tests.servers.wire import get, read_exactly, read_to_end

INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


def begin(server: Server, path: str) -> socket.socket:
    """Return a connection on which the work is under way: its body follows the interim reply."""
    client = server.connect(timeout_s=20)
    client.sendall(get(path, "Expect: 100-continue", "Content-Length: 3", method="POST"))
    assert read_exactly(client, len(INTERIM)) == INTERIM
    client.sendall(b"abc")
    return client


def test_request_in_flight_finishes_and_idle_connections_end_at_once(
    model: Model, start_server: StartServer
) -> None:
    server = start_server(model)
    busy = begin(server, "/delay=1s/body=1MiB")
    idle = [server.connect() for _ in range(10)]
    server.ask_to_stop()
    start_s = time.monotonic()
    for client in idle:
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
    idle_s = time.monotonic() - start_s
    received = read_to_end(busy)
    assert received.partition(b"\r\n\r\n")[2] == b"x" * (1 << 20)
    assert server.wait() == 0
    if not model.serves_one_at_a_time:  # there the idle ones were never accepted
        assert idle_s < 0.7  # well before the second is over
    with pytest.raises(ConnectionRefusedError):
        server.connect()
    busy.close()
    for client in idle:
        client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_right_after_the_ready_line(
    model: Model, start_server: StartServer, number: signal.Signals
) -> None:
    server = start_server(model)
    server.process.send_signal(number)
    assert server.wait() == 0
    assert server.process.stderr is not None
    assert server.process.stderr.read() == ""


def test_stop_amid_clients_that_come_and_go(model: Model, start_server: StartServer) -> None:
    """Connections that are just beginning or ending are not forgotten until the last reply."""
    server = start_server(model)
    busy = None if model.serves_one_at_a_time else begin(server, "/delay=1s")
    replies: list[bytes] = []

    def come_and_go() -> None:
        with contextlib.suppress(OSError):
            while True:
                with server.connect() as client:
                    client.sendall(get("/", "Connection: close"))
                    replies.append(read_to_end(client))

    threads = [threading.Thread(target=come_and_go) for _ in range(16)]
    for thread in threads:
        thread.start()
    while len(replies) < 100:
        time.sleep(0.001)
    server.ask_to_stop()
    for thread in threads:
        thread.join()
    assert busy is None or server.process.poll() is None  # it still works on the busy one
    assert server.wait() == 0
    assert server.process.stderr is not None
    assert server.process.stderr.read() == ""


def test_half_a_request_is_not_in_flight(model: Model, start_server: StartServer) -> None:
    server = start_server(model)
    with server.connect() as client:
        client.sendall(get()[:5])
        server.ask_to_stop()
        assert server.wait(4.0) == 0


def test_a_client_that_does_not_read_is_dropped_and_the_server_ends(
    model: Model, start_server: StartServer
) -> None:
    """Long before the five seconds that others would have to finish."""
    server = start_server(model, "--write-timeout", "500ms")
    with server.connect() as client:
        client.sendall(get("/body=16MiB"))
        assert read_exactly(client, 1000)
        server.ask_to_stop()
        assert server.wait(4.0) == 0


def test_work_longer_than_the_grace_is_cut_off(start_server: StartServer) -> None:
    """Five seconds later they are gone, even where the work blocks the only thread."""
    servers = [
        start_server(model, "--units", "1")
        for model in ("blocking", "threaded", "asyncio", "uvloop", "trio")
        for _ in range(2)
    ]
    clients = [
        begin(server, path)
        for server, path in zip(servers, ["/delay=30s", "/block=30s"] * 5, strict=True)
    ]
    start_s = time.monotonic()
    for server in servers:
        server.ask_to_stop()
    assert [server.wait(10.0) for server in servers] == [0] * 10
    assert 4.5 < time.monotonic() - start_s < 9.0
    for client in clients:
        client.close()
