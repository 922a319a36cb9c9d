"""The table of models: adding one is a driver and a row.

Imports no driver, so that a missing library disables its model alone.
"""

import importlib
import importlib.util
import socket
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol, cast

from servers.core.service import Service


class Serve(Protocol):
    """A driver's entry: serve on a listening socket until the service is asked to stop."""

    def __call__(self, listener: socket.socket, service: Service) -> None:
        """Serve."""


class UnavailableError(Exception):
    """A model cannot run here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Model:
    """A concurrency model."""

    name: str
    family: Literal["sync", "async"]
    driver: str
    """The module, whose `serve` is called."""
    library: str | None = None
    """What has to be installed."""
    loop: str | None = None
    """The library of the event loop, for a driver that runs on several."""
    serves_one_at_a_time: bool = False
    """Each worker serves one connection at a time, so it keeps none alive."""
    workers_are: Literal["processes", "threads"] = "processes"
    """What `--workers` counts: processes of the whole server, or the threads of its pool."""
    default_workers: int = 1

    def why_unavailable(self) -> str | None:
        """Say why the model cannot run here, or return None."""
        if self.library is None or importlib.util.find_spec(self.library):
            return None
        return f"model {self.name} needs {self.library}: pip install {self.library}"

    def load(self) -> Serve:
        """Import the driver and its library. Raises UnavailableError."""
        if reason := self.why_unavailable():
            raise UnavailableError(reason)
        if self.library:
            importlib.import_module(self.library)
        serve = importlib.import_module(self.driver).serve
        return cast(Serve, partial(serve, loop=self.loop) if self.loop else serve)


MODELS = {
    model.name: model
    for model in (
        Model("blocking", "sync", "servers.blocking", serves_one_at_a_time=True),
        Model("prefork", "sync", "servers.blocking", serves_one_at_a_time=True, default_workers=8),
        Model("threaded", "sync", "servers.threaded"),
        Model(
            "thread-pool",
            "sync",
            "servers.thread_pool",
            workers_are="threads",
            default_workers=64,
        ),
        Model("selectors", "async", "servers.selectors_server"),
        Model("asyncio", "async", "servers.asyncio_streams", loop="asyncio"),
        Model("uvloop", "async", "servers.asyncio_streams", library="uvloop", loop="uvloop"),
        Model("asyncio-protocol", "async", "servers.asyncio_protocol", loop="asyncio"),
        Model(
            "uvloop-protocol",
            "async",
            "servers.asyncio_protocol",
            library="uvloop",
            loop="uvloop",
        ),
        Model(
            "asyncio-threads",
            "async",
            "servers.asyncio_threads",
            workers_are="threads",
            default_workers=64,
        ),
        Model("trio", "async", "servers.trio_nursery", library="trio"),
        Model("twisted", "async", "servers.twisted_protocol", library="twisted"),
        Model("gevent", "async", "servers.gevent_greenlets", library="gevent"),
    )
}
