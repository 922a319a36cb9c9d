"""How a program of callbacks waits: for a unit, and for the upstream through a bounded pool.

`asyncio_callbacks` and `twisted_waits` join it to the timers and sockets of their loops; it knows
neither.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from servers.core.calls import ANSWER, Upstream
from servers.core.service import Service
from servers.core.units import Units
from servers.core.work import Step

Then = Callable[[], object]


Timer = Callable[[float, Then], object]
"""A loop's way to have something called after so many seconds."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call to the upstream: what is sent, and who is called with the answer or without."""

    request: bytes
    answered: Then
    failed: Then


class Line:
    """A connection to the upstream, which carries one call at a time.

    A protocol of the library's, which calls `opened`, `received` and `lost`.
    """

    def __init__(self, waits: "Waits", call: Call) -> None:
        self._waits = waits
        self._call: Call | None = call
        self._answer = b""

    def carry(self, call: Call) -> None:
        """Carry one more call."""
        self._call = call
        self.write(call.request)

    def opened(self) -> None:
        """Carry the call that the connection was made for."""
        if self._call is not None:
            self.write(self._call.request)

    def received(self, data: bytes) -> None:
        """Take what the upstream sends."""
        self._answer += data
        if self._answer == ANSWER and self._call is not None:
            call, self._call, self._answer = self._call, None, b""
            self._waits.done(self)
            call.answered()
        elif not ANSWER.startswith(self._answer):
            self.abort()

    def lost(self) -> None:
        """The connection has ended, or was never made."""
        call, self._call = self._call, None
        self._waits.forget(self, busy=call is not None)
        if call is not None:
            call.failed()

    def write(self, request: bytes) -> None:
        """Send, the library's way."""
        raise NotImplementedError

    def abort(self) -> None:
        """End the connection, the library's way."""
        raise NotImplementedError


class Waits:
    """The waits of one loop, given its timer and its way to open a line to the upstream."""

    def __init__(
        self, service: Service, later: Timer, connect: Callable[["Waits", Call], object]
    ) -> None:
        self._units = service.units
        self._later = later
        self._connect = connect
        self.upstream = service.upstream or Upstream("", 0, 1)
        self._places = Units(self.upstream.most_connections)
        self._idle: list[Line] = []

    def hold(self, step: Step, then: Then) -> None:
        """Wait for a unit, hold it for the time of the step, then call `then`; never at once."""
        self._units.claim(partial(self._later, step.seconds, partial(self._give_back, then)))

    def call(self, step: Step, then: Then, failed: Then) -> None:
        """Ask the upstream and call `then` when it has answered; never at once."""
        self._places.claim(partial(self._ask, Call(step.request, then, failed)))

    def _give_back(self, then: Then) -> None:
        self._units.release()
        then()

    def _ask(self, call: Call) -> None:
        if self._idle:
            self._idle.pop().carry(call)
        else:
            self._connect(self, call)

    def done(self, line: Line) -> None:
        """Take a line back."""
        self._idle.append(line)
        self._places.release()

    def forget(self, line: Line, *, busy: bool) -> None:
        """Give up a line that has ended, and its place if it was carrying a call."""
        if busy:
            self._places.release()
        elif line in self._idle:
            self._idle.remove(line)
