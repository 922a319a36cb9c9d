"""How many calls can the upstream hold, how late are its answers, and what does one cost it?

All calls are made at once and are outstanding together; each asks for the same time.
"""

import argparse
import resource
import selectors
import socket
import sys
import time
from collections.abc import Sequence

import psutil

from bench.errors import UserError
from bench.measure.cores import cores_here
from bench.measure.process import Process

COMMAND = (sys.executable, "-P", "-m", "servers.upstream")
SPARE_DESCRIPTORS = 100
MOST_LATE_MS = 100.0


def hold_calls(sockets: Sequence[socket.socket], wait_s: float) -> list[float]:
    """Make a call on each connection at once; by how many milliseconds each answer was late."""
    request = b"%d\n" % round(wait_s * 1e6)
    selector = selectors.DefaultSelector()
    asked_s = {}
    for sock in sockets:
        selector.register(sock, selectors.EVENT_READ, sock)
        asked_s[sock] = time.monotonic()
        sock.sendall(request)
    late_ms = []
    while asked_s:
        for key, _ in selector.select():
            late_ms.append((time.monotonic() - asked_s.pop(key.data) - wait_s) * 1e3)
            if key.data.recv(100) != b"done\n":
                raise UserError("the upstream did not answer a call")
            selector.unregister(key.data)
    return sorted(late_ms)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trial; 0 when every call was answered in time, 1 when not, 2 when it cannot run."""
    parser = argparse.ArgumentParser(prog="bench.trials.upstream", description=__doc__)
    parser.add_argument("--calls", type=int, default=15_000)
    parser.add_argument("--wait-s", type=float, default=5.0)
    options = parser.parse_args(argv)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < options.calls + SPARE_DESCRIPTORS:
        raise UserError(f"{options.calls} calls need as many descriptors; {most} are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with Process("upstream", COMMAND, cores=cores_here().server) as process:
        ready = process.wait_ready()
        address = (ready.host, ready.port)
        sockets = [socket.create_connection(address, 30) for _ in range(options.calls)]
        hold_calls(sockets, 0.0)
        before = psutil.Process(ready.pid).cpu_times()
        late_ms = hold_calls(sockets, options.wait_s)
        after = psutil.Process(ready.pid).cpu_times()
        for sock in sockets:
            sock.close()
    cpu_us = (after.user + after.system - before.user - before.system) * 1e6 / options.calls
    p50_ms, p99_ms = late_ms[len(late_ms) // 2], late_ms[int(len(late_ms) * 0.99)]
    met = late_ms[0] >= 0 and p99_ms <= MOST_LATE_MS
    print(
        f"{options.calls} calls of {options.wait_s:g} s, outstanding together: {cpu_us:.1f} us of"
        f" the upstream's CPU a call; late, as the caller sees it, by p50 {p50_ms:.2f} ms and p99"
        f" {p99_ms:.2f} ms; target: none early, p99 within {MOST_LATE_MS:.0f} ms:"
        f" {'met' if met else 'MISSED'}"
    )
    return 0 if met else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
