"""The waits of a program of callbacks on Twisted's reactor."""

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from servers.core.calls import CONNECT_LIMIT_S
from servers.core.service import Service
from servers.core.shared_units import SharedUnits
from servers.waits.callback_waits import Call, Line, Waits


def waits_of(service: Service, reactor: Any) -> Waits:
    """Return the waits of a reactor."""
    if isinstance(service.units, SharedUnits):
        reactor.addReader(_Grants(service.units, reactor))

    def connect(waits: Waits, call: Call) -> None:
        line = _Line(waits, call)
        upstream = waits.upstream
        endpoint = HostnameEndpoint(reactor, upstream.host, upstream.port, CONNECT_LIMIT_S)
        connected: Deferred[_Line] = connectProtocol(endpoint, line)  # type: ignore[no-untyped-call]
        connected.addErrback(lambda _: line.lost())

    return Waits(service, reactor.callLater, connect)


class _Grants(FileDescriptor):
    """The units that another process keeps."""

    def __init__(self, units: SharedUnits, reactor: Any) -> None:
        super().__init__(reactor)
        self._units = units

    def fileno(self) -> int:
        return self._units.fileno()

    def doRead(self) -> ConnectionDone | None:
        return None if self._units.receive() else CONNECTION_DONE


class _Line(Line, Protocol):
    transport: Any

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.opened()

    def dataReceived(self, data: bytes) -> None:
        self.received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        self.lost()

    def write(self, request: bytes) -> None:
        """Send."""
        self.transport.write(request)

    def abort(self) -> None:
        """End the connection."""
        self.transport.abortConnection()
