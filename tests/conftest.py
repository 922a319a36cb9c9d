"""Real servers for the tests of all packages."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from servers.models import Model
from tests.servers.table import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]  # a hook that has to be here, where every run finds it

ROOT = Path(__file__).parent.parent
# Tests run beside each other, and measure nothing that has to be right.
os.environ["CROSSOVER_LOCK"] = f"test {os.getpid()}"
RATES = ("--spin-rounds-per-us", "10", "--hash-rounds-per-us", "1")


# What other tests that run beside it do to a measurement: no core for the generator, or for one of
# several processes of a server, and windows that are not steady.
OF_A_BUSY_MACHINE = ("waited for a core", "Little's law is off", "were served unequally")


def complaints(result: dict[str, Any]) -> list[str]:
    """Why a measurement is not valid, but for what a busy machine does to it."""
    reasons = result["invalid_reasons"]
    return [each for each in reasons if not any(words in each for words in OF_A_BUSY_MACHINE)]


@dataclass
class Server:
    """One model as a process of its own."""

    ready: dict[str, Any]
    process: subprocess.Popen[str]
    clients: list[socket.socket] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.ready["port"])

    def connect(self, timeout_s: float = 10.0) -> socket.socket:
        """Return a new connection; its calls fail after `timeout_s` rather than hang the tests."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout_s)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.clients.append(client)
        return client

    def processes(self) -> list[psutil.Process]:
        """Return the server's process and those that it has started."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def descriptors(self) -> int:
        return sum(process.num_fds() for process in self.processes())

    def holds(self, client: socket.socket) -> bool:
        """Say whether the server's end of this connection is still open in some process.

        Read from proc_net_tcp: a socket that no process has any more has the inode 0.
        """
        ends = (f":{self.port:04X}", f":{client.getsockname()[1]:04X}")
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return any(
            row[1].endswith(ends[0]) and row[2].endswith(ends[1]) and row[9] != "0" for row in rows
        )

    def threads(self) -> int:
        return sum(process.num_threads() for process in self.processes())

    def memory_bytes(self) -> int:
        return sum(process.memory_info().rss for process in self.processes())

    def cpu_s(self) -> float:
        times = [process.cpu_times() for process in self.processes()]
        return float(sum(each.user + each.system for each in times))

    def ask_to_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float = 10.0) -> int:
        return self.process.wait(timeout_s)

    def end(self) -> None:
        """Leave nothing behind, whatever the test did."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=20)  # whoever it left behind holds the pipe
        for client in self.clients:
            client.close()


StartServer = Callable[..., Server]


def launch(model: Model | str, *flags: str, descriptors: int | None = None) -> Server:
    """Start `python -m servers MODEL`; `descriptors` limits how many it may open.

    A model by its row has as many workers as that says.
    """
    if isinstance(model, Model):
        model, flags = model.name, ("--workers", str(model.default_workers), *flags)

    def limit() -> None:
        if descriptors is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    process = subprocess.Popen(
        [sys.executable, "-m", "servers", model, *RATES, *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        pytest.fail(f"{model} did not start: {process.communicate()[1]}")
    return Server(json.loads(line), process)


def _launcher() -> Iterator[StartServer]:
    servers: list[Server] = []

    def start(model: Model | str, *flags: str, descriptors: int | None = None) -> Server:
        servers.append(launch(model, *flags, descriptors=descriptors))
        return servers[-1]

    yield start
    for server in servers:
        server.end()


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """A function that starts a model; all it started end with the test."""
    yield from _launcher()


@pytest.fixture(scope="module")
def start_shared_server() -> Iterator[StartServer]:
    """The same, for servers that the tests of a module share."""
    yield from _launcher()
