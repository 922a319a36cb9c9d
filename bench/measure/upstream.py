"""The slow service behind the servers, where a run has work that calls it: one process a round.

It runs on the generator's cores, so that the servers have theirs to themselves; what it uses counts
there. Must not know what calls it.
"""

import sys
from collections.abc import Collection

from bench.measure.process import Process

COMMAND = (sys.executable, "-P", "-m", "servers.upstream")
# The same bound for every server on its connections to the upstream, whatever its model.
MOST_CONNECTIONS = 1024


class Upstream:
    """The upstream of a run; `address` is HOST:PORT, None before it was started."""

    def __init__(self, cores: Collection[int]) -> None:
        self.address: str | None = None
        self._cores = cores
        self._process: Process | None = None

    def start(self) -> None:
        """Start a fresh one, at a port of its choice. Raises TargetError."""
        self.stop()
        self.address = None
        self._launch(())

    def revive(self) -> bool:
        """Start one at the same port if it is gone; True where it was. Raises TargetError."""
        if self.address is None or (self._process is not None and self._process.alive):
            return False
        self.stop()
        self._launch(("--port", self.address.rpartition(":")[2]))
        return True

    def pids(self) -> list[int]:
        """Its processes."""
        return self._process.pids() if self._process is not None else []

    def stop(self) -> None:
        """Kill it, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def _launch(self, flags: Collection[str]) -> None:
        self._process = Process("upstream", (*COMMAND, *flags), cores=self._cores)
        ready = self._process.wait_ready()
        self.address = f"{ready.host}:{ready.port}"
