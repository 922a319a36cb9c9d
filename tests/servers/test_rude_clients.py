"""Clients that break the rules harm nobody but themselves."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable

import pytest

from servers.models import Model
from tests.conftest import Server, StartServer
from tests.servers.wire import get, read_exactly, read_to_end, reply, say

LIMIT_S = 0.6
LIMITS = ("--idle-timeout", "600ms", "--request-timeout", "600ms", "--write-timeout", "600ms")
MIB = 1 << 20
IDLE = 5_000

WITH_TWO_WORKERS = True


@pytest.fixture(scope="module")
def strict(model: Model, start_shared_server: StartServer) -> Server:
    """A server whose every limit is 0.6 s."""
    return start_shared_server(model, *LIMITS)


def serves(server: Server) -> bool:
    """Say whether somebody else is served."""
    received = say(server.connect(), [get("/", "Connection: close")])
    return received == reply(200, b"done\n", "Connection: close")


def reset(client: socket.socket) -> None:
    """Close a connection so that the other side gets a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Wait for something that another process does."""
    deadline_s = time.monotonic() + within_s
    while not (done := condition()) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return done


def seconds_until_dropped(client: socket.socket) -> float:
    """Wait for the server to end the connection, without having sent anything."""
    start_s = time.monotonic()
    with client, contextlib.suppress(ConnectionResetError):
        assert client.recv(1) == b""
    return time.monotonic() - start_s


def test_reset_in_the_middle_of_a_request(strict: Server) -> None:
    client = strict.connect()
    client.sendall(get()[:10])
    reset(client)
    assert serves(strict)


def test_reset_during_the_work(strict: Server) -> None:
    client = strict.connect()
    client.sendall(get("/delay=50ms/body=1MiB") * 3)
    reset(client)
    assert serves(strict)


def test_reset_in_the_middle_of_a_reply(strict: Server) -> None:
    client = strict.connect()
    client.sendall(get("/body=16MiB"))
    assert len(read_exactly(client, 1000)) == 1000
    reset(client)
    assert serves(strict)


def test_connection_that_says_nothing_and_ends(strict: Server) -> None:
    assert say(strict.connect(), []) == b""
    assert serves(strict)


def test_ten_thousand_requests_in_one_write_are_answered_in_turn(
    strict: Server, model: Model
) -> None:
    pieces = [get("/body=1"), get("/body=2")] * 5_000
    with strict.connect() as client:
        sender = threading.Thread(target=_send_and_end, args=(client, b"".join(pieces)))
        sender.start()
        with contextlib.suppress(ConnectionResetError):
            received = read_to_end(client)
        sender.join()
    if model.serves_one_at_a_time:
        assert received == reply(200, b"x", "Connection: close")
    else:
        assert received == (reply(200, b"x") + reply(200, b"xx")) * 5_000
    assert serves(strict)


def _send_and_end(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)


def test_client_that_never_reads_costs_little_memory_and_is_dropped(strict: Server) -> None:
    """2,000 replies of 1 MiB are asked for: 2 GiB, were they all rendered and queued."""
    assert serves(strict)
    before_bytes = strict.memory_bytes()
    client = strict.connect()
    client.sendall(get("/body=1MiB") * 2_000)
    assert eventually(lambda: strict.holds(client))
    peak_bytes = 0

    def dropped() -> bool:
        nonlocal peak_bytes
        peak_bytes = max(peak_bytes, strict.memory_bytes())
        return not strict.holds(client)

    assert eventually(dropped)
    assert peak_bytes - before_bytes < 32 * MIB
    client.close()
    assert serves(strict)


def test_slow_reader_that_makes_progress_gets_everything(strict: Server) -> None:
    """Four pauses of 0.24 s are longer than the limit, but each is followed by 3 MiB."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        client.settimeout(10)
        client.connect(("127.0.0.1", strict.port))
        client.sendall(get("/body=16MiB", "Connection: close"))
        received = 0
        for _ in range(4):
            time.sleep(0.4 * LIMIT_S)
            received += len(read_exactly(client, 3 * MIB))
        received += len(read_to_end(client))
    head = len(reply(200, b"", "Connection: close", length=16 * MIB))
    assert received == head + 16 * MIB


