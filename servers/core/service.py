"""What a driver is handed besides its listener: the service to offer, equal for all models."""

from dataclasses import dataclass

from servers.core.http1 import Connection
from servers.core.limits import Limits
from servers.core.replies import Catalogue
from servers.core.stop import Stop


@dataclass(frozen=True, slots=True)
class Service:
    """One server's settings and shared state."""

    catalogue: Catalogue
    limits: Limits
    units: int
    """How many requests may be in a `hold` at once."""
    stop: Stop

    def connection(self, *, keep_alive: bool = True) -> Connection:
        """Return the HTTP side of a fresh connection."""
        return Connection(self.catalogue, self.limits, keep_alive=keep_alive)
