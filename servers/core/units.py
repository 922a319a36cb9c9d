"""The resource that `hold` takes a unit of, for models that wait in threads.

Event loops use the semaphores of their libraries, which serve in order of arrival as well.
"""

import threading
from collections import deque


class Units:
    """R units, first come, first served: a unit given back goes straight to the longest waiter.

    Used as a context manager. `threading.Semaphore` would let a newcomer overtake the waiters.
    """

    def __init__(self, total: int) -> None:
        self._free = total
        self._lock = threading.Lock()
        self._turns: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._turns.append(turn)
        turn.acquire()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._turns:
                self._turns.popleft().release()
            else:
                self._free += 1
