"""Twisted's reactor: it calls a protocol when something has come, and others when a time is over.

The work for a client is a generator, which stops at `yield` where it has to wait: the callback of
what it waits for resumes it.
"""

import importlib
import socket
from collections.abc import Generator
from functools import partial

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from servers.core.service import Service
from servers.core.work import CALL, DELAY, HOLD
from servers.waits.callback_waits import Waits
from servers.waits.twisted_server import Client, Clients, finish
from servers.waits.twisted_waits import waits_of


def serve(listener: socket.socket, service: Service) -> None:
    """Serve until asked to stop."""
    reactor = importlib.import_module("twisted.internet.reactor")  # each process needs its own
    Clients(listener, service, reactor, partial(_Client, service, waits_of(service, reactor)))
    reactor.run(installSignalHandlers=False)


class _Client(Client):
    def __init__(self, service: Service, waits: Waits, clients: Clients) -> None:
        self.service, self._waits, self._clients = service, waits, clients
        self.connection = service.connection()
        self._is_full = False
        self._data, self._work = b"", self._do_work()
        self._resume = partial(next, self._work, None)

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, streaming=True)
        self._clients.add(self)

    def dataReceived(self, data: bytes) -> None:
        self._data = data
        if self.connection.waiting:
            self._resume()
        elif not self.is_over:
            self.transport.pauseProducing()  # the client's: what it sends would only be kept

    def readConnectionLost(self) -> None:
        self.has_ended = True
        if self.connection.waiting or self.is_over:
            finish(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        self._work.close()
        self._clients.remove(self)

    def pauseProducing(self) -> None:
        self._is_full = True

    def resumeProducing(self) -> None:
        self._is_full = False
        self._resume()

    def _do_work(self) -> Generator[None, None, None]:
        """Do all that the client asks, in order."""
        transport, resume = self.transport, self._resume
        later = transport.reactor.callLater
        while True:
            data, self._data = self._data, b""
            for exchange in self.connection.receive(data):
                for step in exchange.steps:
                    if step.kind is DELAY:
                        later(step.seconds, resume)
                    elif step.kind is HOLD:
                        self._waits.hold(step, resume)
                    elif step.kind is CALL:
                        self._waits.call(step, resume, transport.abortConnection)
                    else:
                        step.run()
                        continue
                    yield
                transport.write(exchange.reply)
                if exchange.close:
                    return finish(self)
                if self._is_full:
                    yield
            if self._data:
                transport.resumeProducing()
            elif self.has_ended:
                return finish(self)
            else:
                yield
