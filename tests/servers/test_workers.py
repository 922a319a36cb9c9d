"""Several processes of one server: they come and go, and nothing is lost with them."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from servers.core.workers import STEADY_S
from tests.conftest import ROOT, Server, StartServer
from tests.servers.wire import get, read_to_end

MODELS = ("prefork", "threaded", "asyncio", "trio")


def workers(server: Server) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children()


def ask(server: Server, path: str) -> socket.socket:
    client = server.connect()
    client.sendall(get(path, "Connection: close"))
    return client


def worker_of(server: Server, client: socket.socket) -> psutil.Process:
    """Return the process that holds the other end of a connection."""
    port = client.getsockname()[1]
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s:
        for worker in workers(server):
            if any(c.raddr and c.raddr.port == port for c in worker.net_connections("tcp")):
                return worker
        time.sleep(0.01)
    raise AssertionError("no worker has accepted the connection")


@pytest.mark.parametrize("model", MODELS)
def test_unit_of_a_killed_worker_comes_back(start_server: StartServer, model: str) -> None:
    server = start_server(model, "--workers", "2", "--units", "1")
    time.sleep(STEADY_S)
    with ask(server, "/hold=30s") as holder:
        worker_of(server, holder).kill()
        with ask(server, "/hold=1ms") as client:
            assert b"200 OK" in read_to_end(client)


@pytest.mark.parametrize("model", MODELS)
def test_another_takes_the_place_of_a_worker_that_died(
    start_server: StartServer, model: str
) -> None:
    server = start_server(model, "--workers", "2")
    time.sleep(STEADY_S)
    first = workers(server)
    assert len(first) == 2
    first[0].kill()
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s:
        now = {each.pid for each in workers(server)}
        if len(now) == 2 and first[0].pid not in now:
            break
        time.sleep(0.01)
    else:
        pytest.fail("no other worker was started")
    with ask(server, "/") as client:
        assert b"200 OK" in read_to_end(client)
    server.ask_to_stop()
    assert server.wait() == 0
    assert server.process.stderr is not None
    said = server.process.stderr.read()
    assert said == f"worker {first[0].pid} ended with status -9: another takes its place\n"


def test_a_server_that_can_start_no_other_worker_ends(start_server: StartServer) -> None:
    server = start_server("prefork", "--workers", "2")
    time.sleep(STEADY_S)
    highest = max(int(each.name) for each in Path(f"/proc/{server.process.pid}/fd").iterdir())
    psutil.Process(server.process.pid).rlimit(psutil.RLIMIT_NOFILE, (highest + 1, highest + 1))
    workers(server)[0].kill()
    assert server.wait() == 1
    assert server.process.stderr is not None
    assert server.process.stderr.read().endswith("no other can start: Too many open files\n")


def test_a_child_that_was_there_before_is_no_worker() -> None:
    """A shell that becomes the server hands on what it has started in the background."""
    script = 'true & exec "$@"'
    command = ["bash", "-c", script, "bash", sys.executable, "-m", "servers", "prefork"]
    server = subprocess.Popen(
        [*command, "--workers", "2"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert server.stdout is not None
    assert server.stdout.readline()
    time.sleep(0.1)  # lets it bury the stranger
    server.terminate()
    assert server.communicate(timeout=10)[1] == b""
    assert server.returncode == 0


def test_hold_ends_well_without_the_parent(start_server: StartServer) -> None:
    server = start_server("asyncio-protocol", "--workers", "2")
    with ask(server, "/hold=700ms") as client:
        worker_of(server, client)
        server.process.kill()
        assert b"200 OK" in read_to_end(client)


def test_workers_that_find_no_room_leave_none_behind() -> None:
    script = """
import os, resource, time
from servers.core.workers import Workers

resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
try:
    Workers(50, 1, lambda units: time.sleep(60), lambda: None)
except OSError as error:
    print(error.strerror)
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError as error:
    print(error.strerror)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout == "Too many open files\nNo child processes\n"


def test_workers_end_with_their_parent(start_server: StartServer) -> None:
    server = start_server("uvloop", "--workers", "3")
    below = workers(server)
    os.kill(server.process.pid, signal.SIGKILL)
    gone, alive = psutil.wait_procs(below, timeout=8)
    assert (len(gone), alive) == (3, [])


def test_workers_that_cannot_serve_end_the_server_with_status_1() -> None:
    """A process that dies at once would only die again."""
    script = """
import sys
from servers.core.workers import Workers

def work(units):
    raise RuntimeError("cannot serve")

sys.exit(Workers(2, 1, work, lambda: None).wait())
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    assert "RuntimeError: cannot serve" in done.stderr
    assert "ended with status 1: the server ends" in done.stderr


def test_a_worker_that_hangs_is_killed_in_the_end(start_server: StartServer) -> None:
    server = start_server("threaded", "--workers", "2")
    hung = workers(server)[0]
    hung.suspend()
    server.ask_to_stop()
    assert server.wait(10.0) == 0
    assert not hung.is_running()
