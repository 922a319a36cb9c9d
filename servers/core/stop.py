"""How a server ends: SIGTERM or SIGINT asks it to finish what is in flight, for a while.

Knows nothing of models: each says what it does when asked.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Final

GRACE_S: Final = 5.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """The wish that the server ends. Make it in the main thread, before any other thread.

    A thread waits for the signals, which all others block: a handler would run only between two
    bytecodes of the main thread, and that may be inside a system call for as long as it likes.
    A server that has not ended `grace_s` after the wish is ended with status 0 all the same.
    """

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._callback: Callable[[], object] | None = None
        self.requested = False
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        threading.Thread(target=self._wait, name="stop", daemon=True).start()

    def on_request(self, callback: Callable[[], object]) -> None:
        """Have `callback` called, in any thread, when the end is asked for; now if it was.

        It may be called twice.
        """
        self._callback = callback
        if self.requested:
            callback()

    def _wait(self) -> None:
        signal.sigwait(_SIGNALS)
        self.requested = True
        if self._callback is not None:
            self._callback()
        time.sleep(self._grace_s)
        os._exit(0)
