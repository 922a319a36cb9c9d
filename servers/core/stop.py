"""How a server ends: SIGTERM or SIGINT asks it to finish what is in flight, for a while.

Knows nothing of models: each says what it does when asked.
"""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

GRACE_S: Final = 5.0


class Stop:
    """The wish that the server ends. Make it in the main thread, before anyone may ask.

    The first signal calls the driver's callback in the main thread, between two bytecodes. A
    server that has not ended `grace_s` later is ended with status 0 all the same.
    """

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._callback: Callable[[], object] | None = None
        self.requested = False
        signal.signal(signal.SIGTERM, self._request)
        signal.signal(signal.SIGINT, self._request)

    def on_request(self, callback: Callable[[], object]) -> None:
        """Have `callback` called once when the end is asked for, or now if it was already."""
        self._callback = callback
        if self.requested:
            callback()

    def _request(self, _signal: int, _frame: FrameType | None) -> None:
        if self.requested:
            return
        self.requested = True
        # An alarm, not a thread: a handler must not take locks that the main thread may hold.
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        signal.setitimer(signal.ITIMER_REAL, self._grace_s)
        if self._callback is not None:
            self._callback()
