"""How a task of the hand-written loop waits: for a unit, and for the upstream through a pool."""

import os
import socket
from collections.abc import Generator
from contextlib import closing, suppress

from servers.core.calls import ANSWER, Upstream, check_answer
from servers.core.service import Service
from servers.core.shared_units import SharedUnits
from servers.core.units import Units
from servers.core.work import Step
from servers.selectors_loop import READ, WRITE, Loop, Stream, Task, Wait


class Waits:
    """The waits of one loop."""

    def __init__(self, loop: Loop, service: Service) -> None:
        self._loop = loop
        self._units = service.units
        if isinstance(self._units, SharedUnits):
            loop.start(self._receive(self._units))
        self._upstream = service.upstream or Upstream("", 0, 1)
        self._places = Units(self._upstream.most_connections)
        self._idle: list[Stream] = []

    def hold(self, step: Step) -> Task:
        """Wait for a unit, then hold it for the time of the step."""
        yield self._units.claim
        try:
            yield step.seconds
        finally:
            self._units.release()

    def call(self, step: Step) -> Task:
        """Ask the upstream and wait for its answer. Raises OSError."""
        yield self._places.claim
        try:
            stream = self._idle.pop() if self._idle else (yield from self._connect())
            try:
                stream.sock.send(step.request)  # a few bytes: they always fit
                answer = b""
                while len(answer) < len(ANSWER):
                    yield READ, stream
                    answer += (data := stream.sock.recv(len(ANSWER) - len(answer)))
                    if not data:
                        break
                check_answer(answer)
            except BaseException:
                stream.close()
                raise
            self._idle.append(stream)
        finally:
            self._places.release()

    def _connect(self) -> Generator[Wait, None, Stream]:
        """Connect to the first address that answers; only looking up a name would block."""
        last = OSError("the upstream has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            self._upstream.host, self._upstream.port, type=socket.SOCK_STREAM
        ):
            stream = Stream(self._loop, socket.socket(family, kind, protocol))
            try:
                stream.sock.setblocking(False)
                with suppress(BlockingIOError):
                    stream.sock.connect(address)
                yield WRITE, stream
                if number := stream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(number, os.strerror(number))
                stream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return stream
            except BaseException as error:
                stream.close()
                if not isinstance(error, OSError):
                    raise
                last = error
        raise last

    def _receive(self, units: SharedUnits) -> Task:
        """Pass on the units that another process keeps."""
        copy = socket.socket(fileno=os.dup(units.fileno()))
        with closing(Stream(self._loop, copy)) as stream:
            yield READ, stream
            while units.receive():
                yield READ, stream
