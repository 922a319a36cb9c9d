"""How a greenlet waits: for a unit, and for the upstream through a bounded pool."""

import gevent
from gevent import socket
from gevent.event import Event

from servers.core.calls import ANSWER, Upstream, check_answer
from servers.core.service import Service
from servers.core.shared_units import SharedUnits
from servers.core.units import Turns, Units
from servers.core.work import Step


class Waits:
    """The waits of one hub."""

    def __init__(self, service: Service) -> None:
        self._units = service.units
        if isinstance(self._units, SharedUnits):
            gevent.spawn(_receive, self._units)
        self._upstream = service.upstream or Upstream("", 0, 1)
        self._places = Units(self._upstream.most_connections)
        self._idle: list[socket.socket] = []

    def hold(self, step: Step) -> None:
        """Wait for a unit, then hold it for the time of the step."""
        _turn(self._units)
        try:
            gevent.sleep(step.seconds)
        finally:
            self._units.release()

    def call(self, step: Step) -> None:
        """Ask the upstream and wait for its answer. Raises OSError."""
        _turn(self._places)
        try:
            connection = self._idle.pop() if self._idle else self._connect()
            try:
                connection.sendall(step.request)
                answer = connection.recv(len(ANSWER))
                while 0 < len(answer) < len(ANSWER) and (more := connection.recv(1)):
                    answer += more
                check_answer(answer)
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)
        finally:
            self._places.release()

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((self._upstream.host, self._upstream.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def _turn(units: Turns) -> None:
    granted = Event()
    units.claim(granted.set)
    granted.wait()


def _receive(units: SharedUnits) -> None:
    """Pass on the units that another process keeps."""
    socket.wait_read(units.fileno())
    while units.receive():
        socket.wait_read(units.fileno())
