"""What a server on Twisted's reactor waits for besides its work: clients and its end."""

import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from servers.core.http1 import Connection
from servers.core.listen import end_input
from servers.core.service import Service
from servers.core.watch import INTERVAL_S, Watch


@implementer(IHalfCloseableProtocol, IPushProducer)
class Client(Protocol):
    """A connection, as it is known here. Each direction ends by itself."""

    transport: Any
    connection: Connection
    service: Service
    has_ended = False
    """The client sends no more."""
    is_over = False
    """The last reply is written: whatever still comes is thrown away."""

    def writeConnectionLost(self) -> None:
        """The client is told that no more comes, as `finish` has asked."""

    def stopProducing(self) -> None:
        """The connection is lost, and `connectionLost` follows."""


class Clients(Factory):
    """The clients of one server. It stops the reactor when the last one has gone."""

    def __init__(
        self,
        listener: socket.socket,
        service: Service,
        reactor: Any,
        make_client: Callable[["Clients"], Client],
    ) -> None:
        self._listener, self._service, self._reactor = listener, service, reactor
        self._make_client = make_client
        self._watch: Watch[Client] = Watch(service.limits)
        listener.setblocking(False)
        self._port = reactor.adoptStreamPort(listener.fileno(), listener.family, self)
        self._port.numberAccepts = service.accepts_in_a_turn
        LoopingCall(self._reap).start(INTERVAL_S, now=False)
        service.stop.on_request(partial(reactor.callFromThread, self._stop))

    def buildProtocol(self, addr: IAddress | None) -> Client:  # noqa: ARG002
        """Make a client."""
        if self._service.processes > 1:
            self._port.numberAccepts = 0  # or Twisted accepts ever more of them in a turn
        return self._make_client(self)

    def add(self, client: Client) -> None:
        """Watch a client that has begun."""
        self._watch.start(client, client.connection, partial(_unsent_bytes, client.transport))
        if self._service.stop.requested:
            end_input(client.transport.getHandle())

    def remove(self, client: Client) -> None:
        """Forget a client that has ended."""
        self._watch.end(client)
        self._end_if_deserted()

    def _reap(self) -> None:
        for client in self._watch.overdue(time.monotonic()):
            client.transport.abortConnection()

    def _stop(self) -> None:
        if self._port.connected and not self._port.disconnecting:
            self._listener.close()  # the port has a descriptor of its own
            self._port.stopListening().addCallback(lambda _: self._end_if_deserted())
            for client in self._watch:
                end_input(client.transport.getHandle())

    def _end_if_deserted(self) -> None:
        if not self._port.connected and not any(self._watch):
            self._reactor.stop()


def finish(client: Client) -> None:
    """Close a client once its last reply is sent; over unread bytes that would reset it."""
    client.is_over = True
    client.transport.unregisterProducer()
    if client.has_ended or not client.connection.unread:
        client.transport.loseConnection()
        return
    client.transport.loseWriteConnection()
    client.transport.resumeProducing()
    client.transport.reactor.callLater(
        client.service.limits.linger_s, client.transport.loseConnection
    )


def _unsent_bytes(transport: Any) -> int:
    """Return how much waits to be sent, which Twisted itself does not tell."""
    unsent_bytes: int = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    return unsent_bytes
