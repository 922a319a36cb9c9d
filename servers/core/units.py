"""The resource that `hold` takes a unit of, first come, first served.

A waiter leaves a callback, which each model makes from its own kind of waiting; a thread uses the
units as a context manager. Knows nothing of models.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

Grant = Callable[[], object]


class Turns(Protocol):
    """Units of whatever is limited, wherever they are kept."""

    def claim(self, granted: Grant) -> None:
        """Have `granted` called when it is the caller's turn to hold a unit, perhaps at once."""

    def release(self) -> None:
        """Give a unit back, which goes straight to the longest waiter."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def wait_for_turn(units: Turns) -> None:
    """Claim a unit and block the calling thread until it is granted."""
    turn = threading.Lock()
    turn.acquire()
    units.claim(turn.release)
    turn.acquire()


class Units:
    """R units of one process. `granted` is called in the thread that gave a unit back.

    `threading.Semaphore` would let a newcomer overtake the waiters.
    """

    def __init__(self, total: int) -> None:
        self._free = total
        self._lock = threading.Lock()
        self._waiting: deque[Grant] = deque()

    def claim(self, granted: Grant) -> None:
        """Have `granted` called when it is the caller's turn, perhaps at once."""
        with self._lock:
            if not self._free:
                self._waiting.append(granted)
                return
            self._free -= 1
        granted()

    def release(self) -> None:
        """Give a unit back."""
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            granted = self._waiting.popleft()
        granted()

    def __enter__(self) -> None:
        wait_for_turn(self)

    def __exit__(self, *_: object) -> None:
        self.release()
