"""Does a server give back all that its clients took? Connections come and go, politely and not.

Each model serves 2,000 connections to reach its size, then as many as asked for: some are answered,
some end in the middle of a request, some reset theirs, before or during the reply. Afterwards
descriptors and threads must be what they were, and its memory within a stated bound.
"""

import argparse
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from bench.errors import UserError
from bench.measure.process import Process, Ready

FIRST = 2_000
AT_ONCE = 50
FILLED = 128
SETTLE_S = 15.0
MOST_GROWTH_MIB = 8.0
RESET = struct.pack("ii", 1, 0)
GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass(frozen=True)
class Size:
    """What a server's processes hold together."""

    descriptors: int
    threads: int
    rss_mib: float

    def __str__(self) -> str:
        held = f"{self.descriptors} descriptors, {self.threads} threads"
        return f"{held}, {self.rss_mib:.1f} MiB"


def size_of(pid: int) -> Size:
    """Read it from the system, of a process and all below it."""
    root = psutil.Process(pid)
    tree = [root, *root.children(recursive=True)]
    return Size(
        sum(process.num_fds() for process in tree),
        sum(process.num_threads() for process in tree),
        sum(process.memory_info().rss for process in tree) / 2**20,
    )


def come_and_go(ready: Ready, connections: int) -> None:
    """Open and end so many connections, some of them at once, in six ways by turns."""
    for start in range(0, connections, AT_ONCE):
        clients = [
            socket.create_connection((ready.host, ready.port), 10)
            for _ in range(min(AT_ONCE, connections - start))
        ]
        for number, client in enumerate(clients):
            _begin(client, number % 6)
        for number, client in enumerate(clients):
            _end(client, number % 6)


def fill(ready: Ready) -> None:
    """Have it work on as many requests at once as it has threads, which some make one by one."""
    clients = [socket.create_connection((ready.host, ready.port), 10) for _ in range(FILLED)]
    for client in clients:
        client.sendall(GET % b"/delay=100ms")
    for client in clients:
        with client, suppress(OSError):
            client.recv(1 << 16)


def _begin(client: socket.socket, way: int) -> None:
    if way == 0:
        client.sendall(GET % b"/delay=1ms" * 2)
    elif way == 1:
        client.sendall(GET[:10])
    elif way == 2:
        client.sendall(GET % b"/body=1MiB")
    elif way == 3:
        client.sendall(GET % b"/hold=1ms")
    elif way == 4:
        client.sendall(b"\x00 garbage\r\n\r\n")


def _end(client: socket.socket, way: int) -> None:
    with client, suppress(OSError):
        if way in (0, 3, 4):
            client.recv(1 << 16)
        if way in (1, 2):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def churn(command: Sequence[str], name: str, connections: int) -> tuple[Size, Size]:
    """The size of a fresh server after its first connections, and after so many more.

    Raises UserError when it does not start, or dies.
    """
    with Process(name, command) as process:
        ready = process.wait_ready()
        fill(ready)
        come_and_go(ready, FIRST)
        time.sleep(1.0)
        before = size_of(ready.pid)
        come_and_go(ready, connections)
        deadline_s = time.monotonic() + SETTLE_S
        while not _is_back(before, after := size_of(ready.pid)):
            if time.monotonic() > deadline_s:
                break
            time.sleep(0.1)
        process.sample()
    return before, after


def _is_back(before: Size, after: Size) -> bool:
    return (
        after.descriptors <= before.descriptors
        and after.threads <= before.threads
        and after.rss_mib <= before.rss_mib + MOST_GROWTH_MIB
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trial; 0 when every model is back where it was, 1 when not, 2 when it cannot run."""
    parser = argparse.ArgumentParser(prog="bench.trials.churn", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000, help="of each model")
    parser.add_argument("--models", help="only these: a,b")
    options = parser.parse_args(argv)
    servers = (sys.executable, "-P", "-m", "servers")
    listed = subprocess.run([*servers, "--list"], capture_output=True, text=True, check=True)
    rows = [row for row in json.loads(listed.stdout) if row["available"]]
    chosen = options.models.split(",") if options.models else [row["name"] for row in rows]
    failed = []
    for number, name in enumerate(chosen, 1):
        before, after = churn((*servers, name), name, options.connections)
        back = _is_back(before, after)
        failed += [] if back else [name]
        print(
            f"{number}/{len(chosen)} {name}: {options.connections} connections; before: {before};"
            f" after: {after}; target: descriptors and threads as before, memory within"
            f" {MOST_GROWTH_MIB:.0f} MiB: {'met' if back else 'MISSED'}",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
