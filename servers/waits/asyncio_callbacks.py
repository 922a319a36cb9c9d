"""The waits of a program of callbacks on asyncio's loop, or on uvloop's."""

import asyncio

from servers.core.calls import CONNECT_LIMIT_S
from servers.core.service import Service
from servers.core.shared_units import SharedUnits
from servers.waits.callback_waits import Call, Line, Waits


def waits_of(service: Service) -> Waits:
    """Return the waits of the running loop."""
    loop = asyncio.get_running_loop()
    if isinstance(service.units, SharedUnits):
        loop.add_reader(service.units, service.units.receive)
    opening: set[asyncio.Task[None]] = set()  # the loop itself would let go of them

    def connect(waits: Waits, call: Call) -> None:
        task = loop.create_task(_connect(waits, call))
        opening.add(task)
        task.add_done_callback(opening.discard)

    return Waits(service, loop.call_later, connect)


async def _connect(waits: Waits, call: Call) -> None:
    line = _Line(waits, call)
    upstream = waits.upstream
    try:
        async with asyncio.timeout(CONNECT_LIMIT_S):
            await asyncio.get_running_loop().create_connection(
                lambda: line, upstream.host, upstream.port
            )
    except OSError:  # a timeout is one too
        line.lost()


class _Line(Line, asyncio.Protocol):
    _transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self.opened()

    def data_received(self, data: bytes) -> None:
        self.received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.lost()

    def write(self, request: bytes) -> None:
        """Send."""
        self._transport.write(request)

    def abort(self) -> None:
        """End the connection."""
        self._transport.abort()
