"""How a task of asyncio waits: for a unit, and for the upstream through a bounded pool."""

import asyncio
from asyncio import StreamReader, StreamWriter
from functools import partial

from servers.core.calls import ANSWER, Upstream, check_answer
from servers.core.service import Service
from servers.core.shared_units import SharedUnits
from servers.core.units import Turns, Units
from servers.core.work import Step


class Waits:
    """The waits of one event loop. Make it where the loop runs."""

    def __init__(self, service: Service) -> None:
        self._loop = asyncio.get_running_loop()
        self._units = service.units
        if isinstance(self._units, SharedUnits):
            self._loop.add_reader(self._units, self._units.receive)
        self._upstream = service.upstream or Upstream("", 0, 1)
        self._places = Units(self._upstream.most_connections)
        self._idle: list[tuple[StreamReader, StreamWriter]] = []

    async def hold(self, step: Step) -> None:
        """Wait for a unit, then hold it for the time of the step."""
        await self._turn(self._units)
        try:
            await asyncio.sleep(step.seconds)
        finally:
            self._units.release()

    async def call(self, step: Step) -> None:
        """Ask the upstream and wait for its answer. Raises OSError."""
        await self._turn(self._places)
        try:
            reader, writer = self._idle.pop() if self._idle else await self._connect()
            try:
                writer.write(step.request)
                check_answer(await reader.readexactly(len(ANSWER)))
            except (OSError, asyncio.IncompleteReadError) as error:
                writer.close()
                raise ConnectionError("the upstream broke off") from error
            self._idle.append((reader, writer))
        finally:
            self._places.release()

    async def _turn(self, units: Turns) -> None:
        granted = self._loop.create_future()
        units.claim(partial(granted.set_result, None))
        await granted

    async def _connect(self) -> tuple[StreamReader, StreamWriter]:
        return await asyncio.open_connection(self._upstream.host, self._upstream.port)
