"""What was spent while something lasted: CPU of ours and of watched processes, and waiting for it.

Linux only.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from clients.cpu_clock import cpu_ns

_SCHEDSTAT = Path("/proc/self/schedstat")


def waited_for_cpu_ns() -> int | None:
    """How long this thread could have run and had no core, ever; None where it is not told.

    The second number of /proc/PID/schedstat, which needs a kernel with CONFIG_SCHED_INFO.
    """
    try:
        return int(_SCHEDSTAT.read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None


class Meter:
    """Sums over the times between `start` and `stop`, in ns."""

    def __init__(self, server: Sequence[int], upstream: Sequence[int]) -> None:
        self._pids = (server, upstream)
        self.client_ns = self.server_ns = self.upstream_ns = 0
        self.waited_ns: int | None = None

    def start(self) -> None:
        """Begin to count."""
        self._count(-1)

    def stop(self) -> None:
        """Stop counting."""
        self._count(+1)

    def _count(self, sign: int) -> None:
        server, upstream = self._pids
        self.client_ns += sign * time.process_time_ns()
        self.server_ns += sign * cpu_ns(server)
        self.upstream_ns += sign * cpu_ns(upstream)
        waited_ns = waited_for_cpu_ns()
        if waited_ns is not None:
            self.waited_ns = (self.waited_ns or 0) + sign * waited_ns