def test_silent_clients_are_dropped_when_their_limit_is_over(strict: Server, model: Model) -> None:
    """One never says anything; one falls silent after a request, where connections are kept."""
    silent, later = strict.connect(), strict.connect()
    start_s = time.monotonic()
    if not model.serves_one_at_a_time:
        later.sendall(get())
        assert read_exactly(later, len(reply())) == reply()
        assert 0.9 * LIMIT_S < seconds_until_dropped(later) < 5 * LIMIT_S
    seconds_until_dropped(silent)
    assert 0.9 * LIMIT_S < time.monotonic() - start_s < 5 * LIMIT_S
    later.close()


def test_silent_clients_delay_others_only_in_a_server_of_one_at_a_time(
    server: Server, strict: Server, model: Model
) -> None:
    """Their limit is 10 s in one server, so that whoever is served in time did not wait for it."""
    if model.serves_one_at_a_time:
        with contextlib.ExitStack() as silent:
            for _ in range(model.default_workers):
                silent.enter_context(strict.connect())
            start_s = time.monotonic()
            assert serves(strict)
            assert time.monotonic() - start_s > 0.9 * LIMIT_S
    else:
        with contextlib.ExitStack() as silent:
            for _ in range(200):
                silent.enter_context(server.connect())
            start_s = time.monotonic()
            assert serves(server)
            assert time.monotonic() - start_s < 5.0


def test_five_thousand_idle_connections_while_others_are_served(
    model: Model, start_server: StartServer, many_descriptors: int
) -> None:
    if model.serves_one_at_a_time:
        pytest.skip("a server of one at a time keeps no idle connection")
    if many_descriptors < IDLE + 500:
        pytest.skip(f"only {many_descriptors} descriptors are allowed here (ulimit -Hn)")
    server = start_server(model, "--idle-timeout", "60s")
    with contextlib.ExitStack() as idle:
        for _ in range(IDLE):
            idle.enter_context(server.connect())
        for _ in range(20):
            assert serves(server)
        assert eventually(lambda: server.descriptors() > IDLE, 30)
        assert serves(server)
    assert eventually(lambda: server.descriptors() < 500, 30)
    assert serves(server)


def test_requests_that_trickle_are_dropped_however_busy_they_look(strict: Server) -> None:
    """A byte every 0.1 s is never idle, so it is the limit for a whole request that ends it."""
    post = get("/", "Content-Length: 1000", method="POST")
    starts = {"head": b"GET /", "body": post, "blank lines": b"\r\n"}
    clients = {name: strict.connect() for name in starts}
    start_s = time.monotonic()
    for name, client in clients.items():
        client.sendall(starts[name])
        client.setblocking(False)
    open_names = set(clients)
    while open_names and time.monotonic() - start_s < 15 * LIMIT_S:
        time.sleep(0.1)
        open_names = {name for name in open_names if _trickles(clients[name], starts[name][-1:])}
    for client in clients.values():
        client.close()
    assert not open_names
    assert serves(strict)


def _trickles(client: socket.socket, byte: bytes) -> bool:
    """Send one more byte; say whether the connection is still open."""
    try:
        client.send(byte)
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_out_of_descriptors_neither_dies_nor_spins(model: Model, start_server: StartServer) -> None:
    server = start_server(model, "--idle-timeout", "30s", descriptors=40)
    clients = [server.connect() for _ in range(80)]
    time.sleep(0.2)  # lets it accept what it can
    before_s = server.cpu_s()
    time.sleep(0.6)
    assert server.cpu_s() - before_s < 0.3
    assert server.process.poll() is None
    for client in clients:
        client.close()
    # libuv, under uvloop, ends the connections that it finds no descriptor for; others wait.
    assert eventually(lambda: serves(server))


def test_stop_without_descriptors_ends_idle_connections_at_once(
    model: Model, start_server: StartServer
) -> None:
    server = start_server(model, descriptors=40)
    clients = [server.connect() for _ in range(80)]
    time.sleep(0.2)  # lets it accept what it can
    server.ask_to_stop()
    assert server.wait(4.0) == 0
    for client in clients:
        client.close()
