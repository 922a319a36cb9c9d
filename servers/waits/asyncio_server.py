"""What servers on asyncio's loop have in common besides their work.

Those of callbacks wait for clients and for their end here.
"""

import asyncio
import importlib
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from servers.core.http1 import Connection
from servers.core.listen import BACKLOG, OUT_OF_RESOURCES, RECEIVE_BYTES, end_input
from servers.core.service import Service
from servers.core.watch import INTERVAL_S, Watch

_LOOK_S: Final = 0.01


class Client(Protocol):
    """A connection, as it is known here."""

    transport: asyncio.Transport
    connection: Connection
    service: Service
    has_ended: bool
    """The client sends no more."""
    is_over: bool
    """The last reply is written: whatever still comes is thrown away."""


def serve_clients(
    listener: socket.socket,
    service: Service,
    loop: str,
    prepare: Callable[[], Callable[[Watch[Any]], asyncio.BufferedProtocol]],
) -> None:
    """Serve on the event loop of the library `loop` until asked to stop and all clients have gone.

    `prepare` is called once, on the loop, for what makes a client; a client has itself watched.
    """
    with asyncio.Runner(loop_factory=importlib.import_module(loop).new_event_loop) as runner:
        runner.run(_serve(listener, service, prepare))


def begin(client: Client, watch: Watch[Any]) -> None:
    """Have a client watched from now on."""
    watch.start(client, client.connection, client.transport.get_write_buffer_size)
    if client.service.stop.requested:
        end_input(client.transport.get_extra_info("socket"))


def finish(client: Client) -> None:
    """Close a client once its last reply is sent; over unread bytes that would reset it."""
    client.is_over = True
    if client.has_ended or not client.connection.unread:
        client.transport.close()
        return
    with suppress(OSError):  # the client has gone
        client.transport.write_eof()
    client.transport.resume_reading()
    linger_s = client.service.limits.linger_s
    asyncio.get_running_loop().call_later(linger_s, client.transport.close)


def receive_as_others_do(transport: Any) -> None:
    """Have a stream's transport read no more at a time than other models do.

    asyncio would allocate 256 KiB for each read. glibc may then give memory back and fetch it again
    every time, two page faults a request and half the speed, or not, as its heap happens to lie.
    """
    if hasattr(transport, "max_size"):  # uvloop reads into one buffer
        transport.max_size = RECEIVE_BYTES


async def _serve(
    listener: socket.socket,
    service: Service,
    prepare: Callable[[], Callable[[Watch[Any]], asyncio.BufferedProtocol]],
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(report)
    watch: Watch[Client] = Watch(service.limits)
    stopping = asyncio.Event()
    make_client = prepare()
    server = await loop.create_server(
        lambda: make_client(watch), sock=listener, backlog=service.accepts_in_a_turn
    )
    listener.listen(BACKLOG)  # not above: there it is how many asyncio accepts in a turn
    service.stop.on_request(lambda: loop.call_soon_threadsafe(stopping.set))
    reaper = loop.create_task(_reap(watch))
    await stopping.wait()
    loop.remove_reader(listener)  # asyncio loses what it accepts in the very turn of close()
    await asyncio.sleep(0)
    server.close()
    for client in watch:
        end_input(client.transport.get_extra_info("socket"))
    await asyncio.sleep(_LOOK_S)  # by then those accepted last are watched
    while any(watch):
        await asyncio.sleep(_LOOK_S)
    reaper.cancel()


async def _reap(watch: Watch[Client]) -> None:
    while True:
        await asyncio.sleep(INTERVAL_S)
        for client in watch.overdue(time.monotonic()):
            client.transport.abort()


def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report what goes wrong, but for a lack of descriptors: the loop tries again by itself."""
    if getattr(context.get("exception"), "errno", None) not in OUT_OF_RESOURCES:
        loop.default_exception_handler(context)
