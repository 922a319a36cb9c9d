"""Twisted's reactor: it calls the protocol of a document when something of it has come."""

import importlib
from collections.abc import Sequence
from functools import partial
from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from clients.fetch.document import FAILURES, Document


def fetch(documents: Sequence[Document], timeout_s: float) -> None:
    """Fetch every document; give up on one of which nothing comes for `timeout_s`."""
    reactor: Any = importlib.import_module("twisted.internet.reactor")
    outcomes: list[object] = []

    def start() -> None:
        fetches = [Deferred.fromCoroutine(_fetch(each, timeout_s, reactor)) for each in documents]
        done = gatherResults(fetches).addErrback(lambda failure: failure.value)
        done.addCallback(outcomes.append).addCallback(lambda _: reactor.stop())
        done.addErrback(lambda _: None)  # Ctrl-C has stopped it already

    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger("before", "shutdown", outcomes.append, KeyboardInterrupt())
    reactor.run()
    if isinstance(outcomes[0], BaseException):
        raise outcomes[0]


async def _fetch(document: Document, timeout_s: float, reactor: Any) -> None:
    request = document.request
    endpoint: Any = HostnameEndpoint(reactor, request.host, request.port, timeout_s)
    downloads = Factory.forProtocol(partial(_Download, document, timeout_s))
    with document.fetching():
        try:
            download = await endpoint.connect(downloads)
        except error.TimeoutError:
            raise TimeoutError from None
        except (error.ConnectError, ValueError) as failure:  # ValueError: no host has such a name
            raise OSError(getattr(failure, "osError", None), str(failure)) from None
        if why := await download.over:
            raise why


class _Download(Protocol):
    transport: Any

    def __init__(self, document: Document, timeout_s: float) -> None:
        self.over: Deferred[Exception | None] = Deferred()
        self._document, self._timeout_s = document, timeout_s

    def connectionMade(self) -> None:
        later = self.transport.reactor.callLater
        self._patience = later(self._timeout_s, self._end, TimeoutError())
        self.transport.write(self._document.request.payload)

    def dataReceived(self, data: bytes) -> None:
        self._patience.reset(self._timeout_s)
        try:
            if self._document.receive(data):
                self._end(None)
        except FAILURES as failure:
            self._end(failure)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not isinstance(reason.value, error.ConnectionDone):
            self._end(ConnectionResetError("Connection reset by peer"))
        elif not self.over.called:
            self.dataReceived(b"")

    def _end(self, outcome: Exception | None) -> None:
        if not self.over.called:
            self.transport.loseConnection()
            self.over.callback(outcome)
