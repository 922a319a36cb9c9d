"""A task per connection on an event loop, asyncio's own or uvloop's: it gives way at `await`."""

import asyncio
import importlib
import socket
import time
from asyncio import StreamReader, StreamWriter
from contextlib import suppress

from servers.core.http1 import Connection
from servers.core.listen import BACKLOG, RECEIVE_BYTES, end_input
from servers.core.service import Service
from servers.core.watch import INTERVAL_S, Watch
from servers.core.work import CALL, DELAY, HOLD
from servers.waits.asyncio_server import receive_as_others_do, report
from servers.waits.asyncio_waits import Waits


def serve(listener: socket.socket, service: Service, loop: str) -> None:
    """Serve on the event loop of the library `loop` until asked to stop."""
    with asyncio.Runner(loop_factory=importlib.import_module(loop).new_event_loop) as runner:
        runner.run(_serve(listener, service))


async def _serve(listener: socket.socket, service: Service) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(report)
    watch: Watch[StreamWriter] = Watch(service.limits)
    waits = Waits(service)

    async def run(reader: StreamReader, writer: StreamWriter) -> None:
        connection = service.connection()
        receive_as_others_do(writer.transport)
        with watch.over(writer, connection, writer.transport.get_write_buffer_size):
            if service.stop.requested:
                end_input(writer.get_extra_info("socket"))
            with suppress(OSError):  # the client reset the connection, or was too slow
                await _serve_client(reader, writer, connection, waits)
                if connection.unread:
                    await _linger(reader, writer, service.limits.linger_s)
            with suppress(OSError):
                writer.close()
                await writer.wait_closed()

    stopping = asyncio.Event()
    server = await asyncio.start_server(
        run, sock=listener, limit=RECEIVE_BYTES, backlog=service.accepts_in_a_turn
    )
    listener.listen(BACKLOG)  # not above: there it is how many asyncio accepts in a turn
    service.stop.on_request(lambda: loop.call_soon_threadsafe(stopping.set))
    reaper = loop.create_task(_reap(watch))
    await stopping.wait()
    loop.remove_reader(listener)  # asyncio loses what it accepts in the very turn of close()
    await asyncio.sleep(0)
    server.close()
    for writer in watch:
        end_input(writer.get_extra_info("socket"))
    await asyncio.gather(*asyncio.all_tasks() - {reaper, asyncio.current_task()})


async def _serve_client(
    reader: StreamReader, writer: StreamWriter, connection: Connection, waits: Waits
) -> None:
    while data := await reader.read(RECEIVE_BYTES):
        for exchange in connection.receive(data):
            for step in exchange.steps:
                if step.kind is DELAY:
                    await asyncio.sleep(step.seconds)
                elif step.kind is HOLD:
                    await waits.hold(step)
                elif step.kind is CALL:
                    await waits.call(step)
                else:
                    step.run()
            writer.write(exchange.reply)
            await writer.drain()
            if exchange.close:
                return


async def _linger(reader: StreamReader, writer: StreamWriter, linger_s: float) -> None:
    """Let the last reply arrive: closing over unread bytes would reset the connection."""
    writer.write_eof()
    with suppress(TimeoutError):
        async with asyncio.timeout(linger_s):
            while await reader.read(RECEIVE_BYTES):
                pass


async def _reap(watch: Watch[StreamWriter]) -> None:
    while True:
        await asyncio.sleep(INTERVAL_S)
        for writer in watch.overdue(time.monotonic()):
            writer.transport.abort()
