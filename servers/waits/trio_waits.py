"""How a task of trio waits: for a unit, and for the upstream through a bounded pool."""

import trio

from servers.core.calls import ANSWER, Upstream, check_answer
from servers.core.service import Service
from servers.core.shared_units import SharedUnits
from servers.core.units import Turns, Units
from servers.core.work import Step


class Waits:
    """The waits of one trio run."""

    def __init__(self, service: Service) -> None:
        self._units = service.units
        self._upstream = service.upstream or Upstream("", 0, 1)
        self._places = Units(self._upstream.most_connections)
        self._idle: list[trio.SocketStream] = []

    async def receive(self) -> None:
        """Pass on the units that another process keeps, where it is so; a task of its own."""
        if isinstance(self._units, SharedUnits):
            await trio.lowlevel.wait_readable(self._units.fileno())
            while self._units.receive():
                await trio.lowlevel.wait_readable(self._units.fileno())

    async def hold(self, step: Step) -> None:
        """Wait for a unit, then hold it for the time of the step."""
        await _turn(self._units)
        try:
            await trio.sleep(step.seconds)
        finally:
            self._units.release()

    async def call(self, step: Step) -> None:
        """Ask the upstream and wait for its answer. Raises OSError or trio.BrokenResourceError."""
        await _turn(self._places)
        try:
            stream = self._idle.pop() if self._idle else await self._connect()
            try:
                await stream.send_all(step.request)
                answer = await stream.receive_some(len(ANSWER))
                while 0 < len(answer) < len(ANSWER) and (more := await stream.receive_some(1)):
                    answer += more
                check_answer(answer)
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
            self._idle.append(stream)
        finally:
            self._places.release()

    async def _connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(self._upstream.host, self._upstream.port)


async def _turn(units: Turns) -> None:
    granted = trio.Event()
    units.claim(granted.set)
    await granted.wait()
