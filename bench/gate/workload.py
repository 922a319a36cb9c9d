"""What both sides of a gate are asked, and what is decided on. Pure."""

from dataclasses import dataclass

from bench.errors import UserError
from bench.gate.slices import METRICS

OF_ALL_WORK = ("throughput", "cpu")
OF_WAITING_WORK = ("throughput", "cpu", "p50", "p99")
DEFAULT_PATH = "/delay=20ms"  # of the project's own models
USERS_PATH = "/"  # of any other server
DEFAULT_CONNECTIONS = 512
REQUEST_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Workload:
    """One path over so many connections.

    `metrics` None: throughput and CPU, and where the work waits p50 and p99 as well. `rate_rps`
    None: the open loop offers half of base's capacity. `delay_s`: how long a request waits, where
    that is known for certain. A request that is not answered in `request_timeout_s` has failed.
    """

    path: str = DEFAULT_PATH
    connections: int = DEFAULT_CONNECTIONS
    metrics: tuple[str, ...] | None = None
    rate_rps: float | None = None
    arrivals: str = "constant"
    delay_s: float = 0.0
    request_timeout_s: float = REQUEST_TIMEOUT_S

    @property
    def name(self) -> str:
        """How it is called in slices and findings."""
        return f"{self.path} at {self.connections} connections"

    def metrics_where(self, *, waits: bool) -> tuple[str, ...]:
        """What is decided on, once it is known whether the work waits.

        A tail of work that does not wait says more of the machine than of the program.
        """
        if self.metrics is not None:
            return self.metrics
        return OF_WAITING_WORK if waits else OF_ALL_WORK

    @property
    def may_be_open(self) -> bool:
        """Whether an open loop may be needed."""
        return self.metrics is None or any(METRICS[name] == "open" for name in self.metrics)


def checked_path(path: str, where: str) -> str:
    """A path as it can be requested. Raises UserError naming `where` it stands."""
    if not path.startswith("/"):
        raise UserError(f"{where}: must begin with a slash, not {path!r}")
    if not path.isascii() or not path.isprintable() or " " in path:
        raise UserError(f"{where}: write spaces and all but plain ASCII as %XX, not {path!r}")
    return path


def checked_metrics(names: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Metrics that there are, each once. Raises UserError."""
    if not names or not set(names) <= set(METRICS):
        asked, known = ", ".join(names), ", ".join(METRICS)
        raise UserError(f"{where}: metrics {asked!r}: choose from {known}")
    return tuple(dict.fromkeys(names))
