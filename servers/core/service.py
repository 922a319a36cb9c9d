"""What a driver is handed besides its listener: the service to offer, equal for all models."""

from dataclasses import dataclass

from servers.core.calls import Upstream
from servers.core.http1 import Connection
from servers.core.limits import Limits
from servers.core.replies import Catalogue
from servers.core.stop import Stop
from servers.core.units import Turns


@dataclass(frozen=True, slots=True)
class Service:
    """One server's settings and shared state, as one of its processes sees them."""

    catalogue: Catalogue
    limits: Limits
    units: Turns
    """What a `hold` takes one of: the units of the whole server."""
    stop: Stop
    processes: int = 1
    """How many processes share the listener."""
    threads: int = 1
    """How many threads a model with a fixed number of them has."""
    upstream: Upstream | None = None
    """What a `call` asks; no work with a call is accepted where there is none."""

    @property
    def accepts_in_a_turn(self) -> int:
        """How many waiting clients a loop accepts at once: one, where others accept as well."""
        return 100 if self.processes == 1 else 1

    def connection(self, *, keep_alive: bool = True) -> Connection:
        """Return the HTTP side of a fresh connection."""
        return Connection(self.catalogue, self.limits, keep_alive=keep_alive)
