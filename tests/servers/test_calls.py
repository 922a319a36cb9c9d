"""The upstream, and how every model calls it: a bounded pool that queues and never errors."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest

from servers.models import Model
from tests.conftest import ROOT, Server, StartServer
from tests.servers.wire import get, read_to_end, reply

CLOSED = reply(200, b"done\n", "Connection: close")


@dataclass
class Upstream:
    process: subprocess.Popen[str]
    port: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 10)

    def connections(self) -> int:
        found = psutil.Process(self.process.pid).net_connections("tcp")
        return sum(each.status == psutil.CONN_ESTABLISHED for each in found)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    process = subprocess.Popen(
        [sys.executable, "-m", "servers.upstream"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield Upstream(process, json.loads(process.stdout.readline())["port"])
    process.kill()
    process.communicate()


def ask(server: Server, path: str, count: int) -> list[bytes]:
    """Send one request on each of `count` connections; return the replies."""
    clients = [server.connect(20) for _ in range(count)]
    for client in clients:
        client.sendall(get(path, "Connection: close"))
    replies = [read_to_end(client) for client in clients]
    for client in clients:
        client.close()
    return replies


def test_answers_come_when_they_are_due_whatever_their_order(upstream: Upstream) -> None:
    waits_us = [60_000, 20_000, 40_000]
    clients = [upstream.connect() for _ in waits_us]
    start_s = time.monotonic()
    for client, wait_us in zip(clients, waits_us, strict=True):
        client.sendall(b"%d\n" % wait_us)
    for client, wait_us in sorted(zip(clients, waits_us, strict=True), key=lambda pair: pair[1]):
        assert client.recv(100) == b"done\n"
        assert time.monotonic() - start_s >= wait_us / 1e6
        client.close()


def test_upstream_holds_a_thousand_calls_at_once(upstream: Upstream) -> None:
    """One after another they would take 300 s."""
    clients = [upstream.connect() for _ in range(1_000)]
    for client in clients:
        client.sendall(b"300000\n")
    for client in clients:
        assert client.recv(100) == b"done\n"
        client.close()


@pytest.mark.parametrize("said", [b"x\n", b"-1\n", b"99999999999\n", b"1" * 100, b"\n", b"5"])
def test_upstream_hangs_up_on_what_is_no_call(upstream: Upstream, said: bytes) -> None:
    with upstream.connect() as client:
        client.sendall(said)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""
    with upstream.connect() as client:
        client.sendall(b"0\n")
        assert client.recv(100) == b"done\n"


def test_upstream_ends_on_sigterm_with_calls_outstanding(upstream: Upstream) -> None:
    with upstream.connect() as client:
        client.sendall(b"50000000\n")
        time.sleep(0.05)
        upstream.process.send_signal(signal.SIGTERM)
        assert upstream.process.wait(5) == 0


def test_calls_overlap_and_the_connections_of_the_pool_are_used_again(
    model: Model, start_server: StartServer, upstream: Upstream
) -> None:
    server = start_server(model, "--upstream", f"127.0.0.1:{upstream.port}")
    start_s = time.monotonic()
    for _ in range(3):
        assert ask(server, "/call=200ms", 5) == [CLOSED] * 5
    elapsed_s = time.monotonic() - start_s
    overlap = model.name != "blocking" and model.default_workers != 2
    assert elapsed_s < 2.4 if overlap else elapsed_s >= 0.6
    assert upstream.connections() <= 5 * model.default_workers


def test_full_pool_queues_and_never_errors(
    model: Model, start_server: StartServer, upstream: Upstream
) -> None:
    """Twelve calls of 0.1 s through two connections take 0.6 s."""
    pool = 2 * (model.default_workers if model.workers_are == "processes" else 1)
    flags = ("--upstream", f"127.0.0.1:{upstream.port}", "--pool", str(pool))
    server = start_server(model, *flags)
    start_s = time.monotonic()
    replies = ask(server, "/call=100ms", 6 * pool)
    assert replies == [CLOSED] * 6 * pool
    assert time.monotonic() - start_s >= 0.6
    assert upstream.connections() <= pool


def test_server_outlives_its_upstream(
    model: Model, start_server: StartServer, upstream: Upstream
) -> None:
    """A call that cannot be made ends the connection without a reply, and its place is free."""
    server = start_server(model, "--upstream", f"127.0.0.1:{upstream.port}", "--pool", "8")
    assert ask(server, "/call=1ms", 4) == [CLOSED] * 4
    os.kill(upstream.process.pid, signal.SIGKILL)
    upstream.process.wait()
    for _ in range(3):
        for client in [server.connect() for _ in range(8)]:
            with client:
                client.sendall(get("/call=1ms"))
                with contextlib.suppress(ConnectionResetError):
                    assert client.recv(1000) == b""
    assert ask(server, "/", 1) == [CLOSED]
